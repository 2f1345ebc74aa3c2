# SPDX-License-Identifier: Apache-2.0
"""What runs a bundle's graphs. Each executor is one file; `load_executor` picks one."""

from typing import Protocol

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle

EXECUTORS = ("auto", "onnxruntime")

Features = list[np.ndarray]


class Executor(Protocol):
    """Runs a bundle's three graphs."""

    name: str

    def encode_image(self, image: np.ndarray) -> Features:
        """(H, W, 3) uint8 -> features, shared by all questions of the frame."""

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Tokenized instructions, (N, T, ...) -> (N, T, C) float32."""

    def answer(self, features: Features, text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Features, (N, T, C) encoded instructions and (N, T) mask -> (N, H, W, 3) float32 in 0..1."""


def load_executor(bundle: Bundle, name: str) -> Executor:
    """The executor of that name for the bundle; "auto" takes the best one that this machine has."""
    if name not in EXECUTORS:
        raise InputError(f"There is no executor '{name}': choose one of {', '.join(EXECUTORS)}.")
    from vision_banana_ros.generators.executors.onnxruntime import OnnxRuntimeExecutor

    return OnnxRuntimeExecutor(bundle)
