"""The outside world behind Protocols (`services.base`): one folder a capability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from languages.base import Language
from services.base import Services

if TYPE_CHECKING:
    from services.workers import Workers


def embedded(
    weights: Path,
    cache: Path,
    language: Language,
    knowledge: Path | None = None,
    workers: "Workers | None" = None,
    phrases: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Services:
    """All services on this machine, for `language`. `weights` is the folder of the model files, `cache` keeps what is computed from
    texts, and `knowledge` is the folder to answer from (None: the built-in one). The models run on `workers` (None: on new ones).
    `phrases` are examples by intent of what people say, beside those of the language. Raises ValueError when the folder of the
    knowledge cannot be used."""
    from services.barge_in.whisper_encoder import WhisperJudge
    from services.echo.aec3 import EchoCancellation
    from services.embedding import Embedder
    from services.intent.classifier import LocalIntent
    from services.llm.extractive import GroundedAnswerer
    from services.retrieval.folder import LocalRetriever
    from services.retrieval.readers import READERS, found_in
    from services.speaker.ge2e import VoiceEncoder
    from services.stt.whisper import WhisperStt
    from services.tts.hibari import HibariTts
    from services.turn.smart_turn import SmartTurn
    from services.vad.silero import SileroVad
    from services.workers import Workers

    if knowledge is not None and not found_in(knowledge)[0]:
        raise ValueError(f"knowledge: {knowledge} is no folder with files in it that can be read ({', '.join(READERS)})")
    workers = workers or Workers()
    embedder = Embedder(weights, workers)
    stt = WhisperStt(weights, workers, language)
    return Services(
        echo=EchoCancellation(weights, workers),
        vad=SileroVad(weights, workers),
        turn=SmartTurn(weights, workers),
        barge_in=WhisperJudge(stt, workers),
        speaker=VoiceEncoder(weights, workers),
        stt=stt,
        intent=LocalIntent(embedder, workers, cache, language, more=phrases),
        retrieval=LocalRetriever(embedder, workers, cache, language, knowledge),
        llm=GroundedAnswerer(language),
        tts=HibariTts(weights, workers, language),
        waited_s=workers.waited_s,
    )
