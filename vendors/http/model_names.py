"""Which of the models that a server lists is for what: `/models` tells little more than their names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Names of models that do one thing only, as Ollama, LM Studio, LocalAI, speaches, Groq, OpenRouter and OpenAI list them.
_EARS = (
    r"whisper|transcri|parakeet|canary|moonshine|sense-?voice|paraformer|wav2vec|voxtral|zipformer|\bstt\b|\basr\b|speech-to"
)
_VOICES = (
    r"\btts|tts\b|kokoro|piper|orpheus|chatterbox|\bbark\b|xtts|parler|cosyvoice|\bcsm\b|melo-?tts|vits|playai|styletts"
    r"|outetts|speecht5|hibari|voice-?clon|text-to-speech|\bvoices?\b"
)
_NEITHER = (
    r"embed(?!ded)|\bbge\b|\be5\b|\bgte\b|minilm|rerank|moderation|guard|dall-?e|gpt-image|stable-?diffusion|\bsdxl?\b|\bflux|imagen|\bsora"
    r"|\bveo\b|clip\b|siglip|\bvad\b|silero|babbage|davinci|realtime|audio-preview|gpt-audio|diari[sz]|wespeaker|mmproj|colbert|\bocr\b|upscal|musicgen"
)
_MEANT = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in (("stt", _EARS), ("tts", _VOICES), ("", _NEITHER))}
MOST, LONGEST = 5000, 300  # models of a list, and characters of a name, that are looked at
# What some say of a model besides its name: `task` (speaches), `type` (LM Studio, Together), `pipeline_tag` (Hugging Face).
_TASKS = {
    "llm": re.compile(r"llm|vlm|chat|language|text-generation|image-text-to-text|any-to-any|completion", re.IGNORECASE),
    "stt": re.compile(r"speech-recognition|transcri|speech-to-text|\bstt\b|\basr\b", re.IGNORECASE),
    "tts": re.compile(r"text-to-speech|speech-synthesis|text-to-audio|\btts\b", re.IGNORECASE),
    "": re.compile(r"embed|image|feature|rerank|moderation|\bvad\b|voice-activity|diari[sz]|video", re.IGNORECASE),
}


def suited(listed: Any, capability: str) -> str:
    """The id of the first model in `listed`, an answer to `/models`, that suits "llm", "stt" or "tts"; failing that, of the first
    whose purpose is not known; "" where there is none. Raises TypeError for what is no such answer."""
    purposes = [(model["id"], _purpose(model)) for model in _models(listed)]
    # A language model has no mark of its own in its name, all others have.
    wanted = [name for name, purpose in purposes if purpose == capability]
    return next(iter(wanted + [name for name, purpose in purposes if purpose is None]), "")


def _models(listed: Any) -> Iterator[Mapping[str, Any]]:
    found = (listed.get("data") or listed.get("models") or ()) if isinstance(listed, dict) else listed
    if not isinstance(found, list | tuple):
        raise TypeError("no list of models")
    for model in found[:MOST]:
        if (
            isinstance(model, dict)
            and isinstance(name := model.get("id") or model.get("name"), str)
            and 0 < len(name) <= LONGEST
        ):
            yield {**model, "id": name}


def _purpose(model: Mapping[str, Any]) -> str | None:
    """ "llm", "stt", "tts", "" for something else, None where it is not known."""
    for task in (model.get("task"), model.get("type"), model.get("pipeline_tag")):
        for purpose, words in _TASKS.items():
            if isinstance(task, str) and words.search(task):
                return purpose
    able, built = model.get("capabilities"), model.get("architecture")
    if model.get("active") is False or (isinstance(able, dict) and able.get("completion_chat") is False):  # Groq, Mistral
        return ""
    makes = built.get("output_modalities") if isinstance(built, dict) else None  # OpenRouter
    if isinstance(makes, list):
        return "llm" if makes == ["text"] else ""
    return next((purpose for purpose, words in reversed(_MEANT.items()) if words.search(model["id"])), None)
