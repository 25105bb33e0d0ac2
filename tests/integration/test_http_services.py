"""HTTP services against real servers on loopback: what they are asked, what comes back, and what happens when they misbehave."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soxr
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pydantic import SecretStr

from services.base import (
    HEARING_RATE,
    SPEAKING_RATE,
    Intent,
    Passage,
    Question,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
    Tool,
    closing,
)
from services.endpoint import Endpoint
from services.fallback import SttWithFallback, TtsWithFallback, unspoken
from services.guard import FAILURES
from services.health import Health
from tests.bench.server import free_port
from tests.integration.certificates import self_signed
from tests.integration.peers import FINISH, Behaviour, Caller, Scripted, delta
from tests.unit.fakes import FakeStt, FakeTts
from vendors.http.client import ATTEMPTS, HttpClient
from vendors.openai.llm import OpenAiAnswerer
from vendors.openai.stt import OpenAiStt
from vendors.openai.tts import OpenAiTts

KEY = "sk-very-secret-0123456789"
TONE = (np.sin(np.arange(24_000) / 20) * 8000).astype("<i2")  # a second at 24 kHz
SPEECH = (np.sin(np.arange(HEARING_RATE) / 9) * 0.3).astype(np.float32)


def remote(peer: Scripted | str, **limits: float) -> Endpoint:
    url = peer if isinstance(peer, str) else peer.url
    return Endpoint(url, key=SecretStr(KEY), **{"first_s": 2.0, "gap_s": 2.0, **limits})  # type: ignore[arg-type]


def question(*tools: Tool) -> Question:
    return Question("What is latency?", Intent("question", 1.0), [Passage("a", "Latency", "A delay.")], (), "Be brief.", tools)


def asking(peer: Scripted, health: Health | None = None, **limits: float) -> OpenAiAnswerer:
    return OpenAiAnswerer(remote(peer, **limits), health or Health())


async def text_of(model: OpenAiAnswerer, *tools: Tool) -> str:
    return "".join([piece async for piece in model.answer(question(*tools))])


@pytest.fixture(autouse=True)
def no_key_in_the_log(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert KEY not in caplog.text


# --- chat completions -------------------------------------------------------------------------------------------------


async def test_dialects_of_an_event_stream_are_understood() -> None:
    usage = {"choices": [], "usage": {"total_tokens": 7}}
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]}

    async def behave(caller: Caller, path: str, body: Any) -> None:
        assert path == "/v1/chat/completions"
        await caller.say(": keep-alive\n\n", role, delta("It is "), ": ping\n\n", delta("a delay."), FINISH, usage)

    async with Scripted(behave) as peer:
        model = asking(peer)
        await model.warm()
        assert await text_of(model) == "It is a delay."
        assert peer.requests[0]["model"] == "scripted"
        assert peer.requests[0]["stream"] is True
        assert peer.requests[0]["messages"][-1]["content"].endswith("- Latency: A delay.")
        assert await text_of(model) == "It is a delay."
        assert peer.connections == 1  # the connection was kept
        await model.close()


async def test_bytes_may_be_cut_anywhere() -> None:
    text = "Grüße, naïve café — ok."

    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.head()
        stream = (
            f'data: {{"choices": [{{"delta": {{"content": "{text}"}}, "finish_reason": "stop"}}]}}\r\n\r\ndata: [DONE]\r\n\r\n'
        )
        for byte in stream.encode():
            await caller.chunk(bytes([byte]))
        await caller.send(b"0\r\n\r\n")

    async with Scripted(behave) as peer:
        assert await text_of(asking(peer)) == text


@pytest.mark.parametrize("whole", [False, True], ids=["in pieces", "whole and without index"])
async def test_tools_are_run_and_their_results_given_back(whole: bool) -> None:
    ran: list[str] = []

    async def weather(arguments: str) -> str:
        ran.append(arguments)
        return "It rains."

    def part(**function: str) -> dict[str, Any]:
        return {"function": function} if whole else {"index": 0, "function": function}

    async def call(caller: Caller, path: str, body: Any) -> None:
        if whole:
            pieces = [delta(tool_calls=[part(name="weather", arguments='{"city": "Oslo"}')])]
        else:
            begun = part(name="weather", arguments="") | {"id": "call_7", "type": "function"}
            pieces = [delta(tool_calls=[begun])] + [delta(tool_calls=[part(arguments=p)]) for p in ('{"ci', 'ty": "Os', 'lo"}')]
        await caller.say(delta("One moment. "), *pieces, FINISH)

    async def answer(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("It rains in Oslo."), FINISH)

    tool = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}}, weather)
    async with Scripted(call, answer) as peer:
        assert await text_of(asking(peer), tool) == "One moment. It rains in Oslo."
        assert ran == ['{"city": "Oslo"}']
        offered, second = peer.requests[0]["tools"][0]["function"], peer.requests[1]["messages"]
        assert offered["name"] == "weather"
        assert second[-2]["tool_calls"][0]["id"] == second[-1]["tool_call_id"] == ("call00000" if whole else "call_7")
        assert second[-1]["content"] == "It rains."


async def test_a_model_that_never_stops_using_tools_is_stopped() -> None:
    async def again(caller: Caller, path: str, body: Any) -> None:
        calls = [{"index": 0, "id": "x", "function": {"name": "nothing", "arguments": "{}"}}]
        await caller.say(*([delta(tool_calls=calls)] if "tools" in body else [delta("Enough.")]), FINISH)

    async def nothing(arguments: str) -> str:
        return ""

    async with Scripted(again) as peer:
        assert await text_of(asking(peer), Tool("nothing", "", {"type": "object"}, nothing)) == "Enough."


# --- faults -----------------------------------------------------------------------------------------------------------


async def html(caller: Caller, path: str, body: Any) -> None:
    await caller.reply(200, "text/html", b"<html>Please log in</html>")


async def no_json(caller: Caller, path: str, body: Any) -> None:
    await caller.say(delta("It "), "data: {oops\n\n")


async def error_event(caller: Caller, path: str, body: Any) -> None:
    await caller.say({"error": {"message": "out of memory"}})


async def cut(caller: Caller, path: str, body: Any) -> None:
    await caller.say(delta("It is"), end=False)
    caller.drop()


async def ended_early(caller: Caller, path: str, body: Any) -> None:
    await caller.say(delta("It is"), end=False)
    await caller.send(b"0\r\n\r\n")


async def slow(caller: Caller, path: str, body: Any) -> None:
    await caller.closed()


async def stalls(caller: Caller, path: str, body: Any) -> None:
    await caller.say(delta("It is"), end=False)
    await caller.closed()


async def only_pings(caller: Caller, path: str, body: Any) -> None:
    await caller.head()
    while True:
        await caller.chunk(b": ping\n\n")
        await asyncio.sleep(0.02)


def refuses(status: int, headers: str = "") -> Behaviour:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.reply(status, "application/json", f'{{"error": "wrong key {KEY}"}}'.encode(), headers)

    return behave


FAULTS: dict[str, tuple[Behaviour, type[ServiceError], int]] = {
    "html": (html, ServiceError, 1),
    "bad json": (no_json, ServiceError, 1),
    "error in the stream": (error_event, ServiceError, 1),
    "cut in mid-stream": (cut, ServiceUnavailable, 1),
    "ended early": (ended_early, ServiceError, 1),
    "nothing comes": (slow, ServiceTimeout, 1),
    "stalls": (stalls, ServiceTimeout, 1),
    "only pings": (only_pings, ServiceTimeout, 1),
    "wrong key": (refuses(401), ServiceUnavailable, 1),
    "broken": (refuses(500), ServiceError, 1),
    "overloaded": (refuses(429), ServiceUnavailable, ATTEMPTS),
    "overloaded for long": (refuses(503, "retry-after: 30\r\n"), ServiceUnavailable, 1),
    "overloaded until": (refuses(429, "retry-after: Wed, 21 Oct 2065 07:28:00 GMT\r\n"), ServiceUnavailable, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_becomes_an_error_of_the_service_and_is_told(fault: str) -> None:
    behave, kind, requests = FAULTS[fault]
    health, told = Health(), []
    health.listener = lambda service, reason: told.append((service, bool(reason)))
    async with Scripted(behave) as peer:
        model = asking(peer, health, first_s=0.5, gap_s=0.3)
        with pytest.raises(kind) as caught:
            await text_of(model)
        assert caught.value.service == "llm"
        assert KEY not in str(caught.value)
        assert len(peer.requests) == requests
        assert told == [("llm", True)]
        assert "llm" in health.degraded
        await model.close()


async def test_who_is_not_there_is_unavailable() -> None:
    async with Scripted(html) as peer:
        pass
    with pytest.raises(ServiceUnavailable):
        await text_of(asking(peer))


async def test_an_overloaded_server_is_asked_again() -> None:
    async def fine(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("Here."), FINISH)

    async with Scripted(refuses(429, "retry-after: 0.05\r\n"), refuses(529), fine) as peer:
        assert await text_of(asking(peer)) == "Here."
        assert len(peer.requests) == 3


async def test_the_circuit_opens_after_failures_and_closes_when_the_service_is_back() -> None:
    async def fine(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("Here."), FINISH)

    health, told = Health(), []
    health.listener = lambda service, reason: told.append(bool(reason))
    async with Scripted(*[refuses(500)] * FAILURES, fine) as peer:
        model = asking(peer, health, rest_s=0.2)
        for _ in range(FAILURES + 2):
            with pytest.raises(ServiceError):
                await text_of(model)
        assert len(peer.requests) == FAILURES  # the last two were not sent
        await asyncio.sleep(0.25)
        assert await text_of(model) == "Here."
        assert health.degraded == {}
        assert told == [True] * (FAILURES + 2) + [False]
        await model.close()


@pytest.mark.parametrize("begun", [False, True], ids=["before the first word", "in mid-stream"])
async def test_the_server_sees_the_connection_close_when_an_answer_is_broken_off(begun: bool) -> None:
    seen = asyncio.Event()

    async def behave(caller: Caller, path: str, body: Any) -> None:
        if begun:
            await caller.say(delta("It is"), end=False)
        await caller.closed()
        seen.set()

    async with Scripted(behave) as peer:
        health = Health()
        model = asking(peer, health)

        async def listen() -> None:
            async with closing(model.answer(question())) as pieces:
                async for _ in pieces:
                    pass

        listening = asyncio.create_task(listen())
        await peer.asked.wait()
        await asyncio.sleep(0.05)  # for what is sent to arrive
        listening.cancel()
        await asyncio.wait_for(seen.wait(), 5)
        assert health.degraded == {}  # nobody failed


# --- HTTP/2 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def http2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A TLS server that offers HTTP/2 and streams for ever, and what it notices."""
    noticed: asyncio.Queue[str] = asyncio.Queue()

    async def app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            return
        await receive()
        noticed.put_nowait(f"asked over HTTP/{scope['http_version']}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        body = f"data: {json.dumps(delta('It is'))}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        noticed.put_nowait("closed")

    certificate, key = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    config = Config()
    config.bind, config.certfile, config.keyfile = [f"127.0.0.1:{free_port()}"], str(certificate), str(key)
    over = asyncio.Event()
    running = asyncio.create_task(serve(app, config, shutdown_trigger=over.wait))  # type: ignore[arg-type]
    yield f"https://localhost:{config.bind[0].partition(':')[2]}/v1", noticed
    over.set()
    await running


async def test_a_server_that_offers_http2_sees_the_close_as_well(http2: tuple[str, asyncio.Queue[str]]) -> None:
    url, noticed = http2
    model = OpenAiAnswerer(remote(url), Health())
    async with closing(model.answer(question())) as pieces:
        assert await anext(aiter(pieces)) == "It is"
    async with asyncio.timeout(5):
        assert await noticed.get() == "asked over HTTP/2"
        assert await noticed.get() == "closed"


# --- speech to text ---------------------------------------------------------------------------------------------------


def says(kind: str, body: str) -> Behaviour:
    async def behave(caller: Caller, path: str, sent: Any) -> None:
        assert path == "/v1/audio/transcriptions"
        await caller.reply(200, kind, body.encode())

    return behave


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '{"text": " Hello there. "}'),
        ("text/event-stream", 'data: {"type": "transcript.text.delta", "delta": "Hello there."}\n\n'),
        ("text/event-stream", 'data: {"type": "transcript.text.done", "text": "Hello there."}\n\ndata: [DONE]\n\n'),
        ("text/event-stream", 'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n' * 0
         + 'data: {"choices": [{"delta": {"content": "Hello there."}}]}\n\ndata: [DONE]\n\n'),
        ("text/event-stream; charset=utf-8", 'data: {"text": "Hello"}\n\ndata: {"text": "there."}\n\n'),
    ],
    ids=["json", "delta", "done", "vllm", "speaches"],
)  # fmt: skip
async def test_dialects_of_transcription_are_understood(kind: str, body: str) -> None:
    async with Scripted(says(kind, body)) as peer:
        heard = await OpenAiStt(remote(peer), Health(), "en").transcribe(SPEECH, final=True, prompt="Parley")
        assert heard.text == "Hello there."
        assert b'name="prompt"\r\n\r\nParley' in peer.requests[0]


async def test_silence_is_not_sent() -> None:
    async with Scripted(html) as peer:
        assert (await OpenAiStt(remote(peer), Health(), "en").transcribe(SPEECH * 0, final=True)).text == ""
        assert peer.requests == []


@pytest.mark.parametrize("fault", [html, refuses(401), slow, says("application/json", "[]")])
async def test_the_embedded_recogniser_takes_over_in_the_same_call(fault: Behaviour) -> None:
    health = Health()
    async with Scripted(fault) as peer:
        spare = FakeStt("what the spare heard")
        stt = SttWithFallback(OpenAiStt(remote(peer, first_s=0.3), health, "en"), spare, interim=False)
        assert (await stt.transcribe(SPEECH, final=True)).text == "what the spare heard"
        assert "stt" in health.degraded
        await stt.close()


@pytest.mark.parametrize(("captions", "requests"), [(False, 0), (True, 1)])
async def test_captions_are_paid_for_only_on_demand(captions: bool, requests: int) -> None:
    async with Scripted(says("application/json", '{"text": "Hello"}')) as peer:
        stt = SttWithFallback(OpenAiStt(remote(peer), Health(), "en"), FakeStt("Hello"), captions)
        assert (await stt.transcribe(SPEECH, final=False)).text == "Hello"
        assert len(peer.requests) == requests


# --- text to speech ---------------------------------------------------------------------------------------------------


def sounds(size: int, kind: str = "audio/pcm", end: bool = True, data: bytes = TONE.tobytes()) -> Behaviour:
    async def behave(caller: Caller, path: str, body: Any) -> None:
        assert path == "/v1/audio/speech"
        await caller.head(200, kind)
        for at in range(0, len(data), size):
            await caller.chunk(data[at : at + size])
        if end:
            await caller.send(b"0\r\n\r\n")
        else:
            caller.drop()

    return behave


@pytest.mark.parametrize("size", [1, 7, 999, 4096, 100_000])
async def test_streamed_sound_is_the_same_however_it_is_cut(size: int) -> None:
    async with Scripted(sounds(size, data=TONE[: 2400 if size < 10 else None].tobytes())) as peer:
        tts = OpenAiTts(remote(peer), Health(), "alloy")
        pieces = [piece.samples async for piece in tts.speak("Hello there.", speed=1.2)]
        samples = np.concatenate(pieces)
        sent = TONE[: len(samples) // 2]
        wanted = soxr.resample(sent.astype(np.float32), 24_000, SPEAKING_RATE)
        assert len(samples) == 2 * (2400 if size < 10 else len(TONE))
        assert np.abs(samples[500:-500] - wanted[500:-500]).max() < 40
        assert len(pieces[0]) <= 0.1 * SPEAKING_RATE or size > 4096
        asked = peer.requests[0]
        assert (asked["input"], asked["voice"], asked["response_format"], asked["speed"]) == (
            "Hello there.",
            "alloy",
            "pcm",
            1.2,
        )


async def test_a_named_rate_is_believed_and_nothing_to_say_is_not_sent() -> None:
    async with Scripted(sounds(4096, "audio/pcm; rate=48000")) as peer:
        tts = OpenAiTts(remote(peer), Health(), "alloy")
        assert sum([len(piece.samples) async for piece in tts.speak("Hello.")]) == len(TONE)
        assert [piece async for piece in tts.speak("...")] == []
        assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [html, refuses(500), slow, sounds(100, data=b""), sounds(4096, data=b"RIFF" + bytes(8000)), sounds(10, "application/json")],
)
async def test_the_embedded_voice_takes_over(fault: Behaviour) -> None:
    health, spare = Health(), FakeTts()
    async with Scripted(fault) as peer:
        tts = TtsWithFallback(OpenAiTts(remote(peer, first_s=0.3), health, "alloy"), spare)
        assert [piece async for piece in tts.speak("Hello there, my friend.")]
        assert spare.spoken == ["Hello there, my friend."]
        assert "tts" in health.degraded
        await tts.close()


async def test_a_voice_that_breaks_off_is_replaced_from_the_next_word_on() -> None:
    spare = FakeTts()
    async with Scripted(sounds(4800, end=False)) as peer:
        tts = TtsWithFallback(OpenAiTts(remote(peer), Health(), "alloy"), spare)
        clause = "One two three four five six seven eight nine ten eleven twelve."
        pieces = [piece async for piece in tts.speak(clause)]
        spoken = sum(len(piece.samples) for piece in pieces[:-1]) * 1000 / SPEAKING_RATE
        assert 0 < spoken <= 1000
        assert spare.spoken == [unspoken(clause, spoken)]
        assert 0 < len(spare.spoken[0]) < len(clause)
        assert clause.endswith(spare.spoken[0])


def test_a_word_that_was_begun_is_not_said_again() -> None:
    assert unspoken("One two three", 0) == "One two three"
    assert unspoken("One two three", 1) == "two three"
    assert unspoken("One two three", 10_000) == ""


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTP_PROXY", "http_proxy", "all_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_proxy_stands_before_a_server_on_this_machine(name: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there

    async def behave(caller: Caller, path: str, body: Any) -> None:
        await caller.say(delta("It is a delay."), FINISH)

    async with Scripted(behave) as peer:
        peer.url = peer.url.replace("127.0.0.1", host)
        model = asking(peer)
        await model.warm()
        assert await text_of(model) == "It is a delay."
        await model.close()


@pytest.mark.parametrize(
    ("host", "left_out", "direct"),
    [
        ("10.1.2.3", "", False),  # it may be reached through the proxy only
        ("10.1.2.3", "10.1.2.3", True),
        ("models.example.org", "", False),
        ("models.example.org", "example.org", True),
        ("models.example.org", "*", True),
        ("[::1]", "", True),
        ("0.0.0.0", "", True),
        ("box.localhost", "", True),
        ("localhost.example.org", "", False),
    ],
)
def test_which_servers_a_proxy_of_the_environment_stands_before(
    host: str, left_out: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", left_out)
    url = f"http://{host}:8000/v1"
    client = HttpClient("llm", Endpoint(url), Health())._connection()
    used = client._transport_for_url(httpx.URL(url))
    assert (used is client._transport) is direct
