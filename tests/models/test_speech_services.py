"""The embedded speech services with their real models on real recordings."""

import asyncio
from collections.abc import Iterator
from typing import cast

import jiwer
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from onnxruntime import RunOptions

from app.settings import Settings
from app.turn_taking.bystander import by_voice
from app.turn_taking.speaker_lock import speech_of
from languages.en import LANGUAGE as ENGLISH
from services import embedded
from services.barge_in.whisper_encoder import WhisperJudge
from services.base import (
    HEARING_RATE,
    SPEAKING_RATE,
    VAD_WINDOW,
    Audio,
    ServiceError,
    Services,
    ServiceUnavailable,
    Speech,
    SpeechToText,
    Transcript,
    VoiceDetector,
)
from services.fallback import SttWithFallback
from services.stt.network import Decoder, Network
from services.stt.whisper import NEAR_S, THOROUGH, WINDOW_S, WhisperStt, listen
from services.tts.hibari import HibariTts
from services.vad import silero as vad
from services.vad.silero import SileroDetector
from services.workers import Workers
from tests.bench.clips import HERE, Clip, clips
from tests.bench.wer import plain

CLIPS = {clip.id: clip for clip in clips(HERE)}
SPEECH = [clip for clip in CLIPS.values() if clip.kind in ("utt", "command", "question", "open_question")]
STEP = SileroDetector._step
SOUNDS = [clip for clip in CLIPS.values() if clip.kind in ("noise", "music")]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = embedded(Settings().weights_dir, tmp_path_factory.mktemp("computed"), ENGLISH)

    async def warm() -> None:
        parts = (made.vad, made.turn, made.barge_in, made.speaker, made.tts)
        await asyncio.gather(*(part.warm() for part in parts))

    asyncio.run(warm())
    yield made


def ids(clip: Clip) -> str:
    return clip.id


def nan() -> Audio:
    return np.array([0.0, np.nan] * (VAD_WINDOW // 2), np.float32)


async def probabilities(detector: VoiceDetector, audio: Audio) -> list[float]:
    return [await detector.probability(audio[i : i + VAD_WINDOW]) for i in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW)]


async def say(services: Services, text: str, speed: float = 1.0) -> list[Speech]:
    return [piece async for piece in services.tts.speak(text, speed=speed)]


def as_heard(pieces: list[Speech], until_ms: float | None = None) -> Audio:
    samples = np.concatenate([piece.samples for piece in pieces])
    if until_ms is not None:
        samples = samples[: round(until_ms * SPEAKING_RATE / 1000)]
    return np.asarray(soxr.resample(samples.astype(np.float32) / 32768, SPEAKING_RATE, HEARING_RATE), np.float32)


# Voice activity


@pytest.mark.parametrize("clip", SPEECH, ids=ids)
async def test_speech_is_detected_and_what_is_before_and_after_it_is_not(services: Services, clip: Clip) -> None:
    audio = np.pad(clip.audio, HEARING_RATE)
    speech = await probabilities(services.vad.detector(), audio)
    start, end = (int((at + 1) * HEARING_RATE / VAD_WINDOW) for at in (clip.speech_start, clip.speech_end))
    assert np.mean(speech[start : end + 1]) > 0.7
    assert max(speech[: start - 3]) < 0.5
    assert max(speech[end + 8 :]) < 0.5


async def test_conversations_do_not_share_their_state(services: Services) -> None:
    one, other = CLIPS["1688-142285-0002"].audio, CLIPS["cmd-4bf32777"].audio
    alone = await probabilities(services.vad.detector(), one)
    first, second = services.vad.detector(), services.vad.detector()
    mixed = []
    for i in range(0, len(one) - VAD_WINDOW + 1, VAD_WINDOW):
        mixed.append(await first.probability(one[i : i + VAD_WINDOW]))
        await second.probability(other[i : i + VAD_WINDOW])
    assert mixed == alone
    first.reset()
    assert await probabilities(first, one) == alone


async def test_a_long_hush_is_not_looked_at_and_a_voice_after_it_is_met_as_soon(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = np.concatenate([np.zeros(400 * VAD_WINDOW, np.float32), CLIPS["cmd-4bf32777"].audio])
    monkeypatch.setattr(vad, "HUSH", 10**9)
    always = await probabilities(services.vad.detector(), audio)
    monkeypatch.undo()
    seen = []
    monkeypatch.setattr(
        SileroDetector, "_step", lambda self, session, window: seen.append(window) or STEP(self, session, window)
    )
    spared = await probabilities(services.vad.detector(), audio)
    assert len(always) - len(seen) >= 400 - vad.HUSH
    first, first_always = (next(n for n, p in enumerate(heard) if p >= 0.5) for heard in (spared, always))
    assert 400 <= first <= first_always
    assert np.mean(np.subtract(spared, always)[first:] > -0.2) > 0.95


@pytest.mark.parametrize("window", [nan(), np.zeros(100, np.float32), np.zeros((VAD_WINDOW, 2), np.float32)])
async def test_a_bad_window_is_refused_and_leaves_the_state_alone(services: Services, window: Audio) -> None:
    audio = CLIPS["1688-142285-0002"].audio
    clean, disturbed = services.vad.detector(), services.vad.detector()
    await probabilities(clean, audio[: 20 * VAD_WINDOW])
    await probabilities(disturbed, audio[: 20 * VAD_WINDOW])
    with pytest.raises(ServiceError, match="vad"):
        await disturbed.probability(window)
    following = audio[20 * VAD_WINDOW : 21 * VAD_WINDOW]
    assert await disturbed.probability(following) == await clean.probability(following)


# End of turn


async def test_finished_turns_are_told_from_unfinished_ones(services: Services) -> None:
    orders = [clip for clip in CLIPS.values() if clip.kind == "command"]
    for clip in orders:
        end = int((clip.speech_end + 0.2) * HEARING_RATE)
        assert await services.turn.complete(clip.audio[:end]) > 0.6, f"{clip.id} is finished"
    early = [await services.turn.complete(clip.audio[: int(0.45 * len(clip.audio))]) for clip in orders]
    assert sum(verdict < 0.6 for verdict in early) >= len(orders) - 1, early


async def test_only_the_last_eight_seconds_count(services: Services) -> None:
    audio = np.concatenate([clip.audio for clip in SPEECH[:5]])
    assert await services.turn.complete(audio) == await services.turn.complete(audio[-8 * HEARING_RATE :])


@pytest.mark.parametrize("audio", [np.zeros(0, np.float32), nan(), np.zeros((100, 2), np.float32)])
async def test_a_turn_without_sound_is_refused(services: Services, audio: Audio) -> None:
    with pytest.raises(ServiceError, match="turn"):
        await services.turn.complete(audio)


@pytest.mark.parametrize("audio", [np.zeros(1, np.float32), np.ones(8000, np.float32)])
async def test_odd_sound_gets_a_verdict(services: Services, audio: Audio) -> None:
    assert 0 <= await services.turn.complete(audio) <= 1


# Echo


async def found_echo(services: Services, heard: Audio, played: Audio) -> float | None:
    """Seconds after which `played` is found in `heard`, None where it is not."""
    canceller, size = services.echo.canceller(), min(len(heard), len(played))
    await services.echo.warm()
    for at in range(0, size - VAD_WINDOW + 1, VAD_WINDOW):
        window = slice(at, at + VAD_WINDOW)
        canceller.clean(*((sound[window] * 32767).astype(np.int16) for sound in (heard, played)))
        if canceller.present:
            return at / HEARING_RATE
    return None


async def test_the_agents_voice_is_found_in_the_room_and_nobody_elses(services: Services) -> None:
    for clip in SPEECH:
        late = np.concatenate((np.zeros(HEARING_RATE // 5, np.float32), clip.audio * 0.1))
        after = await found_echo(services, late, clip.audio)
        assert after is not None and after <= clip.speech_start + 0.2 + 0.6, clip.id
    wrong = [
        (one.id, other.id)
        for one in SPEECH
        for other in SPEECH
        if one is not other and await found_echo(services, one.audio, other.audio) is not None
    ]
    assert len(wrong) <= 0.1 * len(SPEECH) * (len(SPEECH) - 1), wrong


# Speech to text


async def test_recordings_are_understood(services: Services) -> None:
    heard = [(await services.stt.transcribe(clip.audio, final=True)).text for clip in SPEECH]
    assert jiwer.wer([plain(clip.text) for clip in SPEECH], [plain(text) for text in heard]) <= 0.05, heard
    partial = await services.stt.transcribe(SPEECH[0].audio, final=False)
    assert partial.text == heard[0]


@pytest.mark.parametrize("clip", SOUNDS, ids=ids)
async def test_noise_and_music_say_nothing(services: Services, clip: Clip) -> None:
    for audio in (clip.audio, clip.audio[: 2 * HEARING_RATE], clip.audio * 0.1):
        assert (await services.stt.transcribe(audio, final=True)).text == ""


class Inventive:
    """A recogniser that writes something for every sound."""

    async def transcribe(self, audio: Audio, **_: object) -> Transcript:
        return Transcript("Thank you.")


async def test_what_a_recogniser_elsewhere_invents_on_noise_is_not_believed(services: Services) -> None:
    stt = cast(WhisperStt, services.stt)
    remote = SttWithFallback(cast(SpeechToText, Inventive()), stt, False, stt.speech)
    noise = [(await remote.transcribe(clip.audio, final=True)).text for clip in SOUNDS]
    speech = [(await remote.transcribe(clip.audio, final=True)).text for clip in SPEECH]
    assert noise == [""] * len(SOUNDS)
    assert speech == ["Thank you."] * len(SPEECH)


@pytest.mark.parametrize("samples", [0, 1, 160, 2 * HEARING_RATE, 40 * HEARING_RATE])
async def test_silence_says_nothing(services: Services, samples: int) -> None:
    transcript = await services.stt.transcribe(np.zeros(samples, np.float32), final=True)
    assert (transcript.text, transcript.no_speech) == ("", 1.0)


async def test_a_click_says_nothing(services: Services) -> None:
    assert (await services.stt.transcribe(np.ones(16, np.float32), final=True)).text == ""


async def test_clipped_and_quiet_speech_is_understood(services: Services) -> None:
    clip = CLIPS["cmd-582d4ff6"]
    for audio in (np.clip(clip.audio * 20, -1, 1), clip.audio * 0.03):
        heard = (await services.stt.transcribe(audio, final=True)).text
        assert jiwer.wer(plain(clip.text), plain(heard)) <= 0.2, heard


async def test_speech_of_more_than_one_window_is_heard_to_its_end(services: Services) -> None:
    said = [clip for clip in SPEECH if clip.kind in ("utt", "command")]
    audio = np.concatenate([np.pad(clip.audio, (0, HEARING_RATE // 2)) for clip in said])
    assert len(audio) > 31 * HEARING_RATE
    heard = (await services.stt.transcribe(audio, final=True)).text
    assert jiwer.wer(" ".join(plain(clip.text) for clip in said), plain(heard)) <= 0.15, heard


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (nan(), "NaN"),
        (np.zeros((2, HEARING_RATE), np.float32), "dimension"),
        (np.full(600 * HEARING_RATE, 0.1, np.float32), "600 s of audio"),
    ],
)
async def test_impossible_audio_is_refused_in_words(services: Services, audio: Audio, reason: str) -> None:
    with pytest.raises(ServiceError, match=f"stt.*{reason}"):
        await services.stt.transcribe(audio, final=True)


async def test_expected_words_are_spelled_and_hardly_disturb_the_rest(services: Services) -> None:
    expected = "Parley, WebRTC, FastRTC, barge-in, Redis, latency, jitter, Gradio, Opus, headset"
    pieces = await say(services, "How does WebRTC work with FastRTC and Gradio?")
    heard = (await services.stt.transcribe(as_heard(pieces), final=True, prompt=expected)).text
    assert all(word in heard for word in ("WebRTC", "FastRTC", "Gradio")), heard
    others = [(await services.stt.transcribe(clip.audio, final=True, prompt=expected)).text for clip in SPEECH]
    assert jiwer.wer([plain(clip.text) for clip in SPEECH], [plain(text) for text in others]) <= 0.07, others
    for clip in SOUNDS:
        assert (await services.stt.transcribe(clip.audio, final=True, prompt=expected)).text == ""


async def test_a_closer_look_hears_the_words_and_none_in_noise(services: Services) -> None:
    heard = [(await services.stt.transcribe(clip.audio, final=True, thorough=True)).text for clip in SPEECH]
    assert jiwer.wer([plain(clip.text) for clip in SPEECH], [plain(text) for text in heard]) <= 0.06, heard
    for clip in SOUNDS:
        assert (await services.stt.transcribe(clip.audio, final=True, thorough=True)).text == ""


async def test_the_places_in_silence_that_are_looked_at_count_for_those_that_are_not(services: Services) -> None:
    """So what the encoder makes of speech is nearly what it makes of it with all of the silence."""
    model = cast(WhisperStt, services.stt).model()
    for clip in SPEECH[:2]:
        speech = round(clip.seconds * 50)

        def seen(sparse: int, closely: bool) -> NDArray[np.float32]:
            return listen(model, clip.audio, WINDOW_S, sparse, closely=closely)["heard"][0, :speech]  # noqa: B023

        whole = seen(1, False)
        counted, missing = (float(np.square(seen(THOROUGH.sparse, closely) - whole).mean()) for closely in (True, False))
        assert counted < missing / 2
        assert np.array_equal(seen(1, True), whole), "each place counts for itself"
        assert len(listen(model, clip.audio, WINDOW_S, closely=True)["heard"][0]) < speech + 50 * (NEAR_S + WINDOW_S / 4) + 2


async def test_texts_that_are_followed_at_once_do_not_disturb_each_other(services: Services) -> None:
    model = cast(WhisperStt, services.stt).model()
    heard = listen(model, SPEECH[0].audio, 8)
    prompt = [model.tokenizer.token_to_id(f"<|{name}|>") for name in ("startoftranscript", "en", "transcribe")]
    first, (one, two) = model.tokens.first_timestamp, model.tokenizer.encode(" hello there", add_special_tokens=False).ids[:2]

    def follow(*texts: list[int]) -> NDArray[np.float32]:
        """What follows each of these texts of two tokens, the second of which changes the order."""
        beam, count = Decoder(model.network, heard), len(texts)
        beam.feed([*prompt, first], [3])
        beam.branch([0] * count, [ids[0] for ids in reversed(texts)])
        return beam.branch(list(reversed(range(count))), [ids[1] for ids in texts])

    twice, other = [one, one], [two, two]
    rows = follow(twice, other, [one, two])
    assert np.abs(rows[0] - rows[1]).max() > 1
    assert np.abs(rows[:2] - follow(other, twice)[::-1]).max() < 1e-3
    assert np.abs(rows[0] - follow(twice)[0]).max() < 1, (
        "one text takes another way through the products: some roundings differ"
    )


async def test_a_guess_changes_no_word_of_what_is_heard(services: Services) -> None:
    for clip in SPEECH:
        heard = (await services.stt.transcribe(clip.audio, final=True, prompt="Parley")).text
        words = heard.split()
        for draft in (" ".join(words[: len(words) // 2]), heard, f"{heard} And more", "The banana", "..."):
            again = (await services.stt.transcribe(clip.audio, final=True, prompt="Parley", draft=draft)).text
            assert plain(again) == plain(heard), draft  # two spellings may be as likely as each other


async def test_a_transcription_that_nobody_waits_for_is_stopped(services: Services) -> None:
    stt = cast(WhisperStt, services.stt)
    network, stop = stt.model().network.stoppable()
    stop.terminate = True
    with pytest.raises(Exception, match="terminate"):
        listen(stt.model()._replace(network=network), np.zeros(HEARING_RATE, np.float32), 8)

    stopped: list[RunOptions] = []

    def stoppable(self: Network) -> tuple[Network, RunOptions]:
        made = plain(self)
        stopped.append(made[1])
        return made

    plain = Network.stoppable
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "stoppable", stoppable)
        job = asyncio.create_task(stt.transcribe(np.full(HEARING_RATE, 0.1, np.float32), final=True))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    assert [options.terminate for options in stopped] == [True]


async def test_a_partial_is_skipped_while_a_final_is_made() -> None:
    workers = Workers()
    stt = WhisperStt(Settings().weights_dir, workers, ENGLISH)
    await stt.warm()
    final = asyncio.create_task(stt.transcribe(SPEECH[0].audio, final=True))
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable):
        await stt.transcribe(SPEECH[0].audio, final=False)
    assert (await final).text
    await workers.close()


# Text to speech


@pytest.mark.parametrize(
    "text",
    [
        "Hello there, how can I help you today?",
        "Parley runs on a laptop, with no keys and no downloads beyond the package registry.",
        "It costs $5.20 on January 5th.",
        "Every **window** of sound is looked at by the `voice` detector.",
        "Yes.",
    ],
)
async def test_what_is_said_can_be_understood(services: Services, text: str) -> None:
    pieces = await say(services, text)
    heard = (await services.stt.transcribe(as_heard(pieces), final=True)).text
    assert jiwer.wer(plain(text.replace("*", "").replace("`", "")), plain(heard)) <= 0.1, heard
    for piece in pieces:
        assert piece.samples.dtype == np.int16
        peak = np.abs(piece.samples.astype(int)).max()
        assert 0.15 * 32768 < peak < 0.97 * 32768
        loud = np.flatnonzero(np.abs(piece.samples.astype(int)) > 0.03 * 32768) * 1000 / SPEAKING_RATE
        assert loud[0] < 90, "silence at the start"
        assert len(piece.samples) * 1000 / SPEAKING_RATE - loud[-1] < 340, "silence at the end"
        assert max(abs(int(piece.samples[0])), abs(int(piece.samples[-1]))) < 30, "a click at an end"


async def test_words_end_where_the_sound_does(services: Services) -> None:
    text = "Alabama, Paris, banana, Berlin, and then Madrid."
    (piece,) = await say(services, text)
    assert [word.text for word in piece.words] == text.split()
    loud = np.flatnonzero(np.abs(piece.samples.astype(int)) > 0.02 * 32768) * 1000 / SPEAKING_RATE
    pauses = [*loud[:-1][np.diff(loud) > 50], loud[-1]]
    sounds = [loud[0], *loud[1:][np.diff(loud) > 50]]
    for word, after in zip(piece.words, (*piece.words[1:], None), strict=True):
        if word.text[-1] in ",.":
            assert min(abs(word.end_ms - pause) for pause in pauses) <= 80, f"{word}, but sound ends at {pauses}"
            assert after is None or min(abs(after.start_ms - sound) for sound in sounds) <= 80, (
                f"{after}, sound begins at {sounds}"
            )
    assert len(pauses) >= 4


async def test_word_times_follow_the_written_words(services: Services) -> None:
    text = "It costs $5.20 — see https://www.example.com/shop for 🙂 more."
    pieces = await say(services, text)
    for piece in pieces:
        times = [at for word in piece.words for at in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(piece.samples) * 1000 / SPEAKING_RATE
    assert [word.text for piece in pieces for word in piece.words] == text.split()


async def test_a_higher_speed_is_shorter_and_a_wild_one_is_tamed(services: Services) -> None:
    lengths = [len((await say(services, "How can I help you today?", speed))[0].samples) for speed in (0.01, 0.5, 1.0, 2.0, 50)]
    assert lengths[0] == lengths[1] > 1.4 * lengths[2]
    assert lengths[2] > 1.4 * lengths[3]
    assert lengths[3] == lengths[4]


@pytest.mark.parametrize("text", ["", "...", "!?", "🙂", "你好", "—", "`"])
async def test_nothing_to_say_is_not_said(services: Services, text: str) -> None:
    assert await say(services, text) == []


@pytest.mark.parametrize("text", ["a" * 600, "9" * 80, "word " * 120, "x.y." * 90, "\x00\x07 hm \ud800", "A,B;C:" * 30])
async def test_any_text_is_survived(services: Services, text: str) -> None:
    pieces = await say(services, text)
    assert [word.text for piece in pieces for word in piece.words] == text.split()
    assert all(len(piece.samples) < 45 * SPEAKING_RATE for piece in pieces)


async def test_services_that_are_not_warm_say_so() -> None:
    workers = Workers()
    with pytest.raises(ServiceUnavailable, match="not loaded"):
        await anext(HibariTts(Settings().weights_dir, workers, ENGLISH).speak("Hello."))
    await workers.close()


# A glimpse of a sound over the agent


def beginning(clip: Clip, start_s: float, length_s: float = 0.3) -> Audio:
    """From 200 ms before `start_s` on."""
    lead = np.pad(clip.audio, (HEARING_RATE, 0))
    return lead[round((start_s + 0.8) * HEARING_RATE) : round((start_s + 1 + length_s) * HEARING_RATE)]


@pytest.mark.parametrize("clip", [clip for clip in SPEECH if clip.kind != "utt"], ids=ids)
async def test_the_beginning_of_a_sentence_is_speech_with_a_word(services: Services, clip: Clip) -> None:
    glimpse = await services.barge_in.classify(beginning(clip, clip.speech_start))
    assert glimpse.speech > 0.7
    assert glimpse.text


@pytest.mark.parametrize("clip", [clip for clip in CLIPS.values() if clip.kind in ("noise", "music", "backchannel")], ids=ids)
async def test_noise_and_acknowledgements_are_no_interruption(services: Services, clip: Clip) -> None:
    glimpse = await services.barge_in.classify(beginning(clip, clip.speech_start))
    assert glimpse.speech < 0.5 or ENGLISH.wording.is_backchannel(glimpse.text)


async def test_a_glimpse_of_nothing_is_refused(services: Services) -> None:
    for audio in (np.zeros(0, np.float32), nan(), np.zeros((2, 8000), np.float32)):
        with pytest.raises(ServiceError):
            await services.barge_in.classify(audio)
    with pytest.raises(ServiceUnavailable):
        await WhisperJudge(WhisperStt(Settings().weights_dir, workers := Workers(), ENGLISH), workers).classify(
            np.ones(8000, np.float32)
        )


# Whose voice it is


async def test_a_speaker_is_more_alike_to_themselves_than_to_anybody_else(services: Services) -> None:
    known = await services.speaker.voice(speech_of(CLIPS["nat-533-1066-0007"].audio))
    assert known.shape == (256,) and np.linalg.norm(known) == pytest.approx(1.0, abs=1e-4)
    own = float(known @ await services.speaker.voice(speech_of(0.1 * CLIPS["nat-533-1066-0009"].audio)))
    others = [clip for clip in SPEECH if clip.row.get("speaker") != "librispeech-533"]
    alike = [float(known @ await services.speaker.voice(speech_of(clip.audio[: 2 * HEARING_RATE]))) for clip in others]
    assert by_voice(own, 2000) > 0 > by_voice(float(np.median(alike)), 2000) and own > max(alike)


async def test_half_a_second_tells_a_voice_from_most_others(services: Services) -> None:
    known = await services.speaker.voice(speech_of(CLIPS["nat-533-1066-0007"].audio))

    async def alike(clip: Clip) -> float:
        return float(known @ await services.speaker.voice(speech_of(clip.audio)[: HEARING_RATE // 2]))

    others = sorted([await alike(clip) for clip in SPEECH if clip.row.get("speaker") != "librispeech-533"])
    assert await alike(CLIPS["nat-533-1066-0009"]) > others[round(0.8 * len(others))]


async def test_a_voice_in_impossible_audio_is_refused(services: Services) -> None:
    for audio in (np.zeros(0, np.float32), nan(), np.zeros((2, 8000), np.float32), np.zeros(1000, np.float32)):
        with pytest.raises(ServiceError):
            await services.speaker.voice(audio)
    assert np.isfinite(await services.speaker.voice(np.zeros(8000, np.float32))).all()
