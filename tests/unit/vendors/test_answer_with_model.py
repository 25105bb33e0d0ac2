"""A reply with a language model, in virtual time: what it is given, what happens when it fails, and when it is not asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Phrasebook
from app.protocol.messages import Interrupt, Text
from app.tools.registry import TOOLS, tool
from languages.en import LANGUAGE as ENGLISH
from services.base import Exchange, Passage, Question, ServiceError, Services
from tests.unit.fakes import Caller, Fake, FakeIntent, FakeLlm, FakeStt, FakeTts, fake_services
from tests.unit.virtual_time import run
from vendors.openai.llm import prompt


@dataclass
class FakeModel(Fake):
    """Says `pieces`, then fails with `error` if there is one. `closed` counts the answers that were broken off."""

    pieces: Sequence[str] = ("I am a model. ", "I can talk.")
    error: ServiceError | None = None
    delay_s: float = 0.05
    asked: list[Question] = field(default_factory=list)
    closed: int = 0

    async def answer(self, question: Question) -> AsyncIterator[str]:
        self.asked.append(question)
        try:
            for piece in self.pieces:
                await asyncio.sleep(self.delay_s)
                yield piece
            if self.error is not None:
                raise self.error
        except (asyncio.CancelledError, GeneratorExit):
            self.closed += 1
            raise


def services(model: FakeModel, intent: str = "question", remote: Sequence[str] = ()) -> Services:
    made = replace(fake_services(), model=model, remote=frozenset(remote))
    assert isinstance(made.intent, FakeIntent)
    made.intent.name = intent
    return made


def said(caller: Caller) -> str:
    return " ".join(message.text for message in caller.of("agent_response") if message.text)


def converse(made: Services, seconds: float = 20.0, **settings: object) -> Caller:
    async def scene() -> Caller:
        async with Caller(made, **settings) as caller:
            await caller.say(1.0, seconds)
        return caller

    return run(scene())


@pytest.mark.parametrize("intent", ["question", "small_talk", "out_of_scope", "greeting", "time"])
def test_the_model_answers_whatever_is_said(intent: str) -> None:
    model = FakeModel()
    assert said(converse(services(model, intent))) == "I am a model. I can talk."
    assert "Parley" in model.asked[0].instructions
    assert {tool.name for tool in model.asked[0].tools} >= {"current_time", "set_timer", "search_knowledge"}


@pytest.mark.parametrize("intent", ["repeat", "change_speed", "goodbye", "stop"])
def test_turns_about_the_talking_itself_are_not_for_the_model(intent: str) -> None:
    model = FakeModel()
    assert said(converse(services(model, intent)))
    assert model.asked == []


def test_a_model_that_fails_at_once_is_replaced_and_nobody_hears_of_it() -> None:
    caller = converse(services(FakeModel((), ServiceError("llm", "away"))))
    assert said(caller) == "The first sentence is here. The second one follows now. And this is the third of them."
    assert caller.of("error") == []


def test_small_talk_has_its_line_when_the_model_fails() -> None:
    assert "orry" not in said(converse(services(FakeModel((), ServiceError("llm", "away")), "greeting")))


def test_an_answer_that_breaks_off_goes_on_without_repeating_anything() -> None:
    pieces = ("The first sentence is here. ", "Then it goes on and")
    text = said(converse(services(FakeModel(pieces, ServiceError("llm", "cut off")))))
    assert text.startswith("The first sentence is here. Then it goes on and… Let me ")
    assert text.endswith("The second one follows now. And this is the third of them.")
    assert text.count("The first sentence is here.") == 1


def test_a_silent_model_is_replaced() -> None:
    assert "first sentence" in said(converse(services(FakeModel(("", " ")))))


def test_nothing_is_sent_to_a_service_before_the_turn_is_over() -> None:
    for remote, times in ((("model",), 1), ((), 4)):
        model = FakeModel(delay_s=1.0)
        made = services(model, remote=remote)
        made.turn.complete_ = 0.1  # type: ignore[attr-defined]

        async def scene(made: Services = made) -> None:
            async with Caller(made, eagerness="low") as caller:
                for _ in range(3):
                    await caller.say(0.6, 0.4)
                await asyncio.sleep(0.4)
                await caller.say(0.6, 10)

        run(scene())
        assert len(model.asked) == times
    model = FakeModel()
    converse(services(model, remote=("model",)), speculate_remotely=True)
    assert len(model.asked) == 1


def test_a_remote_voice_says_nothing_that_may_be_dropped() -> None:
    made = replace(fake_services(), remote=frozenset({"tts"}))
    made.turn.complete_ = 0.1  # type: ignore[attr-defined]
    assert isinstance(made.tts, FakeTts)

    async def scene() -> None:
        async with Caller(made) as caller:
            for _ in range(3):
                await caller.say(0.6, 0.4)
            assert made.tts.spoken == []  # type: ignore[attr-defined]
            await asyncio.sleep(15)
            assert len(made.tts.spoken) == 3  # type: ignore[attr-defined]

    run(scene())


@dataclass
class Using(FakeModel):
    """Uses the tool `name` before it answers."""

    name: str = ""

    async def answer(self, question: Question) -> AsyncIterator[str]:
        tool = next(tool for tool in question.tools if tool.name == self.name)
        yield await tool.run("{}")


def test_a_filler_is_heard_while_a_slow_tool_runs() -> None:
    @tool()
    async def slow_oracle(context: AgentContext) -> str:
        """Knows after a while."""
        await asyncio.sleep(3)
        return "It is done."

    try:
        caller = converse(services(Using(name="slow_oracle")))
    finally:
        del TOOLS["slow_oracle"]
    filler, answer = (message.text for message in caller.of("agent_response") if message.text)
    assert filler in Phrasebook(ENGLISH).lines["filler"]
    assert answer == "It is done."


def test_an_interruption_closes_the_answer_at_once() -> None:
    model = FakeModel(tuple(f"This is sentence number {n}. " for n in range(50)))
    made = services(model)
    assert isinstance(made.stt, FakeStt)

    async def scene() -> None:
        async with Caller(made) as caller:
            made.stt.text = "how does it work for you?"  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(1.5)
            made.stt.text = "stop that please"  # type: ignore[attr-defined]
            await caller.say(1.0)
            assert model.closed == 1
            assert isinstance(made.llm, FakeLlm)
            assert made.llm.asked == []

    run(scene())


# --- the prompt -------------------------------------------------------------------------------------------------------


def test_the_prompt_ends_with_the_passages_and_begins_alike_from_turn_to_turn() -> None:
    history = [Exchange("", "Hi, I am Parley."), Exchange("What is latency?", "The time"), Exchange("Go on.", "")]
    passages = [Passage("a#b", "Latency", "It is a delay.", 0.9)]
    first = prompt(Question("Why?", None, passages, history[:2], "Be brief."))  # type: ignore[arg-type]
    second = prompt(Question("How?", None, passages, history, "Be brief."))  # type: ignore[arg-type]
    assert first[:-1] == second[: len(first) - 1]
    assert first[-1]["content"].startswith("Why?")
    assert first[-1]["content"].endswith("- Latency: It is a delay.")
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert second[2]["content"] == "The time"  # heard words only, and the greeting is nobody's answer


def test_a_long_history_is_cut_seldom() -> None:
    starts = set()
    for length in range(1, 60):
        history = [Exchange(f"question {n}", f"answer {n}") for n in range(length)]
        messages = prompt(Question("Why?", None, (), history))  # type: ignore[arg-type]
        starts.add(messages[1]["content"])
        assert len(messages) <= 2 + 2 * 20
    assert len(starts) == 5


# --- what tools have done ---------------------------------------------------------------------------------------------


@dataclass
class Setting(FakeModel):
    """Sets a timer, `wait_s` later says `pieces`; fails with `error` if there is one."""

    wait_s: float = 0.0

    async def answer(self, question: Question) -> AsyncIterator[str]:
        self.asked.append(question)
        if len(self.asked) == 1:
            timer = next(tool for tool in question.tools if tool.name == "set_timer")
            await timer.run('{"seconds": 600}')
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.wait_s)
        for piece in self.pieces:
            yield piece


def roles_of(question: Question) -> list[str]:
    return [message["role"] for message in prompt(question)]


def test_what_a_tool_did_is_known_though_its_reply_was_talked_over() -> None:
    model = Setting(tuple(f"This is sentence number {n}. " for n in range(50)))
    made = services(model)

    async def scene() -> Caller:
        async with Caller(made) as caller:
            made.stt.text = "set a timer for ten minutes."  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(1.5)
            made.stt.text = "and what is latency?"  # type: ignore[attr-defined]
            await caller.say(1.0, 5.0)
            return caller

    caller = run(scene())
    assert len(caller.session.memory.timers) == 1
    assert len(model.asked) == 2
    (deed,) = model.asked[1].history[-1].done
    assert (deed.name, deed.arguments) == ("set_timer", '{"seconds":600.0}')
    assert "10 minutes" in deed.result
    assert roles_of(model.asked[1]) == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert caller.session.memory.done == []


def test_what_a_tool_did_for_a_turn_that_goes_on_is_known_to_the_answer_to_all_of_it() -> None:
    model = Setting(wait_s=3.0)
    made = services(model)

    async def scene() -> Caller:
        async with Caller(made, filler_after_ms=60_000) as caller:
            caller.session.receive(Text(text="set a timer for ten minutes"))
            await asyncio.sleep(1.0)
            caller.session.receive(Text(text="to take out the bread"))
            await asyncio.sleep(10.0)
            return caller

    caller = run(scene())
    assert len(caller.session.memory.timers) == 1
    assert len(model.asked) == 2
    assert model.asked[1].text == "set a timer for ten minutes to take out the bread"
    assert [deed.name for deed in model.asked[1].done] == ["set_timer"]
    assert roles_of(model.asked[1]) == ["system", "user", "assistant", "tool"]
    assert [deed.name for deed in caller.session.memory.history[-1].done] == ["set_timer"]


def test_a_tool_is_not_used_twice_where_the_model_fails_behind_it() -> None:
    model = Setting(error=ServiceError("llm", "away"))
    made = services(model, "set_timer")
    made.stt.text = "set a timer for ten minutes."  # type: ignore[attr-defined]
    memory = Memory()

    async def scene() -> Caller:
        async with Caller(made, memory=memory) as caller:
            await caller.say(1.0, 10.0)
            return caller

    caller = run(scene())
    assert len(memory.timers) == 1
    assert "10 minutes" in said(caller)


def test_a_tool_that_is_broken_off_is_remembered_as_that() -> None:
    @tool(acts=True)
    async def order_pizza(context: AgentContext) -> str:
        """Takes its time."""
        await asyncio.sleep(3)
        return "It is ordered."

    async def scene() -> Caller:
        async with Caller(services(Using(name="order_pizza")), filler_after_ms=60_000) as caller:
            caller.session.receive(Text(text="order a pizza"))
            await asyncio.sleep(1.0)
            caller.session.receive(Interrupt())
            await asyncio.sleep(1.0)
            return caller

    try:
        memory = run(scene()).session.memory
    finally:
        del TOOLS["order_pizza"]
    done = [*memory.done, *(deed for exchange in memory.history for deed in exchange.done)]
    assert [(deed.name, "broken off" in deed.result) for deed in done] == [("order_pizza", True)]
