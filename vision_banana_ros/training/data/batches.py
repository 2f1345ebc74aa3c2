# SPDX-License-Identifier: Apache-2.0
"""Endless batches of questions about the pool's views, prepared by worker processes while the network learns."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.training.data.augment import augmented, zoomed
from vision_banana_ros.training.data.captions_and_edits import NO_PICTURE, draw_pictures
from vision_banana_ros.training.data.pool import Pool
from vision_banana_ros.training.data.questions import Sample, draw_samples
from vision_banana_ros.training.data.records import Record, read_record

NO_COLOR = 9.0  # far from every colour
LOOK_AGAIN = 50  # batches after which the pool's folder is listed anew: it may still be filled


@dataclass(frozen=True, slots=True)
class Feeding:
    """What batches are made of. sizes: canvas of the pool -> size that it is learnt at; pictures: share of caption batches."""

    pool: Pool
    sizes: dict[tuple[int, int], tuple[int, int]]
    frames: int = 8
    pictures: float = 0.1
    text_length: int = 128
    text_buckets: int = 4096
    seed: int = 0
    random_legends: float = 0.6
    junk: float = 0.03


@dataclass(slots=True)
class Batch:
    """F frames and N samples, pixels uint8; `of` says which frame a sample is about."""

    image: Tensor  # (F, 3, H, W)
    target: Tensor  # (N, 3, H, W)
    of: Tensor  # (N,) int64
    pieces: Tensor  # (N, T, PIECES) int64; T is the longest instruction's length
    colors: Tensor  # (N, T, 4)
    mask: Tensor  # (N, T)
    palette: Tensor  # (N, K, 3) float32, 0..1, NO_COLOR behind a sample's last
    log_m: Tensor  # (D, H, W) float32: log of metres of the samples that are depth along the cube; NaN unknown, inf sky
    tasks: list[str]
    instructions: list[str]
    ramps: list[int] = field(default_factory=list)  # which samples those are

    @property
    def asks(self) -> bool:
        """Whether it holds questions (else captions and edits)."""
        return self.tasks[0] not in ("picture", "edit")

    def moved(self, device: torch.device) -> "Batch":
        """On a device; from pinned memory where that makes it asynchronous."""
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, part in parts.items():
            if isinstance(part, Tensor):
                parts[name] = (part.pin_memory() if device.type == "cuda" else part).to(device, non_blocking=True)
        return Batch(**parts)


def pixels(tensor: Tensor) -> Tensor:
    """uint8 pixels as float32 in -1..1."""
    return tensor.float() / 127.5 - 1


class Stream(IterableDataset):
    """Batches without end."""

    def __init__(self, feeding: Feeding) -> None:
        self.feeding = feeding

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(0)
        worker, feeding = get_worker_info(), self.feeding
        rng = np.random.default_rng([feeding.seed, worker.id if worker else 0])
        count = 0
        while True:
            if count % LOOK_AGAIN == 0:
                records = {size: paths for size, paths in feeding.pool.records().items() if size in feeding.sizes}
                if not records:
                    raise InputError(f"There are no views in '{feeding.pool.folder}' yet: fill the pool first.")
                sizes = list(records)
                shares = np.array([len(records[size]) for size in sizes], float)
            count += 1
            size = sizes[int(rng.choice(len(sizes), p=shares / shares.sum()))]
            paths = records[size]
            asks = rng.random() >= feeding.pictures
            drawn = (paths[int(i)] for i in rng.integers(len(paths), size=feeding.frames))
            read = (read_record(path, pictures=not asks) for path in drawn)
            if asks:
                read = (zoomed(record, rng) for record in read)
            chosen = [record.resized(feeding.sizes[size]) for record in read]
            yield self._questions(chosen, rng) if asks else self._pictures(chosen, rng)

    def _questions(self, records: list[Record], rng: np.random.Generator) -> Batch:
        records = [augmented(record, rng, self.feeding.junk) for record in records]
        drawn = [draw_samples(record, rng, self.feeding.random_legends) for record in records]
        of = [i for i, samples in enumerate(drawn) for _ in samples]
        return self._batch([record.image for record in records], [sample for samples in drawn for sample in samples], of)

    def _pictures(self, records: list[Record], rng: np.random.Generator) -> Batch:
        blank = np.full(records[0].image.shape, NO_PICTURE, np.uint8)
        frames, samples, of = [blank], [], []
        for record in records:
            for frame, sample in draw_pictures(record, rng):
                if frame is not None:
                    frames.append(frame)
                of.append(0 if frame is None else len(frames) - 1)
                samples.append(sample)
        frames += [blank] * (len(records) + 1 - len(frames))  # one shape for all batches
        return self._batch(frames, samples, of)

    def _batch(self, frames: list[np.ndarray], samples: list[Sample], of: list[int]) -> Batch:
        prompts = [tokenize(s.instruction, self.feeding.text_length, self.feeding.text_buckets) for s in samples]
        longest = int(max(prompt.mask.sum() for prompt in prompts))
        pieces, colors, mask = (
            torch.from_numpy(np.stack([getattr(prompt, name)[:longest] for prompt in prompts]))
            for name in ("pieces", "colors", "mask")
        )
        palette = np.full((len(samples), max(1, *(len(sample.palette) for sample in samples)), 3), NO_COLOR, np.float32)
        for row, sample in zip(palette, samples, strict=True):
            if sample.palette:
                row[: len(sample.palette)] = np.array(sample.palette) / 255
        ramps = [i for i, sample in enumerate(samples) if sample.log_m is not None]
        known = [sample.log_m for sample in samples if sample.log_m is not None]
        return Batch(
            image=_planes(frames),
            target=_planes([_bytes(sample.target) for sample in samples]),
            of=torch.tensor(of),
            pieces=pieces,
            colors=colors,
            mask=mask,
            palette=torch.from_numpy(palette),
            log_m=torch.from_numpy(np.stack(known)) if known else torch.zeros(0, *frames[0].shape[:2]),
            tasks=[sample.task for sample in samples],
            instructions=[sample.instruction for sample in samples],
            ramps=ramps,
        )


def batches(feeding: Feeding, workers: int, device: torch.device) -> Iterator[Batch]:
    """Batches on the device, prepared ahead by worker processes."""
    loader = DataLoader(Stream(feeding), batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    for batch in loader:
        yield batch.moved(device)


def _bytes(target: np.ndarray) -> np.ndarray:
    """8 bits a channel: an eighth of the traffic, and rounding costs less than a tenth of what a network gets wrong."""
    return target if target.dtype == np.uint8 else cv2.convertScaleAbs(target, alpha=255.0)


def _planes(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
