# SPDX-License-Identifier: Apache-2.0
"""Metric depth encoded along the edges of the RGB cube.

Depth d (metres along the Z axis of the camera) is mapped to f = 1 - (1 + d / 10)^-2, and f to a path along
seven edges of the cube, one seventh of f per edge: black (0 m), red, yellow, green, cyan, blue, magenta,
white (infinity). Source: "Image Generators are Generalist Vision Learners", arXiv 2604.20329 (lambda = -3, c
= 10/3).

For training, the same f can be encoded in the colour maps plasma, inferno, viridis or grey, if the prompt
names the map.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import phrasings
from vision_banana_ros.tasks._images import read_colors, read_floats
from vision_banana_ros.tasks.colors import parse_color
from vision_banana_ros.tasks.task import Output, Task, Words

PHRASINGS = phrasings.DEPTH

#: RGB distance (0-1) from the map at which a colour says nothing any more. Edges of the walk that do not
#: follow each other are nowhere nearer than 1, so within 1/4 of the walk any wrong part of it is three times
#: as far away. Noise of 10/255 a channel does not reach it; a blend of two depths, as at a blurred edge,
#: often does, rightly.
MAX_DISTANCE = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """Decoded depth.

    Attributes:
        depth_m: (H, W) float32, metres along Z; +inf beyond range, NaN invalid.
        confidence: (H, W) float32, 1 on the map, falling to 0 at `max_distance` from it; 0 where depth is
            NaN.
    """

    depth_m: NDArray[np.float32]
    confidence: NDArray[np.float32]


def _knots(colors: str) -> NDArray[np.float32]:
    knots = np.array([parse_color(f"#{color}") for color in colors.split()], dtype=np.float32)
    return knots / np.float32(255)


#: Each map runs straight between its colours, which are equally spaced in f. Plasma, inferno and viridis are
#: public domain (CC0), by S. van der Walt and N. Smith; 33 colours of each give the others to about 3/255.
COLORMAPS = {
    "cube": _knots("000000 ff0000 ffff00 00ff00 00ffff 0000ff ff00ff ffffff"),
    "grey": _knots("000000 ffffff"),
    "plasma": _knots("""
        0d0887 220690 310596 3f049c 4c02a1 5901a5 6600a7 7201a8 7e03a8 8909a6 9511a2 9f1a9c
        a92396 b22c8e bb3587 c33e80 cb4778 d25071 d9596a e06263 e66c5c eb7555 f07f4f f48a48
        f89441 fb9f3a fdab33 feb72d fdc328 fcd025 f9dd25 f5eb27 f0f921"""),
    "inferno": _knots("""
        000004 040312 0b0724 150b37 210c4a 2e0a5a 3c0965 4a0c6b 57106d 63146e 70196e 7d1e6d
        89226a 962766 a32b61 af315c bb3755 c63e4d d14644 db4f3b e35932 eb6528 f1711e f67f14
        f98d0a fb9c06 fcab0f fbba1f f9ca32 f5d949 f2e865 f3f586 fcffa4"""),
    "viridis": _knots("""
        440154 470d60 48186a 482374 472d7b 453681 424086 3f4989 3b528b 375a8d 33638d 2f6a8e
        2c728e 297a8e 26818e 23898e 21908c 1f988b 1f9f88 21a685 28ae80 31b57b 3ebc74 4cc26c
        5dc963 6ece58 82d34c 96d83f abdc32 c0df24 d5e21a eae51a fde725"""),
}
#: What stands for NaN: mid grey or a corner of the cube, far from the map.
UNREADABLE = {
    "cube": (0.5, 0.5, 0.5),
    "grey": (0.0, 1.0, 0.0),
    "plasma": (0.0, 1.0, 0.0),
    "inferno": (0.0, 1.0, 1.0),
    "viridis": (1.0, 0.0, 0.0),
}
_IN_WORDS = {
    "cube": "cube colour map (black 0 m, red 0.80 m, yellow 1.83 m, lime 3.23 m, cyan 5.28 m, blue 8.71 m, "
    "magenta 16.46 m, white infinity)",
    "grey": "grey colour map (black 0 m, white infinity)",
    "plasma": "plasma colour map (dark blue 0 m, yellow infinity)",
    "inferno": "inferno colour map (black 0 m, pale yellow infinity)",
    "viridis": "viridis colour map (dark purple 0 m, yellow infinity)",
}


def instruction(colormap: str = "cube", *, phrasing: int = 0) -> str:
    """The prompt for depth in a colour map; `phrasing` is an index into `PHRASINGS`."""
    _require_colormap(colormap)
    return phrasings.phrase(PHRASINGS, phrasing, colormap=_IN_WORDS[colormap])


def encode(depth_m: ArrayLike, colormap: str = "cube") -> NDArray[np.float32]:
    """Encodes depth as colours.

    0 becomes the first colour of the map (black), +inf the last one (white). NaN (no measurement) becomes the
    colour in `UNREADABLE`, which decodes to NaN.

    Args:
        depth_m: (H, W) float, metres along Z.
        colormap: Name of the colour map.

    Returns:
        (H, W, 3) float32 RGB in [0, 1].

    Raises:
        InputError: For negative depth, for integers (most likely millimetres), and for other shapes.
    """
    _require_colormap(colormap)
    depth = read_floats(depth_m, "Depth")
    if np.any(depth < 0):
        raise InputError(f"Depth must not be negative, as {np.nanmin(depth)} is; mark missing truth as NaN.")
    missing = np.array(UNREADABLE[colormap], dtype=np.float32)
    return _paint(depth.reshape(-1), COLORMAPS[colormap], missing).reshape(*depth.shape, 3)


def decode(rgb: ArrayLike, max_distance: float = MAX_DISTANCE, colormap: str = "cube") -> Answer:
    """Decodes depth from colours: the nearest point of the map, inverted.

    From `max_distance` (RGB distance, 0-1) on, and for NaN colours, depth is NaN and confidence 0.

    Args:
        rgb: (H, W, 3) uint8, or float in [0, 1]; colours outside are clipped.
        colormap: Name of the colour map.
        max_distance: Distance from the map at which the confidence is 0.

    Raises:
        InputError: For other shapes and types.
    """
    _require_colormap(colormap)
    if not max_distance > 0:
        raise InputError(f"max_distance must be above 0, not {max_distance}.")
    colors = read_colors(rgb)
    flat, limit = colors.reshape(3, -1), np.float32(max_distance)
    depth_m, confidence = (
        read_cube(flat, limit) if colormap == "cube" else read_polyline(flat, limit, COLORMAPS[colormap])
    )
    return Answer(depth_m.reshape(colors.shape[1:]), confidence.reshape(colors.shape[1:]))


def _require_colormap(colormap: str) -> None:
    if colormap not in COLORMAPS:
        raise InputError(f"There is no colour map {colormap!r}; choose one of {', '.join(COLORMAPS)}.")


@njit(cache=True, nogil=True)
def _paint(
    depth: NDArray[np.floating], knots: NDArray[np.float32], missing: NDArray[np.float32]
) -> NDArray[np.float32]:
    rgb = np.empty((depth.size, 3), np.float32)
    edges = len(knots) - 1
    for i in range(depth.size):
        d = np.float64(depth[i])
        if np.isnan(d):
            rgb[i] = missing
            continue
        walked = edges * (1 - (1 + d / 10) ** -2)
        k = min(int(walked), edges - 1)
        for c in range(3):
            start = np.float64(knots[k, c])
            rgb[i, c] = start + (walked - k) * (knots[k + 1, c] - start)
    return rgb


@njit(inline="always")
def _depth(walked: np.float32, left: np.float32) -> np.float32:
    """Inverts f = walked / (walked + left): d = 10 ((1 - f)^-1/2 - 1), rearranged to avoid cancellation."""
    return np.float32(10) * walked / (left + np.sqrt((walked + left) * left))


# error_model="numpy": at white nothing of the walk is left, and a division by zero is infinity.
@njit(cache=True, nogil=True, error_model="numpy")
def read_cube(
    colors: NDArray[np.float32], max_distance: np.float32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Decodes colours of the cube: projects on all seven edges, without branches, so that it is vectorised.

    Args:
        colors: (3, N) RGB in [0, 1].
        max_distance: Distance from the map at which the confidence is 0.

    Returns:
        Depth in metres, NaN for unreadable colours, and confidence, both (N,).
    """
    n = colors.shape[1]
    depth = np.empty(n, np.float32)
    confidence = np.empty(n, np.float32)
    zero, one, nan = np.float32(0), np.float32(1), np.float32(np.nan)
    for i in range(n):
        r, g, b = colors[0, i], colors[1, i], colors[2, i]
        not_r, not_g, not_b = one - r, one - g, one - b
        r2, g2, b2 = r * r, g * g, b * b
        not_r2, not_g2, not_b2 = not_r * not_r, not_g * not_g, not_b * not_b
        # `best`: squared distance to the nearest edge so far. `walked`: the way to its nearest point, in
        # edges.
        best, walked = g2 + b2, r  # black to red
        near = not_r2 + b2 < best  # red to yellow
        best, walked = (not_r2 + b2, one + g) if near else (best, walked)
        near = not_g2 + b2 < best  # yellow to green
        best, walked = (not_g2 + b2, np.float32(2) + not_r) if near else (best, walked)
        near = r2 + not_g2 < best  # green to cyan
        best, walked = (r2 + not_g2, np.float32(3) + b) if near else (best, walked)
        near = r2 + not_b2 < best  # cyan to blue
        best, walked = (r2 + not_b2, np.float32(4) + not_g) if near else (best, walked)
        near = g2 + not_b2 < best  # blue to magenta
        best, walked = (g2 + not_b2, np.float32(5) + r) if near else (best, walked)
        left = np.float32(7) - walked
        near = not_r2 + not_b2 < best  # magenta to white, where `left` has more digits than 7 - walked
        best, walked, left = (not_r2 + not_b2, np.float32(6) + g, not_g) if near else (best, walked, left)
        # The nearest edge does not look at all channels; zero times their sum is NaN if any of them is.
        sure = one - np.sqrt(best + zero * (r + g + b)) / max_distance
        readable = sure > zero
        depth[i] = _depth(walked, left) if readable else nan
        confidence[i] = sure if readable else zero
    return depth, confidence


@njit(cache=True, nogil=True, error_model="numpy")
def read_polyline(
    colors: NDArray[np.float32], max_distance: np.float32, knots: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Decodes colours of any map; as `read_cube`, with the (K, 3) colours of the map."""
    n, edges = colors.shape[1], len(knots) - 1
    depth = np.empty(n, np.float32)
    confidence = np.empty(n, np.float32)
    zero, one = np.float32(0), np.float32(1)
    along = knots[1:] - knots[:-1]
    length2 = (along * along).sum(axis=1)
    for i in range(n):
        best, walked, left = np.float32(np.inf), zero, zero
        for k in range(edges):
            x, y, z = colors[0, i] - knots[k, 0], colors[1, i] - knots[k, 1], colors[2, i] - knots[k, 2]
            t = (x * along[k, 0] + y * along[k, 1] + z * along[k, 2]) / length2[k]
            t = min(max(t, zero), one)
            x, y, z = x - t * along[k, 0], y - t * along[k, 1], z - t * along[k, 2]
            distance2 = x * x + y * y + z * z
            if distance2 < best:
                best, walked, left = distance2, np.float32(k) + t, np.float32(edges - 1 - k) + (one - t)
        sure = one - np.sqrt(best) / max_distance
        readable = sure > zero
        depth[i] = _depth(walked, left) if readable else np.float32(np.nan)
        confidence[i] = sure if readable else zero
    return depth, confidence


class DepthTask(Task):
    """Metric depth in metres along the Z axis of the camera."""

    name = "depth"
    PHRASINGS = PHRASINGS
    Answer = Answer
    field = "depth_m"
    publishes = (Output("depth/image_rect", "32FC1", "depth_m"), Output("depth/color", "rgb8"))
    stem = "depth"
    repeats = True
    tells_upright = True

    def instruction(self, words: Words) -> str:
        """See `Task.instruction`."""
        return instruction()

    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """See `Task.encode`."""
        return encode(truth)

    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """See `Task.decode`."""
        return decode(rgb)

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """See `Task.writes`."""
        return {".npy": answer.depth_m, ".png": millimetres(answer.depth_m)}


def millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Converts (H, W) metres to (H, W) uint16 millimetres.

    0, which means invalid, if 16 bits are not enough.
    """
    with np.errstate(invalid="ignore"):
        mm = np.rint(depth_m * 1000)
    return np.where((mm > 0) & (mm <= 65535), mm, 0).astype(np.uint16)
