"""Logs when the event loop was blocked: while one callback runs, nobody else is heard, served or spoken to."""

import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from types import FrameType

from prometheus_client import Counter, Gauge

from app.core.clock import every
from server.core.limits import Episodes

log = logging.getLogger(__name__)

BEAT_S = 0.1
HELD_S = 0.5
MINUTE = round(60 / BEAT_S)  # beats
FRAMES = 6  # of the stack that are told, the innermost last

HELD = Counter(
    "parley_loop_held",
    f"Times that the event loop was held for {HELD_S:g} s or longer: by its own work, or waiting (for a call, or for a processor)",
    ["how"],
)
LONGEST = Gauge("parley_loop_held_seconds", "The longest time in the last minute that the event loop was held")
WORKING, WAITING = HELD.labels("working"), HELD.labels("waiting")


class Watchdog:
    """A timer of the event loop that notes how late it is, and a thread that looks what the loop is doing when the timer does
    not come."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        work: Callable[[], float] = time.thread_time,
    ) -> None:
        """`clock` gives seconds; `work` gives the processor time of the calling thread in seconds, which does not depend on how
        busy the machine is."""
        self._clock = clock
        self._work = work
        self._beat_at = 0.0
        self._worked = 0.0
        self._late: deque[float] = deque(maxlen=MINUTE)
        self._episodes = Episodes()
        self._over = threading.Event()

    async def watch(self) -> None:
        """Watches the running loop until it is cancelled."""
        LONGEST.set_function(lambda: max(self._late, default=0.0))
        self.begin()
        threading.Thread(target=self._guard, args=(threading.get_ident(),), name="watchdog", daemon=True).start()
        try:
            await every(BEAT_S, self.beat)
        finally:
            self._over.set()

    def begin(self) -> None:
        """Notes that a callback of the event loop begins."""
        self._beat_at, self._worked = self._clock(), self._work()

    def beat(self) -> None:
        """Notes that the loop is free again, BEAT_S after the last time or later."""
        last, worked = self._beat_at, self._worked
        self.begin()
        late = self._beat_at - last - BEAT_S
        self._late.append(max(0.0, late))
        if late >= HELD_S:
            (WORKING if self._worked - worked >= HELD_S else WAITING).inc()

    def _guard(self, loop: int) -> None:
        told_at = 0.0
        while not self._over.wait(BEAT_S):
            if self._clock() - self._beat_at >= HELD_S and told_at != self._beat_at:
                told_at = self._beat_at
                frame = sys._current_frames().get(loop)
                if frame and (doing := what(frame)) and self._episodes.begins(self._clock()):
                    log.warning("the event loop is held, for %g s so far, by %s", HELD_S, doing)


def what(frame: FrameType) -> str:
    """A description of what a loop is doing in `frame`; empty where it does nothing and, on a busy machine, waits for the
    processor."""
    stack = traceback.extract_stack(frame)[-FRAMES:]
    if stack[-1].filename.endswith("selectors.py"):
        return ""
    return " > ".join(f"{each.filename}:{each.lineno} in {each.name}" for each in stack)
