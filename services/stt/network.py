"""Whisper for ONNX Runtime: two networks made from the weights as CTranslate2 keeps them, calculated in whole numbers.

Architecture: openai/whisper, whisper/model.py. The encoder is made together with the keys and values that the decoder's
cross-attention takes from it, for those are the same at every step. On two cores an 8 s window takes 85 to 100 ms and a step of the
decoder 5 ms (CTranslate2 4.8 in int8: 150 and 10 to 14).
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services import quantisation as whole_numbers
from services import weights
from services.cache import made
from services.onnx_model import onnx_session
from services.quantisation import STEP, product, product_by_row, whole_columns

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto
    from onnxruntime import InferenceSession, RunOptions

# What the networks are made from, beside the tokens: this recipe, and the weights, whose hash is in their table.
SOURCES = (Path(__file__), Path(whole_numbers.__file__), Path(weights.__file__))
LAYERS, HEADS, WIDTH = 6, 8, 512  # of Whisper base
HEAD = WIDTH // HEADS
FUSED = "com.microsoft"  # the operators that ONNX Runtime adds to the standard's
MEMORY = [f"{kind}{layer}" for layer in range(LAYERS) for kind in ("key", "value")]  # of attention
NUMBERS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

Weights = Mapping[str, NDArray[np.generic]]
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
    encoder = made(cache, "whisper-encoder", SOURCES, lambda: _encoder(read_weights(model)))
    decoder = made(cache, "whisper-decoder", sources, lambda: _decoder(read_weights(model), rows))
    return Network(onnx_session(encoder, cores), onnx_session(decoder, cores))


def read_weights(model: Path) -> Weights:
    """The arrays of a CTranslate2 model, by name, as they are kept: those of the published one in float16.

    The format, little-endian (CTranslate2 4, python/ctranslate2/specs/model_spec.py, binary version 6): version, name, revision,
    variables; each of those has a name, its dimensions, type, size in bytes and data. Aliases follow.
    """
    data = model.read_bytes()
    at = 0

    def take(form: str) -> int:
        nonlocal at
        at += struct.calcsize(form)
        return int(struct.unpack_from(form, data, at - struct.calcsize(form))[0])

    def skip(count: int) -> int:
        nonlocal at
        at += count
        return at - count

    take("<I")
    skip(take("<H"))
    take("<I")
    arrays = {}
    for _ in range(take("<I")):
        length = take("<H")
        name = data[skip(length) : at - 1].decode()
        shape = [take("<I") for _ in range(take("<B"))]
        kind, size = NUMBERS[take("<B")], take("<I")
        arrays[name] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, skip(size)).reshape(shape)
    return arrays


class _Graph:
    """A network that is being made. Each method adds a layer and returns the name of its output."""

    def __init__(self, arrays: Weights, by_row: bool) -> None:
        """`by_row`: what is made of one place does not depend on the others that are calculated with it."""
        self._given = arrays
        self._nodes: dict[str, NodeProto] = {}
        self._arrays: list[TensorProto] = []
        self._step = self.array(np.asarray(STEP)) if by_row else ""
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []

    def model(self) -> bytes:
        from onnx import helper

        graph = helper.make_graph(list(self._nodes.values()), "whisper", self.inputs, self.outputs, self._arrays)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()

    def input(self, name: str, *shape: int | str, whole: bool = False) -> str:
        self.inputs.append(_value(name, shape, whole))
        return name

    def output(self, name: str, source: str, *shape: int | str) -> None:
        self.op("Identity", source, into=name)
        self.outputs.append(_value(name, shape))

    def array(self, values: "NDArray[np.generic] | list[int]") -> str:
        from onnx import numpy_helper

        name = f"array{len(self._arrays)}"
        self._arrays.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str) -> str:
        return self.array(self._given[name].astype(np.float32))

    def op(
        self, kind: str, *inputs: str, into: str = "", more: tuple[str, ...] = (), domain: str = "", **attributes: Any
    ) -> str:
        from onnx import helper

        output = into or f"{kind}{len(self._nodes)}"
        self._nodes[output] = helper.make_node(kind, inputs, [output, *more], domain=domain, **attributes)
        return output

    def split(self, x: str, parts: int) -> Iterator[str]:
        """`x` (…, parts * WIDTH) in parts."""
        for part in range(parts):
            first, end = (self.array([WIDTH * at]) for at in (part, part + 1))
            yield self.op("Slice", x, first, end, self.array([-1]))

    def columns(self, matrix: NDArray[np.generic]) -> tuple[str, str, str]:
        """Whole numbers of `matrix`, their scales and their sums."""
        whole = whole_columns(matrix.astype(np.float32))
        return self.array(whole.weights), self.array(whole.scale), self.array(whole.weights.sum(axis=0, dtype=np.float32))

    def matrix(self, x: str, columns: tuple[str, str, str]) -> str:
        output = f"Product{len(self._nodes)}"
        nodes = product_by_row(x, output, *columns, self._step) if self._step else product(x, output, *columns[:2])
        for node in nodes:
            self._nodes[node.output[0]] = node  # an input of several products is brought to whole numbers once
        return output

    def linear(self, x: str, name: str, whole: bool = True) -> str:
        matrix = self._given[f"{name}/weight"].T
        y = self.matrix(x, self.columns(matrix)) if whole else self.op("MatMul", x, self.array(matrix.astype(np.float32)))
        return self.op("Add", y, self.weight(f"{name}/bias"))

    def norm(self, x: str, name: str) -> str:
        return self.op("LayerNormalization", x, self.weight(f"{name}/gamma"), self.weight(f"{name}/beta"), epsilon=1e-5)

    def bend(self, x: str) -> str:
        return self.op("Gelu", x, domain=FUSED)

    def convolved(self, x: str, name: str, stride: int) -> str:
        y = self.op("Conv", x, self.weight(f"{name}/weight"), self.weight(f"{name}/bias"), pads=[1, 1], strides=[stride])
        return self.bend(y)

    def attention(self, *inputs: str, more: tuple[str, ...] = (), **attributes: Any) -> str:
        return self.op("MultiHeadAttention", *inputs, more=more, domain=FUSED, num_heads=HEADS, **attributes)

    def counted(self, stands_for: str, asking: str) -> str:
        """What is added to the scores of attention, so that each place counts for as many as it stands for. `asking` has shape (1,
        places that ask, WIDTH)."""
        ones, asked = self.array([1, 1]), self.op("Shape", stands_for)
        shape = self.op("Concat", ones, self.op("Shape", asking, start=1, end=2), asked, axis=0)
        return self.op("Expand", stands_for, shape)

    def feed_forward(self, x: str, name: str, whole: bool) -> str:
        """`whole` is whether what comes out of the bend can be brought to whole numbers."""
        wide = self.bend(self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0"))
        return self.op("Add", x, self.linear(wide, f"{name}/linear_1", whole))

    def placed(self, x: str, name: str, first: str, end: str) -> str:
        """`x` with the code of its places, from `first` up to `end`."""
        return self.op("Add", x, self.op("Slice", self.weight(name), first, end, self.array([0])))


def _value(name: str, shape: tuple[int | str, ...], whole: bool = False) -> "ValueInfoProto":
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.INT64 if whole else TensorProto.FLOAT, shape)


def _encoder(arrays: Weights) -> bytes:
    """mel (1, 80, 2 t), the places (n) of 0 ... t - 1 that are looked at, and for how many each of them stands, as a logarithm
    (stands_for, n) -> heard (1, n, WIDTH); cross_key0, cross_value0, ... (1, HEADS, n, HEAD)."""
    graph = _Graph(arrays, by_row=False)
    x = graph.convolved(graph.input("mel", 1, 80, "frames"), "encoder/conv1", 1)
    x = graph.op("Transpose", graph.convolved(x, "encoder/conv2", 2), perm=[0, 2, 1])
    x = graph.placed(x, "encoder/position_encodings/encodings", graph.array([0]), graph.op("Shape", x, start=1, end=2))
    x = graph.op("Gather", x, graph.input("places", "n", whole=True), axis=1)
    stands_for = graph.counted(graph.input("stands_for", "n"), x)
    for layer in range(LAYERS):
        name = f"encoder/layer_{layer}"
        own = f"{name}/self_attention"
        parts = graph.split(graph.linear(graph.norm(x, f"{own}/layer_norm"), f"{own}/linear_0"), 3)
        x = graph.op("Add", x, graph.linear(graph.attention(*parts, "", "", stands_for), f"{own}/linear_1"))
        # A few places have values so large there that 8 bits leave nothing of the others: of 20 s of speech a sentence was lost.
        x = graph.feed_forward(x, f"{name}/ffn", whole=False)
    x = graph.norm(x, "encoder/layer_norm")
    graph.output("heard", x, 1, "n", WIDTH)
    heads = graph.array([0, 0, HEADS, HEAD])
    for layer in range(LAYERS):
        both = graph.split(graph.linear(x, f"decoder/layer_{layer}/attention/linear_1"), 2)
        for kind, part in zip(("key", "value"), both, strict=True):
            by_head = graph.op("Transpose", graph.op("Reshape", part, heads), perm=[0, 2, 1, 3])
            graph.output(f"cross_{kind}{layer}", by_head, 1, HEADS, "n", HEAD)
    return graph.model()


def _decoder(arrays: Weights, rows: list[int]) -> bytes:
    """ids (b, n) of `b` texts of one sound, places (m), stands_for (t) and cross_key0, ... as `encode` returns them,
    past_key0, ... (b, HEADS, p, HEAD) -> logits (b, m, rows) of those places of the ids, and key0, ... (b, HEADS, p + n, HEAD),
    which are the past of the next run."""
    graph = _Graph(arrays, by_row=True)  # a guess must not change what is heard
    ids = graph.input("ids", "b", "n", whole=True)
    words = graph.columns(arrays["decoder/embeddings/weight"][rows].T)
    x = graph.op("Cast", graph.op("Transpose", graph.op("Gather", words[0], ids, axis=1), perm=[1, 2, 0]), to=1)
    x = graph.op("Mul", x, graph.op("Unsqueeze", graph.op("Gather", words[1], ids), graph.array([2])))
    places = graph.input("places", "m", whole=True)
    past = [f"past_{name}" for name in MEMORY]
    for name in past:
        graph.input(name, "b", HEADS, "p", HEAD)
        graph.input(name.replace("past", "cross"), 1, HEADS, "t", HEAD)
    graph.input("stands_for", "t")
    stands_for = ""
    first = graph.op("Shape", past[0], start=2, end=3)
    end = graph.op("Add", first, graph.op("Shape", ids, start=1, end=2))
    x = graph.placed(x, "decoder/position_encodings/encodings", first, end)
    for layer in range(LAYERS):
        name = f"decoder/layer_{layer}"
        own, cross = f"{name}/self_attention", f"{name}/attention"
        parts = graph.split(graph.linear(graph.norm(x, f"{own}/layer_norm"), f"{own}/linear_0"), 3)
        memory = (f"key{layer}", f"value{layer}")
        before = (f"past_key{layer}", f"past_value{layer}")
        y = graph.attention(*parts, "", "", "", *before, more=memory, unidirectional=1)
        x = graph.op("Add", x, graph.linear(y, f"{own}/linear_1"))
        asked = graph.linear(graph.norm(x, f"{cross}/layer_norm"), f"{cross}/linear_0")
        # What is asked of the sound at one place does not depend on the other places: all texts ask as if they were one.
        in_line = graph.op("Reshape", asked, graph.array([1, -1, WIDTH]))
        stands_for = stands_for or graph.counted("stands_for", in_line)
        y = graph.attention(in_line, f"cross_key{layer}", f"cross_value{layer}", "", "", stands_for)
        y = graph.op("Reshape", y, graph.op("Shape", asked))
        x = graph.op("Add", x, graph.linear(y, f"{cross}/linear_2"))
        x = graph.feed_forward(x, f"{name}/ffn", whole=True)
        graph.outputs += [_value(kept, ("b", HEADS, "q", HEAD)) for kept in memory]
    x = graph.op("Gather", graph.norm(x, "decoder/layer_norm"), places, axis=1)
    graph.output("logits", graph.matrix(x, words), "b", "m", len(rows))
    return graph.model()


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
