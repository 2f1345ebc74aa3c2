# SPDX-License-Identifier: Apache-2.0
"""Relative depth beside a truth: brought to metres by that truth itself, picture by picture, as its makers measure it.

Figures of it say how well the shape of the depth is known, never how far anything is.
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
