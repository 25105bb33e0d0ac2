"""Tools of somebody else: a folder, a file, a package, and what an installed package registers."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from app.tools import loading
from app.tools.loading import load_tools
from app.tools.registry import TOOLS, phrases_by_intent, tool

DICE = """
from parley.app.tools.registry import AgentContext, tool

@tool(phrases=["roll a die", "throw the dice"])
async def {name}(context: AgentContext, sides: int = 6) -> str:
    \"\"\"Rolls a die.\"\"\"
    return "It's a one."
"""


@pytest.fixture(autouse=True)
def own_tools() -> Iterator[None]:
    tools, modules = dict(TOOLS), set(sys.modules)
    yield
    TOOLS.clear()
    TOOLS.update(tools)
    for name in set(sys.modules) - modules:
        if name.startswith(("parley_tools_", "house_tools")):
            del sys.modules[name]


def test_a_folder_of_files(tmp_path: Path) -> None:
    (tmp_path / "dice.py").write_text(DICE.format(name="roll_dice"))
    (tmp_path / "more.py").write_text(DICE.format(name="roll_more"))
    (tmp_path / "_helpers.py").write_text("raise RuntimeError('is no tool')")
    load_tools(f" {tmp_path} ,")
    assert {"roll_dice", "roll_more", "set_timer"} <= set(TOOLS)
    assert (TOOLS["roll_dice"].intent, TOOLS["roll_dice"].description) == ("roll_dice", "Rolls a die.")
    assert phrases_by_intent()["roll_more"] == ["roll a die", "throw the dice"]
    before = TOOLS["roll_dice"]
    load_tools(str(tmp_path / "dice.py"))
    assert TOOLS["roll_dice"] is before, "a file is run once"


def test_a_package_by_its_name_and_by_its_registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "house_tools.py").write_text(DICE.format(name="roll_house"))
    load_tools("house_tools")
    assert "roll_house" in TOOLS
    (tmp_path / "house_tools_two.py").write_text(DICE.format(name="roll_two"))
    entry = EntryPoint("house", "house_tools_two", loading.GROUP)
    monkeypatch.setattr(loading, "entry_points", lambda group: [entry] if group == loading.GROUP else [])
    load_tools("")
    assert "roll_two" in TOOLS
    monkeypatch.setattr(loading, "entry_points", lambda group: [EntryPoint("house", "house_gone", group)])
    with pytest.raises(ValueError, match=r"tools: house \(house_gone\) cannot be loaded: ModuleNotFoundError"):
        load_tools("")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("", "it registers no tool"),
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def broken(", "SyntaxError"),
        ("from app.tools.registry import tool\n@tool()\ndef now(context): ...", "TypeError: now: a tool is `async def now"),
        ("from app.tools.registry import tool\n@tool()\nasync def now(): ...", "TypeError: now: a tool is"),
        ("from app.tools.registry import tool\n@tool()\nasync def now(context, zone): ...", "with a type for each argument"),
        (DICE.format(name="set_timer"), "there is a tool set_timer already, in app.tools.builtin"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, file: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(file)
    with pytest.raises(ValueError, match=r"mine\.py cannot be loaded: .*") as caught:
        load_tools(str(tmp_path))
    assert words in str(caught.value)
    with pytest.raises(ValueError, match=r"mine\.py cannot be loaded"):  # and is not taken for loaded
        load_tools(str(tmp_path))


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no \.py file in"):
        load_tools(str(tmp_path))
    with pytest.raises(ValueError, match="there is no folder or file"):
        load_tools(str(tmp_path / "gone"))
    with pytest.raises(ValueError, match="tools: gone_tools cannot be loaded: ModuleNotFoundError"):
        load_tools("gone_tools")


def test_two_phrases_for_one_intent_are_joined() -> None:
    @tool(intent="time", phrases=["what does the clock say"])
    async def clock_again(context: object) -> str:
        return ""

    assert phrases_by_intent()["time"] == ["what does the clock say"]
