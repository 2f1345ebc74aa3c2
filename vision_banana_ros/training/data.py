# SPDX-License-Identifier: Apache-2.0
"""An endless stream of rendered views with their questions, made by worker processes while the network learns."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from vision_banana_ros.generators.prompt import tokenize
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.training.questions import draw_samples

FIRST_TRAINING_SEED = 1_000_000  # worlds below are for tests, demos and evaluation: never trained on
VIEWS_A_WORLD = 4


@dataclass(slots=True)
class Batch:
    """V frames with K questions each; tensors of questions are frame-major, (V * K, ...)."""

    image: torch.Tensor  # (V, 3, H, W) float32, -1..1
    target: torch.Tensor  # (V * K, 3, H, W) float16, -1..1
    pieces: torch.Tensor
    colors: torch.Tensor
    mask: torch.Tensor
    tasks: list[str]

    def to(self, device: torch.device) -> "Batch":
        moved = (getattr(self, name).to(device, non_blocking=True) for name in ("image", "target", "pieces", "colors", "mask"))
        return Batch(*moved, tasks=self.tasks)


class Views(IterableDataset):
    """Batches without end; each worker draws worlds of its own from `seed`."""

    def __init__(self, seed: int, size: tuple[int, int], views: int, text_length: int, text_buckets: int) -> None:
        self.seed, self.size, self.views = seed, size, views
        self.text_length, self.text_buckets = text_length, text_buckets

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        stream = self._views(rng)
        while True:
            yield self._batch([next(stream) for _ in range(self.views)])

    def _views(self, rng: np.random.Generator) -> Iterator[tuple]:
        height, width = self.size
        while True:
            world = make_world(int(rng.integers(FIRST_TRAINING_SEED, 2**31)))
            for _ in range(VIEWS_A_WORLD):
                view = render(world, sample_camera(world, rng, width, height), rng)
                yield view.image, draw_samples(view, rng)

    def _batch(self, views: list[tuple]) -> Batch:
        samples = [sample for _, drawn in views for sample in drawn]
        prompts = [tokenize(sample.instruction, self.text_length, self.text_buckets) for sample in samples]
        target = torch.from_numpy(np.stack([sample.target for sample in samples])).permute(0, 3, 1, 2)
        longest = int(max(prompt.mask.sum() for prompt in prompts))  # padding would only cost time
        return Batch(
            image=torch.from_numpy(np.stack([image for image, _ in views])).permute(0, 3, 1, 2) / 127.5 - 1,
            target=(target * 2 - 1).half(),
            pieces=torch.from_numpy(np.stack([prompt.pieces[:longest] for prompt in prompts])),
            colors=torch.from_numpy(np.stack([prompt.colors[:longest] for prompt in prompts])),
            mask=torch.from_numpy(np.stack([prompt.mask[:longest] for prompt in prompts])),
            tasks=[sample.task for sample in samples],
        )


def batches(views: Views, workers: int) -> Iterator[Batch]:
    """The stream, rendered in `workers` processes (0: in this one)."""
    return iter(DataLoader(views, batch_size=None, num_workers=workers, prefetch_factor=3 if workers else None))
