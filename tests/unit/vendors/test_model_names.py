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

LLAMA_CPP = {"data": [
    {"id": "broken", "status": {"value": "unloaded", "failed": True}}, {"id": "asleep", "status": {"value": "unloaded"}},
    {"id": "awake", "status": {"value": "loaded"}},
]}  # fmt: skip
LM_STUDIO_STATES = {
    "data": [{"id": "phi-4", "type": "llm", "state": "not-loaded"}, {"id": "qwen", "type": "vlm", "state": "loaded"}]
}
AZURE = {
    "data": [
        {"id": "ada-002", "capabilities": {"chat_completion": False}},
        {"id": "4o", "capabilities": {"chat_completion": True}},
    ]
}
MISTRAL = {"data": [
    {"id": "open-mistral-7b", "archived": True, "capabilities": {"completion_chat": True}},
    {"id": "mistral-embed", "capabilities": {"completion_chat": False}},
    {"id": "voxtral-mini-transcribe-2507", "capabilities": {"completion_chat": False}},
    {"id": "mistral-small-latest", "capabilities": {"completion_chat": True}},
]}  # fmt: skip
GITHUB = [
    {
        "id": "azureml://registries/azure-openai/models/text-embedding-3-small/versions/1",
        "name": "embed-3",
        "task": "embeddings",
    },
    {"id": "azureml://registries/azure-openai/models/gpt-4o/versions/2", "name": "gpt-4o", "task": "chat-completion"},
]
TOGETHER_SOUND = [
    {"id": "x/sonic-2", "type": "audio"},
    {"id": "x/hears", "type": "transcribe"},
    {"id": "x/talks", "type": "chat"},
]


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
        (LLAMA_CPP, "awake", "awake", "awake"),
        ({"data": LLAMA_CPP["data"][:2]}, "asleep", "asleep", "asleep"),
        (LM_STUDIO_STATES, "qwen", "", ""),
        (AZURE, "4o", "", ""),
        (MISTRAL, "mistral-small-latest", "voxtral-mini-transcribe-2507", ""),
        (GITHUB, "gpt-4o", "", ""),
        (TOGETHER_SOUND, "x/talks", "x/hears", "x/sonic-2"),
        (listed("*", "openai/*", "all-proxy-models", "gpt-4o"), "gpt-4o", "gpt-4o", "gpt-4o"),
        (listed("openai/*"), "", "", ""),
        (listed("gpt-3.5-turbo-instruct", "o1-pro", "computer-use-preview", "o4-mini-deep-research", "gpt-4o"),
         "gpt-4o", "gpt-4o", "gpt-4o"),
        (listed("models/aqa", "models/gemini-2.5-flash-image", "models/gemini-native-audio-latest", "models/gemini-flash"),
         "models/gemini-flash", "models/gemini-flash", "models/gemini-flash"),
        (listed("paraphrase-multilingual", "shieldgemma:2b", "xlm-roberta-base", "fish-speech-1.5", "scribe_v1", "gemma3:4b"),
         "gemma3:4b", "scribe_v1", "fish-speech-1.5"),
        (listed("vibevoice-1.5b", "iic/FunASR-nano", "qwen3:4b"), "qwen3:4b", "iic/FunASR-nano", "vibevoice-1.5b"),
        (listed("deliverance-7b"), "deliverance-7b", "deliverance-7b", "deliverance-7b"),
        (listed("Llama-3.1-8B-Instruct-Turbo"), *["Llama-3.1-8B-Instruct-Turbo"] * 3),
        (listed("my-model"), "my-model", "my-model", "my-model"),
        (listed("embedded"), "embedded", "embedded", "embedded"),
        ({"models": [{"name": "llama3"}]}, "llama3", "llama3", "llama3"),
        ({"data": []}, "", "", ""),
        ({"data": None}, "", "", ""),
        ({}, "", "", ""),
        ({"data": [5, None, {"id": 7}, {"id": "gpt"}]}, "gpt", "gpt", "gpt"),
    ],
)  # fmt: skip
def test_the_model_that_suits_is_taken(answer: Any, llm: str, stt: str, tts: str) -> None:
    assert (suited(answer, "llm"), suited(answer, "stt"), suited(answer, "tts")) == (llm, stt, tts)


@pytest.mark.parametrize("answer", ["text", 5, None, {"data": 5}, {"data": {"id": "x"}}])
def test_what_is_no_list_of_models_is_refused(answer: Any) -> None:
    with pytest.raises(TypeError):
        suited(answer, "llm")
