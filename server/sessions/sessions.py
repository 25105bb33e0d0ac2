"""Every conversation of this process: how many there are at once, which connection each has, and what becomes of one whose
connection is lost."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

from prometheus_client import Counter

from app.conversation.session import Session
from app.core.clock import Clock, LoopClock
from app.core.session_settings import SessionSettings
from app.protocol.messages import Error, Farewell, Played
from app.settings import Settings
from server.core.limits import quiet_logger
from server.sessions.admission import Admission
from server.sessions.live import ERASED, Attachment, ClientConnection, LiveSessions
from server.sessions.load import Load
from server.sessions.tokens import PLAIN, Forbidden, Impossible, NotReady, Refused, Ticket, Tickets, Unknown
from server.store.records import Erased, SessionRecord, StoreError
from server.store.store import Store
from services.base import HEARING_RATE, VAD_WINDOW, ServiceError

__all__ = ["Attachment", "ClientConnection", "Refused", "Sessions"]

log = quiet_logger(__name__)

WINDOW_S = VAD_WINDOW / HEARING_RATE  # that voice detection takes at once
WRITTEN_S = 1.0  # for what a conversation was last to reach the store, before its client goes on elsewhere

OPENED = Counter("parley_sessions_opened", "Conversations joined by a client", ["resumed"])


@contextlib.contextmanager
def erased_is_unknown() -> Iterator[None]:
    """Turns Erased into Unknown: for a client, a session that was erased never existed."""
    try:
        yield
    except Erased:
        raise Unknown(ERASED) from None


class Sessions:
    """The conversations of this process, by their ids."""

    def __init__(
        self,
        settings: Settings,
        make: Callable[[str, SessionRecord | None, SessionSettings], Session],
        store: Store,
        ready: Callable[[], Awaitable[None]],
        clock: Clock | None = None,
        waited_s: Callable[[], float] = lambda: 0.0,
        impossible: Callable[[SessionSettings], dict[str, str]] = lambda chosen: {},
    ) -> None:
        """`make` builds a session from its id, its record when it is resumed, and its settings. `ready` returns when a
        conversation can begin, or raises ServiceError when none ever will. `waited_s` tells for how long work for the models
        has waited, `impossible` which settings of a conversation are not possible here, and why. Raises as `signing_secret`
        does."""
        self.live = LiveSessions()
        self.load = Load(
            lambda: max([waited_s(), *(attachment.session.hearing.behind * WINDOW_S for attachment in self.live.all())])
        )
        self.admission = Admission(settings, self.live, self.load)
        self.tickets = Tickets(settings, clock or LoopClock())
        self._make = make
        self._store = store
        self._ready = ready
        self._impossible = impossible
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        store.on_lost(self.live.lost)

    def create(self, chosen: SessionSettings = PLAIN) -> Ticket:
        """A new id with its token, for a conversation with the settings `chosen`. Raises Full or Leaving when nobody could open
        it now, and Impossible or TooMuch for settings that it cannot have."""
        for name, why in self._impossible(chosen).items():
            raise Impossible(f"{name}: {why}", name)
        self.admission.check_room()
        self.admission.check_load()
        return self.tickets.issue(chosen)

    def authorize(self, session_id: str, token: str) -> None:
        """Raises Forbidden unless the token was made for this id."""
        self.tickets.check(session_id, token)

    async def expect(self, session_id: str, token: str = "") -> None:
        """Checks that a client who has named a session before `start` may connect for it. Raises Full or Leaving."""
        self.admission.check_leaving()
        if not session_id or self.live.get(session_id) is not None:
            return
        self.admission.check_room()
        if self.load.overloaded:
            with contextlib.suppress(Forbidden, Unknown):  # is told when it has connected
                self.authorize(session_id, token)
                await self._check_load(session_id)

    async def admit(self, session_id: str, address: str = "") -> None:
        """Checks that an authorized session could be opened now from `address`. Raises Unknown, Full, Leaving or Crowd."""
        self.admission.check_leaving()
        if self.live.get(session_id) is not None:
            return
        self.admission.check_crowd(address)
        self.admission.check_room()
        await self._check_load(session_id)

    async def _check_load(self, session_id: str) -> None:
        """Raises Full where the models are behind and nothing is stored of the session, and Unknown where its time is over."""
        try:
            if await self._known(session_id) is None:
                self.admission.check_load()
        except StoreError as error:
            log.warning("session %s is let in unseen: %s", session_id, error)

    # --- joining and leaving ------------------------------------------------------------------------------------------

    async def open(self, session_id: str, token: str, peer: ClientConnection, played: Played | None = None) -> Attachment:
        """Gives the conversation to `peer`, which then calls `Attachment.begin`; makes, resumes or loads it as needed. A
        connection that had the conversation is told `taken_over` and closed. `played` is what the listener says that they heard
        last. Raises Forbidden, Unknown, Full, Leaving, Crowd or NotReady."""
        self.authorize(session_id, token)
        self.admission.check_leaving()
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            attachment = self.live.get(session_id)
            if attachment is None:
                attachment = await self._attach(session_id, peer.address, self.tickets.settings_in(token), played)
            else:
                if attachment.peer is None:
                    self.admission.check_crowd(peer.address)
                attachment.resumed = True
                taken = "this conversation was opened from another connection"
                attachment.leave("taken over", Error(code="taken_over", message=taken, fatal=True))
            if played is not None:
                attachment.session.memory.played(played.generation, played.played_ms)
            attachment.peer = peer
            OPENED.labels(str(attachment.resumed).lower()).inc()
            return attachment

    def release(self, attachment: Attachment, peer: ClientConnection) -> None:
        """Parts a conversation from `peer`, whose connection is gone. It waits for another one in memory for GRACE_S, and in
        the store for longer."""
        if attachment.peer is peer:
            attachment.leave("connection lost")
            self.live.wait_for_client(attachment)

    async def _attach(self, session_id: str, address: str, chosen: SessionSettings, played: Played | None) -> Attachment:
        with self.admission.place(address):
            record = await self._claimed(session_id, played)
        said = record is not None and bool(record.history or record.generation)
        if record is not None and record.settings is not None:
            chosen = SessionSettings.kept(record.settings)
        if faults := self._impossible(chosen):  # it may have been chosen in another process
            log.warning("a conversation goes on without what it was set to: %s", ", ".join(faults))
        chosen = chosen.without(*faults)
        attachment = Attachment(self._make(session_id, record, chosen), resumed=said)
        attachment.session.memory.settings = chosen
        self.live.add(attachment)
        return attachment

    async def _claimed(self, session_id: str, played: Played | None) -> SessionRecord | None:
        """The stored record of a session that begins or goes on here."""
        try:
            await self._ready()
            if self.load.overloaded and await self._known(session_id) is None:
                self.admission.check_load()
            with erased_is_unknown():
                record = await self._store.claim(session_id, begins=self.tickets.is_young(session_id))
            if record is None:
                self.tickets.check_age(session_id)
        except StoreError as error:
            log.warning("session %s starts without its past: %s", session_id, error)
            if played is not None:
                self._store.played(session_id, played.generation, played.played_ms)
            return None
        except ServiceError as error:
            raise NotReady(f"conversations cannot begin: {error}") from error
        return record

    async def part(self, attachments: list[Attachment], last: Farewell) -> None:
        """Ends these conversations here. Their clients are sent `last` once everything to be remembered has been written, so
        that the process that goes on with them finds all of it."""
        for attachment in attachments:
            attachment.session.disconnect("shutting_down")
        await self._store.drain(WRITTEN_S, [attachment.session.id for attachment in attachments])
        for attachment in attachments:
            if self.live.get(attachment.session.id) is attachment:
                self.live.drop(attachment, last)

    async def is_written(self, timeout_s: float, attachments: Sequence[Attachment] | None = None) -> bool:
        """Whether everything that is to be remembered of `attachments` (None: of all sessions) reaches the store within
        `timeout_s`."""
        return await self._store.drain(timeout_s, None if attachments is None else [each.session.id for each in attachments])

    # --- looking ------------------------------------------------------------------------------------------------------

    async def look(self, session_id: str) -> dict[str, Any]:
        """State and history of an authorized session. Raises Unknown, and StoreError when the store is needed and away."""
        if attachment := self.live.get(session_id):
            return attachment.session.snapshot() | {"connected": attachment.peer is not None}
        record = await self._known(session_id)
        record = record or SessionRecord(session_id=session_id)
        history = [{"user": exchange.user, "heard": exchange.heard} for exchange in record.history]
        unheard = list(record.pending.clauses[record.pending.first_unheard :]) if record.pending else []
        return {"session_id": session_id, "state": record.state, "history": history, "unheard": unheard, "connected": False}

    async def erase(self, session_id: str) -> None:
        """Ends the conversation of an authorized session and erases what is stored of it. Raises Unknown and StoreError."""
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            if attachment := self.live.get(session_id):
                task = self.live.drop(attachment, Error(code="deleted", message=ERASED, fatal=True))
                await asyncio.gather(task, return_exceptions=True)
            else:
                await self._known(session_id)
            await self._store.erase(session_id)

    async def _known(self, session_id: str) -> SessionRecord | None:
        """The stored record of a session; None where the session may still begin. Raises Unknown and StoreError."""
        with erased_is_unknown():
            record = await self._store.load(session_id)
        if record is None:
            self.tickets.check_age(session_id)
        return record
