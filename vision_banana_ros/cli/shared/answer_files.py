# SPDX-License-Identifier: Apache-2.0
"""Writes answers as files.

- depth.png: 16-bit millimetres; 0 invalid, or too far for 16 bits
- depth.npy: float32 metres; NaN invalid, +inf beyond range
- depth_relative.npy: instead of both, and of points.ply, if depth has no unit; grows with distance
- normals.npy: float32 unit vectors: +x right, +y up, +z towards the viewer; NaN invalid
- normals.png: the same as colours
- labels.png: 8-bit class ids (legend.json names them), 255 unlabelled
- instances.png: 16-bit, 0 background
- mask_N.png: 8-bit, 255 for the N-th expression (legend.json)
- NAME_confidence.png: 8-bit, 255 confident, 0 invalid
- points.ply: x right, y down, z forward, metres, with colours
- sheet.png: image and answers side by side
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import count
from os.path import lexists
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import write_bytes
from vision_banana_ros.perception import visualization
from vision_banana_ros.perception.questions import Question
from vision_banana_ros.perception.visualization import Tile
from vision_banana_ros.tasks import depth, instances, normals, profiles_relative, referring, semantic
from vision_banana_ros.tasks.colors import write_color

SHEET, CONFIDENCE = "sheet.png", "_confidence.png"
LEGEND, SUMMARY = "legend.json", "summary.json"
"""Beside the folders of the frames. The legend is written first of all: whoever finds it knows that results
are here."""
MAX_NAME_BYTES = 100


def stems(questions: Sequence[Question]) -> list[str]:
    """The name of each answer's files; those of expressions are numbered."""
    numbers: Counter[str] = Counter()
    found = []
    for question in questions:
        stem = question.kind.stem
        numbers[stem] += 1
        found.append(f"{stem}_{numbers[stem]}" if question.kind.takes == "expressions" else stem)
    return found


def write_answer(folder: Path, stem: str, question: Question, answer: Any) -> None:
    """One answer, at its own size."""
    if isinstance(answer, profiles_relative.Answer):
        _save_numbers(folder / f"{stem}_relative.npy", answer.depth_relative)
    else:
        for ending, values in question.kind.writes(answer).items():
            if ending == ".npy":
                _save_numbers(folder / f"{stem}.npy", values)
            else:
                _save(folder / f"{stem}{ending}", values)
    _save(folder / f"{stem}{CONFIDENCE}", (answer.confidence * 255).round().astype(np.uint8))


def write_legend(folder: Path, questions: Sequence[Question]) -> None:
    """legend.json: what the values of labels.png and the numbers of the masks mean."""
    classes, masks = [], []
    for stem, question in zip(stems(questions), questions, strict=True):
        if question.legend is not None:
            named = enumerate(question.legend.items())
            classes = [{"id": k, "name": name, "color": write_color(color)} for k, (name, color) in named]
        if question.kind.takes == "expressions" and question.color is not None:
            masks.append(
                {
                    "file": f"{stem}.png",
                    "expression": question.expression,
                    "color": write_color(question.color),
                }
            )
    write_bytes(folder / LEGEND, (json.dumps({"classes": classes, "masks": masks}, indent=2) + "\n").encode())


def tile(question: Question, answer: Any, image: np.ndarray) -> Tile:
    """The answer as a picture of a sheet; `image` has the answer's size."""
    draw = next((draw for kind, draw in _TILES.items() if isinstance(answer, kind)), _code)
    readable = f"{np.count_nonzero(answer.confidence) / answer.confidence.size:.0%} readable"
    return draw(question, answer, image, readable)


def _relative(question: Question, answer: profiles_relative.Answer, image: np.ndarray, readable: str) -> Tile:
    near, far = visualization.depth_range(answer.depth_relative)
    return Tile(
        "depth, relative",
        visualization.depth_picture(answer.depth_relative, near, far),
        f"no unit, {readable}",
    )


def _depth(question: Question, answer: depth.Answer, image: np.ndarray, readable: str) -> Tile:
    near, far = visualization.depth_range(answer.depth_m)
    picture = visualization.depth_picture(answer.depth_m, near, far)
    return Tile(
        "depth", picture, f"{near:.2f} to {far:.2f} m, {readable}", visualization.color_bar(near, far)
    )


def _normals(question: Question, answer: normals.Answer, image: np.ndarray, readable: str) -> Tile:
    return Tile("normals", normals.picture(answer.normals), readable)


def _classes(question: Question, answer: semantic.Answer, image: np.ndarray, readable: str) -> Tile:
    legend = question.legend or {}
    return Tile("segmentation", visualization.labels_overlay(image, answer.labels, legend), readable, legend)


def _instances(question: Question, answer: instances.Answer, image: np.ndarray, readable: str) -> Tile:
    overlay = visualization.instances_overlay(image, answer.labels)
    return Tile(f"instances of {question.expression}", overlay, f"{int(answer.labels.max(initial=0))} found")


def _mask(question: Question, answer: referring.Answer, image: np.ndarray, readable: str) -> Tile:
    overlay = visualization.mask_overlay(image, answer.mask, question.color or (255, 0, 0))
    return Tile(str(question.expression), overlay, f"{answer.mask.mean():.1%} of the image")


def _code(question: Question, answer: Any, image: np.ndarray, readable: str) -> Tile:
    """In the colours that the generator is asked for."""
    colors = question.kind.encode(getattr(answer, question.kind.field), question.words)
    return Tile(question.task, (colors * 255).round().astype(np.uint8), readable)


#: How answers look in a sheet; those of other tasks are shown in the colours of their code.
_TILES: dict[type, Callable[[Question, Any, np.ndarray, str], Tile]] = {
    profiles_relative.Answer: _relative,
    depth.Answer: _depth,
    normals.Answer: _normals,
    semantic.Answer: _classes,
    instances.Answer: _instances,
    referring.Answer: _mask,
}


def write_sheet(path: Path, tiles: Sequence[Tile], title: str, columns: int = 3) -> None:
    """Writes the tiles as one labelled picture, in rows of `columns`."""
    _save(path, visualization.sheet(tiles, title, columns))


def _save(path: Path, image: np.ndarray) -> None:
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    try:
        ok, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        ok = False
    if not ok:
        raise InputError(f"'{path}' cannot be written as a picture; end its name with .png.")
    write_bytes(path, data.tobytes())


def _save_numbers(path: Path, values: np.ndarray) -> None:
    file = BytesIO()
    np.save(file, values)
    write_bytes(path, file.getvalue())


class Folders:
    """The output folders of the frames inside `out`, named after the frames.

    A folder is never outside of `out`, never shared by two frames, and reused from an earlier run only with
    `overwrite`.
    """

    def __init__(self, out: Path, overwrite: bool = False):
        self._out, self._overwrite = out, overwrite
        self._made: set[Path] = set()

    def make(self, name: str) -> Path:
        """A new folder. Where the name is taken already, a number is added."""
        clean = re.sub(r"[^\w.+=@ -]+", "_", name).strip(" .")
        # a file's name has at most 255 bytes, and a letter up to four
        clean = clean.encode()[:MAX_NAME_BYTES].decode(errors="ignore") or "frame"
        for number in count(1):
            folder = self._out / (clean if number == 1 else f"{clean}-{number}")
            reusable = self._overwrite and folder.is_dir() and not folder.is_symlink()
            if folder in self._made or folder.name in (LEGEND, SUMMARY) or (lexists(folder) and not reusable):
                continue
            folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
            return folder
        raise AssertionError("there is always another number")


def is_result(picture: Path) -> bool:
    """Whether a picture is one of the files that `run` and `decode` write into a folder."""
    if not any((folder / LEGEND).is_file() for folder in (picture.parent, picture.parent.parent)):
        return False
    if not (picture.parent / SHEET).is_file():
        return False
    name = picture.name
    return (
        name == SHEET or name.endswith(CONFIDENCE) or picture.with_name(picture.stem + CONFIDENCE).is_file()
    )


def refuse_used(out: Path, overwrite: bool, result: str = LEGEND) -> None:
    """InputError where a folder holds a file of an earlier run, unless it may be overwritten."""
    if not overwrite and (out / result).exists():
        raise InputError(
            f"'{out}' holds results already; name another folder with --out, or give --overwrite."
        )
