"""Whisper with the tokens of English alone is still Whisper."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.settings import Settings
from services.stt.english import english, tokens_of

WHOLE = Settings().weights_dir / "whisper-base"


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokenizer]:
    folder = tmp_path_factory.mktemp("cut")
    return folder, english(WHOLE, folder)


@pytest.mark.parametrize(
    "text", [" What's the time?", " two lattes, 2:30 p.m.", " Valkey, CTranslate2", " Zoë wohnt in 東京 🙂"]
)
def test_any_text_can_be_spelled(cut: tuple[Path, Tokenizer], text: str) -> None:
    _, tokenizer = cut
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_usual_words_are_one_token(cut: tuple[Path, Tokenizer]) -> None:
    _, tokenizer = cut
    for word in (" the", " weeks", " coffee", " Wednesday", " asked"):
        assert len(tokenizer.encode(word, add_special_tokens=False).ids) == 1, word


def test_the_tokenizer_and_the_model_number_tokens_alike(cut: tuple[Path, Tokenizer]) -> None:
    folder, tokenizer = cut
    known = tokens_of(folder)
    assert all(known[at] == token for token, at in tokenizer.get_vocab().items())
    assert known[tokenizer.token_to_id("<|notimestamps|>") + 1 :] == [f"<|{at / 50:.2f}|>" for at in range(1501)]
    assert [token for token in known if len(token) == 6 and token.startswith("<|") and token[2].isalpha()] == ["<|en|>"]


def test_what_is_left_out_makes_the_model_smaller(cut: tuple[Path, Tokenizer]) -> None:
    folder, _ = cut
    rows = len(tokens_of(WHOLE)) - len(tokens_of(folder))
    saved = (WHOLE / "model.bin").stat().st_size - (folder / "model.bin").stat().st_size
    assert saved == rows * 512 * 2  # numbers a row, bytes a number
