"""What the agent says by itself: greeting, fillers, apologies, goodbye, and its answers to turns about the conversation itself
(repeat, go on, slower). Every line lives in `lines.yaml` of its language."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import yaml

from app.dialogue.clauses import first_clause
from app.dialogue.memory import Act, Memory
from languages.base import Language
from services.base import Intent, ServiceError, Speech, TextToSpeech, closing
from services.followup import FollowUps

SPOKEN_AHEAD = (
    "greeting",
    "welcome_back",
    "filler",
    "filler_long",
    "not_caught",
    "apology_stt",
    "apology_llm",
    "apology_retrieval",
    "apology_timeout",
    "apology",
)
BEGUN_AHEAD = ("unknown",)  # lines whose first clause is spoken ahead: the rest is made while that is heard
AT_ONCE = 2  # lines: the voice takes one core each
PLAIN_LINES = {  # intents that one line answers
    "greeting": "hello",
    "goodbye": "goodbye",
    "thanks": "thanks",
    "small_talk": "small_talk",
    "yes": "yes",
    "acknowledgement": "acknowledged",
    "no": "no",
    "human": "human",
    "stop": "stopped",
    "help": "help",
    "capabilities": "help",
    "change_language": "language",
    "change_voice": "voice",
}
OF_EVERY_CONVERSATION = frozenset(PLAIN_LINES.values()) | {  # lines that a language must have
    "greeting",
    "welcome_back",
    "filler",
    "filler_long",
    "still_there",
    "silence_goodbye",
    "not_caught",
    "unknown",
    "apology",
    "thread_lost",
    "repeat",
    "nothing_to_repeat",
    "nothing_left",
    "slower",
    "faster",
    "louder",
    "quieter",
}
TAKES_OFFERS = frozenset({"yes", "acknowledgement"})
SPEED_STEP = 1.15
GAIN_STEP = 1.5
OFFERED = 3  # topics


class Phrasebook:
    """The lines of one language, shared by all sessions, and the speech of the lines that must come at once or when the voice
    service has failed."""

    def __init__(self, language: Language, path: Path | None = None) -> None:
        """`path`: a file with other lines than those of the language. Raises ValueError when the file is not the expected YAML,
        or lacks lines of OF_EVERY_CONVERSATION."""
        path = path or language.folder / "lines.yaml"
        try:
            raw = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
            self._persona, self._prompt = str(raw.pop("persona")), str(raw.pop("prompt"))
            self.lines: dict[str, list[str]] = {
                str(name): [lines] if isinstance(lines, str) else [str(line) for line in lines] for name, lines in raw.items()
            }
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: cannot read the lines that are spoken: {error}") from error
        if missing := sorted(name for name in OF_EVERY_CONVERSATION if not self.lines.get(name)):
            raise ValueError(f"{path}: these lines are missing: {', '.join(missing)}")
        self.language = language
        self._spoken: dict[str, list[Speech]] = {}
        self._speaking = asyncio.Lock()
        self.speed = 1.0  # of what is spoken ahead

    def instructions(self, persona: str = "") -> str:
        """The instructions for a language model: who it is (`persona`, or the persona of the language), and how to speak."""
        return f"{persona or self._persona}\n\n{self._prompt}"

    async def speak_ahead(self, tts: TextToSpeech, speed: float) -> None:
        """Synthesises the lines of SPOKEN_AHEAD and the first clauses of BEGUN_AHEAD that have no speech yet, AT_ONCE at a
        time. Raises ServiceError."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def say(line: str) -> None:
            async with turns:
                self._spoken[line] = [piece async for piece in tts.speak(line, speed=speed)]

        whole = [line for name in SPOKEN_AHEAD for line in self.lines.get(name, ())]
        begun = [first_clause(line, self.language) for name in BEGUN_AHEAD for line in self.lines.get(name, ())]
        async with self._speaking:
            self.speed = speed
            await tts.warm()
            await asyncio.gather(*(say(line) for line in whole + begun if line not in self._spoken))

    def spoken(self, text: str) -> list[Speech] | None:
        """The speech of a line that was synthesised ahead, or None."""
        return self._spoken.get(text)


def _factor(way: int, step: float, now: float) -> float:
    """By what to change what is `now` so much, `way` up or down; 0 brings it back to 1."""
    return step**way if way else 1 / now


def _said_of(factor: float, less: str, more: str) -> str:
    """The line that says what changes."""
    if factor == 1:
        return "stopped"
    return less if factor < 1 else more


def _covers(wider: str, topic: str) -> bool:
    """Whether every word of `topic` is in `wider`: "running Parley" beside "Parley" offers nothing more."""
    return set(topic.lower().split()) <= set(wider.lower().split())


class Dialogue:
    """The lines of the agent in one conversation."""

    def __init__(self, phrasebook: Phrasebook, topics: Sequence[str], rng: random.Random | None = None) -> None:
        self.phrasebook = phrasebook
        self.language = phrasebook.language
        self._follow_ups = FollowUps(phrasebook.language.follow_ups)
        self._topics = list(topics)
        self._rng = rng or random.Random()
        self._last: dict[str, str] = {}

    def line(self, name: str, **values: str) -> str:
        """A line by its name, never the same variant twice in a row. An unknown apology falls back to the general one."""
        lines = self.phrasebook.lines
        variants = lines.get(name) or lines["apology" if name.startswith("apology") else name]
        fresh = [variant for variant in variants if variant != self._last.get(name)] or variants
        choice = self._last[name] = self._rng.choice(fresh)
        return choice.format_map({"topics": self._offer(), **values}) if "{" in choice else choice

    def _offer(self) -> str:
        some: list[str] = []
        for topic in self._rng.sample(self._topics, min(2 * OFFERED, len(self._topics))):
            if len(some) < OFFERED and not any(_covers(topic, other) or _covers(other, topic) for other in some):
                some.append(topic)
        return self.language.says.either(some)

    def leans(self, text: str) -> bool:
        """Whether a turn goes on with the one before it, corrects it, or only asks of it."""
        return self._follow_ups.leans(text)

    def meta_intent(self, intent: Intent, text: str, memory: Memory) -> Act | None:
        """The answer to a turn that is about the conversation itself; None: the turn is not."""
        if intent.name in TAKES_OFFERS and self._follow_ups.offered(memory.last_heard):
            return None
        match intent.name:
            case "repeat":
                heard = memory.last_heard
                return Act([self.line("repeat", text=heard) if heard else self.line("nothing_to_repeat")])
            case "go_on":
                if memory.unheard:
                    return Act(list(memory.unheard))
                return None if memory.history else Act([self.line("nothing_left")])
            case "change_speed":
                factor = _factor(self.language.intents.pace(text), SPEED_STEP, memory.speed)
                return Act([self.line(_said_of(factor, "slower", "faster"))], speed=factor)
            case "change_volume":
                factor = _factor(self.language.intents.volume(text), GAIN_STEP, memory.gain)
                return Act([self.line(_said_of(factor, "quieter", "louder"))], gain=factor)
            case name if name in PLAIN_LINES:
                return Act([self.line(PLAIN_LINES[name])])
        return None

    async def speak(self, clause: str, tts: TextToSpeech, speed: float, voice: str = "") -> AsyncIterator[Speech]:
        """Speech for a clause. The speech of a line that was synthesised ahead is used only where the voice service has failed,
        or, if no `voice` was chosen, where it has the right pace."""
        ready = self.phrasebook.spoken(clause)
        if ready and speed == self.phrasebook.speed and not voice:
            for piece in ready:
                yield piece
            return
        try:
            async with closing(tts.speak(clause, speed=speed, voice=voice)) as pieces:
                async for piece in pieces:
                    yield piece
        except ServiceError:
            if not ready:
                raise
            for piece in ready:
                yield piece
