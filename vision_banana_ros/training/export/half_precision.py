# SPDX-License-Identifier: Apache-2.0
"""Stores the weights of a graph in half precision; computation remains in single precision."""

import numpy as np
import onnx

from vision_banana_ros.generators.own.weights import HALVED

MIN_ELEMENTS = 1024  # smaller tensors are not converted


def halve(graph: onnx.GraphProto) -> None:
    """Converts large float32 weights to float16 with a Cast node, which runtimes fold on loading.

    Args:
        graph: The graph, modified in place.
    """
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < MIN_ELEMENTS:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, name + HALVED))
        casts.append(onnx.helper.make_node("Cast", [name + HALVED], [name], to=onnx.TensorProto.FLOAT))
    for i, cast in enumerate(casts):
        graph.node.insert(i, cast)


def widen(graph: onnx.GraphProto) -> None:
    """Reverts `halve`: float32 weights without Cast nodes.

    Args:
        graph: The graph, modified in place.
    """
    halved = {tensor.name: tensor for tensor in graph.initializer if tensor.name.endswith(HALVED)}
    for node in [node for node in graph.node if node.op_type == "Cast" and node.input[0] in halved]:
        tensor = halved[node.input[0]]
        values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
