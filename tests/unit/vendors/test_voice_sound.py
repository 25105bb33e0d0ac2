"""Sound of a voice service in the forms that services send it, told by its bytes."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from services.base import SPEAKING_RATE, Audio, ServiceError
from vendors.audio_formats import LONGEST_S, Shape, Track

RATE = 24_000
RAW = Shape(RATE)
# A second of a voice-like sound: a tone of 200 Hz with overtones that swells.
TONE = (sum(np.sin(np.arange(RATE) * f * 2 * np.pi / RATE) / n for n, f in enumerate((200, 400, 1100), 1)) / 6).astype(
    np.float32
)
TONE *= np.linspace(0.2, 1, RATE, dtype=np.float32)


def pcm(audio: Audio = TONE, kind: str = "<i2") -> bytes:
    if kind == "u1":
        return (np.clip(audio, -1, 1) * 127 + 128).astype("u1").tobytes()
    if kind[1] == "f":
        return audio.astype(kind).tobytes()
    return (audio.astype(np.float64) * ((1 << (int(kind[2]) * 8 - 1)) - 1)).astype(kind).tobytes()


def wav(
    data: bytes, tag: int = 1, bits: int = 16, channels: int = 1, size: int | None = None, before: bytes = b"", behind: bytes = b"",
    extensible: bool = False,
) -> bytes:  # fmt: skip
    form = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, channels, RATE, RATE * channels * bits // 8, channels * bits // 8, bits
    )
    if extensible:
        form += struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    head = (
        b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + before
        + b"data"
        + struct.pack("<I", len(data) if size is None else size)
    )
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF if size else len(head) + len(data)) + head + data + behind


def encoded(form: str, codec: str, rate: int = RATE, layout: str = "mono", seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    options = {"rf64": "always"} if form == "rf64" else {}
    with av.open(file, "w", format="wav" if options else form, options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate)
        for second in range(max(1, round(seconds))):
            samples = (np.resize(TONE, RATE) * 32767).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE, Fraction(1, RATE)
            for made in resampler.resample(frame):
                container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return file.getvalue()


def played(data: bytes, size: int = 997, named: str = "audio/pcm", raw: Shape = RAW) -> tuple[Audio, int]:
    """What is heard of `data` that comes in pieces of `size` bytes, and its rate."""
    track = Track(raw, named)
    parts = [track.feed(data[at : at + size]) for at in range(0, len(data), size)]
    parts.append(track.feed(b"", last=True))
    if track.packed:
        return track.unpacked(), SPEAKING_RATE
    assert track.shape is not None
    return np.concatenate(parts), track.shape.rate


def same(audio: Audio, wanted: Audio = TONE, most: float = 0.001) -> bool:
    return len(audio) == len(wanted) and float(np.abs(audio - wanted).max()) < most


WAVES = {
    "16 bits": wav(pcm()),
    "8 bits": wav(pcm(kind="u1"), bits=8),
    "32 bits": wav(pcm(kind="<i4"), bits=32),
    "float": wav(pcm(kind="<f4"), 3, 32),
    "double": wav(pcm(kind="<f8"), 3, 64),
    "stereo": wav(pcm(np.repeat(TONE, 2)), channels=2),
    "float stereo": wav(pcm(np.repeat(TONE, 2), "<f4"), 3, 32, channels=2),
    "extensible": wav(pcm(), extensible=True),
    "extensible float": wav(pcm(kind="<f4"), 3, 32, extensible=True),
    "size unknown": wav(pcm(), size=0xFFFFFFFF),
    "size zero": wav(pcm(), size=0),
    "size of a stream": wav(pcm(), size=0x7FFFF000 + 0x1000),
    "size too large": wav(pcm(), size=len(pcm()) + 5000),
    "size too small": wav(pcm(), size=5000),
    "chunks before": wav(pcm(), before=b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf60.16.100\0"),
    "chunks behind": wav(pcm(), behind=b"LIST\x04\0\0\0INFO" + bytes(60)),
    "a file a piece": wav(pcm(TONE[:9000])) + wav(pcm(TONE[9000:20_000])) + wav(pcm(TONE[20_000:])),
    "half a sample more": wav(pcm()) + b"\x01",
    "a line end before": b"\n" + wav(pcm()),
    "line ends before": b"\r\n\r\n" + wav(pcm()),
    "a mark of UTF-8 before": b"\xef\xbb\xbf" + wav(pcm()),
    "nothing before": bytes(37) + wav(pcm()),
    "a head of MIME before": b"--b7\r\nContent-Type: audio/wav\r\n\r\n" + wav(pcm()),
    "the size of a piece before": b"bb80\r\n" + wav(pcm(), size=0xFFFFFFFF),
    "files with line ends between": wav(pcm(TONE[:9000])) + b"\r\n" + wav(pcm(TONE[9000:20_001])) + b"\n" + wav(pcm(TONE[20_001:])),
    "files of unknown sizes": wav(pcm(TONE[:9000]), size=0) + wav(pcm(TONE[9000:]), size=0xFFFFFFFF),
    "files with chunks behind": wav(pcm(TONE[:9000]), behind=b"LIST\x04\0\0\0INFO" + bytes(60)) + wav(pcm(TONE[9000:])),
    "a file within the size of another": wav(pcm(TONE[:9000]), size=90_000) + b"\n" + wav(pcm(TONE[9000:])),
    "RIFF in the samples": wav(pcm()[:9000] + b"RIFF" + pcm()[9004:]),
    "odd, and a chunk behind": wav(pcm(TONE[:-1], "u1"), bits=8, behind=b"\0LIST\x90\x01\0\0INFO" + b"x" * 396),
    **{
        f"{name.decode()} behind": wav(pcm(), behind=name + struct.pack("<I", 4000) + np.random.default_rng(3).bytes(4000))
        for name in (b"C2PA", b"acid", b"_PMX", b"aXML", b"PAD ", b"data")
    },
}  # fmt: skip


@pytest.mark.parametrize("size", [7, 997, 10**6])
@pytest.mark.parametrize("wave", WAVES)
def test_wav_files_of_many_shapes_are_played(wave: str, size: int) -> None:
    audio, rate = played(WAVES[wave], size, named="audio/mpeg")
    assert rate == RATE
    most = {"8 bits": 0.01, "odd, and a chunk behind": 0.01, "RIFF in the samples": 2.0}.get(wave, 0.001)
    assert same(audio, TONE[:-1] if "odd" in wave else TONE, most)


@pytest.mark.parametrize("named", ["audio/pcm", "audio/mpeg", "application/octet-stream", ""])
def test_raw_pcm_is_played_whatever_it_is_called(named: str) -> None:
    for size in (3, 999, 10**6):
        assert same(played(pcm(), size, named)[0])
    assert same(played(pcm(TONE * 0.001), named=named)[0], TONE * 0.001)
    assert same(played(pcm(np.zeros(RATE, np.float32)), named=named)[0], np.zeros(RATE, np.float32))
    assert len(played(pcm(TONE[:3]), named=named)[0]) == 3
    assert same(played(pcm(np.repeat(TONE, 2)), raw=Shape(RATE, 2))[0])


# What many voices begin with: a tenth of a second of silence, with the last bit moving or without.
LEADS = [np.zeros(2400, np.float32), np.random.default_rng(1).normal(0, 0.0002, 2400).astype(np.float32)]


@pytest.mark.parametrize("lead", [*LEADS, TONE[:0]])
@pytest.mark.parametrize("size", [333, 10**6])
def test_samples_the_other_way_round_are_turned(lead: Audio, size: int) -> None:
    for loud in (np.tanh(TONE * 20).astype(np.float32), TONE):
        whole = np.concatenate((lead, loud))
        assert same(played(pcm(whole, ">i2"), size, "audio/l16")[0], whole)
        assert same(played(pcm(whole), size)[0], whole)


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("kind", ["<f4", "<f8", "<i4"])
def test_other_samples_that_begin_with_silence_are_no_noise(kind: str, lead: Audio) -> None:
    track, heard = Track(RAW, "audio/pcm"), [TONE[:0]]
    data = pcm(np.concatenate((lead, TONE)), kind)
    with pytest.raises(ServiceError, match="neither PCM"):
        for at in range(0, len(data), 333):
            heard.append(track.feed(data[at : at + 333]))
    assert float(np.abs(np.concatenate([TONE[:1] * 0, *heard])).max()) < 0.02


def test_hiss_and_consonants_before_a_vowel_are_played() -> None:
    for level in (0.01, 0.08, 0.2):
        hiss = np.random.default_rng(2).normal(0, level, 4800).astype(np.float32)
        whole = np.concatenate((LEADS[0], hiss, TONE))
        assert same(played(pcm(whole))[0], whole)


@pytest.mark.parametrize(
    ("form", "codec", "rate", "layout"),
    [
        ("mp3", "libmp3lame", 24_000, "mono"), ("mp3", "libmp3lame", 44_100, "stereo"), ("ogg", "libopus", 48_000, "mono"),
        ("flac", "flac", 24_000, "mono"), ("adts", "aac", 24_000, "mono"),
        ("webm", "libopus", 48_000, "mono"), ("mp4", "aac", 44_100, "mono"), ("aiff", "pcm_s16be", 24_000, "mono"),
        ("au", "pcm_s16be", 24_000, "mono"), ("wav", "pcm_s24le", 24_000, "mono"), ("wav", "pcm_alaw", 24_000, "mono"),
        ("wav", "adpcm_ima_wav", 24_000, "mono"), ("caf", "pcm_s16be", 24_000, "mono"), ("rf64", "pcm_s16le", 24_000, "mono"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", ["audio/pcm", "audio/mpeg", "application/octet-stream"])
def test_compressed_sound_is_decoded_whatever_it_is_called(form: str, codec: str, rate: int, layout: str, named: str) -> None:
    audio, given = played(encoded(form, codec, rate, layout), named=named)
    assert 0.9 < len(audio) / given < 1.2
    middle = audio[len(audio) // 3 : len(audio) // 3 * 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(float(spectrum.argmax()) * given / len(middle) - 200) < 5
    assert 0.05 < float(np.abs(middle).max()) < 0.5


@pytest.mark.parametrize("before", [b"\n", b"\r\n", b"\0\0\0", b"\xef\xbb\xbf", b" "])
@pytest.mark.parametrize(
    ("form", "codec"), [("mp3", "libmp3lame"), ("ogg", "libopus"), ("flac", "flac"), ("adts", "aac"), ("webm", "libopus")]
)
def test_a_file_behind_stray_bytes_is_decoded(form: str, codec: str, before: bytes) -> None:
    file = encoded(form, codec, 48_000)
    for size in (7, 997, 10**6):
        assert np.array_equal(played(before + file, size)[0], played(file)[0])


def test_samples_are_not_taken_for_the_beginning_of_a_file() -> None:
    random = np.random.default_rng(11)
    for _ in range(300):
        noise = (random.normal(0, 10 ** random.uniform(-4, -1), 2400).clip(-1, 1)).astype(np.float32)
        noise[: random.integers(0, 40)] = 0
        assert same(played(pcm(noise), 997)[0], noise)


RNG = np.random.default_rng(7)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b'{"error": "no such voice"}', "audio/pcm"),
        (b"Internal Server Error\r\n", ""),
        (RNG.bytes(20_000), "audio/pcm"),  # any coded sound without a head known here
        (RNG.bytes(20_000), "audio/mpeg"),
        (b"OggS" + RNG.bytes(20_000), "audio/pcm"),
        (b"ID3\x04" + RNG.bytes(20_000), "audio/pcm"),
        (b"RIFF\x00\x00\x00\x00AVI " + bytes(20_000), "audio/pcm"),
        (b"RIFF\x00\x00\x00\x00WAVE" + RNG.bytes(20_000), "audio/wav"),
        (b"\x1aE\xdf\xa3", "audio/pcm"),
        (pcm(TONE, "<f4"), "audio/pcm"),  # float without a head
        (pcm(), "audio/x-mulaw"),
        (b'{"error": "no voice of this name"}' * 200, "audio/pcm"),
        ('{"error":"Голос не найден: проверьте имя, пожалуйста"}'.encode(), "audio/pcm"),
        ('{"error":"找不到该语音，请检查名称后重试","code":404}'.encode(), "audio/mpeg"),
        ("Внутренняя ошибка сервера ".encode() * 90, "audio/pcm"),
        (b"error", "audio/pcm"),
        (b"OK\n", "audio/pcm"),
        (b"<html><body>Bad gateway</body></html>" * 200, "application/octet-stream"),
        (b"", "audio/pcm"),
        (wav(pcm(), 1, 16, channels=0), "audio/wav"),
        (wav(pcm(), 77, 16), "audio/wav"),
        (encoded("flac", "flac")[:60], "audio/flac"),
    ],
)
def test_what_is_no_sound_is_refused_and_not_played_as_noise(data: bytes, named: str) -> None:
    for size in (333, 10**6):
        with pytest.raises(ServiceError, match="tts"):
            played(data, size, named)


def test_numbers_that_are_none_are_silence() -> None:
    broken = TONE.copy()
    broken[100:200], broken[300] = np.nan, np.inf
    audio, _ = played(wav(pcm(broken, "<f4"), 3, 32))
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 1


def test_a_small_file_with_hours_of_sound_is_refused() -> None:
    hours = encoded("flac", "flac", seconds=LONGEST_S + 20)
    with pytest.raises(ServiceError, match="more than"):
        played(hours)


def _g711(audio: Audio, codec: str) -> bytes:
    """The samples without the head of a file."""
    raw = "mulaw" if codec == "pcm_mulaw" else "alaw"
    file = io.BytesIO()
    with av.open(file, "w", format=raw) as container:
        stream = container.add_stream(codec, rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray((audio * 32767).astype(np.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


@pytest.mark.parametrize("lead", [*LEADS, TONE[:0]])
@pytest.mark.parametrize("size", [333, 10**6])
@pytest.mark.parametrize("kind", ["pcm_mulaw", "pcm_alaw", "u1", "i1"])
def test_samples_of_one_byte_under_the_name_of_pcm_are_refused_and_not_played_as_noise(
    kind: str, size: int, lead: Audio
) -> None:
    whole = np.concatenate((lead[::3], TONE[::3]))  # at 8 kHz
    data = (
        _g711(whole, kind)
        if kind.startswith("pcm")
        else pcm(whole, "u1")
        if kind == "u1"
        else (whole * 127).astype("i1").tobytes()
    )
    with pytest.raises(ServiceError, match=r"tts: answers (.-law|.*8 bits) as audio/pcm"):
        played(data, size)


def test_beeps_and_hum_are_no_samples_of_one_byte() -> None:
    seconds = np.arange(RATE) / RATE
    for pitch in (50, 60, 120, 440, 1000):
        for level in (0.004, 0.03, 0.3, 0.9):
            tone = (np.sin(seconds * pitch * 2 * np.pi) * level).astype(np.float32)
            assert same(played(pcm(tone))[0], tone)
        square = (np.sign(np.sin(seconds * pitch * 2 * np.pi)) * 0.3).astype(np.float32)
        assert same(played(pcm(square))[0], square)
