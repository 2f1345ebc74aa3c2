# SPDX-License-Identifier: Apache-2.0
"""Vision Banana for robots: one image generator paints depth, normals and masks; this package reads them as numbers."""

__version__ = "0.1.0"
