"""What is counted in conversations in virtual time, for each kind of turn and of sound."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.clips import Clip
from tests.bench.duplex import ducks
from tests.bench.report import percentile, share
from tests.bench.score import RESUME_S, Recorded, UserEvent, panel, running
from tests.bench.takes import ANSWER_S
from tests.bench.virtual.hold import Talk
from tests.bench.virtual.said import scored, wrong

PAUSE_S = 0.3  # a shorter silence is no pause
REPAIR_S = 1.0  # after somebody goes on in a pause that was taken, by when the agent has given way
LATER_S = 3.0  # after a sound: what is said then is an answer to it


@dataclass(frozen=True)
class Turn:
    """One turn of a user. `latency_ms`: from its end to the first sound of the answer, None where there was none or where the end
    is not sure. `taken`: for each pause whether the agent began to speak in it; after `repaired` of them it gave way, and heard the
    turn as one with what went before. `wrong` of `characters` are not as they were
    said."""

    id: str
    kind: str
    row: dict[str, Any]
    heard: str
    answered: bool
    latency_ms: float | None
    taken: tuple[bool, ...]
    reopened: int
    repaired: int
    wrong: int
    characters: int

    @property
    def lost(self) -> bool:
        return not self.heard and not self.answered


@dataclass(frozen=True)
class Sound:
    """Something that was no speech to the agent: `words` is what was made of it, `answered` whether the agent said something."""

    id: str
    kind: str
    words: str
    answered: bool


def heard_in(talk: Talk, start: float, end: float) -> str:
    """The final text of the turns that were told in a stretch of time, each as it was told last."""
    texts = {m["turn"]: m["text"] for m in talk.take.log if m["type"] == "transcript" and m["final"] and start <= m["t"] < end}
    return " ".join(filter(None, texts.values()))


def turns(kind: str, said: Sequence[Clip], talks: Sequence[Talk]) -> list[Turn]:
    """Of the talks of one conversation; `said` has a clip for each event, in order. Turns of a call that broke are lost."""
    found = []
    clips = iter(said)
    for talk in talks:
        events = talk.take.recorded.events
        ends = [*(event.start for event in events[1:]), float("inf")][: len(events)]
        found += [turn(kind, next(clips), event, talk, until) for event, until in zip(events, ends, strict=True)]
    found += [Turn(clip.id, kind, clip.row, "", False, None, (), 0, 0, len(clip.text), len(clip.text)) for clip in clips]
    return found


def turn(kind: str, clip: Clip, event: UserEvent, talk: Talk, until: float) -> Turn:
    starts = [start for start, _ in talk.replies]
    first = next((start for start in starts if event.end < start <= min(until, event.end + ANSWER_S)), None)
    pauses = [(a, b) for a, b in event.pauses if b - a >= PAUSE_S - 1e-6]
    taken = tuple(any(a < start < b + RESUME_S for start in starts) for a, b in pauses)
    heard = heard_in(talk, event.start, until)
    bad, characters = wrong(clip.row, kind, clip.text, heard) if scored(clip.row, clip.text) else (0, 0)
    sure = clip.row.get("turn_end_sure", True)
    latency = 1000 * (first - event.end) if first is not None and sure else None
    reopened = sum(event.start <= at < until for at in talk.reopened)
    mended = [took and any(b <= at < b + REPAIR_S for at in talk.reopened) for took, (_, b) in zip(taken, pauses, strict=True)]
    return Turn(clip.id, kind, clip.row, heard, first is not None, latency, taken, reopened, sum(mended), bad, characters)


def sound(kind: str, clip: Clip, talks: Sequence[Talk]) -> Sound:
    talk = talks[0]
    (event,) = talk.take.recorded.events
    answered = any(event.start < start < event.end + LATER_S for start, _ in talk.replies)
    return Sound(clip.id, kind, heard_in(talk, event.start, float("inf")), answered)


def of_turns(found: Sequence[Turn]) -> dict[str, Any]:
    """The figures of one kind of turn."""
    latencies = [one.latency_ms for one in found if one.latency_ms is not None]
    taken = [verdict for one in found for verdict in one.taken]
    characters = sum(one.characters for one in found)
    return {
        "turns": len(found),
        "speakers": len({one.row.get("speaker") for one in found}),
        "response_rate": share(one.answered for one in found),
        "lost": sum(one.lost for one in found),
        "no_text": sum(not one.heard for one in found),
        "response_latency_p50_ms": percentile(latencies, 50),
        "response_latency_p95_ms": percentile(latencies, 95),
        "pauses": len(taken),
        "pause_takeovers": sum(taken),
        "pause_takeover_rate": share(taken),
        "repaired": sum(one.repaired for one in found),
        "reopened": sum(one.reopened for one in found),
        "characters_wrong": sum(one.wrong for one in found) / characters if characters else float("nan"),
        "characters": characters,
    }


def of_sounds(found: Sequence[Sound]) -> dict[str, Any]:
    return {
        "clips": len(found),
        "invented": sum(bool(one.words) for one in found),
        "invented_rate": share(bool(one.words) for one in found),
        "answered": sum(one.answered for one in found),
    }


def of_overlaps(talks: Sequence[Talk]) -> dict[str, Any]:
    """The duplex panel, and in how many of the backchannels the agent paused, for how long in all."""
    takes = [talk.take for talk in talks]
    held = [breath for talk in talks for event in met(talk.take.recorded) for breath in [_breath(talk, event)]]
    return {
        **panel([take.recorded for take in takes]),
        "onset_to_duck_p50_ms": percentile(ducks(takes), 50),
        "onset_to_duck_p95_ms": percentile(ducks(takes), 95),
        "backchannels_met": len(held),
        "backchannels_paused_in": sum(seconds > 0 for seconds in held),
        "backchannel_pauses_s": float(sum(held)),
    }


def met(recorded: Recorded) -> Iterable[UserEvent]:
    """The backchannels that met a sounding agent."""
    return (event for event in recorded.events if event.kind == "backchannel" and running(recorded.agent, event.start))


def _breath(talk: Talk, event: UserEvent) -> float:
    return sum(seconds for at, seconds in talk.breaths if event.start <= at <= event.end + 1.0)
