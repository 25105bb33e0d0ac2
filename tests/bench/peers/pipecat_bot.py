"""Pipecat 1.14: its Silero VAD and Smart Turn v3, the embedded speech to text, answers and voice as its services, over its
FastAPI WebSocket transport.

Set up as its documentation says: the VAD analyzer (stop_secs 0.2) in the user aggregator with the default turn strategies, VAD to
start and `LocalSmartTurnAnalyzerV3` to stop (https://docs.pipecat.ai/pipecat/learn/speech-input), services by subclassing, a
serializer of our own for the wire (https://docs.pipecat.ai/api-reference/server/services/serializers/introduction).
"""

import argparse
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import numpy as np
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from services.base import HEARING_RATE, SPEAKING_RATE, Services
from tests.bench.peers.common import Brain, Peer, main
from tests.bench.websocket import HEADER


class Wire(FrameSerializer):  # type: ignore[misc]
    """Our client's frames. A generation lasts until the next interruption."""

    def __init__(self) -> None:
        super().__init__()
        self._generation, self._sequence = 1, 0

    async def serialize(self, frame: Frame) -> str | bytes | None:
        if isinstance(frame, InterruptionFrame):
            self._generation += 1
            return json.dumps({"type": "playback_stop", "generation": self._generation - 1})
        if isinstance(frame, OutputAudioRawFrame):
            self._sequence += 1
            return HEADER.pack(self._generation, self._sequence) + bytes(frame.audio)
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        if isinstance(data, bytes):
            return InputAudioRawFrame(audio=data, sample_rate=HEARING_RATE, num_channels=1)
        return InterruptionFrame() if json.loads(data)["type"] == "interrupt" else None


class Ears(SegmentedSTTService):  # type: ignore[misc]
    wants_wav_segments = False

    def __init__(self, services: Services) -> None:
        # The embedded speech to text adds the silence that Pipecat would add.
        super().__init__(trailing_silence_secs=0.0, settings=STTSettings(model="whisper-base", language=None))
        self._services = services

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        samples = np.frombuffer(audio, np.int16).astype(np.float32) / np.float32(32768)
        prompt = self._services.retrieval.vocabulary()
        heard = await self._services.stt.transcribe(samples, final=True, prompt=prompt)
        if heard.text:
            yield TranscriptionFrame(heard.text, self._user_id, time_now_iso8601())


class Answers(LLMService):  # type: ignore[misc]
    def __init__(self, brain: Brain) -> None:
        unused = ("system_instruction", "temperature", "max_tokens", "top_p", "top_k", "frequency_penalty", "presence_penalty")
        more = ("seed", "filter_incomplete_user_turns", "user_turn_completion_config")
        super().__init__(settings=LLMSettings(model="grounded", **dict.fromkeys(unused + more)))
        self._brain = brain

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        asked = [message["content"] for message in frame.context.get_messages() if message["role"] == "user"]
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            async for piece in self._brain.answer(str(asked[-1])):
                await self.push_frame(LLMTextFrame(piece))
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


class Voice(TTSService):  # type: ignore[misc]
    def __init__(self, services: Services) -> None:
        settings = TTSSettings(model="hibari", voice=None, language=None)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings)
        self._services = services

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        async def pieces() -> AsyncIterator[bytes]:
            async for speech in self._services.tts.speak(text):
                yield speech.samples.tobytes()

        async for frame in self._stream_audio_frames_from_iterator(
            pieces(), in_sample_rate=SPEAKING_RATE, context_id=context_id
        ):
            yield frame


async def converse(wire: WebSocket, peer: Peer) -> None:
    """One call, until the client hangs up."""
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=Wire())
    transport = FastAPIWebsocketTransport(wire, params)
    vad = SileroVADAnalyzer(params=VADParams(stop_secs=0.2))
    aggregators = LLMContextAggregatorPair(LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=vad))
    services = peer.services
    pipeline = Pipeline(
        [
            transport.input(),
            Ears(services),
            aggregators.user(),
            Answers(peer.brain()),
            Voice(services),
            transport.output(),
            aggregators.assistant(),
        ]
    )
    rates = PipelineParams(audio_in_sample_rate=HEARING_RATE, audio_out_sample_rate=SPEAKING_RATE)
    worker = PipelineWorker(pipeline, params=rates)

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def hung_up(transport: Any, client: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def build(args: argparse.Namespace) -> FastAPI:
    logger.remove()
    peer = Peer()

    @peer.app.websocket("/orchestrate")
    async def orchestrate(wire: WebSocket) -> None:
        await wire.accept()
        await wire.receive_json()  # `start`
        await wire.send_json({"type": "ready", "sample_rate": SPEAKING_RATE})
        await converse(wire, peer)

    return peer.app


if __name__ == "__main__":
    main(build)
