"""Speech to text by Whisper base (int8, CTranslate2) with a truncated encoder.

Stock Whisper pads every utterance to 30 s. Here the encoder sees the utterance and a second more, 8 s at least, which is three to
five times faster for about a point of word error rate. Timestamps stay on: without them short windows loop.
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from services.base import HEARING_RATE, Audio, ServiceError, Transcript
from services.local import LocalService, require_sound
from services.stt.english import BEGIN, CLOSINGS, english
from services.stt.guards import TICK_S, loop_start, trusted_text
from services.weights import fetch_all
from services.workers import CORES, Priority

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from ctranslate2.models import Whisper as Runtime
    from ctranslate2.models import WhisperGenerationResult
    from faster_whisper.feature_extractor import FeatureExtractor
    from tokenizers import Tokenizer

FILES = tuple(f"whisper-base/{file}" for file in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin"))
WINDOW_S = 30  # of the encoder at full length
LEAST_WINDOW_S = 8  # 5 takes 45 ms less for a short utterance and mishears a third more words
LEAST_PARTIAL_S = 5  # a caption may be wrong for a moment
TAIL_S = 1  # silence after the speech, so that the last word is heard to its end
LONGEST_S = 60
SILENCE = 10 ** (-60 / 20)  # peak below which nothing was said (-60 dBFS)
HISS = 10 ** (-34 / 20)  # noise added, relative to the audio (RMS): of -46 to -26 dB the best for clean speech
PROMPT_TOKENS = 40  # a dozen names; 128 cost 40 ms more and a point of word error rate in speech about other things
PROMPT_S = 4  # that the expected words seem to have taken


class Whisper(NamedTuple):
    encoder: "Runtime"  # on all cores: nothing else has to be done while it runs
    model: "Runtime"  # one thread a job, for decoding waits for memory
    tokenizer: "Tokenizer"
    features: "FeatureExtractor"
    first_timestamp: int  # token id of 0.00 s; the others follow
    closings: dict[int, int]  # token id of each of CLOSINGS, and the one it has as the end of a known beginning
    hiss: Audio  # WINDOW_S of white noise at the level HISS


class WhisperStt(LocalService[Whisper]):
    name = "stt"

    async def transcribe(self, audio: Audio, *, final: bool, prompt: str = "", begun: str = "") -> Transcript:
        """English text of `audio` (HEARING_RATE). Silence and noise give an empty text.

        Raises ServiceError for NaN, many-channelled or too long (LONGEST_S) audio, ServiceUnavailable for a partial while other
        work is going on.
        """
        require_sound(self.name, audio)
        if len(audio) > LONGEST_S * HEARING_RATE:
            raise ServiceError(self.name, f"{len(audio) / HEARING_RATE:.0f} s of audio at once, at most {LONGEST_S} s")
        if not len(audio) or np.abs(audio).max() < SILENCE:
            return Transcript("", 1.0)
        priority = Priority.FINAL if final else Priority.PARTIAL
        least = LEAST_WINDOW_S if final else LEAST_PARTIAL_S
        return await self._run(priority, _transcribe, self._loaded(), audio, prompt, least, begun)

    def model(self) -> Whisper:
        """What others may listen with. Raises ServiceUnavailable before `warm`."""
        return self._loaded()

    def _load(self) -> Whisper:
        from ctranslate2.models import Whisper as Runtime
        from faster_whisper.feature_extractor import FeatureExtractor

        whole = fetch_all(self._folder, FILES)["whisper-base/model.bin"].parent
        # Threads that wait for the next job would otherwise spin for 0.2 s.
        os.environ.setdefault("KMP_BLOCKTIME", "0")
        # Not handed over in memory, for each runtime would keep the files there.
        with tempfile.TemporaryDirectory(prefix="parley-whisper-") as cut:
            tokenizer = english(whole, Path(cut))
            encoder = Runtime(cut, device="cpu", compute_type="int8", intra_threads=CORES, inter_threads=1)
            decoder = Runtime(cut, device="cpu", compute_type="int8", intra_threads=1, inter_threads=CORES)
        model = Whisper(
            encoder,
            decoder,
            tokenizer,
            FeatureExtractor(),
            _control(tokenizer, "notimestamps") + 1,
            {_id(tokenizer, token): at for at, token in enumerate(CLOSINGS)},
            np.random.default_rng(0).normal(0, HISS, WINDOW_S * HEARING_RATE).astype(np.float32),
        )
        _decode(model, np.zeros(HEARING_RATE, np.float32), "", LEAST_WINDOW_S)
        return model


def _transcribe(model: Whisper, audio: Audio, prompt: str, least_s: float, begun: str) -> Transcript:
    cut = split_at_quiet(audio)
    parts = [_decode(model, part, prompt, least_s, begun if len(cut) == 1 else "") for part in cut]
    return Transcript(" ".join(part.text for part in parts if part.text), max(part.no_speech for part in parts))


def split_at_quiet(audio: Audio, longest: int = (WINDOW_S - TAIL_S) * HEARING_RATE) -> list[Audio]:
    """`audio` in parts of at most `longest` samples, cut at the quietest 100 ms of the last third."""
    parts, step = [], HEARING_RATE // 10
    while len(audio) > longest:
        loudness = [float(np.square(audio[at : at + step]).sum()) for at in range(longest * 2 // 3, longest - step, step)]
        cut = longest * 2 // 3 + int(np.argmin(loudness)) * step + step // 2
        parts.append(audio[:cut])
        audio = audio[cut:]
    return [*parts, audio]


def encode(model: Whisper, audio: Audio, window_s: float) -> "StorageView":
    """The encoder's view of `audio` in a window of so many seconds, shape (1, 50 a second, 512)."""
    from ctranslate2 import StorageView

    window = np.zeros(int(window_s * 100) * 160, np.float32)
    window[: len(audio)] = audio
    # Digital silence before the speech raised the word error rate of spoken orders from 6 to 10 %: a hiss covers it.
    window += model.hiss[: len(window)] * np.sqrt(np.square(audio).mean())
    mel = np.ascontiguousarray(model.features(window, padding=0)[None], np.float32)
    return model.encoder.encode(StorageView.from_array(mel))


def first_words(model: Whisper, heard: "StorageView", most: int) -> str:
    """The first `most` tokens of what the encoder saw, as they come: too short a sound for the guards of a transcript."""
    ids = _generate(model, heard, _prompt(model, ""), most).sequences_ids[0]
    return str(model.tokenizer.decode([token for token in ids if token < model.first_timestamp])).strip()


def _decode(model: Whisper, audio: Audio, prompt: str, least_s: float, begun: str = "") -> Transcript:
    seconds = len(audio) / HEARING_RATE
    heard = encode(model, audio, min(max(seconds + TAIL_S, least_s), WINDOW_S))
    transcript = _read(model, heard, _prompt(model, prompt), _known(model, begun), seconds)
    # Words to expect make Whisper doubt what has nothing to do with them, so far that clear speech is taken for noise.
    doubtful = not transcript.text and (prompt.strip() or begun)
    return _read(model, heard, _prompt(model, ""), [], seconds) if doubtful else transcript


def _known(model: Whisper, begun: str) -> list[int]:
    """The tokens of `begun` up to the last of CLOSINGS. On 64 clips, with what two captions 1 s apart agree on, decoding takes 8
    steps in place of 17 and the word error rate stays (4.9 %, 5.0 without); with a caption but for its last two words 5.8 %."""
    tokens: list[int] = model.tokenizer.encode(f" {begun.strip()}", add_special_tokens=False).ids
    while tokens and tokens[-1] not in model.closings:
        tokens.pop()
    return tokens


def _read(model: Whisper, heard: "StorageView", prompt: list[int], known: list[int], seconds: float) -> Transcript:
    start = [*prompt, model.first_timestamp + BEGIN, *known[:-1], model.closings[known[-1]]] if known else prompt
    # A looping decoder goes on until it is stopped, so the first limit is tight: 8 tokens and 5 a second hold all but the fastest
    # speech (270 clips needed at most 4.2 a second). Only what is then cut off and does not loop is decoded again.
    for most in (int(8 + 5 * seconds), int(16 + 10 * seconds)):
        result = _generate(model, heard, start, most)
        ids = result.sequences_ids[0]
        unfinished = len(ids) >= most
        if known:  # the last of them comes back with what is new
            ids = [model.first_timestamp, *known, *ids[1:]]
        if not unfinished or loop_start([token for token in ids if token < model.first_timestamp], True) is not None:
            break
    no_speech, sure = result.no_speech_prob, result.scores[0]
    text = trusted_text(ids, model.first_timestamp, model.tokenizer.decode, seconds, no_speech, sure, unfinished)
    return Transcript(text, no_speech)


def _generate(model: Whisper, heard: "StorageView", start: list[int], most: int) -> "WhisperGenerationResult":
    """Greedy decoding of at most `most` tokens: CTranslate2 allows min(max_length / 2, max_length - prompt) of them
    (src/models/whisper.cc)."""
    length = max(2 * most, most + len(start))
    options = {"beam_size": 1, "return_scores": True, "return_no_speech_prob": True}
    return model.model.generate(heard, [start], max_length=length, **options)[0]


def _prompt(model: Whisper, words: str) -> list[int]:
    """Whisper's control tokens for English, after the words it may expect. Those stand between timestamps, as what was said before
    does in its training: without them it says everything twice and finds the words in noise. A word cut in two there, or a last one
    without its comma, is taken up in the text."""
    start = [_control(model.tokenizer, name) for name in ("startoftranscript", "en", "transcribe")]
    expected: list[int] = []
    for word in filter(str.strip, words.split(",")):
        spelled = model.tokenizer.encode(f" {word.strip()},", add_special_tokens=False).ids
        if len(expected) + len(spelled) > PROMPT_TOKENS:
            break
        expected += spelled
    if not expected:
        return start
    zero = model.first_timestamp
    return [_control(model.tokenizer, "startofprev"), zero, *expected, zero + round(PROMPT_S / TICK_S), *start]


def _control(tokenizer: "Tokenizer", name: str) -> int:
    return _id(tokenizer, f"<|{name}|>")


def _id(tokenizer: "Tokenizer", token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ServiceError("stt", f"the tokenizer has no token {token}")
    return found
