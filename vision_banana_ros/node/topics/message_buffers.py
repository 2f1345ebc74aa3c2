# SPDX-License-Identifier: Apache-2.0
"""Compiled loops that write answers directly into message buffers, one pass each."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numba import njit

from vision_banana_ros.perception import visualization
from vision_banana_ros.tasks.colors import Rgb


@njit(cache=True, nogil=True)
def limit_range(depth_m: np.ndarray, max_range: float) -> None:
    """Sets depth beyond the limit to +inf (REP 117), in place."""
    for i in range(depth_m.shape[0]):
        for j in range(depth_m.shape[1]):
            if depth_m[i, j] > max_range:
                depth_m[i, j] = np.inf


@njit(cache=True, nogil=True)
def optical_normals(normals: np.ndarray, out: np.ndarray) -> None:
    """Rotates normals (H, W, 3) from the frame of the paper to the optical frame (REP 103).

    Y and z change sign.
    """
    for i in range(normals.shape[0]):
        for j in range(normals.shape[1]):
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = normals[i, j, 0], -normals[i, j, 1], -normals[i, j, 2]


@njit(cache=True, nogil=True)
def confidence_bytes(confidence: np.ndarray, out: np.ndarray) -> None:
    """Converts confidence (H, W) from 0..1 to 0..255."""
    for i in range(confidence.shape[0]):
        for j in range(confidence.shape[1]):
            out[i, j] = np.uint8(confidence[i, j] * np.float32(255) + np.float32(0.5))


@njit(cache=True, nogil=True)
def referring_values(
    mask: np.ndarray, confidence: np.ndarray, value: int, best: np.ndarray, out: np.ndarray
) -> None:
    """Writes `value` where the mask is set and more confident than the masks before.

    `best` holds the maximum.
    """
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            if mask[i, j] and confidence[i, j] > best[i, j]:
                best[i, j] = confidence[i, j]
                out[i, j] = value


@njit(cache=True, nogil=True)
def cloud(
    depth_m: np.ndarray,
    image: np.ndarray,
    fx: float,
    fy: float,
    cx: float,
    cy: float,
    xyz: np.ndarray,
    rgb: np.ndarray,
) -> None:
    """Points in the optical frame with colours 0x00RRGGBB; pixels without finite depth are NaN.

    xyz (H, W, 4) float32 and rgb (H, W, 4) uint32 are views of the same memory: x, y, z, colour.
    """
    height, width = depth_m.shape
    columns = np.empty(width, np.float32)
    for j in range(width):
        columns[j] = (j - cx) / fx
    for i in range(height):
        row = np.float32((i - cy) / fy)
        for j in range(width):
            z = depth_m[i, j] if np.isfinite(depth_m[i, j]) else np.float32(np.nan)
            xyz[i, j, 0] = columns[j] * z
            xyz[i, j, 1] = row * z
            xyz[i, j, 2] = z
            r, g, b = np.uint32(image[i, j, 0]), np.uint32(image[i, j, 1]), np.uint32(image[i, j, 2])
            rgb[i, j, 3] = (r << np.uint32(16)) | (g << np.uint32(8)) | b


def depth_color(depth_m: np.ndarray, near: float, far: float, out: np.ndarray) -> None:
    """`visualization.depth_picture` with a lookup table.

    Depths with the same upper 7 bits of mantissa (0.8 %) share a colour.
    """
    _look_up(np.ascontiguousarray(depth_m).view(np.uint32), _depth_table(near, far), out)


@lru_cache(maxsize=4)
def _depth_table(near: float, far: float) -> np.ndarray:
    """The colour of every float32 by its upper 16 bits."""
    depths = (np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)).view(np.float32)
    return visualization.depth_picture(depths[None], near, far)[0]


@njit(cache=True, nogil=True)
def _look_up(bits: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            entry = bits[i, j] >> np.uint32(16)
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = table[entry, 0], table[entry, 1], table[entry, 2]


def normals_color(normals: np.ndarray, out: np.ndarray) -> None:
    """Encodes normals (H, W, 3) in the frame of the paper as colours; NaN is black."""
    _normals_color(normals.reshape(-1), out.reshape(-1))


@njit(cache=True, nogil=True)
def _normals_color(values: np.ndarray, out: np.ndarray) -> None:
    # Flat, and without a branch on the data, so that the compiler handles many values at once: five times as
    # fast.
    zero, full, half, scale = np.float32(0), np.float32(255), np.float32(128), np.float32(127.5)
    for i in range(len(values) // 3):
        for c in range(3):
            value = values[3 * i + c]
            level = half - value * scale if c == 0 else half + value * scale
            level = level if level > zero else zero  # NaN too
            out[3 * i + c] = np.int32(level if level < full else full)


def overlay(image: np.ndarray, labels: np.ndarray, legend: Mapping[str, Rgb], out: np.ndarray) -> None:
    """Blends the image with 60 % of the class colours; unlabelled pixels are unchanged."""
    _overlay(image, labels, _tints(tuple(legend.values())), out)


@lru_cache(maxsize=4)
def _tints(colors: tuple[Rgb, ...]) -> np.ndarray:
    """The blended values by class (the last one: unlabelled), channel and pixel value.

    (classes + 1, 3, 256).
    """
    levels = np.arange(256)
    tinted = [[2 * levels + 3 * channel for channel in color] for color in colors] + [[5 * levels] * 3]
    return ((np.array(tinted) + 2) // 5).astype(np.uint8)


@njit(cache=True, nogil=True)
def _overlay(image: np.ndarray, labels: np.ndarray, tints: np.ndarray, out: np.ndarray) -> None:
    none = len(tints) - 1
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            label = min(labels[i, j], none)
            for c in range(3):
                out[i, j, c] = tints[label, c, image[i, j, c]]
