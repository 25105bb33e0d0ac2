"""Where a sentence ends. nupunkt (Punkt: Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", 2006) knows
which full stops belong to short forms; initials, numbers of a list and dots that only make a pause are known here."""

import re
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

import nupunkt

MARK = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]*_`]*(?=\s|$)")  # a sentence may end behind it
_SEEN = 60  # characters before the mark that are looked at
_OPENING = "\"'“‘([{*_`<>-–—•+#"
_COUNTS = re.compile(r"[\W_]{0,3}(?:\w{0,9}\d|[B-HJ-Z]\b|[IVX]{2,5}\b)")  # a number, or what stands for one
_AFTER_NUMBER = re.compile(r"\A\d{1,4}[-–—/](?=[A-Za-z])")  # "28-Dec."
_AROUND = ".,;:!?\"'”’()"
_NUMBER = re.compile(r"\d{1,3}|[A-Za-z]|[ivxIVX]{1,5}")  # of a list


@dataclass(frozen=True, slots=True)
class ShortForms:
    """What short forms tell of the end of a sentence, all in lower case. `known` are some that the model does not know, `none`
    words that it takes for one. No number begins a sentence behind one of `before_numbers`, and none ends with one of `leading`.
    Behind one of `closing` a word in capitals begins one, unless it is one of `beside` (a day, behind a time). A letter behind
    one of `lettered` is its name, and no initial."""

    known: frozenset[str] = frozenset()
    none: frozenset[str] = frozenset()
    before_numbers: frozenset[str] = frozenset()
    leading: frozenset[str] = frozenset()
    closing: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    lettered: frozenset[str] = frozenset()


class Sentences:
    """How the sentences of one language end. `short` are short forms that the model does not know, or all that is known of them;
    `starters` are words that begin a sentence and are no name, in lower case, and `letters` words of one letter that a sentence may
    end with. `model` is one of nupunkt's, or the file of one that was trained on texts of the language."""

    def __init__(
        self,
        short: Iterable[str] | ShortForms = (),
        starters: frozenset[str] = frozenset(),
        letters: frozenset[str] = frozenset(),
        model: str = "default",
    ) -> None:
        # Loaded here, so that no reply waits for it; each language has its own.
        self._forms = short if isinstance(short, ShortForms) else ShortForms(frozenset(short))
        self._punkt = deepcopy(nupunkt.load(model))
        self._punkt.add_abbreviations(list(self._forms.known))
        self._punkt.tokenize("A. B.")
        self._starters = starters
        self._letters = letters
        self._parts = lru_cache(maxsize=4096)(self._divided)

    def ends(self, before: str, after: str, whole: bool = False) -> bool | None:
        """Whether a sentence ends between `before`, at whose end MARK is found, and `after`. None: that depends on more than the
        text so far; `whole` tells that nothing comes after it."""
        before, after = before[-_SEEN:], after.lstrip()[:_SEEN]
        head, mark = _parted(before)
        if whole and not after:
            return True
        if "!" in mark or "?" in mark:  # “Is it?” he asked.
            return True if mark[-1] in "!?" else not after[0].islower() if after else None
        if len(mark.strip("\"'”’)]*_`")) > 1 or "…" in mark:
            return None if not after else not after[0].islower()
        last = head.rsplit(None, 1)[-1] if head.strip() else ""
        bare = _AFTER_NUMBER.sub("", last.lstrip(_OPENING))
        if _NUMBER.fullmatch(bare) and _begins_item(head[: len(head) - len(last)]):
            return False
        if bare.lower() in self._forms.leading:
            return False
        if not self._short(bare):
            return True
        follower = after.split(None, 1)[0] if after else ""
        if not follower or (len(follower) == len(after) and not whole and len(after) < _SEEN // 4):
            return None
        if (bare.lower() in self._forms.before_numbers and _COUNTS.match(follower)) or ("." in bare and follower[0].islower()):
            return False
        if bare.lower() in self._forms.closing and follower[0].isupper():
            return follower.lower().strip(_AROUND) not in self._forms.beside
        if bare.isalpha() and bare.isupper() and follower[:2].istitle() and len(bare) > 1:
            return True  # "EST" is no "est."
        if len(bare) == 1:  # an initial, or "so do I", "plan B", "vitamin C"
            begins = bare in self._letters or follower.lower() in self._starters
            return follower[0].isupper() and (begins or self._lettered(head))
        return self._parts(bare + mark, follower)

    def _lettered(self, head: str) -> bool:
        """Whether the letter at the end of `head` is the name of what stands before it: "plan B"."""
        named = self._forms.lettered | self._forms.before_numbers
        return any(word.lower().strip(_AROUND) in named for word in head.split()[-2:-1])

    def _divided(self, word: str, follower: str) -> bool:
        """Whether nupunkt ends a sentence between the two."""
        return len(self._punkt.tokenize(f"So {word} {follower}")) > 1

    def _short(self, word: str) -> bool:
        """Whether a full stop behind `word` may be part of it."""
        known = word.lower() in self._punkt.abbreviations and word.lower() not in self._forms.none
        return "." in word or (len(word) == 1 and word.isalpha()) or known


def _begins_item(text: str) -> bool:
    """Whether what follows `text` stands at the beginning of a line, or behind a colon."""
    return text.rstrip().endswith(":") or not text.rpartition("\n")[2].strip(_OPENING + " \t")


def _parted(text: str) -> tuple[str, str]:
    """`text` without the marks at its end, and those."""
    head = text.rstrip("\"'”’)]*_`").rstrip(".!?…")
    return head, text[len(head) :]
