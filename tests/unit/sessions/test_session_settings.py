"""Settings of one conversation: given with its session, changed while talking, kept with it, and each doing what it says."""

import asyncio
import dataclasses
import json
import random
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.session_settings import MAX_INSTRUCTIONS, SessionSettings
from app.dialogue.memory import Memory
from app.protocol.codec import BadMessage, parse
from app.protocol.messages import Configure, Configured, Interrupt, PlaybackProgress, Text
from server.sessions.recorder import memory_of, record_of
from server.sessions.tokens import TooMuch
from server.store.records import SessionRecord
from services.base import Exchange
from tests.unit.connection import Client
from tests.unit.connection import scene as wired
from tests.unit.doubles import Desk
from tests.unit.fakes import Caller, FakeLlm, fake_services
from tests.unit.sessions.test_tokens import tickets
from tests.unit.virtual_time import run


def caller(services: Any = None, process: dict[str, Any] | None = None, **chosen: Any) -> Caller:
    return Caller(services, memory=Memory(settings=SessionSettings(**chosen)), **(process or {}))


def with_model() -> Any:
    return dataclasses.replace(fake_services(), model=FakeLlm())


# --- what may be asked for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instructions", "x" * (MAX_INSTRUCTIONS + 1)),
        ("voice", "a voice"),
        ("voice", ""),
        ("speed", 3),
        ("speed", 0.1),
        ("eagerness", "eager"),
        ("interruption", "never"),
        ("tools", ["one"] * 65),
        ("tools", "one"),
        ("language", "../en"),
        ("recording", "maybe"),
        ("temperature", 1),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SessionSettings.model_validate({field: value})
    assert caught.value.errors()[0]["loc"][0] == field
    with pytest.raises(BadMessage) as refused:
        parse(json.dumps({"type": "configure", "settings": {field: value}}))
    assert field in str(refused.value)


def test_one_that_is_null_is_as_the_process_is_set_again() -> None:
    before = SessionSettings(speed=2.0, eagerness="low")
    after = before.changed_by(SessionSettings(speed=None, greeting=False))
    assert after == SessionSettings(eagerness="low", greeting=False)


def test_what_another_version_kept_is_taken_as_far_as_it_is_known() -> None:
    kept = {"speed": 1.5, "eagerness": "someday", "mood": "sunny", "tools": ["set_timer"]}
    assert SessionSettings.kept(kept) == SessionSettings(speed=1.5, tools=("set_timer",))


def test_they_stand_in_the_token_where_nobody_reads_or_changes_them() -> None:
    chosen = SessionSettings(instructions="You sell pizza. " * 200, voice="coral", recording=False, tools=())
    ticket = tickets().issue(chosen)
    tickets().check(ticket.session_id, ticket.token)
    assert tickets().settings_in(ticket.token) == chosen
    assert "pizza" not in ticket.token and len(ticket.token) < 600
    assert tickets().settings_in(tickets().issue().token) == SessionSettings()


def test_what_no_token_has_room_for_is_refused() -> None:
    noise = "".join(chr(random.Random(index).randrange(0x4E00, 0x9FFF)) for index in range(MAX_INSTRUCTIONS))
    tickets().issue(SessionSettings(instructions=noise[:1000]))
    with pytest.raises(TooMuch):
        tickets().issue(SessionSettings(instructions=noise))


# --- each does what it says ---------------------------------------------------------------------------------------------


def test_instructions_say_who_the_model_is() -> None:
    async def scene() -> Any:
        services = with_model()
        async with caller(services, instructions="You are Luigi, who takes orders for pizza.") as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
        return services.model

    [question] = run(scene()).asked
    assert question.instructions.startswith("You are Luigi, who takes orders for pizza.\n\n")
    assert "spoken aloud" in question.instructions, "how to speak is said all the same"
    assert "You are Parley" not in question.instructions


def test_voice_and_speed_are_those_of_the_conversation() -> None:
    async def scene(**chosen: Any) -> tuple[str, float]:
        async with caller(process={"speed": 0.8}, **chosen) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            return guest.services.tts.asked[-1]  # type: ignore[attr-defined, no-any-return]

    assert run(scene()) == ("", 0.8)
    assert run(scene(voice="coral", speed=1.5)) == ("coral", 1.5)


def test_eagerness_says_how_soon_a_turn_is_over() -> None:
    async def scene(**chosen: Any) -> float:
        async with caller(**chosen) as guest:
            await guest.say(1.0)
            began = guest.clock.ms()
            await guest.until("THINKING")
            return guest.clock.ms() - began

    assert run(scene(eagerness="high")) <= run(scene()) < run(scene(eagerness="low"))


def test_a_conversation_greets_as_it_is_set_to() -> None:
    async def scene(process: bool, **chosen: Any) -> int:
        async with caller(process={"greeting": process}, **chosen) as guest:
            await asyncio.sleep(1)
            return len(guest.of("agent_response"))

    assert run(scene(True)) > 0
    assert run(scene(True, greeting=False)) == 0
    assert run(scene(False, greeting=True)) > 0


def test_with_half_duplex_nothing_is_heard_while_the_agent_speaks() -> None:
    async def scene(**chosen: Any) -> list[str]:
        async with caller(**chosen) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            await guest.say(1.5)
            return guest.states()

    assert run(scene())[-1] != "SPEAKING"
    assert run(scene(half_duplex=True)) == ["LISTENING", "THINKING", "SPEAKING"]


def test_where_only_the_button_interrupts_speech_waits_for_its_turn() -> None:
    async def scene() -> Caller:
        async with caller(interruption="button") as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            guest.services.stt.text = "and what comes after that"  # type: ignore[attr-defined]
            await asyncio.sleep(0.5)
            await guest.say(1.2)
            await guest.until("LISTENING", 30)
            await guest.until("SPEAKING", 30)
            await guest.until("LISTENING", 30)
            return guest

    guest = run(scene())
    assert guest.states() == ["LISTENING", "THINKING", "SPEAKING", "LISTENING", "THINKING", "SPEAKING", "LISTENING"]
    assert not guest.of("duck") and not guest.of("playback_stop")
    first, second = guest.session.memory.history
    assert first.heard.endswith("third of them."), "the agent was heard to the end"
    assert second.user == "and what comes after that"
    assert not [entry for entry in guest.recorder.entries if entry["kind"] == "illegal"]


def test_the_button_interrupts_all_the_same() -> None:
    async def scene() -> Caller:
        async with caller(interruption="button") as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            await asyncio.sleep(0.5)
            guest.session.receive(Interrupt())
            await guest.until("INTERRUPTED")
            await guest.until("LISTENING")
            return guest

    assert len(run(scene()).of("playback_stop")) == 1


def test_only_so_many_turns_wait() -> None:
    async def scene() -> Caller:
        async with caller(interruption="button", process={"greeting": False}) as guest:
            guest.services.llm.pieces = ["word " * 400]  # type: ignore[attr-defined]
            await guest.say(1.0)
            await guest.until("SPEAKING")
            for _ in range(10):
                await guest.say(1.0, then=2.5)
            return guest

    assert [error.code for error in run(scene()).of("error")] == ["busy", "busy"]  # type: ignore[attr-defined]


def test_only_the_tools_that_are_allowed_are_used() -> None:
    async def scene(**chosen: Any) -> tuple[set[str], list[Any]]:
        services = with_model()
        async with caller(services, **chosen) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            offered = {tool.name for tool in services.model.asked[0].tools}
        plain = fake_services()
        plain.stt.text, plain.intent.name = "set a timer for five minutes", "set_timer"  # type: ignore[attr-defined]
        async with caller(plain, **chosen) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            await asyncio.sleep(1)
            return offered, guest.session.memory.timers

    offered, timers = run(scene())
    assert {"set_timer", "current_time"} <= offered and len(timers) == 1
    assert run(scene(tools=("current_time",))) == ({"current_time"}, [])
    assert run(scene(tools=())) == (set(), [])


def texts_in(entries: Any) -> str:
    return json.dumps(entries, default=str)


def test_without_recording_no_text_is_written_down() -> None:
    async def scene(**chosen: Any) -> tuple[str, SessionRecord]:
        async with caller(**chosen) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            guest.session.receive(Interrupt())
            await guest.until("LISTENING")
            assert guest.session.memory.history, "the conversation itself remembers"
            return texts_in(guest.recorder.entries), record_of(guest.session.context)

    log, record = run(scene())
    assert "how does it work" in log and "first sentence" in log
    assert record.history
    log, record = run(scene(recording=False))
    assert "how does it work" not in log and "first sentence" not in log
    assert '"state"' in log and '"turn_ended"' in log, "times and states are kept"
    assert record.history == ()
    assert record.pending is not None and record.pending.clauses, "what was still to be said is kept, to go on with"
    assert memory_of(record).settings.recording is False


def test_a_turn_under_way_is_not_written_down_either() -> None:
    async def scene() -> SessionRecord:
        async with caller(recording=False) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            await asyncio.sleep(0.5)
            return record_of(guest.session.context)

    record = run(scene())
    assert record.history == () and record.pending is not None


@pytest.mark.parametrize("chosen", [True, None])
def test_what_was_said_while_it_was_off_is_never_written_down(chosen: bool | None) -> None:
    """Neither an exchange that is over nor one that had begun when recording was switched on; the next one is."""

    async def scene() -> None:
        async with caller(recording=False) as guest:

            async def turn(text: str) -> None:
                guest.session.receive(Text(text=text))
                await guest.until("SPEAKING")
                await asyncio.sleep(0.5)

            def written() -> str:
                return texts_in([record_of(guest.session.context).model_dump(), guest.recorder.entries])

            await turn("zanzibar")
            await guest.until("LISTENING")
            assert "zanzibar" not in written()
            await turn("quixotic")
            guest.session.receive(Configure(settings=SessionSettings(recording=chosen)))
            assert "zanzibar" not in written() and "quixotic" not in written()
            await guest.until("LISTENING")
            assert "zanzibar" not in written() and "quixotic" not in written()
            await turn("marmalade")
            await guest.until("LISTENING")
            record = record_of(guest.session.context)
            assert [exchange.user for exchange in record.history] == ["marmalade"]
            assert "zanzibar" not in written() and "quixotic" not in written()
            assert [exchange.user for exchange in guest.session.memory.history] == ["zanzibar", "quixotic", "marmalade"]

    run(scene())


def test_words_that_were_begun_or_waited_while_it_was_off_are_not_written_down() -> None:
    """Switched on while the user speaks over the agent, and while typed turns wait for silence."""

    async def spoken() -> SessionRecord:
        async with caller(recording=False) as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            await asyncio.sleep(2)
            guest.services.stt.text = "what is a barge in"  # type: ignore[attr-defined]
            guest.speaking = True
            await asyncio.sleep(0.6)
            guest.session.receive(Configure(settings=SessionSettings(recording=True)))
            await asyncio.sleep(0.4)
            guest.speaking = False
            await guest.until("INTERRUPTED")
            await guest.until("SPEAKING")
            await guest.until("LISTENING")
            assert [said.user for said in guest.session.memory.history] == ["how does it work", "what is a barge in"]
            assert "it work" not in texts_in(guest.recorder.entries) and "what is a" not in texts_in(guest.recorder.entries)
            return record_of(guest.session.context)

    async def typed() -> SessionRecord:
        async with caller(recording=False) as guest:
            for text in ("zanzibar", "quixotic", "marmalade"):
                guest.session.receive(Text(text=text))
                await asyncio.sleep(0.5)
            guest.session.receive(Configure(settings=SessionSettings(recording=True)))
            await asyncio.sleep(20)
            guest.session.receive(Text(text="tangerine"))
            await guest.until("SPEAKING")
            await asyncio.sleep(20)
            log = texts_in(guest.recorder.entries)
            assert "tangerine" in log and not any(word in log for word in ("zanzibar", "quixotic", "marmalade"))
            return record_of(guest.session.context)

    assert run(spoken()).history == ()
    assert [exchange.user for exchange in run(typed()).history] == ["tangerine"]


def test_of_a_reply_under_way_only_what_is_still_to_be_said_is_kept() -> None:
    async def scene() -> None:
        async with caller(recording=False) as guest:
            guest.session.receive(Text(text="hello there"))
            await guest.until("SPEAKING")
            while not guest.session.player.ledger or not guest.session.player.ledger.heard_clauses():
                await asyncio.sleep(0.1)
                ledger = guest.session.player.ledger
                assert ledger is not None
                guest.session.receive(PlaybackProgress(generation=ledger.generation, played_ms=ledger.sent_ms))
            pending = record_of(guest.session.context).pending
            assert pending is not None and pending.first_unheard == 0
            assert "The first sentence is here." not in pending.clauses and pending.clauses

    run(scene())


# --- changed while talking ----------------------------------------------------------------------------------------------


@wired()
async def test_a_message_changes_them_and_is_answered(desk: Desk) -> None:
    client = Client(desk)
    await client.start(eagerness="low")
    client.say({"type": "configure", "settings": {"speed": 1.5, "voice": "sage", "interruption": "button"}})
    await asyncio.sleep(0.1)
    [told] = client.of("configured")
    assert told["settings"]["speed"] == 1.5 and told["settings"]["eagerness"] == "low"
    assert (told["settings"]["recording"], told["settings"]["language"]) == (True, "en")
    client.say({"type": "configure", "settings": {"speed": None}})
    await asyncio.sleep(0.1)
    assert client.of("configured")[1]["settings"]["speed"] == 1.0
    assert desk.made[0].memory.settings == SessionSettings(voice="sage", interruption="button", eagerness="low")


@wired()
async def test_what_cannot_be_had_is_refused_and_all_stays(desk: Desk) -> None:
    client = Client(desk)
    client.say({"type": "configure", "settings": {}})
    await client.start()
    assert client.codes() == ["not_started"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"instructions": "Be brief."}, "there is no language model that could follow them"),
        ({"voice": "bariton", "speed": 1.5}, "there are coral, sage"),
        ({"tools": ["set_timer", "cook"]}, "there is no cook"),
        ({"language": "de"}, "en is spoken here"),
    ]
    for settings, words in wrong:
        client.say({"type": "configure", "settings": settings})
        await asyncio.sleep(0.1)
        error = client.of("error")[-1]
        assert (error["code"], error["field"], error["fatal"]) == ("not_possible", next(iter(settings)), False)
        assert words in error["message"]
    client.say({"type": "configure", "settings": {"speed": "fast"}})
    await asyncio.sleep(0.1)
    assert (client.codes()[-1], client.of("error")[-1]["field"]) == ("bad_message", "speed")
    assert desk.made[0].memory.settings == SessionSettings()
    assert not client.of("configured")


def test_one_voice_and_no_records_are_said_to_be_so() -> None:
    async def scene() -> None:
        services = fake_services()
        services.tts.voices = ()  # type: ignore[misc]
        async with caller(services, process={"log_transcripts": False}) as guest:
            for chosen, words in ((SessionSettings(voice="coral"), "only one"), (SessionSettings(recording=True), "no text")):
                with pytest.raises(BadMessage, match=words):
                    guest.session.receive(Configure(settings=chosen))

    run(scene())


def test_instructions_are_not_told_to_who_did_not_give_them() -> None:
    async def scene() -> Caller:
        async with caller(with_model(), instructions="The secret recipe is basil.") as guest:
            guest.session.receive(Configure(settings=SessionSettings(speed=1.1)))
            return guest

    guest = run(scene())
    [told] = guest.of("configured")
    assert isinstance(told, Configured) and told.settings.instructions is None
    assert "basil" not in texts_in(guest.recorder.entries)
    assert guest.session.memory.settings.instructions == "The secret recipe is basil."


def test_half_duplex_begins_in_the_middle_of_a_conversation() -> None:
    async def scene() -> list[str]:
        async with caller() as guest:
            await guest.say(1.0)
            await guest.until("SPEAKING")
            guest.session.receive(Configure(settings=SessionSettings(half_duplex=True)))
            await guest.say(1.0)
            return guest.states()

    assert run(scene())[-1] == "SPEAKING"


# --- kept ---------------------------------------------------------------------------------------------------------------


@wired()
async def test_they_are_taken_back_on_resume_and_by_another_process(desk: Desk) -> None:
    given = SessionSettings(eagerness="high", voice="coral", tools=("set_timer",), recording=False)
    ticket = desk.sessions.create(given)
    client = Client(desk)
    await client.start(session_id=ticket.session_id, token=ticket.token)
    assert desk.made[0].memory.settings == given
    client.say({"type": "configure", "settings": {"voice": "sage", "recording": None}})
    await asyncio.sleep(0.1)
    changed = desk.made[0].memory.settings
    client.leave()
    await client.serving
    again = Client(desk)
    await again.start(session_id=ticket.session_id, token=ticket.token)
    assert desk.made == desk.made[:1] and desk.made[0].memory.settings == changed
    again.leave()
    await again.serving

    other = Desk()
    other.store.records[ticket.session_id] = record_of(desk.made[0].context)
    elsewhere = Client(other)
    await elsewhere.start(session_id=ticket.session_id, token=ticket.token)
    assert other.made[0].memory.settings == changed, "the record is newer than the token"
    elsewhere.leave()
    await elsewhere.serving
    await other.sessions.live.close()


@wired()
async def test_where_the_past_is_away_they_stand_in_the_token(desk: Desk) -> None:
    ticket = desk.sessions.create(SessionSettings(eagerness="high"))
    desk.store.away = True
    client = Client(desk)
    await client.start(session_id=ticket.session_id, token=ticket.token)
    assert desk.made[0].memory.settings.eagerness == "high"


@wired()
async def test_what_another_process_cannot_do_is_left_out(desk: Desk) -> None:
    ticket = desk.sessions.create()
    past = SessionRecord(
        session_id=ticket.session_id,
        history=(Exchange("hello", "Hi."),),
        profile={"eagerness": "low", "speed": 1.2},
        settings={"voice": "gone", "instructions": "Be brief.", "speed": 1.5},
    )
    desk.store.records[ticket.session_id] = past
    client = Client(desk)
    await client.start(session_id=ticket.session_id, token=ticket.token)
    assert desk.made[0].memory.settings == SessionSettings(speed=1.5)
    assert desk.made[0].memory.speed == 1.2
