"""Where a text is cut for speaking."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.clauses import LONGEST_CLAUSE, Cutter, first_clause
from languages.en import LANGUAGE as ENGLISH


def cut(text: str, size: int) -> list[str]:
    cutter = Cutter(ENGLISH)
    fed = [clause for at in range(0, len(text), size) for clause in cutter.feed(text[at : at + size])]
    return [*fed, *cutter.rest()]


@pytest.mark.parametrize(
    "clause",
    [
        "Ask Dr. Smith.",
        "Mr. and Mrs. Brown vs. St. Peter.",
        "By J. R. R. Tolkien.",
        "See No. 5, Fig. 3 and p. 7 of Vol. 2.",
        "It opens at 9 a.m. and closes at 5 p.m. on weekdays.",
        "In the U.S. Army.",
        "She has a Ph.D. in physics.",
        "Use tools, e.g. a saw, i.e. this one.",
        "Likes it i.e. I love it.",
        "It was Smith vs. The Crown.",
        "On Jan. 5 and Sept. 9.",
        "Apples, pears, etc. are cheap.",
        "He met Gen. Grant, Lt. Col. Lee and Prof. May.",
        "It costs 3.5 dollars.",
        "See https://a.b/c.d?e=f. or not.",
        "About 5 ft. 6 in. tall.",
        "Wait... what?",
        "It is approx. 5 km from Mt. Everest.",
        "Version 1.2.3 is out.",
        "The No. 1 song.",
        "Nov. 28-Dec. 2 only.",
        "It is 5 euros excl. VAT.",
        "Sammy Davis Jr. was here.",
        "1. First of all.",
        "(a) One thing.",
    ],
)
def test_a_short_form_ends_no_sentence(clause: str) -> None:
    for size in (1, 4, 1000):
        assert " ".join(cut(f"Yes. {clause} Then we go.", size)) == f"Yes. {clause} Then we go."
        assert "Then we go." in cut(f"Yes. {clause} Then we go.", size)
        assert not any(
            part.endswith(end)
            for part in cut(f"Yes. {clause} Then we go.", size)[:-1]
            for end in ("r.", "J.", "o.", "m.", "g.", "1.")
            if not clause.endswith(part)
        )
        assert cut(f"Yes. {clause} Then we go.", size)[1:] == [clause, "Then we go."]


@pytest.mark.parametrize(
    "sentences",
    [
        ["No.", "I don't think so."],
        ["It is at 5 p.m.", "The doors open early."],
        ["They live in the U.S.", "The law is clear."],
        ["So do I.", "Then we go."],
        ["Take vitamin C.", "It helps."],
        ["He works at Apple Inc.", "The firm is big."],
        ["It was 1990.", "Then it was over."],
        ["Is it?", "Yes!", "Good."],
        ["“It is.”", "He left."],
        ["“Is it?” he asked.", "“Stop!” she cried.", "“Is it?”", "Nobody knew."],
        ["The answer is no.", "Try again.", "No.", "Wait."],
        ["It starts at 8 p.m.", "Bring a coat."],
        ["Yes.", "At 8 p.m. Monday or 5 p.m. EST.", "Come early."],
        ["Open Mon. through Fri.", "Closed on weekends."],
        ["That is free.", "Maria met him.", "Take a rest.", "Most do."],
        ["Bring pens, etc.", "Paris is nice."],
        ["Use plan B.", "Put it there.", "Drink vitamin C.", "Take it."],
        ["P.S. I love you.", "Fine."],
        ["See No. A12 and Fig. B.", "Vol. II and Sec. IV are here."],
    ],
)
def test_a_sentence_ends_with_a_short_form_where_another_begins(sentences: list[str]) -> None:
    for size in (1, 4, 1000):
        assert cut(" ".join(sentences), size) == sentences


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("You need:\n- Milk\n- Eggs\n- Bread", ["You need:", "- Milk.", "- Eggs.", "- Bread"]),
        ("1. Open it\n2. Fill it\n3. Close it", ["1. Open it.", "2. Fill it.", "3. Close it"]),
        ("Like this: 1. Open it 2. Fill it 3. Close it", ["Like this:", "1. Open it", "2. Fill it", "3. Close it"]),
        ("- 50%\n- 20°C\n- 5€\n- good 👍\n- done", ["- 50%.", "- 20°C.", "- 5€.", "- good 👍.", "- done"]),
        ("| a | b |\n| 1 | 2 |\nDone", ["| a | b |", "| 1 | 2 |", "Done"]),
        ("Milk\nEggs\nBread", ["Milk.", "Eggs.", "Bread"]),
        ("# Title\n\nText follows.", ["# Title.", "Text follows."]),
        ("* **Bold**\n* `code`\n", ["* **Bold**.", "* `code`"]),
    ],
)
def test_lines_of_a_list_are_sentences(text: str, clauses: list[str]) -> None:
    for size in (1, 3, 1000):
        assert cut(text, size) == clauses


def test_a_paragraph_that_was_broken_is_one() -> None:
    text = "Well. This paragraph was broken at about seventy columns by some editor\nthat likes to do that."
    assert cut(text, 5)[1].endswith("editor\nthat likes to do that.")


def test_no_date_is_cut_at_its_comma() -> None:
    assert first_clause("It was on May 5, 2024, and it rained.", ENGLISH) == "It was on May 5, 2024,"


@given(st.text(alphabet=st.sampled_from("aB1. ,!?\n-:"), max_size=600), st.integers(1, 50))
@settings(deadline=None)  # of a shared machine
def test_nothing_is_lost_and_no_clause_is_endless(text: str, size: int) -> None:
    clauses = cut(text, size)
    said, written = "".join("".join(clauses).split()), "".join(text.split())
    assert said.replace(".", "") == written.replace(".", "")
    assert all(0 < len(clause) <= LONGEST_CLAUSE + 61 for clause in clauses)
    assert clauses[:1] == [first for first in [first_clause(text, ENGLISH)] if first]
