"""The agent's own words."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from app.dialogue.clauses import split_clauses
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import BEGUN_AHEAD, OF_EVERY_CONVERSATION, PLAIN_LINES, SPOKEN_AHEAD, Dialogue, Phrasebook
from app.tools import builtin  # noqa: F401 (registers the tools)
from app.tools.registry import TOOLS
from languages.en import LANGUAGE as ENGLISH
from services.base import Exchange, Intent
from services.followup import FollowUps
from tests.unit.fakes import FakeTts

FOLLOW_UPS = FollowUps(ENGLISH.follow_ups)

INTENTS = ENGLISH.folder / "intents.yaml"


def dialogue() -> Dialogue:
    return Dialogue(Phrasebook(ENGLISH), ["turn taking", "latency", "barge-in", "Redis"], random.Random(1))


def act(name: str, text: str = "", memory: Memory | None = None) -> tuple[str, float, float] | None:
    done = dialogue().meta_intent(Intent(name, 0.9), text, memory or Memory())
    return None if done is None else (" ".join(done.clauses), done.speed, done.gain)


def test_a_line_never_comes_twice_in_a_row() -> None:
    talk = dialogue()
    lines = [talk.line("filler") for _ in range(50)]
    assert all(first != second for first, second in pairwise(lines))
    assert len(set(lines)) == len(talk.phrasebook.lines["filler"])


def test_topics_are_offered_and_an_unknown_apology_has_words() -> None:
    assert " or " in dialogue().line("unknown")
    assert "orry" in dialogue().line("apology_of_something_new")


def test_a_topic_is_not_offered_beside_one_that_covers_it() -> None:
    talk = Dialogue(Phrasebook(ENGLISH), ["running Parley", "parley", "2024"], random.Random(1))
    for line in (talk.line("unknown") for _ in range(30)):
        assert "2024" in line
        assert line.lower().count("parley") == 1, line


def test_what_is_spoken_ahead_is_found_by_the_clause_that_is_said() -> None:
    phrasebook, voice = Phrasebook(ENGLISH), FakeTts()
    asyncio.run(phrasebook.speak_ahead(voice, 1.0))
    said: list[str] = []

    async def say(name: str) -> None:
        async def pieces() -> AsyncIterator[str]:
            yield Dialogue(phrasebook, ["sound", "light"]).line(name)

        said.extend([clause async for clause in split_clauses(pieces(), ENGLISH)])

    for name in BEGUN_AHEAD:
        said.clear()
        asyncio.run(say(name))
        assert phrasebook.spoken(said[0])
        assert said[1:], "the rest is not spoken ahead"
    for line in phrasebook.lines["filler"]:
        assert phrasebook.spoken(line)


def test_every_line_that_is_used_is_written() -> None:
    lines = Phrasebook(ENGLISH).lines
    used = {
        *PLAIN_LINES.values(),
        *SPOKEN_AHEAD,
        "repeat",
        "nothing_to_repeat",
        "nothing_left",
        "spelled",
        "spelled_backwards",
        "spell_what",
        "unknown",
    }
    answers = {
        "apology_tool",
        "apology_range",
        "thread_lost",
        "time",
        "date",
        "date_then",
        "day_unknown",
        "date_week",
        "date_then_week",
        "date_year_day",
        "days_until",
        "days_since",
        "days_between",
        "days_in",
        "time_in",
        "date_in",
        "place_several",
        "time_then",
        "time_then_in",
        "time_until",
        "place_unknown",
    }
    silence = {"still_there", "silence_goodbye"}
    timers = {name for name in lines if name.startswith("timer")} | {
        "alarm_set",
        "alarms_set",
        "reminder_due",
        "reminder_due_of",
    }
    assert used | {"slower", "faster", "louder", "quieter"} | answers | silence | timers == set(lines)


def test_every_intent_that_can_be_recognised_is_conducted_or_asks_for_knowledge() -> None:
    knowledge = {"question", "out_of_scope", "go_on", "search"} | {tool.intent for tool in TOOLS.values()}
    for name in yaml.safe_load(INTENTS.read_text("utf-8")):
        assert (act(name, "hello", Memory(history=[Exchange("a", "b")])) is None) == (name in knowledge), name


@pytest.mark.parametrize(
    "text",
    [
        "please speak slower",
        "you are too fast",
        "not so fast",
        "You speak so fast.",
        "Don't talk so quickly, please.",
        "a bit less fast please",
        "Can you speak more slowly?",
        "don't rush",
        "Why are you talking so quickly?",
        "You're fast.",
        "I can't follow you.",
        "That isn't slow enough.",
        "Not faster, slower!",
        "Could you speak slowly?",
        "Reduce the speed a little.",
        "half the speed",
        "You're speaking quite fast, could you slow down?",
    ],
)
def test_the_pace_is_lowered(text: str) -> None:
    done = act("change_speed", text)
    assert done is not None and done[1] < 1 and "slowly" in done[0]


@pytest.mark.parametrize(
    "text",
    [
        "faster please",
        "speed up",
        "You are too slow.",
        "You talk so slowly.",
        "You're speaking too slowly",
        "Don’t speak so slowly.",
        "a little less slowly please",
        "You are slow.",
        "Why are you so slow? Hurry up.",
        "Not fast enough.",
        "Can you talk more quickly?",
        "stop speaking so slowly",
        "You are speaking really slowly.",
        "It's a bit slow.",
    ],
)
def test_the_pace_is_raised(text: str) -> None:
    done = act("change_speed", text)
    assert done is not None and done[1] > 1 and "faster" in done[0]


@pytest.mark.parametrize(
    "text",
    [
        "turn it down",
        "You are too loud.",
        "not so loud",
        "Can you speak more quietly?",
        "Don't shout.",
        "A bit less loud, please.",
        "You're very loud.",
        "lower your voice please",
        "turn the volume down",
        "less volume",
        "drop your volume a little",
        "Why are you yelling?",
        "Keep your voice down.",
        "That isn't quiet enough.",
        "It hurts my ears.",
        "Speak softly.",
    ],
)
def test_the_volume_is_lowered(text: str) -> None:
    done = act("change_volume", text)
    assert done is not None and done[2] < 1 and "quieter" in done[0]


@pytest.mark.parametrize(
    "text",
    [
        "louder",
        "you are too quiet",
        "Don't speak so quietly.",
        "That's too soft.",
        "Your voice is too low.",
        "I can hardly hear you",
        "speak up",
        "turn the volume up",
        "Stop whispering.",
        "not loud enough",
        "please raise your voice",
        "You sound faint.",
        "more volume",
    ],
)
def test_the_volume_is_raised(text: str) -> None:
    done = act("change_volume", text)
    assert done is not None and done[2] > 1 and "speak up" in done[0]


def test_the_voice_goes_back_to_what_it_was() -> None:
    memory = Memory(speed=1.3, gain=0.5)
    assert act("change_speed", "Talk at your normal speed again.", memory) == ("Okay, I'll speak more slowly.", 1 / 1.3, 1.0)
    assert act("change_volume", "Back to the usual volume, please.", memory) == ("Okay, I'll speak up.", 1.0, 2.0)
    done = act("change_speed", "Speak normally.")
    assert done is not None and done[0] in ("Okay.", "All right.") and done[1] == 1


def test_repeat_and_go_on_use_what_was_heard() -> None:
    memory = Memory(history=[Exchange("why", "Because of this.")], unheard=["And that.", "And more."])
    assert act("repeat", "", memory) == ("I said, Because of this.", 1.0, 1.0)
    assert act("go_on", "", memory) == ("And that. And more.", 1.0, 1.0)
    assert act("repeat") == ("I haven't said anything yet.", 1.0, 1.0)


def test_yes_takes_an_offer_and_is_acknowledged_without_one() -> None:
    memory = Memory(history=[Exchange("How fast?", "Quite fast. " + FOLLOW_UPS.offer("speculative replies"))])
    assert act("yes", "yes please", memory) is None
    assert act("acknowledgement", "okay", memory) is None
    assert act("yes", "yes please") is not None
    memory.history.append(Exchange("thanks", "You're welcome."))
    assert act("yes", "yes please", memory) is not None


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ([], ("filler", 900)),
        ([100, 200, 5000], ("filler", 900)),
        ([1000, 1100, 1200], ("filler", 1500)),
        ([2500, 3000, 2400], ("filler_long", 540)),
    ],
)
def test_the_filler_goes_by_the_last_waits(waits: list[float], expected: tuple[str, float]) -> None:
    memory = Memory()
    memory.waits.extend(waits)
    assert memory.filler(900) == expected


def test_the_pace_stays_within_what_the_voice_can_do() -> None:
    memory, faster = Memory(), dialogue().meta_intent(Intent("change_speed", 1), "faster", Memory())
    assert faster is not None
    for _ in range(20):
        memory.adjust(faster)
    assert memory.speed == 2.0


def test_a_broken_file_of_lines_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "lines.yaml"
    for content in ("persona: [", "greeting: {}", "- a", ""):
        broken.write_text(content)
        with pytest.raises(ValueError, match=r"lines\.yaml: cannot read the lines that are spoken"):
            Phrasebook(ENGLISH, broken)


def test_a_language_without_the_lines_of_every_conversation_is_refused_by_their_names(tmp_path: Path) -> None:
    lines = {name: ["So."] for name in OF_EVERY_CONVERSATION} | {"persona": "P", "prompt": "Q"}
    few = tmp_path / "lines.yaml"
    few.write_text(yaml.safe_dump(lines | {"hello": "Ciao."}))
    assert Phrasebook(ENGLISH, few).lines["hello"] == ["Ciao."], "one variant needs no list"
    few.write_text(yaml.safe_dump({name: said for name, said in lines.items() if name != "no"} | {"hello": []}))
    with pytest.raises(ValueError, match=r"lines\.yaml: these lines are missing: hello, no$"):
        Phrasebook(ENGLISH, few)


def test_names_of_the_conversation_are_expected_the_latest_first() -> None:
    memory = Memory(
        history=[
            Exchange("Who is Marie Curie?", "She worked in Paris."),
            Exchange("And I met Ada Lovelace.", "Ada is new to me, and Paris is not."),
        ]
    )
    assert memory.names(ENGLISH.wording) == ["Ada", "Lovelace", "Paris", "Marie", "Curie"]
    assert Memory().names(ENGLISH.wording) == []
