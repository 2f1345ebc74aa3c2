# SPDX-License-Identifier: Apache-2.0
"""The answer format of the package's own generator, for bundles and for training runs."""

import math
from collections.abc import Iterable
from dataclasses import replace

from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.referring import MAX_EXPRESSIONS
from vision_banana_ros.tasks.vocabulary import LEGEND
from vision_banana_ros.training.data.questions import FOCAL_PX

OWN_ANSWERS = AnswerFormat(
    tasks=tuple(sorted(TASKS)),
    codec="vision_banana",
    legend=LEGEND,
    depth_range_m=(0.1, 100.0),  # range of the training scenes
    depth_focal_px=FOCAL_PX,
    # A small network paints instances with less uniform colours than the paper's, whose threshold of 14 would
    # split instances. Tuned on worlds that are used neither for training nor for evaluation.
    instance_taus={"background_tau": 140, "region_tau": 60, "merge_tau": 80},
    # Tuned on training views: false positives 12 % at 0.6 and 4 % at 0.85, cIoU 0.508 and 0.500.
    referring_core=0.85,
    expressions_together=MAX_EXPRESSIONS,
)


def answers_at(size: tuple[int, int], canvases: Iterable[tuple[int, int]]) -> AnswerFormat:
    """The answer format at a resolution, which changes the focal length in pixels that depth is painted for.

    Args:
        size: Resolution (height, width) of the painted images.
        canvases: Resolutions of the views (height, width), whose pixels `FOCAL_PX` is in; the one with the
            most similar aspect ratio counts.
    """
    height, width = size
    like = min(canvases, key=lambda canvas: abs(math.log(canvas[1] / canvas[0] * height / width)))
    scale = math.sqrt(height / like[0] * width / like[1])
    return replace(OWN_ANSWERS, depth_focal_px=round(FOCAL_PX * scale, 1))
