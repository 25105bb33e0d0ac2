"""Loads tools that do not come with Parley: from files and packages, and from installed packages that register under the entry
point group `parley.tools` (its value is the module whose import registers them)."""

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from zlib import crc32

from app.tools import builtin, timer_talk  # noqa: F401 (whose names are taken)
from app.tools.registry import TOOLS

GROUP = "parley.tools"


def load_tools(named: str) -> None:
    """Registers the tools of `named`: folders of .py files (files that begin with an underscore are left out), .py files and
    dotted names of modules, separated by commas; then the tools of installed packages. A module that is loaded already is not
    loaded again. Raises ValueError that names what is wrong."""
    for name in filter(None, (part.strip() for part in named.split(","))):
        path = Path(name).expanduser()
        if path.is_dir():
            if not (files := sorted(file for file in path.glob("*.py") if not file.name.startswith("_"))):
                raise ValueError(f"tools: there is no .py file in {path}")
            for file in files:
                _load(str(file), partial(_execute, file))
        elif path.suffix == ".py" and path.is_file():
            _load(str(path), partial(_execute, path))
        elif "/" in name or path.suffix == ".py":
            raise ValueError(f"tools: there is no folder or file {path}")
        else:
            _load(name, partial(import_module, name))
    for entry in entry_points(group=GROUP):
        _load(f"{entry.name} ({entry.value})", entry.load)


def _load(source: str, load: Callable[[], object]) -> None:
    try:
        load()
    except Exception as error:  # somebody else's code
        raise ValueError(f"tools: {source} cannot be loaded: {type(error).__name__}: {error}") from error


def _execute(file: Path) -> None:
    """Runs a file as a module, once. Raises ValueError where no tool comes of it."""
    file = file.resolve()
    name = f"parley_tools_{crc32(bytes(file)):08x}_{file.stem}"
    if name in sys.modules:
        return
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not any(found.run.__module__ == name for found in TOOLS.values()):
            raise ValueError("it registers no tool: is there `@tool()` before an `async def`?")
    except Exception:
        del sys.modules[name]
        raise
