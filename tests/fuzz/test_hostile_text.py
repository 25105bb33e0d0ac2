"""No text holds the event loop: what is made of a text grows as the text does, whatever stands in it.

Each regular expression of the tree is tried on thousands of its own characters and pieces, and each function that a text of the
user, a model, a recogniser or a document reaches is tried at the longest text that is let in, after fifty turns. The bounds are of
processor time, some fifty times above what is needed and as much below what was seen.
"""

import ast
import asyncio
import importlib
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as grammar  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from app.dialogue import clauses
from app.dialogue.memory import Memory, Timer
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.protocol.messages import MAX_TEXT
from app.turn_taking import endpointing as endings
from documents.sections import sentences, slug
from languages.en import LANGUAGE as ENGLISH
from languages.en import timers
from languages.en.speech import speakable
from languages.tools import MOST
from languages.wording import is_echo
from server.transport.offers import MAX_OF_A_KIND, MAX_SDP, BadOffer, check_offer
from services.base import Exchange, Intent, Passage, Question, ServiceError, Word
from services.embedding import plain
from services.followup import FollowUps
from services.intent.classifier import words
from services.llm.extractive import GroundedAnswerer
from services.retrieval.index import stems
from services.tts.cleaning import cleaned, readable
from services.tts.pieces import LONGEST, align, pieces
from tests.fuzz.offers import LINES
from vendors.audio_formats import Shape, Track
from vendors.http.body import LONGEST_FIELD, LONGEST_TEXT, SLICE, HttpBody, text_in
from vendors.http.model_names import suited
from vendors.openai import stt as recogniser
from vendors.openai import tool_calls as calling
from vendors.openai.output_filter import Spoken
from vendors.openai.tool_calls import Calls

FOLLOW_UPS = FollowUps(ENGLISH.follow_ups)

ROOT = Path(__file__).parents[2]
LONG = 4000  # characters for an expression
TURNS = 50
LETTERS = 500  # that are fed one by one
SEARCH_S = 0.05  # of one expression: 0.0005 is usual, and a quadratic one takes 0.15 and more
CALL_S = 0.5  # of one call with the longest text and history; 24 and 21 were seen


def modules() -> list[ModuleType]:
    files = sorted(
        file
        for room in ("app", "configuration", "documents", "languages", "server", "services", "vendors")
        for file in (ROOT / room).rglob("*.py")
    )
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def expressions() -> dict[tuple[str, int], str]:
    """Every expression of text in the tree, compiled or written into a call of `re`, with the name it has there."""
    found: dict[tuple[str, int], str] = {}

    def look(value: object, name: str, depth: int = 0) -> None:
        if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
            found.setdefault((value.pattern, value.flags), name)
        elif depth < 3 and isinstance(value, list | tuple | dict):
            for inner in value.values() if isinstance(value, dict) else value:
                look(inner, name, depth + 1)

    for module in modules():
        for name, value in vars(module).items():
            look(value, f"{module.__name__}.{name}")
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text("utf-8"))):
            pattern = node.args[0] if isinstance(node, ast.Call) and node.args else None
            called = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.")
            if called and isinstance(pattern, ast.Constant) and isinstance(pattern.value, str):
                found.setdefault((pattern.value, 0), f"{module.__name__}, line {pattern.lineno}")
    return found


EXPRESSIONS = expressions()
_CLASSES = {code.CATEGORY_DIGIT: "1", code.CATEGORY_SPACE: " ", code.CATEGORY_WORD: "a"}
_REPEATS = (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT)


def example(tree: Any, rng: random.Random) -> str:
    """Something that the parsed expression may match, or nearly."""
    return "".join(_part(operator, argument, rng) for operator, argument in tree)


def _part(operator: Any, argument: Any, rng: random.Random) -> str:
    if operator is code.LITERAL:
        return chr(argument)
    if operator is code.IN:
        choices = [
            chr(a) if o is code.LITERAL else chr(a[0]) if o is code.RANGE else _CLASSES.get(a, "!") for o, a in argument[-9:]
        ]
        return rng.choice([c for c in choices if isinstance(c, str)] or ["a"])
    if operator in _REPEATS:
        least, most, inner = argument
        return "".join(example(inner, rng) for _ in range(max(least, min(most, rng.choice((0, 1, 1, 3))))))
    if operator is code.SUBPATTERN:
        return example(argument[3], rng)
    if operator is code.ATOMIC_GROUP:
        return example(argument, rng)
    if operator is code.BRANCH:
        return example(rng.choice(argument[1]), rng)
    return "a" if operator in (code.ANY, code.NOT_LITERAL) else ""


def hostile(pattern: str, flags: int) -> Iterator[str]:
    """The expression's own pieces over and over, alone and behind the beginning of a match, and nothing that ends it."""
    rng, tree = random.Random(pattern.encode("utf-8", "surrogatepass")), grammar.parse(pattern, flags)
    units = {" ", "\n", "\t", "\n ", "a", "1", '"', "[", "(", "a ", "1.", "1,", "a.", "! "}
    for _ in range(10):
        whole = example(tree, rng)
        units.update(filter(None, (whole, whole[:-1], whole[: len(whole) // 2], rng.choice(whole or "a"))))
    for unit in sorted(units):
        for head in ("", example(tree, rng)[:-1]):
            yield head + (unit * LONG)[:LONG] + "\x00"


def seconds(work: Callable[[], object]) -> float:
    """The processor time of `work`, the better one of two where it seems long."""
    best = float("inf")
    for _ in range(2):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
        if best < SEARCH_S / 5:
            break
    return best


@pytest.mark.parametrize(
    ("pattern", "flags"), EXPRESSIONS, ids=[f"{name}-{at}" for at, name in enumerate(EXPRESSIONS.values())]
)
def test_an_expression_takes_no_longer_than_its_text(pattern: str, flags: int) -> None:
    expression = re.compile(pattern, flags)
    for text in hostile(pattern, flags):
        assert seconds(lambda text=text: (expression.sub("", text), expression.fullmatch(text))) < SEARCH_S, text[:60]


UNITS = (
    "!", "?", ".", "…", ",", " ", "\n", "'", "\"", "[", "(", "![](", "<", "<!--", "&#", "*", "_", "`", "|", "-", "- ",
    "#", "1", "1.", "1,", "1 ", "$1", "1-", "1/", "1:", "(1", "+1 ", "a", "a ", "a a a ", "A-", "A. ", "a.", "a@",
    "http://", "www.", "Dr. ", "1. x ", "ten ", "one hundred ", "in ", "to ", "timer ", "remind me to ",
    "remind me in ", "hour ", "half an ", "and ", "and a half ", "please ", "what about ", "tell me more ", "yes ",
    "mm-hm ", "the other one ", "at five ", "p.m. ", "\u0301", "é", "\ufdfa", "🙂", "IV ", "²", "½", "search for ",
    "but-", "besides ", "all but ",
    "what do you have on ", "I can also tell you about ", "spell ", "in Tokyo ", "tomorrow ", "next ", "1e", "°", "%",
)  # fmt: skip
HEADS = ("", "remind me in an hour to ", "what about x in $")
TEXTS = [(head + unit * MAX_TEXT)[:MAX_TEXT] for head in HEADS for unit in UNITS]


def _cut_up(text: str) -> list[str]:
    cutter = clauses.Cutter(ENGLISH)
    return [*(clause for letter in text[:LETTERS] for clause in cutter.feed(letter)), *cutter.rest()]


DIALOGUE = Dialogue(Phrasebook(ENGLISH), ["one", "two"])
ABOUT = ("water the plants, all " + "one hundred and five " * 20)[: timers.LONGEST_ABOUT]
ROW = [Timer(1e15 + at, 61.0 + at, ABOUT, "pasta") for at in range(MOST)]


CALLS: dict[str, Callable[[str], object]] = {
    "plain": plain,
    "readings": lambda text: FOLLOW_UPS.readings(text, [Exchange(text, text)] * 9),
    "takes_offer": lambda text: FOLLOW_UPS.takes_offer(text, [Exchange(text, FOLLOW_UPS.offer(text))]),
    "offered": FOLLOW_UPS.offered,
    "words of an intent": lambda text: words(text, ENGLISH.intents.padding),
    "sought": ENGLISH.hears.sought,
    "heard_length": ENGLISH.hears.length,
    "meant": lambda text: timers.meant(ROW, text),
    "chosen": lambda text: timers.chosen(ROW, text),
    "is_question": ENGLISH.wording.is_question,
    "is_request": ENGLISH.wording.is_request,
    "features of an end": lambda text: endings.features(ENGLISH.wording, endings.Said(text, asked=text)),
    "is_backchannel": ENGLISH.wording.is_backchannel,
    "names": lambda text: Memory(history=[Exchange(text, text)] * TURNS).names(ENGLISH.wording),
    "spell": lambda text: DIALOGUE.meta_intent(Intent("spell", 1.0), text, Memory()),
    "is_echo": lambda text: is_echo(text, text[1:] + text),
    "clauses": lambda text: clauses.first_clause(text, ENGLISH),
    "clauses, a letter at a time": _cut_up,
    "pieces": lambda text: pieces(text, ENGLISH.sentences),
    "speakable": lambda text: speakable(cleaned(text)),
    "readable": readable,
    "align": lambda text: align(text.split()[:LONGEST], [Word(word, 0, 1) for word in text.split()[::-1]]),
    "sentences": lambda text: sentences(text, ENGLISH.knowledge),
    "slug": slug,
    "stems": lambda text: stems(text, ENGLISH.knowledge),
    "stem": lambda text: ENGLISH.knowledge.stem(text.lower()),
}


CALLS |= {f"{name} listens": heard.listen for name, heard in ENGLISH.hears.tools.items()}
CALLS |= {
    f"{name} takes": lambda text, take=heard.take: take(text, Memory(history=[Exchange(text, "Which one?")], timers=list(ROW)))  # type: ignore[misc]
    for name, heard in ENGLISH.hears.tools.items()
    if heard.take is not None
}


@pytest.mark.parametrize("name", CALLS)
def test_a_text_is_dealt_with_at_once(name: str) -> None:
    work = CALLS[name]
    for text in TEXTS:
        assert seconds(lambda text=text: work(text)) < CALL_S, text[:60]


@pytest.mark.parametrize("unit", ["what about x" + "!" * 1900, "tell me more " * 150, "and " * 500])
def test_a_history_that_leans_on_itself_is_read_once(unit: str) -> None:
    history = [Exchange(unit, FOLLOW_UPS.offer(unit))] * TURNS
    assert seconds(lambda: FOLLOW_UPS.readings(unit, history)) < CALL_S
    assert sum(map(len, FOLLOW_UPS.readings(unit, history))) < 4 * MAX_TEXT


def test_an_answer_about_hostile_passages_comes_at_once() -> None:
    async def answer(text: str) -> list[str]:
        question = Question(text, Intent("go_on", 1.0), [Passage("a", text, text, 1.0)], [Exchange(text, text)] * TURNS)
        return [piece async for piece in GroundedAnswerer(ENGLISH).answer(question)]

    for unit in UNITS:
        assert seconds(lambda unit=unit: asyncio.run(answer(unit * (MAX_TEXT // len(unit))))) < CALL_S, unit


MARKS = (
    "<s>",
    "<think></think>",
    "`<s>",
    "<|x|>",
    "[INST]",
    "<tool_call></tool_call>",
    "<tool_call>{",
    "{",
    '{"a":',
    "```",
    "[a(",
    "\n",
)


OFFER = re.sub(r"[\w-]+\.local\b", "192.0.2.7", (ROOT / "tests/attack/chromium.sdp").read_bytes().decode())  # no mDNS
SECTION = OFFER.index("a=", OFFER.index("m=audio"))
LINE_KINDS = {line.partition(":")[0]: line for line in [*LINES, *OFFER.splitlines()] if line.startswith("a=")}
OTHERS = ("", "a=rtpmap:1 x/1", "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:* x")


@pytest.mark.parametrize("kind", LINE_KINDS)
def test_an_offer_is_looked_at_at_once(kind: str) -> None:
    """Whatever is said in it over and over, up to the longest that is let in."""

    async def answer(sdp: str) -> None:
        with suppress(BadOffer):
            check_offer(sdp, "offer")
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await pc.createAnswer()
            await pc.close()

    for other in OTHERS:
        unit = "".join(f"{line}\r\n" for line in (LINE_KINDS[kind], other) if line)
        for times in ((MAX_SDP - len(OFFER)) // len(unit), MAX_OF_A_KIND // 2):
            sdp = OFFER[:SECTION] + unit * times + OFFER[SECTION:]
            assert seconds(lambda sdp=sdp: asyncio.run(answer(sdp))) < CALL_S, unit


@pytest.mark.parametrize("mark", MARKS)
def test_what_a_model_writes_is_read_at_once(mark: str) -> None:
    """As much as may stand in one text of its answer."""
    text = (mark * LONGEST_FIELD)[:LONGEST_FIELD]

    def read() -> None:
        spoken, calls = Spoken(held=True, tools=True), Calls()
        with suppress(ServiceError):
            rest = spoken.feed(text) + spoken.end()
            for part in (*spoken.calls, rest, text[: calling.LONGEST]):
                calls.write(part, {"set_timer"})

    assert seconds(read) < CALL_S


def test_pieces_of_a_call_are_put_together_at_once() -> None:
    def piece(arguments: str) -> dict[str, object]:
        return {"index": 0, "function": {"name": "set_timer", "arguments": arguments}}

    def join(size: int, rest: str) -> None:
        calls = Calls()
        with suppress(ServiceError):
            for part in (piece('{"a": "' + "x" * size), *[piece(rest)] * 1000):
                calls.join(part)

    for size in (0, calling.LONGEST - 2000, LONGEST_FIELD):
        assert seconds(lambda size=size: join(size, "x")) < CALL_S


def test_what_a_recogniser_writes_is_read_at_once() -> None:
    """It is refused when it is longer than a turn."""
    for unit in ("\n", " ", "1\n", "[", "<|", "00:00.000 --> \n", "\n\t"):
        text = (unit * recogniser.LONGEST)[: recogniser.LONGEST]
        assert seconds(lambda text=text: recogniser._BESIDE.sub(" ", text)) < CALL_S, unit


@pytest.mark.parametrize("head", [b"OggS", b"ID3", b"fLaC", b"RIFF\x00\x00\x00\x00WAVE", b"\x00\x01"])
def test_sound_in_small_pieces_is_kept_at_once(head: bytes) -> None:
    """Sixteen megabytes, a kilobyte at a time."""

    def hear() -> None:
        sound = Track(Shape(24_000), "audio/ogg")
        with suppress(ServiceError):
            sound.feed(head)
            for _ in range(16_000):
                sound.feed(bytes(1024))

    assert seconds(hear) < CALL_S


def test_a_list_of_models_is_looked_at_at_once() -> None:
    for names in (["a-" * (LONGEST_FIELD // 2)], ["whisper-" * (LONGEST_FIELD // 8)], [f"m{n}" for n in range(95_000)]):
        for capability in ("llm", "stt", "tts"):
            assert seconds(lambda names=names, c=capability: suited({"data": [{"id": name} for name in names]}, c)) < CALL_S


PARTS = ("[[[[]]]],", "1,", '{"a":0},', "[", '"\\u00e9",', "{},", '"' + "x" * 99 + '",')


BODIES = [f"[{part * (LONGEST_TEXT // len(part) - 9)}0]" for part in PARTS]
EVENTS = [f'data: {{"choices": {body}}}\n\n' for body in BODIES] + ["data: {}\n\n" * (SLICE // 10)]


@pytest.mark.parametrize("body", BODIES + EVENTS, ids=len)
def test_an_answer_of_a_service_is_looked_at_at_once(body: str) -> None:
    """As long as there may be one, and all there from the start."""

    async def arrive() -> AsyncIterator[bytes]:
        for at in range(0, len(body), SLICE):
            yield body[at : at + SLICE].encode()
            await asyncio.sleep(0)

    async def read() -> None:
        reading = HttpBody("llm", httpx.Response(200), arrive(), asyncio.get_running_loop().time(), (60.0, 60.0, 60.0))
        with suppress(ServiceError):
            if body.startswith("data"):
                async for _ in reading.events():
                    pass
            else:
                await reading.json()

    assert seconds(lambda: asyncio.run(read())) < CALL_S


@pytest.mark.parametrize("text", ["x", "\x00", "\x00x", "\ud800é"])
def test_a_text_of_a_service_is_cleaned_at_once(text: str) -> None:
    assert seconds(lambda: text_in("llm", (text * LONGEST_FIELD)[:LONGEST_FIELD])) < CALL_S
    with pytest.raises(ServiceError):
        text_in("llm", text * (LONGEST_FIELD + 1))


def test_a_text_within_a_text_within_a_text_is_no_text() -> None:
    value: object = "x"
    assert text_in("llm", [{"text": value}]) == "x"
    for _ in range(400):
        value = {"text": [value]}
    with pytest.raises(ServiceError):
        text_in("llm", value)
