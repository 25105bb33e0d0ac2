"""Takes a process down without cutting anybody off: no more conversations are taken, what is being said is heard to its end,
and then each client is told where to go on."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from app.conversation.session import Session
from app.protocol.messages import ShuttingDown
from server.sessions.live import Attachment
from server.sessions.sessions import Sessions

log = logging.getLogger(__name__)

LOOK_S = 0.05  # how often it is looked who has fallen silent
UNHEARD = 1  # windows that wait to be listened to: of more, it is not known yet whether somebody speaks
AFTER_MS = 500.0  # where no other node is known: whoever stands before this one needs a moment to see that it is going


def under_way(session: Session) -> bool:
    """Whether something is being said, or is about to be: a turn of the user's, or a reply that was not yet heard to its end."""
    reply, hearing = session.player.reply, session.hearing
    replying = session.state in ("THINKING", "SPEAKING", "INTERRUPTED") or (reply is not None and not reply.cancelled)
    speaking = hearing.taking_turn or hearing.overlap_pending or hearing.behind > UNHEARD
    return session.state != "IDLE" and (replying or speaking or bool(session.context.pending))


def _silent(attachments: Sequence[Attachment]) -> list[Attachment]:
    return [attachment for attachment in attachments if not under_way(attachment.session)]


async def nowhere() -> str:
    """The base URL of another node, for a process that is alone: "", so that clients come back to the same address."""
    return ""


class Drain:
    """When it is called, drains `sessions` and returns when the last conversation is over; it may be called again. `drain_s` is
    the longest time that replies and turns under way are given; `elsewhere` finds the base URL of another node, "" where none
    is known."""

    def __init__(self, sessions: Sessions, drain_s: float, elsewhere: Callable[[], Awaitable[str]] = nowhere) -> None:
        self._sessions = sessions
        self._drain_s = drain_s
        self._elsewhere = elsewhere
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Returns when no conversation is left, or after the time that they are given."""
        if self._task is None:
            self._sessions.admission.draining = True
            self._task = asyncio.create_task(self._drain(), name="drain")
        await asyncio.shield(self._task)

    def hasten(self) -> None:
        """Ends the waiting: every client that is still there is told now."""
        self._hurry.set()

    async def _drain(self) -> None:
        attachments = self._sessions.live.all()
        log.info(
            "going down: %d conversations, %d of them in mid-turn",
            len(attachments),
            sum(under_way(s.session) for s in attachments),
        )
        end = asyncio.get_running_loop().time() + self._drain_s
        await self._elsewhere()  # asking, it tells the others that this one takes nobody any more
        try:
            async with asyncio.timeout_at(end):
                await self._until_silent()
        except TimeoutError:
            log.warning("%d conversations are cut off after %g s", len(self._sessions.live.all()), self._drain_s)
        while attachments := self._sessions.live.all():
            await self._sessions.part(attachments, await self._told())
        await asyncio.sleep(LOOK_S)  # for the last words to be on their way
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):  # a store that is away may come back: nobody else knows what was said last
                while not self._hurry.is_set() and not await self._sessions.is_written(LOOK_S):
                    pass

    async def _until_silent(self) -> None:
        """Parts with each client that is silent. While the store is away nobody is sent on, for no other process would know
        what was said last: these conversations go on here."""
        while (attachments := self._sessions.live.all()) and not self._hurry.is_set():
            silent = _silent(attachments)
            if silent and await self._sessions.is_written(LOOK_S, silent):
                last = await self._told()
                await self._sessions.part(_silent(self._sessions.live.all()), last)  # a turn may have come meanwhile
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._hurry.wait()

    async def _told(self) -> ShuttingDown:
        url = await self._elsewhere()
        return ShuttingDown(url=url or None, after_ms=0.0 if url else AFTER_MS)
