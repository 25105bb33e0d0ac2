"""Which of Whisper's tokens a language in plain letters needs: `python -m services.making.whisper_vocabulary` writes the list of
that which the settings name."""

import argparse
import json
from pathlib import Path

import numpy as np

import languages
from services.stt.vocabulary_subset import tokens_of

BYTES = 256  # the first tokens: with them anything can be spelled


def main(weights: Path, language: languages.Language) -> None:
    """All stays that has no letters but a to z. A list of words kept 31,000 tokens: without the "edar" of a Cedar Avenue and with
    no capitals side by side, four addresses had 19 characters wrong, and have 9."""
    folder = weights / "whisper-base"
    known = tokens_of(folder)
    foreign = set(json.loads((folder / "config.json").read_bytes())["lang_ids"]) - {known.index(f"<|{language.code}|>")}
    control = known.index("<|endoftext|>")
    stays = [
        at not in foreign and (token.removeprefix("Ġ").isascii() or not BYTES <= at < control) for at, token in enumerate(known)
    ]
    np.save(language.folder / "whisper_tokens.npy", np.packbits(stays))
    print(f"{sum(stays)} of {len(stays)} tokens stay")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model files")
    parser.add_argument("--language", required=True, help="its code")
    args = parser.parse_args()
    main(args.weights, languages.find(args.language))
