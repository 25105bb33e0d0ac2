"""The threads of the models in virtual time: what a call takes, what waits for what, and how the cores are shared."""

import asyncio
from collections.abc import Callable, Coroutine

import numpy as np
import pytest

from services.base import ServiceUnavailable, Transcript
from services.workers import Priority
from tests.bench.virtual.costs import Cost, Costs, Size, key, size
from tests.bench.virtual.workers import VirtualWorkers
from tests.unit import virtual_time

HERE = "tests.unit.bench.test_virtual_workers"


def listen(audio: np.ndarray) -> Transcript:
    return Transcript("four")


def fail() -> None:
    raise ValueError("no")


def workers(**costs: tuple[float, float, float, float]) -> VirtualWorkers:
    return VirtualWorkers(Costs({f"{HERE}.{name.replace('_', ' ')}": Cost(*cost) for name, cost in costs.items()}))


def at(results: list[tuple[str, float]], name: str, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
    """Notes when the work is done."""

    async def noted() -> None:
        await work
        results.append((name, round(asyncio.get_running_loop().time() * 1000, 3)))

    return asyncio.create_task(noted())


def run(script: Callable[[list[tuple[str, float]]], Coroutine[object, object, None]]) -> list[tuple[str, float]]:
    results: list[tuple[str, float]] = []
    virtual_time.run(script(results))
    return results


def test_a_call_takes_what_the_table_says_of_its_audio_and_its_text() -> None:
    pool = workers(listen_FINAL=(10.0, 20.0, 1.0, 1.0))

    async def script(results: list[tuple[str, float]]) -> None:
        await at(results, "heard", pool.run(Priority.FINAL, listen, np.zeros(8000, np.float32)))

    assert run(script) == [("heard", 10 + 0.5 * 20 + 4)]


def test_two_calls_share_the_cores_and_a_window_of_sound_does_not_wait() -> None:
    pool = workers(listen_FINAL=(100.0, 0, 0, 2.0), listen_VAD=(1.0, 0, 0, 1.0))
    sound = np.zeros(8, np.float32)

    async def script(results: list[tuple[str, float]]) -> None:
        first = at(results, "first", pool.run(Priority.FINAL, listen, sound))
        await asyncio.sleep(0.05)
        others = [at(results, "window", pool.run(Priority.VAD, listen, sound))]
        others.append(at(results, "second", pool.run(Priority.FINAL, listen, sound)))
        await asyncio.gather(first, *others)

    # Half of the first is done when the second comes; then each goes at half its speed.
    assert run(script) == [("window", 51), ("first", 150), ("second", 200)]


def test_what_is_urgent_goes_first_and_a_partial_is_refused() -> None:
    pool = workers(listen_FINAL=(30.0, 0, 0, 1.0), listen_TURN=(10.0, 0, 0, 1.0))
    sound = np.zeros(8, np.float32)

    async def script(results: list[tuple[str, float]]) -> None:
        running = [at(results, f"final {n}", pool.run(Priority.FINAL, listen, sound)) for n in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable):
            await pool.run(Priority.PARTIAL, listen, sound)
        await asyncio.gather(*running, at(results, "turn", pool.run(Priority.TURN, listen, sound)))

    # Three threads on two cores: the first three finals end together, and the turn passes the fourth.
    order = [name for name, _ in run(script)]
    assert order[:3] == ["final 0", "final 1", "final 2"]
    assert order[3:] == ["turn", "final 3"]


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    pool, begun = workers(), []

    async def script(results: list[tuple[str, float]]) -> None:
        running = [asyncio.create_task(pool.run(Priority.FINAL, listen, np.zeros(8, np.float32))) for _ in range(3)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(pool.run(Priority.FINAL, begun.append, 1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(*running)

    run(script)
    assert begun == []


def test_an_error_comes_when_the_call_ends_and_names_what_the_table_lacks() -> None:
    pool = workers(fail_TURN=(10.0, 0, 0, 1.0))

    async def script(results: list[tuple[str, float]]) -> None:
        with pytest.raises(ValueError, match="no"):
            await pool.run(Priority.TURN, fail)
        assert asyncio.get_running_loop().time() == pytest.approx(0.01)
        await pool.run(Priority.FINAL, listen, np.zeros(8, np.float32))

    run(script)
    assert pool.costs.missing == {f"{HERE}.listen FINAL"}


def test_the_size_of_a_call_is_its_longest_audio_and_the_text_it_makes_or_is_given() -> None:
    sound = np.zeros(16_000, np.float32)
    assert size(((sound, sound[:100]), "expected words"), Transcript("yes")) == Size(1.0, 3)
    assert size((object(), ["two", "words"], 1.0), None) == Size(0.0, 8)
    assert key(Priority.TURN, listen) == f"{HERE}.listen TURN"
