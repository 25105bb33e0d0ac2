"""What to believe of Whisper's output: it invents words on silence and noise, and it may say its text again after the end.

What it thinks of itself is no guide: with an accent or a telephone it doubts what is right, and of noise it may be sure. What its
encoder sees tells them apart: see `services.stt.speech_judge`.
"""

from collections.abc import Callable, Sequence

TICK_S = 0.02  # step of Whisper's timestamps
END_S = 0.3  # a timestamp so close to the end of the audio is its end
CHARS_PER_S = 30  # nobody speaks faster; fast talkers reach 20
CHARS_FREE = 15  # for words that begin at once or are cut off
NOISE = 0.5  # probability of speech below which there is none
PLAIN_NOISE = 0.2  # ... and below which there surely is none
LOOPED_NOISE = 0.35  # Whisper's own belief in "no speech" above which looped text may be noise ...
LOOPED_SPEECH = 0.8  # ... unless this surely is speech: people say "no no no no"
# Mean log probability below which a closer look is waited for: 40 of 116 answers, 9 of 32 statements, 2 of 55 questions, requests
# and orders.
WAITED_FOR = -0.7
PHRASE = 5  # tokens: nobody says so long a phrase twice in a row, and when they do, once is enough
LOOP_TOKENS = 12  # that make a loop of fewer tokens, in at least three rounds


def is_invented(speech: float, noise: float, no_speech: float, looped: bool) -> bool:
    """Whether the text is of a sound that is no speech. `speech` is the judge's probability (0..1), and `noise` what it is at least
    of speech; `no_speech` is Whisper's that nothing was said, `looped`: it writes the same thing over and over."""
    return speech < noise or (looped and no_speech > LOOPED_NOISE and speech < LOOPED_SPEECH)


def is_doubtful(sure: float, looped: bool) -> bool:
    """Whether a closer look is worth waiting for. `sure` is the mean log probability of the tokens."""
    return looped or sure < WAITED_FOR


def believable(text: str, speech: float, seconds: float) -> str:
    """What of the `text` of a recogniser elsewhere can have been said in so many seconds: once what loops, and nothing where the
    sound is none of speech. `speech` is the judge's probability (0..1); the recogniser tells nothing of its own doubts."""
    words = text.split()
    loop = repeated([hash(word.casefold()) for word in words])
    if speech < NOISE or (loop and speech < LOOPED_SPEECH):
        return ""
    kept = " ".join(word for at, word in enumerate(words) if at not in loop)
    return kept if len(kept) <= CHARS_PER_S * seconds + CHARS_FREE else ""


def said(
    ids: Sequence[int], first_timestamp: int, decode: Callable[[list[int]], str], seconds: float, unfinished: bool = False
) -> str:
    """The part of a decoding of `seconds` of audio that can have been said: once what loops, and nothing after the end. Token ids
    from `first_timestamp` on are timestamps of TICK_S; `unfinished` tells that decoding was stopped."""
    loop = repeated(sounds([token for token in ids if token < first_timestamp], decode), unfinished)
    kept: list[int] = []
    seen = 0
    for start, words in _segments(ids, first_timestamp, seconds):
        once = [token for at, token in enumerate(words, seen) if at not in loop]
        seen += len(words)
        if len(decode(once)) > CHARS_PER_S * (seconds - start) + CHARS_FREE:
            break
        kept += once
    return decode(kept).strip()


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


def sounds(tokens: Sequence[int], decode: Callable[[list[int]], str]) -> list[str]:
    """What each token sounds like: the first word of a sentence is the same in the middle of one, where it has a small letter."""
    return [decode([token]).strip().casefold() for token in tokens]


def loop_start(tokens: Sequence[object], unfinished: bool = False) -> int | None:
    """Where the second round of a loop begins, if `tokens` hold one."""
    return next(iter(repeated(tokens, unfinished)), None)


def repeated(tokens: Sequence[object], unfinished: bool = False) -> range:
    """The places of all rounds of a loop but its first, if `tokens` hold one: a phrase said twice in a row, a few tokens over and
    over, or, when decoding was stopped (`unfinished`), the beginning of a second round. What follows them somebody may have said
    who stutters, or says "no" a dozen times."""
    for period in range(1, len(tokens)):
        run = 0
        for at in range(period, len(tokens)):
            run = run + 1 if tokens[at] == tokens[at - period] else 0
            last = unfinished and at == len(tokens) - 1 and period >= PHRASE
            if run >= (2 if last else period if period >= PHRASE else max(LOOP_TOKENS, 3 * period) - period):
                end = at + 1
                while end < len(tokens) and tokens[end] == tokens[end - period]:
                    end += 1
                return range(at - run + 1, end)
    return range(0)
