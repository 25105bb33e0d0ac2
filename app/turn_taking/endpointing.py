"""The end of a turn: the silence after which it is over, judged by what was said, how it sounded and what the agent had asked.

One model judges every kind of turn. A logistic regression gives the probability p that a silence is the end, and a log-logistic
distribution S(t) the share of pauses that last as long as t: P(end | silence t) = p / (p + (1 - p) S(t)) grows with the
silence. The turn is over at the t with the least cost p u(t) + (1 - p) c S(t), where u is the cost of waiting (`annoyance`) and
c the cost of a pause that is taken for the end, both in ms. `eagerness` chooses c. The weights are data (`endpointing.json`),
made by `python -m tests.bench endings --fit`; docs/turn-taking.md has the curves.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log
from typing import NamedTuple

from app.settings import Eagerness
from languages.base import Language
from languages.wording import Wording, length, may_be_misheard, trails_off
from services.base import UNKNOWN_END

WEIGHTS = "endpointing.json"  # in the folder of a language
LONG_MS = 1000.0  # a wait above which each further ms costs more: whoever has finished begins to doubt that they were heard
# Of what a taken pause costs in dictation, where most are made and the speaker is put off, and behind a few words, which may be the
# beginning of it: what it costs elsewhere. At 1 half of the statements are answered after 0.77 s, at 0.7 after 0.65 s.
ELSEWHERE = 0.7
LEAST_MS = 192.0  # no turn ends sooner: shorter silences are those within words and phrases
SILENCES_MS = [LEAST_MS + 32.0 * window for window in range(51)]  # that may be required, to 1.8 s
TAKEN_MS: Mapping[Eagerness, float] = {"low": 20000.0, "medium": 2000.0, "high": 1200.0}
WORD_MS = 384.0  # what has no words yet may be the beginning of one
MISHEARD_MS = 1600.0  # what may be a misheard answer may go on as well: "Oh, I think on Monday"
# A question's `sentence_end` above which its melody need not be asked for: of 46 ends of questions a quarter have less.
WHOLE = 0.93
OWN = 1.5  # pauses of a speaker that count as much as everybody's
# The probability at most that a number is over which has fewer digits than any: of 132 silences after so few in recordings (and by
# telephone and through Opus) one was the end, where a digit was misheard. How a group of digits sounds tells little there: many say
# each of them as if it were the last.
LACKING = 1 / 132
SPOKEN_OUT = 15  # words of a wish with all its details; a request that takes no details is judged as one of so many


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of a turn at the first silent window after it. `end_of_turn` is the end-of-turn model's probability (0..1),
    `sentence_end` the recogniser's probability that the sentence ends there, `ending` the probability that the voice stops
    there for good (None: unknown). `is_complete_command`: the text is an order or a question that is whole as it stands;
    `asked`: what the agent said last."""

    text: str
    end_of_turn: float = 0.0
    sentence_end: float = UNKNOWN_END
    ending: float | None = None
    is_complete_command: bool = False
    asked: str = ""


def is_surely_whole(wording: Wording, text: str, sentence_end: float) -> bool:
    """Whether a question is over by its words, so that the end-of-turn model need not be asked. `sentence_end`: as for `Said`."""
    return sentence_end >= WHOLE and wording.is_whole_question(text)


class EndpointingModel(NamedTuple):
    """The model of one language. `wording` are its words, `weights` are by name of a feature; `unheard` are the weights where
    the sound of the end is not known (the same ones, where a language has no others); `pauses` are the lengths of "dictated"
    and "other" pauses."""

    wording: Wording
    weights: Mapping[str, float]
    unheard: Mapping[str, float]
    pauses: Mapping[str, "Lengths"]

    @classmethod
    def read(cls, language: Language) -> "EndpointingModel":
        """Reads the model of a language."""
        stored = json.loads((language.folder / WEIGHTS).read_text("utf-8"))
        pauses = {name: Lengths(**lengths) for name, lengths in stored["pauses"].items()}
        return cls(language.wording, stored["weights"], stored.get("unheard", stored["weights"]), pauses)

    def probability(self, said: Said) -> float:
        """The probability (0..1) that a silence of LEAST_MS after `said` is the end of the turn."""
        weights = self.unheard if said.ending is None else self.weights
        ended = 1 / (1 + exp(-sum(weights.get(name, 0.0) * value for name, value in features(self.wording, said).items())))
        return min(ended, LACKING) if self.wording.dictation.lacks_digits(said.text, said.asked) else ended

    def silence(self, said: Said, taken_ms: float, pauses: Sequence[float]) -> float:
        """The silence (ms) with the least cost, if taking a pause for the end costs as much as `taken_ms` of waiting."""
        known = features(self.wording, said)
        ended, lengths = self.probability(said), self.pauses["dictated" if "dictation" in known else "other"]
        pace = own_pace(pauses, lengths.log_ms)
        if "dictation" not in known and "brief" not in known:
            taken_ms *= ELSEWHERE
        return min(SILENCES_MS, key=lambda ms: ended * annoyance(ms) + (1 - ended) * taken_ms * lengths.share(ms, pace))


class Lengths(NamedTuple):
    """A log-logistic distribution of pauses: the logarithm of its median (ms), the spread of that logarithm, and how much of a
    speaker's own pace counts."""

    log_ms: float
    spread: float
    own: float

    def share(self, silence_ms: float, pace: float) -> float:
        """The share (0..1) of the pauses of LEAST_MS and more that last `silence_ms` and more."""
        usual = self.log_ms + self.own * pace
        return (1 + exp((log(LEAST_MS) - usual) / self.spread)) / (1 + exp((log(silence_ms) - usual) / self.spread))


judge = cache(EndpointingModel.read)


def required_silence(
    judge: EndpointingModel, said: Said, eagerness: Eagerness = "medium", pauses: Sequence[float] = ()
) -> float:
    """The silence (ms) that ends a turn. `pauses`: the speaker's own pauses so far in this conversation, in ms."""
    if judge.wording.is_wordless(said.text):
        return MISHEARD_MS if may_be_misheard(judge.wording, said.text, said.asked) else WORD_MS
    return LEAST_MS if said.is_complete_command else judge.silence(said, TAKEN_MS[eagerness], pauses)


def own_pace(pauses: Sequence[float], usual: float) -> float:
    """By how much (in logarithms) a speaker's pauses are longer than `usual`, drawn towards 0 where few pauses are known."""
    deviations = [log(ms) - usual for ms in pauses if ms >= LEAST_MS]
    return sum(deviations) / (len(deviations) + OWN)


def annoyance(silence_ms: float) -> float:
    """The cost of waiting for `silence_ms`, in ms of a short wait."""
    return silence_ms * max(1.0, silence_ms / LONG_MS)


def is_dictation(wording: Wording, said: Said) -> bool:
    """Whether the user gives digits or letters one by one or in groups, or an address, or the agent has asked for such."""
    words = wording.dictation
    found = words.dictated(said.text, said.asked).under_way or words.place(said.text, said.asked).given
    return found or words.asks_to_dictate(said.asked)


def features(wording: Wording, said: Said) -> Mapping[str, float]:
    """The features of the probability, by name: melody, sentence end and the sound of the end in log odds, with weights of
    their own for questions, requests, dictation, a few words by themselves and everything else."""
    melody, sentence_end = log_odds(said.end_of_turn) / 3, log_odds(said.sentence_end) / 3
    ending = 0.0 if said.ending is None else log_odds(said.ending) / 3
    if is_dictation(wording, said):
        heard = {"dictation": 1.0, "dictation_melody": melody, "dictation_closed": sentence_end, "dictation_ending": ending}
        return {**heard, **_given(wording, said)}
    text, question = said.text.rstrip(), wording.dictation.last_question(said.asked)
    closing = wording.is_closing(text)
    last_of_all = wording.answers.declines(text, question) or (closing and bool(wording.answers.more.search(question)))
    found = {
        "other": 1.0,
        "melody": melody,
        "closed": sentence_end,
        "ending": ending,
        "trails_off": float(trails_off(text)),
        "comma": float(text.endswith(",")),
        "unfinished": float(wording.ends_openly(text)),
        "closing": float(closing),
        "asked": float(wording.dictation.asks_briefly(said.asked) or last_of_all),
        "given": float(wording.answers.gives(text, question)),
    }
    kind = (
        "question" if wording.is_question(text) and not wording.is_wish(text) else "request" if wording.is_request(text) else ""
    )
    if not kind and wording.is_brief(text) and not found["trails_off"]:
        # A sound so short is told better by the melody than by its last 0.2 s, which may be half of it.
        kept = {name: found[name] for name in ("closing", "asked", "given")}
        return {**kept, "brief": 1.0, "brief_melody": melody, "acknowledges": float(wording.acknowledges(text))}
    if kind:
        # The more was said, the likelier: somebody who wishes for a thing goes on with its details. After "please" nobody does.
        spoken_out = kind == "request" and (wording.is_polite_to_the_end(text) or not wording.is_wish(text))
        words = log(1 + (SPOKEN_OUT if spoken_out else length(text)))
        found |= {
            kind: 1.0,
            f"{kind}_melody": melody,
            f"{kind}_closed": sentence_end,
            f"{kind}_words": words - log(1 + SPOKEN_OUT),
        }
    return found


def _given(wording: Wording, said: Said) -> Mapping[str, float]:
    """What was dictated so far."""
    given, place = wording.dictation.dictated(said.text, said.asked), wording.dictation.place(said.text, said.asked)
    return {
        "dictation_whole": float(given.whole),
        "dictation_signs": 0.0 if given.whole or place.given else log(1 + given.signs),
        "dictation_address": float(place.given),
        "dictation_begun": float(place.begun),
        "dictation_number": place.numbered,
    }


def log_odds(probability: float) -> float:
    """The log odds of a probability, which is kept away from 0 and 1."""
    return log((probability + 0.01) / (1.01 - probability))
