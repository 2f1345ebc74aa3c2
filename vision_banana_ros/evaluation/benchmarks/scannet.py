# SPDX-License-Identifier: Apache-2.0
"""ScanNet: the normals of FrameNet's test split, 300 frames."""

from vision_banana_ros.evaluation.benchmarks.dsine import dsine_normals

LICENCE = "ScanNet's terms of use: research"
BENCHMARKS = (
    dsine_normals("scannet-normals", "ScanNet", "scannet", "png8", 300, (480, 640), LICENCE, "scene0532_00"),
)
