"""Whisper's vocabulary cut down to one language. `services.making.whisper_vocabulary` makes the list of tokens that stay
for English.

At each step the decoder weighs every token it knows, and those 51,865 rows are more than half of the memory that a step reads.
40,000 of them are of the letters a to z, and noise is no longer taken for other scripts.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FIRST_MERGE = "Ġ t"  # missing in the published tokenizer.json: without it " the" is not the token the model was trained on


class Vocabulary(NamedTuple):
    """Which tokens stay, and what they are in the whole vocabulary."""

    tokenizer: "Tokenizer"
    rows: list[int]  # the number that each token has in the published model, timestamps last
    never: list[int]  # tokens that are not speech
    never_first: list[int]


def kept(folder: Path, tokens: Path | None) -> Vocabulary:
    """What stays of the vocabulary of the model in `folder`: all, or what the file `tokens` has a bit for."""
    from tokenizers import Tokenizer

    known = tokens_of(folder)
    stays = np.unpackbits(np.load(tokens), count=len(known)) if tokens is not None else np.ones(len(known))
    rows = np.flatnonzero(stays).tolist()
    new = {old: at for at, old in enumerate(rows)}
    config = json.loads((folder / "config.json").read_bytes())
    never, never_first = ([new[old] for old in config[key] if old in new] for key in ("suppress_ids", "suppress_ids_begin"))
    tokenizer = Tokenizer.from_str(json.dumps(_respelled(spelling_of(folder), new)))
    return Vocabulary(tokenizer, rows, never, never_first)


def tokens_of(folder: Path) -> list[str]:
    """All that the model in `folder` can write, a token's number being its place."""
    return (folder / "vocabulary.txt").read_text("utf-8").split("\n")[:-1]


def spelling_of(folder: Path) -> dict[str, Any]:
    """The tokenizer in `folder`, whole."""
    spelling: dict[str, Any] = json.loads((folder / "tokenizer.json").read_bytes())
    spelling["model"]["merges"].insert(0, FIRST_MERGE)
    return spelling


def _respelled(spelling: dict[str, Any], new: dict[int, int]) -> dict[str, Any]:
    """The tokenizer with the tokens of `new` (old id: new id), and the merges that lead to one of them."""
    vocabulary = {token: new[old] for token, old in spelling["model"]["vocab"].items() if old in new}
    merges = [merge for merge in spelling["model"]["merges"] if merge.replace(" ", "") in vocabulary]
    added = [token | {"id": new[token["id"]]} for token in spelling["added_tokens"] if token["id"] in new]
    # A number that an added token may keep is one that the vocabulary knows.
    model = spelling["model"] | {"vocab": vocabulary | {token["content"]: token["id"] for token in added}, "merges": merges}
    return spelling | {"model": model, "added_tokens": added, "post_processor": None}
