# SPDX-License-Identifier: Apache-2.0
"""The training loop: a recipe's parts one after the other, resumed from the last checkpoint.

Length is counted in views, so the same recipe gives the same generator on a slow machine and on a fast one, in one piece
or in many.
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

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, Feeding, batches
from vision_banana_ros.training.data.pool import Canvas, Pool, rendering
from vision_banana_ros.training.own.checkpoint import Learner, resume, save, save_parts
from vision_banana_ros.training.own.device import Machine, find_machine
from vision_banana_ros.training.own.losses import Painting, losses
from vision_banana_ros.training.own.muon import Muon
from vision_banana_ros.training.own.pretrained import load_pretrained
from vision_banana_ros.training.own.recipe import Part, Recipe
from vision_banana_ros.training.own.sample_sheets import write_sheet

CHECKPOINT_EVERY_S = 300
LOG_EVERY_S = 30
POOL = "pool"
LAST_SHARE = 0.0  # of the learning rate at the end of a part


def pool_of(recipe: Recipe, folder: Path) -> Pool:
    """The recipe's views, kept in a folder."""
    canvases = tuple(Canvas(size, share) for size, share in recipe.canvases.items())
    return Pool(folder, recipe.pool_views, recipe.sources, canvases, recipe.seed)


def train(
    recipe: Recipe,
    out: Path,
    *,
    pool: Path | None = None,
    until: float = math.inf,
    renderers: int = 1,
    readers: int = 1,
    parts: Path | None = None,
    machine: Machine | None = None,
) -> bool:
    """Train into the folder `out`, going on from its checkpoint if there is one; returns whether the recipe is done.

    Writes network/ (diffusers' format, averaged weights), log.jsonl, pictures/, state.json and a checkpoint, and `parts`
    (see checkpoint.py).

    Args:
        pool: Where rendered views are kept; `out`/pool by default.
        until: time.monotonic() at which to stop in any case, to go on another day.
        renderers: Processes that fill the pool meanwhile.
        readers: Processes that prepare batches.
    """
    machine = machine or find_machine()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = VisionBananaUNet(recipe.encoder, recipe.channels)
    origin = load_pretrained(network.image_encoder, recipe.encoder) if recipe.pretrained else {}
    network.train().to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload, arg-type]
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    learner = Learner(network, _optimizers(network), average)
    resume(learner, out)
    run = _Run(recipe, out, learner, machine, pool_of(recipe, pool or out / POOL), {"recipe": recipe.facts, "encoder": origin})
    with rendering(run.pool, renderers if machine.writes else 0):
        finished = run.learn(until, readers)
    if machine.writes and parts is not None:
        save_parts(learner, parts, {**run.facts, "size": recipe.size})
    machine.wait()
    return finished


@dataclass
class _Run:
    recipe: Recipe
    out: Path
    learner: Learner
    machine: Machine
    pool: Pool
    facts: dict[str, Any]

    def learn(self, until: float, readers: int) -> bool:
        """All parts of the recipe that are not done yet; whether all are done now."""
        painting = self.machine.ready(Painting(self.learner.network), False)
        before = 0
        for number, part in enumerate(self.recipe.parts):
            if self.learner.state.frames < before + part.views:
                _freeze(self.learner.network, part)
                if not self._part(painting, number, part, before, until, readers):
                    return False
            before += part.views
        return True

    def _part(self, painting: torch.nn.Module, number: int, part: Part, before: int, until: float, readers: int) -> bool:
        learner, machine, state = self.learner, self.machine, self.learner.state
        seed = self.recipe.seed + 1_000_003 * number + state.step * machine.count + machine.rank
        torch.manual_seed(seed)
        config, diary = learner.network.config, _Diary(self.out)
        feeding = Feeding(
            self.pool, part.sizes, part.frames, part.pictures, config.text_length, config.text_buckets, seed, part.random_legends
        )
        seconds, start = state.seconds, time.monotonic()
        saved, finished = start, False
        for batch in batches(feeding, readers, machine.device):
            progress = (state.frames - before) / part.views
            agreed = machine.agree(2.0 if time.monotonic() >= until else min(progress, 1.0))
            if agreed >= 1:
                finished = agreed == 1
                break
            warm = min(1.0, (state.step - state.warm_from + 1) / part.warm)
            each = _step(painting, learner, batch, part, machine, warm * _decay(progress), self.recipe.average)
            state.step += 1
            state.frames += part.frames * machine.count
            state.answers += len(batch.tasks) * machine.count
            state.seconds = seconds + time.monotonic() - start
            if machine.writes:
                diary.note(batch.tasks, each)
                diary.write(learner, number)
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    saved = time.monotonic()
                    self._save(part)
        if machine.writes:
            diary.write(learner, number, now=True)
            self._save(part)
        return finished

    def _save(self, part: Part) -> None:
        size = part.sizes[next(iter(part.sizes))]
        save(self.learner, self.out, {**self.facts, "size": size})
        write_sheet(self.learner.averaged(), self.pool, size, self.out / "pictures" / f"{self.learner.state.step:06d}.png")


def _optimizers(network: VisionBananaUNet) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, which halves the steps that are needed; AdamW for what is no matrix, both ends, and the
    pretrained encoder."""
    ends = ("image_encoder", "sample_stem", "answer_out", "answer_coarse", "answer_ways.ramp", "text.pieces", "text.color",
            "text.position")  # fmt: skip
    inside = [value for name, value in network.named_parameters() if value.ndim > 1 and not name.startswith(ends)]
    encoder = list(network.image_encoder.parameters())
    known = {id(value) for value in (*inside, *encoder)}
    others = [value for value in network.parameters() if id(value) not in known]
    return [
        Muon(inside, 1e-3),
        torch.optim.AdamW(others, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98), fused=True),
        torch.optim.AdamW(encoder, lr=1e-4, weight_decay=0.0, betas=(0.9, 0.98), fused=True),
    ]


def _freeze(network: VisionBananaUNet, part: Part) -> None:
    for parameter in network.image_encoder.parameters():
        parameter.requires_grad_(True)
    for parameter in network.image_encoder.fixed(part.frozen):
        parameter.requires_grad_(False)


def _step(
    painting: torch.nn.Module, learner: Learner, batch: Batch, part: Part, machine: Machine, share: float, average: int
) -> Tensor:
    with machine.computing():
        each = losses(painting, batch)
    learner.network.zero_grad(set_to_none=True)
    each.mean().backward()
    torch.nn.utils.clip_grad_norm_(learner.network.parameters(), 1.0)
    for optimizer, rate in zip(learner.optimizers, (part.rate, part.rate, part.encoder_rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        optimizer.step()
    keep = min(1 - 1 / average, (learner.state.step + 1) / (learner.state.step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(learner.average.values()), list(learner.network.state_dict().values()), 1 - keep)
    return each.detach()


def _decay(progress: float) -> float:
    """Cosine from 1 to LAST_SHARE over a part."""
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


class _Diary:
    """Losses by task, a line on the screen and in log.jsonl every LOG_EVERY_S."""

    def __init__(self, out: Path) -> None:
        self.path, self.losses, self.logged = out / "log.jsonl", dict[str, list[float]](), time.monotonic()

    def note(self, tasks: list[str], each: Tensor) -> None:
        for task, loss in zip(tasks, each.tolist(), strict=True):
            self.losses.setdefault(task, []).append(loss)

    def write(self, learner: Learner, part: int, now: bool = False) -> None:
        if not self.losses or (not now and time.monotonic() - self.logged < LOG_EVERY_S):
            return
        self.logged, state = time.monotonic(), learner.state
        means = {task: round(float(np.mean(values)), 4) for task, values in sorted(self.losses.items())}
        self.losses.clear()
        with self.path.open("a") as log:
            log.write(json.dumps({**asdict(state), "seconds": round(state.seconds, 1), "part": part, "loss": means}) + "\n")
        shown = "  ".join(f"{task} {loss:.3f}" for task, loss in means.items())
        print(f"{state.seconds / 60:6.1f} min  part {part}  {state.frames} views  {shown}", flush=True)
