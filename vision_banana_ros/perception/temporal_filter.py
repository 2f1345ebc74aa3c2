# SPDX-License-Identifier: Apache-2.0
"""Depth that flickers less: a weighted mean over time, pixel by pixel, that never invents a depth.

A generator answers each frame by itself, so the depth of a still wall trembles. Where a pixel's new depth agrees with what
it had (within `GATE`), the two are averaged, each with the confidence that speaks for it. Where it does not, something has
moved, and the new depth is taken as it is. So a moving edge is not smeared, what is unreadable now stays unreadable, and
every value lies between two that were seen. The price: a surface that comes nearer slowly is reported late, by less than
`GATE` of its distance.
"""

import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError

GATE = 0.05
"""Depths that differ by more than this part of the nearer one are not of the same surface."""


class SteadyDepth:
    """The filter of one camera. Call it with every frame's depth, in order.

    memory: as how many frames of confidence 1 the past counts at most. Such a frame then has the weight 1 / (memory + 1).
    """

    def __init__(self, memory: float = 4.0):
        if not 0 < memory <= 100:
            raise InputError(f"The memory of steady depth is {memory} frames; it must be above 0 and up to 100.")
        self.memory = memory
        self.reset()

    def reset(self) -> None:
        """Forgets the past: for a jump in time, or another camera."""
        self._depth_m = self._weight = np.empty((0, 0), np.float32)

    def __call__(self, depth_m: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """(H, W) metres and confidence 0..1 -> a new (H, W) float32. NaN and inf come through as they are.

        Another size than before starts anew. InputError where depth and confidence differ in size.
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
    """In place: `kept` becomes the new answer, `weight` the confidence behind it."""
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
