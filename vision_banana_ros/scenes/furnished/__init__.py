# SPDX-License-Identifier: Apache-2.0
"""Scenes furnished with 3-D models.

A second source of geometry behind the interface of `vision_banana_ros.scenes`.
"""

from vision_banana_ros.scenes.furnished.library import Library, default_folder, library_at
from vision_banana_ros.scenes.furnished.worlds import KINDS, make_furnished_world

__all__ = ["KINDS", "Library", "default_folder", "library_at", "make_furnished_world"]
