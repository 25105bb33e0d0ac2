"""The ears of one conversation: from frames of audio to what the session acts on. It runs voice detection on every window, lets
`turns` decide, and sees to the work that `turns` asks for (captions, words of a burst, preparing the end of a turn)."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Protocol

import numpy as np

from app.core.clock import Clock
from app.core.latency import Spans
from app.protocol.messages import (
    BargeIn,
    Happening,
    OnsetDismissed,
    OnsetHeld,
    SpeechOnset,
    TurnEnded,
    TurnReopened,
    TurnUnrecognised,
)
from app.settings import Settings
from app.turn_taking import pause
from app.turn_taking.audio_buffer import OwnVoice, Tape
from app.turn_taking.detector import Turns
from app.turn_taking.endpointing import LEAST_MS
from app.turn_taking.recognition import Understanding
from app.turn_taking.signals import Agent, Ask, Confirmed, Dismissed, Ended, Held, Onset, Signal, Unrecognised
from app.turn_taking.speaker_lock import UsersVoice
from languages.base import Language
from languages.wording import is_echo
from services.base import VAD_WINDOW, Audio, Pcm, ServiceError, Services

log = logging.getLogger(__name__)

BACKLOG = 320  # windows waiting for voice detection (10 s); more than that is dropped, oldest first
ECHO_FOUND_MS = 384.0  # the age of a burst at which an echo has been found, if it is one (see services/echo)
BURST_LEAD_MS = 200  # audio before a burst that goes with it to be identified
JOB_LIMIT_S = 20.0  # longer than a recogniser and the one that steps in for it may take: a job that hangs is given up


class Listener(pause.Listener, Protocol):
    """What the ears need of the session."""

    def agent(self) -> tuple[Agent, float]:
        """What the agent is doing, and for how many ms it has been audible in this reply."""
        ...

    def saying(self) -> str:
        """The text of the reply that is being spoken."""
        ...

    def happened(self, event: Happening) -> None: ...

    def failed(self, service: str) -> None:
        """A service without which nothing can be heard has begun to fail."""
        ...

    def drop(self) -> None:
        """The user goes on: what was prepared is void."""
        ...


def _patience(services: Services, settings: Settings) -> dict[str, object]:
    """A service that is paid by the call is not asked at every breath, only where the turn may end."""
    paid = "stt" in services.remote and not settings.speculate_remotely
    return {"pause_ms": max(settings.pause_ms, round(LEAST_MS))} if paid else {}


class Hearing:
    def __init__(
        self,
        services: Services,
        settings: Settings,
        language: Language,
        clock: Clock,
        listener: Listener,
        vocabulary: Callable[[], str],
        turn: int,
    ) -> None:
        """`vocabulary` gives words to expect, `turn` is the number of the last turn of a conversation that is resumed."""
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._turns = Turns(settings.model_copy(update=_patience(services, settings)), language, turn)
        self._detector = services.vad.detector()
        self._own_voice = OwnVoice(services.echo.canceller())
        self._users_voice = UsersVoice(services.speaker)
        self._understanding = Understanding(services, clock, vocabulary)
        self._tape = Tape()
        self._rest = np.zeros(0, np.int16)
        self._windows: deque[tuple[Pcm, float]] = deque(maxlen=BACKLOG)
        self._arrived = asyncio.Event()
        self._window_at = 0.0  # clock ms at which the window in hand arrived
        self._window_done = asyncio.Event()  # set for a moment when a window has been worked through
        self._jobs: dict[Ask, asyncio.Task[None]] = {}
        self._identify_again = False
        self._pause: pause.Pause | None = None  # the last one that was looked at
        self._asked_again = False  # the last turn was not understood
        self._failing: set[str] = set()  # what failed when it was used last
        self.last_sound_at = clock.ms()  # clock ms when the user was last heard

    @property
    def undecided(self) -> bool:
        return self._turns.undecided

    @property
    def taking_turn(self) -> bool:
        """A turn of the user's is under way."""
        return self._turns.open

    def ago(self, at_ms: float) -> float:
        """How many ms ago the sound at `at_ms` was heard."""
        return self._turns.now_ms - at_ms

    def played(self, samples: Pcm) -> None:
        """What the agent says: int16 mono at SPEAKING_RATE, so that it is known when it comes back through the microphone."""
        self._own_voice.played(samples)

    def typed_turn(self, continues: bool = False) -> int:
        """The number of a turn that is typed, or `continues` the last one; a spoken one under way is given up for it."""
        return self._turns.typed(continues)

    @property
    def behind(self) -> int:
        """Windows that wait for voice detection."""
        return len(self._windows)

    def hear(self, samples: Pcm) -> None:
        """int16 mono at HEARING_RATE, any length. Never blocks; when detection falls far behind, the oldest audio is dropped."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // VAD_WINDOW * VAD_WINDOW
        now = self._clock.ms()
        for start in range(0, whole, VAD_WINDOW):
            if len(self._windows) == BACKLOG:
                log.warning("hearing fell %d windows behind: the oldest is dropped", BACKLOG)
            self._windows.append((samples[start : start + VAD_WINDOW], now))
        self._rest = samples[whole:]
        self._arrived.set()

    async def run(self) -> None:
        """Works through what is heard until cancelled. A fault of ours costs the turn under way."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._windows:
                    window, self._window_at = self._windows.popleft()
                    try:
                        await self._listen(window)
                        self._went_well("hearing")
                    except Exception as error:
                        self._went_wrong("hearing", error)
                        self._act_on(self._turns.give_up())
                        self._wake_jobs()
        finally:
            for job in self._jobs.values():
                job.cancel()

    async def _listen(self, window: Pcm) -> None:
        known = self._own_voice.found
        try:
            window = await self._own_voice.taken_from(window, self._turns.now_ms)
            self._went_well("echo")
        except Exception as error:
            self._went_wrong("echo", error)
        if self._own_voice.found and not known:
            self._act_on(self._turns.echo())
        self._tape.append(window)
        try:
            probability = await self._detector.probability(window.astype(np.float32) / 32768.0)
            self._went_well("vad")
        except Exception as error:
            self._went_wrong("vad", error)
            probability = 0.0
        level_db = 10 * float(np.log10(np.square(window, dtype=np.float32).mean() + 1e-6))
        self._act_on(self._turns.window(probability, *self._listener.agent(), level_db))
        self._wake_jobs()

    def _wake_jobs(self) -> None:
        self._window_done.set()
        self._window_done.clear()

    def _went_wrong(self, service: str, error: Exception) -> None:
        """Told once, until it goes well again."""
        if service not in self._failing:
            self._failing.add(service)
            log.error("%s failed: %r", service, error, exc_info=not isinstance(error, ServiceError))
            if service != "echo":  # without which the conversation goes on
                self._listener.failed(service)

    def _went_well(self, service: str) -> None:
        if service in self._failing:
            self._failing.discard(service)
            log.info("%s works again", service)

    def _act_on(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._act(signal)

    def _act(self, signal: Signal) -> None:
        match signal:
            case Onset(at_ms):
                self.last_sound_at = self._clock.ms()
                self._listener.happened(SpeechOnset(at_ms=at_ms))
            case Held():
                self._listener.happened(OnsetHeld())
            case Dismissed(kind):
                self._listener.happened(OnsetDismissed(kind=kind))
            case Confirmed(at_ms, reopens):
                thinking = self._listener.agent()[0] == "thinking"
                event = TurnReopened if reopens or thinking else BargeIn
                self._listener.happened(event(at_ms=at_ms))
            case Ended(turn, revision, text):
                self._asked_again = False
                self._no_closer_look()
                self.last_sound_at = self._clock.ms()
                self._learn_voice()
                self._listener.happened(TurnEnded(turn=turn, revision=revision, text=text))
            case Unrecognised(_, unclear=True) if self._pause is not None and self._pause.noise:
                self._listener.happened(OnsetDismissed(kind="noise"))
            case Unrecognised(turn, unclear):
                line = "apology_stt" if not unclear else "" if self._asked_again else "not_caught"
                self._asked_again = unclear
                self._listener.happened(TurnUnrecognised(turn=turn, unclear=unclear, line=line))
            case Ask.DROP:
                self._cancel(Ask.PREPARE)
                self._listener.drop()
            case Ask.PREPARE:
                self._cancel(Ask.PARTIAL, Ask.PREPARE)
                self._jobs[signal] = asyncio.create_task(self._prepare(self._turns.revision))
            case Ask.PARTIAL | Ask.GLIMPSE | Ask.IDENTIFY | Ask.RECOGNISE:
                self._start(signal)

    def _cancel(self, *asks: Ask) -> None:
        for ask in asks:
            if job := self._jobs.pop(ask, None):
                job.cancel()

    def _no_closer_look(self) -> None:
        """The turn has ended: a closer look at it would come too late. Where that look ended it, nothing more comes of it."""
        job = self._jobs.get(Ask.PREPARE)
        if job is not None and job is not asyncio.current_task():
            self._cancel(Ask.PREPARE)

    def _start(self, ask: Ask) -> None:
        """One job of a kind at a time. A caption or a glimpse asked for meanwhile is not missed; the words of a burst asked for
        meanwhile are looked at again when the running job is done."""
        running = self._jobs.get(ask)
        if running is None or running.done():
            work = {
                Ask.PARTIAL: self._partial,
                Ask.GLIMPSE: self._glimpse,
                Ask.IDENTIFY: self._identify,
                Ask.RECOGNISE: self._recognise,
            }[ask]
            self._jobs[ask] = asyncio.create_task(self._supervised(ask, work))
        elif ask is Ask.IDENTIFY:
            self._identify_again = True

    def _turn_audio(self) -> Audio:
        return self._tape.cut(self._turns.start_ms - self._settings.preroll_ms)

    # --- work that was asked for --------------------------------------------------------------------------------------

    async def _partial(self) -> None:
        turn, revision = self._turns.turn, self._turns.revision
        if text := await self._understanding.caption(self._turn_audio(), self._turns.start_ms):
            self._listener.caption(text, False, turn, revision)

    async def _glimpse(self) -> None:
        burst = self._turns.burst_ms
        glimpse = await self._understanding.glimpse(self._tape.cut(burst - BURST_LEAD_MS))
        if glimpse is None:
            return
        if self._own_voice.suspected:
            # It may be the agent itself: when that is found meanwhile, the burst is over. What counts is the audio that was
            # looked at, not the time that took.
            while self._turns.now_ms - burst < ECHO_FOUND_MS:
                await self._window_done.wait()
        self._act_on(self._turns.glimpsed(burst, glimpse.speech, glimpse.text, *self._listener.agent()))

    def _learn_voice(self) -> None:
        """The turn that has ended was spoken by the user; what was said over the agent may not have been."""
        if self._settings.speaker_lock and self._listener.agent()[0] == "silent":
            learn = partial(self._users_voice.learn, self._turn_audio())
            self._jobs[Ask.RECOGNISE] = asyncio.create_task(self._supervised(Ask.RECOGNISE, learn))

    async def _recognise(self) -> None:
        burst = self._turns.burst_ms
        likeness = await self._users_voice.likeness(self._tape.cut(burst))
        if likeness is not None:
            self._turns.recognised(burst, likeness)

    async def _identify(self) -> None:
        while True:
            self._identify_again = False
            burst = self._turns.burst_ms
            text = await self._understanding.words(self._tape.cut(burst - BURST_LEAD_MS))
            if is_echo(text, self._listener.saying()):
                self._act_on(self._turns.echo())
            elif not (self._identify_again and self._turns.wording.is_wordless(text)):
                self._act_on(self._turns.words(burst, text, *self._listener.agent()))
            if not (self._identify_again and self._turns.undecided):
                return

    async def _supervised(self, ask: Ask, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """What goes wrong in `work` costs nothing else. A burst whose words nobody can tell is taken for noise."""
        try:
            async with asyncio.timeout(JOB_LIMIT_S):
                await work()
        except (Exception, asyncio.CancelledError) as error:
            if _is_ours(error):
                raise
            log.error("%s failed: %r", ask.name.lower(), error, exc_info=True)
            if ask is Ask.IDENTIFY:
                self._act_on(self._turns.words(self._turns.burst_ms, "", *self._listener.agent()))

    async def _prepare(self, revision: int) -> None:
        """Whatever becomes of the work, `turns` is answered: a turn that nobody answers for would never end."""
        spans = Spans(zero=self._window_at - self._turns.silence_ms)
        spans.mark("pause_detected", self._window_at)
        self._pause = pause.Pause(self._understanding, self._turns, self._listener, self._act_on, self._turn_audio(), spans)
        try:
            async with asyncio.timeout(JOB_LIMIT_S):
                await self._pause.work()
        except (Exception, asyncio.CancelledError) as error:
            if _is_ours(error):
                raise
            log.error("a turn could not be recognised: %r", error, exc_info=not isinstance(error, ServiceError | TimeoutError))
            self._act_on(self._turns.failed(revision))


def _is_ours(error: BaseException) -> bool:
    """The running task is being cancelled. What a service cancels for reasons of its own is a failure of the service."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
