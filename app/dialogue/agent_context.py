"""One object with what every part of a conversation works with: it is handed on whole, to tools too."""

from dataclasses import dataclass

from app.core.clock import Clock
from app.core.session_settings import SessionSettings
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue
from app.settings import Settings
from languages.base import Language
from services.base import Services


@dataclass(frozen=True, slots=True)
class AgentContext:
    """The services, the agent's own lines, what this conversation remembers, the settings and the clock."""

    services: Services
    dialogue: Dialogue
    memory: Memory
    settings: Settings
    clock: Clock

    @property
    def session_settings(self) -> SessionSettings:
        """The settings that hold in this conversation now."""
        return self.memory.settings.over(self.settings.of_session())

    @property
    def language(self) -> Language:
        """The language of this conversation."""
        return self.dialogue.language
