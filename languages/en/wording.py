"""English words that tell whose turn it is, and how English dictates."""

import re

from languages.wording import Answers, Dictation, Wording

_NON_LEXICAL = frozenset("mhm mm mmm hm hmm uh huh uhuh um uhm ah aha oh er mmhmm".split())
# "I'd like" is often heard as "I like", and "I want a" as "I went a".
_WANTING = r"(i want|i went a|i need|i'd like|i like|i'll have|i'll take|i would like)\b"

_NUMBER = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"

DICTATION = Dictation(
    digits=frozenset("zero oh one two three four five six seven eight nine double triple plus dash hyphen dot".split()),
    asked_for=re.compile(r"\b(numbers?|address|spell\w*|e-?mail|codes?|zip|digits?|plate|postcode)\b"),
    counted=re.compile(r"\bhow many\b|\bnumber of\b"),
    card=re.compile(r"\bcard\b"),
    postal=re.compile(r"\b(zip|postal|postcode)\b"),
    email=re.compile(r"(\S@[\w.-]{1,64}\.|\bat (\w{1,64} dot ){1,4})[a-z]{2,12}\W{0,3}$"),
    # A house number, one to three words of a name and the kind of the street; of the suffixes of the US Postal Service (Publication
    # 28, appendix C1) those that are not ordinary words as well.
    street=re.compile(
        r"\b\d{1,6}\W{1,3}((?!(?:the|a|an|of|on|in|down|along|for|to|and|more|miles?|minutes?) )[a-z]{1,20} ){1,3}"
        r"(street|avenue|boulevard|road|lane|drive|court|terrace|parkway|highway|crescent)\b.{0,40}$"
    ),
    address=re.compile(r"\baddress\b"),
    written=re.compile(r"\be-?mail\b|\bweb"),
    invites=re.compile(
        r"\b(help|assist|do for you|(like|want) to know|else|more|(talk|hear) about|on your mind|tell (me|you)|how are you|"
        r"(say|repeat) (it|that)|say again)\b"
    ),
    asks=re.compile(
        r"\b(what|who|which|when|where|why|how|(may|can|could|shall|should) (i|we|you)|"
        r"(do|did|would|will|are|have) you|is (it|that|there))\b"
    ),
    lengths=frozenset({10, 16}),
    trunk_lengths=frozenset({11}),
    trunks=("0", "1"),
    card_lengths=frozenset({15, 16}),
    postal_lengths=frozenset({5, 9}),
    # Payment cards have 13 digits and more (ISO/IEC 7812), telephone numbers without an area code 7 in North America, ZIP codes 5.
    # Of 54 telephone numbers in recordings one is read with fewer, of 179 pauses within them 131 are after fewer.
    least=(
        (re.compile(r"\bcard('s)? number\b"), 13),
        (re.compile(r"\b((tele)?phone|mobile|cell|contact|callback|fax) number\b|\bmy number('s| is)\b"), 7),
        (re.compile(r"\bzip\b"), 5),
    ),
    part=re.compile(
        r"\b((last|first|final) (\d|two|three|four|five|six|few|digits?|part)|ends (in|with)|ending|security|expir\w*|extension|"
        r"area code|country code|pin|cvv|cvc)\b"
    ),
)
# Of 286 places in task dialogues (Schema-Guided Dialogue) where "how many" or "when" was to be answered and no number or time stood
# there yet none was the end of the turn, of 269 others 89. Where "anything else?" was answered by "no", the first sentence was the
# last 80 times of 104, as often as in answers to brief questions (670 of 988).
ANSWERS = Answers(
    how_many=re.compile(r"\bhow (many|much|long)\b|\bnumber of\b"),
    number=re.compile(
        rf"\b(\d[\d:,.]*|{_NUMBER}|\w+teen|twenty|thirty|forty|fifty|hundred|once|twice|none|both|a couple|a few|half)\b"
    ),
    when=re.compile(r"\bwhen\b|\b(what|which) (time|day|date)\b|\babout the (time|day|date)\b"),
    time=re.compile(
        r"\b(\d{1,2} ?([ap]\.?m\b|o'clock)|\d{1,2}:\d\d|noon|midnight|today|tonight|tomorrow|morning|afternoon|evening|now|weekend|"
        r"(mon|tues|wednes|thurs|fri|satur|sun)day|(jan|febr)uary|march|april|may|june|july|august|(septem|octo|novem|decem)ber|"
        rf"\d+(st|nd|rd|th)|({_NUMBER})( o'clock| thirty| fifteen| forty)?\W{{0,3}}$)"
    ),
    more=re.compile(r"\b(else|more)\b"),
    declining=frozenset("no nope nothing nah".split()),
)
WORDING = Wording(
    backchannels=frozenset(
        "yeah yea yep yup yes ya right okay ok sure mhm mm mmm hm hmm uh huh uhuh mmhmm ah aha oh wow nice cool good great true "
        "exactly really interesting i see got it alright fine totally absolutely thank thanks you".split()
    ),
    non_lexical=_NON_LEXICAL,
    exclamations=frozenset("oh ah aha".split()),
    calls=frozenset(
        "stop wait no hold pause quiet enough hey sorry excuse but actually what why how who when where which repeat again "
        "louder slower faster help hello hi goodbye bye parley next skip continue".split()
    ),
    hails=frozenset("stop wait hold pause quiet enough hey hello parley excuse sorry".split()),
    open_ends=frozenset(
        "a an the and or but so because if when while which whose my your our their his its these those um uh er we they he she "
        "is are was were am be".split()
    ),
    open_statements=frozenset(
        "to of in on at for with from by about as than like into that who this between i well then also".split()
    ),
    asking=frozenset(
        "what who whom whose which when where why how what's who's where's how's when's what're who're where're".split()
    ),
    auxiliary=frozenset(
        "is are was were do does did can could will would shall should may might have has had am isn't aren't wasn't weren't "
        "don't doesn't didn't can't couldn't won't wouldn't shouldn't haven't hasn't".split()
    ),
    leading=_NON_LEXICAL | frozenset("hi hello hey okay ok yeah yes well so then and".split()),
    ordering=frozenset(
        "give get make bring show tell play set turn put take order book find call send read write add open close start remind "
        "please let let's explain describe suggest recommend compare list name draft compose summarize summarise define "
        "translate calculate schedule cancel change switch lower raise teach".split()
    ),
    polite=frozenset({"please"}),
    wants=re.compile(_WANTING),
    # "I want a tea", but not "I want to go".
    wish=re.compile(
        rf"(please )?({_WANTING}(?! to\b)|(give|get|make|bring) (me|us)|let (me|us) (have|get)|"
        r"(can|could|may|might) (i|we) (please )?(have|get|order))\b"
    ),
    closing=re.compile(
        r"\b(thank(s| you)?|(good ?)?bye|have a (good|great|nice)|nothing else|"
        r"that('s| is| will be| would be) (all|it|everything))\b"
    ),
    name=re.compile(r"(?<=[a-z,;] )(?!I\b)[A-Z][\w-]*\w"),
    dictation=DICTATION,
    answers=ANSWERS,
)
