"""The Dockerfile, step by step in a scratch folder instead of a container: its files are copied, its commands run, and what comes
of it is started without rights in a folder that cannot be written to, but for the volume.

What is in the base image is not there; packages come from the interpreter that runs the tests, and weights from its cache: both
are checked all the same, as pip and `services.weights` do for whatever is there already."""

import json
import os
import re
import shlex
import shutil
import signal
import site
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.settings import Settings
from tests.bench.server import ROOT, free_port

STEPS = ("FROM", "COPY", "RUN", "ENV", "ARG", "WORKDIR", "VOLUME", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "USER", "CMD")
OURS = re.compile(r"(?<![\w/.])/(?=(?:opt|src|data)\b)")  # folders of the image, anywhere in a command
READY_S = 90.0


@dataclass
class Stage:
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, name: str) -> str:
        return next(value for step, value in reversed(self.steps) if step == name)


def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile by name; the last one is ""."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    stage = Stage("")
    for line in filter(None, map(str.strip, text.splitlines())):
        step, _, value = line.partition(" ")
        assert step in STEPS, line
        if step == "FROM":
            base, _, name = value.partition(" AS ")
            stage = found[name] = Stage(base)
        else:
            stage.steps.append((step, value.strip()))
    return found


def test_a_node_is_what_is_built_when_nothing_is_named() -> None:
    assert (list(stages())[-1], stages()[""]) == ("", Stage("node"))


def test_everything_copied_is_there_and_let_in() -> None:
    """`.dockerignore` lets in what it names, and nothing else: no secret and no data can get into an image."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for stage in stages().values():
        for step, value in stage.steps:
            if step == "COPY" and not value.startswith("--from"):
                assert set(value.split()[:-1]) <= let_in
    assert all((ROOT / name).exists() for name in let_in)


class Build:
    """A stage being built under `root`, on what stages before it have made there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        self.folder = root

    def inside(self, text: str) -> str:
        return OURS.sub(f"{self.root}/", text)

    def build(self, name: str) -> Stage:
        stage = stages()[name]
        if stage.base in stages():
            self.build(stage.base)
        for step, value in stage.steps:
            getattr(self, step.lower(), lambda _: None)(value)
        return stage

    def copy(self, value: str) -> None:
        *sources, target = self.inside(value).split()
        if sources[0].startswith("--from="):
            assert sources[1:] == [target], "every stage is built in the same scratch folder"
            self.build(sources[0].removeprefix("--from="))
            return
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                Path(target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, target)

    def env(self, value: str) -> None:
        for pair in shlex.split(value):
            name, _, said = pair.partition("=")
            self.environment[name] = self.inside(said)

    def workdir(self, value: str) -> None:
        self.folder = Path(self.inside(value))

    def run(self, value: str) -> None:
        command = self.inside(value).replace("python -m venv", f"{sys.executable} -m venv")
        subprocess.run(["sh", "-ec", command], cwd=self.folder, env=self.environment, check=True, timeout=300)
        if "-m venv" in command:
            packages = next((self.root / "opt" / "venv" / "lib").glob("python*")) / "site-packages"
            (packages / "those_of_the_tests.pth").write_text("\n".join(site.getsitepackages()))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Build, Stage]]:
    """The node's image, with the weights of this machine put where they would be fetched to."""
    root = tmp_path_factory.mktemp("image")
    unused = shutil.ignore_patterns("*.gguf")
    weights = Settings(_env_file=None).weights_dir  # type: ignore[call-arg]
    shutil.copytree(weights, root / "opt" / "weights", ignore=unused, copy_function=shutil.copy)
    build = Build(root)
    yield build, build.build("node")
    subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)
    shutil.rmtree(root)


def test_weights_are_verified_and_keep_whole_seconds(built: tuple[Build, Stage]) -> None:
    weights = built[0].root / "opt" / "weights"
    assert {path.stat().st_mtime_ns for path in weights.rglob("*.onnx") if path.parent.name != "computed"} == {
        1_700_000_000 * 10**9
    }
    assert list((weights / "computed").iterdir()), "a first start would compute"


def test_image_starts_without_rights_and_writes_nothing_else(built: tuple[Build, Stage], tmp_path: Path) -> None:
    build, node = built
    assert node.last("USER") == "10001:10001"
    port, before = free_port(), written(build.root)
    environment = {**build.environment, "PARLEY_PORT": str(port), "PATH": f"{build.root}/opt/venv/bin:/usr/bin:/bin"}
    subprocess.run(["chmod", "-R", "a-w", str(build.root)], check=True)
    subprocess.run(["chmod", "u+w", str(build.root / "data")], check=True)
    os.chown(build.root / "data", os.geteuid(), os.getegid())
    # The interpreter of the tests may be where only root gets: root without its capabilities is held off by modes as others are.
    confined = ["setpriv", "--bounding-set=-all", "--no-new-privs"] if os.geteuid() == 0 else []
    probe = [*confined, "touch", str(build.root / "opt" / "probe")]
    assert subprocess.run(probe, stderr=subprocess.DEVNULL).returncode != 0, "the image can be written to"
    log = tmp_path / "log"
    command = [*confined, *json.loads(node.last("CMD"))]
    with log.open("wb") as out, subprocess.Popen(command, cwd=build.folder, env=environment, stderr=out) as process:
        try:
            wait_until_ready(port, process)
            check = json.loads(node.last("HEALTHCHECK").partition("CMD ")[2])
            healthy = [part.replace("7860", str(port)) for part in check]
            assert subprocess.run([*confined, *healthy], env=environment, timeout=20).returncode == 0
        finally:
            process.send_signal(signal.Signals[node.last("STOPSIGNAL")])
            assert process.wait(60) in (0, -signal.SIGTERM), "it ended in its own time, and says by what it was told to"
    said = log.read_text()
    assert "cannot be" not in said and "reading knowledge" not in said, said
    assert written(build.root) == before, "only the volume is written to"


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_S
    while True:
        assert process.poll() is None and time.monotonic() < end
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)


def written(root: Path) -> dict[str, int]:
    """What is in the image, by its time of writing, but for the volume."""
    volume = root / "data"
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and volume not in path.parents}
