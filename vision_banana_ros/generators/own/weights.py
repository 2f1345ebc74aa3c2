# SPDX-License-Identifier: Apache-2.0
"""The network's weights, read from the graphs of a bundle: a bundle holds them once. Needs the package onnx."""

from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import GRAPHS, Bundle

#: Ends of a weight's name in a graph: stored in half precision; stored transposed.
HALVED = ".half"
TRANSPOSED = ".transposed"
PREFIX = "network."
#: What the manifest keeps of the network's configuration: enough to build it.
SHAPE = ("encoder", "channels", "answer_depth", "text_width", "text_layers", "text_length", "text_buckets")


def read_weights(bundle: Bundle) -> dict[str, np.ndarray]:
    """Parameter name -> float32 values, flat where the graph reshaped them. Raises InputError where onnx is missing."""
    try:
        import onnx
    except ImportError as error:
        raise InputError("Reading weights out of a bundle's graphs needs onnx: `pip install onnx`.") from error
    weights: dict[str, Any] = {}
    for graph in GRAPHS:
        for tensor in onnx.load(bundle.path / graph).graph.initializer:
            if tensor.name.startswith(PREFIX):
                name = tensor.name.removeprefix(PREFIX).removesuffix(HALVED)
                values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
                transposed = name.endswith(TRANSPOSED)
                weights[name.removesuffix(TRANSPOSED)] = np.ascontiguousarray(values.T) if transposed else values
    return weights
