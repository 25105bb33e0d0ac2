"""A headless listener. A `Call` streams recordings in real time, acknowledges playback as a browser does, and records both
directions on one clock: t=0 is the first input sample sent. A script is a coroutine of its methods:

    async with dial(url, "webrtc") as call:
        start = await call.play(clip)                  # in real time, from the next frame
        first = await call.audible(after=start + clip.speech_end)
        await call.until(first + 1.5)
        await call.interrupt()
        await call.quiet(0.7)
        call.save(Path("/tmp/first"))                  # first.wav (left: user, right: agent), first.jsonl

Input is sent a frame at a time at the frame's start; a real microphone would add one frame (20 ms).

A call whose server has gone comes back by itself, as the page does: at the address that the server named last, at the one that was
dialled, and at those that `dial` was given besides. `breaks` says when it was lost and when it went on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
import soxr

from tests.bench.clips import RATE, Audio, Clip
from tests.bench.devices import Microphone, Pcm, Speaker

FRAME_S = 0.02
PROGRESS_S = 0.1  # how often a page reports what it has played
AGAIN_S = 0.1  # between two attempts to come back
LOOK_S = 0.1  # between two looks whether the server still says anything
ASK_LOOKS = 9  # without a sign of it, after which it is asked for one: in a silence it has little to say
# For a server to go on with a call: at first, when its own has gone without a word, and at most.
OPEN_S, PATIENT_S = 1.0, 8.0
GIVE_UP_S = 60.0  # after which a call that was lost has ended
OWN_S = 15.0  # after an attempt was given up, in which it may still take the conversation from the one that succeeded
ENDINGS = {"shutting_down", "full", "not_ready"}  # after which it may go on elsewhere: other fatal errors end a call
Message = dict[str, Any]


class RefusedError(Exception):
    """The server would not take this call: `status` is the HTTP status or the WebSocket close code, `reason` its words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status, self.reason = status, reason


@dataclass(frozen=True, slots=True)
class Break:
    """A time without a server: s on the call's clock, and the address at which the call went on."""

    lost: float
    back: float
    url: str
    silent: bool  # no sign of the server had come for long; otherwise the connection was closed


class Call:
    """One conversation. A transport sets `speaker`, calls `frame`, `heard`, `handle` and, when its server has gone, `again`; it
    defines `reopen`, `transmit` and `close`."""

    def __init__(self, rate: int, session: Message | None = None, addresses: Sequence[str] = ()) -> None:
        """`addresses`: where it may go on, the one that was dialled first."""
        self.microphone = Microphone(rate)
        self.speaker = Speaker(48_000)
        self.log: list[Message] = []
        self.ended = asyncio.Event()
        self.generation = 0  # the one being played; 0: none
        self.session = session or {}
        self.breaks: list[Break] = []
        self.last: Message = {}  # the last generation that was heard, and how many ms of it: said when it comes back
        self.url = ""  # where it is now, or was
        self.patience_s = OPEN_S  # of an attempt to come back: servers that are too busy would never get to their answers
        self._addresses = addresses
        self._typed: list[str] = []  # what the server has not taken yet
        self.silent = False  # its server has been given up because it said nothing
        self._over = False
        self._given_up = float("-inf")  # when the last attempt to come back was
        self._zero = asyncio.get_running_loop().time()
        self._length: dict[int, float] = {}  # generation -> its whole length in ms, from audio_end
        self._news = asyncio.Event()
        self.alive = asyncio.Event()  # something has come since it was last looked
        self._tasks: list[asyncio.Task[None]] = []
        self.spawn(self._acknowledge())

    # --- the script's verbs ---

    def now(self) -> float:
        """Seconds since the first input sample was sent."""
        return asyncio.get_running_loop().time() - self._zero

    async def play(self, clip: Clip | Audio, at: float | None = None, gain_db: float = 0.0) -> float:
        """Speak a recording at `at` (now, without it); returns when its first sample is sent, s. Does not wait."""
        audio = clip.audio if isinstance(clip, Clip) else clip
        samples = soxr.resample(audio * 10 ** (gain_db / 20), RATE, self.microphone.rate)
        return self.microphone.play((np.clip(samples, -1, 1) * 32767).astype(np.int16), at)

    async def send(self, message: Message) -> float:
        """Send a control message; returns when."""
        at = self.now()
        self.log.append({"t": at, "from": "client", **message})
        await self.transmit(message)
        return at

    async def interrupt(self) -> float:
        return await self.send({"type": "interrupt"})

    async def say(self, text: str) -> float:
        """A typed turn. It is said again where the server goes before it has taken it."""
        self._typed.append(text)
        return await self.send({"type": "text", "text": text})

    async def until(self, t: float) -> None:
        await asyncio.sleep(t - self.now())

    async def audible(self, after: float, patience: float = 8.0) -> float | None:
        """When the agent is first heard at or after `after`; None when it is not within `patience` seconds from then."""
        while True:
            found = self.speaker.first_loud(after)
            if found is not None or self.now() > after + patience or self.ended.is_set():
                return found
            await asyncio.sleep(FRAME_S / 2)

    async def quiet(self, seconds: float, patience: float = 60.0) -> None:
        """Wait until the agent has not been heard, and has not been thinking or speaking, for so long. TimeoutError."""
        deadline, since = self.now() + patience, self.now()
        while self.now() - max(since, self.speaker.last_loud()) < seconds:
            if self.state() in ("THINKING", "SPEAKING", "INTERRUPTED"):
                since = self.now()
            if self.now() > deadline:
                raise TimeoutError(f"the agent is not quiet after {patience:.0f} s")
            if self.ended.is_set():
                raise ConnectionError("the call has ended")
            await asyncio.sleep(FRAME_S)

    async def event(self, kind: str, since: float, patience: float = 8.0) -> Message | None:
        """The first server message of this type at or after `since`; waits `patience` s for it, then gives None."""
        deadline = self.now() + patience
        while not (found := self.events(kind, since)):
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, deadline - self.now()))
            except TimeoutError:
                return None
        return found[0]

    # --- what happened ---

    def events(self, kind: str, since: float = float("-inf"), until: float = float("inf")) -> list[Message]:
        """The server's messages of this type in a stretch of time, each with its arrival `t` in s."""
        return [e for e in self.log if e["type"] == kind and e["from"] == "server" and since <= e["t"] <= until]

    def state(self) -> str:
        return next((str(e["state"]) for e in reversed(self.log) if e["type"] == "state"), "LISTENING")

    def user(self) -> Audio:
        """What was sent, at RATE, -1..1."""
        record = self.microphone.record().astype(np.float32) / 32768
        return np.asarray(soxr.resample(record, self.microphone.rate, RATE), np.float32)

    def agent(self) -> Audio:
        """What was heard, on the clock of `user`, at RATE, -1..1: mute and duck included."""
        heard = self.speaker.render(self.microphone.sent / self.microphone.rate).astype(np.float32) / 32768
        return np.asarray(soxr.resample(heard, self.speaker.rate, RATE), np.float32)

    def save(self, path: Path) -> None:
        """Write `path`.wav (two channels: user, agent) and `path`.jsonl (messages both ways, `t` in s)."""
        user, agent = self.user(), self.agent()
        size = min(len(user), len(agent))
        soundfile.write(path.with_suffix(".wav"), np.stack([user[:size], agent[:size]], axis=1), RATE, "PCM_16")
        path.with_suffix(".jsonl").write_text("".join(json.dumps(event) + "\n" for event in self.log), "utf-8")

    # --- what the transport reports ---

    def frame(self) -> Pcm:
        """The next 20 ms to send; the first one sets the clock."""
        if self.microphone.sent == 0:
            shift, self._zero = self.now(), asyncio.get_running_loop().time()
            for event in self.log:
                event["t"] -= shift
            for played in self.speaker.frames:
                played.start -= shift
            self.speaker.end -= shift
        return self.microphone.read(round(self.microphone.rate * FRAME_S))

    async def pace(self) -> None:
        """Sleep until the next frame is due."""
        await self.until(self.microphone.sent / self.microphone.rate)

    def heard(self, samples: Pcm, generation: int, ms: float) -> None:
        self.speaker.put(self.now(), samples, generation, ms)

    async def handle(self, message: Message) -> None:
        """Act on a message of the server as a page does."""
        now = self.now()
        self.log.append({"t": now, "from": "server", **message})
        match message["type"]:
            case "playback_start":
                self.generation = message["generation"]
                self.anchor(message)
                self.speaker.set_gain(now, 1.0)
            case "audio_end":
                self._length[message["generation"]] = message["ms"]
            case "duck" | "unduck":
                self.speaker.set_gain(now, message["gain"])
            case "transcript" if message["final"]:
                self._typed = [text for text in self._typed if text not in message["text"]]
            case "error" if message.get("fatal") and message["code"] not in ENDINGS:
                self._over = message["code"] != "taken_over" or now > self._given_up + OWN_S
            case "playback_stop":
                generation = message["generation"]
                played = self.played(now) if generation == self.generation else 0.0
                self.silence(now, generation)
                self.generation = 0
                self.last = {"generation": generation, "played_ms": played}
                await self.send({"type": "playback_stopped", **self.last})
        self._news.set()

    # --- coming back ---

    def farewell(self, lost: float) -> Message:
        """What the server said of its end, on the connection that was lost then; {} where it said nothing."""
        begun = max((event["t"] for event in self.events("ready", until=lost)), default=float("-inf"))
        return next(iter(self.events("shutting_down", begun, lost)), {})

    async def again(self) -> bool:
        """The server has gone: goes on with the conversation elsewhere. False when the call is over."""
        lost = self.now()
        if self._over or (self.log and self.log[-1]["type"] == "stop"):
            return False
        if self.generation:
            self.last = {"generation": self.generation, "played_ms": self.played(lost)}
        if self.last:
            self.log.append({"t": lost, "from": "client", "type": "resume", **self.last})
        self.speaker.flush(lost)
        self.generation = 0
        self._length.clear()
        told = self.farewell(lost)
        await asyncio.sleep(told.get("after_ms", 0.0) / 1000)
        # A server that says that it goes knows of another one: a second attempt beside the first would only be in its way.
        self.patience_s = PATIENT_S if told else OPEN_S
        while self.now() < lost + GIVE_UP_S:
            elsewhere = [address for address in self._addresses if address != self.url]  # it may stand still, and not refuse
            for url in filter(None, dict.fromkeys([told.get("url"), *elsewhere, self.url])):
                try:
                    await self.reopen(url)
                except (RefusedError, OSError, TimeoutError, httpx.HTTPError) as error:
                    self._given_up = self.now() if isinstance(error, TimeoutError) else self._given_up
                    continue
                self.breaks.append(Break(lost, self.now(), url, self.silent))
                self.silent = False
                for text in self._typed:
                    await self.send({"type": "text", "text": text})
                return True
            await asyncio.sleep(AGAIN_S)
            self.patience_s = min(PATIENT_S, 2 * self.patience_s)
        return False

    async def reopen(self, url: str) -> None:
        """A new connection to the server at `url`, which goes on with this session. Raises RefusedError, OSError, TimeoutError or
        httpx.HTTPError."""
        raise NotImplementedError

    async def _acknowledge(self) -> None:
        reported = 0.0
        while True:
            await asyncio.sleep(FRAME_S / 2)
            generation, now = self.generation, self.now()
            if not generation:
                continue
            played, length = self.played(now), self._length.get(generation)
            self.last = {"generation": generation, "played_ms": played}
            if length is not None and played >= length - 1:
                self.generation = 0
                await self.send({"type": "playback_done", **self.last})
            elif now - reported >= PROGRESS_S:
                reported = now
                await self.send({"type": "playback_progress", **self.last})

    # --- what differs by transport ---

    def anchor(self, start: Message) -> None:
        """A generation begins to play: remember where it lies on the sender's clock."""

    def played(self, now: float) -> float:
        """Milliseconds of the present generation that have been heard."""
        return round(self.speaker.position(now, self.generation) or 0.0, 1)

    def silence(self, now: float, generation: int) -> None:
        """Fall silent at once: this generation was stopped."""
        self.speaker.flush(now)

    async def transmit(self, message: Message) -> None:
        raise NotImplementedError

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part of the call beside the script. The call ends when a part does; `close` raises what broke it."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self.ended.set())
        self._tasks.append(task)

    async def close(self) -> None:
        """End the call; a transport calls this one last."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


@asynccontextmanager
async def dial(url: str, transport: str, greeting: bool = False, elsewhere: Sequence[str] = ()) -> AsyncIterator[Call]:
    """Open a call to the server at `url` (with its prefix, if mounted under one) and leave it at the end. It may go on at one of
    `elsewhere`. RefusedError."""
    from tests.bench.webrtc import WebRtcCall
    from tests.bench.websocket import WebSocketCall

    async with httpx.AsyncClient(timeout=30) as http:
        session = await post(http, f"{url}/sessions", {})
        kind: type[WebRtcCall | WebSocketCall] = WebRtcCall if transport == "webrtc" else WebSocketCall
        call = await kind.open(session.get("url", url), session, greeting, (url, *elsewhere))
    try:
        if not greeting:
            await call.quiet(0.5)
        yield call
    finally:
        await call.close()


async def post(http: httpx.AsyncClient, url: str, body: Message) -> Message:
    answer = await http.post(url, json=body)
    if answer.is_error:
        raise RefusedError(answer.status_code, answer.text)
    return dict(answer.json())
