# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of a bundle's decode graphs, which decode painted answers on the device."""

from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.colors import BLACK, MIN_DISTANCE, Rgb

#: The outputs of each task's decode graph in order, named as the fields of the task's `Answer`.
OUTPUTS = {
    "depth": ("depth_m", "confidence"),
    "normals": ("normals", "confidence"),
    "semantic": ("labels", "confidence"),
    "referring": ("mask", "confidence"),
}
DECODE_GRAPHS = {task: f"decode_{task}.onnx" for task in OUTPUTS}
MAX_COLORS = 256  # maximum number of rows of a semantic palette, including padding
_PADDING_COLOR = 1e6  # farther from any colour than two colours from each other


def decode_inputs(
    task: str, legend: dict[str, Rgb] | None = None, color: Rgb | None = None, rows: int = 0
) -> dict[str, np.ndarray]:
    """The inputs of a decode graph besides `rgb`: a palette for semantic and referring segmentation.

    Args:
        task: Name of the task.
        legend: Classes with their colours (0-255), for semantic segmentation.
        color: Colour of the mask (0-255), for referring segmentation.
        rows: Number of rows of the palette if it is fixed; 0 for as many as the legend needs.

    Returns:
        Input arrays by name: `palette`, (rows, 3) float32, 0-255, or none.

    Raises:
        InputError: The legend has more classes than the palette has rows.
    """
    if task == "referring" and color is not None:
        return {"palette": np.array([BLACK, color], np.float32)}
    if task != "semantic" or legend is None:
        return {}
    classes = np.array([*legend.values()], np.float32)
    rows = rows or len(classes) + 1
    if len(classes) >= rows:
        raise InputError(
            f"The legend has {len(classes)} classes; this engine supports {rows - 1}. "
            "Ask for fewer classes at once."
        )
    palette = np.full((rows, 3), _PADDING_COLOR, np.float32)
    palette[: len(classes)] = classes
    if np.linalg.norm(classes - np.array(BLACK, np.float32), axis=1).min() >= MIN_DISTANCE:
        palette[-1] = BLACK
    return {"palette": palette}


def as_answer(task: str, outputs: list[np.ndarray]) -> Any:
    """Builds a task's `Answer` from the outputs of its decode graph, in the order of `OUTPUTS`."""
    return TASKS[task].Answer(**dict(zip(OUTPUTS[task], outputs, strict=True)))
