"""Whether the models keep up, and what follows from it."""

import asyncio
import threading

import numpy as np
import pytest

from server.sessions.load import BEHIND_S, CLOSE, LOOK_S, OPEN_AGAIN, WINDOW_S, Load
from server.sessions.tokens import Full
from services.workers import Priority, Workers
from tests.unit.doubles import Desk, Peer, pcm
from tests.unit.sessions.test_sessions import join, record, scene

LOOKS = round(WINDOW_S / LOOK_S)


class Models:
    behind_s = 0.0

    def looked_at(self, load: Load, seconds: float, behind_s: float) -> None:
        self.behind_s = behind_s
        for _ in range(round(seconds / LOOK_S)):
            load.look()


def test_the_load_is_the_share_of_the_window_in_which_they_were_behind() -> None:
    models = Models()
    load = Load(lambda: models.behind_s)
    assert load.share == 0
    models.looked_at(load, WINDOW_S / 4, BEHIND_S * 2)
    assert load.share == pytest.approx(0.25)
    models.looked_at(load, WINDOW_S / 2, BEHIND_S / 2)
    assert load.share == pytest.approx(0.25)
    models.looked_at(load, WINDOW_S, 0.0)
    assert load.share == 0


def test_it_changes_its_mind_late_in_both_directions() -> None:
    models = Models()
    load = Load(lambda: models.behind_s)
    models.looked_at(load, WINDOW_S * CLOSE, 1.0)
    assert not load.overloaded
    models.looked_at(load, LOOK_S, 1.0)
    assert load.overloaded
    models.looked_at(load, WINDOW_S * (1 - OPEN_AGAIN) - 1, 0.0)
    assert load.overloaded, "it opens only when they have kept up for nearly all of a window"
    models.looked_at(load, 2.0, 0.0)
    assert not load.overloaded


@scene()
async def test_a_process_that_is_behind_takes_who_lost_theirs_and_nobody_new(desk: Desk) -> None:
    _, running, peer = await join(desk)
    new, lost = desk.sessions.create(), desk.sessions.create()
    desk.store.records[lost.session_id] = record(lost)
    desk.sessions.load.overloaded = True
    with pytest.raises(Full, match="behind"):
        desk.sessions.create()
    expected = desk.sessions.expect(new.session_id, new.token)  # refused before it has connected, a proxy asks the next process
    for call in (join(desk, new), desk.sessions.admit(new.session_id), expected):
        with pytest.raises(Full, match="behind"):
            await call
    await desk.sessions.admit(lost.session_id)
    await desk.sessions.expect(lost.session_id, lost.token)
    desk.store.away = True
    await desk.sessions.expect(lost.session_id, lost.token)
    desk.store.away = False
    asked = desk.store.loads
    await desk.sessions.expect(new.session_id, "not its token")  # is told when it has connected, and costs the store nothing
    assert desk.store.loads == asked
    await join(desk, lost)
    assert not peer.closed and running.session.state == "LISTENING"


@scene()
async def test_sound_that_waits_to_be_listened_to_counts(desk: Desk) -> None:
    _, attachment, _ = await join(desk)
    attachment.session.hear(np.frombuffer(pcm(16000, 1000, 0), "<i2"))
    desk.sessions.load.look()
    assert desk.sessions.load.share > 0
    await asyncio.sleep(1)
    desk.sessions.load.look()
    assert desk.sessions.load.share == pytest.approx(1 / LOOKS)
    desk.sessions.release(attachment, attachment.peer or Peer())


async def test_work_that_waits_is_timed_until_it_begins() -> None:
    workers, begun, free = Workers(threads=1), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        free.wait()

    assert workers.waited_s() == 0
    running = asyncio.ensure_future(workers.run(Priority.FINAL, work))
    await asyncio.to_thread(begun.wait)
    luxury = asyncio.ensure_future(workers.run(Priority.CLOSER, int))
    await asyncio.sleep(0)
    assert workers.waited_s() == 0, "nobody's turn depends on it"
    waiting = asyncio.ensure_future(workers.run(Priority.SPEECH, int))
    await asyncio.sleep(0)
    assert workers.waited_s() > 0
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert workers.waited_s() == 0, "nobody waits for it any more"
    free.set()
    await asyncio.gather(running, luxury)
    await workers.close()
