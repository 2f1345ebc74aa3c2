# SPDX-License-Identifier: Apache-2.0
"""Virtual KITTI 2: normals of 1,000 rendered frames, 200 of each scene."""

from vision_banana_ros.evaluation.benchmarks.dsine import dsine_normals

SIZE = (375, 1242)
NOTES = ("The paper does not state which frames it took: these are those that DSINE sampled.",)
BENCHMARKS = (
    dsine_normals(
        "vkitti-normals",
        "VKitti",
        "vkitti",
        "png16",
        1000,
        SIZE,
        "CC BY-NC-SA 3.0",
        "Scene01",
        image="jpg",
        notes=NOTES,
    ),
)
