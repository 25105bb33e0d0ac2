"""Vendors of language, hearing and voice: which there are, by name, and how the service of one is made. Ours and those of other
packages are registered alike, as entry points of the group `parley.services`: one named `tts.acme` with the value `acme:AcmeTts`
is the factory of the voice `acme`. It takes a `ServiceSettings` and returns a service of its Protocol in `services.base`.

A service may say of itself, by attributes that are true: `guarded` that it keeps its limits and tells its health itself, as by an
`HttpClient` of `vendors.http.client`, and `in_process` that nothing leaves this process. Any other gets a guard, and an unfinished
turn is given to it no sooner than the settings allow (`speculate_remotely`)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast

from services.base import Answerer, Service, Services, SpeechToText, TextToSpeech
from services.endpoint import Endpoint
from services.health import Health

GROUP = "parley.services"
Capability = Literal["llm", "stt", "tts"]
Factory = Callable[["ServiceSettings"], Service]
PROTOCOLS: dict[Capability, Any] = {"llm": Answerer, "stt": SpeechToText, "tts": TextToSpeech}

_OURS = {
    "llm.local": "services.vendors:embedded",
    "stt.local": "services.vendors:embedded",
    "tts.local": "services.vendors:embedded",
    "llm.openai": "vendors.openai.llm:vendor",
    "stt.openai": "vendors.openai.stt:vendor",
    "tts.openai": "vendors.openai.tts:vendor",
    "llm.gguf": "vendors.gguf:vendor",
}


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the settings say of one capability. `embedded` is the service of this capability that is always there and stands in,
    `language` the ISO 639 code of what is spoken, `voice` a name, `rate` the Hz of raw sound and `voices` what a conversation may
    choose from (empty: whatever there is), for voices. A service that is `guarded` tells `health` of each call."""

    endpoint: Endpoint
    embedded: Service
    health: Health
    language: str
    voice: str = ""
    rate: int = 24_000
    voices: tuple[str, ...] = ()


def embedded(settings: ServiceSettings) -> Service:
    """The vendor `local`."""
    return settings.embedded


def parted(place: str) -> tuple[str, str]:
    """The vendor that a setting names, and what it says of where that is: "acme", "acme=https://eu.acme.example", a URL (of what
    speaks like OpenAI) or a .gguf file."""
    if place.startswith(("http://", "https://")):
        return "openai", place
    if place.endswith(".gguf"):
        return "gguf", place
    name, _, where = place.partition("=")
    return name, where


def registered(capability: Capability, name: str) -> EntryPoint:
    """Raises ValueError that says which vendors there are where there is none of this name, or more than one."""
    if own := _OURS.get(f"{capability}.{name}"):
        return EntryPoint(name, __package__.removesuffix("services") + own, GROUP)
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=f"{capability}.{name}")}
    if len(found) > 1:
        raise ValueError(f"the vendor {name!r} is registered more than once: {', '.join(sorted(found))}")
    for entry in found.values():
        return entry
    raise ValueError(f"{capability} has no vendor {name!r}: there are {', '.join(names(capability))}")


def names(capability: Capability) -> list[str]:
    """What the setting of `capability` may be, ours first."""
    everybody = [*_OURS, *(entry.name for entry in entry_points(group=GROUP))]
    kinds = {"gguf": "a .gguf file", "openai": "openai, the URL of a service that speaks like it"}
    found = dict.fromkeys(name.removeprefix(f"{capability}.") for name in everybody if name.startswith(f"{capability}."))
    return [kinds.get(name, name) for name in found]


def make(capability: Capability, name: str, settings: ServiceSettings) -> Service:
    """The service of vendor `name`, behind a guard where it has none. Raises ValueError as `registered` does, and where the vendor
    cannot be loaded, cannot use the settings or lacks a method of its Protocol."""
    entry = registered(capability, name)
    try:
        service = cast(Factory, entry.load())(settings)
    except ValueError as error:
        raise ValueError(f"{capability}: {error}") from error
    except Exception as error:  # somebody else's code
        raise ValueError(
            f"{capability}: the vendor {name!r} cannot be made from {entry.value}: {type(error).__name__}: {error}"
        ) from error
    if service is settings.embedded:
        return service
    protocol = PROTOCOLS[capability]
    methods = [each for each in dir(protocol) if not each.startswith("_") and callable(getattr(protocol, each))]
    if missing := [each for each in methods if not callable(getattr(service, each, None))]:
        lacks = f"{type(service).__name__} has no {', '.join(missing)}"
        raise ValueError(f"{capability}: the vendor {name!r} makes no {protocol.__name__} (services/base.py): {lacks}")
    if getattr(service, "guarded", False):
        return service
    from services import guard

    guards: dict[Capability, Any] = {"llm": guard.GuardedAnswerer, "stt": guard.GuardedStt, "tts": guard.GuardedTts}
    return cast(Service, guards[capability](service, settings.endpoint, settings.health))


def connected(
    services: Services,
    llm: Service | None = None,
    stt: Service | None = None,
    tts: Service | None = None,
    interim: bool = False,
) -> Services:
    """`services` with those of vendors before the embedded ones, which take over where they fail. None: the embedded one alone.
    `interim`: `stt` is asked for interim transcripts too."""
    from services.fallback import SttWithFallback, TtsWithFallback
    from services.stt.whisper import WhisperStt

    chosen = {
        name: service
        for name, service, own in (("model", llm, services.llm), ("stt", stt, services.stt), ("tts", tts, services.tts))
        if service is not None and service is not own
    }
    remote = frozenset(name for name, service in chosen.items() if not getattr(service, "in_process", False))
    changed = replace(services, remote=remote)
    if "model" in chosen:
        changed = replace(changed, model=cast(Answerer, llm))
    if "stt" in chosen:
        judge = services.stt.speech if isinstance(services.stt, WhisperStt) else None
        listens = SttWithFallback(cast(SpeechToText, stt), services.stt, interim, judge, lambda: getattr(stt, "ours", False))
        changed = replace(changed, stt=listens)
    if "tts" in chosen:
        changed = replace(changed, tts=TtsWithFallback(cast(TextToSpeech, tts), services.tts))
    return changed
