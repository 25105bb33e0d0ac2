"""Changes the sample rate of a stream of sound, piece by piece."""

import av
import numpy as np

from services.base import Pcm


class Resampler:
    """int16 mono from one rate to another, in Hz; equal rates pass through.

    libswresample by way of PyAV: its delay is a constant 1-2 ms, so 20 ms in is 20 ms out. (`soxr.ResampleStream` works in blocks
    of its own: measured, 48 to 16 kHz, it held back 6 to 36 ms.)
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._graph = self._start()

    def _start(self) -> av.AudioResampler | None:
        return None if self._source == self._target else av.AudioResampler(format="s16", layout="mono", rate=self._target)

    def feed(self, samples: Pcm) -> Pcm:
        """What is ready at the target rate after `samples`; may be empty."""
        if self._graph is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._source
        return self._join(self._graph.resample(frame))

    def flush(self) -> Pcm:
        """The tail that was held back. What is fed next begins a new stream."""
        if self._graph is None:
            return np.zeros(0, np.int16)
        tail = self._join(self._graph.resample(None))
        self._graph = self._start()
        return tail

    @staticmethod
    def _join(frames: list[av.AudioFrame]) -> Pcm:
        return np.concatenate([np.zeros(0, np.int16), *(frame.to_ndarray()[0] for frame in frames)])
