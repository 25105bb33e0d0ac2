"""docs/extending.md: each example is taken from the page as it stands, and run."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.core.session_settings import SessionSettings
from app.settings import Settings, read_settings
from app.tools.loading import load_tools
from app.tools.registry import TOOLS, phrases_by_intent
from languages.en import LANGUAGE as ENGLISH
from server.transport.pending import PendingConnections
from server.transport.transports import transports
from services.embedding import Embedder
from services.endpoint import Endpoint
from services.intent.classifier import LocalIntent
from services.vendors import ServiceSettings, connected, make
from services.workers import Workers
from tests.unit.doubles import Desk, FakeWebSocket, pcm
from tests.unit.fakes import VOICE, Caller, fake_services
from tests.unit.virtual_time import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")


def blocks(section: str, language: str) -> list[str]:
    """The blocks of code of one section of the page."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """What a section describes, as pip would install it: its modules and its entry points."""
    section: str = request.param
    for code in blocks(section, "python"):
        name = re.match(r"# (\S+)\n", code)
        assert name is not None
        file = tmp_path / Path(name[1]).name
        file.write_text(code)
    [toml] = blocks(section, "toml")
    points = toml.replace('[project.entry-points."', "[").replace('"]', "]").replace('"', "")
    (tmp_path / "example-1.0.dist-info").mkdir()
    (tmp_path / "example-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (tmp_path / "example-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    tools = dict(TOOLS)
    yield tmp_path
    TOOLS.clear()
    TOOLS.update(tools)
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.mark.parametrize("package", ["A vendor"], indirect=True)
def test_a_vendor_speaks(package: Path) -> None:
    assert read_settings(["--tts", "acme"]).tts == "acme"
    with pytest.raises(ValueError, match=r"there are local, openai, .*, acme"):
        read_settings(["--tts", "acne"])

    async def scene() -> Caller:
        services = fake_services()
        settings = ServiceSettings(Endpoint(), services.tts, services.health, "en", voice="low")
        async with Caller(connected(services, tts=make("tts", "acme", settings))) as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.services.tts.voices == ("high", "low")
    assert "tts" in caller.services.remote and not caller.services.health.degraded
    sound = np.concatenate([frame.samples for frame in caller.audible()])
    assert len(sound) == pytest.approx(48_000 * 0.2 * 17, rel=0.02)  # words of the reply
    assert int(np.abs(np.fft.rfft(sound[:48_000])).argmax()) == pytest.approx(440, abs=5)


@pytest.mark.parametrize("package", ["A vendor"], indirect=True)
def test_a_vendor_hears(package: Path) -> None:
    async def scene() -> Caller:
        services = fake_services()
        settings = ServiceSettings(Endpoint(model="How do you do?"), services.stt, services.health, "en")
        async with Caller(connected(services, stt=make("stt", "acme", settings))) as caller:
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.session.memory.history[0].user == "How do you do?"
    assert not caller.services.health.degraded


@pytest.mark.parametrize("package", ["A vendor"], indirect=True)
def test_a_vendor_answers(package: Path) -> None:
    async def scene() -> Caller:
        services = fake_services()
        settings = ServiceSettings(Endpoint(model="Ada"), services.llm, services.health, "en")
        async with Caller(connected(services, llm=make("llm", "acme", settings))) as caller:
            services.stt.text = "How do birds fly?"  # type: ignore[attr-defined]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            return caller

    caller = run(scene())
    assert caller.session.memory.history[0].heard == "Ada has heard 1 things, and this was the last: How do birds fly?"
    assert not caller.services.health.degraded


def test_pip_can_build_the_package_of_a_vendor(tmp_path: Path) -> None:
    """With pip's own backend, which refuses some folders that have several modules."""
    pytest.importorskip("setuptools")
    files = blocks("A vendor", "python") + blocks("A vendor", "toml")
    names = [re.findall(r"^# (\S+)\n", text)[0] for text in files]
    for name, text in zip(names, files, strict=True):
        (tmp_path / name).write_text(text)
    build = "import setuptools; setuptools.setup()"
    built = [sys.executable, "-c", build, "--quiet", "build", "--build-lib", "out", "egg_info", "--egg-base", "out"]
    subprocess.run(built, cwd=tmp_path, check=True)
    assert {path.name for path in (tmp_path / "out").glob("*.py")} == {name for name in names if name.endswith(".py")}
    points = (tmp_path / "out" / "parley_acme.egg-info" / "entry_points.txt").read_text()
    assert "[parley.services]" in points and "llm.acme = acme_mind:Mind" in points


@pytest.mark.parametrize("package", ["A tool"], indirect=True)
@pytest.mark.parametrize("way", ["folder", "entry point"])
def test_a_tool_is_found_by_what_is_said(package: Path, way: str) -> None:
    if way == "folder":
        shutil.rmtree(package / "example-1.0.dist-info")
    load_tools(str(package) if way == "folder" else "")
    assert TOOLS["roll_dice"].description == "Rolls a die."
    weights = Settings(_env_file=None).weights_dir  # type: ignore[call-arg]

    async def wanted() -> list[str]:
        workers = Workers()
        intents = LocalIntent(Embedder(weights, workers), workers, package, ENGLISH, more=phrases_by_intent())
        await intents.warm()
        said = ("Roll a die.", "Could you roll the dice for me?", "What time is it?", "How does turn taking work?")
        return [(await intents.classify(text)).name for text in said]

    assert asyncio.run(wanted()) == ["roll_dice", "roll_dice", "time", "question"]

    assert re.fullmatch(r"It's a [1-6]\.", heard("roll_dice", "roll a die")[0])
    assert re.fullmatch(r"It's a [12]\.", heard("roll_dice", "roll a 2-sided die")[0])
    assert heard("roll_dice", "roll a 1000 sided die") == ["Sorry, that number is out of range."]


@pytest.mark.parametrize("package", ["A tool"], indirect=True)
def test_a_tool_asks_and_hands_back(package: Path) -> None:
    shutil.rmtree(package / "example-1.0.dist-info")
    load_tools(str(package))
    convert, answer = "convert celsius to fahrenheit", "That is 68 degrees Fahrenheit."
    assert heard("to_fahrenheit", convert, "20 please") == ["How many degrees?", answer]
    assert heard("to_fahrenheit", "what is 20 degrees celsius in fahrenheit") == [answer]
    [known] = heard("to_fahrenheit", "what is the temperature in Paris")
    assert known.startswith("The first sentence is here."), "the knowledge answers"
    asked, known = heard("to_fahrenheit", convert, "never mind")
    assert asked == "How many degrees?" and known.startswith("The first sentence is here.")


def heard(intent: str, *said: str) -> list[str]:
    """What the user hears who says this, turn by turn; all of it is taken for `intent`."""

    async def scene() -> list[str]:
        services = fake_services()
        services.intent.name = intent  # type: ignore[attr-defined]
        async with Caller(services) as caller:
            for text in said:
                services.stt.text = text  # type: ignore[attr-defined]
                await caller.say(1.0)
                await caller.until("SPEAKING")
                await caller.until("LISTENING")
            return [exchange.heard for exchange in caller.session.memory.history]

    return run(scene())


def apply(change: str, folder: Path) -> None:
    """Does what a unified diff says, wherever in the file its lines stand now."""
    for part in re.split(r"^--- .*\n", change, flags=re.MULTILINE)[1:]:
        name, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        file = folder / name.strip().removeprefix("+++ b/")
        text = file.read_text("utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            assert text.count(before) == 1, f"{file.name} has not got these lines:\n{before}"
            text = text.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
        file.write_text(text)


class SoundSocket(FakeWebSocket):
    async def accept(self) -> None: ...


@pytest.mark.parametrize("package", ["A transport"], indirect=True)
def test_a_transport_carries_a_conversation(package: Path) -> None:
    registered = transports()[1][1]

    async def scene() -> None:
        desk = Desk()
        [route] = registered(desk.sessions, desk.settings, PendingConnections(8)).routes
        socket = SoundSocket()
        serving = asyncio.create_task(route.endpoint(socket))  # type: ignore[attr-defined]
        for _ in range(50):
            socket.say(pcm(16000, 20, VOICE))
            await asyncio.sleep(0.02)
        for _ in range(150):
            socket.say(pcm(16000, 20, 0))
            await asyncio.sleep(0.02)
        spoken = np.concatenate([np.frombuffer(data, np.int16) for _, data in socket.sent])
        assert 1.0 < np.count_nonzero(spoken) / 16_000 < 4.0, "the agent was heard in real time"
        desk.made[0].disconnect("test")
        await desk.sessions.live.close()
        await serving
        assert socket.code == 1012, "the server ends"

    run(scene())


@pytest.mark.parametrize("package", ["A transport"], indirect=True)
def test_a_transport_says_why_it_closes(package: Path, caplog: pytest.LogCaptureFixture) -> None:
    registered = transports()[1][1]

    async def scene() -> list[tuple[int | None, str]]:
        desk, socket, late = Desk(max_sessions=1), SoundSocket(), SoundSocket()
        [route] = registered(desk.sessions, desk.settings, PendingConnections(8)).routes
        serving = []
        for each in (socket, late):
            serving.append(asyncio.create_task(route.endpoint(each)))  # type: ignore[attr-defined]
            await asyncio.sleep(1.0)
        socket.say("hello")
        await asyncio.gather(*serving)
        await desk.sessions.live.close()
        return [(each.code, each.reason) for each in (socket, late)]

    (text, why), (full, because) = run(scene())
    assert (text, why) == (1003, "sound comes in binary frames")
    assert full == 1013 and because
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_client_message_takes_two_files(tmp_path: Path) -> None:
    for name in ("app", "configuration", "documents", "languages", "server", "services", "vendors"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.onnx"))
    [change] = blocks("A client message", "diff")
    assert len(re.findall(r"^\+\+\+ ", change, re.MULTILINE)) == 2
    apply(change, tmp_path)
    changed = [str(tmp_path / name) for name in re.findall(r"^\+\+\+ b/(\S+)", change, re.MULTILINE)]
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), *changed], check=True
    )
    [message] = re.findall(r"A client sends `(\{.*?\})`", PAGE)
    lines = (
        "from app.protocol.codec import BadMessage, parse",
        "from tests.unit.fakes import Caller",
        "from tests.unit.virtual_time import run",
        "async def scene():",
        "    async with Caller() as caller:",
        f"        caller.session.receive(parse('{message}'))",
        "        return caller.session.memory.gain",
        "print(run(scene()))",
        "try:",
        f"    parse('{message.replace('0.5', '9')}')",
        "except BadMessage as error:",
        "    print(error.field)",
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    told = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert told.stdout.split() == ["0.5", "gain"], told.stderr


def test_every_setting_of_a_conversation_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.split("## Settings of a conversation")[1], re.MULTILINE)
    assert rows == list(SessionSettings.model_fields)
