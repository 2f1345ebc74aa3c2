# SPDX-License-Identifier: Apache-2.0
"""Instance segmentation: each instance of a class is painted in a colour that the generator chooses.

Source: arXiv 2604.20329, appendix A. Details that it leaves open:

- Seeds are processed in raster order, and instances are numbered by their first pixel in that order.
- "16-connected" means the 8 neighbours and the 8 knight's moves, the 16 nearest directions of a square grid.
  They let a region cross a gap of one pixel, which painted regions have.
- Erosion treats pixels outside of the image as part of the region, because a cut-off object is not thin
  there.
- Merging considers all pairs of regions from the previous step, transitively, so that the order does not
  matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import phrasings
from vision_banana_ros.tasks._images import read_colors, read_labels
from vision_banana_ros.tasks.colors import (
    BLACK,
    ColorLike,
    far_apart,
    parse_color,
    require_distinct,
    write_color,
)
from vision_banana_ros.tasks.task import Output, Task, Words

PHRASINGS = phrasings.INSTANCES
#: The paper's tau: colours (0-255) within this distance are one.
TAU = 14.0
MAX_INSTANCES = 65535

# All pixels lie in one row, with a margin around the picture that saves asking where it ends.
_MARGIN = 2
_OUTSIDE, _UNREAD = -2, -1
# Squared distances of a neighbour, a diagonal one, and a knight's move.
_NEIGHBOURS = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if y * y + x * x in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Answer:
    """Decoded instances.

    Attributes:
        labels: (H, W) uint16, 1 to the number of instances; 0 background.
        confidence: (H, W) float32, 1 - d / (2 tau) with the distance d to the background or to the mean
            colour of the region; 0 for pixels that are neither background nor in a region that was kept.
    """

    labels: NDArray[np.uint16]
    confidence: NDArray[np.float32]


def instruction(name: str, background: ColorLike = BLACK, *, phrasing: int = 0, style: str = "hex") -> str:
    """The prompt for all instances of a class.

    Args:
        name: The class name.
        background: Colour of the background.
        phrasing: Index into `PHRASINGS`.
        style: How colours are written: "hex", "rgb" or "name".

    Raises:
        InputError: For an empty name.
    """
    return phrasings.phrase(
        PHRASINGS,
        phrasing,
        name=phrasings.one_line(name, "The class has no name; say what to look for."),
        background=write_color(background, style),
    )


def encode(
    labels: ArrayLike, colors: Sequence[ColorLike] | None = None, background: ColorLike = BLACK
) -> NDArray[np.float32]:
    """Encodes instances as colours.

    Args:
        labels: (H, W) integers, 0 background.
        colors: Colours in ascending order of the labels; default: colours that are far apart.
        background: Colour of the background.

    Returns:
        (H, W, 3) float32 RGB in [0, 1].

    Raises:
        InputError: For too few colours, and for colours that are too similar.
    """
    instances = read_labels(labels, "Labels")
    rest = parse_color(background)
    present = np.unique(instances[instances > 0])
    wanted = far_apart(len(present), [rest]) if colors is None else [parse_color(color) for color in colors]
    if len(wanted) < len(present):
        raise InputError(f"There are {len(present)} instances but {len(wanted)} colours; give each its own.")
    used = {f"colour {i}": color for i, color in enumerate(wanted[: len(present)])}
    require_distinct({"the background": rest} | used)
    table = np.array([rest, *used.values()], dtype=np.float32) / np.float32(255)
    return table[np.where(instances > 0, np.searchsorted(present, instances) + 1, 0)]


def decode(
    rgb: ArrayLike,
    background: ColorLike = BLACK,
    background_tau: float = TAU,
    region_tau: float = TAU,
    min_area: float = 2e-4,
    min_core: float = 0.1,
    merge_tau: float = TAU,
    max_spread: float = 5.0,
) -> Answer:
    """Decodes instances, with the five steps of the paper.

    1. Pixels within `background_tau` (0-255) of `background` are background.
    2. From each seed a region grows over connected pixels within `region_tau` of the colour of the seed.
    3. Regions smaller than `min_area`, a fraction of the image, are dropped.
    4. Regions of which less than the fraction `min_core` survives a 3x3 erosion are dropped.
    5. Regions with mean colours within `merge_tau` are merged, if their joint box is at most `max_spread`
       times as large as both boxes.

    Noise requires a larger `background_tau`: with 12/255 per channel 37 % of the background exceeds 14, 0.3 %
    exceeds 40.

    Raises:
        InputError: For other shapes and types, and for thresholds out of range.
    """
    _require(background_tau > 0 and region_tau > 0, "background_tau and region_tau must be above 0.")
    _require(0 <= min_area <= 1 and 0 <= min_core <= 1, "min_area and min_core are fractions from 0 to 1.")
    _require(merge_tau >= 0 and max_spread >= 0, "merge_tau and max_spread must not be below 0.")
    planes = read_colors(rgb)
    rest = np.array(parse_color(background), dtype=np.float32)
    height, width = planes.shape[1:]
    row = width + 2 * _MARGIN
    # Arrays are made here and not by compiled functions, where each costs compile time.
    colors = np.empty(((height + 2 * _MARGIN) * row, 3), np.float32)
    regions = np.full(len(colors), _OUTSIDE, np.int32)
    _spread(planes, rest, np.float32(background_tau**2), colors, regions)
    neighbours = np.array([y * row + x for y, x in _NEIGHBOURS])
    count = _grow(colors, regions, np.float32(region_tau**2), neighbours, np.empty(len(regions), np.int32))
    area, core = np.zeros((2, count + 1), np.int64)
    box, mean = np.empty((count + 1, 4), np.int64), np.zeros((count + 1, 3))
    _measure(colors, regions, row, area, core, box, mean)
    kept = (area >= min_area * height * width) & (core >= min_core * area) & (area > 0)
    _require(kept.sum() <= MAX_INSTANCES, "There are more regions than fit into 16 bits; raise min_area.")
    instance, parent = np.zeros(count + 1, np.int64), np.arange(count + 1)
    names = np.flatnonzero(kept)
    _merge(names, box, mean, np.float64(merge_tau**2), np.float64(max_spread), parent, instance)
    mean[0] = rest
    reach = np.full(count + 1, 2.0 * region_tau)
    reach[0] = 2.0 * background_tau
    labels, confidence = np.zeros((height, width), np.uint16), np.zeros((height, width), np.float32)
    _label(colors, regions, instance, mean, reach, labels, confidence)
    return Answer(labels, confidence)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


@njit(inline="always")
def _distance2(colors: NDArray[np.floating], p: int, r: float, g: float, b: float) -> float:
    x, y, z = colors[p, 0] - r, colors[p, 1] - g, colors[p, 2] - b
    return x * x + y * y + z * z


@njit(cache=True, nogil=True)
def _spread(
    planes: NDArray[np.float32],
    background: NDArray[np.float32],
    tau2: np.float32,
    colors: NDArray[np.float32],
    regions: NDArray[np.int32],
) -> None:
    """Writes colours 0-255 and regions as one row with its margin; only the background is assigned."""
    _, height, width = planes.shape
    row = width + 2 * _MARGIN
    r, g, b = background
    for y in range(height):
        for x in range(width):
            p = (y + _MARGIN) * row + x + _MARGIN
            for c in range(3):
                colors[p, c] = np.float32(255) * planes[c, y, x]
            regions[p] = 0 if _distance2(colors, p, r, g, b) < tau2 else _UNREAD


@njit(cache=True, nogil=True)
def _grow(
    colors: NDArray[np.float32],
    regions: NDArray[np.int32],
    tau2: np.float32,
    neighbours: NDArray[np.int64],
    stack: NDArray[np.int32],
) -> int:
    """Numbers the regions in raster order of their seeds, from 1, and returns their number."""
    count = 0
    for seed in range(len(regions)):
        r, g, b = colors[seed]
        if regions[seed] != _UNREAD or np.isnan(r + g + b):  # NaN stays unread
            continue
        count += 1
        regions[seed] = count
        stack[0] = seed
        waiting = 1
        while waiting:
            waiting -= 1
            at = stack[waiting]
            for neighbour in neighbours:
                p = at + neighbour
                if regions[p] == _UNREAD and _distance2(colors, p, r, g, b) <= tau2:
                    regions[p] = count
                    stack[waiting] = p
                    waiting += 1
    return count


@njit(cache=True, nogil=True)
def _measure(
    colors: NDArray[np.float32],
    regions: NDArray[np.int32],
    row: int,
    area: NDArray[np.int64],
    core: NDArray[np.int64],
    box: NDArray[np.int64],
    mean: NDArray[np.float64],
) -> None:
    """Writes the areas of the regions, their eroded areas, boxes (top, left, bottom, right), mean colours."""
    for k in range(len(area)):
        box[k, 0], box[k, 1], box[k, 2], box[k, 3] = len(regions), row, -1, -1
    for p in range(len(regions)):
        k = regions[p]
        if k <= 0:
            continue
        y, x = p // row, p % row
        area[k] += 1
        box[k, 0] = min(box[k, 0], y)
        box[k, 1] = min(box[k, 1], x)
        box[k, 2] = max(box[k, 2], y)
        box[k, 3] = max(box[k, 3], x)
        for c in range(3):
            mean[k, c] += colors[p, c]
        inner = True
        for above in (p - row, p, p + row):
            for other in range(above - 1, above + 2):
                inner &= (regions[other] == k) | (regions[other] == _OUTSIDE)
        core[k] += inner
    for k in range(1, len(area)):
        for c in range(3):
            mean[k, c] /= area[k]


@njit(cache=True, nogil=True)
def _merge(
    names: NDArray[np.int64],
    box: NDArray[np.int64],
    mean: NDArray[np.float64],
    tau2: float,
    max_spread: float,
    parent: NDArray[np.int64],
    instance: NDArray[np.int64],
) -> None:
    """Writes the instance, from 1, of each region in `names`; of joined regions the first is the root."""
    for i in range(len(names)):
        for j in range(i):
            a, b = names[i], names[j]
            if _distance2(mean, a, mean[b, 0], mean[b, 1], mean[b, 2]) > tau2:
                continue
            if _joint_area(box, a, b) <= max_spread * (_joint_area(box, a, a) + _joint_area(box, b, b)):
                one, other = _root(parent, a), _root(parent, b)
                parent[max(one, other)] = min(one, other)
    count = 0
    for name in names:
        root = _root(parent, name)
        count += root == name
        instance[name] = count if root == name else instance[root]


@njit(inline="always")
def _joint_area(box: NDArray[np.int64], a: int, b: int) -> int:
    height = max(box[a, 2], box[b, 2]) - min(box[a, 0], box[b, 0]) + 1
    width = max(box[a, 3], box[b, 3]) - min(box[a, 1], box[b, 1]) + 1
    return height * width


@njit(inline="always")
def _root(parent: NDArray[np.int64], name: np.signedinteger) -> np.signedinteger:
    while parent[name] != name:
        parent[name] = parent[parent[name]]
        name = parent[name]
    return name


@njit(cache=True, nogil=True)
def _label(
    colors: NDArray[np.float32],
    regions: NDArray[np.int32],
    instance: NDArray[np.int64],
    mean: NDArray[np.float64],
    reach: NDArray[np.float64],
    labels: NDArray[np.uint16],
    confidence: NDArray[np.float32],
) -> None:
    """Writes labels and confidence (H, W): 0 at the distance `reach` from the mean colour of the region."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            p = (y + _MARGIN) * (width + 2 * _MARGIN) + x + _MARGIN
            k = regions[p]
            if k == 0 or (k > 0 and instance[k] > 0):
                labels[y, x] = instance[k]
                away = np.sqrt(_distance2(colors, p, mean[k, 0], mean[k, 1], mean[k, 2]))
                confidence[y, x] = max(0.0, 1 - away / reach[k])


class InstancesTask(Task):
    """Instance segmentation of one class. `Words.color` is the colour of the background."""

    name = "instances"
    PHRASINGS = PHRASINGS
    Answer = Answer
    field = "labels"
    takes = "class"
    publishes = (Output("instances/mask", "16UC1", "labels"),)
    stem = "instances"
    may_be_empty = True
    free_colors = True

    def instruction(self, words: Words) -> str:
        """See `Task.instruction`."""
        return instruction(words.need("expression", "class"), _background(words))

    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """See `Task.encode`."""
        return encode(truth, background=_background(words))

    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """See `Task.decode`."""
        return decode(rgb, _background(words), **thresholds)

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """See `Task.writes`."""
        return {".png": answer.labels}


def _background(words: Words) -> ColorLike:
    return BLACK if words.color is None else words.color
