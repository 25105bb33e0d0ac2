"""What the services make of a stretch of audio, and a substitute for the answer of a service that fails: the conversation goes
on without it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher

from app.core.clock import Clock
from app.core.latency import Spans
from app.core.telemetry import wasted
from languages.wording import words_of
from services.base import Audio, EarlyClass, ServiceError, Services, ServiceUnavailable, Transcript

log = logging.getLogger(__name__)

# Intents that are whole in a few words: nothing has to follow them. A greeting is none: of 14 turns of task
# dialogues (Schema-Guided Dialogue) that begin with one not one ends there, nor do three in recordings. Yes and no are none either
# ("Yes, I'd like ..."): how likely they are all is judged.
ORDERS = frozenset(
    "stop repeat go_on goodbye thanks help change_speed change_volume change_voice change_language time date "
    "cancel_timer list_timers human".split()
)
ORDER_CONFIDENCE = 0.85
CLOSER_LIMIT_S, LOST_LIMIT_S = 0.8, 4.0  # for a closer look at a turn, and at one of which there is no word yet
# Belief that nothing was said above which a sound may be several people at once, or music; and likeness of what two looks make
# of it below which neither has understood anybody.
MAY_BE_NOBODY, ALIKE = 0.15, 0.6


class Recognition:
    """Asks the services for one conversation. `vocabulary` gives words to expect."""

    def __init__(self, services: Services, clock: Clock, vocabulary: Callable[[], str]) -> None:
        self._services = services
        self._clock = clock
        self._vocabulary = vocabulary
        self._read = (0.0, "")  # where the turn begins that was read last, and its text

    def draft_tokens(self, turn_ms: float) -> str:
        """The text of the last interim transcript of the turn that began at `turn_ms`, "" where there is none."""
        return self._read[1] if self._read[0] == turn_ms else ""

    async def interim(self, audio: Audio, turn_ms: float) -> str:
        """The text so far, "" where the service cannot give one now."""
        try:
            return (await self._transcribe(audio, turn_ms, final=False)).text
        except ServiceUnavailable:
            return ""  # skipped under load: the next one comes soon
        except Exception as error:
            _failed("no interim transcript: %s", error)
            return ""

    async def final(self, audio: Audio, turn_ms: float, spans: Spans) -> Transcript:
        """The text of what may be the whole turn. Work that is cancelled is counted as wasted. Raises what the recogniser
        raises."""
        try:
            with spans.working("stt", self._clock):
                transcript = await self._transcribe(audio, turn_ms, final=True)
        except asyncio.CancelledError:
            wasted(spans)
            raise
        spans.mark("stt_final", self._clock.ms())
        return transcript

    async def closer(self, audio: Audio, turn_ms: float, first: Transcript, spoken: bool = False) -> Transcript:
        """A closer look at the turn that gave `first`; `first` where that look is no better, or does not come in time. `spoken`:
        it surely is a voice, so that words which both looks find are believed. A service over the network looks one way only and
        is paid by the call, so it is not asked."""
        if "stt" in self._services.remote:
            return first
        try:
            async with asyncio.timeout(CLOSER_LIMIT_S if first.text else LOST_LIMIT_S):
                second = await self._transcribe(audio, turn_ms, final=True, thorough=True)
        except Exception as error:
            _failed("no closer look at a turn: %s", error)
            return first
        return better_look(_all_of(first), _all_of(second)) if spoken and not first.text else better_look(first, second)

    async def _transcribe(self, audio: Audio, turn_ms: float, final: bool, thorough: bool = False) -> Transcript:
        draft, prompt = self.draft_tokens(turn_ms), self._vocabulary() if final else ""
        transcript = await self._services.stt.transcribe(audio, final=final, prompt=prompt, draft=draft, thorough=thorough)
        self._read = (turn_ms, transcript.text or draft)
        return transcript

    async def completeness(self, audio: Audio) -> float:
        """The end-of-turn probability (0..1); 0 where the service fails, so that the longest silence decides."""
        try:
            return await self._services.turn.complete(audio)
        except Exception as error:
            _failed("no end-of-turn verdict, the limits decide: %s", error)
            return 0.0

    async def is_order(self, text: str) -> bool:
        """Whether `text` is an order that is whole as it stands."""
        try:
            intent = await self._services.intent.classify(text)
        except Exception as error:
            _failed("whether this is an order is not known: %s", error)
            return False
        return intent.name in ORDERS and intent.confidence >= ORDER_CONFIDENCE

    async def classify(self, audio: Audio) -> EarlyClass | None:
        """The class of a burst by its beginning; None where its words must decide."""
        try:
            return await self._services.barge_in.classify(audio)
        except Exception as error:
            _failed("the words of the burst must decide: %s", error)
            return None

    async def words(self, audio: Audio) -> str:
        """The words of a burst, "" where the service fails."""
        try:
            return await self._services.barge_in.words(audio)
        except Exception as error:
            _failed("a burst could not be identified: %s", error)
            return ""


def better_look(first: Transcript, second: Transcript) -> Transcript:
    """The better of two looks at a turn: the closer one, where it has words and they are others. Which look is surer of itself
    says less: by that, 12 short answers had half of their characters wrong, instead of less than a quarter. The sound of the
    end is taken from the first look, whose window is that of the recordings its weights were made from. A sound that may be no
    speech at all is understood only where both looks have the same words."""
    if first.no_speech > MAY_BE_NOBODY and not _alike(first.written or first.text, second.written or second.text):
        return replace(second, text="")
    if not words_of(second.text) or words_of(second.text) == words_of(first.text):
        return first
    return second if first.ending is None else replace(second, ending=first.ending)


def _all_of(look: Transcript) -> Transcript:
    """The look with all that was written, whether it was believed or not."""
    return replace(look, text=look.text or look.written)


def _alike(one: str, other: str) -> bool:
    """Whether two texts are alike by their letters and digits."""
    return SequenceMatcher(None, "".join(words_of(one)), "".join(words_of(other)), autojunk=False).ratio() >= ALIKE


def _failed(message: str, error: Exception) -> None:
    """A service that is away or late is expected; whatever else it raises is a fault of ours, and shown whole."""
    log.warning(message, error, exc_info=not isinstance(error, ServiceError | TimeoutError))
