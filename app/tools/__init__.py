"""Tools: functions that the agent runs. Importing this package registers those that come with Parley."""

from app.tools import builtin

__all__ = ["builtin"]
