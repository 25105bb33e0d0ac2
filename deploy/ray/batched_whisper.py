"""The same Whisper for many at once, by CTranslate2: what others have said is encoded and decoded beside it. For one
`services/stt/whisper.py` is faster; on a graphics processor eight take little longer than one.

What it makes of a recording does not depend on the others but for the length of the window, which is that of the longest.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from languages.base import Language
from services.base import HEARING_RATE, Audio, Transcript
from services.stt import whisper
from services.stt.decoding import Decoded
from services.stt.hallucination import loop_start, said, sounds
from services.stt.speech_judge import WHOLE_TURNS, SpeechModel, impression
from services.stt.whisper import DITHER, FILES, QUICK, TAIL_S, THOROUGH, WINDOW_S, ReadSpeech
from services.weights import fetch_all
from services.workers import CORES


class Asked(NamedTuple):
    """One recording (HEARING_RATE), as `SpeechToText.transcribe` takes it."""

    audio: Audio
    prompt: str = ""
    thorough: bool = False


class BatchedWhisper:
    """Several recordings at once."""

    def __init__(self, folder: Path, language: Language, device: str = "cpu", cores: int = CORES) -> None:
        """`folder` is that of the weights; `device` is "cpu" or "cuda". Raises ServiceUnavailable for weights that cannot be had,
        RuntimeError or ValueError for a device that is not there. Blocks."""
        from ctranslate2.models import Whisper

        model = fetch_all(folder, FILES)["whisper-base/model.bin"].parent
        self._tokenizer, self._rows, self._tokens = whisper.spelling(model, language)
        self._language = language.code
        self._own = {old: new for new, old in enumerate(self._rows)}
        precision = "int8" if device == "cpu" else "float16"
        self._model: Any = Whisper(str(model), device=device, compute_type=precision, inter_threads=1, intra_threads=cores)
        size = len((model / "vocabulary.txt").read_text("utf-8").split("\n")) - 1
        self._never = sorted(set(range(size)) - set(self._rows) | {self._rows[token] for token in self._tokens.never})
        self._judge = SpeechModel.read(WHOLE_TURNS)
        self._dither = whisper.white_noise() * DITHER

    def transcribe(self, asked: Sequence[Asked]) -> list[Transcript]:
        """What was said in each. Blocks."""
        cut = [whisper.split_at_quiet(one.audio) for one in asked]
        window_s = WINDOW_S if any(one.thorough for one in asked) else QUICK.window_s
        parts = [part for one in cut for part in one]
        prompts = [one.prompt for one, pieces in zip(asked, cut, strict=True) for _ in pieces]
        readings = iter(self._read(parts, prompts, window_s))
        looks = [THOROUGH if one.thorough else QUICK for one in asked]
        return [
            whisper.believed(self._judge, look, [next(readings) for _ in pieces])
            for look, pieces in zip(looks, cut, strict=True)
        ]

    def _read(self, parts: Sequence[Audio], prompts: Sequence[str], window_s: float) -> list[ReadSpeech]:
        """At most WINDOW_S of each. Where words are expected, it is written with and without them."""
        from ctranslate2 import StorageView

        longest_s = max(len(part) for part in parts) / HEARING_RATE
        window_s = min(max(longest_s + TAIL_S, window_s), WINDOW_S)
        mel = np.stack([whisper.shown(part, window_s, self._dither) for part in parts])
        heard = np.asarray(self._model.encode(StorageView.from_array(np.ascontiguousarray(mel)), to_cpu=True), np.float32)
        told = [at for at, prompt in enumerate(prompts) if prompt.strip()]
        which = [*range(len(parts)), *told]
        words = ["" for _ in parts] + [prompts[at] for at in told]
        found = self._write(heard[which], words, longest_s)
        readings = [
            self._reading(one, parts[at], impression(heard[at : at + 1], len(parts[at])), longest_s)
            for one, at in zip(found, which, strict=True)
        ]
        plain = readings[: len(parts)]
        for at, reading in zip(told, readings[len(parts) :], strict=True):
            plain[at] = whisper.better(plain[at], reading, prompts[at])
        return plain

    def _write(self, heard: NDArray[np.float32], words: Sequence[str], longest_s: float) -> list[Any]:
        """What is read in each of `heard` where `words` are expected. Prompts of one length go together, as CTranslate2 wants it:
        nearly all, for the expected words are those of the knowledge."""
        from ctranslate2 import StorageView

        prompts = [
            [self._rows[token] for token in whisper.prompt_of(self._tokenizer, self._tokens, self._language, said)]
            for said in words
        ]
        written: dict[int, Any] = {}
        for length in {len(prompt) for prompt in prompts}:
            alike = [at for at, prompt in enumerate(prompts) if len(prompt) == length]
            found = self._model.generate(
                StorageView.from_array(np.ascontiguousarray(heard[alike])),
                [prompts[at] for at in alike],
                beam_size=1,
                max_length=_most(longest_s) + length,
                return_scores=True,
                return_no_speech_prob=True,
                return_logits_vocab=True,
                suppress_tokens=self._never,
            )
            written |= zip(alike, found, strict=True)
        return [written[at] for at in range(len(prompts))]

    def _reading(self, found: Any, audio: Audio, seen: NDArray[np.float32], longest_s: float) -> ReadSpeech:
        """`found` as our own decoder would have told it."""
        seconds, first, decode = len(audio) / HEARING_RATE, self._tokens.first_timestamp, self._tokenizer.decode
        ids = [self._own[token] for token in found.sequences_ids[0]]
        unfinished = len(ids) >= _most(longest_s)
        sure = found.scores[0]
        decoded = Decoded(ids, unfinished, sure, found.no_speech_prob, self._closed(ids, found.logits[0]))
        looped = loop_start(sounds([token for token in ids if token < first], decode), unfinished) is not None
        return ReadSpeech(said(ids, first, decode, seconds, unfinished), decoded, looped, seen)

    def _closed(self, ids: Sequence[int], rows: Sequence[Any]) -> float:
        """The probability that a mark that ends a sentence stands where the text ends, or right after it."""
        last = max((at for at, token in enumerate(ids) if self._tokens.says(token)), default=-1)
        marks = [self._rows[token] for token in self._tokens.marks]
        sentence_end = 0.0
        for row in rows[last : last + 2] if last >= 0 else ():
            scores = np.asarray(row, np.float32)
            sentence_end = max(
                sentence_end, float(np.exp(scores[marks] - scores.max()).sum() / np.exp(scores - scores.max()).sum())
            )
        return sentence_end


def _most(seconds: float) -> int:
    """Tokens that fast speech of so many seconds needs at most."""
    return int(16 + 10 * seconds)
