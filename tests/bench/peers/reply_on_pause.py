"""Stock FastRTC: `ReplyOnPause` around the embedded models, over its own WebRTC stream.

Set up as the guide says (https://fastrtc.org/userguide/audio/, "Reply On Pause"): an async generator gets the whole audio and
yields sound; `AlgoOptions` and `SileroVadOptions` tune it. Its Silero would be loaded from a model hub; here the same algorithm
runs on the embedded weights.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import soxr
from fastapi import FastAPI
from fastrtc import AlgoOptions, ReplyOnPause, SileroVadOptions, Stream
from fastrtc.pause_detection.silero import SileroVADModel
from fastrtc.utils import get_current_context
from numpy.typing import NDArray

from app.dialogue.clauses import split_clauses
from app.settings import Settings
from languages.en import LANGUAGE as ENGLISH
from services.base import HEARING_RATE, SPEAKING_RATE, VAD_WINDOW
from services.onnx_model import onnx_session
from services.vad.silero import CONTEXT, STATE
from services.weights import fetch
from tests.bench.peers.common import Brain, Peer, main

Sound = tuple[int, NDArray[np.int16]]

# Of chunks of 0.1 to 0.6 s the shortest that keeps sentences whole: it broke 1 of 41 apart, 0.2 s broke 10. Padding and long
# minima only add speech to a chunk where there is none.
TUNED = (
    AlgoOptions(audio_chunk_duration=0.3, started_talking_threshold=0.1, speech_threshold=0.1),
    SileroVadOptions(min_speech_duration_ms=60, min_silence_duration_ms=60, window_size_samples=512, speech_pad_ms=0),
)


class EmbeddedSilero(SileroVADModel):  # type: ignore[misc]
    """FastRTC's segmentation over the embedded network, which wants windows of 512 samples with 64 of the one before."""

    def __init__(self) -> None:
        self.session = onnx_session(fetch("silero_vad_v6.onnx", Settings().weights_dir))

    def get_initial_state(self, batch_size: int) -> Any:
        return np.zeros(STATE, np.float32), np.zeros(STATE, np.float32), np.zeros(CONTEXT, np.float32)

    def __call__(self, x: NDArray[np.float32], state: Any, sr: int) -> Any:
        """The highest probability in `x`, a multiple of 512 samples at 16 kHz, and the state after it."""
        h, c, context = state
        highest = 0.0
        for window in x.reshape(-1, VAD_WINDOW):
            padded = np.concatenate([context, window], dtype=np.float32)[None]
            speech, h, c = self.session.run(None, {"input": padded, "h": h, "c": c})
            context, highest = window[-CONTEXT:], max(highest, float(speech[0]))
        return highest, (h, c, context)


class Conversations(Peer):
    def __init__(self, tuned: bool) -> None:
        super().__init__()
        silero = EmbeddedSilero()
        silero.warmup()
        options = {"algo_options": TUNED[0], "model_options": TUNED[1], "output_sample_rate": SPEAKING_RATE} if tuned else {}
        handler = ReplyOnPause(self._reply, model=silero, **options)
        self.stream = Stream(handler, modality="audio", mode="send-receive", concurrency_limit=8, verbose=False)
        self._brains: dict[str, Brain] = {}
        self._hushed: set[str] = set()  # whose reply is to end: the client pressed stop

        @self.app.post("/webrtc/offer")
        async def offer(body: dict[str, Any]) -> Any:
            who = str(body["session_id"])
            self._brains[who] = self.brain()
            answer = await self.stream.handle_offer({**body, "webrtc_id": who}, self.stream.set_additional_outputs(who))
            self._joining = asyncio.create_task(self._join(who))
            return answer

    async def _reply(self, audio: Sound) -> AsyncIterator[Sound]:
        who = get_current_context().webrtc_id
        self._hushed.discard(who)
        rate, samples = audio
        heard = soxr.resample(samples.reshape(-1).astype(np.float32) / 32768, rate, HEARING_RATE)
        services = self.services
        text = (await services.stt.transcribe(heard, final=True, prompt=services.retrieval.vocabulary())).text
        if not text:
            return
        async for clause in split_clauses(self._brains[who].answer(text), ENGLISH):
            async for speech in services.tts.speak(clause):
                if who in self._hushed:
                    return
                yield SPEAKING_RATE, speech.samples.reshape(1, -1)

    async def _join(self, who: str) -> None:
        """Says `ready`, which FastRTC does not, and heeds the client's `interrupt`, which it does not know."""
        while who not in self.stream.data_channels:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.01)
        channel = self.stream.data_channels[who]

        def receive(data: str) -> None:
            if data.startswith("{") and json.loads(data)["type"] == "interrupt":
                self._hushed.add(who)
                self.stream.handlers[who].clear_queue()

        channel.on("message", receive)
        channel.send(json.dumps({"type": "ready"}))


def build(args: argparse.Namespace) -> FastAPI:
    return Conversations(args.tuned).app


if __name__ == "__main__":
    main(build)
