# SPDX-License-Identifier: Apache-2.0
"""Answers from the generator's grid onto another one, as numbers and never as colours.

Between surfaces no depth, normal or label may be invented. So a value is interpolated only where the 2x2 values around
a pixel belong to one surface; elsewhere the pixel takes one of the four: the one whose colour in the picture that the
generator saw is nearest to the pixel's own colour. Edges then follow the full-resolution picture (joint bilateral
upsampling, Kopf 2007, cut down to the best of four). One `Guide` a frame makes that choice for every answer, so that
the edges of depth, labels and masks coincide.

Grids are aligned by their borders: output pixel j lies at (j + 0.5) n_in / n_out - 0.5.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError

DEPTH_STEP = 0.1
"""Depths of neighbours that differ by more than this fraction are two surfaces."""

NORMAL_SPREAD = 0.97
"""Four unit normals are one surface where the squared length of their mean is above this: within about 10 degrees."""

# One source pixel away counts as much as 16 grey levels of difference: it settles noise, and is little beside an edge.
_DISTANCE_WEIGHT = np.float32(16.0**2)
_ONE = np.float32(1)  # Numba computes `1 - x` in float64


@njit(cache=True, nogil=True)
def _axis(n_in, n_out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """For each output pixel: the source pixels before and behind it, and how far (0..1) it lies between them."""
    low = np.empty(n_out, np.uint32)  # unsigned: Numba then leaves out its test for indices that count from the end
    high = np.empty(n_out, np.uint32)
    part = np.empty(n_out, np.float32)
    for j in range(n_out):
        x = min(max((j + 0.5) * n_in / n_out - 0.5, 0.0), n_in - 1.0)
        low[j] = min(int(x), max(n_in - 2, 0))
        high[j] = min(low[j] + 1, n_in - 1)
        part[j] = x - low[j]
    return low, high, part


@njit(cache=True, nogil=True)
def _cost(r, g, b, small, y, x):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    dr = r - np.float32(small[y, x, 0])
    dg = g - np.float32(small[y, x, 1])
    db = b - np.float32(small[y, x, 2])
    return dr * dr + dg * dg + db * db


@njit(cache=True, nogil=True)
def _choose(image, small, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The flat index in the source of the neighbour that each output pixel takes."""
    height, width = image.shape[:2]
    stride = small.shape[1]
    y0s, y1s, ys = rows
    x0s, x1s, xs = columns
    chosen = np.empty((height, width), np.uint32)
    for i in range(height):
        y0, y1, t = y0s[i], y1s[i], ys[i]
        top, bottom = _DISTANCE_WEIGHT * t * t, _DISTANCE_WEIGHT * (_ONE - t) * (_ONE - t)
        for j in range(width):
            x0, x1, s = x0s[j], x1s[j], xs[j]
            left, right = _DISTANCE_WEIGHT * s * s, _DISTANCE_WEIGHT * (_ONE - s) * (_ONE - s)
            r, g, b = np.float32(image[i, j, 0]), np.float32(image[i, j, 1]), np.float32(image[i, j, 2])
            c00 = _cost(r, g, b, small, y0, x0) + top + left
            c01 = _cost(r, g, b, small, y0, x1) + top + right
            c10 = _cost(r, g, b, small, y1, x0) + bottom + left
            c11 = _cost(r, g, b, small, y1, x1) + bottom + right
            upper, lower = y0 * stride + x0, y1 * stride + x0
            if c01 < c00:
                c00, upper = c01, y0 * stride + x1
            if c11 < c10:
                c10, lower = c11, y1 * stride + x1
            chosen[i, j] = lower if c10 < c00 else upper
    return chosen


@njit(cache=True, nogil=True)
def _pick(values, chosen, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for i in range(chosen.shape[0]):
        for j in range(chosen.shape[1]):
            out[i, j] = values[chosen[i, j]]


@njit(cache=True, nogil=True)
def _depth(depth_m, chosen, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    height, width = chosen.shape
    flat = depth_m.ravel()
    y0s, y1s, ys = rows
    x0s, x1s, xs = columns
    out = np.empty((height, width), np.float32)
    for i in range(height):
        y0, y1, t = y0s[i], y1s[i], ys[i]
        for j in range(width):
            x0, x1, s = x0s[j], x1s[j], xs[j]
            a, b = depth_m[y0, x0], depth_m[y0, x1]
            c, d = depth_m[y1, x0], depth_m[y1, x1]
            near, far = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
            # Written so that NaN fails it (a + b + c + d carries any NaN), and inf - inf too.
            if far - near <= DEPTH_STEP * near and np.isfinite(a + b + c + d):
                upper, lower = a + (b - a) * s, c + (d - c) * s
                out[i, j] = upper + (lower - upper) * t
            else:
                out[i, j] = flat[chosen[i, j]]
    return out


@njit(cache=True, nogil=True)
def _normals(normals, chosen, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    height, width = chosen.shape
    flat = normals.reshape(-1, 3)
    spread = np.float32(16 * NORMAL_SPREAD)
    y0s, y1s, ys = rows
    x0s, x1s, xs = columns
    out = np.empty((height, width, 3), np.float32)
    for i in range(height):
        y0, y1, t = y0s[i], y1s[i], ys[i]
        for j in range(width):
            x0, x1, s = x0s[j], x1s[j], xs[j]
            ax, ay, az = normals[y0, x0, 0], normals[y0, x0, 1], normals[y0, x0, 2]
            bx, by, bz = normals[y0, x1, 0], normals[y0, x1, 1], normals[y0, x1, 2]
            cx, cy, cz = normals[y1, x0, 0], normals[y1, x0, 1], normals[y1, x0, 2]
            dx, dy, dz = normals[y1, x1, 0], normals[y1, x1, 1], normals[y1, x1, 2]
            sx, sy, sz = ax + bx + cx + dx, ay + by + cy + dy, az + bz + cz + dz
            if sx * sx + sy * sy + sz * sz > spread:  # false for NaN
                wa, wb, wc, wd = (_ONE - t) * (_ONE - s), (_ONE - t) * s, t * (_ONE - s), t * s
                x = wa * ax + wb * bx + wc * cx + wd * dx
                y = wa * ay + wb * by + wc * cy + wd * dy
                z = wa * az + wb * bz + wc * cz + wd * dz
                unit = _ONE / np.sqrt(x * x + y * y + z * z)
                out[i, j, 0], out[i, j, 1], out[i, j, 2] = x * unit, y * unit, z * unit
            else:
                k = chosen[i, j]
                out[i, j, 0], out[i, j, 1], out[i, j, 2] = flat[k, 0], flat[k, 1], flat[k, 2]
    return out


@dataclass(frozen=True)
class Guide:
    """How the pixels of one frame take their values from the generator's grid. Make it by `Guide.of`."""

    source: tuple[int, int]
    rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    columns: tuple[np.ndarray, np.ndarray, np.ndarray]
    chosen: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, small: np.ndarray) -> "Guide":
        """From the picture on the output grid and the same picture on the source grid, both (., ., 3) uint8."""
        rows, columns = _axis(small.shape[0], image.shape[0]), _axis(small.shape[1], image.shape[1])
        return cls(
            small.shape[:2],
            rows,
            columns,
            _choose(np.ascontiguousarray(image), np.ascontiguousarray(small), rows, columns),
        )

    def _source(self, values: np.ndarray, dtype: Any) -> np.ndarray:
        if values.shape[:2] != self.source:
            raise InputError(f"The values are {values.shape[:2]}, the guide was made for {self.source}.")
        return np.ascontiguousarray(values, dtype)

    def depth(self, depth_m: np.ndarray) -> np.ndarray:
        """(h, w) metres -> (H, W) float32: bilinear on a surface, one of the four at edges and beside NaN or inf."""
        return _depth(self._source(depth_m, np.float32), self.chosen, self.rows, self.columns)

    def normals(self, normals: np.ndarray) -> np.ndarray:
        """(h, w, 3) unit vectors -> (H, W, 3) float32, unit too: bilinear on a surface, one of the four elsewhere."""
        return _normals(self._source(normals, np.float32), self.chosen, self.rows, self.columns)

    def pick(self, values: np.ndarray) -> np.ndarray:
        """(h, w) labels, mask or confidence of any type -> (H, W): always one of the four, never a mean."""
        out = np.empty(self.chosen.shape, values.dtype)
        _pick(self._source(values, values.dtype).reshape(-1), self.chosen, out)
        return out

    def answer(self, answer: Any) -> Any:
        """A task's Answer, every field of it on the output grid."""
        ways = {"depth_m": self.depth, "normals": self.normals}
        moved = {f.name: ways.get(f.name, self.pick)(getattr(answer, f.name)) for f in fields(answer)}
        return replace(answer, **moved)
