"""The files for Kubernetes and Compose against published schemas, and against each other."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from app.settings import Settings
from tests.bench.server import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = "1.34"  # the oldest version with support when this was written; newer ones take the same
PLAIN, RAY = DEPLOY / "kubernetes" / "parley.yaml", DEPLOY / "kubernetes" / "rayservice.yaml"
# What a RayService may have, of the API reference of KubeRay 1.4 (ray.io/v1: RayServiceSpec, RayClusterSpec, HeadGroupSpec,
# WorkerGroupSpec, AutoscalerOptions, GcsFaultToleranceOptions), less what we do not use. A pod template is Kubernetes' own.
TEMPLATE = {"$ref": "#/$defs/io.k8s.api.core.v1.PodTemplateSpec"}
PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}


def record(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


RAY_SERVICE = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayService"},
    metadata={"type": "object"},
    spec=record(
        ["serveConfigV2", "rayClusterConfig"],
        serveConfigV2={"type": "string"},
        rayClusterConfig=record(
            ["headGroupSpec", "workerGroupSpecs"],
            rayVersion={"type": "string"},
            enableInTreeAutoscaling={"type": "boolean"},
            autoscalerOptions=record([], idleTimeoutSeconds=COUNT),
            gcsFaultToleranceOptions=record(["redisAddress"], redisAddress={"type": "string"}),
            headGroupSpec=record(["template"], rayStartParams=PARAMETERS, template=TEMPLATE),
            workerGroupSpecs={
                "type": "array",
                "items": record(
                    ["groupName", "template"],
                    groupName={"type": "string"},
                    replicas=COUNT,
                    minReplicas=COUNT,
                    maxReplicas=COUNT,
                    rayStartParams=PARAMETERS,
                    template=TEMPLATE,
                ),
            },
        ),
    ),
)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def of_kind(path: Path, kind: str) -> dict[str, Any]:
    return next(document for document in documents(path) if document["kind"] == kind)


@pytest.mark.parametrize("path", [PLAIN, RAY], ids=lambda path: path.name)
@pytest.mark.parametrize("version", [KUBERNETES, "1.37"])
def test_kubernetes_knows_every_field(path: Path, version: str) -> None:
    for document in documents(path):
        if document["kind"] != "RayService":
            kubernetes_validate.validate(document, version, strict=True)


def test_a_ray_service_is_one() -> None:
    schemas = files(kubernetes_validate) / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict" / "_definitions.json"
    known = json.loads(schemas.read_text("utf-8"))["$defs"]
    jsonschema_rs.validator_for(RAY_SERVICE | {"$defs": known}).validate(of_kind(RAY, "RayService"))


def test_a_ray_service_runs_the_config_of_serve() -> None:
    serve = yaml.safe_load((DEPLOY / "ray" / "serve.yaml").read_text("utf-8"))
    spec = of_kind(RAY, "RayService")["spec"]
    assert yaml.safe_load(spec["serveConfigV2"]) == serve
    assert f"ray[serve]=={spec['rayClusterConfig']['rayVersion']}\n" in (ROOT / "requirements-ray.txt").read_text("utf-8")


def test_what_is_set_are_settings() -> None:
    """A variable that is no setting would stop the start."""
    known = {f"PARLEY_{name.upper()}" for name in Settings.model_fields}
    for path in sorted(DEPLOY.rglob("*.yaml")):
        assert set(re.findall(r"\b(PARLEY_[A-Z_]+)\b", path.read_text("utf-8"))) <= known, path
    assert set(re.findall(r"\b(PARLEY_[A-Z_]+)\b", (ROOT / "Dockerfile").read_text("utf-8"))) <= known


def test_pods_are_given_time_to_drain() -> None:
    drain_s = Settings.model_fields["drain_s"].default
    deployment = of_kind(PLAIN, "Deployment")["spec"]["template"]["spec"]
    before = deployment["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert deployment["terminationGracePeriodSeconds"] >= before + drain_s + 5
    serve = yaml.safe_load((DEPLOY / "ray" / "serve.yaml").read_text("utf-8"))["applications"][0]["deployments"][0]
    assert serve["graceful_shutdown_timeout_s"] >= drain_s + 10
    for group in of_kind(RAY, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        assert group["template"]["spec"]["terminationGracePeriodSeconds"] >= serve["graceful_shutdown_timeout_s"]


def test_pods_are_confined() -> None:
    ray = of_kind(RAY, "RayService")["spec"]["rayClusterConfig"]
    groups = [ray["headGroupSpec"], *ray["workerGroupSpecs"], of_kind(PLAIN, "Deployment")["spec"]]
    for pod in [group["template"]["spec"] for group in groups]:
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/data"}


def test_compose_is_valid_and_meets_nginx() -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    composed = yaml.safe_load(text)
    PyCompose.from_json(json.dumps(composed)).validate()
    nodes = {name: service for name, service in composed["services"].items() if "build" in service}
    at = {f"{service['networks']['inside']['ipv4_address']}:7860" for service in nodes.values()}
    conf = (DEPLOY / "nginx" / "parley.conf").read_text("utf-8")
    assert set(re.findall(r"server (\S+:\d+)", conf)) == at
    assert {address.replace("\\", "") for address in re.findall(r"\(\^\|\[ ,\]\)(\S+)\$", conf)} == at
    for service in nodes.values():
        assert service["read_only"]
        assert (DEPLOY / service["build"]["context"] / "Dockerfile").exists()
