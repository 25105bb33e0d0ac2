"""The hearing of one conversation: from frames of audio to what the user does. Voice detection runs on every window, the
detector decides, and the jobs do the work that it asks for."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np

from app.core.clock import Clock
from app.protocol.events import OnsetDismissed, SpeechOnset, TurnEnded, TurnUnrecognised
from app.settings import Settings
from app.turn_taking.audio_buffer import EchoReference, Offset, RingBuffer
from app.turn_taking.detector import TurnDetector
from app.turn_taking.endpointing import LEAST_MS
from app.turn_taking.jobs import Jobs, Parts, is_ours
from app.turn_taking.levels import Gain, level
from app.turn_taking.listener import Listener
from app.turn_taking.recognition import Recognition
from app.turn_taking.signals import Ask, Signal
from app.turn_taking.speaker_lock import SpeakerLock
from languages.base import Language
from services.base import VAD_WINDOW, Audio, Pcm, ServiceError, Services

log = logging.getLogger(__name__)

WINDOW_LIMIT_S = 5.0  # for one window to be looked at, 1 ms of work: one that hangs makes deaf, and half the backlog is gone
BACKLOG = 320  # windows waiting for voice detection (10 s); more than that is dropped, oldest first


def _patience(services: Services, settings: Settings) -> dict[str, object]:
    """A service that is paid by the call is not asked at every short pause, only where the turn may end."""
    paid = "stt" in services.remote and not settings.speculate_remotely
    return {"pause_ms": max(settings.pause_ms, round(LEAST_MS))} if paid else {}


class _Window:
    """VAD_WINDOW samples of sound, int16 at HEARING_RATE."""

    def __init__(self, samples: Pcm) -> None:
        self.samples = samples

    @cached_property
    def level(self) -> float:
        """The level of the window, as `levels.level` measures it."""
        return level(self.samples)


class _Faults:
    """Tells once that a service fails, and again only after it has worked."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._failing: set[str] = set()

    def report(self, service: str, error: BaseException | None) -> None:
        """Notes that a call of `service` failed with `error`; None: it worked."""
        if error is None:
            if service in self._failing:
                self._failing.discard(service)
                log.info("%s works again", service)
        elif service not in self._failing:
            self._failing.add(service)
            log.error("%s failed: %r", service, error, exc_info=not isinstance(error, ServiceError))
            if service != "echo":  # without which the conversation goes on
                self._listener.failed(service)


class HearingPipeline:
    """The hearing of one conversation."""

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
        self._clock = clock
        self._listener = listener
        self._detector = TurnDetector(settings.model_copy(update=_patience(services, settings)), language, turn)
        self._vad = services.vad.detector()
        self._gain = Gain()
        self._offset = Offset()
        self._echo = EchoReference(services.echo.canceller())
        self._buffer = RingBuffer()
        self._recognition = recognition = Recognition(services, clock, vocabulary)
        speaker = SpeakerLock(services.speaker)
        parts = Parts(settings, listener, self._detector, recognition, self._buffer, self._echo, speaker)
        self._jobs = Jobs(parts, self._act_on)
        self._faults = _Faults(listener)
        self._rest = np.zeros(0, np.int16)
        self._windows: deque[tuple[Pcm, float]] = deque(maxlen=BACKLOG)
        self._arrived = asyncio.Event()
        self._window_at = 0.0  # clock ms at which the window in hand arrived
        self._asked_again = False  # the last turn was not understood
        self.last_sound_at = clock.ms()  # clock ms when the user was last heard

    @property
    def overlap_pending(self) -> bool:
        """Whether somebody makes a sound over the agent and it is not yet decided what it is."""
        return self._detector.overlap.active

    @property
    def taking_turn(self) -> bool:
        """Whether a turn of the user's is under way."""
        return self._detector.turn.open

    def ago(self, at_ms: float) -> float:
        """How many ms ago the sound at `at_ms` was heard."""
        return self._detector.activity.now_ms - at_ms

    def played(self, samples: Pcm) -> None:
        """Takes what the agent says (int16 mono at SPEAKING_RATE), so that it is known when it comes back through the
        microphone."""
        self._echo.played(samples)

    @property
    def said_so_far(self) -> str:
        """What was said in a turn that pauses, as far as it has been read: it may be over. "" while the user speaks."""
        turn = self._detector.turn
        said = turn.whole(self._recognition.draft_tokens(turn.start_ms)) if turn.open and turn.paused else ""
        return "" if turn.wording.is_wordless(said) else said

    def typed_turn(self, continues: bool = False) -> int:
        """The number of a turn that is typed, or that `continues` the last one; a spoken turn under way is given up for it."""
        return self._detector.typed(continues)

    @property
    def behind(self) -> int:
        """How many windows wait for voice detection."""
        return len(self._windows)

    def hear(self, samples: Pcm) -> None:
        """Takes sound: int16 mono at HEARING_RATE, any length. Never blocks; when detection falls far behind, the oldest audio
        is dropped."""
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
        """Works through the sound until cancelled. A fault in our code costs the turn under way."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._windows:
                    window, self._window_at = self._windows.popleft()
                    try:
                        await self._listen(window)
                        self._faults.report("hearing", None)
                    except Exception as error:
                        self.failed(error)
        finally:
            self._jobs.stop()

    def failed(self, error: BaseException) -> None:
        """By a fault of ours the turn under way is lost; whatever that leads to, the sound after it is heard."""
        self._faults.report("hearing", error)
        try:
            self._act_on(self._detector.give_up())
            self._jobs.wake()
        except Exception:
            log.exception("a turn could not be given up")

    async def _listen(self, samples: Pcm) -> None:
        samples = self._offset.taken_from(samples)
        known = self._echo.found
        clean = self._echo.taken_from(samples, self._detector.activity.now_ms)
        window = _Window(samples)
        fault: BaseException | None = None

        def cleaned() -> Audio:  # on the thread that looks for a voice in it
            nonlocal window, fault
            try:
                window = _Window(clean()) if clean is not None else window
            except (Exception, asyncio.CancelledError) as error:
                fault = error
            return window.samples.astype(np.float32) * np.float32(self._gain.of(window.level) / 32768.0)

        try:
            async with asyncio.timeout(WINDOW_LIMIT_S):
                probability = await self._vad.probability(cleaned() if clean is None else cleaned)
            self._faults.report("vad", None)
        except (Exception, asyncio.CancelledError) as error:
            if is_ours(error):
                raise
            self._faults.report("vad", error)
            probability = 0.0
        self._faults.report("echo", fault)
        if self._echo.found and not known:
            self._act_on(self._detector.echo())
        self._buffer.append(window.samples)
        self._detector.half_duplex = self._listener.half_duplex()
        self._detector.turn.hurried = self._listener.text_waits()
        self._act_on(self._detector.window(probability, *self._listener.agent(), window.level))
        self._jobs.wake()

    def _act_on(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._act(signal)

    def _act(self, signal: Signal) -> None:
        match signal:
            case Ask.DROP:
                self._jobs.cancel(Ask.PREPARE)
                self._listener.drop()
            case Ask.PREPARE:
                self._jobs.prepare(self._window_at)
            case Ask.PARTIAL | Ask.CLASSIFY | Ask.IDENTIFY | Ask.RECOGNISE:
                self._jobs.start(signal)
            case TurnUnrecognised(unclear=True) if self._jobs.pause is not None and self._jobs.pause.noise:
                self._listener.dispatch(OnsetDismissed(kind="noise"))
            case TurnUnrecognised(unclear=unclear):
                line = "apology_stt" if not unclear else "" if self._asked_again else "not_caught"
                self._asked_again = unclear
                self._listener.dispatch(signal.model_copy(update={"line": line}))
            case SpeechOnset():
                self.last_sound_at = self._clock.ms()
                self._listener.dispatch(signal)
            case TurnEnded():
                self._asked_again = False
                self._jobs.no_closer_look()
                self.last_sound_at = self._clock.ms()
                self._jobs.learn_user()
                self._listener.dispatch(signal)
            case _:
                self._listener.dispatch(signal)
