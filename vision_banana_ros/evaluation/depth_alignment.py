# SPDX-License-Identifier: Apache-2.0
"""Alignment of depth to the ground truth per picture: median scaling, or scale and shift for relative depth.

Metrics after alignment measure the shape of the depth, not its scale.
"""

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.profiles_relative import align, grey, metres

LEAST_INVERSE, LEAST_DEPTH_M = 1e-3, 1e-6  # where a fit would give less, as Marigold's evaluation has it


def depth_in_metres(depth_relative: np.ndarray, truth_m: np.ndarray, kind: str, far_m: float) -> np.ndarray:
    """(H, W) metres: `depth_relative` of this kind, aligned with what of the truth is within `far_m`.

    NaN where nothing fits.
    """
    known = np.where((truth_m > 0) & (truth_m <= far_m), truth_m, np.nan)
    try:
        return metres(depth_relative, align(depth_relative, known, kind))
    except InputError:
        return np.full(truth_m.shape, np.nan, np.float32)


def least_squares(depth_relative: np.ndarray, truth_m: np.ndarray, kind: str) -> np.ndarray:
    """Relative depth of this kind in metres, (H, W), by the scale and shift that fit the truth best.

    NaN where it was NaN.

    Least squares over all known pixels, of 1 / d for inverse depth, as in Marigold's evaluation (arXiv
    2312.02145).
    """
    value = grey(depth_relative.astype(np.float64), kind)
    known = np.isfinite(truth_m) & (truth_m > 0) & np.isfinite(value)
    if np.count_nonzero(known) < 2:
        return np.full(truth_m.shape, np.nan, np.float32)
    wanted = truth_m[known].astype(np.float64)
    columns = np.stack([value[known], np.ones(len(wanted))], axis=1)
    scale, shift = np.linalg.lstsq(columns, 1 / wanted if kind == "inverse" else wanted, rcond=None)[0]
    fitted = scale * value + shift
    metric = 1 / np.maximum(fitted, LEAST_INVERSE) if kind == "inverse" else np.maximum(fitted, LEAST_DEPTH_M)
    return np.where(np.isfinite(value), metric, np.nan).astype(np.float32)


def median_scale(depth_m: np.ndarray, truth_m: np.ndarray) -> float:
    """The factor of median scaling (Zhou et al. 2017), or NaN if there are no valid pixels.

    It is the ratio of the medians of truth and depth where both are finite and positive.
    """
    both = np.isfinite(depth_m) & (depth_m > 0) & np.isfinite(truth_m) & (truth_m > 0)
    return float(np.median(truth_m[both]) / np.median(depth_m[both])) if both.any() else float("nan")
