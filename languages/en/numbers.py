"""How figures are said. hibari reads whole numbers, years, ordinals, dates, times of day, plain units and Roman numerals behind
common words. What it does not read or reads wrongly stands in `money`, in `codes`, and here: dates, ranges, mixed fractions,
squares and powers, units of one letter, versions, digits behind a point that end in 0, and signs.

Each rule takes a text in one spelling (NFKC, see `unfolded`) to words and plain numbers.
"""

import re
import unicodedata

from languages.en.codes import CODES
from languages.en.measures import MEASURES
from languages.en.money import MONEY, Rule
from languages.en.science import SCIENCE

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
    "Mbit/s": "megabits per second",
    "Gbit/s": "gigabits per second",
    "kbit/s": "kilobits per second",
    "Mb/s": "megabits per second",
    "Gb/s": "gigabits per second",
    "MB/s": "megabytes per second",
    "GB/s": "gigabytes per second",
    "g/l": "grams per liter",
    "mg/l": "milligrams per liter",
    "kWh": "kilowatt hours",
    "mAh": "milliampere hours",
    "L/100km": "liters per 100 kilometers",
    "rpm": "revolutions per minute",
}
_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth", 12: "twelfth", 16: "sixteenth"}
_PARTS |= {7: "seventh", 9: "ninth", 20: "twentieth", 50: "fiftieth", 32: "thirty-second", 64: "sixty-fourth", 100: "hundredth"}
_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_SHORT_MONTH = r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
_DAYS = {day[:3]: day for day in "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()}
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:day|s|sday|nesday|rs|rsday|urday)?"
_VERSIONED = (
    r"(?i:\b(?:versions?|v|release|python|java|node|android|ios|macos|ubuntu|debian|fedora|windows|linux|kernel|cuda|php|ruby|rust|"
    r"chrome|firefox|gradio|pydantic|numpy|postgres(?:ql)?|redis|bluetooth|usb|http|tls|wi-fi|django|swift|kotlin))"
)
_UNITS = {  # that hibari does not know
    "g": "gram",
    "l": "liter",
    "L": "liter",
    "cl": "centiliter",
    "dl": "deciliter",
    "V": "volt",
    "kV": "kilovolt",
    "mV": "millivolt",
    "mA": "milliampere",
    "W": "watt",
    "Wh": "watt hour",
    "J": "joule",
    "kJ": "kilojoule",
    "kcal": "kilocalorie",
    "cal": "calorie",
    "dB": "decibel",
    "ns": "nanosecond",
    "µs": "microsecond",
    "μs": "microsecond",
    "kPa": "kilopascal",
    "hPa": "hectopascal",
    "lm": "lumen",
    "tsp": "teaspoon",
    "tbsp": "tablespoon",
    "Tbsp": "tablespoon",
}
_MEASURES = ("inch", "cup", "teaspoon", "tablespoon", "mile", "hour", "pound", "liter", "tsp", "tbsp")
_SPOONS = {"tsp": "teaspoon", "tbsp": "tablespoon"}
_OLD = dict(zip("¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", "1/4 1/2 3/4 1/3 2/3 1/5 2/5 3/5 4/5 1/6 5/6 1/8 3/8 5/8 7/8".split(), strict=True))
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")


def unfolded(text: str) -> str:
    """`text` with what NFKC would weld to its neighbours taken apart: "2½" is "2 1/2", "m²" is "square meters", "10⁻³" is "10 to
    the power of -3"."""
    text = re.sub(r"[¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]", lambda m: f" {_OLD[m[0]]}", text)
    text = _INDEX.sub(lambda m: f"{m[1]} {m[2].upper() if m[1] else m[2]} {unicodedata.normalize('NFKC', m[3])}", text)
    text = _CHARGE.sub(
        lambda m: f" {m[1].translate(_RAISED)} {'plus' if m[2] == '⁺' else 'minus'}", _ISOTOPE.sub(_isotope, text)
    )
    text = _AREA.sub(lambda m: f" {'square' if m[2] == '²' else 'cubic'} {_SQUARED[m[1]]}", text)
    text = _POWER.sub(lambda m: _RAISED_SAID.get(m[0], f" to the power of {m[0].translate(_RAISED)}"), text)
    text = re.sub(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))", ",", text).replace("№", "number ").replace("‰", " per mille")
    text = text.replace("√", " square root of ").replace("º", "°")
    text = re.sub(r"(?<=\d)(?:″|′′|'')", '"', re.sub(r"(?<=\d)[′´ʹ](?!′)", "'", text))  # NFKC makes two primes of ″
    return re.sub(r"[™®©]", "", text.replace("−", "-").replace("\u2011", "-").replace("\u2044", "/"))


_AREA = re.compile(rf"(?:(?<=\d)|(?<![\w/])) ?({'|'.join(sorted(_SQUARED, key=len, reverse=True))})([²³])(?![⁰¹²³⁴-⁹])")
_POWER = re.compile(r"(?<=[\w)])(?:[⁺⁻]?[⁰¹²³⁴-⁹]{1,9}|ⁿ)")
_RAISED_SAID = {"²": " squared", "³": " cubed", "ⁿ": " to the power of n"}
_INDEX = re.compile(r"(?<![^\W\d])(\d{0,4})([a-z])([₀-₉]{1,3})")  # of an unknown; those of formulae follow capitals
_CHARGE = re.compile(r"(?<=[A-Za-z₀-₉)])([²³⁴]?)([⁺⁻])(?![⁰¹²³⁴-⁹])")
_ISOTOPE = re.compile(r"(?<!\w)[⁰¹²³⁴-⁹]{1,3}(?=[A-Z][a-z]?\b)|(?<=[a-z]{3})(?<!sin|cos|tan|log|sec)[¹²³⁴-⁹]{1,2}(?!\w)")


def _isotope(match: re.Match[str]) -> str:
    """ "¹⁴C" is carbon 14, and "¹" behind a word a footnote."""
    return "" if match.start() and match.string[match.start() - 1].isalpha() else f"{match[0].translate(_RAISED)} "


def _fraction(match: re.Match[str]) -> str:
    """ "2 1/2" is "2 and a half", "1/16 inch" a sixteenth of one; a date stays as it is."""
    whole, above, below = match[1], int(match[2]), int(match[3])
    unit = _PARTS.get(below)
    if unit is None or above >= below or not (whole or match[4]):
        return match[0]
    article = "an" if unit.startswith("e") else "a"
    part = f"{article if whole else 'one'} {unit}" if above == 1 else f"{above} {'halves' if below == 2 else unit + 's'}"
    thing = _SPOONS.get((match[4] or "").strip(), (match[4] or "").strip())
    if whole:
        thing = f"{thing}s" if (match[4] or "").strip() in _SPOONS else "inches" if thing == "inch" else thing
        return f"{whole.strip(' -')} and {part} {thing}".rstrip()
    if thing not in _MEASURES:
        return f"{part} {thing}"
    article = "an" if thing in ("inch", "hour") else "a"
    return f"half {article} {thing}" if below == 2 else f"{part} of {article} {thing}"


def _part_to(match: re.Match[str]) -> str:
    """ "5 1/2-6 hours" is from "5 and a half to" 6; what it goes to is said by its own rule."""
    whole, above, below, last = match[1], int(match[2]), int(match[3]), match[4]
    unit = _PARTS.get(below)
    if unit is None or above >= below or not (whole or match[5]):
        return match[0]
    part = (
        f"{'an' if unit.startswith('e') else 'a'} {unit}" if above == 1 else f"{above} {'halves' if below == 2 else unit + 's'}"
    )
    return f"{whole} and {part} to {last}" if whole else f"{part.removeprefix('a ') if below == 2 else part} to {last}"


def _ending(number: int) -> str:
    return "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _unknown(match: re.Match[str]) -> str:
    return f"{match[1]} {match[2].upper()}"


def _range(match: re.Match[str]) -> str:
    return f"{match[1]} to {match[2]}"


def _european_date(match: re.Match[str]) -> str:
    day, month, year = int(match[1]), int(match[2]), match[3] if len(match[3]) == 4 else f"20{match[3]}"
    return f"{_MONTHS[month - 1]} {day}, {year}" if 1 <= day <= 31 and 1 <= month <= 12 else match[0]


def _month(name: str) -> str:
    return next(month for month in _MONTHS if month.startswith(name[:3]))


def _days(match: re.Match[str]) -> str:
    """ "3-5 May"."""
    first, last = (f"the {day}{_ending(int(day))}" for day in match.groups()[:2])
    return f"{first} to {last} of {_month(match[3])}"


def _unit(match: re.Match[str]) -> str:
    return f"{match[1]} {_UNITS[match[2]]}{'' if match[1] == '1' else 's'}"


def _digits(match: re.Match[str]) -> str:
    """ "3.50 kg": every digit is said, and the unit in words, as hibari finds none behind words."""
    from hibari.g2p.normalize import UNITS

    unit = f" {UNITS[match[3]][1]}" if match[3] in UNITS else f" {match[3]}" if match[3] else ""
    return f"{match[1]} point {' '.join(match[2])}{unit}"


_NUMERAL = r"(?:\d++(?:[.,]\d++)*+)"
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)"
_FIRST: list[Rule] = [
    (re.compile(pattern), said)
    for pattern, said in (
        # Dates that look like addresses
        (r"(?<![\w.])(\d{1,2})\.(\d{1,2})\.((?:19|20)\d\d)(?![\w.]*\d)", _european_date),
        (r"(?<![\w.])(?<!n )(0\d|[12]\d|3[01])\.(0[1-9]|1[0-2])\.(\d\d)(?![\w.])", _european_date),
        (r"\b(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d{1,9})?)?(Z)?", lambda m: f"{m[1]} {m[2]}{' UTC' if m[3] else ''}"),
        (r"(?<=\d:\d\d)Z\b", " UTC"),
        (r"\b(UTC|GMT) ?([+-]) ?(?=\d)", lambda m: f"{m[1]} {'plus' if m[2] == '+' else 'minus'} "),
        (
            r"(?<![\w./])((?:19|20)\d\d)/(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?![\w/])",
            lambda m: f"{_MONTHS[int(m[2]) - 1]} {int(m[3])}, {m[1]}",
        ),
        (
            rf"(?<![\w.-])(0?[1-9]|[12]\d|3[01])-({_MONTH})-((?:19|20)?\d\d)(?![\w-])",
            lambda m: f"{_month(m[2])} {int(m[1])}, {m[3] if len(m[3]) == 4 else '20' + m[3]}",
        ),
        # Algebra: the number before an unknown, which is a capital here, as "2 x" is "2 times"
        (r"(?<![\w.,])(\d{1,4}(?:\.\d{1,3})?)([xyz])(?= ?[+=*/^<>]| - | minus | squared| cubed)(?!/[a-z]| ?=[=>])", _unknown),
        (r"(?<=[=+] )(-?\d{1,4}(?:\.\d{1,3})?)([xyz])(?!\w)", _unknown),
        # Short forms of units, and of parts, inside a sentence
        (r"(?<=\d)( ?(?:[Tt]sp|[Tt]bsp|hrs?|mins?|lbs|oz|lb|kg|g|mg|ml|mL|cl|dl|l|L|km|cm|mm|mi))\.(?= [a-z(]|,)", r"\1"),
        (r"(?<![\w./])(\d{1,2}/\d{1,2})(?:rd|th)s?\b", r"\1"),
        (
            r"(?<![\w.,/-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\w-]|\.\d)",
            lambda m: f"{_MONTHS[int(m[2]) - 1]} {m[1]}",
        ),
        # Thousands in groups, and a comma before decimals
        (r"(?<![\w.,+(-])(\d{1,3})((?: 000){1,4})(?![\d.,-]*\d| \d)", lambda m: m[0].replace(" ", ",")),
        (r"(?<![\w.,'’])\d{1,3}(?:['’]\d{3}){1,5}(?![\w'’])", lambda m: m[0].replace("'", ",").replace("’", ",")),
        (r"(?<![\w.,-])\d{1,3}\.\d{3}\.\d{3}(?![\w-]|[.,]\d)", lambda m: m[0].replace(".", ",")),
        (
            r"(?<![\w.,])(\d{1,6}),(\d{1,2})"
            r"(?=\s?(?:%|°|percent\b|[kcm]?m\b|k?g\b|[mc]?l\b|L\b|[kMGT]B\b|GHz\b|inch))",
            r"\1.\2",
        ),
        (  # a list, of which hibari makes one number
            r"(?<![\w.,€$£])(?<![€$£] )\d{1,3}(?:,\d{1,2}){1,20}(?![\w.]|,[\d-]| ?(?:[€£$]|EUR|zł|kr|(?:m|b)illion))",
            lambda m: m[0].replace(",", ", "),
        ),
        (r"(?<![\w.,-])(\d{1,9}(?:[.,]\d{1,9})? ?([A-Za-z]{1,4})) ?[-–—] ?(?=\d{1,9}(?:[.,]\d{1,9})? ?\2\b)", r"\1 to "),
        # Units that hibari does not know: before codes, of which a letter may follow a digit
        (r"(?<![\w.:])(\d{1,3}) ?h ?([0-5]?\d)(?: ?m(?:in)?)?\b(?!:)", r"\1 hours \2 minutes"),
        (
            r"(?<![\w./$£€])(?<![$£€] )(?<!\d )(\d{1,9}(?:[.,]\d{1,9})?) ?"
            rf"({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![\w/'’])",
            _unit,
        ),
        (
            r"(?<![\w.$£€])(?<![$£€] )(\d{1,9}(?:[.,]\d{1,9})?) m(?![\w/'’²³]| ?[$£€])",
            lambda m: f"{m[1]} meter{'' if m[1] == '1' else 's'}",
        ),
    )
]
_REST: list[Rule] = [
    (re.compile(pattern), said)
    for pattern, said in (
        # Fractions and powers
        (
            r"(?<![\w./,-])(?<!\d )(?:(\d{1,4}) )?(\d{1,2})/(\d{1,2}) ?(?:-|–|—|to) ?((?:\d{1,4} )?\d{1,2}/\d{1,2}|\d{1,4})"
            rf"(?![\w/.]{{0,9}}\d)(?=[ -]?({'|'.join(_MEASURES)}|"
            r"feet|foot|meters?|kilos?|grams?|minutes?|days?|weeks?|years?|months?)?)",
            _part_to,
        ),
        (r"(?<![\w./,-])(?<!\d )(\d{1,4}) ?[-–—] ?(?=\d{1,4} \d{1,2}/\d{1,2}(?![\w/.]{0,9}\d))", r"\1 to "),
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
        (r"(?<=\w) ?\^ ?(?:\((-?\d{1,3})\)|(-?\d{1,3}))", lambda m: f" to the power of {m[1] or m[2]}"),
        (
            r"(?<![\w.,])([\d.,]{1,9}) ?(m|km|cm|mm|ft)([23])(?!\w)",
            lambda m: f"{m[1]} {'square' if m[3] == '2' else 'cubic'} {_SQUARED[m[2]]}",
        ),
        (
            rf"(?<=\d)\s?({'|'.join(map(re.escape, sorted(_RATES, key=len, reverse=True)))})(?!\w)",
            lambda m: f" {_RATES[m[1]]}",
        ),
        (r"(?<![\w'’])(\d{1,2})['’′]\s?(\d{1,2})(?:\"|”|″|'')", r"\1 foot \2"),
        (r"(?<![\w'’])([3-8])['’′](\d{1,2})(?![\w'’])", r"\1 foot \2"),
        (r"(?<=\d) ?ft (\d{1,2}) in\b", r" feet \1 inches"),
        (r"(?<![+-] \d)(?<=\d) ?/ ?(\d{1,9})(?= ?=)", r" divided by \1"),
        (r"(?<![\w.:])(\d{1,2})\.(\d\d)(?=\s?[ap]\.?m\b)", r"\1:\2"),
        # Versions, and digits behind a point that end in 0
        (
            rf"({_VERSIONED}[ /]?)(\d{{1,4}})\.(\d{{1,3}})(?![.\d])",
            lambda m: f"{m[1].replace('/', ' ')}{m[2]} point {m[3] if m[3][0] != '0' else ' '.join(m[3])}",
        ),
        (r"(?<![\w.,])(\d{1,12})\.(\d{0,8}0)(?![\d.]*\d|\s?(?:%|°))(?: ?([A-Za-zµ]{1,4}\b(?:/h\b)?))?", _digits),
        # Times, signs and ranges
        (r"(?<![\w.:])(\d{1,2}(?::\d\d)?)([AaPp])\.?([Mm])\b", lambda m: f"{m[1]} {m[2].upper()}M"),
        (r"(?<![\w/])(?:(24)/(7)|(\d\d)/(\3))(?![\w/])", lambda m: f"{m[1] or m[3]} {m[2] or m[4]}"),
        (rf"(?<![\w.,-])({_NUMERAL}) ?- ?({_NUMERAL}) ?=", r"\1 minus \2 ="),
        (rf"(?<![\w.,:/-])({_NUMERAL}%?) ?(?:-|–|—) ?({_NUMERAL})(?![\w.,]*-\d|\d)", _range),
        (r"(?<![\w.,:/-])(\d{1,2}(?::\d\d)?(?: [AP]M)?) ?(?:-|–|—) ?(\d{1,2}(?::\d\d)?)(?=\b)", _range),
        (r"(?<=°[CF]) ?(?:-|–|—) ?(?=\d)|(?i:(?<=[ap]\.m\.)) ?(?:-|–|—) ?(?=\d)", " to "),
        (rf"\b({_MONTH} \d{{1,2}}(?:st|nd|rd|th)?) ?(?:-|–|—) ?(?={_MONTH} \d)", r"\1 to "),
        (rf"\b({_MONTH})\.? ?(?:-|–|—) ?({_MONTH})\b", lambda m: f"{_month(m[1])} to {_month(m[2])}"),
        (rf"\b({_SHORT_MONTH})\.? to ({_SHORT_MONTH})\b\.?", lambda m: f"{_month(m[1])} to {_month(m[2])}"),
        (rf"\b({_SHORT_MONTH})\.? (?=(?:19|20)\d\d\b)", lambda m: f"{_month(m[1])} "),
        (rf"\b(\d{{1,2}} {_MONTH})\.? ?(?:-|–|—) ?(?=\d{{1,2}} {_MONTH})", r"\1 to "),
        (rf"(?<![\w.,-])(\d{{1,2}}) ?(?:to|-|–|—) ?(\d{{1,2}}) ({_MONTH})\b\.?", _days),
        (r"\b([Nn]oon|[Mm]idnight) ?(?:-|–|—) ?(?=\d|noon\b|midnight\b)", r"\1 to "),
        (r"(?<=\d[AaPp][Mm]) ?(?:-|–|—) ?(?=noon\b|midnight\b)|(?<=\d [AP]M) ?(?:-|–|—) ?(?=noon\b|midnight\b)", " to "),
        (rf"\b({_ORDINAL}) ?(?:-|–|—) ?(?={_ORDINAL}\b)", r"\1 to "),
        (r"(?<![\w/])(\d{1,2}/\d{1,2}) ?(?:-|–|—) ?(?=\d{1,2}/\d{1,2}(?![\w/]))", r"\1 to "),
        (r"(?<![\w.:])(\d{1,3}):(\d)(?![\w:.])", r"\1 to \2"),
        (rf"\b({'|'.join(_DAYS)})(?=,? (?:\d|{_MONTH}\b))", lambda m: _DAYS[m[1]]),
        (rf"(?<!\w)({_DAY})\.? ?(?:-|–|—) ?({_DAY})(?!\w)\.?", lambda m: f"{_DAYS[m[1][:3]]} to {_DAYS[m[2][:3]]}"),
        (rf"\b({_DAY}) ?[/&] ?({_DAY})(?!\w)\.?", lambda m: f"{_DAYS[m[1][:3]]} and {_DAYS[m[2][:3]]}"),
        (r"\b(Mon|Tues?|Wed|Thu|Thurs|Fri)(?=[,;)]|$|\.$| (?:and|or|&) )", lambda m: _DAYS[m[1][:3]]),
        (rf"\b({_MONTH}\.? \d{{1,2}}) to (\d{{1,2}})(?![\d:])", lambda m: f"{m[1]} to {m[2]}{_ending(int(m[2]))}"),
        (r"(?<![\w)\].,;:%°-])-(?=\.?\d)|(?<=\()-(?=[$£€]?\d)", "minus "),
        (r"(?<=\d)\+(?=[\s.,;:!?]|$)", " plus"),
        (r"(?<![\w<>=-])<\s?(?=[$€£]?\d)", "less than "),
        (r"(?<![\w<>=-])>\s?(?=[$€£]?\d)", "more than "),
        (r"\bpp?\. ?(?=\d+ to )|\bpp\. ?(?=\d)", "pages "),
        (r"\bp\. ?(?=\d)", "page "),
    )
]
NUMBERS: list[Rule] = [*SCIENCE, *MEASURES, *_FIRST, *CODES, *MONEY, *_REST]
