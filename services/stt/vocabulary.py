"""Which of Whisper's tokens are English: `python -m services.stt.vocabulary` writes `english.npy`."""

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from services.stt.english import KEPT, spelling_of, tokens_of

COMMON = 3_000  # the first tokens are frequent, whatever they are
LEAST_WORDS = 80  # that a part of words must be of use for
BYTES = 256  # the first tokens: with them anything can be spelled


def main(weights: Path) -> None:
    folder = weights / "whisper-base"
    known = tokens_of(folder)
    foreign = set(json.loads((folder / "config.json").read_bytes())["lang_ids"]) - {known.index("<|en|>")}
    english = _english(folder, _words(weights))
    control = known.index("<|endoftext|>")
    stays = [at not in foreign and (token in english or not BYTES <= at < control) for at, token in enumerate(known)]
    np.save(KEPT, np.packbits(stays))
    print(f"{sum(stays)} of {len(stays)} tokens stay")


def _words(weights: Path) -> set[str]:
    """The words of hibari's pronouncing dictionary and those BERT knows as one token, with the endings a dictionary leaves out:
    what is then no word does no harm."""
    dictionary = json.loads(gzip.decompress((resources.files("hibari") / "assets/lexicon_us_gold.json.gz").read_bytes()))
    frequent = Tokenizer.from_file(str(weights / "minilm/tokenizer.json")).get_vocab()
    return {
        form for word in (*dictionary, *filter(str.isalpha, frequent)) if word.isascii() for form in _inflected(word.lower())
    }


def _inflected(word: str) -> Iterator[str]:
    stem, last = word[:-1], word[-1]
    yield from (word, f"{word}s", f"{word}es", f"{word}'s", f"{word}ing", f"{word}ed", f"{word}d")
    yield from (f"{stem}ing", f"{stem}ies", f"{stem}ied", f"{word}{last}ing", f"{word}{last}ed")


def _english(folder: Path, words: set[str]) -> set[str]:
    """The tokens that are a word with the space before it, parts of many words, digits and signs, and all that those are merged
    from."""
    spelling = spelling_of(folder)
    vocabulary, merges = spelling["model"]["vocab"], spelling["model"]["merges"]
    names = {at: token for token, at in vocabulary.items()}
    tokenizer = Tokenizer.from_str(json.dumps(spelling))
    forms = sorted({form for word in words for form in (word, f" {word}", f" {word.capitalize()}")})
    uses: Counter[int] = Counter()
    kept: set[str] = set()
    for form, encoded in zip(forms, tokenizer.encode_batch_fast(forms, add_special_tokens=False), strict=True):
        uses.update(set(encoded.ids))
        if form.startswith(" ") and len(encoded.ids) == 1:
            kept.update(names[token] for token in encoded.ids)
    kept.update(names[token] for token, count in uses.items() if count >= LEAST_WORDS)
    spelled = (token for token in vocabulary if token.replace("Ġ", "").isascii())
    kept.update(token for token in spelled if vocabulary[token] < COMMON or not re.search("[A-Za-z]", token))
    for left, right in (merge.split(" ") for merge in reversed(merges)):
        if left + right in kept:
            kept.update((left, right))
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model files")
    main(parser.parse_args().weights)
