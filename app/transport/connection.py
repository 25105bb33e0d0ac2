"""One connection of a client, whatever carries it: how it opens or resumes its conversation and by when it must have, what it may
send and how fast, when it is idle, how it ends. A transport adds the wire and the sound."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from app.core.client_address import caller
from app.core.limits import Allowance, Episodes, quiet_logger
from app.protocol.codec import BadMessage, parse
from app.protocol.messages import (
    MAX_TOKEN,
    AudioChunk,
    ClientMessage,
    Error,
    Farewell,
    Limits,
    Ping,
    PlaybackDone,
    PlaybackProgress,
    PlaybackStopped,
    Pong,
    Ready,
    ServerMessage,
    Start,
    Stop,
    Text,
)
from app.sessions.registry import Seat, Sessions
from app.sessions.tokens import Refused
from app.settings import Settings
from app.transport.pending import WaitingRoom
from app.turn_taking.pipeline import BACKLOG
from services.base import VAD_WINDOW, Pcm

log: logging.Logger = quiet_logger(__name__)

MISTAKES = 20  # bad messages that are answered one by one; beyond, and faster than one a second, the client is cut off
MAX_START_BYTES = MAX_TOKEN + 4096  # of a message of somebody who is not known yet
TEXTS_PER_SECOND, TEXTS_AT_ONCE = 1.0, 10.0  # typed turns: each is work for the models that all conversations share
# Sound, in seconds of it a second. A client is in real time; what a stalled network held back comes at once.
SOUND_RATE = 2.0
SOUND_AT_ONCE_S = 10.0  # a little less than voice detection lets wait
FLOOD_S = 60.0  # more than SOUND_RATE by so much is no network's doing
TOLD_AGAIN_S = 5.0  # that sound was dropped
WATCH_S = 1.0  # how often it is looked whether a connection is idle, once it may be


class Connection(ABC):
    """For `Sessions` it is the `Peer`."""

    def __init__(self, sessions: Sessions, settings: Settings, waiting: WaitingRoom) -> None:
        loop = asyncio.get_running_loop()
        self.sessions = sessions
        self.settings = settings
        self.address = caller.get()
        self.now = loop.time
        self.closing = False
        self.seat: Seat | None = None
        self.start: Start | None = None
        self.session_id: str | None = None  # of the credentials that came before `start`, and their token
        self.token: str | None = None
        self.opening: asyncio.Task[None] | None = None
        self._waiting = waiting
        now, rate = self.now(), settings.messages_per_second
        self._messages = Allowance(rate, rate, at=now)
        self._mistakes = Allowance(1, MISTAKES, at=now)
        self._texts = Allowance(TEXTS_PER_SECOND, TEXTS_AT_ONCE, at=now)
        self._sound = Allowance(SOUND_RATE, SOUND_AT_ONCE_S, at=now)
        self._flood = Allowance(SOUND_RATE, FLOOD_S, at=now)
        self._dropping = Episodes(TOLD_AGAIN_S)
        self._active_at = now
        self._timer = loop.call_later(settings.start_timeout_s, self._too_late)
        waiting.enter(self)

    # --- what a transport adds ----------------------------------------------------------------------------------------

    @abstractmethod
    def send(self, message: ServerMessage) -> None:
        """Sends `message`, or queues it. Neither waits nor raises."""

    @abstractmethod
    def end(self, last: Farewell | None) -> None:
        """Sends `last`, hangs up within a few seconds whatever the client does, and calls `gone`. Called once at most."""

    @abstractmethod
    def begin(self, seat: Seat, start: Start, ready: Ready) -> None:
        """The conversation is there: sends `ready`, calls `Seat.begin` and carries the sound from now on."""

    @abstractmethod
    def sound(self, message: AudioChunk) -> None:
        """Sound that came as a message. Raises BadMessage."""

    @property
    def connected(self) -> bool:
        """Whether the wire can carry a conversation yet."""
        return True

    # --- beginning and end --------------------------------------------------------------------------------------------

    def _too_late(self) -> None:
        limit = self.settings.start_timeout_s
        self.close(Error(code="start_timeout", message=f"no start within {limit:g} s", fatal=True))

    def ask(self, start: Start) -> None:
        """The client wants to begin. Raises BadMessage when it has begun with something else."""
        if self.start is None:
            self.start = start
            self.proceed()
        elif start != self.start:
            raise BadMessage("already_started", "this connection has its start already", "type")

    def proceed(self) -> None:
        """Opens the conversation once it is known which and the wire can carry it, whichever comes last."""
        if self.opening is None and self.start is not None and self.connected and not self.closing:
            self.opening = asyncio.create_task(self._open(self.start))

    async def _open(self, start: Start) -> None:
        session_id, token, made = start.session_id or self.session_id, start.token or self.token, None
        try:
            if session_id is None and token is None:
                session_id, token, _ = made = self.sessions.create()
            self.sessions.authorize(session_id or "", token or "")
            self._timer.cancel()
            seat = await self.sessions.open(session_id or "", token or "", self)
        except Refused as refused:
            self.close(refused.as_event())
            return
        except Exception:
            log.exception("a conversation could not be opened")
            self.close(Error(code="internal", message="an unexpected error ended the connection", fatal=True))
            return
        self._waiting.leave(self)
        if self.closing:
            self.sessions.release(seat, self)
            return
        self.seat = seat
        self._active_at = self.now()
        self._watch()
        limits = Limits(
            idle_timeout_s=self.settings.idle_timeout_s,
            messages_per_second=self.settings.messages_per_second,
            sound_at_once_s=SOUND_AT_ONCE_S,
        )
        ready = Ready(session_id=seat.session.id, resumed=seat.resumed, sample_rate=start.sample_rate, limits=limits)
        if made is not None:
            ready = ready.model_copy(update={"token": made.token})
        self.begin(seat, start, ready)

    def close(self, last: Farewell | None = None) -> None:
        """Ends the connection, with `last` as its last message. Returns at once; only the first call counts."""
        if not self.closing:
            self._leave()
            self.end(last)

    def gone(self) -> None:
        """The wire is gone: nothing of the connection is left behind. May be called again."""
        self._leave()
        if self.opening is not None:
            self.opening.cancel()
        seat, self.seat = self.seat, None
        if seat is not None:
            self.sessions.release(seat, self)

    def _leave(self) -> None:
        self.closing = True
        self._timer.cancel()
        self._waiting.leave(self)

    # --- idleness -----------------------------------------------------------------------------------------------------

    @property
    def _idle_s(self) -> float:
        """Seconds since somebody spoke or typed, or heard the agent."""
        idle_s = self.now() - self._active_at
        if self.seat is None:
            return idle_s
        session = self.seat.session
        return min(idle_s, (session.clock.ms() - session.hearing.last_sound_at) / 1000)

    @property
    def spare(self) -> bool:
        """Idle, and kept only for a timer that is still to be told: it gives way to whoever needs the place."""
        return self.seat is not None and self._idle_s >= self.settings.idle_timeout_s

    def _watch(self) -> None:
        if self.closing or self.seat is None:
            return
        session, limit = self.seat.session, self.settings.idle_timeout_s
        left = limit - self._idle_s
        # A timer was promised, and what is being said is heard to its end.
        kept = bool(session.memory.timers) or session.state in ("THINKING", "SPEAKING", "INTERRUPTED")
        if left <= 0 and not kept:
            self.close(Error(code="idle_timeout", message=f"nothing was said or typed for {limit:g} s", fatal=True))
        else:
            self._timer = asyncio.get_running_loop().call_later(max(left, WATCH_S), self._watch)

    def _attend(self, session_state: str, message: ClientMessage) -> None:
        """What counts as somebody being there besides speech: typing, and hearing what is being said now."""
        if isinstance(message, Text):
            self._active_at = self.now()
        elif isinstance(message, PlaybackProgress | PlaybackDone | PlaybackStopped) and self.seat is not None:
            ledger = self.seat.session.player.ledger
            if session_state in ("SPEAKING", "INTERRUPTED") and ledger and ledger.generation == message.generation:
                self._active_at = self.now()

    # --- what comes in ------------------------------------------------------------------------------------------------

    def counts(self) -> bool:
        """One more message has come. False when they are too many, and the connection is being ended."""
        if not self.closing and not self._messages.take(self.now()):
            limit = self.settings.messages_per_second
            self.close(Error(code="flood", message=f"more than {limit} messages a second", fatal=True))
        return not self.closing

    def take(self, data: str | bytes) -> None:
        """One message in JSON. Raises nothing."""
        self.guard(lambda: self._take(self._parse(data)))

    def _parse(self, data: str | bytes) -> ClientMessage:
        if self.seat is None and len(data) > MAX_START_BYTES:
            raise BadMessage("too_large", f"before the conversation has begun a message has at most {MAX_START_BYTES} bytes")
        return parse(data)

    def guard(self, work: Callable[[], None]) -> None:
        """Does the work of one message. What is wrong with it is told to the client, who is cut off where that goes on."""
        try:
            work()
            return
        except BadMessage as error:
            told = error.as_event()
        except Exception:
            log.exception("a message could not be handled")
            told = Error(code="internal", message="an unexpected error: this message had no effect")
        self.send(told)
        if not self._mistakes.take(self.now()):
            self.close(Error(code="too_many_errors", message="too many messages that cannot be used", fatal=True))

    def _take(self, message: ClientMessage) -> None:
        match message:
            case Ping():
                self.send(Pong())
            case Start():
                self.ask(message)
            case AudioChunk():
                self.sound(message)
            case Stop() if self.seat is None:
                self.close()
            case _:
                session = self.seated().session
                if isinstance(message, Text) and not self._texts.take_if_left(self.now(), 1):
                    raise BadMessage("too_fast", f"text: more than {TEXTS_PER_SECOND:g} a second are not taken", "text")
                self._attend(session.state, message)
                session.receive(message)

    def seated(self) -> Seat:
        """The conversation that it has. Raises BadMessage before there is one."""
        if self.seat is None:
            raise BadMessage("not_started", "the first message is start", "type")
        return self.seat

    def admit(self, seconds: float) -> bool:
        """Whether so much more sound may be heard. What may not is dropped, and the client is told once an episode."""
        now = self.now()
        if self.closing or self.seat is None:
            return False
        if not self._flood.take(now, seconds):
            self.close(Error(code="flood", message="far more sound than there is time to hear it", fatal=True))
            return False
        if self._sound.take_if_left(now, seconds):
            return True
        self._dropped(f"sound that is more than {SOUND_AT_ONCE_S:g} s ahead of time is dropped")
        return False

    def listen(self, samples: Pcm) -> None:
        """int16 mono at HEARING_RATE that was admitted."""
        session = self.seated().session
        if session.hearing.behind + len(samples) // VAD_WINDOW >= BACKLOG:
            self._dropped("the server is behind with hearing: some sound was dropped")
        else:
            session.hear(samples)

    def _dropped(self, words: str) -> None:
        if self._dropping.begins(self.now()) and self.seat is not None:
            log.warning("session %s: %s", self.seat.session.id, words)
            self.seat.session.context.send(Error(code="sound_dropped", message=words))
