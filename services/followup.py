"""Follow-ups: turns that only make sense after the one before them."""

import re
from collections.abc import Sequence
from itertools import takewhile

from languages.base import FollowUpWords
from languages.wording import NEVER
from services.base import Exchange
from services.embedding import plain

LONGEST_SUBJECT = 1000  # characters: the embedding reads 256 tokens
SHORT = 7  # words; a longer question says itself what it is about


class FollowUps:
    """Those of one language."""

    def __init__(self, words: FollowUpWords) -> None:
        self._words = words
        before, title, after = words.offer.partition("{title}")
        self._offered = re.compile(rf"{re.escape(before)}([^.?!]+){re.escape(after.rstrip('.?!'))}") if title else NEVER

    def offer(self, title: str) -> str:
        """How an answer offers another passage, "" where it does not; `readings` knows it again."""
        return self._words.offer.format(title=title)

    def offered(self, heard: str) -> str:
        """The title that the last words heard offered to speak of; "" where there was no offer."""
        found = self._offered.search(heard.rsplit(". ", 1)[-1])
        return found[1] if found else ""

    def takes_offer(self, text: str, history: Sequence[Exchange]) -> bool:
        """Whether `text` says yes to what was offered last."""
        return (
            bool(history) and bool(self.offered(history[-1].heard)) and self._words.accepts.fullmatch(plain(text)) is not None
        )

    def asks_for_more(self, text: str) -> bool:
        """Whether `text` only asks to go on with what was said."""
        return self._words.more.fullmatch(plain(text)) is not None

    def leans(self, text: str) -> bool:
        """Whether `text` goes on with the turn before it, corrects it, or only asks of it: by more than a word that points back."""
        said = plain(text)
        return self._words.bare.fullmatch(said) is not None or (
            self._words.about.search(said) is not None and len(said.split()) <= SHORT
        )

    def subject(self, text: str) -> str:
        """Another subject, to which `text` applies what was asked in the turn before: "cats" of "and what about the cats". "" where
        it names none."""
        said = plain(text)
        about = self._words.about.search(said)
        if not self._words.around or about is None or len(said.split()) > SHORT or self._words.other.search(said):
            return ""
        rest = said[about.end() :]
        words = list(takewhile(lambda word: word not in self._words.around, rest.split()))
        strange = self._words.pointing.search(rest) or any(map(self._words.circumstance.fullmatch, words))
        return "" if strange else " ".join(word for word in words if word not in self._words.empty)

    def readings(self, text: str, history: Sequence[Exchange]) -> list[str]:
        """What `text` may mean as a query on its own: one reading, or two of which the first is taken if it finds something."""
        before = [None, *history]
        turns = [turn for turn, last in zip(history, before, strict=False) if turn.user and not self._acts(turn, last)]
        return self._readings(text, turns)

    def _readings(self, text: str, past: Sequence[Exchange]) -> list[str]:
        """The same, where `past` are the turns that had a subject."""
        said = plain(text)
        if not past:
            return [text]
        other = self.offered(past[-1].heard)
        if other and (self._words.other.search(said) or self.takes_offer(text, past)):
            return [other]
        if self.asks_for_more(said):
            before = self._subject(past)
            return [f"{before} {text}" if self._words.why.search(said) else before]
        if self._leans(said):
            rest = self._words.about.sub("", said)
            joined = f"{rest}. {self._subject(past)}"
            alone = self._words.pointing.search(rest) or self._words.bare.fullmatch(said)
            return [joined] if alone else [rest, joined]
        return [text]

    def _acts(self, exchange: Exchange, last: Exchange | None) -> bool:
        """Whether a turn, after the `last` one, was about the talking itself."""
        before = [last] if last is not None else []
        return self._words.talking.fullmatch(plain(exchange.user)) is not None and not self.takes_offer(exchange.user, before)

    def _subject(self, past: Sequence[Exchange]) -> str:
        """What the last of these turns was about, cut off where it is too long to be read."""
        return self._readings(past[-1].user, past[:-1])[0][:LONGEST_SUBJECT]

    def _leans(self, said: str) -> bool:
        """Whether a turn only means something after the one before it."""
        words = said.split()
        if self._words.bare.fullmatch(said):
            return True
        if self._words.about.search(said) or self._words.other.search(said):
            return len(words) <= SHORT
        return bool(self._words.pointing.search(said)) and sum(word not in self._words.empty for word in words) <= 1
