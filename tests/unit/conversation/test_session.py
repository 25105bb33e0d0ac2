"""The conversation in virtual time: the state table as lived by a caller."""

import asyncio

import pytest

from app.dialogue.memory import Memory
from app.protocol.events import SpeechOnset, TurnEnded
from app.protocol.messages import Interrupt, PlaybackDone, PlaybackProgress, Stop, Text
from services.base import ServiceError
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run


def test_a_spoken_turn_is_answered_and_recorded() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.states() == ["LISTENING", "THINKING", "SPEAKING", "LISTENING"]
    [exchange] = caller.session.memory.history
    assert exchange.user == "how does it work"
    assert exchange.heard == "The first sentence is here. The second one follows now. And this is the third of them."
    assert len(caller.audible()) * 20 == pytest.approx(17 * 250, abs=20)
    [latency] = caller.of("latency")
    assert {"stt_final", "first_audio_ready", "first_audio_heard"} <= set(latency.spans)
    assert not [entry for entry in caller.recorder.entries if entry["kind"] == "illegal"]


def test_the_reply_is_prepared_before_the_turn_has_ended() -> None:
    async def scene() -> Caller:
        async with Caller(eagerness="low") as caller:
            caller.services.turn.complete_ = 0.99  # type: ignore[attr-defined]
            await caller.say(1.0, then=0.6)
            assert caller.services.tts.spoken, "nothing was synthesised before the end of the turn"  # type: ignore[attr-defined]
            assert caller.session.state == "LISTENING"
            assert not caller.of("agent_response"), "a draft was told"
            await caller.until("SPEAKING")
            return caller

    caller = run(scene())
    [latency_zero] = [at for at, m in caller.messages if m.type == "state" and m.state == "THINKING"]
    [speaking] = [at for at, m in caller.messages if m.type == "state" and m.state == "SPEAKING"]
    assert speaking - latency_zero < 1, "the prepared reply was not used"


def test_a_draft_is_dropped_when_the_user_goes_on() -> None:
    async def scene() -> Caller:
        async with Caller(eagerness="low") as caller:
            await caller.say(1.0, then=0.5)
            await caller.say(1.0)
            await caller.until("SPEAKING")
            return caller

    caller = run(scene())
    assert len([m for m in caller.of("transcript") if m.final]) == 1
    assert len(caller.services.llm.asked) == 2  # type: ignore[attr-defined]
    assert {m.generation for m in caller.of("agent_response")} == {2}


def test_an_unfinished_turn_waits_for_the_longer_limit() -> None:
    async def scene(text: str, complete: float) -> float:
        async with Caller() as caller:
            caller.services.stt.text = text  # type: ignore[attr-defined]
            caller.services.turn.complete_ = complete  # type: ignore[attr-defined]
            await caller.say(1.0)
            began = caller.clock.ms()
            await caller.until("THINKING")
            return caller.clock.ms() - began

    finished = run(scene("how does it work for you?", 0.99))
    cut_off = run(scene("how does it work and", 0.99))
    unsure = run(scene("how does it work", 0.05))
    assert finished < 500 < unsure < cut_off
    assert cut_off > 1300


@pytest.mark.parametrize("state", ["THINKING", "SPEAKING"])
def test_an_interruption_stops_the_reply_in_every_state(state: str) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.delay_s = 0.8 if state == "THINKING" else 0.02  # type: ignore[attr-defined]
            caller.services.stt.text = "how does it work for you?"  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until(state)
            await asyncio.sleep(0.1 if state == "THINKING" else 2.0)
            caller.services.stt.text = "stop that now"  # type: ignore[attr-defined]
            await caller.say(1.2)
            await asyncio.sleep(0.1)
            return caller

    caller = run(scene())
    if state == "THINKING":
        assert not caller.audible(), "an answer was heard though the user went on"
        assert caller.states()[:3] == ["LISTENING", "THINKING", "LISTENING"]
    else:
        assert "INTERRUPTED" in caller.states()
        [stop] = caller.of("playback_stop")
        stopped_at = next(at for at, m in caller.messages if m.type == "playback_stop")
        assert not [f for at, f in caller.frames if at > stopped_at and f.generation == stop.generation]
        [heard] = caller.of("agent_heard")
        assert heard.text and not heard.estimated
        assert "The first sentence is here. The second one follows now. And".startswith(heard.text)


def test_onset_ducks_at_once_and_a_backchannel_does_not_stop_the_agent() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(1.5)
            caller.services.stt.text = "Mm-hmm."  # type: ignore[attr-defined]
            caller.services.barge_in.text = "Mm"  # type: ignore[attr-defined]
            began = caller.clock.ms()
            await caller.say(0.35)
            [duck] = [at for at, m in caller.messages if m.type == "duck"]
            assert duck - began <= 100
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.of("unduck")
    assert not caller.of("playback_stop")
    assert len(caller.audible()) * 20 == pytest.approx(17 * 250, abs=20)


@pytest.mark.parametrize("suspected", [False, True])
def test_what_may_be_an_echo_is_listened_to_a_little_longer_and_no_more(suspected: bool) -> None:
    async def scene() -> float:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(1.5)
            caller.services.echo.suspected = suspected  # type: ignore[attr-defined]
            began = caller.clock.ms()
            await caller.say(1.2, then=0.0)
            [stop] = [at for at, m in caller.messages if m.type == "playback_stop"]
            return stop - began

    took = run(scene())
    assert 300 < took < 500 if suspected else took < 300


def test_a_breath_held_for_a_sound_loses_nothing_and_counts_for_no_word() -> None:
    async def scene(sound_s: float) -> tuple[list[bool], float, list[tuple[float, float]]]:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(1.5)
            caller.services.barge_in.speech = 0.1  # type: ignore[attr-defined]
            caller.services.stt.text = ""  # type: ignore[attr-defined]
            await caller.say(sound_s)
            await asyncio.sleep(1.6)
            ledger = caller.session.player.ledger
            assert ledger is not None
            last = ledger.clauses[-1].words[-1]
            await caller.until("LISTENING")
            return [frame.samples.any() for _, frame in caller.frames if frame.generation == 1], last, ledger.waits

    (plain, plain_end, none), (held, held_end, waits) = run(scene(0.02)), run(scene(0.35))
    assert sum(held) == sum(plain)
    assert len(held) == len(plain) + 7
    assert held_end == plain_end
    assert not none
    assert sum(length for _, length in waits) == 140


def test_a_cough_is_ignored_in_every_state() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = ""  # type: ignore[attr-defined]
            await caller.say(0.2, then=2.0)
            assert caller.states() == ["LISTENING"]
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await asyncio.sleep(1.5)
            caller.services.barge_in.speech = 0.1  # type: ignore[attr-defined]
            await caller.say(0.2)
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert not caller.of("playback_stop")
    assert len(caller.session.memory.history) == 1


def test_a_turn_is_reopened_when_the_user_goes_on_right_after_the_reply_began() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(0.3)
            caller.services.stt.text = "how does it work when I go on"  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert [exchange.user for exchange in caller.session.memory.history] == ["how does it work when I go on"]
    assert max(caller.services.stt.heard_s) > 2.5, "the first part was not transcribed again with the second"  # type: ignore
    assert {m.turn for m in caller.of("transcript") if m.final} == {1}


@pytest.mark.parametrize("behind_s", [0.0, 2.0, 30.0])
def test_a_listener_who_plays_behind_time_is_waited_for_while_it_goes_on(behind_s: float) -> None:
    """It tells every 100 ms what it has played; whoever tells nothing more has, for all that is known, played all."""

    async def scene() -> tuple[float, float, float]:
        async with Caller(acknowledges=False) as caller:
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await asyncio.sleep(behind_s if behind_s < 5 else 0.5)
            played = 0.0
            while not (ended := caller.of("audio_end")) or played < ended[0].ms:  # type: ignore[attr-defined]
                await asyncio.sleep(0.1)
                played += 100.0
                if behind_s < 5 or played < 1000:
                    caller.session.receive(PlaybackProgress(generation=1, played_ms=played))
                if caller.session.state == "LISTENING":
                    break
            await caller.until("LISTENING")
            at = next(at for at, m in caller.messages if m.type == "audio_end")
            left = next(at for at, m in caller.messages if m.type == "state" and m.state == "LISTENING" and at > 1000)
            return at, left, played

    ended, left, played = run(scene())
    late = left - ended
    assert (late < 1500) if behind_s != 2.0 else (1200 < late < 3500), (late, played)


def test_a_stale_generation_is_never_heard() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            for text in ("one", "two", "three"):
                caller.session.receive(Text(text=text))
                await asyncio.sleep(0.3)
            caller.session.receive(PlaybackDone(generation=1, played_ms=1.0))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    heard = [frame.generation for frame in caller.audible()]
    assert heard == sorted(heard)
    stops = {m.generation: at for at, m in caller.messages if m.type == "playback_stop"}
    for at, frame in caller.frames:
        assert not (frame.generation in stops and at > stops[frame.generation])


def test_client_interrupt_records_what_was_heard_and_go_on_continues_there() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await asyncio.sleep(1.9)  # into the second clause
            caller.session.receive(Interrupt())
            await caller.until("LISTENING")
            assert caller.session.memory.history[-1].heard.startswith("The first sentence is here.")
            caller.services.intent.name = "go_on"  # type: ignore[attr-defined]
            caller.session.receive(Text(text="go on"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.session.memory.history[-1].heard == "The second one follows now. And this is the third of them."


def test_silence_about_playback_is_estimated_and_marked() -> None:
    async def scene() -> Caller:
        async with Caller(acknowledges=False) as caller:
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            caller.session.receive(Text(text="again"))
            await caller.until("SPEAKING")
            await asyncio.sleep(1.0)
            caller.session.receive(Interrupt())
            await caller.until("INTERRUPTED")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    whole, cut = caller.of("agent_heard")
    assert whole.estimated
    assert cut.estimated
    assert whole.text.endswith("the third of them.")
    assert cut.text == "The first sentence is"  # 1000 ms less the path's delay of 120: half of the fourth word


def test_a_filler_covers_a_late_answer() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.delay_s = 2.0  # type: ignore[attr-defined]
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    spoken = caller.services.tts.spoken  # type: ignore[attr-defined]
    fillers = caller.session.context.agent.dialogue.phrasebook.lines["filler"]
    assert spoken[0] in fillers
    assert spoken[1:] == ["The first sentence is here.", "The second one follows now.", "And this is the third of them."]


@pytest.mark.parametrize("service", ["llm", "intent", "retrieval", "stt"])
def test_a_failing_service_is_apologised_for_and_the_conversation_goes_on(service: str) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            broken = getattr(caller.services, service)
            broken.error = ServiceError(service, "out of order")
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            broken.error = None
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    spoken = caller.services.tts.spoken  # type: ignore[attr-defined]
    assert any("orry" in clause for clause in spoken)
    assert spoken[-1] == "And this is the third of them."


def test_a_broken_voice_leaves_the_text_and_an_error() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.tts.error = ServiceError("tts", "no voice")  # type: ignore[attr-defined]
            caller.session.receive(Text(text="tell me"))
            await asyncio.sleep(3.0)
            assert caller.session.state == "LISTENING"
            return caller

    caller = run(scene())
    assert [m.code for m in caller.of("error")] == ["tts_failed"]
    assert caller.of("agent_response")[0].text == "The first sentence is here."


def test_goodbye_ends_the_session_after_it_was_heard() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.intent.name = "goodbye"  # type: ignore[attr-defined]
            caller.session.receive(Text(text="bye"))
            await asyncio.wait_for(caller.session.ended.wait(), 20)
            return caller

    caller = run(scene())
    assert caller.states() == ["LISTENING", "THINKING", "SPEAKING", "LISTENING", "IDLE"]
    assert len(caller.audible()) > 50


def test_greeting_is_spoken_and_gives_way_to_the_user() -> None:
    async def scene(speaks: bool) -> Caller:
        async with Caller(greeting=True) as caller:
            await caller.until("SPEAKING")
            await asyncio.sleep(0.5)
            caller.services.stt.text = "what is a barge in"  # type: ignore[attr-defined]
            if speaks:
                await caller.say(1.0)
                await caller.until("INTERRUPTED")
                await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    assert run(scene(False)).states() == ["LISTENING", "SPEAKING", "LISTENING"]
    caller = run(scene(True))
    assert caller.session.memory.history[-1].user == "what is a barge in"


def test_a_disconnect_keeps_the_conversation_and_stop_ends_it() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await asyncio.sleep(1.9)
            caller.session.disconnect("connection lost")
            assert caller.session.state == "IDLE"
            assert not caller.session.ended.is_set()
            assert caller.session.memory.unheard[0].startswith("The second")
            caller.session.attach(caller.on_message)
            caller.session.start(greeting=False, resumed=True)
            caller.session.receive(Stop())
            await asyncio.wait_for(caller.session.ended.wait(), 1)
            return caller

    assert run(scene()).session.state == "IDLE"


def test_slow_services_cancelled_mid_work_leave_no_task_behind() -> None:
    async def scene() -> set[str]:
        async with Caller() as caller:
            caller.services.llm.delay_s = 5.0  # type: ignore[attr-defined]
            caller.session.receive(Text(text="tell me"))
            await asyncio.sleep(0.5)
            caller.session.receive(Interrupt())
            await asyncio.sleep(0.1)
            assert caller.services.llm.finished == 0  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert run(scene()) == set()


def test_a_resumed_conversation_goes_on_counting() -> None:
    async def scene() -> Caller:
        async with Caller(memory=Memory(turn=7, generation=30)) as caller:
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            await caller.say(1.0)
            await caller.until("SPEAKING")
            return caller

    caller = run(scene())
    assert [m.turn for m in caller.of("transcript") if m.final] == [8, 9]
    assert min(frame.generation for frame in caller.audible()) == 31


def test_a_fault_of_our_own_is_apologised_for_and_the_conversation_goes_on() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.error = AttributeError("a bug")  # type: ignore[attr-defined]
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            caller.services.llm.error = None  # type: ignore[attr-defined]
            caller.session.receive(Text(text="and again"))
            await caller.until("SPEAKING")
            return caller

    caller = run(scene())
    assert caller.of("error")[0].code == "reply_failed"


def test_a_reply_ends_with_its_last_sound_and_pauses_between_clauses_stay() -> None:
    async def scene(tail_ms: int) -> tuple[int, int]:
        async with Caller() as caller:
            caller.services.tts.tail_ms = tail_ms  # type: ignore[attr-defined]
            caller.session.receive(Text(text="tell me"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            frames = [frame.samples.any() for _, frame in caller.frames if frame.generation == 1]
            return len(frames), len(frames) - 1 - max(index for index, loud in enumerate(frames) if loud)

    (plain, _), (breathing, after) = run(scene(0)), run(scene(240))
    assert after <= 1
    assert breathing - plain == pytest.approx(2 * 240 / 20, abs=2)  # three clauses


def test_what_comes_after_the_end_changes_nothing() -> None:
    """The ears may still be about to say something, and the client too."""

    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            caller.session.receive(Stop())
            for late in (
                TurnEnded(turn=1, revision=1, text="how"),
                SpeechOnset(at_ms=1.0),
                Text(text="more"),
                Interrupt(),
                Stop(),
            ):
                caller.session.dispatch(late)
            await asyncio.sleep(5)
            return caller

    caller = run(scene())
    assert caller.session.state == "IDLE"
    assert not caller.of("agent_response")
    assert not [entry for entry in caller.recorder.entries if entry["kind"] == "illegal"]
