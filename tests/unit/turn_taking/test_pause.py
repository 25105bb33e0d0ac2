"""Two looks at a turn, in virtual time: what the closer one changes, and when; and turns of which no word is made out."""

from typing import Any

import pytest

from app.protocol.messages import TranscriptUpdate
from app.turn_taking.recognition import better_look
from services.base import Transcript
from tests.unit.fakes import Caller, FakeStt, FakeTurn, FakeVad
from tests.unit.virtual_time import run

TOLD = "there was a man in the garden"


def heard(caller: Caller) -> list[str]:
    """The turns as they were answered."""
    return [message.text for message in caller.of("transcript") if isinstance(message, TranscriptUpdate) and message.final]


def turn(text: str = TOLD, seconds: float = 1.0, voice: float = 0.95, **stt: Any) -> tuple[Caller, float]:
    """A turn that is recognised as `text`, each window of it a voice with the probability `voice`: the caller, and the ms from its
    end to the answer (20 s where there is none)."""

    async def scene() -> tuple[Caller, float]:
        async with Caller(partial_every_ms=60_000) as caller:
            assert isinstance(caller.services.stt, FakeStt) and isinstance(caller.services.turn, FakeTurn)
            assert isinstance(caller.services.vad, FakeVad)
            caller.services.stt.text, caller.services.vad.voice = text, voice
            for name, value in stt.items():
                setattr(caller.services.stt, name, value)
            await caller.say(seconds)
            began = caller.clock.ms()
            try:
                await caller.until("SPEAKING", 10)
            except AssertionError:
                return caller, 20_000.0
            return caller, caller.clock.ms() - began

    return run(scene())


def stt_of(caller: Caller) -> FakeStt:
    assert isinstance(caller.services.stt, FakeStt)
    return caller.services.stt


def asked(caller: Caller) -> list[str]:
    llm: Any = caller.services.llm
    return [question.text for question in llm.asked]


def test_what_is_waited_for_anyway_is_looked_at_again_and_answered_as_it_was_said() -> None:
    caller, after = turn(closer="there was a van in the garden", sentence_end=0.4)
    plain, before = turn(sentence_end=0.4)
    assert heard(caller) == ["there was a van in the garden"]
    assert asked(caller) == [TOLD, "there was a van in the garden"], "the draft is made anew"
    assert after == pytest.approx(before, abs=40), "nobody waits for that"
    assert asked(plain) == [TOLD]


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (Transcript("five"), Transcript("nine"), "nine"),
        (Transcript("five"), Transcript(""), "five"),
        (Transcript("five"), Transcript("..."), "five"),
        (Transcript(""), Transcript("nine"), "nine"),
        (Transcript("", 0.6, written="right away"), Transcript("Right away.", 0.6), "Right away."),
        (Transcript("", 0.6, written="right away"), Transcript("Thank you for watching.", 0.6), ""),
        (Transcript("Yes. And phone.", 0.37), Transcript("yes, and phones", 0.36), "yes, and phones"),
    ],
)
def test_of_two_looks_the_closer_one_is_gone_by_where_it_has_words(first: Transcript, second: Transcript, text: str) -> None:
    assert better_look(first, second).text == text


@pytest.mark.parametrize("closer", ["", "it's a great day for us at the bay"])
def test_what_may_be_nobody_and_sounds_different_at_a_closer_look_is_not_understood(closer: str) -> None:
    caller, _ = turn("WebRTC and all that", closer=closer, no_speech=0.3, doubtful=True)
    assert (heard(caller), lines(caller)) == ([""], ["not_caught"])
    surely, _ = turn("WebRTC and all that", closer=closer, no_speech=0.1, doubtful=True)
    assert heard(surely) == [closer or "WebRTC and all that"]


def test_other_marks_are_no_other_words() -> None:
    caller, _ = turn("it is 10:30", closer="It is 10.30.")
    assert heard(caller) == ["it is 10:30"]
    assert asked(caller) == ["it is 10:30"]


def test_a_look_that_comes_after_the_end_changes_nothing() -> None:
    caller, _ = turn("what time is it now?", closer="what crime is it now?", sentence_end=0.99, closer_s=1.0)
    assert heard(caller) == ["what time is it now?"]
    assert asked(caller) == ["what time is it now?"]


def test_a_turn_that_ends_at_once_is_not_looked_at_again() -> None:
    caller, _ = turn("what time is it now?", sentence_end=0.99)
    assert stt_of(caller).looks == 0


def test_where_the_first_look_doubts_itself_the_closer_one_is_waited_for() -> None:
    caller, after = turn("what time is it now?", closer="what crime is it now?", sentence_end=0.99, doubtful=True)
    assert heard(caller) == ["what crime is it now?"]
    assert 500 < after < 800


def test_a_closer_look_that_takes_too_long_is_not_waited_for() -> None:
    caller, after = turn(
        "what time is it now?", closer="what crime is it now?", sentence_end=0.99, doubtful=True, closer_s=30.0
    )
    assert heard(caller) == ["what time is it now?"]
    assert after < 1500


def test_a_closer_look_that_fails_costs_nothing() -> None:
    async def scene() -> Caller:
        async with Caller(partial_every_ms=60_000) as caller:
            stt = stt_of(caller)
            transcribe, stt.text = stt.transcribe, TOLD

            async def broken(audio: Any, *, thorough: bool = False, **rest: Any) -> Any:
                if thorough:
                    raise ValueError("a fault of ours")
                return await transcribe(audio, **rest)

            stt.transcribe = broken  # type: ignore[method-assign, assignment]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            return caller

    assert heard(run(scene())) == [TOLD]


def test_somebody_who_goes_on_is_not_cut_off_by_a_closer_look() -> None:
    async def scene() -> Caller:
        async with Caller(partial_every_ms=60_000) as caller:
            stt = stt_of(caller)
            stt.text, stt.doubtful, stt.closer_s = TOLD, True, 1.0
            await caller.say(1.0, then=0.5)
            stt.text, stt.doubtful = f"{TOLD} yesterday", False
            await caller.say(1.0)
            await caller.until("SPEAKING")
            return caller

    assert heard(run(scene())) == [f"{TOLD} yesterday"]


@pytest.mark.parametrize("text", ["15.", "10:30", "4 0 7", "Да.", "はい", "5"])
def test_numbers_and_other_scripts_are_answered(text: str) -> None:
    caller, _ = turn(text, seconds=0.4)
    assert heard(caller) == [text]


def test_a_turn_without_a_word_is_looked_at_again() -> None:
    caller, _ = turn("", closer="yes", seconds=0.4)
    assert heard(caller) == ["yes"]


def lines(caller: Caller) -> list[str]:
    events = [entry["event"] for entry in caller.recorder.entries if entry["kind"] == "event"]
    return [event["line"] for event in events if event["type"] == "turn_unrecognised"]


def test_a_voice_without_a_word_is_asked_again_once_and_shown() -> None:
    async def scene() -> Caller:
        async with Caller(partial_every_ms=60_000) as caller:
            stt = stt_of(caller)
            for text in ("", "", TOLD, ""):
                stt.text = text
                await caller.say(0.6, then=6.0)
            return caller

    caller = run(scene())
    assert lines(caller) == ["not_caught", "", "not_caught"], "anew only when something was understood in between"
    unclear = [m for m in caller.of("transcript") if isinstance(m, TranscriptUpdate) and not m.understood]
    assert [(message.text, message.final) for message in unclear] == [("", True)] * 3


def test_a_voice_that_is_taken_for_noise_is_asked_again_and_believed_where_both_looks_have_its_words() -> None:
    """As a "no" that is said nine times without a gap."""
    asked_again, _ = turn("", no_speech=0.95)
    assert lines(asked_again) == ["not_caught"]
    believed, _ = turn("", no_speech=0.95, written="Stop,")
    assert heard(believed) == ["Stop,"]
    doubted, after = turn("", no_speech=0.95, written="Stop,", voice=0.8)
    assert (heard(doubted), after) == ([], 20_000.0)


@pytest.mark.parametrize(
    ("seconds", "no_speech", "voice"), [(0.6, 0.95, 0.8), (0.2, 0.95, 0.95), (0.16, 0.0, 0.95), (0.6, 0.6, 0.8)]
)
def test_nothing_is_said_to_noise(seconds: float, no_speech: float, voice: float) -> None:
    caller, after = turn("", seconds=seconds, no_speech=no_speech, voice=voice)
    assert after == 20_000.0
    assert lines(caller) == []
    assert not caller.of("transcript")


def test_a_hum_is_no_turn() -> None:
    caller, after = turn("Hmm.", seconds=0.5)
    assert (after, lines(caller)) == (20_000.0, [])


def test_a_turn_that_goes_on_and_on_is_written_down_and_what_follows_is_answered() -> None:
    async def scene() -> Caller:
        async with Caller(partial_every_ms=60_000, max_turn_s=2.0) as caller:
            stt = stt_of(caller)
            stt.text = "and so on " * 250
            await caller.say(2.2, then=0.1)
            await caller.say(1.0, then=0.1)
            stt.text = "what time is it now?"
            await caller.say(1.0, then=1.0)
            return caller

    caller = run(scene())
    assert caller.session.memory.history[0].user.startswith("and so on and so on")
    assert heard(caller)[-1] == "what time is it now?"
