"""The work that the turn-taking policy asks for: interim transcripts, what a burst over the agent is, preparing the end of a
turn. One job of a kind runs at a time; a fault in one job costs no other."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial

from app.core.latency import Spans
from app.settings import Settings
from app.turn_taking.audio_buffer import EchoReference, RingBuffer
from app.turn_taking.detector import TurnDetector
from app.turn_taking.listener import Listener
from app.turn_taking.pause import Pause
from app.turn_taking.recognition import Recognition
from app.turn_taking.signals import Ask, Signal
from app.turn_taking.speaker_lock import SpeakerLock
from languages.wording import is_echo
from services.base import Audio, ServiceError

log = logging.getLogger(__name__)

ECHO_FOUND_MS = 384.0  # the age of a burst at which an echo has been found, if it is one (see services/echo)
BURST_LEAD_MS = 200  # audio before a burst that goes with it to be identified
JOB_LIMIT_S = 20.0  # longer than a recogniser and the one that steps in for it may take: a job that hangs is given up


Work = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects that the pipeline and its jobs share."""

    settings: Settings
    listener: Listener
    detector: TurnDetector
    recognition: Recognition
    buffer: RingBuffer
    echo: EchoReference
    speaker: SpeakerLock

    def turn_audio(self) -> Audio:
        """The sound of the user's turn so far, with what came just before it."""
        return self.buffer.cut(self.detector.turn.start_ms - self.settings.preroll_ms)


class Jobs:
    """Runs the jobs of one conversation. `act` is called with the signals that the policy returns for a job's result."""

    def __init__(self, parts: Parts, act: Callable[[Iterable[Signal]], None]) -> None:
        self._parts = parts
        self._detector = parts.detector
        self._listener = parts.listener
        self._act = act
        self._running: dict[Ask, asyncio.Task[None]] = {}
        self._identify_again = False
        self._window_done = asyncio.Event()  # set for a moment when a window has been worked through
        self.pause: Pause | None = None  # the last one that was looked at

    def wake(self) -> None:
        """Tells the jobs that a window has been worked through."""
        self._window_done.set()
        self._window_done.clear()

    def stop(self) -> None:
        """Cancels every job."""
        for job in self._running.values():
            job.cancel()

    def cancel(self, *asks: Ask) -> None:
        """Cancels the jobs of these kinds."""
        for ask in asks:
            if job := self._running.pop(ask, None):
                job.cancel()

    def no_closer_look(self) -> None:
        """Cancels the closer look at a turn that has ended, unless that look itself ended the turn."""
        job = self._running.get(Ask.PREPARE)
        if job is not None and job is not asyncio.current_task():
            self.cancel(Ask.PREPARE)

    def start(self, ask: Ask) -> None:
        """Starts a job where none of its kind runs. While one runs, a request for an interim transcript or a classification is
        dropped, and one for the words of a burst is met when the running job is done."""
        running = self._running.get(ask)
        if running is None or running.done():
            work = {
                Ask.PARTIAL: self._partial,
                Ask.CLASSIFY: self._classify,
                Ask.IDENTIFY: self._identify,
                Ask.RECOGNISE: self._recognise,
            }[ask]

            def wordless() -> list[Signal]:
                """A burst of which nobody can tell the words is taken for noise."""
                return self._detector.words(self._detector.activity.burst_ms, "", *self._listener.agent())

            self._run(ask, work, wordless if ask is Ask.IDENTIFY else list)
        elif ask is Ask.IDENTIFY:
            self._identify_again = True

    def prepare(self, window_at: float) -> None:
        """Starts the work at a pause: the user pauses since the window that arrived at `window_at` (clock ms). Where the work
        fails the policy is told so, for a turn without an answer would never end."""
        self.cancel(Ask.PARTIAL, Ask.PREPARE)
        turn = self._detector.turn
        spans = Spans(zero=window_at - self._detector.activity.silence_ms)
        spans.mark("pause_detected", window_at)
        audio, revision = self._parts.turn_audio(), turn.revision
        self.pause = Pause(self._parts.recognition, turn, self._listener, self._act, audio, spans)
        self._run(Ask.PREPARE, self.pause.work, lambda: turn.failed(revision))

    def learn_user(self) -> None:
        """Learns from the turn that has ended how loudly the user speaks, and in what voice. A turn that was begun over the
        agent, or is much weaker than the turns before, counts only where its voice is known to be the user's."""
        locked = self._parts.settings.speaker_lock
        in_doubt = self._detector.level.turn_in_doubt(locked and self._parts.speaker.known)
        if locked:
            self._run(Ask.RECOGNISE, partial(self._learn, self._parts.turn_audio(), in_doubt), list)
        elif not in_doubt:
            self._detector.level.learn()

    async def _learn(self, audio: Audio, in_doubt: bool) -> None:
        if await self._parts.speaker.learn(audio, in_doubt):
            self._detector.level.learn()

    def _run(self, ask: Ask, work: Work, instead: Callable[[], list[Signal]]) -> None:
        self._running[ask] = asyncio.create_task(self._supervised(ask, work, instead))

    async def _supervised(self, ask: Ask, work: Work, instead: Callable[[], list[Signal]]) -> None:
        """Does `work`, whose faults cost nothing else: the policy then gets the signals of `instead`."""
        try:
            async with asyncio.timeout(JOB_LIMIT_S):
                await work()
        except (Exception, asyncio.CancelledError) as error:
            if is_ours(error):
                raise
            log.error("%s failed: %r", ask.name.lower(), error, exc_info=not isinstance(error, ServiceError | TimeoutError))
            self._act(instead())

    # --- the work -----------------------------------------------------------------------------------------------------

    async def _partial(self) -> None:
        number, revision, start_ms = self._detector.turn.number, self._detector.turn.revision, self._detector.turn.start_ms
        if text := await self._parts.recognition.interim(self._parts.turn_audio(), start_ms):
            self._listener.interim(self._detector.turn.whole(text), False, number, revision)

    async def _classify(self) -> None:
        burst = self._detector.activity.burst_ms
        verdict = await self._parts.recognition.classify(self._parts.buffer.cut(burst - BURST_LEAD_MS))
        if verdict is None:
            return
        if self._parts.echo.suspected:
            # It may be the agent itself: when that is found meanwhile, the burst is over. What counts is the audio that was
            # looked at, not the time that took.
            while self._detector.activity.now_ms - burst < ECHO_FOUND_MS:
                await self._window_done.wait()
        self._act(self._detector.classified(burst, verdict.speech, verdict.text, *self._listener.agent()))

    async def _recognise(self) -> None:
        burst = self._detector.activity.burst_ms
        likeness = await self._parts.speaker.likeness(self._parts.buffer.cut(burst))
        if likeness is not None:
            self._act(self._detector.recognised(burst, likeness, *self._listener.agent()))

    async def _identify(self) -> None:
        while True:
            self._identify_again = False
            burst = self._detector.activity.burst_ms
            text = await self._parts.recognition.words(self._parts.buffer.cut(burst - BURST_LEAD_MS))
            if is_echo(text, self._listener.saying()):
                self._act(self._detector.echo())
            elif not (self._identify_again and self._detector.turn.wording.is_wordless(text)):
                self._act(self._detector.words(burst, text, *self._listener.agent()))
            if not (self._identify_again and self._detector.overlap.active):
                return


def is_ours(error: BaseException) -> bool:
    """Whether the running task is being cancelled. A service that cancels for reasons of its own has failed."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
