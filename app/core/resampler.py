"""Changes the sample rate of a stream of sound, piece by piece."""

import contextlib
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.filter import Graph

from services.base import Pcm


class Resampler:
    """Turns int16 of one rate (Hz) into another, and `channels` that are interleaved into one; sound that is so already passes
    through.

    libswresample by way of PyAV: its delay is a constant 1-2 ms, so 20 ms in is 20 ms out. (`soxr.ResampleStream` works in
    blocks of its own: measured, 48 to 16 kHz, it held back 6 to 36 ms.) The filter graph is built here because
    `av.AudioResampler` keeps a thread for every core.
    """

    def __init__(self, source: int, target: int, channels: int = 1) -> None:
        self._source = source
        self._target = target
        self._layout = "stereo" if channels == 2 else "mono"
        self._graph = self._start()

    def _start(self) -> Graph | None:
        if self._source == self._target and self._layout == "mono":
            return None
        graph = Graph()
        graph.threads = 1
        source = graph.add_abuffer(
            sample_rate=self._source, format="s16", layout=self._layout, time_base=Fraction(1, self._source)
        )
        wanted = graph.add("aformat", sample_fmts="s16", sample_rates=str(self._target), channel_layouts="mono")
        source.link_to(wanted)
        wanted.link_to(graph.add("abuffersink"))
        graph.configure()
        return graph

    def feed(self, samples: Pcm) -> Pcm:
        """Takes `samples` and returns the sound that is ready at the target rate, which may be empty."""
        if self._graph is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=self._layout)
        frame.sample_rate = self._source
        self._graph.push(frame)
        return self._ready(self._graph)

    def flush(self) -> Pcm:
        """Returns the tail that was held back. The samples that are fed next begin a new stream."""
        if self._graph is None:
            return np.zeros(0, np.int16)
        self._graph.push(None)
        tail = self._ready(self._graph)
        self._graph = self._start()
        return tail

    @staticmethod
    def _ready(graph: Graph) -> Pcm:
        pieces: list[Pcm] = [np.zeros(0, np.int16)]
        with contextlib.suppress(av.BlockingIOError, av.EOFError):  # there is no more yet, or ever
            while True:
                pieces.append(cast(av.AudioFrame, graph.pull()).to_ndarray()[0])
        return np.concatenate(pieces)
