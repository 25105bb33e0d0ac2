"""The reply pipeline in virtual time: streaming, hand-over, cancellation."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.clauses import ahead, split_clauses
from languages.en import LANGUAGE as ENGLISH
from tests.unit.virtual_time import run


async def stream(pieces: Sequence[str], delay_s: float = 0.0) -> AsyncIterator[str]:
    for piece in pieces:
        await asyncio.sleep(delay_s)
        yield piece


def clauses(*pieces: str) -> list[str]:
    async def collect() -> list[str]:
        return [clause async for clause in split_clauses(stream(pieces), ENGLISH)]

    return run(collect())


def test_text_is_cut_at_sentences_and_the_first_clause_at_a_comma() -> None:
    assert clauses("When you stop speaking, the agent waits. Then it answers, as people do. End") == [
        "When you stop speaking,",
        "the agent waits.",
        "Then it answers, as people do.",
        "End",
    ]


def test_a_comma_too_early_does_not_cut() -> None:
    assert clauses("Well, yes. No.") == ["Well, yes.", "No."]


def test_a_long_first_clause_is_cut_where_a_phrase_begins_and_later_ones_are_not() -> None:
    long = "The agent hears the end of a turn by the melody and by the words of the last sentence."
    assert clauses(f"{long} {long}") == [
        "The agent hears the end of a turn",
        "by the melody and by the words of the last sentence.",
        long,
    ]
    assert clauses("One two three four five six seven eight nine ten.") == ["One two three four five six seven eight nine ten."]


@pytest.mark.parametrize(
    "text",
    [
        "One two three four, five. Six seven? Eight!",
        "It waits for the end of what you say and then, after a moment, it answers. Then it stops.",
        "One two three four five six seven and eight, nine.",
    ],
)
def test_pieces_of_any_size_give_the_same_clauses(text: str) -> None:
    assert clauses(*text) == clauses(text)


def test_an_endless_sentence_is_cut_at_a_space() -> None:
    parts = clauses("word " * 200)
    assert max(map(len, parts)) <= 220
    assert " ".join(parts).split() == ["word"] * 200


@given(st.lists(st.text(alphabet="ab ,.!?", max_size=20), max_size=20))
@settings(deadline=None)  # of a shared machine
def test_no_letter_is_lost(pieces: list[str]) -> None:
    assert "".join(clauses(*pieces)).replace(" ", "") == "".join(pieces).replace(" ", "")


def test_ahead_runs_ahead_but_not_further_than_its_limit() -> None:
    made: list[int] = []

    async def source() -> AsyncIterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    async def scene() -> None:
        items = ahead(source(), 3)
        assert await anext(items) == 0
        await asyncio.sleep(1)
        assert len(made) == 5  # one taken, three waiting, one in hand
        assert [item async for item in items] == list(range(1, 10))

    run(scene())


def test_ahead_raises_the_error_of_its_source_in_its_place() -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        raise KeyError("broken")

    async def scene() -> list[int]:
        got = []
        with pytest.raises(KeyError, match="broken"):
            async for item in ahead(source(), 2):
                got.append(item)
        return got

    assert run(scene()) == [1]


def test_closing_ahead_cancels_its_source() -> None:
    closed = []

    async def source() -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(1)
                yield 1
        finally:
            closed.append(True)

    async def scene() -> None:
        items = ahead(source(), 2)
        await anext(items)
        await items.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    run(scene())
    assert closed == [True]


def test_a_source_that_somebody_else_cancels_does_not_hang_its_reader() -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(1)
        raise asyncio.CancelledError

    async def scene() -> list[int]:
        got = []
        async with asyncio.timeout(5):
            with pytest.raises(RuntimeError, match="cancelled"):
                async for item in ahead(ahead(source(), 2), 2):
                    got.append(item)
        return got

    assert run(scene()) == [1]


def test_closing_ahead_ends_a_source_that_waits_for_a_full_queue() -> None:
    closed = []

    async def source() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.append(True)

    async def scene() -> int:
        before = len(asyncio.all_tasks())
        items = ahead(source(), 1)
        await anext(items)
        await asyncio.sleep(1)
        await items.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(1)
        return len(asyncio.all_tasks()) - before

    assert run(scene()) == 0
    assert closed == [True]
