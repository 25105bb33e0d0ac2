"""Which of the models that a server lists is for what: `/models` tells little more than their names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Names of models that do one thing only, as Ollama, LM Studio, LocalAI, speaches, Groq, OpenRouter and OpenAI list them.
_EARS = (
    r"whisper|transcri|parakeet|canary|moonshine|sense-?voice|paraformer|wav2vec|voxtral|zipformer|\bstt\b|asr(?![a-z])|speech-to"
    r"|\bscribe\b|\bscribe_"
)
_VOICES = (
    r"\btts|tts\b|kokoro|piper|orpheus|chatterbox|\bbark\b|xtts|parler|cosyvoice|\bcsm\b|melo-?tts|vits|playai|styletts"
    r"|outetts|speecht5|hibari|voice-?clon|text-to-speech|voices?\b|\bvibevoice|fish-?speech"
    r"|\beleven_|\bzonos\b|\bdia-\d|higgs-audio"
)
_NEITHER = (
    r"embed(?!ded)|\bbge\b|\be5\b|\bgte\b|minilm|rerank|moderation|guard|dall-?e|gpt-image|stable-?diffusion|\bsdxl?\b|\bflux|imagen|\bsora"
    r"|\bveo\b|clip\b|siglip|\bvad\b|silero|babbage|davinci|realtime|audio-preview|gpt-audio|diari[sz]|wespeaker|mmproj|colbert|\bocr\b|upscal|musicgen"
    r"|shieldgemma|\bparaphrase-|sentence-transformers|\b(?:distil|ro|xlm-ro|modern)?bert(?:a|\b)|turbo-instruct$|computer-use"
    r"|deep-research|\bo\d-pro\b|\baqa\b|-image\b|native-audio|-live\b|\blyria\b|all-proxy-models|\*"
)
_MEANT = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in (("stt", _EARS), ("tts", _VOICES), ("", _NEITHER))}
MOST, LONGEST = 5000, 300  # models of a list, and characters of a name, that are looked at
# What some say of a model besides its name: `task` (speaches), `type` (LM Studio, Together), `pipeline_tag` (Hugging Face).
_TASKS = {
    "llm": re.compile(r"llm|vlm|chat|language|text-generation|image-text-to-text|any-to-any|completion", re.IGNORECASE),
    "stt": re.compile(r"speech-recognition|transcri|speech-to-text|\bstt\b|\basr\b", re.IGNORECASE),
    "tts": re.compile(r"text-to-speech|speech-synthesis|text-to-audio|\btts\b|^audio$", re.IGNORECASE),
    "": re.compile(r"embed|image|feature|rerank|moderation|\bvad\b|voice-activity|diari[sz]|video", re.IGNORECASE),
}


def suited(listed: Any, capability: str) -> str:
    """The id of the first model in `listed`, an answer to `/models`, that suits "llm", "stt" or "tts"; failing that, of the first
    whose purpose is not known; "" where there is none. Raises TypeError for what is no such answer."""
    models = sorted(_models(listed), key=_loads)  # a stable order
    purposes = [(model["id"], _purpose(model)) for model in models]
    # A language model has no mark of its own in its name, all others have.
    wanted = [name for name, purpose in purposes if purpose == capability]
    return next(iter(wanted + [name for name, purpose in purposes if purpose is None]), "")


def _loads(model: Mapping[str, Any]) -> int:
    """0 for a model that is loaded, or of which that is not told, 1 for one that first must be (llama.cpp, LM Studio), 2 for one
    that could not be, or is not for use any more."""
    status = model.get("status")
    told = status if isinstance(status, dict) else {"value": model.get("state")}
    if told.get("failed") or model.get("archived"):
        return 2
    return int(told.get("value") in ("unloaded", "not-loaded", "loading"))


def _models(listed: Any) -> Iterator[Mapping[str, Any]]:
    found = (listed.get("data") or listed.get("models") or ()) if isinstance(listed, dict) else listed
    if not isinstance(found, list | tuple):
        raise TypeError("no list of models")
    for model in found[:MOST]:
        if isinstance(model, dict) and isinstance(name := _name(model), str) and 0 < len(name) <= LONGEST:
            yield {**model, "id": name}


def _name(model: Mapping[str, Any]) -> Any:
    """What it is asked for by: of a catalogue (GitHub's) not the address in it."""
    name, id = model.get("name"), model.get("id")
    return name if isinstance(name, str) and "://" in str(id) else id or name


def _purpose(model: Mapping[str, Any]) -> str | None:
    """ "llm", "stt", "tts", "" for something else, None where it is not known."""
    for task in (model.get("task"), model.get("type"), model.get("pipeline_tag")):
        for purpose, words in _TASKS.items():
            if isinstance(task, str) and words.search(task):
                return purpose
    able, built = model.get("capabilities"), model.get("architecture")
    if model.get("active") is False:  # Groq
        return ""
    makes = built.get("output_modalities") if isinstance(built, dict) else None  # OpenRouter
    if isinstance(makes, list):
        return "llm" if makes == ["text"] else ""
    named = next((purpose for purpose, words in reversed(_MEANT.items()) if words.search(model["id"])), None)
    chats = (
        next((able[key] for key in ("completion_chat", "chat_completion") if key in able), None)
        if isinstance(able, dict)
        else None
    )
    if named is None and chats is not None:  # Mistral, Azure
        return "llm" if chats else ""
    return named
