# SPDX-License-Identifier: Apache-2.0
"""Resamples answers from the generator's grid to another one, as numbers and never as colours.

No depth, normal or label may be created between surfaces. A value is interpolated only if the 2x2 values
around a pixel belong to one surface. Otherwise the pixel takes the one whose colour in the generator's image
is most similar to the colour of the pixel, so that edges follow the full-resolution image (joint bilateral
upsampling, Kopf 2007, reduced to the best of four). One `Guide` per frame makes this choice for all answers,
so that the edges of depth, labels and masks coincide.

Grids are aligned by their borders: output pixel j is at (j + 0.5) n_in / n_out - 0.5.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError

DEPTH_STEP = 0.1
"""Depths of neighbours that differ by more than this fraction are two surfaces."""

NORMAL_SPREAD = 0.97
"""Four unit normals are one surface where the squared length of their mean is above this: within about 10
degrees."""

# One source pixel away counts as much as 16 grey levels of difference: it settles noise, and is little beside
# an edge.
_DISTANCE_WEIGHT = np.float32(16.0**2)
_ONE = np.float32(1)  # Numba computes `1 - x` in float64


def _axis(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each output pixel the source pixels before and after it, and its position (0..1) between them."""
    x = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0.0, n_in - 1.0)
    # unsigned: Numba then leaves out its test for indices that count from the end
    low = np.minimum(x, max(n_in - 2, 0)).astype(np.uint32)
    high = np.minimum(low + np.uint32(1), np.uint32(n_in - 1))
    return low, high, (x - low).astype(np.float32)


@njit(cache=True, nogil=True)
def _spread(values, y0, y1, x0s, x1s, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Two source rows (., ., channels) at the output's columns, as out[2 * bottom + right, channel].

    The layout is contiguous, so that the following loops are vectorised.
    """
    for c in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[0, c, j] = values[y0, x0s[j], c]
            out[1, c, j] = values[y0, x1s[j], c]
            out[2, c, j] = values[y1, x0s[j], c]
            out[3, c, j] = values[y1, x1s[j], c]


@njit(cache=True, nogil=True)
def _choose(image, small, rows, columns, near, pixels, cost, chosen):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Writes the flat source index of the neighbour that each output pixel takes to `chosen`.

    Arrays are made by the callers, here and below: each that a compiled function makes costs compile time.
    """
    height, width = image.shape[:2]
    stride = np.uint32(small.shape[1])
    y0s, y1s, ys = rows
    x0s, x1s, xs = columns
    left, right = _DISTANCE_WEIGHT * xs * xs, _DISTANCE_WEIGHT * (_ONE - xs) * (_ONE - xs)
    for i in range(height):
        y0, y1, t = y0s[i], y1s[i], ys[i]
        if i == 0 or y0 != y0s[i - 1]:
            _spread(small, y0, y1, x0s, x1s, near)
        for c in range(3):
            for j in range(width):
                pixels[c, j] = image[i, j, c]
        for k in range(4):
            weight = _DISTANCE_WEIGHT * (_ONE - t) * (_ONE - t) if k >= 2 else _DISTANCE_WEIGHT * t * t
            side = right if k % 2 else left
            for j in range(width):
                r, g, b = (
                    pixels[0, j] - near[k, 0, j],
                    pixels[1, j] - near[k, 1, j],
                    pixels[2, j] - near[k, 2, j],
                )
                cost[k, j] = r * r + g * g + b * b + weight + side[j]
        upper_row, lower_row = np.uint32(y0) * stride, np.uint32(y1) * stride
        for j in range(width):
            swap = cost[1, j] < cost[0, j]
            best, upper = (cost[1, j], x1s[j]) if swap else (cost[0, j], x0s[j])
            swap = cost[3, j] < cost[2, j]
            other, lower = (cost[3, j], x1s[j]) if swap else (cost[2, j], x0s[j])
            chosen[i, j] = lower_row + lower if other < best else upper_row + upper


@njit(cache=True, nogil=True)
def _pick(values, chosen, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for i in range(chosen.shape[0]):
        for j in range(chosen.shape[1]):
            out[i, j] = values[chosen[i, j]]


@njit(cache=True, nogil=True)
def _depth(depth_m, chosen, rows, columns, near, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    height, width = chosen.shape
    y0s, y1s, ys = rows
    x0s, x1s, xs = columns
    flat = depth_m.reshape(-1)
    step = np.float32(DEPTH_STEP)
    largest = np.float32(np.finfo(np.float32).max)
    for i in range(height):
        t = ys[i]
        if i == 0 or y0s[i] != y0s[i - 1]:
            _spread(depth_m, y0s[i], y1s[i], x0s, x1s, near)
        for j in range(width):
            out[i, j] = flat[chosen[i, j]]
        for j in range(width):
            a, b, c, d = near[0, 0, j], near[1, 0, j], near[2, 0, j], near[3, 0, j]
            low, high = a if a < b else b, a if a > b else b
            low, high = low if low < c else c, high if high > c else c
            low, high = low if low < d else d, high if high > d else d
            upper, lower = a + (b - a) * xs[j], c + (d - c) * xs[j]
            mean = upper + (lower - upper) * t
            # False for NaN (a + b + c + d carries any NaN), and for inf - inf too.
            one = (high - low <= step * low) & (abs(a + b + c + d) <= largest)
            out[i, j] = mean if one else out[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _normals(normals, chosen, rows, columns, near, mean, surface, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    height, width = chosen.shape
    y0s, y1s, ys = rows
    x0s, x1s, xs = columns
    flat = normals.reshape(-1, 3)
    spread = np.float32(16 * NORMAL_SPREAD)
    for i in range(height):
        t = ys[i]
        if i == 0 or y0s[i] != y0s[i - 1]:
            _spread(normals, y0s[i], y1s[i], x0s, x1s, near)
        for j in range(width):
            s = xs[j]
            ax, ay, az = near[0, 0, j], near[0, 1, j], near[0, 2, j]
            bx, by, bz = near[1, 0, j], near[1, 1, j], near[1, 2, j]
            cx, cy, cz = near[2, 0, j], near[2, 1, j], near[2, 2, j]
            dx, dy, dz = near[3, 0, j], near[3, 1, j], near[3, 2, j]
            sx, sy, sz = ax + bx + cx + dx, ay + by + cy + dy, az + bz + cz + dz
            wa, wb, wc, wd = (_ONE - t) * (_ONE - s), (_ONE - t) * s, t * (_ONE - s), t * s
            x = wa * ax + wb * bx + wc * cx + wd * dx
            y = wa * ay + wb * by + wc * cy + wd * dy
            z = wa * az + wb * bz + wc * cz + wd * dz
            unit = _ONE / np.sqrt(x * x + y * y + z * z)
            one = sx * sx + sy * sy + sz * sz > spread  # false for NaN
            mean[0, j], mean[1, j], mean[2, j] = x * unit, y * unit, z * unit
            surface[j] = one
        for j in range(width):
            k = chosen[i, j]
            for c in range(3):
                out[i, j, c] = mean[c, j] if surface[j] else flat[k, c]


def _floats(*shape: int) -> np.ndarray:
    return np.empty(shape, np.float32)


@dataclass(frozen=True)
class Guide:
    """The mapping from the generator's grid to the pixels of one frame. Made by `Guide.of`."""

    source: tuple[int, int]
    rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    columns: tuple[np.ndarray, np.ndarray, np.ndarray]
    chosen: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, small: np.ndarray) -> "Guide":
        """From the image on the output grid and on the source grid, both (., ., 3) uint8."""
        rows, columns = _axis(small.shape[0], image.shape[0]), _axis(small.shape[1], image.shape[1])
        height, width = image.shape[:2]
        chosen = np.empty((height, width), np.uint32)
        buffers = _floats(4, 3, width), _floats(3, width), _floats(4, width)
        _choose(np.ascontiguousarray(image), np.ascontiguousarray(small), rows, columns, *buffers, chosen)
        return cls(small.shape[:2], rows, columns, chosen)

    def _source(self, values: np.ndarray, dtype: Any) -> np.ndarray:
        if values.shape[:2] != self.source:
            raise InputError(f"The values are {values.shape[:2]}, the guide was made for {self.source}.")
        return np.ascontiguousarray(values, dtype)

    def depth(self, depth_m: np.ndarray) -> np.ndarray:
        """(h, w) metres -> (H, W) float32.

        Bilinear on a surface; one of the four at edges and next to NaN or inf.
        """
        out = _floats(*self.chosen.shape)
        source = self._source(depth_m, np.float32)[..., None]
        _depth(source, self.chosen, self.rows, self.columns, _floats(4, 1, out.shape[1]), out)
        return out

    def normals(self, normals: np.ndarray) -> np.ndarray:
        """(h, w, 3) unit vectors -> (H, W, 3) float32 unit vectors.

        Bilinear on a surface; one of the four elsewhere.
        """
        height, width = self.chosen.shape
        out = _floats(height, width, 3)
        buffers = _floats(4, 3, width), _floats(3, width), np.empty(width, np.bool_)
        _normals(self._source(normals, np.float32), self.chosen, self.rows, self.columns, *buffers, out)
        return out

    def pick(self, values: np.ndarray) -> np.ndarray:
        """(h, w) labels, mask or confidence of any type -> (H, W): always one of the four, never a mean."""
        out = np.empty(self.chosen.shape, values.dtype)
        _pick(self._source(values, values.dtype).reshape(-1), self.chosen, out)
        return out

    def answer(self, answer: Any) -> Any:
        """A task's Answer with all its fields on the output grid."""
        ways = {"depth_m": self.depth, "depth_relative": self.depth, "normals": self.normals}
        moved = {f.name: ways.get(f.name, self.pick)(getattr(answer, f.name)) for f in fields(answer)}
        return replace(answer, **moved)
