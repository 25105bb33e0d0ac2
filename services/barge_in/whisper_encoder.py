"""Speech, or a cough? A first impression of a sound over the agent, from the encoder of Whisper that is loaded for speech to text.

A logistic regression on the mean of the encoder's frames tells words from noise after 200-300 ms: of recordings it was not made
from, 3 % of the noises were taken for speech and 4 % of the beginnings of sentences for noise (`python -m tests.bench judge` makes
the weights and prints these figures). Whether the words are an acknowledgement is for who asks to decide.
"""

from pathlib import Path

from services.base import HEARING_RATE, Audio, EarlyClass, ServiceError, ServiceUnavailable
from services.onnx_model import require_sound
from services.stt.speech_judge import SpeechModel, impression
from services.stt.whisper import Whisper, WhisperStt, first_words, listen
from services.workers import Priority, Workers

WEIGHTS = Path(__file__).parent / "weights.json"
WINDOW_S = 2.0  # of the encoder: 30 ms of work
LONGEST_S = 0.8  # of the audio: the weights know beginnings only
NOISE = 0.35  # probability of speech below which nobody asks for words
DITHER = 10 ** (-34 / 20)  # that the weights were made with
TOKENS = 4  # of the first words: 4 ms each


class WhisperJudge:
    """On the encoder that speech to text has loaded."""

    name = "barge_in"

    def __init__(self, stt: WhisperStt, workers: Workers) -> None:
        self._stt = stt
        self._workers = workers
        self._judge: SpeechModel | None = None

    async def warm(self) -> None:
        """Loads it. Raises ServiceError."""
        await self._stt.warm()
        self._judge = SpeechModel.read(WEIGHTS)

    async def close(self) -> None:
        """Frees it."""

    async def classify(self, audio: Audio) -> EarlyClass:
        """The first LONGEST_S of `audio` (HEARING_RATE) judged. Raises ServiceError for empty, NaN or many-channelled audio."""
        require_sound(self.name, audio)
        if not len(audio):
            raise ServiceError(self.name, "no audio")
        if self._judge is None:
            raise ServiceUnavailable(self.name, "not loaded: call warm() first")
        beginning = audio[: int(LONGEST_S * HEARING_RATE)]
        return await self._workers.run(Priority.TURN, _first_impression, self._stt.model(), self._judge, beginning)

    async def words(self, audio: Audio) -> str:
        """The transcript of a burst. Raises ServiceError as the recogniser does."""
        return (await self._stt.transcribe(audio, final=True)).text


def _first_impression(model: Whisper, judge: SpeechModel, audio: Audio) -> EarlyClass:
    heard = listen(model, audio, WINDOW_S, dither=DITHER)
    speech = judge.probability(impression(heard["heard"], len(audio)))
    return EarlyClass(speech, first_words(model, heard, TOKENS) if speech >= NOISE else "")
