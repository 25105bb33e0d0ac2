"""The thread budget of the embedded models: two cores, and sound always first.

Two lanes. Voice detection has a thread of its own, so that a 32 ms window never waits behind a 300 ms inference. Everything else
shares the main lane, in the order of `Priority` and then of age, on threads that the operating system runs after the event loop
(where the audio frames pass). A partial transcript is a luxury: it is refused unless the main lane is idle, and because a running
inference cannot be stopped the lane has one thread more than there are cores, so that a final never waits behind a partial.
"""

import asyncio
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from queue import PriorityQueue
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

from services.base import ServiceUnavailable

P = ParamSpec("P")
T = TypeVar("T")

CORES = 2  # of the reference machine; more would only help more conversations at once
NICENESS = 5  # of the main lane's threads, above the process's own


class Priority(IntEnum):
    """What goes first when work waits."""

    VAD = 0
    TURN = 1
    TEXT = 2  # embeddings: a few ms, and a reply waits for them
    FINAL = 3
    SPEECH = 4
    CLOSER = 5  # a second look at a turn, while silence is waited for
    LOAD = 6
    PARTIAL = 7


def give_way(niceness: int) -> None:
    """Lets others go before this thread and those that it starts, by so much on the scale of `nice`, from 0 on; it cannot be taken
    back. Nothing where threads have no priority of their own, which they have on Linux."""
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + niceness))


class Workers:
    """Runs blocking functions for coroutines. `threads` is the size of the main lane. A model may share one call out over `cores`
    threads."""

    cores = CORES

    def __init__(self, threads: int = CORES + 1) -> None:
        # NumPy's matrix products would otherwise wake a spinning thread a core each.
        threadpool_limits(1, user_api="blas")
        self._voice = _Lane("voice", 1, 0)
        self._main = _Lane("worker", threads, NICENESS)

    async def run(self, priority: Priority, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `fn`, run on a thread of the priority's lane. Cancelling drops work that has not begun.

        Raises what `fn` raises, and ServiceUnavailable for a partial while other work is waiting or running.
        """
        return await asyncio.wrap_future(self.submit(priority, fn, *args, **kwargs))

    def submit(self, priority: Priority, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """The same for callers without an event loop."""
        lane = self._voice if priority is Priority.VAD else self._main
        return lane.submit(priority, lambda: fn(*args, **kwargs))

    def waited_s(self) -> float:
        """For how long the job that has waited longest has waited by now, of those that somebody's turn depends on; 0 for none."""
        return max(self._voice.waited_s(), self._main.waited_s())

    async def close(self) -> None:
        """Ends the threads once their running and waiting work is done."""
        await asyncio.gather(asyncio.to_thread(self._voice.close), asyncio.to_thread(self._main.close))


class _Lane:
    """Threads that serve one queue."""

    def __init__(self, name: str, threads: int, niceness: int) -> None:
        self._busy = 0  # jobs waiting or running
        self._waiting: dict[int, tuple[float, Future[Any]]] = {}  # by age: since when (s), and what comes of it
        self._lock = threading.Lock()
        self._ages = itertools.count()
        self._queue: PriorityQueue[tuple[int, int, Callable[[], Any] | None]] = PriorityQueue()
        self._threads = [threading.Thread(target=self._serve, args=(niceness,), name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, priority: Priority, fn: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        with self._lock:
            if priority is Priority.PARTIAL and self._busy:
                raise ServiceUnavailable("workers", "busy: a partial is skipped")
            self._busy += 1
            age = next(self._ages)
            if priority < Priority.CLOSER:
                self._waiting[age] = time.monotonic(), future
        self._queue.put((priority, age, lambda: self._carry_out(age, future, fn)))
        return future

    def waited_s(self) -> float:
        with self._lock:
            since = min((since for since, future in self._waiting.values() if not future.cancelled()), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def close(self) -> None:
        for _ in self._threads:
            self._queue.put((len(Priority), next(self._ages), None))
        for thread in self._threads:
            thread.join()

    def _carry_out(self, age: int, future: "Future[T]", fn: Callable[[], T]) -> None:
        with self._lock:
            self._waiting.pop(age, None)
        alive = future.set_running_or_notify_cancel()
        try:
            result = fn() if alive else None
        except BaseException as error:  # belongs to whoever awaits the future
            self._finish()
            future.set_exception(error)
        else:
            self._finish()
            if alive:
                future.set_result(result)  # type: ignore[arg-type]

    def _finish(self) -> None:
        with self._lock:
            self._busy -= 1

    def _serve(self, niceness: int) -> None:
        give_way(niceness)
        while (job := self._queue.get()[2]) is not None:
            job()
