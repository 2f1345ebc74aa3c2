# SPDX-License-Identifier: Apache-2.0
"""Hysteresis thresholding of masks: regions without a confident pixel are removed.

As in Canny's edge detector (1986), a low threshold determines the extent of a region, a high one whether it
is kept. Without it, an uncertain generator marks objects that are not there.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np


def sure_regions(answer: Any, least: float) -> Any:
    """Removes regions of the mask whose confidence is below a threshold everywhere.

    Regions are 8-connected. Removed pixels are not in the mask, with confidence 0.

    Args:
        answer: An answer with `mask`, (H, W) bool, and `confidence`, (H, W) in 0..1.
        least: The threshold.
    """
    count, regions = cv2.connectedComponents(answer.mask.astype(np.uint8), connectivity=8)
    surest = np.zeros(count, np.float32)
    np.maximum.at(surest, regions[answer.mask], answer.confidence[answer.mask])
    unsure = answer.mask & (surest < least)[regions]
    return replace(
        answer, mask=answer.mask & ~unsure, confidence=np.where(unsure, np.float32(0), answer.confidence)
    )
