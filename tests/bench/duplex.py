"""The full-duplex panel: is every turn answered, is every interruption yielded to, and is everything else talked through?"""

import random
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.client import Call
from tests.bench.clips import LEAST, Clip, Scenario, clips, paused_turns, scenarios, sentences
from tests.bench.report import judge, percentile, share
from tests.bench.score import HOP_S, Kind, Recorded, UserEvent, panel, paused_takeovers, takeover
from tests.bench.server import serve
from tests.bench.takes import ANSWER_S, PROMPTS, SETTLE_S, Take, cut_off, hold, server_spans, spoken, turn

TARGETS = {
    "yield_rate": (">=", 0.98),
    "yield_latency_p50_ms": ("<=", 300.0),
    "yield_latency_p95_ms": ("<=", 500.0),
    "selectivity_backchannel": (">=", 0.90),
    "selectivity_vocal_tic": (">=", 0.90),
    "pause_takeover_rate": ("<=", 0.05),
    "response_rate": (">=", 0.98),
    "onset_to_duck_p95_ms": ("<=", 100.0),
}
KINDS: dict[str, Kind] = {
    "user_interruption": "interruption",
    "user_backchannel": "backchannel",
    "vocal_tic": "vocal_tic",
    "background_speech": "non_directed",
    "non_directed": "non_directed",
    "noise": "noise",
    "music": "noise",
}
TICS = ("cough", "sneeze", "sniff", "throat", "laugh", "vocal_tic")
GAINS: dict[Kind, tuple[float, ...]] = {"non_directed": (-15.0, -18.0), "noise": (-6.0, -10.0)}  # what lies behind the user
PACE = 3.0  # words a second of the agent's voice, where takeover wants words


@dataclass(frozen=True)
class Overlap:
    """Ask `context` (spoken, or typed), and let `clip` sound `after` seconds into the answer. The user says `before` first."""

    kind: Kind
    context: Clip | str
    clip: Clip
    after: float
    gain_db: float
    before: Clip | None = None


def is_tic(clip: Clip) -> bool:
    return any(word in f"{clip.kind} {clip.row.get('label', '')}" for word in TICS)


def from_scenario(scenario: Scenario) -> Overlap:
    kind = "vocal_tic" if is_tic(scenario.overlap) else KINDS[scenario.type]
    return Overlap(kind, scenario.context, scenario.overlap, scenario.after, scenario.gain_db)


def plan(everything: Sequence[Clip], given: Sequence[Scenario], events: int) -> list[Overlap]:
    """The scenarios, and more of each kind up to `events` (LEAST with 0): the same voices at other onsets and levels."""
    material: dict[Kind, list[Clip]] = {
        "interruption": [c for c in everything if c.kind in ("question", "command")],
        "backchannel": [c for c in everything if c.kind == "backchannel"],
        "vocal_tic": [c for c in everything if is_tic(c)],
        "non_directed": [c for c in everything if c.kind == "bg_speech"],
        "noise": [c for c in everything if c.kind in ("noise", "music") and not is_tic(c)],
    }
    overlaps = [from_scenario(scenario) for scenario in given]
    dice = random.Random(7)
    for kind, sounds in material.items():
        dice.shuffle(sounds)
        for n in range((events or LEAST) - sum(o.kind == kind for o in overlaps) if sounds else 0):
            after, gain = dice.uniform(0.8, 3.0), dice.choice(GAINS.get(kind, (0.0, -3.0, -6.0)))
            overlaps.append(Overlap(kind, dice.choice(PROMPTS), sounds[n % len(sounds)], after, gain))
    return overlaps


async def over(call: Call, overlap: Overlap) -> list[UserEvent]:
    """Play one overlap; an interruption is a turn as well, for its answer is waited for."""
    await call.quiet(SETTLE_S)
    events = []
    if overlap.before is not None:
        said = spoken(overlap.before, await call.play(overlap.before))
        await call.until(said.end)
        await cut_off(call, said.end)
        await call.quiet(SETTLE_S)
    if isinstance(overlap.context, Clip):
        events.append(spoken(overlap.context, await call.play(overlap.context)))
        asked = events[0].end
        await call.until(asked)
    else:
        asked = await call.say(overlap.context)
    first = await call.audible(asked, ANSWER_S)
    if first is None:
        return events
    start = await call.play(overlap.clip, first + overlap.after - overlap.clip.speech_start, overlap.gain_db)
    event = spoken(overlap.clip, start, overlap.kind)
    await call.until(event.end + (0.0 if overlap.kind == "interruption" else 2.2))
    if overlap.kind == "interruption":
        await cut_off(call, event.end)
    else:
        await call.interrupt()
    return [*events, event]


def ducks(takes: Sequence[Take]) -> list[float]:
    """Milliseconds from the onset of each sound that the user makes over the agent to the order to duck, where one came: voices and
    noises behind the user are better met late or not at all."""
    found = []
    for take in takes:
        for event in (e for e in take.recorded.events if e.kind in ("interruption", "backchannel", "vocal_tic")):
            orders = [m["t"] for m in take.log if m["type"] == "duck" and event.start <= m["t"] <= event.end + 0.5]
            found += [1000 * (orders[0] - event.start)] if orders else []
    return found


def settling(takes: Sequence[Take]) -> list[float]:
    """Milliseconds from the last sound of each reply that was heard out to the state that follows it."""
    found = []
    for take in takes:
        for done in take.recorded.finished:
            state = next((m["t"] for m in take.log if m["type"] == "state" and m["t"] > done), None)
            last = max((end for _, end in take.recorded.agent if end < done + 0.1), default=None)
            if state is not None and last is not None:
                found.append(1000 * (state - last))
    return found


def takeovers(recorded: Recorded, before: bool) -> list[bool]:
    """Full-Duplex-Bench v1, per turn: did the agent take over before its end, or after it?"""
    verdicts = []
    for event in recorded.events:
        first, last = (event.start, event.end) if before else (event.end, event.end + ANSWER_S)
        sound = [(max(a, first), min(b, last)) for a, b in recorded.agent if a < last and b > first]
        verdicts.append(takeover(sound, round(PACE * sum(b - a for a, b in sound))))
    return verdicts


async def run(args: Namespace) -> dict[str, Any]:
    overlaps = plan(clips(args.data), scenarios(args.data), args.events)
    async with serve(args) as server:
        turns = await hold(server.url, args, "turns", sentences(args.data, args.events), turn, HOP_S)
        pauses = await hold(server.url, args, "pauses", paused_turns(args.data, args.events), turn, HOP_S)
        overs = await hold(server.url, args, "overlaps", overlaps, over, HOP_S)
    figures = {
        **panel([take.recorded for take in (*turns, *overs)]),
        "pause_takeover_rate": share(v for take in pauses for v in paused_takeovers(take.recorded, 0.4, 1.2)),
        "fdb_pause_takeover_rate": share(v for take in pauses for v in takeovers(take.recorded, before=True)),
        "fdb_turn_takeover_rate": share(v for take in turns for v in takeovers(take.recorded, before=False)),
        "onset_to_duck_p50_ms": percentile(ducks(overs), 50),
        "onset_to_duck_p95_ms": percentile(ducks(overs), 95),
        "last_sound_to_listening_p95_ms": percentile(settling(turns + overs), 95),
        **server_spans(overs),
    }
    return judge(f"full-duplex panel, {args.transport}", figures, TARGETS)
