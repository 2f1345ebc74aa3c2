# SPDX-License-Identifier: Apache-2.0
"""A network in torch, asked like a generator: one picture and sentences in, pictures out, in as many steps as wanted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.training.data.batches import Batch
from vision_banana_ros.training.data.captions_and_edits import ANY_PICTURE
from vision_banana_ros.training.own import rectified_flow
from vision_banana_ros.training.own.answers import OWN_ANSWERS
from vision_banana_ros.training.own.checkpoint import NETWORK, STATE
from vision_banana_ros.training.own.device import Machine


@dataclass(frozen=True, slots=True)
class Painter:
    """size: (height, width). steps and from_frame as in `rectified_flow.sample`: one step from the frame is how a distilled network
    answers. guidance above 1 makes pictures from captions follow their words more closely."""

    network: VisionBananaUNet
    size: tuple[int, int]
    steps: int = 1
    from_frame: bool = False
    guidance: float = 1.0
    tasks: tuple[str, ...] = tuple(TASKS)

    @property
    def manifest(self) -> AnswerFormat:
        """How it paints: as the bundle that is made of the network will."""
        return replace(OWN_ANSWERS, tasks=self.tasks)

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """(H, W, 3) uint8 of `size` and N sentences -> (N, H, W, 3) float32 in 0..1. A grey frame (128) is no frame."""
        painted = self.paint_batch(batch_of(self.network, [image], [(0, text) for text in instructions]))
        return np.ascontiguousarray(painted.permute(0, 2, 3, 1).cpu().numpy() / 2 + 0.5).clip(0, 1)

    def paint_batch(self, batch: Batch) -> Tensor:
        """(N, 3, H, W) in -1..1."""
        plain = self._plain() if self.guidance != 1 else None
        with Machine(self.network.device).computing():
            return rectified_flow.sample(
                self.network, batch, self.steps, from_frame=self.from_frame, guidance=self.guidance, plain=plain
            ).float()

    def _plain(self) -> tuple[Tensor, Tensor, Tensor]:
        return _prompts(self.network, [ANY_PICTURE])


def batch_of(network: VisionBananaUNet, images: list[np.ndarray], asked: Sequence[tuple[int, str]]) -> Batch:
    """Frames, and sentences with the number of their frame, as a batch without truth."""
    pieces, colors, mask = _prompts(network, [text for _, text in asked])
    frames = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(network.device)
    of = torch.tensor([frame for frame, _ in asked], device=network.device)
    empty = torch.zeros((len(asked), 1, 3), device=network.device)
    texts = [text for _, text in asked]
    unknown = torch.zeros((0, *frames.shape[2:]), device=network.device)
    return Batch(frames, frames[of], of, pieces, colors, mask, empty, unknown, [""] * len(texts), texts)


def _prompts(network: VisionBananaUNet, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    prompts = [tokenize(text, network.config.text_length, network.config.text_buckets) for text in texts]
    pieces, colors, mask = (
        torch.from_numpy(np.stack([getattr(prompt, name) for prompt in prompts])).to(network.device)
        for name in ("pieces", "colors", "mask")
    )
    return pieces, colors, mask


def run_folder(path: Path) -> Path:
    """The folder of a run, given that or its network/. Raises InputError where it holds no weights."""
    folder = path.parent if path.name == NETWORK else path
    if not (folder / NETWORK).is_dir() or not (folder / STATE).is_file():
        raise InputError(f"'{path}' holds no trained weights: give the folder of `vision-banana train --out`.")
    return folder


def load_network(run: Path) -> VisionBananaUNet:
    """The averaged weights of a run, ready to paint."""
    return VisionBananaUNet.from_pretrained(run_folder(run) / NETWORK).eval()


def open_painter(run: Path) -> Painter:
    """A run as it answers, in one step from the frame, at the size that it was last taught at."""
    height, width = json.loads((run_folder(run) / STATE).read_text())["size"]
    return Painter(load_network(run), (height, width), 1, from_frame=True)
