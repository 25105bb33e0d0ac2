"""The registry of conversations, in virtual time."""

import asyncio
import dataclasses
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from app.conversation.session import Session
from app.core.session_settings import SessionSettings
from app.protocol.messages import Stop, Text
from server.sessions.live import GRACE_S, Attachment
from server.sessions.recorder import record_of
from server.sessions.tokens import Crowd, Forbidden, Full, NotReady, Ticket, Unknown
from server.store.records import SessionRecord, StoreError
from services.base import Audio, Exchange, ServiceUnavailable
from tests.unit.doubles import Desk, Peer
from tests.unit.fakes import FakeVad, fake_services
from tests.unit.virtual_time import run


def scene(**settings: Any) -> Callable[[Callable[[Desk], Awaitable[None]]], Callable[[], None]]:
    """Runs an async test in virtual time with a desk, which is closed at the end."""

    def decorate(test: Callable[[Desk], Awaitable[None]]) -> Callable[[], None]:
        def plain() -> None:
            async def play() -> None:
                desk = Desk(**settings)
                try:
                    await test(desk)
                finally:
                    await desk.sessions.live.close()
                assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("session")]

            run(play())

        plain.__name__, plain.__doc__ = test.__name__, test.__doc__
        return plain

    return decorate


async def join(desk: Desk, ticket: Ticket | None = None, peer: Peer | None = None) -> tuple[Ticket, Attachment, Peer]:
    ticket, peer = ticket or desk.sessions.create(), peer or Peer()
    attachment = await desk.sessions.open(ticket.session_id, ticket.token, peer)
    attachment.begin(greeting=False)
    return ticket, attachment, peer


def record(ticket: Ticket) -> SessionRecord:
    return SessionRecord(session_id=ticket.session_id, history=(Exchange(user="hello", heard="Hi there."),))


@scene(eagerness="high")
async def test_eagerness_is_kept_with_the_conversation(desk: Desk) -> None:
    ticket, peer = desk.sessions.create(SessionSettings(eagerness="low")), Peer()
    attachment = await desk.sessions.open(ticket.session_id, ticket.token, peer)
    attachment.begin(greeting=False)
    assert attachment.session.context.agent.session_settings.eagerness == "low"
    attachment.begin(greeting=False, eagerness="medium")
    desk.store.records[ticket.session_id] = record_of(attachment.session.context)
    attachment.leave("away")
    desk.sessions.live.drop(attachment)
    _, again, _ = await join(desk, ticket)
    assert (again is not attachment, again.session.context.agent.session_settings.eagerness) == (True, "medium")
    _, plain, _ = await join(desk)
    assert plain.session.context.agent.session_settings.eagerness == "high"


@scene()
async def test_a_conversation_begins(desk: Desk) -> None:
    _, attachment, peer = await join(desk)
    assert not attachment.resumed
    assert attachment.session.state == "LISTENING"
    assert [message.type for message in peer.messages] == ["state"]


@scene()
async def test_only_the_token_opens_it(desk: Desk) -> None:
    ticket, other = desk.sessions.create(), desk.sessions.create()
    for token in ("", "guessed", other.token):
        with pytest.raises(Forbidden):
            await desk.sessions.open(ticket.session_id, token, Peer())
    assert not desk.made


@scene()
async def test_the_later_connection_takes_over(desk: Desk) -> None:
    ticket, first_seat, first = await join(desk)
    _, attachment, second = await join(desk, ticket)
    assert (attachment.session, attachment.resumed) == (first_seat.session, True)
    assert first.closed and first.error is not None
    assert (first.error.code, first.error.fatal) == ("taken_over", True)
    desk.sessions.release(attachment, first)  # the loser's connection ends afterwards
    attachment.session.receive(Text(text="still there?"))
    assert attachment.session.state == "THINKING"
    assert "transcript" in [message.type for message in second.messages]
    assert "transcript" not in [message.type for message in first.messages]


@scene()
async def test_two_at_once_leave_one(desk: Desk) -> None:
    ticket = desk.sessions.create()
    desk.store.delay_s = 0.5
    peers = [Peer(), Peer(), Peer()]
    await asyncio.gather(*(join(desk, ticket, peer) for peer in peers))
    assert len(desk.made) == 1
    assert [peer.closed for peer in peers].count(False) == 1


@scene()
async def test_a_lost_connection_finds_its_conversation_again(desk: Desk) -> None:
    ticket, attachment, peer = await join(desk)
    desk.sessions.release(attachment, peer)
    assert attachment.session.state == "IDLE"
    await asyncio.sleep(GRACE_S - 1)
    _, again, _ = await join(desk, ticket)
    assert again.session is attachment.session and again.resumed
    await asyncio.sleep(GRACE_S * 2)
    assert (await desk.sessions.look(ticket.session_id))["connected"] is True, "the old time limit ended the new connection"


@scene()
async def test_after_the_grace_it_comes_from_the_store(desk: Desk) -> None:
    ticket, attachment, peer = await join(desk)
    desk.sessions.release(attachment, peer)
    desk.store.records[ticket.session_id] = record(ticket)
    await asyncio.sleep(GRACE_S + 1)
    _, again, _ = await join(desk, ticket)
    assert again.session is not attachment.session and again.resumed
    assert [exchange.heard for exchange in again.session.memory.history] == ["Hi there."]


@scene(session_ttl_s=3600)
async def test_what_has_expired_is_unknown(desk: Desk) -> None:
    ticket = desk.sessions.create()
    desk.wall.later_s = 3601
    for call in (desk.sessions.open(ticket.session_id, ticket.token, Peer()), desk.sessions.look(ticket.session_id)):
        with pytest.raises(Unknown, match="expired"):
            await call
    desk.store.records[ticket.session_id] = record(ticket)
    _, attachment, _ = await join(desk, ticket)
    assert attachment.resumed, "use renews the time to live: what the store still has is not expired"


@scene(max_sessions=2)
async def test_more_than_the_limit_are_refused(desk: Desk) -> None:
    ticket = desk.sessions.create()
    await join(desk)
    _, attachment, peer = await join(desk)
    for call in (join(desk, ticket), desk.sessions.admit(ticket.session_id)):
        with pytest.raises(Full, match="all 2 conversations are taken"):
            await call
    with pytest.raises(Full):
        desk.sessions.create()
    desk.sessions.release(attachment, peer)
    await join(desk, ticket)


def at(address: str, idle: bool = False) -> Peer:
    peer = Peer()
    peer.address, peer.is_idle = address, idle
    return peer


@scene(max_sessions=8, max_per_address=2)
async def test_one_address_has_only_so_many(desk: Desk) -> None:
    ticket, _, _ = await join(desk, peer=at("192.0.2.1"))
    await join(desk, peer=at("192.0.2.1"))
    other = desk.sessions.create()
    for call in (join(desk, other, at("192.0.2.1")), desk.sessions.admit(other.session_id, "192.0.2.1")):
        with pytest.raises(Crowd, match="there are 2 conversations from your address"):
            await call
    await join(desk, ticket, at("192.0.2.1"))  # in place of its own
    await join(desk, other, at("192.0.2.2"))
    for _ in range(4):
        await join(desk, peer=at(""))


@scene(max_sessions=8, max_per_address=2)
async def test_those_of_one_address_that_open_at_the_same_time_are_counted(desk: Desk) -> None:
    desk.store.delay_s = 0.3
    results = await asyncio.gather(*(join(desk, peer=at("192.0.2.1")) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Crowd) for result in results) == 3


@scene(max_sessions=2)
async def test_who_is_not_there_any_more_gives_way(desk: Desk) -> None:
    ticket, _, away = await join(desk, peer=at("", idle=True))
    _, _, here = await join(desk)
    desk.sessions.create()
    await join(desk)
    assert away.error is not None and away.error.code == "idle_timeout" and here.error is None
    with pytest.raises(Full):
        await join(desk, ticket)


@scene(max_sessions=2)
async def test_those_that_open_at_the_same_time_are_counted(desk: Desk) -> None:
    tickets = [desk.sessions.create() for _ in range(5)]
    desk.store.delay_s = 0.3
    results = await asyncio.gather(*(join(desk, ticket) for ticket in tickets), return_exceptions=True)
    assert sum(isinstance(result, Full) for result in results) == 3
    assert len(desk.made) == 2


@scene(max_sessions=2)
async def test_a_newcomer_takes_the_place_of_who_left_first(desk: Desk) -> None:
    (one, first, a), (two, second, b) = await join(desk), await join(desk)
    desk.sessions.release(second, b)
    await asyncio.sleep(1)
    desk.sessions.release(first, a)
    await join(desk)
    _, again, _ = await join(desk, one)
    assert again.session is first.session, "the one that left last was kept"
    with pytest.raises(Full):
        await join(desk, two)


@scene()
async def test_what_belonged_to_a_conversation_is_freed_with_it(desk: Desk) -> None:
    _, attachment, peer = await join(desk)
    vars(peer)["knot"] = peer  # as the parts of a connection know each other
    freed = weakref.ref(peer)
    gc.disable()  # or it would go by chance
    try:
        desk.sessions.release(attachment, peer)
        del attachment, peer
        await asyncio.sleep(GRACE_S - 1)
        assert freed() is not None
        await asyncio.sleep(2)
        assert freed() is None
    finally:
        gc.enable()


@scene()
async def test_a_conversation_that_ends_is_closed(desk: Desk) -> None:
    ticket, attachment, peer = await join(desk)
    attachment.session.receive(Stop())
    await asyncio.sleep(0.01)
    assert peer.closed and peer.error is None
    assert (await desk.sessions.look(ticket.session_id))["connected"] is False


class FragileVad(FakeVad):
    async def probability(self, window: Audio | Callable[[], Audio]) -> float:
        sound = window() if callable(window) else window
        if sound.max() > 0.9:
            raise RuntimeError("boom")
        return await super().probability(sound)


@scene(services=dataclasses.replace(fake_services(), vad=FragileVad()))
async def test_a_conversation_outlives_a_fault_in_its_ears(desk: Desk) -> None:
    _, broken, peer = await join(desk)
    broken.session.hear(np.full(16000, 32000, np.int16))
    await asyncio.sleep(0.1)
    assert not peer.closed
    broken.session.receive(Text(text="hello"))
    assert broken.session.state == "THINKING"


@scene()
async def test_a_failure_stays_in_its_conversation(desk: Desk) -> None:
    async def listen(self: Session) -> None:
        await asyncio.sleep(0.05)
        raise RuntimeError("boom")

    records: list[logging.LogRecord] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("server.sessions.live"), "handle", records.append)
        with patch.context() as broken:
            broken.setattr(Session, "run", listen)
            _, _, peer = await join(desk)
            await asyncio.sleep(0.01)
        _, healthy, other = await join(desk)
        await asyncio.sleep(0.1)
    assert peer.closed and peer.error is not None and peer.error.code == "internal"
    assert "boom" not in peer.error.message
    assert [str(entry.exc_info[1]) for entry in records if entry.exc_info] == ["boom"]
    assert not other.closed
    healthy.session.receive(Text(text="hello"))
    assert healthy.session.state == "THINKING"


@scene()
async def test_without_the_store_a_conversation_begins_all_the_same(desk: Desk) -> None:
    desk.store.away = True
    ticket, attachment, _ = await join(desk)
    assert not attachment.resumed
    await desk.sessions.admit(ticket.session_id)
    with pytest.raises(StoreError):
        await desk.sessions.look(desk.sessions.create().session_id)


@scene()
async def test_another_process_takes_over(desk: Desk) -> None:
    ticket, _, peer = await join(desk)
    desk.store.tell(ticket.session_id, "taken_over")
    assert peer.error is not None and peer.error.code == "taken_over"
    desk.store.tell("somebody else's", "taken_over")
    await join(desk, ticket)
    assert len(desk.made) == 2


@scene()
async def test_models_that_cannot_start_are_said(desk: Desk) -> None:
    desk.unready = ServiceUnavailable("stt", "no weights")
    with pytest.raises(NotReady, match="no weights"):
        await join(desk)
    desk.unready = None
    await join(desk)


@scene()
async def test_erasing_ends_and_forgets(desk: Desk) -> None:
    ticket, _, peer = await join(desk)
    desk.store.records[ticket.session_id] = record(ticket)
    await desk.sessions.erase(ticket.session_id)
    assert peer.error is not None and peer.error.code == "deleted"
    assert not desk.store.records
    with pytest.raises(Unknown, match="erased"):
        await desk.sessions.open(ticket.session_id, ticket.token, Peer())


@scene()
async def test_a_session_that_another_process_erased_is_gone(desk: Desk) -> None:
    ticket, _, peer = await join(desk)
    desk.store.erased.add(ticket.session_id)
    desk.store.tell(ticket.session_id, "erased")
    assert peer.error is not None and (peer.error.code, peer.error.fatal) == ("deleted", True)
    for use in (
        desk.sessions.open(ticket.session_id, ticket.token, Peer()),
        desk.sessions.admit(ticket.session_id),
        desk.sessions.look(ticket.session_id),
        desk.sessions.erase(ticket.session_id),
    ):
        with pytest.raises(Unknown, match="erased"):
            await use


@scene()
async def test_what_could_not_be_erased_can_be_erased_later(desk: Desk) -> None:
    ticket, _, peer = await join(desk)
    desk.store.records[ticket.session_id] = record(ticket)
    desk.store.away = True
    with pytest.raises(StoreError):
        await desk.sessions.erase(ticket.session_id)
    assert peer.closed
    desk.store.away = False
    await desk.sessions.erase(ticket.session_id)
    assert not desk.store.records


@scene()
async def test_looking_shows_state_and_history(desk: Desk) -> None:
    ticket = desk.sessions.create()
    fresh = await desk.sessions.look(ticket.session_id)
    assert (fresh["state"], fresh["history"], fresh["connected"]) == ("IDLE", [], False)
    desk.store.records[ticket.session_id] = record(ticket)
    stored = await desk.sessions.look(ticket.session_id)
    assert stored["history"] == [{"user": "hello", "heard": "Hi there."}]
    await join(desk, ticket)
    live = await desk.sessions.look(ticket.session_id)
    assert (live["state"], live["connected"]) == ("LISTENING", True)
    assert live["history"] == stored["history"]
    assert set(fresh) == set(stored) == set(live)


@scene()
async def test_closing_tells_everybody(desk: Desk) -> None:
    peers = [(await join(desk))[2] for _ in range(3)]
    await desk.sessions.live.close()
    assert [peer.last.type for peer in peers if peer.last] == ["shutting_down"] * 3
