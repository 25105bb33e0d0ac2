"""The clock, which can be replaced: conversations read the time here only, so that tests run in virtual time."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Tells the time: `ms` for lengths, `epoch_ms` for the date."""

    def ms(self) -> float:
        """Monotonic time in ms, of which only differences mean anything."""

    def epoch_ms(self) -> float:
        """Wall-clock time in ms since 1970 (UTC), for logs."""


class LoopClock:
    """The running event loop's time, so that a loop whose time jumps makes every delay jump with it."""

    def ms(self) -> float:
        """The event loop's monotonic time in ms."""
        return asyncio.get_running_loop().time() * 1000

    def epoch_ms(self) -> float:
        """Wall-clock time in ms since 1970 (UTC)."""
        return time.time() * 1000


async def every(seconds: float, work: Callable[[], None]) -> None:
    """Does `work` again and again, so many seconds apart, until it is cancelled."""
    while True:
        await asyncio.sleep(seconds)
        work()
