"""Turn detection: from one voice probability per 32 ms window to onset, backchannel, pause and end of turn. Pure policy; time
is counted in windows received, so a stalled network is not mistaken for silence."""

from app.protocol.events import BargeIn, OnsetDismissed, SpeechOnset, TurnReopened, TurnUnrecognised
from app.settings import Settings
from app.turn_taking.levels import SOUND_MS, WINDOW_MS, EnergyOnset, UserLevel, VoiceActivity
from app.turn_taking.overlap import Overlap
from app.turn_taking.signals import Agent, Ask, Kind, Signal
from app.turn_taking.user_turn import LATE_MS, UserTurn
from languages.base import Language

RELEASE_RATIO = 0.7  # speech goes on down to this share of the onset threshold
# The probability of a window that surely is voice. Of 44 noises and pieces of music of the development set, whole and in parts,
# none has such a window, though 7 make a turn; 8 turns of one word nine times over, by four synthetic voices, have 39 and more.
CLEAR = 0.9
DUCK_RATIO = 0.6  # and over the agent it begins here: sentences are met 20-40 ms sooner, and all it costs is a duck


class TurnDetector:
    """The policy for one conversation. Every window is fed to it; the signals that it returns are to be acted on in order."""

    def __init__(self, settings: Settings, language: Language, number: int = 0) -> None:
        """`number` is that of the last turn of a conversation that is resumed."""
        self._settings = settings
        self.activity = VoiceActivity()
        self.turn = UserTurn(settings, language, self.activity, number)
        self.level = UserLevel()
        # While it is active, a sound over the agent is undecided.
        self.overlap = Overlap(settings, language.wording, active=False)
        self._energy_onset = EnergyOnset()
        self.half_duplex = settings.half_duplex  # nothing is heard while the agent speaks

    def window(self, probability: float, agent: Agent, reply_age_ms: float = 0.0, level_db: float = 0.0) -> list[Signal]:
        """Takes one window of VAD_WINDOW samples at `level_db` (dB, any zero). `reply_age_ms`: how long the agent has been
        audible in this reply."""
        activity = self.activity
        activity.now_ms += WINDOW_MS
        if agent == "silent" or reply_age_ms >= self._settings.reopen_ms:
            self.turn.reopens_at = None  # the last turn has been answered: it can no longer be reopened
        if self.overlap.active and agent == "silent":
            if not activity.burst_voiced_ms or (self.level.known and self.overlap.in_doubt):
                return self._dismiss("other_speech" if activity.burst_voiced_ms else "noise")
            self.overlap.end()  # the agent finished by itself: what was said over it is a plain turn
            self._begin_turn(over_agent=True)
        threshold = self._settings.vad_threshold
        ratio = RELEASE_RATIO if activity.in_burst else DUCK_RATIO if agent == "speaking" else 1.0
        deaf = self.half_duplex and agent == "speaking"
        bystander = self.level.is_bystander(level_db, activity.now_ms, agent == "speaking", activity.in_burst)
        voiced = not deaf and not bystander and probability >= threshold * ratio
        watched = not deaf and agent == "speaking" and not self.overlap.active
        risen = watched and self._energy_onset.window(level_db) and not bystander
        if voiced:
            activity.run += 1
            if probability >= CLEAR:
                activity.burst_clear_ms += WINDOW_MS
                self.turn.clear_ms += WINDOW_MS
            activity.last_voice_ms = activity.now_ms
            return self._on_voice(agent, reply_age_ms, level_db)
        activity.run = 0
        if risen:
            activity.last_voice_ms = activity.now_ms
            return self._begin_burst(agent)
        soundless = not activity.burst_voiced_ms and activity.now_ms - activity.burst_ms < SOUND_MS
        if self.overlap.active and soundless and self._energy_onset.lasts(level_db):
            activity.last_voice_ms = activity.now_ms
        return self._on_silence(agent, reply_age_ms)

    def _on_voice(self, agent: Agent, reply_age_ms: float, level_db: float) -> list[Signal]:
        signals: list[Signal] = []
        activity, turn = self.activity, self.turn
        if not activity.in_burst:
            # Over the agent's voice one window is enough: it only ducks.
            if activity.run < (1 if agent == "speaking" else self._settings.onset_windows):
                return signals
            signals += self._begin_burst(agent)
        else:
            activity.burst_voiced_ms += WINDOW_MS
            turn.voiced_ms += WINDOW_MS
        self.level.follow_burst(level_db)
        if self.overlap.active:
            signals += self.overlap.voice(activity.burst_voiced_ms, agent == "thinking", self.level.burst_odds(activity.now_ms))
            return signals + self._judge(agent, reply_age_ms)
        self.level.follow_turn(level_db)
        if turn.open and activity.now_ms - turn.partial_ms >= self._settings.partial_every_ms:
            turn.partial_ms = activity.now_ms
            signals.append(Ask.PARTIAL)
        if turn.open and turn.is_long(LATE_MS) and not turn.paused:
            signals.append(turn.pause())
        return signals

    def _begin_burst(self, agent: Agent) -> list[Signal]:
        activity = self.activity
        activity.in_burst = True
        activity.burst_voiced_ms = activity.run * WINDOW_MS
        activity.burst_ms = activity.now_ms - activity.burst_voiced_ms
        activity.burst_clear_ms = 0.0
        self.level.begin_burst()
        if self.turn.open:
            self.turn.voiced_ms += activity.burst_voiced_ms
            return self.turn.resume()
        if agent == "silent":
            self._begin_turn(over_agent=False)
        else:
            self.overlap = Overlap(self._settings, self.turn.wording)
        return [SpeechOnset(at_ms=activity.burst_ms)]

    def _begin_turn(self, over_agent: bool) -> None:
        self.turn.begin(self.activity.burst_ms)
        self.level.begin_turn(over_agent)

    def typed(self, continues: bool = False) -> int:
        """Notes that a turn was typed, in place of a spoken turn under way, and returns its number: the next one, or that of
        the last turn which it `continues`. Who speaks on goes on with both: the spoken one is then read from its beginning."""
        turn = self.turn
        began = turn.start_ms if turn.open and not turn.paused else None
        turn.number += not continues
        turn.close()
        turn.reopens_at = began
        return turn.number

    def give_up(self) -> list[Signal]:
        """Gives up the turn or the burst under way, which cannot be followed any further by a fault in our code."""
        lost: list[Signal] = [TurnUnrecognised(turn=self.turn.number)] if self.turn.open else []
        self.turn.close()
        return lost + (self._dismiss("noise") if self.overlap.active else [])

    def _on_silence(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        activity = self.activity
        if self.overlap.active:
            asked = self.overlap.silence(activity.silence_ms)
            activity.in_burst = activity.in_burst and not asked and self.overlap.verdict is None
            return asked + self._judge(agent, reply_age_ms)
        if not self.turn.open:
            return []
        if activity.silence_ms >= self._settings.pause_ms:
            activity.in_burst = False
            if not self.turn.paused:
                return [self.turn.pause()]
        return self.turn.try_end()

    # --- speech over the agent ----------------------------------------------------------------------------------------

    def classified(self, burst_ms: float, speech: float, text: str, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """Takes the answer to CLASSIFY for the burst that began at `burst_ms`: the probability (0..1) that it is speech, and
        the words of its beginning."""
        if not _is_awaited(self, burst_ms, agent):
            return []
        self.overlap.classified(speech, text)
        return self._judge(agent, reply_age_ms)

    def words(self, burst_ms: float, text: str, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """Takes the answer to IDENTIFY for the burst that began at `burst_ms`: its words."""
        if not _is_awaited(self, burst_ms, agent):
            return []
        self.overlap.words(text, not self.activity.in_burst, agent == "thinking")
        return self._judge(agent, reply_age_ms)

    def recognised(self, burst_ms: float, likeness: float, agent: Agent, reply_age_ms: float) -> list[Signal]:
        """Takes the answer to RECOGNISE: how alike the voice of the burst that began at `burst_ms` is to the user's (-1..1)."""
        if not _is_awaited(self, burst_ms, agent):
            return []
        self.overlap.recognised(likeness)
        return self._judge(agent, reply_age_ms)

    def echo(self) -> list[Signal]:
        """Dismisses the burst over the agent: it is the agent's own voice."""
        return self._dismiss("echo") if self.overlap.active else []

    def _judge(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        verdict = self.overlap.verdict
        if verdict is None:
            return []
        return self._confirm(agent, reply_age_ms) if verdict == "interruption" else self._dismiss(verdict)

    def _dismiss(self, kind: Kind) -> list[Signal]:
        self.overlap.end()
        if kind == "other_speech":
            self.level.meet_bystander(self.activity.now_ms)
        self._energy_onset.over(noise=kind in ("noise", "other_speech"))
        self.activity.in_burst = False
        self.activity.run = 0  # what was the agent itself does not count for whoever speaks next
        return [OnsetDismissed(kind=kind)]

    def _confirm(self, agent: Agent, reply_age_ms: float) -> list[Signal]:
        reopens = self.turn.reopens_at is not None and (
            agent == "thinking" or (agent == "speaking" and reply_age_ms < self._settings.reopen_ms)
        )
        self._energy_onset.over(noise=False)
        self.overlap.end()
        goes_on = reopens and self.turn.reopen()
        if not reopens:
            self._begin_turn(over_agent=True)
        # Before anything of the reply is heard, whoever speaks goes on with the turn.
        if reopens or agent == "thinking":
            return [TurnReopened(at_ms=self.activity.burst_ms, full=reopens and not goes_on)]
        return [BargeIn(at_ms=self.activity.burst_ms)]


def _is_awaited(detector: TurnDetector, burst_ms: float, agent: Agent) -> bool:
    """Whether an answer about the burst that began at `burst_ms` still decides anything. It does not once the agent has finished by
    itself: the next window makes the burst a plain turn."""
    return detector.overlap.active and burst_ms == detector.activity.burst_ms and agent != "silent"
