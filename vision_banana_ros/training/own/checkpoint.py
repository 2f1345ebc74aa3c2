# SPDX-License-Identifier: Apache-2.0
"""Where a run stands: a checkpoint in its folder, and the same in small parts that can be carried elsewhere.

A folder holds checkpoint.safetensors (network, its average over time, the optimisers' moments), network/ (the average, in
diffusers' format) and state.json. Parts hold as much of that as a budget allows, in half precision: the average always,
then the network, then the moments. What is missing is made anew: the average stands in for the network, moments start
from zero while the learning rate warms up.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.network import VisionBananaUNet

CHECKPOINT, STATE, NETWORK = "checkpoint.safetensors", "state.json", "network"
PART_BYTES = 15 << 20
PARTS_BYTES = 56 << 20


@dataclass(slots=True)
class State:
    """Where a run stands."""

    step: int = 0
    frames: int = 0
    answers: int = 0
    seconds: float = 0.0
    warm_from: int = 0  # the step at which the optimisers' moments were last empty


@dataclass(slots=True)
class Learner:
    """A network while it learns."""

    network: VisionBananaUNet
    optimizers: list[torch.optim.Optimizer]
    average: dict[str, Tensor]
    state: State = field(default_factory=State)

    def tensors(self) -> dict[str, Tensor]:
        """All that has to be kept, by name, the most important first."""
        kept = {f"average.{name}": value for name, value in self.average.items()}
        kept |= {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for k, optimizer in enumerate(self.optimizers):
            for i, moments in optimizer.state_dict()["state"].items():
                kept |= {f"optimizer{k}.{i}.{name}": value for name, value in moments.items()}
        return kept

    def averaged(self) -> VisionBananaUNet:
        """A network of the average, beside the one that learns."""
        network = VisionBananaUNet(**self.network.config)
        network.load_state_dict(self.average)
        return network.eval().to(self.network.device)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Raises RuntimeError for tensors of another network."""
        average = _under(tensors, "average.")
        self.network.load_state_dict(_under(tensors, "network.") or average)
        if average.keys() != self.average.keys():
            raise RuntimeError("the average is of another network")
        for name, value in average.items():
            self.average[name].copy_(value)
        for k, optimizer in enumerate(self.optimizers):
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(tensors, f"optimizer{k}.").items():
                index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
            if moments:
                optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
                _lay_out(optimizer)
            else:
                self.state.warm_from = self.state.step


def save(learner: Learner, out: Path, facts: dict[str, Any]) -> None:
    """Each file is replaced in one move, so a run that dies while saving keeps the checkpoint before."""
    tensors = {name: value.contiguous() for name, value in learner.tensors().items()}
    _replace(out / CHECKPOINT, lambda file: save_file(tensors, file))
    learner.averaged().save_pretrained(out / NETWORK)
    text = json.dumps({"state": asdict(learner.state), **facts}, indent=2) + "\n"
    _replace(out / STATE, lambda file: file.write_text(text))


def resume(learner: Learner, out: Path) -> None:
    """Take up the checkpoint of `out`; where there is none, nothing happens."""
    if not (out / STATE).is_file():
        return
    learner.state = State(**json.loads((out / STATE).read_text())["state"])
    try:
        learner.load(load_file(out / CHECKPOINT))
    except RuntimeError as error:
        raise InputError(f"The checkpoint in '{out}' is of another network: train into a new folder.") from error


def save_parts(learner: Learner, out: Path, facts: dict[str, Any], budget: int = PARTS_BYTES, part: int = PART_BYTES) -> None:
    """Write state.json and part_0_average.safetensors … into `out`: no part above `part` bytes, all together within `budget`.

    Raises InputError where not even the average fits.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("part_*.safetensors"):
        old.unlink()
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in learner.tensors().items():
        kind = name.split(".")[0]
        half = torch.bfloat16 if kind.startswith("optimizer") else torch.float16
        small = value.detach().to("cpu", half) if value.is_floating_point() and value.numel() > 1 else value.detach().cpu()
        groups.setdefault(kind.rstrip("0123456789"), {})[name] = small.contiguous()
    size = count = 0
    for kind, tensors in groups.items():
        size += _bytes(tensors)
        if size > budget and kind == "average":
            raise InputError(f"The network takes {size >> 20} MiB in half precision, more than the {budget >> 20} MiB for its parts.")
        if size > budget:
            break
        for piece in _split(tensors, part):
            save_file(piece, out / f"part_{count}_{kind}.safetensors")
            count += 1
    (out / STATE).write_text(json.dumps({"state": asdict(learner.state), **facts}, indent=2) + "\n")


def join_parts(parts: Path, out: Path) -> None:
    """Make a run's folder of parts; a run that is already there stays. The parts of the average are enough."""
    files = sorted(parts.glob("part_*.safetensors"))
    if not files or not (parts / STATE).is_file():
        raise InputError(f"'{parts}' holds no parts of a checkpoint: give the folder of `--parts`.")
    if (out / STATE).is_file():
        return
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= {name: value.float() if value.is_floating_point() else value for name, value in load_file(file).items()}
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / CHECKPOINT)
    (out / STATE).write_text((parts / STATE).read_text())


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Moments in the memory order of their weights, as the optimisers made them; files keep the plain order."""
    for weight, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                moments[name] = torch.empty_like(weight).copy_(value)


def _split(tensors: dict[str, Tensor], limit: int) -> Iterator[dict[str, Tensor]]:
    part: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if part and _bytes(part) + _bytes({name: value}) > limit:
            yield part
            part = {}
        part[name] = value
    yield part


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(value.numel() * value.element_size() + 128 for value in tensors.values())  # and a line in the header


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _replace(path: Path, write: Any) -> None:
    new = path.with_suffix(".new")
    write(new)
    os.replace(new, path)
