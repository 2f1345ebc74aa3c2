# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the executor that is always there."""

import os

import numpy as np
import onnxruntime

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import GRAPHS, Bundle
from vision_banana_ros.generators.executors import Features


class OnnxRuntimeExecutor:
    """Runs a bundle's graphs with ONNX Runtime's CPU provider."""

    def __init__(self, bundle: Bundle) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        # Threads that spin while they wait would take a core from the rest of the robot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = "onnxruntime"
        self._image, self._text, self._answer = (_session(bundle, graph, options) for graph in GRAPHS)
        self._features = [value.name for value in self._image.get_outputs()]

    def encode_image(self, image: np.ndarray) -> Features:
        return self._image.run(None, {"image": image})

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return self._text.run(None, {"pieces": pieces, "colors": colors, "mask": mask})[0]

    def answer(self, features: Features, text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        named = dict(zip(self._features, features, strict=True))
        return self._answer.run(None, {**named, "text": text, "mask": mask})[0]


def _session(bundle: Bundle, graph: str, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(bundle.path / graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class
        raise InputError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {graph} of bundle '{bundle.path}' ({error}): "
            "export the bundle again or install the version in requirements/run.txt."
        ) from error
