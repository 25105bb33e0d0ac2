"""Which model of a server's list is taken for what."""

from typing import Any

import pytest

from vendors.http.model_names import suited


def listed(*names: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


OPENAI = listed(
    "dall-e-3",
    "whisper-1",
    "text-embedding-3-small",
    "tts-1",
    "omni-moderation-latest",
    "gpt-4o-realtime-preview",
    "gpt-4.1-mini",
)
GROQ = listed("whisper-large-v3-turbo", "playai-tts", "meta-llama/llama-guard-4-12b", "llama-3.3-70b-versatile")
LM_STUDIO = listed("text-embedding-nomic-embed-text-v1.5", "qwen2.5-7b-instruct")
OLLAMA = listed("nomic-embed-text:latest", "mxbai-embed-large", "bge-m3", "qwen3:4b")
LOCAL_AI = listed("stablediffusion", "whisper-base", "voice-en-us-amy-low", "bert-embeddings", "gpt-4")
SPEACHES = {
    "data": [
        {"id": "Systran/faster-distil-whisper-small.en", "object": "model", "task": "automatic-speech-recognition"},
        {"id": "speaches-ai/Kokoro-82M-v1.0-ONNX", "object": "model", "task": "text-to-speech"},
    ]
}
KOKORO = listed("tts-1", "tts-1-hd", "kokoro")
TOGETHER = [
    {"id": "black-forest/x", "type": "image"},
    {"id": "m2/retrieval", "type": "embedding"},
    {"id": "a/b", "type": "chat"},
]
OPENROUTER = {
    "data": [
        {"id": "x/painter", "architecture": {"output_modalities": ["image", "text"]}},
        {"id": "x/talker", "architecture": {"output_modalities": ["text"]}},
    ]
}


@pytest.mark.parametrize(
    ("answer", "llm", "stt", "tts"),
    [
        (OPENAI, "gpt-4.1-mini", "whisper-1", "tts-1"),
        (GROQ, "llama-3.3-70b-versatile", "whisper-large-v3-turbo", "playai-tts"),
        (LM_STUDIO, "qwen2.5-7b-instruct", "qwen2.5-7b-instruct", "qwen2.5-7b-instruct"),
        (OLLAMA, "qwen3:4b", "qwen3:4b", "qwen3:4b"),
        (LOCAL_AI, "gpt-4", "whisper-base", "voice-en-us-amy-low"),
        (SPEACHES, "", "Systran/faster-distil-whisper-small.en", "speaches-ai/Kokoro-82M-v1.0-ONNX"),
        (KOKORO, "", "", "tts-1"),
        (TOGETHER, "a/b", "", ""),
        (OPENROUTER, "x/talker", "", ""),
        (listed("my-model"), "my-model", "my-model", "my-model"),
        (listed("embedded"), "embedded", "embedded", "embedded"),
        ({"models": [{"name": "llama3"}]}, "llama3", "llama3", "llama3"),
        ({"data": []}, "", "", ""),
        ({"data": None}, "", "", ""),
        ({}, "", "", ""),
        ({"data": [5, None, {"id": 7}, {"id": "gpt"}]}, "gpt", "gpt", "gpt"),
    ],
)
def test_the_model_that_suits_is_taken(answer: Any, llm: str, stt: str, tts: str) -> None:
    assert (suited(answer, "llm"), suited(answer, "stt"), suited(answer, "tts")) == (llm, stt, tts)


@pytest.mark.parametrize("answer", ["text", 5, None, {"data": 5}, {"data": {"id": "x"}}])
def test_what_is_no_list_of_models_is_refused(answer: Any) -> None:
    with pytest.raises(TypeError):
        suited(answer, "llm")
