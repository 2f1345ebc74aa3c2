# SPDX-License-Identifier: Apache-2.0
"""Sheets of image, ground truth and answer for the model card: fixed examples, and the worst ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.evaluation.cases import Case, Split
from vision_banana_ros.evaluation.evaluate import REFERRING_COLOR, ask, compared
from vision_banana_ros.evaluation.scores import new_score
from vision_banana_ros.files import write_bytes
from vision_banana_ros.perception import Perceiver, Question, visualization
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.colors import Legend
from vision_banana_ros.tasks.normals import picture as normals_picture
from vision_banana_ros.tasks.profiles import profile

SAMPLES, WORST = "{split}.jpg", "{split}_worst.jpg"
LARGEST = 52_000  # bytes a sheet
TILE_WIDTH = 150
A_ROW = 2  # cases a task


def write_sheets(
    perceiver: Perceiver, split: Split, worst: Mapping[str, Sequence[Mapping[str, Any]]], out: Path
) -> list[Path]:
    """Writes SPLIT.jpg (two fixed cases per task) and SPLIT_worst.jpg (the cases with the largest errors).

    Returns:
        Their paths.
    """
    tasks = [task for task in TASKS if task in worst]
    # cases spread over the split, other ones for each task; the same in every release
    fixed = {
        task: [(k + i * len(tasks)) * 7 % len(split) for i in range(A_ROW)] for k, task in enumerate(tasks)
    }
    poor = {task: [_number(entry["case"]) for entry in worst[task][:A_ROW]] for task in tasks}
    files = []
    for name, chosen in ((SAMPLES, fixed), (WORST, poor)):
        tiles = [
            tile
            for task in tasks
            for number in chosen[task]
            for tile in _tiles(perceiver, split.case(number), task)
        ]
        files.append(out / name.format(split=split.name))
        _write_jpeg(files[-1], visualization.sheet(tiles, columns=3 * A_ROW, tile_width=TILE_WIDTH))
    return files


def _number(name: str) -> int:
    return int(name.rsplit(" ", 1)[1])  # a case of ours is called SPLIT NUMBER


def _tiles(perceiver: Perceiver, case: Case, task: str) -> list[visualization.Tile]:
    """Image, ground truth and answer of the question of this task with the largest error."""
    legend: Legend = perceiver.generator.manifest.legend
    asked = [(question, truth) for question, truth in ask(case, legend) if question.task == task]
    looks = perceiver.look(case.image, [question for question, _ in asked], case.intrinsics)
    manifest = perceiver.generator.manifest
    depth_kind, far_m = profile(manifest.codec).depth_kind, manifest.depth_range_m[1]
    answers = [
        compared(task, look, truth, depth_kind, far_m) for look, (_, truth) in zip(looks, asked, strict=True)
    ]
    errors = [
        new_score(task, tuple(legend), far_m).add(answer, truth)
        for answer, (_, truth) in zip(answers, asked, strict=True)
    ]
    worst = int(np.argmax(errors))
    (question, truth), answer = asked[worst], answers[worst]
    draw = _DRAWN[task]
    return [
        visualization.Tile(task, case.image, case.name),
        visualization.Tile("truth", draw(question, case.image, truth, truth), question.expression or ""),
        visualization.Tile("answer", draw(question, case.image, answer, truth)),
    ]


def _draw_depth(question: Question, image: np.ndarray, values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return visualization.depth_picture(values, *visualization.depth_range(truth))


def _draw_normals(question: Question, image: np.ndarray, values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return normals_picture(values)


def _draw_labels(question: Question, image: np.ndarray, values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return visualization.labels_overlay(image, values, question.legend or {}, 0.85)


def _draw_mask(question: Question, image: np.ndarray, values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return visualization.mask_overlay(image, values, REFERRING_COLOR)


def _draw_instances(
    question: Question, image: np.ndarray, values: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    return visualization.instances_overlay(image // 2, values, 0.85)


_DRAWN = {
    "depth": _draw_depth,
    "normals": _draw_normals,
    "semantic": _draw_labels,
    "referring": _draw_mask,
    "instances": _draw_instances,
}
"""How the values of an answer, or of the truth, are drawn, by task; `truth` sets the range of depth."""


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    """Writes the picture with the best quality that fits into `LARGEST` bytes."""
    data = b""
    for quality in range(88, 20, -6):
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_OPTIMIZE,
            1,
            cv2.IMWRITE_JPEG_PROGRESSIVE,
            1,
        ]
        data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()
        if len(data) <= LARGEST:
            break
    write_bytes(path, data)
