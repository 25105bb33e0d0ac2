"""The ears of one conversation: from frames of audio to what the session acts on. It runs voice detection on every window, lets
`turns` decide, and does the work that `turns` asks for (captions, words of a burst, preparing the end of a turn)."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from app.clock import Clock
from app.events import BargeIn, Happening, OnsetDismissed, OnsetHeld, Prompted, SpeechOnset, TurnEnded, TurnReopened
from app.latency import Spans
from app.resample import Resampler
from app.settings import Settings
from app.signals import Agent, Ask, Confirmed, Dismissed, Ended, Held, Onset, Signal
from app.telemetry import wasted
from app.turns import Turns
from app.wording import asks_openly, is_echo, is_whole_question, is_wordless
from services.base import (
    HEARING_RATE,
    SPEAKING_RATE,
    VAD_WINDOW,
    Audio,
    Pcm,
    ServiceError,
    Services,
    ServiceUnavailable,
    Transcript,
)

log = logging.getLogger(__name__)

TAPE_S = 45  # seconds of audio kept: the longest turn, its pre-roll and a pause
BACKLOG = 320  # windows waiting for voice detection (10 s); more than that is dropped, oldest first
ECHO_MS = 1000.0  # the agent's voice may come back for so long after it was sent
ECHO_FOUND_MS = 384.0  # the age of a burst at which an echo has been found, if it is one (see services/echo)
BURST_LEAD_MS = 200  # audio before a burst that goes with it to be identified
# Intents that are whole in a few words: nothing has to follow them.
ORDERS = frozenset(
    "stop repeat go_on greeting goodbye thanks help yes no change_speed change_volume change_voice change_language time date "
    "cancel_timer list_timers human".split()
)
ORDER_CONFIDENCE = 0.85
WHOLE = 0.93  # probability that the sentence ends, above which a whole question is over, whatever its melody: 3 of 4 that are


class Listener(Protocol):
    """What the ears need of the session."""

    def agent(self) -> tuple[Agent, float]:
        """What the agent is doing, and for how many ms it has been audible in this reply."""
        ...

    def saying(self) -> str:
        """The text of the reply that is being spoken."""
        ...

    def happened(self, event: Happening) -> None: ...

    def caption(self, text: str, final: bool, turn: int, revision: int) -> None: ...

    def prepare(self, turn: int, revision: int, text: str, spans: Spans) -> None:
        """The user paused and said `text` so far: have a reply ready in case the turn has ended."""
        ...

    def drop(self) -> None:
        """The user goes on: what was prepared is void."""
        ...


class Tape:
    """The last TAPE_S seconds of what was heard, addressed in ms since the conversation began."""

    def __init__(self) -> None:
        self._samples = np.zeros(TAPE_S * HEARING_RATE, np.int16)
        self._written = 0

    def append(self, samples: Pcm) -> None:
        at = self._written % len(self._samples)
        head = min(len(samples), len(self._samples) - at)
        self._samples[at : at + head] = samples[:head]
        self._samples[: len(samples) - head] = samples[head:]
        self._written += len(samples)

    def cut(self, start_ms: float) -> Audio:
        """Audio from `start_ms` to now as float32 -1..1; what is no longer kept is left out."""
        size = len(self._samples)
        start = max(int(start_ms * HEARING_RATE / 1000), self._written - size, 0)
        index = np.arange(start, self._written) % size
        return self._samples[index].astype(np.float32) / 32768.0


def _patience(services: Services, settings: Settings) -> dict[str, object]:
    """A service that is paid by the call is not asked at every breath, only where the turn may end."""
    paid = "stt" in services.remote and not settings.speculate_remotely
    return {"pause_ms": max(settings.pause_ms, settings.end_silence_ms)} if paid else {}


class Hearing:
    def __init__(
        self,
        services: Services,
        settings: Settings,
        clock: Clock,
        listener: Listener,
        vocabulary: Callable[[], str],
        turn: int,
    ) -> None:
        """`vocabulary` gives words to expect, `turn` is the number of the last turn of a conversation that is resumed."""
        self._services = services
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._vocabulary = vocabulary
        self._turns = Turns(settings.model_copy(update=_patience(services, settings)), turn)
        self._detector = services.vad.detector()
        self._canceller = services.echo.canceller()
        self._own = Resampler(SPEAKING_RATE, HEARING_RATE)
        self._own_voice: Pcm = np.zeros(0, np.int16)  # spoken, and not yet set against what is heard
        self._own_voice_ms = -ECHO_MS  # when there last was some, in ms of audio received
        self._tape = Tape()
        self._rest = np.zeros(0, np.int16)
        self._windows: deque[tuple[Pcm, float]] = deque(maxlen=BACKLOG)
        self._arrived = asyncio.Event()
        self._window_at = 0.0  # clock ms at which the window in hand arrived
        self._window_done = asyncio.Event()  # set for a moment when a window has been worked through
        self._read = (0.0, "")  # the last text of a turn, and where the audio that was read begins
        self._jobs: dict[Ask, asyncio.Task[None]] = {}
        self._identify_again = False
        self.last_sound_at = clock.ms()  # clock ms when the user was last heard

    @property
    def undecided(self) -> bool:
        return self._turns.undecided

    def ago(self, at_ms: float) -> float:
        """How many ms ago the sound at `at_ms` was heard."""
        return self._turns.now_ms - at_ms

    def played(self, samples: Pcm) -> None:
        """What the agent says: int16 mono at SPEAKING_RATE, so that it is known when it comes back through the microphone."""
        self._own_voice = np.concatenate((self._own_voice, self._own.feed(samples)))[-HEARING_RATE:]

    def typed_turn(self) -> int:
        """The number of a turn that is typed; a spoken one under way is given up for it."""
        return self._turns.typed()

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
        """Works through what is heard until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._windows:
                    window, self._window_at = self._windows.popleft()
                    await self._listen(window)
        finally:
            for job in self._jobs.values():
                job.cancel()

    async def _listen(self, window: Pcm) -> None:
        try:
            window = await self._without_own_voice(window)
        except ServiceError as error:
            log.error("echo cancellation failed: %s", error)
        self._tape.append(window)
        try:
            probability = await self._detector.probability(window.astype(np.float32) / 32768.0)
        except ServiceError as error:
            log.error("voice detection failed: %s", error)
            probability = 0.0
        level_db = 10 * float(np.log10(np.square(window, dtype=np.float32).mean() + 1e-6))
        for signal in self._turns.window(probability, *self._listener.agent(), level_db):
            self._act(signal)
        self._window_done.set()
        self._window_done.clear()

    async def _without_own_voice(self, window: Pcm) -> Pcm:
        own, self._own_voice = self._own_voice[:VAD_WINDOW], self._own_voice[VAD_WINDOW:]
        if len(own):
            self._own_voice_ms = self._turns.now_ms
        if self._turns.now_ms - self._own_voice_ms > ECHO_MS:
            return window
        known = self._canceller.present
        window = await self._canceller.clean(window, np.pad(own, (0, VAD_WINDOW - len(own))))
        if self._canceller.present and not known:
            for signal in self._turns.echo():
                self._act(signal)
        return window

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
                self.last_sound_at = self._clock.ms()
                self._listener.happened(TurnEnded(turn=turn, revision=revision, text=text))
            case Ask.DROP:
                self._cancel(Ask.PREPARE)
                self._listener.drop()
            case Ask.PREPARE:
                self._cancel(Ask.PARTIAL, Ask.PREPARE)
                self._jobs[signal] = asyncio.create_task(self._prepare(self._turns.turn, self._turns.revision))
            case Ask.PARTIAL | Ask.GLIMPSE | Ask.IDENTIFY:
                self._start(signal)

    def _cancel(self, *asks: Ask) -> None:
        for ask in asks:
            if job := self._jobs.pop(ask, None):
                job.cancel()

    def _start(self, ask: Ask) -> None:
        """One job of a kind at a time. A caption or a glimpse asked for meanwhile is not missed; the words of a burst asked for
        meanwhile are looked at again when the running job is done."""
        running = self._jobs.get(ask)
        if running is None or running.done():
            work = {Ask.PARTIAL: self._partial, Ask.GLIMPSE: self._glimpse, Ask.IDENTIFY: self._identify}[ask]
            self._jobs[ask] = asyncio.create_task(work())
        elif ask is Ask.IDENTIFY:
            self._identify_again = True

    def _turn_audio(self) -> Audio:
        return self._tape.cut(self._turns.start_ms - self._settings.preroll_ms)

    def _guess(self) -> str:
        """What is known of the turn's text: its last caption."""
        return self._read[1] if self._read[0] == self._turns.start_ms else ""

    async def _transcribe(self, audio: Audio, final: bool) -> Transcript:
        start, guess = self._turns.start_ms, self._guess()
        prompt = self._vocabulary() if final else ""
        transcript = await self._services.stt.transcribe(audio, final=final, prompt=prompt, guess=guess)
        self._read = (start, transcript.text or guess)
        return transcript

    async def _partial(self) -> None:
        turn, revision = self._turns.turn, self._turns.revision
        try:
            text = (await self._transcribe(self._turn_audio(), final=False)).text
        except ServiceUnavailable:
            return  # skipped under load: the next one comes soon
        except ServiceError as error:
            log.warning("no caption: %s", error)
            return
        if text:
            self._listener.caption(text, False, turn, revision)

    async def _glimpse(self) -> None:
        burst = self._turns.burst_ms
        try:
            glimpse = await self._services.barge_in.glimpse(self._tape.cut(burst - BURST_LEAD_MS))
        except ServiceError as error:
            log.warning("the words of the burst must decide: %s", error)
            return
        if self._canceller.suspected and not self._canceller.present:
            # It may be the agent itself: when that is found meanwhile, the burst is over. What counts is the audio that was
            # looked at, not the time that took.
            while self._turns.now_ms - burst < ECHO_FOUND_MS:
                await self._window_done.wait()
        for signal in self._turns.glimpsed(burst, glimpse.speech, glimpse.text, *self._listener.agent()):
            self._act(signal)

    async def _identify(self) -> None:
        while True:
            self._identify_again = False
            burst = self._turns.burst_ms
            text = ""
            try:
                text = await self._services.barge_in.words(self._tape.cut(burst - BURST_LEAD_MS))
            except ServiceError as error:
                log.warning("a burst could not be identified: %s", error)
            if is_echo(text, self._listener.saying()):
                signals = self._turns.echo()
            elif self._identify_again and is_wordless(text):
                signals = []
            else:
                signals = self._turns.words(burst, text, *self._listener.agent())
            for signal in signals:
                self._act(signal)
            if not (self._identify_again and self._turns.undecided):
                return

    async def _prepare(self, turn: int, revision: int) -> None:
        spans = Spans(zero=self._window_at - self._turns.silence_ms)
        spans.mark("pause_detected", self._window_at)
        audio = self._turn_audio()
        # The model would only slow speech-to-text down, and is asked where the words leave it open: at once, where the last
        # caption says so.
        caption = self._guess()
        verdict = asyncio.create_task(self._completeness(audio)) if caption and not asks_openly(caption) else None
        try:
            transcript = await self._final(audio, spans)
            text, complete, understood = transcript.text, 0.0, False
            if text:
                self._listener.caption(text, False, turn, revision)
                self._listener.prepare(turn, revision, text, spans)
                whole = transcript.closed >= WHOLE and is_whole_question(text)
                understood = whole or await self._is_order(text)
                complete = 1.0 if understood else await (verdict or self._completeness(audio))
        finally:
            if verdict is not None:
                verdict.cancel()
        for signal in self._turns.prepared(revision, text, complete, understood, transcript.closed):
            self._act(signal)

    async def _final(self, audio: Audio, spans: Spans) -> Transcript:
        transcript = Transcript("")
        try:
            with spans.working("stt", self._clock):
                transcript = await self._transcribe(audio, final=True)
            spans.mark("stt_final", self._clock.ms())
        except asyncio.CancelledError:
            wasted(spans)
            raise
        except ServiceError as error:
            log.error("speech could not be recognised: %s", error)
            self._listener.happened(Prompted(line="apology_stt"))
        return transcript

    async def _completeness(self, audio: Audio) -> float:
        try:
            return await self._services.turn.complete(audio)
        except ServiceError as error:
            log.warning("no end-of-turn verdict, the limits decide: %s", error)
            return 0.0

    async def _is_order(self, text: str) -> bool:
        try:
            intent = await self._services.intent.classify(text)
        except ServiceError as error:
            log.warning("whether this is an order is not known: %s", error)
            return False
        return intent.name in ORDERS and intent.confidence >= ORDER_CONFIDENCE
