"""What the turn-taking policy asks for and tells: the values between `turns`, `overlap` and the ears."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

Agent = Literal["silent", "thinking", "speaking"]
Kind = Literal["backchannel", "noise", "echo", "other_speech"]


class Ask(Enum):
    """Work the policy wants done; answers come back through `glimpsed`, `words`, `recognised` and `prepared`."""

    PARTIAL = auto()  # a live caption of the turn so far
    GLIMPSE = auto()  # what the beginning of this burst is, quickly
    IDENTIFY = auto()  # the words of this burst, with care
    RECOGNISE = auto()  # whether this burst is in the user's voice
    PREPARE = auto()  # the turn may have ended: transcribe, judge, prepare a reply; `failed` where that cannot be done
    DROP = auto()  # the user goes on: what was prepared is void


@dataclass(frozen=True, slots=True)
class Onset:
    at_ms: float


@dataclass(frozen=True, slots=True)
class Held:
    """The sound over the agent goes on: it holds its breath until it is clear what the sound is."""


@dataclass(frozen=True, slots=True)
class Dismissed:
    kind: Kind


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The burst over the agent is meant for it. `reopens`: it continues the turn before."""

    at_ms: float
    reopens: bool


@dataclass(frozen=True, slots=True)
class Ended:
    turn: int
    revision: int
    text: str


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """The turn is over, and its words could not be had: the recogniser failed or, `unclear`, made out none in somebody's voice."""

    turn: int
    unclear: bool = False


Signal = Ask | Onset | Held | Dismissed | Confirmed | Ended | Unrecognised
