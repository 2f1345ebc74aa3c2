# SPDX-License-Identifier: Apache-2.0
"""The training loop, the same for every stage.

A run is cut by the clock: the learning rate falls to zero as its time runs out, and a run that was stopped goes on from
its last checkpoint with the time that was left.
"""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, Feed, prepare
from vision_banana_ros.training.own.checkpoint import NETWORK, Learner, resume, save, save_parts
from vision_banana_ros.training.own.device import Machine, find_machine
from vision_banana_ros.training.own.muon import Muon
from vision_banana_ros.training.own.sample_sheets import write_sheet
from vision_banana_ros.training.own.stages import Painting, Plan, losses

CHECKPOINT_EVERY_S = 240
LOG_EVERY_S = 20
COMPILE_S = 150  # no new size is begun with less time left: its first step compiles the network
EMA_STEPS = 1000
WARM_STEPS = 100
LOSSES_KEPT = 50  # steps whose losses stay on the device before they are read: reading waits for the device


def train(
    plan: Plan,
    out: Path,
    start_from: Path | None = None,
    *,
    until: float = math.inf,
    parts: Path | None = None,
    machine: Machine | None = None,
) -> bool:
    """Train into the folder `out`, going on from its checkpoint if there is one; returns whether the plan is done.

    A run without a checkpoint starts from the weights in `start_from` (diffusers' format), or from chance. Writes network/
    (diffusers' format, averaged weights), log.jsonl, pictures/ and checkpoint files, and `parts` (see checkpoint.py).

    :param until: time.monotonic() at which to stop in any case, to go on another day.
    """
    machine = machine or find_machine()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed + machine.rank)
    network = plan.build(start_from)
    network.train().to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload, arg-type]
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    prepare(plan.recipe(plan.sizes[0], network, plan.seed))
    learner = Learner(network, _optimizers(network, plan.rate), average)
    resume(learner, out)
    torch.manual_seed(plan.seed + machine.rank + learner.state.step)
    painting = machine.ready(Painting(network), plan.compiled)
    facts = {"plan": asdict(plan), "method": plan.method}
    state, diary = learner.state, _Diary(out)
    seconds_before, start = state.seconds, time.monotonic()
    saved = start
    warm = min(WARM_STEPS, plan.steps // 10 + 1) if plan.steps else WARM_STEPS
    feed: Feed | None = None
    size = (0, 0)
    while True:
        progress = plan.progress(state.seconds, state.step)
        begins = plan.size_at(progress) != size
        over = time.monotonic() >= until - (COMPILE_S if plan.compiled and begins else 0)
        progress = machine.agree(2.0 if over else progress)
        if progress >= 1:
            break
        if feed is None or begins:
            if feed is not None:
                feed.close()
            size = plan.size_at(progress)
            feed = Feed(
                plan.recipe(size, network, plan.seed + state.step * machine.count + machine.rank), plan.workers, machine.device
            )
        batch = next(feed)
        rate = plan.rate * min(1, (state.step - state.warm_from + 1) / warm) * _decay(progress)
        each = _step(painting, learner, batch, plan, machine, rate, progress)
        state.step += 1
        state.frames += len(batch.image) * machine.count
        state.answers += len(batch.tasks) * machine.count
        state.seconds = seconds_before + time.monotonic() - start
        if not machine.writes:
            continue
        diary.note(batch.tasks, each)
        diary.write(learner, size, feed)
        if time.monotonic() - saved > CHECKPOINT_EVERY_S:
            saved = time.monotonic()
            save(learner, out, facts)
            write_sheet(learner.averaged(), plan, size, _sheet(out, state.step))
    if feed is not None:
        feed.close()
        if machine.writes:
            diary.write(learner, size, feed, now=True)
            write_sheet(learner.averaged(), plan, size, _sheet(out, state.step))
    if machine.writes:
        save(learner, out, facts)
        if parts is not None:
            save_parts(learner, parts, facts)
    machine.wait()
    return plan.progress(state.seconds, state.step) >= 1


def load_network(run: Path) -> VisionBananaUNet:
    """The averaged weights of a run, ready to paint."""
    return VisionBananaUNet.from_pretrained(run / NETWORK).eval()


def _optimizers(network: VisionBananaUNet, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, which halves the steps that are needed; AdamW for what is no matrix, and both ends."""
    ends = ("image_stem", "sample_stem", "answer_out", "text.pieces", "text.color", "text.position")
    inside = [value for name, value in network.named_parameters() if value.ndim > 1 and not name.startswith(ends)]
    known = {id(value) for value in inside}
    others = [value for value in network.parameters() if id(value) not in known]
    return [
        Muon(inside, learning_rate),
        torch.optim.AdamW(others, lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True),
    ]


def _step(
    painting: torch.nn.Module, learner: Learner, batch: Batch, plan: Plan, machine: Machine, rate: float, progress: float
) -> Tensor:
    with machine.computing():
        each = losses(painting, batch, plan, progress)
    learner.network.zero_grad(set_to_none=True)
    each.mean().backward()
    torch.nn.utils.clip_grad_norm_(learner.network.parameters(), 1.0)
    for optimizer in learner.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    keep = min(1 - 1 / EMA_STEPS, (learner.state.step + 1) / (learner.state.step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(learner.average.values()), list(learner.network.state_dict().values()), 1 - keep)
    return each.detach()


def _sheet(out: Path, step: int) -> Path:
    return out / "pictures" / f"{step:06d}.png"


def _decay(progress: float) -> float:
    """Cosine from 1 to 0 over the run."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


class _Diary:
    """Losses by task, a line on the screen and in log.jsonl every LOG_EVERY_S."""

    def __init__(self, out: Path) -> None:
        self.path, self.losses, self.logged = out / "log.jsonl", dict[str, list[float]](), time.monotonic()
        self._unread: list[tuple[list[str], Tensor]] = []

    def note(self, tasks: list[str], each: Tensor) -> None:
        self._unread.append((tasks, each))
        if len(self._unread) >= LOSSES_KEPT:
            self._read()

    def _read(self) -> None:
        for tasks, each in self._unread:
            for task, loss in zip(tasks, each.tolist(), strict=True):
                self.losses.setdefault(task, []).append(loss)
        self._unread.clear()

    def write(self, learner: Learner, size: tuple[int, int], feed: Feed, now: bool = False) -> None:
        if not now and time.monotonic() - self.logged < LOG_EVERY_S:
            return
        self._read()
        if not self.losses:
            return
        self.logged, state = time.monotonic(), learner.state
        means = {task: round(float(np.mean(values)), 4) for task, values in sorted(self.losses.items())}
        self.losses.clear()
        fresh = round(feed.fresh / max(1, feed.fresh + feed.replayed), 3)
        entry = {**asdict(state), "seconds": round(state.seconds, 1), "size": size, "fresh": fresh, "loss": means}
        with self.path.open("a") as log:
            log.write(json.dumps(entry) + "\n")
        shown = "  ".join(f"{task} {loss:.3f}" for task, loss in means.items())
        print(f"{state.seconds / 60:6.1f} min  step {state.step}  {state.answers} answers  {shown}", flush=True)
