"""Who is speaking: from one voice probability per 32 ms window to onset, backchannel, pause and end of turn. Pure policy; time
is counted in windows received, so a stalled network is not mistaken for silence."""

from collections import deque

from app.settings import Eagerness, Settings
from app.turn_taking.endpointing import LEAST_MS, Said, judge, required_silence
from app.turn_taking.overlap import MIN_VOICED_MS, SOUND_MS, Overlap, Rise
from app.turn_taking.signals import Agent, Ask, Confirmed, Dismissed, Ended, Kind, Onset, Signal, Unrecognised
from languages.base import Language
from languages.wording import words_of

WINDOW_MS = 32.0
RELEASE_RATIO = 0.7  # speech goes on down to this share of the onset threshold
DUCK_RATIO = 0.6  # and over the agent it begins here: sentences are met 20-40 ms sooner, and all it costs is a duck
PAUSES = 12  # of a speaker that are remembered
LEVEL_SHARE = 0.05  # of a window in the user's usual level: about a second of speech counts
FALL = 0.1  # a weaker voice counts less: it may be somebody else's
SPOKEN_MS = 288.0  # with so much voice a turn was spoken, even where no word of it is made out
UNKNOWN_MS = 1600  # silence that ends a turn whose words cannot be had
RETRY_MS = 384  # silence after which words are asked for again that could not be had at the first silent window
# What the user's level is taken for before it is known (-30 dBFS). Of 234 clips of people who speak to a machine the median is -27
# dBFS, and one in twelve is weaker than this by FAINT_DB at -6 dB.
USUAL_DB = 60.0
FAINT_DB = 10.0  # so much below the user's usual level somebody else is speaking, further away


class Turns:
    """The policy for one conversation. Feed every window; act on the signals that come back, in order."""

    def __init__(self, settings: Settings, language: Language, turn: int = 0) -> None:
        """`turn` is the number of the last turn of a conversation that is resumed."""
        self._settings = settings
        self.wording = language.wording
        self._endpointing = judge(language)
        self.now_ms = 0.0  # of audio received
        self.turn = turn  # number of the user's turn; 0 before the first
        self.revision = 0  # of the current turn's text: grows with every pause
        self.start_ms = 0.0  # where the turn began
        self.burst_ms = 0.0  # where the current burst began
        self.last_voice_ms = 0.0  # end of the last voiced window
        self.open = False  # a user's turn is under way
        self._overlap = Overlap(settings, self.wording, active=False)
        self._rise = Rise()
        self._run = 0  # voiced windows in a row
        self._voiced_ms = 0.0  # in the current burst
        self._turn_voiced_ms = 0.0
        self._burst_db = 0.0  # level of the current burst, mean of its voiced windows
        self._usual_db: float | None = None  # level of the user's own turns
        self._in_burst = False
        self._paused = False  # PREPARE was asked for the current silence
        self._prepared: tuple[str, float] | None = None  # (text, silence that ends it) of the current revision
        self._failures = 0  # to have the words of the current silence
        self._failed = False  # the last PREPARE was answered so
        self._silent_ms = 0.0  # where the current silence began
        self._pauses: deque[float] = deque(maxlen=PAUSES)  # the user's own, in ms, those that may be taken for an end
        self._partial_ms = 0.0
        self._ended_turn_start: float | None = None  # the last ended turn, while it can still be reopened

    @property
    def silence_ms(self) -> float:
        return self.now_ms - self.last_voice_ms

    @property
    def undecided(self) -> bool:
        """Somebody makes a sound over the agent and it is not yet clear what it is."""
        return self._overlap.active

    def window(self, probability: float, agent: Agent, reply_age_ms: float = 0.0, level_db: float = 0.0) -> list[Signal]:
        """One window of VAD_WINDOW samples at `level_db` (dB, any zero). `reply_age_ms`: how long the agent has been audible in
        this reply."""
        self.now_ms += WINDOW_MS
        if agent == "silent" or reply_age_ms >= self._settings.reopen_ms:
            self._ended_turn_start = None  # the last turn has been answered: it can no longer be reopened
        if self._overlap.active and agent == "silent":
            if not self._voiced_ms:
                return self._dismiss("noise")
            self._open_turn(self.burst_ms)  # the agent finished by itself: what was said over it is a plain turn
        threshold = self._settings.vad_threshold
        ratio = RELEASE_RATIO if self._in_burst else DUCK_RATIO if agent == "speaking" else 1.0
        deaf = self._settings.half_duplex and agent == "speaking"
        voiced = not deaf and probability >= threshold * ratio
        risen = not deaf and agent == "speaking" and not self.undecided and self._rise.window(level_db)
        if voiced:
            self._run += 1
            self.last_voice_ms = self.now_ms
            return self._on_voice(agent, reply_age_ms, level_db)
        self._run = 0
        if risen:
            self.last_voice_ms = self.now_ms
            return self._begin_burst(agent, level_db)
        if self.undecided and not self._voiced_ms and self.now_ms - self.burst_ms < SOUND_MS and self._rise.lasts(level_db):
            self.last_voice_ms = self.now_ms
        return self._on_silence(agent, reply_age_ms)

    def _on_voice(self, agent: Agent, reply_age_ms: float, level_db: float) -> list[Signal]:
        signals: list[Signal] = []
        if not self._in_burst:
            # Over the agent's voice one window is enough: it only ducks.
            if self._run < (1 if agent == "speaking" else self._settings.onset_windows):
                return signals
            signals += self._begin_burst(agent, level_db)
        else:
            self._voiced_ms += WINDOW_MS
            self._turn_voiced_ms += WINDOW_MS
        self._burst_db += (level_db - self._burst_db) * WINDOW_MS / self._voiced_ms
        if self._overlap.active:
            signals += self._overlap.voice(self._voiced_ms, agent == "thinking", self._is_faint())
            return signals + self._judge(agent, reply_age_ms)
        usual = self._usual_db if self._usual_db is not None else level_db
        self._usual_db = usual + LEVEL_SHARE * (level_db - usual) * (1.0 if level_db > usual else FALL)
        if self.open and self.now_ms - self._partial_ms >= self._settings.partial_every_ms:
            self._partial_ms = self.now_ms
            signals.append(Ask.PARTIAL)
        if self.open and self.now_ms - self.start_ms >= self._settings.max_turn_s * 1000 and not self._paused:
            signals.append(self._pause())
        return signals

    def _begin_burst(self, agent: Agent, level_db: float) -> list[Signal]:
        self._in_burst = True
        self._voiced_ms = self._run * WINDOW_MS
        self._burst_db = level_db
        self.burst_ms = self.now_ms - self._voiced_ms
        if self.open:
            self._turn_voiced_ms += self._voiced_ms
            return self._resume()
        if agent == "silent":
            self._open_turn(self.burst_ms)
        else:
            self._overlap = Overlap(self._settings, self.wording)
        return [Onset(self.burst_ms)]

    def _is_faint(self) -> bool:
        usual = self._usual_db if self._usual_db is not None else USUAL_DB
        return self._burst_db < usual - FAINT_DB

    def _open_turn(self, start_ms: float) -> None:
        self.turn += 1
        self.revision = 0
        self.open = True
        self.start_ms = start_ms
        self._partial_ms = start_ms
        self._turn_voiced_ms = self._voiced_ms
        self._paused = False
        self._prepared = None
        self._failures, self._failed = 0, False
        self._overlap.end()

    def typed(self, continues: bool = False) -> int:
        """A turn was typed: it takes the next number, or `continues` the last turn, and the place of a spoken turn under way."""
        self.turn += not continues
        self._close()
        return self.turn

    def give_up(self) -> list[Signal]:
        """By a fault of ours a turn or a burst under way cannot be followed any further."""
        lost: list[Signal] = [Unrecognised(self.turn)] if self.open else []
        self._close()
        return lost + (self._dismiss("noise") if self._overlap.active else [])

    def _close(self) -> None:
        self.open = False
        self._paused = False
        self._in_burst = False
        self._ended_turn_start = None

    def _resume(self) -> list[Signal]:
        if not self._paused:
            return []
        self._paused = False
        self._prepared = None
        self._failures, self._failed = 0, False
        if self.burst_ms - self._silent_ms >= LEAST_MS:
            self._pauses.append(self.burst_ms - self._silent_ms)
        return [Ask.DROP]

    def _pause(self) -> Ask:
        self._paused = True
        self._silent_ms = self.last_voice_ms
        self._failed = False
        self.revision += 1
        return Ask.PREPARE

    def _on_silence(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        if self._overlap.active:
            asked = self._overlap.silence(self.silence_ms)
            self._in_burst = self._in_burst and not asked and self._overlap.verdict is None
            return asked + self._judge(agent, reply_age_ms)
        if not self.open:
            return []
        if self.silence_ms >= self._settings.pause_ms:
            self._in_burst = False
            if not self._paused:
                return [self._pause()]
        return self._try_end()

    # --- the end of a turn --------------------------------------------------------------------------------------------

    def waits(self, revision: int) -> bool:
        """The pause of this revision goes on, and the turn has not ended in it."""
        return self.open and self._paused and revision == self.revision

    @property
    def spoken(self) -> bool:
        """There was so much of a voice in the turn that it was spoken, even where no word of it is made out."""
        return self._turn_voiced_ms >= SPOKEN_MS

    @property
    def left_ms(self) -> float:
        """Silence after which the turn ends, as it is judged now: 0 where it is not judged or has ended."""
        return max(0.0, self._prepared[1] - self.silence_ms) if self.open and self._prepared is not None else 0.0

    def prepared(self, revision: int, said: Said, eagerness: Eagerness | None = None) -> list[Signal]:
        """The answer to PREPARE: what is known of the turn so far; it may be given again for the same revision when more is known.
        `eagerness`: of this conversation, where it is not that of the settings."""
        if not self.waits(revision):
            return []
        self._prepared = (
            said.text,
            required_silence(self._endpointing, said, eagerness or self._settings.eagerness, self._pauses),
        )
        return self._try_end()

    def failed(self, revision: int) -> list[Signal]:
        """The other answer to PREPARE: the words could not be had. They are asked for once more, and where they cannot be had then
        the turn ends without them."""
        if not self.waits(revision):
            return []
        self._failures += 1
        self._failed = True
        return self._try_end()

    def _try_end(self) -> list[Signal]:
        if not self._paused or (self._prepared is None and not self._failed):
            return []
        text, required = self._prepared or ("", RETRY_MS if self._failures == 1 else UNKNOWN_MS)
        forced = self.now_ms - self.start_ms >= self._settings.max_turn_s * 1000
        if self.silence_ms < required and not forced:
            return []
        if self._failed and self._failures == 1:
            return [self._pause()]
        self.open = False
        self._paused = False
        self._in_burst = False
        unclear = not self._failed and not words_of(text) and self.spoken
        if unclear or (self._failed and self._turn_voiced_ms >= MIN_VOICED_MS):
            return [Unrecognised(self.turn, unclear)]
        if self.wording.is_wordless(text) or self._turn_voiced_ms < MIN_VOICED_MS:
            return [Dismissed("noise")]
        self._ended_turn_start = self.start_ms
        return [Ended(self.turn, self.revision, text)]

    # --- speech over the agent ----------------------------------------------------------------------------------------

    def glimpsed(self, burst_ms: float, speech: float, text: str, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """The answer to GLIMPSE for the burst that began at `burst_ms`: the probability (0..1) that it is speech, and what was
        said of it. Once the agent has finished by itself, the next window makes the burst a plain turn."""
        if not self._overlap.active or burst_ms != self.burst_ms or agent == "silent":
            return []
        self._overlap.glimpsed(speech, text)
        return self._judge(agent, reply_age_ms)

    def words(self, burst_ms: float, text: str, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """The answer to IDENTIFY for the burst that began at `burst_ms`; as for `glimpsed`."""
        if not self._overlap.active or burst_ms != self.burst_ms or agent == "silent":
            return []
        self._overlap.words(text, not self._in_burst, agent == "thinking")
        return self._judge(agent, reply_age_ms)

    def recognised(self, burst_ms: float, likeness: float) -> None:
        """The answer to RECOGNISE: how alike the voice of the burst that began at `burst_ms` is to the user's (0..1)."""
        if self._overlap.active and burst_ms == self.burst_ms:
            self._overlap.recognised(likeness)

    def echo(self) -> list[Signal]:
        """The burst over the agent is the agent itself."""
        return self._dismiss("echo") if self._overlap.active else []

    def _judge(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        verdict = self._overlap.verdict
        if verdict is None:
            return []
        return self._confirm(agent, reply_age_ms) if verdict == "interruption" else self._dismiss(verdict)

    def _dismiss(self, kind: Kind) -> list[Signal]:
        self._overlap.end()
        self._rise.over(noise=kind == "noise")
        self._in_burst = False
        self._run = 0  # what was the agent itself does not count for whoever speaks next
        return [Dismissed(kind)]

    def _confirm(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        reopens = self._ended_turn_start is not None and (
            agent == "thinking" or (agent == "speaking" and reply_age_ms < self._settings.reopen_ms)
        )
        self._rise.over(noise=False)
        start = self._ended_turn_start if reopens and self._ended_turn_start is not None else self.burst_ms
        turn, revision = self.turn, self.revision
        self._open_turn(start)
        if reopens:
            self.turn, self.revision = turn, revision
        return [Confirmed(self.burst_ms, reopens)]
