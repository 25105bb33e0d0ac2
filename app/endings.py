"""The end of a turn: after how long a silence it is over, by what was said and how it sounded."""

from math import log

from app.settings import Settings
from app.wording import (
    is_open_question,
    is_question,
    is_request,
    is_whole_question,
    is_wish,
    is_wordless,
    length,
    says_please,
    sounds_unfinished,
)

# End-of-turn probability above which a statement has probably ended, and a question for yes or no. Of 30 thinking pauses in
# recordings none is above the one, though six come after whole sentences.
LIKELY, LIKELY_QUESTION = 0.97, 0.85
# Log odds that a turn is over: the weights of a logistic regression on its melody, on the recogniser's probability that the
# sentence ends there, and of a request on the number of its words, which is given less than its weight (5) so that short requests
# wait less. Of 67 ends of spoken orders none is late, of 287 pauses in them 4.8 % are taken for the end (`python -m tests.bench
# endings`); by rules of melody alone it was 12 and 18 %.
MELODY, CLOSED, LENGTH, NEVER = 0.7, 1.3, 3.5, -9.9
PERHAPS, SURELY = 0.0, 2.0
# The same of a question, whatever its length: of 46 ends none is below 1.4, of 95 pauses in 20 questions a quarter is below the one
# and two in five are below the other.
PERHAPS_ASKED, SURELY_ASKED = -0.5, 1.0
WHOLE = 0.93  # of 46 ends of questions a quarter have less
SPOKEN_OUT = 15  # words of a wish with all its details; a request that takes no details is judged as one of so many


def is_surely_whole(text: str, closed: float) -> bool:
    """A question that is over by its words, so that its melody need not be asked for. `closed`: as for `required_silence`."""
    return closed >= WHOLE and is_whole_question(text)


def required_silence(settings: Settings, text: str, complete: float, closed: float, understood: bool = False) -> float:
    """Silence (ms) that ends a turn of this text. `complete` is the end-of-turn model's probability (0..1) at the first silent
    window: asked of every turn again after 0.35 s, it takes one thinking pause in five for an end. `closed` is the recogniser's
    (0..1) that the sentence ends there; `understood`: the text is a question or an order that is whole as it stands."""
    if is_wordless(text):
        return settings.likely_silence_ms  # it may be the beginning of a word
    if sounds_unfinished(text):
        return settings.max_pause_ms
    if understood:
        return settings.end_silence_ms
    if is_open_question(text):
        odds = _sentence_odds(complete, closed)
        if odds >= SURELY_ASKED:
            return settings.end_silence_ms if is_whole_question(text) else settings.likely_silence_ms
        if odds >= PERHAPS_ASKED:
            return settings.choice_silence_ms
    elif is_request(text):
        odds = _request_odds(text, complete, closed)
        if odds >= PERHAPS:
            return settings.end_silence_ms if odds >= SURELY else settings.choice_silence_ms
    elif is_question(text):
        return settings.likely_silence_ms if complete >= LIKELY_QUESTION else settings.choice_silence_ms
    return settings.statement_silence_ms if complete >= LIKELY else settings.unsure_silence_ms


def _sentence_odds(complete: float, closed: float) -> float:
    """What melody and words say of whether a sentence ends here: log odds, but for what adds to them."""
    return MELODY * log_odds(complete) + CLOSED * log_odds(closed)


def _request_odds(text: str, complete: float, closed: float) -> float:
    """Log odds that a request is over. The more was said, the likelier: somebody who wishes for a thing goes on with its details.
    After "please" nobody does."""
    takes_details = is_wish(text) and not says_please(text)
    words = length(text) if takes_details else SPOKEN_OUT
    return _sentence_odds(complete, closed) + LENGTH * log(words) + NEVER


def log_odds(probability: float) -> float:
    return log((probability + 0.01) / (1.01 - probability))
