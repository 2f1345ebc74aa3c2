# SPDX-License-Identifier: Apache-2.0
"""A student of one step beside its teacher of many, on worlds that neither has seen: figures and a picture.

The teacher is measured when its student begins, so its weights need not be kept until the end.
"""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.tasks import depth, normals
from vision_banana_ros.training.data.batches import NO_COLOR, Batch, Recipe, Stream
from vision_banana_ros.training.own.sampler import Painter

TEACHER_STEPS, STUDENT_STEPS = (1, 2, 4, 16), (1, 2, 4)
BATCHES, FRAMES = 8, 4  # measured; frames a batch
SHOWN = 2  # frames in the picture
FILE, PICTURE = "comparison.json", "comparison.png"
Figures = dict[str, dict[str, float | None]]  # None: nothing could be read


def held_out(size: tuple[int, int], network: VisionBananaUNet, count: int) -> list[Batch]:
    """The same batches of questions for everyone; their worlds are never trained on, and are in no test split."""
    config = network.config
    recipe = Recipe(size, FRAMES, text_length=config.text_length, text_buckets=config.text_buckets, held_out=True)
    return [batch.moved(network.device) for batch in islice(Stream(recipe), count)]


def measure(painter: Painter, batches: list[Batch]) -> Figures:
    """Errors of the pictures (mean, 0-255) and of what they say, a task."""
    sums: dict[str, dict[str, np.ndarray]] = {}
    for batch in batches:
        painted = painter.paint_batch(batch)
        answers, truths = (_images(x) for x in (painted, batch.target))
        for i, task in enumerate(batch.tasks):
            palette = batch.palette[i].cpu().numpy()
            for name, value in _errors(task, answers[i], truths[i], palette[palette[:, 0] < NO_COLOR]).items():
                so_far = sums.setdefault(task, {}).setdefault(name, np.zeros(2))
                so_far += value
    return {
        task: {name: round(float(over / under), 4) if under else None for name, (over, under) in named.items()}
        for task, named in sorted(sums.items())
    }


def compare(network: VisionBananaUNet, who: str, out: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Measure `network` as "teacher" (walks from noise) or "student" (starts at the frame), and add it to the comparison in
    `out`: comparison.json and comparison.png. The picture has a row a method, a column a question, truth on top."""
    network.eval()
    batches = held_out(size, network, BATCHES)
    file, picture = out / FILE, out / PICTURE
    known = file.is_file() and picture.is_file()
    report: dict[str, Any] = json.loads(file.read_text()) if known else {"size": size, "frames": BATCHES * FRAMES}
    few = _first(batches[0], SHOWN)
    rows = [_read(picture)] if known else [_row("truth", _images(few.target))]
    report[who] = {}
    for steps in TEACHER_STEPS if who == "teacher" else STUDENT_STEPS:
        painter = Painter(network, size, steps, from_frame=who == "student")
        report[who][str(steps)] = measure(painter, batches)
        rows.append(_row(f"{who} {steps}", _images(painter.paint_batch(few))))
    file.write_text(json.dumps(report, indent=2) + "\n")
    cv2.imwrite(str(picture), np.vstack(rows)[:, :, ::-1])
    return report


def has(out: Path, who: str) -> bool:
    """Whether the comparison in `out` has this part already."""
    return (out / FILE).is_file() and who in json.loads((out / FILE).read_text())


def _errors(task: str, answer: np.ndarray, truth: np.ndarray, palette: np.ndarray) -> dict[str, tuple[float, float]]:
    """Sums and what they are to be divided by."""
    errors = {"picture": (255 * float(np.abs(answer - truth).mean()), 1.0)}
    if task == "depth" and len(palette):
        read, known = depth.decode(answer).depth_m, depth.decode(truth).depth_m
        real = np.isfinite(known) & (known > 0)
        ratio = np.where(np.isfinite(read[real]) & (read[real] > 0), read[real], 1e-9) / known[real]
        errors["delta1"] = float((np.maximum(ratio, 1 / ratio) < 1.25).sum()), float(real.sum())
        found = ratio > 1e-6
        errors["abs_rel"] = float(np.abs(ratio[found] - 1).sum()), float(found.sum())
    elif task == "normals":
        read, known = normals.decode(answer, max_length_error=1.0).normals, normals.decode(truth).normals
        cosine = np.clip((read * known).sum(-1), -1, 1)
        real = np.isfinite(cosine)
        errors["degrees"] = float(np.degrees(np.arccos(cosine[real])).sum()), float(real.sum())
    elif task in ("semantic", "referring"):
        read, known = (np.square(x[:, :, None] - palette).sum(-1).argmin(-1) for x in (answer, truth))
        if task == "semantic":
            errors["accuracy"] = float((read == known).sum()), float(known.size)
        else:
            errors["iou"] = float(((read == 1) & (known == 1)).sum()), float(((read == 1) | (known == 1)).sum())
    return errors


def _first(batch: Batch, frames: int) -> Batch:
    rows = [i for i, of in enumerate(batch.of.tolist()) if of < frames]
    named: dict[str, Any] = {name: getattr(batch, name)[rows] for name in ("target", "of", "pieces", "colors", "mask", "palette")}
    named |= {name: [getattr(batch, name)[i] for i in rows] for name in ("tasks", "instructions")}
    return replace(batch, **named)


def _images(x: torch.Tensor) -> np.ndarray:
    """(N, H, W, 3) float32 in 0..1."""
    unit = x.float() / 255 if x.dtype == torch.uint8 else (x.float() / 2 + 0.5).clamp(0, 1)
    return np.ascontiguousarray(unit.permute(0, 2, 3, 1).cpu().numpy())


def _row(title: str, images: np.ndarray) -> np.ndarray:
    strip = np.hstack(list((255 * images).round().astype(np.uint8)))
    head = np.full((16, strip.shape[1], 3), 250, np.uint8)
    cv2.putText(head, title, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (25, 25, 25), 1, cv2.LINE_AA)
    return np.vstack([head, strip])


def _read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
