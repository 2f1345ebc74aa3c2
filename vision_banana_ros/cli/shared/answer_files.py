# SPDX-License-Identifier: Apache-2.0
"""Answers as files.

depth.png         16-bit, millimetres; 0 where unreadable, or too far for 16 bits
depth.npy         float32 metres; NaN unreadable, +inf beyond range
depth_relative.npy in place of the two, and of points.ply, where the bundle's depth has no unit; grows with distance
normals.npy       float32 unit vectors: +x right, +y up, +z towards the viewer; NaN unreadable
normals.png       the same as colours
labels.png        8-bit class ids (legend.json names them), 255 unlabelled
instances.png     16-bit, 0 background
mask_N.png        8-bit, 255 where the N-th expression fits (legend.json)
*_confidence.png  8-bit, 255 is sure, 0 unreadable
points.ply        x right, y down, z forward, metres, with colours
sheet.png         image and answers side by side
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.perception import visualization
from vision_banana_ros.perception.questions import Question
from vision_banana_ros.tasks.colors import write_color


def stems(questions: Sequence[Question]) -> list[str]:
    """The name of each answer's files."""
    names = {"depth": "depth", "normals": "normals", "semantic": "labels", "instances": "instances"}
    masks = 0
    found = []
    for question in questions:
        masks += question.task == "referring"
        found.append(names.get(question.task, f"mask_{masks}"))
    return found


def write_answer(folder: Path, stem: str, question: Question, answer: Any) -> None:
    """One answer, at its own size."""
    if question.task == "depth" and not hasattr(answer, "depth_m"):
        np.save(folder / f"{stem}_relative.npy", answer.depth_relative)
    elif question.task == "depth":
        np.save(folder / f"{stem}.npy", answer.depth_m)
        _save(folder / f"{stem}.png", millimetres(answer.depth_m))
    elif question.task == "normals":
        np.save(folder / f"{stem}.npy", answer.normals)
        _save(folder / f"{stem}.png", visualization.normals_picture(answer.normals))
    elif question.task == "referring":
        _save(folder / f"{stem}.png", answer.mask.astype(np.uint8) * 255)
    else:
        _save(folder / f"{stem}.png", answer.labels)
    _save(folder / f"{stem}_confidence.png", (answer.confidence * 255).round().astype(np.uint8))


def write_legend(folder: Path, questions: Sequence[Question]) -> None:
    """legend.json: what the values of labels.png and the numbers of the masks mean."""
    classes, masks = [], []
    for stem, question in zip(stems(questions), questions, strict=True):
        if question.legend is not None:
            named = enumerate(question.legend.items())
            classes = [{"id": k, "name": name, "color": write_color(color)} for k, (name, color) in named]
        if question.task == "referring" and question.color is not None:
            masks.append({"file": f"{stem}.png", "expression": question.expression, "color": write_color(question.color)})
    (folder / "legend.json").write_text(json.dumps({"classes": classes, "masks": masks}, indent=2) + "\n")


def tile(question: Question, answer: Any, image: np.ndarray) -> visualization.Tile:
    """The answer as a picture of a sheet; `image` has the answer's size."""
    readable = f"{np.count_nonzero(answer.confidence) / answer.confidence.size:.0%} readable"
    if question.task == "depth" and not hasattr(answer, "depth_m"):
        near, far = visualization.depth_range(answer.depth_relative)
        return visualization.Tile(
            "depth, relative", visualization.depth_picture(answer.depth_relative, near, far), f"no unit, {readable}"
        )
    if question.task == "depth":
        near, far = visualization.depth_range(answer.depth_m)
        picture = visualization.depth_picture(answer.depth_m, near, far)
        return visualization.Tile("depth", picture, f"{near:.2f} to {far:.2f} m, {readable}", visualization.color_bar(near, far))
    if question.task == "normals":
        return visualization.Tile("normals", visualization.normals_picture(answer.normals), readable)
    if question.legend is not None:
        overlay = visualization.labels_overlay(image, answer.labels, question.legend)
        return visualization.Tile("segmentation", overlay, readable, question.legend)
    if question.task == "instances":
        overlay = visualization.instances_overlay(image, answer.labels)
        return visualization.Tile(f"instances of {question.expression}", overlay, f"{int(answer.labels.max(initial=0))} found")
    overlay = visualization.mask_overlay(image, answer.mask, question.color or (255, 0, 0))
    return visualization.Tile(str(question.expression), overlay, f"{answer.mask.mean():.1%} of the image")


def write_sheet(path: Path, tiles: Sequence[visualization.Tile], title: str, columns: int = 3) -> None:
    _save(path, visualization.sheet(tiles, title, columns))


def millimetres(depth_m: np.ndarray) -> np.ndarray:
    """(H, W) metres -> (H, W) uint16 millimetres. 0, "invalid" to every reader, where 16 bits cannot say the depth."""
    with np.errstate(invalid="ignore"):
        mm = np.rint(depth_m * 1000)
    return np.where((mm > 0) & (mm <= 65535), mm, 0).astype(np.uint16)


def _save(path: Path, image: np.ndarray) -> None:
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
