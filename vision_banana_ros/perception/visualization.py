# SPDX-License-Identifier: Apache-2.0
"""Visualisation of answers. The pictures are not meant to be decoded."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vision_banana_ros.errors import InputError

RGB = tuple[int, int, int]
BEYOND: RGB = (235, 235, 235)
"""Where depth is +inf."""

_LEVELS = np.arange(255, -1, -1, dtype=np.uint8)[None]
_TURBO = cv2.cvtColor(cv2.applyColorMap(_LEVELS, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)[0]


def depth_range(depth_m: np.ndarray) -> tuple[float, float]:
    """The 2nd and 98th percentiles of a depth map in metres; (0.1, 10) if nothing is finite."""
    finite = depth_m[np.isfinite(depth_m) & (depth_m > 0)]
    if finite.size == 0:
        return 0.1, 10.0
    near, far = (float(v) for v in np.percentile(finite, (2, 98)))
    return near, max(far, near * 1.05)


def depth_picture(depth_m: np.ndarray, near: float, far: float) -> np.ndarray:
    """(H, W) metres -> (H, W, 3) uint8 in turbo on a logarithmic scale, red at `near`, blue at `far`.

    Depths outside are clipped; NaN is black, +inf light grey.
    """
    if not 0 < near < far:
        raise InputError(
            f"The range of a depth picture must satisfy 0 < near < far; it is {near:g} to {far:g}."
        )
    finite = np.isfinite(depth_m)
    inside = np.clip(np.where(finite, depth_m, near), near, far)
    level = (np.log(inside / near) * (255 / np.log(far / near)) + 0.5).astype(np.uint8)
    picture = _TURBO[level]
    picture[~finite] = 0
    picture[np.isposinf(depth_m)] = BEYOND
    return picture


def labels_overlay(
    image: np.ndarray, labels: np.ndarray, legend: Mapping[str, RGB], strength: float = 0.6
) -> np.ndarray:
    """Blends the image with the class colours.

    Unlabelled pixels (255, or not in the legend) are unchanged.
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(legend)] = list(legend.values())
    return _tint(image, table[labels], labels < len(legend), strength)


def instances_overlay(image: np.ndarray, labels: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """Blends the image with one colour per instance; the background (0) is unchanged."""
    # Steps of the golden ratio on the colour circle keep consecutive numbers far apart.
    hue = (np.arange(int(labels.max(initial=0)) + 1) * 0.618034 % 1 * 180).astype(np.uint8)
    hsv = np.stack([hue, np.full_like(hue, 220), np.full_like(hue, 255)], axis=-1)
    table = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    return _tint(image, table[labels], labels > 0, strength)


def mask_overlay(image: np.ndarray, mask: np.ndarray, color: RGB, strength: float = 0.6) -> np.ndarray:
    """The image with `mask` tinted and outlined in `color`, and the rest darkened."""
    picture = _tint(image // 2, np.broadcast_to(np.array(color, np.uint8), image.shape), mask, strength)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, outlines, -1, color, max(1, image.shape[1] // 320))


def _tint(image: np.ndarray, color: np.ndarray, where: np.ndarray, strength: float) -> np.ndarray:
    mixed = cv2.addWeighted(image, 1 - strength, np.ascontiguousarray(color), strength, 0)
    return np.where(where[..., None], mixed, image)


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet: title, note, picture, and the colours of its legend."""

    title: str
    picture: np.ndarray
    note: str = ""
    legend: Mapping[str, RGB] | None = None


_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _GREY, _PAPER = (25, 25, 25), (105, 105, 105), (250, 250, 250)
_MARGIN, _TITLE, _NOTE, _ROW = 16, 30, 22, 24
MOST_HEIGHT = 1920
"""Of a picture in a sheet. A picture of one column would otherwise take gigabytes."""


def sheet(tiles: Sequence[Tile], title: str = "", columns: int = 3, tile_width: int = 480) -> np.ndarray:
    """Arranges tiles in rows of `columns`, with titles above and notes and legends below.

    (H, W, 3) uint8 RGB.

    All pictures are scaled to `tile_width`, or to MOST_HEIGHT where that is lower, and aligned at the top of
    their row.
    """
    if not tiles:
        raise InputError("A sheet needs at least one tile; ask at least one question.")
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    across = min(columns, len(tiles))
    width = _MARGIN + across * (tile_width + _MARGIN)
    parts = [_heading(title, width)] if title else []
    parts += [_row(row, width, tile_width) for row in rows]
    parts.append(np.full((_MARGIN, width, 3), _PAPER, np.uint8))
    return np.concatenate(parts)


def _heading(title: str, width: int) -> np.ndarray:
    strip = np.full((_MARGIN + 28, width, 3), _PAPER, np.uint8)
    _write(strip, title, _MARGIN, _MARGIN + 20, 0.75, _INK, 2)
    return strip


def _row(tiles: Sequence[Tile], width: int, tile_width: int) -> np.ndarray:
    cells = [_cell(tile, tile_width) for tile in tiles]
    strip = np.full((max(len(c) for c in cells), width, 3), _PAPER, np.uint8)
    for k, cell in enumerate(cells):
        left = _MARGIN + k * (tile_width + _MARGIN)
        strip[: len(cell), left : left + tile_width] = cell
    return strip


def _cell(tile: Tile, width: int) -> np.ndarray:
    scale = min(width / tile.picture.shape[1], MOST_HEIGHT / tile.picture.shape[0])
    height, across = (max(1, round(length * scale)) for length in tile.picture.shape[:2])
    picture = cv2.resize(
        tile.picture, (across, height), interpolation=cv2.INTER_AREA if scale <= 1 else cv2.INTER_NEAREST
    )
    notes = textwrap.wrap(tile.note, width // 9)
    swatches = _place(tile.legend or {}, width)
    rows = max((row for _, _, _, row in swatches), default=-1) + 1
    top = _MARGIN + _TITLE
    cell = np.full((top + height + 8 + len(notes) * _NOTE + rows * _ROW, width, 3), _PAPER, np.uint8)
    cell[top : top + height, :across] = picture
    _write(cell, _short(tile.title, width // 11), 0, top - 10, 0.6, _INK, 1)
    line = top + height + 20
    for k, note in enumerate(notes):
        _write(cell, note, 0, line + k * _NOTE, 0.5, _GREY, 1)
    line += len(notes) * _NOTE
    for name, color, x, row in swatches:
        y = line + row * _ROW
        cv2.rectangle(cell, (x, y - 12), (x + 14, y + 2), color, cv2.FILLED)
        cv2.rectangle(cell, (x, y - 12), (x + 14, y + 2), _GREY, 1)
        _write(cell, name, x + 20, y, 0.48, _INK, 1)
    return cell


def _place(legend: Mapping[str, RGB], width: int) -> list[tuple[str, RGB, int, int]]:
    """(name, colour, x, row) for each entry, left to right and then down."""
    placed, x, row = [], 0, 0
    for name, color in legend.items():
        room = 36 + cv2.getTextSize(_drawable(name), _FONT, 0.48, 1)[0][0]
        if x and x + room > width:
            x, row = 0, row + 1
        placed.append((name, color, x, row))
        x += room
    return placed


def _write(canvas: np.ndarray, text: str, x: int, y: int, scale: float, color: RGB, thickness: int) -> None:
    cv2.putText(canvas, _drawable(text), (x, y), _FONT, scale, color, thickness, cv2.LINE_AA)


def _drawable(text: str) -> str:
    """Without half surrogate pairs, which a file's name may hold, and by which OpenCV crashes."""
    return text.encode(errors="replace").decode()


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def color_bar(near: float, far: float) -> dict[str, RGB]:
    """The legend of a depth picture: five depths with their colours, and the meaning of black and grey."""
    depths = np.geomspace(near, far, 5).astype(np.float32)
    colors = depth_picture(depths[None], near, far)[0]
    steps = {f"{d:.3g} m": (int(r), int(g), int(b)) for d, (r, g, b) in zip(depths, colors, strict=True)}
    return {**steps, "unreadable": (0, 0, 0), "beyond": BEYOND}
