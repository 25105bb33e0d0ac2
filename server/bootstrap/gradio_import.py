"""Imports Gradio faster than it imports itself."""

import os
import sys
from contextlib import nullcontext, suppress
from importlib.util import find_spec, module_from_spec

from configuration.environment import drop_unusable


def import_gradio() -> None:
    """Imports Gradio without matplotlib, and without the stubs for editors: for each of its components Gradio parses the source
    and renders a template, 1.5 s at every start. Where Gradio has been imported already, or has changed, this saves nothing and
    harms nothing."""
    spec = find_spec("gradio")
    if "gradio" in sys.modules or spec is None or spec.loader is None:
        return
    dropped = drop_unusable()
    sys.modules["gradio"] = package = module_from_spec(spec)  # its parts can be imported before it is executed
    with suppress(ImportError):
        from gradio import component_meta

        component_meta.create_or_modify_pyi = lambda component_class, class_name, events: None
    spec.loader.exec_module(package)
    os.environ.update(dropped)  # this may be somebody else's process
    # Around every call of a page it sets matplotlib's backend: the first one held the event loop for half a second, in the first
    # seconds of a conversation. Nothing here draws that way.
    package.utils.MatplotlibBackendMananger = nullcontext
    # It prints "new" and the path of each page that is mounted.
    package.routes.print = lambda *what, **how: None if what[:1] == ("new",) else print(*what, **how)
