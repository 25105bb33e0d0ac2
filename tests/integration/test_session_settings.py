"""Settings of a conversation in a real Redis: they go with it to another process, and without recording no text stands there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.conversation.session import Session
from app.conversation.unsupported_settings import impossible
from app.core.clock import LoopClock
from app.core.session_settings import SessionSettings
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import Configure, Text
from languages.en import LANGUAGE as ENGLISH
from server.sessions.recorder import StoreRecorder, memory_of
from server.sessions.sessions import Sessions
from server.store.commands import session_key
from server.store.records import SessionRecord
from server.store.store import Store
from tests.integration.redis_servers import Backend, backend, becomes
from tests.unit.doubles import SECRET, Peer
from tests.unit.fakes import fake_services


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Backend]:
    async with backend("redis", tmp_path) as running:
        yield running


class Process:
    """The conversations of one process on a store."""

    def __init__(self, store: Store, server: Backend, folder: Path) -> None:
        self.settings = server.settings(folder, secret=SECRET, greeting=False)
        self.services = fake_services()
        self.recorder = StoreRecorder(store)
        self.sessions = Sessions(
            self.settings,
            self.make,
            store,
            self.ready,
            impossible=lambda chosen: impossible(chosen, self.settings, self.services),
        )

    def make(self, session_id: str, record: SessionRecord | None, chosen: SessionSettings) -> Session:
        memory = memory_of(record) if record is not None else Memory()
        dialogue = Dialogue(Phrasebook(ENGLISH), ["latency"])
        agent = AgentContext(self.services, dialogue, memory, self.settings, LoopClock())
        return Session(session_id, agent, self.recorder)

    async def ready(self) -> None: ...


@pytest.mark.parametrize("recording", [True, False])
async def test_they_go_with_the_conversation_to_another_process(server: Backend, tmp_path: Path, recording: bool) -> None:
    async with Store(server.settings(tmp_path)) as one, Store(server.settings(tmp_path)) as two, server.admin() as admin:
        first, second = Process(one, server, tmp_path), Process(two, server, tmp_path)
        ticket = first.sessions.create(SessionSettings(voice="coral", tools=("set_timer",), recording=recording))
        attachment = await first.sessions.open(ticket.session_id, ticket.token, Peer())
        attachment.begin(greeting=False)
        attachment.session.receive(Configure(settings=SessionSettings(eagerness="low", voice="sage")))
        attachment.session.receive(Text(text="a word that nobody else says: petrichor"))
        await becomes(lambda: attachment.session.state == "SPEAKING", 5)
        assert await one.drain(5)
        stored = await admin.get(session_key(ticket.session_id))
        log = [entry async for entry in one.read_log(ticket.session_id)]
        assert ("petrichor" in str(stored)) is recording
        assert ("petrichor" in str(log)) is recording
        assert {"event", "configured"} <= {entry["kind"] for entry in log}
        attachment.leave("lost")
        assert await one.drain(5)

        again = await second.sessions.open(ticket.session_id, ticket.token, Peer())
        wanted = SessionSettings(voice="sage", tools=("set_timer",), recording=recording, eagerness="low")
        assert again.session.memory.settings == wanted
        assert again.session.memory.unheard, "what the agent had still to say is there"
        assert bool(again.session.memory.history) is recording
        await first.sessions.live.close()
        await second.sessions.live.close()
