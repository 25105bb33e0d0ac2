"""Several wishes in one turn."""

import pytest

from languages.en.parts import heard_parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "set a timer for 5 minutes and what time is it in Tokyo",
            ["set a timer for 5 minutes", "what time is it in Tokyo"],
        ),
        ("Set a timer for five minutes. What time is it?", ["Set a timer for five minutes", "What time is it?"]),
        ("What time is it, and when does the bakery open?", ["What time is it", "when does the bakery open?"]),
        ("cancel the pasta timer and set a new one for ten minutes", ["cancel the pasta timer", "set a new one for ten minutes"]),
        ("What's the date and what's the time?", ["What's the date", "what's the time?"]),
        ("what's the time and date", ["what time is it?", "what is the date?"]),
        ("Can you tell me the date and time in Tokyo?", ["what time is it in Tokyo?", "what is the date in Tokyo?"]),
        ("spell Zoë and tell me the time", ["spell Zoë", "tell me the time"]),
        ("Set a timer for ten minutes, then tell me a joke", ["Set a timer for ten minutes", "tell me a joke"]),
        ("For the pasta, set a timer for nine minutes and what time is it?", [
            "For the pasta, set a timer for nine minutes", "what time is it?"
        ]),
        ("Don't set a timer, what time is it?", ["Don't set a timer", "what time is it?"]),
        ("How many days until Easter, and what weekday is it?", ["How many days until Easter", "what weekday is it?"]),
        ("what time is it; what day is it; spell cat", ["what time is it", "what day is it", "spell cat"]),
    ],
)  # fmt: skip
def test_each_wish_is_a_part(text: str, parts: list[str]) -> None:
    assert [part.rstrip(".") for part in heard_parts(text)] == parts


@pytest.mark.parametrize(
    "text",
    [
        "set a timer for five minutes",
        "set two timers, for five and ten minutes",
        "set a timer for five minutes and another for ten",
        "remind me at 7 to call mom and at 8 to call dad",
        "wake me at 7 and remind me at 8 to call mom",
        "remind me to call mom and dad at five",
        "remind me to call mom and set the table",
        "remind me to ask what time it is and when the shop opens",
        "set a timer for five minutes and tell me when it's done",
        "set a timer for five minutes, no wait, set a timer for ten minutes",
        "I am cooking. Set a timer for ten minutes.",
        "What is latency and how does it work?",
        "When does the bakery open and where is it?",
        "what time is it in Sydney and in London",
        "set a timer for ten minutes and call it pasta",
        "how many days until Christmas and what day is it then, counting from then?",
        "the date and time of the concert",
        "What time is breakfast?",
    ],
)
def test_one_wish_is_left_whole(text: str) -> None:
    assert heard_parts(text) == [text]
