"""Who comes back says how far he heard the last reply, and that is what the conversation remembers."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.conversation.context import ConversationContext
from app.core.session_settings import SessionSettings
from app.dialogue.last_reply import LastReply
from app.dialogue.memory import MOST_GENERATIONS, Memory
from app.reply.ledger import Ledger
from server.sessions.recorder import memory_of, record_of
from server.store.records import SessionRecord
from services.base import Exchange, Word
from tests.unit.connection import Client, scene
from tests.unit.doubles import Desk
from tests.unit.fakes import MS_PER_WORD

CLAUSES = ("One two three.", "Four five.")
LAST = LastReply(3, CLAUSES, ((150, 450, 750), (1050, 1350)), True)


def memory(*asked: str, last: LastReply = LAST, heard: str = "One") -> Memory:
    history = [Exchange("before", "this")] + [Exchange(text, heard) for text in asked]
    return Memory(history=history, unheard=list(CLAUSES), last=last, generation=last.generation)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8), st.lists(st.integers(0, 3000), min_size=1))
def test_it_says_the_same_as_the_ledger_at_every_moment(waits: list[tuple[int, int]], moments: list[int]) -> None:
    pauses, book = dict(waits), Ledger(1)
    words = [Word(name, 300.0 * at, 300.0 * at + 300) for at, name in enumerate("one two three four".split())]
    for clause in range(2):
        book.begin_clause("one two three four", book.sent_ms, 1200, words)
        for frame in range(60 * clause, 60 * clause + 60):
            for _ in range(pauses.get(frame, 0)):
                book.wait(20)
                book.send(20, 0)
            book.send(20, 0)
    last = LastReply(1, tuple(clause.text for clause in book.clauses), book.word_ms(), True)
    for moment in moments:
        book.heard_ms = moment
        assert last.heard(moment) == book.heard_text()
        assert len(last.unheard(moment)) == 2 - book.heard_clauses()


def test_of_a_clause_that_is_still_being_sent_its_last_words_are_not_heard() -> None:
    book = Ledger(1)
    book.begin_clause("one two three", 0, 400, [Word("one", 0, 400)])
    last = LastReply(1, ("one two three", "four"), book.word_ms(), True)
    assert (last.heard(86_400_000), last.unheard(86_400_000)) == ("one", ["one two three", "four"])


def test_more_than_was_known_and_less_than_was_estimated() -> None:
    for ms, heard, unheard in (
        (1049, "One two three.", ["Four five."]),
        (0, "", [*CLAUSES]),
        (9e6, "One two three. Four five.", []),
    ):
        given_ = memory("question")
        given_.played(3, ms)
        assert (given_.history[-1], given_.unheard) == (Exchange("question", heard), unheard)
        assert given_.history[:-1] == [Exchange("before", "this")]


def test_of_a_reply_that_never_reached_the_listener_nothing_was_heard() -> None:
    found = memory("question")
    found.played(2, 5000)
    assert (found.history[-1].heard, found.generation) == ("", 3)


def test_a_later_reply_than_is_known_changes_nothing_but_the_numbers_to_come() -> None:
    found = memory("question")
    found.played(9, 5000)
    assert (found.history[-1].heard, found.generation) == ("One", 9)
    found.played(MOST_GENERATIONS, 5000)
    assert found.generation == 9


def test_a_prompt_is_remembered_when_it_was_heard_and_takes_nothing_from_the_reply_before_it() -> None:
    prompt = LastReply(4, ("Are you there?",), ((100, 200, 300),), False)
    found = memory("question", last=prompt)
    found.played(4, 250)
    assert found.history[-1] == Exchange("", "Are you")
    assert found.unheard == ["Are you there?"]
    found = memory("question", last=prompt)
    found.played(4, 0)
    assert [exchange.user for exchange in found.history] == ["before", "question"]
    found.played(4, 300)
    assert found.history[-1].heard == "Are you there?"


def record(context: ConversationContext) -> SessionRecord:
    """As it would come back from the store."""
    return SessionRecord.model_validate_json(record_of(context).model_dump_json())


async def asked(client: Client, text: str, seconds: float) -> int:
    client.say({"type": "text", "text": text})
    while not client.of("playback_start"):  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    return int(client.of("playback_start")[-1]["generation"])


@scene()
async def test_what_was_heard_after_the_last_that_the_store_knows_is_remembered_elsewhere(desk: Desk) -> None:
    ticket = desk.sessions.create()
    client = Client(desk)
    await client.start(session_id=ticket.session_id, token=ticket.token)
    generation = await asked(client, "how does it work?", 0.3)
    stored = record(desk.made[-1].context)  # and then the process is killed, though its listener hears on
    assert len(memory_of(stored).history[-1].heard.split()) == 0

    other = Desk()
    other.store.records[ticket.session_id] = stored
    later = Client(other)
    played = {"generation": generation, "played_ms": 2.4 * MS_PER_WORD}
    assert (await later.start(session_id=ticket.session_id, token=ticket.token, resume=True, played=played))["resumed"]
    [exchange] = other.made[-1].memory.history
    assert (exchange.user, len(exchange.heard.split())) == ("how does it work?", 2)
    assert record(other.made[-1].context).history == (exchange,)
    assert await asked(later, "and then?", 0) > generation
    await other.sessions.live.close()


@scene()
async def test_what_was_estimated_when_the_connection_broke_gives_way_to_what_was_heard(desk: Desk) -> None:
    ticket = desk.sessions.create()
    client = Client(desk)
    await client.start(session_id=ticket.session_id, token=ticket.token)
    generation = await asked(client, "how does it work?", 1.6)
    client.leave()
    await client.ended()
    [exchange] = desk.made[-1].memory.history
    assert len(exchange.heard.split()) > 2

    for elsewhere in (False, True):
        there = Desk() if elsewhere else desk
        if elsewhere:
            there.store.records[ticket.session_id] = record(desk.made[-1].context)
        back = Client(there)
        played = {"generation": generation, "played_ms": 2.4 * MS_PER_WORD}
        await back.start(session_id=ticket.session_id, token=ticket.token, resume=True, played=played)
        [exchange] = there.made[-1].memory.history
        assert len(exchange.heard.split()) == 2
        if elsewhere:
            await there.sessions.live.close()


@scene()
async def test_what_was_heard_of_a_reply_that_is_not_to_be_kept_is_not_in_the_record(desk: Desk) -> None:
    ticket = desk.sessions.create(SessionSettings(recording=False))
    client = Client(desk)
    await client.start(session_id=ticket.session_id, token=ticket.token)
    await asked(client, "how does it work?", 1.0)
    assert "work" not in record(desk.made[-1].context).model_dump_json()
    client.leave()
    await client.ended()
    found = record(desk.made[-1].context)
    assert found.history == () and (found.pending is None or not found.pending.word_ms)


@scene()
async def test_what_is_said_of_a_reply_after_it_was_estimated_is_remembered(desk: Desk) -> None:
    client = Client(desk)
    await client.start()
    generation = await asked(client, "how does it work?", 1.0)
    client.say({"type": "interrupt"})
    await asyncio.sleep(2)  # nobody says what was played
    [estimated] = client.of("agent_heard")
    assert estimated["estimated"] and len(estimated["text"].split()) > 1
    for ms, words in ((1.2 * MS_PER_WORD, 1), (3.4 * MS_PER_WORD, 3)):
        client.say({"type": "playback_stopped", "generation": generation, "played_ms": ms})
        await asyncio.sleep(0.1)
        [exchange] = record(desk.made[-1].context).history
        assert len(exchange.heard.split()) == words
    client.say({"type": "playback_done", "generation": generation + 1, "played_ms": 9000})
    client.say({"type": "playback_done", "generation": generation - 1, "played_ms": 9000})
    await asyncio.sleep(0.1)
    assert record(desk.made[-1].context).history == (exchange,)
    client.leave()
    await client.ended()
