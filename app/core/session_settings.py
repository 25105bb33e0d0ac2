"""The settings of one conversation, beside the settings of the process (`app.settings`)."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

log = logging.getLogger(__name__)

MAX_INSTRUCTIONS = 4000  # characters
MAX_TOOLS = 64

Eagerness = Literal["low", "medium", "high"]
EAGERNESS: tuple[Eagerness, ...] = get_args(Eagerness)
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.:/-]{0,63}$")]


class SessionSettings(BaseModel):
    """The settings of one conversation; None means the setting of the process. A field that is not known is refused, so that
    nobody thinks it is obeyed.

    `instructions` tell the language model who it is, in place of the persona of the language. `voice` is one of the voice
    service's voices, `speed` its pace. `interruption`: by speech and by the button, or by the button alone; then speech over
    the agent waits until the agent has finished. `tools` are the names of the tools that may be used. `half_duplex`: the
    microphone is ignored while the agent speaks. Without `recording` no text of the conversation is written down: its log has
    times and states, and the only words in its record are what the agent had still to say and what the timers hold, without
    which the conversation could not be resumed. The same goes for exchanges that began before recording was switched on again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instructions: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_INSTRUCTIONS)] | None = None
    voice: Name | None = None
    speed: Annotated[float, Field(ge=0.5, le=2.0)] | None = None
    eagerness: Eagerness | None = None
    interruption: Literal["speech", "button"] | None = None
    tools: Annotated[tuple[Name, ...], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    language: Name | None = None
    greeting: bool | None = None
    half_duplex: bool | None = None
    recording: bool | None = None

    def changed_by(self, other: "SessionSettings") -> Self:
        """These settings, with the fields that `other` names in their place: a field that it names as None is the process's
        setting again."""
        return self.model_copy(update={name: getattr(other, name) for name in other.model_fields_set})

    def over(self, defaults: "SessionSettings") -> "SessionSettings":
        """The settings that hold: these, and those of `defaults` where these are None."""
        return defaults.model_copy(update={name: value for name, value in self if value is not None})

    def without(self, *names: str) -> Self:
        """These settings, with the named ones as the process is set."""
        return self.model_copy(update=dict.fromkeys(names))

    def as_kept(self) -> dict[str, Any]:
        """These settings in JSON's types, for `kept`."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def kept(cls, values: Mapping[str, Any]) -> Self:
        """Settings from `as_kept` of this program, or of another version of it: a setting that is not known here, or not
        allowed any more, is left out."""
        found = cls()
        for name, value in values.items():
            try:
                found = found.changed_by(cls.model_validate({name: value}))
            except ValidationError as error:
                log.warning("a setting of a conversation is left out: %s", [fault["loc"] for fault in error.errors()])
        return found
