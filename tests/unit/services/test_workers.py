"""The thread budget: what goes first, what is dropped, what is refused."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from services.base import ServiceUnavailable
from services.workers import NICENESS, Priority, Workers


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """One main thread, so that everything has to wait for its turn."""
    pool = Workers(threads=1)
    yield pool
    await pool.close()


@contextmanager
def occupied(workers: Workers) -> Iterator[None]:
    """The main thread is busy inside the block."""
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(10)

    workers.submit(Priority.FINAL, hold)
    begun.wait(10)
    try:
        yield
    finally:
        release.set()


async def test_waiting_work_goes_by_priority_and_then_by_age(workers: Workers) -> None:
    order: list[str] = []
    with occupied(workers):
        waiting = [
            workers.submit(priority, order.append, name)
            for priority, name in [
                (Priority.SPEECH, "speech"),
                (Priority.FINAL, "older final"),
                (Priority.TURN, "turn"),
                (Priority.FINAL, "newer final"),
                (Priority.TEXT, "text"),
            ]
        ]
    await asyncio.gather(*map(asyncio.wrap_future, waiting))
    assert order == ["turn", "text", "older final", "newer final", "speech"]


async def test_voice_detection_does_not_wait_for_inference(workers: Workers) -> None:
    with occupied(workers):
        assert await asyncio.wait_for(workers.run(Priority.VAD, lambda: "heard"), 10) == "heard"


async def test_a_cancelled_waiter_is_dropped_before_it_starts(workers: Workers) -> None:
    ran: list[str] = []
    with occupied(workers):
        task = asyncio.create_task(workers.run(Priority.FINAL, ran.append, "cancelled"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await workers.run(Priority.LOAD, ran.append, "after it")
    assert ran == ["after it"]


async def test_a_partial_runs_only_when_nothing_else_does(workers: Workers) -> None:
    assert await workers.run(Priority.PARTIAL, lambda: "caption") == "caption"
    with occupied(workers), pytest.raises(ServiceUnavailable, match="skipped"):
        await workers.run(Priority.PARTIAL, lambda: "caption")
    await workers.run(Priority.LOAD, lambda: None)
    assert await workers.run(Priority.PARTIAL, lambda: "caption") == "caption"


async def test_an_error_reaches_the_caller_and_the_thread_lives_on(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError):
        await workers.run(Priority.TURN, lambda: 1 // 0)
    assert await workers.run(Priority.PARTIAL, lambda: "idle again") == "idle again"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own only on Linux")
async def test_inference_yields_to_the_event_loop_and_to_voice_detection(workers: Workers) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = niceness()
    assert await workers.run(Priority.VAD, niceness) == here
    assert await workers.run(Priority.FINAL, niceness) == min(19, here + NICENESS)


async def test_closing_lets_the_work_finish() -> None:
    pool = Workers()
    done: list[int] = []
    for number in range(20):
        pool.submit(Priority.SPEECH, done.append, number)
    await pool.close()
    assert sorted(done) == list(range(20))
