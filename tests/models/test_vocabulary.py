"""Whisper with the tokens of English alone is still Whisper."""

import json

import pytest
from tokenizers import Tokenizer

from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.stt.vocabulary_subset import Vocabulary, kept, spelling_of, tokens_of

WHOLE = Settings().weights_dir / "whisper-base"


@pytest.fixture(scope="module")
def cut() -> Vocabulary:
    return kept(WHOLE, ENGLISH.tokens)


@pytest.mark.parametrize(
    "text", [" What's the time?", " two lattes, 2:30 p.m.", " Valkey, CTranslate2", " Zoë wohnt in 東京 🙂"]
)
def test_any_text_can_be_spelled(cut: Vocabulary, text: str) -> None:
    assert cut.tokenizer.decode(cut.tokenizer.encode(text, add_special_tokens=False).ids) == text


@pytest.mark.parametrize(
    "text", [" the weeks of coffee on Wednesday", " 128 Cedar Avenue", " 77 Spruce Way", " AB, KLM, QX-7", " Niamh Xiang, wifi"]
)
def test_nothing_in_plain_letters_is_spelled_otherwise_than_the_model_has_learnt(cut: Vocabulary, text: str) -> None:
    whole = Tokenizer.from_str(json.dumps(spelling_of(WHOLE)))
    assert cut.tokenizer.encode(text, add_special_tokens=False).tokens == whole.encode(text, add_special_tokens=False).tokens


def test_the_tokenizer_and_the_model_number_tokens_alike(cut: Vocabulary) -> None:
    whole = tokens_of(WHOLE)
    known = [whole[row] for row in cut.rows]
    assert all(known[at] == token for token, at in cut.tokenizer.get_vocab().items())
    assert known[cut.tokenizer.token_to_id("<|notimestamps|>") + 1 :] == [f"<|{at / 50:.2f}|>" for at in range(1501)]
    assert [token for token in known if len(token) == 6 and token.startswith("<|") and token[2].isalpha()] == ["<|en|>"]
    assert len(known) < 0.78 * len(whole)
