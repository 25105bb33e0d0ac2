"""One connection of a client, whatever carries it: how it opens or resumes its conversation and by when, what it may send and
how fast, when it is idle, and how it ends. A transport adds the wire and the sound."""

import asyncio
import logging
from abc import abstractmethod

from app.protocol.codec import BadMessage
from app.protocol.messages import Error, Farewell, Limits, Ready, Start
from app.settings import Settings
from server.core.client_address import caller
from server.core.limits import quiet_logger
from server.sessions.live import Attachment
from server.sessions.sessions import Sessions
from server.sessions.tokens import Refused
from server.transport.intake import SOUND_AT_ONCE_S, Intake
from server.transport.pending import PendingConnections

log: logging.Logger = quiet_logger(__name__)


class Connection(Intake):
    """One connection, as a transport implements it; for `Sessions` it is the `ClientConnection`."""

    def __init__(self, sessions: Sessions, settings: Settings, waiting: PendingConnections) -> None:
        super().__init__(settings)
        self.sessions = sessions
        self.address = caller.get()
        self.start: Start | None = None
        self.session_id: str | None = None  # of the credentials that came before `start`, and their token
        self.token: str | None = None
        self.opening: asyncio.Task[None] | None = None
        self._waiting = waiting
        limit = settings.start_timeout_s
        late = Error(code="start_timeout", message=f"no start within {limit:g} s", fatal=True)
        self._deadline = asyncio.get_running_loop().call_later(limit, self.close, late)
        waiting.enter(self)

    # --- what a transport adds ----------------------------------------------------------------------------------------

    @abstractmethod
    def end(self, last: Farewell | None) -> None:
        """Sends `last`, closes the wire within a few seconds whatever the client does, and calls `gone`. Called once at most."""

    @abstractmethod
    def begin(self, attachment: Attachment, start: Start, ready: Ready) -> None:
        """Sends `ready`, calls `Attachment.begin`, and carries the sound of the conversation from now on."""

    @property
    def connected(self) -> bool:
        """Whether the wire can carry a conversation yet."""
        return True

    # --- beginning and end --------------------------------------------------------------------------------------------

    def ask(self, start: Start) -> None:
        """Takes the client's `start`. Raises BadMessage when the client has begun with something else."""
        if self.start is None:
            self.start = start
            self.proceed()
        elif start != self.start:
            raise BadMessage("already_started", "this connection has its start already", "type")

    def proceed(self) -> None:
        """Opens the conversation once it is named and the wire can carry it, whichever comes last."""
        if self.opening is None and self.start is not None and self.connected and not self.closing:
            self.opening = asyncio.create_task(self._open(self.start))

    async def _open(self, start: Start) -> None:
        session_id, token, made = start.session_id or self.session_id, start.token or self.token, None
        await asyncio.sleep(0)  # that the client has left since is read first
        try:
            if session_id is None and token is None:
                session_id, token, _ = made = self.sessions.create()
            self.sessions.authorize(session_id or "", token or "")
            self._deadline.cancel()
            attachment = await self.sessions.open(session_id or "", token or "", self, start.played)
        except Refused as refused:
            self.close(refused.as_event())
            return
        except Exception:
            log.exception("a conversation could not be opened")
            self.close(Error(code="internal", message="an unexpected error ended the connection", fatal=True))
            return
        self._waiting.leave(self)
        if self.closing:
            self.sessions.release(attachment, self)
            return
        self.attachment = attachment
        self.idle.begin(attachment.session)
        limits = Limits(
            idle_timeout_s=self.settings.idle_timeout_s,
            messages_per_second=self.settings.messages_per_second,
            sound_at_once_s=SOUND_AT_ONCE_S,
        )
        ready = Ready(
            session_id=attachment.session.id, resumed=attachment.resumed, sample_rate=start.sample_rate, limits=limits
        )
        if made is not None:
            ready = ready.model_copy(update={"token": made.token})
        self.begin(attachment, start, ready)

    def close(self, last: Farewell | None = None) -> None:
        """Ends the connection, with `last` as its last message. Returns at once; only the first call counts."""
        if not self.closing:
            self._leave()
            self.end(last)

    def gone(self) -> None:
        """Cleans up after the connection, whose wire is gone. May be called again."""
        self._leave()
        if self.opening is not None:
            self.opening.cancel()
        attachment, self.attachment = self.attachment, None
        if attachment is not None:
            self.sessions.release(attachment, self)

    def _leave(self) -> None:
        self.closing = True
        self._deadline.cancel()
        self.idle.stop()
        self._waiting.leave(self)

    @property
    def is_idle(self) -> bool:
        """Whether the connection is idle, and kept only because a timer is still to be announced: it gives way when its place
        is needed."""
        return self.attachment is not None and self.idle.idle_s >= self.settings.idle_timeout_s
