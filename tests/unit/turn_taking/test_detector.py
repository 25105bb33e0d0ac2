"""The turn-taking policy, fed window by window."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.events import BargeIn, OnsetDismissed, OnsetHeld, SpeechOnset, TurnEnded, TurnReopened, TurnUnrecognised
from app.settings import EAGERNESS, Eagerness, Settings
from app.turn_taking.detector import TurnDetector
from app.turn_taking.endpointing import Said
from app.turn_taking.levels import WINDOW_MS, Gain
from app.turn_taking.signals import Agent, Ask, Signal
from languages.en import LANGUAGE as ENGLISH
from languages.wording import trails_off


def policy(**settings: object) -> TurnDetector:
    return TurnDetector(Settings(_env_file=None, **settings), ENGLISH)  # type: ignore[arg-type]


def feed(
    turns: TurnDetector,
    voice_ms: float,
    agent: Agent = "silent",
    probability: float = 0.9,
    age_ms: float = 0.0,
    level_db: float = 0.0,
) -> list[Signal]:
    signals: list[Signal] = []
    for _ in range(round(voice_ms / WINDOW_MS)):
        signals += turns.window(probability, agent, age_ms, level_db)
    return signals


def hush(turns: TurnDetector, ms: float, agent: Agent = "silent", age_ms: float = 0.0, level_db: float = 0.0) -> list[Signal]:
    return feed(turns, ms, agent, probability=0.02, age_ms=age_ms, level_db=level_db)


def a_turn(turns: TurnDetector, text: str = "How does it work?", complete: float = 0.99) -> list[Signal]:
    feed(turns, 960)
    hush(turns, 160)
    turns.turn.prepared(turns.turn.revision, Said(text, complete, is_complete_command=True))
    return hush(turns, 2000)


def test_one_voiced_window_is_no_onset_and_two_are() -> None:
    turns = policy()
    assert feed(turns, 32) == []
    hush(turns, 320)
    assert feed(turns, 64) == [SpeechOnset(at_ms=352.0)]


def test_a_pause_asks_for_preparation_once_and_speech_drops_it() -> None:
    turns = policy()
    feed(turns, 640)
    assert hush(turns, 600) == [Ask.PREPARE]
    assert feed(turns, 96)[:1] == [Ask.DROP]
    assert turns.turn.revision == 1
    assert hush(turns, 160) == [Ask.PREPARE]
    assert turns.turn.revision == 2


def test_a_stale_revision_ends_nothing() -> None:
    turns = policy()
    feed(turns, 640)
    hush(turns, 160)
    feed(turns, 320)
    hush(turns, 160)
    assert turns.turn.prepared(1, Said("How does it", 0.99)) == []
    assert hush(turns, 3000) == []
    assert turns.turn.prepared(2, Said("How does it work?", 0.99, is_complete_command=True)) == [
        TurnEnded(turn=1, revision=2, text="How does it work?")
    ]


def waited(turns: TurnDetector, said: Said, eagerness: Eagerness | None = None) -> float:
    """The silence (ms) after which a turn of which this is known ends, from its first silent window on."""
    hush(turns, 32)
    signals = turns.turn.prepared(turns.turn.revision, said, eagerness)
    while not signals:
        signals = hush(turns, WINDOW_MS)
    assert signals == [TurnEnded(turn=turns.turn.number, revision=turns.turn.revision, text=said.text)]
    return turns.activity.silence_ms


def after_speech(*pauses: float) -> TurnDetector:
    """A turn of which one burst was said, and before it others with these pauses (ms) after them."""
    turns = policy()
    feed(turns, 960)
    for pause in pauses:
        hush(turns, pause)
        feed(turns, 960)
    return turns


def test_what_is_whole_ends_at_once_and_what_is_not_may_pause() -> None:
    assert waited(after_speech(), Said("Thank you.", 0.3, 0.9, is_complete_command=True)) == 192
    assert waited(after_speech(), Said("I want a coffee with", 0.99, 0.1)) > 1000
    whole = waited(after_speech(), Said("I was about to go to my room.", 0.99, 0.95))
    assert 192 < whole < waited(after_speech(), Said("I was about to go to my room.", 0.2, 0.3)) < 1800


@pytest.mark.parametrize(
    "said",
    [
        Said("I was about to go to my room.", 0.9, 0.7),
        Said("We meet on.", 0.4, 0.5, asked="When do you meet?"),
        Said("555 12", 0.3, 0.1),
        Said("Can I have a dark roast coffee?", 0.5, 0.9),
        Said("What time is it in Rome?", 0.3, 0.7),
    ],
)
def test_who_wants_an_eager_agent_gets_one(said: Said) -> None:
    low, medium, high = (waited(after_speech(), said, eagerness) for eagerness in EAGERNESS)
    assert low >= medium >= high and low > high
    assert waited(after_speech(), said) == medium


def test_there_is_no_cliff() -> None:
    """A little less sure is a little later: windows of 32 ms, for a step of a hundredth of each belief."""
    for text in ("It was on the table.", "I want a coffee with milk.", "555 123", "Which one is the largest of them?"):
        waits = [waited(after_speech(), Said(text, sure / 100, sure / 100)) for sure in range(100, -1, -1)]
        assert max(abs(later - sooner) for sooner, later in pairwise(waits)) <= 288, text


@pytest.mark.parametrize("text", ["555", "555 12", "Z-U-R-I", "5, 5, 5, 1,", "My number is 5 5 5", "john.smith at"])
@pytest.mark.parametrize("asked", ["", "What is your phone number?", "Could you spell your e-mail address?"])
def test_who_dictates_pauses_between_groups(text: str, asked: str) -> None:
    for pause in (320, 416, 544):  # half of such pauses last 0.4 s
        turns = after_speech()
        hush(turns, 32)
        assert turns.turn.prepared(1, Said(text, 0.5, 0.1, asked=asked)) == []
        assert hush(turns, pause - 32) == []
        assert Ask.DROP in feed(turns, 96)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("555-123-4567", "What is your phone number?"),
        ("5 5 5 1 2 3 4 5 6 7.", "May I have your number, please?"),
        ("My number is 5551234567.", ""),
        ("john.smith@example.com", "What is your e-mail address?"),
        ("john dot smith at example dot com", ""),
        ("4111 1111 1111 1111", "What is your card number?"),
        ("94110", "What is your zip code?"),
    ],
)
def test_what_is_dictated_is_answered_soon_when_it_is_whole(text: str, asked: str) -> None:
    assert waited(after_speech(), Said(text, 0.9, 0.5, asked=asked)) < 450
    for less in (text[: len(text) // 2], text[: len(text) * 2 // 3]):
        assert waited(after_speech(), Said(less, 0.9, 0.2, asked=asked)) > 500


def test_a_number_is_whole_when_it_is_as_long_as_what_was_asked_for() -> None:
    ten = "411 111 1111"
    assert waited(after_speech(), Said(ten, 0.9, 0.3, asked="What is your card number?")) > waited(
        after_speech(), Said(ten, 0.9, 0.3, asked="What is your phone number?")
    )


@pytest.mark.parametrize("text", ["On Monday.", "Two people.", "My name is Turner.", "Half an hour.", "7"])
def test_an_answer_to_the_agents_question_is_likely_to_be_whole(text: str) -> None:
    answered = waited(after_speech(), Said(text, 0.95, 0.7, asked="Sure. How many nights will that be?"))
    assert answered <= 512
    for line in ("", "You are welcome.", "How can I help you?", "Is there anything else?"):
        assert waited(after_speech(), Said(text, 0.95, 0.7, asked=line)) > answered


def test_who_makes_long_pauses_is_given_longer_ones() -> None:
    said = Said("I was about to go to my room.", 0.6, 0.7, ending=0.4)
    assert (
        waited(after_speech(256, 256, 256), said) < waited(after_speech(), said) < waited(after_speech(1024, 1024, 1024), said)
    )


def test_a_second_look_at_the_same_pause_counts() -> None:
    turns = after_speech()
    hush(turns, 32)
    assert turns.turn.prepared(1, Said("555 123", 0.4, 0.1)) == []
    hush(turns, 320)
    whole = Said("555 123 4567", 0.9, 0.6, asked="What is your number?")
    assert (turns.turn.prepared(1, whole) or hush(turns, 128)) == [TurnEnded(turn=1, revision=1, text="555 123 4567")]


@pytest.mark.parametrize(
    ("voice", "signal"), [(256, OnsetDismissed(kind="noise")), (320, TurnUnrecognised(turn=1, unclear=True))]
)
def test_a_voice_that_lasts_and_has_no_word_is_told_from_noise(voice: int, signal: Signal) -> None:
    turns = policy()
    feed(turns, voice)
    hush(turns, 160)
    assert turns.turn.prepared(1, Said("", 0.9)) == []
    assert hush(turns, 512) == [signal]


def test_an_exclamation_that_answers_a_question_may_be_a_misheard_word() -> None:
    """ "No" becomes "Oh": whoever was asked for something is asked again, unless they go on."""
    for asked, signal in (("Do you want milk?", TurnUnrecognised(turn=1, unclear=True)), ("", OnsetDismissed(kind="noise"))):
        turns = policy()
        feed(turns, 320)
        hush(turns, 160)
        assert turns.turn.prepared(1, Said("Oh.", 0.9, asked=asked)) == []
        assert hush(turns, 2000) == [signal]
    turns = policy()
    feed(turns, 320)
    hush(turns, 160)
    turns.turn.prepared(1, Said("Oh.", 0.9, asked="Do you want milk?"))
    assert hush(turns, 1000) == []
    assert feed(turns, 96)[:1] == [Ask.DROP]
    assert turns.turn.open, "the turn goes on"


def test_an_exclamation_is_shorter_than_a_turn_of_several_words() -> None:
    for ms, text, signal in (
        (960, "Oh.", TurnUnrecognised(turn=1, unclear=True)),
        (480, "Oh.", OnsetDismissed(kind="noise")),
        (960, "Hmm.", OnsetDismissed(kind="noise")),
    ):
        turns = policy()
        feed(turns, ms, probability=0.95)
        hush(turns, 160)
        assert turns.turn.prepared(1, Said(text, 0.9)) == []
        assert hush(turns, 512) == [signal]


def test_noise_without_words_opens_no_turn_for_the_agent() -> None:
    for text in ("Hmm.", "Mm-hmm."):
        turns = policy()
        feed(turns, 320)
        hush(turns, 160)
        assert turns.turn.prepared(1, Said(text, 0.9)) == []
        assert hush(turns, 512) == [OnsetDismissed(kind="noise")]
        assert not turns.turn.open


def test_a_first_word_that_was_not_understood_is_kept_for_what_follows() -> None:
    turns = policy()
    feed(turns, 160)
    hush(turns, 64)
    turns.turn.prepared(1, Said("", 0.0))
    hush(turns, 160)
    assert Ask.DROP in feed(turns, 640)
    assert (turns.turn.number, turns.turn.start_ms) == (1, 0.0)


def a_part(turns: TurnDetector, text: str, pause_ms: float = 64) -> list[Signal]:
    """What follows where so much more is said that a turn of `max_turn_s=5` is long, and nobody waits until it was read."""
    feed(turns, 5100)
    assert Ask.PREPARE in hush(turns, pause_ms)
    signals = feed(turns, 320) + turns.turn.prepared(turns.turn.revision, Said(text, 0.9))
    return [signal for signal in signals if signal is not Ask.PARTIAL]


def test_a_long_turn_is_read_in_parts_and_all_of_it_is_answered() -> None:
    turns = policy(max_turn_s=5, preroll_ms=400)
    assert a_part(turns, "First there was one.") == []
    assert turns.turn.start_ms - 400 == 5088, "of what was read nothing is read again, and of what follows all"
    assert a_part(turns, "Then there were two.") == []
    hush(turns, 64)
    turns.turn.prepared(turns.turn.revision, Said("And then?", 0.99, is_complete_command=True))
    [ended] = hush(turns, 1600)
    assert isinstance(ended, TurnEnded)
    assert (ended.turn, ended.text) == (1, "First there was one. Then there were two. And then?")


def test_a_long_turn_without_a_pause_is_read_in_the_middle() -> None:
    turns = policy(max_turn_s=5)
    assert Ask.PREPARE not in feed(turns, 9900)
    assert Ask.PREPARE in feed(turns, 320)
    feed(turns, 64)
    assert turns.turn.prepared(turns.turn.revision, Said("and so on and", 0.0)) == []
    hush(turns, 64)
    turns.turn.prepared(turns.turn.revision, Said("", 0.0))
    assert hush(turns, 1600) == [TurnEnded(turn=1, revision=2, text="and so on and")]


def test_a_long_turn_that_goes_on_after_its_end_keeps_its_text() -> None:
    turns = policy(max_turn_s=5)
    a_part(turns, "First there was one.")
    hush(turns, 64)
    turns.turn.prepared(turns.turn.revision, Said("Then two.", 0.99, is_complete_command=True))
    while not any(isinstance(signal, TurnEnded) for signal in hush(turns, 32)):
        assert turns.turn.open
    assert TurnReopened in [type(signal) for signal in feed(turns, 320, "thinking")]
    assert (turns.turn.number, turns.turn.whole("And three.")) == (1, "First there was one. And three.")


def test_a_turn_that_goes_on_and_on_is_ended_and_what_follows_is_another() -> None:
    turns = policy(max_turn_s=5)
    assert a_part(turns, "and so on " * 150) == []
    [ended] = a_part(turns, "and so on " * 150)
    assert isinstance(ended, TurnEnded) and len(ended.text) == 3000
    assert TurnReopened(at_ms=turns.activity.burst_ms, full=True) in feed(turns, 320, "thinking")
    assert (turns.turn.number, turns.turn.told) == (2, "")


def test_where_a_long_turn_cannot_be_read_that_is_said() -> None:
    turns = policy(max_turn_s=5)
    feed(turns, 10_200)
    feed(turns, 64)
    assert turns.turn.failed(turns.turn.revision) == [Ask.PREPARE], "it is tried once more"
    feed(turns, 64)
    assert turns.turn.failed(turns.turn.revision) == [TurnUnrecognised(turn=1)]


def test_captions_are_asked_for_while_the_user_speaks() -> None:
    assert feed(policy(partial_every_ms=600), 2000).count(Ask.PARTIAL) == 3


def over(turns: TurnDetector, voice_ms: float, level_db: float = 65.0) -> list[Signal]:
    """Voice over an agent who has been speaking for 5 s."""
    return feed(turns, voice_ms, "speaking", age_ms=5000, level_db=level_db)


def glimpse(turns: TurnDetector, speech: float, text: str) -> list[Signal]:
    return turns.classified(turns.activity.burst_ms, speech, text, "speaking", 5000)


def test_over_the_agent_one_window_is_an_onset_and_a_lasting_sound_holds_it() -> None:
    turns = policy(hold_ms=160, barge_in_ms=192)
    assert over(turns, 32) == [SpeechOnset(at_ms=0.0)]
    assert over(turns, 192) == [OnsetHeld(), Ask.CLASSIFY]


def test_speech_with_words_is_an_interruption_at_once() -> None:
    turns = policy()
    over(turns, 256)
    assert glimpse(turns, 0.9, "What about") == [BargeIn(at_ms=0.0)]
    assert turns.turn.open


@pytest.mark.parametrize(
    ("speech", "text"), [(0.2, ""), (0.9, "Okay. Okay. Okay"), (0.9, "Mm-hmm."), (0.6, "and"), (0.4, "I am not")]
)
def test_noise_acknowledgements_and_doubtful_words_are_not(speech: float, text: str) -> None:
    turns = policy()
    over(turns, 256)
    assert glimpse(turns, speech, text) == []
    assert turns.overlap.active


def test_a_glimpse_of_another_burst_decides_nothing() -> None:
    turns = policy()
    over(turns, 256)
    assert turns.classified(turns.activity.burst_ms - 500, 0.9, "What about", "speaking", 5000) == []


@pytest.mark.parametrize(
    ("speech", "text", "kind"),
    [
        (0.9, "Mm-hmm.", "backchannel"),
        (0.9, "Yeah, right.", "backchannel"),
        (0.2, "", "noise"),
        (0.2, "I know.", "backchannel"),
    ],
)
def test_when_the_burst_is_over_its_words_decide(speech: float, text: str, kind: str) -> None:
    turns = policy()
    over(turns, 320)
    glimpse(turns, speech, "")
    assert hush(turns, 256, "speaking", 5000) == [Ask.IDENTIFY]
    assert turns.words(turns.activity.burst_ms, text, "speaking", 5000) == [OnsetDismissed(kind=kind)]  # type: ignore[arg-type]


def test_a_single_word_that_calls_the_agent_interrupts_whatever_it_sounded_like() -> None:
    turns = policy()
    over(turns, 256)
    glimpse(turns, 0.2, "")
    hush(turns, 256, "speaking", age_ms=5000)
    assert turns.words(turns.activity.burst_ms, "Stop.", "speaking", 5000) == [BargeIn(at_ms=0.0)]


@pytest.mark.parametrize("silent_ms", [0, 96, 320])
def test_a_burst_whose_words_were_asked_for_with_its_last_voice_is_decided_on(silent_ms: float) -> None:
    turns = policy()
    assert Ask.IDENTIFY in over(turns, 640)
    glimpse(turns, 0.2, "")
    said = hush(turns, silent_ms, "speaking", 5000)
    said += turns.words(turns.activity.burst_ms, "Okay.", "speaking", 5000)
    said += hush(turns, 320 - silent_ms, "speaking", 5000)
    assert said == [OnsetDismissed(kind="backchannel")]
    assert not turns.overlap.active


@pytest.mark.parametrize(
    ("ms", "speech", "text", "kind"),
    [
        (608, 0.03, "Oh, take it away.", "backchannel"),  # "mm"
        (608, 0.03, "Oh, oh, dead, dead, dead, dead.", "backchannel"),  # speech-to-text repeats itself on a short sound
        (608, 0.2, "Oh, take it away.", "interruption"),
        (608, 0.03, "No, take it away.", "interruption"),
        (1280, 0.03, "Take it away.", "interruption"),  # behind a cough
    ],
)
def test_an_order_that_sounded_like_no_speech_at_all_is_none(ms: float, speech: float, text: str, kind: str) -> None:
    turns = policy()
    over(turns, ms)
    glimpse(turns, speech, "")
    hush(turns, 256, "speaking", age_ms=5000)
    expected = BargeIn(at_ms=0.0) if kind == "interruption" else OnsetDismissed(kind=kind)  # type: ignore[arg-type]
    assert turns.words(turns.activity.burst_ms, text, "speaking", 5000) == [expected]


def test_a_blip_over_the_agent_is_noise() -> None:
    turns = policy()
    over(turns, 64)
    assert hush(turns, 256, "speaking", 5000) == [OnsetDismissed(kind="noise")]


def after_a_turn(level_db: float) -> TurnDetector:
    """The user has said something at this level."""
    turns = policy()
    feed(turns, 960, level_db=level_db)
    hush(turns, 32)
    turns.turn.prepared(1, Said("How does it work?", 0.99, is_complete_command=True))
    hush(turns, 2000)
    turns.level.learn()
    return turns


def test_a_voice_far_below_the_users_own_is_not_meant_for_the_agent() -> None:
    turns = after_a_turn(60.0)
    over(turns, 256, level_db=45.0)
    assert glimpse(turns, 0.9, "and then she said") == []
    hush(turns, 256, "speaking", 5000)
    assert turns.words(turns.activity.burst_ms, "and then she said", "speaking", 5000) == [OnsetDismissed(kind="other_speech")]


@pytest.mark.parametrize("text", ["but when he came back there was no one", "so what she said was why not go home"])
def test_talk_in_the_room_is_not_meant_for_the_agent_whatever_words_are_in_it(text: str) -> None:
    turns = after_a_turn(60.0)
    over(turns, 1200, level_db=45.0)
    assert glimpse(turns, 0.99, text) == []
    hush(turns, 256, "speaking", 5000)
    assert turns.words(turns.activity.burst_ms, text, "speaking", 5000) == [OnsetDismissed(kind="other_speech")]


def test_before_the_user_is_known_a_weak_voice_is_somebody_elses() -> None:
    turns = policy()
    over(turns, 256, level_db=52.0)
    assert glimpse(turns, 0.99, "and then she said") == []
    turns = policy()
    over(turns, 256, level_db=58.0)
    assert glimpse(turns, 0.99, "and then she said") == [BargeIn(at_ms=0.0)]


def recognise(turns: TurnDetector, likeness: float) -> list[Signal]:
    return turns.recognised(turns.activity.burst_ms, likeness, "speaking", 5000)


def test_a_weak_voice_that_is_the_users_interrupts_as_soon_as_it_is_known() -> None:
    turns = after_a_turn(60.0)
    assert Ask.RECOGNISE in over(turns, 480, level_db=46.0)
    assert glimpse(turns, 0.99, "and then she said") == []
    assert recognise(turns, 0.45) == [BargeIn(at_ms=turns.activity.burst_ms)]


def test_who_speaks_up_in_mid_burst_interrupts() -> None:
    """Somebody else talks when the user begins."""
    turns = after_a_turn(60.0)
    over(turns, 512, level_db=45.0)
    assert glimpse(turns, 0.99, "and then she said") == []
    assert BargeIn(at_ms=turns.activity.burst_ms) in over(turns, 320, level_db=62.0)


@pytest.mark.parametrize(("likeness", "signal"), [(-0.05, OnsetDismissed(kind="other_speech")), (0.3, None)])
def test_somebody_elses_voice_does_not_interrupt_whatever_it_wants(likeness: float, signal: Signal | None) -> None:
    turns = after_a_turn(60.0)
    over(turns, 480, level_db=48.0)
    recognise(turns, likeness)
    over(turns, 64, level_db=48.0)
    hush(turns, 256, "speaking", 5000)
    [answer] = turns.words(turns.activity.burst_ms, "Can I have a tea?", "speaking", 5000)
    assert answer == (signal or BargeIn(at_ms=turns.activity.burst_ms))


def test_without_the_lock_nobody_is_compared() -> None:
    turns = policy(speaker_lock=False)
    assert Ask.RECOGNISE not in over(turns, 2000, level_db=42.0)


@pytest.mark.parametrize(
    "text", ["I want a double shot coffee", "What's the weather like?", "Can I have a tea?", "Please stop."]
)
def test_a_faint_voice_that_wants_something_is_meant_for_the_agent(text: str) -> None:
    turns = after_a_turn(60.0)
    over(turns, 640, level_db=49.0)
    assert turns.words(turns.activity.burst_ms, text, "speaking", 5000) == [BargeIn(at_ms=turns.activity.burst_ms)]


def someone_on_the_phone(turns: TurnDetector) -> None:
    """Who has been found to be somebody else, and goes on."""
    over(turns, 1536, level_db=45.0)
    dismissed = turns.words(turns.activity.burst_ms, "and then she said that it was", "speaking", 5000)
    assert dismissed == [OnsetDismissed(kind="other_speech")]


def test_who_is_found_to_be_somebody_else_is_not_heard_for_a_while() -> None:
    turns = after_a_turn(60.0)
    someone_on_the_phone(turns)
    assert over(turns, 4000, level_db=45.0) == []
    assert feed(turns, 4000, level_db=45.0) == []
    assert not turns.turn.open
    assert SpeechOnset(at_ms=turns.activity.now_ms) in over(turns, 32, level_db=58.0)
    later = after_a_turn(60.0)
    someone_on_the_phone(later)
    hush(later, 12_000, "speaking", 5000)
    assert over(later, 32, level_db=45.0) == [SpeechOnset(at_ms=later.activity.now_ms - 32)]


def test_a_turn_ends_and_is_answered_while_somebody_else_goes_on() -> None:
    turns = after_a_turn(60.0)
    someone_on_the_phone(turns)
    assert SpeechOnset(at_ms=turns.activity.now_ms) in feed(turns, 640, level_db=60.0)
    assert Ask.PREPARE not in feed(turns, 256, level_db=45.0)  # a weak syllable
    assert Ask.PREPARE in feed(turns, 192, level_db=45.0)
    turns.turn.prepared(turns.turn.revision, Said("How does it work?", 0.99, is_complete_command=True))
    assert any(isinstance(signal, TurnEnded) for signal in feed(turns, 2000, level_db=45.0))
    assert feed(turns, 2000, "thinking", level_db=45.0) == []


def test_a_quiet_user_who_is_louder_than_the_bystander_is_heard() -> None:
    turns = after_a_turn(60.0)
    someone_on_the_phone(turns)
    assert Ask.CLASSIFY in over(turns, 256, level_db=53.0)


def test_what_somebody_else_says_as_the_agent_finishes_is_no_turn() -> None:
    turns = after_a_turn(60.0)
    over(turns, 512, level_db=45.0)
    assert feed(turns, 1000, level_db=45.0) == [OnsetDismissed(kind="other_speech")]
    assert not turns.turn.open


def test_where_the_user_has_not_spoken_yet_a_weak_voice_is_heard_as_soon_as_the_agent_is_silent() -> None:
    turns = policy()
    over(turns, 1536, level_db=50.0)
    assert turns.words(turns.activity.burst_ms, "and then she said that it was", "speaking", 5000) != []
    assert over(turns, 512, level_db=50.0) == []
    feed(turns, 512, level_db=50.0)
    assert turns.turn.open


def test_somebody_else_does_not_reopen_a_turn_while_the_agent_thinks() -> None:
    turns = after_a_turn(60.0)
    assert not any(isinstance(signal, TurnReopened) for signal in feed(turns, 1000, "thinking", level_db=45.0))


def test_a_long_burst_of_which_no_words_come_is_not_looked_at_without_end() -> None:
    turns = policy()
    signals = over(turns, 20_000, level_db=42.0)
    assert (signals.count(Ask.CLASSIFY), signals.count(Ask.IDENTIFY), signals.count(Ask.RECOGNISE)) == (6, 5, 6)


def test_a_long_sound_is_looked_at_word_by_word() -> None:
    turns = policy(backchannel_ms=640)
    over(turns, 256)
    glimpse(turns, 0.2, "")
    assert Ask.IDENTIFY in over(turns, 448)
    assert turns.words(turns.activity.burst_ms, "I would rather have the other one", "speaking", 5000) == [BargeIn(at_ms=0.0)]


def test_a_short_command_over_the_agent_is_confirmed_after_it_ended() -> None:
    turns = policy()
    over(turns, 256)
    hush(turns, 256, "speaking", age_ms=5000)
    assert turns.words(turns.activity.burst_ms, "Stop.", "speaking", 5000) == [BargeIn(at_ms=0.0)]
    assert Ask.PREPARE in hush(turns, 64)


def test_going_on_while_the_agent_thinks_reopens_the_turn() -> None:
    turns = policy()
    assert isinstance(a_turn(turns)[-1], TurnEnded)
    turns = policy()
    feed(turns, 960)
    hush(turns, 160)
    turns.turn.prepared(1, Said("How does it work?", 0.99, is_complete_command=True))
    hush(turns, 32)
    began = turns.turn.start_ms
    signals = feed(turns, 320, "thinking")
    assert [type(signal) for signal in signals[:2]] == [SpeechOnset, TurnReopened]
    assert (turns.turn.number, turns.turn.start_ms, turns.turn.open) == (1, began, True)


def test_speech_right_after_the_reply_began_reopens_and_later_speech_does_not() -> None:
    for age, reopens in ((400.0, True), (4000.0, False)):
        turns = policy()
        feed(turns, 960)
        hush(turns, 160)
        turns.turn.prepared(1, Said("How does it work?", 0.99, is_complete_command=True))
        hush(turns, 32)
        feed(turns, 384, "speaking", age_ms=age)
        [confirmed] = turns.words(turns.activity.burst_ms, "I mean the model", "speaking", age)
        assert isinstance(confirmed, TurnReopened if reopens else BargeIn)


def test_what_was_said_over_the_agent_as_it_finished_is_a_plain_turn() -> None:
    turns = policy()
    feed(turns, 256, "speaking", age_ms=5000)
    signals = feed(turns, 640, "silent")
    assert turns.turn.open
    assert not [signal for signal in signals if isinstance(signal, BargeIn | TurnReopened)]
    assert Ask.PREPARE in hush(turns, 160)


def under(turns: TurnDetector, ms: float, level_db: float) -> list[Signal]:
    """Sound without a voice, of this level, under an agent who has been speaking for 5 s."""
    return hush(turns, ms, "speaking", 5000, level_db)


def test_a_sudden_sound_over_the_agent_is_an_onset_before_it_is_known_for_a_voice() -> None:
    turns = policy()
    under(turns, 640, 20.0)
    assert under(turns, 64, 60.0) == [SpeechOnset(at_ms=704.0)]
    assert under(turns, 96, 60.0) == []
    assert OnsetHeld() in over(turns, 256, 60.0)
    assert turns.classified(turns.activity.burst_ms, 0.9, "What about", "speaking", 5000) == [BargeIn(at_ms=704.0)]


def test_a_click_is_no_onset() -> None:
    turns = policy()
    under(turns, 640, 20.0)
    assert under(turns, 32, 60.0) == []
    assert under(turns, 320, 20.0) == []


def test_a_sound_without_a_voice_is_soon_dismissed_and_then_usual() -> None:
    turns = policy()
    under(turns, 640, 20.0)
    assert under(turns, 1024, 45.0) == [SpeechOnset(at_ms=704.0), OnsetDismissed(kind="noise")]
    assert under(turns, 2000, 47.0) == []


def test_what_the_agent_sounds_like_in_the_room_is_no_onset() -> None:
    turns = policy()
    assert under(turns, 320, 45.0) == [], "its echo"
    for level in (35.0, 50.0, 42.0, 52.0) * 5:
        assert under(turns, 96, level) == []


def test_a_sound_as_the_agent_ends_opens_no_turn_without_a_voice() -> None:
    turns = policy()
    under(turns, 640, 20.0)
    under(turns, 64, 45.0)
    assert hush(turns, 32) == [OnsetDismissed(kind="noise")]
    assert not turns.turn.open


def test_half_duplex_hears_no_sudden_sound_either() -> None:
    turns = policy(half_duplex=True)
    under(turns, 640, 20.0)
    assert under(turns, 640, 45.0) == []


def test_half_duplex_hears_nothing_while_the_agent_speaks() -> None:
    turns = policy(half_duplex=True)
    assert feed(turns, 2000, "speaking") == []
    assert feed(turns, 64, "silent") != []


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("I want to", True),
        ("I would like a coffee and", True),
        ("Well, the thing is,", True),
        ("What is the weather like?", False),
        ("How does it work?", False),
        ("Tell me about latency.", False),
        ("I think that...", True),
    ],
)
def test_unfinished_sentences_are_recognised(text: str, unfinished: bool) -> None:
    assert (ENGLISH.wording.ends_openly(text) or trails_off(text)) is unfinished


def test_backchannels_and_sounds() -> None:
    assert ENGLISH.wording.is_backchannel("Uh-huh, yeah.")
    assert not ENGLISH.wording.is_backchannel("Yeah, but what about latency?")
    assert not ENGLISH.wording.is_backchannel("")
    assert ENGLISH.wording.is_wordless("Hmm...")
    assert not ENGLISH.wording.is_wordless("No.")
    assert ENGLISH.wording.is_backchannel("Okay, okay, okay, okay, okay")
    assert ENGLISH.wording.calls_the_agent("No, wait.")
    assert not ENGLISH.wording.calls_the_agent("I know.")


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.sampled_from(["silent", "thinking", "speaking"])), max_size=20))
def test_numbers_only_grow_and_every_ended_turn_had_an_onset(bursts: Iterable[tuple[int, bool, Agent]]) -> None:
    turns, seen = policy(), []
    for windows, voiced, agent in bursts:
        before = (turns.turn.number, turns.activity.now_ms)
        for signal in feed(turns, windows * WINDOW_MS, agent, 0.9 if voiced else 0.02):
            seen.append(signal)
            if signal is Ask.PREPARE:
                seen += turns.turn.prepared(turns.turn.revision, Said("a whole sentence here", 0.9))
            if signal is Ask.CLASSIFY:
                seen += turns.classified(turns.activity.burst_ms, 0.6, "something else", agent, 5000)
            if signal is Ask.IDENTIFY:
                seen += turns.words(turns.activity.burst_ms, "something else entirely", agent, 5000)
        assert (turns.turn.number, turns.activity.now_ms) >= before
    ended = [signal.turn for signal in seen if isinstance(signal, TurnEnded)]
    assert ended == sorted(ended)
    assert not ended or isinstance(seen[0], SpeechOnset)


def test_a_quiet_microphone_is_turned_up_and_one_that_was_loud_is_not() -> None:
    gain = Gain()
    assert gain.of(20.0) == pytest.approx(10), "by 20 dB at most"
    assert gain.of(40.0) == pytest.approx(3.16, abs=0.01), "the loudest is brought to 50 dB"
    assert gain.of(70.0) == 1.0
    assert {gain.of(30.0) for _ in range(300)} == {1.0}, "what is weak beside the user's voice stays weak"
    for _ in range(8 * 60_000 // 32):
        last = gain.of(30.0)
    assert last == pytest.approx(10), "long after a noise"
