"""The outside world behind Protocols (`services.base`): one folder a capability."""

from pathlib import Path

from services.base import Services


def embedded(weights: Path, cache: Path, knowledge: Path | None = None) -> Services:
    """All services on this machine. `weights` is the folder of the model files, `cache` keeps what is computed from texts, and
    `knowledge` is the folder to answer from (None: the built-in one). Raises ValueError when that folder cannot be used."""
    from services.echo.local import EchoCancellation
    from services.embedding import Embedder
    from services.intent.local import LocalIntent
    from services.llm.local import GroundedAnswerer
    from services.retrieval.local import LocalRetriever
    from services.stt.local import WhisperStt
    from services.tts.local import HibariTts
    from services.turn.local import SmartTurn
    from services.vad.local import SileroVad
    from services.workers import Workers

    if knowledge is not None and not any(knowledge.glob("**/*.md")):
        raise ValueError(f"knowledge: {knowledge} is no folder with .md files in it")
    workers = Workers()
    embedder = Embedder(weights, workers)
    return Services(
        echo=EchoCancellation(weights, workers),
        vad=SileroVad(weights, workers),
        turn=SmartTurn(weights, workers),
        stt=WhisperStt(weights, workers),
        intent=LocalIntent(embedder, workers, cache),
        retrieval=LocalRetriever(embedder, workers, cache, knowledge),
        llm=GroundedAnswerer(),
        tts=HibariTts(weights, workers),
    )
