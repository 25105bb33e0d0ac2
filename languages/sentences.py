"""Where a sentence ends. nupunkt (Punkt: Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", 2006) knows
which full stops belong to short forms; initials, numbers of a list and dots that only make a pause are known here."""

import re
from functools import lru_cache

import nupunkt

MARK = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]*_`]*(?=\s|$)")  # a sentence may end behind it
_SEEN = 60  # characters before the mark that are looked at
_OPENING = "\"'“‘([{*_`<>-–—•+#"
_NUMBER = re.compile(r"\d{1,3}|[A-Za-z]|[ivxIVX]{1,5}")  # of a list
# What nupunkt's model does not know for a short form of spoken English.
_ALSO_SHORT = ("cf", "cmdr", "cu", "ext", "lt", "mins", "mlle", "mme", "mph", "rpm", "tbs", "viz", "wk", "yrs")
_STARTERS = frozenset(  # a sentence begins with one of these, a name does not
    "the it then this that these those he she we they you but and so if in what when how there my your our is are do does".split()
)
_BEFORE_NUMBERS = frozenset("no nos p pp vol fig figs eq sec ch art ver rm ext tel ca approx".split())


_PUNKT = nupunkt.load("default")  # here, so that no reply waits for it
_PUNKT.add_abbreviations(list(_ALSO_SHORT))
_PUNKT.tokenize("Ask Dr. Smith. Thanks.")


def ends(before: str, after: str, whole: bool = False) -> bool | None:
    """Whether a sentence ends between `before`, at whose end MARK is found, and `after`. None: that depends on more than the text
    so far; `whole` tells that nothing comes after it."""
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
    if not _short(bare):
        return True
    follower = after.split(None, 1)[0] if after else ""
    if not follower or (len(follower) == len(after) and not whole and len(after) < _SEEN // 4):
        return None
    if (bare.lower() in _BEFORE_NUMBERS and follower[0].isdigit()) or ("." in bare and follower[0].islower()):
        return False
    if len(bare) == 1:  # an initial, or "so do I", "plan B", "vitamin C"
        return follower[0].isupper() and (bare == "I" or follower.lower() in _STARTERS)
    return _parts(last + mark, follower)


@lru_cache(maxsize=4096)
def _parts(word: str, follower: str) -> bool:
    """Whether nupunkt ends a sentence between the two."""
    return len(_PUNKT.tokenize(f"So {word} {follower}")) > 1


def _begins_item(text: str) -> bool:
    """Whether what follows `text` stands at the beginning of a line, or behind a colon."""
    return text.rstrip().endswith(":") or not text.rpartition("\n")[2].strip(_OPENING + " \t")


def _parted(text: str) -> tuple[str, str]:
    """`text` without the marks at its end, and those."""
    head = text.rstrip("\"'”’)]*_`").rstrip(".!?…")
    return head, text[len(head) :]


def _short(word: str) -> bool:
    """Whether a full stop behind `word` may be part of it."""
    return "." in word or (len(word) == 1 and word.isalpha()) or word.lower() in _PUNKT.abbreviations
