"""How loud it is: where voice is now, how loudly this user speaks, and sounds that rise suddenly over the agent."""

from dataclasses import dataclass

import numpy as np

from app.turn_taking import bystander
from services.base import Pcm

WINDOW_MS = 32.0
TURNS_MS = 10_000.0  # of voice that the user's level is made of: what is older counts less
BURST_MS = 640.0  # of a burst that its level is made of
HARDLY_DB = 3.0  # above the loudest of a bystander's voice, up to which it may be theirs
SURELY_DB = 12.0  # below the user's usual level, above which it may be the user's all the same
BYSTANDER_MS = 10_000.0  # for so long a bystander who was heard is likely to go on
SYLLABLE_WINDOWS = 10  # that are so weak may still be the user's
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
    """The level in dB re one step of int16 (root mean square)."""
    return _db(np.square(window, dtype=np.float32).mean())


def _db(power: float) -> float:
    """The level of a power; of silence it is -60 dB."""
    return 10 * float(np.log10(power + 1e-6))


@dataclass(slots=True)
class VoiceActivity:
    """The places of voice, in ms of audio received, so that a stalled network is not mistaken for silence. A burst is a stretch
    of voice whose gaps are no longer than a breath."""

    now_ms: float = 0.0
    last_voice_ms: float = 0.0  # end of the last voiced window
    run: int = 0  # voiced windows in a row
    in_burst: bool = False
    burst_ms: float = 0.0  # where the current burst began
    burst_voiced_ms: float = 0.0  # voice in it
    burst_clear_ms: float = 0.0  # ... that surely is one

    @property
    def silence_ms(self) -> float:
        """The time since the last voice."""
        return self.now_ms - self.last_voice_ms


class Gain:
    """The gain by which a quiet microphone is turned up for voice detection."""

    def __init__(self) -> None:
        self._loudest_db = QUIET_DB

    def of(self, level_db: float) -> float:
        """The factor for the next window, whose level is `level_db`."""
        self._loudest_db = max(level_db, self._loudest_db - FADE_DB)
        return float(10 ** (min(max(HEARD_DB - self._loudest_db, 0.0), MOST_GAIN_DB) / 20))


class Level:
    """The level of the mean power of a sound, over its last `longest_ms`."""

    def __init__(self, longest_ms: float) -> None:
        self._longest_ms = longest_ms
        self._power = 0.0
        self.ms = 0.0
        self.loudest_db = 0.0  # window

    def add(self, level_db: float, ms: float = WINDOW_MS) -> None:
        """Adds `ms` of the sound at this level (dB, any zero)."""
        self.ms = min(self.ms + ms, self._longest_ms)
        self._power += (10 ** (level_db / 10) - self._power) * min(ms / self.ms, 1.0)
        self.loudest_db = max(self.loudest_db, level_db)

    @property
    def db(self) -> float:
        """The level so far; of no sound it is that of silence."""
        return _db(self._power)


class UserLevel:
    """How loudly the user speaks, how much weaker the burst under way is, and how loud a bystander is."""

    def __init__(self) -> None:
        self._usual = Level(TURNS_MS)
        self._turn = Level(TURNS_MS)
        self.over_agent = False  # the turn was begun so
        self._burst = Level(BURST_MS)
        self._bystander_db, self._bystander_peak_db, self._bystander_until_ms = 0.0, 0.0, 0.0
        self._under = 0  # windows in a row that were no louder than a bystander's peak

    def begin_burst(self) -> None:
        """Begins to measure a burst."""
        self._burst = Level(BURST_MS)

    def follow_burst(self, level_db: float) -> None:
        """Adds one more voiced window of the burst (dB, any zero)."""
        self._burst.add(level_db)

    def begin_turn(self, over_agent: bool) -> None:
        """Begins to measure a turn. One that is begun over the agent may be a bystander's."""
        self._turn, self.over_agent = Level(TURNS_MS), over_agent

    def follow_turn(self, level_db: float) -> None:
        """Adds one more voiced window of the turn (dB, any zero)."""
        self._turn.add(level_db)

    def learn(self) -> None:
        """Takes the level of the turn for the user's."""
        if self._turn.ms:
            self._usual.add(self._turn.db, self._turn.ms)

    @property
    def known(self) -> bool:
        """Whether the user has spoken."""
        return self._usual.ms > 0

    def burst_odds(self, now_ms: float) -> float:
        """The log odds, by its level, that the burst is the user's: compared with the user's turns, and with a bystander who
        was heard a while ago."""
        db, user = self._burst.db, self._user
        odds = bystander.BY_GAP.odds(db - user.db) if user.ms else bystander.BY_LEVEL.odds(db)
        return min(odds, bystander.BY_BYSTANDER.odds(db - self._bystander_db)) if now_ms < self._bystander_until_ms else odds

    @property
    def _user(self) -> Level:
        """The level of the user's turns, or of the first turn while it is under way."""
        return self._turn if not self.known and not self.over_agent else self._usual

    @property
    def turn_odds(self) -> float:
        """The log odds, by its level, that the turn is the user's; 0 while no other turn of the user's is known."""
        return bystander.BY_GAP.odds(self._turn.db - self._usual.db) if self.known and self._turn.ms else 0.0

    def turn_in_doubt(self, voice_known: bool) -> bool:
        """Whether the turn may be a bystander's: it was begun over the agent, or is much weaker than the user's turns. Weakness
        alone is no doubt while the user's voice is not known, as nothing could resolve it."""
        return self.over_agent or (voice_known and self.turn_odds < bystander.IN_DOUBT)

    def meet_bystander(self, now_ms: float) -> None:
        """Takes the level of the burst for a bystander's, who may go on."""
        surely = self._usual.db - SURELY_DB if self.known else bystander.BY_LEVEL.even
        self._bystander_db = self._burst.db
        self._bystander_peak_db = min(self._burst.loudest_db + HARDLY_DB, surely)
        self._bystander_until_ms = now_ms + BYSTANDER_MS

    def is_bystander(self, level_db: float, now_ms: float, over_agent: bool, going_on: bool) -> bool:
        """Whether a window of this level is no louder than a bystander who was heard a while ago. In a voice that is
        `going_on`, a syllable may be that weak. Before the user has spoken, nobody is told from them by level, except over the
        agent."""
        self._under += 1
        if now_ms >= self._bystander_until_ms or level_db > self._bystander_peak_db or not (over_agent or self.known):
            self._under = 0
        return self._under > (SYLLABLE_WINDOWS if going_on else 0)


class EnergyOnset:
    """Notices a sudden sound over the agent, from the level of each window while the agent speaks: 66 ms after the onset of
    speech and coughs at p95 (recordings at 0 to -6 dB), where voice detection takes 93 ms for sentences and 290 for coughs."""

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
        """Whether this window is part of a sound that rose. The peak of the sound is remembered for `over`."""
        if level_db <= self._usual_db + RISE_DB:
            return False
        self._peak_db = max(self._peak_db, level_db)
        return True

    def over(self, noise: bool) -> None:
        """Ends the sound, as it is decided what it was. The level of a noise is usual from now on."""
        if noise:
            self._usual_db = max(self._usual_db, self._peak_db)
        self._high, self._peak_db = 0, 0.0
