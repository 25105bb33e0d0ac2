"""Puts the rooms together: services, store, sessions, both transports, the API and the page; starts and stops them with the app."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakSet

from fastapi import FastAPI

from app.conversation.session import Session
from app.core.client_address import Callers
from app.core.clock import LoopClock
from app.core.redaction import clean_logs
from app.core.telemetry import traces
from app.core.watchdog import Watchdog
from app.dialogue.context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import Error
from app.sessions.drain import Drain, nowhere
from app.sessions.nodes import Nodes
from app.sessions.readiness import Readiness
from app.sessions.recorder import StoreRecorder, memory_of
from app.sessions.registry import Sessions
from app.settings import Settings
from app.store.records import SessionRecord
from app.store.store import Store
from app.transport import websocket as socket
from app.transport.pending import WaitingRoom
from app.transport.webrtc import Line
from app.web import page as ui
from app.web import routes as api
from app.web.gradio_gate import Views
from app.web.origins import Doorkeeper
from services.base import Services

SERVICES = {  # what the page says of them: a name, and what stands in for it
    "llm": ("language model", "answers come from the knowledge alone"),
    "stt": ("speech recognition service", "the built-in one listens"),
    "tts": ("voice service", "the built-in voice speaks"),
}


def compose(settings: Settings, services: Services, phrasebook: Phrasebook, mounted: bool = False) -> FastAPI:
    """The whole app, `mounted` in another one or on its own. Its lifespan opens the store, warms the models in the background, and
    closes everything."""
    clean_logs()
    store = Store(settings)
    exporter = traces()
    recorder = StoreRecorder(store, exporter)
    readiness = Readiness(services)
    live: WeakSet[Session] = WeakSet()

    def make(session_id: str, record: SessionRecord | None) -> Session:
        dialogue = Dialogue(phrasebook, services.retrieval.topics())
        memory = memory_of(record) if record is not None else Memory()
        agent = AgentContext(services, dialogue, memory, settings, LoopClock())
        session = Session(session_id, agent, recorder)
        live.add(session)
        return session

    def announce(service: str, reason: str) -> None:
        name, instead = SERVICES[service]
        degraded = Error(code=f"{service}_degraded", message=f"the {name} does not answer: {instead}")
        for session in live:
            session.context.send(degraded if reason else Error(code=f"{service}_restored", message=f"the {name} works again"))

    services.health.listener = announce
    sessions = Sessions(settings, make, store, ready=readiness.wait, waited_s=services.waited_s)
    nodes = Nodes(store, settings, sessions.tickets, lambda: sessions.open_to_all)
    drain = Drain(sessions, settings.drain_s, nodes.elsewhere if settings.redis_url else nowhere)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with store:
            warming = asyncio.create_task(readiness.warm(lambda: phrasebook.speak_ahead(services.tts, settings.speed)))
            watchdog = Watchdog()
            watchdog.start()
            sessions.load.start()
            meeting = asyncio.create_task(nodes.run()) if settings.redis_url else None
            try:
                yield
            finally:
                await drain()
                sessions.load.stop()
                if meeting is not None:
                    meeting.cancel()
                watchdog.stop()
                warming.cancel()
                waiting.close()
                await sessions.close()
                await line.close()
                await asyncio.gather(*(service.close() for service in services.all().values()))
                if exporter is not None:
                    await exporter.close()

    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(title="Parley", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.drain = drain
    waiting = WaitingRoom(settings.max_sessions)
    line = Line(sessions, settings, waiting)
    views = Views(line.has_page)
    ui.build(line.stream, views)
    line.serve(line.stream.webrtc_component)
    app.add_middleware(Callers, header=settings.address_header)
    api.allow_origins(app, settings)
    app.add_middleware(Doorkeeper, settings=settings, mounted=mounted)
    app.include_router(api.router(sessions, line, store, readiness, settings))
    app.include_router(socket.router(sessions, settings, waiting))
    ui.mount(app, line.stream, views, "/", settings.node_url)
    return app
