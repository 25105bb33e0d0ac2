"""Parley for a project that has a package of its own called `app`, `languages` or `services`:
`from parley import create_app, mount, Settings`.

Our packages are then loaded as `parley.app`, `parley.languages` and `parley.services`, beside the project's. Inside them, and
nowhere else, an import of one of these names means ours.
"""

import builtins
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

OURS = ("app", "languages", "services")
__path__ = [str(Path(__file__).parent)]


def _import(name: str, *rest: Any, **named: Any) -> ModuleType:
    """What `import` does in our modules."""
    level = rest[3] if len(rest) > 3 else named.get("level", 0)
    if level == 0 and name.partition(".")[0] in OURS:
        name = f"{__name__}.{name}"
    return builtins.__import__(name, *rest, **named)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": _import}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(tuple(f"{__name__}.{ours}" for ours in OURS)):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, _Finder())

from parley.app import Settings, create_app, mount  # noqa: E402

__all__ = ["Settings", "create_app", "mount"]
