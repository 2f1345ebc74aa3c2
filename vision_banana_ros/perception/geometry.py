# SPDX-License-Identifier: Apache-2.0
"""Cameras and pixel grids: intrinsics that follow a resize, the letterbox, and depth into points.

A pixel's integer coordinates name its centre, as in CameraInfo and OpenCV: the image covers -0.5 .. width - 0.5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError


def parse_size(text: str) -> tuple[int, int]:
    """'144x192' -> (144, 192), height and width. Raises InputError where either is no multiple of 16."""
    height, _, width = text.partition("x")
    sides = [int(side) for side in (height, width) if side.isdigit()]
    if len(sides) < 2 or any(side % 16 or not side for side in sides):
        raise InputError(f"'{text}' is no size: write HEIGHTxWIDTH, both multiples of 16.")
    return sides[0], sides[1]


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; fx, fy, cx, cy in pixels of a width x height grid."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0 and self.fx > 0 and self.fy > 0):
            raise InputError(
                f"A camera of {self.width}x{self.height} pixels with focal lengths {self.fx}, {self.fy} cannot be;"
                " all must be above zero. Calibrate it, or give its field of view."
            )

    @classmethod
    def from_fov(cls, width: int, height: int, fov_deg: float) -> "Intrinsics":
        """Square pixels, the axis through the image's centre, and `fov_deg` from the left edge to the right one."""
        if not 0 < fov_deg < 180:
            raise InputError(f"The horizontal field of view must lie between 0 and 180 degrees; it is {fov_deg:g}.")
        focal = width / 2 / math.tan(math.radians(fov_deg) / 2)
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @classmethod
    def of(cls, camera: Any) -> "Intrinsics":
        """Of a rendered scene's camera."""
        return cls(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)

    def scaled(self, width: int, height: int) -> "Intrinsics":
        """The same camera with its image resized to width x height: c' = (c + 0.5) s - 0.5.

        This is what our own resizing does: the image's borders stay borders, so centres move by the half pixel. Scaling
        c itself, as some ROS nodes do, shifts every ray by (1 - s) / 2 output pixels.
        """
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return Intrinsics(width, height, self.fx * sx, self.fy * sy, cx, cy)


@njit(cache=True, nogil=True)
def _points(depth_m, fx, fy, cx, cy):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    height, width = depth_m.shape
    out = np.empty((height, width, 3), np.float32)
    columns = np.empty(width, np.float32)
    for u in range(width):
        columns[u] = (u - cx) / fx
    for v in range(height):
        row = np.float32((v - cy) / fy)
        for u in range(width):
            z = depth_m[v, u] if np.isfinite(depth_m[v, u]) else np.float32(np.nan)
            out[v, u, 0] = columns[u] * z
            out[v, u, 1] = row * z
            out[v, u, 2] = z
    return out


def points(depth_m: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """(H, W) float32 metres along Z -> (H, W, 3) float32 in the optical frame (REP 103: x right, y down, z forward).

    The cloud stays organised: a pixel without a finite depth (NaN, +inf) is three NaN. InputError where sizes differ.
    """
    if depth_m.shape != (intrinsics.height, intrinsics.width):
        raise InputError(
            f"The depth is {depth_m.shape[1]}x{depth_m.shape[0]}, the camera {intrinsics.width}x{intrinsics.height};"
            " scale the intrinsics to the depth's size."
        )
    k = intrinsics
    return _points(np.ascontiguousarray(depth_m, np.float32), k.fx, k.fy, k.cx, k.cy)


@dataclass(frozen=True)
class Letterbox:
    """A frame fitted into a canvas with its aspect kept.

    From (top, left) it covers height x width of the canvas.
    """

    canvas: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def fit(cls, frame: tuple[int, int], canvas: tuple[int, int]) -> "Letterbox":
        """For a frame of (height, width) in a canvas of (height, width)."""
        scale = min(canvas[0] / frame[0], canvas[1] / frame[1])
        height = min(canvas[0], max(1, round(frame[0] * scale)))
        width = min(canvas[1], max(1, round(frame[1] * scale)))
        return cls(canvas, (canvas[0] - height) // 2, (canvas[1] - width) // 2, height, width)

    @classmethod
    def best(cls, frame: tuple[int, int], canvases: Sequence[tuple[int, int]]) -> "Letterbox":
        """In the canvas on which the frame covers the most pixels; the first of equals."""
        return max((cls.fit(frame, canvas) for canvas in canvases), key=lambda box: box.height * box.width)

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) resized to the part of the canvas that it will cover."""
        if image.shape[:2] == (self.height, self.width):
            return image
        smaller = self.height <= image.shape[0] and self.width <= image.shape[1]
        return cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)

    def pad(self, content: np.ndarray) -> np.ndarray:
        """The resized frame on the canvas.

        The bars repeat its border: they add no edge and no colour of their own.
        """
        height, width = self.canvas
        bottom, right = height - self.top - self.height, width - self.left - self.width
        if content.shape[:2] == self.canvas:
            return np.ascontiguousarray(content)
        return cv2.copyMakeBorder(content, self.top, bottom, self.left, right, cv2.BORDER_REPLICATE)

    def crop(self, canvas: np.ndarray) -> np.ndarray:
        """What lies on the frame, C-contiguous: the bars are cut away."""
        inside = canvas[self.top : self.top + self.height, self.left : self.left + self.width]
        return np.ascontiguousarray(inside)
