"""How the signs of mathematics and chemistry, Roman numerals and ratios are said: "α ≤ 2", "9 - 4 = 5", "CaCO₃", "the XIV century",
"1:2.5". These rules come before those for codes and ranges, which would take them for theirs."""

import re
import unicodedata

from languages.en.money import Rule

NEAR = 40  # characters around a dash among which the signs of an equation are

_ELEMENTS = (  # of the periodic table, those with two letters first
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Mo|Ag|Cd|Sn|Sb|Te|Xe|Cs|Ba|Pt|Au|Hg|Pb|Bi|"
    "Ra|Th|Pu|H|B|C|N|O|F|P|S|K|V|W|I|U"
)
_ATOMS = rf"(?:{_ELEMENTS})\d{{0,2}}"
_SIGNS = {
    "∞": "infinity",
    "∑": "the sum of",
    "∏": "the product of",
    "∫": "the integral of",
    "∂": "partial",
    "∇": "nabla",
    "∈": "in",
    "∉": "not in",
    "∀": "for all",
    "∃": "there is",
    "∪": "union",
    "∩": "intersection",
    "⊂": "subset of",
    "∴": "therefore",
    "∠": "angle",
    "∥": "parallel to",
    "⊥": "perpendicular to",
    "∝": "proportional to",
    "≡": "is equivalent to",
    "∛": "cube root of",
    "∓": "minus or plus",
    "∕": "over",
    "∅": "the empty set",
    "≈": "is about",
    "↔": "and",
    "⇔": "and",
}
_TERM = r"(?:\d{1,6}(?:\.\d{1,6})?[A-Za-z]{0,2}|[b-z])(?:\^\d{1,2})?"  # a number, an unknown or both; "a" may be an article
_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{0,3}))"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_RULERS = (  # whose numbers are ordinals, which the voice reads itself unless an "'s" follows
    "Pope|King|Queen|Henry|Louis|Edward|George|William|Charles|James|Richard|Elizabeth|Napoleon|Pius|Benedict|Leo|Paul|Ramses|"
    "Frederick|Philip|Alexander|Nicholas|Peter|Catherine|Ivan|Umberto|Emmanuel|Gustav|Christian|Ferdinand"
)
# The first names of men that were given most in a century (US Social Security Administration, 1924-2023).
_GIVEN = (
    "James|Michael|Robert|John|David|William|Richard|Joseph|Thomas|Christopher|Charles|Daniel|Matthew|Anthony|Mark|Steven|Donald|Andrew|"
    "Joshua|Paul|Kenneth|Kevin|Brian|Timothy|Ronald|Jason|George|Edward|Jeffrey|Ryan|Jacob|Nicholas|Gary|Eric|Jonathan|Stephen|Larry|"
    "Justin|Benjamin|Scott|Brandon|Samuel|Gregory|Alexander|Patrick|Frank|Jack|Raymond|Dennis|Tyler|Aaron|Jerry|Jose|Nathan|Adam|Henry|"
    "Zachary|Douglas|Peter|Noah|Kyle|Ethan|Christian|Jeremy|Keith|Austin|Sean|Roger|Terry|Walter|Dylan|Gerald|Carl|Jordan|Bryan|Gabriel|"
    "Jesse|Harold|Lawrence|Logan|Arthur|Bruce|Billy|Elijah|Joe|Alan|Juan|Liam|Willie|Mason|Albert|Randy|Wayne|Vincent|Lucas|Caleb|Luke|"
    "Bobby|Isaac|Bradley|Martin|Theodore|Frederick|Philip|Louis|Ralph|Harry"
)
_FREE = r"(?<![\w.,$£€¥₹])(?<![$£€¥₹] )"
_DETERMINERS = "The|This|An|Our|Your|His|Her|Their"
_EQUATION = re.compile(r"[=^≤≥√+×]|squared|cubed|(?<!\w)\d{0,4}[xyz](?!\w)")
_SHORT = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_MONTHS = "January February March April May June July August September October November December".split()
_SIDES = {"N": "north", "S": "south", "E": "east", "W": "west"}
_COUNTED = (
    "people|users|views|followers|subscribers|downloads|customers|visitors|jobs|households|copies|inhabitants|residents|members"
)
_RATIO = r"(?:ratios?|scale|odds|aspect|monitors?|displays?|screens?|mix|mixture|dilution|zoom)"


def arabic(numeral: str) -> int:
    """The number of a Roman numeral: "XIV" is 14."""
    values = [_VALUES[letter] for letter in numeral.upper()]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _ruler(match: re.Match[str]) -> str:
    """ "Henry VIII's", which the voice reads without its "s" only."""
    from hibari.g2p.numbers import ordinal

    return f"{match[1]} the {ordinal(arabic(match[2]))}"


def _formula(match: re.Match[str]) -> str:
    """A chemical formula: its letters one by one, its numbers whole."""
    return " ".join(re.findall(r"\d+|[A-Za-z]|[()]", match[0])).replace("( ", "(").replace(" )", ")")


def _greek(match: re.Match[str]) -> str:
    name = unicodedata.name(match[0]).rpartition(" LETTER ")[2].removeprefix("FINAL ").lower()
    return f" {name.replace('lamda', 'lambda')} "


def _difference(match: re.Match[str]) -> str:
    """ "15 - 7 is 8", but "5 - 10 is usual"."""
    first, second = (float(number.replace(",", "")) for number in match.groups()[:2])
    return f"{match[1]} minus {match[2]}" if first >= second or match[3] else match[0]


def _subtracted(match: re.Match[str]) -> str:
    """Two terms with a dash between them, in an equation: "2x - 3 = 5", but "question b - c"."""
    return f"{match[1]} minus " if _equation(match) else match[0]


def _equation(match: re.Match[str]) -> bool:
    return _EQUATION.search(match.string[max(0, match.start() - NEAR) : match.end() + NEAR]) is not None


SCIENCE: list[Rule] = [
    (re.compile(pattern, re.MULTILINE), said)
    for pattern, said in (
        # Sums and signs
        (r"<->|<=>", " and "),
        (r"(?<=\d) ?~ ?(?=\d)", " to "),
        (
            rf"(?<=[A-Za-z\d)]) ?≈ ?(?=[\dA-Za-z])|[{''.join(sign for sign in _SIGNS if sign != '≈')}]",
            lambda m: f" {_SIGNS[m[0].strip()]} ",
        ),
        (r"(?<![Α-Ωα-ω])[Α-Ωα-ω](?![Α-Ωα-ω]|(?<=[μΩ])[A-Za-z]\b)(?<!\dΩ)(?<!\d Ω)(?<!kΩ)(?<!MΩ)", _greek),
        (r"\b([A-Za-z]|\d[\d.]{0,9})<(?=(?:[A-Za-z]|-?\d[\d.]{0,9})(?!\w))", r"\1 less than "),
        (r"(?<=[\w)]) ?&& ?(?=[\w(!])", " and "),
        (r"(?<=[\w)\]]) ?={2,3} ?(?=[\w(\"'-])", " equals "),
        (r"(?<=[a-z]:)-(?=\d)", " minus "),
        (r"(?<=\d)-(?=\(-?\d)", " minus "),
        (r"(?:^|(?<=[a-z(=] ))–(?=\d[\d.]{0,6} ?(?:°|%|degrees))", "minus "),
        (r"([+×*÷/] ?\d[\d.,]{0,12}) [-–] (?=\d)", r"\1 minus "),
        (
            r"(?<![\w.,:/$£€-])(\d{1,9}(?:,\d{3}){0,3}(?:\.\d{1,6})?) ?[-–] ?(\d{1,9}(?:,\d{3}){0,3}(?:\.\d{1,6})?)"
            r"(?= (?:is|equals|gives|leaves|makes) (-|minus )?\d)",
            _difference,
        ),
        (
            rf"(?<![\w'’.,-])({_TERM}|°[CF]|a(?= [-–] [b-z]\b)|[a-z] (?:squared|cubed)) [-–] (?=\(?{_TERM}(?![\w'’]))",
            _subtracted,
        ),
        (rf"(\)) [-–] (?=\(?{_TERM}(?![\w'’]))", _subtracted),
        (
            r"(?i:(\b(?:what['’]?s|what is|calculate|compute|solve|how much is) ))(\d[\d.,]{0,12}) ?[-–] ?(?=\d)",
            r"\1\2 minus ",
        ),
        (r"(\)) ?/ ?(?=\d|[a-z](?!\w)|\()", lambda m: ") over " if _equation(m) else m[0]),
        (r"(?i:(\b(?:what['’]?s|what is|calculate|compute|how much is) ))(\d[\d.,]{0,12}) ?x ?(?=\d)", r"\1\2 times "),
        (r"\+ ?/ ?-", "±"),
        (r"(?<![\w.,])(\d{1,3})\.(\d{3}),(\d{1,2})(?![\w,]|\.\d)", r"\1,\2.\3"),
        (r"\b([A-G])♭", r"\1 flat"),
        (r"\b([A-G])♯", r"\1 sharp"),
        (r"(?<=\d) / (?=\d[\d.,]{0,9} (?:is|equals|gives|makes|[+×*÷]) )", " divided by "),
        (r"(?<!\S)\^(?=\d)", ""),
        (r"(?<=[a-z] )x(?= \d)", "times"),
        # Ratios
        (r"(?<![\w:.])(\d{1,2}):(\d{1,2}):(\d)(?![\w:.])", r"\1 to \2 to \3"),
        (
            rf"(?i:(\b{_RATIO} (?:of |is )?))(\d{{1,3}}(?:\.\d{{1,2}})?):(\d{{1,4}}(?:\.\d{{1,2}})?)(?![\w:]|\.\d)",
            r"\1\2 to \3",
        ),
        (rf"(?<![\w:.])(\d{{1,3}}(?:\.\d{{1,2}})?):(\d{{1,4}}(?:\.\d{{1,2}})?)(?= {_RATIO}\b)", r"\1 to \2"),
        (r"(?<![\w:.])1:(\d{3})(?![\w:.])", r"1 to \1"),
        (r"(?<![\w./])(\d{1,3})/(\d{1,2})(?= odds\b)", r"\1 to \2"),
        (r"(\bodds (?:are|of) )(\d{1,3})/(\d{1,2})(?![\w/]|\.\d)", r"\1\2 to \3"),
        (
            r"\b([Oo]n|[Uu]ntil|[Ss]ince|[Dd]ue) (0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?![\w/]|\.\d| (?:of|cup|inch|mile)\b)",
            lambda m: f"{m[1]} {_MONTHS[int(m[2]) - 1]} {int(m[3])}",
        ),
        (r"(?<![\w./])(\d{1,2})/(\d{1,2})(?= time\b)", r"\1 \2"),
        (
            r"(?<![\w./])(\d{1,3})/(\d{1,3})(?= (?:stars?|tasks|items|steps|questions|points|votes|tests|files|correct|answers)\b)",
            r"\1 out of \2",
        ),
        (r"(?<![\w./])(?<!on )(?<!by )5/5(?![\w/]|\.\d)", "5 out of 5"),
        (r"(?<![\w/])(0?[1-9]|1[0-2])/((?:19|20)\d\d)(?![\w/])", lambda m: f"{_MONTHS[int(m[1]) - 1]} {m[2]}"),
        # Substances, and codes of a computer
        (
            rf"(?<![\w.#/-])(?=[A-Za-z()]{{1,12}}\d)(?![A-Z]\d{{3}})(?:{_ATOMS}|\((?:{_ATOMS}){{1,4}}\)\d?){{2,9}}"
            r"(?![\w/]| \d[A-Z]{2}\b)",
            _formula,
        ),
        (rf"(?<=\d)(?=(?:(?:{_ELEMENTS})\d?){{2,4}}(?![A-Za-z\d]) ?(?:[+→]|to ))", " "),
        (r"\b0x([\da-fA-F]{2,16})\b", lambda m: f"0 X {' '.join(m[1].upper())}"),
        # Roman numerals
        (
            rf"\b({_RULERS}) ((?=[IVX]){_ROMAN})(?=['’]s\b)",
            _ruler,
        ),
        (rf"\b(?=[IVX]{{2}}|[VX])({_ROMAN})(?:th|st|nd|rd)?(?= [Cc]entur(?:y|ies)\b)", lambda m: _ordinal(arabic(m[1]))),
        (
            rf"\b(Title|Table|Figure|Appendix|Annex|Unit|Module|Vol\.|Halo|Civilization|Vatican|Schedule|Tier|Category) "
            rf"(?=[IVX]){_ROMAN}(?![\w'’])",
            lambda m: f"{m[1]} {arabic(m[0].rsplit(' ', 1)[1])}",
        ),
        (  # people, by a first name or a title and a family name
            rf"\b((?:{_GIVEN}|Mr\.|Dr\.|Sir)(?: (?:[A-Z]\.|[A-Z][a-z'’]{{1,15}}(?=[ ,][A-Z]\w))){{0,2}} [A-Z][\w'’-]{{1,20}}),? "
            r"(II|III|IV|V|VI)(?![\w'’-])",
            lambda m: f"{m[1]} the {_ordinal(arabic(m[2]))}",
        ),
        (
            rf"\b(?!(?:{_RULERS}|{_DETERMINERS})\b)([A-Z][a-z]{{2,20}}) "
            r"(III?|VIII?|IX|XI{1,3}|XIV|XVI{0,3}|XIX)(?=[,;:!?)]|\.?(?:\s|$))",
            lambda m: f"{m[1]} {arabic(m[2])}",
        ),
        (rf"^(?=[IVX]{{2}}|[VX]\.){_ROMAN}(?=\. [A-Z])", lambda m: str(arabic(m[0]))),
        (r"(?<=\()(?=[ivx]{2})x{0,3}(?:ix|iv|v?i{0,3})(?=\))", lambda m: str(arabic(m[0]))),
        (r"\bM{1,3}(?=[DCLXVI]{3})(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b", lambda m: str(arabic(m[0]))),
        # Large numbers, angles and times
        (rf"{_FREE}(\d[\d.,]{{0,12}}) ?bn\b(?! ?[€£$])", r"\1 billion"),
        (rf"{_FREE}(\d[\d.,]{{0,12}}) ?(?:mn|mln)\b(?! ?[€£$])", r"\1 million"),
        (rf"(?<=\d)m(?= (?:{_COUNTED})\b)", " million"),
        (r"(?<![\w.,+(-])(?<!\d )([1-9]\d?)((?: \d{3}){2,4})(?![\d.,-]*\d| \d)", lambda m: m[0].replace(" ", ",")),
        (
            rf"(?<![\w.,+(-])(?<!\d )([1-9]\d?) (\d{{3}})(?= (?:{_COUNTED}|km|kg|tons?|tonnes|miles|euros?|dollars|years)\b)",
            r"\1,\2",
        ),
        (r"(?<=\d)° ?([NSEW])\b", lambda m: f" degrees {_SIDES[m[1]]}"),
        (r"(?<=\d°) ?[-–—] ?(?=\d)", " to "),
        (r"(?<![\w.,])(\d{1,3}) ?m (\d{1,2}) ?s(?:ec)?\b", r"\1 minutes \2 seconds"),
        (rf"\b({_SHORT[:-3]})\.? ['’](\d\d)\b(?!['’s])", r"\1 20\2"),
        (r"\b(BCE?|AD|CE) ?[-–—] ?(?=\d)", r"\1 to "),
        (rf"\b({_SHORT} \d{{1,2}}) ?[-–—] ?(?={_SHORT} \d)", r"\1 to "),
    )
]
