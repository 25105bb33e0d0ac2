"""Parley for a project that has a package of its own called `app`, `configuration`, `documents`, `languages`, `server`, `services`
or `vendors`: `from parley import create_app, mount, Settings`.

Our packages are then loaded as `parley.app`, `parley.server` and so on, beside the project's. Inside them, and
nowhere else, an import of one of these names means ours. Where ours are loaded under their short names already, as by `app.py`,
the long names are those same modules: an extension imports from `parley.services.base` wherever it runs. A module that has moved
from `app` to `server` or from `services` to `vendors`, or has another name, is found by its old long name for one more version,
with a warning.
"""

import builtins
import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

OURS = ("app", "configuration", "documents", "languages", "server", "services", "vendors")
TO_SERVER = ("bootstrap", "core.client_address", "core.limits", "core.watchdog", "sessions", "store", "transport", "web")
MOVED = {f"app.{part}": f"server.{part}" for part in TO_SERVER} | {
    "app.core.environment": "configuration.environment",
    "app.core.redaction": "configuration.redaction",
    "app.core.setting_types": "configuration.setting_types",
    "app.core.signing_secret": "configuration.signing_secret",
    "app.dialogue.context": "app.dialogue.agent_context",
    "app.tools.clock": "app.tools.time_and_date",
    "app.turn_taking.company": "app.turn_taking.bystander",
    "server.bootstrap.service_registry": "server.bootstrap.service_factory",
    "server.sessions.registry": "server.sessions.sessions",
    "server.store.client": "server.store.redis_client",
    "server.store.readers": "server.store.log_readers",
    "server.transport.registry": "server.transport.transports",
    "services.http": "vendors.http.client",
    "services.http_body": "vendors.http.body",
    "services.http_errors": "vendors.http.errors",
    "services.llm.calls": "vendors.openai.tool_calls",
    "services.llm.gguf": "vendors.gguf",
    "services.llm.markup": "vendors.openai.output_filter",
    "services.llm.openai": "vendors.openai.llm",
    "services.llm.parts": "vendors.openai.delta",
    "services.llm.prompt": "vendors.openai.prompt",
    "services.model_names": "vendors.http.model_names",
    "services.stt.openai": "vendors.openai.stt",
    "services.tts.audio_formats": "vendors.audio_formats",
    "services.tts.openai": "vendors.openai.tts",
    "vendors.openai.markup": "vendors.openai.output_filter",
    "vendors.openai.parts": "vendors.openai.delta",
}
__path__ = [str(Path(__file__).parent)]
_file = getattr(sys.modules.get("app"), "__file__", None)
LOADED = _file is not None and Path(_file).parent == Path(__file__).parent / "app"  # under their short names


def _import(name: str, *rest: Any, **named: Any) -> ModuleType:
    """What `import` does in our modules."""
    level = rest[3] if len(rest) > 3 else named.get("level", 0)
    if level == 0 and name.partition(".")[0] in OURS:
        name = f"{__name__}.{name}"
        if not (rest[2] if len(rest) > 2 else named.get("fromlist")):
            builtins.__import__(name, *rest, **named)
            return sys.modules[".".join(name.split(".")[:2])]  # `import services.base` binds `services`
    return builtins.__import__(name, *rest, **named)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": _import}
        super().exec_module(module)


class _Same(Loader):
    """Gives a module that has another name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._module = importlib.import_module(self._name)
        self._spec = self._module.__spec__
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(tuple(f"{__name__}.{ours}" for ours in OURS)):
            return None
        old = name.removeprefix(f"{__name__}.")
        if found := next((each for each in MOVED if f"{old}.".startswith(f"{each}.")), None):
            now = f"{__name__}.{MOVED[found]}{old.removeprefix(found)}"
            if old == found:  # once for all that is in it
                warnings.warn(f"{name} is {now}; the old name works for one more version", FutureWarning, stacklevel=2)
            return ModuleSpec(name, _Same(now), is_package=True)
        if LOADED:
            return ModuleSpec(name, _Same(name.removeprefix(f"{__name__}.")), is_package=True)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, _Finder())

from parley.app import Settings, create_app, mount  # noqa: E402

__all__ = ["Settings", "create_app", "mount"]
