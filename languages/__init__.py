"""What belongs to one language, a folder each. A language is found by its code; another package brings one by an entry point."""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from languages.base import Language

__all__ = ["Language", "checked", "find"]

GROUP = "parley.languages"  # of entry points: the code of a language, and where its `Language` is
OURS = frozenset(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


def checked(code: str) -> str:
    """`code`, where there is a language of this code; nothing of it is imported. Raises ValueError, which names those that there
    are, for another one."""
    if code not in OURS and code not in (others := _others()):
        raise ValueError(f"there is no language {code!r}, there is {', '.join(sorted({*OURS, *others}))}")
    return code


@cache
def find(code: str) -> Language:
    """The language of a code such as "en". Raises ValueError for one that there is not, or that is no `Language`."""
    found = import_module(f"{__name__}.{code}").LANGUAGE if checked(code) in OURS else _others()[code].load()
    if not isinstance(found, Language):
        raise ValueError(f"language {code}: {found!r} is no languages.Language")
    return found


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
