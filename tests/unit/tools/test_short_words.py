"""A few words that are near an example by accident, and farewells that are near none: told by the words themselves."""

import pytest

from languages.en.short_words import told_by_few

FAREWELLS = (
    """see ya | laters | ciao | cheerio | so long | take care | hang up | that's all | That is all.
okay, that'll be all | I'm off | I need to go | got to go | gotta go | I've got to run | must go | we're done here | quit | exit
night night | catch you later | talk soon | thanks, that's everything | have a good one | over and out | Well, I have to leave
""".strip()
    .replace("\n", " | ")
    .split(" | ")
)
NONE = """blue | two | coffee | go to the bank | take care of it | that's all right | see you at the desk where | exit row
I need to go home | that's all I know of it | quit smoking | i'm off on Monday, is it open then""".replace("\n", " | ").split(
    " | "
)


@pytest.mark.parametrize("text", FAREWELLS)
@pytest.mark.parametrize("taken_for", ["out_of_scope", "acknowledgement", "stop", "goodbye"])
def test_what_takes_leave_is_a_farewell_whatever_it_is_taken_for(text: str, taken_for: str) -> None:
    assert told_by_few(taken_for, text) == "goodbye"


@pytest.mark.parametrize("text", NONE)
def test_what_only_begins_like_a_farewell_is_none(text: str) -> None:
    assert told_by_few("question", text) == "question"


@pytest.mark.parametrize("text", ["Go.", "go", "ok, go", "Go now!", "let's go", "okay then, go"])
def test_go_is_no_farewell(text: str) -> None:
    assert told_by_few("goodbye", text) == "go_on"


@pytest.mark.parametrize(
    ("taken_for", "text"), [("goodbye", "leave"), ("goodbye", "the end"), ("stop", "come"), ("stop", "two"), ("stop", "Off!")]
)
def test_a_word_that_neither_takes_leave_nor_asks_for_silence_does_neither(taken_for: str, text: str) -> None:
    assert told_by_few(taken_for, text) == "out_of_scope"


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        ("goodbye", "bye bye"), ("goodbye", "bye, Parley"), ("goodbye", "good night"), ("goodbye", "see you"),
        ("goodbye", "I'm leaving"), ("goodbye", "end the call"), ("stop", "stop it"), ("stop", "be quiet"), ("stop", "shut up"),
        ("stop", "hold on"), ("stop", "one moment"), ("stop", "never mind"), ("stop", "Enough!"), ("stop", "silence"),
        ("go_on", "go on"), ("yes", "yes"), ("goodbye", "it was nice to speak with you"), ("stop", "please make it stop now"),
    ],
)  # fmt: skip
def test_what_is_meant_stays(intent: str, text: str) -> None:
    assert told_by_few(intent, text) == intent
