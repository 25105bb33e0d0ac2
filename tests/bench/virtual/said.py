"""How much of what was said is in a text: the characters that are wrong, with one way to write numbers.

For dictated answers (numbers, addresses, spelled names) and short ones spaces do not count: "5 5 5" and "555" are the same."""

import re
from collections.abc import Mapping
from typing import Any

import jiwer
from text_to_num import alpha2digit

from tests.bench.virtual.material import DICTATED
from tests.bench.wer import plain

OH = re.compile(r"(?<=\d) ?\boh?\b|\boh?\b ?(?=\d)")  # a zero, beside digits


def written(text: str, spaces: bool) -> str:
    """Lower case, without marks, with numbers in digits."""
    said = OH.sub("0", str(alpha2digit(plain(text.replace("-", " ")), "en", threshold=0)))
    return said if spaces else said.replace(" ", "")


def scored(row: Mapping[str, Any], text: str) -> bool:
    """Whether the row's text is what was said, and not what a machine has heard."""
    return bool(text) and not str(row.get("text_source") or "machine").startswith(("machine", "none"))


def wrong(row: Mapping[str, Any], kind: str, reference: str, heard: str) -> tuple[int, int]:
    """(characters wrong, characters of the reference)."""
    spaces = row.get("answer_type") not in DICTATED | {"digit"} and kind != "short_answer"
    said, found = written(reference, spaces), written(heard, spaces)
    counted = jiwer.process_characters(said, found)
    return counted.substitutions + counted.deletions + counted.insertions, len(said)
