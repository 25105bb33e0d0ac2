"""Every conversation of this process: how many there are at once, which connection has which, and what becomes of one whose
connection is lost."""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakValueDictionary

from prometheus_client import Counter, Gauge

from app.conversation.session import Session
from app.core.clock import Clock, LoopClock
from app.core.limits import quiet_logger
from app.core.session_settings import Eagerness, SessionSettings
from app.protocol.messages import Error, Farewell, ServerMessage, ShuttingDown
from app.sessions.load import Load
from app.sessions.tokens import PLAIN, Crowd, Full, Impossible, Leaving, NotReady, Refused, Ticket, Tickets, Unknown
from app.settings import Settings
from app.store.outbox import Lost
from app.store.records import Erased, SessionRecord, StoreError
from app.store.store import Store
from services.base import HEARING_RATE, VAD_WINDOW, ServiceError

__all__ = ["Peer", "Refused", "Seat", "Sessions"]

log = quiet_logger(__name__)

ERASED = "this session was erased"
LOST = {"taken_over": ("taken_over", "this conversation goes on in another process"), "erased": ("deleted", ERASED)}
WINDOW_S = VAD_WINDOW / HEARING_RATE  # that voice detection takes at once
GRACE_S = 60.0  # a conversation without a connection stays in memory for so long

WRITTEN_S = 1.0  # for what a conversation was last to reach the store, before its client goes on elsewhere

LIVE = Gauge("parley_sessions", "Conversations in memory")
CAPACITY = Gauge("parley_capacity", "Conversations that this process may have at once; 0 when it is going down")
OPENED = Counter("parley_sessions_opened", "Conversations joined by a client", ["resumed"])


class Peer(Protocol):
    """The transport's end of one connection. Neither call waits or raises."""

    address: str  # where it comes from; "" is not counted

    @property
    def spare(self) -> bool:
        """Nobody has been there for long: it may be ended when the place is needed."""
        ...

    def send(self, message: ServerMessage) -> None:
        """Sends `message`, or queues it."""
        ...

    def close(self, last: Farewell | None = None) -> None:
        """Ends the connection, with `last` as its last message if there is one."""
        ...


@dataclass(slots=True, eq=False)
class Seat:
    """A conversation and the connection that has it, if one does."""

    session: Session
    resumed: bool = False
    peer: Peer | None = None
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


@contextlib.contextmanager
def erased_is_unknown() -> Iterator[None]:
    """To a client, a session that was erased never was."""
    try:
        yield
    except Erased:
        raise Unknown(ERASED) from None


class Sessions:
    """The conversations of this process, by their ids."""

    def __init__(
        self,
        settings: Settings,
        make: Callable[[str, SessionRecord | None], Session],
        store: Store,
        ready: Callable[[], Awaitable[None]],
        clock: Clock | None = None,
        waited_s: Callable[[], float] = lambda: 0.0,
        impossible: Callable[[SessionSettings], dict[str, str]] = lambda chosen: {},
    ) -> None:
        """`make` builds a session from its id and, when it is resumed, its record; `ready` returns when one can begin, or raises
        ServiceError when none ever will; `waited_s` says for how long work for the models has waited, `impossible` which settings
        of a conversation cannot be had here, and why. Raises as `signing_secret` does."""
        self.draining = False  # this process is going down: nobody is let in any more
        self.load = Load(lambda: max([waited_s(), *(seat.session.hearing.behind * WINDOW_S for seat in self._seats.values())]))
        self._tickets = Tickets(settings, clock or LoopClock())
        self._max = settings.max_sessions
        self._max_per_address = settings.max_per_address
        self._make = make
        self._store = store
        self._ready = ready
        self._impossible = impossible
        self._seats: dict[str, Seat] = {}
        self._tasks: dict[Seat, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._opening: list[str] = []  # the addresses of those that are being let in
        store.on_lost(self._lost)
        CAPACITY.set_function(lambda: 0 if self.draining else self._max)

    def create(self, chosen: SessionSettings = PLAIN) -> Ticket:
        """A new id with its token, for a conversation that is set so. Raises Full or Leaving when nobody could open it now, and
        Impossible or TooMuch for settings that it cannot have."""
        for name, why in self._impossible(chosen).items():
            raise Impossible(f"{name}: {why}", name)
        self._check_room()
        self._check_load()
        return self._tickets.issue(chosen)

    def authorize(self, session_id: str, token: str) -> None:
        """Raises Forbidden unless the token was made for this id."""
        self._tickets.check(session_id, token)

    def expect(self, session_id: str) -> None:
        """Whether somebody may connect for this session, whose token was not seen yet. Raises Full or Leaving."""
        self._check_leaving()
        if session_id and session_id not in self._seats:
            self._check_room()

    async def admit(self, session_id: str, address: str = "") -> None:
        """Whether an authorized session could be opened now from `address`. Raises Unknown, Full, Leaving or Crowd."""
        self._check_leaving()
        if session_id in self._seats:
            return
        self._check_crowd(address)
        self._check_room()
        try:
            if await self._known(session_id) is None:
                self._check_load()
        except StoreError as error:
            log.warning("session %s is let in unseen: %s", session_id, error)

    def _peers(self) -> list[Peer]:
        return [seat.peer for seat in self._seats.values() if seat.peer is not None]

    def _check_leaving(self) -> None:
        if self.draining:
            raise Leaving("this server is going down; please try again in a moment")

    def _check_load(self) -> None:
        """For a conversation that is new: one that lost its process is taken wherever there is a place."""
        if self.load.overloaded:
            raise Full("the models are behind with the conversations that there are; please try again in a moment")

    def _check_room(self) -> None:
        self._check_leaving()
        peers = self._peers()
        if len(self._opening) + len(peers) >= self._max and not any(peer.spare for peer in peers):
            raise Full(f"all {self._max} conversations are taken; please try again in a moment")

    def _check_crowd(self, address: str) -> None:
        """Whether one more may come from there."""
        here = [*self._opening, *(peer.address for peer in self._peers())].count(address)
        if address and 0 < self._max_per_address <= here:
            raise Crowd(f"there are {here} conversations from your address already; please end one of them")

    def _make_room(self) -> None:
        """Raises Full when there is none. Who is not there any more gives way, then the conversation whose connection was lost
        first."""
        self._check_room()
        if len(self._opening) + len(self._peers()) >= self._max:
            seat = next(seat for seat in self._seats.values() if seat.peer is not None and seat.peer.spare)
            seat.leave("idle", Error(code="idle_timeout", message="others wait, and nobody was there for long", fatal=True))
            self._await(seat)
        if len(self._opening) + len(self._seats) >= self._max:
            waiting = {seat.grace.when(): seat for seat in self._seats.values() if seat.peer is None and seat.grace is not None}
            self._drop(waiting[min(waiting)])

    # --- joining and leaving ------------------------------------------------------------------------------------------

    async def open(self, session_id: str, token: str, peer: Peer) -> Seat:
        """Gives the conversation to `peer`, which then calls `Seat.begin`; makes, resumes or loads it as needed. Whoever had it
        is told `taken_over` and closed. Raises Forbidden, Unknown, Full, Leaving, Crowd or NotReady."""
        self.authorize(session_id, token)
        self._check_leaving()
        async with self._lock(session_id):
            seat = self._seats.get(session_id)
            if seat is None:
                seat = await self._seat(session_id, peer.address, self._tickets.settings_in(token))
            else:
                if seat.peer is None:
                    self._check_crowd(peer.address)
                seat.resumed = True
                taken = "this conversation was opened from another connection"
                seat.leave("taken over", Error(code="taken_over", message=taken, fatal=True))
            seat.peer = peer
            OPENED.labels(str(seat.resumed).lower()).inc()
            return seat

    def release(self, seat: Seat, peer: Peer) -> None:
        """`peer` is gone. Its conversation waits for it in memory for GRACE_S, and in the store for longer."""
        if seat.peer is peer:
            seat.leave("connection lost")
            self._await(seat)

    def _await(self, seat: Seat) -> None:
        seat.grace = asyncio.get_running_loop().call_later(GRACE_S, self._drop, seat)

    def _lock(self, session_id: str) -> asyncio.Lock:
        return self._locks.setdefault(session_id, asyncio.Lock())

    async def _seat(self, session_id: str, address: str, chosen: SessionSettings) -> Seat:
        self._check_crowd(address)
        self._make_room()
        self._opening.append(address)
        try:
            await self._ready()
            if self.load.overloaded and await self._known(session_id) is None:
                self._check_load()
            with erased_is_unknown():
                record = await self._store.claim(session_id, begins=self._tickets.is_young(session_id))
            if record is None:
                self._tickets.check_age(session_id)
        except StoreError as error:
            log.warning("session %s starts without its past: %s", session_id, error)
            record = None
        except ServiceError as error:
            raise NotReady(f"conversations cannot begin: {error}") from error
        finally:
            self._opening.remove(address)
        said = record is not None and bool(record.history or record.generation)
        seat = self._seats[session_id] = Seat(self._make(session_id, record), resumed=said)
        memory = seat.session.memory
        memory.settings = self._fitting(chosen if record is None or record.settings is None else memory.settings)
        task = self._tasks[seat] = asyncio.create_task(self._run(seat), name=f"session {session_id}")
        task.add_done_callback(lambda _: self._gone(seat))
        LIVE.set(len(self._seats))
        return seat

    def _fitting(self, chosen: SessionSettings) -> SessionSettings:
        """Without what cannot be had in this process: it may have been chosen in another."""
        if faults := self._impossible(chosen):
            log.warning("a conversation goes on without what it was set to: %s", ", ".join(faults))
        return chosen.without(*faults)

    async def _run(self, seat: Seat) -> None:
        error = None
        try:
            await seat.session.run()
        except Exception:
            log.exception("session %s failed", seat.session.id)
            error = Error(code="internal", message="an unexpected error ended the conversation", fatal=True)
        finally:
            self._drop(seat, error)

    def _drop(self, seat: Seat, last: Farewell | None = None) -> None:
        """The conversation leaves memory."""
        if self._seats.get(seat.session.id) is seat:
            del self._seats[seat.session.id]
            LIVE.set(len(self._seats))
        seat.leave("closed", last)
        task = self._tasks[seat]
        if task is not asyncio.current_task():
            task.cancel()

    def _gone(self, seat: Seat) -> None:
        """Frees what the conversation and its connections were made of. aiortc's parts know each other, so they stay until Python
        looks for such, which it does when they are a quarter of all there is: measured, after 35 min of calls, with 30 MB and 22
        threads of their codecs. Takes 1 to 2 ms, for the models are left out (`Readiness.warm`)."""
        del self._tasks[seat]
        gc.collect()

    def _lost(self, session_id: str, how: Lost) -> None:
        """Another process has taken the session, or erased it."""
        if seat := self._seats.get(session_id):
            code, message = LOST[how]
            self._drop(seat, Error(code=code, message=message, fatal=True))

    @property
    def tickets(self) -> Tickets:
        """Who may join which."""
        return self._tickets

    @property
    def open_to_all(self) -> bool:
        """Whether a new conversation would be taken now."""
        return not self.draining and not self.load.overloaded and len(self._opening) + len(self._peers()) < self._max

    def seats(self) -> list[Seat]:
        """All of them, as they are now."""
        return list(self._seats.values())

    async def part(self, seats: list[Seat], last: Farewell) -> None:
        """These conversations are over here. Their clients are told so with `last` once what is to be remembered has been written:
        whoever goes on with them finds all of it."""
        for seat in seats:
            seat.session.disconnect("shutting_down")
        await self._store.written([seat.session.id for seat in seats], WRITTEN_S)
        for seat in seats:
            if self._seats.get(seat.session.id) is seat:
                self._drop(seat, last)

    async def close(self) -> None:
        """Ends every conversation; their state is left to the store."""
        for seat in self.seats():
            self._drop(seat, ShuttingDown())
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def look(self, session_id: str) -> dict[str, Any]:
        """State and history of an authorized session. Raises Unknown, and StoreError when the store is needed and away."""
        if seat := self._seats.get(session_id):
            return seat.session.snapshot() | {"connected": seat.peer is not None}
        record = await self._known(session_id)
        record = record or SessionRecord(session_id=session_id)
        history = [{"user": exchange.user, "heard": exchange.heard} for exchange in record.history]
        unheard = list(record.pending.clauses[record.pending.first_unheard :]) if record.pending else []
        return {"session_id": session_id, "state": record.state, "history": history, "unheard": unheard, "connected": False}

    async def erase(self, session_id: str) -> None:
        """Ends the conversation of an authorized session and erases what is stored of it. Raises Unknown and StoreError."""
        async with self._lock(session_id):
            if seat := self._seats.get(session_id):
                task = self._tasks[seat]
                self._drop(seat, Error(code="deleted", message=ERASED, fatal=True))
                await asyncio.gather(task, return_exceptions=True)
            else:
                await self._known(session_id)
            await self._store.erase(session_id)

    async def _known(self, session_id: str) -> SessionRecord | None:
        """What is stored of a session; None where it may still begin. Raises Unknown and StoreError."""
        with erased_is_unknown():
            record = await self._store.load(session_id)
        if record is None:
            self._tickets.check_age(session_id)
        return record
