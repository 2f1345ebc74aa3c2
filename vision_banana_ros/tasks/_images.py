# SPDX-License-Identifier: Apache-2.0
"""Checks of the arrays that tasks are given."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError

# A generator overshoots [0, 1] a little; a float picture that reaches this far was meant as 0-255.
_NOT_UNIT = 8.0


def read_colors(rgb: ArrayLike) -> NDArray[np.float32]:
    """Converts an answer (H, W, 3), uint8 or float in [0, 1], to planes (3, H, W) float32, clipped to [0, 1].

    Planes allow the compiler to vectorise the decoders. Floats are not rounded to 8 bits; NaN is kept.

    Raises:
        InputError: For other shapes and types, and for floats far outside [0, 1].
    """
    image = np.asarray(rgb)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            f"An answer is one RGB picture of shape (height, width, 3), not {image.shape}; "
            "drop an alpha channel and decode a batch one picture at a time."
        )
    if image.dtype == np.uint8:
        scale = 1 / 255
    elif image.dtype.kind == "f":
        scale = 1.0
        image = image.astype(np.float32, copy=False)
        if _NOT_UNIT < image.max() < np.inf:
            raise InputError("Float colours lie in 0-1, these reach far beyond; divide by 255 or pass uint8.")
    else:
        raise InputError(f"Colours are uint8 (0-255) or float (0-1), not {image.dtype}; convert the picture.")
    height, width, _ = image.shape
    planes = np.empty((3, height, width), np.float32)
    _planes(np.ascontiguousarray(image).reshape(-1, 3), scale, planes.reshape(-1))
    return planes


def read_floats(values: ArrayLike, what: str, channels: int | None = None) -> NDArray[np.floating]:
    """Converts a map (H, W) or (H, W, channels) to contiguous float32 or float64; errors call it `what`."""
    array = np.asarray(values)
    _require_map(array, what, channels)
    if array.dtype.kind != "f":
        raise InputError(f"{what} must be floats, not {array.dtype}; convert units and type first.")
    return np.ascontiguousarray(array, dtype=np.float64 if array.dtype.itemsize > 4 else np.float32)


def read_labels(values: ArrayLike, what: str) -> NDArray[np.integer]:
    """Converts a map (H, W) of non-negative integers; errors call it `what`."""
    array = np.asarray(values)
    _require_map(array, what)
    if array.dtype.kind not in "ui":
        raise InputError(f"{what} must be whole numbers, not {array.dtype}; convert them first.")
    if array.min() < 0:
        raise InputError(f"{what} must not be negative; the lowest is {array.min()}.")
    return array


def read_mask(values: ArrayLike, what: str) -> NDArray[np.bool_]:
    """Converts a mask (H, W) of bool; errors call it `what`."""
    array = np.asarray(values)
    _require_map(array, what)
    if array.dtype != np.bool_:
        raise InputError(f"{what} must be bool, not {array.dtype}; compare it first, as in `labels == 3`.")
    return array


def _require_map(array: NDArray[Any], what: str, channels: int | None = None) -> None:
    wanted = ("height", "width") if channels is None else ("height", "width", channels)
    if array.ndim != len(wanted) or array.size == 0 or array.shape[2:] != wanted[2:]:
        shape = ", ".join(map(str, wanted))
        raise InputError(f"{what} must have the shape ({shape}) and not be empty; this has {array.shape}.")


@njit(cache=True, nogil=True)
def _planes(colors: NDArray[Any], scale: float, values: NDArray[np.float32]) -> None:
    """Writes (N, 3) colours as three planes, one after the other, to `values` (3 N)."""
    n = len(colors)
    for c in range(3):
        for i in range(n):
            # In double precision, so that an 8-bit value is rounded once, and 255 times it is exact again.
            values[c * n + i] = np.float32(scale * colors[i, c])
    # Clipped where values lie side by side: beside the transposition the compiler branches, and noise about 0
    # makes every other guess of the branch wrong. Ten times as fast.
    zero, one = np.float32(0), np.float32(1)
    for i in range(len(values)):
        value = zero if values[i] < zero else values[i]  # NaN passes
        values[i] = one if value > one else value
