# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training run, and small files with the same content for transfer to other machines.

The folder of a run contains checkpoint.safetensors (weights, their exponential moving average, optimiser
state), network/ (the average in diffusers' format) and state.json. The small files (parts) contain as much of
that as a size limit allows, in half precision: first the average, then the weights, then the optimiser state.
When training resumes without the rest, weights are initialised from the average, and the optimiser state from
zero, with a new warm-up. So does a run that starts from the weights of a bundle.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vision_banana_ros import generators
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_json
from vision_banana_ros.generators.executors.torch import network_of
from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.training.own.recipe import Recipe

CHECKPOINT, STATE, NETWORK = "checkpoint.safetensors", "state.json", "network"
PART_BYTES = 15 << 20
PARTS_BYTES = 56 << 20


@dataclass(slots=True)
class State:
    """Progress of a training run.

    Attributes:
        step: Number of optimiser steps.
        frames: Number of views trained on.
        answers: Number of samples trained on.
        seconds: Training time in seconds.
        warm_from: The step at which the optimiser state was last empty, where the warm-up starts.
    """

    step: int = 0
    frames: int = 0
    answers: int = 0
    seconds: float = 0.0
    warm_from: int = 0


@dataclass(slots=True)
class Learner:
    """A network with its training state.

    Attributes:
        network: The network.
        optimizers: Optimisers of disjoint groups of its parameters.
        average: Exponential moving average of its state dict.
        state: Progress of the run.
    """

    network: VisionBananaUNet
    optimizers: list[torch.optim.Optimizer]
    average: dict[str, Tensor]
    state: State = field(default_factory=State)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of a checkpoint by name, the most important first."""
        kept = {f"average.{name}": value for name, value in self.average.items()}
        kept |= {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for k, optimizer in enumerate(self.optimizers):
            for i, moments in optimizer.state_dict()["state"].items():
                kept |= {f"optimizer{k}.{i}.{name}": value for name, value in moments.items()}
        return kept

    def averaged(self) -> VisionBananaUNet:
        """A new network with the averaged weights, in evaluation mode."""
        network = VisionBananaUNet(**self.network.config)
        network.load_state_dict(self.average)
        return network.eval().to(self.network.device)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Loads the tensors of a checkpoint or of its parts.

        Args:
            tensors: Tensors by name, as from `tensors`; those of the network and of the optimisers may be
                missing.

        Raises:
            RuntimeError: The tensors are of another network.
        """
        average = _with_prefix(tensors, "average.")
        self.network.load_state_dict(_with_prefix(tensors, "network.") or average)
        if average.keys() != self.average.keys():
            raise RuntimeError("the average is of another network")
        for name, value in average.items():
            self.average[name].copy_(value)
        for k, optimizer in enumerate(self.optimizers):
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _with_prefix(tensors, f"optimizer{k}.").items():
                index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
            if moments:
                optimizer.load_state_dict(
                    {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
                )
                _restore_memory_format(optimizer)
            else:
                self.state.warm_from = self.state.step


def save(learner: Learner, out: Path, facts: dict[str, Any]) -> None:
    """Writes a checkpoint. Each file is replaced atomically, so an interruption preserves the previous one.

    Args:
        learner: Network and training state.
        out: Folder of the run.
        facts: Further entries of state.json.
    """
    tensors = {name: value.contiguous() for name, value in learner.tensors().items()}
    _replace(out / CHECKPOINT, lambda file: save_file(tensors, file))
    learner.averaged().save_pretrained(out / NETWORK)
    text = json.dumps({"state": asdict(learner.state), **facts}, indent=2) + "\n"
    _replace(out / STATE, lambda file: file.write_text(text))


@contextmanager
def reading_run(run: Path) -> Iterator[None]:
    """Raises InputError for whatever damaged files of a training run lead to while they are read."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # diffusers, safetensors and torch raise what they stumble over
        raise InputError(
            f"The training run '{run}' cannot be read ({type(error).__name__}: {error}): give the same"
            " `train` command again, or copy the folder again."
        ) from error


def resume(learner: Learner, out: Path) -> None:
    """Loads the checkpoint of a run, if there is one.

    Args:
        learner: Network and training state, modified in place.
        out: Folder of the run.

    Raises:
        InputError: The checkpoint is of another network, or damaged.
    """
    if not (out / STATE).is_file():
        return
    with reading_run(out):
        learner.state = State(**read_json(out / STATE)["state"])
        tensors = load_file(out / CHECKPOINT)
    try:
        learner.load(tensors)
    except RuntimeError as error:
        raise InputError(
            f"The checkpoint in '{out}' is of another network: train into a new folder."
        ) from error


def save_parts(
    learner: Learner, out: Path, facts: dict[str, Any], budget: int = PARTS_BYTES, part: int = PART_BYTES
) -> None:
    """Writes state.json and a checkpoint in small files, part_0_average.safetensors and so on.

    Args:
        learner: Network and training state.
        out: Folder for the files; previous parts in it are deleted.
        facts: Further entries of state.json.
        budget: Maximum size of all parts in bytes.
        part: Maximum size of a part in bytes.

    Raises:
        InputError: The average alone exceeds the maximum size.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("part_*.safetensors"):
        old.unlink()
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in learner.tensors().items():
        kind = name.split(".")[0]
        half = torch.bfloat16 if kind.startswith("optimizer") else torch.float16
        small = (
            value.detach().to("cpu", half)
            if value.is_floating_point() and value.numel() > 1
            else value.detach().cpu()
        )
        groups.setdefault(kind.rstrip("0123456789"), {})[name] = small.contiguous()
    size = count = 0
    for kind, tensors in groups.items():
        size += _bytes(tensors)
        if size > budget and kind == "average":
            raise InputError(
                f"The network takes {size >> 20} MiB in half precision, "
                f"more than the {budget >> 20} MiB for its parts."
            )
        if size > budget:
            break
        for piece in _split(tensors, part):
            save_file(piece, out / f"part_{count}_{kind}.safetensors")
            count += 1
    (out / STATE).write_text(json.dumps({"state": asdict(learner.state), **facts}, indent=2) + "\n")


def join_parts(parts: Path, out: Path) -> None:
    """Creates the folder of a run from parts, unless it already contains one.

    Args:
        parts: Folder written by `save_parts`; the parts of the average are sufficient.
        out: Folder of the run.

    Raises:
        InputError: The folder contains no parts, or damaged ones.
    """
    files = sorted(parts.glob("part_*.safetensors"))
    if not files or not (parts / STATE).is_file():
        raise InputError(
            f"'{parts}' contains no parts of a checkpoint and no bundle: give the folder of `--parts`, or a"
            " bundle's."
        )
    if (out / STATE).is_file():
        return
    tensors: dict[str, Tensor] = {}
    with reading_run(parts):
        read_json(parts / STATE)
        for file in files:
            tensors |= {
                name: value.float() if value.is_floating_point() else value
                for name, value in load_file(file).items()
            }
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / CHECKPOINT)
    (out / STATE).write_text((parts / STATE).read_text())


def start_from_bundle(path: Path, recipe: Recipe, out: Path) -> None:
    """Creates the folder of a run with the weights of a bundle, unless it already contains a run.

    If the first stages of the recipe are those that made the bundle, the run goes on after them; otherwise
    the recipe starts at its first view. The optimiser state starts from zero, with a warm-up.

    Args:
        path: Folder of the bundle.
        recipe: The recipe of the run.
        out: Folder of the run.

    Raises:
        InputError: The bundle cannot be read, or its network is not that of the recipe.
    """
    if (out / STATE).is_file():
        return
    bundle = generators.open_bundle(path)
    network = network_of(bundle)
    shape = network.config["encoder"], tuple(network.config["channels"])
    if shape != (recipe.encoder, tuple(recipe.channels)):
        raise InputError(
            f"The network of bundle '{path}' has encoder {shape[0]} and channels {list(shape[1])}, that of"
            f" recipe '{recipe.name}' {recipe.encoder} and {list(recipe.channels)}: change the recipe."
        )
    made = bundle.manifest.made
    done = made.get("recipe", {}).get("parts", [])
    facts = json.loads(json.dumps(recipe.facts))  # lists for tuples, as in the manifest
    continues = bool(done) and facts["parts"][: len(done)] == done
    state = State(**made["state"]) if continues and "state" in made else State()
    out.mkdir(parents=True, exist_ok=True)
    average = {f"average.{name}": value.contiguous() for name, value in network.state_dict().items()}
    save_file(average, out / CHECKPOINT)
    text = json.dumps({"state": asdict(state), "recipe": facts}, indent=2) + "\n"
    (out / STATE).write_text(text)


def _restore_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Restores the memory format of the optimiser state to that of the weights; files are contiguous."""
    for weight, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                moments[name] = torch.empty_like(weight).copy_(value)


def _split(tensors: dict[str, Tensor], limit: int) -> Iterator[dict[str, Tensor]]:
    """Splits tensors into groups of at most `limit` bytes."""
    part: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if part and _bytes(part) + _bytes({name: value}) > limit:
            yield part
            part = {}
        part[name] = value
    yield part


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(value.numel() * value.element_size() + 128 for value in tensors.values())  # 128 for the header


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name has a prefix, by name without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _replace(path: Path, write: Any) -> None:
    """Writes a file atomically, by calling `write` with a temporary path."""
    new = path.with_suffix(".new")
    write(new)
    os.replace(new, path)
