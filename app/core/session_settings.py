"""What can be set for one conversation, beside what the process is set to (`app.settings`)."""

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
    """None: as the process is set. Fields that are not known are refused, so that none is thought to be obeyed.

    `instructions` say to the language model who it is, in place of the persona of the language. `voice` is one of those that the
    voice service has, `speed` its pace. `interruption`: by speech and by the button, or by the button alone; then what is said over
    the agent waits until it has finished. `tools` are the names of those that may be used. `half_duplex`: the microphone is not
    heard while the agent speaks. Without `recording` no text of the conversation is written down: its log has times and states, and
    of its record only what the agent had still to say and the timers hold words, without which it could not be resumed. That holds
    for whatever began before it was switched on again, too."""

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
        """These, with what `other` names in their place: what it names as None is as the process is set again."""
        return self.model_copy(update={name: getattr(other, name) for name in other.model_fields_set})

    def over(self, defaults: "SessionSettings") -> "SessionSettings":
        """What holds: these, and those of `defaults` where they are None."""
        return defaults.model_copy(update={name: value for name, value in self if value is not None})

    def without(self, *names: str) -> Self:
        """These, with some as the process is set."""
        return self.model_copy(update=dict.fromkeys(names))

    def as_kept(self) -> dict[str, Any]:
        """For `kept`, in JSON's types."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def kept(cls, values: Mapping[str, Any]) -> Self:
        """From `as_kept` of this program, or of another version of it: what is not known here, or not allowed any more, is left
        out."""
        found = cls()
        for name, value in values.items():
            try:
                found = found.changed_by(cls.model_validate({name: value}))
            except ValidationError as error:
                log.warning("a setting of a conversation is left out: %s", [fault["loc"] for fault in error.errors()])
        return found
