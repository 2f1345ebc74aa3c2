# SPDX-License-Identifier: Apache-2.0
"""What a network paints, for a person to look at: always the same held-out frames, with what was asked."""

from pathlib import Path

import cv2
import numpy as np
import torch

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.perception.visualization import Tile, sheet
from vision_banana_ros.training.data.batches import Batch, Stream
from vision_banana_ros.training.own.sampler import Painter
from vision_banana_ros.training.own.stages import Plan

WALK, GUIDANCE = 8, 2.0  # steps of what is not answered in one, and guidance of pictures from captions
WORDS = 150  # characters of an instruction


def write_sheet(network: VisionBananaUNet, plan: Plan, size: tuple[int, int], path: Path) -> None:
    """A PNG of two frames' questions, and of captions and edits, as far as the stage has them: frame, truth, answer."""
    network.eval()
    recipe = plan.recipe(size, network, seed=0)
    tiles: list[Tile] = []
    for mix in [1.0] * (recipe.mix > 0) + [0.0] * (recipe.mix < 1):
        batch = next(iter(Stream(recipe.shown(mix)))).moved(network.device)
        at_once = batch.asks and plan.stage == "distill"
        painter = Painter(network, size, 1 if at_once else WALK, at_once, 1.0 if batch.asks else GUIDANCE)
        tiles += _tiles(batch, painter.paint_batch(batch))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = sheet(tiles, f"{plan.stage}: frame, truth, answer", columns=2, tile_width=600)
    cv2.imwrite(str(path), picture[:, :, ::-1])


def _tiles(batch: Batch, answers: torch.Tensor) -> list[Tile]:
    frames, truths = (x.permute(0, 2, 3, 1).cpu().numpy() for x in (batch.image[batch.of], batch.target))
    painted = ((answers.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [
        Tile(task, np.hstack([frame, truth, answer]), text if len(text) <= WORDS else f"{text[:WORDS]} ...")
        for task, text, frame, truth, answer in zip(batch.tasks, batch.instructions, frames, truths, painted, strict=True)
    ]
