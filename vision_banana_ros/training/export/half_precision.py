# SPDX-License-Identifier: Apache-2.0
"""Weights of a graph in half precision: half the file, and computing stays in single precision."""

import numpy as np
import onnx

from vision_banana_ros.generators.own.weights import HALVED

FROM = 1024  # elements: smaller tensors stay as they are


def halve(graph: onnx.GraphProto) -> None:
    """Keep large float weights as float16 and a Cast, which runtimes fold away while loading."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < FROM:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, name + HALVED))
        casts.append(onnx.helper.make_node("Cast", [name + HALVED], [name], to=onnx.TensorProto.FLOAT))
    for i, cast in enumerate(casts):
        graph.node.insert(i, cast)


def widen(graph: onnx.GraphProto) -> None:
    """Undo `halve`: weights as float32 again, without the Casts."""
    halved = {tensor.name: tensor for tensor in graph.initializer if tensor.name.endswith(HALVED)}
    for node in [node for node in graph.node if node.op_type == "Cast" and node.input[0] in halved]:
        tensor = halved[node.input[0]]
        values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
