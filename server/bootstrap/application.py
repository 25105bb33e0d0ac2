"""Builds the app of its parts: services, store, sessions, both transports, the API and the page; starts and stops them with the
app."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send

from app.conversation.session import Session
from app.conversation.unsupported_settings import impossible
from app.core.clock import LoopClock
from app.core.session_settings import SessionSettings
from app.core.telemetry import traces
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import Error
from app.settings import Settings
from configuration.redaction import clean_logs
from languages import find
from server.core.client_address import ClientAddressMiddleware
from server.core.limits import quiet_logger
from server.core.watchdog import Watchdog
from server.sessions.drain import Drain, nowhere
from server.sessions.nodes import Nodes
from server.sessions.readiness import Readiness
from server.sessions.recorder import StoreRecorder, memory_of
from server.sessions.sessions import Sessions
from server.store.records import SessionRecord
from server.store.store import Store
from server.transport.pending import PendingConnections
from server.transport.transports import Transport, routers
from server.transport.webrtc import WebRtcTransport
from server.web import page as ui
from server.web import routes as api
from server.web.gradio_gate import Views
from server.web.origins import OriginMiddleware
from server.web.root_path import RootPathMiddleware
from services.base import Services

log = quiet_logger(__name__)

SERVICES = {  # what the page says of them: a name, and what stands in for it
    "llm": ("language model", "answers come from the knowledge alone"),
    "stt": ("speech recognition service", "the built-in one listens"),
    "tts": ("voice service", "the built-in voice speaks"),
}


class Conversations:
    """Makes the conversations of this process, and tells the running ones when a service fails and when it works again."""

    def __init__(self, settings: Settings, services: Services, phrasebook: Phrasebook, recorder: StoreRecorder) -> None:
        self._settings = settings
        self._services = services
        others = {code: Phrasebook(find(code)) for code in services.others}
        self._phrasebooks: dict[str, Phrasebook] = {**others, settings.language: phrasebook}
        self._recorder = recorder
        self._live: WeakKeyDictionary[Session, dict[str, int]] = WeakKeyDictionary()  # in which reply each heard of a failure
        services.health.listener = self.announce

    def make(self, session_id: str, record: SessionRecord | None, chosen: SessionSettings) -> Session:
        """A conversation in the language that is `chosen`; it goes on from `record` where there is one."""
        language = chosen.language or self._settings.language
        services = self._services.others.get(language, self._services)
        dialogue = Dialogue(self._phrasebooks[language], services.retrieval.topics())
        memory = memory_of(record) if record is not None else Memory()
        agent = AgentContext(services, dialogue, memory, self._settings, LoopClock())
        session = Session(session_id, agent, self._recorder)
        self._live[session] = {}
        return session

    async def speak_ahead(self) -> None:
        """Synthesises the lines that must come at once, in every language. Raises ServiceError."""
        for code, phrasebook in self._phrasebooks.items():
            await phrasebook.speak_ahead(self._services.others.get(code, self._services).tts, self._settings.speed)

    def impossible(self, chosen: SessionSettings) -> dict[str, str]:
        """The settings of a conversation that are not possible here, each with the reason."""
        return impossible(chosen, self._settings, self._services)

    def announce(self, service: str, reason: str) -> None:
        """Tells every conversation that a call of a service has failed or, with an empty `reason`, that the service works
        again. A failure is told once a reply, not for each clause."""
        name, instead = SERVICES[service]
        degraded = Error(code=f"{service}_degraded", message=f"the {name} does not answer: {instead}")
        restored = Error(code=f"{service}_restored", message=f"the {name} works again")
        for session, told in self._live.items():
            reply = session.memory.generation
            if not reason:
                told.pop(service, None)
                session.context.send(restored)
            elif told.get(service) != reply:
                told[service] = reply
                session.context.send(degraded)


# Loggers of libraries that write a line, or a traceback, whenever a client brings it about.
TALKATIVE = ("uvicorn.error", "asyncio", "fastrtc.utils", "aiortc.rtcdtlstransport", "aioice.ice")


class _Opened:
    """ASGI middleware: while nobody runs the lifespan of `app`, that is said instead of answers that never come."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if self._state.opened or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        log.error("nobody runs Parley's lifespan: mount it in the outermost app, whose lifespan a server runs")
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013, "reason": "not started"})
        else:
            await api.ApiError(503, "not_started", "this app has not been started").response()(scope, receive, send)


def _let_in(app: FastAPI, settings: Settings, mounted: bool) -> None:
    """Adds the middleware that decides which requests are let in."""
    app.add_middleware(_Opened, state=app.state)
    app.add_middleware(ClientAddressMiddleware, header=settings.address_header)
    api.allow_origins(app, settings)
    app.add_middleware(OriginMiddleware, settings=settings, mounted=mounted)
    app.add_middleware(RootPathMiddleware)


def _quiet() -> None:
    clean_logs()
    for name in TALKATIVE:
        quiet_logger(name)


def _page(webrtc: WebRtcTransport) -> Views:
    """Makes the page of a transport, and returns what decides which views it gets."""
    views = Views(lambda name: webrtc.of_page(name) is not None)
    ui.build_page(webrtc.stream, views)
    webrtc.serve(webrtc.stream.webrtc_component)
    return views


def build_app(
    settings: Settings, services: Services, phrasebook: Phrasebook, mounted: bool = False, more: Sequence[Transport] = ()
) -> FastAPI:
    """The whole app, `mounted` in another one or on its own, with `more` transports beside ours. Its lifespan opens the store,
    warms the models in the background, and closes everything."""
    _quiet()
    store = Store(settings)
    exporter = traces()
    readiness = Readiness(services)
    conversations = Conversations(settings, services, phrasebook, StoreRecorder(store, exporter))
    waited_s, not_here = readiness.waited_s, conversations.impossible
    sessions = Sessions(settings, conversations.make, store, readiness.wait, waited_s=waited_s, impossible=not_here)
    nodes = Nodes(store, settings, sessions.tickets, lambda: sessions.admission.open_to_all)
    drain = Drain(sessions, settings.drain_s, nodes.elsewhere if settings.redis_url else nowhere)
    waiting = PendingConnections(settings.max_sessions)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with store, contextlib.AsyncExitStack() as closing:
            # What is opened first is closed last.
            closing.callback(setattr, app.state, "opened", False)
            if exporter is not None:
                closing.push_async_callback(exporter.close)
            for service in services.all().values():
                closing.push_async_callback(service.close)
            closing.push_async_callback(webrtc.close)
            closing.push_async_callback(sessions.live.close)
            closing.callback(waiting.close)
            warming = asyncio.create_task(readiness.warm(conversations.speak_ahead))
            closing.callback(warming.cancel)
            watching = [Watchdog().watch(), sessions.load.watch(), *([nodes.run()] if settings.redis_url else [])]
            for task in map(asyncio.create_task, watching):
                closing.callback(task.cancel)
            closing.push_async_callback(drain)
            app.state.opened = True
            yield

    # FastAPI's own pages of documentation load scripts from elsewhere, and its description of the API is nobody's but ours.
    app = FastAPI(title="Parley", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.opened = False
    app.state.drain = drain
    app.state.warm = readiness.wait
    app.state.is_open = lambda: sessions.admission.open_to_all
    webrtc = WebRtcTransport(sessions, settings, waiting)
    views = _page(webrtc)
    _let_in(app, settings, mounted)
    app.include_router(api.router(sessions, webrtc, store, readiness, settings))
    for routes in routers(sessions, settings, waiting, more):
        app.include_router(routes)
    ui.mount_page(app, webrtc.stream, views, "/", settings.node_url)
    return app
