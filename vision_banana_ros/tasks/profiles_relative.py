# SPDX-License-Identifier: Apache-2.0
"""Relative depth: its encoding in grey, and its alignment to range measurements.

Two encodings exist, by what the grey value v (0-1) is linear in:

- "inverse": v = a / d + b, near is bright and black is infinitely far (Open Vision Banana);
- "affine": v = a d + b, near is dark (Marigold, arXiv 2312.02145).

a and b are unknown and differ in every image. Metric depth is only available after `align` has estimated them
from range measurements.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks._images import read_colors, read_floats

KINDS = ("inverse", "affine")
#: What is known of `Answer.depth_relative`, by kind. a and b are another frame's other numbers.
MEANINGS = {
    "inverse": "no unit, grows with distance: 1 / metres = a / depth_relative + b, with a and b of each"
    " frame unknown",
    "affine": "no unit, grows with distance: metres = a * depth_relative + b, with a and b of each frame"
    " unknown",
}
#: RGB distance (0-1) from the grey diagonal at which a colour says nothing any more: a sixth of the way to a
#: full colour.
MAX_DISTANCE = 0.25
#: Below half an 8-bit step of grey an inverse depth is none.
NOTHING = 0.5 / 255

MIN_POINTS = 20
AGREE = 0.1  # points within this part of the measured depth speak for an alignment
MIN_SHARE = 0.5  # of the points must agree
TRIES = 128
MAX_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Decoded relative depth. There is no `depth_m`, because the values have no unit.

    Attributes:
        depth_relative: (H, W) float32, non-negative and increasing with distance; 1 / v for inverse grey
            (+inf where it is black), v for affine grey; NaN invalid.
        confidence: (H, W) float32, 1 for a grey, falling to 0 at `MAX_DISTANCE` from any grey; 0 where
            depth_relative is NaN.
    """

    depth_relative: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Scale and shift from the relative depth of one image to metres.

    1 / d (inverse) or d (affine) is scale * v + shift.

    Attributes:
        points: Number of range measurements that agree, of those that were used.
        spread: Their median error, relative to the range.
    """

    kind: str
    scale: float
    shift: float = 0.0
    points: int = 0
    spread: float = 0.0


def encode(depth_m: ArrayLike, kind: str) -> NDArray[np.float32]:
    """Encodes depth as grey, normalised to the range of this image.

    Args:
        depth_m: (H, W) metres. Infinity becomes the farthest grey, NaN becomes green, which decodes to NaN.
        kind: "inverse" or "affine".

    Returns:
        (H, W, 3) float32 RGB in [0, 1].

    Raises:
        InputError: For negative depth.
    """
    _require_kind(kind)
    depth = read_floats(depth_m, "Depth").astype(np.float64)
    if np.any(depth < 0):
        raise InputError(f"Depth must not be negative, as {np.nanmin(depth)} is; mark missing truth as NaN.")
    with np.errstate(divide="ignore"):
        values = 1 / np.maximum(depth, 1e-3) if kind == "inverse" else depth
    finite = np.isfinite(values) & np.isfinite(depth)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 1.0)
    low = 0.0 if kind == "inverse" else low  # so that black stays infinity
    grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    rgb[np.isnan(depth)] = (0, 1, 0)
    return rgb


def decode(rgb: ArrayLike, kind: str, max_distance: float = MAX_DISTANCE) -> Answer:
    """Decodes relative depth from an answer (H, W, 3), uint8 or float in [0, 1], by the nearest grey."""
    _require_kind(kind)
    colors = read_colors(rgb)
    grey = colors.mean(axis=0)
    distance = np.sqrt(((colors - grey) ** 2).sum(axis=0))
    confidence = np.clip(1 - distance / np.float32(max_distance), 0, 1)
    confidence = np.where(np.isfinite(confidence), confidence, 0).astype(np.float32)
    inverse = np.where(grey < NOTHING, np.inf, 1 / np.maximum(grey, NOTHING))
    relative = inverse if kind == "inverse" else grey
    return Answer(np.where(confidence > 0, relative, np.nan).astype(np.float32), confidence)


def align(depth_relative: NDArray[np.floating], measured_m: NDArray[np.floating], kind: str) -> Alignment:
    """Fits scale and shift of an answer to measured depth.

    RANSAC over pairs of points (with fixed random numbers), followed by a least-squares fit to the inliers.

    Raises:
        InputError: For too few points, for points at a single depth, or if less than half of them agree.
    """
    _require_kind(kind)
    if depth_relative.shape != measured_m.shape:
        raise InputError(
            f"The ranges lie on a grid of {measured_m.shape}, the answer on"
            f" {depth_relative.shape}: project them anew."
        )
    known = np.isfinite(measured_m) & (measured_m > 0) & np.isfinite(depth_relative) & (depth_relative >= 0)
    x, d = grey(depth_relative[known].astype(np.float64), kind), measured_m[known].astype(np.float64)
    step = max(1, -(-len(d) // MAX_POINTS))
    x, d = x[::step], d[::step]
    if len(d) < MIN_POINTS:
        raise InputError(
            f"Only {len(d)} ranges fall on readable pixels; {MIN_POINTS} are needed to give"
            " relative depth metres."
        )
    y = 1 / d if kind == "inverse" else d
    best = np.zeros(len(d), bool)
    rng = np.random.default_rng(0)
    for i, j in rng.integers(0, len(d), (TRIES, 2)):
        if abs(x[i] - x[j]) < 1e-6:
            continue
        scale = (y[i] - y[j]) / (x[i] - x[j])
        if scale <= 0:
            continue
        on = _error(scale, y[i] - scale * x[i], x, d, kind) < AGREE
        best = on if on.sum() > best.sum() else best
    if best.sum() < max(MIN_POINTS, MIN_SHARE * len(d)):
        raise InputError(
            f"The ranges do not agree on a scale for relative depth ({int(best.sum())} of {len(d)} do at"
            " most): check where their "
            "sensor is mounted, and let it see near and far things."
        )
    # 1 / d errs most where it is large; weighted by d, all ranges err by the same part of themselves.
    weight = d[best] if kind == "inverse" else 1 / d[best]
    columns = np.stack([x[best], np.ones(int(best.sum()))], axis=1) * weight[:, None]
    scale, shift = np.linalg.lstsq(columns, y[best] * weight, rcond=None)[0]
    if scale <= 0:
        raise InputError(
            "The ranges lie all at one depth, which gives relative depth no scale: let their sensor see"
            " near and far things."
        )
    spread = float(np.median(_error(scale, shift, x[best], d[best], kind)))
    return Alignment(kind, float(scale), float(shift), int(best.sum()), spread)


def metres(depth_relative: NDArray[np.floating], alignment: Alignment) -> NDArray[np.float32]:
    """Metric depth, (H, W) float32.

    NaN where relative depth is NaN or the result would not be positive, +inf where inverse depth vanishes.
    """
    value = alignment.scale * grey(depth_relative.astype(np.float64), alignment.kind) + alignment.shift
    if alignment.kind == "inverse":
        with np.errstate(divide="ignore"):
            depth = np.where(value > 0, 1 / value, np.inf)
    else:
        depth = np.where(value > 0, value, np.nan)
    return np.where(np.isnan(depth_relative), np.nan, depth).astype(np.float32)


def agreeing(
    alignment: Alignment, depth_relative: NDArray[np.floating], measured_m: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Which of the measured depths, in metres, agree with an alignment at their pixels."""
    x = grey(depth_relative.astype(np.float64), alignment.kind)
    return _error(alignment.scale, alignment.shift, x, measured_m, alignment.kind) < AGREE


def grey(depth_relative: NDArray, kind: str) -> NDArray:
    """The grey value (0-1) from which relative depth was decoded."""
    with np.errstate(divide="ignore"):
        return 1 / depth_relative if kind == "inverse" else depth_relative


def _error(scale: float, shift: float, x: NDArray, d: NDArray, kind: str) -> NDArray:
    """The error of the points, relative to their range."""
    value = scale * x + shift
    depth = 1 / np.maximum(value, 1e-6) if kind == "inverse" else value
    return np.abs(depth - d) / d


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"There is no relative depth '{kind}'; choose {' or '.join(KINDS)}.")
