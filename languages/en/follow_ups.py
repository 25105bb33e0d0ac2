"""English turns that only make sense after the one before them."""

import re

from languages.base import FollowUpWords

# Turns that ask for more of the same, whole.
_MORE = re.compile(
    r"^(?:(?:and|so|but|okay|ok|yes|yeah|please|sorry|well|oh|hm+|can you|could you) )*"
    r"(?:go on|continue|carry on|keep going|go ahead|more|more please|tell me(?: a bit| some)? more|say more|what else|"
    r"anything else|elaborate|explain|explain (?:that|it|this)|go into (?:more )?detail|in more detail|more details?|"
    r"give me (?:an example|more|more details?)|for example|an example|what do you mean|how do you mean|really|is that so|"
    r"and then|then what|why|why not|why so|how|how so|how come|why is (?:that|it|this)|how does (?:that|it|this) work|"
    r"i (?:do not|don't) understand|meaning)"
    r"(?: (?:please|about (?:that|it|this)|that|it|this|then|exactly|by that|with what you were saying))*"
)
_WHY = re.compile(r"\b(?:why|how|example|mean|then)\b")
_OTHER = re.compile(r"\b(?:the )?(?:second|other|last|next) (?:one|thing|topic)\b|\bthe (?:second|other)\b")
_ACCEPTS = re.compile(  # turns that take what was offered
    r"(?:(?:yes|yeah|yep|yup|sure|okay|ok|please|right|all right|alright|of course|absolutely|why not|go ahead|go on|do that|"
    r"do so|do it|i would|i do|sounds good|tell me|tell me about (?:it|that)|mm-?\s?hmm?|uh-?\s?huh|let's hear it)[\s,.!]*)+"
)
_ABOUT = re.compile(
    r"^(?:and |but |so |okay |ok )*(?:what|how) about |"
    r"^(?:(?:no|sorry|oh|wait|actually|well|oops)[, ]++){0,3}(?:i (?:mean|meant|said)|make (?:it|that)|sorry|no|actually)[, ]++"
    r"(?!(?:who|what|which|when|where|why|how|is|are|was|do|does|did|can|could|may|will|would|should|thanks?|thank you|i|you|it|"
    r"that|this|not|problem|need|way|more)\b)|"
    r"^and (?!(?:who|what|which|when|where|why|how|is|are|was|do|does|did|can|could|may|will|would|should|tell|explain)\b)"
)
# A question that only names what is asked for: "when?", "on what day is it?".
_BARE = re.compile(
    r"\A(?:(?:and|so|but|okay|ok) ){0,4}"
    r"(?:(?:(?:since |until |from |till )?when|where|who|whose|how (?:much|long|often|many|far|old|big)|"
    r"(?:at |until |from |on |in |by )(?:what|which) (?:times?|days?|rooms?|floors?|street|address)|why)(?: exactly)?"
    r"(?: (?:is|are|was|does|do) (?:it|that|this|they|those|these|he|she)(?: (?:cost|open|close|start|begin|end|take|last))?)?|"
    r"(?:what|which) (?:times?|days?|rooms?|floors?|numbers?|street|address|price))"
)
_POINTING = re.compile(r"\b(?:it|its|that|this|they|them|their|those|these|one)\b")
_EMPTY = frozenset(  # words that say nothing of the subject
    (
        "a an and are at be but by can could did do does for from good how i if in is it its long many me mean much of often on "
        "one or please so that the them then there these they this those to use used was we well were what what's when where "
        "which who why will with work works would you your okay"
    ).split()
)
# Turns about the talking itself: what was spoken of before is still the subject.
_ACT = re.compile(
    r"(?:(?:thanks?|thank you|hello|hi|hey|ok|okay|yes|yeah|no|please|sorry|right|sure|great|stop|wait|hold on|pardon|what|huh|"
    r"(?:a bit |a little |speak |talk |more )*(?:louder|quieter|softer|slower|slowly|faster|quickly)|slow down|speed up|speak up|"
    r"(?:can you |could you )?(?:repeat|say|spell)(?: that| it)?(?: again)?|very much|a lot|so much)\s*)+"
)

_AROUND = frozenset(  # words with which a circumstance of what is asked begins: "cats on a lead", "with children"
    (
        "for on in at with without during after before by from to of if when where while under over between until per as than "
        "through near then though please instead"
    ).split()
)
# What is no other subject: when, who, how much, and what it is compared with.
_CIRCUMSTANCE = re.compile(
    r"(?:(?:to|yester)?day|tomorrow|tonight|now|later|then|week(?:day|end)?s?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|"
    r"march|april|may|june|july|august|september|october|november|december|spring|summer|autumn|fall|winter|mornings?|afternoons?|"
    r"evenings?|nights?|noon|midnight|christmas|easter|new year's?|holidays?|days?|months?|years?|hours?|minutes?|"
    r"kids?|child|children|adults?|teenagers?|students?|seniors?|pensioners?|famil(?:y|ies)|groups?|members?|guests?|visitors?|people|"
    r"me|us|you|him|her|them|others?|rest|else|everyone|everybody|one|ones|both|same|"
    r"two|three|four|five|six|seven|eight|nine|ten|twenty|fifty|hundred|more|less|"
    r"(?:cheap|bigg|small|larg|long|short|fast|slow|old|young|lat|earli|bett|high|low|new|quick|strong)(?:er|est)|best|most|"
    r"black|white|red|green|blue|yellow|colou?r(?:ed)?|large|small|medium|big|single|double|\d[\w:.]*)"
)

FOLLOW_UPS = FollowUpWords(
    around=_AROUND,
    circumstance=_CIRCUMSTANCE,
    more=_MORE,
    why=_WHY,
    other=_OTHER,
    offer="I can also tell you about {title}.",
    accepts=_ACCEPTS,
    about=_ABOUT,
    bare=_BARE,
    pointing=_POINTING,
    empty=_EMPTY,
    talking=_ACT,
)
