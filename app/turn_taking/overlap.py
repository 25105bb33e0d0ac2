"""Speech over the agent: is a burst of sound an interruption, an acknowledgement, or nothing to do with it? Pure policy for one
burst at a time; `turns` feeds it and asks for `verdict` after every step.

The agent is ducked at the first voiced window, or when the sound suddenly rises: voice detection is up to 0.3 s late for a soft
"mhm" or a cough. A sound that lasts makes it hold its breath (`hold_ms`), for as short as listeners take for a breath, while a
glimpse of the sound's beginning tells speech from noise and a first word from an acknowledgement. What the glimpse leaves open is
decided by the words of the whole burst.
"""

from typing import Literal

from app.settings import Settings
from app.turn_taking.signals import Ask, Held, Kind, Signal
from languages.wording import Wording, words_of

BURST_GAP_MS = 224  # silence that ends a burst over the agent
MIN_VOICED_MS = 96  # a burst with less voice than this is noise
GLIMPSE_EVERY_MS = 128
IDENTIFY_EVERY_MS = 512
SPEECH = 0.5  # probability above which a glimpse is taken for speech; see services/barge_in
ONE_WORD = 0.7  # ... where it heard a single word
FEW_WORDS = 5  # so many may be a misheard acknowledgement or cough


RECOGNISE_MS = 800  # of a weak voice, after which it is compared with the user's, and after as much again
# Likeness to the user's voice above which a weak voice is the user's all the same, and below which it is somebody else's whatever
# it says (see services/speaker).
OWN, OTHER = 0.58, 0.38

RISE_DB = 12.0  # above what is usual while the agent speaks: somebody began, or something fell
RISE_WINDOWS = 2  # so high: a click of a key is shorter
QUIET_DB = 18.0  # level of a quiet room (-72 dBFS), in dB re one step of int16
FALL_DB = 0.5  # a window: so slowly what was loud is no longer usual, that pauses of the agent's echo do not count
LEARNING = 10  # windows of the agent's voice before its echo is known
SOUND_MS = 512  # a sound without a voice for so long is noise


class Rise:
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


class Overlap:
    def __init__(self, settings: Settings, wording: Wording, active: bool = True) -> None:
        self._settings = settings
        self._wording = wording
        self.active = active  # a burst over the agent is undecided
        self.verdict: Literal["interruption"] | Kind | None = None
        self._voiced_ms = 0.0
        self._held = False
        self._glimpsed_ms = 0.0  # voiced ms when a glimpse was last asked for
        self._identified_ms = 0.0  # the same for the words
        self._speech = 1.0  # of the last glimpse
        self._faint = False
        self._recognised_ms = 0.0  # voiced ms when the voice was last asked for
        self._likeness: float | None = None  # to the user's voice

    def end(self) -> None:
        self.active = False

    def voice(self, voiced_ms: float, thinking: bool, faint: bool) -> list[Signal]:
        """The burst goes on: `voiced_ms` of it are voice. `faint`: it is much weaker than the user's voice."""
        settings, self._voiced_ms = self._settings, voiced_ms
        self._faint = faint and (self._likeness is None or self._likeness < OWN)
        if thinking:
            if voiced_ms >= settings.barge_in_thinking_ms:
                self.verdict = "interruption"
            return []
        asked: list[Signal] = []
        if faint and settings.speaker_lock and voiced_ms - self._recognised_ms >= RECOGNISE_MS:
            self._recognised_ms = voiced_ms
            asked.append(Ask.RECOGNISE)
        if voiced_ms >= settings.hold_ms and not self._held and not self._faint:
            self._held = True
            asked.append(Held())
        if voiced_ms - self._glimpsed_ms >= (GLIMPSE_EVERY_MS if self._glimpsed_ms else settings.barge_in_ms):
            self._glimpsed_ms = voiced_ms
            asked.append(Ask.GLIMPSE)
        if voiced_ms - self._identified_ms >= (IDENTIFY_EVERY_MS if self._identified_ms else settings.backchannel_ms):
            self._identified_ms = voiced_ms
            asked.append(Ask.IDENTIFY)
        return asked

    def glimpsed(self, speech: float, text: str) -> None:
        """The answer to GLIMPSE."""
        self._speech = speech
        if self._is_idle_talk(text) or (self._faint and not self._wording.hails_the_agent(text)):
            return
        if speech >= (SPEECH if len(set(words_of(text))) > 1 else ONE_WORD):
            self.verdict = "interruption"

    def recognised(self, likeness: float) -> None:
        """The answer to RECOGNISE."""
        self._likeness = likeness

    def silence(self, silence_ms: float) -> list[Signal]:
        """The burst may be over: its words decide, and are asked for where nobody has since the last voice."""
        if silence_ms < BURST_GAP_MS:
            return []
        if self._voiced_ms < MIN_VOICED_MS:
            self.verdict = "noise"
        elif self._voiced_ms > self._identified_ms:
            self._identified_ms = self._voiced_ms
            return [Ask.IDENTIFY]
        return []

    def words(self, text: str, over: bool, thinking: bool) -> None:
        """The answer to IDENTIFY; `over`: the burst has ended. An interruption is one at once; all else may yet become one."""
        kind = self._kind(text, thinking)
        if over or kind == "interruption":
            self.verdict = kind

    def _kind(self, text: str, thinking: bool) -> Literal["interruption"] | Kind:
        if self._wording.is_wordless(text):
            return "backchannel" if words_of(text) else "noise"
        if not thinking and self._is_idle_talk(text):
            return "backchannel"
        somebody_else = self._likeness is not None and self._likeness < OTHER
        if self._faint and (somebody_else or not self._wording.hails_the_agent(text)):
            return "other_speech"
        return "backchannel" if not thinking and self._is_misheard(text) else "interruption"

    def _is_idle_talk(self, text: str) -> bool:
        return self._wording.is_wordless(text) or (
            self._wording.is_backchannel(text) and self._voiced_ms < 2 * self._settings.backchannel_ms
        )

    def _is_misheard(self, text: str) -> bool:
        """Speech-to-text finds words in a cough and turns "mm" into "I'm"; what sounded like no speech and says little is none."""
        return self._speech < SPEECH and len(words_of(text)) <= FEW_WORDS and not self._wording.calls_the_agent(text)
