"""Vendors of language, hearing and voice: which there are, by name, and how the service of one is made. They are registered as
entry points of the group `parley.services`: one named `tts.acme` with the value `acme:AcmeTts` is the factory of the voice
`acme`. It takes a `ServiceSettings` and returns a service of its Protocol in `services.base`. Those of the package `vendors` are
there without being installed, and `local` is what is embedded.

A service may say of itself, by attributes that are true: `guarded` that it keeps its limits and tells its health itself, and
`in_process` that nothing leaves this process. Any other gets a guard, and an unfinished turn is given to it no sooner than the
settings allow (`speculate_remotely`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from services.base import Answerer, Service, Services, SpeechToText, TextToSpeech
from services.endpoint import Endpoint
from services.health import Health

GROUP = "parley.services"
Capability = Literal["llm", "stt", "tts"]
Factory = Callable[["ServiceSettings"], Service]
PROTOCOLS: dict[Capability, Any] = {"llm": Answerer, "stt": SpeechToText, "tts": TextToSpeech}

_LOCAL = {f"{capability}.local": "services.vendors:local" for capability in PROTOCOLS}
_OURS = Distribution.at(Path(__file__).parents[1] / "vendors")  # a clone is not installed: its entry points are read from there
_BEFORE = __package__.removesuffix("services")  # "parley." where our modules have their long names


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


def local(settings: ServiceSettings) -> Service:
    """The vendor `local`."""
    return settings.embedded


def registered(capability: Capability, name: str, written: Mapping[str, str] = MappingProxyType({})) -> EntryPoint:
    """Raises ValueError that says which vendors there are where there is none of this name, or more than one. `written` is what may
    be written for a vendor, where that is not its name."""
    if own := _ours().get(f"{capability}.{name}"):
        return EntryPoint(name, _BEFORE + own, GROUP)
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=f"{capability}.{name}")}
    if len(found) > 1:
        raise ValueError(f"the vendor {name!r} is registered more than once: {', '.join(sorted(found))}")
    for entry in found.values():
        return entry
    known = ", ".join(written.get(each, each) for each in names(capability))
    raise ValueError(f"{capability} has no vendor {name!r}: there are {known}")


def names(capability: Capability) -> list[str]:
    """The vendors of `capability`, ours first."""
    everybody = [*_ours(), *(entry.name for entry in entry_points(group=GROUP))]
    return list(dict.fromkeys(name.removeprefix(f"{capability}.") for name in everybody if name.startswith(f"{capability}.")))


def _ours() -> dict[str, str]:
    """Where the factories are of what is embedded and of the package `vendors`, by short names."""
    return _LOCAL | {entry.name: entry.value for entry in _OURS.entry_points.select(group=GROUP)}


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
