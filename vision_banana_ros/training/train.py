# SPDX-License-Identifier: Apache-2.0
"""The training loop: frames, instructions and true answers in; one network for all tasks out.

The only loss is on the picture. The run is cut by the clock: the learning rate falls to zero as the time runs out, and
a run that was stopped goes on from its last checkpoint with the time that was left.
"""

import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.network import VisionBananaUNet
from vision_banana_ros.training.data import Batch, Views, batches
from vision_banana_ros.training.muon import Muon
from vision_banana_ros.training.questions import QUESTIONS_A_VIEW

CHECKPOINT_EVERY_S = 240
LOG_EVERY_S = 20
EMA_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train and for how long. Sizes are (height, width), multiples of 16; each has an equal share of the time."""

    minutes: float
    sizes: tuple[tuple[int, int], ...] = ((96, 128), (144, 192))
    views: int = 4  # frames a batch
    learning_rate: float = 2e-3
    seed: int = 0
    workers: int = 1
    channels: tuple[int, int, int] = (48, 128, 256)

    def size_at(self, progress: float) -> tuple[int, int]:
        return self.sizes[min(int(progress * len(self.sizes)), len(self.sizes) - 1)]


@dataclass(slots=True)
class State:
    """Where a run stands; kept beside the weights."""

    step: int = 0
    frames: int = 0
    answers: int = 0
    seconds: float = 0.0


def train(plan: Plan, out: Path, start_from: Path | None = None) -> Path:
    """Train into the folder `out`, going on from its checkpoint if there is one; returns the folder of the weights.

    A run without a checkpoint starts from the weights in `start_from` (diffusers' format), or from chance.

    Writes network/ (diffusers' format, averaged weights), log.jsonl, pictures/ and checkpoint files.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    network = VisionBananaUNet.from_pretrained(start_from) if start_from else VisionBananaUNet(channels=plan.channels)
    network.train().to(device, memory_format=torch.channels_last)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimizers = _optimizers(network, plan.learning_rate)
    state = _resume(out, network, average, optimizers, device)
    seconds_before, start = state.seconds, time.monotonic()
    saved = logged = start
    size: tuple[int, int] | None = None
    losses: dict[str, list[float]] = {}
    while (progress := state.seconds / (60 * plan.minutes)) < 1:
        if plan.size_at(progress) != size:
            size = plan.size_at(progress)
            stream = batches(
                Views(
                    plan.seed + state.step,
                    size,
                    plan.views,
                    network.config.text_length,
                    network.config.text_buckets,
                ),
                plan.workers,
            )
        batch = next(stream).to(device)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = plan.learning_rate * min(1, (state.step + 1) / 200) * _decay(progress)
        answer = _step(network, optimizers, batch, losses)
        _average(average, network, state.step)
        state.step += 1
        state.frames += len(batch.image)
        state.answers += len(batch.tasks)
        now = time.monotonic()
        state.seconds = seconds_before + now - start
        if now - logged > LOG_EVERY_S:
            logged = now
            _log(out, state, size, losses)
        if now - saved > CHECKPOINT_EVERY_S:
            saved = now
            _save(out, network, average, optimizers, state, plan)
            _picture(out / "pictures" / f"{state.step:06d}.png", batch, answer)
    _save(out, network, average, optimizers, state, plan)
    return out / "network"


def paint_in_one_step(network: VisionBananaUNet, batch: Batch) -> torch.Tensor:
    """The answers to a batch, (V * K, 3, H, W) in -1..1: the frame itself in place of the noise."""
    features = network.add_sample(network.encode_image(batch.image), batch.image)
    features = tuple(level.repeat_interleave(QUESTIONS_A_VIEW, 0) for level in features)
    text = network.encode_text(batch.pieces, batch.colors, batch.mask)
    return network.answer(features, torch.ones(len(text), device=text.device), text, batch.mask)


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
    network: VisionBananaUNet, optimizers: list[torch.optim.Optimizer], batch: Batch, losses: dict[str, list[float]]
) -> torch.Tensor:
    device = batch.image.device.type
    # On a CPU the backward pass of flash attention takes longer than all the rest of the network.
    kernels = [SDPBackend.MATH] if device == "cpu" else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with torch.autocast(device, torch.bfloat16), sdpa_kernel(kernels):
        answer = paint_in_one_step(network, batch)
    target = batch.target.float()
    error = (answer.float() - target).abs()
    # Thin and small things would be lost among the background: what is not black counts more where most is black.
    masks = torch.tensor([task in ("referring", "instances") for task in batch.tasks], device=error.device)
    lit = (target.amax(1, keepdim=True) > -1) & masks[:, None, None, None]
    each = (error * (1 + 2 * lit)).mean((1, 2, 3))
    network.zero_grad(set_to_none=True)
    each.mean().backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    for task, loss in zip(batch.tasks, each.tolist(), strict=True):
        losses.setdefault(task, []).append(loss)
    return answer.detach()


def _decay(progress: float) -> float:
    """Cosine from 1 to 0 over the run."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


def _average(average: dict[str, torch.Tensor], network: VisionBananaUNet, step: int) -> None:
    keep = min(1 - 1 / EMA_STEPS, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.values()), list(network.state_dict().values()), 1 - keep)


def _log(out: Path, state: State, size: tuple[int, int], losses: dict[str, list[float]]) -> None:
    means = {task: round(float(np.mean(values)), 4) for task, values in sorted(losses.items())}
    losses.clear()
    entry = {**asdict(state), "seconds": round(state.seconds, 1), "size": size, "loss": means}
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(entry) + "\n")
    print(
        f"{state.seconds / 60:6.1f} min  step {state.step}  {state.answers} answers  "
        + "  ".join(f"{task} {loss:.3f}" for task, loss in means.items()),
        flush=True,
    )


def _save(
    out: Path,
    network: VisionBananaUNet,
    average: dict[str, torch.Tensor],
    optimizers: list[torch.optim.Optimizer],
    state: State,
    plan: Plan,
) -> None:
    """Each file is replaced in one move, so a run that dies while saving keeps the checkpoint before."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for k, optimizer in enumerate(optimizers):
        for i, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer{k}.{i}.{name}": value for name, value in moments.items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, out / "checkpoint.new")
    os.replace(out / "checkpoint.new", out / "checkpoint.safetensors")
    averaged = VisionBananaUNet(**network.config)
    averaged.load_state_dict(average)
    averaged.save_pretrained(out / "network")
    (out / "state.new").write_text(json.dumps({"state": asdict(state), "plan": asdict(plan)}, indent=2) + "\n")
    os.replace(out / "state.new", out / "state.json")


def _resume(
    out: Path,
    network: VisionBananaUNet,
    average: dict[str, torch.Tensor],
    optimizers: list[torch.optim.Optimizer],
    device: torch.device,
) -> State:
    if not (out / "state.json").is_file():
        return State()
    tensors = load_file(out / "checkpoint.safetensors", device=str(device))
    try:
        network.load_state_dict(_part(tensors, "network."))
        average.update(_part(tensors, "average."))
    except RuntimeError as error:
        raise InputError(f"The checkpoint in '{out}' is of another network: train into a new folder.") from error
    for k, optimizer in enumerate(optimizers):
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _part(tensors, f"optimizer{k}.").items():
            index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return State(**json.loads((out / "state.json").read_text())["state"])


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _picture(path: Path, batch: Batch, answer: torch.Tensor) -> None:
    """A row a frame: the frame, then truth above answer for each of its questions."""
    path.parent.mkdir(exist_ok=True)
    frames = _pixels(batch.image)
    truths, answers = (_pixels(x).reshape(len(frames), -1, *frames.shape[1:]) for x in (batch.target, answer))
    rows = []
    for frame, true, painted in zip(frames, truths, answers, strict=True):
        rows += [np.hstack([frame, *true]), np.hstack([np.zeros_like(frame), *painted])]
    cv2.imwrite(str(path), np.vstack(rows[:8])[:, :, ::-1])


def _pixels(x: torch.Tensor) -> np.ndarray:
    return ((x.float().clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).cpu().numpy()
