"""How telephone numbers and codes are said: digit by digit, in the groups in which they are written."""

import re
from datetime import date

from languages.en.money import Rule

MOST_DIGITS = 9  # a longer number is read digit by digit, unless it is a round one
MOST_AT_ONCE = 4  # digits of a code that are said in one go
FEWEST_DIALLED = 7  # digits of a telephone number without a word before it that says that it is one

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_NUMBERED = (
    r"(?:order|booking|conf\.?|confirmation|reference|ref|tracking|serial|invoice|ticket|customer|case|account|member(?:ship)?|card|"
    r"part|policy|reservation|patient|student|flight|phone|telephone|fax|mobile|model)"
)
_CODED = (
    rf"(?i:\b(?:{_NUMBERED}\s(?:number|no\.?|code|id|#)|pin|code|otp|passcode|password|zip(?: code)?|postcode|sku|"
    r"extension|ext\.?|phone|telephone|tel\.?|fax|mobile|cell)(?:\s(?:is|was|number|no\.?|code))?:?\s#?)"
)
_EMERGENCY = "911|112|999|988|311|411|511|711|811|101|111"  # numbers of three digits that people dial


def _spelled(digits: str) -> str:
    """A code digit by digit, a longer one in threes."""
    if len(digits) <= MOST_AT_ONCE:
        return " ".join(digits)
    cuts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    if len(cuts[-1]) == 1:
        cuts[-2:] = [cuts[-2] + cuts[-1]]
    return ", ".join(" ".join(cut) for cut in cuts)


def _dialled(match: re.Match[str]) -> str:
    """A telephone number: its groups as they are written. What has too few digits, or is a date, stays as it is."""
    groups = re.findall(r"\d+", match[0].replace("(0)", " "))  # that is dialled within the country only
    if len("".join(groups)) < FEWEST_DIALLED or re.fullmatch(r"\d\d([./-])\d\d\1(?:19|20)\d\d", match[0]):
        return match[0]
    if len(groups) == 1 and re.fullmatch(r"\+1\d{10}", match[0]):
        groups = ["1", groups[0][1:]]
    return ("plus " if match[0].startswith("+") else "") + ", ".join(_spelled(group) for group in groups)


def _hyphenated(match: re.Match[str]) -> str:
    """Several groups of digits: a code or a date; short groups are numbers."""
    groups = match[0].split("-")
    if re.fullmatch(r"(?:19|20)\d\d-\d\d-\d\d", match[0]):
        return match[0]
    if dated := re.fullmatch(r"(\d\d?)-(\d\d?)-((?:19|20)\d\d)", match[0]):
        return "/".join(dated.groups()) if _is_day(*map(int, dated.groups())) else ", ".join(map(_spelled, groups))
    return ", ".join(groups if all(len(group) < 3 for group in groups) else map(_spelled, groups))


def _is_day(month: int, day: int, year: int) -> bool:
    try:
        return bool(date(year, month, day))
    except ValueError:
        return False


def _fours(match: re.Match[str]) -> str:
    """Groups of four digits, as on a card; a list of years stays one."""
    groups = match[0].split()
    return match[0] if all(group[:2] in ("19", "20") for group in groups) else ", ".join(_spelled(group) for group in groups)


def _account(match: re.Match[str]) -> str:
    """An IBAN, or a postcode of letters and digits: each sign, with its groups."""
    return ", ".join(" ".join(group) for group in match[0].split())


def _code(match: re.Match[str]) -> str:
    mixed = re.search(r"[A-Z]\d|\d[A-Z]", match[2]) is not None
    groups = [re.findall(r"\d+|[A-Z]+", group) for group in match[2].split("-")]
    return match[1] + ", ".join(" ".join(_said(part, mixed) for part in group) for group in groups)


def _said(part: str, mixed: bool = True) -> str:
    return _spelled(part) if part.isdigit() else " ".join(part) if mixed and len(part) < 4 else part


def _long(match: re.Match[str]) -> str:
    """A number too long to be one: a telephone number, or the like. Nine zeros are a billion."""
    if len(match[0]) <= 15 and match[0].endswith("000000"):
        return match[0]
    return f"1, {_spelled(match[0][1:])}" if re.fullmatch(r"1\d{10}", match[0]) else _spelled(match[0])


def _mixed(match: re.Match[str]) -> str:
    """Capital letters and digits: a code where three digits stand in a row, or they change twice. "5MB-10MB" is a range."""
    if year := re.fullmatch(r"([A-Z]{1,4})-?((?:19|20)\d\d)", match[0]):
        return f"{year[1]} {year[2]}"
    parts = re.findall(r"\d+|[A-Z]+", match[0])
    sizes = all(re.fullmatch(r"\d+[A-Z]{0,4}", part) for part in match[0].split("-"))
    if sizes or (len(parts) < 3 and not re.search(r"\d{3}", match[0])) or {"AM", "PM"} & set(parts):
        return match[0]
    return " ".join(map(_said, parts))


def _promised(match: re.Match[str]) -> str:
    """Words and numbers that are written together as a code: "SAVE20" is "save 20", "SPRING25OFF" "spring 25 off"."""
    parts = re.findall(r"[A-Z]+|\d+", match[0])
    words = [part for part in parts if part.isalpha()]
    if not all(_VOWEL.search(word) and not _UNSAYABLE.search(word) for word in words):
        return _mixed(match)
    return " ".join(
        part.lower() if part.isalpha() else part if len(part) < 3 or _YEAR.fullmatch(part) else _said(part) for part in parts
    )


def _signs(match: re.Match[str]) -> str:
    """A code in hexadecimal digits: each sign, in the groups in which it is written, or in fours."""
    groups = re.split(r"[:.-]", match[0]) if re.search(r"[:.-]", match[0]) else [match[0]]
    cut = [group[at : at + 4] for group in groups for at in range(0, len(group), 4)]
    return ", ".join(" ".join(group.upper()) for group in cut)


def _hash(match: re.Match[str]) -> str:
    """Small hexadecimal digits in which letters and figures change at least twice: "facade1" and "1e10" are none."""
    parts = re.findall(r"\d+|[a-f]+", match[0])
    return _signs(match) if len(parts) > 2 and not re.fullmatch(r"(?<!\d)\d++e\d+", match[0]) else match[0]


def _internet(match: re.Match[str]) -> str:
    """An address of IPv6, which must be written down with its colons."""
    return " ".join("colon" if sign == ":" else sign.upper() for sign in match[0])


_VOWEL = re.compile(r"[AEIOUY]")
_UNSAYABLE = re.compile(r"[^AEIOUY]{5}")  # consonants in a row: letters, and no word
_YEAR = re.compile(r"(?:19|20)\d\d")
_HEX = r"[\da-fA-F]"
_GROUPS = re.compile(r"[\d .\-]+")
_DIAL = r"(?<![\w.,$£€#/-])"
CODES: list[Rule] = [
    (re.compile(pattern), said)
    for pattern, said in (
        # UUIDs, hardware addresses, addresses of IPv6, and hashes
        (rf"(?<![\w-]){_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}(?![\w-])", _signs),
        (
            rf"(?<![\w:-]){_HEX}{{2}}([:-])(?:{_HEX}{{2}}\1){{4}}(?:{_HEX}{{2}}\1{_HEX}{{2}}\1)?{_HEX}{{2}}(?![\w:-]\w|\w)",
            _signs,
        ),
        (rf"(?<![\w.]){_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}(?!\w|\.\w)", _signs),
        (
            rf"(?<![\w:.])(?=[a-fA-F:]{{0,39}}\d)(?:(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}|"
            rf"(?=[\da-fA-F:]{{2,39}}(?!\w))(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?)"
            r"(?!\w|:\w)",
            _internet,
        ),
        (r"(?<![\w.-])[\da-f]{7,128}(?![\w-]|\.\w)", _hash),
        # Groups of four, and postcodes
        (r"(?<![\w-])[A-Z]{2}\d\d(?: [A-Z\d]{4}){2,7}(?: [A-Z\d]{1,4})?(?![\w-])", _account),
        (r"(?<![\w-])[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?![\w-])", _account),
        (r"(?<![\w.,$£€-])\d{4}(?: \d{4}){2,7}(?: \d{1,4})?(?![\w,]|\.\d)", _fours),
        # Telephone numbers
        (r"\b([Ee])xt\.? ?(?=\d)", r"\1xtension "),
        (rf"{_DIAL}\+\d{{1,3}}(?:[ .\-/]{{0,3}}\(?\d{{1,5}}\)?){{2,7}}(?!\w)", _dialled),
        (rf"{_DIAL}\(0?\d{{2,5}}\)[ \-/]{{0,3}}\d{{2,4}}(?:[ .\-]?\d{{2,5}}){{0,3}}(?!\w)", _dialled),
        (rf"{_DIAL}(?:1[ .\-])?\d{{3}}([ .\-])\d{{3}}\1\d{{4}}(?!\w|[.\-]\d)", _dialled),
        (rf"{_DIAL}\d{{3}}-\d{{4}}(?!\w|[.\-]\d)", _dialled),
        (rf"{_DIAL}1[38]00 \d{{3}} \d{{3}}(?!\w|[.\-]\d)", _dialled),  # of Australia (ACMA's numbering plan)
        (rf"{_DIAL}0\d{{1,5}}(?:(?: ?[./\-] ?| )\d{{2,8}}){{1,6}}(?!\w|[.\-/:]\d|\s?[ap]\.?m\b)", _dialled),
        (
            r"(?i:(\b(?:number|hotline|helpline|call|dial|tel|telephone|phone|fax|text|ring|reach|whatsapp)\b[^\d\n]{0,20}))"
            r"(?<![\w.,$£€#/-])(\d{3,5}(?:[ .\-]\d{2,5}){1,4})(?![\w-]|\.\d)",
            lambda m: m[1] + _GROUPS.sub(_dialled, m[2]),
        ),
        (
            r"(?i:(\b(?:call|dial|ring) ))(\d{3}) (\d{3})(?! ?[\w,-]|\.\d)",
            lambda m: f"{m[1]}{_spelled(m[2])}, {_spelled(m[3])}",
        ),
        (r"(?<=\d \d \d),? ?x(\d{1,6})\b", lambda m: f", extension {_spelled(m[1])}"),
        (
            rf"(?i:\b(call|dial|ring|text|phone|emergency:?) )({_EMERGENCY})(?: (or|and) ({_EMERGENCY}))?(?![\w:,.-]*\d)"
            r"(?! (?:people|[a-z]+s)\b)",
            lambda m: f"{m[1]} {_spelled(m[2])}" + (f" {m[3]} {_spelled(m[4])}" if m[3] else ""),
        ),
        (  # a number of a few digits that takes texts
            r"(?i:(\b(?:text|sms|txt)\b(?:[^.\d\n]{0,25} to)? ))(\d{4,6})(?![\w:,.-]*\d)(?! (?:people|[a-z]+s)\b)",
            lambda m: f"{m[1]}{_spelled(m[2])}",
        ),
        (  # Boeing's, by their series
            r"(?:(?<=[Bb]oeing )|(?<=\b[Aa] )|(?<=\b[Tt]he )|(?<=\b[Oo]ur ))(7[0-8]7)-(\d00|[89]|10)(?![\w-]|\.\d)"
            r"(?! ?(?:kg|km|m|g|miles|people|euros|dollars|pounds)\b)",
            r"\1 \2",
        ),
        (r"(?<![\w.-])[A-Z]{4,14}\d{1,4}(?:[A-Z]{2,14})?(?![\w-])", _promised),
        # Codes: with hyphens, behind a word for one, with letters, with zeros before them
        (r"(?<![\w.,$£€/-])\d{1,8}(?:-\d{1,8}){2,6}(?![\w-]|\.\d)", _hyphenated),
        (
            rf"({_CODED})(\d{{3}}(?: \d{{3}}){{1,2}})(?![\w,-]|\.\d| \d)",
            lambda m: m[1] + ", ".join(map(_spelled, m[2].split())),
        ),
        (
            r"(?i:(\b(?:end(?:s|ing) (?:in|with)|last (?:four|4|three|3)(?: digits| numbers)?(?: are| is|:)?) ))"
            r"(\d{3,5})(?![\w,.-]*\d)",
            lambda m: f"{m[1]}{_spelled(m[2])}",
        ),
        (r"\b([A-Z]{1,3})# ?(?=\d)", r"\1 number "),
        (
            rf"({_CODED})((?=[\w-]{{0,30}}\d)(?=[\w-]{{0,30}}\d{{3}}|[A-Z\d]{{4}})[A-Z]{{0,4}}-?[A-Z\d]{{1,20}}(?:-[A-Z\d]{{1,20}}){{0,4}})"
            r"(?![\w,]|\.\d)(?!\s\d)",
            _code,
        ),
        (
            rf"(?i:\b({_NUMBERED}|id) #?)(?<=#)(\d{{3,20}}(?:-\d{{1,20}}){{0,3}})(?![\w,.-]*\d)",
            lambda m: f"{m[1]} number {', '.join(map(_spelled, m[2].split('-')))}",
        ),
        (rf"(?i:\b({_NUMBERED}|id) )(\d{{5,20}})(?![\w,.-]*\d)", lambda m: f"{m[1]} {_spelled(m[2])}"),
        (r"(?<![\w.,/$£€-])(\d{1,8})-(0\d{2,8})(?![\w-]|\.\d)", lambda m: f"{_spelled(m[1])}, {_spelled(m[2])}"),
        (r"(?<![\w.-])(?=[A-Z-]{0,30}\d)(?=[\d-]{0,30}[A-Z])[A-Z\d]{1,30}(?:-[A-Z\d]{1,30}){0,5}(?![\w-])", _mixed),
        (rf"(?<![\w.,:/$£€-])0\d{{1,20}}(?![\d.,:/%]*\d|\s?[ap]\.?m\b|\s?(?:{_MONTH})\b|\s?h\b|-\d)", lambda m: _spelled(m[0])),
        (rf"(?<![\w.,$£€])\d{{{MOST_DIGITS + 1},}}+(?![.,]?\d)", _long),
    )
]
