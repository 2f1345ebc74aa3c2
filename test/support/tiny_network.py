# SPDX-License-Identifier: Apache-2.0
"""The package's own network, small and of chance: nothing that is learnt is needed to see that its parts
fit."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from vision_banana_ros.generators.own.network import VisionBananaUNet

CHANNELS = (16, 32, 64)


def tiny_network(**more) -> VisionBananaUNet:
    """Every word and every layer changes something, which at the start of training many do not."""
    torch.manual_seed(0)
    network = VisionBananaUNet(channels=CHANNELS, **more).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if not name.startswith("image_encoder"):
                value.add_(0.02 * torch.randn_like(value))
        network.answer_distance.bias[1] = -2.0  # sure of its distances, mostly
    return network


def export_tiny(out: Path, *sizes: tuple[int, int]) -> Path:
    """A bundle of it for frames of these sizes, the usual one first; takes half a minute of a core."""
    from vision_banana_ros.training.export.bundle import export

    with TemporaryDirectory() as folder:
        tiny_network().save_pretrained(folder)
        export(Path(folder), out, sizes, out.name, "Random weights.", {})
    return out
