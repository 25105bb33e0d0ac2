"""Speech to text by Whisper base with a truncated encoder.

Stock Whisper pads every utterance to 30 s. Here the encoder sees the utterance and a second more, 8 s at least, which is three to
five times faster for about a point of word error rate. Timestamps stay on: without them short windows loop. A closer look takes the
30 s, and beam search, and is as good as stock Whisper.
"""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from languages.base import Language
from services.base import HEARING_RATE, Audio, ServiceError, Transcript
from services.mel import log_mel
from services.onnx_model import LocalService, require_sound
from services.stt.beam import search
from services.stt.decoding import Decoded, Tokens, decode
from services.stt.hallucination import NOISE, PLAIN_NOISE, TICK_S, is_doubtful, is_invented, loop_start, said, sounds
from services.stt.network import Cache, Decoder, Network, encode, network
from services.stt.speech_judge import ENDINGS, WHOLE_TURNS, SpeechModel, impression, last_sound
from services.stt.vocabulary_subset import kept
from services.weights import fetch_all
from services.workers import Priority, Workers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILES = tuple(f"whisper-base/{file}" for file in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin"))
WINDOW_S = 30  # of the encoder at full length
TAIL_S = 1  # silence after the speech, so that the last word is heard to its end
# Of that silence the encoder needs to know little more than that it is there. On 64 clips, each cut three ways, 5.0 % of the words
# are wrong with all of it looked at, 4.8 as here, 5.0 with 0.5 s and one place in four; in a 5 s window 5.3.
NEAR_S = 0.7
LONGEST_S = 60
MARKS = (".", "?", "!")  # that end a sentence
SILENCE = 10 ** (-60 / 20)  # peak below which nothing was said (-60 dBFS)
# Noise added, relative to the audio (RMS): it covers digital silence. Louder noise also covers the beginnings of words: with -34 dB
# 70 turns have 4.4 % of the characters of telephone numbers wrong, without noise none; of orders 5.3 and 4.4.
DITHER = 10 ** (-60 / 20)
PROMPT_TOKENS = 40  # a dozen names; 128 cost 40 ms more and a point of word error rate in speech about other things
PROMPT_S = 4  # that the expected words seem to have taken


class Look(NamedTuple):
    """How closely a recording is looked at."""

    window_s: float  # of the encoder, at least
    sparse: int  # of the places in the silence behind the speech one in so many is looked at
    noise: float  # probability of speech below which nothing was said
    closely: bool = False  # a place that is looked at counts for those that are not, and several texts are followed at once


CAPTION = Look(5, 4, NOISE)  # it may be wrong for a moment
QUICK = Look(8, 4, NOISE)  # 5 s take 45 ms less for a short utterance, and a third more words are misheard
# As the model was trained, and as its authors decode. Without the counts what the encoder makes of speech is 14 to 20 % away (root
# mean square) from what it makes of it with all of the silence, with them 6 to 7 %, which is as much as the whole numbers cost.
THOROUGH = Look(WINDOW_S, 4, PLAIN_NOISE, closely=True)


class Whisper(NamedTuple):
    """The model, its tokenizer and its vocabulary."""

    network: Network
    tokenizer: "Tokenizer"
    language: str  # code
    tokens: Tokens
    judge: SpeechModel  # of speech
    endings: SpeechModel | None  # None for a language without its weights
    dither: Audio  # WINDOW_S of white noise


class ReadSpeech(NamedTuple):
    """What is made of a stretch of sound. `text` has what can have been said, whether it is believed or not."""

    text: str
    decoded: Decoded
    looped: bool
    seen: NDArray[np.float32]  # the impression that it makes on the judge
    ending: float | None = None  # that it ends for good there, by its last sound (0..1)


class WhisperStt(LocalService[Whisper]):
    """Whisper base on this machine."""

    name = "stt"

    def __init__(self, folder: Path, workers: Workers, language: Language) -> None:
        super().__init__(folder, workers)
        self._language = language

    async def transcribe(
        self, audio: Audio, *, final: bool, prompt: str = "", draft: str = "", thorough: bool = False
    ) -> Transcript:
        """Text of `audio` (HEARING_RATE). Silence and noise give an empty text. Cancelling stops the work at once: it would
        take time from what is asked next.

        Raises ServiceError for NaN, many-channelled or too long (LONGEST_S) audio, ServiceUnavailable for a partial while other
        work is going on.
        """
        require_sound(self.name, audio)
        if len(audio) > LONGEST_S * HEARING_RATE:
            raise ServiceError(self.name, f"{len(audio) / HEARING_RATE:.0f} s of audio at once, at most {LONGEST_S} s")
        if not len(audio) or np.abs(audio).max() < SILENCE:
            return Transcript("", 1.0)
        priority, look = (Priority.FINAL, QUICK) if final else (Priority.PARTIAL, CAPTION)
        if thorough:
            priority, look = Priority.CLOSER, THOROUGH
        model = self._loaded()
        network, stop = model.network.stoppable()
        try:
            return await self._run(priority, _transcribe, model._replace(network=network), audio, prompt, look, draft)
        except asyncio.CancelledError:
            stop.terminate = True
            raise

    async def speech(self, audio: Audio) -> float:
        """The probability (0..1) that somebody speaks in `audio` (HEARING_RATE): for recognisers that cannot tell. Raises
        ServiceError."""
        require_sound(self.name, audio)
        return await self._run(Priority.FINAL, _speech, self._loaded(), audio)

    def model(self) -> Whisper:
        """What others may listen with. Raises ServiceUnavailable before `warm`."""
        return self._loaded()

    def _load(self) -> Whisper:
        model = fetch_all(self.folder, FILES)["whisper-base/model.bin"]
        tokenizer, rows, tokens = spelling(model.parent, self._language)
        nets = network(model, rows, self._language.tokens, self._workers.cores, self.folder / "computed")
        endings = SpeechModel.read(path) if (path := self._language.folder / ENDINGS).exists() else None
        whisper = Whisper(nets, tokenizer, self._language.code, tokens, SpeechModel.read(WHOLE_TURNS), endings, white_noise())
        read(whisper, np.zeros(HEARING_RATE, np.float32), QUICK)
        return whisper


def spelling(folder: Path, language: Language) -> tuple["Tokenizer", list[int], Tokens]:
    """How the model in `folder` writes a language: its tokenizer, the number that each token has in the published model, and those
    tokens that mean something else than text."""
    tokenizer, rows, never, never_first = kept(folder, language.tokens)
    first, end, silence = (control(tokenizer, name) for name in ("notimestamps", "endoftext", "nocaptions"))
    marks = [tokenizer.encode(mark, add_special_tokens=False).ids[0] for mark in MARKS]
    return tokenizer, rows, Tokens(first + 1, end, silence, marks, never, never_first)


def white_noise() -> Audio:
    """WINDOW_S of it, always the same."""
    return np.random.default_rng(0).normal(0, 1, WINDOW_S * HEARING_RATE).astype(np.float32)


def _transcribe(model: Whisper, audio: Audio, prompt: str, look: Look, draft: str) -> Transcript:
    cut = split_at_quiet(audio)
    return believed(model.judge, look, [read(model, part, look, prompt, draft if len(cut) == 1 else "") for part in cut])


def _speech(model: Whisper, audio: Audio) -> float:
    parts = split_at_quiet(audio)
    heard = [listen(model, part, min(max(len(part) / HEARING_RATE + TAIL_S, QUICK.window_s), WINDOW_S)) for part in parts]
    return max(model.judge.probability(impression(one["heard"], len(part))) for one, part in zip(heard, parts, strict=True))


def believed(judge: SpeechModel, look: Look, parts: Sequence[ReadSpeech]) -> Transcript:
    """What of the readings of a turn was said by somebody."""
    speech = [judge.probability(part.seen) for part in parts]
    real = [
        part
        for at, part in zip(speech, parts, strict=True)
        if part.text and not is_invented(at, look.noise, part.decoded.no_speech, part.looped)
    ]
    text = " ".join(part.text for part in real)
    sentence_end, ending = (real[-1].decoded.sentence_end, real[-1].ending) if real else (0.0, None)
    doubtful = any(is_doubtful(part.decoded.sure, part.looped) for part in real)
    written = " ".join(part.text for part in parts if part.text)
    return Transcript(text, 1 - max(speech), sentence_end, doubtful, ending, "" if written == text else written)


def split_at_quiet(audio: Audio, longest: int = (WINDOW_S - TAIL_S) * HEARING_RATE) -> list[Audio]:
    """`audio` in parts of at most `longest` samples, cut at the quietest 100 ms of the last third."""
    parts, step = [], HEARING_RATE // 10
    while len(audio) > longest:
        loudness = [float(np.square(audio[at : at + step]).sum()) for at in range(longest * 2 // 3, longest - step, step)]
        cut = longest * 2 // 3 + int(np.argmin(loudness)) * step + step // 2
        parts.append(audio[:cut])
        audio = audio[cut:]
    return [*parts, audio]


def listen(
    model: Whisper, audio: Audio, window_s: float, sparse: int = QUICK.sparse, dither: float = DITHER, closely: bool = False
) -> Cache:
    """The encoder's view of `audio` in a window of so many seconds: "heard", shape (1, places, 512), and what the decoder takes
    from it. `sparse`: see `Look`. `dither` is the level of what is added, relative to the audio."""
    places = _looked_at(len(audio) / HEARING_RATE, window_s, sparse)
    stands_for = np.diff(places, prepend=-1).astype(np.float32) if closely else None
    return encode(model.network, shown(audio, window_s, model.dither * dither), places, stands_for)


def shown(audio: Audio, window_s: float, dither: Audio) -> NDArray[np.float32]:
    """What the encoder is shown of `audio` in a window of so many seconds, shape (80, frames), with `dither` at its level."""
    window = np.zeros(int(window_s * 100) * 160, np.float32)
    window[: len(audio)] = audio
    window += dither[: len(window)] * np.sqrt(np.square(audio).mean())
    return log_mel(window)


def _looked_at(seconds: float, window_s: float, sparse: int) -> NDArray[np.int64]:
    """The places of the encoder (20 ms each) that are worth their work: all up to NEAR_S after the audio, and one in `sparse` of
    the silence behind."""
    places = np.arange(int(window_s * 50), dtype=np.int64)
    behind = places - int((seconds + NEAR_S) * 50)
    return np.asarray(places[(behind < 0) | (behind % sparse == sparse - 1)])


def first_words(model: Whisper, heard: Cache, most: int) -> str:
    """The first `most` tokens of what the encoder saw, as they come: too short a sound for the guards of a transcript."""
    ids = _read(model, heard, prompt_of(model.tokenizer, model.tokens, model.language, ""), [], most).ids
    return str(model.tokenizer.decode([token for token in ids if token < model.tokens.first_timestamp])).strip()


def read(model: Whisper, audio: Audio, look: Look, prompt: str = "", draft: str = "") -> ReadSpeech:
    """At most WINDOW_S of `audio`."""
    seconds = len(audio) / HEARING_RATE
    heard = listen(model, audio, min(max(seconds + TAIL_S, look.window_s), WINDOW_S), look.sparse, closely=look.closely)
    seen = impression(heard["heard"], len(audio))
    drafted = model.tokenizer.encode(f" {draft}", add_special_tokens=False).ids if draft else []
    ending = None if model.endings is None else model.endings.probability(last_sound(heard["heard"], len(audio)))
    start = prompt_of(model.tokenizer, model.tokens, model.language, "")
    plain = _write(model, heard, start, None if look.closely else drafted, seconds, seen)._replace(ending=ending)
    if not prompt.strip():
        return plain
    # It costs little, for most of it is the same.
    words = [token for token in plain.decoded.ids if token < model.tokens.first_timestamp]
    told = _write(model, heard, prompt_of(model.tokenizer, model.tokens, model.language, prompt), words, seconds, seen)
    return better(plain, told._replace(ending=ending), prompt)


def better(plain: ReadSpeech, told: ReadSpeech, prompt: str) -> ReadSpeech:
    """Words to expect also teach their own marks and loops: "eight" becomes "A, A, A,", of which Whisper is surer. So what was
    `told` them counts where it has one of them that would be missed otherwise."""
    found = (_words(told.text) - _words(plain.text)) & _words(prompt)
    return max(plain, told, key=lambda one: (bool(one.text), one.decoded.sure)) if found or not plain.text else plain


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _write(
    model: Whisper, heard: Cache, prompt: list[int], draft: list[int] | None, seconds: float, seen: NDArray[np.float32]
) -> ReadSpeech:
    """The decoding by beam search where there is no `draft`, not even an empty one."""
    first = model.tokens.first_timestamp
    # A looping decoder goes on until it is stopped, so the first limit is tight: 8 tokens and 5 a second hold all but the fastest
    # speech (270 clips needed at most 4.2 a second). Only what is then cut off and does not loop is decoded again.
    for most in (int(8 + 5 * seconds), int(16 + 10 * seconds)):
        decoded = _read(model, heard, prompt, draft, most)
        words = [token for token in decoded.ids if token < first]
        looped = loop_start(sounds(words, model.tokenizer.decode), decoded.unfinished) is not None
        if not decoded.unfinished or looped:
            break
        draft = None if draft is None else words
    text = said(decoded.ids, first, model.tokenizer.decode, seconds, decoded.unfinished)
    return ReadSpeech(text, decoded, looped, seen)


def _read(model: Whisper, heard: Cache, prompt: list[int], draft: list[int] | None, most: int) -> Decoded:
    start = prompt.index(control(model.tokenizer, "startoftranscript"))
    decoder = Decoder(model.network, heard)
    if draft is None:
        return search(decoder, model.tokens, prompt, start, most)
    return decode(decoder, model.tokens, prompt, start, draft, most)


def prompt_of(tokenizer: "Tokenizer", tokens: Tokens, language: str, words: str) -> list[int]:
    """Whisper's control tokens for the language, after the words it may expect. Those stand between timestamps, as what was said
    before does in its training: without them it says everything twice and finds the words in noise. A word cut in two there, or a
    last one without its comma, is taken up in the text."""
    start = [control(tokenizer, name) for name in ("startoftranscript", language, "transcribe")]
    expected: list[int] = []
    for word in filter(str.strip, words.split(",")):
        spelled = tokenizer.encode(f" {word.strip()},", add_special_tokens=False).ids
        if len(expected) + len(spelled) > PROMPT_TOKENS:
            break
        expected += spelled
    if not expected:
        return start
    zero = tokens.first_timestamp
    return [control(tokenizer, "startofprev"), zero, *expected, zero + round(PROMPT_S / TICK_S), *start]


def control(tokenizer: "Tokenizer", name: str) -> int:
    """The number of a control token."""
    found = tokenizer.token_to_id(f"<|{name}|>")
    if found is None:
        raise ServiceError("stt", f"the tokenizer has no token <|{name}|>")
    return found
