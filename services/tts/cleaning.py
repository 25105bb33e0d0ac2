"""What is written for the eye and not said by any voice: Markdown, tags, links, emoji, and thinking that a model has left in its
text. How numbers, addresses and names are said is another matter, and of the
language: see `Language.speakable`."""

import html
import re
import unicodedata

from documents.tex import without_tex

_THINKING = re.compile(
    r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|$)|^(?:(?!<(?:think|thought|reasoning)).)*</(?:think|thinking|thought|reasoning)>",
    re.DOTALL,
)
_AUTOLINK = re.compile(r"<((?:https?://|ftp://|mailto:)[^<>\s]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,190})>")
_QUOTED = re.compile(r"`</?([A-Za-z][\w-]{0,40})[^`<>\n]{0,200}>`")  # a tag that is spoken of
_RAISED = re.compile(
    r"(?<![A-Za-z])([A-Za-z]|[A-Za-z]?\d)<sup>(-?\d{1,3}|n)</sup>|(?<=\d)<sup>(st|nd|rd|th)</sup>", re.IGNORECASE
)
_TAG = re.compile(
    r"</?[A-Za-z][\w:-]{0,40}(?:\s+[\w:@.-]{1,40}\s?=\s?(?:\"[^\"<>]{0,2000}\"|'[^'<>]{0,2000}'|[^\s\"'<>]{1,2000})|"
    r"\s+(?:open|disabled|checked|async|defer|hidden|controls|required|selected|readonly|autoplay|loop|muted))*\s{0,9}/?>|"
    r"<!--(?:(?!<!--).)*?-->|<\|[\w ]{1,40}\|>|\[/?INST\]|<</?SYS>>|<｜[^｜<>]{1,40}｜>"
)
_ENTITY = re.compile(r"&#?\w{1,31};")
_MARKUP = [
    (re.compile(pattern, re.MULTILINE), said)
    for pattern, said in (
        (r"^ {0,3}(?:`{3,}+|~{3,}+)(?![^\n]*[`~]$)[\w+#.-]{0,40}(?:[ {][^\n`]*)?$", " "),
        (r"```+\w*|~~~+\w*", " "),
        (r"【[^【】]*】|\[\^[^\[\]]*\]:?", ""),  # sources
        (r"!?\[([^\[\]]*)\](?:\((?:[^()\s]|\([^()\s]{0,200}\)){0,200}(?: \"[^\"]{0,200}\")?\)|\[[^\[\]]*\])", r"\1"),
        (r"^(?:(?:#{1,6}|>+|[-–*+•‣→]) (?:\[[ xX]\] |\[!\w{1,20}\] ?)?)+", ""),
        (r"(?<=\S) ?[•‣] ?(?=\S)", ", "),
        (r"(?<![=\w])==(?=[^\s=])([^=\n]{1,200})(?<=[^\s=])==(?![=\w])", r"\1"),
        (r"(?<=\w)~(\w{1,3})~", r"\1"),
        (r"(?<=\w)(\^\w{1,3})\^(?!\w)", r"\1"),
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
    r"\b(?:https?|ftp|wss?)://(?:[^\s/?#@]{0,200}@)?(?:www\.)?([^\s/?#@]*[^\s/?#@.,;:!)])(?:[^\s()]|\([^\s()]{0,200}\))*?(?=[.,;:!?)]{0,9}(?:\s|$)|\))"
)


def cleaned(text: str) -> str:
    """`text` without what only the eye is meant to see. Lines stay lines; addresses stay as they are."""
    text = _RAISED.sub(
        lambda raised: raised[3] or f"{raised[1]}^{raised[2]}",
        _AUTOLINK.sub(r"\1", _QUOTED.sub(r"\1", _THINKING.sub(" ", text))),
    )
    text = without_tex(_ENTITY.sub(lambda entity: html.unescape(entity[0]), _TAG.sub(" ", text)))
    text = "".join(character for character in text if character == "\n" or _wanted(character))
    text = "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n"))))
    for pattern, said in _MARKUP:
        text = pattern.sub(said, text)
    return text


def readable(text: str) -> str:
    """`text` for a voice that reads numbers and addresses by itself: cleaned, in one line, and of a link its host. "" where nothing
    can be said."""
    text = re.sub(r" ([,.;:!?])(?=\s|$)", r"\1", " ".join(_URL.sub(r"\1", cleaned(text)).split()))
    text = re.sub(r",(?:\s*,)+", ",", text).strip(",; ")
    return text if any(map(str.isalnum, text)) else ""


def _wanted(character: str) -> bool:
    """Neither emoji nor invisible."""
    return (
        character.isascii()
        or character in "°♭"
        or unicodedata.category(unicodedata.normalize("NFKC", character)[-1])  # of "℃" the letter
        not in {"So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"}
    )
