"""Random files in a folder of knowledge: whatever a reader makes of one, the others are read, and what is "
"read can be spoken."""

import random
from pathlib import Path

from documents.readers import READERS, NoDocuments, read_folder
from documents.sections import sentences
from languages.en import LANGUAGE as ENGLISH
from tests.fuzz import cases

CASES = cases(60)
PARTS = (
    b"# Title|## Two|text of it. |Dr. No. 5 |- a|  - b|1. c|> quoted?|>> deeper|| a | b |||---|---||| 1 | 2 ||"
    b"```|<p>|</p>|<div>|<table><tr>"
    b'<td>x|</td>|<li>|<script>|<br>|<!--|-->|&amp;|&#0;|---|title: x|a,b,c|"q",|%PDF-1.4|1 0 obj<<>>endobj|'
    b"stream|trailer|PK\x03\x04|"
    b"\xff\xfe|\xef\xbb\xbf|\x00|\xe9|\xf0\x9f\x99\x82|\r\n|\r|\t|[a](b)|![c](d)|**bold|_it_|A. B. C. "
).split(b"|")
GAPS = (b"", b" ", b"\n", b"\n", b"\n\n")


def content(rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(2000))
    return b"".join(rng.choice(PARTS) + rng.choice(GAPS) for _ in range(rng.randrange(200)))


def test_any_folder_is_read_or_named(tmp_path: Path) -> None:
    rng = random.Random(6)
    for case in range(CASES):
        folder = tmp_path / str(case)
        folder.mkdir()
        (folder / "good.txt").write_text("A word of greeting. The shop opens at nine.")
        for number in range(6):
            (folder / f"f{number}{rng.choice(list(READERS))}").write_bytes(content(rng))
        shelf = read_folder(folder, ENGLISH.knowledge)
        assert any("nine" in section.text for _, document in shelf.values() for section in document.sections)
        for _, document in shelf.values():
            for section in document.sections:
                assert section.id and section.title and section.sentences, (case, section)
                assert all(sentence.strip() for sentence in section.sentences), (case, section)


def test_a_folder_of_broken_files_only_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    try:
        read_folder(tmp_path, ENGLISH.knowledge)
    except NoDocuments as error:
        assert str(tmp_path) in str(error)
    else:
        raise AssertionError("nothing was said")


def test_sentences_hold_every_word() -> None:
    rng = random.Random(7)
    for _ in range(CASES * 20):
        text = " ".join(
            rng.choice(("A.", "b", "Dr.", "etc.", "What?", '"No!"', "(x)", "5.", "…", "e.g.", "I")) for _ in range(30)
        )
        assert " ".join(sentences(text, ENGLISH.knowledge)).split() == text.split()
