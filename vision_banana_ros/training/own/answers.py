# SPDX-License-Identifier: Apache-2.0
"""How the package's own generator paints: what its bundles say, and what it is measured by before it is one."""

from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.referring import MAX_EXPRESSIONS
from vision_banana_ros.tasks.vocabulary import LEGEND
from vision_banana_ros.training.data.questions import FOCAL_PX

OWN_ANSWERS = AnswerFormat(
    tasks=tuple(sorted(TASKS)),
    codec="vision_banana",
    legend=LEGEND,
    depth_range_m=(0.1, 100.0),  # what the scenes show
    depth_focal_px=FOCAL_PX,
    # How flatly a small network paints instances, found on worlds that are neither trained on nor measured on: the paper's 14
    # would take one thing for many.
    instance_taus={"background_tau": 140, "region_tau": 60, "merge_tau": 80},
    # Below it, more masks of what is not there are left out than true ones.
    referring_core=0.6,
    expressions_together=MAX_EXPRESSIONS,
)
