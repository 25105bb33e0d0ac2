"""What a conversation needs of models, behind Protocols (`services.base`): what is embedded, one folder a capability, and what
stands around the service of a vendor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from languages.base import Language
from services.base import Services
from services.health import Health

if TYPE_CHECKING:
    from services.workers import Workers


def embedded(
    weights: Path,
    cache: Path,
    language: Language,
    knowledge: Path | None = None,
    workers: "Workers | None" = None,
    phrases: Mapping[str, Sequence[str]] = MappingProxyType({}),
    others: Sequence[Language] = (),
) -> Services:
    """All services on this machine, for `language`, and for `others` that a conversation may be held in. `weights` is the folder of
    the model files, `cache` keeps what is computed from texts, and `knowledge` is the folder to answer from (None: the built-in
    one). The models run on `workers` (None: on new ones). `phrases` are examples by intent of what people say, beside those of the
    language. Raises ValueError when the folder of the knowledge cannot be used."""
    from documents.readers import READERS, found_in
    from services.barge_in.whisper_encoder import WhisperJudge
    from services.echo.aec3 import Aec3Cancellation
    from services.embedding import Embedder
    from services.intent.classifier import LocalIntent
    from services.llm.extractive import GroundedAnswerer
    from services.retrieval.folder import LocalRetriever
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
    kinds: dict[str, Any] = {"echo": Aec3Cancellation, "vad": SileroVad, "turn": SmartTurn, "speaker": VoiceEncoder}
    shared: dict[str, Any] = {name: kind(weights, workers) for name, kind in kinds.items()}  # which have no language
    shared |= {"health": Health(), "waited_s": workers.waited_s}

    def of(spoken: Language) -> Services:
        stt = WhisperStt(weights, workers, spoken)
        return Services(
            **shared,
            stt=stt,
            barge_in=WhisperJudge(stt, workers),
            intent=LocalIntent(embedder, workers, cache, spoken, more=phrases),
            retrieval=LocalRetriever(embedder, workers, cache, spoken, knowledge),
            llm=GroundedAnswerer(spoken),
            tts=HibariTts(weights, workers, spoken),
        )

    return replace(of(language), others={other.code: of(other) for other in others})
