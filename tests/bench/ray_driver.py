"""`python -m tests.bench.ray_driver`: a local Ray cluster of several nodes with Parley on Serve. It takes one command a line (JSON,
`{"do": "start", ...}`) and answers each with a line; Ray wants the main thread of a process for itself."""

import json
import os
import sys
import time
from typing import Any

import yaml

from tests.bench.server import ROOT

CONFIG = ROOT / "deploy" / "ray" / "serve.yaml"
SLOW_S = 240.0  # a local cluster on two busy cores takes its time to start a replica
PATIENT = {  # of a local cluster, whose nodes share two cores
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_health_check_initial_delay_ms": "500",  # a node that is gone is known to be within 2 s: see docs/scaling.md
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "2",
    "RAY_worker_niceness": "0",  # 15 by itself: whatever else this machine does, the callers for one, would come first
    "PYTHONPATH": str(ROOT),
}


class Driver:
    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._version = 0
        self._asked: dict[str, Any] = {}

    def start(self, port: int, application: str, variables: dict[str, str], nodes: int, **options: Any) -> None:
        """`options` are those of the deployment, other than in `serve.yaml`."""
        os.environ.update(PATIENT)
        import ray
        from ray.cluster_utils import Cluster
        from ray.serve.api import start

        self._asked = {"port": port, "application": application, "variables": variables, "options": options}
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._nodes = [self._cluster.add_node(num_cpus=2) for _ in range(nodes)]
        ray.init(address=self._cluster.address, namespace="serve", log_to_driver=False, logging_level="WARNING")
        start(proxy_location="EveryNode", http_options={"host": "127.0.0.1", "port": port})
        self.deploy()

    def deploy(self) -> None:
        """Puts `serve.yaml` into force; each time it is another version, so that every replica is replaced."""
        from ray.serve.schema import ServeDeploySchema

        config = yaml.safe_load(CONFIG.read_text("utf-8"))
        config["http_options"] = {"host": "127.0.0.1", "port": self._asked["port"]}
        application = config["applications"][0] | {"import_path": self._asked["application"]}
        deployment = application["deployments"][0] | self._asked["options"]
        if "num_replicas" in deployment:
            del deployment["autoscaling_config"]
        self._version += 1
        variables = application["runtime_env"]["env_vars"] | self._asked["variables"] | {"DEPLOYED": str(self._version)}
        config["applications"] = [application | {"deployments": [deployment], "runtime_env": {"env_vars": variables}}]
        client = self._client()
        client.deploy_apps(ServeDeploySchema.model_validate(config), _blocking=False)
        client._wait_for_application_running(application["name"], timeout_s=SLOW_S)

    def replicas(self) -> dict[str, int]:
        """How many replicas are in which state."""
        found = self._client().get_serve_details()["applications"]["parley"]["deployments"]["conversations"]["replicas"]
        states = [replica["state"] for replica in found]
        return {state: states.count(state) for state in states}

    def kill(self) -> None:
        """One node is gone, from one moment to the next."""
        self._cluster.remove_node(self._nodes.pop(0), allow_graceful=False)

    def heal(self) -> None:
        """A new node, with a replica as before."""
        self._nodes.append(self._cluster.add_node(num_cpus=2))
        end = time.monotonic() + SLOW_S
        while self.replicas().get("RUNNING", 0) < self._asked["options"]["num_replicas"]:
            if time.monotonic() > end:
                raise TimeoutError(f"replicas: {self.replicas()}")
            time.sleep(0.5)

    def stop(self) -> None:
        import ray
        from ray import serve

        serve.shutdown()
        ray.shutdown()
        self._cluster.shutdown()

    def _client(self) -> Any:
        from ray.serve.context import _get_global_client

        return _get_global_client()


def main() -> None:
    driver, out = Driver(), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints is no answer
    for line in sys.stdin:
        command = json.loads(line)
        try:
            found = getattr(driver, command.pop("do"))(**command)
            print(json.dumps({"found": found}), file=out, flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=out, flush=True)


if __name__ == "__main__":
    main()
