"""The pages for people: what they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TOPS = "app|documents|server|services|vendors|languages|tests|docs|deploy"


def named(page: Path) -> set[str]:
    """The paths of ours that a page names, in code or in a link. What a block of code of an example names is its own affair."""
    text = re.sub(r"```(?:python|diff|toml)\n.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    code = re.findall(rf"(?<![\w/.-])((?:{TOPS})/[\w./-]*\w/?)", text)
    links = [target for target in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in target]
    return set(code) | {str((page.parent / target).resolve().relative_to(ROOT)) for target in links}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    gone = [path for path in sorted(named(page)) if not (ROOT / path).exists()]
    assert not gone, f"{page.name} names what is not there"


def test_the_walks_name_files_of_every_room() -> None:
    rooms = {
        path.parts[1]
        for path in map(Path, named(ROOT / "docs" / "architecture.md"))
        if path.parts[0] in ("app", "server") and len(path.parts) > 2
    }
    assert {"transport", "sessions", "conversation", "turn_taking", "reply", "tools", "dialogue"} <= rooms


def test_make_knows_the_five_commands_and_what_they_run() -> None:
    commands = dict(re.findall(r"^(\w+): ; (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert list(commands) == ["run", "test", "check", "lab", "bench"]
    for command in commands.values():
        for path in re.findall(r"[\w/]+\.(?:py|sh)\b|tests/\w+", command):
            assert (ROOT / path).exists(), command
