# SPDX-License-Identifier: Apache-2.0
"""Vision Banana for robots: one image generator paints depth, normals and masks.

This package reads them as numbers.
"""

from vision_banana_ros import process_environment

__version__ = "0.1.0"

process_environment.prepare()
