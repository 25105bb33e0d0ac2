"""The signals of the turn-taking policy: events of the conversation, and work that it asks for."""

from enum import Enum, auto
from typing import Literal

from app.protocol.events import Happening

Agent = Literal["silent", "thinking", "speaking"]
Kind = Literal["backchannel", "noise", "echo", "other_speech"]


class Ask(Enum):
    """Work that the policy asks for; the answers come back through `classified`, `words`, `recognised` and `prepared`."""

    PARTIAL = auto()  # an interim transcript of the turn so far
    CLASSIFY = auto()  # what the beginning of this burst is, quickly
    IDENTIFY = auto()  # the words of this burst, with care
    RECOGNISE = auto()  # whether this burst is in the user's voice
    PREPARE = auto()  # the turn may have ended: transcribe, judge, prepare a reply; `failed` where that cannot be done
    DROP = auto()  # the user goes on: what was prepared is void


Signal = Ask | Happening
