# SPDX-License-Identifier: Apache-2.0
"""Stages with what belongs between them: weights handed on, a student held against its teacher, parts to carry away."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.training.own.checkpoint import NETWORK, STATE, join_parts
from vision_banana_ros.training.own.device import Machine, find_machine
from vision_banana_ros.training.own.loop import load_network, train
from vision_banana_ros.training.own.sampler import Painter
from vision_banana_ros.training.own.stages import STAGES, Plan
from vision_banana_ros.training.own.teacher_comparison import FILE, PICTURE, compare, has

ANSWERS = "answers.png"  # among the parts
SHARES = {"base": 0.3, "instruct": 0.3, "distill": 0.4}  # of the time of a whole chain


def run_stage(
    plan: Plan,
    out: Path,
    start_from: Path | None = None,
    *,
    until: float = math.inf,
    parts: Path | None = None,
    machine: Machine | None = None,
) -> bool:
    """One stage into `out`, from the weights of the run `start_from`; returns whether it is finished (see `train`)."""
    machine = machine or find_machine()
    plan = replace(plan, start=start_from.name, teacher=_teacher(start_from)) if start_from else plan
    out.mkdir(parents=True, exist_ok=True)
    beside_teacher = plan.stage == "distill" and plan.teacher is not None
    if beside_teacher and start_from and machine.writes and not has(out, "teacher"):
        compare(load_network(start_from).to(machine.device), "teacher", out, plan.sizes[-1])  # type: ignore[arg-type]
    weights = start_from / NETWORK if start_from and not (out / STATE).is_file() else None
    finished = train(plan, out, weights, until=until, parts=parts, machine=machine)
    if finished and beside_teacher and machine.writes and not has(out, "student"):
        compare(load_network(out).to(machine.device), "student", out, plan.sizes[-1])  # type: ignore[arg-type]
    if parts is not None and machine.writes:
        _take_along(out, parts)
    return finished


def run_all(plan: Plan, out: Path, *, until: float = math.inf, parts: Path | None = None, start_parts: Path | None = None) -> bool:
    """base, instruct and distill into folders of these names below `out`, as far as the clock allows; `plan.minutes` (or
    `plan.steps`) is for the whole chain. Returns whether all is finished.

    :param start_parts: parts of a checkpoint to go on from, where `out` has nothing newer.
    """
    machine = find_machine()
    if start_parts is not None and machine.writes:
        join_parts(start_parts, out)
    machine.wait()
    begun = [stage for stage in STAGES if (out / stage / STATE).is_file()]
    for i, stage in enumerate(STAGES):
        if begun and STAGES.index(begun[-1]) > i:
            continue
        before = out / STAGES[i - 1] if i else None
        start_from = before if before is not None and (before / NETWORK).is_dir() else None
        part = replace(plan, stage=stage, minutes=plan.minutes * SHARES[stage])
        if plan.steps:
            part = replace(part, steps=max(1, round(plan.steps * SHARES[stage])))
        if stage in begun:  # where it came from is written there, and need not be there any more
            known = _plan(out / stage)
            part, start_from = replace(part, start=known["start"], teacher=known["teacher"]), None
        print(f"{stage}: {part.steps} steps" if part.steps else f"{stage}: {part.minutes:.1f} minutes", flush=True)
        if not run_stage(part, out / stage, start_from, until=until, parts=parts, machine=machine):
            return False
        if time.monotonic() >= until and stage != STAGES[-1]:
            return False
    return True


def run_folder(path: Path) -> Path:
    """The folder of a run, given that or its network/."""
    folder = path.parent if path.name == NETWORK else path
    if not (folder / NETWORK).is_dir():
        raise InputError(f"'{path}' holds no trained weights: give the folder of `vision-banana train --out`.")
    return folder


def open_painter(run: Path, steps: int) -> Painter:
    """A run as it answers: a distilled one in one step from the frame, others in `steps` from noise; a specialist its tasks alone.

    Raises InputError where the folder holds no run.
    """
    folder = run_folder(run)
    if not (folder / STATE).is_file():
        raise InputError(f"'{run}' has no {STATE}, which says how it answers: give the folder of `vision-banana train --out`.")
    plan = _plan(folder)
    size, in_one = plan["sizes"][-1], plan["stage"] == "distill"
    asked = tuple(dict.fromkeys(plan["tasks"] or TASKS))
    return Painter(load_network(folder), (size[0], size[1]), 1 if in_one else steps, from_frame=in_one, tasks=asked)


def _plan(run: Path) -> dict[str, Any]:
    """What a run was to do, as its state says."""
    plan: dict[str, Any] = json.loads((run / STATE).read_text())["plan"]
    return plan


def _teacher(run: Path) -> str | None:
    """The run of many steps that the weights of `run` come from: itself, or its own teacher."""
    if not (run / STATE).is_file():
        return None
    plan = _plan(run)
    return run.name if plan.get("stage") in ("base", "instruct") else plan.get("teacher")


def _take_along(out: Path, parts: Path) -> None:
    """The log, and the comparison or else the last picture: with the parts of the largest network, eight files."""
    files = {name: out / name for name in ("log.jsonl", FILE, PICTURE)}
    (parts / ANSWERS).unlink(missing_ok=True)
    if not (out / PICTURE).is_file():
        files[ANSWERS] = max((out / "pictures").glob("*.png"), default=out / ANSWERS)
    for name, file in files.items():
        if file.is_file():
            (parts / name).write_bytes(file.read_bytes())
