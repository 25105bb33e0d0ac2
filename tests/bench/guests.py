"""Callers who type, listen, and come back by themselves when their server goes: what they know of what they heard is compared with
what is stored of it. Services are scripted (`tests.deploy.node`): 250 ms a word."""

import asyncio
import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.bench.client import Call, Message, RefusedError, post
from tests.bench.webrtc import WebRtcCall
from tests.bench.websocket import WebSocketCall
from tests.unit.fakes import MS_PER_WORD

AGAIN_S = 0.1  # between two attempts to begin
BEGIN_S = 5.0  # a server that takes longer to begin is given up for another
PATIENCE_S = 60.0
SETTLED_S = 5.0
TURN_S = 40.0  # a question and all of its answer
Broken = (ConnectionClosed, InvalidHandshake, RefusedError, OSError, httpx.TransportError, TimeoutError)


class Quiet(WebSocketCall):
    """A call without a microphone."""

    async def _talk(self) -> None:
        await asyncio.Event().wait()


@dataclass
class Turn:
    text: str
    heard_ms: float = 0.0  # of the reply, up to the moment in which its connection was lost, where it was
    whole: bool = False
    cut: bool = False

    @property
    def least(self) -> int:
        """Words of the reply that must be remembered as heard."""
        return max(0, math.floor(self.heard_ms / MS_PER_WORD) - 1)

    @property
    def most(self) -> int:
        """More words than these were not heard."""
        return math.ceil(self.heard_ms / MS_PER_WORD) + 2


@dataclass(frozen=True)
class Loss:
    """A server that has gone, in seconds of the event loop: when that was noticed, and when the conversation went on."""

    at: float
    back: float
    talking: bool  # the agent was being heard
    told: bool  # it had said that it goes
    silent: bool  # it had said nothing for long, which a server does that has gone, and one that is much too busy


@dataclass
class Guest:
    """One conversation, begun at whichever of `urls` answers."""

    name: str
    urls: Sequence[str]
    first: int = 0
    pause_s: float = 2.0
    transport: str = "websocket"
    turns: list[Turn] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    session: Message = field(default_factory=dict)
    gave_up: bool = False  # found nobody to go on with

    async def live(self, stop: asyncio.Event) -> None:
        """Asks, listens to the end, and asks again, until `stop`. Raises TimeoutError when it cannot begin."""
        async with asyncio.timeout(PATIENCE_S):
            call = await self._begun()
        while not stop.is_set() and not call.ended.is_set():
            await self._turn(call)
            await asyncio.sleep(self.pause_s)
            self._note_losses(call)
        self.gave_up = call.ended.is_set()
        if self.gave_up:
            print(
                f"  {self.name} has found nobody to go on with:", [e for e in call.log if e["type"] in ("error", "resume")][-3:]
            )
        with suppress(*Broken):
            await call.close()

    async def _begun(self) -> Call:
        kind: type[Quiet | WebRtcCall] = Quiet if self.transport == "websocket" else WebRtcCall
        async with httpx.AsyncClient(timeout=10) as http:
            for at in itertools.count(self.first):
                url = self.urls[at % len(self.urls)]
                try:
                    self.session = self.session or await post(http, f"{url}/sessions", {})
                    async with asyncio.timeout(BEGIN_S):
                        return await kind.open(url, self.session, False, self.urls)
                except Broken as error:
                    self.refused[str(getattr(error, "status", type(error).__name__))] += 1
                    await asyncio.sleep(AGAIN_S)
        raise AssertionError("it counts for ever")

    async def _turn(self, call: Call) -> None:
        turn = Turn(f"{self.name} asks {len(self.turns)}")
        self.turns.append(turn)
        asked, breaks = await call.say(turn.text), len(call.breaks)
        while call.now() < asked + TURN_S and not call.ended.is_set() and not turn.whole:
            await asyncio.sleep(0.05)
            begun = call.events("playback_start", asked)
            turn.whole = any(event["type"] == "playback_done" for event in self._said(call, begun))
            turn.cut = bool(begun) and any(lost.lost > begun[0]["t"] for lost in call.breaks[breaks:]) and not turn.whole
            if turn.cut:
                break
        said = self._said(call, call.events("playback_start", asked))
        turn.heard_ms = max((event["played_ms"] for event in said), default=0.0)
        self._note_losses(call)

    def _said(self, call: Call, begun: Sequence[Message]) -> list[Message]:
        """What the listener has said of the replies that have `begun`."""
        kinds, generations = (
            ("playback_progress", "playback_done", "playback_stopped", "resume"),
            [e["generation"] for e in begun],
        )
        mine = (event for event in call.log if event["from"] == "client" and event["type"] in kinds)
        return [event for event in mine if event["generation"] in generations and event["t"] >= begun[0]["t"]]

    def _note_losses(self, call: Call) -> None:
        zero = asyncio.get_running_loop().time() - call.now()
        for lost in call.breaks[len(self.losses) :]:
            told = bool(call.farewell(lost.lost))
            self.losses.append(Loss(zero + lost.lost, zero + lost.back, self.turns[-1].cut, told, lost.silent))

    async def audit(self, http: httpx.AsyncClient) -> dict[str, int]:
        """What is wrong with what is stored of this conversation."""
        headers = {"Authorization": f"Bearer {self.session['token']}"}
        base = f"{await _there(http, self.urls)}/sessions/{self.session['session_id']}"
        history = (await http.get(base, headers=headers)).json()["history"]
        lines = (await http.get(f"{base}/log", headers=headers)).text.splitlines()
        numbers = [json.loads(line)["seq"] for line in lines]
        heard: dict[str, int] = {entry["user"]: len(entry["heard"].split()) for entry in history}
        oldest = next((at for at, turn in enumerate(self.turns) if turn.text in heard), len(self.turns))
        kept = self.turns[oldest:]  # the history is bounded
        wrong = [turn for turn in kept if not turn.least <= heard.get(turn.text, 0) <= turn.most]
        for turn in wrong:
            print(f"  {turn.text}: {heard.get(turn.text)} words are remembered, {turn.least} to {turn.most} were heard")
        return {
            "turns": len(self.turns),
            "forgotten": sum(heard.get(turn.text, 0) < turn.least for turn in kept),
            "invented": sum(heard.get(turn.text, 0) > turn.most for turn in kept),
            "repeated": sum(not turn.whole for turn in self.turns),
            "log_entries": len(numbers),
            "log_faults": sum(b != a + 1 for a, b in itertools.pairwise(numbers)),
        }


async def _there(http: httpx.AsyncClient, urls: Sequence[str]) -> str:
    """The first of these nodes that is there."""
    for url in urls:
        with suppress(httpx.TransportError):
            await http.get(f"{url}/healthz")
            return url
    raise ConnectionError(f"none of {urls} answers")


async def audit(guests: Sequence[Guest]) -> dict[str, Any]:
    """The audits of all, added up, once what was handed over is written."""
    total: Counter[str] = Counter()
    await asyncio.sleep(SETTLED_S)
    async with httpx.AsyncClient(timeout=20) as http:
        for guest in guests:
            total.update(await guest.audit(http))
    return dict(total)
