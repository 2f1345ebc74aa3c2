# SPDX-License-Identifier: Apache-2.0
"""Masks as detections.

Each thing with its class, score and box, and where depth is known with a box in space.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from vision_banana_ros.perception.geometry import Intrinsics

LEAST_PART = 2e-4
"""Of the picture; what covers less is speckle, as in the task instances."""
SPECKLE = 0.1
"""Pieces of a mask smaller than this part of its largest piece do not stretch its box."""
LEAST_POINTS = 20
"""A box in space of fewer says nothing."""
ENOUGH_POINTS = 10_000
OFF = 3.0
"""Points farther from the median depth than so many standard deviations (by the median deviation) belong
to what lies behind."""
LEAST_DEVIATION = 0.05
"""Of the median depth: what a flat thing may deviate by nevertheless."""
LEVEL_UP = (0.0, -1.0, 0.0)
"""Up in the optical frame of a level camera."""


@dataclass(frozen=True)
class Solid:
    """A box around the points that are seen of a thing: its far side is not among them.

    center: metres in the optical frame. size: metres along the box's own axes, x away from the camera, y to
    the left, z up. orientation: quaternion x, y, z, w that turns the box's axes into the optical frame's.
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    orientation: tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """A thing in one frame.

    name: its class, or the expression that it was asked for by. score: 0..1, the mean confidence of its
    pixels. box: left, top, width and height in pixels. solid: None where the camera or its depth is not
    known.
    """

    name: str
    score: float
    box: tuple[int, int, int, int]
    solid: Solid | None = None


def detections(
    answers: Mapping[str, Sequence[Any]],
    instances_class: str,
    expressions: Sequence[str],
    intrinsics: Intrinsics | None,
    up: tuple[float, float, float] = LEVEL_UP,
) -> list[Detection]:
    """The things in a frame's answers, instances first.

    Args:
        answers: By task, on one pixel grid: `instances` and `referring` are told apart, `depth` in metres
            gives their solids.
        instances_class: The class that instances were asked for.
        expressions: In the order of the answers of `referring`; each is one thing.
        intrinsics: Of the camera on that grid.
        up: Unit vector in the optical frame; boxes stand upright along it.
    """
    depth_m = answers["depth"][0].depth_m if answers.get("depth") else None
    found = []
    for answer in answers.get("instances", ()):
        for label, place in enumerate(ndimage.find_objects(answer.labels), 1):
            if place is not None:
                found.append((instances_class, answer.labels[place] == label, place, answer.confidence))
    for name, answer in zip(expressions, answers.get("referring", ()), strict=False):
        whole = (slice(0, answer.mask.shape[0]), slice(0, answer.mask.shape[1]))
        found.append((name, without_speckle(answer.mask), whole, answer.confidence))
    out = []
    for name, mask, place, confidence in found:
        if np.count_nonzero(mask) < max(1, LEAST_PART * confidence.size):
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, left = place[0].start + int(rows[0]), place[1].start + int(columns[0])
        box = left, top, int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1
        solid = (
            None if depth_m is None or intrinsics is None else _solid(mask, place, depth_m, intrinsics, up)
        )
        out.append(Detection(name, float(confidence[place][mask].mean()), box, solid))
    return out


def without_speckle(mask: np.ndarray) -> np.ndarray:
    """A (H, W) bool mask with its largest connected piece and those not much smaller."""
    pieces, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if pieces < 3:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= SPECKLE * areas.max()
    kept[0] = False
    return kept[labels]


def _solid(
    mask: np.ndarray,
    place: tuple[slice, slice],
    depth_m: np.ndarray,
    k: Intrinsics,
    up: tuple[float, float, float],
) -> Solid | None:
    # The outermost pixels mix the thing's depth with that of what is behind.
    inner = ndimage.binary_erosion(mask)
    z = depth_m[place]
    rows, columns = np.nonzero(
        (inner if 2 * np.count_nonzero(inner) > np.count_nonzero(mask) else mask) & np.isfinite(z)
    )
    step = 1 + rows.size // ENOUGH_POINTS
    rows, columns = rows[::step], columns[::step]
    z = z[rows, columns].astype(np.float64)
    if z.size < LEAST_POINTS:
        return None
    middle = float(np.median(z))
    deviation = max(1.4826 * float(np.median(np.abs(z - middle))), LEAST_DEVIATION * middle)
    near = np.abs(z - middle) <= OFF * deviation
    rows, columns, z = rows[near] + place[0].start, columns[near] + place[1].start, z[near]
    points = np.stack([(columns - k.cx) / k.fx * z, (rows - k.cy) / k.fy * z, z], axis=1)
    return upright_box(points, np.array(up)) if len(points) >= LEAST_POINTS else None


def upright_box(points: np.ndarray, up: np.ndarray) -> Solid:
    """The box around (N, 3) metres in the optical frame that stands upright along the unit vector `up`.

    Its base is the smallest rectangle (OpenCV's minAreaRect). Of the base's four directions, x is the one
    that points most away from the camera.
    """
    away = points.mean(axis=0)
    away -= (away @ up) * up
    if np.linalg.norm(away) < 1e-6:  # right above or below: any direction will do
        away = np.cross(up, [1.0, 0.0, 0.0])
    away /= np.linalg.norm(away)
    left = np.cross(up, away)
    flat = np.stack([points @ away, points @ left], axis=1)
    origin = flat.mean(axis=0)  # OpenCV computes in float32
    (u, v), (width, height), angle = cv2.minAreaRect((flat - origin).astype(np.float32))
    yaw = math.radians(angle)
    while yaw > math.pi / 4:
        yaw, width, height = yaw - math.pi / 2, height, width
    while yaw < -math.pi / 4:
        yaw, width, height = yaw + math.pi / 2, height, width
    heights = points @ up
    middle = (heights.min() + heights.max()) / 2
    center = (u + origin[0]) * away + (v + origin[1]) * left + middle * up
    x = math.cos(yaw) * away + math.sin(yaw) * left
    turn = np.stack([x, np.cross(up, x), up], axis=1)
    return Solid(
        (float(center[0]), float(center[1]), float(center[2])),
        (float(width), float(height), float(heights.max() - heights.min())),
        quaternion(turn),
    )


def quaternion(turn: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, z, w of a (3, 3) rotation (Markley 2008, "Unit quaternion from rotation matrix")."""
    xx, yy, zz = turn.diagonal()
    outer = np.array([
        [1 + xx - yy - zz, turn[1, 0] + turn[0, 1], turn[2, 0] + turn[0, 2], turn[2, 1] - turn[1, 2]],
        [turn[1, 0] + turn[0, 1], 1 - xx + yy - zz, turn[2, 1] + turn[1, 2], turn[0, 2] - turn[2, 0]],
        [turn[2, 0] + turn[0, 2], turn[2, 1] + turn[1, 2], 1 - xx - yy + zz, turn[1, 0] - turn[0, 1]],
        [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1], 1 + xx + yy + zz],
    ])  # fmt: skip
    lengths = np.linalg.norm(outer, axis=1)
    x, y, z, w = outer[int(lengths.argmax())] / lengths.max()
    return float(x), float(y), float(z), float(w)
