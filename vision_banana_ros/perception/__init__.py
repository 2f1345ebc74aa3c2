# SPDX-License-Identifier: Apache-2.0
"""Perception without ROS: from one frame and its questions to answers on one pixel grid."""

from vision_banana_ros.perception.geometry import Intrinsics, points
from vision_banana_ros.perception.perceiver import Looks, Perceiver
from vision_banana_ros.perception.questions import Question

__all__ = ["Intrinsics", "Looks", "Perceiver", "Question", "points"]
