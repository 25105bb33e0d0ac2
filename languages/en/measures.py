"""How sizes, rates and marks that hibari does not know are said: "5 mg/day", "4 x 6 in", "a 20-kg bag", 27" and "*67".

These rules come before those of `numbers`, which take the plain units that are left.
"""

import re

from languages.en.money import Rule

_SINGULAR = {  # as it is said before a thing: "a 20-kg bag"
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "km": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "mi": "mile",
    "ft": "foot",
    "in": "inch",
    "yd": "yard",
    "l": "liter",
    "L": "liter",
    "ml": "milliliter",
    "mL": "milliliter",
    "cl": "centiliter",
    "gal": "gallon",
    "qt": "quart",
    "hr": "hour",
    "h": "hour",
    "min": "minute",
    "sec": "second",
    "wk": "week",
    "mo": "month",
    "yr": "year",
    "W": "watt",
    "V": "volt",
    "kW": "kilowatt",
    "kWh": "kilowatt hour",
    "GB": "gigabyte",
    "MB": "megabyte",
    "TB": "terabyte",
    "MP": "megapixel",
}
_UNITS = {  # that hibari does not know, or not with a full stop behind them
    **{short: _SINGULAR[short] for short in ("yr", "mo", "wk", "qt", "gal", "ft", "lbs", "hr", "min", "sec")},
    "fl oz": "fluid ounce",
    "fl. oz.": "fluid ounce",
    "yrs": "year",
    "mos": "month",
    "wks": "week",
    "pt": "pint",
    "ha": "hectare",
    "doz": "dozen",
    "pcs": "piece",
    "pkg": "package",
    "sq. ft": "square foot",
    "sq. mi": "square mile",
    "sq m": "square meter",
    "sq km": "square kilometer",
    "sq. m": "square meter",
    "hrs": "hour",
    "mins": "minute",
    "bpm": "beat per minute",
    "mmHg": "millimeter of mercury",
    "Ω": "ohm",
    "kΩ": "kiloohm",
    "MΩ": "megaohm",
    "μg": "microgram",
    "mmol": "millimole",
    "mEq": "milliequivalent",
    "sqm": "square meter",
    "sqft": "square foot",
    "mL": "milliliter",
    "μL": "microliter",
    "μm": "micrometer",
    "Nm": "newton meter",
    "ly": "light year",
    "nmi": "nautical mile",
    "mpg": "mile per gallon",
    "kbps": "kilobit per second",
    "KiB": "kibibyte",
    "MiB": "mebibyte",
    "GiB": "gibibyte",
    "TiB": "tebibyte",
    "PB": "petabyte",
    "mW": "milliwatt",
    "MWh": "megawatt hour",
    "GWh": "gigawatt hour",
}
_MANY = {
    "square foot": "square feet",
    "foot": "feet",
    "beat per minute": "beats per minute",
    "mile per gallon": "miles per gallon",
    "kilobit per second": "kilobits per second",
    "dozen": "dozen",
    "inch": "inches",
    "millimeter of mercury": "millimeters of mercury",
}
_PER = {
    **{short: _SINGULAR[short] for short in ("h", "hr", "min", "sec", "wk", "mo", "yr", "kg", "lb", "ml", "L", "l", "kWh")},
    "d": "day",
    "s": "second",
    "dL": "deciliter",
    "dl": "deciliter",
}
_WHOLE = (
    "second|minute|hour|day|night|week|weekend|month|year|visit|person|user|adult|child|serving|page|room|kilogram|liter|mile"
)
# What a rate is of; those of two letters that `numbers` knows as one ("km/h") are left to it.
_COUNTED = (
    r"(?:k?cal|m?g|[nμ]g|mmol|mEq|kg|lbs?|oz|ml|mL|[lL]|km|mi|miles?|hrs?|hours?|h|days?|d|min|minutes?|steps|beats|times|cups?|glasses|pills?|tablets?|"
    r"capsules?|doses?|drops?|breaths?|cycles|requests|calls|messages|orders|words|pages|people|visits|units?|IU|[KMGT]B|x|%)"
)
_KNOWN = r"(?:km/h|g/l|l/min|mg/l|L/100)"
_LENGTH = r"(?:ft|inches|in|feet|foot|meters|cm|mm|m|yd|\"|”|″|['’′])"
_LENGTHS = {"ft": "feet", "in": "inches", '"': "inches", "”": "inches", "″": "inches", "'": "feet", "’": "feet", "′": "feet"}
_LENGTHS |= {"foot": "feet", "cm": "centimeters", "mm": "millimeters", "m": "meters", "yd": "yards"}
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|PR|RI|"
    "SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY"
)


def _rate(match: re.Match[str]) -> str:
    return f"{match[1]} per {_PER.get(match[2], match[2])}{_stopped(match, 3)}"


def _stopped(match: re.Match[str], group: int | str) -> str:
    """The full stop behind a short form is kept where a sentence ends with it."""
    rest = match.string[match.end() :]
    ends = not rest.strip() or (rest[0].isspace() and rest.lstrip()[0].isupper())
    return "." if match[group] and ends else ""


def _unit(match: re.Match[str]) -> str:
    number, name = match[1], _UNITS[match[2]]
    return f"{number} {name if number == '1' else _MANY.get(name, name + 's')}{_stopped(match, 3)}"


def _sides(match: re.Match[str]) -> str:
    """ "4 x 6 in" is four by six inches; each side may have its unit. A product of bare numbers stays one."""
    parts = [re.fullmatch(r"([\d.]+?)\s?(\D*?)\.?", part) for part in re.split(r"\s?[x×]\s?", match[0])]
    sides = [(part[1], _LENGTHS.get(part[2], part[2])) for part in parts if part]
    if "×" in match[0] and not any(unit for _, unit in sides):
        return match[0]
    return " by ".join(f"{number} {unit}".rstrip() for number, unit in sides) + _stopped(match, "stop")


def _mark(match: re.Match[str]) -> str:
    """A number with the mark of feet or inches, unless a quotation ends there."""
    mark = match[2]
    opened = re.findall(r"(?<!\w)['‘]" if mark in "'’′" else r"(?<!\d)[\"“]", match.string[: match.start()])
    if len(opened) % 2:
        return match[0]
    unit = "foot" if mark in "'’′" else "inch"
    return f"{match[1]} {unit if match[3] or match[1] == '1' else _MANY[unit]}"


def _angle(match: re.Match[str]) -> str:
    """ "40°26'46" N" is so many degrees, minutes and seconds."""
    degrees, minutes, seconds, side = match.groups()
    said = [(degrees, "degree"), (minutes, "minute"), (seconds, "second")]
    parts = [f"{number.lstrip('0') or 0} {unit}{'' if number == '1' else 's'}" for number, unit in said if number]
    sides = {"N": "north", "S": "south", "E": "east", "W": "west"}
    return " ".join(parts + ([sides[side]] if side else []))


def _pressure(match: re.Match[str]) -> str:
    above, below = int(match[1]), int(match[2])
    return f"{above} over {below}" if above > below else match[0]


def _keys(match: re.Match[str]) -> str:
    """What is pressed on a telephone: "*#06#"."""
    signs = {"*": "star", "#": "hash"}
    return " ".join(signs.get(sign, sign) for sign in match[0] if not sign.isspace())


def _postcode(match: re.Match[str]) -> str:
    groups = [" ".join(group) for group in match[2].split("-")]
    return f"{match[1]} {', '.join(groups)}"


MEASURES: list[Rule] = [
    (re.compile(pattern), said)
    for pattern, said in (
        # Angles
        (
            r"(?<![\w.])(\d{1,3})° ?(\d{1,2})['’](?: ?(\d{1,2}(?:\.\d{1,3})?)\")?(?: ?([NSEW])\b)?",
            _angle,
        ),
        # Keys of a telephone
        (
            r"(?<![\w*#])[*#][*#\d]{1,15}(?<=[\d#*])(?=[\s,;:!?)\"'’”]|\.?(?:\s|$))(?<=#|\*)|(?<![\w*#])\*\d{1,4}(?![\w*])",
            _keys,
        ),
        (r"(?i:(?<=\bpress )|(?<=\bhit )|(?<=\bor )|(?<=\bthe ))[*#](?=[\s,.])", _keys),
        # Postcodes of the United States
        (rf"\b({_STATES}|[Zz][Ii][Pp](?: [Cc]ode)?:?) (\d{{5}}(?:-\d{{4}})?)(?![\w-]| [a-z])", _postcode),
        # Sizes, and the marks of feet and inches
        (r"(?<=/\d)(?: ?(?:\"|”|″)| ?in(?:\.|(?=[,;:)]|$)))|(?<=/\d\d)(?: ?(?:\"|”|″)| ?in(?:\.|(?=[,;:)]|$)))", " inch"),
        (
            rf"(?<![\w.,/-])(?<!\d )\d{{1,5}}(?:\.\d{{1,3}})?(?:\s?{_LENGTH}\.?)?"
            rf"(?:\s?[x×]\s?\d{{1,5}}(?:\.\d{{1,3}})?(?:\s?{_LENGTH})?){{1,2}}(?P<stop>(?<=in)\.|(?<=ft)\.)?"
            r"(?![\w^]|\.\d|\s?=|\s?\d|\s?[x×])",
            _sides,
        ),
        (r"(?<![\w'’.°])(?<!° )(\d{1,3})(['’′])(?!\w)(?! ?\d)(?=( (?!s\b|and\b|or\b|by\b|to\b|is\b)[a-z]+\b)?)", _mark),
        (
            r"(?<![\w'’./])(?<!['’′] )(\d{1,4}(?:\.\d{1,2})?)(\"|”|″)"
            r"(?=( (?!(?:or|and|to|by|for|is|wide|long|tall|high|deep|thick)\b)\w+\b)?)",
            _mark,
        ),
        # Blood pressure, and marks out of 5, 10, 20 and 100
        (r"(?<![\w./])([89]\d|1\d\d|2[0-4]\d)/([4-9]\d|1[0-3]\d)(?![\w/]|\.\d)", _pressure),
        (r"(?<![\w./])(\d\.\d)/(5|10)(?![\w/]|\.\d)", r"\1 out of \2"),
        (r"(?<![\w./])([2-9]|10)/10(?![\w/]|\.\d| (?:of|inch|mile|second|cup)| ?\d)", r"\1 out of 10"),
        (r"(?<![\w./])(?!20/20)(\d{1,2})/(20|100)(?![\w/]|\.\d| (?:of|inch|mile))", r"\1 out of \2"),
        # So much in a time, or of something
        (
            rf"(?!{_KNOWN}(?!\w))((?<=\d){_COUNTED}|(?<=\d ){_COUNTED})/"
            rf"({_WHOLE}|{'|'.join(sorted(_PER, key=len, reverse=True))})(?![\w/²³])(\.)?",
            _rate,
        ),
        (
            r"/(m|km|cm|ft) (squared|cubed)\b",
            lambda m: f" per {'square' if m[2] == 'squared' else 'cubic'} {_SINGULAR[m[1]]}",
        ),
        (r"(?<=\d)#(?=[\s.,;]|$)", " hash"),
        (r"(?<=\d)/ ?(sq\.? ?(?:ft|m)|sqft|sqm)\b\.?", lambda m: f" per square {'meter' if m[1][-1] == 'm' else 'foot'}"),
        (r"(?<=\d)/gal\b(\.)?", lambda m: f" per gallon{_stopped(m, 1)}"),
        (r"(?<=\d) ?(kWh|kW|MW)/(?=day\b|h\b|year\b|month\b)", r" \1 per "),
        (r"\bper (kWh|kg|lb|oz|gal|GB|hr|yr|mo|ml)\b(?!\.)", lambda m: f"per {_SINGULAR[m[1]]}"),
        (r"(?<=\d)( ?(?:km|cm|mm|m|ft))\^(?=[23]\b)", r"\1"),
        (r"(?<=m/s)\^2", " squared"),
        # Units behind a hyphen: "a 20-kg bag"
        (
            rf"(?<![\w.,-])(\d{{1,5}}(?:\.\d)?)-({'|'.join(sorted(_SINGULAR, key=len, reverse=True))})\.?(?= [a-z])",
            lambda m: f"{m[1]} {_SINGULAR[m[2]]}",
        ),
        (r"(?<=\d) ?(?:ft|feet|foot)\.? (\d{1,2}) ?in\b\.?(?=[\s,;)]|$)", r" feet \1 inches"),
        (
            r"(?<![\w.])(\d{1,3}(?:\.\d)?)(?:in| in\.)(?=[\s,;)]|$)(?! the\b| a\b)",
            lambda m: f"{m[1]} inch{'' if m[1] == '1' else 'es'}",
        ),
        (
            rf"(?<![\w.,$£€-])(\d{{1,9}}(?:,\d{{3}}){{0,3}}(?:\.\d{{1,3}})?) ?"
            rf"({'|'.join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))})(?![\w/'’²³-])(\.)?",
            _unit,
        ),
        # Degrees without their sign
        (
            r"(?i:((?:\b(?:to|at|below|above|around|about|oven|temp|temperature)|/) ?))(\d{2,3}(?:\.\d)?) ?([CF])(?![\w'’°])",
            r"\1\2 °\3",
        ),
        (r"(?<![\w:.,])(\d{1,3}):(\d{1,3}(?:,\d{3})+)(?![\w:])", r"\1 to \2"),
        (r"(?<=\d:\d\d)h\b", ""),
    )
]
