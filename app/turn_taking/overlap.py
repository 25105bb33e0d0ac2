"""Speech over the agent: is a burst of sound an interruption, an acknowledgement, or nothing to do with it? Pure policy for one
burst at a time; `turns` feeds it and asks for `verdict` after every step.

The agent is ducked at the first voiced window, or when the sound suddenly rises: voice detection is up to 0.3 s late for a soft
"mhm" or a cough. A sound that lasts makes it hold its breath (`hold_ms`), for as short as listeners take for a breath, while a
quick classification of its beginning tells speech from noise and a first word from an acknowledgement. What that leaves open is
decided by the words of the whole burst.
"""

from typing import Literal

from app.protocol.events import OnsetHeld
from app.settings import Settings
from app.turn_taking.signals import Ask, Kind, Signal
from languages.wording import Wording, words_of

BURST_GAP_MS = 224  # silence that ends a burst over the agent
MIN_VOICED_MS = 96  # a burst with less voice than this is noise
CLASSIFY_EVERY_MS = 128
IDENTIFY_EVERY_MS = 512
SPEECH = 0.5  # probability above which a burst is taken for speech; see services/barge_in
ONE_WORD = 0.7  # ... where it heard a single word
FEW_WORDS = 5  # so many may be a misheard acknowledgement or cough
RECOGNISE_MS = 800  # of a weak voice, after which it is compared with the user's, and after as much again
# Likeness to the user's voice above which a weak voice is the user's all the same, and below which it is somebody else's whatever
# it says (see services/speaker).
OWN, OTHER = 0.58, 0.38


class Overlap:
    """One burst of sound over the agent."""

    def __init__(self, settings: Settings, wording: Wording, active: bool = True) -> None:
        self._settings = settings
        self._wording = wording
        self.active = active  # a burst over the agent is pending
        self.verdict: Literal["interruption"] | Kind | None = None
        self._voiced_ms = 0.0
        self._held = False
        self._classified_ms = 0.0  # voiced ms when the burst was last classified
        self._identified_ms = 0.0  # the same for the words
        self._speech = 1.0  # of the last classification
        self._far_field = False
        self._recognised_ms = 0.0  # voiced ms when the voice was last asked for
        self._likeness: float | None = None  # to the user's voice

    def end(self) -> None:
        """The burst is decided on."""
        self.active = False

    def voice(self, voiced_ms: float, thinking: bool, far_field: bool) -> list[Signal]:
        """The burst goes on: `voiced_ms` of it are voice. `far_field`: it is much weaker than the user's voice."""
        settings, self._voiced_ms = self._settings, voiced_ms
        self._far_field = far_field and (self._likeness is None or self._likeness < OWN)
        if thinking:
            if voiced_ms >= settings.barge_in_thinking_ms:
                self.verdict = "interruption"
            return []
        asked: list[Signal] = []
        if far_field and settings.speaker_lock and voiced_ms - self._recognised_ms >= RECOGNISE_MS:
            self._recognised_ms = voiced_ms
            asked.append(Ask.RECOGNISE)
        if voiced_ms >= settings.hold_ms and not self._held and not self._far_field:
            self._held = True
            asked.append(OnsetHeld())
        if voiced_ms - self._classified_ms >= (CLASSIFY_EVERY_MS if self._classified_ms else settings.barge_in_ms):
            self._classified_ms = voiced_ms
            asked.append(Ask.CLASSIFY)
        if voiced_ms - self._identified_ms >= (IDENTIFY_EVERY_MS if self._identified_ms else settings.backchannel_ms):
            self._identified_ms = voiced_ms
            asked.append(Ask.IDENTIFY)
        return asked

    def classified(self, speech: float, text: str) -> None:
        """The answer to CLASSIFY."""
        self._speech = speech
        if self._is_idle_talk(text) or (self._far_field and not self._wording.hails_the_agent(text)):
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
        if self._far_field and (somebody_else or not self._wording.hails_the_agent(text)):
            return "other_speech"
        return "backchannel" if not thinking and self._is_misheard(text) else "interruption"

    def _is_idle_talk(self, text: str) -> bool:
        return self._wording.is_wordless(text) or (
            self._wording.is_backchannel(text) and self._voiced_ms < 2 * self._settings.backchannel_ms
        )

    def _is_misheard(self, text: str) -> bool:
        """Speech-to-text finds words in a cough and turns "mm" into "I'm"; what sounded like no speech and says little is none."""
        return self._speech < SPEECH and len(words_of(text)) <= FEW_WORDS and not self._wording.calls_the_agent(text)
