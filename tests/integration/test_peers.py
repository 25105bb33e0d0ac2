"""The peers of the comparison get the embedded models whole."""

import numpy as np

from services.base import HEARING_RATE
from tests.bench.clips import HERE, clips
from tests.bench.peers.reply_on_pause import EmbeddedSilero


def test_fastrtc_hears_speech_and_silence_with_the_embedded_silero() -> None:
    silero = EmbeddedSilero()
    clip = next(clip for clip in clips(HERE, "question"))
    heard, spoken = silero.vad((HEARING_RATE, clip.audio), None)
    assert abs(heard - (clip.speech_end - clip.speech_start)) < 1.0  # its default padding is 0.4 s at each end
    assert len(spoken) == 1
    assert silero.vad((HEARING_RATE, np.zeros(HEARING_RATE, np.float32)), None) == (0.0, [])
