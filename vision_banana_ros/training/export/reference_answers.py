# SPDX-License-Identifier: Apache-2.0
"""The frame and answers in a bundle that every executor is checked by when it is loaded (`generators.reference`)."""

from pathlib import Path

import numpy as np

from vision_banana_ros.generators import open_bundle
from vision_banana_ros.generators.executors.onnxruntime import OnnxRuntimeExecutor
from vision_banana_ros.generators.reference import write_reference
from vision_banana_ros.scenes import make_world, render, sample_camera

SEED = 7
"""A room with a person, a table and things on the floor, near and far."""


def add_reference(path: Path) -> None:
    """Store a rendered frame and what the graphs in the folder `path` answer, in fp32 on the CPU. To be called once all graphs lie
    there, and again whenever they change."""
    bundle = open_bundle(path)
    height, width = bundle.manifest.size
    world, rng = make_world(SEED), np.random.default_rng(SEED)
    frame = render(world, sample_camera(world, rng, width, height), rng).image
    write_reference(path, frame, OnnxRuntimeExecutor(bundle, "cpu", "fp32"))
