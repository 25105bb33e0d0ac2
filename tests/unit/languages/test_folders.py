"""A language is one folder: another one is found, spoken and understood, and nothing outside its folder knows English."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from app.core.session_settings import SessionSettings
from app.dialogue.phrasebook import Phrasebook
from app.protocol.codec import BadMessage
from app.settings import Settings
from app.turn_taking.endpointing import Said, judge, required_silence
from server.bootstrap.application import Conversations
from server.bootstrap.service_factory import services_from
from services.base import Exchange
from services.followup import FollowUps
from services.intent.classifier import read_examples
from services.tts.pieces import pieces
from tests.unit.fakes import Caller, FakeIntent, FakeJudge, FakeStt, fake_services
from tests.unit.virtual_time import run

HERE = Path(__file__).parents[3]
OTHERS = HERE / "tests" / "data" / "languages"  # a package as another project would install it


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> Iterator[languages.Language]:
    monkeypatch.syspath_prepend(str(OTHERS))
    languages.find.cache_clear()
    yield languages.find("de")
    languages.find.cache_clear()


def call(stt: FakeStt, intent: str = "question", **settings: object) -> Caller:
    services = fake_services()
    services.intent.name = intent  # type: ignore[attr-defined]
    object.__setattr__(services, "stt", stt)
    object.__setattr__(services, "barge_in", FakeJudge(stt, text=stt.text))
    return Caller(services, language="de", **settings)


def spoken(caller: Caller) -> list[str]:
    return [message.text for message in caller.of("agent_response") if message.text]  # type: ignore[union-attr]


def test_a_language_is_found_by_its_code_and_the_others_are_named(german: languages.Language) -> None:
    assert languages.find("en").name == "English"
    assert german.code == "de"
    with pytest.raises(ValueError, match="there is no language 'xx', there is de, en"):
        languages.find("xx")


def test_the_setting_names_a_language_that_there_is() -> None:
    assert Settings(_env_file=None).language == "en"  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="there is no language 'de', there is en"):
        Settings(_env_file=None, language="de")  # type: ignore[call-arg]


def test_a_language_that_the_built_in_voice_does_not_speak_needs_another_voice(german: languages.Language) -> None:
    with pytest.raises(ValueError, match="the built-in voice does not speak German"):
        services_from(Settings(_env_file=None, language="de"))  # type: ignore[call-arg]
    services = services_from(Settings(_env_file=None, language="de", tts="http://127.0.0.1:9/v1"))  # type: ignore[call-arg]
    assert "tts" in services.remote


def test_a_conversation_is_held_in_another_language(german: languages.Language) -> None:
    async def scene() -> Caller:
        async with call(FakeStt("Ja."), "yes", greeting=True) as caller:
            await caller.until("LISTENING")
            await caller.until("LISTENING")
            await caller.say(0.6, 2.0)
            await caller.until("LISTENING")
        return caller

    assert spoken(run(scene())) == ["Hallo, ich bin Parley.", "Gut, worum geht es?"]


def test_its_acknowledgements_do_not_interrupt_and_its_questions_do(german: languages.Language) -> None:
    async def scene(text: str) -> int:
        async with call(FakeStt("Wie geht das denn nun genau?")) as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            for listener in (caller.services.stt, caller.services.barge_in):
                listener.text = text  # type: ignore[attr-defined]
            await caller.say(0.4, 1.0)
        return len(caller.of("playback_stop"))

    assert run(scene("Ja, genau.")) == 0
    assert run(scene("Was ist denn ein Echo?")) == 1
    assert run(scene("Yes, exactly.")) == 1, "that is no acknowledgement in German"


def test_a_tool_hears_and_says_its_lengths(german: languages.Language) -> None:
    async def scene() -> Caller:
        async with call(FakeStt("Stelle einen Timer auf fünf Minuten."), "set_timer") as caller:
            await caller.say(1.0, 2.0)
            await caller.until("LISTENING")
            caller.services.stt.text = "Stelle einen Timer."  # type: ignore[attr-defined]
            await caller.say(1.0, 2.0)
            assert [timer.length_s for timer in caller.session.memory.timers] == [300.0]
        return caller

    assert spoken(run(scene()))[-2:] == ["Gut, in 5 Minuten.", "Wie lange?"]


def test_its_unfinished_openings_are_waited_for(german: languages.Language) -> None:
    whole, open_ended = Said("Ich möchte einen Kaffee.", 0.9, 0.9), Said("Ich möchte einen Kaffee und", 0.9, 0.9)
    assert required_silence(judge(german), whole) < 700 < required_silence(judge(german), open_ended)


def test_its_texts_are_cut_read_out_and_followed_up(german: languages.Language) -> None:
    assert german.speakable("In 3 Minuten.") == "In drei Minuten."
    assert [" ".join(words) for words in pieces("Das kostet ca. 5 Euro. Das ist viel.", german.sentences)] == [
        "Das kostet ca. 5 Euro.",
        "Das ist viel.",
    ]
    talk = FollowUps(german.follow_ups)
    history = [Exchange("Was ist ein Echo?", f"Ein Schall. {talk.offer('dem Hall')}")]
    assert talk.readings("Ja, bitte.".replace(",", ""), history) == ["dem Hall"]
    assert talk.readings("Mehr bitte", [Exchange("Was ist ein Echo?", "Ein Schall.")]) == ["Was ist ein Echo?"]
    assert {"question", "yes", "no", "set_timer"} <= read_examples(german.folder / "intents.yaml").keys()
    assert FakeIntent().name in read_examples(german.folder / "intents.yaml")


def sources(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    for room in rooms:
        for path in sorted((HERE / room).rglob("*.py")):
            yield path.relative_to(HERE).as_posix(), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_nothing_imports_a_language_but_the_language_itself() -> None:
    ours = tuple(f"languages.{code}" for code in languages.OURS)
    for path, tree in sources("app", "configuration", "documents", "server", "services", "vendors", "languages"):
        if not any(path.startswith(f"{name.replace('.', '/')}/") for name in ours):
            assert not [name for name in imported(tree) if name.startswith(ours)], path


def test_a_language_stands_on_its_own() -> None:
    for path, tree in sources("languages"):
        above = ("app", "configuration", "documents", "server", "services", "vendors")
        assert not [name for name in imported(tree) if name.split(".")[0] in above], path


FUNCTION_WORDS = re.compile(
    r"(?<![\w-])(?:the|an|and|but|because|which|whose|what|who|when|where|why|how|is|are|was|were|does|did|please|you|your|yeah|"
    r"monday|january|tomorrow|minutes?|hours?|dollars?|twenty|hundred|thousand)(?![\w-])"
)
EXCUSED = {  # what is compared there is no talk
    "server/transport/offers.py",  # attributes of an SDP
    "vendors/http/errors.py",  # what servers write of their errors is in English
}


def compared(tree: ast.Module) -> Iterator[str]:
    """Strings that are compared with what is said or written: patterns of `re`, lists of words, elements of sets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = node.func.value
            if (isinstance(on, ast.Name) and on.id == "re") or node.func.attr in ("split", "startswith", "endswith"):
                yield from strings(node)
        elif isinstance(node, ast.Set) or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("frozenset", "set")):
            yield from strings(node)


def strings(node: ast.AST) -> Iterator[str]:
    yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str))


def test_no_words_of_a_language_stand_outside_its_folder() -> None:
    found = {
        path: sorted({word.group() for text in compared(tree) for word in FUNCTION_WORDS.finditer(text.lower())})
        for path, tree in sources("app", "configuration", "documents", "server", "services", "vendors")
    }
    assert {path: words for path, words in found.items() if words and path not in EXCUSED} == {}


def test_a_conversation_chooses_among_the_languages_of_its_server(german: languages.Language) -> None:
    async def scene() -> None:
        settings = Settings(_env_file=None, other_languages="de", tts="http://127.0.0.1:9/v1")  # type: ignore[call-arg]
        services = services_from(settings)
        assert services.others["de"].vad is services.vad and services.others["de"].stt is not services.stt
        assert {"stt", "stt de", "vad"} <= services.all().keys() and "vad de" not in services.all()
        fakes = replace(fake_services(), others={"de": fake_services()})
        conversations = Conversations(settings, fakes, Phrasebook(languages.find("en")), None)  # type: ignore[arg-type]
        assert conversations.impossible(SessionSettings(language="fr")) == {"language": "en, de is spoken here"}
        assert conversations.impossible(SessionSettings(language="de")) == {}
        for chosen, code in (("de", "de"), (None, "en")):
            session = conversations.make("s", None, SessionSettings(language=chosen))
            session.memory.settings = SessionSettings(language=chosen)
            assert session.context.agent.language.code == code
            with pytest.raises(BadMessage, match=f"{code} is spoken here"):
                session.context.configure(SessionSettings(language="en" if code == "de" else "de"))
            session.context.configure(SessionSettings(language=code, eagerness="low"))

    run(scene())


def test_the_setting_of_more_languages_names_those_that_there_are(german: languages.Language) -> None:
    with pytest.raises(ValueError, match="there is no language 'fr'"):
        Settings(_env_file=None, other_languages="de, fr")  # type: ignore[call-arg]
