# SPDX-License-Identifier: Apache-2.0
"""Stores the frame and answers that verify executors when they are loaded (`generators.reference`)."""

from pathlib import Path

import numpy as np

from vision_banana_ros.generators import open_bundle
from vision_banana_ros.generators.executors.onnxruntime import OnnxRuntimeExecutor
from vision_banana_ros.generators.reference import write_reference
from vision_banana_ros.scenes import make_world, render, sample_camera

SEED = 7
"""The seed of a room with a person, a table and objects on the floor at various distances."""


def add_reference(path: Path) -> None:
    """Stores a rendered frame and the answers of the fp32 graphs on the CPU in a bundle.

    Must be called again whenever a graph changes.

    Args:
        path: Folder of the bundle, with all graphs.
    """
    bundle = open_bundle(path)
    height, width = bundle.manifest.size
    world, rng = make_world(SEED), np.random.default_rng(SEED)
    frame = render(world, sample_camera(world, rng, width, height), rng).image
    write_reference(path, frame, OnnxRuntimeExecutor(bundle, "cpu", "fp32"))
