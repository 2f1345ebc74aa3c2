# SPDX-License-Identifier: Apache-2.0
"""The classes of the rendered scenes, and their colours in training."""

from vision_banana_ros.tasks.colors import BLACK, Legend, far_apart

#: In the order of their ids.
CLASSES: tuple[str, ...] = (
    "floor", "wall", "ceiling", "ground", "sky", "door", "window", "stairs", "shelf", "table", "chair",
    "sofa",
    "box", "pallet", "barrel", "ball", "cone", "cable", "person", "vehicle", "mirror", "glass", "plant",
    "cup",
)  # fmt: skip
#: The legend that a trained generator knows best; it is the default of the bundle.
LEGEND: Legend = dict(zip(CLASSES, far_apart(len(CLASSES), [BLACK]), strict=True))
