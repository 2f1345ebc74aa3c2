# SPDX-License-Identifier: Apache-2.0
"""Which of a bundle's decode graphs reads a question's answer, what it must be given, and what its outputs mean."""

from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.colors import BLACK, MIN_DISTANCE, Rgb

#: What the decode graph of a task gives, in order. The names are those of the task's `Answer`.
OUTPUTS = {
    "depth": ("depth_m", "confidence"),
    "normals": ("normals", "confidence"),
    "semantic": ("labels", "confidence"),
    "referring": ("mask", "confidence"),
}
DECODE_GRAPHS = {task: f"decode_{task}.onnx" for task in OUTPUTS}
MAX_COLORS = 256  # rows of a semantic palette, padding included
_NO_COLOR = 1e6  # farther from any colour than colours are from each other


def decode_inputs(task: str, legend: dict[str, Rgb] | None = None, color: Rgb | None = None, rows: int = 0) -> dict[str, np.ndarray]:
    """What the task's decode graph takes besides `rgb`: a palette for semantic and referring, else nothing.

    legend: of a semantic question. color: of a referring question. rows: the palette's rows where the graph has a fixed
    number of them; 0 for as many as the legend needs. Raises InputError for a legend that does not fit.
    """
    if task == "referring" and color is not None:
        return {"palette": np.array([BLACK, color], np.float32)}
    if task != "semantic" or legend is None:
        return {}
    classes = np.array([*legend.values()], np.float32)
    rows = rows or len(classes) + 1
    if len(classes) >= rows:
        raise InputError(f"The legend has {len(classes)} classes; this engine reads {rows - 1}. Ask for fewer classes at once.")
    palette = np.full((rows, 3), _NO_COLOR, np.float32)
    palette[: len(classes)] = classes
    if np.linalg.norm(classes - np.array(BLACK, np.float32), axis=1).min() >= MIN_DISTANCE:
        palette[-1] = BLACK
    return {"palette": palette}


def as_answer(task: str, outputs: list[np.ndarray]) -> Any:
    """The task's `Answer` from what its decode graph gave."""
    return TASKS[task].Answer(**dict(zip(OUTPUTS[task], outputs, strict=True)))
