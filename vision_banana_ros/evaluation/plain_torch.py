# SPDX-License-Identifier: Apache-2.0
"""What somebody would run without this package.

The network in diffusers' format with torch, eager, in single precision.

Nothing is shared between the questions of a frame: each is a forward of the whole network, the frame encoded
anew. An instruction is encoded once and kept without its padding, which is as fast as this can be.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import open_bundle
from vision_banana_ros.generators.base import BundleGenerator
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.generator import PROMPTS_KEPT
from vision_banana_ros.generators.own.tokenizer import tokenize

PLAIN = "plain torch"
PACKAGES = ("torch", "diffusers", "onnx")


class PlainTorch(BundleGenerator[Any]):
    """A bundle's network, painting one picture after the other on the CPU, or on the GPU that torch finds."""

    def __init__(self, bundle: Bundle) -> None:
        import torch

        from vision_banana_ros.generators.executors.torch import network_of

        super().__init__(bundle, "", PROMPTS_KEPT)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = network_of(bundle).to(self._device)
        self.executor = f"{PLAIN} {self._device.type} fp32"

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """As Generator.paint."""
        import torch

        self._check(image, instructions)
        painted = []
        with torch.inference_mode():
            for instruction in instructions:
                text = self._text(instruction)
                frame = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None] / 127.5 - 1
                one, mask = (
                    torch.ones(1, device=self._device),
                    torch.ones(text.shape[:2], device=self._device),
                )
                picture = self._network(frame, frame, one, text, mask)
                painted.append((picture[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1).cpu().numpy())
        return np.stack(painted)

    def _text(self, instruction: str) -> Any:
        import torch

        found = self._known(instruction)
        if found is None:
            prompt = tokenize(instruction, self.manifest.text_length, self.manifest.text_buckets)
            given = (
                torch.from_numpy(part[None]).to(self._device)
                for part in (prompt.pieces, prompt.colors, prompt.mask)
            )
            found = self._keep(
                instruction, self._network.encode_text(*given)[:, : np.count_nonzero(prompt.mask)]
            )
        return found


def load_plain(bundle_dir: Path) -> PlainTorch:
    """InputError where the bundle is none of this project's own network."""
    bundle = open_bundle(bundle_dir)
    if bundle.manifest.backbone:
        raise InputError(f"Bundle '{bundle_dir}' is an imported editor: there is no plain run of it here.")
    return PlainTorch(bundle)
