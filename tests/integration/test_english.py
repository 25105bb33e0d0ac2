"""Whisper with the tokens of English alone is still Whisper."""

import pytest
from tokenizers import Tokenizer

from app.settings import Settings
from services.stt.english import english


@pytest.fixture(scope="module")
def cut() -> tuple[dict[str, bytes], Tokenizer]:
    return english(Settings().weights_dir / "whisper-base")


def lines(files: dict[str, bytes]) -> list[str]:
    return files["vocabulary.txt"].decode().split("\n")[:-1]


@pytest.mark.parametrize(
    "text", [" What's the time?", " two lattes, 2:30 p.m.", " Valkey, CTranslate2", " Zoë wohnt in 東京 🙂"]
)
def test_any_text_can_be_spelled(cut: tuple[dict[str, bytes], Tokenizer], text: str) -> None:
    _, tokenizer = cut
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_usual_words_are_one_token(cut: tuple[dict[str, bytes], Tokenizer]) -> None:
    _, tokenizer = cut
    for word in (" the", " weeks", " coffee", " Wednesday", " asked"):
        assert len(tokenizer.encode(word, add_special_tokens=False).ids) == 1, word


def test_the_tokenizer_and_the_model_number_tokens_alike(cut: tuple[dict[str, bytes], Tokenizer]) -> None:
    files, tokenizer = cut
    known = lines(files)
    assert all(known[at] == token for token, at in tokenizer.get_vocab().items())
    assert known[tokenizer.token_to_id("<|notimestamps|>") + 1 :] == [f"<|{at / 50:.2f}|>" for at in range(1501)]
    assert [token for token in known if len(token) == 6 and token.startswith("<|") and token[2].isalpha()] == ["<|en|>"]


def test_what_is_left_out_makes_the_model_smaller(cut: tuple[dict[str, bytes], Tokenizer]) -> None:
    files, _ = cut
    whole = Settings().weights_dir / "whisper-base" / "model.bin"
    rows = len((whole.parent / "vocabulary.txt").read_text(encoding="utf-8").split("\n")) - 1 - len(lines(files))
    assert whole.stat().st_size - len(files["model.bin"]) == rows * 512 * 2  # numbers a row, bytes a number
