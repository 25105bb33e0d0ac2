"""What a turn of a few words wants, where a classifier goes by what the words are near to: "Go." is near "I have to go now", and is
no farewell. Tried on the turns of `tests/unit/tools/test_short_words.py`."""

import re

_WORDS = re.compile(r"[\w'’-]+")
FEW = 3  # words: of more the classifier has enough to go by
# Said as all of a turn, these take leave.
_FAREWELL = re.compile(
    r"(?:ciao|adios|cheerio|farewell|laters|so long|take care|see (?:ya|you)|catch (?:you|ya)(?: later)?|(?:night )?night night|"
    r"nighty night|toodle-?oo|over and out|peace out|talk (?:to you )?soon|have a (?:good|great|nice) one|hang up|quit|exit|"
    r"that(?:'s| is|'ll be| will be) (?:all|it|everything)(?: for (?:now|today))?|i'm off|"
    r"(?:i(?:'ve| have)? )?(?:gotta|got to|have to|need to|must|should) (?:go|run|leave)|(?:i'm|we're) (?:all )?done(?: here)?)"
)
# Words without which a few words neither take leave nor ask for silence.
_LEAVES = re.compile(
    r"\b(?:bye|goodbye|good-bye|see|later|night|hang|call|leaving|farewell|(?<!the )end|done|have to|talk|that's|care|out)\b"
)
_SILENCES = re.compile(
    r"\b(?:stop\w*|quiet\w*|shut|hush|shush|enough|wait|hold|hang|moment|sec|second|minute|mind|forget|pause|think|cancel|silen\w+|"
    r"halt|quit|zip|more|leave|drop|break|cut|still|shh+)\b"
)
_GO = re.compile(r"(?:(?:ok|okay|so|and|then|now|alright|well|ready),? )*(?:let's )?go(?: (?:now|then|please))?")
_BEGINNING = re.compile(r"^(?:(?:ok|okay|alright|well|so|oh|right|thanks|thank you|no|yes|great|cool|perfect|and)\b\W*)+")


def told_by_few(intent: str, text: str) -> str:
    """The intent of `text`, which a classifier takes for `intent`."""
    said = " ".join(_WORDS.findall(text.lower().replace("’", "'")))
    if _FAREWELL.fullmatch(said) or _FAREWELL.fullmatch(_BEGINNING.sub("", said)):
        return "goodbye"
    if len(said.split()) > FEW:
        return intent
    if intent == "goodbye" and _GO.fullmatch(said):
        return "go_on"
    needed = {"goodbye": _LEAVES, "stop": _SILENCES}.get(intent)
    return intent if needed is None or needed.search(said) else "out_of_scope"
