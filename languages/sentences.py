"""Where a sentence ends. nupunkt (Punkt: Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", 2006) knows
which full stops belong to short forms; initials, numbers of a list and dots that only make a pause are known here."""

import re
from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache

import nupunkt

MARK = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]*_`]*(?=\s|$)")  # a sentence may end behind it
_SEEN = 60  # characters before the mark that are looked at
_OPENING = "\"'“‘([{*_`<>-–—•+#"
_NUMBER = re.compile(r"\d{1,3}|[A-Za-z]|[ivxIVX]{1,5}")  # of a list


class Sentences:
    """How the sentences of one language end. `short` are short forms that the model does not know, `starters` words that begin a
    sentence and are no name, `before_numbers` short forms before which a number does not begin one, `leading` those that no
    sentence ends with; all in lower case. `letters`
    are words of one letter that a sentence may end with. `model` is one of nupunkt's, or the file of one that was trained on texts
    of the language."""

    def __init__(
        self,
        short: Iterable[str] = (),
        starters: frozenset[str] = frozenset(),
        before_numbers: frozenset[str] = frozenset(),
        letters: frozenset[str] = frozenset(),
        leading: frozenset[str] = frozenset(),
        model: str = "default",
    ) -> None:
        # Loaded here, so that no reply waits for it; each language has its own.
        self._punkt = deepcopy(nupunkt.load(model))
        self._punkt.add_abbreviations(list(short))
        self._punkt.tokenize("A. B.")
        self._starters = starters
        self._before_numbers = before_numbers
        self._letters = letters
        self._leading = leading
        self._parts = lru_cache(maxsize=4096)(self._divided)

    def ends(self, before: str, after: str, whole: bool = False) -> bool | None:
        """Whether a sentence ends between `before`, at whose end MARK is found, and `after`. None: that depends on more than the
        text so far; `whole` tells that nothing comes after it."""
        before, after = before[-_SEEN:], after.lstrip()[:_SEEN]
        head, mark = _parted(before)
        if "!" in mark or "?" in mark or (whole and not after):
            return True
        if len(mark.strip("\"'”’)]*_`")) > 1 or "…" in mark:
            return None if not after else not after[0].islower()
        last = head.rsplit(None, 1)[-1] if head.strip() else ""
        bare = last.lstrip(_OPENING)
        if _NUMBER.fullmatch(bare) and _begins_item(head[: len(head) - len(last)]):
            return False
        if bare.lower() in self._leading:
            return False
        if not self._short(bare):
            return True
        follower = after.split(None, 1)[0] if after else ""
        if not follower or (len(follower) == len(after) and not whole and len(after) < _SEEN // 4):
            return None
        if (bare.lower() in self._before_numbers and follower[0].isdigit()) or ("." in bare and follower[0].islower()):
            return False
        if len(bare) == 1:  # an initial, or "so do I", "plan B", "vitamin C"
            return follower[0].isupper() and (bare in self._letters or follower.lower() in self._starters)
        return self._parts(last + mark, follower)

    def _divided(self, word: str, follower: str) -> bool:
        """Whether nupunkt ends a sentence between the two."""
        return len(self._punkt.tokenize(f"So {word} {follower}")) > 1

    def _short(self, word: str) -> bool:
        """Whether a full stop behind `word` may be part of it."""
        return "." in word or (len(word) == 1 and word.isalpha()) or word.lower() in self._punkt.abbreviations


def _begins_item(text: str) -> bool:
    """Whether what follows `text` stands at the beginning of a line, or behind a colon."""
    return text.rstrip().endswith(":") or not text.rpartition("\n")[2].strip(_OPENING + " \t")


def _parted(text: str) -> tuple[str, str]:
    """`text` without the marks at its end, and those."""
    head = text.rstrip("\"'”’)]*_`").rstrip(".!?…")
    return head, text[len(head) :]
