"""Conversations on a stage, item after item, and what was recorded of them: `tests.bench.takes.hold` in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile

from tests.bench.client import FRAME_S
from tests.bench.devices import Speaker
from tests.bench.takes import Item, Take, Work, converse
from tests.bench.virtual.call import Stage
from tests.unit import virtual_time

HOP_S = 0.01
SOON_S = 0.1  # a breath that is held begins so soon after it was asked for


@dataclass(frozen=True)
class Talk:
    """A take, and what is not told of it there. Times are call times in s: `replies` is where each reply sounded first and last,
    `reopened` when a turn that had been taken for over went on, and `breaths` are (time, length) of the pauses that the agent made
    while it had to decide what a sound was."""

    take: Take
    replies: list[tuple[float, float]]
    reopened: list[float]
    breaths: list[tuple[float, float]]


def hold(stage: Stage, name: str, items: Sequence[Item], work: Work[Item], asked: str = "") -> list[Talk]:
    """Go through the items, PER_CALL to a conversation; when one breaks, the next goes on after the item."""
    talks: list[Talk] = []
    left = list(items)
    while left:
        talks.append(virtual_time.run(_talk(stage, f"{name}-{len(talks)}", left, work, asked)))
    return talks


async def _talk(stage: Stage, name: str, left: list[Item], work: Work[Item], asked: str) -> Talk:
    async with stage.call(name, asked) as (call, notes):
        take = await converse(call, name, left, work, HOP_S)
        zero = asyncio.get_running_loop().time() - call.now()
        held, reopened = (
            [at - zero for at, event in notes.events if event == name] for name in ("onset_held", "turn_reopened")
        )
        return Talk(take, replies(call.speaker), reopened, [(at, breath(call.speaker, at)) for at in held])


def replies(speaker: Speaker) -> list[tuple[float, float]]:
    """From the first audible frame of each reply to the end of its last, in order."""
    found: dict[int, tuple[float, float]] = {}
    for frame in speaker.frames:
        if frame.loud:
            first = found.get(frame.generation, (frame.start, 0.0))[0]
            found[frame.generation] = (first, frame.start + FRAME_S)
    return sorted(found.values())


def breath(speaker: Speaker, at: float) -> float:
    """How long (s) the agent's own sound paused from `at` on, or soon after."""
    frames = [frame for frame in speaker.frames if frame.start >= at and frame.generation]
    frames = list(dropwhile(lambda frame: frame.loud and frame.start < at + SOON_S, frames))
    return FRAME_S * sum(1 for _ in takewhile(lambda frame: not frame.loud, frames))
