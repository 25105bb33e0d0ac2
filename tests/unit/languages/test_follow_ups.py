"""Turns that lean on the one before them."""

import pytest

from languages.en import LANGUAGE as ENGLISH
from services.base import Exchange
from services.followup import FollowUps

FOLLOW_UPS = FollowUps(ENGLISH.follow_ups)

BUFFER = Exchange("What is a jitter buffer?", "A jitter buffer evens out packets.")


@pytest.mark.parametrize("text", ["Tell me more.", "Okay, go on.", "And why is that?", "more please", "Can you explain that?"])
def test_asking_for_more(text: str) -> None:
    assert FOLLOW_UPS.asks_for_more(text.replace(",", ""))
    assert FOLLOW_UPS.readings(text.replace(",", ""), [BUFFER])[0].startswith("What is a jitter buffer?")


@pytest.mark.parametrize(
    "text",
    [
        "What is Opus?",
        "How long does it take to answer?",
        "And how do I deploy Parley?",
        "Why do you need Redis?",
        "Tell me more about barge-in.",
    ],
)
def test_a_whole_question_stays_as_it_is(text: str) -> None:
    assert FOLLOW_UPS.readings(text, [BUFFER]) == [text]


def test_what_about_keeps_the_subject_before() -> None:
    assert FOLLOW_UPS.readings("And what about Opus?", [BUFFER]) == ["opus", "opus. What is a jitter buffer?"]
    assert FOLLOW_UPS.readings("Is it large?", [BUFFER]) == ["is it large. What is a jitter buffer?"]


def test_follow_ups_chain() -> None:
    history = [BUFFER, Exchange("tell me more", "It adapts."), Exchange("thanks", "You're welcome.")]
    assert FOLLOW_UPS.readings("go on", history) == ["What is a jitter buffer?"]


def test_the_other_passage_that_was_offered() -> None:
    history = [Exchange("How fast are you?", "Quite fast. " + FOLLOW_UPS.offer("speculative replies"))]
    assert FOLLOW_UPS.readings("What about the second one?", history) == ["speculative replies"]


@pytest.mark.parametrize("text", ["Yes.", "Yes, please.", "Okay, sure.", "Mm-hmm.", "Tell me about it."])
def test_yes_takes_what_was_offered(text: str) -> None:
    history = [Exchange("How fast are you?", "Quite fast. " + FOLLOW_UPS.offer("speculative replies"))]
    assert FOLLOW_UPS.readings(text, history) == ["speculative replies"]
    assert FOLLOW_UPS.takes_offer(text, history)
    assert not FOLLOW_UPS.takes_offer(text, [BUFFER])
    history.append(Exchange(text, "Parley starts early."))
    assert FOLLOW_UPS.readings("tell me more", history) == ["speculative replies"]


def test_a_prompt_of_the_agent_is_no_turn() -> None:
    assert FOLLOW_UPS.readings("tell me more", [BUFFER, Exchange("", "Are you still there?")]) == ["What is a jitter buffer?"]


def test_without_history_nothing_is_added() -> None:
    assert FOLLOW_UPS.readings("tell me more", []) == ["tell me more"]


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("No, I meant packets.", ["packets", "packets. What is a jitter buffer?"]),
        ("Sorry, packets.", ["packets", "packets. What is a jitter buffer?"]),
        ("I said packets, not frames.", ["packets, not frames", "packets, not frames. What is a jitter buffer?"]),
        ("I mean packets", ["packets", "packets. What is a jitter buffer?"]),
        ("When?", ["when. What is a jitter buffer?"]),
        ("And how much is it?", ["and how much is it. What is a jitter buffer?"]),
        ("On what day?", ["on what day. What is a jitter buffer?"]),
    ],
)
def test_a_correction_or_a_bare_question_belongs_to_the_turn_before(text: str, reading: list[str]) -> None:
    assert FOLLOW_UPS.leans(text)
    assert FOLLOW_UPS.readings(text, [BUFFER]) == reading


@pytest.mark.parametrize(
    "text",
    ["What time is it?", "What day is it?", "No, thank you.", "Sorry, what did you say?", "No.", "Sorry.", "When is Easter?"],
)
def test_what_only_begins_like_one_stands_alone(text: str) -> None:
    assert not FOLLOW_UPS.leans(text)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("What about cats?", "cats"),
        ("And how about cats on a lead?", "cats"),
        ("what about your guinea pigs then", "guinea pigs"),
        ("I meant cats", "cats"),
        ("No, sorry, cats.", "cats"),
        ("and parking?", "parking"),
        ("What about bicycles during the week?", "bicycles"),
        # When, for whom and how much: the subject stays
        ("what about Sundays?", ""),
        ("And on Sundays?", ""),
        ("what about with children?", ""),
        ("what about children", ""),
        ("how about tomorrow morning", ""),
        ("and for two?", ""),
        ("what about the cheaper one", ""),
        ("what about it", ""),
        ("what about the other one", ""),
        ("what about five", ""),
        ("do cats sleep much", ""),
    ],
)
def test_another_subject_is_told_from_another_circumstance(text: str, subject: str) -> None:
    assert FOLLOW_UPS.subject(text) == subject
