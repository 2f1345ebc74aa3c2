# SPDX-License-Identifier: Apache-2.0
"""Referring segmentation: the object of an expression is painted in one colour, the background in another.

Several expressions can be combined in one picture, each with its own colour. Source: arXiv 2604.20329, which
states no threshold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import phrasings
from vision_banana_ros.tasks._images import read_colors, read_mask
from vision_banana_ros.tasks._palette import nearest
from vision_banana_ros.tasks.colors import BLACK, ColorLike, Rgb, parse_color, require_distinct, write_color
from vision_banana_ros.tasks.task import Output, Task, Words

PHRASINGS = phrasings.REFERRING
PHRASINGS_MANY = phrasings.REFERRING_MANY
#: Expressions in one picture at most.
MAX_EXPRESSIONS = 8

#: How far (0-255) a pixel may be from the colour or the background. It is half the way between neighbouring
#: corners of the RGB cube, so a pixel counts for at most one of the full colours, and a stray third colour
#: for none.
MAX_DISTANCE = 127.5


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded mask.

    Attributes:
        mask: (H, W) bool.
        confidence: (H, W) float32, confidence of the pixel's value: 1 - d1 / d2 with the distances to the
            nearer and the farther of colour and background; 0 where it is similar to neither.
    """

    mask: NDArray[np.bool_]
    confidence: NDArray[np.float32]


def instruction(
    expression: str, color: ColorLike, background: ColorLike = BLACK, *, phrasing: int = 0, style: str = "hex"
) -> str:
    """The prompt for an expression.

    Args:
        expression: The referring expression.
        color: Colour of the mask.
        background: Colour of the background.
        phrasing: Index into `PHRASINGS`.
        style: How colours are written: "hex", "rgb" or "name".

    Raises:
        InputError: For an empty expression, and for two colours that are too similar.
    """
    wanted, rest = _parse_pair(color, background)
    return phrasings.phrase(
        PHRASINGS,
        phrasing,
        expression=phrasings.one_line(expression, "The expression is empty; say what to look for."),
        color=write_color(wanted, style),
        background=write_color(rest, style),
    )


def instruction_many(
    colors: Mapping[str, ColorLike], background: ColorLike = BLACK, *, phrasing: int = 0, style: str = "hex"
) -> str:
    """The prompt for several expressions in one picture, each with its colour.

    `phrasing` is an index into `PHRASINGS_MANY`.

    Raises:
        InputError: For an empty expression, more than `MAX_EXPRESSIONS`, or colours that are too similar.
    """
    wanted, rest = _parse_many(colors, background)
    pairs = (f"{phrasings.one_line(text, 'An expression is empty; say what to look for.')}:"
        f" {write_color(color, style)}"
             for text, color in wanted.items())  # fmt: skip
    return phrasings.phrase(
        PHRASINGS_MANY, phrasing, pairs="; ".join(pairs), background=write_color(rest, style)
    )


def encode_many(
    masks: ArrayLike, colors: Sequence[ColorLike], background: ColorLike = BLACK
) -> NDArray[np.float32]:
    """Encodes masks (N, H, W) of bool in N colours as RGB (H, W, 3) float32 in [0, 1].

    The first mask has precedence.

    Raises:
        InputError: For other shapes and types, and for colours that are too similar.
    """
    wanted, rest = _parse_many({str(i): color for i, color in enumerate(colors)}, background)
    layers = [read_mask(mask, "A mask") for mask in np.asarray(masks)]
    if len(layers) != len(wanted):
        raise InputError(
            f"There are {len(layers)} masks and {len(wanted)} colours: give one of each an expression."
        )
    index = np.zeros(layers[0].shape, np.uint8)
    for i in range(len(layers), 0, -1):
        index[layers[i - 1]] = i
    table = np.array([rest, *wanted.values()], dtype=np.float32) / np.float32(255)
    return table[index]


def decode_many(
    rgb: ArrayLike,
    colors: Sequence[ColorLike],
    background: ColorLike = BLACK,
    max_distance: float = MAX_DISTANCE,
) -> list[Answer]:
    """Decodes one mask per colour from an answer (H, W, 3), uint8 or float in [0, 1].

    A pixel belongs to the nearest of the colours and the background, if it is nearer than `max_distance`
    (0-255).

    Raises:
        InputError: For other shapes and types, and for colours that are too similar.
    """
    if not max_distance > 0:
        raise InputError(f"max_distance must be above 0, not {max_distance}.")
    wanted, rest = _parse_many({str(i): color for i, color in enumerate(colors)}, background)
    palette = [rest, *wanted.values()]
    index, confidence = nearest(read_colors(rgb), palette, len(palette), max_distance=max_distance)
    return [Answer((index == i) & (confidence > 0), confidence) for i in range(1, len(palette))]


def encode(mask: ArrayLike, color: ColorLike, background: ColorLike = BLACK) -> NDArray[np.float32]:
    """Encodes a mask (H, W) of bool as RGB (H, W, 3) float32 in [0, 1].

    Raises:
        InputError: For other shapes and types, and for two colours that are too similar.
    """
    wanted, rest = _parse_pair(color, background)
    table = np.array([rest, wanted], dtype=np.float32) / np.float32(255)
    return table[read_mask(mask, "A mask").astype(np.uint8)]


def decode(
    rgb: ArrayLike, color: ColorLike, background: ColorLike = BLACK, max_distance: float = MAX_DISTANCE
) -> Answer:
    """Decodes a mask from an answer (H, W, 3), uint8 or float in [0, 1].

    A pixel is in the mask if it is nearer to `color` than to `background`, and nearer than `max_distance`
    (0-255).

    Raises:
        InputError: For other shapes and types, and for two colours that are too similar.
    """
    if not max_distance > 0:
        raise InputError(f"max_distance must be above 0, not {max_distance}.")
    wanted, rest = _parse_pair(color, background)
    index, confidence = nearest(read_colors(rgb), [rest, wanted], 2, max_distance=max_distance)
    return Answer((index == 1) & (confidence > 0), confidence)


def _parse_many(colors: Mapping[str, ColorLike], background: ColorLike) -> tuple[dict[str, Rgb], Rgb]:
    if not 1 <= len(colors) <= MAX_EXPRESSIONS:
        raise InputError(
            f"One picture answers 1 to {MAX_EXPRESSIONS} expressions, not {len(colors)}: ask"
            " for them in parts."
        )
    wanted, rest = {text: parse_color(color) for text, color in colors.items()}, parse_color(background)
    require_distinct(
        {"the background": rest} | {f"the colour of '{text}'": color for text, color in wanted.items()}
    )
    return wanted, rest


def _parse_pair(color: ColorLike, background: ColorLike) -> tuple[Rgb, Rgb]:
    wanted, rest = parse_color(color), parse_color(background)
    require_distinct({"the colour": wanted, "the background": rest})
    return wanted, rest


class ReferringTask(Task):
    """Referring segmentation."""

    name = "referring"
    PHRASINGS = PHRASINGS
    Answer = Answer
    field = "mask"
    takes = "expressions"
    publishes = (Output("referring/mask", "mono8"),)
    stem = "mask"
    repeats = True

    def instruction(self, words: Words) -> str:
        """See `Task.instruction`."""
        return instruction(words.need("expression", "expression"), words.need("color", "colour"))

    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """See `Task.encode`."""
        return encode(truth, words.need("color", "colour"))

    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """Read the mask.

        Or a list of `Answer`, one an expression, where a legend names several with their colours.
        """
        if words.legend is not None:
            return decode_many(rgb, list(words.legend.values()))
        return decode(rgb, words.need("color", "colour"))

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """See `Task.writes`."""
        return {".png": answer.mask.astype(np.uint8) * np.uint8(255)}
