# SPDX-License-Identifier: Apache-2.0
"""A bundle, or a training run as it is, ready to be asked."""

from pathlib import Path

from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.generators import load_generator
from vision_banana_ros.perception import Perceiver


def is_run(path: Path) -> bool:
    """Whether it is a training run, which has a network and no card."""
    return (path / "network").is_dir()


def open_bundle_or_run(
    path: Path, executor: str, passes: int, together: bool = False
) -> tuple[str, Perceiver]:
    """What it is called, and what answers for it. InputError where it cannot be opened."""
    if is_run(path):
        needs_torch()
        from vision_banana_ros.training.own.sampler import open_painter

        return path.resolve().name, Perceiver(open_painter(path), passes=passes, together=together)
    generator = load_generator(
        path, executor, encode_prompts=True
    )  # what it is going to be asked, where it is an editor
    return generator.name, Perceiver(generator, passes=passes, together=together)
