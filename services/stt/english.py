"""Whisper's vocabulary cut down to English. `services.stt.vocabulary` makes the list of tokens that stay.

At each step the decoder weighs every token it knows, and those 51,865 rows are more than half of the memory that a step reads.
With the 31,000 tokens of English a step takes 9.5 ms instead of 12, and noise is no longer taken for other languages.

The tokens are also put into an order that lets CTranslate2 read the beginning of a text that is known already at once. It takes for
the prompt what stands between <|startoftranscript|> and <|notimestamps|> in the vocabulary, from the first of them on
(src/models/whisper.cc, get_prompt_length), and goes through anything after it step by step. So words come after the one, a second
<|0.00|> comes before the other, and second ones of the words that a known beginning may end with come first of all.
"""

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KEPT = Path(__file__).with_name("english.npy")  # one bit a token: it stays
CLOSINGS = tuple(  # a beginning ends with one of them: they are seldom misheard, and stand in every sentence
    "Ġthe Ġa Ġof Ġis Ġin Ġto Ġand Ġhave Ġwhat Ġhow Ġi ĠI Ġyou Ġit Ġthat Ġwith Ġwas Ġfor Ġon Ġat Ġare Ġdo Ġcan Ġmy Ġme Ġbe Ġthis "
    "Ġor Ġnot Ġbut Ġan Ġas Ġby Ġfrom Ġwho Ġwhich Ġwhen Ġwhere ĠWhat ĠHow ĠWho ĠWhich ĠThe".split()
)
BEGIN = -2  # the second <|0.00|>, counted from the first timestamp
FIRST_MERGE = "Ġ t"  # missing in the published tokenizer.json: without it " the" is not the token the model was trained on


def english(folder: Path, into: Path) -> "Tokenizer":
    """Writes the CTranslate2 model in `folder` to `into`, with the tokens of English alone, and gives its tokenizer. CLOSINGS are
    the first of them, timestamps the last."""
    from tokenizers import Tokenizer

    known = tokens_of(folder)
    rows, again = _ordered(known, np.flatnonzero(np.unpackbits(np.load(KEPT), count=len(known))).tolist())
    new = {old: at for at, old in enumerate(rows) if at not in again}
    config = json.loads((folder / "config.json").read_bytes())
    for key in ("suppress_ids", "suppress_ids_begin", "lang_ids"):
        config[key] = [new[old] for old in config[key] if old in new]
    config["suppress_ids"] += sorted(again)
    (into / "config.json").write_text(json.dumps(config))
    (into / "vocabulary.txt").write_text(
        "".join(f"{known[old]}{' again' * (at in again)}\n" for at, old in enumerate(rows)), "utf-8"
    )
    (into / "model.bin").write_bytes(_cut((folder / "model.bin").read_bytes(), len(known), rows))
    return Tokenizer.from_str(json.dumps(_respelled(spelling_of(folder), new)))


def _ordered(known: list[str], kept: list[int]) -> tuple[list[int], set[int]]:
    """The tokens that stay, in the order of the cut model, and the places of those that stand there a second time."""
    start, last, zero = (known.index(f"<|{name}|>") for name in ("startoftranscript", "notimestamps", "0.00"))
    at = kept.index(last)
    rows = [*map(known.index, CLOSINGS), start, *(old for old in kept[:at] if old != start), zero, *kept[at:]]
    return rows, {*range(len(CLOSINGS)), rows.index(last) - 1}


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


def _cut(model: bytes, tokens: int, rows: list[int]) -> bytes:
    """`model` with only `rows` of its variables that have a row for each of `tokens`.

    The format, little-endian (CTranslate2 4, python/ctranslate2/specs/model_spec.py, binary version 6): version, name, revision,
    variables; each of those has a name, its dimensions, type, size in bytes and data. Aliases follow.
    """
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        return model[at - count : at]

    def number(form: str) -> int:
        return int(struct.unpack(form, take(struct.calcsize(form)))[0])

    number("<I")
    take(number("<H"))
    number("<I")
    variables = number("<I")
    parts = [model[:at]]
    for _ in range(variables):
        begin = at
        take(number("<H"))
        name = model[begin:at]
        shape = [number("<I") for _ in range(number("<B"))]
        kind, data = take(1), take(number("<I"))
        if shape[:1] == [tokens]:
            data = np.frombuffer(data, np.uint8).reshape(tokens, -1)[rows].tobytes()
            shape[0] = len(rows)
        parts += [name, struct.pack(f"<B{len(shape)}I", len(shape), *shape), kind, struct.pack("<I", len(data)), data]
    return b"".join([*parts, model[at:]])
