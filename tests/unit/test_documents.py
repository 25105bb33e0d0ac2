"""Reading documents: what becomes a section, and what a broken folder says."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from services.base import ServiceUnavailable
from services.retrieval.documents import LONGEST, Document, sentences
from services.retrieval.readers import read, read_folder

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


PAGE = """<html><head><title>Rules</title><style>p {}</style></head><body><nav><p>Home</p></nav>
<h2>Who may play</h2><p>Anyone over <b>six</b>.</p><ul><li>With a hat</li><li><p>Without a coat</p></li></ul>
<pre>print()</pre><h3>Fees</h3><table><tr><td>Two euros</td></tr></table><script>alert(1)</script></body></html>"""
NOTES = """The garden

Roses grow by the wall. They are
red.

Watering

Water them at dawn."""


@pytest.fixture
def parse(tmp_path: Path) -> Callable[..., Document]:
    def parsed(source: str, name: str, suffix: str = ".md") -> Document:
        path = tmp_path / f"{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, "utf-8")
        return read(path, tmp_path)

    return parsed


Parse = Callable[..., Document]


def test_a_web_page(parse: Parse) -> None:
    document = parse(PAGE, "rules", ".html")
    assert document.title == "Rules"
    assert [(section.context, section.text) for section in document.sections] == [
        ("Who may play", "Anyone over six. With a hat. Without a coat."),
        ("Who may play: Fees", "Two euros."),
    ]


def test_plain_text(parse: Parse) -> None:
    document = parse(NOTES, "notes", ".txt")
    assert [(section.title, section.text) for section in document.sections] == [
        ("The garden", "Roses grow by the wall. They are red."),
        ("Watering", "Water them at dawn."),
    ]


def test_a_pdf(tmp_path: Path) -> None:
    page = Figure()
    page.text(0.1, 0.8, "The lighthouse was built in 1811. It burns whale oil.")
    page.savefig(tmp_path / "light.pdf", metadata={"Title": "The lighthouse"})
    document = read(tmp_path / "light.pdf", tmp_path)
    assert document.title == "The lighthouse"
    assert document.sections[0].sentences == ("The lighthouse was built in 1811.", "It burns whale oil.")


def test_only_changed_files_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "same.md").write_text("Same.")
    (tmp_path / "other.md").write_text("Old.")
    before = read_folder(tmp_path)
    (tmp_path / "other.md").write_text("Newer.")
    after = read_folder(tmp_path, before)
    assert after[tmp_path / "same.md"] is before[tmp_path / "same.md"]
    assert after[tmp_path / "other.md"][1].sections[0].text == "Newer."


def test_sections_are_named_by_their_headings(parse: Parse) -> None:
    document = parse(GUIDE, "docs/guide")
    assert document.title == "The guide"
    ids = [section.id for section in document.sections]
    assert ids == ["docs/guide#first-steps", "docs/guide#on-linux", "docs/guide#first-steps-2"]
    assert document.sections[1].context == "First steps: On Linux"
    assert document.sections[1].title == "On Linux"


def test_only_what_can_be_spoken_is_kept(parse: Parse) -> None:
    first = parse(GUIDE, "guide").sections[0]
    assert first.sentences == ("Press start.", "Then speak to parley.", "one thing.", "another thing.")
    assert first.asked == ("How do I begin?", "Where is the start?")
    assert "rm -rf" not in first.text


def test_text_without_headings_is_a_section_too(parse: Parse) -> None:
    (section,) = parse("Just this.", "note").sections
    assert (section.id, section.title, section.text) == ("note#note", "note", "Just this.")


def test_a_long_section_is_cut_between_sentences(parse: Parse) -> None:
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
    (tmp_path / "bad.pdf").write_bytes(b"no pdf")
    (tmp_path / "empty.md").write_text("# Only a heading\n")
    (tmp_path / "good.md").write_text("\ufeff# Good\n\nText.", "utf-8")
    with caplog.at_level(logging.WARNING):
        documents = [document for _, document in read_folder(tmp_path).values() if document.sections]
    assert [document.title for document in documents] == ["Good"]
    assert "bad.md" in caplog.text
    assert "bad.pdf" in caplog.text
    assert "empty.md" in caplog.text
