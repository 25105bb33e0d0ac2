"""How loud it is: where voice is now, how loudly this user speaks, and sounds that rise suddenly over the agent."""

from dataclasses import dataclass

import numpy as np

from services.base import Pcm

WINDOW_MS = 32.0
LEVEL_SHARE = 0.05  # of a window in the user's usual level: about a second of speech counts
FALL = 0.1  # a weaker voice counts less: it may be somebody else's
# What the user's level is taken for before it is known (-30 dBFS). Of 234 clips of people who speak to a machine the median is -27
# dBFS, and one in twelve is weaker than this by FAR_FIELD_DB at -6 dB.
USUAL_DB = 60.0
FAR_FIELD_DB = 10.0  # so much below the user's usual level somebody else is speaking, further away
RISE_DB = 12.0  # above what is usual while the agent speaks: somebody began, or something fell
RISE_WINDOWS = 2  # so high: a click of a key is shorter
QUIET_DB = 18.0  # level of a quiet room (-72 dBFS), in dB re one step of int16
FALL_DB = 0.5  # a window: so slowly what was loud is no longer usual, that pauses of the agent's echo do not count
LEARNING = 10  # windows of the agent's voice before its echo is known
SOUND_MS = 512  # a sound without a voice for so long is noise
# The voice detector hears less of a weak voice: of what is voiced at full level 90, 77, 44 and 4 % where the peaks of 20 recordings
# are at -45, -50, -55 and -60 dBFS. Of noise and music 1 % is voiced at full level, and 20 and 30 dB below it.
HEARD_DB = 50.0  # level of the loudest windows (-40 dBFS) up to which a microphone is turned up for it ...
MOST_GAIN_DB = 20.0  # ... by so much at most
FADE_DB = 0.003  # a window, 6 dB a minute: a door that slammed is forgotten, and how loud the user is is remembered for a while


def level(window: Pcm) -> float:
    """In dB re one step of int16 (root mean square)."""
    return 10 * float(np.log10(np.square(window, dtype=np.float32).mean() + 1e-6))


@dataclass(slots=True)
class VoiceActivity:
    """Where voice has been, in ms of audio received: a stalled network is not mistaken for silence. A burst is a stretch of voice
    with no longer gaps than a breath."""

    now_ms: float = 0.0
    last_voice_ms: float = 0.0  # end of the last voiced window
    run: int = 0  # voiced windows in a row
    in_burst: bool = False
    burst_ms: float = 0.0  # where the current burst began
    burst_voiced_ms: float = 0.0  # voice in it

    @property
    def silence_ms(self) -> float:
        """Since the last voice."""
        return self.now_ms - self.last_voice_ms


class Gain:
    """How far a quiet microphone is turned up for voice detection."""

    def __init__(self) -> None:
        self._loudest_db = QUIET_DB

    def of(self, level_db: float) -> float:
        """The factor for the next window, which has this level."""
        self._loudest_db = max(level_db, self._loudest_db - FADE_DB)
        return float(10 ** (min(max(HEARD_DB - self._loudest_db, 0.0), MOST_GAIN_DB) / 20))


class UserLevel:
    """How loudly the user speaks, and whether the burst under way is much weaker: then it may be somebody further away."""

    def __init__(self) -> None:
        self._usual_db: float | None = None  # of the user's own turns
        self._burst_db = 0.0  # mean of the burst's voiced windows

    def begin_burst(self, level_db: float) -> None:
        """A burst begins with a window of this level (dB, any zero)."""
        self._burst_db = level_db

    def follow_burst(self, level_db: float, burst_voiced_ms: float) -> None:
        """One more voiced window of the burst."""
        self._burst_db += (level_db - self._burst_db) * WINDOW_MS / burst_voiced_ms

    def learn(self, level_db: float) -> None:
        """A voiced window of the user's own turn."""
        usual = self._usual_db if self._usual_db is not None else level_db
        self._usual_db = usual + LEVEL_SHARE * (level_db - usual) * (1.0 if level_db > usual else FALL)

    @property
    def burst_is_far_field(self) -> bool:
        """The burst is weaker than the user by FAR_FIELD_DB."""
        usual = self._usual_db if self._usual_db is not None else USUAL_DB
        return self._burst_db < usual - FAR_FIELD_DB


class EnergyOnset:
    """Notices a sudden sound over the agent, from the level of each window while it speaks. 66 ms after the onset of speech and
    coughs at p95 (recordings at 0 to -6 dB), where voice detection takes 93 ms for sentences and 290 for coughs."""

    def __init__(self) -> None:
        self._usual_db = QUIET_DB
        self._known = 0  # windows heard, up to LEARNING
        self._high = 0  # windows in a row above what is usual
        self._peak_db = 0.0  # of the sound that rose

    def window(self, level_db: float) -> bool:
        """Whether a sound has just risen."""
        if self._known < LEARNING or not self.lasts(level_db):
            self._usual_db = max(level_db, self._usual_db - FALL_DB, QUIET_DB)
            self._known = min(self._known + 1, LEARNING)
            self._high = 0
            return False
        self._high += 1
        return self._high == RISE_WINDOWS

    def lasts(self, level_db: float) -> bool:
        """Whether this window is part of a sound that rose. Its peak is remembered, for `over`."""
        if level_db <= self._usual_db + RISE_DB:
            return False
        self._peak_db = max(self._peak_db, level_db)
        return True

    def over(self, noise: bool) -> None:
        """The sound is decided on. Noise is usual from now on."""
        if noise:
            self._usual_db = max(self._usual_db, self._peak_db)
        self._high, self._peak_db = 0, 0.0
