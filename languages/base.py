"""A language, as the conversation and the services take it. Whatever is left out tells nothing: the conversation does without."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from languages.sentences import Sentences
from languages.tools import Sayings, Understanding
from languages.wording import NEVER, NO_WORDS, Wording, Words


@dataclass(frozen=True, slots=True, eq=False)
class FollowUpWords:
    """Turns that only make sense after the one before them, as they are compared: in lower case and without marks at the ends.

    `more` is all of a turn that asks for more of the same, of which `why` finds that the turn itself belongs to the question.
    `offer` is how an answer offers another passage by its `{title}` (empty: it does not), `accepts` all of a turn that takes it,
    `other` finds that the other one is meant. `about` finds "what about" at the beginning, `bare` is all of a turn that only asks
    ("when is it"), `pointing` a word that points back; `empty` are words that say nothing of the subject. `talking` is all of a
    turn about the talking itself, behind which the subject stays. What stands
    behind `about` names another subject up to one of the words `around` it, unless one of its words is a `circumstance`: "cats on a
    lead" is about cats, "Sundays" and "with children" about what was spoken of. Without `around` that is not looked at."""

    more: re.Pattern[str] = NEVER
    why: re.Pattern[str] = NEVER
    other: re.Pattern[str] = NEVER
    offer: str = ""
    accepts: re.Pattern[str] = NEVER
    about: re.Pattern[str] = NEVER
    bare: re.Pattern[str] = NEVER
    pointing: re.Pattern[str] = NEVER
    empty: Words = NO_WORDS
    talking: re.Pattern[str] = NEVER
    around: Words = NO_WORDS
    circumstance: re.Pattern[str] = NEVER


@dataclass(frozen=True, slots=True, eq=False)
class IntentWords:
    """`asks` matches the beginning of a question, in lower case; `padding` are the small words around what is wanted. `pace` and
    `volume` tell which way somebody wants them to change: 1 is faster or louder, -1 slower or quieter, 0 as they were at first."""

    asks: re.Pattern[str] = NEVER
    padding: Words = NO_WORDS
    pace: Callable[[str], int] = lambda text: 1
    volume: Callable[[str], int] = lambda text: 1


@dataclass(frozen=True, slots=True, eq=False)
class KnowledgeWords:
    """How texts to answer from, and questions to them, are worded. What a question and a sentence hold is looked for in lower case,
    all else in the text as it is.

    `short` finds a short form at the end of a piece that ends no sentence, `before_number` one that ends none before a
    number, `question_label` and `answer_label` what stands before a question and its answer ("Q:", "A:"), `open_line` the end
    of a wrapped line that goes on in the next; a sentence that `leaning` matches leans on the one before. `empty` are words
    that need no counterpart in an answer, and `stem` is what a word has in common with its inflections. `kinds` are what is
    asked for, and what a sentence must hold to tell it, of which the first that fits is taken; `counted` finds the thing of
    "how many things" as its group 1, `number` a number, `who` and `where` that a name or a place is asked for, `place` what
    stands before one. `name` is a name in mid- sentence, of a question or an answer, `name_in_text` one of which the
    recogniser should be told. `measured` finds what "how much" is asked of as its group 1, `portion` the part of a thing that
    is asked for ("a slice of"), `span` the ends of a range of numbers. After one of the `auxiliaries` a question has its verb
    behind the thing that it is about, and right behind one of `before_verb`; `fillers` may stand beside the name of a thing and
    are no part of it. Each of `cycles` tells which of the days of a week, or of the months, are named, by their numbers."""

    short: re.Pattern[str] = NEVER
    before_number: re.Pattern[str] = NEVER
    question_label: re.Pattern[str] = NEVER
    answer_label: re.Pattern[str] = NEVER
    open_line: re.Pattern[str] = re.compile(r"[,–—-]$")
    leaning: re.Pattern[str] = NEVER
    empty: Words = NO_WORDS
    stem: Callable[[str], str] = str
    kinds: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()
    counted: re.Pattern[str] = NEVER
    number: re.Pattern[str] = re.compile(r"\d")
    who: re.Pattern[str] = NEVER
    where: re.Pattern[str] = NEVER
    place: re.Pattern[str] = NEVER
    name: re.Pattern[str] = NEVER
    name_in_text: re.Pattern[str] = NEVER
    measured: re.Pattern[str] = NEVER
    portion: re.Pattern[str] = NEVER
    span: re.Pattern[str] = re.compile(r"\b(\d{1,4})\s*[-–—]\s*(\d{1,4})\b")
    auxiliaries: Words = NO_WORDS
    before_verb: Words = NO_WORDS
    fillers: Words = NO_WORDS
    cycles: tuple[Callable[[str], frozenset[int]], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """`code` is that of ISO 639, as recognisers take it. `folder` holds `lines.yaml` (every line that the agent speaks of its own,
    and who it is), `intents.yaml` (what people want, with examples) and `endpointing.json` (how the end of a turn is judged, made
    by `python -m tests.bench endings --fit`).

    `phrase` finds the gap before a phrase, where speech may pause. `speakable` makes a text without markup ready for the voice:
    numbers, units and addresses as they are read out, "" where nothing can be said. `tokens` is the file that says which tokens of
    Whisper the language needs, one bit each (`python -m services.making.whisper_vocabulary` makes that of English); without it the
    recogniser keeps all of them. `hears` and `says` are for the tools."""

    code: str
    name: str
    folder: Path
    wording: Wording = field(default_factory=Wording)
    sentences: Sentences = field(default_factory=Sentences)
    phrase: re.Pattern[str] = NEVER
    speakable: Callable[[str], str] = str
    intents: IntentWords = field(default_factory=IntentWords)
    follow_ups: FollowUpWords = field(default_factory=FollowUpWords)
    knowledge: KnowledgeWords = field(default_factory=KnowledgeWords)
    tokens: Path | None = None
    hears: Understanding = field(default_factory=Understanding)
    says: Sayings = field(default_factory=Sayings)
