"""The characters of a file: from bytes to text, one kind of line end, and none that nobody sees."""

import codecs
import re
from unicodedata import normalize

_MARKS = (  # a longer one before one that it begins with
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_ENDS = re.compile("\r\n?|[\v\x1c-\x1e\x85\u2028]")  # of old Macs too, and those that Word writes
_PAGE_ENDS = re.compile("[\f\u2029]")
_INVISIBLE = re.compile("[\0\u00ad\u200b\u200e\u200f\u2060\ufeff]")  # soft hyphens, spaces without width, marks of direction
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})


def decoded(data: bytes, charset: str = "") -> str:
    """Text in the encoding that its first bytes mark, UTF-16 where every other byte is zero, else in `charset`, else in UTF-8,
    else in Windows-1252, which holds Latin-1. Its lines end with a line feed."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    for name in filter(None, (marked, _wide(data), charset, "utf-8")):
        try:
            return _lined(data.decode(name))
        except (UnicodeDecodeError, LookupError):
            continue
    return _lined(data.decode("cp1252", "replace"))


def _wide(data: bytes) -> str:
    first, second = data[:1024:2], data[1:1024:2]
    if max(first.count(0), second.count(0)) * 2 < len(first):
        return ""
    return "utf-16-le" if second.count(0) > first.count(0) else "utf-16-be"


def _lined(text: str) -> str:
    return _PAGE_ENDS.sub("\n\n", _LINE_ENDS.sub("\n", text))


def tidy(text: str) -> str:
    """`text` as it is searched and spoken: composed letters, no ligatures of print, and nothing that cannot be seen."""
    return normalize("NFC", _INVISIBLE.sub("", text).translate(_LIGATURES))
