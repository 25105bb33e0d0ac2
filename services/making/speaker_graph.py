"""The GE2E network of Resemblyzer (Wan et al. 2018, arXiv 1710.10467) as ONNX, from the tensors that were published."""

import numpy as np
from numpy.typing import NDArray

BANDS = 40
LAYERS, UNITS = 3, 256


def speaker_graph(tensors: dict[str, NDArray[np.float32]]) -> bytes:
    """The network as ONNX: "mels", shape (frames, 1, BANDS), to "voice", shape (1, 256)."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, sight = [], [], "mels"

    def constant(name: str, value: NDArray[np.generic]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    for layer in range(LAYERS):
        weights = [tensors[f"lstm.{kind}_l{layer}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        seen, before, *bias = map(_gates, weights)
        names = [
            constant(f"seen{layer}", seen[None]),
            constant(f"before{layer}", before[None]),
            constant(f"bias{layer}", np.concatenate(bias)[None]),
        ]
        nodes.append(helper.make_node("LSTM", [sight, *names], [f"all{layer}", f"last{layer}"], hidden_size=UNITS))
        axis = constant(f"axis{layer}", np.array([1 if layer < LAYERS - 1 else 0]))
        given = f"all{layer}" if layer < LAYERS - 1 else f"last{layer}"
        sight = f"out{layer}"
        nodes.append(helper.make_node("Squeeze", [given, axis], [sight]))
    linear = [constant("weight", tensors["linear.weight"]), constant("bias", tensors["linear.bias"])]
    nodes += [
        helper.make_node("Gemm", [sight, *linear], ["linear"], transB=1),
        helper.make_node("Relu", ["linear"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["voice"], axis=1, p=2),
    ]
    into = helper.make_tensor_value_info("mels", TensorProto.FLOAT, ["frames", 1, BANDS])
    out = helper.make_tensor_value_info("voice", TensorProto.FLOAT, [1, UNITS])
    graph = helper.make_graph(nodes, "ge2e", [into], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    serialized: bytes = model.SerializeToString()
    return serialized


def _gates(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """PyTorch keeps the gates of an LSTM as input, forget, cell, output; ONNX as input, output, forget, cell."""
    into, forget, cell, out = np.split(weights, 4)
    return np.concatenate((into, out, forget, cell))
