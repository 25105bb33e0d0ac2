"""How sums of money are said, whichever side the sign stands on and however thousands are grouped. hibari reads a plain "$1.2M"."""

import re
from collections.abc import Callable

MOST_GROUPED = 9  # digits that are grouped in thousands; more are left as they are

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

_CURRENCIES = {  # sign or ISO 4217 code: the unit, and a hundredth of it
    "$": ("dollar", "cent"),
    "£": ("pound", "penny"),
    "€": ("euro", "cent"),
    "¥": ("yen", "sen"),
    "₹": ("rupee", "paisa"),
    "₩": ("won", "jeon"),
    "₽": ("ruble", "kopeck"),
    "₺": ("lira", "kurus"),
    "₪": ("shekel", "agora"),
    "₿": ("bitcoin", ""),
    "฿": ("baht", "satang"),
    "₫": ("dong", ""),
    "₱": ("peso", "centavo"),
    "₦": ("naira", "kobo"),
    "₴": ("hryvnia", "kopiyka"),
    "₡": ("colon", "centimo"),
    "₵": ("cedi", "pesewa"),
    "₸": ("tenge", "tiyn"),
    "₾": ("lari", "tetri"),
    "zł": ("zloty", "grosz"),
    "kr": ("krona", "ore"),
    "USD": ("US dollar", "cent"),
    "EUR": ("euro", "cent"),
    "GBP": ("pound", "penny"),
    "CHF": ("Swiss franc", "centime"),
    "JPY": ("yen", "sen"),
    "CNY": ("yuan", "fen"),
    "INR": ("rupee", "paisa"),
    "AUD": ("Australian dollar", "cent"),
    "CAD": ("Canadian dollar", "cent"),
    "NZD": ("New Zealand dollar", "cent"),
    "SGD": ("Singapore dollar", "cent"),
    "HKD": ("Hong Kong dollar", "cent"),
    "SEK": ("Swedish krona", "ore"),
    "NOK": ("Norwegian krone", "ore"),
    "DKK": ("Danish krone", "ore"),
    "PLN": ("zloty", "grosz"),
    "CZK": ("Czech koruna", "heller"),
    "HUF": ("forint", "filler"),
    "MXN": ("Mexican peso", "centavo"),
    "BRL": ("real", "centavo"),
    "ZAR": ("rand", "cent"),
    "BTC": ("bitcoin", ""),
}
_CURRENCIES |= {
    "US$": _CURRENCIES["USD"],
    "A$": _CURRENCIES["AUD"],
    "AU$": _CURRENCIES["AUD"],
    "C$": _CURRENCIES["CAD"],
    "CA$": _CURRENCIES["CAD"],
    "NZ$": _CURRENCIES["NZD"],
    "S$": _CURRENCIES["SGD"],
    "HK$": _CURRENCIES["HKD"],
    "NT$": ("Taiwan dollar", "cent"),
    "R$": _CURRENCIES["BRL"],
    "MX$": _CURRENCIES["MXN"],
}
_PLURALS = {"penny": "pence", "krona": "kronor", "krone": "kroner", "real": "reais"}
_UNCHANGED = (
    "baht",
    "dong",
    "naira",
    "satang",
    "kobo",
    "lari",
    "tenge",
    "yen",
    "yuan",
    "won",
    "rand",
    "sen",
    "fen",
    "jeon",
    "ore",
    "kurus",
)
_COMMA_IS_POINT = ("€", "EUR", "zł", "kr", "PLN", "CZK", "HUF", "SEK", "NOK", "DKK", "BRL", "R$")
_CODES = "|".join(sorted(code for code in _CURRENCIES if re.fullmatch("[A-Z]{3}", code)))
_SIGN = rf"(?:(?:US|CA|AU|NZ|HK|NT|MX|A|C|S|R)?\$|[£€¥₹₩₽₺₪₿฿₫₱₦₴₡₵₸₾]|\b(?:{_CODES})\b)"
_LARGE = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "b": "billion", "B": "billion", "bn": "billion"}
_LARGE |= {"T": "trillion", "tn": "trillion", "MM": "million", "mn": "million", "Mio": "million", "Mrd": "billion"}
_MANY = r"(?:\s?(thousand|million|billion|trillion|lakh|crore|[bmt]n\b|MM\b|Mio\b\.?|Mrd\b\.?|[kKmMbBT]\b))?"
_AMOUNT = r"(\d{1,3}(?:[ '’]\d{3}){1,6}(?:[.,]\d{1,2})?(?!\d)|\d++(?:[.,]\d++)*+|\.\d++)(?:[.,][-–—](?!\d))?"
_PER = r"(?:\s?/\s?(?:an?\s)?([A-Za-z]{1,20})\b)?"
_PERIODS = {"hr": "hour", "h": "hour", "mo": "month", "yr": "year", "kg": "kilogram", "g": "gram", "lb": "pound", "oz": "ounce"}
_PERIODS |= {
    "l": "liter",
    "L": "liter",
    "m": "meter",
    "km": "kilometer",
    "mi": "mile",
    "wk": "week",
    "min": "minute",
    "GB": "gigabyte",
}
_TO = r"\s?(?:-|–|—|to)\s?"


def _value(written: str, sign: str) -> tuple[str, str]:
    """The whole part and the decimals of an amount, in whichever way it groups its thousands."""
    written = re.sub(r"[ '’]", "", written)
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){0,6},\d{1,2}|\d{1,18},\d{1,2}", written):  # 1.234,56
        written = written.replace(".", "").replace(",", ".")
    elif sign in _COMMA_IS_POINT and re.fullmatch(r"\d{1,3}(?:\.\d{3}){0,6}\.\d00", written):  # 1.500
        written = written.replace(".", "")
    whole, _, decimals = written.replace(",", "").partition(".")
    return whole.lstrip("0") or "0", decimals


def _size(many: str) -> str:
    return _LARGE.get(many.rstrip("."), many)


def _plural(unit: str, one: bool) -> str:
    front, _, last = unit.rpartition(" ")
    last = last if one or last in _UNCHANGED else _PLURALS.get(last, f"{last}s")
    return f"{front} {last}".strip()


def _priced(sign: str, written: str, many: str | None, per: str | None = None, beside: bool = False) -> str:
    """`beside` a noun a price is no plural: "a 5 dollar bill"."""
    unit, small = _CURRENCIES[sign]
    whole, decimals = _value(written, sign)
    tail = f" per {_PERIODS.get(per, per)}" if per else ""
    if many:
        number = f"{whole}.{decimals}" if decimals else whole
        return f"{number} {_size(many)} {_plural(unit, beside)}{tail}"
    if decimals.strip("0") and not small:
        return f"{whole}.{decimals} {_plural(unit, beside)}{tail}"
    if len(decimals) > 2 and decimals[2:].strip("0"):
        return f"{whole} point {' '.join(decimals)} {_plural(unit, beside)}{tail}"
    cents = int((decimals + "00")[:2])
    said = [f"{_thousands(whole)} {_plural(unit, beside or whole == '1')}"] if whole != "0" or not cents else []
    said += [f"{cents} {_plural(small, beside or cents == 1)}"] if cents else []
    return " and ".join(said) + tail


def _thousands(whole: str) -> str:
    return f"{int(whole):,}" if 3 < len(whole) <= MOST_GROUPED else whole


def _before(match: re.Match[str]) -> str:
    _, sign, written, many, per, plus = match.groups()
    if (
        many
        and sign in "$£€"
        and not per
        and many[1:] not in ("n", "M", "io", "rd", "io.", "rd.")
        and many != "T"
        and "," not in written
        and not plus
    ):
        return match[0]  # hibari reads "$1.2M"
    return _priced(sign, written, many, per) + (" plus" if plus else "")


def _beside(match: re.Match[str]) -> str:
    return match[1] + _priced(match[2], match[3], match[4], beside=True) + " "


def _behind(match: re.Match[str]) -> str:
    written, many, sign, per = match.groups()
    return _priced(sign if sign in _CURRENCIES else sign.upper(), written, many, per)


def _range(article: str | None, sign: str, first: str, low: str | None, second: str, high: str | None) -> str:
    many, unit = low or high, _plural(_CURRENCIES[sign][0], bool(article))
    exact = any(re.search(r"[.,]\d\d", number) for number in (first, second))
    if not re.search(r"[.,]", first + second) or (high and not low and not exact):
        said = f"{first} to {second}{f' {_size(many)}' if many else ''} {unit}"
    else:
        said = f"{_priced(sign, first, low)} to {_priced(sign, second, high)}"
    return (article or "") + said


def _range_behind(match: re.Match[str]) -> str:
    first, low, second, high, sign = match.groups()
    return _range(None, sign if sign in _CURRENCIES else sign.upper(), first, low, second, high)


def _fractional(match: re.Match[str]) -> str:
    """ "$3 1/2 million" is "3 1/2 million dollars", and the fraction is said later on."""
    article, sign, number, many, per, thing = match.groups()
    unit = _plural(_CURRENCIES[sign][0], bool(article and thing))
    size = f" {_size(many)}" if many else ""
    if not re.search(r"[ -]", number):
        number, size = ("half" if number == "1/2" else f"{number} of"), f" a{size}"
    return f"{article or ''}{number.replace('-', ' ')}{size} {unit}{f' per {_PERIODS.get(per, per)}' if per else ''}"


def _notes(match: re.Match[str]) -> str:
    """ "$20s" are notes of that value; "in the $20s" is a range of prices, and "$100s of" are hundreds."""
    within, sign, number, of = match.groups()
    unit = _CURRENCIES[sign][0]
    if within:
        return f"{within.replace('-', ' ')}{number} {unit} range"
    if of and (tens := _TENS.get(number.replace(",", ""))):
        return f"{tens} of {_plural(unit, False)}{' of' if of.endswith('of') else ''}"
    return f"{number} {unit} {'bills' if unit.endswith('dollar') else 'notes'}{of or ''}"


_TENS = {"10": "tens", "100": "hundreds", "1000": "thousands", "10000": "tens of thousands", "100000": "hundreds of thousands"}
_BEHIND = rf"({_SIGN}|(?i:USD|EUR|GBP|CHF)\b|(?:zł|kr)(?!\w))"
MONEY: list[Rule] = [
    (re.compile(pattern), said)
    for pattern, said in (
        # Spellings of one sum
        (r"\bUSD ?\$", "US$"),
        (r"\b(CAD|AUD|NZD|HKD|SGD|MXN) ?\$ ?(?=\d)", r"\1 "),
        (rf"(?<![\w.,-])(?<!\d )({_SIGN})\s?[-–](?=\.?\d)", lambda m: f"-{m[1]}{' ' if m[1][-1].isalpha() else ''}"),
        (r"\$ ?(\d[\d.,]*) ?(USD|CAD|AUD|NZD|HKD|SGD|MXN)\b", r"\2 \1"),
        (r"(?<=\d)¢ ?[-–—] ?(?=\d+ ?¢)", " to "),
        (rf"({_SIGN} ?\d[\d.,]{{0,12}})-(an?)-(?=[a-z])", r"\1 \2 "),
        (rf"({_SIGN} ?\d[\d.,]{{0,12}}) ?(?:p\.p\.|pp\b)", r"\1/person"),
        (rf"({_SIGN} ?\d[\d.,]{{0,12}}) ?p\.n\.", r"\1/night"),
        (rf"({_SIGN} ?\d[\d.,]{{0,12}}) ?/ ?(?=\d{{1,6}} ?(?:[kKM]|k?g|m?l|mL|L|tokens|words|pages|people)\b)", r"\1 per "),
        (rf"({_SIGN} ?\d[\d.,]{{0,12}})[- ](million|billion|trillion)(?:-dollar)?(?= [a-z])", r"\1 \2"),
        (r"(?<![\w./])(\d{1,2})/(?=\$\d)", r"\1 for "),
        (
            rf"({_SIGN} ?\d[\d.,]{{0,12}}) ?[-–] ?"
            rf"(?={_SIGN}? ?\d[\d.,]{{0,12}} ?(?:=|equals|leaves|(?:is|makes) {_SIGN}))",
            r"\1 minus ",
        ),
        (rf"({_SIGN} ?\d[\d.,]{{0,12}}) ?[/÷] ?(?=\d{{1,9}} ?(?:=|equals|is {_SIGN}))", r"\1 divided by "),
        # About so much, notes, and halves
        (
            rf"\b([Aa])n? ({_SIGN}[\d.,]{{1,12}}(?: [mb]illion)?)-?ish(?= [a-z])",
            lambda m: f"{'R' if m[1] == 'A' else 'r'}oughly a {m[2]}",
        ),
        (r"(?i:(\d(?:[kmb%]|\s?(?:thousand|million|billion|€|£|\$|[ap]\.?m\.?))?)\s?-?ish\b)", r"\1 or so"),
        (rf"({_SIGN})\s?(\d{{1,9}})-(something|odd|some)\b", lambda m: f"{m[2]}-{m[3]} {_plural(_CURRENCIES[m[1]][0], False)}"),
        (
            rf"(\bin the (?:(?:low|mid|middle|high|upper)[ -])?)?({_SIGN})\s?(\d{{1,3}}(?:,\d{{3}}){{1,3}}|\d{{1,9}})['’]?s\b"
            r"( of dollars| of\b)?",
            _notes,
        ),
        (
            rf"(\b[Aa]n? )?({_SIGN})\s?(\d{{1,6}}[ -]\d{{1,2}}/\d{{1,2}}|\d{{1,2}}/\d{{1,2}}(?= ?[mb]illion))(?![\w/.]{{0,9}}\d)"
            rf"{_MANY}{_PER}(?=( (?!(?:an?|and|or|per|is|was|to|for|each)\b)[A-Za-z])?)",
            _fractional,
        ),
        (
            rf"(\b[Aa]n? )?({_SIGN})\s?{_AMOUNT}{_MANY}{_TO}(?:{_SIGN})?\s?{_AMOUNT}{_MANY}(?![\d])",
            lambda m: _range(*m.groups()),
        ),
        (
            rf"(?<![\w.,]){_AMOUNT}{_MANY}\s?(?:{_SIGN})?\s?[-–—]\s?{_AMOUNT}{_MANY}\s?{_BEHIND}(?!\s?\d)",
            _range_behind,
        ),
        (rf"(?<![\w.,]){_AMOUNT}{_MANY}\s?{_BEHIND}(?!\d){_PER}", _behind),
        (rf"(\b[Aa]n? )({_SIGN})\s?{_AMOUNT}{_MANY}[ -](?=(?!(?:an?|and|or|per|is|was|to|for|each)\b)[A-Za-z])", _beside),
        (rf"()({_SIGN})\s?{_AMOUNT}{_MANY}{_PER}(\+)?", _before),
        (r"( per [a-z]{1,20})/([a-z]{1,20})\b", r"\1 per \2"),
    )
]
