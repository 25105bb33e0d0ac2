"""Every message, in and out, typed. This file defines the wire format: what a client may send (`ClientMessage`) and what the
server sends (`ServerMessage`). The other events of a conversation are in `app.protocol.events`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from app.core.session_settings import Eagerness, SessionSettings
from configuration.redaction import clean

State = Literal["IDLE", "LISTENING", "THINKING", "SPEAKING", "INTERRUPTED"]
SampleRate = Literal[8000, 16000, 24000, 48000]
Generation = Annotated[int, Field(ge=0, le=2**32 - 1)]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)]
MAX_TEXT = 2000  # characters of a typed turn; a spoken one that has as many is ended
MAX_TOKEN = 8192  # characters: the settings of its conversation stand in it
MAX_AUDIO_BYTES = 192_000  # of one chunk: 2 s at 48 kHz
MAX_MESSAGE_BYTES = 262_144  # of one JSON message: a base64 chunk of that size and its envelope


class Event(BaseModel):
    """A message or an event: immutable, told from others by `type`."""

    model_config = ConfigDict(frozen=True)


# --- client to server -------------------------------------------------------------------------------------------------


class Played(Event):
    """`played_ms` of this generation have left the listener's speaker."""

    generation: Generation
    played_ms: Milliseconds


class Start(Event):
    """Opens a conversation, or goes on with the one that the credentials belong to. `resume`: that one was cut off and goes on
    without a welcome. `played` is what the listener heard last before that, for what they reported may have been lost on its
    way. `eagerness` holds for the conversation from now on; without it, it stays as it was."""

    type: Literal["start"] = "start"
    session_id: str | None = Field(default=None, max_length=128)
    token: str | None = Field(default=None, max_length=MAX_TOKEN)
    sample_rate: SampleRate = 48000
    format: Literal["pcm16"] = "pcm16"
    binary: bool = False
    greeting: bool = True
    resume: bool = False
    played: Played | None = None
    eagerness: Eagerness | None = None


class AudioChunk(Event):
    """`data` is base64 PCM16 mono little-endian at the rate of `start`; `timestamp` is the client's clock in ms."""

    type: Literal["audio_chunk"] = "audio_chunk"
    data: str = Field(max_length=MAX_AUDIO_BYTES * 4 // 3 + 4)
    timestamp: Milliseconds | None = None


class Interrupt(Event):
    """The listener presses a button: the agent falls silent."""

    type: Literal["interrupt", "audio_interrupt"] = "interrupt"


class PlaybackProgress(Event):
    """`played_ms` of this generation has left the listener's speaker."""

    type: Literal["playback_progress"] = "playback_progress"
    generation: Generation
    played_ms: Milliseconds


class PlaybackDone(Event):
    """All of this generation was played, `played_ms` in all. `estimated`: the server's own reckoning."""

    type: Literal["playback_done"] = "playback_done"
    generation: Generation
    played_ms: Milliseconds
    estimated: bool = False


class PlaybackStopped(Event):
    """The answer to `playback_stop`: `played_ms` of the generation were played. `estimated` as above."""

    type: Literal["playback_stopped"] = "playback_stopped"
    generation: Generation
    played_ms: Milliseconds
    estimated: bool = False


Acknowledgement = PlaybackProgress | PlaybackDone | PlaybackStopped  # what a listener says was played


class Text(Event):
    """A typed turn."""

    type: Literal["text"] = "text"
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]


class Configure(Event):
    """Changes those settings of the conversation that the message names, from now on; a setting that is null is as the process
    is set again. The answer is `configured`, or an error, and then all settings stay as they were."""

    type: Literal["configure"] = "configure"
    settings: SessionSettings


class Ping(Event):
    """Asks whether the server is there; the answer is `pong`."""

    type: Literal["ping"] = "ping"


class Stop(Event):
    """Ends the conversation, which cannot be resumed."""

    type: Literal["stop"] = "stop"


ClientMessage = Annotated[
    Start | AudioChunk | Interrupt | PlaybackProgress | PlaybackDone | PlaybackStopped | Text | Configure | Ping | Stop,
    Field(discriminator="type"),
]
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


# --- server to client -------------------------------------------------------------------------------------------------


class Limits(Event):
    """What a client may send."""

    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_audio_bytes: int = MAX_AUDIO_BYTES
    max_text: int = MAX_TEXT
    idle_timeout_s: float
    messages_per_second: int
    sound_at_once_s: float  # of sound that comes ahead of time; what comes beyond is dropped


class Ready(Event):
    """`token` is sent only to a client that opened without one, so that it can resume."""

    type: Literal["ready"] = "ready"
    session_id: str
    resumed: bool
    sample_rate: SampleRate
    limits: Limits
    token: str | None = None


class StateChanged(Event):
    """The conversation is in another state, `at_ms` after it began; `reason` is the event that moved it."""

    type: Literal["state"] = "state"
    state: State
    previous: State
    reason: str
    at_ms: float


class TranscriptUpdate(Event):
    """`understood` is false for a turn in which somebody spoke and no word was made out; its text is empty."""

    type: Literal["transcript"] = "transcript"
    text: str
    final: bool
    turn: int
    revision: int
    understood: bool = True


class IntentFound(Event):
    """What the user wants, with a confidence of 0..1."""

    type: Literal["intent"] = "intent"
    name: str
    confidence: float
    turn: int


class Source(Event):
    """A passage of the knowledge, and how well it fits (0..1)."""

    id: str
    title: str
    score: float


class Sources(Event):
    """The passages that the reply is made from."""

    type: Literal["sources"] = "sources"
    passages: list[Source]
    turn: int


class AgentResponse(Event):
    """A clause that the agent is about to say; the last message of a reply is `final` and has no text."""

    type: Literal["agent_response"] = "agent_response"
    text: str
    final: bool
    turn: int
    generation: Generation


class SpokenChunk(Event):
    """`audio` is base64 PCM16 mono at `ready.sample_rate`; `ms` is its place in this generation."""

    type: Literal["audio_chunk"] = "audio_chunk"
    audio: str
    generation: Generation
    sequence: int
    ms: float


class Duck(Event):
    """Asks the client to play more quietly, at `gain` (0..1)."""

    type: Literal["duck"] = "duck"
    generation: Generation
    gain: float


class Unduck(Event):
    """Asks the client to play as loudly as before."""

    type: Literal["unduck"] = "unduck"
    generation: Generation
    gain: float = 1.0


class PlaybackStart(Event):
    """`rtp` is the RTP timestamp of the first sample of this generation (WebRTC only); `ms` the place in the generation."""

    type: Literal["playback_start"] = "playback_start"
    generation: Generation
    rtp: int | None = None
    ms: float = 0.0


class AudioEnd(Event):
    """No more audio follows in this generation; `rtp` is the timestamp after its last sample, `ms` its whole length."""

    type: Literal["audio_end"] = "audio_end"
    generation: Generation
    rtp: int | None = None
    ms: float


class PlaybackStop(Event):
    """Asks the client to fall silent now and to answer `playback_stopped` with what was played."""

    type: Literal["playback_stop"] = "playback_stop"
    generation: Generation


class AgentHeard(Event):
    """The words of the reply that were heard. `estimated`: the listener did not say what was played."""

    type: Literal["agent_heard"] = "agent_heard"
    text: str
    turn: int
    estimated: bool


class Latency(Event):
    """Milliseconds from the end of the user's speech (for a reply) or from the onset (for an interruption), named as in
    `app.core.latency`."""

    type: Literal["latency"] = "latency"
    turn: int
    spans: dict[str, float]


class Error(Event):
    """`field` names the field of the client's message that is at fault; after a fatal one the connection is closed."""

    type: Literal["error"] = "error"
    code: str
    message: Annotated[str, AfterValidator(clean)]
    fatal: bool = False
    field: str | None = None


class ShuttingDown(Event):
    """The last message of a server that is going down; it then closes the connection. The conversation goes on when the client
    opens it again after `after_ms`: at the base address `url`, or where none is given at the address that it used first."""

    type: Literal["shutting_down"] = "shutting_down"
    message: str = "the server is going down: go on elsewhere"
    url: str | None = None
    after_ms: float = 0.0


class Configured(Event):
    """The settings that hold in the conversation from now on. Instructions are not repeated: they may belong to whoever made
    the session."""

    type: Literal["configured"] = "configured"
    settings: SessionSettings


class Pong(Event):
    """The answer to `ping`."""

    type: Literal["pong"] = "pong"


Farewell = Error | ShuttingDown  # what a connection may end with

ServerMessage = (
    Ready
    | StateChanged
    | TranscriptUpdate
    | IntentFound
    | Sources
    | AgentResponse
    | SpokenChunk
    | Duck
    | Unduck
    | PlaybackStart
    | AudioEnd
    | PlaybackStop
    | AgentHeard
    | Latency
    | Error
    | ShuttingDown
    | Configured
    | Pong
)
