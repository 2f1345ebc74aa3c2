# SPDX-License-Identifier: Apache-2.0
"""The data sets that the paper is judged by, each in a file of its own, and the one list of them."""

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import (
    cityscapes,
    diode,
    eth3d,
    ibims1,
    kitti,
    nuscenes,
    nyuv2,
    real_frames,
    reasonseg,
    refcoco,
    saco_gold,
    scannet,
    vkitti,
)
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark

_FILES = (
    nyuv2,
    ibims1,
    eth3d,
    diode,
    kitti,
    nuscenes,
    scannet,
    vkitti,
    cityscapes,
    refcoco,
    reasonseg,
    saco_gold,
    real_frames,
)
BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for file in _FILES for benchmark in file.BENCHMARKS
}


def benchmark_named(name: str) -> Benchmark:
    """InputError where there is none."""
    if name not in BENCHMARKS:
        raise InputError(f"There is no benchmark '{name}': choose {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]
