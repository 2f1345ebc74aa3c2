# SPDX-License-Identifier: Apache-2.0
"""Surface normals encoded as colours.

The right-handed camera frame of the paper: +x right, +y up, +z out of the image towards the viewer. R = (1 -
x) / 2, G = (1 + y) / 2, B = (1 + z) / 2 (arXiv 2604.20329; note the minus on x).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import phrasings
from vision_banana_ros.tasks._images import read_colors, read_floats
from vision_banana_ros.tasks.task import Output, Task, Words

PHRASINGS = phrasings.NORMALS

#: How far a decoded vector's length may be from 1. A colour at length 1/2 is as near to grey, which is no
#: direction at all, as to the unit vectors; it is also what remains of two directions 120 degrees apart when
#: they blend.
MAX_LENGTH_ERROR = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """Decoded normals.

    Attributes:
        normals: (H, W, 3) float32 unit vectors in the frame of the paper; NaN invalid.
        confidence: (H, W) float32, 1 for a colour that is a unit vector, 0 from `max_length_error` on.
    """

    normals: NDArray[np.float32]
    confidence: NDArray[np.float32]


def instruction(*, phrasing: int = 0) -> str:
    """The prompt for surface normals; `phrasing` is an index into `PHRASINGS`."""
    return phrasings.phrase(PHRASINGS, phrasing)


def encode(normals: ArrayLike) -> NDArray[np.float32]:
    """Encodes normals as colours.

    NaN and zero vectors (no surface, such as sky) become mid grey, which decodes to NaN.

    Args:
        normals: (H, W, 3) unit vectors in the frame of the paper.

    Returns:
        (H, W, 3) float32 RGB in [0, 1].

    Raises:
        InputError: For other shapes and types.
    """
    vectors = read_floats(normals, "Normals", channels=3).astype(np.float32)
    vectors = np.where(np.isnan(vectors).any(axis=2, keepdims=True), np.float32(0), vectors)
    signs = np.array([-1, 1, 1], dtype=np.float32)
    return np.clip((1 + signs * vectors) / 2, 0, 1)


def decode(rgb: ArrayLike, max_length_error: float = MAX_LENGTH_ERROR) -> Answer:
    """Decodes normals from colours.

    Vectors are normalised; the deviation of their length from 1 determines the confidence. From
    `max_length_error` on, and for NaN colours, the vector is NaN and the confidence 0.

    Args:
        rgb: (H, W, 3) uint8, or float in [0, 1].
        max_length_error: Deviation of the length at which the confidence is 0.

    Raises:
        InputError: For other shapes and types.
    """
    if not 0 < max_length_error <= 1:
        raise InputError(f"max_length_error must be above 0 and at most 1, not {max_length_error}.")
    colors = read_colors(rgb)
    _, height, width = colors.shape
    normals, confidence = _read(colors.reshape(3, -1), np.float32(max_length_error))
    return Answer(normals.reshape(height, width, 3), confidence.reshape(height, width))


@njit(cache=True, nogil=True, error_model="numpy")
def _read(
    colors: NDArray[np.float32], max_length_error: np.float32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    n = colors.shape[1]
    normals = np.empty((n, 3), np.float32)
    confidence = np.empty(n, np.float32)
    zero, one, two, nan = np.float32(0), np.float32(1), np.float32(2), np.float32(np.nan)
    for i in range(n):
        x = one - two * colors[0, i]
        y = two * colors[1, i] - one
        z = two * colors[2, i] - one
        length = np.sqrt(x * x + y * y + z * z)
        sure = one - np.abs(length - one) / max_length_error
        readable = sure > zero
        unit = one / length if readable else nan
        normals[i, 0] = x * unit
        normals[i, 1] = y * unit
        normals[i, 2] = z * unit
        confidence[i] = sure if readable else zero
    return normals, confidence


class NormalsTask(Task):
    """Surface normals."""

    name = "normals"
    PHRASINGS = PHRASINGS
    Answer = Answer
    field = "normals"
    publishes = (Output("normals/image", "32FC3"), Output("normals/color", "rgb8"))
    stem = "normals"
    repeats = True

    def instruction(self, words: Words) -> str:
        """See `Task.instruction`."""
        return instruction()

    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """See `Task.encode`."""
        return encode(truth)

    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """See `Task.decode`."""
        return decode(rgb)

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """See `Task.writes`."""
        return {".npy": answer.normals, ".png": picture(answer.normals)}


def picture(normals: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Converts (H, W, 3) unit normals in the frame of the paper to (H, W, 3) uint8 colours; NaN is black."""
    colors = (normals * np.array((-1, 1, 1), np.float32) + 1) * 127.5
    return np.nan_to_num(colors, nan=0.0).round().clip(0, 255).astype(np.uint8)
