# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation: a pixel gets the class whose colour in the legend is nearest.

Source: arXiv 2604.20329, where every pixel has a class. Here a pixel is unlabelled (255) if it is nearest to
the background colour (black, unless a class is black), or if the two nearest colours are almost equally near.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import phrasings
from vision_banana_ros.tasks._images import read_colors, read_labels
from vision_banana_ros.tasks._palette import UNLABELLED, nearest
from vision_banana_ros.tasks.colors import (
    BLACK,
    MIN_DISTANCE,
    ColorLike,
    Legend,
    Rgb,
    parse_color,
    parse_legend,
)
from vision_banana_ros.tasks.task import Output, Task, Words

PHRASINGS = phrasings.SEMANTIC

#: Below this confidence the nearest colour is less than a tenth nearer than the second, and noise decides.
MIN_CONFIDENCE = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """Decoded classes.

    Attributes:
        labels: (H, W) uint8, class index in legend order; 255 unlabelled.
        confidence: (H, W) float32, 1 - d1 / d2 with the distances to the nearest and second-nearest colour; 0
            for invalid pixels.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


def instruction(
    legend: Mapping[str, ColorLike],
    unlabelled: ColorLike | None = BLACK,
    *,
    phrasing: int = 0,
    style: str = "hex",
) -> str:
    """The prompt for the classes of a legend in their colours.

    Args:
        legend: Classes with their colours, in class order.
        unlabelled: Colour of everything else, or None.
        phrasing: Index into `PHRASINGS`.
        style: How colours are written: "hex", "rgb" or "name".

    Raises:
        InputError: For a legend that `parse_legend` rejects.
    """
    parsed = parse_legend(legend)
    rest = _color_of_rest(parsed, unlabelled)
    named = parsed if rest is None else parsed | {"anything else": rest}
    return phrasings.phrase(PHRASINGS, phrasing, **phrasings.write_legend(named, style))


def encode(
    labels: ArrayLike, legend: Mapping[str, ColorLike], unlabelled: ColorLike | None = BLACK
) -> NDArray[np.float32]:
    """Encodes labels as colours.

    Args:
        labels: (H, W) integers in legend order, 255 unlabelled.
        legend: Classes with their colours, in class order.
        unlabelled: Colour of unlabelled pixels.

    Returns:
        (H, W, 3) float32 RGB in [0, 1].

    Raises:
        InputError: For a label that is not in the legend, and for unlabelled pixels if a class has the colour
            `unlabelled`.
    """
    parsed = parse_legend(legend)
    classes = read_labels(labels, "Labels")
    rest = _color_of_rest(parsed, unlabelled)
    if np.any((classes >= len(parsed)) & (classes != UNLABELLED)):
        raise InputError(
            f"The labels go up to {classes.max()}, but the legend has {len(parsed)} classes; "
            f"use 0 to {len(parsed) - 1}, and {UNLABELLED} for unlabelled pixels."
        )
    if rest is None and np.any(classes == UNLABELLED):
        raise InputError("Some pixels are unlabelled; pass as `unlabelled` a colour that no class has.")
    table = np.zeros((UNLABELLED + 1, 3), dtype=np.float32)
    table[: len(parsed)] = list(parsed.values())
    table[UNLABELLED] = rest or BLACK
    return (table / np.float32(255))[classes]


def decode(
    rgb: ArrayLike,
    legend: Mapping[str, ColorLike],
    min_confidence: float = MIN_CONFIDENCE,
    unlabelled: ColorLike | None = BLACK,
) -> Answer:
    """Decodes classes from an answer.

    The rule of the paper, in which every pixel has a class, is `min_confidence=0, unlabelled=None`.

    Args:
        rgb: (H, W, 3) uint8, or float in [0, 1].
        legend: Classes with their colours, in class order.
        unlabelled: Colour of unlabelled pixels; ignored if a class has it.
        min_confidence: Pixels below are unlabelled.

    Raises:
        InputError: For other shapes and types, and for a legend that `parse_legend` rejects.
    """
    if not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence must be from 0 to 1, not {min_confidence}.")
    parsed = parse_legend(legend)
    rest = _color_of_rest(parsed, unlabelled)
    palette = [*parsed.values()] if rest is None else [*parsed.values(), rest]
    return Answer(*nearest(read_colors(rgb), palette, len(parsed), min_confidence))


def _color_of_rest(legend: Legend, unlabelled: ColorLike | None) -> Rgb | None:
    """The colour of unlabelled pixels, or None if a class has it."""
    if unlabelled is None:
        return None
    color = parse_color(unlabelled)
    distance = np.linalg.norm(np.array(list(legend.values()), dtype=np.float64) - color, axis=1)
    return color if distance.min() >= MIN_DISTANCE else None


class SemanticTask(Task):
    """Semantic segmentation."""

    name = "semantic"
    PHRASINGS = PHRASINGS
    Answer = Answer
    field = "labels"
    takes = "legend"
    publishes = (
        Output("segmentation/mask", "mono8", "labels"),
        Output("segmentation/confidence", "mono8"),
        Output("segmentation/overlay", "rgb8"),
    )
    stem = "labels"
    repeats = True

    def instruction(self, words: Words) -> str:
        """See `Task.instruction`."""
        return instruction(words.need("legend", "legend"))

    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """See `Task.encode`."""
        return encode(truth, words.need("legend", "legend"))

    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """See `Task.decode`."""
        return decode(rgb, words.need("legend", "legend"))

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """See `Task.writes`."""
        return {".png": answer.labels}
