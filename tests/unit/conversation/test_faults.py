"""A fault of ours or of a service costs a turn, never the conversation: each kind of fault, and a turn after it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.conversation import effects
from app.conversation.state_machine import Effect
from app.dialogue.memory import Timer
from app.protocol.events import Prompted
from app.protocol.messages import Interrupt, ServerMessage, Text
from app.reply.ledger import Ledger
from app.reply.player import Player
from app.reply.playout import Playout
from app.turn_taking.audio_buffer import EchoReference
from app.turn_taking.detector import TurnDetector
from app.turn_taking.pipeline import HearingPipeline
from services.base import Audio, EarlyClass, ServiceError, Transcript
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run

KINDS: dict[str, Callable[[], BaseException]] = {
    "ours": lambda: RuntimeError("a fault of ours"),
    "service": lambda: ServiceError("x", "away"),
    "cancelled": asyncio.CancelledError,
}


def _fails(*_: object, **__: object) -> Any:
    raise RuntimeError("a fault of ours")


def _fails_once(then: Callable[..., Any]) -> Callable[..., Any]:
    failed: list[bool] = []

    def maybe(*arguments: Any, **named: Any) -> Any:
        if not failed:
            failed.append(True)
            raise RuntimeError("a fault of ours")
        return then(*arguments, **named)

    return maybe


async def _answered(caller: Caller, words: str = "how does it work") -> None:
    """A spoken turn is heard, answered and remembered."""
    caller.services.stt.text = words  # type: ignore[attr-defined]
    before = len(caller.session.memory.history)
    await asyncio.sleep(5)  # whatever is being said comes to its end
    caller.seen = len(caller.messages)
    await caller.say(1.0)
    await caller.until("SPEAKING")
    await caller.until("LISTENING")
    assert caller.session.memory.history[before:][-1].user == words


@pytest.mark.parametrize("effect", sorted(set(Effect) - {Effect.END}))
def test_an_effect_that_fails_costs_at_most_its_turn(effect: Effect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(effects.EFFECTS, effect, _fails_once(effects.EFFECTS[effect]))

    async def scene() -> None:
        async with Caller(greeting=True) as caller:
            await asyncio.sleep(6)
            caller.session.dispatch(Prompted(line="still_there"))
            await asyncio.sleep(3)
            await caller.say(1.0, then=1.0)
            await caller.say(0.4, then=0.5)  # over the agent
            caller.session.receive(Text(text="first"))
            caller.session.receive(Text(text="second"))
            await asyncio.sleep(1)
            caller.session.receive(Interrupt())
            await asyncio.sleep(5)
            caller.session.receive(Text(text="third"))  # while nobody speaks
            await asyncio.sleep(5)
            caller.faults = set(caller.session.context.faults)
            await _answered(caller)

    run(scene())


@pytest.mark.parametrize("part", ["log", "changed", "measured"])
def test_a_log_that_raises_costs_nothing(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            monkeypatch.setattr(caller.recorder, part, _fails)
            await _answered(caller)
            await _answered(caller, "and then")
            caller.faults = set(caller.session.context.faults)
            return caller

    assert run(scene()).faults


VOICE_PARTS = [(Player, "frame"), (Playout, "frame"), (Ledger, "send"), (EchoReference, "played"), (HearingPipeline, "hear")]


@pytest.mark.parametrize(("part", "method"), VOICE_PARTS, ids=lambda part: getattr(part, "__name__", part))
def test_a_frame_that_fails_costs_at_most_its_reply(part: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for frames is a connection, which would end by it."""

    async def scene() -> None:
        async with Caller() as caller:
            caller.session.receive(Text(text="typed"))
            await caller.until("SPEAKING")
            monkeypatch.setattr(part, method, _fails_once(getattr(part, method)))
            await asyncio.sleep(1)
            caller.faults = set(caller.session.context.faults)
            assert len(caller.faults) == 1
            await _answered(caller)

    run(scene())


def test_a_hearing_that_cannot_even_give_up_its_turn_hears_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TurnDetector, "window", _fails_once(TurnDetector.window))
    monkeypatch.setattr(TurnDetector, "give_up", _fails_once(TurnDetector.give_up))

    async def scene() -> None:
        async with Caller() as caller:
            await caller.say(1.0, then=2.0)
            await _answered(caller)

    run(scene())


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("when", ["at its entry", "in mid-turn"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_hearing_that_ends_is_begun_again(kind: str, when: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, left = HearingPipeline.run, [times]
    broken = asyncio.Event()

    async def hears(self: HearingPipeline) -> None:
        if not left[0]:
            await whole(self)
        left[0] -= 1
        if when == "in mid-turn":
            hearing = asyncio.create_task(whole(self))
            await broken.wait()
            hearing.cancel()
        raise KINDS[kind]()

    monkeypatch.setattr(HearingPipeline, "run", hears)

    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0, then=0.0)
            broken.set()
            await asyncio.sleep(times + 1)
            assert caller.session.hearing.behind == 0
            await _answered(caller)
            return caller

    caller = run(scene())
    assert left == [0] and not caller.session.ended.is_set()
    assert [error.code for error in caller.of("error")].count("hearing_failed") == 1  # type: ignore[attr-defined]


def test_a_voice_that_fails_for_good_falls_silent_after_one_apology(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            whole = Playout.frame
            monkeypatch.setattr(Playout, "frame", _fails)
            caller.session.receive(Text(text="typed"))
            await asyncio.sleep(30)
            assert caller.session.state == "LISTENING"
            assert len(caller.of("error")) == 1
            monkeypatch.setattr(Playout, "frame", whole)
            caller.faults = set(caller.session.context.faults)
            await _answered(caller)
            return caller

    assert run(scene()).states().count("SPEAKING") == 3  # the answer, the apology, and the turn after them


def test_a_listener_that_cannot_be_told_costs_nothing() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:

            def send(message: ServerMessage) -> None:
                caller.on_message(message)
                raise RuntimeError("a fault of ours")

            caller.session.attach(send)
            await _answered(caller)
            caller.faults = set(caller.session.context.faults)
            return caller

    assert run(scene()).faults == {"a message to the listener"}


def test_the_user_is_told_of_a_turn_that_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(effects.EFFECTS, Effect.START_REPLY, _fails_once(effects.start_reply))

    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")  # the apology
            caller.faults = set(caller.session.context.faults)
            return caller

    caller = run(scene())
    [error] = caller.of("error")
    assert error.code == "internal" and not error.fatal  # type: ignore[union-attr]
    assert caller.states()[-3:] == ["THINKING", "LISTENING", "SPEAKING"]


BROKEN = [
    (broken, kind)
    for broken in ("vad", "echo", "stt", "turn", "intent", "retrieval", "llm", "tts", "barge_in")
    for kind in KINDS
]


@pytest.mark.parametrize(("broken", "kind"), BROKEN)
def test_a_service_that_fails_for_a_while_is_heard_of_and_the_next_turn_is_answered(broken: str, kind: str) -> None:
    """Whatever a service raises; a service that cancels itself (a closed pool, a group of tasks) is one that failed."""
    method = {
        "vad": "probability",
        "echo": "clean",
        "stt": "transcribe",
        "turn": "complete",
        "intent": "classify",
        "retrieval": "search",
        "llm": "answer",
        "tts": "speak",
        "barge_in": "classify",
    }[broken]

    async def scene() -> None:
        async with Caller() as caller:
            service = getattr(caller.services, broken)
            whole, failing = getattr(service, method), True

            if broken in ("llm", "tts"):

                async def stream(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
                    if failing:
                        raise KINDS[kind]()
                    async for piece in whole(*arguments, **named):
                        yield piece

                setattr(service, method, stream)
            elif broken == "echo":

                def work(*arguments: Any) -> Any:
                    if failing:
                        raise KINDS[kind]()
                    return whole(*arguments)

                setattr(service, method, work)
            else:

                async def call(*arguments: Any, **named: Any) -> Any:
                    if failing:
                        raise KINDS[kind]()
                    return await whole(*arguments, **named)

                setattr(service, method, call)
            await caller.say(1.0, then=4.0)
            caller.session.receive(Text(text="typed"))
            await asyncio.sleep(4)
            await caller.say(0.5, then=4.0)
            failing = False
            await _answered(caller)

    run(scene())


def test_deafness_is_told_once() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:

            async def probability(window: Audio) -> float:
                raise RuntimeError("a fault of ours")

            caller.services.vad.probability = probability  # type: ignore[attr-defined]
            await caller.say(2.0, then=2.0)
            return caller

    [error] = run(scene()).of("error")
    assert error.code == "vad_failed"  # type: ignore[union-attr]


@pytest.mark.parametrize("window", [0, 30, 45])
def test_a_window_that_is_never_looked_at_makes_deaf_for_a_while_only(window: int) -> None:
    """Before a turn, in it, and in the pause after it."""

    async def scene() -> Caller:
        async with Caller() as caller:
            whole, looked = caller.services.vad.probability, 0  # type: ignore[attr-defined]

            async def probability(sound: Audio) -> float:
                nonlocal looked
                looked += 1
                if looked == window + 1:
                    await asyncio.Event().wait()
                return float(await whole(sound))

            caller.services.vad.probability = probability  # type: ignore[attr-defined]
            await caller.say(1.2, then=12.0)
            await _answered(caller)
            return caller

    [error] = run(scene()).of("error")
    assert error.code == "vad_failed"  # type: ignore[union-attr]


def test_words_that_cannot_be_had_at_the_first_pause_are_asked_for_again() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            whole, asked = caller.services.stt.transcribe, 0

            async def transcribe(audio: Audio, *, final: bool, **rest: Any) -> Transcript:
                nonlocal asked
                asked += final
                if final and asked == 1:
                    raise ServiceError("stt", "a hiccup")
                return await whole(audio, final=final, **rest)

            caller.services.stt.transcribe = transcribe  # type: ignore[method-assign]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert [exchange.user for exchange in caller.session.memory.history] == ["how does it work"]
    assert not caller.of("error")


def test_no_apology_in_mid_turn() -> None:
    """A recogniser that fails at a short pause says nothing while the user goes on, and the whole turn is answered."""

    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.error = ServiceError("stt", "away")  # type: ignore[attr-defined]
            await caller.say(1.0, then=0.3)
            caller.services.stt.error = None  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.states() == ["LISTENING", "THINKING", "SPEAKING", "LISTENING"]
    assert [exchange.user for exchange in caller.session.memory.history] == ["how does it work"]
    assert not [entry for entry in caller.recorder.entries if entry["kind"] == "illegal"]


def test_a_recogniser_that_never_answers_ends_in_an_apology() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.delay_s = 10_000  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING", limit=60)
            return caller

    caller = run(scene())
    assert [error.code for error in caller.of("error")] == ["stt_failed"]  # type: ignore[union-attr]


def test_a_classification_that_comes_after_the_reply_has_ended_changes_nothing() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")

            async def classify(audio: Audio) -> EarlyClass:
                await asyncio.sleep(20)
                return EarlyClass(0.99, "how does")

            caller.services.barge_in.classify = classify  # type: ignore[method-assign]
            await asyncio.sleep(4.0)
            caller.speaking = True
            await caller.until("LISTENING")
            await asyncio.sleep(20)
            caller.speaking = False
            await asyncio.sleep(10)
            return caller

    caller = run(scene())
    assert not [entry for entry in caller.recorder.entries if entry["kind"] == "illegal"]


# --- typed turns ----------------------------------------------------------------------------------------------------------


def _said(caller: Caller) -> str:
    return " ".join(exchange.user for exchange in caller.session.memory.history)


@pytest.mark.parametrize("while_", ["LISTENING", "THINKING", "SPEAKING"])
def test_texts_typed_in_quick_succession_are_all_answered(while_: str) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.delay_s = 0.5  # type: ignore[attr-defined]
            if while_ != "LISTENING":
                caller.session.receive(Text(text="the question before"))
                await caller.until(while_)
            for text in ("number one", "number two", "number three"):
                caller.session.receive(Text(text=text))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    final = " ".join(message.text for message in caller.of("transcript") if message.final)  # type: ignore[union-attr]
    for text in ("number one", "number two", "number three"):
        assert text in _said(caller) and text in final
    assert "number three" in caller.services.llm.asked[-1].text  # type: ignore[attr-defined]
    assert "number one" in caller.services.llm.asked[-1].text  # type: ignore[attr-defined]


def test_a_spoken_turn_that_waits_for_its_answer_is_not_lost_to_a_text() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.llm.delay_s = 3  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("THINKING")
            caller.session.receive(Text(text="and briefly please"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    assert _said(run(scene())) == "how does it work and briefly please"


def test_texts_too_long_for_one_turn_are_still_remembered_and_too_many_are_refused() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.session.receive(Text(text="a" * 1500))
            caller.session.receive(Text(text="b" * 1500))
            await caller.until("SPEAKING")
            for number in range(12):
                caller.session.receive(Text(text=f"{number} " + "c" * 500))
            await asyncio.sleep(120)
            return caller

    caller = run(scene())
    assert "a" * 1500 in _said(caller) and "b" * 1500 in _said(caller)
    assert all(f"{number} ccc" in _said(caller) for number in range(8))
    assert [error.code for error in caller.of("error")] == ["busy"] * 4  # type: ignore[union-attr]


def test_a_prompt_that_is_ready_in_mid_turn_waits_and_the_turn_is_answered() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.speaking = True
            await asyncio.sleep(0.5)
            caller.session.dispatch(Prompted(line="still_there"))
            await asyncio.sleep(1.0)
            caller.speaking = False
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.states() == ["LISTENING", "THINKING", "SPEAKING", "LISTENING"]
    assert _said(caller) == "how does it work"


# --- typed beside speech --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause_s", [0.2, 0.3, 0.5])
def test_what_was_said_before_a_text_is_answered_with_it(pause_s: float) -> None:
    """The spoken turn may not be over yet: what was read of it is not lost to what is typed in its pause."""

    async def scene() -> Caller:
        async with Caller(eagerness="low") as caller:
            caller.services.stt.text = "my number is"  # type: ignore[attr-defined]
            caller.services.turn.complete_ = 0.1  # type: ignore[attr-defined]
            await caller.say(1.0, then=pause_s)
            caller.session.receive(Text(text="0123"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert _said(caller) == "my number is 0123"
    assert not [entry for entry in caller.recorder.entries if entry["kind"] == "illegal"]


def test_a_noise_before_a_text_adds_nothing_to_it() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.services.stt.text = ""  # type: ignore[attr-defined]
            await caller.say(0.5, then=0.25)
            caller.session.receive(Text(text="typed"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    assert _said(run(scene())) == "typed"


# --- timers ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow_s", [0.0, 0.02])
def test_a_timer_of_a_voice_that_is_away_is_told_when_it_is_back_and_not_tried_without_end(slow_s: float) -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            voice = caller.services.tts
            voice.error, voice.delay_s = ServiceError("tts", "away"), slow_s  # type: ignore[attr-defined]
            caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 2000, 2, "", ""))
            caller.session.receive(Text(text="typed"))
            await asyncio.sleep(30)
            assert caller.session.memory.generation <= 5
            assert caller.session.memory.timers
            voice.error = None  # type: ignore[attr-defined]
            await asyncio.sleep(30)
            assert not caller.session.memory.timers
            return caller

    assert "timer" in run(scene()).session.memory.history[-1].heard


def test_two_timers_that_are_due_at_once_are_told_one_after_the_other() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            for seconds in (2, 3):
                caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 2000, seconds, "", ""))
            caller.session.receive(Text(text="typed"))
            await asyncio.sleep(20)
            return caller

    caller = run(scene())
    assert not caller.session.memory.timers
    assert [exchange.heard for exchange in caller.session.memory.history[-2:]] == [
        "Your timer for 2 seconds is up.",
        "Your timer for 3 seconds is up.",
    ]


def test_a_timer_whose_listener_goes_before_it_is_told_is_told_to_who_comes_back() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 2000, 2, "", "pasta"))
            caller.session.receive(Text(text="typed"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            await caller.until("SPEAKING")  # of the timer
            assert not caller.session.memory.timers
            await asyncio.sleep(0.5)
            caller.session.disconnect("gone")
            assert [timer.name for timer in caller.session.memory.timers] == ["pasta"]
            caller.session.attach(caller.on_message)
            caller.session.start(greeting=False, resumed=True)
            await asyncio.sleep(10)
            return caller

    caller = run(scene())
    assert not caller.session.memory.timers
    assert "pasta" in caller.session.memory.history[-1].heard


def test_a_timer_that_was_told_is_not_told_again() -> None:
    async def scene() -> Caller:
        async with Caller() as caller:
            caller.session.memory.timers.append(Timer(caller.clock.epoch_ms() + 2000, 2, "", "pasta"))
            caller.session.receive(Text(text="typed"))
            await asyncio.sleep(15)
            caller.session.disconnect("gone")
            return caller

    assert not run(scene()).session.memory.timers
