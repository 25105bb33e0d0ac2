"""How the tests of documents read one."""

from pathlib import Path

from documents.readers import read
from documents.sections import Document
from languages.en import LANGUAGE as ENGLISH


def parsed(folder: Path, source: str, suffix: str) -> Document:
    (folder / f"doc{suffix}").write_text(source, "utf-8")
    return read(folder / f"doc{suffix}", folder, ENGLISH.knowledge)


def said(document: Document) -> list[str]:
    return [str(sentence) for section in document.sections for sentence in section.sentences]
