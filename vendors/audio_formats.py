"""Sound in whatever form a voice service sends it, told by its first bytes and not by its name: raw PCM and WAV are played as they
come, compressed sound is decoded when all of it is there, and what is none of these is refused rather than played as noise."""

import io
import re
import struct
from typing import NamedTuple

import numpy as np

from services.base import SPEAKING_RATE, Audio, ServiceError
from vendors.byte_samples import alike, kind_of
from vendors.http.body import excuse

HEAD = 8192  # bytes within which the samples of a WAV file begin
LONGEST_S = 180  # of one clause, unpacked
LOUD = 0.3  # RMS of full scale: coded data read as samples has 0.5 to 0.6, speech stays under 0.2
ALIKE = 0.25  # correlation of neighbouring samples, above which they are samples: 0 for coded data, over 0.5 for voiced speech
BEGUN = 960  # bytes of raw PCM that are looked at in one go
LEAST = 16  # samples that tell anything
QUIET = 0.005  # RMS of full scale, below which it is not known what they are: coded data may begin with silence
PLAIN = 0.006  # of full scale, what half of the samples exceed where their lower bytes are a chance beside the higher ones
LOOKS = 10  # of BEGUN bytes each, that are not quiet: who speaks has a vowel by then
UNKNOWN_SIZES = (0, 0x7FFFFFFF)  # of a WAV file's data: not known when its head was written, and all sizes above the second

_CODED = re.compile(r"mu-?law|a-?law|audio/basic|pcm[ua]\b|\bamr|\bg72|gsm|speex|float|f32")  # raw, and no whole numbers
_MAGIC = {
    b"OggS": "ogg", b"fLaC": "flac", b"ID3": "mp3", b"\x1aE\xdf\xa3": "matroska", b"FORM": "aiff", b".snd": "au", b"caff": "caf",
    b"RIFX": "wav", b"RF64": "wav", b"riff\x2e\x91\xcf\x11": "w64",
}  # fmt: skip
# The head of a file behind what does not belong to it (a line end, a rest of the protocol): each is too long for a chance.
_FILE = re.compile(rb"[\r\n]{0,4}RIFF.{4}WAVE", re.DOTALL)
_FIRST = re.compile(rb"[R\r\n]")
_INSIDE = re.compile(
    rb"(?:RIFF|RIFX|RF64).{4}WAVE|OggS\x00[\x00-\x07]|fLaC[\x00\x80]\x00\x00\x22|ID3[\x02-\x04]\x00[\x00\x10\x20\x40\x80]|FORM.{4}AIF[FC]"
    rb"|\x1aE\xdf\xa3.{1,60}(?:webm|matroska)|caff\x00\x01|riff\x2e\x91\xcf\x11|.{4}ftyp[A-Za-z0-9 ]{4}",
    re.DOTALL,
)
_BLANK = b"\0\t\n\r \xef\xbb\xbf"  # the last three: a mark of UTF-8
_PARTIAL = 15  # bytes that may be the beginning of a WAV file's head
# The head of a chunk behind the data, whatever it is for: a name, and a size below 16 MB.
_CHUNK = re.compile(rb"\0?[A-Za-z0-9_][A-Za-z0-9_ ]{3}[\0-\xff]{3}\0")
_KINDS = {(1, 8): "u1", (1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}  # by the WAV format's tag and bits
_EXTENSIBLE = 0xFFFE
# Kilobits per second of MPEG layer III, by version 1 and the later ones; Hz of version 1 (ISO 11172-3, 13818-3).
_BITRATES = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44_100, 48_000, 32_000)
WRITTEN = 16  # bytes, all of which are letters, digits or marks: that is no chance
_CONTROL = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Shape(NamedTuple):
    """Samples as they lie in memory: `kind` is numpy's name of one, the channels alternate."""

    rate: int  # Hz
    channels: int = 1
    kind: str = "<i2"

    @property
    def frame(self) -> int:
        """Bytes of one moment."""
        return np.dtype(self.kind).itemsize * self.channels

    def audio(self, data: bytes) -> Audio:
        """Mono, -1..1. `data` holds whole frames."""
        samples = np.frombuffer(data, self.kind)
        if samples.dtype.kind == "f":
            found = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
        else:
            full = float(1 << (8 * samples.itemsize - 1))
            found = ((samples.astype(np.float64) - (full if self.kind == "u1" else 0)) / full).astype(np.float32)
        return np.asarray(found.reshape(-1, self.channels).mean(1) if self.channels > 1 else found, np.float32)


class Track:
    """What comes from a service, as samples. `raw` is their shape where nothing tells another, `named` the kind of content that the
    service says it sends."""

    def __init__(self, raw: Shape, named: str) -> None:
        self._raw = raw
        self._named = named
        self._head = b""
        self._left: int | None = None  # bytes of the data chunk that are still to come; None: all that comes
        self._over = False
        self._looks = 0  # that are still to be taken at raw PCM
        self.shape: Shape | None = None
        self.packed = ""  # FFmpeg's name of a form that must be there as a whole to be decoded
        self._rest = b""
        self._later: list[bytes] = []  # of a packed form, what came after `_rest`

    def feed(self, data: bytes, last: bool = False) -> Audio:
        """The samples that `data` adds. Raises ServiceError for what is no sound."""
        if self.packed:
            self._later.append(data)
            return np.zeros(0, np.float32)
        self._rest += data
        if self.shape is None and not self._begin(last):
            return np.zeros(0, np.float32)
        assert self.shape is not None
        parts = [np.zeros(0, np.float32)]
        while True:
            if size := self._ready(last):
                parts.append(self._look(self._rest[:size]) if self._looks else self.shape.audio(self._rest[:size]))
                self._rest = self._rest[size:]
                self._left = None if self._left is None else self._left - size
            if not self._go_on(last):
                return np.concatenate(parts)

    def unpacked(self) -> Audio:
        """All of a packed sound, at SPEAKING_RATE. Takes time: not for the event loop. Raises ServiceError."""
        return unpacked(b"".join([self._rest, *self._later]), self.packed)

    def _ready(self, last: bool) -> int:
        """How many bytes of samples are there: up to the end of the data, or to what begins another file."""
        assert self.shape is not None
        size = min(len(self._rest) if self._left is None else self._left, _before_file(self._rest, last))
        whole = self._looks and not last and size == len(self._rest)
        return 0 if self._over else size - size % (BEGUN // self.shape.frame * self.shape.frame if whole else self.shape.frame)

    def _look(self, data: bytes) -> Audio:
        """Raw PCM of which it is not sure yet that it is. Raises ServiceError where it is not."""
        quiet = self._raw.audio(data)
        if float(np.abs(quiet).max(initial=0.0)) < QUIET:  # still nothing to be seen
            return quiet
        parts, step = [], BEGUN // self._raw.frame * self._raw.frame
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            if self._looks:
                self.shape = self._shape_of(piece)
            assert self.shape is not None
            audio = self.shape.audio(piece)
            if self._looks and len(audio) >= LEAST and _level(audio) > QUIET:
                self._looks = 0 if alike(audio) > ALIKE and _is_loud(audio) else self._looks - 1
            parts.append(audio)
        return np.concatenate(parts)

    def _begin(self, last: bool) -> bool:
        """Looks at the first bytes; whether samples follow."""
        head = self._rest
        if len(head) < 12 and not last:
            return False
        if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
            return self._open(last)
        if head.startswith(b"RIFF"):
            raise ServiceError("tts", "answers a RIFF file that is no WAV")
        self.packed = _packed(head)
        if self.packed:
            return False
        if (found := _INSIDE.search(head[:BEGUN])) and found.start():
            self._rest = head[found.start() :]
            return self._begin(last)
        for start in {0, len(head) - len(head.lstrip(_BLANK))}:
            form, size = _mpeg(head[start:])
            if form and len(head) < start + size + 2 and not last:
                return False
            follows = head[start + size :][:2]
            if form and (follows == head[start:][:2] or (not follows and not start)):
                self._rest, self.packed = head[start:], form
                return False
        if len(head) < BEGUN and not last:
            return False
        self.shape = self._plain(head)
        return True

    def _plain(self, head: bytes) -> Shape:
        """The shape of raw PCM. Raises ServiceError for bytes that are none."""
        if not head:
            raise ServiceError("tts", "answers no sound")
        if _CODED.search(self._named):
            raise ServiceError("tts", f"answers {self._named[:40]}, which is neither PCM of 16 bits nor a file")
        if _written(head):  # a message, of which samples would be a bang
            raise ServiceError("tts", f"answers text as {self._named[:40] or 'sound'}: {excuse(head[:80])}")
        self._looks = LOOKS
        return self._shape_of(head[: BEGUN // self._raw.frame * self._raw.frame])

    def _shape_of(self, data: bytes) -> Shape:
        """The shape in which `data` are samples: of the two orders of bytes the smoother one. Raises ServiceError."""
        data = data[: len(data) // self._raw.frame * self._raw.frame]
        swapped = self._raw._replace(kind=">i2")  # RFC 2586 wants it so for audio/l16, few do it
        shape = swapped if 2 * _steps(swapped.audio(data)) < _steps(self._raw.audio(data)) else self._raw
        audio = shape.audio(data)
        if _is_loud(audio) and (kind := kind_of(data, alike(audio))):
            raise ServiceError("tts", f"answers {kind} as {self._named[:40] or 'something'}: PCM of 16 bits is wanted")
        if not _like_samples(audio):
            raise ServiceError(
                "tts", f"answers {self._named[:40] or 'something'} that is neither PCM of 16 bits nor a file known here"
            )
        return shape

    def _open(self, last: bool) -> bool:
        """Reads the head of a WAV file; whether its samples follow."""
        found = _wav(self._rest)
        if found is None and len(self._rest) < HEAD and not last:
            return False
        if found is None or found[1] is None:
            self.packed = "wav"
            return False
        start, self.shape, size = found
        self._looks = 0
        self._rest = self._rest[start:]
        self._left = None if size in UNKNOWN_SIZES or size > UNKNOWN_SIZES[1] else size
        return True

    def _go_on(self, last: bool) -> bool:
        """Behind the samples that are there: whether more follow. Some send a file a piece, some a size that is too small."""
        assert self.shape is not None
        found = _next_file(self._rest)
        if found and (self._over or found.start() < self.shape.frame):
            self._rest, self._left, self._over = self._rest[found.end() - 12 :], 0, False
            return self._open(last)
        if self._over:
            self._rest = self._rest[-_PARTIAL:]
            return False
        if self._left is None or self._left >= self.shape.frame:
            return False
        rest = self._rest[self._left :]
        if len(rest) < 44 and not last:
            return False
        if _CHUNK.match(rest) or not rest.strip(_BLANK):
            self._over = True
        self._left = None
        return True


def unpacked(data: bytes, form: str) -> Audio:
    """The sound in a file of FFmpeg's `form`, mono at SPEAKING_RATE. Raises ServiceError."""
    import av

    parts, size = [np.zeros(0, np.float32)], 0
    try:
        with av.open(io.BytesIO(data), format=form) as file:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=SPEAKING_RATE)
            for frame in (*file.decode(audio=0), None):
                for made in resampler.resample(frame):
                    parts.append(made.to_ndarray().reshape(-1))
                    size += len(parts[-1])
                if size > LONGEST_S * SPEAKING_RATE:
                    raise ServiceError("tts", f"answers more than {LONGEST_S} s of sound")
    except (av.FFmpegError, IndexError, ValueError, OSError) as error:
        raise ServiceError("tts", f"answers {form} that cannot be decoded: {error}") from error
    if size == 0:
        raise ServiceError("tts", f"answers {form} without any sound")
    return np.concatenate(parts)


def _wav(head: bytes) -> tuple[int, Shape | None, int] | None:
    """Where the samples begin, their shape (None: another than those known here) and the size of the data; None: not all of the
    head is there."""
    at, shape = 12, None
    while len(head) >= at + 8:
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"data":
            return at + 8, shape, size
        if name == b"fmt " and len(head) >= at + 8 + min(size, 40):
            if size < 16:
                return at, None, 0
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, at + 8)
            tag = struct.unpack_from("<H", head, at + 8 + 24)[0] if tag == _EXTENSIBLE and size >= 40 else tag
            kind = _KINDS.get((tag, bits))
            shape = Shape(rate, channels, kind) if kind and 1 <= channels <= 8 and 4000 <= rate <= 384_000 else None
        at += 8 + size + size % 2
    return None


def _next_file(data: bytes) -> re.Match[bytes] | None:
    """The head of a WAV file in `data`. Looked for first is a text, which takes a tenth of the time of an expression."""
    return _FILE.search(data) if b"RIFF" in data else None


def _before_file(data: bytes, last: bool) -> int:
    """How many bytes of `data` stand before the head of a WAV file, or before what may become one where it is not the `last`."""
    if found := _next_file(data):
        return found.start()
    tail = max(0, len(data) - _PARTIAL)
    first = _FIRST.search(data, tail) if not last else None
    for at in range(first.start() if first else len(data), len(data)):
        begun = data[at:].lstrip(b"\r\n")
        if b"RIFF".startswith(begun[:4]) and b"WAVE".startswith(begun[8:]):
            return at
    return len(data)


def _packed(head: bytes) -> str:
    """FFmpeg's name of a form that begins like this; "" for none."""
    form = next((form for magic, form in _MAGIC.items() if head.startswith(magic)), "")
    return "mov" if head[4:8] == b"ftyp" else form


def _mpeg(head: bytes) -> tuple[str, int]:
    """FFmpeg's name of a form whose frames may begin with `head`, and the size of the first one; "" for none."""
    if len(head) < 6 or head[0] != 0xFF:
        return "", 0
    if head[1] & 0xF6 == 0xF0 and (head[2] >> 2 & 15) < 13:  # AAC in ADTS
        return "aac", (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    version, layer, bits, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    if head[1] & 0xE0 != 0xE0 or version == 1 or layer != 1 or bits in (0, 15) or rate == 3:
        return "", 0
    first = version == 3
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return "mp3", (144_000 if first else 72_000) * _BITRATES[not first][bits - 1] // hertz + (head[2] >> 1 & 1)


def _written(head: bytes) -> bool:
    """It is a text, in whatever script: of WRITTEN bytes and more that is no chance, of less it may be if it is not ASCII."""
    if len(head) < WRITTEN:
        return len(head) > 1 and head.isascii() and not _CONTROL.search(head.decode())
    for cut in range(4):  # a letter may be cut in two
        try:
            return not _CONTROL.search(head[: len(head) - cut].decode())
        except UnicodeDecodeError:
            pass
    return False


def _like_samples(audio: Audio) -> bool:
    """They are samples of sound: neighbours are alike, or they are quiet, as no coded data is."""
    return len(audio) < LEAST or _level(audio) < LOUD or alike(audio) > ALIKE


def _level(audio: Audio) -> float:
    """RMS, of full scale."""
    return float(np.sqrt(np.square(audio, dtype=np.float64).mean()))


def _is_loud(audio: Audio) -> bool:
    """There is sound in most of it, not in a burst alone, or much of it."""
    return bool(len(audio)) and (float(np.median(np.abs(audio))) > PLAIN or _level(audio) > LOUD)


def _steps(audio: Audio) -> float:
    """RMS of the steps from sample to sample."""
    return _level(np.diff(audio)) if len(audio) > 1 else 0.0
