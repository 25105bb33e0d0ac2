"""Every row of the state table, and everything it refuses."""

from itertools import product
from typing import get_args

import pytest

from app.conversation.effects import EFFECTS
from app.conversation.state_machine import GUARDS, TRANSITIONS, Effect, IllegalTransition, guard, transition
from app.protocol import events, messages
from app.protocol.events import Happening
from app.protocol.messages import State

SAMPLES: dict[str, Happening] = {
    "session_started": events.SessionStarted(greeting=True, resumed=False),
    "speech_onset": events.SpeechOnset(at_ms=0),
    "onset_held": events.OnsetHeld(),
    "onset_dismissed": events.OnsetDismissed(kind="noise"),
    "barge_in": events.BargeIn(at_ms=0),
    "turn_reopened": events.TurnReopened(at_ms=0),
    "turn_ended": events.TurnEnded(turn=1, revision=1, text="hello"),
    "turn_unrecognised": events.TurnUnrecognised(turn=1),
    "faulted": events.Faulted(event="text"),
    "prompted": events.Prompted(line="greeting"),
    "text_due": events.TextDue(),
    "first_audio_ready": events.FirstAudioReady(generation=1),
    "reply_empty": events.ReplyEmpty(generation=1),
    "disconnected": events.Disconnected(reason="lost"),
    "interrupt": messages.Interrupt(),
    "playback_progress": messages.PlaybackProgress(generation=1, played_ms=1),
    "playback_done": messages.PlaybackDone(generation=1, played_ms=1),
    "playback_stopped": messages.PlaybackStopped(generation=1, played_ms=1),
    "text": messages.Text(text="hello"),
    "stop": messages.Stop(),
}
STATES = get_args(State)
# What must be so: state, event, next state, and an effect that must be among those carried out.
TABLE = [
    ("IDLE", "session_started", "LISTENING", Effect.GREET),
    ("LISTENING", "speech_onset", "LISTENING", Effect.MARK_TURN),
    ("LISTENING", "turn_ended", "THINKING", Effect.START_REPLY),
    ("LISTENING", "first_audio_ready", "SPEAKING", Effect.RELEASE),  # the greeting
    ("THINKING", "first_audio_ready", "SPEAKING", Effect.RELEASE),
    ("THINKING", "turn_reopened", "LISTENING", Effect.WITHDRAW),
    ("SPEAKING", "speech_onset", "SPEAKING", Effect.DUCK),
    ("SPEAKING", "onset_held", "SPEAKING", Effect.HOLD),
    ("SPEAKING", "onset_dismissed", "SPEAKING", Effect.UNDUCK),
    ("SPEAKING", "barge_in", "INTERRUPTED", Effect.STOP_PLAYBACK),
    ("SPEAKING", "interrupt", "INTERRUPTED", Effect.STOP_PLAYBACK),
    ("INTERRUPTED", "playback_stopped", "LISTENING", Effect.RECORD),
    ("SPEAKING", "playback_done", "LISTENING", Effect.RECORD),
    ("SPEAKING", "turn_ended", "THINKING", Effect.START_REPLY),  # a turn is answered wherever it ends
    ("THINKING", "text", "THINKING", Effect.JOIN_TEXT),
    ("LISTENING", "text_due", "THINKING", Effect.START_REPLY),
    ("LISTENING", "turn_unrecognised", "LISTENING", Effect.APOLOGISE),
    ("INTERRUPTED", "turn_unrecognised", "LISTENING", Effect.APOLOGISE),
    ("THINKING", "faulted", "LISTENING", Effect.APOLOGISE),
    ("SPEAKING", "faulted", "LISTENING", Effect.STOP_PLAYBACK),
    ("INTERRUPTED", "faulted", "LISTENING", Effect.RECORD),
    ("LISTENING", "disconnected", "IDLE", Effect.END),
    ("THINKING", "disconnected", "IDLE", Effect.END),
    ("SPEAKING", "disconnected", "IDLE", Effect.END),
    ("INTERRUPTED", "disconnected", "IDLE", Effect.END),
]


@pytest.mark.parametrize(("state", "event", "after", "effect"), TABLE)
def test_the_rows_of_the_design(state: State, event: str, after: State, effect: Effect) -> None:
    reached, effects = transition(state, SAMPLES[event])
    assert reached == after
    assert effect in effects


@pytest.mark.parametrize(("state", "event"), sorted(set(product(STATES, SAMPLES)) - set(TRANSITIONS)))
def test_what_the_table_does_not_allow_is_an_error(state: State, event: str) -> None:
    with pytest.raises(IllegalTransition, match=f"{event} is not allowed while {state}"):
        transition(state, SAMPLES[event])


def test_every_event_of_the_union_is_in_the_table_and_every_effect_is_carried_out() -> None:
    assert {kind.model_fields["type"].default for kind in get_args(Happening)} == set(SAMPLES)
    assert {event for _, event in TRANSITIONS} == set(SAMPLES)
    assert set(EFFECTS) == set(Effect)
    rows = [*TRANSITIONS.values(), *(row for _, row in GUARDS.values())]
    assert {effect for _, effects in rows for effect in effects} == set(Effect)


@pytest.mark.parametrize(("state", "event"), GUARDS)
def test_a_guarded_event_has_a_row_of_its_own_where_its_fact_holds(state: State, event: str) -> None:
    fact, row = GUARDS[state, event]
    assert guard(state, SAMPLES[event], lambda asked: asked == fact) == fact
    assert guard(state, SAMPLES[event], lambda asked: False) is None
    assert transition(state, SAMPLES[event], fact) == row != transition(state, SAMPLES[event])
    assert row[0] == state  # the event itself waits


def test_a_fact_that_no_guard_asks_for_is_an_error() -> None:
    with pytest.raises(IllegalTransition):
        transition("THINKING", SAMPLES["first_audio_ready"], "reply_waits")
    assert guard("SPEAKING", SAMPLES["onset_dismissed"], lambda asked: True) is None


def test_the_alias_of_interrupt_is_the_same_event() -> None:
    assert transition("SPEAKING", messages.Interrupt(type="audio_interrupt")) == transition("SPEAKING", messages.Interrupt())


def test_nothing_is_heard_after_a_session_ends() -> None:
    leaving = [(state, event) for (state, event), (after, _) in TRANSITIONS.items() if after == "IDLE" != state]
    for state, event in leaving:
        effects = TRANSITIONS[state, event][1]
        silenced = {Effect.WITHDRAW, Effect.STOP_PLAYBACK} & set(effects)
        assert silenced or state == "INTERRUPTED", (state, event)
