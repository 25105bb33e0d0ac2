"""Makes the services that the settings name."""

from dataclasses import replace

from pydantic import SecretStr

from app.settings import Settings
from app.tools.registry import phrases_by_intent, warn_of_unheard
from configuration.setting_types import listed, vendor_and_place
from languages import Language, find
from services import embedded
from services.base import Service, Services
from services.endpoint import Endpoint
from services.tts.hibari import SPEAKS
from services.vendors import Capability, ServiceSettings, connected, make
from vendors.openai import OPENAI


def services_from(settings: Settings) -> Services:
    """The embedded services of each language, behind those that `settings` name; the intents of the tools are among what they
    recognise. Raises ValueError for settings that cannot work: a missing folder or file, a missing key, an unknown vendor."""
    others = [find(code) for code in listed(settings.other_languages) if code != settings.language]
    language, computed = find(settings.language), settings.weights_dir / "computed"
    warn_of_unheard(language)
    services = embedded(
        settings.weights_dir, computed, language, settings.knowledge, phrases=phrases_by_intent(), others=others
    )
    of_others = {other.code: _connected(settings, other, services.others[other.code]) for other in others}
    return replace(_connected(settings, language, services), others=of_others)


def _connected(settings: Settings, language: Language, services: Services) -> Services:
    """`services` of a language, behind the services that the settings name."""

    def chosen(capability: Capability, own: Service) -> Service:
        name, endpoint = _endpoint(settings, capability)
        voice = (settings.tts_voice, settings.tts_rate, settings.session_voices())
        wanted = ServiceSettings(endpoint, own, services.health, language.code, *voice)
        return make(capability, name, wanted)

    llm, stt, tts = chosen("llm", services.llm), chosen("stt", services.stt), chosen("tts", services.tts)
    if tts is services.tts and language.code != SPEAKS:
        raise ValueError(f"the built-in voice does not speak {language.name}: name another one with tts")
    return connected(services, llm, stt, tts, settings.stt_interim)


def _endpoint(settings: Settings, capability: Capability) -> tuple[str, Endpoint]:
    """The vendor of `capability`, and its endpoint."""
    vendor, url = vendor_and_place(getattr(settings, capability))
    key: SecretStr = getattr(settings, f"{capability}_key")
    if vendor == "openai" and not url:
        url, key = OPENAI, key if key.get_secret_value() else settings.openai_api_key
        if not key.get_secret_value():
            raise ValueError(f"{capability} is openai, and there is no key for it: set OPENAI_API_KEY")
    endpoint = Endpoint(
        url,
        getattr(settings, f"{capability}_model"),
        key,
        settings.connect_s,
        getattr(settings, f"{capability}_first_s"),
        settings.gap_s,
        settings.total_s,
    )
    return vendor, endpoint
