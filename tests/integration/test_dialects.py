"""HTTP services that speak the protocol their own way, against real servers on loopback."""

import asyncio
import gzip
import json
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from services.base import (
    HEARING_RATE,
    SPEAKING_RATE,
    Deed,
    Exchange,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
    Tool,
    closing,
)
from services.endpoint import Endpoint
from services.fallback import SttWithFallback, TtsWithFallback
from services.guard import FAILURES
from services.health import Health
from tests.bench.server import free_port
from tests.integration.peers import FINISH, Behaviour, Caller, Scripted, delta
from tests.integration.test_http_services import SPEECH, asking, question, remote, says, text_of
from tests.unit.fakes import FakeStt, FakeTts
from tests.unit.vendors.test_voice_sound import encoded, pcm, wav
from vendors.http.body import LONGEST_TEXT
from vendors.openai.llm import MODEL, OpenAiAnswerer
from vendors.openai.stt import OpenAiStt
from vendors.openai.tts import OpenAiTts

DONE = "data: [DONE]\n\n"


def sends(*events: str | dict[str, Any], kind: str = "text/event-stream", status: int = 200) -> Behaviour:
    """The events, and nothing behind them."""

    async def behave(caller: Caller, path: str, body: Any) -> None:
        lines = (event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n" for event in events)
        await caller.reply(status, kind, "".join(lines).encode())

    return behave


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, **fields}]}


async def answered(behave: Behaviour, *tools: Tool) -> str:
    async with Scripted(behave) as peer:
        model = asking(peer)
        try:
            return await text_of(model, *tools)
        finally:
            await model.close()


# --- streams ----------------------------------------------------------------------------------------------------------

WHOLE = choice(message={"role": "assistant", "content": "It is a delay."}, finish_reason="stop")


@pytest.mark.parametrize(
    "behave",
    [
        sends(delta("It is "), delta("a delay."), DONE),
        sends(delta("It is "), delta("a delay."), FINISH),
        sends(delta("It is "), delta("a delay."), FINISH, kind="application/json"),
        sends(delta("It is "), delta("a delay."), FINISH, kind="application/octet-stream"),
        sends(delta("It is a delay."), FINISH, kind="text/plain"),
        sends(json.dumps(WHOLE), kind="application/json"),
        sends(json.dumps(WHOLE), kind="text/event-stream"),
        sends("\n\n" + json.dumps(WHOLE, indent=1), kind="text/plain; charset=utf-8"),
        sends(WHOLE),
        sends(delta("It is a delay."), choice(delta={}, message={"content": "It is a delay."}, finish_reason="stop")),
        sends(delta(reasoning_content="The user wants"), delta("It is a delay."), FINISH),
        sends(delta(reasoning="The user wants"), delta("It is a delay."), FINISH),
        sends(delta("<thi"), delta("nk>The user wants</th"), delta("ink>\n\n"), delta("It is a delay."), FINISH),
        sends(delta("The user wants. "), delta("So </thi"), delta("nk>\n\nIt is "), delta("a delay."), FINISH),
        sends(delta("It is a delay.<|im"), delta("_end|>"), delta("\nuser: more"), FINISH),
        sends(choice(delta={"content": [{"type": "text", "text": "It is a delay."}]}), FINISH),
        sends("event: ping\ndata: {}\n\n", delta("It is a delay."), FINISH),
        sends(f"data: {json.dumps(delta('It is a delay.'))}\ndata: {json.dumps(FINISH)}\ndata: [DONE]\n"),  # no empty lines
        sends(f"data:{json.dumps(delta('It is a delay.'))}\r\rdata:{json.dumps(FINISH)}"),
        sends(choice(delta={"content": "It is a delay."}, finish_reason=""), choice(delta={}, finish_reason="length")),
        sends(delta("It is a delay."), {"choices": [{"index": 1, "delta": {"content": "Other."}}]}, FINISH),
        sends({"error": None, **delta("It is a delay.")}, FINISH),
        sends({"choices": [{"index": "0", "delta": {"content": "It is a delay."}}]}, FINISH),
        sends(delta("It is a delay."), 'data: "[DONE]"\n\n'),
        sends({**delta("It is a delay."), "x_groq": {"id": "req_1"}}, FINISH),
        sends(
            f"data: data: {json.dumps(delta('It is a delay.'))}\n\n", "data: data: [DONE]\n\n"
        ),  # a library that writes it, too
        sends(delta("It is a delay."), FINISH, "data: [done]\n\n"),
        sends({"status": "processing", "message": "Queued"}, {"code": 0, "message": "ok"}, delta("It is a delay."), FINISH),
        sends(delta("It is a delay."), FINISH, {"success": True, "message": "done", "code": 200}),
        sends(delta("It is a delay."), FINISH, "data: DONE\n\n"),
        sends(choice(delta={"content": "It is a delay."}, finish_reason="null"), FINISH),
        # No word that this is all: the answer ends as a sentence does, and the connection as it should.
        sends(delta("It is "), delta("a delay.")),
        sends(delta("It is a delay.\n\n")),
    ],
)
async def test_the_same_answer_in_many_shapes(behave: Behaviour) -> None:
    assert (await answered(behave)).strip() == "It is a delay."


@pytest.mark.parametrize("end", ["It is a", "It is a delay, ", "It is a delay (", "", "It is a delay. And"])
async def test_an_answer_that_ends_in_mid_sentence_without_a_word_of_its_end_is_cut_off(end: str) -> None:
    with pytest.raises(ServiceError):
        await answered(sends(delta(end)))


async def test_an_answer_whose_connection_is_only_closed_is_cut_off_though_it_ends_like_a_sentence() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.send(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        await caller.send(f"data: {json.dumps(delta('It is a delay.'))}\n\n".encode())
        caller.leave()

    with pytest.raises(ServiceError, match="cut off"):
        await answered(behave)


@pytest.mark.parametrize("last", [[FINISH], [FINISH, DONE], [DONE], [FINISH, {"choices": [], "usage": {"total_tokens": 3}}]])
@pytest.mark.parametrize("drops", [True, False])
async def test_what_happens_to_the_connection_after_the_last_word_costs_nothing(last: list[Any], drops: bool) -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("It is a delay"), *last, end=False)
        if drops:
            await asyncio.sleep(0.05)  # for what is sent to arrive
            caller.drop()
        else:
            await caller.closed()

    async with asyncio.timeout(1.9):  # less than the limit between two pieces
        assert await answered(behave) == "It is a delay"


async def test_a_server_that_says_with_every_piece_that_it_is_the_last_is_heard_to_its_end() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.say(choice(delta={"content": "It is "}, finish_reason="stop"), end=False)
        await asyncio.sleep(1.2)
        await caller.event(choice(delta={"content": "a delay."}, finish_reason="stop"))
        await caller.send(b"0\r\n\r\n")

    assert await answered(behave) == "It is a delay."


async def test_a_model_that_has_spent_its_tokens_on_thinking_is_given_more() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        if body["max_tokens"] < 1000:
            await caller.say(delta(reasoning_content="Hm."), choice(delta={}, finish_reason="length"))
        else:
            await caller.say(delta(reasoning_content="Hm."), delta("It is."), FINISH)

    async with Scripted(behave) as peer:
        model = asking(peer)
        with pytest.raises(ServiceError, match="thinking"):
            await text_of(model)
        assert await text_of(model) == "It is."
        await model.close()


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    "behave",
    [
        sends(delta("It is"), {"error": {"message": "out of memory", "code": 500}}),
        sends("event: error\ndata: {\"message\": \"out of memory\"}\n\n"),
        sends({"object": "error", "message": "out of memory"}),
        sends({"text": "NETWORK ERROR", "error_code": 50001}),
        sends(choice(delta={"content": ""}, finish_reason="error")),
        sends(delta("It is."), {"code": 50505, "message": "Model service overloaded", "data": None}),
        sends(delta("It is."), {"detail": "Internal Server Error"}),
        sends(delta("It is."), {"errors": [{"message": "out of memory"}]}),
        sends(delta("It is."), {"status": "error", "message": "out of memory"}),
        sends(delta("It is."), {"success": False, "message": "out of memory"}),
        sends(delta("It is."), {"statusCode": 500, "message": "out of memory"}),
        sends(delta("It is."), {"fault": {"faultstring": "out of memory"}}),
        sends(delta("It is."), 'event: exception\ndata: {"message": "out of memory"}\n\n'),
        sends(delta("It is."), "Internal Server Error"),
        sends(delta("It is."), '{"error": {"message": "out of memory"}}\n\n'),
        sends(choice(delta={"role": "assistant", "content": ""}), choice(delta={}, finish_reason="length"), DONE),
        sends(choice(delta={"reasoning_content": "Hm"}), choice(delta={}, finish_reason="length"), DONE),
        sends(json.dumps(choice(message={"content": None, "reasoning": "Hm"}, finish_reason="length")), kind="application/json"),
        sends(delta("It is"), choice(delta={}, finish_reason="content_filter"), DONE),
        sends({"x_groq": {"error": "over capacity"}, **choice(delta={}, finish_reason="stop")}),
        sends('{"error": "model is loading"}', kind="application/json"),
        sends('[{"error": {"code": 400}}]', kind="application/json"),
        sends('"just text"', kind="application/json"),
        sends("null", kind="application/json"),
        sends("{}", kind="application/json"),
        sends('{"detail": "Not Found"}', kind="application/json"),
        sends(DONE),
        sends(NESTED, kind="application/json"),
        sends('{"choices": ' + NESTED, kind="application/json"),
        sends(f"data: {NESTED}\n\n"),
        sends("data: 5\n\n"),
        sends("data: [1, 2]\n\n"),
        sends({"choices": "none"}),
        sends({"choices": [5]}),
        sends({"choices": {"a": 1}}),
        sends(choice(delta={"content": 5})),
        sends(choice(delta="text")),
        sends(delta(tool_calls=5)),
        sends(delta(tool_calls=[5])),
        sends("data: {\"choices\": [{\"delta\": {\"content\": NaN}}]}\n\n"),
        sends("data: {\"choices\": 1" + "0" * 5000 + "}\n\n"),
        sends("It is a delay.", kind="text/plain"),
        sends("", kind="text/event-stream"),
        sends("", kind="application/json"),
        sends("moved", kind="text/html", status=307),
        sends("", status=204),
    ],
)  # fmt: skip
async def test_what_has_another_shape_is_an_error_of_the_service(behave: Behaviour) -> None:
    with pytest.raises(ServiceError) as caught:
        await answered(behave)
    assert caught.value.service == "llm"
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


async def test_bytes_that_are_no_utf_8_cost_a_character_and_not_the_answer() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        event = json.dumps(delta("It is ? a delay.")).encode().replace(b"?", b"\xff\xc3")
        await caller.reply(200, "text/event-stream", b"data: " + event + b"\n\n" + DONE.encode())

    assert "a delay." in await answered(behave)


async def test_the_first_answer_of_an_unknown_model_waits_only_for_a_moment() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("It is"), end=False)
        await caller.closed()

    async with Scripted(behave) as peer, closing(asking(peer).answer(question())) as pieces, asyncio.timeout(1.5):
        assert await anext(aiter(pieces)) == "It is"


async def test_a_model_that_writes_only_the_end_of_its_thinking_is_known_from_then_on() -> None:
    async def slowly(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("The user wants. "), end=False)
        await asyncio.sleep(0.8)
        await caller.event(delta("So</think>It is."))
        await caller.event(FINISH)
        await caller.send(b"0\r\n\r\n")

    async with Scripted(slowly) as peer:
        model = asking(peer)
        await text_of(model)  # nobody can know
        assert await text_of(model) == "It is."
        await model.close()


async def test_a_slow_model_whose_name_is_that_of_a_thinker_is_heard_all_the_same() -> None:
    async def slowly(caller: Caller, path: str, body: Any) -> None:
        await caller.head()
        for _ in range(16):
            await caller.event(delta("Word. "))
            await asyncio.sleep(0.1)
        await caller.event(FINISH)
        await caller.send(b"0\r\n\r\n")

    async with Scripted(slowly, models={"data": [{"id": "qwen3:4b"}]}) as peer:
        model = asking(peer, first_s=0.4)
        await model.warm()
        assert await text_of(model) == "Word. " * 16
        await model.close()


async def test_a_model_that_only_thinks_is_given_up() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.head()
        while True:
            await caller.event(delta(reasoning_content="Hm. "))
            await asyncio.sleep(0.02)

    async with Scripted(behave) as peer:
        model = asking(peer, first_s=0.3, gap_s=0.3)
        with pytest.raises(ServiceTimeout):
            await text_of(model)
        await model.close()


async def test_an_answer_without_end_is_ended() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.head()
        while True:
            await caller.event(delta("And so it goes on. " * 20))

    assert 8000 < len(await answered(behave)) < 10_000


# --- tools ------------------------------------------------------------------------------------------------------------

CALL = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}


@pytest.mark.parametrize(
    "behave",
    [
        sends(delta(tool_calls=[{"index": 0, **CALL}]), FINISH),
        sends(delta(tool_calls=[{**CALL, "function": {"name": "weather", "arguments": {"city": "Oslo"}}}]), DONE),
        sends(delta(tool_calls=[{**CALL, "function": {"name": "weather", "arguments": json.dumps('{"city": "Oslo"}')}}]), DONE),
        sends(json.dumps(choice(message={"content": None, "tool_calls": [CALL]}, finish_reason="stop")), kind="application/json"),
        sends(choice(delta={"function_call": CALL["function"]}), FINISH),
        sends(delta('<tool_call>{"name": "weather", "argu'), delta('ments": {"city": "Oslo"}}</tool_call>'), FINISH),
        sends(delta('{"name": "weather", "parameters": {"city": "Oslo"}}'), FINISH),
        sends(delta('[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}'), FINISH),
        sends(delta('<|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}<|eom_id|>'), FINISH),
    ],
)  # fmt: skip
async def test_the_same_call_in_many_shapes(behave: Behaviour) -> None:
    ran: list[Any] = []

    async def weather(arguments: str) -> str:
        ran.append(json.loads(arguments))
        return "It rains."

    async with Scripted(behave, sends(delta("It rains in Oslo."), FINISH)) as peer:
        model = asking(peer)
        assert await text_of(model, Tool("weather", "Tells the weather.", {"type": "object"}, weather)) == "It rains in Oslo."
        assert ran == [{"city": "Oslo"}]
        call, result = peer.requests[1]["messages"][-2:]
        assert call["tool_calls"][0]["function"]["name"] == "weather"
        assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
        assert result["tool_call_id"] == call["tool_calls"][0]["id"]
        await model.close()


async def test_two_calls_with_one_index_are_two() -> None:
    ran: list[str] = []

    async def weather(arguments: str) -> str:
        ran.append(arguments)
        return ""

    calls = [{"index": 0, "id": name, "function": {"name": "weather", "arguments": f'{{"city": "{name}"}}'}} for name in "ab"]
    async with Scripted(
        sends(delta(tool_calls=calls[:1]), delta(tool_calls=calls[1:]), FINISH), sends(delta("Fine."), DONE)
    ) as peer:
        await text_of(asking(peer), Tool("weather", "", {"type": "object"}, weather))
        assert ran == ['{"city": "a"}', '{"city": "b"}']


async def test_what_a_server_wants_to_see_again_is_given_back_with_the_call() -> None:
    signed = {"index": 0, **CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    thoughts = [choice(delta={"reasoning_content": piece}) for piece in ("The user ", "asks.")]

    async def weather(arguments: str) -> str:
        return "It rains."

    async with Scripted(sends(*thoughts, delta(tool_calls=[signed]), FINISH), sends(delta("Fine."), DONE)) as peer:
        await text_of(asking(peer), Tool("weather", "", {"type": "object"}, weather))
        said = peer.requests[1]["messages"][-2]
        assert said["reasoning_content"] == "The user asks."  # DeepSeek, Kimi
        assert said["tool_calls"][0]["extra_content"] == signed["extra_content"]  # Gemini 3


async def test_all_calls_once_more_at_the_end_are_run_once() -> None:
    ran: list[str] = []

    async def weather(arguments: str) -> str:
        ran.append(arguments)
        return ""

    calls = [
        {"index": at, "id": name, "function": {"name": "weather", "arguments": f'{{"city": "{name}"}}'}}
        for at, name in enumerate("ab")
    ]
    whole = choice(delta={}, message={"content": None, "tool_calls": calls}, finish_reason="tool_calls")
    async with Scripted(sends(delta(tool_calls=calls), whole), sends(delta("Fine."), DONE)) as peer:
        await text_of(asking(peer), Tool("weather", "", {"type": "object"}, weather))
        assert ran == ['{"city": "a"}', '{"city": "b"}']


PAST = {
    "Kimi": {"error": {"message": "reasoning_content is missing in assistant tool call message at index 2"}},
    "Gemini": [{"error": {"message": "Function call is missing a thought_signature in functionCall parts. This is required."}}],
    "TGI": {"error": "Failed to deserialize: messages[2].content: invalid type: null, expected a string"},
    "LM Studio": {
        "error": 'Error rendering prompt with jinja template: "Only user, assistant and system roles are supported!"'
    },
    "FastAPI": {"detail": [{"loc": ["body", "messages", 3, "role"], "msg": "Input should be 'system', 'user' or 'assistant'"}]},
    "Cloudflare": {"errors": [{"message": "Type mismatch of '/messages/2/content', 'string' not in 'null'"}]},
}


@pytest.mark.parametrize("server", PAST)
async def test_what_tools_have_done_is_told_in_words_where_a_server_refuses_it_as_calls(server: str) -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        if any(message["role"] == "tool" for message in body["messages"]):
            await caller.reply(400, "application/json", json.dumps(PAST[server]).encode())
        else:
            await caller.say(delta("Fine."), FINISH)

    async def nothing(arguments: str) -> str:
        return ""

    asked = question(Tool("nothing", "Does nothing.", {"type": "object"}, nothing))
    asked = replace(asked, history=(Exchange("Set it.", "Done.", (Deed("nothing", "{}", "I have set it."),)),))
    async with Scripted(behave) as peer:
        model = asking(peer)
        for _ in range(2):
            assert "".join([piece async for piece in model.answer(asked)]) == "Fine."
        assert len(peer.requests) == 3
        assert "tools" in peer.requests[-1]  # they are offered all the same
        assert [message["role"] for message in peer.requests[-1]["messages"]] == ["system", "user", "assistant", "user"]
        assert "I have set it." in peer.requests[-1]["messages"][1]["content"]
        await model.close()


# --- what a server does not take --------------------------------------------------------------------------------------


def fussy(*wrong: tuple[str, int, Any]) -> Behaviour:
    """Refuses requests that have a field of `wrong`, in these words."""

    async def behave(caller: Caller, path: str, body: Any) -> None:
        for name, status, told in wrong:
            if name in body or (name == "system" and body["messages"][0]["role"] == "system"):
                await caller.reply(status, "application/json", json.dumps(told).encode())
                return
        if body.get("stream"):
            await caller.say(delta("Fine."), FINISH)
        else:
            await caller.reply(200, "application/json", json.dumps(choice(message={"content": "Fine."})).encode())

    return behave


def openai_says(name: str, told: str, code: str = "unsupported_parameter") -> dict[str, Any]:
    return {"error": {"message": told, "type": "invalid_request_error", "param": name, "code": code}}


TEMPERATURE = "Unsupported value: 'temperature' does not support 0.4 with this model. Only the default (1) value is supported."
TOKENS = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
REFUSALS: dict[str, tuple[str, int, Any]] = {
    "OpenAI, temperature": ("temperature", 400, openai_says("temperature", TEMPERATURE, "unsupported_value")),
    "OpenAI, max_tokens": ("max_tokens", 400, openai_says("max_tokens", TOKENS)),
    "a proxy, max_tokens": ("max_tokens", 400, {"error": {"message": TOKENS, "code": "invalid_request_body"}}),
    "OpenAI, stream": ("stream", 400, openai_says("stream", "Your organization must be verified to stream this model.")),
    "FastAPI, stream": ("stream", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream"], "msg": "Extra inputs"}]}),
    "in words, stream": ("stream", 501, {"error": "Streaming is not supported"}),
    "Ollama, tools": ("tools", 400, {"error": {"message": "registry.ollama.ai/library/gemma:2b does not support tools"}}),
    "vLLM, tools": (
        "tools", 400,
        {"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'},
    ),
    "OpenRouter, tools": ("tools", 404, {"error": {"message": "No endpoints found that support tool use.", "code": 404}}),
    "llama.cpp, tools": ("tools", 500, {"error": {"code": 500, "message": "tools param requires --jinja flag"}}),
    "Gemma, system": ("system", 400, {"error": {"message": "System role not supported"}}),
    "o1, system": ("system", 400, openai_says("messages[0].role", "'messages[0].role' does not support 'system' with this model.")),
    "Mistral's template, system": ("system", 400, {"message": "Conversation roles must alternate user/assistant/..."}),
    "llama.cpp, system": ("system", 500, {"error": {"message": "Jinja Exception: roles must alternate user/assistant/..."}}),
    "LM Studio, system": ("system", 400, {"error": 'Error rendering prompt: "Only user and assistant roles are supported!"'}),
    "FastAPI, system": (
        "system", 422,
        {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'", "input": "system"}]},
    ),
    "a server, system": ("system", 422, {"error": {"message": "invalid role: system"}}),
    "AWS, system": ("system", 400, {"message": "A conversation must start with a user message. Try again with one that does."}),
    "Gemma's template, system": ("system", 500, {"error": "Jinja Exception: Only user and model roles are supported"}),
    "a server, tools": ("tools", 400, {"error": {"message": "This model is not capable of function calling"}}),
    "fixed, temperature": ("temperature", 400, {"error": {"message": "The value of temperature is fixed for this model"}}),
    "instead, max_tokens": ("max_tokens", 400, {"error": {"message": "Please use max_completion_tokens instead of max_tokens"}}),
    "only, stream": ("stream", 400, {"error": {"message": "Only non-streaming requests are allowed"}}),
    "Gemini, tools": ("tools", 400, [{"error": {"message": "Function calling is not enabled for models/gemma-3-27b-it"}}]),
    "Perplexity, tools": ("tools", 400, {"error": {"message": "Tool calling is not supported for this model."}}),
    "Claude, temperature": ("temperature", 400, {"error": {"message": "`temperature` is deprecated for this model."}}),
    "OpenAI's search, temperature": ("temperature", 400, {"error": {"message": "Model incompatible argument: temperature"}}),
    "Kimi, temperature": ("temperature", 400, {"message": "temperature: only 1 is allowed for this model"}),
    "param at the top": ("temperature", 400, {"message": "Bad value", "param": "temperature"}),
    "Mistral, nested": (
        "max_tokens", 422,
        {"message": {"detail": [{"loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted", "input": 400}]}},
    ),
    "Go, tools": ("tools", 400, 'json: unknown field "tools"'),
}  # fmt: skip


@pytest.mark.parametrize("server", REFUSALS)
async def test_what_a_server_refuses_is_left_out_from_then_on(server: str) -> None:
    async def nothing(arguments: str) -> str:
        return ""

    async with Scripted(fussy(REFUSALS[server])) as peer:
        model, tool = asking(peer), Tool("nothing", "Does nothing.", {"type": "object"}, nothing)
        assert await text_of(model, tool) == "Fine."
        assert await text_of(model, tool) == "Fine."
        assert len(peer.requests) == 3  # it was asked in vain only once
        assert "What is latency?" in peer.requests[-1]["messages"][-1]["content"]
        if REFUSALS[server][0] == "max_tokens":
            assert peer.requests[-1]["max_completion_tokens"]
        if REFUSALS[server][0] == "system":
            assert peer.requests[-1]["messages"][0]["content"].startswith("Be brief.")
        await model.close()


# What a server says of one request, or of itself: nothing is left out the next time.
ONCE: dict[str, tuple[int, Any]] = {
    "a gateway": (502, {"error": {"message": "Error processing stream: unexpected end of data"}}),
    "a stream": (500, {"error": "the upstream stream was closed in an unexpected way"}),
    "llama.cpp": (500, {"error": {"message": "Failed to parse tool call arguments as JSON: unexpected end of input"}}),
    "Groq": (400, openai_says("", "tool call validation failed: attempted to call tool 'x'", "tool_use_failed")),
    "vLLM": (
        400,
        {"message": "'max_tokens' or 'max_completion_tokens' is too large: 400. The maximum context length is 4096."},
    ),
    "named": (400, openai_says("max_tokens", "max_tokens=400 cannot be greater than max_model_len=4096 - 3900", "")),
    "OpenRouter": (402, {"error": {"message": "This request requires more credits, or fewer max_tokens."}}),
    "a hot machine": (500, {"error": {"message": "GPU temperature too high: must cool down"}}),
    "quoted": (
        422,
        {"detail": [{"loc": ["body", 10], "msg": "JSON decode error", "input": {"stream": True, "temperature": 0.4}}]},
    ),
}


@pytest.mark.parametrize("server", ONCE)
async def test_what_a_server_says_of_one_request_is_not_kept(server: str) -> None:
    status, told = ONCE[server]

    async def wrong(caller: Caller, path: str, body: Any) -> None:
        await caller.reply(status, "application/json", json.dumps(told).encode())

    async def nothing(arguments: str) -> str:
        return ""

    async with Scripted(wrong, fussy()) as peer:
        model, tool = asking(peer), Tool("nothing", "Does nothing.", {"type": "object"}, nothing)
        with suppress(ServiceError):
            await text_of(model, tool)
        assert await text_of(model, tool) == "Fine."
        assert {"stream", "temperature", "max_tokens", "tools"} <= set(peer.requests[-1])
        await model.close()


@pytest.mark.parametrize(
    "told",
    [
        "System role not supported",
        "After the optional system message, conversation roles must alternate user/assistant",
        "Your system prompt must not ask for that",
        "tools are not supported",
    ],
)
async def test_who_objects_to_the_same_again_and_again_is_not_asked_for_ever(told: str) -> None:
    async with Scripted(sends(json.dumps({"error": told}), kind="application/json", status=400)) as peer:
        model = asking(peer)
        with pytest.raises(ServiceError):
            await text_of(model)
        assert len(peer.requests) <= 3
        await model.close()


async def test_what_a_server_misses_is_not_taken_for_what_it_quotes() -> None:
    missing = {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "input": {"stream": True, "max_tokens": 400}}]}
    async with Scripted(sends(json.dumps(missing), kind="application/json", status=422)) as peer:
        model = asking(peer)
        with pytest.raises(ServiceError):
            await text_of(model)
        assert len(peer.requests) == 1
        await model.close()


async def test_a_server_that_refuses_nearly_everything_is_spoken_to() -> None:
    everything = [REFUSALS[name] for name in ("OpenAI, temperature", "OpenAI, max_tokens", "OpenAI, stream", "Gemma, system")]
    both = ("max_completion_tokens", 400, {"error": "Unknown field max_completion_tokens"})
    async with Scripted(fussy(*everything, both)) as peer:
        assert await text_of(asking(peer)) == "Fine."
        assert set(peer.requests[-1]) == {"messages", "model"}


async def test_what_is_wrong_otherwise_is_not_asked_again() -> None:
    async with Scripted(
        sends('{"error": {"message": "This model\'s maximum context length is 8 tokens."}}', status=400)
    ) as peer:
        with pytest.raises(ServiceError, match="400"):
            await text_of(asking(peer))
        assert len(peer.requests) == 1


# --- which model ------------------------------------------------------------------------------------------------------


async def test_openai_is_asked_for_the_model_that_is_meant_and_not_for_the_first_of_its_list(monkeypatch: Any) -> None:
    async with Scripted(fussy(), models={"data": [{"id": "dall-e-2"}, {"id": "gpt-4-0613"}]}) as peer:
        monkeypatch.setattr("vendors.openai.OPENAI", peer.url)
        model = asking(peer)
        await model.warm()
        assert await text_of(model) == "Fine."
        assert peer.requests[0]["model"] == MODEL
        await model.close()


async def test_of_several_models_the_one_that_suits_is_asked_for() -> None:
    mixed = {"data": [{"id": "nomic-embed-text"}, {"id": "whisper-1"}, {"id": "kokoro"}, {"id": "qwen3:4b"}]}
    async with Scripted(fussy(), models=mixed) as peer:
        model = asking(peer)
        await model.warm()
        assert await text_of(model) == "Fine."
        assert peer.requests[0]["model"] == "qwen3:4b"
        await model.close()
    async with Scripted(says("application/json", '{"text": "Hi."}'), models=mixed) as peer:
        stt = OpenAiStt(remote(peer), Health(), "en")
        await stt.warm()
        await stt.transcribe(SPEECH, final=True)
        assert b'name="model"\r\n\r\nwhisper-1' in peer.requests[0]
        await stt.close()


@pytest.mark.parametrize(
    ("models", "asked"),
    [({"data": []}, "default"), (404, "default"), (500, "default"), (b"<html>", "default"), ([], "default")],
)
async def test_a_server_that_does_not_tell_its_models_is_asked_all_the_same(models: Any, asked: str) -> None:
    async with Scripted(fussy(), models=models) as peer:
        model = asking(peer)
        await model.warm()
        assert await text_of(model) == "Fine."
        assert peer.requests[0]["model"] == asked
        await model.close()


async def test_a_server_without_a_model_for_this_is_not_asked() -> None:
    health = Health()
    async with Scripted(fussy(), models={"data": [{"id": "whisper-1"}, {"id": "bge-m3"}]}) as peer:
        model = asking(peer, health)
        await model.warm()
        assert "lists no model" in health.degraded["llm"]
        with pytest.raises(ServiceError, match="lists no model"):
            await text_of(model)
        assert peer.requests == []
        await model.close()


async def test_a_server_that_comes_up_later_is_asked_for_its_model_then() -> None:
    port = free_port()
    model = OpenAiAnswerer(Endpoint(f"http://127.0.0.1:{port}/v1", first_s=2.0), Health())
    await model.warm()
    with pytest.raises(ServiceUnavailable):
        await text_of(model)
    async with Scripted(fussy(), models={"data": []}, port=port) as peer:
        assert await text_of(model) == "Fine."
        peer.models = {"data": [{"id": "late"}]}
        assert await text_of(model) == "Fine."
        assert [asked["model"] for asked in peer.requests] == ["default", "late"]
    await model.close()


async def test_a_server_that_runs_another_model_now_is_asked_for_that() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        if body["model"] == "old":
            await caller.reply(404, "application/json", b'{"error": {"message": "The model `old` does not exist."}}')
        else:
            await caller.say(delta("Fine."), FINISH)

    async with Scripted(behave, models={"data": [{"id": "old"}]}) as peer:
        model = asking(peer)
        await model.warm()
        peer.models = {"data": [{"id": "new"}]}
        assert await text_of(model) == "Fine."
        await model.close()


# --- a model that is loaded -------------------------------------------------------------------------------------------


class Loading:
    """A server that loads its model for the first request, and begins anew when that is broken off (Ollama)."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.loaded = False
        self.begun = 0

    async def __call__(self, caller: Caller, path: str, body: Any) -> None:
        if not self.loaded:
            self.begun += 1
            gone = asyncio.create_task(caller.closed())
            if (await asyncio.wait({gone}, timeout=self.takes_s))[0]:
                return
            gone.cancel()
            await asyncio.wait({gone})
            self.loaded = True
        await caller.say(delta("Fine."), FINISH)


async def test_a_model_may_finish_loading_though_nobody_waits_for_it() -> None:
    server = Loading(0.8)
    async with Scripted(server) as peer:
        model = asking(peer, first_s=0.3)
        with pytest.raises(ServiceTimeout):
            await text_of(model)
        await asyncio.sleep(0.9)
        assert server.loaded and server.begun == 1
        assert await text_of(model) == "Fine."
        await model.close()


async def test_an_interruption_does_not_make_a_model_load_anew() -> None:
    server = Loading(1.5)
    async with Scripted(server) as peer:
        model = asking(peer, first_s=5.0)
        waiting = asyncio.create_task(text_of(model))
        await asyncio.sleep(1.2)
        waiting.cancel()
        await asyncio.sleep(0.6)
        assert server.loaded and server.begun == 1
        await model.close()


async def test_closing_ends_the_wait_for_a_model() -> None:
    seen = asyncio.Event()

    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.closed()
        seen.set()

    async with Scripted(behave) as peer:
        model = asking(peer, first_s=0.2)
        with pytest.raises(ServiceTimeout):
            await text_of(model)
        assert not seen.is_set()
        await model.close()
        await asyncio.wait_for(seen.wait(), 2)


# --- answers without bounds -------------------------------------------------------------------------------------------

BLOCK = b"x" * (1 << 16)


def endless(before: bytes, block: bytes = BLOCK, kind: str = "text/event-stream") -> Behaviour:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.head(200, kind)
        await caller.chunk(before)
        while True:
            await caller.chunk(block)

    return behave


def bomb(kind: str, inside: bytes, encoding: str = "gzip") -> Behaviour:
    packed = gzip.compress(inside)

    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.reply(200, kind, packed, f"content-encoding: {encoding}\r\n")

    return behave


async def headers(caller: Caller, path: str, body: Any) -> None:
    await caller.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await caller.send(b"x-more: " + BLOCK + b"\r\n")


async def informed(caller: Caller, path: str, body: Any) -> None:
    while True:
        await caller.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.01)


FLOODS = {
    "a line without end": endless(b"data: "),
    "data without end": endless(b"data: x\n", b"data: " + BLOCK[:1000] + b"\n"),
    "comments without end": endless(b": hi\n\n", b": " + BLOCK + b"\n\n"),
    "empty lines": endless(b"\n", b"\n" * 65536),
    "JSON without end": endless(b'{"choices": "', kind="application/json"),
    "spaces": endless(b" ", b" " * 65536, kind="application/json"),
    "headers": headers,
    "informed": informed,
    "packed": bomb("application/json", b'{"choices": "' + b" " * (300 << 20)),
    "packed events": bomb("text/event-stream", b"data: " + b"x" * (300 << 20)),
    "packed otherwise": bomb("application/json", b"{}", "br"),
    "not packed at all": endless(b"", b"zzzz", "text/event-stream"),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("service", ["llm", "stt", "tts"])
async def test_an_answer_without_bounds_is_cut_off_and_the_embedded_service_takes_over(flood: str, service: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with Scripted(FLOODS[flood]) as peer, asyncio.timeout(20):
        place = remote(peer, first_s=1.0, gap_s=0.5, total_s=3.0)
        if service == "llm":
            with pytest.raises(ServiceError):
                await text_of(OpenAiAnswerer(place, Health()))
        elif service == "stt":
            stt = SttWithFallback(OpenAiStt(place, Health(), "en"), FakeStt("the spare"), interim=False)
            assert (await stt.transcribe(SPEECH, final=True)).text == "the spare"
        elif flood != "not packed at all":
            tts, spare = OpenAiTts(place, Health(), "alloy"), FakeTts()
            assert [piece async for piece in TtsWithFallback(tts, spare).speak("Hello.")]
            assert spare.spoken
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


async def test_a_list_of_models_without_end_is_cut_off() -> None:
    health = Health()
    async with Scripted(fussy(), models=b'{"data": "' + b" " * (2 * LONGEST_TEXT) + b'"}') as peer:
        model = asking(peer, health)
        await model.warm()
        assert "more than" in health.degraded["llm"]
        assert await text_of(model) == "Fine."
        await model.close()


async def test_packed_answers_are_still_read() -> None:
    stream = f"data: {json.dumps(delta('Fine.'))}\n\n{DONE}".encode()
    assert await answered(bomb("text/event-stream", stream)) == "Fine."


async def test_errors_without_bounds_are_short_and_hold_no_secret() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.head(500, "text/plain")
        await caller.chunk(b"\x1b[31msk-very-secret-0123456789\r\nlevel=ERROR forged\n")
        while True:
            await caller.chunk(BLOCK)

    async with Scripted(behave) as peer:
        with pytest.raises(ServiceError) as caught:
            await text_of(asking(peer))
        assert len(str(caught.value)) < 500
        assert str(caught.value).isprintable()
        assert "secret" not in str(caught.value)


async def test_a_password_in_the_address_is_not_told() -> None:
    health = Health()
    async with Scripted(sends("no", status=500), models=b"<html>") as peer:
        model = OpenAiAnswerer(remote(peer.url.replace("://", "://user:hunter2@")), health)
        await model.warm()
        with pytest.raises(ServiceError) as caught:
            await text_of(model)
        assert "hunter2" not in str(caught.value) + str(health.degraded)


async def test_a_query_in_the_address_is_sent_with_every_request() -> None:
    paths: list[str] = []

    async def behave(caller: Caller, path: str, body: Any) -> None:
        paths.append(path)
        await caller.say(delta("Fine."), FINISH)

    async with Scripted(behave) as peer:
        assert await text_of(OpenAiAnswerer(Endpoint(f"{peer.url}?api-version=2025-01-01", "m"), Health())) == "Fine."
        assert paths == ["/v1/chat/completions?api-version=2025-01-01"]


# --- recognisers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain; charset=utf-8", "Hello there.\n", "Hello there."),
        ("text/plain", '{"text": "Hello there."}', "Hello there."),
        ("text/html; charset=utf-8", '{"text": "Hello there."}', "Hello there."),
        ("application/json", 'data: {"text": "Hello there."}\n\n', "Hello there."),
        ("application/json", '{"task": "transcribe", "segments": [{"text": "Hello"}], "text": "Hello there."}', "Hello there."),
        ("application/json", '{"text": ""}', ""),
        ("text/plain", "", ""),
        ("text/event-stream", 'data: {"type": "transcript.text.done", "text": ""}\n\n', ""),
        ("application/json", '{"text": "Hello\\u0000 \\ud800there."}', "Hello there."),
        ("application/json", '{"text": "[BLANK_AUDIO]"}', ""),
        ("application/json", '{"text": "(coughing) ♪ [MUSIC]"}', ""),
        ("application/json", '{"transcription": "Hello there."}', "Hello there."),
        ("application/json", '{"transcript": "Hello there.", "confidence": 0.9}', "Hello there."),
        ("application/json", '{"transcription": [{"text": " Hello"}, {"text": " there."}]}', "Hello there."),
        ("application/json", '{"segments": [{"text": "Hello"}, {"text": "there."}]}', "Hello there."),
        ("application/json", '{"transcription": ""}', ""),
        ("application/json", '{"text": "<|en|><|transcribe|> Hello there.<|endoftext|>"}', "Hello there."),
        ("text/plain", "1\n00:00:00,000 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,000\nthere.\n", "Hello there."),
        ("application/x-subrip", "1\r\n00:00:00,000 --> 00:00:01,000\r\n<i>Hello</i> there.\r\n", "Hello there."),
        ("text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000 align:start position:0%\nHello there.\n", "Hello there."),
        ("text/plain", "WEBVTT\nKind: x\n\nNOTE by us\n\n00:00.000 --> 00:01.000\n<v Ann>Hello there.</v>\n", "Hello there."),
        ("text/plain", "WEBVTT\n\n00:00.000 --> 00:01.000\n<00:00:00.000><c> Hello</c><c> there.</c>\n", "Hello there."),
        ("text/plain", "WEBVTT\n\n", ""),
        ("text/plain", "[BLANK_AUDIO]\n", ""),
        ("text/plain", "[MUSIC] Hello there.", "Hello there."),
        ("text/plain", "{laughs} Hello there.", "{laughs} Hello there."),
        ("application/json", '{"text": "language English<asr_text>Hello there."}', "Hello there."),
        ("application/json", '{"text": "lang:en Hello there."}', "Hello there."),
        ("application/json", '{"text": ">> Hello <sil> there. ⁇"}', "Hello there."),
        ("application/json", '{"text": "*coughs* （笑）Hello there.【音楽】"}', "Hello there."),
        # What only looks like it.
        ("application/json", '{"text": "My number is (212) 555-0100."}', "My number is (212) 555-0100."),
        ("application/json", '{"text": "Open the file(s) of f(x)."}', "Open the file(s) of f(x)."),
        ("application/json", '{"text": "Is 2 * 3 * 4 > 5 and 3 < 5?"}', "Is 2 * 3 * 4 > 5 and 3 < 5?"),
        ("application/json", '{"text": "Note: the language English, lang: en."}', "Note: the language English, lang: en."),
    ],
)  # fmt: skip
async def test_transcriptions_come_in_many_shapes(kind: str, body: str, text: str) -> None:
    async with Scripted(says(kind, body)) as peer:
        assert (await OpenAiStt(remote(peer), Health(), "en").transcribe(SPEECH, final=True)).text == text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '{"text": null}'), ("application/json", '{"text": 5}'), ("application/json", '{"text": ["Hello"]}'),
        ("application/json", '{"text": NaN}'), ("application/json", '{"text": {"a": 1}}'), ("application/json", "{}"),
        ("application/json", "null"), ("application/json", '"Hello"'), ("application/json", ""), ("application/json", "[" * 99_999),
        ("application/json", '{"error": "no model"}'), ("text/html", "<html>Hello</html>"), ("audio/wav", "RIFF"),
        ("text/event-stream", 'data: {"error": {"message": "gone"}}\n\n'), ("text/event-stream", 'data: {"choices": 5}\n\n'),
        ("text/event-stream", "data: [DONE]\n\n"),
    ],
)  # fmt: skip
async def test_a_transcription_without_text_is_made_by_the_embedded_recogniser(kind: str, body: str) -> None:
    async with Scripted(says(kind, body)) as peer:
        stt = SttWithFallback(OpenAiStt(remote(peer), Health(), "en"), FakeStt("the spare"), interim=False)
        assert (await stt.transcribe(SPEECH, final=True)).text == "the spare"


async def test_a_transcription_that_is_no_utf_8_is_made_by_the_embedded_recogniser() -> None:
    async def behave(caller: Caller, path: str, sent: Any) -> None:
        await caller.reply(200, "application/json", '{"text": "Grüße"}'.encode("latin-1"))

    async with Scripted(behave) as peer:
        stt = SttWithFallback(OpenAiStt(remote(peer), Health(), "en"), FakeStt("the spare"), interim=False)
        assert (await stt.transcribe(SPEECH, final=True)).text == "the spare"


async def test_a_recogniser_that_refuses_to_stream_is_asked_without() -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        if b'name="stream"' in body:
            await caller.reply(
                400, "application/json", b'{"error": {"message": "Unknown parameter: stream", "param": "stream"}}'
            )
        else:
            await caller.reply(200, "application/json", b'{"text": "Hello there."}')

    async with Scripted(behave) as peer:
        stt = OpenAiStt(remote(peer), Health(), "en")
        for _ in range(2):
            assert (await stt.transcribe(SPEECH[: HEARING_RATE // 2], final=True)).text == "Hello there."
        assert len(peer.requests) == 3
        await stt.close()


# --- voices -----------------------------------------------------------------------------------------------------------

FORM = {"wav": wav(pcm()), "pcm": pcm(), "mp3": encoded("mp3", "libmp3lame")}
VOICES: dict[str, tuple[Callable[[dict[str, Any]], bool], int, Any, str]] = {
    "a form, named": (lambda b: b["response_format"] == "pcm", 422, {"detail": "Unsupported response_format: pcm"}, "wav"),
    "a form, in words": (lambda b: b["response_format"] == "pcm", 400, openai_says("", "Unsupported audio format: pcm", ""), "wav"),
    "a form, one of": (
        lambda b: b["response_format"] != "wav", 422,
        {"detail": [{"loc": ["body", "response_format"], "msg": "Input should be 'mp3' or 'wav'", "input": "pcm"}]}, "wav",
    ),
    "every form": (
        lambda b: "response_format" in b, 422,
        {"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted", "input": "pcm"}]}, "",
    ),
    "Kokoro, a voice": (lambda b: "voice" in b, 400, {"detail": {"message": "Voice 'alloy' not found. Available: sky"}}, "pcm"),
    "speaches, a voice": (lambda b: "voice" in b, 422, {"detail": "Voice 'alloy' is not supported. Supported: ['sky']"}, "pcm"),
    "vLLM, a voice": (lambda b: "voice" in b, 400, {"error": {"message": "Invalid speaker 'alloy'. Supported: ryan"}}, "pcm"),
    "Groq, a voice": (lambda b: "voice" in b, 400, openai_says("voice", "voice must be one of [Fritz-PlayAI]", ""), "pcm"),
    "a pace": (lambda b: "speed" in b, 400, openai_says("speed", "speed is not supported by this model"), "pcm"),
}  # fmt: skip


@pytest.mark.parametrize("server", VOICES)
async def test_a_voice_that_refuses_something_is_asked_for_what_it_has(server: str) -> None:
    refuses, status, told, form = VOICES[server]

    async def behave(caller: Caller, path: str, body: Any) -> None:
        if refuses(body):
            await caller.reply(status, "application/json", json.dumps(told).encode())
        else:
            await caller.reply(200, "audio/pcm", FORM[body.get("response_format", "mp3")])

    async with Scripted(behave) as peer:
        tts = OpenAiTts(remote(peer), Health(), "alloy")
        for _ in range(2):
            assert sum([len(speech.samples) async for speech in tts.speak("Hello.")]) > 0.9 * SPEAKING_RATE
        assert len(peer.requests) <= 4
        assert peer.requests[-1].get("response_format", "") == form
        await tts.close()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (500, {"error": "Voice synthesis failed: invalid phoneme"}),
        (500, {"error": "unexpected tensor at speed 0.1"}),
        (400, openai_says("input", "Invalid input: the voice has nothing to say", "")),
        (422, {"detail": [{"loc": ["body", "language"], "msg": "Field required", "input": {"voice": "alloy", "speed": 1.0}}]}),
    ],
)
async def test_a_voice_that_fails_once_is_asked_for_the_same_again(status: int, told: Any) -> None:
    async def wrong(caller: Caller, path: str, body: Any) -> None:
        await caller.reply(status, "application/json", json.dumps(told).encode())

    async def fine(caller: Caller, path: str, body: Any) -> None:
        await caller.reply(200, "audio/pcm", pcm())

    async with Scripted(wrong, fine) as peer:
        tts = OpenAiTts(remote(peer), Health(), "alloy")
        with suppress(ServiceError):
            assert [speech async for speech in tts.speak("Hello.")]
        assert [speech async for speech in tts.speak("Hello.")]
        assert {"voice", "speed", "response_format"} <= set(peer.requests[-1])
        await tts.close()


@pytest.mark.parametrize(
    ("kind", "headers", "seconds"),
    [
        ("audio/pcm;rate=22050", "", 24_000 / 22_050),
        ('audio/pcm; rate="22050"', "", 24_000 / 22_050),
        ("audio/L16; rate = 22050", "", 24_000 / 22_050),
        ("audio/x-pcm; sample_rate=16000", "", 1.5),
        ("audio/pcm", "X-Sample-Rate: 22050\r\n", 24_000 / 22_050),
        ("application/octet-stream", "X-Audio-Sample-Rate: 16000\r\n", 1.5),
        ('audio/pcm; channels="2"', "", 0.5),
        ("audio/pcm", "X-Channels: 2\r\n", 0.5),
        ("audio/pcm", "X-Sample-Rate: 16000 Hz\r\n", 1.5),
        ("audio/pcm", "x-audio-samplerate: 16000.0\r\n", 1.5),
        ("audio/pcm; bitrate=384000", "", 1.0),
        ("audio/pcm; bit_rate=384000", "X-Bitrate: 48000\r\n", 1.0),
        ("audio/pcm;rate=0", "", 1.0),
        ("audio/pcm", "X-Sample-Rate: none\r\n", 1.0),
        ("audio/pcm;rate=24000", "X-Sample-Rate: 16000\r\n", 1.0),
    ],
)
async def test_the_rate_and_the_channels_of_raw_sound_are_told_in_many_ways(kind: str, headers: str, seconds: float) -> None:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.reply(200, kind, pcm(), headers)

    async with Scripted(behave) as peer:
        tts = OpenAiTts(remote(peer), Health(), "alloy")
        got = sum([len(speech.samples) async for speech in tts.speak("Hello.")])
        assert got == pytest.approx(seconds * SPEAKING_RATE, abs=0.02 * SPEAKING_RATE)
        await tts.close()


# --- many at once -----------------------------------------------------------------------------------------------------


async def test_a_hostile_server_is_left_alone_after_a_few_answers() -> None:
    async with Scripted(endless(b"data: ")) as peer:
        model = asking(peer)
        for _ in range(FAILURES + 2):
            with pytest.raises(ServiceError):
                await text_of(model)
        assert len(peer.requests) == FAILURES
        await model.close()
