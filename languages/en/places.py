"""Time zones of places that people name: the cities of the IANA zones and the countries of `tzdata`, and then the cities and states
that have an airport (`airportsdata`)."""

import re
import unicodedata
from collections import Counter, defaultdict
from functools import cache
from importlib import resources
from zoneinfo import available_timezones

from languages.en.dates import figures

PLACE_LONGEST = 200  # characters
PLACES = 6  # of one question
SURE = 0.7  # the share of a name's airports that must lie in one zone
# Zones by the short names of their clocks, of those that share one the one with the most people (`tzdata` has others besides);
# what they show is what they show there now: "EST" is asked for in summer too.
_ABBREVIATED = {
    "zulu": "UTC",
    "wet": "Europe/Lisbon",
    "eet": "Europe/Athens",
    "eest": "Europe/Athens",
    "msk": "Europe/Moscow",
    "ist": "Asia/Kolkata",
    "pkt": "Asia/Karachi",
    "gst": "Asia/Dubai",
    "ict": "Asia/Bangkok",
    "wib": "Asia/Jakarta",
    "sgt": "Asia/Singapore",
    "hkt": "Asia/Hong_Kong",
    "pht": "Asia/Manila",
    "kst": "Asia/Seoul",
    "awst": "Australia/Perth",
    "acst": "Australia/Adelaide",
    "aest": "Australia/Sydney",
    "aedt": "Australia/Sydney",
    "nzst": "Pacific/Auckland",
    "nzdt": "Pacific/Auckland",
    "hst": "Pacific/Honolulu",
    "akst": "America/Anchorage",
    "akdt": "America/Anchorage",
    "ast": "America/Halifax",
    "nst": "America/St_Johns",
    "brt": "America/Sao_Paulo",
    "sast": "Africa/Johannesburg",
    "cat": "Africa/Maputo",
    "eat": "Africa/Nairobi",
    "wat": "Africa/Lagos",
    "central european": "Europe/Berlin",
    "eastern european": "Europe/Athens",
    "western european": "Europe/Lisbon",
    "british": "Europe/London",
    "indian": "Asia/Kolkata",
    "japanese": "Asia/Tokyo",
    "chinese": "Asia/Shanghai",
    "german": "Europe/Berlin",
    "french": "Europe/Paris",
    "italian": "Europe/Rome",
    "irish": "Europe/Dublin",
    "alaskan": "America/Anchorage",
    "atlantic": "America/Halifax",
}
_KINDS_OF_TIME = re.compile(r" (?:standard|daylight|daylight saving|summer|winter|local)\Z")
_OFFSET = re.compile(r"(?:utc|gmt)\s?(\+|plus|-|−|–|minus)\s?(\d{1,2}|[a-z]{3,6})", re.IGNORECASE)
_SAID = {
    "utc": "UTC",
    "gmt": "UTC",
    "greenwich": "Europe/London",
    "uk": "Europe/London",
    "england": "Europe/London",
    "scotland": "Europe/London",
    "wales": "Europe/London",
    "great britain": "Europe/London",
    "holland": "Europe/Amsterdam",
    "the hague": "Europe/Amsterdam",
    "nyc": "America/New_York",
    "new york city": "America/New_York",
    "la": "America/Los_Angeles",
    "naples": "Europe/Rome",
    "florence": "Europe/Rome",
    "venice": "Europe/Rome",
    "frankfurt": "Europe/Berlin",
    "krakow": "Europe/Warsaw",
    "kyoto": "Asia/Tokyo",
    "bengaluru": "Asia/Kolkata",
    "bali": "Asia/Makassar",
    "montreal": "America/Toronto",
    "washington dc": "America/New_York",
    "china": "Asia/Shanghai",
    "germany": "Europe/Berlin",
    "turkey": "Europe/Istanbul",
    "korea": "Asia/Seoul",
    "south korea": "Asia/Seoul",
    "russia": "",
    "usa": "",
    "america": "",
    "us": "",
    "united states": "",
    "washington": "America/New_York",
    "st petersburg": "Europe/Moscow",
    "west coast": "America/Los_Angeles",
    "east coast": "America/New_York",
    "pacific": "America/Los_Angeles",
    "mountain": "America/Denver",
    "central": "America/Chicago",
    "eastern": "America/New_York",
    "us eastern": "America/New_York",
    "us pacific": "America/Los_Angeles",
    "us central": "America/Chicago",
    "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles",
    "mst": "America/Denver",
    "mdt": "America/Denver",
    "cst": "America/Chicago",
    "cdt": "America/Chicago",
    "est": "America/New_York",
    "edt": "America/New_York",
    "cet": "Europe/Berlin",
    "cest": "Europe/Berlin",
    "bst": "Europe/London",
    "rio": "America/Sao_Paulo",
    "spain": "Europe/Madrid",  # and of the next ones: where nearly all live
    "portugal": "Europe/Lisbon",
    "new zealand": "Pacific/Auckland",
    "uae": "Asia/Dubai",
    "emirates": "Asia/Dubai",
    "burma": "Asia/Yangon",
    "macedonia": "Europe/Skopje",
    "swaziland": "Africa/Mbabane",
    "holy land": "Asia/Jerusalem",
    "newfoundland": "America/St_Johns",
    "ivory coast": "Africa/Abidjan",
    "cape verde": "Atlantic/Cape_Verde",
    "crete": "Europe/Athens",
    "sicily": "Europe/Rome",
    "sardinia": "Europe/Rome",
    "corsica": "Europe/Paris",
    "mallorca": "Europe/Madrid",
    "ibiza": "Europe/Madrid",
    "tenerife": "Atlantic/Canary",
    "canary islands": "Atlantic/Canary",
    "canaries": "Atlantic/Canary",
    "bavaria": "Europe/Berlin",
    "tuscany": "Europe/Rome",
    "catalonia": "Europe/Madrid",
    "tasmania": "Australia/Hobart",
    "silicon valley": "America/Los_Angeles",
    **_ABBREVIATED,
    "jst": "Asia/Tokyo",
}
_WHERE = r"in|at|for|on|near|around|inside|outside|aboard|above|beyond|under"
_IN_PLACE = re.compile(rf"(?<!\w)(?:{_WHERE}) ([^\W\d_][\w.'’-]{{0,30}}(?:,? [^\W\d_][\w.'’-]{{0,30}}){{0,9}})", re.IGNORECASE)
_AND_IN = re.compile(r"(?<=,)( and)? (?:in|at|for|on) (?=[^\W\d_])|(?<= and) (?:in|at|for|on) (?=[^\W\d_])", re.IGNORECASE)
_COAST = re.compile(r"\bon (?:the )?((?:west|east) coast)\b", re.IGNORECASE)
_NAME = r"([A-Z][\w.'’-]{1,30}(?: [A-Z][\w.'’-]{1,30}){0,3})"
_AHEAD = re.compile(
    rf"\b(?:ahead|behind) (?:is|of us is|are) {_NAME}|"
    rf"\bhow (?:many hours|far|much) (?:\w+ )?(?:is|are) {_NAME}(?= (?:ahead|behind))|"
    rf"\btime difference (?:to|with|from) {_NAME}"
)
_PLACES_TIME = re.compile(rf"(?<!\w){_NAME} (?:time|date)\b")
_SHORTLY = tuple(  # "what time is it Eastern", "tokyo time", "time tokyo", "what time zone is Denver in"
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b(?:time|date|day) is it(?: right now| now)?,? ([^\W\d_]{2,12}(?: (?:standard|daylight|european))?)(?: time)?\W*\Z",
        r"\A\W*(?:what(?:'s| is) |current |the |tell me )*([^\W\d_][\w ]{1,30}?) time(?: now| right now| please)?\W*\Z",
        r"\A\W*(?:what )?time ([^\W\d_][\w ]{1,30}?)(?: now| please)?\W*\Z",
        r"\bwhat time ?zone is ([^\W\d_][\w ]{1,30}?) (?:in|on)\W*\Z",
    )
)
_NO_PLACE = frozenset(
    (
        "right now please today tomorrow yesterday last next this it's is it's currently here there moment time date day days "
        "week weeks month year hour hours minute minutes o'clock ago home work midnight noon morning afternoon evening me us you "
        "a an my your what what's the current local is it at in then exactly again words english a one two three four five six "
        "seven eight nine ten sure summer winter spring autumn general total case january february march april may june july "
        "august september october november december monday tuesday wednesday thursday friday saturday sunday weekend weekends "
        "clock watch wall phone screen oven microwave earth average"
    ).split()
)
_BETWEEN = re.compile(r"\bbetween (.{2,60}? and .{2,60}?)[?.!]*$", re.IGNORECASE)
_SAID_FIRST = re.compile(
    r"^\W*(?:(?:oh|sorry|no|well|i mean|i meant|it's|make it|the one)\W+)*(?:(?:in|for|at) )?", re.IGNORECASE
)
_LONGEST_ANSWER = 6  # words
_LINKS = ("Etc", "SystemV", "posix", "right", "US", "Canada", "Brazil", "Chile", "Mexico")


def heard_place(text: str) -> str:
    """The place that a question for the time or the date names, or two joined by "and"; "" for none."""
    if between := _BETWEEN.search(text):
        return between[1][:PLACE_LONGEST]
    if coast := _COAST.search(text):
        return "Los Angeles" if coast[1].lower().startswith("west") else "New York"
    if ahead := _AHEAD.search(text):
        return next(name for name in ahead.groups() if name)
    if offset := _OFFSET.search(text):
        return offset[0]
    shortly = (str(found[1]) for found in (form.search(text) for form in _SHORTLY) if found)
    if short := next(filter(is_known, shortly), ""):
        return short
    text = _AND_IN.sub(lambda match: f"{match[1] or ''} ", text)  # "in Sydney and in London"
    found = [part for place in _IN_PLACE.findall(text) for part in re.split(rf"\b(?:{_WHERE}) ", place)]
    return next(filter(None, map(_without_padding, [*found[::-1], *_PLACES_TIME.findall(text)[:1]])), "")


def _without_padding(named: str) -> str:
    """What may be a place of what stands behind "in"; "" for none: "in three hours"."""
    words = named.split()
    while words and words[-1].lower().strip(".,") in _NO_PLACE:
        words.pop()
    first = words[1:2] if words[:1] in (["the"], ["The"]) else words[:1]
    return "" if not first or first[0].lower() in _NO_PLACE else " ".join(words).rstrip(".,")[:PLACE_LONGEST]


def is_known(name: str) -> bool:
    """Whether a name is that of a zone, one of its cities or a country."""
    folded = _KINDS_OF_TIME.sub("", _folded(name))
    return any(folded in known for known in (_SAID, _cities(), _countries()))


def answered_place(text: str) -> str:
    """The place in an answer to "Which city do you mean?", "" where it names none that is known. It may take most of a second."""
    place = re.sub(r"\W(?:please|then|i mean|i guess|thanks)\W*$", "", _SAID_FIRST.sub("", text), flags=re.IGNORECASE).strip(
        " .,!?"
    )
    return place if 0 < len(place.split()) <= _LONGEST_ANSWER and zones_of(place) else ""


def apart(place: str) -> list[str]:
    """The places of "Paris, Texas, London and Rome": a name is put to the one before it where it tells which of that name is meant.
    It may take most of a second, as `zones_of`."""
    if zones_of(place) and "," not in place:
        return [place]  # "Trinidad and Tobago"
    found: list[str] = []
    for part in re.split(r",? (?:and|or) ", place)[:PLACES]:
        city, *others = re.split(r", ?", part)
        for other in others:
            here, there = zones_of(city), zones_of(other)
            if there and "" not in there and not set(here) & set(there) and not _regional(_folded(city), _folded(other)):
                found.append(city)
                city = other
            else:
                city = f"{city}, {other}"
        found.append(city)
    return found


def zones_of(place: str) -> list[str]:
    """The IANA zones of a place: one where it is clear, several where it has several, none where it is not known. The first call
    for a place that is no zone's city or country takes most of a second: not on the event loop."""
    if offset := _OFFSET.fullmatch(place.strip()):
        west = offset[1].lower() not in ("+", "plus")
        zone = f"Etc/GMT{'+' if west else '-'}{figures(offset[2])}"  # POSIX counts them the other way
        return [zone] if zone in available_timezones() else []
    city, _, region = map(_folded, place.partition(","))
    city = _KINDS_OF_TIME.sub("", city)
    if region and (found := _regional(city, region)):
        return found
    for name in (_KINDS_OF_TIME.sub("", _folded(place)), city):
        for known in (_SAID, _cities()):
            if name in known:
                return [known[name]] if known[name] else ["", ""]
        if zones := _countries().get(name) or _airports().get(name):
            return zones
    return []


def _folded(name: str) -> str:
    """A name as it is looked up: no accents, no dots, no article."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name.casefold()) if not unicodedata.combining(c))
    words = re.sub(r"[^\w ]", " ", plain.replace(".", "")).split()
    words = ["st" if word == "saint" else word for word in words]
    return " ".join(word for word in words if word != "and").removeprefix("the ")  # "Trinidad & Tobago"


@cache
def _cities() -> dict[str, str]:
    zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(_LINKS))
    return {_folded(zone.rsplit("/", 1)[1].replace("_", " ")): zone for zone in zones}


@cache
def _countries() -> dict[str, list[str]]:
    """Zones by country; those that agree with each other the whole year count as one."""
    files = resources.files("tzdata") / "zoneinfo"
    rows = [line.split("\t") for line in (files / "zone1970.tab").read_text("utf-8").splitlines() if not line.startswith("#")]
    zones = defaultdict(list)
    for codes, _, zone, *_ in rows:
        for code in codes.split(","):
            zones[code].append(zone)
    names = [line.split("\t") for line in (files / "iso3166.tab").read_text("utf-8").splitlines() if not line.startswith("#")]
    return {_folded(name.split(" (")[0]): zones[code] for code, name in names if code in zones}


@cache
def _airports() -> dict[str, list[str]]:
    import airportsdata  # its table takes most of a second to read

    found: dict[str, Counter[str]] = defaultdict(Counter)
    for airport in airportsdata.load("IATA").values():
        for name in {airport["city"], airport["subd"]}:
            found[_folded(name)][airport["tz"]] += 1
    found.pop("", None)
    return {name: _clear(zones) for name, zones in found.items()}


def _regional(city: str, region: str) -> list[str]:
    """The zones of the airports of "Paris, Texas"."""
    import airportsdata

    return sorted(
        {
            airport["tz"]
            for airport in airportsdata.load("IATA").values()
            if _folded(airport["city"]) == city and _folded(airport["subd"]) == region
        }
    )


def _clear(zones: Counter[str]) -> list[str]:
    zone, count = zones.most_common(1)[0]
    return [zone] if count >= SURE * zones.total() else [zone for zone, _ in zones.most_common()]
