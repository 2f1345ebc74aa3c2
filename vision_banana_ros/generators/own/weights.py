# SPDX-License-Identifier: Apache-2.0
"""Reads the weights of the network from the ONNX graphs of a bundle. Needs the package onnx."""

from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import GRAPHS, Bundle

#: Suffixes of the names of weights in a graph: stored in half precision; stored transposed.
HALVED = ".half"
TRANSPOSED = ".transposed"
PREFIX = "network."
#: The arguments of `VisionBananaUNet` that the manifest stores.
SHAPE = ("encoder", "channels", "answer_depth", "text_width", "text_layers", "text_length", "text_buckets")


def read_weights(bundle: Bundle) -> dict[str, np.ndarray]:
    """Reads the weights of the network.

    Args:
        bundle: A bundle of the package's own network.

    Returns:
        float32 values by parameter name; the shape may differ where the graph reshapes them.

    Raises:
        InputError: The package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError(
            "Reading weights out of a bundle's graphs needs onnx: `pip install onnx`."
        ) from error
    weights: dict[str, Any] = {}
    for graph in GRAPHS:
        for tensor in onnx.load(bundle.path / graph).graph.initializer:
            if tensor.name.startswith(PREFIX):
                name = tensor.name.removeprefix(PREFIX).removesuffix(HALVED)
                values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
                transposed = name.endswith(TRANSPOSED)
                weights[name.removesuffix(TRANSPOSED)] = (
                    np.ascontiguousarray(values.T) if transposed else values
                )
    return weights
