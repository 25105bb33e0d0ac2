"""A recording as it comes out of a call: through Opus and back."""

from fractions import Fraction

import numpy as np
import soxr
from av import AudioFrame

from server.transport.rtp import SAMPLES, speech_decoder, speech_encoder
from tests.bench.clips import RATE, Audio

OPUS_RATE = 48_000
DELAY = 312  # samples that libopus looks ahead (RFC 6716, section 4.5, and `OPUS_GET_LOOKAHEAD` at 48 kHz)


def coded(audio: Audio, bit_rate: int) -> Audio:
    """`audio` (float32 at RATE) as a listener hears it who is sent mono speech at `bit_rate` bit/s; as long as it was."""
    encoder, decoder = speech_encoder(bit_rate), speech_decoder()
    wide = soxr.resample(audio, RATE, OPUS_RATE)
    sound = (np.clip(np.pad(wide, (0, 2 * SAMPLES)), -1, 1) * 32767).astype(np.int16)
    heard = []
    for at in range(0, len(sound) - SAMPLES + 1, SAMPLES):
        frame = AudioFrame.from_ndarray(sound[None, at : at + SAMPLES], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = OPUS_RATE, at, Fraction(1, OPUS_RATE)
        for packet in encoder.encode(frame):
            heard += [piece.to_ndarray()[0] for piece in decoder.decode(packet)]
    played = np.concatenate(heard).astype(np.float32) / 32768
    return np.asarray(soxr.resample(played[DELAY : DELAY + len(wide)], OPUS_RATE, RATE)[: len(audio)], np.float32)
