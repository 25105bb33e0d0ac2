"""The conversation's states as data: (state, event) -> (next state, effects). Pure; `Session` carries the effects out.

Some events mean something else while somebody may be speaking, while a reply waits, or where speech is not to interrupt the
agent: GUARDS has their rows, each with the fact under which it is taken.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from app.protocol.events import Happening
from app.protocol.messages import State


class Effect(StrEnum):
    """Something to be done in a transition."""

    GREET = "greet"  # prepare the greeting, if one is wanted
    MARK_TURN = "mark_turn"  # the user's turn has begun: whatever the agent was about to say unasked is dropped
    START_REPLY = "start_reply"  # commit the prepared reply of this revision, or start one
    PROMPT = "prompt"  # prepare a line of the agent's own
    APOLOGISE = "apologise"  # the same, for a turn that was lost
    RELEASE = "release"  # let the prepared audio out
    RELEASE_WAITING = "release_waiting"  # the same, for a reply that waited until it was clear what a sound was
    DUCK = "duck"
    HOLD = "hold"  # a breath's pause in the audio
    UNDUCK = "unduck"
    STOP_PLAYBACK = "stop_playback"  # new generation, flush, playback_stop, cancel
    WITHDRAW = "withdraw"  # cancel a reply of which nothing was heard
    REOPEN = "reopen"  # the user's turn goes on: keep its audio and text
    KEEP_TEXT = "keep_text"  # a turn waits until the agent has fallen silent, a typed one until the spoken one is over
    JOIN_TEXT = "join_text"  # a typed turn goes on with the turn that has no answer yet
    NOTE_PROGRESS = "note_progress"  # the listener acknowledged playback
    RECORD = "record"  # write the turn down with what was heard of it
    END = "end"  # the conversation is over for this connection


class IllegalTransition(Exception):
    """The table has no row for this event in this state."""

    def __init__(self, state: State, event: str) -> None:
        super().__init__(f"{event} is not allowed while {state}")
        self.state = state
        self.event = event


Row = tuple[State, tuple[Effect, ...]]
Fact = Literal["user_may_be_speaking", "reply_waits", "speech_waits"]

# A late acknowledgement may meet any state after its reply ended: it is noted, and changes nothing.
_LATE: dict[str, tuple[Effect, ...]] = {
    "playback_progress": (Effect.NOTE_PROGRESS,),
    "playback_done": (Effect.NOTE_PROGRESS,),
    "playback_stopped": (Effect.NOTE_PROGRESS,),
}


def _rows(state: State, rows: dict[str, Row], late: bool = True) -> dict[tuple[State, str], Row]:
    stay: dict[str, Row] = {event: (state, effects) for event, effects in _LATE.items()} if late else {}
    return {(state, event): row for event, row in (stay | rows).items()}


TRANSITIONS: dict[tuple[State, str], Row] = {
    **_rows("IDLE", {"session_started": ("LISTENING", (Effect.GREET,)), "faulted": ("IDLE", ())}, late=False),
    **_rows(
        "LISTENING",
        {
            "speech_onset": ("LISTENING", (Effect.MARK_TURN,)),
            "onset_dismissed": ("LISTENING", ()),
            "turn_ended": ("THINKING", (Effect.START_REPLY,)),
            "turn_unrecognised": ("LISTENING", (Effect.WITHDRAW, Effect.APOLOGISE)),
            "faulted": ("LISTENING", (Effect.WITHDRAW, Effect.APOLOGISE)),
            "text": ("THINKING", (Effect.WITHDRAW, Effect.START_REPLY)),
            "text_due": ("THINKING", (Effect.WITHDRAW, Effect.START_REPLY)),
            "prompted": ("LISTENING", (Effect.PROMPT,)),
            "first_audio_ready": ("SPEAKING", (Effect.RELEASE,)),
            "reply_empty": ("LISTENING", (Effect.WITHDRAW,)),
            "interrupt": ("LISTENING", (Effect.WITHDRAW,)),
            "stop": ("IDLE", (Effect.WITHDRAW, Effect.END)),
            "disconnected": ("IDLE", (Effect.WITHDRAW, Effect.END)),
        },
    ),
    **_rows(
        "THINKING",
        {
            "speech_onset": ("THINKING", ()),
            "onset_dismissed": ("THINKING", ()),
            "turn_reopened": ("LISTENING", (Effect.REOPEN, Effect.WITHDRAW)),
            "turn_unrecognised": ("THINKING", ()),
            "faulted": ("LISTENING", (Effect.WITHDRAW, Effect.RECORD, Effect.APOLOGISE)),
            "text": ("THINKING", (Effect.JOIN_TEXT,)),
            "first_audio_ready": ("SPEAKING", (Effect.RELEASE,)),
            "reply_empty": ("LISTENING", (Effect.RECORD,)),
            "interrupt": ("LISTENING", (Effect.WITHDRAW, Effect.RECORD)),
            "stop": ("IDLE", (Effect.WITHDRAW, Effect.RECORD, Effect.END)),
            "disconnected": ("IDLE", (Effect.WITHDRAW, Effect.RECORD, Effect.END)),
        },
    ),
    **_rows(
        "SPEAKING",
        {
            "speech_onset": ("SPEAKING", (Effect.DUCK,)),
            "onset_held": ("SPEAKING", (Effect.HOLD,)),
            "onset_dismissed": ("SPEAKING", (Effect.UNDUCK,)),
            "barge_in": ("INTERRUPTED", (Effect.STOP_PLAYBACK,)),
            "interrupt": ("INTERRUPTED", (Effect.STOP_PLAYBACK,)),
            "turn_reopened": ("INTERRUPTED", (Effect.STOP_PLAYBACK, Effect.REOPEN)),
            "turn_ended": ("THINKING", (Effect.STOP_PLAYBACK, Effect.RECORD, Effect.START_REPLY)),
            "turn_unrecognised": ("SPEAKING", ()),
            "faulted": ("LISTENING", (Effect.STOP_PLAYBACK, Effect.RECORD, Effect.APOLOGISE)),
            "text": ("INTERRUPTED", (Effect.STOP_PLAYBACK, Effect.KEEP_TEXT)),
            "playback_done": ("LISTENING", (Effect.NOTE_PROGRESS, Effect.RECORD)),
            "stop": ("IDLE", (Effect.STOP_PLAYBACK, Effect.RECORD, Effect.END)),
            "disconnected": ("IDLE", (Effect.STOP_PLAYBACK, Effect.RECORD, Effect.END)),
        },
    ),
    **_rows(
        "INTERRUPTED",
        {
            "speech_onset": ("INTERRUPTED", ()),
            "onset_dismissed": ("INTERRUPTED", ()),
            "playback_stopped": ("LISTENING", (Effect.NOTE_PROGRESS, Effect.RECORD)),
            "playback_done": ("LISTENING", (Effect.NOTE_PROGRESS, Effect.RECORD)),
            "turn_ended": ("THINKING", (Effect.RECORD, Effect.START_REPLY)),
            "turn_unrecognised": ("LISTENING", (Effect.RECORD, Effect.APOLOGISE)),
            "faulted": ("LISTENING", (Effect.WITHDRAW, Effect.RECORD, Effect.APOLOGISE)),
            "text": ("INTERRUPTED", (Effect.KEEP_TEXT,)),
            "interrupt": ("INTERRUPTED", ()),
            "stop": ("IDLE", (Effect.RECORD, Effect.END)),
            "disconnected": ("IDLE", (Effect.RECORD, Effect.END)),
        },
    ),
}


_OVER_THE_AGENT = ("speech_onset", "onset_held", "barge_in", "turn_reopened")

GUARDS: dict[tuple[State, str], tuple[Fact, Row]] = {
    ("LISTENING", "first_audio_ready"): ("user_may_be_speaking", ("LISTENING", ())),
    ("LISTENING", "text"): ("user_may_be_speaking", ("LISTENING", (Effect.KEEP_TEXT,))),
    ("THINKING", "first_audio_ready"): ("user_may_be_speaking", ("THINKING", ())),
    ("LISTENING", "onset_dismissed"): ("reply_waits", ("LISTENING", (Effect.RELEASE_WAITING,))),
    ("THINKING", "onset_dismissed"): ("reply_waits", ("THINKING", (Effect.RELEASE_WAITING,))),
    **{("SPEAKING", event): ("speech_waits", ("SPEAKING", ())) for event in _OVER_THE_AGENT},
    ("SPEAKING", "turn_ended"): ("speech_waits", ("SPEAKING", (Effect.KEEP_TEXT,))),
}


def guard(state: State, event: Happening, holds: Callable[[Fact], bool]) -> Fact | None:
    """The fact on which this event's row depends, where it `holds` now."""
    fact, _ = GUARDS.get((state, event.type), (None, None))
    return fact if fact is not None and holds(fact) else None


def transition(state: State, event: Happening, fact: Fact | None = None) -> Row:
    """The next state and the effects to carry out, in order. `fact` is what `guard` has found.

    Raises IllegalTransition when the table has no row: an error in a test; logged, audited and ignored in production.
    """
    name = "interrupt" if event.type == "audio_interrupt" else event.type
    row = TRANSITIONS.get((state, name))
    if fact is not None:
        wanted, guarded = GUARDS.get((state, name), (None, None))
        row = guarded if fact == wanted else None
    if row is None:
        raise IllegalTransition(state, name)
    return row
