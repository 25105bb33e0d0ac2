"""The threads of `services.workers` in virtual time: a call is computed for real, at once, while the loop's clock stands still, and
its result is handed over when so much virtual time has passed as the table of costs says.

What the app has is kept: two lanes, the order of priority and age, a partial that is refused while other work waits or runs, and
two cores that are shared by what runs at once. Only virtual time decides what ends first."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np

from services.base import ServiceUnavailable
from services.workers import CORES, Priority, Workers
from tests.bench.virtual.costs import Costs, key, size

P = ParamSpec("P")
T = TypeVar("T")
PURE = ("stt.", "turn.", "tts.")  # what comes of a call depends on nothing but the model, its first argument, and the others
STOPPED = "stt."  # calls that end as soon as nobody waits for them any more: see services/stt/whisper.py
DONE_MS = 1e-6


@dataclass(order=True)
class Job:
    priority: int
    age: int
    work: Callable[[], tuple[float, float, Any]] = field(compare=False)  # -> ms, cores, result or exception
    name: str = field(compare=False)
    future: "asyncio.Future[Any]" = field(compare=False)
    left_ms: float = field(default=0.0, compare=False)
    cores: float = field(default=1.0, compare=False)
    result: Any = field(default=None, compare=False)


class VirtualWorkers(Workers):
    """One process may hold conversation after conversation on it; each begins with idle threads."""

    cores = 1  # what a call takes is in the table; to share it out would only cost processor time, a seventh of it

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self._known: dict[
            tuple[object, ...], Any
        ] = {}  # the agent says many things again, and the same recording is heard again
        self.begin()

    def begin(self) -> None:
        """Forgets what an earlier loop has left."""
        self._lanes = _Lane(1), _Lane(CORES + 1)

    async def run(self, priority: Priority, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if priority is Priority.LOAD:
            return fn(*args, **kwargs)  # before the conversation
        lane = self._lanes[priority is not Priority.VAD]
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        name = key(priority, fn)
        again = (name, *map(_content, args[1:])) if name.startswith(PURE) else None

        def compute() -> Any:
            if again is None:
                return fn(*args, **kwargs)
            if again not in self._known:
                self._known[again] = fn(*args, **kwargs)
            return self._known[again]

        job = lane.submit(priority, name, future, lambda: self.work(name, compute, args))
        try:
            return await future
        except asyncio.CancelledError:
            if name.startswith(STOPPED):
                lane.stop(job)
            raise

    def work(self, name: str, compute: Callable[[], Any], args: tuple[object, ...]) -> tuple[float, float, Any]:
        """The ms of virtual time that a call takes, the cores it keeps busy, and its result or what it raises."""
        try:
            result = compute()
        except Exception as error:
            result = error
        cost = self.costs.of(name)
        return cost.ms(size(args, result)), cost.cores, result

    async def close(self) -> None: ...


class _Lane:
    """Threads that serve one queue and share the cores."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._age = 0
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._at = 0.0  # loop time at which `left_ms` was true
        self._timer: asyncio.TimerHandle | None = None

    def submit(
        self, priority: Priority, name: str, future: "asyncio.Future[Any]", work: Callable[[], tuple[float, float, Any]]
    ) -> Job:
        if priority is Priority.PARTIAL and (self._waiting or self._running):
            raise ServiceUnavailable("workers", "busy: a partial is skipped")
        self._age += 1
        job = Job(priority, self._age, work, name, future)
        self._waiting.append(job)
        self._turn()
        return job

    def stop(self, job: Job) -> None:
        """The work under way ends."""
        self._turn()
        if job in self._running:
            self._running.remove(job)
            self._turn()

    def _turn(self) -> None:
        """Time has passed, or the jobs are others: hand over what is done, begin what can be begun, and set the timer."""
        loop = asyncio.get_running_loop()
        passed_ms, self._at = (loop.time() - self._at) * 1000 * self._pace(), loop.time()
        for job in self._running:
            job.left_ms -= passed_ms
        for job in [job for job in self._running if job.left_ms <= DONE_MS]:
            self._running.remove(job)
            _hand_over(job)
        self._waiting = sorted(job for job in self._waiting if not job.future.done())
        while self._waiting and len(self._running) < self._threads:
            job = self._waiting.pop(0)
            job.left_ms, job.cores, job.result = job.work()
            self._running.append(job)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running:
            next_ms = min(job.left_ms for job in self._running) / self._pace()
            self._timer = loop.call_at(self._at + max(next_ms, 2 * DONE_MS) / 1000, self._turn)

    def _pace(self) -> float:
        """How much of its own speed each running job has."""
        return min(1.0, CORES / sum(job.cores for job in self._running)) if self._running else 1.0


def _content(value: object) -> object:
    """What makes a call the same call: the bytes of a sound by their digest."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).digest()
    return tuple(map(_content, value)) if isinstance(value, tuple | list) else value


def _hand_over(job: Job) -> None:
    if job.future.done():
        return
    if isinstance(job.result, Exception):
        job.future.set_exception(job.result)
    else:
        job.future.set_result(job.result)
