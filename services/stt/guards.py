"""What to believe of Whisper's output: it invents words on silence and noise, and it may say its text again after the end.

The thresholds were measured on 66 crops of noise and music, ten of white noise and 270 of speech, clean, at 10 and 5 dB, clipped
and at -26 dB, with and without a prompt: see tests/bench/wer.py, which counts invented words.
"""

from collections.abc import Callable, Sequence

TICK_S = 0.02  # step of Whisper's timestamps
END_S = 0.3  # a timestamp so close to the end of the audio is its end
CHARS_PER_S = 30  # nobody speaks faster; fast talkers reach 20
CHARS_FREE = 15  # for words that begin at once or are cut off
NOISE = 0.35  # belief in "no speech" above which looped text is noise
DOUBT = 0.6  # of no_speech - 0.25 * mean log probability: noise begins there, speech seldom passes 0.5
SURE = -0.6  # mean log probability above which text is believed all the same
PHRASE = 5  # tokens: nobody says so long a phrase twice in a row, and when they do, once is enough
LOOP_TOKENS = 12  # that make a loop of fewer tokens, in at least three rounds


def trusted_text(
    ids: Sequence[int],
    first_timestamp: int,
    decode: Callable[[list[int]], str],
    seconds: float,
    no_speech: float,
    log_probability: float,
    unfinished: bool = False,
) -> str:
    """The part of a decoding of `seconds` of audio that was really said, "" for noise. Token ids from `first_timestamp` on are
    timestamps of TICK_S; `log_probability` is the mean over the tokens; `unfinished` tells that decoding was stopped."""
    if log_probability < SURE and no_speech - 0.25 * log_probability > DOUBT:
        return ""
    loop = loop_start([token for token in ids if token < first_timestamp], unfinished)
    if no_speech > NOISE and loop is not None:
        return ""
    said: list[int] = []
    for start, words in _segments(ids, first_timestamp, seconds):
        room = len(words) if loop is None else loop - len(said)
        text = decode(words[:room])
        if len(text) > CHARS_PER_S * (seconds - start) + CHARS_FREE:
            break
        said += words[:room]
    return decode(said).strip()


def _segments(ids: Sequence[int], first_timestamp: int, seconds: float) -> list[tuple[float, list[int]]]:
    """Start time and words of each segment, up to the one that reaches the end of the audio."""
    segments: list[tuple[float, list[int]]] = [(0.0, [])]
    for token in ids:
        if token < first_timestamp:
            segments[-1][1].append(token)
            continue
        at = (token - first_timestamp) * TICK_S
        if segments[-1][1] and at >= seconds - END_S:
            break
        segments.append((at, []))
    return segments


def loop_start(tokens: Sequence[int], unfinished: bool = False) -> int | None:
    """Where the second round of a loop begins, if `tokens` hold one: a phrase said twice in a row, a few tokens over and over, or,
    when decoding was stopped (`unfinished`), the beginning of a second round."""
    for period in range(1, len(tokens)):
        run = 0
        for at in range(period, len(tokens)):
            run = run + 1 if tokens[at] == tokens[at - period] else 0
            last = unfinished and at == len(tokens) - 1 and period >= PHRASE
            if run >= (2 if last else period if period >= PHRASE else max(LOOP_TOKENS, 3 * period) - period):
                return at - run + 1
    return None
