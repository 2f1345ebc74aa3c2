# SPDX-License-Identifier: Apache-2.0
"""One frame and its questions in, answers out: resizing, decoding, geometry, and pictures of the result.

No ROS.
"""

from vision_banana_ros.perception.geometry import Intrinsics, points
from vision_banana_ros.perception.perceiver import Looks, Perceiver
from vision_banana_ros.perception.questions import Question

__all__ = ["Intrinsics", "Looks", "Perceiver", "Question", "points"]
