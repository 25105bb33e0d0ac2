"""Serves HTTP and WebSocket connections within limits: a client that opens a connection and does not ask, or does not read,
cannot keep it, and there are never more connections than the system can bear."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from itertools import chain
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from app.settings import Settings
from server.core.limits import TokenBucket, quiet_logger

log = quiet_logger(__name__)

BACKLOG = 100  # connections that may wait in the kernel; as many are accepted in one go, before the first of them is looked at
SPARE = 128  # descriptors that are not for clients' connections: files, the store, the sockets of WebRTC
MOST = 2000  # connections, however many the system allows: each may hold 128 KB that its client does not take
LINGER = 1 << 18  # bytes of a body that are still taken after the answer, for a client that reads only then
STALLED_S = 30.0  # a client that takes nothing of an answer for so long is given up
SLOWEST = 16_384  # bytes of it a second: whoever takes less uses up that time, which comes back with what is taken
READ = 2048  # bytes that are taken from a client in one go: 7 ms of work where they are frames of a few bytes each
LINES = 100  # in so many bytes: a body in pieces of less than 16 bytes is nobody's who wants an answer
# Frames that bring no message: pings, and pieces of one. A client's library sends one now and then.
FRAMES_PER_SECOND, FRAMES_AT_ONCE = 100.0, 1000.0
CLOSING_S = 2.0  # for a client to answer that a WebSocket is being closed
PING_S = 2.0  # between two signs that a server is there: a proxy leaves one that stands still (deploy/nginx/parley.conf)
PARTING_S = 3  # for answers under way when the server ends
LAST_S = 0.5  # of these, in which who does not take the answer is not waited for


class Config(uvicorn.Config):
    """uvicorn's configuration with the limits of `HttpConnection`: for our own server, and for another app's that we are
    mounted in."""

    def __init__(self, app: ASGIApp, settings: Settings, **others: Any) -> None:
        """`others`: arguments of uvicorn's own, such as `host` and `port`. Raises ValueError for more connections than this
        process may open."""
        self.request_timeout_s = settings.request_timeout_s
        self.max_connections = _most(settings.max_connections)
        self.waiting: dict[Patient, None] = {}  # whose clients owe a head or a body, the longest wait first
        self.stalled: dict[Patient, None] = {}  # whose clients do not take what is sent, the same
        super().__init__(
            app,
            loop="asyncio",  # uvloop, which uvicorn takes where it is installed (Ray brings it), cannot be told how much to read
            http=HttpConnection,
            ws=Socket,
            log_config=None,
            log_level=max(logging.WARNING, logging.getLevelName(settings.log_level)),
            access_log=False,
            backlog=BACKLOG,
            workers=1,  # otherwise WEB_CONCURRENCY is read, where others write "auto" too
            proxy_headers=False,  # it would take any client's word for where it comes from
            timeout_graceful_shutdown=PARTING_S,
            ws_max_size=1 << 20,
            ws_ping_interval=PING_S,
            ws_per_message_deflate=False,  # a thousand bytes would unpack to a million; sound does not shrink anyway
            **others,
        )


class Server(uvicorn.Server):
    """uvicorn's server, which first lets what is being said be heard before it closes connections. A second signal ends that
    wait."""

    def __init__(self, config: Config, drain: Callable[[], Awaitable[None]], hasten: Callable[[], None]) -> None:
        super().__init__(config)
        self._limits = config
        self._drain = drain
        self._hasten = hasten
        self._signals = 0
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until it is told to end. uvicorn raises the signal again when all is done; that of Ctrl-C is swallowed."""
        with contextlib.suppress(KeyboardInterrupt):
            super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, never more than there are descriptors for."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends all connections within PARTING_S. Connections whose client owes us something are ended first: uvicorn would wait
        for them, then cancel what waits, and log each cancellation as a fault of the app."""
        abort_all(self._limits.waiting)
        last = asyncio.get_running_loop().call_later(max(0.0, PARTING_S - LAST_S), abort_all, self._limits.stalled)
        await super().shutdown(sockets)
        last.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handles SIGTERM and SIGINT: what is under way is ended first; at the second signal nothing is waited for."""
        self._signals += 1
        if self._signals > 2 or not self.started or self._loop is None:
            super().handle_exit(sig, frame)
        elif self._signals == 2:
            self.config.timeout_graceful_shutdown = 0
            self._loop.call_soon_threadsafe(self._hasten)
        else:
            self._loop.call_soon_threadsafe(self._begin, sig)

    def _begin(self, sig: int) -> None:
        self._draining = asyncio.create_task(self._end(sig))

    async def _end(self, sig: int) -> None:
        try:
            await self._drain()
        finally:
            super().handle_exit(sig, None)


def _most(wished: int) -> int:
    if sys.platform == "win32":
        return wished or MOST
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return wished or MOST
    if wished > max(1, limit - SPARE):
        raise ValueError(f"max_connections: this process may open {limit} files, and needs {SPARE} of them for other things")
    return wished or min(MOST, max(1, limit // 2))


def abort_all(some: dict["Patient", None]) -> None:
    """Ends these connections at once."""
    for one in list(some):
        one.transport.abort()


class Patient(asyncio.Protocol):
    """A connection that waits for its client to take what is sent, but not for ever: it has STALLED_S to wait, and gets time
    back at the rate of SLOWEST for what the client has taken."""

    config: Any  # Config, of which uvicorn's classes do not know
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _patience_s = STALLED_S
    _paused_at = 0.0
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Notes that the client does not take what it is sent."""
        super().pause_writing()
        self._paused_at = self.loop.time()
        self._patience_s += self.transport.get_write_buffer_size() / SLOWEST
        self._stalled = self.loop.call_later(self._patience_s, self.transport.abort)
        self.config.stalled[self] = None

    def resume_writing(self) -> None:
        """Notes that the client takes what it is sent."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
            self._patience_s = min(STALLED_S, self._patience_s - (self.loop.time() - self._paused_at))
        self.config.stalled.pop(self, None)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cleans up after the connection."""
        self.resume_writing()
        super().connection_lost(exc)


class HttpConnection(Patient, H11Protocol):
    """The HTTP connection of one client. From its opening, and from the end of each answer, it has `request_timeout_s` to the
    end of the next request's head. When there are too many connections, the one whose client has owed a head or a body for
    longest makes room, so that a client who asks at once is served however many others only wait."""

    _unread = 0  # bytes that came after the answer
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for the first request of a client that has connected."""
        super().connection_made(transport)
        setattr(transport, "max_size", READ)  # noqa: B010 (asyncio's own 256 KiB have no other name)
        self._watch()
        if len(self.connections) > self.config.max_connections:
            log.warning("%d connections are open: those that wait longest are closed", self.config.max_connections)
            oldest: Patient = next(chain(self.config.waiting, self.config.stalled), self)
            for some in (self.config.waiting, self.config.stalled):  # its end is told later: until then it is not chosen again
                some.pop(oldest, None)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cleans up after the connection."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes a part of a request."""
        if data.count(b"\r\n") > LINES:
            self.transport.abort()
            return
        super().data_received(data)
        self._watch()
        self._unread = self._unread + len(data) if self.conn.our_state is h11.DONE else 0
        if self._unread > LINGER:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are not HTTP. Where these were to be the body of a request that is being answered meanwhile,
        nothing more can be said, and the app that answers is told that the client has gone."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Refuses a WebSocket request whose head is not ASCII: it cannot be right, and the library for WebSockets would trip
        over it."""
        asks = [
            value for name, value in event.headers if name in (b"connection", b"upgrade") or name.startswith(b"sec-websocket-")
        ]
        if all(value.isascii() for value in asks):
            super().handle_websocket_upgrade(event)
        else:
            self.send_400_response("Invalid HTTP request received.")

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Notes whether the client owes us something: a head, or the rest of a body. The time for it is counted here, unless
        the app reads that body, which has a time limit too."""
        answering = self.cycle is not None and not self.cycle.response_complete
        owes = not answering or self.conn.their_state is h11.SEND_BODY
        if not owes or self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._rest()
            if self.transport.is_closing():  # with what the client has not taken yet
                self.loop.call_later(STALLED_S, self.transport.abort)
        elif answering:
            self._rest_clock()
            self.config.waiting[self] = None
        elif self._deadline is None:
            self.config.waiting[self] = None
            self._deadline = self.loop.call_later(self.config.request_timeout_s, self.transport.abort)

    def _rest(self) -> None:
        self.config.waiting.pop(self, None)
        self._rest_clock()

    def _rest_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Socket(Patient, WebSocketsSansIOProtocol):
    """The WebSocket connection of one client. uvicorn's own reads everything in one go, answers pings whether or not the
    answers are taken, keeps a client for ever whose handshake it cannot read, logs a traceback for a text that is none and an
    error where the app refuses a client with an answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes over a connection that has become a WebSocket."""
        super().connection_made(transport)
        self.close_timeout = CLOSING_S
        self._frames = TokenBucket(FRAMES_PER_SECOND, FRAMES_AT_ONCE, at=self.loop.time())

    def data_received(self, data: bytes) -> None:
        """Takes some bytes."""
        super().data_received(data)
        if not self.handshake_initiated:  # all of its head is here, for it was read as HTTP before
            self.transport.abort()

    async def send(self, message: Any) -> None:
        """Sends what the app says."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def handle_ping(self) -> None:
        """Counts a ping, which brings no message."""
        if self._counts() and self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the answer, for somebody who does not take any

    def handle_pong(self, event: Frame) -> None:
        """Counts a pong, which brings no message."""
        if self._counts():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Counts a piece of a message."""
        if self._counts():
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Gives a whole message to the app. Messages that came in one go with the one that ended the connection are not read."""
        if self.close_sent or self.transport.is_closing():
            self.frames = []
            return
        self.frames = [b"".join(self.frames)]
        try:
            if self.curr_msg_data_type == "text":
                self.frames[0].decode()
        except UnicodeDecodeError:
            self.frames = []
            if self.conn.state is State.OPEN:
                self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Ends a connection whose bytes are no WebSocket's. Before the handshake is answered, the client cannot be told so."""
        if self.conn.close_sent is None:
            self.transport.abort()
        else:
            super().handle_parser_exception()

    def _counts(self) -> bool:
        """Counts one more frame that brings no message. False when they are too many, and the connection is being ended."""
        if not self._frames.take(self.loop.time()):
            self.transport.abort()
        return not self.transport.is_closing()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Cleans up when the app is done with the connection."""
        super().on_task_complete(task)
        self.loop.call_later(STALLED_S, self.transport.abort)  # with what the client has not taken yet
