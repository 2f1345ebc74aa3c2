# SPDX-License-Identifier: Apache-2.0
"""What a network paints, for a person to look at: always the same views, with what was asked."""

from pathlib import Path

import cv2
import numpy as np
import torch

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.perception.visualization import Tile, sheet
from vision_banana_ros.training.data.batches import Batch, Feeding, Stream
from vision_banana_ros.training.data.pool import Pool
from vision_banana_ros.training.own.sampler import Painter

WALK, GUIDANCE = 8, 2.0  # steps of what is not answered in one, and guidance of pictures from captions
FRAMES = 3
WORDS = 150  # characters of an instruction


def write_sheet(network: VisionBananaUNet, pool: Pool, size: tuple[int, int], path: Path) -> None:
    """A PNG of questions, captions and edits about views of the pool: frame, truth, answer."""
    network.eval()
    config = network.config
    canvas = next(iter(pool.canvases)).size
    tiles: list[Tile] = []
    for pictures in (0.0, 1.0):
        feeding = Feeding(pool, {canvas: size}, FRAMES, pictures, config.text_length, config.text_buckets, seed=0)
        batch = next(iter(Stream(feeding))).moved(network.device)
        painter = Painter(network, size, 1 if batch.asks else WALK, batch.asks, 1.0 if batch.asks else GUIDANCE)
        tiles += _tiles(batch, painter.paint_batch(batch))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), sheet(tiles, "frame, truth, answer", columns=2, tile_width=600)[:, :, ::-1])


def _tiles(batch: Batch, answers: torch.Tensor) -> list[Tile]:
    frames, truths = (x.permute(0, 2, 3, 1).cpu().numpy() for x in (batch.image[batch.of], batch.target))
    painted = ((answers.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [
        Tile(task, np.hstack([frame, truth, answer]), text if len(text) <= WORDS else f"{text[:WORDS]} ...")
        for task, text, frame, truth, answer in zip(batch.tasks, batch.instructions, frames, truths, painted, strict=True)
    ]
