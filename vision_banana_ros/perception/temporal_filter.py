# SPDX-License-Identifier: Apache-2.0
"""Temporal filter against flicker of depth: a confidence-weighted exponential average per pixel.

Depth of a static scene flickers, because each frame is processed on its own. If the new depth of a pixel
agrees with the filtered one within `GATE`, both are averaged, weighted by confidence. Otherwise the object
has moved, and the new depth is used. Moving edges are therefore not smeared, invalid pixels stay invalid, and
all values lie between measured ones. The delay of a slowly approaching surface is less than `GATE` of its
distance.
"""

import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError

GATE = 0.05
"""Depths that differ by more than this part of the nearer one are not of the same surface."""


class SteadyDepth:
    """The filter of one camera. Call it with the depth of every frame, in order.

    Args:
        memory: Length of the filter in frames: the maximum accumulated weight of the past, in frames of
            confidence 1. A new frame then has the weight 1 / (memory + 1).
    """

    def __init__(self, memory: float = 4.0):
        if not 0 < memory <= 100:
            raise InputError(
                f"The memory of steady depth is {memory} frames; it must be above 0 and up to 100."
            )
        self.memory = memory
        self.reset()

    def reset(self) -> None:
        """Resets the filter, for a jump in time or another camera."""
        self._depth_m = self._weight = np.empty((0, 0), np.float32)

    def __call__(self, depth_m: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Filters the depth of a frame, (H, W) metres with confidence 0..1, to a new (H, W) float32.

        NaN and inf are passed through. Another resolution resets the filter. InputError if depth and
        confidence differ in size.
        """
        if depth_m.shape != confidence.shape:
            raise InputError(f"Depth {depth_m.shape} and confidence {confidence.shape} must be of one size.")
        if depth_m.shape != self._depth_m.shape:
            self._depth_m = np.full(depth_m.shape, np.nan, np.float32)
            self._weight = np.zeros(depth_m.shape, np.float32)
        _blend(
            np.ascontiguousarray(depth_m, np.float32),
            np.ascontiguousarray(confidence, np.float32),
            self._depth_m,
            self._weight,
            np.float32(self.memory),
        )
        return self._depth_m.copy()


@njit(cache=True, nogil=True)
def _blend(depth_m, confidence, kept, weight, memory):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Updates `kept`, the filtered depth, and `weight`, its accumulated confidence, in place."""
    gate = np.float32(GATE)
    for i in range(depth_m.shape[0]):
        for j in range(depth_m.shape[1]):
            new, old, sure = depth_m[i, j], kept[i, j], confidence[i, j]
            # False for NaN, and for inf: inf - inf is NaN, and inf - x is above all.
            if sure > 0 and abs(new - old) <= gate * min(new, old):
                weight[i, j] = min(weight[i, j], memory)
                mean = old + (new - old) * (sure / (weight[i, j] + sure))
                # Rounding must not lead out of the interval.
                kept[i, j] = min(max(mean, min(old, new)), max(old, new))
                weight[i, j] += sure
            else:
                kept[i, j] = new
                weight[i, j] = sure
