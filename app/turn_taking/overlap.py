"""Speech over the agent: is a burst of sound an interruption, an acknowledgement, or none of the agent's concern? Pure policy
for one burst at a time; the detector feeds it and reads `verdict` after every step.

The agent is ducked at the first voiced window, or when the sound suddenly rises: voice detection is up to 0.3 s late for a soft
"mhm" or a cough. A sound that lasts makes the agent pause (`hold_ms`), too briefly for listeners to take the reply for ended.
Meanwhile a quick classification of the beginning tells speech from noise, and a first word from an acknowledgement. Where that
is not enough, the words of the whole burst decide.
"""

from typing import Literal

from app.protocol.events import OnsetHeld
from app.settings import Settings
from app.turn_taking import bystander
from app.turn_taking.signals import Ask, Kind, Signal
from languages.wording import Wording, words_of

BURST_GAP_MS = 224  # silence that ends a burst over the agent
MIN_VOICED_MS = 96  # a burst with less voice than this is noise
CLASSIFY_EVERY_MS = 128
CLASSIFY_MS = 768  # of a burst: what comes later is not looked at (see services/barge_in)
IDENTIFY_EVERY_MS = 512
SPEECH = 0.5  # probability above which a burst is taken for speech; see services/barge_in
ONE_WORD = 0.7  # ... where it heard a single word
FEW_WORDS = 5  # so many different ones may be a misheard acknowledgement or cough
# Probability of speech below which no sentence was said, whatever words are found: of 105 recorded turns none has less, nor has any
# of 39 in the tests' recordings; of 11 acknowledgements 7 have, and so have 11 noises and pieces of music.
NO_SENTENCE = 0.1
RECOGNISE_MS = 448  # of a voice in doubt, after which it is compared with the user's, and after twice as much
TALK_MS = 1500  # of a weak voice that wants nothing of the agent: it is talk in the room


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
        self._beginning: str | None = None  # its words
        self._told: Literal["interruption"] | Kind | None = None  # what its words are, where all of them have been looked at
        self._silent = False  # it may be over
        self._recognised_ms = 0.0  # voiced ms when the voice was last asked for
        self._by_level = self._by_voice = 0.0  # log odds that it is the user

    def end(self) -> None:
        """Ends the burst: it is decided what it was."""
        self.active = False

    def voice(self, voiced_ms: float, thinking: bool, by_level: float) -> list[Signal]:
        """Takes more of the burst: `voiced_ms` of it are voice. `by_level`: the log odds, by its level, that the user speaks."""
        settings, self._voiced_ms, self._by_level, self._silent = self._settings, voiced_ms, by_level, False
        in_doubt = self.in_doubt
        if thinking:
            if voiced_ms >= settings.barge_in_thinking_ms and not in_doubt:
                self.verdict = "interruption"
            return []
        asked: list[Signal] = []
        if in_doubt and settings.speaker_lock and voiced_ms >= max(2 * self._recognised_ms, RECOGNISE_MS):
            self._recognised_ms = voiced_ms
            asked.append(Ask.RECOGNISE)
        if voiced_ms >= settings.hold_ms and not self._held and not in_doubt:
            self._held = True
            asked.append(OnsetHeld())
        if self._is_due(self._classified_ms, settings.barge_in_ms, CLASSIFY_EVERY_MS) and self._classified_ms < CLASSIFY_MS:
            self._classified_ms = voiced_ms
            asked.append(Ask.CLASSIFY)
        if self._is_due(self._identified_ms, settings.backchannel_ms, self._identified_ms if in_doubt else IDENTIFY_EVERY_MS):
            self._identified_ms, self._told = voiced_ms, None
            asked.append(Ask.IDENTIFY)
        self._weigh()
        return asked

    def _is_due(self, last_ms: float, first_ms: float, every_ms: float) -> bool:
        return self._voiced_ms - last_ms >= (every_ms if last_ms else first_ms)

    def classified(self, speech: float, text: str) -> None:
        """Takes the answer to CLASSIFY."""
        self._speech, self._beginning = speech, text
        self._weigh()

    def recognised(self, likeness: float) -> None:
        """Takes the answer to RECOGNISE."""
        self._by_voice = bystander.by_voice(likeness, self._recognised_ms)
        self._weigh()

    def _weigh(self) -> None:
        """Decides whether the beginning was an interruption, by what is known of it now."""
        text = self._beginning
        if text is None or self.verdict is not None or self._is_idle_talk(text) or self._is_somebody_elses(text):
            return
        if self._speech >= (SPEECH if len(set(words_of(text))) > 1 else ONE_WORD):
            self.verdict = "interruption"

    @property
    def in_doubt(self) -> bool:
        """Whether the burst is likelier a bystander's than the user's."""
        return self._odds < bystander.IN_DOUBT

    @property
    def _odds(self) -> float:
        return self._by_level + self._by_voice

    def _is_somebody_elses(self, text: str) -> bool:
        hailed = self._wording.hails_the_agent(text)
        return self._odds + (bystander.HAILED if hailed else 0.0) < bystander.IN_DOUBT

    def silence(self, silence_ms: float) -> list[Signal]:
        """Takes a silence, with which the burst may be over: its words decide then, and are asked for unless they were since
        the last voice."""
        self._silent = silence_ms >= BURST_GAP_MS
        if not self._silent:
            return []
        if self._voiced_ms < MIN_VOICED_MS:
            self.verdict = "noise"
        elif self._voiced_ms > self._identified_ms:
            self._identified_ms, self._told = self._voiced_ms, None
            return [Ask.IDENTIFY]
        else:
            self.verdict = self._told
        return []

    def words(self, text: str, over: bool, thinking: bool) -> None:
        """Takes the answer to IDENTIFY; `over`: the burst has ended. An interruption is one at once, and a bystander's talk is
        dismissed when it has gone on for a while; any other burst may yet become an interruption."""
        kind = self._told = self._kind(text, thinking)
        hopeless = self._voiced_ms >= TALK_MS or self._odds + bystander.HAILED < bystander.IN_DOUBT
        if over or self._silent or kind == "interruption" or (kind == "other_speech" and hopeless):
            self.verdict = kind

    def _kind(self, text: str, thinking: bool) -> Literal["interruption"] | Kind:
        if self._wording.is_wordless(text):
            return "backchannel" if words_of(text) else "noise"
        if not thinking and self._is_idle_talk(text):
            return "backchannel"
        if self._is_somebody_elses(text):
            return "other_speech"
        return "backchannel" if not thinking and self._is_misheard(text) else "interruption"

    def _is_idle_talk(self, text: str) -> bool:
        return self._wording.is_wordless(text) or (
            self._wording.is_backchannel(text) and self._voiced_ms < 2 * self._settings.backchannel_ms
        )

    def _is_misheard(self, text: str) -> bool:
        """Speech-to-text finds words in a cough and turns "mm" into "I'm"; what sounded like no speech and says little is none. A
        question or an order is one all the same, except where nothing like a sentence was heard in all of it: "mm" becomes "Oh,
        take it away"."""
        if self._speech >= SPEECH or len(set(words_of(text))) > FEW_WORDS:
            return False
        judged_whole = self._voiced_ms <= CLASSIFY_MS + CLASSIFY_EVERY_MS  # not a cough, and an order behind it
        if judged_whole and self._speech < NO_SENTENCE:
            return not self._wording.has_call(text)
        return not self._wording.calls_the_agent(text)
