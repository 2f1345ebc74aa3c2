# SPDX-License-Identifier: Apache-2.0
"""Regions of a mask that are nowhere painted surely are left out.

A generator that hesitates marks things that are not there.

It is the hysteresis of Canny's edge detector (1986): a low threshold says where a region ends, a high one whether it is one.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np


def sure_regions(answer: Any, least: float) -> Any:
    """The answer without the regions of its `mask`, (H, W) bool, whose `confidence`, (H, W) 0..1, is below `least` everywhere.

    Pixels touch their eight neighbours. What is left out is not in the mask, with confidence 0.
    """
    count, regions = cv2.connectedComponents(answer.mask.astype(np.uint8), connectivity=8)
    surest = np.zeros(count, np.float32)
    np.maximum.at(surest, regions[answer.mask], answer.confidence[answer.mask])
    unsure = answer.mask & (surest < least)[regions]
    return replace(answer, mask=answer.mask & ~unsure, confidence=np.where(unsure, np.float32(0), answer.confidence))
