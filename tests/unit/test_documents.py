"""Reading Markdown: what becomes a section, and what a broken folder says."""

import logging
from pathlib import Path

import pytest

from services.base import ServiceUnavailable
from services.retrieval.documents import LONGEST, parse, read_folder, sentences

GUIDE = """---
title: not read
---
# The guide

## First steps

> How do I begin? Where is the *start*?

Press **start**. Then [speak](https://example.org) to `parley`.

```sh
rm -rf nothing
```

- one thing
- another thing

### On Linux

It works.

## First steps

Again.
"""


def test_sections_are_named_by_their_headings() -> None:
    document = parse(GUIDE, "docs/guide")
    assert document.title == "The guide"
    ids = [section.id for section in document.sections]
    assert ids == ["docs/guide#first-steps", "docs/guide#on-linux", "docs/guide#first-steps-2"]
    assert document.sections[1].context == "First steps: On Linux"
    assert document.sections[1].title == "On Linux"


def test_only_what_can_be_spoken_is_kept() -> None:
    first = parse(GUIDE, "guide").sections[0]
    assert first.sentences == ("Press start.", "Then speak to parley.", "one thing.", "another thing.")
    assert first.asked == ("How do I begin?", "Where is the start?")
    assert "rm -rf" not in first.text


def test_text_without_headings_is_a_section_too() -> None:
    (section,) = parse("Just this.", "note").sections
    assert (section.id, section.title, section.text) == ("note#note", "note", "Just this.")


def test_a_long_section_is_cut_between_sentences() -> None:
    sentence = "Eight words stand here, and so they do."
    parts = parse(f"# Long\n\n{(sentence + ' ') * 50}", "long").sections
    assert [part.id for part in parts] == ["long#long", "long#long-2", "long#long-3"]
    assert all(len(part.text.split()) <= LONGEST for part in parts)
    assert sum(len(part.sentences) for part in parts) == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith came. He sat.", ["Dr. Smith came.", "He sat."]),
        ("It costs 3.5 euros. Fine.", ["It costs 3.5 euros.", "Fine."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="nowhere does not exist"):
        read_folder(tmp_path / "nowhere")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=str(tmp_path)):
        read_folder(tmp_path)


def test_a_broken_file_is_reported_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.md").write_bytes(b"# caf\xe9\n\ntext")
    (tmp_path / "empty.md").write_text("# Only a heading\n")
    (tmp_path / "good.md").write_text("\ufeff# Good\n\nText.", "utf-8")
    with caplog.at_level(logging.WARNING):
        documents = read_folder(tmp_path)
    assert [document.title for document in documents] == ["Good"]
    assert "bad.md" in caplog.text
    assert "empty.md" in caplog.text
