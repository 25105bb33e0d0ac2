"""The conversations that this process has in memory: each with the connection that has it, its task, and how it leaves."""

import asyncio
import gc
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Gauge

from app.conversation.session import Session
from app.core.session_settings import Eagerness, SessionSettings
from app.protocol.messages import Error, Farewell, ServerMessage, ShuttingDown
from server.core.limits import quiet_logger
from server.store.queue import Lost

log = quiet_logger(__name__)

GRACE_S = 60.0  # a conversation without a connection stays in memory for so long
ERASED = "this session was erased"
LOST = {"taken_over": ("taken_over", "this conversation goes on in another process"), "erased": ("deleted", ERASED)}

LIVE = Gauge("parley_sessions", "Conversations in memory")


class ClientConnection(Protocol):
    """The transport's end of one connection. Neither call waits or raises."""

    address: str  # where it comes from; "" is not counted

    @property
    def is_idle(self) -> bool:
        """Nobody has been there for long: it may be ended when the place is needed."""

    def send(self, message: ServerMessage) -> None:
        """Sends `message`, or queues it."""

    def close(self, last: Farewell | None = None) -> None:
        """Ends the connection, with `last` as its last message if there is one."""


@dataclass(slots=True, eq=False)
class Attachment:
    """A conversation and the connection that has it, if one does."""

    session: Session
    resumed: bool = False
    peer: ClientConnection | None = None
    grace: asyncio.TimerHandle | None = None

    def begin(self, greeting: bool, eagerness: Eagerness | None = None) -> None:
        """The connection is ready for messages: the conversation starts, or goes on. `eagerness` holds for it from now on."""
        if self.peer is not None:
            if eagerness is not None:
                memory = self.session.memory
                memory.settings = memory.settings.changed_by(SessionSettings(eagerness=eagerness))
            self.session.attach(self.peer.send)
            self.session.start(greeting, self.resumed)

    def leave(self, reason: str, last: Farewell | None = None) -> None:
        """Parts the conversation from its connection, which is closed."""
        peer, self.peer = self.peer, None
        if self.grace is not None:
            self.grace.cancel()
        self.session.disconnect(reason)
        if peer is not None:
            peer.close(last)


class LiveSessions:
    """By their ids."""

    def __init__(self) -> None:
        self._attachments: dict[str, Attachment] = {}
        self._tasks: dict[Attachment, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._attachments)

    def get(self, session_id: str) -> Attachment | None:
        """The conversation of this id, where it is in memory."""
        return self._attachments.get(session_id)

    def all(self) -> list[Attachment]:
        """All of them, as they are now."""
        return list(self._attachments.values())

    def peers(self) -> list[ClientConnection]:
        """The connections that have one."""
        return [attachment.peer for attachment in self._attachments.values() if attachment.peer is not None]

    def add(self, attachment: Attachment) -> None:
        """A conversation begins to run."""
        self._attachments[attachment.session.id] = attachment
        task = self._tasks[attachment] = asyncio.create_task(self._run(attachment), name=f"session {attachment.session.id}")
        task.add_done_callback(lambda _: self._gone(attachment))
        LIVE.set(len(self._attachments))

    def wait_for_client(self, attachment: Attachment) -> None:
        """Its connection is gone: it waits for another one for GRACE_S."""
        attachment.grace = asyncio.get_running_loop().call_later(GRACE_S, self.drop, attachment)

    def end_idle(self) -> None:
        """Who is not there any more gives way, and the conversation waits for a client."""
        attachment = next(
            attachment for attachment in self._attachments.values() if attachment.peer is not None and attachment.peer.is_idle
        )
        attachment.leave("idle", Error(code="idle_timeout", message="others wait, and nobody was there for long", fatal=True))
        self.wait_for_client(attachment)

    def drop_first_lost(self) -> None:
        """The conversation whose connection was lost first leaves memory."""
        waiting = {
            attachment.grace.when(): attachment
            for attachment in self._attachments.values()
            if attachment.peer is None and attachment.grace is not None
        }
        self.drop(waiting[min(waiting)])

    def drop(self, attachment: Attachment, last: Farewell | None = None) -> asyncio.Task[None]:
        """The conversation leaves memory; returns the task that is ending."""
        if self._attachments.get(attachment.session.id) is attachment:
            del self._attachments[attachment.session.id]
            LIVE.set(len(self._attachments))
        attachment.leave("closed", last)
        task = self._tasks[attachment]
        if task is not asyncio.current_task():
            task.cancel()
        return task

    def lost(self, session_id: str, how: Lost) -> None:
        """Another process has taken the session, or erased it."""
        if attachment := self.get(session_id):
            code, message = LOST[how]
            self.drop(attachment, Error(code=code, message=message, fatal=True))

    async def close(self) -> None:
        """Ends every conversation."""
        for attachment in self.all():
            self.drop(attachment, ShuttingDown())
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, attachment: Attachment) -> None:
        error = None
        try:
            await attachment.session.run()
        except Exception:
            log.exception("session %s failed", attachment.session.id)
            error = Error(code="internal", message="an unexpected error ended the conversation", fatal=True)
        finally:
            self.drop(attachment, error)

    def _gone(self, attachment: Attachment) -> None:
        """Frees what the conversation and its connections were made of. aiortc's parts know each other, so they stay until Python
        looks for such, which it does when they are a quarter of all there is: measured, after 35 min of calls, with 30 MB and 22
        threads of their codecs. Takes 1 to 2 ms, for the models are left out (`Readiness.warm`)."""
        del self._tasks[attachment]
        gc.collect()
