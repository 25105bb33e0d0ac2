"""The conversations that this process has in memory: each with its connection, its task, and the way it leaves."""

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
    """The transport's end of one connection. Neither `send` nor `close` waits or raises."""

    address: str  # where it comes from; "" is not counted

    @property
    def is_idle(self) -> bool:
        """Whether nobody has been there for long, so that the connection may be ended when its place is needed."""

    def send(self, message: ServerMessage) -> None:
        """Sends `message`, or queues it."""

    def close(self, last: Farewell | None = None) -> None:
        """Ends the connection, with `last` as its last message if there is one."""


@dataclass(slots=True, eq=False)
class Attachment:
    """A conversation, and its connection if there is one."""

    session: Session
    resumed: bool = False
    peer: ClientConnection | None = None
    grace: asyncio.TimerHandle | None = None

    def begin(self, greeting: bool, eagerness: Eagerness | None = None) -> None:
        """Starts the conversation, or goes on with it, as the connection is ready for messages. `eagerness` holds for the
        conversation from now on."""
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
    """The conversations in memory, by their ids."""

    def __init__(self) -> None:
        self._attachments: dict[str, Attachment] = {}
        self._tasks: dict[Attachment, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._attachments)

    def get(self, session_id: str) -> Attachment | None:
        """The conversation with this id, where it is in memory."""
        return self._attachments.get(session_id)

    def all(self) -> list[Attachment]:
        """Every conversation that is in memory now."""
        return list(self._attachments.values())

    def peers(self) -> list[ClientConnection]:
        """The connections of the conversations that have one."""
        return [attachment.peer for attachment in self._attachments.values() if attachment.peer is not None]

    def add(self, attachment: Attachment) -> None:
        """Runs a conversation."""
        self._attachments[attachment.session.id] = attachment
        task = self._tasks[attachment] = asyncio.create_task(self._run(attachment), name=f"session {attachment.session.id}")
        task.add_done_callback(lambda _: self._gone(attachment))
        LIVE.set(len(self._attachments))

    def wait_for_client(self, attachment: Attachment) -> None:
        """Keeps a conversation whose connection is gone in memory for GRACE_S, until another connection comes."""
        attachment.grace = asyncio.get_running_loop().call_later(GRACE_S, self.drop, attachment)

    def end_idle(self) -> None:
        """Closes idle connections; their conversations wait for a client."""
        attachment = next(
            attachment for attachment in self._attachments.values() if attachment.peer is not None and attachment.peer.is_idle
        )
        attachment.leave("idle", Error(code="idle_timeout", message="others wait, and nobody was there for long", fatal=True))
        self.wait_for_client(attachment)

    def drop_first_lost(self) -> None:
        """Drops the conversation whose connection was lost longest ago from memory."""
        waiting = {
            attachment.grace.when(): attachment
            for attachment in self._attachments.values()
            if attachment.peer is None and attachment.grace is not None
        }
        self.drop(waiting[min(waiting)])

    def drop(self, attachment: Attachment, last: Farewell | None = None) -> asyncio.Task[None]:
        """Drops a conversation from memory; returns its task, which is ending."""
        if self._attachments.get(attachment.session.id) is attachment:
            del self._attachments[attachment.session.id]
            LIVE.set(len(self._attachments))
        attachment.leave("closed", last)
        task = self._tasks[attachment]
        if task is not asyncio.current_task():
            task.cancel()
        return task

    def lost(self, session_id: str, how: Lost) -> None:
        """Ends a session that another process has taken, or erased."""
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
        """Frees the objects of a conversation and its connections. aiortc's parts refer to each other, so they stay until
        Python's collector looks for such, which happens only when they are a quarter of all objects: measured, after 35 min of
        calls, with 30 MB and 22 threads of their codecs. Takes 1 to 2 ms, for the models are left out (`Readiness.warm`)."""
        del self._tasks[attachment]
        gc.collect()
