# SPDX-License-Identifier: Apache-2.0
"""Endless stream of training batches from the pool, prepared by worker processes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.training.data.augment import augment, zoom_in
from vision_banana_ros.training.data.captions_and_edits import NO_PICTURE, draw_pictures
from vision_banana_ros.training.data.pool import Pool
from vision_banana_ros.training.data.questions import Sample, draw_samples
from vision_banana_ros.training.data.records import Record, read_record

PADDING_COLOR = 9.0  # farther from any colour than two colours from each other
POOL_REFRESH_BATCHES = 50  # batches after which the pool is listed again, because it may still grow


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """Configuration of the batches.

    Attributes:
        pool: Rendered views.
        sizes: Canvas of the pool (height, width) to training resolutions (height, width) in pixels, of which
            each batch draws one.
        frames: Frames per batch.
        pictures: Fraction of batches with captions and edits, in 0..1.
        text_length: Maximum number of tokens of a prompt.
        text_buckets: Size of the hashed vocabulary.
        seed: Random seed; the processes of a run have the same.
        random_legends: Fraction of semantic prompts with randomly drawn classes and colours, in 0..1.
        junk: Fraction of frames that are replaced by an image without content, in 0..1.
        rank: Index of the process.
    """

    pool: Pool
    sizes: dict[tuple[int, int], tuple[tuple[int, int], ...]]
    frames: int = 8
    pictures: float = 0.1
    text_length: int = 128
    text_buckets: int = 4096
    seed: int = 0
    random_legends: float = 0.6
    junk: float = 0.03
    rank: int = 0


@dataclass(slots=True)
class Batch:
    """F frames and N samples, each a prompt for one of the frames with its target.

    Attributes:
        image: (F, 3, H, W) uint8 RGB frames.
        target: (N, 3, H, W) uint8 RGB answers.
        of: (N,) int64, the index of the frame of each sample.
        pieces: (N, T, PIECES) int64 tokenised prompts (`tokenizer.Prompt`); T is the length of the longest
            one.
        colors: (N, T, 4) float32.
        mask: (N, T) float32.
        palette: (N, K, 3) float32 RGB in 0..1, the colours in each answer, padded with PADDING_COLOR.
        log_m: (D, H, W) float32, natural logarithm of metres of samples with depth along the cube; NaN
            unknown, inf sky.
        tasks: Task of each sample; "picture" for captions, "edit" for edits.
        instructions: The prompts.
        ramps: The indices of the D samples.
    """

    image: Tensor
    target: Tensor
    of: Tensor
    pieces: Tensor
    colors: Tensor
    mask: Tensor
    palette: Tensor
    log_m: Tensor
    tasks: list[str]
    instructions: list[str]
    ramps: list[int] = field(default_factory=list)

    @property
    def asks(self) -> bool:
        """Whether the samples are perception prompts instead of captions and edits."""
        return self.tasks[0] not in ("picture", "edit")

    def moved(self, device: torch.device) -> "Batch":
        """The batch on a device, copied asynchronously from pinned memory to a GPU."""
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, part in parts.items():
            if isinstance(part, Tensor):
                parts[name] = (part.pin_memory() if device.type == "cuda" else part).to(
                    device, non_blocking=True
                )
        return Batch(**parts)


def pixels(tensor: Tensor) -> Tensor:
    """Converts uint8 pixels to float32 in -1..1."""
    return tensor.float() / 127.5 - 1


class BatchStream(IterableDataset):
    """Endless stream of batches, different in each worker process.

    The processes of a run draw the same kinds and resolutions in the same order, so that each step takes them
    the same time.
    """

    def __init__(self, config: BatchConfig) -> None:
        self.config = config

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(0)
        worker, config = get_worker_info(), self.config
        seed = [config.seed, worker.id if worker else 0]
        shared, rng = np.random.default_rng(seed), np.random.default_rng([*seed, config.rank])
        count = 0
        while True:
            if count % POOL_REFRESH_BATCHES == 0:
                records = {
                    size: paths for size, paths in config.pool.records().items() if size in config.sizes
                }
                if not records:
                    raise InputError(
                        f"There are no views in '{config.pool.folder}' yet: fill the pool first."
                    )
                sizes = list(records)
                shares = np.array([len(records[size]) for size in sizes], float)
            count += 1
            size = sizes[int(shared.choice(len(sizes), p=shares / shares.sum()))]
            asks = shared.random() >= config.pictures
            training_sizes = config.sizes[size]
            training_size = training_sizes[int(shared.integers(len(training_sizes)))]
            paths = records[size]
            drawn = (paths[int(i)] for i in rng.integers(len(paths), size=config.frames))
            read = (read_record(path, pictures=not asks) for path in drawn)
            if asks:
                read = (zoom_in(record, rng) for record in read)
            chosen = [_at_training_size(record, training_size, size) for record in read]
            yield self._questions(chosen, rng) if asks else self._pictures(chosen, rng)

    def _questions(self, records: list[Record], rng: np.random.Generator) -> Batch:
        records = [augment(record, rng, self.config.junk) for record in records]
        drawn = [draw_samples(record, rng, self.config.random_legends) for record in records]
        of = [i for i, samples in enumerate(drawn) for _ in samples]
        return self._batch(
            [record.image for record in records], [sample for samples in drawn for sample in samples], of
        )

    def _pictures(self, records: list[Record], rng: np.random.Generator) -> Batch:
        blank = np.full(records[0].image.shape, NO_PICTURE, np.uint8)
        frames, samples, of = [blank], [], []
        for record in records:
            for frame, sample in draw_pictures(record, rng):
                if frame is not None:
                    frames.append(frame)
                of.append(0 if frame is None else len(frames) - 1)
                samples.append(sample)
        frames += [blank] * (len(records) + 1 - len(frames))  # the same shape for all batches
        return self._batch(frames, samples, of)

    def _batch(self, frames: list[np.ndarray], samples: list[Sample], of: list[int]) -> Batch:
        prompts = [
            tokenize(s.instruction, self.config.text_length, self.config.text_buckets) for s in samples
        ]
        longest = int(max(prompt.mask.sum() for prompt in prompts))
        pieces, colors, mask = (
            torch.from_numpy(np.stack([getattr(prompt, name)[:longest] for prompt in prompts]))
            for name in ("pieces", "colors", "mask")
        )
        palette = np.full(
            (len(samples), max(1, *(len(sample.palette) for sample in samples)), 3), PADDING_COLOR, np.float32
        )
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


def batches(config: BatchConfig, workers: int, device: torch.device) -> Iterator[Batch]:
    """Iterates over batches on a device.

    Args:
        config: Configuration of the batches.
        workers: Number of worker processes; 0 to prepare batches in this process.
        device: The device.
    """
    loader = DataLoader(
        BatchStream(config), batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
    for batch in loader:
        yield batch.moved(device)


def _at_training_size(record: Record, size: tuple[int, int], canvas: tuple[int, int]) -> Record:
    """Resizes a view, with its focal length in pixels of the canvas.

    Depth is painted for one focal length in pixels. If it were measured at the training resolution, the same
    view would have another depth at each resolution, and training on small images would not carry over.
    """
    record = record.resized(size)
    return replace(record, focal_px=record.focal_px * math.sqrt(math.prod(canvas) / math.prod(size)))


def _bytes(target: np.ndarray) -> np.ndarray:
    """Converts a target in 0..1 to uint8; the rounding error is small compared to that of the network."""
    return target if target.dtype == np.uint8 else cv2.convertScaleAbs(target, alpha=255.0)


def _planes(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
