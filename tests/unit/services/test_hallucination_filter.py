"""Which part of a decoding is believed."""

import numpy as np
import pytest

from services.base import HEARING_RATE
from services.stt.hallucination import NOISE, believable, is_invented, loop_start, said
from services.stt.whisper import split_at_quiet

FIRST = 1000  # id of the timestamp 0.00 in these tests; a word is a letter, its id the letter's code


def decoding(*items: str | float) -> list[int]:
    """Token ids of texts and timestamps (s)."""
    ids: list[int] = []
    for item in items:
        ids += [ord(letter) for letter in item] if isinstance(item, str) else [FIRST + round(item / 0.02)]
    return ids


def trusted(ids: list[int], seconds: float, unfinished: bool = False) -> str:
    def decode(tokens: list[int]) -> str:
        return "".join(map(chr, tokens))

    return said(ids, FIRST, decode, seconds, unfinished)


def test_all_segments_of_clear_speech_are_kept() -> None:
    assert trusted(decoding(0.0, "one two ", 1.2, 1.2, "three", 2.9), 3.0) == "one two three"


def test_a_clip_without_timestamps_is_kept() -> None:
    assert trusted(decoding("okay"), 0.8) == "okay"


def test_what_comes_after_the_end_of_the_audio_is_cut() -> None:
    assert trusted(decoding(0.0, "all was said", 2.8, 2.8, " and more", 5.0), 3.0) == "all was said"


def test_what_nobody_could_say_in_the_time_left_is_cut() -> None:
    assert (
        trusted(decoding(0.0, "all was said", 2.4, 2.4, " and much more than there was time for", 4.0), 3.0) == "all was said"
    )


@pytest.mark.parametrize("rounds", ["abcdefgh" * 2, "abcdefgh" * 4, "abcdefgh" * 2 + "abc"])
def test_a_loop_is_said_once(rounds: str) -> None:
    assert trusted(decoding(0.0, rounds, 2.0), 6.0) == "abcdefgh"


@pytest.mark.parametrize("said", ["no " * 6 + "I want tea", "what is " * 3 + "the time"])
def test_what_is_said_after_a_loop_is_kept(said: str) -> None:
    start, after = ("no ", "I want tea") if said.startswith("no") else ("what is ", "the time")
    assert trusted(decoding(0.0, said, 3.0), 6.0) == start + after


def test_the_first_word_of_a_sentence_is_the_same_in_the_middle_of_one() -> None:
    assert trusted(decoding(0.0, "Abcdefghabcd"), 6.0, unfinished=True) == "Abcdefgh"


def test_a_second_round_that_was_stopped_is_cut() -> None:
    assert trusted(decoding(0.0, "abcdefghabc"), 6.0, unfinished=True) == "abcdefgh"
    assert trusted(decoding(0.0, "abcdefghabc"), 6.0) == "abcdefghabc"


@pytest.mark.parametrize(("speech", "no_speech", "looped"), [(0.4, 0.1, False), (0.7, 0.4, True)])
def test_what_is_written_of_another_sound_is_invented(speech: float, no_speech: float, looped: bool) -> None:
    assert is_invented(speech, NOISE, no_speech, looped)


@pytest.mark.parametrize(("speech", "no_speech", "looped"), [(0.6, 0.95, False), (0.9, 0.9, True), (0.7, 0.2, True)])
def test_speech_is_believed_whatever_whisper_thinks_of_it(speech: float, no_speech: float, looped: bool) -> None:
    assert not is_invented(speech, NOISE, no_speech, looped)


@pytest.mark.parametrize(
    "text", ["no no no", "ask not what your country can do for you ask what you can do for your country", ""]
)
def test_people_who_repeat_themselves_do_not_loop(text: str) -> None:
    assert loop_start(decoding(text)) is None


def test_a_long_recording_is_cut_where_it_is_quiet() -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 70 * HEARING_RATE).astype(np.float32)
    for second in (25, 50):
        audio[second * HEARING_RATE : second * HEARING_RATE + 3200] = 0
    parts = split_at_quiet(audio)
    assert np.array_equal(np.concatenate(parts), audio)
    assert max(map(len, parts)) <= 29 * HEARING_RATE
    assert abs(len(parts[0]) - 25.1 * HEARING_RATE) < 0.2 * HEARING_RATE


@pytest.mark.parametrize(
    ("text", "speech", "seconds", "kept"),
    [
        ("Thank you.", 0.1, 0.6, ""),  # a sneeze
        ("Thank you.", 0.97, 0.6, "Thank you."),
        ("No no no no.", 0.97, 1.5, "No no no no."),
        ("you " * 30, 0.6, 3.0, ""),  # music
        ("you " * 30, 0.95, 9.0, "you"),
        ("no " * 12 + "I want tea", 0.95, 6.0, "no I want tea"),
        ("I'll see you in the next video. " * 3, 0.9, 4.0, "I'll see you in the next video."),
        (" ".join(map(str, range(60))), 0.9, 0.5, ""),  # nobody speaks so fast
        ("", 0.9, 1.0, ""),
    ],
)
def test_what_a_recogniser_elsewhere_writes_is_believed_where_somebody_speaks(
    text: str, speech: float, seconds: float, kept: str
) -> None:
    assert believable(text, speech, seconds) == kept
