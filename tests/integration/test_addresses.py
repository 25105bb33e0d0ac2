"""The address of a service as people copy it, the key as the server wants it, and where the operations really stand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from services.base import ServiceError
from services.endpoint import Endpoint
from services.health import Health
from tests.integration.peers import Caller
from tests.integration.test_http_services import SPEECH, question
from vendors.openai import is_openai
from vendors.openai.llm import OpenAiAnswerer
from vendors.openai.stt import OpenAiStt

JSON = "application/json"
Answer = tuple[int, str, str]
SAID = (200, JSON, json.dumps({"choices": [{"message": {"content": "Fine."}, "finish_reason": "stop"}]}))
LIST = (200, JSON, json.dumps({"data": [{"id": "small"}]}))
NOTHING: dict[str, Answer] = {  # what servers answer where there is nothing
    "Ollama": (404, "text/plain", "404 page not found"),
    "FastAPI": (404, JSON, '{"detail": "Not Found"}'),
    "LM Studio": (200, JSON, '{"error": "Unexpected endpoint or method. (POST /x)"}'),
    "a page for everything": (200, "text/html", "<!doctype html><html></html>"),
    "no such method": (405, JSON, '{"detail": "Method Not Allowed"}'),
    "OpenAI": (404, JSON, '{"error": {"message": "Invalid URL (POST /chat/completions)", "param": null}}'),
}


@asynccontextmanager
async def routed(answer: Callable[[str, str], Answer]) -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
    """The address of a server that answers by the heads of a request and its path, and all those."""
    seen: list[tuple[str, str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
                await reader.readexactly(length)
                path = head.split()[1]
                seen.append((path, head))
                status, kind, body = answer(head, path)
                location = "location: https://models.example.org/v1?key=secret\r\n" if status == 308 else ""
                await Caller(reader, writer).reply(status, kind, body.encode(), location)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    server.close()


def below(prefix: str, other: Answer, listed: bool = True) -> Callable[[str, str], Answer]:
    """A server with its operations below `prefix`."""
    found = {f"{prefix}/chat/completions": SAID} | ({f"{prefix}/models": LIST} if listed else {})
    return lambda head, path: found.get(path.partition("?")[0], other)


async def said(url: str, model: str = "", key: str = "", health: Health | None = None) -> str:
    answerer = OpenAiAnswerer(Endpoint(url, model, SecretStr(key), first_s=2.0), health or Health())
    try:
        await answerer.warm()
        return "".join([piece async for piece in answerer.answer(question())])
    finally:
        await answerer.close()


@pytest.mark.parametrize("model", ["", "small"])
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("nothing", NOTHING)
async def test_an_address_without_a_version_is_completed(nothing: str, end: str, model: str) -> None:
    async with routed(below("/v1", NOTHING[nothing])) as (url, seen):
        assert await said(url + end, model) == "Fine."
        assert len(seen) <= 4


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/models",
        "/v1/completions",
        "/v1/responses",
        "/api/chat",
        "/api/generate",
        "/api/tags",
        "/completion",
        "//",
    ],
)
async def test_the_address_of_one_operation_is_that_of_all(path: str) -> None:
    async with routed(below("/v1", NOTHING["Ollama"])) as (url, seen):
        assert await said(url + path) == "Fine."
        assert await said(f"{url}{path}?team=a") == "Fine."
        assert seen[-1][0] == "/v1/chat/completions?team=a"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    "prefix", ["", "/openai", "/api/v3", "/v1beta/openai", "/inference", "/compat", "/models", "/ollama/v1"]
)
async def test_an_address_that_is_right_stays_as_it_is(prefix: str, listed: bool) -> None:
    async with routed(below(prefix, NOTHING["FastAPI"], listed)) as (url, seen):
        assert await said(url + prefix) == "Fine."
        assert seen[-1][0] == f"{prefix}/chat/completions"
        assert len(seen) <= (2 if listed else 5)


async def test_where_there_is_nothing_it_is_not_looked_for_everywhere() -> None:
    async with routed(lambda head, path: NOTHING["Ollama"]) as (url, seen):
        with pytest.raises(ServiceError, match="404"):
            await said(url, "small")
        assert len(seen) == 4


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/audio/transcriptions"])
async def test_a_recogniser_is_found_by_the_same_rule(path: str) -> None:
    heard = {"/v1/models": LIST, "/v1/audio/transcriptions": (200, JSON, '{"text": "Hi."}')}
    async with routed(lambda head, asked: heard.get(asked, NOTHING["FastAPI"])) as (url, _):
        stt = OpenAiStt(Endpoint(url + path, first_s=2.0), Health(), "en")
        await stt.warm()
        assert (await stt.transcribe(SPEECH, final=True)).text == "Hi."
        await stt.close()


@pytest.mark.parametrize("path", ["", "/", "/inference"])
async def test_whisper_cpp_is_asked_where_it_listens(path: str) -> None:
    def answer(head: str, asked: str) -> Answer:
        return (200, JSON, '{"text": " Hi.\\n"}') if asked == "/inference" else (404, "text/html", "File Not Found")

    async with routed(answer) as (url, seen):
        stt = OpenAiStt(Endpoint(url + path, "base", first_s=2.0), Health(), "en")
        for _ in range(2):
            assert (await stt.transcribe(SPEECH, final=True)).text == "Hi."
        assert [asked for asked, _ in seen][-2:] == ["/inference", "/inference"]
        await stt.close()


@pytest.mark.parametrize("path", ["/openai/deployments/4o", "/openai/deployments/4o/chat/completions"])
async def test_azure_is_told_the_key_in_its_own_header(path: str) -> None:
    def azure(head: str, asked: str) -> Answer:
        if "api-key: k3y" not in head:
            return 401, JSON, '{"error": {"message": "Access denied due to invalid subscription key"}}'
        right = asked == "/openai/deployments/4o/chat/completions?api-version=2024-10-21"
        return SAID if right else (404, JSON, '{"error": {"message": "Resource not found"}}')

    async with routed(azure) as (url, _):
        assert await said(f"{url}{path}?api-version=2024-10-21", key="k3y") == "Fine."


async def test_everybody_else_is_told_the_key_once() -> None:
    async with routed(below("/v1", NOTHING["FastAPI"])) as (url, seen):
        await said(f"{url}/v1", key="k3y")
        assert all("authorization: Bearer k3y" in head.replace("Authorization", "authorization") for _, head in seen)
        assert all(head.count("k3y") == 1 for _, head in seen)


@pytest.mark.parametrize(("key", "told"), [("", "wants a key"), ("k3y", "refuses the key")])
async def test_whether_a_key_is_missing_or_wrong_is_told(key: str, told: str) -> None:
    async with routed(lambda head, path: (401, JSON, "{}")) as (url, _):
        with pytest.raises(ServiceError, match=told):
            await said(f"{url}/v1", "small", key)


async def test_where_a_redirection_leads_to_is_told_without_what_may_be_secret() -> None:
    async with routed(lambda head, path: (308, "text/html", "")) as (url, _):
        with pytest.raises(ServiceError, match=r"set its address, https://models\.example\.org/v1$"):
            await said(f"{url}/v1", "small")


@pytest.mark.parametrize(
    ("url", "itself"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://myapi.openai.com.example.org/v1", False),
        ("https://notapi.openai.com/v1", False),
        ("https://x.openai.azure.com/openai/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_which_addresses_are_those_of_openai_itself(url: str, itself: bool) -> None:
    assert is_openai(Endpoint(url)) is itself
