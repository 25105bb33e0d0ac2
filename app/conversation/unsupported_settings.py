"""Which settings of a conversation this process cannot follow."""

from app.core.session_settings import SessionSettings
from app.settings import Settings
from app.tools.registry import TOOLS
from services.base import Services


def impossible(chosen: SessionSettings, settings: Settings, services: Services) -> dict[str, str]:
    """The settings that cannot be followed, each with the reason. `services` are those of the language that is spoken where the
    conversation chooses none."""
    faults: dict[str, str] = {}
    known = (settings.language, *services.others)
    if chosen.language not in (None, *known):
        faults["language"] = f"{', '.join(known)} is spoken here"
    services = services.others.get(chosen.language or "", services)
    if chosen.instructions and services.model is None:
        faults["instructions"] = "there is no language model that could follow them"
    voices = services.tts.voices
    if chosen.voice is not None and chosen.voice not in voices:
        faults["voice"] = f"there are {', '.join(voices)}" if voices else "there is only one"
    if unknown := [name for name in chosen.tools or () if name not in TOOLS]:
        faults["tools"] = f"there is no {', '.join(unknown)}: there are {', '.join(TOOLS)}"
    if chosen.recording and not settings.log_transcripts:
        faults["recording"] = "no text is written down here"
    return faults
