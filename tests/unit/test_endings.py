"""After how long a silence a turn is over, and what its words alone tell of it."""

import pytest

from app.endings import required_silence
from app.settings import Settings
from app.wording import is_question, is_request, is_whole_question, is_wish

SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("text", "complete", "closed", "least"),
    [
        ("I'd like a latte with sugar and a bit of whole milk.", 0.95, 0.9, 192),
        ("I want an 8-ounce triple shot coffee with some sugar and a little bit of skim milk.", 0.05, 0.92, 576),
        ("Can I have a dark roast drip coffee with almond milk?", 0.36, 0.97, 192),
        ("Can I have a dark rose?", 0.06, 0.9, 1600),
        ("Give me a triple shot.", 0.97, 0.53, 1088),
        ("Give me a single shot, 12 oz.", 0.34, 0.7, 1600),
        ("I would like some tea, please.", 0.98, 0.8, 192),
        ("Set a timer for 10 minutes.", 0.96, 0.6, 192),
        ("I want to talk to a human.", 0.88, 0.77, 192),
        ("Remind me to call my mother.", 0.2, 0.7, 1600),
        ("I want a coffee with", 0.99, 0.9, 1800),
    ],
)
def test_a_request_is_over_when_its_melody_its_sentence_and_its_length_say_so(
    text: str, complete: float, closed: float, least: float
) -> None:
    assert required_silence(SETTINGS, text, complete, closed) == least


@pytest.mark.parametrize(
    ("text", "complete", "closed", "least"),
    [
        ("How many wings does a bird have?", 0.02, 0.96, 192),
        ("Which term refers to the ability to adapt to an environment?", 0.98, 0.5, 192),
        ("What's the weather like?", 0.02, 0.96, 384),
        ("Which term refers to the ability of an organism?", 0.1, 0.8, 576),
        ("Who was the first American?", 0.01, 0.81, 1600),
        ("How many wings does a bird?", 0.01, 0.53, 1600),
    ],
)
def test_a_question_is_over_when_its_melody_or_its_sentence_is(text: str, complete: float, closed: float, least: float) -> None:
    assert required_silence(SETTINGS, text, complete, closed) == least


def test_a_whole_question_has_its_verb() -> None:
    assert is_whole_question("How many wings does a bird have?")
    assert is_whole_question("And what is the capital of India?")
    assert not is_whole_question("How many wings?")
    assert not is_whole_question("Can I have a dark roast coffee?")
    assert is_question("Can I have a dark roast coffee?")
    assert is_question("What's the weather like?")
    assert is_question("Okay, so what's the weather like?")
    assert is_question("Isn't it going to rain?")
    assert is_whole_question("I have been there. What is the capital of France?")
    assert is_whole_question("Who was that Dr. Watson?")
    assert not is_question("What is it? I do not know.")
    assert not is_question("Why?")
    assert not is_question("You like coffee?")


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
        assert is_request(text), text
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
        assert not is_request(text), text


def test_a_wish_is_for_a_thing() -> None:
    for text in (
        "I'd like a coffee.",
        "Okay, let me get a coffee.",
        "Could I please have a tea?",
        "Please bring us the bill.",
        "It is hot. Can I have a tea?",
    ):
        assert is_wish(text), text
    for text in ("I'd like to go.", "I need to call her.", "Set a timer.", "Tell me a story.", "What can I have?", ""):
        assert not is_wish(text), text
