# SPDX-License-Identifier: Apache-2.0
"""Nearest colour of a palette, for the tasks whose prompt names the colours."""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vision_banana_ros.tasks.colors import Rgb

#: The longest distance in the RGB cube.
DIAGONAL = 255 * 3**0.5
UNLABELLED = 255
_BLOCK = 512  # pixels


def nearest(
    colors: NDArray[np.float32],
    palette: Sequence[Rgb],
    classes: int,
    min_confidence: float = 0.0,
    max_distance: float = DIAGONAL,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Finds the nearest palette colour of each pixel.

    With d1 and d2 the RGB distances (0-255) to the nearest and second-nearest colour, the confidence is 1 -
    d1 / min(d2, max_distance): 1 on the colour, 0 half way to another colour, and 0 from `max_distance` on.
    Only the first `classes` colours have an index: pixels of the others are 255, with their confidence.

    Returns:
        The index (H, W) uint8 and the confidence (H, W) float32. Below `min_confidence`, and for NaN colours,
        the index is 255 and the confidence 0.
    """
    index, confidence = _nearest(
        colors.reshape(3, -1),
        np.array(palette, dtype=np.float32),
        classes,
        np.float32(min_confidence),
        np.float32(max_distance),
    )
    return index.reshape(colors.shape[1:]), confidence.reshape(colors.shape[1:])


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(
    colors: NDArray[np.float32],
    palette: NDArray[np.float32],
    classes: int,
    min_confidence: np.float32,
    max_distance: np.float32,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Compares one palette colour with a block of pixels, vectorised."""
    n = colors.shape[1]
    index = np.empty(n, np.uint8)
    confidence = np.empty(n, np.float32)
    # One buffer for three channels: of more arrays the compiler does not find out that they never overlap.
    rgb = np.empty((3, _BLOCK), np.float32)
    first = np.empty(_BLOCK, np.float32)
    second = np.empty(_BLOCK, np.float32)
    which = np.empty(_BLOCK, np.int32)
    zero, one, infinity = np.float32(0), np.float32(1), np.float32(np.inf)
    for start in range(0, n, _BLOCK):
        size = min(_BLOCK, n - start)
        for c in range(3):
            for i in range(size):
                rgb[c, i] = np.float32(255) * colors[c, start + i]
        for i in range(_BLOCK):
            first[i], second[i], which[i] = infinity, infinity, 0
        for k in range(len(palette)):
            r, g, b = palette[k, 0], palette[k, 1], palette[k, 2]
            for i in range(_BLOCK):
                x, y, z = rgb[0, i] - r, rgb[1, i] - g, rgb[2, i] - b
                d = x * x + y * y + z * z
                near = d < first[i]
                farther = first[i] if near else d
                second[i] = farther if farther < second[i] else second[i]
                first[i] = d if near else first[i]
                which[i] = k if near else which[i]
        for i in range(size):
            other = np.sqrt(second[i])
            other = other if other < max_distance else max_distance
            sure = one - np.sqrt(first[i]) / other
            sure = sure if sure > zero else zero
            # A NaN colour is nearer to nothing: its first distance is still infinite.
            readable = (first[i] < infinity) & (sure >= min_confidence)
            index[start + i] = which[i] if readable & (which[i] < classes) else UNLABELLED
            confidence[start + i] = sure if readable else zero
    return index, confidence
