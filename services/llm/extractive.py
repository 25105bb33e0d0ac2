"""Answers without a language model: the sentences of the best passage that fit the question, as they stand there."""

import re
from collections.abc import AsyncIterator, Sequence

from documents.sections import Row, inside, sentences
from languages.base import Language
from services.base import Exchange, Passage, Question
from services.embedding import plain
from services.followup import FollowUps
from services.intent.classifier import OUT_OF_SCOPE

# Scores of services/retrieval/index.py, set on spoken questions (`python -m tests.bench knowledge`).
KNOWN = 0.3  # below it nothing fits
KNOWN_UNLIKELY = 0.46  # the same where the classifier takes the utterance for something out of scope
CLOSE = 0.03  # two passages nearer than this both fit
HOLDS = 0.37  # belief below which a passage is no answer; `python -m services.making.answerability` prints both errors
WORDS = 60  # of an answer: about 20 s of speech
SENTENCES = 4
FIRST_BONUS = 0.15


class GroundedAnswerer:
    """Speaks sentences of the passages it is given and nothing else. Says nothing when no passage scores `known`."""

    def __init__(
        self, language: Language, known: float = KNOWN, known_unlikely: float = KNOWN_UNLIKELY, holds: float = HOLDS
    ) -> None:
        self._follow_ups = FollowUps(language.follow_ups)
        self._language = language.knowledge
        self._known = known
        self._holds = holds
        self._known_unlikely = known_unlikely

    async def warm(self) -> None:
        """There is nothing to load."""

    async def close(self) -> None:
        """There is nothing to free."""

    async def answer(self, question: Question) -> AsyncIterator[str]:
        """The answer, sentence by sentence; nothing when it is not known."""
        least = self._known_unlikely if question.intent.name == OUT_OF_SCOPE else self._known
        near = [passage for passage in question.passages if passage.score >= least]
        more = question.intent.name == "go_on" or self._follow_ups.asks_for_more(question.text)
        # Whoever wants more, or takes an offer, asks nothing that a passage could hold the answer to.
        if self._follow_ups.takes_offer(question.text, question.history):
            said = self._best(near[:1])
        elif more:
            said = self._rest(near, question.history)
        else:
            said = self._best([passage for passage in near if passage.holds >= self._holds])
        for sentence in said:
            yield sentence + " "

    def _best(self, passages: Sequence[Passage]) -> list[str]:
        """The best stretch of the best passage, and a word on the second if it fits nearly as well."""
        if not passages:
            return []
        first, *others = passages
        said = stretch(self._scored(first), self._language.leaning)
        second = others[0] if others else None
        if second and first.score - second.score < CLOSE and second.title != first.title and not second.title.endswith("?"):
            said += filter(None, [self._follow_ups.offer(inside(second.title, second.text))])
        return said

    def _rest(self, passages: Sequence[Passage], history: Sequence[Exchange]) -> list[str]:
        """What the listener has not heard yet of the passages."""
        heard = plain(" ".join(exchange.heard for exchange in history))
        for passage in passages:
            new = [pair for pair in self._scored(passage) if plain(pair[0]) not in heard]
            if new:
                return stretch(new, self._language.leaning, from_start=True)
        return []

    def _scored(self, passage: Passage) -> Sequence[tuple[str, float]]:
        return passage.sentences or [(sentence, 0.0) for sentence in sentences(passage.text, self._language)]


def stretch(scored: Sequence[tuple[str, float]], leaning: re.Pattern[str], from_start: bool = False) -> list[str]:
    """The consecutive sentences, at most SENTENCES and about WORDS, that fit best and can stand alone, which one that `leaning`
    matches cannot. Of a table it is the rows that fit best, not their neighbours."""
    best_sentence, best_score = max(scored, key=lambda pair: pair[1])
    if isinstance(best_sentence, Row) and not from_start:
        rows = ((sentence, score) for sentence, score in scored if isinstance(sentence, Row))
        return [str(sentence) for sentence, score in rows if best_score - score < CLOSE][:SENTENCES]
    runs = [_run(scored[at:]) for at, (sentence, _) in enumerate(scored) if at == 0 or not leaning.match(sentence)]
    best = runs[0]
    if not from_start:
        # The first sentence says what the passage is about: leaving it out must be worth it.
        best = max(runs, key=lambda run: _worth(run) + (FIRST_BONUS if run is runs[0] else 0))
    return [sentence for sentence, _ in best]


def _worth(run: Sequence[tuple[str, float]]) -> float:
    scores = sorted((score for _, score in run), reverse=True)
    return scores[0] + 0.5 * sum(scores[1:3])


def _run(scored: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    run: list[tuple[str, float]] = []
    words = 0
    for sentence, score in scored[:SENTENCES]:
        if run and isinstance(sentence, Row) != isinstance(run[0][0], Row):
            break
        words += len(sentence.split())
        if run and words > WORDS:
            break
        run.append((sentence, score))
    return run
