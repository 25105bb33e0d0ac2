"""What words alone tell about whose turn it is: acknowledgements, unfinished sentences, questions that need no more. The rules
take the words of a language from its tables; a table that is left empty tells nothing."""

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import dropwhile, takewhile
from typing import NamedTuple

NEVER = re.compile(r"(?!)")  # is found nowhere
HAIL = 4  # words; what is longer and holds a hail is talk
ECHO_WORDS, SAID_WORDS = 40, 400  # that are compared: the time that takes grows with their product
LEAST_DICTATED = 3  # digits and letters in a row after other words, each a word: "in 2025" and "at 10:30" are none
BRIEF = 3  # words, no more than which may be a whole answer or the beginning of more
LEAST_NUMBER = 5  # digits of a number in one piece that nobody counts with
LEAST_QUESTION = 5  # words, "what's" two of them; "How many wings?" may go on, "How many wings does a bird have?" hardly
LEAST_STREET = 4  # letters of an address before a number that may be its last part
LAST_NUMBER = 3  # digits of such a number that are hardly followed by more

Words = frozenset[str]  # in lower case
NO_WORDS: Words = frozenset()


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers of any script without punctuation; "mm-hmm", "uh-huh" and "10:30" come out as two."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))


def trails_off(text: str) -> bool:
    """As speech-to-text writes what breaks off: with a dash or dots."""
    return text.rstrip().endswith(("-", "–", "—", "...", "…"))


def length(text: str) -> int:
    """How many words and numbers there are."""
    return len(words_of(text))


def is_echo(text: str, saying: str) -> bool:
    """At least three words, nearly all of which the agent is saying in the same order: its own voice came back."""
    words, own = words_of(text)[:ECHO_WORDS], words_of(saying)[-SAID_WORDS:]
    matches = SequenceMatcher(None, own, words, autojunk=False).get_matching_blocks()
    return len(words) >= 3 and sum(block.size for block in matches) >= 0.8 * len(words)


class Dictated(NamedTuple):
    """What a text ends with that is given digit by digit, letter by letter or in groups of them: how many there are, whether that
    is under way, and whether all of it was given: a telephone number, a card's, an e-mail address."""

    signs: int
    under_way: bool
    whole: bool


class Address(NamedTuple):
    """Of what may be the address of a house: whether it is one, or was asked for; whether no more than its first number was said;
    and how much there is (0..1) of a number that ends it, as that of a flat or a postal code does."""

    given: bool
    begun: bool
    numbered: float


@dataclass(frozen=True, slots=True)
class Dictation:
    """How numbers, addresses and spellings are asked for and given. Patterns are searched in lower case.

    `digits` are the words for them, and what stands between the parts of a number or an address. Of a line of the agent
    `asked_for` finds that it asks for such a thing, `counted` that it asks for a number that is said in one word, `card` and
    `postal` for which, `asks` that a line without marks is a question, `invites` one that leaves it open what is said, and how
    much of it. `email` finds a whole address at the end, `street` that of a house; `address` that one is asked for, and `written`
    that it is of another kind. The others tell how many digits make a whole number: any, one whose last group begins with one of
    `trunks`, a card's, a postcode. `least` has for a number that is asked for, or that the user names, how many digits it has at
    least, and `part` finds that no more than some of them are meant."""

    digits: Words = NO_WORDS
    asked_for: re.Pattern[str] = NEVER
    counted: re.Pattern[str] = NEVER
    card: re.Pattern[str] = NEVER
    postal: re.Pattern[str] = NEVER
    email: re.Pattern[str] = NEVER
    street: re.Pattern[str] = NEVER
    address: re.Pattern[str] = NEVER
    written: re.Pattern[str] = NEVER
    invites: re.Pattern[str] = NEVER
    asks: re.Pattern[str] = NEVER
    lengths: frozenset[int] = frozenset()
    trunk_lengths: frozenset[int] = frozenset()
    trunks: tuple[str, ...] = ()
    card_lengths: frozenset[int] = frozenset()
    postal_lengths: frozenset[int] = frozenset()
    least: tuple[tuple[re.Pattern[str], int], ...] = ()
    part: re.Pattern[str] = NEVER

    def dictated(self, text: str, asked: str = "") -> Dictated:
        """`asked`: what the agent said last, which tells how long a number is."""
        tokens = words_of(text)
        last = list(takewhile(lambda word: word.isdecimal() or len(word) == 1 or word in self.digits, reversed(tokens)))
        digits = sum(len(word) if word.isdecimal() else 1 for word in last if len(word) > 1 or word.isdecimal())
        signs = digits + sum(len(word) == 1 and not word.isdecimal() for word in last)
        # One digit or letter, or two, may be all of an answer.
        alone = len(last) == len(tokens) and signs >= LEAST_DICTATED and not self.asks_briefly(asked)
        long = len(last) >= LEAST_DICTATED or any(word.isdecimal() and len(word) >= LEAST_NUMBER for word in last)
        email = bool(self.email.search(text.lower()))
        if self.card.search(asked.lower()):
            whole = digits in self.card_lengths
        else:
            first = next((word for word in reversed(last) if word.isdecimal()), "")
            whole = digits in self.lengths or (digits in self.trunk_lengths and first[:1] in self.trunks)
            whole = whole or (digits in self.postal_lengths and bool(self.postal.search(asked.lower())))
        return Dictated(signs, alone or long or email, (whole or email) and not trails_off(text))

    def lacks_digits(self, text: str, asked: str = "") -> bool:
        """Whether `text` ends with digits of a number that has more than these: of so few nobody is to be told that they are all.
        `asked`: what the agent said last."""
        last = list(takewhile(lambda word: word.isdecimal() or word in self.digits, reversed(words_of(text))))
        digits = sum(len(word) if word.isdecimal() else 1 for word in last)
        named = f"{self.last_question(asked)} {text.lower()}"
        least = next((most for number, most in self.least if number.search(named)), 0)
        return 0 < digits < least and not self.part.search(named)

    def place(self, text: str, asked: str = "") -> Address:
        """`asked`: what the agent said last."""
        wanted = self.last_question(asked)
        wanted = "" if self.written.search(wanted) else wanted
        if not self.street.search(text.lower()) and not self.address.search(wanted):
            return Address(False, False, 0.0)
        words = words_of(text)
        last = list(takewhile(lambda word: word.isdecimal() or word in self.digits, reversed(words)))
        named = sum(len(word) for word in words[: len(words) - len(last)] if not word.isdecimal())
        digits = sum(len(word) if word.isdecimal() else 1 for word in last)
        behind = min(digits, LAST_NUMBER) / LAST_NUMBER if named >= LEAST_STREET else 0.0
        return Address(True, len(last) == len(words) > 0, behind)

    def asks_to_dictate(self, line: str) -> bool:
        """The agent asks for what is given in digits, letters or parts: a number, an address, a spelling."""
        asked = self.last_question(line)
        return bool(self.asked_for.search(asked)) and not self.counted.search(asked)

    def asks_briefly(self, line: str) -> bool:
        """The agent asks for one thing, which is soon said: yes or no, a day, a name."""
        asked = self.last_question(line)
        return bool(asked) and not self.invites.search(asked) and not self.asks_to_dictate(line)

    def last_question(self, line: str) -> str:
        """The last sentence of a line in lower case, "" where it is no question. A line without marks is one by its words."""
        last = re.split(r"(?<=[.?!])\s+", line.strip().lower())[-1]
        return last if last.endswith("?") or (last[-1:].isalnum() and self.asks.search(last)) else ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a question of the agent wants in a word or two, and whether it is there; all in lower case. `how_many` and `when` find
    what is asked for, `number` and `time` that it was given; `more` finds that the agent asks whether there is anything else, and
    what begins with one of `declining` says no."""

    how_many: re.Pattern[str] = NEVER
    number: re.Pattern[str] = NEVER
    when: re.Pattern[str] = NEVER
    time: re.Pattern[str] = NEVER
    more: re.Pattern[str] = NEVER
    declining: Words = NO_WORDS

    def gives(self, text: str, question: str) -> bool:
        """A number or a time was asked for, and is there."""
        said = text.lower()
        counted = self.how_many.search(question) and self.number.search(said)
        return bool(counted or (self.when.search(question) and self.time.search(said)))

    def declines(self, text: str, question: str) -> bool:
        """There is nothing else."""
        return bool(self.more.search(question)) and not self.declining.isdisjoint(words_of(text)[:1])


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a language that tell whose turn it is.

    `backchannels` acknowledge, `non_lexical` are sounds such as "hm", and those of `exclamations` what speech-to-text makes of a
    short word that it does not know. A single one of `calls` is meant for the agent, however
    short; the few `hails` somebody may say from further away, and mean it. After one of `open_ends` a sentence has not ended,
    whatever mark speech-to-text puts there, and after one of `open_statements` only a question has ("What is it like?"). A question
    begins with one of `asking` or `auxiliary`, an order with one of `ordering`, a request as `wants`, one for a thing and not that
    something be done as `wish`, perhaps after some of `leading`; one of `polite` ends it. `closing` finds thanks and goodbyes,
    `name` a name in mid-sentence, in the spelling of speech-to-text; all else is compared in lower case."""

    backchannels: Words = NO_WORDS
    non_lexical: Words = NO_WORDS
    exclamations: Words = NO_WORDS
    calls: Words = NO_WORDS
    hails: Words = NO_WORDS
    open_ends: Words = NO_WORDS
    open_statements: Words = NO_WORDS
    asking: Words = NO_WORDS
    auxiliary: Words = NO_WORDS
    leading: Words = NO_WORDS
    ordering: Words = NO_WORDS
    polite: Words = NO_WORDS
    wants: re.Pattern[str] = NEVER
    wish: re.Pattern[str] = NEVER
    closing: re.Pattern[str] = NEVER
    name: re.Pattern[str] = NEVER
    dictation: Dictation = field(default_factory=Dictation)
    answers: Answers = field(default_factory=Answers)

    def is_backchannel(self, text: str) -> bool:
        """At most four words, every one of them an acknowledgement; the same one may be heard many times over, as speech-to-text
        repeats itself on a short sound."""
        words = words_of(text)
        return all(word in self.backchannels for word in words) and 0 < len(set(words)) <= 4

    def is_wordless(self, text: str) -> bool:
        """Nothing, or only sounds such as "hm". A number or a word of another script is a word."""
        return all(word in self.non_lexical for word in words_of(text))

    def has_call(self, text: str) -> bool:
        """One of its words is meant for the agent."""
        return not self.calls.isdisjoint(words_of(text))

    def calls_the_agent(self, text: str) -> bool:
        """It asks something, or orders it."""
        return self.has_call(text) or self.is_question(text) or self.is_request(text)

    def hails_the_agent(self, text: str) -> bool:
        """It is meant for the agent by its words alone, whoever speaks and however far away."""
        words = words_of(text)
        hailed = len(words) <= HAIL and not self.hails.isdisjoint(words)
        return hailed or self.is_question(text) or self.is_request(text)

    def ends_openly(self, text: str) -> bool:
        """The text ends on a word after which a sentence has not ended, whatever mark follows. "A" by itself is a letter."""
        words = words_of(text)
        open_statement = not self.open_statements.isdisjoint(words[-1:]) and not text.rstrip().endswith("?")
        letter = len(words) == 1 and len(words[0]) == 1
        return (not letter and not self.open_ends.isdisjoint(words[-1:])) or open_statement

    def is_brief(self, text: str) -> bool:
        """A few words that are nothing by themselves but an answer, or the beginning of more. A greeting is the latter."""
        words = words_of(text)
        greets = all(word in self.leading and word not in self.backchannels for word in words)
        return len(words) <= BRIEF and not greets and not text.rstrip().endswith(",") and not self.ends_openly(text)

    def acknowledges(self, text: str) -> bool:
        """Yes, no or okay, and nothing else."""
        words = words_of(text)
        return bool(words) and all(word in self.backchannels or word in self.answers.declining for word in words)

    def is_closing(self, text: str) -> bool:
        """Thanks, a goodbye, or that this is all: few people go on after it."""
        return bool(self.closing.search(_whole_and_last(text)[1].lower().replace("’", "'")))

    def is_whole_question(self, text: str) -> bool:
        """A question by its first word and its mark, and long enough to be all of it."""
        return _asks(self, text, self.asking, LEAST_QUESTION)

    def is_question(self, text: str) -> bool:
        """A question by its first words and its mark, and long enough to be answered."""
        return _asks(self, text, self.asking | self.auxiliary, LEAST_QUESTION - 1)

    def asks_openly(self, text: str) -> bool:
        """The beginning of such a question."""
        return any(not self.asking.isdisjoint(_opening(part, self.leading)[:2]) for part in _whole_and_last(text))

    def is_request(self, text: str) -> bool:
        """A statement that wants something of the agent, by its first words. It has a whole sentence's melody only at its end,
        where somebody who tells something often has one in mid-turn."""
        openings = [_opening(part, self.leading) for part in _whole_and_last(text)]
        orders = any(not self.ordering.isdisjoint(words[:1]) or self.wants.match(" ".join(words)) for words in openings)
        return orders or self.is_wish(text)

    def is_wish(self, text: str) -> bool:
        """A request for a thing, to which details are often added: "Can I have a tea ... with milk?"."""
        return any(self.wish.match(" ".join(_opening(part, self.leading))) for part in _whole_and_last(text))

    def is_polite_to_the_end(self, text: str) -> bool:
        """The last word asks kindly, which is the last one when nothing is to follow."""
        return not self.polite.isdisjoint(words_of(text)[-1:])


def may_be_misheard(wording: Wording, text: str, asked: str) -> bool:
    """Whether an exclamation is all there is of the answer to a question for something (`asked`: what the agent said last):
    "No" and "Anna" become "Oh" and "Ah"."""
    wanted = wording.dictation.asks_briefly(asked) or wording.dictation.asks_to_dictate(asked)
    return wanted and is_exclamation(wording, text)


def is_exclamation(wording: Wording, text: str) -> bool:
    """Whether `text` is one, or several of them."""
    return bool(words_of(text)) and wording.exclamations.issuperset(words_of(text))


def _asks(wording: Wording, text: str, openers: Words, least: int) -> bool:
    """It ends as a question does, begins with one of `openers` and has so many words."""
    return text.rstrip().endswith("?") and any(
        len(words) + shortened >= least and not openers.isdisjoint(_opening(part, wording.leading)[:2])
        for part in _whole_and_last(text)
        for words in [words_of(part)]
        for shortened in [sum("'" in word and word in wording.asking for word in words)]
    )


def _opening(text: str, leading: Words) -> list[str]:
    """The words from the first on that means something."""
    return list(dropwhile(leading.__contains__, words_of(text)))


def _whole_and_last(text: str) -> tuple[str, str]:
    """The text and its last sentence: what is wanted may come first or last. A full stop may also be that of a "Mr." in the middle
    of a sentence."""
    return text, re.split(r"(?<=[.?!])\s+", text.strip())[-1]
