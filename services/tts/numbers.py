"""How figures are said. hibari reads whole numbers, years, ordinals, dates, times of day, plain units and Roman numerals behind
common words. Here stands what it does not read or reads wrongly: sums of money, telephone numbers, codes and leading zeros, ranges,
mixed fractions, squares and powers, versions, digits behind a point that end in 0, and signs.

Each rule takes a text in one spelling (NFKC, see `unfolded`) to words and plain numbers.
"""

import re
from collections.abc import Callable

MOST_DIGITS = 9  # a longer number is read digit by digit, unless it is a round one
MOST_AT_ONCE = 4  # digits of a code that are said in one go

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

_CURRENCIES = {
    "$": ("dollar", "cent"),
    "£": ("pound", "penny"),
    "€": ("euro", "cent"),
    "USD": ("US dollar", "cent"),
    "EUR": ("euro", "cent"),
    "GBP": ("pound", "penny"),
    "CHF": ("Swiss franc", "centime"),
    "US$": ("US dollar", "cent"),
    "A$": ("Australian dollar", "cent"),
    "C$": ("Canadian dollar", "cent"),
    "CA$": ("Canadian dollar", "cent"),
}
_SIGN = r"(?:(?:US|CA|A|C)?\$|[£€]|\b(?:USD|EUR|GBP|CHF)\b)"
_LARGE = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "b": "billion", "B": "billion", "bn": "billion"}
_MANY = r"(?:\s?(thousand|million|billion|trillion|bn\b|[kKmMbB]\b))?"
_AMOUNT = r"(\d++(?:[.,]\d++)*+|\.\d++)"
_PER = r"(?:\s?/\s?(?:an?\s)?(hour|hr|h|day|night|week|month|mo|year|yr|person|kg|g|lb|oz|l|m|km|mi|mile|piece|unit)\b)?"
_PERIODS = {"hr": "hour", "h": "hour", "mo": "month", "yr": "year", "kg": "kilogram", "g": "gram", "lb": "pound", "oz": "ounce"}
_PERIODS |= {"l": "liter", "m": "meter", "km": "kilometer", "mi": "mile"}
_SQUARED = {
    "m": "meters",
    "km": "kilometers",
    "cm": "centimeters",
    "mm": "millimeters",
    "ft": "feet",
    "in": "inches",
    "mi": "miles",
}
_SQUARED |= {"yd": "yards", "dm": "decimeters"}
_RATES = {
    "m/s": "meters per second",
    "m/s²": "meters per second squared",
    "ft/s": "feet per second",
    "l/min": "liters per minute",
}
_RATES |= {"Mbit/s": "megabits per second", "Gbit/s": "gigabits per second", "kbit/s": "kilobits per second"}
_RATES |= {
    "MB/s": "megabytes per second",
    "GB/s": "gigabytes per second",
    "g/l": "grams per liter",
    "mg/l": "milligrams per liter",
}
_RATES |= {
    "kWh": "kilowatt hours",
    "mAh": "milliampere hours",
    "L/100km": "liters per 100 kilometers",
    "rpm": "revolutions per minute",
}
_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth", 12: "twelfth", 16: "sixteenth"}
_PARTS |= {7: "seventh", 9: "ninth", 32: "thirty-second", 64: "sixty-fourth", 100: "hundredth"}
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = {day[:3]: day for day in "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()}
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:day|s|sday|nesday|rs|rsday|urday)?"
_VERSIONED = (
    r"(?i:\b(?:versions?|v|release|python|java|node|android|ios|macos|ubuntu|debian|fedora|windows|linux|kernel|cuda|php|ruby|rust|"
    r"chrome|firefox|gradio|pydantic|numpy|postgres(?:ql)?|redis|bluetooth|usb|http|tls|wi-fi|django|swift|kotlin))"
)
_CODED = (
    r"(?i:\b(?:(?:order|booking|confirmation|reference|ref|tracking|serial|invoice|ticket|customer|case|account|member(?:ship)?|card|"
    r"part|policy|flight|phone|telephone|fax|model)\s(?:number|no\.?|code|id|#)|pin|code|passcode|password|zip(?: code)?|postcode|"
    r"extension|ext\.?)(?:\s(?:is|was|number|no\.?|code))?:?\s#?)"
)
_MEASURES = ("inch", "cup", "teaspoon", "tablespoon", "mile", "hour", "pound", "liter", "tsp", "tbsp")
_OLD = dict(zip("¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", "1/4 1/2 3/4 1/3 2/3 1/5 2/5 3/5 4/5 1/6 5/6 1/8 3/8 5/8 7/8".split(), strict=True))
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")


def unfolded(text: str) -> str:
    """`text` with what NFKC would weld to its neighbours taken apart: "2½" is "2 1/2", "m²" is "square meters", "10⁻³" is "10 to
    the power of -3"."""
    text = re.sub(r"[¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]", lambda m: f" {_OLD[m[0]]}", text)
    text = _AREA.sub(lambda m: f" {'square' if m[2] == '²' else 'cubic'} {_SQUARED[m[1]]}", text)
    text = _POWER.sub(lambda m: _RAISED_SAID.get(m[0], f" to the power of {m[0].translate(_RAISED)}"), text)
    return re.sub(r"[™®©]", "", text.replace("−", "-").replace("\u2011", "-").replace("\u2044", "/"))


_AREA = re.compile(rf"(?:(?<=\d)|(?<![\w/])) ?({'|'.join(sorted(_SQUARED, key=len, reverse=True))})([²³])(?![⁰¹²³⁴-⁹])")
_POWER = re.compile(r"(?<=[\w)])[⁺⁻]?[⁰¹²³⁴-⁹]{1,9}")
_RAISED_SAID = {"²": " squared", "³": " cubed"}


def _spelled(digits: str) -> str:
    """A code digit by digit, a longer one in threes."""
    if len(digits) <= MOST_AT_ONCE:
        return " ".join(digits)
    cuts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    if len(cuts[-1]) == 1:
        cuts[-2:] = [cuts[-2] + cuts[-1]]
    return ", ".join(" ".join(cut) for cut in cuts)


def _dialled(match: re.Match[str]) -> str:
    """A telephone number: its groups as they are written."""
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0].startswith("+") else "") + ", ".join(_spelled(group) for group in groups)


def _code(match: re.Match[str]) -> str:
    return match[1] + ", ".join(_spelled(part) if part.isdigit() else part for part in re.findall(r"\d+|[A-Za-z]+", match[2]))


def _long(match: re.Match[str]) -> str:
    """A number too long to be one: a telephone number, or the like. Nine zeros are a billion."""
    return match[0] if len(match[0]) <= 15 and match[0].endswith("000000") else " ".join(match[0])


def _mixed(match: re.Match[str]) -> str:
    if year := re.fullmatch(r"([A-Z]{1,4})-?((?:19|20)\d\d)", match[0]):
        return f"{year[1]} {year[2]}"
    parts = re.findall(r"\d+|[A-Z]+", match[0])
    return " ".join(_spelled(part) if part.isdigit() else " ".join(part) if len(part) < 4 else part for part in parts)


def _value(written: str, euro: bool) -> tuple[str, str]:
    """The whole part and the decimals of an amount, in whichever way it groups its thousands."""
    if re.fullmatch(r"^\d{1,3}(?:\.\d{3}){0,6},\d{1,2}", written):  # 1.234,56
        written = written.replace(".", "").replace(",", ".")
    elif euro and re.fullmatch(r"^\d{1,3}(?:\.\d{3}){0,6}\.\d00", written):  # 1.500
        written = written.replace(".", "")
    whole, _, decimals = written.replace(",", "").partition(".")
    return whole.lstrip("0") or "0", decimals


def _plural(unit: str, one: bool) -> str:
    return unit if one else "pence" if unit == "penny" else f"{unit}s"


def _priced(sign: str, written: str, many: str | None, per: str | None = None) -> str:
    unit, small = _CURRENCIES[sign]
    whole, decimals = _value(written, sign in ("€", "EUR"))
    tail = f" per {_PERIODS.get(per, per)}" if per else ""
    if many:
        number = f"{whole}.{decimals}" if decimals else whole
        return f"{number} {_LARGE.get(many, many)} {unit}s{tail}"
    if len(decimals) > 2 and decimals[2:].strip("0"):
        return f"{whole} point {' '.join(decimals)} {unit}s{tail}"
    cents = int((decimals + "00")[:2])
    said = [f"{_thousands(whole)} {_plural(unit, whole == '1')}"] if whole != "0" or not cents else []
    said += [f"{cents} {_plural(small, cents == 1)}"] if cents else []
    return " and ".join(said) + tail


def _thousands(whole: str) -> str:
    return f"{int(whole):,}" if 3 < len(whole) <= MOST_DIGITS else whole


def _before(match: re.Match[str]) -> str:
    if match[3] and match[1] in "$£€" and not match[4] and match[3] != "bn":
        return match[0]  # hibari reads "$1.2M"
    return _priced(match[1], match[2], match[3], match[4])


def _behind(match: re.Match[str]) -> str:
    return _priced(match[3].upper(), match[1], match[2], match[4])


def _price_range(match: re.Match[str]) -> str:
    first, second = match[2], match[4]
    many = match[3] or match[5]
    unit = _CURRENCIES[match[1]][0]
    if "." not in first + second and "," not in first + second:
        return f"{first} to {second}{f' {_LARGE.get(many, many)}' if many else ''} {unit}s"
    return f"{_priced(match[1], first, match[3])} to {_priced(match[1], second, match[5])}"


def _fraction(match: re.Match[str]) -> str:
    """ "2 1/2" is "2 and a half", "1/16 inch" a sixteenth of one; a date stays as it is."""
    whole, above, below = match[1], int(match[2]), int(match[3])
    unit = _PARTS.get(below)
    if unit is None or above >= below or not (whole or match[4]):
        return match[0]
    part = f"{'a' if whole else 'one'} {unit}" if above == 1 else f"{above} {'halves' if below == 2 else unit + 's'}"
    if whole:
        return f"{whole.strip(' -')} and {part}{match[4] or ''}"
    thing = match[4].strip()
    if thing not in _MEASURES:
        return f"{part} {thing}"
    article = "an" if thing in ("inch", "hour") else "a"
    return f"half {article} {thing}" if below == 2 else f"{part} of {article} {thing}"


def _ending(number: int) -> str:
    return "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _range(match: re.Match[str]) -> str:
    return f"{match[1]} to {match[2]}"


def _european_date(match: re.Match[str]) -> str:
    day, month = int(match[1]), int(match[2])
    return f"{_MONTHS[month - 1]} {day}, {match[3]}" if 1 <= day <= 31 and 1 <= month <= 12 else match[0]


_DIAL = r"(?<![\w.,$£€#/-])"
_NUMERAL = r"(?:\d++(?:[.,]\d++)*+)"
NUMBERS: list[Rule] = [
    (re.compile(pattern), said)
    for pattern, said in (
        # Dates that look like addresses
        (r"(?<![\w.])(\d{1,2})\.(\d{1,2})\.((?:19|20)\d\d)(?![\w.]*\d)", _european_date),
        # Telephone numbers
        (rf"{_DIAL}\+\d{{1,3}}(?:[ .\-/]?\(?\d{{1,5}}\)?){{2,6}}(?!\w)", _dialled),
        (rf"{_DIAL}\(0?\d{{2,5}}\)[ \-/]?\d{{2,4}}(?:[ .\-]?\d{{2,5}}){{0,3}}(?!\w)", _dialled),
        (rf"{_DIAL}(?:1[ .\-])?\d{{3}}([ .\-])\d{{3}}\1\d{{4}}(?!\w|[.\-]\d)", _dialled),
        (rf"{_DIAL}\d{{3}}-\d{{4}}(?!\w|[.\-]\d)", _dialled),
        (rf"{_DIAL}0\d{{1,4}}[ /\-]\d{{3,8}}(?:[ \-]\d{{2,5}}){{0,3}}(?!\w|[.\-/]\d)", _dialled),
        # Codes: behind a word for one, with letters, with zeros before them
        (rf"({_CODED})((?=[\w-]{{0,30}}\d{{3}})[A-Z]{{0,4}}-?\d{{3,20}}(?:-\d{{2,20}}){{0,4}})(?![\w,]|\.\d)(?!\s\d)", _code),
        (
            r"(?i:\b(order|ticket|invoice|booking|reference|id) #?)(?<=#)(\d{3,20})(?![\w,.-]*\d)",
            lambda m: f"{m[1]} number {_spelled(m[2])}",
        ),
        (r"(?i:\b(order|ticket|invoice|booking|reference|id) )(\d{5,20})(?![\w,.-]*\d)", lambda m: f"{m[1]} {_spelled(m[2])}"),
        (
            r"(?<![\w.-])(?=[A-Z\d-]{0,30}?\d{3})(?=[\d-]{0,30}?[A-Z])(?!\d+[A-Z]{1,4}(?![A-Z\d-]))[A-Z\d]{1,30}(?:-[A-Z\d]{1,30}){0,5}(?![\w-])",
            _mixed,
        ),
        (rf"(?<![\w.,:/$£€-])0\d{{1,20}}(?![\d.,:/%]*\d|\s?[ap]\.?m\b|\s?(?:{_MONTH})\b|\s?h\b|-\d)", lambda m: _spelled(m[0])),
        (rf"(?<![\w.,$£€])\d{{{MOST_DIGITS + 1},}}+(?![.,]?\d)", _long),
        # Money
        (rf"({_SIGN})\s?{_AMOUNT}{_MANY}\s?(?:-|–|—|to)\s?(?:{_SIGN})?\s?{_AMOUNT}{_MANY}(?![\d])", _price_range),
        (rf"(?<![\w.,]){_AMOUNT}{_MANY}\s?({_SIGN}|(?i:USD|EUR|GBP|CHF)\b){_PER}", _behind),
        (rf"({_SIGN})\s?{_AMOUNT}{_MANY}{_PER}", _before),
        # Fractions and powers
        (
            r"(?<![\w./])(\d{1,4}[ -])?(\d{1,2})/(\d{1,3})(?![\w/.]{0,9}\d)"
            r"(\s(?:of|an?|inch(?:es)?|cups?|teaspoons?|tablespoons?|miles?|"
            r"hours?|pounds?|liters?|tsp|tbsp|full|done|empty)\b)?",
            _fraction,
        ),
        (
            r"(?<![\w.])(\d{1,9}(?:\.\d{1,9})?)[eE]([+-]?)(\d{1,3})(?!\w)",
            lambda m: f"{m[1]} times 10 to the power of {m[2].replace('+', '')}{m[3]}",
        ),
        (r"(?<=\w) ?\^ ?\(?(-?\d{1,3})\)?", r" to the power of \1"),
        (
            r"(?<![\w.,])([\d.,]{1,9}) ?(m|km|cm|mm|ft)([23])(?!\w)",
            lambda m: f"{m[1]} {'square' if m[3] == '2' else 'cubic'} {_SQUARED[m[2]]}",
        ),
        (
            rf"(?<=\d)\s?({'|'.join(map(re.escape, sorted(_RATES, key=len, reverse=True)))})(?!\w)",
            lambda m: f" {_RATES[m[1]]}",
        ),
        (r"(?<![\w'’])(\d)['’′]\s?(\d{1,2})(?:\"|”|″|'')", r"\1 foot \2"),
        (r"(?<![\w.:])(\d{1,2})\.(\d\d)(?=\s?[ap]\.?m\b)", r"\1:\2"),
        # Versions, and digits behind a point that end in 0
        (
            rf"({_VERSIONED}[ /]?)(\d{{1,4}})\.(\d{{1,3}})(?![.\d])",
            lambda m: f"{m[1].replace('/', ' ')}{m[2]} point {m[3] if m[3][0] != '0' else ' '.join(m[3])}",
        ),
        (r"(?<![\w.,])(\d{1,12})\.(\d{0,8}0)(?![\d.]*\d|\s?(?:%|°))", lambda m: f"{m[1]} point {' '.join(m[2])}"),
        # Times, signs and ranges
        (r"(?<![\w.:])(\d{1,2}(?::\d\d)?)([AaPp])\.?([Mm])\b", lambda m: f"{m[1]} {m[2].upper()}M"),
        (r"(?<![\w/])(?:(24)/(7)|(\d\d)/(\3))(?![\w/])", lambda m: f"{m[1] or m[3]} {m[2] or m[4]}"),
        (rf"(?<![\w.,-])({_NUMERAL}) ?- ?({_NUMERAL}) ?=", r"\1 minus \2 ="),
        (rf"(?<![\w.,:/-])({_NUMERAL}%?) ?(?:-|–|—) ?({_NUMERAL})(?![\w.,]*-\d|\d)", _range),
        (r"(?<![\w.,:/-])(\d{1,2}(?::\d\d)?(?: [AP]M)?) ?(?:-|–|—) ?(\d{1,2}(?::\d\d)?)(?=\b)", _range),
        (r"(?<=°[CF]) ?(?:-|–|—) ?(?=\d)|(?i:(?<=[ap]\.m\.)) ?(?:-|–|—) ?(?=\d)", " to "),
        (rf"(?<!\w)({_DAY})\.? ?(?:-|–|—) ?({_DAY})(?!\w)\.?", lambda m: f"{_DAYS[m[1][:3]]} to {_DAYS[m[2][:3]]}"),
        (rf"\b({_MONTH} \d{{1,2}}) to (\d{{1,2}})(?![\d:])", lambda m: f"{m[1]} to {m[2]}{_ending(int(m[2]))}"),
        (r"(?<![\w)\].,;:%°-])-(?=\.?\d)|(?<=\()-(?=\d)", "minus "),
        (r"(?<=\d)\+(?=[\s.,;:!?]|$)", " plus"),
        (r"(?<![\w<>=-])<\s?(?=[$€£]?\d)", "less than "),
        (r"(?<![\w<>=-])>\s?(?=[$€£]?\d)", "more than "),
        (r"\bpp?\. ?(?=\d+ to )|\bpp\. ?(?=\d)", "pages "),
        (r"\bp\. ?(?=\d)", "page "),
    )
]
