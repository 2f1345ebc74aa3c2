# SPDX-License-Identifier: Apache-2.0
"""Open image editors as generators: a file a family, and what they share."""

from vision_banana_ros.generators.backbones.family import FAMILIES, Family, family_of

__all__ = ["FAMILIES", "Family", "family_of"]
