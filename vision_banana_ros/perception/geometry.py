# SPDX-License-Identifier: Apache-2.0
"""Camera geometry: intrinsics under resizing, letterboxing, and back-projection of depth to points.

Integer pixel coordinates are pixel centres, as in CameraInfo and OpenCV: the image covers -0.5 .. width -
0.5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError

MAX_SIDE = 8192
"""Of a size in pixels that is asked for."""


def parse_size(text: str) -> tuple[int, int]:
    """Parses '144x192' to (144, 192), height and width.

    Raises InputError unless both are multiples of 16 of at most MAX_SIDE.
    """
    height, _, width = text.partition("x")
    sides = [int(side) for side in (height, width) if side.isdecimal() and len(side) <= 4]
    if len(sides) < 2 or any(side % 16 or not 0 < side <= MAX_SIDE for side in sides):
        raise InputError(
            f"'{text}' is no size: write HEIGHTxWIDTH, both multiples of 16 of at most {MAX_SIDE}."
        )
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
                f"A camera of {self.width}x{self.height} pixels with focal lengths {self.fx}, {self.fy}"
                " cannot be;"
                " all must be above zero. Calibrate it, or give its field of view."
            )

    @classmethod
    def from_fov(cls, width: int, height: int, fov_deg: float) -> "Intrinsics":
        """A camera with square pixels, a centred principal point, and a horizontal field of view."""
        if not 0 < fov_deg < 180:
            raise InputError(
                f"The horizontal field of view must lie between 0 and 180 degrees; it is {fov_deg:g}."
            )
        focal = width / 2 / math.tan(math.radians(fov_deg) / 2)
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @classmethod
    def of(cls, camera: Any) -> "Intrinsics":
        """The intrinsics of a rendered scene's camera."""
        return cls(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)

    def scaled(self, width: int, height: int) -> "Intrinsics":
        """The camera for an image resized to width x height: c' = (c + 0.5) s - 0.5.

        Resizing keeps the image borders, so that pixel centres move by half a pixel. Scaling c itself, as
        some ROS nodes do, shifts every ray by (1 - s) / 2 output pixels.
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
    """Back-projects depth to points in the optical frame (REP 103: x right, y down, z forward).

    The cloud is organised: a pixel without finite depth (NaN, +inf) is NaN in all coordinates.

    Args:
        depth_m: (H, W) float32 metres along Z.
        intrinsics: The camera on the same grid.

    Returns:
        (H, W, 3) float32 metres.

    Raises:
        InputError: If the sizes differ.
    """
    if depth_m.shape != (intrinsics.height, intrinsics.width):
        raise InputError(
            f"The depth is {depth_m.shape[1]}x{depth_m.shape[0]}, the camera"
            f" {intrinsics.width}x{intrinsics.height};"
            " scale the intrinsics to the depth's size."
        )
    k = intrinsics
    return _points(np.ascontiguousarray(depth_m, np.float32), k.fx, k.fy, k.cx, k.cy)


@dataclass(frozen=True)
class Letterbox:
    """The placement of a frame in a canvas with its aspect ratio preserved.

    From (top, left) it covers height x width of the canvas.
    """

    canvas: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def fit(cls, frame: tuple[int, int], canvas: tuple[int, int]) -> "Letterbox":
        """The placement of a frame (height, width) in a canvas (height, width)."""
        scale = min(canvas[0] / frame[0], canvas[1] / frame[1])
        height = min(canvas[0], max(1, round(frame[0] * scale)))
        width = min(canvas[1], max(1, round(frame[1] * scale)))
        return cls(canvas, (canvas[0] - height) // 2, (canvas[1] - width) // 2, height, width)

    @classmethod
    def best(cls, frame: tuple[int, int], canvases: Sequence[tuple[int, int]]) -> "Letterbox":
        """The placement in the canvas on which the frame covers the most pixels; the first one in a tie."""
        return max((cls.fit(frame, canvas) for canvas in canvases), key=lambda box: box.height * box.width)

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """Resizes the frame (H, W, 3) to its part of the canvas."""
        if image.shape[:2] == (self.height, self.width):
            return image
        smaller = self.height <= image.shape[0] and self.width <= image.shape[1]
        return cv2.resize(
            image, (self.width, self.height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        )

    def pad(self, content: np.ndarray) -> np.ndarray:
        """Places the resized frame on the canvas.

        The bars replicate its border, so that they add no edges or colours.
        """
        height, width = self.canvas
        bottom, right = height - self.top - self.height, width - self.left - self.width
        if content.shape[:2] == self.canvas:
            return np.ascontiguousarray(content)
        return cv2.copyMakeBorder(content, self.top, bottom, self.left, right, cv2.BORDER_REPLICATE)

    def crop(self, canvas: np.ndarray) -> np.ndarray:
        """The part of a canvas-sized array that belongs to the frame, C-contiguous."""
        inside = canvas[self.top : self.top + self.height, self.left : self.left + self.width]
        return np.ascontiguousarray(inside)
