# SPDX-License-Identifier: Apache-2.0
"""The training loop: the stages of a recipe one after another, resumed from the last checkpoint.

The length is counted in views, so a recipe trains the same generator on slow and fast machines, in one run or
in several.
"""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, BatchConfig, batches
from vision_banana_ros.training.data.pool import Canvas, Pool, rendering
from vision_banana_ros.training.own.checkpoint import Learner, resume, save, save_parts
from vision_banana_ros.training.own.device import TrainingDevice, find_device
from vision_banana_ros.training.own.losses import BatchForward, losses
from vision_banana_ros.training.own.muon import Muon
from vision_banana_ros.training.own.pretrained import load_pretrained
from vision_banana_ros.training.own.recipe import Part, Recipe
from vision_banana_ros.training.own.sample_sheets import write_sheet

CHECKPOINT_EVERY_S = 300
LOG_EVERY_S = 30
POOL = "pool"
FINAL_RATE_FACTOR = 0.0  # learning rate at the end of a stage, relative to its peak


def pool_of(recipe: Recipe, folder: Path) -> Pool:
    """The pool of a recipe's rendered views in a folder."""

    def canvases(shares: dict[tuple[int, int], float]) -> tuple[Canvas, ...]:
        return tuple(Canvas(size, share) for size, share in shares.items())

    by_source = {source: canvases(shares) for source, shares in recipe.canvases_by_source.items()}
    return Pool(folder, recipe.pool_views, recipe.sources, canvases(recipe.canvases), by_source, recipe.seed)


def train(
    recipe: Recipe,
    out: Path,
    *,
    pool: Path | None = None,
    until: float = math.inf,
    renderers: int = 1,
    readers: int = 1,
    parts: Path | None = None,
    device: TrainingDevice | None = None,
) -> bool:
    """Trains a network, or resumes from the last checkpoint.

    Args:
        recipe: The recipe.
        out: Folder of the run: network/ (averaged weights in diffusers' format), log.jsonl, pictures/,
            state.json and the checkpoint.
        pool: Folder of the rendered views; by default `out`/pool.
        until: Value of time.monotonic() at which to stop early.
        renderers: Number of processes that render views.
        readers: Number of processes that prepare batches.
        parts: Folder for the checkpoint in small files (see checkpoint.py), if any.
        device: The device; by default that of `find_device`.

    Returns:
        Whether the recipe is complete.

    Raises:
        InputError: The pool is empty, and there is no renderer to fill it.
    """
    device = device or find_device()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = VisionBananaUNet(recipe.encoder, recipe.channels)
    origin = load_pretrained(network.image_encoder, recipe.encoder) if recipe.pretrained else {}
    network.train().to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload, arg-type]
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    learner = Learner(network, make_optimizers(network), average)
    resume(learner, out)
    run = _Run(
        recipe,
        out,
        learner,
        device,
        pool_of(recipe, pool or out / POOL),
        {"recipe": recipe.facts, "encoder": origin},
    )
    if device.is_main and not renderers and not run.finished and not run.pool.records():
        raise InputError(
            f"There are no views in '{run.pool.folder}': give --renderers 1 or more, or --pool with the views"
            " of another run."
        )
    with rendering(run.pool, renderers if device.is_main else 0):
        finished = run.learn(until, readers)
    if device.is_main and parts is not None:
        save_parts(learner, parts, {**run.facts, "size": recipe.size})
    device.wait()
    return finished


@dataclass
class _Run:
    """A training run: what the stages share."""

    recipe: Recipe
    out: Path
    learner: Learner
    device: TrainingDevice
    pool: Pool
    facts: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether all stages of the recipe are complete."""
        return self.learner.state.frames >= sum(part.views for part in self.recipe.parts)

    def learn(self, until: float, readers: int) -> bool:
        """Trains all remaining stages of the recipe; returns whether all are complete."""
        forward = self.device.prepare(BatchForward(self.learner.network), False)
        views_before = 0
        for number, part in enumerate(self.recipe.parts):
            if self.learner.state.frames < views_before + part.views:
                _freeze_encoder(self.learner.network, part)
                if not self._train_stage(forward, number, part, views_before, until, readers):
                    return False
            views_before += part.views
        return True

    def _train_stage(
        self, forward: torch.nn.Module, number: int, part: Part, views_before: int, until: float, readers: int
    ) -> bool:
        """Trains the rest of a stage; returns whether it is complete."""
        learner, device, state = self.learner, self.device, self.learner.state
        seed = self.recipe.seed + 1_000_003 * number + state.step
        torch.manual_seed(1000 * seed + device.rank)
        config, log = learner.network.config, _TrainingLog(self.out)
        batch_config = BatchConfig(
            self.pool,
            part.sizes,
            part.frames,
            part.pictures,
            config.text_length,
            config.text_buckets,
            seed,
            part.random_legends,
            rank=device.rank,
        )
        seconds, start = state.seconds, time.monotonic()
        saved, finished = start, False
        for batch in batches(batch_config, readers, device.device):
            progress = (state.frames - views_before) / part.views
            agreed = device.broadcast(2.0 if time.monotonic() >= until else min(progress, 1.0))
            if agreed >= 1:
                finished = agreed == 1
                break
            warm_up = min(1.0, (state.step - state.warm_from + 1) / part.warm)
            sample_losses = _step(
                forward, learner, batch, part, device, warm_up * _cosine_decay(progress), self.recipe.average
            )
            state.step += 1
            state.frames += part.frames * device.count
            state.answers += len(batch.tasks) * device.count
            state.seconds = seconds + time.monotonic() - start
            if device.is_main:
                log.add(batch.tasks, sample_losses)
                log.write(learner, number)
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    saved = time.monotonic()
                    self._save(part)
        if device.is_main:
            log.write(learner, number, now=True)
            self._save(part)
        return finished

    def _save(self, part: Part) -> None:
        size = part.sizes[next(iter(part.sizes))][-1]
        save(self.learner, self.out, {**self.facts, "size": size})
        write_sheet(
            self.learner.averaged(),
            self.pool,
            size,
            self.out / "pictures" / f"{self.learner.state.step:06d}.png",
        )


def make_optimizers(network: VisionBananaUNet) -> list[torch.optim.Optimizer]:
    """The optimisers, in the order of the learning rates in `_step`.

    Muon for weight matrices of inner layers, which halves the number of steps; AdamW for vectors and for the
    first and last layers; AdamW for the pretrained encoder.
    """
    outer = ("image_encoder", "sample_stem", "answer_out", "answer_coarse", "answer_ways.ramp",
             "text.pieces", "text.color", "text.position")  # fmt: skip
    inner = [
        value for name, value in network.named_parameters() if value.ndim > 1 and not name.startswith(outer)
    ]
    encoder = list(network.image_encoder.parameters())
    known = {id(value) for value in (*inner, *encoder)}
    others = [value for value in network.parameters() if id(value) not in known]
    return [
        Muon(inner, 1e-3),
        torch.optim.AdamW(others, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True),
        torch.optim.AdamW(encoder, lr=1e-4, weight_decay=0.0, betas=(0.9, 0.98), fused=True),
    ]


def _freeze_encoder(network: VisionBananaUNet, part: Part) -> None:
    """Freezes the stages of the encoder that the recipe's stage says, and no others."""
    for parameter in network.image_encoder.parameters():
        parameter.requires_grad_(True)
    for parameter in network.image_encoder.frozen_parameters(part.frozen):
        parameter.requires_grad_(False)


def _step(
    forward: torch.nn.Module,
    learner: Learner,
    batch: Batch,
    part: Part,
    device: TrainingDevice,
    rate_factor: float,
    average: int,
) -> Tensor:
    """One optimiser step, and the update of the moving average; returns the loss of each sample."""
    with device.mixed_precision():
        sample_losses = losses(forward, batch)
    learner.network.zero_grad(set_to_none=True)
    sample_losses.mean().backward()
    torch.nn.utils.clip_grad_norm_(learner.network.parameters(), 1.0)
    for optimizer, rate in zip(learner.optimizers, (part.rate, part.rate, part.encoder_rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_factor
        optimizer.step()
    decay = min(1 - 1 / average, (learner.state.step + 1) / (learner.state.step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(
            list(learner.average.values()), list(learner.network.state_dict().values()), 1 - decay
        )
    return sample_losses.detach()


def _cosine_decay(progress: float) -> float:
    """Cosine decay of the learning rate from 1 to FINAL_RATE_FACTOR over a stage; progress in 0..1."""
    return FINAL_RATE_FACTOR + (1 - FINAL_RATE_FACTOR) * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


class _TrainingLog:
    """Mean losses per task, printed and appended to log.jsonl every LOG_EVERY_S seconds."""

    def __init__(self, out: Path) -> None:
        self.path, self.losses, self.logged = out / "log.jsonl", dict[str, list[float]](), time.monotonic()

    def add(self, tasks: list[str], sample_losses: Tensor) -> None:
        """Adds the losses of a batch."""
        for task, loss in zip(tasks, sample_losses.tolist(), strict=True):
            self.losses.setdefault(task, []).append(loss)

    def write(self, learner: Learner, part: int, now: bool = False) -> None:
        """Writes a line if it is due, or now."""
        if not self.losses or (not now and time.monotonic() - self.logged < LOG_EVERY_S):
            return
        self.logged, state = time.monotonic(), learner.state
        means = {task: round(float(np.mean(values)), 4) for task, values in sorted(self.losses.items())}
        self.losses.clear()
        with self.path.open("a") as log:
            log.write(
                json.dumps({**asdict(state), "seconds": round(state.seconds, 1), "part": part, "loss": means})
                + "\n"
            )
        shown = "  ".join(f"{task} {loss:.3f}" for task, loss in means.items())
        print(f"{state.seconds / 60:6.1f} min  part {part}  {state.frames} views  {shown}", flush=True)
