# SPDX-License-Identifier: Apache-2.0
"""Alignment of depth to the ground truth per picture: median scaling, or scale and shift for relative depth.

Metrics after alignment measure the shape of the depth, not its scale.
"""

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.profiles_relative import align, metres


def depth_in_metres(depth_relative: np.ndarray, truth_m: np.ndarray, kind: str, far_m: float) -> np.ndarray:
    """(H, W) metres: `depth_relative` of this kind, aligned with what of the truth is within `far_m`; NaN where nothing fits."""
    known = np.where((truth_m > 0) & (truth_m <= far_m), truth_m, np.nan)
    try:
        return metres(depth_relative, align(depth_relative, known, kind))
    except InputError:
        return np.full(truth_m.shape, np.nan, np.float32)


def median_scale(depth_m: np.ndarray, truth_m: np.ndarray) -> float:
    """The factor of median scaling (Zhou et al. 2017), or NaN if there are no valid pixels.

    It is the ratio of the medians of truth and depth where both are finite and positive.
    """
    both = np.isfinite(depth_m) & (depth_m > 0) & np.isfinite(truth_m) & (truth_m > 0)
    return float(np.median(truth_m[both]) / np.median(depth_m[both])) if both.any() else float("nan")
