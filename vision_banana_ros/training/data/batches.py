# SPDX-License-Identifier: Apache-2.0
"""An endless stream of rendered frames with what is asked of them, made by worker processes while the network learns."""

import queue
import random
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.training.data.captions_and_edits import NO_PICTURE, draw_pictures
from vision_banana_ros.training.data.questions import RANDOM_LEGENDS, Sample, draw_samples
from vision_banana_ros.training.data.sources import FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED, Shot, check, shots

NO_COLOR = 9.0  # far from every colour
AHEAD = 4  # batches that wait on the device
KEPT = 48  # batches that can be learnt from again
REPLAYS = 3  # at most as many of those as this for every fresh one


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a stream is made of."""

    size: tuple[int, int]  # height, width
    views: int = 4  # frames a batch of questions; a batch of pictures has twice as many
    rounds: int = 1  # questions a frame, in fives
    mix: float = 1.0  # share of batches that hold questions; the rest holds captions and edits
    sources: dict[str, float] = field(default_factory=lambda: {"procedural": 1.0})
    random_legends: float = RANDOM_LEGENDS
    tasks: tuple[str, ...] | None = None  # None: all
    text_length: int = 128
    text_buckets: int = 4096
    trim: bool = True  # instructions to the longest of a batch; not where shapes must stay (compiled networks)
    seed: int = 0
    held_out: bool = False

    def shown(self, mix: float) -> "Recipe":
        """A little of it, of held-out worlds, to look at."""
        return replace(self, views=2, rounds=1, mix=mix, seed=0, held_out=True)


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
    tasks: list[str]
    instructions: list[str]

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
    """Batches without end; each worker draws worlds of its own."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        if worker:
            cv2.setNumThreads(0)
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, worker.id if worker else 0])
        first_seed = FIRST_HELD_OUT_SEED if recipe.held_out else FIRST_TRAINING_SEED
        stream = shots(recipe.sources, recipe.size, rng, first_seed)
        while True:
            make = self._questions if rng.random() < recipe.mix else self._pictures
            yield make(stream, rng)

    def _questions(self, stream: Iterator[Shot], rng: np.random.Generator) -> Batch:
        frames: list[np.ndarray] = []
        samples: list[Sample] = []
        of: list[int] = []
        for i in range(self.recipe.views):
            view = next(stream).view
            frames.append(view.image)
            for _ in range(self.recipe.rounds):
                samples += draw_samples(view, rng, self.recipe.random_legends, self.recipe.tasks)
            of += [i] * (len(samples) - len(of))
        return self._batch(frames, samples, of)

    def _pictures(self, stream: Iterator[Shot], rng: np.random.Generator) -> Batch:
        blank = np.full((*self.recipe.size, 3), NO_PICTURE, np.uint8)
        frames, samples, of = [blank], [], []
        for _ in range(2 * self.recipe.views):
            for frame, sample in draw_pictures(next(stream), rng):
                if frame is not None:
                    frames.append(frame)
                of.append(0 if frame is None else len(frames) - 1)
                samples.append(sample)
        frames += [blank] * (2 * self.recipe.views + 1 - len(frames))  # one shape for all batches
        return self._batch(frames, samples, of)

    def _batch(self, frames: list[np.ndarray], samples: list[Sample], of: list[int]) -> Batch:
        prompts = [tokenize(sample.instruction, self.recipe.text_length, self.recipe.text_buckets) for sample in samples]
        longest = int(max(prompt.mask.sum() for prompt in prompts)) if self.recipe.trim else self.recipe.text_length
        pieces, colors, mask = (
            torch.from_numpy(np.stack([getattr(prompt, name)[:longest] for prompt in prompts]))
            for name in ("pieces", "colors", "mask")
        )
        palette = np.full((len(samples), max(1, *(len(sample.palette) for sample in samples)), 3), NO_COLOR, np.float32)
        for row, sample in zip(palette, samples, strict=True):
            if sample.palette:
                row[: len(sample.palette)] = np.array(sample.palette) / 255
        return Batch(
            image=_planes(frames),
            target=_planes([_bytes(sample.target) for sample in samples]),
            of=torch.tensor(of),
            pieces=pieces,
            colors=colors,
            mask=mask,
            palette=torch.from_numpy(palette),
            tasks=[sample.task for sample in samples],
            instructions=[sample.instruction for sample in samples],
        )


def _bytes(target: np.ndarray) -> np.ndarray:
    """8 bits a channel: an eighth of the traffic, and rounding costs less than a tenth of what a network gets wrong."""
    return target if target.dtype == np.uint8 else cv2.convertScaleAbs(target, alpha=255.0)


def _planes(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def prepare(recipe: Recipe) -> None:
    """Render once here: what is compiled or loaded for that, the processes that render inherit, and what is missing (models)
    raises InputError here and not there."""
    check(recipe.sources)
    for source in recipe.sources:
        for mix in [1.0] * (recipe.mix > 0) + [0.0] * (recipe.mix < 1):
            next(iter(Stream(replace(recipe, size=(32, 32), views=1, mix=mix, sources={source: 1.0}))))


class Feed:
    """Batches on the device. Where rendering is slower than learning, a batch is learnt from again rather than waited for."""

    def __init__(self, recipe: Recipe, workers: int, device: torch.device) -> None:
        self.device, self.fresh, self.replayed = device, 0, 0
        self._kept: deque[Batch] = deque(maxlen=KEPT)
        self._random = random.Random(recipe.seed)
        self._loader = iter(DataLoader(Stream(recipe), batch_size=None, num_workers=workers, prefetch_factor=3 if workers else None))
        self._ahead: queue.Queue[Batch | BaseException] | None = queue.Queue(AHEAD) if workers else None
        self._closed = threading.Event()
        if self._ahead is not None:
            threading.Thread(target=self._fill, args=(self._ahead,), daemon=True).start()

    def __next__(self) -> Batch:
        if self._ahead is None:
            self.fresh += 1
            return next(self._loader).moved(self.device)
        wait = len(self._kept) < KEPT // 4 or self.replayed >= REPLAYS * self.fresh
        try:
            batch = self._ahead.get(block=wait)
        except queue.Empty:
            self.replayed += 1
            return self._random.choice(self._kept)
        if isinstance(batch, BaseException):
            raise batch
        self._kept.append(batch)
        self.fresh += 1
        return batch

    def close(self) -> None:
        """Stop the workers."""
        self._closed.set()
        self._kept.clear()

    def _fill(self, ahead: "queue.Queue[Batch | BaseException]") -> None:
        item: Batch | BaseException
        while not self._closed.is_set():
            try:
                item = next(self._loader).moved(self.device)
            except Exception as error:  # the main thread shall fall over it
                item = error
            while not self._closed.is_set():
                try:
                    ahead.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
        del self._loader
