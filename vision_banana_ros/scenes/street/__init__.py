# SPDX-License-Identifier: Apache-2.0
"""Streets with exact truth: a third source of geometry behind the interface of `vision_banana_ros.scenes`."""

from vision_banana_ros.scenes.street.cameras import sample_street_camera
from vision_banana_ros.scenes.street.site import KINDS
from vision_banana_ros.scenes.street.worlds import StreetWorld, make_street_world

__all__ = ["KINDS", "StreetWorld", "make_street_world", "sample_street_camera"]
