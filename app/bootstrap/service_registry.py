"""Which services the settings ask for."""

from pathlib import Path

from pydantic import SecretStr

from app.settings import Settings
from languages import find
from services import connected, embedded
from services.base import Services
from services.http import OPENAI, Remote


def outfit(settings: Settings) -> Services:
    """The embedded services, with those before them that `settings` name. Raises ValueError for what cannot work: a folder or a
    file that is missing, a key that is needed."""
    language = find(settings.language)
    services = embedded(settings.weights_dir, settings.weights_dir / "computed", language, settings.knowledge)
    llm, stt, tts = (_place(settings, name) for name in ("llm", "stt", "tts"))
    if isinstance(stt, Path) or isinstance(tts, Path):
        raise ValueError("stt and tts cannot be run from a .gguf file")
    return connected(services, language, llm, stt, tts, settings.tts_voice, settings.stt_captions, settings.tts_rate)


def _place(settings: Settings, name: str) -> Remote | Path | None:
    place: str = getattr(settings, name)
    if place == "local":
        return None
    if place.endswith(".gguf") and "://" not in place:
        return Path(place).expanduser()
    key: SecretStr = getattr(settings, f"{name}_key")
    if place == "openai":
        key = key if key.get_secret_value() else settings.openai_api_key
        if not key.get_secret_value():
            raise ValueError(f"{name} is openai, and there is no key for it: set OPENAI_API_KEY")
    return Remote(
        OPENAI if place == "openai" else place,
        getattr(settings, f"{name}_model"),
        key,
        settings.connect_s,
        getattr(settings, f"{name}_first_s"),
        settings.gap_s,
        settings.total_s,
    )
