"""Functions that the agent runs. Those that come with Parley are registered with the package."""

from app.tools import builtin

__all__ = ["builtin"]
