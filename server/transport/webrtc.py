"""The WebRTC transport: one FastRTC stream, both directions of audio and the control messages on its data channel. The page's
component and `POST /webrtc/offer` share it. Each connection is known by an object of ours; a name that a client chooses finds
only what that client may have."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastrtc import AdditionalOutputs, Stream, WebRTC
from gradio.components.base import server
from prometheus_client import Gauge

from app.protocol.messages import Start
from app.settings import Settings
from server.core.client_address import caller
from server.core.limits import TokenBuckets, quiet_logger
from server.sessions.sessions import Sessions
from server.sessions.tokens import Crowd, Full, Refused
from server.transport.fastrtc_handler import Handler
from server.transport.offers import BadOffer, check_offer
from server.transport.pending import PendingConnections
from server.transport.rtp import shut
from server.transport.webrtc_call import Call

log = quiet_logger(__name__)

OFFERS_PER_SECOND, OFFERS_AT_ONCE = 2.0, 20.0  # of one address: each is a key pair, sockets and 6 ms of work
ANSWER_S = 10.0  # for an answer: it waits for a STUN or TURN server that does not reply
OPEN = Gauge("parley_calls", "WebRTC connections, until the last of them is closed")


class WebRtcTransport:
    """The stream and its connections."""

    def __init__(self, sessions: Sessions, settings: Settings, waiting: PendingConnections) -> None:
        self._sessions = sessions
        self._settings = settings
        self._waiting = waiting
        self.stream = Stream(
            Handler(),
            modality="audio",
            mode="send-receive",
            concurrency_limit=settings.max_sessions,
            rtc_configuration=settings.rtc_configuration(),
            server_rtc_configuration=settings.rtc_configuration(),
            verbose=False,
        )
        self.calls: set[Call] = set()
        self._offers = TokenBuckets(OFFERS_PER_SECOND, OFFERS_AT_ONCE)
        self._ends: set[asyncio.Task[None]] = set()

    # --- POST /webrtc/offer -------------------------------------------------------------------------------------------

    async def offer(self, sdp: str, kind: str, start: Start) -> dict[str, str]:
        """Answers an offer for the session of `start`. The new connection takes the place of an earlier offer that is not yet
        connected and, when it is connected, of the connection that has the conversation. Raises BadOffer, Crowd when offers
        come too fast, and Full when this machine can have no more connections."""
        check_offer(sdp, kind)
        earlier = self._of_session(start.session_id)
        answer = await self._answer(sdp, start)
        for call in earlier:
            if call.attachment is None:
                call.close()
        return answer

    async def candidate(self, session_id: str, candidate: dict[str, Any]) -> None:
        """Adds an ICE candidate of the client (RTCIceCandidate.toJSON()) to the session's newest offer. Raises BadOffer."""
        await self._add(max(self._of_session(session_id), key=lambda call: call.opened_at, default=None), candidate)

    def _of_session(self, session_id: str | None) -> "list[Call]":
        return [call for call in self.calls if call.offered is not None and call.offered.session_id == session_id]

    async def _add(self, call: "Call | None", candidate: dict[str, Any]) -> None:
        if call is None or call.closing:
            raise BadOffer("candidate: there is no offer that it could belong to")
        await call.peer.add(candidate)

    def begin(self, offered: Start | None = None, page: str = "") -> Call:
        """A connection that is to be answered: for `offered`, or for the page of this name."""
        call = Call(self._sessions, self._settings, self._waiting, self.stream, self.ends, offered, page)
        self.calls.add(call)
        OPEN.set(len(self.calls))
        return call

    async def _answer(self, sdp: str, offered: Start | None = None, page: str = "") -> dict[str, str]:
        if not self._offers.take(caller.get(), asyncio.get_running_loop().time()):
            raise Crowd("too many offers come from your address; please try again in a moment")
        call = self.begin(offered, page)
        answered = False
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await call.peer.answer(sdp, call.handler)
            answered = not call.closing
        except OSError as error:  # no socket left, or no time
            log.warning("an offer could not be answered: %s", error)
            raise Full("no more connections can be made now; please try again in a moment") from error
        except Exception as error:  # as in `check_offer`: aiortc trips over what it cannot use
            log.warning("an offer was refused: %s", error)
            raise BadOffer("sdp: cannot be used") from error
        finally:
            if not answered:
                call.close()
        if not answered:
            raise Full("too many connections wait to be opened; please try again in a moment")
        return answer

    # --- the page's component -----------------------------------------------------------------------------------------

    def serve(self, component: WebRTC) -> None:
        """Has the component ask us for connections, instead of its own registry, which identifies clients by a name that the
        page chose."""
        component.offer = self.page_offer
        component.quit_output_stream = self.page_quits
        component.output_stream = self.page_views

    def of_page(self, name: str) -> "Call | None":
        """The connection that a page has under this name."""
        return next((call for call in self.calls if call.page == name and not call.closing), None)

    @server  # type: ignore[untyped-decorator]
    async def page_offer(self, body: Any) -> dict[str, Any]:
        """Answers what the component sends, as `GradioGate` has read it: an offer, or a candidate. Raises nothing."""
        try:
            call = self.of_page(body["webrtc_id"])
            if body["type"] == "ice-candidate":
                await self._add(call, body.get("candidate") or {})
                return {"status": "success"}
            check_offer(body["sdp"], body["type"])
            if call is not None:
                raise BadOffer("webrtc_id: this connection exists")
            return await self._answer(body["sdp"], page=body["webrtc_id"])
        except (BadOffer, Refused) as error:
            return {"status": "failed", "meta": {"error": str(error)}}

    @server  # type: ignore[untyped-decorator]
    async def page_quits(self, body: Any) -> dict[str, bool]:
        """Answers that the page has stopped looking. Its connection ends by itself: anybody who has its name could send this."""
        return {"success": True}

    async def page_views(self, name: str) -> AsyncIterator[AdditionalOutputs]:
        """Yields what the page shows, while its connection lasts; nothing where no connection has this name."""
        if call := self.of_page(name):
            async for view in call.handler.views.follow():
                yield view

    # --- the end ------------------------------------------------------------------------------------------------------

    def ends(self, call: "Call", wait_s: float) -> None:
        """Takes `call` apart after `wait_s`."""
        task = asyncio.create_task(self._end(call, wait_s))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _end(self, call: "Call", wait_s: float) -> None:
        try:
            await asyncio.sleep(wait_s)
        finally:
            call.let_go()
            await shut(call.peer.pc)
            self.calls.discard(call)
            OPEN.set(len(self.calls))

    async def close(self) -> None:
        """Ends every connection."""
        for call in list(self.calls):
            call.close()
        await asyncio.gather(*self._ends, return_exceptions=True)
