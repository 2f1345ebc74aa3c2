# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes with ground truth, for training, evaluation, the simulated camera and tests.

Needs no assets.
"""

from vision_banana_ros.scenes.cameras import Camera
from vision_banana_ros.scenes.language.captions import caption
from vision_banana_ros.scenes.language.expressions import Expression, expressions
from vision_banana_ros.scenes.simulated_camera import SimulatedCamera
from vision_banana_ros.scenes.solids import CLASSES, World, WorldObject
from vision_banana_ros.scenes.viewpoints import sample_camera
from vision_banana_ros.scenes.views import View, render
from vision_banana_ros.scenes.worlds import KINDS, make_world

__all__ = [
    "CLASSES", "KINDS", "Camera", "Expression", "SimulatedCamera", "View", "World", "WorldObject", "caption",
    "expressions", "make_world", "render", "sample_camera",
]  # fmt: skip
