"""Whisper for ONNX Runtime: runs the two networks that `services.making.whisper_graphs` makes at the first start. On two cores an
8 s window takes 85 to 100 ms and a step of the decoder 5 ms (CTranslate2 4.8 in int8: 150 and 10 to 14).
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services import weights
from services.cache import made
from services.making import quantisation, whisper_graphs
from services.making.whisper_graphs import HEAD, HEADS, MEMORY, read_weights
from services.onnx_model import onnx_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# What the networks are made from, beside the tokens: this recipe, and the weights, whose hash is in their table.
SOURCES = (Path(whisper_graphs.__file__), Path(quantisation.__file__), weights.TABLE)
Cache = dict[str, NDArray[np.float32]]


class Network(NamedTuple):
    """The encoder and the decoder."""

    encoder: "InferenceSession"  # mel, places -> heard, and the keys and values of cross-attention
    decoder: "InferenceSession"  # ids, places, keys and values -> a row of logits for each place; keys and values of the ids
    options: "RunOptions | None" = None  # of every run: `terminate` ends the one under way, which raises

    def stoppable(self) -> tuple[Self, "RunOptions"]:
        """The same networks, and what stops them."""
        from onnxruntime import RunOptions

        options = RunOptions()
        options.log_severity_level = 4  # being stopped is no error
        return self._replace(options=options), options


def network(model: Path, rows: list[int], tokens: Path | None, cores: int, cache: Path) -> Network:
    """The networks of the CTranslate2 model in the file `model`, with `rows` of its vocabulary, which are those of the file
    `tokens`, kept in the folder `cache`. They run on `cores`."""
    sources = (*SOURCES, *filter(None, [tokens]))
    encoder = made(cache, "whisper-encoder", SOURCES, lambda: whisper_graphs.encoder(read_weights(model)))
    spoken = tokens.parent.name if tokens is not None else "all"  # each language keeps its own
    decoder = made(cache, f"whisper-decoder-{spoken}", sources, lambda: whisper_graphs.decoder(read_weights(model), rows))
    return Network(onnx_session(encoder, cores), onnx_session(decoder, cores))


class Decoder:
    """The decoder at work on what the encoder heard: it knows the tokens it was fed, in one text or, after `branch`, in several."""

    def __init__(self, network: Network, heard: Cache) -> None:
        self._session, self._options = network.decoder, network.options
        self._heard = {name: value for name, value in heard.items() if name != "heard"}
        self._past: Cache = {f"past_{name}": np.zeros((1, HEADS, 0, HEAD), np.float32) for name in MEMORY}
        self._names = [output.name for output in self._session.get_outputs()]

    def feed(self, tokens: list[int], places: list[int]) -> NDArray[np.float32]:
        """More tokens of the one text; returns the logits of what follows each of `places` among them, shape (len(places),
        vocabulary)."""
        return np.asarray(self._run([tokens], places)[0], np.float32)

    def branch(self, parents: list[int], tokens: list[int]) -> NDArray[np.float32]:
        """From here on there are as many texts as `parents`: each is the text of that number, with one of `tokens` behind it.
        Returns the logits of what follows, shape (len(parents), vocabulary)."""
        self._past = {name: np.ascontiguousarray(value[parents]) for name, value in self._past.items()}
        return np.asarray(self._run([[token] for token in tokens], [0])[:, 0], np.float32)

    def _run(self, tokens: list[list[int]], places: list[int]) -> NDArray[np.float32]:
        inputs = {"ids": np.array(tokens, np.int64), "places": np.array(places, np.int64)}
        values = self._session.run(None, {**inputs, **self._heard, **self._past}, self._options)
        found = dict(zip(self._names, values, strict=True))
        logits = found.pop("logits")
        self._past = {f"past_{name}": value for name, value in found.items()}
        return np.asarray(logits, np.float32)

    def forget(self, count: int) -> None:
        """The last `count` tokens were not said."""
        if count:
            self._past = {name: np.ascontiguousarray(value[:, :, :-count]) for name, value in self._past.items()}


def encode(
    network: Network, mel: NDArray[np.float32], places: NDArray[np.int64], stands_for: NDArray[np.float32] | None = None
) -> Cache:
    """What the encoder makes of `mel`, shape (80, frames), looking at those `places` of 20 ms, each of which stands for so many
    like it (one, unless told)."""
    counts = np.zeros(len(places), np.float32) if stands_for is None else np.log(stands_for)
    names = [output.name for output in network.encoder.get_outputs()]
    values = network.encoder.run(None, {"mel": mel[None], "places": places, "stands_for": counts}, network.options)
    return {**dict(zip(names, values, strict=True)), "stands_for": counts}
