"""Tools: functions that the agent runs. Importing this package registers those that come with Parley."""

from app.tools import builtin, timer_talk

__all__ = ["builtin", "timer_talk"]
