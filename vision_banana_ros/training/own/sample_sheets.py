# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of sample answers for visual inspection, always of the same views."""

from pathlib import Path

import cv2
import numpy as np
import torch

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.perception.visualization import Tile, sheet
from vision_banana_ros.training.data.batches import Batch, BatchConfig, BatchStream
from vision_banana_ros.training.data.pool import Pool
from vision_banana_ros.training.own.sampler import Painter

SAMPLING_STEPS, GUIDANCE = 8, 2.0  # for image generation and editing
FRAMES = 3
MAX_CHARACTERS = 150  # of a prompt in a caption of the sheet


def write_sheet(network: VisionBananaUNet, pool: Pool, size: tuple[int, int], path: Path) -> None:
    """Writes a PNG with frame, target and answer for prompts, captions and edits of views in the pool.

    Args:
        network: The network; it is switched to evaluation mode.
        pool: The pool, which has views of its first canvas.
        size: Height and width in pixels at which to paint.
        path: The PNG to write.
    """
    network.eval()
    config = network.config
    canvas = next(iter(pool.canvases)).size
    tiles: list[Tile] = []
    for pictures in (0.0, 1.0):
        feeding = BatchConfig(
            pool, {canvas: (size,)}, FRAMES, pictures, config.text_length, config.text_buckets, seed=0
        )
        batch = next(iter(BatchStream(feeding))).moved(network.device)
        painter = Painter(
            network, size, 1 if batch.asks else SAMPLING_STEPS, batch.asks, 1.0 if batch.asks else GUIDANCE
        )
        tiles += _tiles(batch, painter.paint_batch(batch))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), sheet(tiles, "frame, target, answer", columns=2, tile_width=600)[:, :, ::-1])


def _tiles(batch: Batch, answers: torch.Tensor) -> list[Tile]:
    frames, truths = (x.permute(0, 2, 3, 1).cpu().numpy() for x in (batch.image[batch.of], batch.target))
    painted = ((answers.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [
        Tile(
            task,
            np.hstack([frame, truth, answer]),
            text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} ...",
        )
        for task, text, frame, truth, answer in zip(
            batch.tasks, batch.instructions, frames, truths, painted, strict=True
        )
    ]
