"""Conversations with the agent, item after item, and what was recorded of them."""

import math
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.client import Call, dial
from tests.bench.clips import Clip
from tests.bench.report import percentile
from tests.bench.score import Kind, Recorded, UserEvent, segments

PER_CALL = 10  # items in one call: a lost call costs no more
SETTLE_S = 0.7  # the agent has been quiet for so long before the next item
ANSWER_S = 6.0  # an answer that has not begun by then does not come
LISTEN_S = 1.3  # how much of an answer is heard before it is cut off: over 1 s, so that it counts as a turn

PROMPTS = (  # typed questions that the built-in knowledge answers at length
    "How does barge-in work?",
    "What happens when I interrupt you?",
    "What is ducking?",
    "How do you know what I heard?",
    "What is a playback acknowledgement?",
    "How does turn taking work?",
    "What is voice activity detection?",
    "What are backchannels?",
    "What is a jitter buffer?",
    "Why do you use WebRTC?",
)
Item = TypeVar("Item")
Work = Callable[[Call, Item], Awaitable[list[UserEvent]]]


@dataclass(frozen=True)
class Take:
    """One call: what was measured and the messages both ways."""

    recorded: Recorded
    log: list[dict[str, Any]]


def spoken(clip: Clip, start: float, kind: Kind = "turn") -> UserEvent:
    """The event of a clip that plays from `start`."""
    pauses = tuple((start + a, start + b) for a, b in clip.pauses)
    return UserEvent(kind, start + clip.speech_start, start + clip.speech_end, pauses)


async def cut_off(call: Call, after: float) -> None:
    """Hear the beginning of the answer to what ended at `after`, then stop it."""
    first = await call.audible(after, ANSWER_S)
    if first is not None:
        await call.until(first + LISTEN_S)
        await call.interrupt()


async def turn(call: Call, clip: Clip) -> list[UserEvent]:
    """The user says a clip and hears the beginning of the answer."""
    await call.quiet(SETTLE_S)
    event = spoken(clip, await call.play(clip))
    await call.until(event.end)
    await cut_off(call, event.end)
    return [event]


async def hold(
    url: str, args: Namespace, name: str, items: Sequence[Item], work: Work[Item], hop_s: float = 0.01
) -> list[Take]:
    """Go through the items, PER_CALL to a call. A call that breaks is reported, and the next one goes on after the item."""
    takes: list[Take] = []
    left = list(items)
    while left:
        async with dial(url, args.transport) as call:
            takes.append(await converse(call, name, left, work, hop_s))
            if args.record:
                call.save(Path(args.record) / f"{name}-{args.transport}-{len(takes):02}")
    return takes


async def converse(call: Call, name: str, left: list[Item], work: Work[Item], hop_s: float) -> Take:
    """One call: the first PER_CALL items, which are taken out of `left`."""
    events: list[UserEvent] = []
    for _ in range(min(PER_CALL, len(left))):
        try:
            events += await work(call, left.pop(0))
        except (ConnectionError, TimeoutError) as error:
            print(f"  {name}: a call broke at {call.now():.1f} s: {error}")
            break
    finished = [e["t"] for e in call.log if e["type"] == "playback_done"]
    return Take(Recorded(segments(call.agent(), hop_s=hop_s), finished, events), call.log)


def answer_latencies(takes: Sequence[Take]) -> list[float]:
    """Milliseconds from the end of each turn to the agent's first sound after it; infinity where there was none."""
    found = []
    for take in takes:
        starts = [start for start, _ in take.recorded.agent]
        for event in (e for e in take.recorded.events if e.kind == "turn"):
            first = next((start for start in starts if event.end < start <= event.end + ANSWER_S), math.inf)
            found.append(1000 * (first - event.end))
    return found


def server_spans(takes: Sequence[Take]) -> dict[str, float]:
    """The medians of the spans that the server itself reports, ms."""
    spans: dict[str, list[float]] = {}
    for take in takes:
        for message in (m for m in take.log if m["type"] == "latency"):
            for name, value in message["spans"].items():
                spans.setdefault(name, []).append(value)
    return {f"server_{name}_p50_ms": percentile(values, 50) for name, values in spans.items()}
