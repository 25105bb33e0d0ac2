"""What is written for the eye and not said by any voice: Markdown, tags, links, emoji, and thinking that a model has left in its
text. How numbers, addresses and names are said is another matter, and of the voice: see text.py."""

import html
import re
import unicodedata

_THINKING = re.compile(
    r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|$)|^(?:(?!<(?:think|thought|reasoning)).)*</(?:think|thinking|thought|reasoning)>",
    re.DOTALL,
)
_TAG = re.compile(r"</?[A-Za-z][^<>:]*>|<!--(?:(?!<!--).)*?-->|<\|[\w ]{1,40}\|>|\[/?INST\]|<</?SYS>>|<｜[^｜<>]{1,40}｜>")
_MARKUP = [
    (re.compile(pattern, re.MULTILINE), said)
    for pattern, said in (
        (r"```+\w*|~~~+\w*", " "),
        (r"【[^【】]*】|\[\^[^\[\]]*\]", ""),  # sources
        (r"!?\[([^\[\]]*)\](?:\((?:[^()\s]|\([^()\s]{0,200}\)){0,200}(?: \"[^\"]{0,200}\")?\)|\[[^\[\]]*\])", r"\1"),
        (r"<((?:https?|mailto)[^<>\s]+)>", r"\1"),
        (r"^(?:(?:#{1,6}|>+|[-*+•]) (?:\[[ xX]\] )?)+", ""),
        (r"^(?:[-*_] ?){3,}$|^[ |:-]+$", ""),
        (r"\s?\|\s?", ", "),
        (r"(\*\*|__|~~)(?=\S)(.+?)\1", r"\2"),
        (r"(?<!\w)([*_])(?=[^\s*_])([^*_]+?)\1(?!\w)", r"\2"),
        # Of a pair that was cut in two; "3 * 4" and "x**2" are none.
        (r"`|~~+|(?<!\w)\*\*+|\*\*+(?!\w)", ""),
        (r"(?<![\s*])\*(?![\w*])|(?<![\w)*\s])\*(?=\S)|(?:(?<=\s)|^)\*(?=[^\s\d])", ""),
    )
]
_URL = re.compile(
    r"\b(?:https?|ftp)://(?:www\.)?([^\s/?#]*[^\s/?#.,;:!)])(?:[^\s()]|\([^\s()]{0,200}\))*?(?=[.,;:!?)]{0,9}(?:\s|$)|\))"
)


def cleaned(text: str) -> str:
    """`text` without what only the eye is meant to see. Lines stay lines; addresses stay as they are."""
    text = html.unescape(_TAG.sub(" ", _THINKING.sub(" ", text)))
    text = "".join(character for character in text if character == "\n" or _wanted(character))
    text = "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n"))))
    for pattern, said in _MARKUP:
        text = pattern.sub(said, text)
    return text


def readable(text: str) -> str:
    """`text` for a voice that reads numbers and addresses by itself: cleaned, in one line, and of a link its host. "" where nothing
    can be said."""
    text = re.sub(r",(?:\s*,)+", ",", " ".join(_URL.sub(r"\1", cleaned(text)).split())).strip(",; ")
    return text if any(map(str.isalnum, text)) else ""


def _wanted(character: str) -> bool:
    """Neither emoji nor invisible."""
    return (
        character.isascii()
        or character == "°"
        or unicodedata.category(unicodedata.normalize("NFKC", character)[0])
        not in {"So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"}
    )
