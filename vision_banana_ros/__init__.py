# SPDX-License-Identifier: Apache-2.0
"""Vision Banana for robots: depth, surface normals and segmentation from an image generator, for ROS 2."""

from vision_banana_ros import process_environment

__version__ = "0.1.0"

process_environment.prepare()
