"""What the recordings say, by the published definitions. Times are seconds on one clock, t=0 the first input sample sent.

- tau-voice panel (sierra-research/tau2-bench, docs/interaction-metrics.md), at 20 ms in place of its 0.2 s ticks
- Full-Duplex-Bench v1 takeover rate (DanielLin94144/Full-Duplex-Bench, evaluation/)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tests.bench.clips import RATE, Audio
from tests.bench.devices import AUDIBLE_DBFS
from tests.bench.report import percentile, share

HOP_S = 0.02
GAP_S = 0.5  # a shorter silence belongs to the agent's speech: Full-Duplex-Bench v1.5, get_timing.py
YIELD_S = 2.0  # tau-voice: an interruption is yielded to when the agent stops within this
FLINCH_S = 1.0  # ... and what should be ignored is not when the agent stops within this
REPLY_S = 2.0  # ... or, when it was silent, starts within this
RESUME_S = 0.2  # an answer to a pause may reach the ear this long after the user goes on

Segment = tuple[float, float]
Kind = Literal["turn", "interruption", "backchannel", "vocal_tic", "non_directed", "noise"]
IGNORED: tuple[Kind, ...] = ("backchannel", "vocal_tic", "non_directed", "noise")


@dataclass(frozen=True)
class UserEvent:
    """Something the user, or the room, sounded between two times."""

    kind: Kind
    start: float
    end: float
    pauses: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """One call: where the agent sounded, where its replies came to their planned end, and what the user did, in order."""

    agent: Sequence[Segment]
    finished: Sequence[float]
    events: Sequence[UserEvent]


def merge(segments: Iterable[Segment], gap: float) -> list[Segment]:
    """Segments joined across silences of up to `gap` s."""
    joined: list[Segment] = []
    for start, end in sorted(segments):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def segments(audio: Audio, gap: float = GAP_S, hop_s: float = HOP_S) -> list[Segment]:
    """Where `audio` (at RATE, -1..1) is above AUDIBLE_DBFS, in steps of `hop_s`."""
    hop = round(RATE * hop_s)
    power = np.square(audio[: len(audio) // hop * hop].reshape(-1, hop)).mean(axis=1)
    loud = np.concatenate([[0], power > 10 ** (AUDIBLE_DBFS / 10), [0]]).astype(int)
    edges = np.flatnonzero(np.diff(loud)) * hop_s
    return merge([(float(a), float(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)], gap)


def takeover(agent: Sequence[Segment], words: int) -> bool:
    """Full-Duplex-Bench v1: the agent took the turn unless it was silent, or said at most 3 words in less than 1 s."""
    if not agent or not words:
        return False
    return max(end for _, end in agent) - min(start for start, _ in agent) >= 1.0 or words > 3


def first_start(agent: Sequence[Segment], after: float, before: float = float("inf")) -> float | None:
    """When the agent first begins to sound in (after, before)."""
    return next((start for start, _ in agent if after < start < before), None)


def running(agent: Sequence[Segment], at: float) -> Segment | None:
    """The agent's segment that sounds at this time."""
    return next(((start, end) for start, end in agent if start <= at < end), None)


def paused_takeovers(recorded: Recorded, shortest: float, longest: float) -> list[bool]:
    """For each mid-turn pause of such a length: did the agent begin to sound in it?"""
    return [
        first_start(recorded.agent, a, b + RESUME_S) is not None
        for event in recorded.events
        for a, b in event.pauses
        if shortest <= round(b - a, 3) <= longest
    ]


def flinched(recorded: Recorded, event: UserEvent, throughout: bool = False) -> bool | None:
    """Did the agent yield to what it should ignore, or answer it? None when its reply happened to end as planned just then.
    `throughout` is stricter than tau-voice: the agent must hold until 1 s after the sound's end."""
    speech = running(recorded.agent, event.start)
    if speech is None:
        return first_start(recorded.agent, event.start, event.end + REPLY_S) is not None
    limit = (event.end if throughout else event.start) + FLINCH_S
    if speech[1] > limit:
        return False
    return None if any(abs(speech[1] - end) < 2 * GAP_S for end in recorded.finished) else True


def _next_start(recorded: Recorded, event: UserEvent) -> float:
    return min((other.start for other in recorded.events if other.start > event.end), default=float("inf"))


def panel(calls: Sequence[Recorded]) -> dict[str, Any]:
    """The tau-voice panel. `events_*` count what each share rests on; an interruption of a silent agent is not one."""
    of = [(call, event) for call in calls for event in call.events]
    turns = [(call, event) for call, event in of if event.kind == "turn"]
    answers = [(first_start(c.agent, e.end, _next_start(c, e)), e.end) for c, e in turns]
    latencies = [start - end for start, end in answers if start is not None]
    intrusions = sum(e.start < start < e.end for c, e in turns for start, _ in c.agent)
    yields = [
        speech[1] - event.start
        for call, event in of
        if event.kind == "interruption" and (speech := running(call.agent, event.start))
    ]
    yielded = [seconds for seconds in yields if seconds <= YIELD_S]
    figures: dict[str, Any] = {
        "response_latency_mean_ms": 1000 * float(np.mean(latencies)) if latencies else float("nan"),
        "response_latency_p50_ms": 1000 * percentile(latencies, 50),
        "response_latency_p95_ms": 1000 * percentile(latencies, 95),
        "response_rate": share(start is not None for start, _ in answers),
        "agent_interruption_rate": intrusions / len(turns) if turns else float("nan"),
        "events_turn": len(turns),
        "yield_rate": share(seconds <= YIELD_S for seconds in yields),
        "yield_latency_p50_ms": 1000 * percentile(yielded, 50),
        "yield_latency_p95_ms": 1000 * percentile(yielded, 95),
        "events_interruption": len(yields),
    }
    for kind in IGNORED:
        mine = [(call, event) for call, event in of if event.kind == kind]
        verdicts = [v for call, event in mine if (v := flinched(call, event)) is not None]
        strict = [v for call, event in mine if (v := flinched(call, event, throughout=True)) is not None]
        figures[f"selectivity_{kind}"] = share(not v for v in verdicts)
        figures[f"selectivity_{kind}_throughout"] = share(not v for v in strict)
        figures[f"events_{kind}"] = len(verdicts)
    return figures
