"""What a page is shown is bounded, and it is the newest."""

import asyncio

from app.protocol.messages import AgentResponse, Latency, TranscriptUpdate
from app.protocol.view import MEASURED, TURNS, Newest, Viewer
from services.base import Exchange
from tests.unit.virtual_time import run


def test_a_long_conversation_is_kept_in_part() -> None:
    viewer = Viewer()
    viewer.recall([Exchange(user=f"before {n}", heard="yes") for n in range(100)])
    assert len(viewer.look()["turns"]) == TURNS
    for n in range(1, 3 * MEASURED):
        viewer.follow(TranscriptUpdate(text=f"turn {n}", final=True, turn=n, revision=0))
        viewer.follow(AgentResponse(text="Yes.", final=True, turn=n, generation=n))
        viewer.follow(Latency(turn=n, spans={"stt_final": float(n)}))
    view = viewer.look()
    assert [turn["user"] for turn in view["turns"]] == [f"turn {n}" for n in range(3 * MEASURED - TURNS, 3 * MEASURED)]
    assert all(turn["agent"] == "Yes." for turn in view["turns"])
    assert view["spreads"]["stt_final"].turns == MEASURED
    assert view["spreads"]["stt_final"].p50 > 2 * MEASURED, "the last turns count, not those of long ago"
    assert len(viewer._turns) == TURNS and len(viewer._measured["stt_final"]) == MEASURED


def test_who_looks_late_sees_the_newest_and_nothing_waits() -> None:
    async def scene() -> None:
        views: Newest[int] = Newest()
        seen: list[int] = []

        async def look() -> None:
            async for view in views.follow():
                seen.append(view)
                await asyncio.sleep(1)

        looking = asyncio.create_task(look())
        for n in range(100):
            views.put(n)
            await asyncio.sleep(0.1)
        views.end()
        await asyncio.wait_for(looking, 5)
        assert 9 <= len(seen) <= 12 and seen == sorted(seen)
        async for _ in views.follow():
            raise AssertionError("it is over")

    run(scene())
