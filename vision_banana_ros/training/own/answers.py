# SPDX-License-Identifier: Apache-2.0
"""The answer format of the package's own generator, for bundles and for training runs."""

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
    # Tuned on the same worlds: suppresses more false positives than true positives.
    referring_core=0.6,
    expressions_together=MAX_EXPRESSIONS,
)
