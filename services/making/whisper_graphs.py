"""Makes Whisper's two networks for ONNX Runtime from the weights as CTranslate2 keeps them, calculated in whole numbers.

Architecture: openai/whisper, whisper/model.py. The encoder is made together with the keys and values that the decoder's
cross-attention takes from it, for those are the same at every step.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.making.quantisation import STEP, product, product_by_row, whole_columns

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

LAYERS, HEADS, WIDTH = 6, 8, 512  # of Whisper base
HEAD = WIDTH // HEADS
FUSED = "com.microsoft"  # the operators that ONNX Runtime adds to the standard's
MEMORY = [f"{kind}{layer}" for layer in range(LAYERS) for kind in ("key", "value")]  # of attention
NUMBERS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

Weights = Mapping[str, NDArray[np.generic]]


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


class GraphBuilder:
    """An ONNX graph that is being made. Each method adds something and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeProto] = {}
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self._arrays: list[TensorProto] = []

    def model(self) -> bytes:
        """As ONNX writes it."""
        from onnx import helper

        graph = helper.make_graph(list(self.nodes.values()), "whisper", self.inputs, self.outputs, self._arrays)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()

    def input(self, name: str, *shape: int | str, whole: bool = False) -> str:
        """An input of this shape."""
        self.inputs.append(_value(name, shape, whole))
        return name

    def output(self, name: str, source: str, *shape: int | str) -> None:
        """`source` is an output of this name and shape."""
        self.op("Identity", source, into=name)
        self.outputs.append(_value(name, shape))

    def array(self, values: "NDArray[np.generic] | list[int]") -> str:
        """A constant."""
        from onnx import numpy_helper

        name = f"array{len(self._arrays)}"
        self._arrays.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def op(
        self, kind: str, *inputs: str, into: str = "", more: tuple[str, ...] = (), domain: str = "", **attributes: Any
    ) -> str:
        """One operator."""
        from onnx import helper

        output = into or f"{kind}{len(self.nodes)}"
        self.nodes[output] = helper.make_node(kind, inputs, [output, *more], domain=domain, **attributes)
        return output


class WhisperGraph(GraphBuilder):
    """Whisper's layers."""

    def __init__(self, arrays: Weights, by_row: bool) -> None:
        """`by_row`: what is made of one place does not depend on the others that are calculated with it."""
        super().__init__()
        self._given = arrays
        self._step = self.array(np.asarray(STEP)) if by_row else ""

    def weight(self, name: str) -> str:
        """An array of the weights in floating point."""
        return self.array(self._given[name].astype(np.float32))

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
        """`x` times a matrix in whole numbers."""
        output = f"Product{len(self.nodes)}"
        nodes = product_by_row(x, output, *columns, self._step) if self._step else product(x, output, *columns[:2])
        for node in nodes:
            self.nodes[node.output[0]] = node  # an input of several products is brought to whole numbers once
        return output

    def linear(self, x: str, name: str, whole: bool = True) -> str:
        """A linear layer."""
        matrix = self._given[f"{name}/weight"].T
        y = self.matrix(x, self.columns(matrix)) if whole else self.op("MatMul", x, self.array(matrix.astype(np.float32)))
        return self.op("Add", y, self.weight(f"{name}/bias"))

    def norm(self, x: str, name: str) -> str:
        """A normalised layer."""
        return self.op("LayerNormalization", x, self.weight(f"{name}/gamma"), self.weight(f"{name}/beta"), epsilon=1e-5)

    def gelu(self, x: str) -> str:
        """The activation."""
        return self.op("Gelu", x, domain=FUSED)

    def convolved(self, x: str, name: str, stride: int) -> str:
        """A convolution and its activation."""
        y = self.op("Conv", x, self.weight(f"{name}/weight"), self.weight(f"{name}/bias"), pads=[1, 1], strides=[stride])
        return self.gelu(y)

    def attention(self, *inputs: str, more: tuple[str, ...] = (), **attributes: Any) -> str:
        """Attention of HEADS heads."""
        return self.op("MultiHeadAttention", *inputs, more=more, domain=FUSED, num_heads=HEADS, **attributes)

    def counted(self, stands_for: str, asking: str) -> str:
        """What is added to the scores of attention, so that each place counts for as many as it stands for. `asking` has shape (1,
        places that ask, WIDTH)."""
        ones, asked = self.array([1, 1]), self.op("Shape", stands_for)
        shape = self.op("Concat", ones, self.op("Shape", asking, start=1, end=2), asked, axis=0)
        return self.op("Expand", stands_for, shape)

    def feed_forward(self, x: str, name: str, whole: bool) -> str:
        """`whole` is whether what comes out of the GELU can be brought to whole numbers."""
        wide = self.gelu(self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0"))
        return self.op("Add", x, self.linear(wide, f"{name}/linear_1", whole))

    def placed(self, x: str, name: str, first: str, end: str) -> str:
        """`x` with the code of its places, from `first` up to `end`."""
        return self.op("Add", x, self.op("Slice", self.weight(name), first, end, self.array([0])))


def _value(name: str, shape: tuple[int | str, ...], whole: bool = False) -> "ValueInfoProto":
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.INT64 if whole else TensorProto.FLOAT, shape)


def encoder(arrays: Weights) -> bytes:
    """mel (1, 80, 2 t), the places (n) of 0 ... t - 1 that are looked at, and for how many each of them stands, as a logarithm
    (stands_for, n) -> heard (1, n, WIDTH); cross_key0, cross_value0, ... (1, HEADS, n, HEAD)."""
    graph = WhisperGraph(arrays, by_row=False)
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


def decoder(arrays: Weights, rows: list[int]) -> bytes:
    """ids (b, n) of `b` texts of one sound, places (m), stands_for (t) and cross_key0, ... as `encode` returns them,
    past_key0, ... (b, HEADS, p, HEAD) -> logits (b, m, rows) of those places of the ids, and key0, ... (b, HEADS, p + n, HEAD),
    which are the past of the next run."""
    graph = WhisperGraph(arrays, by_row=True)  # a guess must not change what is heard
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
