"""What nobody may read is taken out here, by one rule for the whole program: keys, tokens and passwords in a log, on a terminal
or in an error message; and the texts in the log of a conversation that is not to be recorded."""

import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST = 6  # characters: a shorter word is no secret, and hiding it would eat holes into what is told

_known: set[str] = set()  # the secrets of the settings, as they are and as they look in a URL
_NAMES = r"(?<![\w-])[\w-]*(?:token|secret|password|passwd|credential|api[_-]?key|access[_-]?key|signature)[\w-]*"
_NAMED = re.compile(rf"{_NAMES}|(?<![\w-])[\w-]*key|auth|sig|pwd|pass|jwt", re.IGNORECASE)  # of a parameter of a URL
_IN_QUERY = re.compile(r"(?<=[?&;])([^=&;\s\"'<>]{1,100})=([^&;\s\"'<>]+)")
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/?#\"'<>]*@"), f"{HIDDEN}@"),  # the account of a URL
    # ... also one whose password has letters that a URL would have written otherwise; after a port there is none
    (re.compile(r"(?<=://)[^\s/?#\"'<>@:]{0,100}:(?!\d{0,5}[/?#])[^\s\"'<>@]{1,200}@"), f"{HIDDEN}@"),
    (re.compile(r"\b((?:bearer|basic)\s+)(?=\S*\d)[^\s\"'`]{12,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(authorization[\"']?\s*[:=]\s*[b\"']*\w+\s+)[^\s\"'`]{6,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"([\"']{_NAMES}[\"']\s*:\s*[\"'])[^\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),  # JSON, and Python's repr
    (re.compile(rf"({_NAMES}=[\"']?)[^\s\"'&;,)]{{6,}}", re.IGNORECASE), rf"\1{HIDDEN}"),  # arguments
    (re.compile(r"(\b(?:x-)?api[-_]key:\s+)\S{6,}", re.IGNORECASE), rf"\1{HIDDEN}"),  # a header
    (re.compile(r"\b(sk|hf|gsk|xai|ghp|glpat)([-_])[\w-]{8,}"), rf"\1\2{HIDDEN}"),  # keys that say what they are
    (re.compile(r"\b[0-9a-f]{64}\b"), HIDDEN),  # our own tokens (`server.sessions.tokens`)
    (re.compile(r"(a=ice-pwd:)\S+"), rf"\1{HIDDEN}"),
)
_ACCOUNT = re.compile(r"(?:^|//)[^:/@\s]*:(?!\d{0,5}[/?#])(\S{1,200})@")  # of an address, the password
# Control characters but tab and line end, marks that turn the direction of writing, halves of characters, and a byte order mark: a
# terminal obeys them, and no file takes a half.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_record_before = logging.getLogRecordFactory()


def hide(*secrets: str) -> None:
    """Keeps these secrets out of everything that `clean` returns from now on. Words shorter than SHORTEST are not taken."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _known.update({secret, quote(secret), quote(secret, safe="")})


def hide_passwords(*addresses: str) -> None:
    """From now on the passwords in these addresses never leave `clean`, nor what a parser quotes of one that was not written as a
    URL wants it: "pa/ss" for "pa%2Fss". Texts that are no addresses, or hold no password, hide nothing."""
    for address in addresses:
        if found := _ACCOUNT.search(address):
            hide(found[1], unquote(found[1]), *re.split(r"[/?#@:\[\]]", found[1]))


def clean(text: str) -> str:
    """`text` without secrets (what `hide` was told of, and whatever looks like a key, a token or a password), and with control
    characters written out: a terminal would obey them, and errors quote what anybody may have said."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _UNSEEN.sub(lambda match: ascii(match[0])[1:-1], _IN_QUERY.sub(_clean_pair, text))


def without_values(complaint: str) -> str:
    """argparse's words about flags, without what was given with those that are not known: it may be a key."""
    said, unknown, given = complaint.removeprefix("error parsing CLI: ").partition("unrecognized arguments: ")
    flags = [word.partition("=")[0] for word in given.split() if word.startswith("-")]
    if unknown and not flags:
        return "only flags are taken: --help lists them"
    return f"there is no {', '.join(flags)}: --help lists all flags" if unknown else clean(said)


def _clean_pair(match: re.Match[str]) -> str:
    return f"{match[1]}={HIDDEN}" if _NAMED.fullmatch(unquote(match[1])) else match[0]


def clean_logs() -> None:
    """Cleans every log record of this process from now on, whoever logs it, before any handler sees it."""
    logging.setLogRecordFactory(_record)


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _record_before(*args, **kwargs)
    try:
        message = record.getMessage()
    except Exception:  # a wrong call: `logging` says so when it formats the record
        return record
    if (cleaned := clean(message)) != message:
        record.msg, record.args = cleaned, None
    if record.exc_info and record.exc_info[0] is not None:
        error = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (cleaned := clean(error)) != error:
            record.exc_text, record.exc_info = cleaned, None
    return record


# Names and states, never words of a person or of an answer.
_PLAIN = frozenset({"kind", "type", "state", "next", "previous", "reason", "code", "name", "line"})


def withhold(entry: Any, key: str = "kind") -> Any:
    """A log entry without texts: numbers, times, states and names stay, every other string becomes "withheld"."""
    if isinstance(entry, Mapping):
        return {name: withhold(value, name) for name, value in entry.items()}
    if isinstance(entry, list | tuple):
        return [withhold(value, key) for value in entry]
    return "withheld" if isinstance(entry, str) and key not in _PLAIN else entry
