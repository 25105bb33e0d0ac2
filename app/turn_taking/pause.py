"""A pause in the user's turn, which may be its end: the turn so far is transcribed, a reply prepared and the end judged. The
first transcription is quick. A closer one follows where the first doubts itself, or while silence is waited for anyway; where
it finds other words, the reply is prepared anew."""

import asyncio
from collections.abc import Callable, Iterable

from app.core.latency import Spans
from app.turn_taking.endpointing import Said, is_surely_whole
from app.turn_taking.listener import Listener
from app.turn_taking.recognition import Recognition
from app.turn_taking.signals import Signal
from app.turn_taking.user_turn import SPOKEN_MS, UserTurn
from services.base import Audio, Transcript

ROOM_MS = 350.0  # of silence that is still to come leave time for a closer look on two cores
# Belief that nothing was said above which nobody is asked to say it again; and the same where nothing in the sound is surely voice.
# Where it clearly is, a word that is said over and over is taken for noise by the judge of the sound, which knows no such turns.
PLAIN_NOISE, UNVOICED_NOISE = 0.8, 0.5


class Pause:
    """One pause of `turn`, at the revision that the turn has now. `audio` is the turn so far; `act` is called with the signals
    that follow."""

    def __init__(
        self,
        recognition: Recognition,
        turn: UserTurn,
        listener: Listener,
        act: Callable[[Iterable[Signal]], None],
        audio: Audio,
        spans: Spans,
    ) -> None:
        self._recognition = recognition
        self._user_turn = turn
        self._listener = listener
        self._act = act
        self._audio = audio
        self._spans = spans
        self._turn, self._revision, self._began = turn.number, turn.revision, turn.start_ms
        self._melody: asyncio.Task[float] | None = None
        self.noise = False  # it was plainly no speech

    async def work(self) -> None:
        """Does the work of the pause. Raises what the recogniser raises at the first look."""
        # The end-of-turn model would only slow speech-to-text down, and is asked where the words leave it open: at once, where the
        # last interim transcript says so.
        interim = self._recognition.draft_tokens(self._began)
        if interim and not self._user_turn.wording.asks_openly(interim):
            self._listen_to_melody()
        try:
            heard = await self._recognition.final(self._audio, self._began, self._spans)
            self._suggest(heard)
            in_doubt = heard.doubtful or (not heard.text and self._user_turn.spoken)
            if in_doubt:
                heard = await self._closer(heard)
            await self._propose(heard)
            if heard.text and not in_doubt and self._user_turn.waits(self._revision) and self._user_turn.left_ms >= ROOM_MS:
                again = await self._closer(heard)
                if again is not heard:
                    await self._propose(again)
        finally:
            if self._melody is not None:
                self._melody.cancel()

    async def _closer(self, heard: Transcript) -> Transcript:
        spoken = self._user_turn.clear_ms >= SPOKEN_MS
        again = await self._recognition.closer(self._audio, self._began, heard, spoken)
        if again is not heard and self._user_turn.waits(self._revision):
            self._suggest(again)
        return again

    def _suggest(self, heard: Transcript) -> None:
        """Has a reply prepared to the text, which may be all of the turn."""
        if heard.text:
            said = self._user_turn.whole(heard.text)
            self._listener.interim(said, False, self._turn, self._revision)
            self._listener.prepare(self._turn, self._revision, said, self._spans)

    async def _propose(self, heard: Transcript) -> None:
        """Lets the turn judge whether this is all of it."""
        text, end_of_turn, is_complete_command = heard.text, 0.0, False
        least = PLAIN_NOISE if self._user_turn.clear_ms else UNVOICED_NOISE
        self.noise = heard.no_speech >= least and self._user_turn.clear_ms < SPOKEN_MS
        if text:
            is_complete_command = is_surely_whole(
                self._user_turn.wording, text, heard.sentence_end
            ) or await self._recognition.is_order(text)
            end_of_turn = 1.0 if is_complete_command else await self._listen_to_melody()
        said = Said(text, end_of_turn, heard.sentence_end, heard.ending, is_complete_command, self._listener.asked())
        self._act(self._user_turn.prepared(self._revision, said, self._listener.eagerness()))

    def _listen_to_melody(self) -> "asyncio.Task[float]":
        if self._melody is None:
            self._melody = asyncio.create_task(self._recognition.completeness(self._audio))
        return self._melody
