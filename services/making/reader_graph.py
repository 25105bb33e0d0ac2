"""The two halves of the model that reads a question and a passage together, for ONNX Runtime, calculated in whole numbers.

The lower half is that of MiniLM: it reads each of the two by itself. The upper half reads both at once, with weights of its own
(`services.making.reader`). After DeFormer (Cao et al. 2020, arXiv 2005.00697).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.making.quantisation import in_whole_numbers, product, whole_columns
from services.making.whisper_graphs import FUSED, GraphBuilder

LAYERS, BY_THEMSELVES, HEADS, WIDTH = 6, 3, 12, 384  # of MiniLM-L6, and how many of its layers read each text by itself
EPSILON = 1e-12
CUT = f"inner.encoder.layer.{BY_THEMSELVES - 1}.output.LayerNorm.weight"  # of the last layer of the lower half
MATRICES = ("query", "key", "value", "joined", "wide", "narrow")  # of a layer

Weights = Mapping[str, NDArray[np.generic]]


def lower(model: Path) -> bytes:
    """The lower half of the MiniLM in the file `model`: input_ids, attention_mask and token_type_ids (1, n) -> states (1, n,
    WIDTH)."""
    import onnx
    from onnx.utils import Extractor

    whole = onnx.load_from_string(in_whole_numbers(model))
    [last] = [node.output[0] for node in whole.graph.node if CUT in node.input]
    inputs = [each.name for each in whole.graph.input]
    whole.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, [1, "n", WIDTH]))
    half = Extractor(whole).extract_model(inputs, [last])
    made: bytes = half.SerializeToString()
    return made


def upper(weights: Weights) -> bytes:
    """states (1, n, WIDTH) of the question and of the passage behind it, and which is which (n), 0 or 1 -> logit (1), that the
    passage holds the answer."""
    graph = GraphBuilder()

    def kept(name: str) -> str:
        return graph.array(weights[name].astype(np.float32))

    def linear(x: str, name: str) -> str:
        output = f"{name}:product"
        columns = graph.array(weights[f"{name}.whole"]), graph.array(weights[f"{name}.scale"].astype(np.float32))
        for node in product(x, output, *columns):
            graph.nodes[node.output[0]] = node
        return graph.op("Add", output, kept(f"{name}.bias"))

    def norm(x: str, y: str, name: str) -> str:
        return graph.op(
            "LayerNormalization", graph.op("Add", x, y), kept(f"{name}.weight"), kept(f"{name}.bias"), epsilon=EPSILON
        )

    x = graph.input("states", 1, "n", WIDTH)
    x = graph.op("Add", x, graph.op("Gather", kept("which"), graph.input("which", "n", whole=True)))
    for layer in range(LAYERS - BY_THEMSELVES):
        query, key, value = (linear(x, f"{layer}.{name}") for name in MATRICES[:3])
        y = graph.op("MultiHeadAttention", query, key, value, domain=FUSED, num_heads=HEADS)
        x = norm(x, linear(y, f"{layer}.joined"), f"{layer}.attended")
        wide = graph.op("Gelu", linear(x, f"{layer}.wide"), domain=FUSED)
        x = norm(x, linear(wide, f"{layer}.narrow"), f"{layer}.out")
    first = graph.op("Gather", x, graph.array(np.array(0)), axis=1)
    graph.output("logit", graph.op("Add", graph.op("MatMul", first, kept("holds.weight")), kept("holds.bias")), 1, 1)
    return graph.model()


def in_whole(weights: Weights) -> dict[str, NDArray[np.generic]]:
    """The weights as they are kept: matrices of layers in whole numbers, the rest in float16 or, where it is small, float32."""
    found: dict[str, NDArray[np.generic]] = {}
    for name, value in weights.items():
        if name.rpartition(".")[0].rpartition(".")[2] in MATRICES and value.ndim > 1:
            found[name.replace(".weight", ".whole")], found[name.replace(".weight", ".scale")] = whole_columns(
                value.astype(np.float32)
            )
        else:
            found[name] = value.astype(np.float32)
    return found
