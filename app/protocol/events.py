"""The events of a conversation (`Happening`), whether they arise inside it or from a message of the client: the state machine
takes them."""

from typing import Literal

from pydantic import Field

from app.protocol.messages import Event, Generation, Interrupt, PlaybackDone, PlaybackProgress, PlaybackStopped, Stop, Text


class SessionStarted(Event):
    """A listener is there. `resumed`: the conversation began earlier and goes on."""

    type: Literal["session_started"] = "session_started"
    greeting: bool
    resumed: bool


class SpeechOnset(Event):
    """The user began to make a sound; `at_ms` is the first voiced sample, in ms of audio received."""

    type: Literal["speech_onset"] = "speech_onset"
    at_ms: float


class OnsetHeld(Event):
    """The sound over the agent goes on, and it is not yet clear what it is."""

    type: Literal["onset_held"] = "onset_held"


class OnsetDismissed(Event):
    """The sound that began does not concern the agent."""

    type: Literal["onset_dismissed"] = "onset_dismissed"
    kind: Literal["backchannel", "noise", "echo", "other_speech"]


class BargeIn(Event):
    """The onset is a real interruption of the agent."""

    type: Literal["barge_in"] = "barge_in"
    at_ms: float


class TurnReopened(Event):
    """The user goes on with the turn that the agent took for finished: the reply is withdrawn, the text is joined. `full`: the
    turn has as much text as one may have, and what follows is another turn."""

    type: Literal["turn_reopened"] = "turn_reopened"
    at_ms: float
    full: bool = False


class TurnEnded(Event):
    """The user's turn is over."""

    type: Literal["turn_ended"] = "turn_ended"
    turn: int
    revision: int
    text: str


class TurnUnrecognised(Event):
    """The user's turn is over and its words are not known: recognition failed or, with `unclear`, made out none. `line` is what
    the agent says to that, if anything."""

    type: Literal["turn_unrecognised"] = "turn_unrecognised"
    turn: int
    unclear: bool = False
    line: str = "apology_stt"


class Faulted(Event):
    """The work for an event failed by a fault in our code: the turn under way is given up, the conversation goes on."""

    type: Literal["faulted"] = "faulted"
    event: str


class Prompted(Event):
    """The agent speaks unasked: `line` is a name in the dialogue (a silence prompt, a due timer), `values` are put into that
    line."""

    type: Literal["prompted"] = "prompted"
    line: str
    values: dict[str, str] = Field(default_factory=dict)


class TextDue(Event):
    """A typed text has waited for the spoken turn beside it for as long as it may."""

    type: Literal["text_due"] = "text_due"


class FirstAudioReady(Event):
    """The first sound of the reply is ready."""

    type: Literal["first_audio_ready"] = "first_audio_ready"
    generation: Generation


class ReplyEmpty(Event):
    """The reply ended without a word to say."""

    type: Literal["reply_empty"] = "reply_empty"
    generation: Generation


class Disconnected(Event):
    """The listener is gone."""

    type: Literal["disconnected"] = "disconnected"
    reason: str


Happening = (
    SessionStarted
    | SpeechOnset
    | OnsetHeld
    | OnsetDismissed
    | BargeIn
    | TurnReopened
    | TurnEnded
    | TurnUnrecognised
    | Faulted
    | Prompted
    | TextDue
    | FirstAudioReady
    | ReplyEmpty
    | Disconnected
    | Interrupt
    | PlaybackProgress
    | PlaybackDone
    | PlaybackStopped
    | Text
    | Stop
)
