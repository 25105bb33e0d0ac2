"""Who is speaking: from one voice probability per 32 ms window to onset, backchannel, pause and end of turn. Pure policy; time
is counted in windows received, so a stalled network is not mistaken for silence."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum, auto
from typing import Literal

from app.settings import Settings

WINDOW_MS = 32.0
RELEASE_RATIO = 0.7  # speech goes on down to this share of the onset threshold
BURST_GAP_MS = 224  # silence that ends a burst over the agent
IDENTIFY_MS = 192  # voiced time of a burst before its words are asked for
MIN_TURN_MS = 96  # a turn with less voice than this is noise

Agent = Literal["silent", "thinking", "speaking"]

BACKCHANNELS = frozenset(
    "yeah yea yep yup yes ya right okay ok sure mhm mm mmm hm hmm uh huh uhuh mmhmm ah aha oh wow nice cool good great true "
    "exactly really interesting i see got it alright fine totally absolutely".split()
)
NON_LEXICAL = frozenset("mhm mm mmm hm hmm uh huh uhuh um uhm ah aha oh er mmhmm".split())
# After one of these an English sentence has not ended, whatever mark speech-to-text puts there ...
_OPEN_ENDS = frozenset(
    "a an the and or but so because if when while which whose my your our their his its these those um uh er we they he she "
    "is are was were am be".split()
)
# ... and after one of these only a question has ("What is it like?").
_OPEN_STATEMENTS = frozenset(
    "to of in on at for with from by about as than like into that who this between i well then also".split()
)


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation; "mm-hmm" and "uh-huh" come out as two."""
    return re.findall(r"[a-z']+", text.lower())


def is_backchannel(text: str) -> bool:
    """At most four words, every one of them an acknowledgement."""
    words = words_of(text)
    return 0 < len(words) <= 4 and all(word in BACKCHANNELS for word in words)


def is_wordless(text: str) -> bool:
    """Nothing, or only sounds such as "hm"."""
    return all(word in NON_LEXICAL for word in words_of(text))


def sounds_unfinished(text: str) -> bool:
    """The text ends where a sentence cannot: on a function word, a comma or a dash."""
    words = words_of(text)
    text = text.rstrip()
    return bool(words) and (
        words[-1] in _OPEN_ENDS
        or (words[-1] in _OPEN_STATEMENTS and not text.endswith("?"))
        or text.endswith((",", "-", "–", "—", "...", "…"))
    )


def is_echo(text: str, saying: str) -> bool:
    """At least three words, nearly all of which the agent is saying in the same order: its own voice came back."""
    words, own = words_of(text), words_of(saying)
    matches = SequenceMatcher(None, own, words, autojunk=False).get_matching_blocks()
    return len(words) >= 3 and sum(block.size for block in matches) >= 0.8 * len(words)


# --- what the policy asks for or tells --------------------------------------------------------------------------------


class Ask(Enum):
    """Work the policy wants done; answers come back through `words` and `prepared`."""

    PARTIAL = auto()  # a live caption of the turn so far
    IDENTIFY = auto()  # the words of this burst, quickly: is it an interruption?
    PREPARE = auto()  # the turn may have ended: transcribe, judge, prepare a reply
    DROP = auto()  # the user goes on: what was prepared is void


@dataclass(frozen=True, slots=True)
class Onset:
    at_ms: float


@dataclass(frozen=True, slots=True)
class Dismissed:
    kind: Literal["backchannel", "noise", "echo", "other_speech"]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The burst over the agent is meant for it. `reopens`: it continues the turn before."""

    at_ms: float
    reopens: bool


@dataclass(frozen=True, slots=True)
class Ended:
    turn: int
    revision: int
    text: str


Signal = Ask | Onset | Dismissed | Confirmed | Ended


class Turns:
    """The policy for one conversation. Feed every window; act on the signals that come back, in order."""

    def __init__(self, settings: Settings, turn: int = 0) -> None:
        """`turn` is the number of the last turn of a conversation that is resumed."""
        self._settings = settings
        self.now_ms = 0.0  # of audio received
        self.turn = turn  # number of the user's turn; 0 before the first
        self.revision = 0  # of the current turn's text: grows with every pause
        self.start_ms = 0.0  # where the turn began
        self.burst_ms = 0.0  # where the current burst began
        self.last_voice_ms = 0.0  # end of the last voiced window
        self.open = False  # a user's turn is under way
        self._over_agent = False  # the current burst began while the agent thinks or speaks, and is undecided
        self._run = 0  # voiced windows in a row
        self._voiced_ms = 0.0  # in the current burst
        self._turn_voiced_ms = 0.0
        self._in_burst = False
        self._asked_ms = 0.0  # voiced ms at the last IDENTIFY
        self._burst_text: str | None = None
        self._paused = False  # PREPARE was asked for the current silence
        self._verdict: tuple[str, float] | None = None  # (text, completeness) of the current revision
        self._partial_ms = 0.0
        self._ended_turn_start: float | None = None  # the last ended turn, while it can still be reopened

    @property
    def silence_ms(self) -> float:
        return self.now_ms - self.last_voice_ms

    def window(self, probability: float, agent: Agent, reply_age_ms: float = 0.0) -> list[Signal]:
        """One window of VAD_WINDOW samples. `reply_age_ms`: how long the agent has been audible in this reply."""
        self.now_ms += WINDOW_MS
        if agent == "silent" or reply_age_ms >= self._settings.reopen_ms:
            self._ended_turn_start = None  # the last turn has been answered: it can no longer be reopened
        if self._over_agent and agent == "silent":
            self._open_turn(self.burst_ms)  # the agent finished by itself: what was said over it is a plain turn
        threshold = self._settings.vad_threshold
        voiced = probability >= (threshold * RELEASE_RATIO if self._in_burst else threshold)
        if self._settings.half_duplex and agent == "speaking":
            voiced = False
        if voiced:
            self._run += 1
            self.last_voice_ms = self.now_ms
            return self._on_voice(agent, reply_age_ms)
        self._run = 0
        return self._on_silence(agent, reply_age_ms)

    def _on_voice(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        signals: list[Signal] = []
        if not self._in_burst:
            if self._run < self._settings.onset_windows:
                return signals
            signals += self._begin_burst(agent)
        else:
            self._voiced_ms += WINDOW_MS
            self._turn_voiced_ms += WINDOW_MS
        if self._over_agent:
            return signals + self._judge_overlap(agent, reply_age_ms)
        if self.open and self.now_ms - self._partial_ms >= self._settings.partial_every_ms:
            self._partial_ms = self.now_ms
            signals.append(Ask.PARTIAL)
        if self.open and self.now_ms - self.start_ms >= self._settings.max_turn_s * 1000 and not self._paused:
            signals.append(self._pause())
        return signals

    def _begin_burst(self, agent: Agent) -> list[Signal]:
        self._in_burst = True
        self._voiced_ms = self._run * WINDOW_MS
        self.burst_ms = self.now_ms - self._voiced_ms
        self._burst_text = None
        self._asked_ms = 0.0
        if self.open:
            self._turn_voiced_ms += self._voiced_ms
            return self._resume()
        if agent == "silent":
            self._open_turn(self.burst_ms)
        else:
            self._over_agent = True
        return [Onset(self.burst_ms)]

    def _open_turn(self, start_ms: float) -> None:
        self.turn += 1
        self.revision = 0
        self.open = True
        self.start_ms = start_ms
        self._partial_ms = start_ms
        self._turn_voiced_ms = self._voiced_ms
        self._paused = False
        self._verdict = None
        self._over_agent = False

    def typed(self) -> int:
        """A turn was typed: it takes the next number and the place of a spoken turn under way."""
        self.turn += 1
        self.open = False
        self._paused = False
        self._in_burst = False
        self._ended_turn_start = None
        return self.turn

    def _resume(self) -> list[Signal]:
        if not self._paused:
            return []
        self._paused = False
        self._verdict = None
        return [Ask.DROP]

    def _pause(self) -> Ask:
        self._paused = True
        self.revision += 1
        return Ask.PREPARE

    def _on_silence(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        if self._over_agent:
            if self.silence_ms < BURST_GAP_MS:
                return []
            self._in_burst = False
            return self._close_overlap(agent, reply_age_ms)
        if not self.open:
            return []
        if self.silence_ms >= self._settings.pause_ms:
            self._in_burst = False
            if not self._paused:
                return [self._pause()]
        return self._try_end()

    # --- the end of a turn --------------------------------------------------------------------------------------------

    def prepared(self, revision: int, text: str, complete: float) -> list[Signal]:
        """The answer to PREPARE: the text of the turn so far and the end-of-turn probability (0..1)."""
        if not self.open or not self._paused or revision != self.revision:
            return []
        if is_wordless(text) or self._turn_voiced_ms < MIN_TURN_MS:
            self.open = False
            self._paused = False
            return [Dismissed("noise")]
        self._verdict = (text, complete * 0.25 if sounds_unfinished(text) else complete)
        return self._try_end()

    def _try_end(self) -> list[Signal]:
        if not self._paused or self._verdict is None:
            return []
        text, complete = self._verdict
        forced = self.now_ms - self.start_ms >= self._settings.max_turn_s * 1000
        if self.silence_ms < self.required_silence(complete) and not forced:
            return []
        self.open = False
        self._paused = False
        self._in_burst = False
        self._ended_turn_start = self.start_ms
        return [Ended(self.turn, self.revision, text)]

    def required_silence(self, complete: float) -> float:
        """Silence (ms) that ends a turn of this completeness: the least from `complete_threshold` up, growing to the longest
        as the model gets surer that more is to come."""
        settings = self._settings
        if complete >= settings.complete_threshold:
            return settings.end_silence_ms
        share = 1 - complete / settings.complete_threshold
        return settings.end_silence_ms + (settings.max_pause_ms - settings.end_silence_ms) * float(share**0.5)

    # --- speech over the agent ----------------------------------------------------------------------------------------

    def _judge_overlap(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        settings = self._settings
        if agent == "thinking":
            return self._confirm(agent, reply_age_ms) if self._voiced_ms >= settings.barge_in_thinking_ms else []
        if self._voiced_ms >= settings.barge_in_ms and self._burst_text is not None and not self._is_idle_talk():
            return self._confirm(agent, reply_age_ms)
        if self._voiced_ms - self._asked_ms >= IDENTIFY_MS:
            self._asked_ms = self._voiced_ms
            return [Ask.IDENTIFY]
        return []

    def words(self, burst_ms: float, text: str, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """The answer to IDENTIFY for the burst that began at `burst_ms`."""
        if not self._over_agent or burst_ms != self.burst_ms:
            return []
        self._burst_text = text
        if self._in_burst:
            return self._judge_overlap(agent, reply_age_ms)
        return self._close_overlap(agent, reply_age_ms)

    def _is_idle_talk(self) -> bool:
        text = self._burst_text or ""
        return is_wordless(text) or (is_backchannel(text) and self._voiced_ms < self._settings.backchannel_ms)

    def _close_overlap(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """The burst is over: decide by its words; ask for them first where nobody has."""
        if self._voiced_ms < MIN_TURN_MS:
            return self._dismiss("noise")
        if self._voiced_ms - self._asked_ms >= MIN_TURN_MS:
            self._asked_ms = self._voiced_ms
            self._burst_text = None
            return [Ask.IDENTIFY]
        if self._burst_text is None:
            return []
        text = self._burst_text
        if is_wordless(text):
            return self._dismiss("backchannel" if words_of(text) else "noise")
        if is_backchannel(text) and agent != "thinking":
            return self._dismiss("backchannel")
        return self._confirm(agent, reply_age_ms)

    def echo(self) -> list[Signal]:
        """The burst over the agent is the agent itself."""
        return self._dismiss("echo") if self._over_agent else []

    def _dismiss(self, kind: Literal["backchannel", "noise", "echo"]) -> list[Signal]:
        self._over_agent = False
        self._in_burst = False
        return [Dismissed(kind)]

    def _confirm(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        reopens = self._ended_turn_start is not None and (
            agent == "thinking" or (agent == "speaking" and reply_age_ms < self._settings.reopen_ms)
        )
        start = self._ended_turn_start if reopens and self._ended_turn_start is not None else self.burst_ms
        in_burst = self._in_burst
        turn, revision = self.turn, self.revision
        self._open_turn(start)
        if reopens:
            self.turn, self.revision = turn, revision
        self._in_burst = in_burst
        return [Confirmed(self.burst_ms, reopens)]

    @property
    def undecided(self) -> bool:
        """Somebody makes a sound over the agent and it is not yet clear what it is."""
        return self._over_agent
