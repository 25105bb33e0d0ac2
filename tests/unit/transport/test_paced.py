"""The pace of the voice on a transport without a clock. Time is a number here."""

from collections.abc import Callable

import numpy as np
import pytest

from app.protocol.messages import AudioEnd
from app.reply.playout import FRAME, IDLE_FRAME, Frame
from server.transport.pacer import Chunk, Pacer

TOLERANCE = 1e-6


class Voice:
    """Replies of given lengths (in frames), each followed by its `audio_end`; `stalls` are frames that wait for more speech."""

    def __init__(self, *replies: int, stalls: frozenset[int] = frozenset()) -> None:
        self.replies = list(replies)
        self.stalls = stalls
        self.generation = 1
        self.sequence = 0
        self.asked = 0
        self.end: Callable[[AudioEnd], None] = lambda message: None

    def __call__(self) -> Frame:
        self.asked += 1
        if not self.replies:
            return IDLE_FRAME
        if self.sequence == self.replies[0]:
            self.end(AudioEnd(generation=self.generation, ms=self.sequence * 20.0))
            self.replies.pop(0)
            self.generation, self.sequence = self.generation + 1, 0
            return IDLE_FRAME
        samples = np.full(FRAME, 0 if self.sequence in self.stalls else 1000, np.int16)
        frame = Frame(samples, self.generation, self.sequence, self.sequence * 20.0)
        self.sequence += 1
        return frame


class Listener:
    """Drives a pacer and keeps what came out, with the time."""

    def __init__(self, voice: Voice, rate: int = 48000) -> None:
        self.out: list[tuple[float, Chunk | AudioEnd]] = []
        self.rate = rate
        self.now = 0.0
        self.pacer = Pacer(voice, rate, lambda item: self.out.append((self.now, item)))
        voice.end = self.pacer.end

    def run(self, until: float, late: Callable[[int], float] = lambda n: 0.0) -> None:
        """Calls the pacer when it wants to be called, `late(n)` seconds after that the n-th time."""
        calls = 0
        while True:
            due = self.pacer.step(self.now)
            assert due > self.now, "the pacer would spin"
            calls += 1
            if due > until:
                return
            self.now = due + late(calls)

    def chunks(self, generation: int = 1) -> list[Chunk]:
        return [item for _, item in self.out if isinstance(item, Chunk) and item.generation == generation]

    def samples(self, generation: int = 1) -> int:
        return sum(len(chunk.samples) for chunk in self.chunks(generation))

    def ahead(self) -> list[float]:
        """After each chunk: seconds of sound that the listener has and has not played yet."""
        dry_at, ahead = 0.0, []
        for at, item in self.out:
            if isinstance(item, Chunk):
                dry_at = max(dry_at, at) + len(item.samples) / self.rate
                ahead.append(dry_at - at)
        return ahead


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_a_reply_arrives_whole_in_order_and_then_its_end(rate: int) -> None:
    listener = Listener(Voice(100), rate)
    listener.run(until=5.0)
    assert listener.samples() == 2.0 * rate, "the tail is lost"
    assert [chunk.sequence for chunk in listener.chunks()] == list(range(len(listener.chunks())))
    place = 0
    for chunk in listener.chunks():
        assert chunk.ms == pytest.approx(place * 1000 / rate)
        place += len(chunk.samples)
    assert isinstance(listener.out[-1][1], AudioEnd)
    assert sum(isinstance(item, AudioEnd) for _, item in listener.out) == 1


@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_listener_is_never_far_ahead_and_never_runs_dry(rate: int) -> None:
    listener = Listener(Voice(300), rate)
    listener.run(until=10.0)
    ahead = listener.ahead()
    assert max(ahead) <= 0.200 + TOLERANCE
    assert min(ahead[10:-1]) > 0.150
    times = [at for at, item in listener.out if isinstance(item, Chunk)]
    assert times[-1] == pytest.approx(6.0 - 0.200, abs=0.021), "the last frame leaves when the schedule says, not later"


def test_delays_of_the_loop_do_not_add_up() -> None:
    listener = Listener(Voice(500))
    listener.run(until=15.0, late=lambda n: 0.120 if n % 7 == 0 else 0.003)
    assert max(listener.ahead()) <= 0.200 + TOLERANCE
    ends = [at for at, item in listener.out if isinstance(item, AudioEnd)]
    assert ends == [pytest.approx(10.0 - 0.180, abs=0.15)]


def test_a_long_delay_starts_the_schedule_afresh() -> None:
    listener = Listener(Voice(200))
    listener.run(until=30.0, late=lambda n: 1.0 if n == 20 else 0.0)
    assert listener.samples() == 200 * FRAME
    assert max(listener.ahead()) <= 0.200 + TOLERANCE, "what was missed is not sent all at once"


def test_the_first_frame_leaves_at_once() -> None:
    voice = Voice()
    listener = Listener(voice)
    listener.run(until=1.0)
    voice.replies.append(50)
    listener.run(until=1.1)
    first = next(at for at, item in listener.out if isinstance(item, Chunk))
    assert first <= 1.02


def test_silence_is_asked_for_once_a_frame_and_not_sent() -> None:
    voice = Voice()
    listener = Listener(voice)
    listener.run(until=10.0)
    assert not listener.out
    assert 495 <= voice.asked <= 505


def test_waiting_for_words_uses_up_the_lead_first() -> None:
    voice = Voice(60, stalls=frozenset({30}))
    listener = Listener(voice)
    asked: list[tuple[float, int]] = []

    def speak() -> Frame:
        asked.append((listener.now, voice.sequence))
        return voice()

    listener.pacer = Pacer(speak, 48000, lambda item: listener.out.append((listener.now, item)))
    listener.run(until=3.0)
    stall, following = (next(at for at, sequence in asked if sequence == n) for n in (30, 31))
    assert following - stall > 0.150, "the gap in the words was made longer by running ahead"
    assert max(listener.ahead()) <= 0.200 + TOLERANCE


def test_while_somebody_speaks_over_it_little_is_sent_ahead() -> None:
    listener = Listener(Voice(200))
    listener.run(until=1.0)
    listener.pacer.wary(True)
    wary = len(listener.out)
    listener.run(until=2.0)
    assert max(listener.ahead()[wary + 1 :]) <= 0.040 + TOLERANCE
    listener.pacer.wary(False)
    listener.run(until=6.0)
    assert listener.samples() == 200 * FRAME


def test_after_a_stop_nothing_of_the_reply_comes() -> None:
    listener = Listener(Voice(100, 50), rate=16000)
    listener.run(until=0.5)
    before = len(listener.out)
    listener.pacer.stop(1)
    listener.run(until=6.0)
    after = [item for _, item in listener.out[before:]]
    assert after and all(item.generation == 2 for item in after)
    assert listener.samples(2) == 16000
    assert [type(item) for item in after].count(AudioEnd) == 1


def test_the_end_may_come_apart_from_the_frames() -> None:
    listener = Listener(Voice(5))
    frames = [Frame(np.full(FRAME, 9, np.int16), 1, n, n * 20.0) for n in range(3)]
    listener.pacer = Pacer(lambda: frames.pop(0) if frames else IDLE_FRAME, 8000, lambda item: listener.out.append((0.0, item)))
    listener.pacer.end(AudioEnd(generation=1, ms=60.0))
    assert not listener.out, "the end overtook the sound"
    listener.pacer.step(0.0)
    assert listener.samples() == 480
    assert isinstance(listener.out[-1][1], AudioEnd)


def test_a_stop_takes_the_end_with_it() -> None:
    listener = Listener(Voice())
    listener.pacer.end(AudioEnd(generation=1, ms=60.0))
    listener.pacer.stop(1)
    listener.run(until=1.0)
    assert not listener.out


def test_an_end_after_all_sound_is_passed_on_at_once() -> None:
    frames = [Frame(np.full(FRAME, 9, np.int16), 1, n, n * 20.0) for n in range(3)]
    listener = Listener(Voice())
    listener.pacer = Pacer(lambda: frames.pop(0) if frames else IDLE_FRAME, 8000, lambda item: listener.out.append((0.0, item)))
    listener.pacer.step(0.0)
    listener.pacer.end(AudioEnd(generation=1, ms=60.0))
    assert isinstance(listener.out[-1][1], AudioEnd)
    assert listener.samples() == 480


def test_a_reply_joined_in_the_middle_keeps_its_places() -> None:
    frames = [Frame(np.full(FRAME, 9, np.int16), 4, n, n * 20.0) for n in range(10, 20)]
    listener = Listener(Voice())
    listener.pacer = Pacer(
        lambda: frames.pop(0) if frames else IDLE_FRAME, 48000, lambda item: listener.out.append((0.0, item))
    )
    listener.pacer.step(0.0)
    assert [(chunk.sequence, chunk.ms) for chunk in listener.chunks(4)] == [(n, n * 20.0) for n in range(10, 20)]
