"""The conversations of the laboratory, shared out over processes, each with models of its own. What comes of a conversation depends
on nothing but itself, so it does not matter which process has it."""

import logging
import os
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NamedTuple

from tests.bench.client import Call
from tests.bench.clips import Clip
from tests.bench.duplex import Overlap, over
from tests.bench.score import UserEvent
from tests.bench.takes import ANSWER_S, SETTLE_S, spoken, turn
from tests.bench.virtual import stock
from tests.bench.virtual.call import Stage
from tests.bench.virtual.costs import Costs
from tests.bench.virtual.figures import LATER_S, Sound, Turn, sound, turns
from tests.bench.virtual.hold import Talk, hold
from tests.bench.virtual.material import OVERLAPS, SOUNDS, Conversation
from tests.bench.virtual.settings import settings_of
from tests.bench.virtual.stock import Other


@dataclass
class Found:
    """What was found. `missing` are calls of models that the table of costs lacks."""

    turns: list[Turn] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    overlaps: dict[str, list[Talk]] = field(default_factory=dict)  # by kind
    others: list[tuple[str, Clip, Other]] = field(default_factory=list)  # (kind, recording, what others make of it)
    missing: set[str] = field(default_factory=set)


async def play(call: Call, clip: Clip) -> list[UserEvent]:
    """Sound that nobody means for the agent."""
    await call.quiet(SETTLE_S)
    event = spoken(clip, await call.play(clip), "noise")
    await call.until(event.end + LATER_S)
    await call.interrupt()
    return [event]


async def side(call: Call, clip: Clip) -> list[UserEvent]:
    """One side of a call between people, turn by turn, while the agent talks as it will."""
    await call.quiet(SETTLE_S)
    start = await call.play(clip)
    events = []
    for first, last, *_ in clip.row["turns"]:
        pauses = tuple((start + a, start + b) for a, b in clip.pauses if first <= a and b <= last)
        events.append(UserEvent("turn", start + first, start + last, pauses))
    await call.until(start + clip.speech_end + ANSWER_S)
    await call.interrupt()
    return events


def sides(clip: Clip) -> list[Clip]:
    """A clip for each turn of a call: its text alone."""
    texts = [part[2] if len(part) > 2 else "" for part in clip.row["turns"]]
    return [Clip(f"{clip.id}-{at}", "call", clip.path, 0.0, 0.0, text, row=clip.row) for at, text in enumerate(texts)]


def held(stage: Stage, talk: Conversation) -> Found:
    found = Found()
    clips = [item for item in talk.items if isinstance(item, Clip)]
    if talk.kind in OVERLAPS:
        overlaps = [item for item in talk.items if isinstance(item, Overlap)]
        found.overlaps[talk.kind] = hold(stage, talk.name, overlaps, over)
    elif talk.kind in SOUNDS:
        found.sounds = [sound(talk.kind, clips[0], hold(stage, talk.name, clips, play))]
    elif talk.kind == "call":
        found.turns = turns(talk.kind, sides(clips[0]), hold(stage, talk.name, clips, side))
    else:
        found.turns = turns(talk.kind, clips, hold(stage, talk.name, clips, turn, talk.asked))
    found.missing = set(stage.workers.costs.missing)
    return found


def everything(args: Namespace, talks: Sequence[Conversation]) -> Found:
    """Has all the conversations; the result is the same with any number of processes."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    whole = Found()
    longest = sorted(range(len(talks)), key=lambda at: -_seconds(talks[at]))
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), _open, (args,)) as pool:
        futures = {at: pool.submit(_hold, talks[at]) for at in longest}
        for at in range(len(talks)):
            found = futures[at].result()
            whole.turns += found.turns
            whole.sounds += found.sounds
            for kind, held_over in found.overlaps.items():
                whole.overlaps.setdefault(kind, []).extend(held_over)
            whole.others += found.others
            whole.missing |= found.missing
    if args.stock:
        stock.keep(settings_of(args), {stock.name_of(clip): other for _, clip, other in whole.others})
    return whole


def _seconds(talk: Conversation) -> float:
    return sum(item.row.get("seconds", 1.0) if isinstance(item, Clip) else 10.0 for item in talk.items)


class _Bench(NamedTuple):
    """What a process has for all its conversations."""

    stage: Stage
    others: dict[str, Other] | None  # what is known already; None: nobody asks


_benches: list[_Bench] = []  # of this process


def _open(args: Namespace) -> None:
    logging.disable(logging.WARNING)
    settings = settings_of(args)
    _benches.append(_Bench(Stage(settings, Costs.load(), echo=args.echo), stock.kept(settings) if args.stock else None))


def _hold(talk: Conversation) -> Found:
    (stage, known), found = _benches[0], held(_benches[0].stage, talk)
    if known is not None and talk.kind != "call":
        clips = [item for item in talk.items if isinstance(item, Clip)]
        found.others = [(talk.kind, clip, known.get(stock.name_of(clip)) or stock.others(stage, clip)) for clip in clips]
    return found
