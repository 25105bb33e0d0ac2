"""The part of Gradio that can be reached: the page, its files, the requests of its WebRTC component, and its view. Nothing else
that Gradio serves is there (uploads, files of this machine, other functions, its own pages), and nothing reaches Gradio that
our page would not send: we read bodies, within limits, and hand them on as we understood them."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from queue import Queue
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qs

import gradio as gr
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastrtc import WebRTC
from gradio.utils import LRUCache
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.core.limits import TokenBuckets, quiet_logger
from server.web.origins import siblings
from server.web.routes import ApiError, IceCandidate, read_body, valid

log = quiet_logger(__name__)
T = TypeVar("T")

# Gradio runs inline scripts and builds functions from text, hence the two "unsafe" words. Its own page and FastRTC's would load a
# script from a CDN and a sound from a model hub, of which ours uses neither.
POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: mediastream:; object-src 'none'; base-uri 'self'"
FILES = re.compile(
    r"|/|/theme\.css|/favicon\.ico|/assets(/[\w-][\w.-]*)+|/gradio_api/custom_component/[0-9a-f]+/client/component/[\w-][\w.-]*",
    re.ASCII,
)
COMPONENT = ("/gradio_api/component_server", "/gradio_api/component_server/")
JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data"
HEADERS = {b"host", b"accept", b"accept-encoding", b"accept-language", b"if-none-match", b"if-modified-since", b"user-agent"}
PAGES = 16  # that are kept, one for each name by which the server is reached
LOOKERS = 8  # names of pages that look at one connection, the newest of them
READERS = 2  # of one page's views: the browser opens a new stream before the old one is gone
JOINS_PER_SECOND, JOINS_AT_ONCE = 0.2, 5.0  # of one connection's views: each is a session of Gradio
UNREAD = 100  # views that may wait for a page that does not read them

Name = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,64}$")]


class PageOffer(BaseModel):
    """The offer with which the page's component connects."""

    type: Literal["offer"]
    sdp: str
    webrtc_id: Name


class PageCandidate(BaseModel):
    """Another address of the client, from the page's component."""

    type: Literal["ice-candidate"]
    candidate: IceCandidate | None = None
    webrtc_id: Name


class Quit(BaseModel):
    """The end of a call, from the page's component."""

    webrtc_id: Name


class AsksForServers(BaseModel):
    """A request of the component for the STUN and TURN servers."""

    fn_name: Literal["turn"]


class Offers(BaseModel):
    """A request of the component that offers or adds an address."""

    fn_name: Literal["offer"]
    data: Annotated[PageOffer | PageCandidate, Field(discriminator="type")]


class Quits(BaseModel):
    """A request of the component that hangs up."""

    fn_name: Literal["quit_output_stream"]
    data: Quit


ComponentRequest = AsksForServers | Offers | Quits
SAID: TypeAdapter[ComponentRequest] = TypeAdapter(Annotated[ComponentRequest, Field(discriminator="fn_name")])


class Joins(BaseModel):
    """The page wants the views of its connection."""

    data: Annotated[list[Quit], Field(min_length=1, max_length=1)]
    session_hash: Name


JOINS = TypeAdapter(Joins)


class Pending(LRUCache):  # type: ignore[misc]
    """The messages that Gradio keeps for pages to fetch. When two requests read the view of one page, both delete it at their
    end; and what is said to a page that has gone is said to nobody."""

    def __delitem__(self, page: str) -> None:
        self.pop(page, None)

    def __missing__(self, page: str) -> Queue[Any]:
        return Queue()


class Views:
    """Which page looks at which connection: each connection has one viewer, the newest."""

    def __init__(self, is_there: Callable[[str], bool]) -> None:
        """`is_there` tells whether a page's connection of this name is up."""
        self.is_there = is_there
        self.names: dict[str, str] = {}  # of connections, by the page's own name (`session_hash`)
        self.readers: Counter[str] = Counter()  # event streams that are open, by the same
        self.function = 0  # Gradio's number of the function that brings views to the page
        self.unread: Callable[[str], int] = lambda page: 0
        self._newest: dict[str, asyncio.Event] = {}  # is set when a newer viewer comes

    async def follow(self, name: str, views: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yields those of `views` that the page of connection `name` can still take."""
        over = asyncio.Event()
        self._newest.get(name, over).set()
        self._newest[name] = over = asyncio.Event()
        end: asyncio.Task[Any] = asyncio.create_task(over.wait())
        coming: asyncio.Task[T] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(anext(views))
                await asyncio.wait({coming, end}, return_when=asyncio.FIRST_COMPLETED)
                if end.done() or any(self.unread(page) > UNREAD for page, of in self.names.items() if of == name):
                    return
                try:
                    yield coming.result()
                except StopAsyncIteration:
                    return
        finally:
            for task in (coming, end):
                if task is not None:
                    task.cancel()
            if self._newest.get(name) is over:
                del self._newest[name]


class GradioGate:
    """The ASGI app around Gradio's."""

    def __init__(self, gradio: ASGIApp, page: gr.Blocks, component: WebRTC, views: Views, node_url: str) -> None:
        """`node_url`: the address of this server as one of several, "" where it is alone."""
        self._gradio = gradio
        self._policy = POLICY + (b"; connect-src 'self' " + siblings(node_url).encode() if node_url else b"")
        self._component = component
        self._views = views
        self._queue = page._queue
        self._queue.pending_messages_per_session = Pending(self._queue.pending_messages_per_session.max_size)
        self._pages: dict[tuple[Any, ...], list[Message]] = {}
        self._joins = TokenBuckets(JOINS_PER_SECOND, JOINS_AT_ONCE)
        views.unread = self._unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        path, method = scope["path"].removeprefix(scope.get("root_path", "")), scope["method"]
        try:
            if method == "GET" and path in ("", "/"):
                await self._page(scope, receive, send)
            elif method in ("GET", "HEAD") and FILES.fullmatch(path):
                await self._pass(scope, receive, send)
            elif method == "GET" and path == DATA:
                await self._stream(scope, receive, send)
            elif method == "POST" and path in COMPONENT:
                await (await self._answer(Request(scope, receive)))(scope, receive, send)
            elif method == "POST" and path == JOIN:
                await self._join(scope, receive, send)
            else:
                raise ApiError(404, "not_found", "there is nothing here")
        except ApiError as error:
            await error.response()(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the page, which is the same for all who reach it by one name: Gradio takes up to 30 ms to make it."""
        key = scope["scheme"], scope.get("root_path", ""), tuple(v for name, v in scope["headers"] if name == b"host")
        if key not in self._pages:
            made: list[Message] = []

            async def keep(message: Message) -> None:
                made.append(message)

            plain = [pair for pair in scope["headers"] if pair[0] == b"host"]
            await self._pass({**scope, "headers": plain}, receive, keep)
            if not made or made[-1].get("more_body"):
                raise ApiError(400, "cut_off", "the request ended early")
            while len(self._pages) >= PAGES:  # anybody may think of names
                del self._pages[next(iter(self._pages))]
            self._pages[key] = made
        for message in self._pages[key]:
            await send(message)

    async def _answer(self, request: Request) -> Response:
        """Answers the component: with its servers, with an answer to its offer, or to its end."""
        body = valid(SAID, await read_body(request))
        if isinstance(body, AsksForServers):
            given = await self._component.turn(None)
        elif isinstance(body, Offers):
            given = await self._component.offer(body.data.model_dump(exclude_none=True))
        else:
            given = await self._component.quit_output_stream(body.data.model_dump())
        return given if isinstance(given, Response) else JSONResponse(given, headers={"Cache-Control": "no-store"})

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        join = valid(JOINS, await read_body(Request(scope, receive)))
        name = join.data[0].webrtc_id
        if not self._views.is_there(name):
            raise ApiError(404, "not_found", "there is no connection of this name")
        if not self._joins.take(name, asyncio.get_running_loop().time()):
            raise ApiError(429, "too_many", "the views of this connection were asked for too often")
        self._forget()
        while len(mine := [page for page, of in self._views.names.items() if of == name]) >= LOOKERS:
            self._drop(mine[0])
        self._views.names[join.session_hash] = name
        body = {
            "data": [{"textbox": "", "webrtc_id": name}],
            "fn_index": self._views.function,
            "trigger_id": self._component._id,
            "session_hash": join.session_hash,
        }
        await self._pass(scope, _given(json.dumps(body).encode()), send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        if page not in self._views.names:
            raise ApiError(404, "not_found", "no view was asked for by this name")
        if self._views.readers[page] >= READERS:
            raise ApiError(429, "too_many", "this view is being read already")
        self._views.readers[page] += 1
        try:
            await self._pass(scope, receive, send, f"session_hash={page}".encode())
        finally:
            self._views.readers -= Counter([page])

    def _unread(self, page: str) -> int:
        waiting = self._queue.pending_messages_per_session.get(page)
        return waiting.qsize() if waiting else 0

    def _forget(self) -> None:
        """Deletes what Gradio would keep for ever: views that were never fetched, and a line of statistics for every view."""
        names = self._views.names
        for page in [page for page, name in names.items() if not self._views.is_there(name) and not self._views.readers[page]]:
            self._drop(page)
        told = self._queue.event_analytics
        for event in [event for event, line in told.items() if line["status"] not in ("queued", "processing")]:
            del told[event]

    def _drop(self, page: str) -> None:
        del self._views.names[page]
        self._queue.pending_messages_per_session.pop(page, None)
        self._queue.pending_event_ids_session.pop(page, None)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, query: bytes = b"") -> None:
        """Hands a request on to Gradio. Gradio's words on its failures, and on origins, are kept from the client."""
        headers = [pair for pair in scope["headers"] if pair[0] in HEADERS] + [(b"content-type", b"application/json")]
        failed: int | None = None

        async def fenced(message: Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    failed = message["status"]
                    return
                message = {**message, "headers": [*message.get("headers", ()), (b"content-security-policy", self._policy)]}
            if failed is None:
                await send(message)

        try:
            await self._gradio({**scope, "headers": headers, "query_string": query}, receive, fenced)
        except Exception:
            log.exception("the page failed at %s", scope["path"])
            failed = failed or 500
        if failed is not None:
            raise ApiError(failed, "not_found" if failed == 404 else "page_failed", "the page could not answer this")


def _given(body: bytes) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
