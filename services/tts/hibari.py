"""Text to speech by hibari (24 kHz, English), one sentence or at most 25 words at a time, with the time of every word.

hibari's own front end turns text into phonemes. Its network, run here, is asked for one more output than hibari itself uses: the
predicted durations, from which each word's times follow.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from languages.base import Language
from services.base import SPEAKING_RATE, Audio, Pcm, Speech, Word
from services.onnx_model import LocalService, onnx_session
from services.tts.cleaning import cleaned
from services.tts.pieces import align, pieces
from services.weights import fetch
from services.workers import Priority, Workers

if TYPE_CHECKING:
    from hibari.g2p import G2P
    from onnxruntime import InferenceSession

SPEAKS = "en"  # the language of the model
VOICE_RATE = 24_000  # Hz
STEP = VOICE_RATE // 40  # samples: the predicted durations count 25 ms (two 12.5 ms frames of the decoder)
LOUD = 0.015  # of full scale: what lies below it before and after the speech is silence
HUSHED = 0.005  # of full scale: what lies below it at an edge of a word is a pause, which the durations count as the word
LEAD, TRAIL = VOICE_RATE * 10 // 1000, VOICE_RATE * 120 // 1000  # samples of silence kept around the speech
JOINT = VOICE_RATE * 40 // 1000  # samples of it kept where the text goes on without a mark
BREATH = VOICE_RATE * 120 // 1000  # samples more at the end of a sentence
FADE = VOICE_RATE * 5 // 1000  # samples: against clicks
GAIN = 1.7  # the raw voice speaks at -25 dBFS RMS; -20 leaves headroom for its peaks
PEAK = 0.95
PAUSES = frozenset(';:,.!?—…"“”() ')  # of the phoneme alphabet: what makes no sound
LONGEST = 400  # phonemes the network takes at once (hibari.tts.MAX_PHONEMES)
SPEEDS = (0.5, 2.0)  # what the network was trained for

# Appended to the serialised network, these bytes make an output of its inner node with the running sum of durations: protobuf
# merges the fields of concatenated messages, so they add ModelProto.graph (7) .output (12) .name (1) of onnx.proto.
_NODE = b"/CumSum_output_0"
_DURATIONS = bytes([7 << 3 | 2, len(_NODE) + 4, 12 << 3 | 2, len(_NODE) + 2, 1 << 3 | 2, len(_NODE)]) + _NODE

_FRACTION_LAST = re.compile(
    r"(?<![\w./])(\d{1,2}/\d{1,2})(?=\.(?:\s|$))"
)  # which the reader takes for part of a number with a dot
Spoken = tuple[str, str]  # a word as it is said, and its phonemes


class _Voice(NamedTuple):
    session: "InferenceSession"
    g2p: "G2P"
    ids: dict[str, int]  # phoneme -> network input
    speakable: Callable[[str], str]  # of the language


class HibariTts(LocalService[_Voice]):
    """hibari on this machine."""

    name = "tts"

    def __init__(self, folder: Path, workers: Workers, language: Language) -> None:
        """`language` tells how a text is read out, and where its sentences end."""
        super().__init__(folder, workers)
        self._language = language

    voices = ()

    async def speak(self, clause: str, *, speed: float = 1.0, voice: str = "") -> AsyncIterator[Speech]:
        """Speech for `clause`: a piece for each sentence or 25 words, with 10 ms of silence before and 120 ms after (240 at the
        end of a sentence, 40 where no mark stands). The `words` of all pieces together are `clause.split()`. `speed` is clamped to
        0.5..2.

        Raises ServiceError."""
        loaded = self._loaded()
        for words in pieces(clause, self._language.sentences):
            speech = await self._run(Priority.SPEECH, _speak, loaded, words, float(np.clip(speed, *SPEEDS)))
            if len(speech.samples):
                yield speech

    def _load(self) -> _Voice:
        from hibari.g2p import ASSETS, G2P

        session = onnx_session(fetch("hibari.onnx", self.folder).read_bytes() + _DURATIONS)
        voice = _Voice(session, G2P(), json.loads((Path(ASSETS) / "vocab.json").read_text("utf-8")), self._language.speakable)
        _speak(voice, ["Hello,", "Parleyish", "friend."], 1.0)  # an unknown word loads the net that reads those
        return voice


def _speak(voice: _Voice, words: Sequence[str], speed: float) -> Speech:
    spoken = _phonemes(voice, voice.speakable(cleaned(" ".join(words))))
    parts, said, at = [np.zeros(0, np.float32)], list[Word](), 0.0
    for run in _runs(spoken):
        audio, spans = _synthesise(voice, run, speed)
        parts.append(audio)
        for (word, _), (start, end) in zip(run, spans, strict=True):
            said.append(Word(word, at + start * 1000 / VOICE_RATE, at + end * 1000 / VOICE_RATE))
        at += len(audio) * 1000 / VOICE_RATE
    return Speech(_finish(np.concatenate(parts)), tuple(align(words, said)))


@cache
def _reader() -> Callable[[str], str]:
    """hibari's own reading of figures. Its pattern of a Roman numeral (0.2.1) fits an empty one, and letters that are names: "Louis
    Vuitton" was "Louis the zerothVuitton", and "Type C" "Type 100"."""
    module: Any = import_module("hibari.g2p.normalize")
    for name, words in (("RE_ROMAN_C", module.ROMAN_CARDINAL), ("RE_ROMAN_O", module.ROMAN_ORDINAL)):
        behind = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
        whole = r"(?=(?:[IVX]|[IVXLC]{2,})\b(?![.'’]\w))"
        setattr(module, name, re.compile(rf"\b({behind}) {whole}{module.ROMAN_NUMERAL}\b"))
    read: Callable[[str], str] = module.normalize
    return read


def read_out(text: str) -> str:
    """`text` with the figures and short forms that `speakable` leaves to hibari in words."""
    return _reader()(_FRACTION_LAST.sub(r"\1 ", text))


def _phonemes(voice: _Voice, text: str) -> list[Spoken]:
    """The words that will be said, each with its phonemes and the punctuation and space that follow."""
    spoken, word, phonemes = [], "", ""
    for token in voice.g2p.phonemize_tokens(voice.g2p.tokenize(read_out(text))):
        word += token.text
        phonemes += "".join(p for p in token.phonemes or "" if p in voice.ids)
        if token.whitespace:
            spoken.append((word, phonemes + " "))
            word = phonemes = ""
    return [*spoken, (word, phonemes)] if word else spoken


def _runs(spoken: Sequence[Spoken]) -> list[list[Spoken]]:
    """`spoken` in runs of at most LONGEST phonemes; a longer single word is cut off there."""
    runs: list[list[Spoken]] = []
    room = 0
    for word, phonemes in spoken:
        if len(phonemes) > room:
            runs.append([])
            room = LONGEST
        runs[-1].append((word, phonemes[:LONGEST]))
        room -= len(phonemes)
    return runs


def _synthesise(voice: _Voice, run: Sequence[Spoken], speed: float) -> tuple[Audio, list[tuple[int, int]]]:
    """Trimmed audio at VOICE_RATE, and the samples at which the sound of each word of `run` begins and ends in it."""
    from hibari import dsp

    phonemes = "".join(p for _, p in run)
    if all(p in PAUSES for p in phonemes):
        return np.zeros(0, np.float32), [(0, 0)] * len(run)
    ids = [0, *(voice.ids[p] for p in phonemes), 0]
    feeds = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
    *spectrum, sums = voice.session.run(None, feeds)
    audio = dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(0))
    until = sums * STEP  # the sample at which each id ends; the first id is silence
    level = np.abs(audio)
    loud, sounding = np.flatnonzero(level > LOUD), np.flatnonzero(level > HUSHED)
    if not len(loud):
        return np.zeros(0, np.float32), [(0, 0)] * len(run)
    start = max(0, int(min(loud[0], until[0])) - LEAD)
    last = phonemes.rstrip()[-1]
    stop = loud[-1] + (JOINT if last not in PAUSES else TRAIL + BREATH if last in ".!?" else TRAIL)
    spans, at = [], 0
    for _, part in run:
        first, end = np.searchsorted(sounding, (until[at], until[at + len(part.rstrip("".join(PAUSES)))]))
        begin, end = np.maximum(sounding[np.clip((first, end - 1), 0, len(sounding) - 1)], start) - start
        spans.append((int(min(begin, end)), int(end)))
        at += len(part)
    return audio[start:stop], spans


def _finish(audio: Audio) -> Pcm:
    """Scaled, faded and resampled to what the listener gets."""
    import soxr

    if not len(audio):
        return np.zeros(0, np.int16)
    audio = audio * min(GAIN, PEAK / max(float(np.abs(audio).max()), 1e-6))
    ramp = np.linspace(0, 1, min(FADE, len(audio)), dtype=np.float32)
    audio[: len(ramp)] *= ramp
    audio[-len(ramp) :] *= ramp[::-1]
    louder = soxr.resample(audio, VOICE_RATE, SPEAKING_RATE)
    return np.asarray(np.clip(louder, -1, 1) * 32767, np.int16)
