"""The user's turn under way: its number and revision, its pauses, and when it is over. Pure policy."""

from collections import deque

from app.protocol.events import OnsetDismissed, TurnEnded, TurnUnrecognised
from app.protocol.messages import MAX_TEXT
from app.settings import Eagerness, Settings
from app.turn_taking.endpointing import LEAST_MS, Said, judge, required_silence
from app.turn_taking.levels import VoiceActivity
from app.turn_taking.overlap import MIN_VOICED_MS
from app.turn_taking.signals import Ask, Signal
from languages.base import Language
from languages.wording import is_exclamation, may_be_misheard, words_of

PAUSES = 12  # of a speaker that are remembered
LATE_MS = 5000.0  # without a pause beyond `max_turn_s`, after which a part of a turn is read in the middle of a word
SPOKEN_MS = 288.0  # with so much voice a turn was spoken, even where no word of it is made out
# So much clear voice is more than an "oh" takes: two and nine times "no", which are read as "Oh", have 0.7 s and more. There is no
# recording of an "oh" to try it on.
DRAWN_OUT_MS = 600.0
UNKNOWN_MS = 1600  # silence that ends a turn whose words cannot be had
RETRY_MS = 384  # silence after which words are asked for again that could not be had at the first silent window


class UserTurn:
    """The turn under way, or the last one. `activity`, which the detector keeps, tells where there is voice."""

    def __init__(self, settings: Settings, language: Language, activity: VoiceActivity, number: int) -> None:
        """`number` is that of the last turn of a conversation that is resumed."""
        self._settings = settings
        self._activity = activity
        self.wording = language.wording
        self._endpointing = judge(language)
        self.number = number  # 0 before the first
        self.revision = 0  # of the turn's text: grows with every pause
        self.start_ms = 0.0  # where the turn began
        self.open = False  # it is under way
        self.voiced_ms = 0.0  # voice in it
        self.clear_ms = 0.0  # ... that surely is one, by the voice detector alone
        self.told = ""  # the text of its first parts, where it is so long that it is read in parts; `start_ms` is behind them
        self.partial_ms = 0.0  # where an interim transcript was last asked for
        self.reopens_at: float | None = None  # where the last ended turn began, while it can still be reopened
        self.paused = False  # PREPARE was asked for the current silence
        self.hurried = (
            False  # it is over at its first pause whose words are known: who has typed a line has said what is to be said
        )
        self._prepared: tuple[str, float] | None = None  # (text, silence that ends it) of the current revision
        self._misheard = False  # what was prepared may be another word than was said
        self._failures = 0  # to have the words of the current silence
        self._failed = False  # the last PREPARE was answered so
        self._silent_ms = 0.0  # where the current silence began
        self._pauses: deque[float] = deque(maxlen=PAUSES)  # the user's own, in ms, those that may be taken for an end

    def begin(self, start_ms: float) -> None:
        """Begins the next turn, with the voice of the burst under way."""
        self.number += 1
        self.revision = 0
        self.open = True
        self.start_ms = start_ms
        self.partial_ms = start_ms
        self.voiced_ms = self._activity.burst_voiced_ms
        self.clear_ms = self._activity.burst_clear_ms
        self.told = ""
        self._forget_pause()

    def reopen(self) -> bool:
        """Goes on with the turn that had ended, under its number and revision. False where that turn has as much text as one
        may have: then a new turn was begun."""
        number, revision, told = self.number, self.revision, self.told
        self.begin(self._activity.burst_ms if self.reopens_at is None else self.reopens_at)
        if len(told) >= MAX_TEXT:
            return False
        self.number, self.revision, self.told = number, revision, told
        return True

    def whole(self, text: str) -> str:
        """All that was said in the turn, whose last part is `text`."""
        return f"{self.told} {text}".strip() if self.told else text

    def close(self) -> None:
        """Gives the turn up, or ends it because it was answered in another way."""
        self.open = False
        self.paused = False
        self._activity.in_burst = False
        self.reopens_at = None

    def _forget_pause(self) -> None:
        self.paused = False
        self._prepared = None
        self._failures, self._failed, self._misheard = 0, False, False

    def resume(self) -> list[Signal]:
        """Goes on with the turn after a pause, by the burst under way. What was said in a long turn before the pause is still
        read."""
        if not self.paused:
            return []
        if self._activity.burst_ms - self._silent_ms >= LEAST_MS:
            self._pauses.append(self._activity.burst_ms - self._silent_ms)
        if self.is_long():
            return []
        self._forget_pause()
        return [Ask.DROP]

    def pause(self) -> Ask:
        """Notes a pause, with which the turn may be over."""
        self.paused = True
        self._silent_ms = self._activity.last_voice_ms
        self._failed = False
        self.revision += 1
        return Ask.PREPARE

    def is_long(self, late_ms: float = 0.0) -> bool:
        """Whether the turn, or its last part, has lasted for `max_turn_s` and `late_ms` more: then what was said up to its next
        pause is read, and what follows is another part. The buffer keeps as much sound as there may be before that pause, and
        all of it is read at once."""
        return self._activity.now_ms - self.start_ms >= self._settings.max_turn_s * 1000 + late_ms

    def waits(self, revision: int) -> bool:
        """Whether the pause of this revision goes on, and the turn has not ended in it."""
        return self.open and self.paused and revision == self.revision

    @property
    def spoken(self) -> bool:
        """Whether there was enough voice in the turn to call it spoken, even where no word of it is made out."""
        return self.voiced_ms >= SPOKEN_MS

    @property
    def left_ms(self) -> float:
        """How much more silence (ms) ends the turn, as it is judged now; 0 where it is not judged or has ended."""
        return max(0.0, self._prepared[1] - self._activity.silence_ms) if self.open and self._prepared is not None else 0.0

    def prepared(self, revision: int, said: Said, eagerness: Eagerness | None = None) -> list[Signal]:
        """Takes the answer to PREPARE: what is known of the turn so far. It may be given again for the same revision when more
        is known. `eagerness` is that of this conversation, where it differs from the settings'."""
        if not self.waits(revision):
            return []
        whole, drawn_out = self.whole(said.text), self.clear_ms >= DRAWN_OUT_MS
        self._misheard = may_be_misheard(self.wording, whole, said.asked) or (drawn_out and is_exclamation(self.wording, whole))
        self._prepared = (
            said.text,
            required_silence(self._endpointing, said, eagerness or self._settings.eagerness, self._pauses),
        )
        return self.try_end()

    def failed(self, revision: int) -> list[Signal]:
        """Takes the other answer to PREPARE: the words could not be had. They are asked for once more; if that fails too, the
        turn ends without them."""
        if not self.waits(revision):
            return []
        self._failures += 1
        self._failed = True
        return self.try_end()

    def try_end(self) -> list[Signal]:
        """Ends the turn where the silence is as long as it must be."""
        if not self.paused or (self._prepared is None and not self._failed):
            return []
        text, required = self._prepared or ("", RETRY_MS if self._failures == 1 else UNKNOWN_MS)
        required = 0.0 if self.hurried else required
        goes_on = self.is_long() and self._activity.last_voice_ms > self._silent_ms  # nobody waited until it was read
        if goes_on and self._prepared is not None:
            self.told = self.whole(text)
            self.start_ms = self._silent_ms + self._settings.preroll_ms  # before which so much is read with what follows
            self._forget_pause()
            if len(self.told) < MAX_TEXT:
                return []
            text = ""
        elif self._activity.silence_ms < required and not goes_on:
            return []
        if self._failed and self._failures == 1:
            return [self.pause()]
        self.open = False
        self.paused = False
        self._activity.in_burst = False
        text = self.whole(text)
        unclear = not self._failed and self.spoken and (not words_of(text) or self._misheard)
        if unclear or (self._failed and self.voiced_ms >= MIN_VOICED_MS):
            return [TurnUnrecognised(turn=self.number, unclear=unclear)]
        if self.wording.is_wordless(text) or self.voiced_ms < MIN_VOICED_MS:
            return [OnsetDismissed(kind="noise")]
        self.reopens_at = self.start_ms
        return [TurnEnded(turn=self.number, revision=self.revision, text=text)]
