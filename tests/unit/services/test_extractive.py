"""Which sentences are spoken."""

from documents.sections import Row
from languages.en import LANGUAGE as ENGLISH
from services.base import Exchange, Intent, Passage, Question
from services.llm.extractive import HOLDS, KNOWN, GroundedAnswerer, stretch

ASKED = Intent("question", 0.9)
BUFFER = Passage(
    "a#buffer",
    "Jitter buffer",
    "A buffer waits. It smooths. Chrome grows it. Silence matters. Nothing else does.",
    0.8,
    (
        ("A buffer waits.", 0.5),
        ("It smooths.", 0.4),
        ("Chrome grows it.", 0.3),
        ("Silence matters.", 0.2),
        ("Nothing else does.", 0),
    ),
)
CODEC = Passage("a#codec", "The codec", "The codec is Opus.", 0.79)


async def say(*passages: Passage, text: str = "what?", intent: Intent = ASKED, history: tuple[Exchange, ...] = ()) -> str:
    pieces = GroundedAnswerer(ENGLISH).answer(Question(text, intent, passages, history))
    return "".join([piece async for piece in pieces]).strip()


async def test_a_clear_hit_is_answered_with_its_best_sentences() -> None:
    assert await say(BUFFER) == "A buffer waits. It smooths. Chrome grows it. Silence matters."


async def test_the_second_of_two_close_hits_is_offered() -> None:
    assert (await say(BUFFER, CODEC)).endswith("I can also tell you about the codec.")


async def test_a_weak_hit_is_no_answer() -> None:
    assert await say(Passage("a#b", "B", "Text.", KNOWN - 0.01)) == ""
    assert await say() == ""


async def test_a_passage_near_the_question_that_does_not_hold_the_answer_is_none() -> None:
    beside = Passage("a#b", "B", "Text.", 0.8, holds=HOLDS - 0.01)
    assert await say(beside) == ""
    assert await say(beside, CODEC) == "The codec is Opus."


async def test_an_offer_that_is_taken_is_not_judged_as_a_question() -> None:
    history = (Exchange("what?", "It waits. I can also tell you about the codec."),)
    beside = Passage(CODEC.id, CODEC.title, CODEC.text, 0.7, holds=0.0)
    assert await say(beside, text="yes", history=history) == "The codec is Opus."


async def test_what_seems_out_of_scope_needs_a_better_hit() -> None:
    barely = Passage("a#b", "B", "Text.", KNOWN + 0.01)
    assert await say(barely) == "Text."
    assert await say(barely, intent=Intent("out_of_scope", 0.6)) == ""


async def test_more_is_what_was_not_heard_yet() -> None:
    heard = (Exchange("what?", "A buffer waits. It smooths. Chrome"),)
    assert await say(BUFFER, text="tell me more", history=heard) == "Chrome grows it. Silence matters. Nothing else does."


async def test_more_moves_on_to_the_next_passage_and_ends() -> None:
    heard = (Exchange("what?", BUFFER.text),)
    assert await say(BUFFER, CODEC, text="go on", intent=Intent("go_on", 1), history=heard) == "The codec is Opus."
    assert await say(BUFFER, text="go on", history=heard) == ""


def test_an_answer_never_begins_with_a_sentence_that_leans_on_another() -> None:
    said = stretch([("A.", 0.0), ("It is the best.", 0.9), ("Bees hum.", 0.8)], ENGLISH.knowledge.leaning)
    assert said == ["A.", "It is the best.", "Bees hum."]
    far = [("A.", 0.0), ("B.", 0.0), ("C.", 0.0), ("D.", 0.0), ("Bees hum.", 0.9), ("Loudly.", 0.8)]
    assert stretch(far, ENGLISH.knowledge.leaning)[-2:] == ["Bees hum.", "Loudly."]


def test_an_answer_is_short() -> None:
    long = " ".join(["word"] * 40) + "."
    assert stretch([(long, 0.5), (long, 0.5), (long, 0.5)], ENGLISH.knowledge.leaning) == [long]


def test_of_a_table_the_rows_that_fit_best_are_said_and_not_their_neighbours() -> None:
    before, apple, nut, pear = ("Baked by hand.", 0.3), (Row("Apple: 3."), 0.5), (Row("Nut: 4."), 0.7), (Row("Pear: 5."), 0.69)
    assert stretch([before, apple, nut], ENGLISH.knowledge.leaning) == ["Nut: 4."]
    assert stretch([before, apple, nut, pear], ENGLISH.knowledge.leaning) == ["Nut: 4.", "Pear: 5."]
    assert stretch([("Baked by hand.", 0.8), apple, nut], ENGLISH.knowledge.leaning) == ["Baked by hand."]
    assert stretch([before, apple, nut], ENGLISH.knowledge.leaning, from_start=True) == ["Baked by hand."]
