"""Vendors that another package brings: found by name, kept to their limits, stood in for when they fail."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

from app.settings import Settings, read_settings
from configuration.setting_types import vendor_and_place
from services import vendors
from services.base import Audio, Question, ServiceError, Speech, SpeechToText, Transcript
from services.endpoint import Endpoint
from services.guard import FAILURES
from services.vendors import Capability, ServiceSettings, connected, make, registered
from tests.unit.fakes import Caller, Fake, FakeLlm, FakeStt, FakeTts, fake_services
from tests.unit.virtual_time import run


class AcmeTts(Fake):
    """Says half of a clause, then does what it is told to."""

    then: Callable[[], Any] = lambda: None

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        if settings.endpoint.url == "nowhere":
            raise ValueError("nowhere is no place")
        if settings.endpoint.url == "broken":
            raise KeyError("acme")

    async def speak(self, clause: str, *, speed: float = 1.0) -> AsyncIterator[Any]:
        yield Speech(np.full(4800, 500, np.int16))
        made = type(self).then()
        yield await made if asyncio.iscoroutine(made) else made


class AcmeStt(FakeStt):
    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(text="acme heard this", error=OSError("the line is down"))  # type: ignore[arg-type]


class AcmeLlm(FakeLlm):
    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(error=RuntimeError("lost"), fail_after=1)  # type: ignore[arg-type]


class Local(FakeLlm):
    in_process = True

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__()


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "tts.acme": AcmeTts,
        "stt.acme": AcmeStt,
        "llm.acme": AcmeLlm,
        "llm.mine": Local,
    }
    entries = [EntryPoint(name, f"{__name__}:{kind.__name__}", vendors.GROUP) for name, kind in given.items()]
    entries += [EntryPoint("tts.gone", "no_such_package:Tts", vendors.GROUP)]
    entries += [EntryPoint("tts.twice", f"{__name__}:{name}", vendors.GROUP) for name in ("AcmeTts", "AcmeStt")]

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [entry for entry in entries if entry.group == group and name in (None, entry.name)]

    monkeypatch.setattr(vendors, "entry_points", entry_points)
    AcmeTts.then = lambda: None


def wanted(url: str = "", own: Any = None, **limits: float) -> ServiceSettings:
    return ServiceSettings(Endpoint(url, **limits), own or Fake(), fake_services().health, "en")  # type: ignore[arg-type]


def test_a_vendor_is_named_with_or_without_its_place() -> None:
    assert vendor_and_place("acme") == ("acme", "")
    assert vendor_and_place("acme=https://eu.acme.example") == ("acme", "https://eu.acme.example")
    assert vendor_and_place("https://one.example/v1") == ("openai", "https://one.example/v1")
    assert vendor_and_place("model.gguf") == ("gguf", "model.gguf")
    assert Settings(tts="acme=wss://a.example/", _env_file=None).tts == "acme=wss://a.example"  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("flag", "place", "words"),
    [
        (
            "--tts",
            "acne",
            "tts has no vendor 'acne': there are local, openai, the URL of a service that speaks like it, acme, gone",
        ),
        ("--stt", "model.gguf", "stt has no vendor 'gguf': there are local, openai"),
        ("--llm", "ftp://host", "llm has no vendor 'ftp://host': there are local, openai, .*a .gguf file, acme, mine"),
        ("--tts", "twice", "registered more than once: .*AcmeStt, .*AcmeTts"),
    ],
)
def test_an_unknown_vendor_is_refused_with_those_that_there_are(flag: str, place: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_settings([flag, place])


def test_what_is_wrong_with_a_vendor_is_told() -> None:
    with pytest.raises(ValueError, match="'gone' cannot be made from no_such_package:Tts: ModuleNotFoundError"):
        make("tts", "gone", wanted())
    with pytest.raises(ValueError, match="tts: nowhere is no place"):
        make("tts", "acme", wanted("nowhere"))
    with pytest.raises(ValueError, match=r"'acme' cannot be made from .*: KeyError"):
        make("tts", "acme", wanted("broken"))


@pytest.mark.parametrize(
    ("capability", "protocol", "missing"),
    [
        ("llm", "Answerer", "answer, close, warm"),
        ("stt", "SpeechToText", "close, transcribe, warm"),
        ("tts", "TextToSpeech", "close, speak, warm"),
    ],
)
@pytest.mark.parametrize("guarded", [False, True])
def test_a_service_that_lacks_a_method_is_refused(
    monkeypatch: pytest.MonkeyPatch, capability: Capability, protocol: str, missing: str, guarded: bool
) -> None:
    kind = type("Bare", (), {"guarded": guarded, "__init__": lambda self, settings: None})
    monkeypatch.setattr(vendors, "registered", lambda *named: Namespace(load=lambda: kind, value="bare:Bare"))
    with pytest.raises(ValueError, match=rf"{capability}: the vendor 'bare' makes no {protocol} .*: Bare has no {missing}$"):
        make(capability, "bare", wanted())
    monkeypatch.setattr(vendors, "registered", lambda *named: Namespace(load=lambda: lambda settings: None, value="bare:none"))
    with pytest.raises(ValueError, match=rf"makes no {protocol} .*: NoneType has no"):
        make(capability, "bare", wanted())


def test_ours_are_registered_as_others_are() -> None:
    own = FakeTts()
    assert make("tts", "local", wanted(own=own)) is own
    made = make("tts", "openai", wanted("http://127.0.0.1:9/v1"))
    assert type(made).__name__ == "OpenAiTts"
    assert registered("llm", "gguf").value == "vendors.gguf:vendor"


def test_what_leaves_the_process_is_known() -> None:
    services = fake_services()
    assert connected(services, services.llm, services.stt, services.tts) == services == connected(services)
    assert connected(services, llm=make("llm", "acme", wanted())).remote == {"model"}
    mine = connected(services, llm=make("llm", "mine", wanted()))
    assert (mine.remote, mine.model is not None) == (frozenset(), True)


def _hang() -> Any:
    return asyncio.sleep(100)


def _fail() -> Any:
    raise ConnectionError("lost")


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (_hang, "took too long"),
        (_fail, "failed: ConnectionError"),
        (lambda: b"sound", "answers bytes, which is not what its Protocol says (Speech of int16 mono)"),
        (
            lambda: Speech(np.zeros(10, np.float32)),
            "answers Speech, which is not what its Protocol says (Speech of int16 mono)",
        ),  # type: ignore[arg-type]
    ],
)
def test_the_embedded_voice_goes_on_where_a_vendor_fails(then: Callable[[], Any], reason: str) -> None:
    async def scene() -> None:
        AcmeTts.then = then
        services = fake_services()
        settings = ServiceSettings(Endpoint(gap_s=2.0), services.tts, services.health, "en")
        spoken = connected(services, tts=make("tts", "acme", settings)).tts
        pieces = [piece async for piece in spoken.speak("one two three four")]
        assert services.health.degraded == {"tts": reason}
        assert len(pieces) == 2
        assert services.tts.spoken == ["two three four"]  # type: ignore[attr-defined]

    run(scene())


def test_a_vendor_that_fails_again_and_again_is_left_alone() -> None:
    async def scene() -> None:
        services = fake_services()
        acme = make("stt", "acme", ServiceSettings(Endpoint(), services.stt, services.health, "en"))
        asked: SpeechToText = acme  # type: ignore[assignment]
        for _ in range(FAILURES):
            with pytest.raises(ServiceError, match="failed: OSError"):
                await asked.transcribe(np.zeros(1600, np.float32), final=True)
        with pytest.raises(ServiceError, match="left alone"):
            await asked.transcribe(np.zeros(1600, np.float32), final=True)
        both = connected(services, stt=acme).stt
        assert (await both.transcribe(np.zeros(1600, np.float32), final=True)).text == "how does it work"

    run(scene())


def test_a_recogniser_that_answers_something_else_has_failed() -> None:
    async def scene() -> None:
        class Odd(FakeStt):
            async def transcribe(self, audio: Audio, **_: Any) -> Transcript:
                return "text"  # type: ignore[return-value]

        from services.guard import GuardedStt

        guarded = GuardedStt(Odd(), Endpoint(), fake_services().health)
        with pytest.raises(ServiceError, match="answers str, which is no Transcript"):
            await guarded.transcribe(np.zeros(1600, np.float32), final=True)

    run(scene())


def test_a_vendor_that_cannot_be_warmed_holds_nobody_up() -> None:
    async def scene() -> None:
        class Cold(FakeLlm):
            async def warm(self) -> None:
                raise ConnectionError("away")

            async def close(self) -> None:
                raise ConnectionError("away")

        from services.guard import GuardedAnswerer

        services = fake_services()
        guarded = GuardedAnswerer(Cold(), Endpoint(), services.health)
        await guarded.warm()
        assert services.health.degraded == {"llm": "away"}
        question = Question("why", await services.intent.classify("why"), [])
        assert [piece async for piece in guarded.answer(question)]
        assert services.health.degraded == {}
        await guarded.close()

    run(scene())


def test_a_conversation_goes_on_when_its_vendor_breaks_off() -> None:
    async def scene() -> Caller:
        services = fake_services()
        settings = ServiceSettings(Endpoint(), services.llm, services.health, "en")
        made = connected(services, llm=make("llm", "acme", settings))
        async with Caller(made) as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    [exchange] = caller.session.memory.history
    assert exchange.heard.startswith("The first sentence is here."), "the vendor's own words"
    assert exchange.heard.endswith("And this is the third of them."), "the embedded answerer's"
