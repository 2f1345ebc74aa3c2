# SPDX-License-Identifier: Apache-2.0
"""Runs a network in torch with the interface of a generator, with any number of sampling steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_json
from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.training.data.batches import Batch
from vision_banana_ros.training.data.captions_and_edits import ANY_PICTURE
from vision_banana_ros.training.own import rectified_flow
from vision_banana_ros.training.own.answers import answers_at
from vision_banana_ros.training.own.checkpoint import NETWORK, STATE, reading_run
from vision_banana_ros.training.own.device import TrainingDevice
from vision_banana_ros.training.own.recipe import canvases_of


@dataclass(frozen=True, slots=True)
class Painter:
    """A network with the interface of a generator.

    Attributes:
        network: The network.
        size: Height and width of frame and answer in pixels.
        steps: Number of sampling steps.
        from_frame: Whether sampling starts from the frame; with one step, as in a bundle.
        guidance: Scale of classifier-free guidance; 1 for none.
        tasks: Names of the supported tasks.
        canvases: Resolutions (height, width) of the views that the network was trained on; by default `size`.
    """

    network: VisionBananaUNet
    size: tuple[int, int]
    steps: int = 1
    from_frame: bool = False
    guidance: float = 1.0
    tasks: tuple[str, ...] = tuple(TASKS)
    canvases: tuple[tuple[int, int], ...] = ()

    @property
    def manifest(self) -> AnswerFormat:
        """The answer format of a bundle made from the network."""
        return replace(answers_at(self.size, self.canvases or [self.size]), tasks=self.tasks)

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """Paints one answer per prompt.

        Args:
            image: (H, W, 3) uint8 RGB frame of `size`; uniform grey (128) for generation without a frame.
            instructions: N prompts.

        Returns:
            (N, H, W, 3) float32 in 0..1.
        """
        painted = self.paint_batch(batch_of(self.network, [image], [(0, text) for text in instructions]))
        return np.ascontiguousarray(painted.permute(0, 2, 3, 1).cpu().numpy() / 2 + 0.5).clip(0, 1)

    def paint_batch(self, batch: Batch) -> Tensor:
        """Paints the answers to a batch, (N, 3, H, W), nominally in -1..1."""
        unconditional = self._unconditional() if self.guidance != 1 else None
        with TrainingDevice(self.network.device).mixed_precision():
            return rectified_flow.sample(
                self.network,
                batch,
                self.steps,
                from_frame=self.from_frame,
                guidance=self.guidance,
                unconditional=unconditional,
            ).float()

    def _unconditional(self) -> tuple[Tensor, Tensor, Tensor]:
        return _prompts(self.network, [ANY_PICTURE])


def batch_of(network: VisionBananaUNet, images: list[np.ndarray], asked: Sequence[tuple[int, str]]) -> Batch:
    """Builds a batch without targets.

    Args:
        network: The network that the batch is for.
        images: Frames, (H, W, 3) uint8 RGB of the same size.
        asked: N prompts, each with the index of its frame.

    Returns:
        The batch, on the device of the network.
    """
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
    """The folder of a training run.

    Args:
        path: The folder, or its subfolder network/.

    Raises:
        InputError: The folder has no trained weights.
    """
    folder = path.parent if path.name == NETWORK else path
    if not (folder / NETWORK).is_dir() or not (folder / STATE).is_file():
        raise InputError(
            f"'{path}' contains no trained weights: give the folder of `vision-banana train --out`."
        )
    return folder


def read_network(weights: Path) -> VisionBananaUNet:
    """Reads a network from its folder in diffusers' format, in evaluation mode.

    Raises:
        InputError: The folder is damaged.
    """
    with reading_run(weights):
        network = VisionBananaUNet.from_pretrained(weights).eval()
        if missing := [name for name, value in network.named_parameters() if value.is_meta]:
            raise ValueError(f"its weights lack {missing[0]}")  # diffusers only logs it
        return network


def load_network(run: Path) -> VisionBananaUNet:
    """Loads the averaged weights of a training run, in evaluation mode.

    Raises:
        InputError: The folder has no trained weights, or is damaged.
    """
    return read_network(run_folder(run) / NETWORK)


def open_painter(run: Path) -> Painter:
    """Opens a training run as a one-step generator at the resolution of its last stage.

    Raises:
        InputError: The folder has no trained weights, or is damaged.
    """
    folder = run_folder(run)
    with reading_run(run):
        facts = read_json(folder / STATE)
        height, width = facts["size"]
        canvases = canvases_of(facts["recipe"])
        return Painter(load_network(run), (height, width), 1, from_frame=True, canvases=canvases)
