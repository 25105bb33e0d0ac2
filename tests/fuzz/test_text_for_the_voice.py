"""Random text, of the pieces that texts for the voice are made of, and of anything: it is cut, cleaned and "
    "made ready without an
error, nothing is lost on the way, and it does not matter in which pieces it came. PARLEY_FUZZ_CASES asks for more of it."""

import random

from app.dialogue.clauses import LOOKED_AT, Cutter
from languages.en import LANGUAGE as ENGLISH
from languages.en.speech import speakable
from services.tts.cleaning import cleaned, readable
from services.tts.pieces import LONGEST, pieces
from tests.fuzz import cases

CASES = cases(600)
PARTS = (
    "the a Dr. J. p.m. U.S. No. 5 1. 2. 3) I. etc. e.g. $19.9 5€ €1.500 £ $ 1,234.56 10-20 1990–95 (555) "
    "123-4567 +49 0042 AB-1234 9AM "
    "10:30 24/7 1/2 ½ 2½ m² 10⁻³ 1e6 -5°C % 1.2.3 3.10 127.0.0.1:80 a_b@c-d.org https://x.org/a_b?c=d #1 & "
    "<b> </b> <!-- <think> ``` ` ** * _ "
    "~~ [a](b) ![ ]( | |--| - • # ## > … ... !? ?! ! ? . , ; : — -- ( ) [ ] { } \\ ^ = <= -> ~ ' \" ’ ” 🙂 👍🏽 "
    "é ü ß 你好 \u0301 \u200b \u202e \ufdfa ² "
    "Monday May 5, 2024 VIII version 3.12 order number 4711 kilometers km/h 5'10\" and but which"
).split(" ")
GAPS = ("", "", " ", " ", " ", "  ", "\n", "\n\n", "\n- ", "\n1. ", "\t", "\u00a0")


def texts(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xD7FF), rng.randrange(0x1F000, 0x1FFFF))))
            for _ in range(200)
        )
    return "".join(rng.choice(PARTS) + rng.choice(GAPS) for _ in range(rng.randrange(1, 60)))


def clauses(text: str, rng: random.Random) -> list[str]:
    cutter, made, at = Cutter(ENGLISH), list[str](), 0
    while at < len(text):
        size = rng.choice((1, 2, 5, 30, 500))
        made += cutter.feed(text[at : at + size])
        at += size
    return [*made, *cutter.rest()]


def test_any_text_is_cut_and_made_ready() -> None:
    rng = random.Random(20)
    for case in range(CASES):
        text = texts(rng)
        cut = clauses(text, rng)
        assert cut == clauses(text, rng), (case, text)
        said = "".join("".join(cut).split())
        assert said.replace(".", "") == "".join(text.split()).replace(".", ""), (case, text)
        for clause in cut:
            assert 0 < len(clause) <= LOOKED_AT + 1, (case, clause)
            parts = pieces(clause, ENGLISH.sentences)
            assert [word for words in parts for word in words] == clause.split(), (case, clause)
            assert all(len(words) <= LONGEST for words in parts)
            ready = speakable(cleaned(clause))
            assert ready == " ".join(ready.split()), (case, clause)
            assert not set(ready) & set("`*{}[]\\🙂"), (case, clause, ready)
            assert readable(clause) == " ".join(readable(clause).split()), (case, clause)
