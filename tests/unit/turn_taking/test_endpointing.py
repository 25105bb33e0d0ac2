"""How likely a turn is over, and after how long a silence; what its words alone tell of it."""

import math

import pytest

from app.turn_taking.endpointing import EndpointingModel, Lengths, Said, annoyance, judge, required_silence
from languages.en import LANGUAGE as ENGLISH


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (Said("I'd like a latte with sugar and a bit of whole milk.", 0.95, 0.9), 256),
        (Said("Can I have a dark roast drip coffee with almond milk?", 0.9, 0.97), 256),
        (Said("Set a timer for 10 minutes.", 0.96, 0.8), 384),
        (Said("How many wings does a bird have?", 0.7, 0.96), 512),
        (Said("Which term refers to the ability to adapt to an environment?", 0.98, 0.9), 512),
    ],
)
def test_what_sounds_whole_is_answered_soon(said: Said, most: float) -> None:
    assert required_silence(judge(ENGLISH), said) <= most


@pytest.mark.parametrize(
    "said",
    [
        Said("Can I have a dark rose?", 0.06, 0.5),
        Said("Give me a single shot, 12 oz.", 0.34, 0.4),
        Said("How many wings does a bird?", 0.01, 0.53),
        Said("I want a coffee with", 0.99, 0.3),
        Said("So what I'm having is...", 0.3, 0.1),
        Said("um, and then we", 0.5, 0.2),
    ],
)
def test_what_does_not_may_go_on(said: Said) -> None:
    assert required_silence(judge(ENGLISH), said) >= 900


def test_nothing_waits_longer_than_the_longest() -> None:
    worst = Said("and the", 0.0, 0.0)
    assert required_silence(judge(ENGLISH), worst, "low", [2000.0] * 10) < 1800


def test_the_silence_is_the_one_with_the_least_cost() -> None:
    """Where all pauses last 300 ms, whoever is silent for longer has finished; who certainly has need not be waited for."""
    even = EndpointingModel(
        ENGLISH.wording,
        {},
        {},
        dict.fromkeys(("dictated", "other"), Lengths(math.log(300), 0.01, 0.0)),
    )
    assert even.probability(Said("It was on the table.")) == 0.5
    assert even.silence(Said("It was on the table."), 1500, ()) == pytest.approx(320, abs=16)
    assert even.silence(Said("It was on the table."), 10, ()) == 192


def test_a_voice_that_falls_is_answered_sooner_and_one_that_is_not_heard_is_judged_without() -> None:
    """Of a recogniser that does not tell, melody and words say more than where the voice tells it."""
    asked = "Could you spell your name, please?"
    waits = [
        required_silence(judge(ENGLISH), Said("S-M-I-T-H", 0.5, 0.3, ending, asked=asked)) for ending in (0.7, 0.5, 0.3, 0.1)
    ]
    assert waits == sorted(waits) and waits[0] < 448 and waits[-1] > 1000
    flat, fallen = (Said("We went to the park by the lake", sure, 0.5) for sure in (0.02, 0.98))
    assert judge(ENGLISH).probability(fallen) > judge(ENGLISH).probability(flat) + 0.1


def test_a_long_wait_costs_more_than_two_of_half_its_length() -> None:
    assert annoyance(400) == 400
    assert annoyance(1600) > 2 * annoyance(800)


def test_an_address_is_likely_to_be_over_with_the_number_behind_the_street() -> None:
    asked = "What is your address?"
    for street in ("86 Timberline Boulevard", "5 Ocean Drive", "1 2 8 Cedar Avenue"):
        for line in (asked, ""):
            more = required_silence(judge(ENGLISH), Said(f"{street}, 664", 0.6, 0.2, 0.5, asked=line))
            assert more < 512 < required_silence(judge(ENGLISH), Said(street, 0.6, 0.2, 0.35, asked=line))


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("86", "What is your address?", (True, True, 0.0)),
        ("3 2 Springs Boulevard, 4, 5", "What is your address?", (True, False, 2 / 3)),
        ("I live at 12 Oak Street.", "", (True, False, 0.0)),
        ("12 North Gate Drive, apartment 305", "", (True, False, 1.0)),
        ("jo at", "What is your e-mail address?", (False, False, 0.0)),
        ("20 minutes down the road", "", (False, False, 0.0)),
        ("I walked 5 miles of road", "", (False, False, 0.0)),
        ("Two people.", "How many?", (False, False, 0.0)),
    ],
)
def test_the_address_of_a_house_is_known_by_its_street(text: str, asked: str, expected: tuple[bool, bool, float]) -> None:
    assert tuple(ENGLISH.wording.dictation.place(text, asked)) == pytest.approx(expected)


def test_a_number_or_a_time_that_was_asked_for_is_known() -> None:
    words = ENGLISH.wording
    for asked, given, missing in (
        ("How many people?", "There are two people.", "There are people"),
        ("how many nights", "3", "my wife and"),
        ("Okay. What day exactly?", "On Monday.", "On the"),
        ("When shall I book it?", "At 7 in the evening.", "We would like to come"),
        ("okay how about the time", "half past seven", "well I think"),
        ("When?", "At five.", "At"),
    ):
        question = words.dictation.last_question(asked)
        assert words.answers.gives(given, question), given
        assert not words.answers.gives(missing, question), missing
    assert not words.answers.gives("Two people.", "where are you?")
    assert words.answers.declines("No, that is fine for me.", "anything else?")
    assert not words.answers.declines("No, on Monday.", "is that correct?")
    assert not words.answers.declines("Yes, a taxi.", "anything else?")


def test_pauses_grow_rarer_with_their_length() -> None:
    lengths = Lengths(math.log(450), 0.4, 0.5)
    shares = [lengths.share(ms, 0.0) for ms in range(192, 1800, 32)]
    assert shares[0] == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert lengths.share(800, 1.0) > lengths.share(800, 0.0) > lengths.share(800, -1.0)


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("5 5 5 1 2 3", "", (6, True, False)),
        ("555-123-4567", "", (10, True, True)),
        ("1 800 555 1234", "", (11, True, True)),
        ("My number is five five five one two.", "", (5, True, False)),
        ("N-I-K-O", "", (4, True, False)),
        ("My name is T-U-R-N", "", (4, True, False)),
        ("7", "", (1, False, False)),
        ("7 5", "", (2, False, False)),
        ("5 5 5", "", (3, True, False)),
        ("7", "How many people?", (1, False, False)),
        ("The 10:30", "", (4, False, False)),
        ("I was born in 2025.", "", (4, False, False)),
        ("I want 2", "", (1, False, False)),
        ("jo@example.co.uk.", "", (0, True, True)),
        ("jo at example dot com", "", (0, True, True)),
        ("555-123-45...", "", (8, True, False)),
        ("I was at a friend's house.", "", (0, False, False)),
        ("", "", (0, False, False)),
    ],
)
def test_what_is_dictated_is_known_by_what_the_text_ends_with(text: str, asked: str, expected: tuple[int, bool, bool]) -> None:
    assert tuple(ENGLISH.wording.dictation.dictated(text, asked)) == expected


CARD, PHONE, ZIP = "What is your card number?", "Sure. What's the best phone number to reach you?", "And your zip code?"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("4242", CARD),
        ("4242, 1234, 9876", CARD),
        ("It's five five five", PHONE),
        ("555-123", PHONE),
        ("941", ZIP),
        ("My number is 0151", ""),
        ("My phone number's 5 5 5", "How can I help you?"),
        ("My card number is 4242 4242", ""),
    ],
)
def test_a_number_with_fewer_digits_than_any_is_not_over_however_it_sounds(text: str, asked: str) -> None:
    assert ENGLISH.wording.dictation.lacks_digits(text, asked)
    assert required_silence(judge(ENGLISH), Said(text, 0.99, 0.99, 0.99, asked=asked)) > 1200


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("4242 4242 4242 4242", CARD),
        ("555 1234", PHONE),
        ("94110", ZIP),
        ("I don't have a card", CARD),
        ("No", PHONE),
        ("4242", "What are the last four digits of your card number?"),
        ("123", "What is the security code behind your card number?"),
        ("My card number ends in 4242", ""),
        ("415", "What is the area code of your phone number?"),
        ("Two", "How many do you need?"),
        ("5", "What is the number of your house?"),
        ("I was born in 1999", ""),
    ],
)
def test_a_number_that_may_be_whole_is_judged_by_its_sound(text: str, asked: str) -> None:
    assert not ENGLISH.wording.dictation.lacks_digits(text, asked)
    assert required_silence(judge(ENGLISH), Said(text, 0.99, 0.99, 0.99, asked=asked)) < 600


def test_what_the_agent_asks_for_is_known_by_its_last_sentence() -> None:
    for line in (
        "What is your phone number?",
        "Sure. Could you spell that?",
        "and may I have your address please",
        "Your e-mail?",
    ):
        assert ENGLISH.wording.dictation.asks_to_dictate(line) and not ENGLISH.wording.dictation.asks_briefly(line), line
    for line in (
        "How many nights?",
        "Okay. Is that correct?",
        "what day exactly",
        "May I have your name?",
        "How many in number of rooms?",
    ):
        assert ENGLISH.wording.dictation.asks_briefly(line) and not ENGLISH.wording.dictation.asks_to_dictate(line), line
    for line in (
        "",
        "Your number is 5.",
        "How can I help you?",
        "Is there anything else?",
        "What would you like to know?",
        "What can I tell you?",
        "Could you say that again?",
    ):
        assert not ENGLISH.wording.dictation.asks_briefly(line) and not ENGLISH.wording.dictation.asks_to_dictate(line), line


def test_a_few_words_may_be_a_whole_answer_where_no_more_has_to_follow() -> None:
    words = ENGLISH.wording
    for text in ("Yes.", "No", "Two people.", "Half an hour", "7", "Mountain View.", "Hey, wake up.", "Okay, great."):
        assert words.is_brief(text), text
    for text in ("", "Hello.", "So", "Yes,", "I have a", "With milk and", "There are two people."):
        assert not words.is_brief(text), text
    for text in ("Yes.", "No.", "Okay.", "Yes, yes.", "Nope"):
        assert words.acknowledges(text), text
    for text in ("", "Yes, two.", "Today."):
        assert not words.acknowledges(text), text


def test_a_short_answer_is_whole_at_once_and_what_may_go_on_is_waited_for() -> None:
    """Whether or not something was asked; a number is dictated where it was asked for, or where three digits were given."""
    for text in ("Yes.", "No.", "Okay."):
        assert required_silence(judge(ENGLISH), Said(text, 0.9, 0.6, 0.3)) <= 320, text
    for text in ("Today.", "Two people.", "7", "Mountain View"):
        asked, unasked = (required_silence(judge(ENGLISH), Said(text, 0.7, 0.3, 0.3, asked=line)) for line in ("When?", ""))
        assert asked <= 320 < unasked < 700, text
    assert required_silence(judge(ENGLISH), Said("Yes,", 0.3, 0.1, 0.25)) > 600
    assert required_silence(judge(ENGLISH), Said("5 5 5", 0.5, 0.1, 0.2)) > 700
    assert required_silence(judge(ENGLISH), Said("5", 0.9, 0.2, 0.25, asked="What is your phone number?")) > 700
    rising, level = (required_silence(judge(ENGLISH), Said("The address", melody, 0.3, 0.3)) for melody in (0.95, 0.05))
    assert rising < level and level > 700


def test_few_people_go_on_after_a_closing() -> None:
    for text in ("Thank you.", "No, that's all.", "Great. Thanks for your help.", "Okay, bye.", "Have a nice day!"):
        assert ENGLISH.wording.is_closing(text), text
    for text in ("Thank you. I need a taxi.", "That is a table.", "All of them.", ""):
        assert not ENGLISH.wording.is_closing(text), text


def test_a_whole_question_has_its_verb() -> None:
    assert ENGLISH.wording.is_whole_question("How many wings does a bird have?")
    assert ENGLISH.wording.is_whole_question("And what is the capital of India?")
    assert ENGLISH.wording.is_whole_question("What's the weather like?")
    assert not ENGLISH.wording.is_whole_question("How many wings?")
    assert not ENGLISH.wording.is_whole_question("Can I have a dark roast coffee?")
    assert ENGLISH.wording.is_question("Can I have a dark roast coffee?")
    assert ENGLISH.wording.is_question("What's the weather like?")
    assert ENGLISH.wording.is_question("Okay, so what's the weather like?")
    assert ENGLISH.wording.is_question("Isn't it going to rain?")
    assert ENGLISH.wording.is_whole_question("I have been there. What is the capital of France?")
    assert ENGLISH.wording.is_whole_question("Who was that Dr. Watson?")
    assert not ENGLISH.wording.is_question("What is it? I do not know.")
    assert not ENGLISH.wording.is_question("Why?")
    assert not ENGLISH.wording.is_question("You like coffee?")


def test_a_request_is_known_by_its_first_words() -> None:
    for text in (
        "I want a coffee.",
        "I went a small coffee.",
        "Um, I'd like a coffee.",
        "Give me a coffee.",
        "Please, a tea.",
        "Set a timer.",
        "Hi, can I get a coffee?",
        "I want to go home.",
        "Explain how it works.",
        "Nice to meet you. Tell me a story.",
        "I'd like a coffee. A small one.",
    ):
        assert ENGLISH.wording.is_request(text), text
    for text in (
        "",
        "Um.",
        "I was about to go.",
        "I went home.",
        "I would not like that.",
        "There's iron in it.",
        "I liked the film.",
        "Can you have a coffee?",
    ):
        assert not ENGLISH.wording.is_request(text), text


def test_a_wish_is_for_a_thing() -> None:
    for text in (
        "I'd like a coffee.",
        "Okay, let me get a coffee.",
        "Could I please have a tea?",
        "Please bring us the bill.",
        "It is hot. Can I have a tea?",
    ):
        assert ENGLISH.wording.is_wish(text), text
    for text in ("I'd like to go.", "I need to call her.", "Set a timer.", "Tell me a story.", "What can I have?", ""):
        assert not ENGLISH.wording.is_wish(text), text
