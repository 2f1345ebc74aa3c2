# SPDX-License-Identifier: Apache-2.0
"""JPEGs with a flipped bit that decode without an error.

A JPEG stores each block's mean as the difference from the block before it. A flipped bit in one of them
shifts the colour of all blocks that follow, and where it leaves a valid code no decoder notices. The shift
shows as a step of one height between the block where it begins, each of those after it in the row, the first
ones of the next row, and the blocks above them: a staircase along the grid of blocks that no scene has.
"""

import cv2
import numpy as np

LEAST = 2.5
"""The step over its spread along the row. Of 300 whole pictures none has more; of 122 with a flipped bit
that can be seen, 99 are refused by this or by libjpeg's warnings (`benchmark/jpeg_damage.py`)."""
_GRAIN = 0.7
"""Grey levels of spread that are counted in any case: rounding alone leaves as much in a plain picture."""
_LOOKED_AT = 8


def shifted_blocks(data: np.ndarray, image: np.ndarray) -> bool:
    """Whether the colours of a baseline JPEG jump from one block on.

    Args:
        data: Its bytes, uint8.
        image: What it decodes to, (H, W, 3) uint8 BGR, unrotated.
    """
    block = _block(bytes(data[: 1 << 20]))
    if block is None or image.ndim != 3:
        return False
    height, width = block
    rows, columns = image.shape[0] // height, image.shape[1] // width
    if rows < 3 or columns < 4:
        return False
    steps = _steps(image, rows, columns, height, width)
    return any(_staircase(steps[:, channel], columns) for channel in range(3))


def _block(head: bytes) -> tuple[int, int] | None:
    """Height and width of the blocks that a baseline JPEG is coded in; None for what is none."""
    at = 2 if head.startswith(b"\xff\xd8") else len(head)
    while at + 10 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in (0xC0, 0xC1):
            sampling = head[at + 11 : at + 11 + 3 * head[at + 9] : 3]
            return (
                (8 * max(s & 15 for s in sampling), 8 * max(s >> 4 for s in sampling))
                if sampling and all(sampling)
                else None
            )
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC2 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) or marker == 0xDA:
            return None
        elif marker == 0x01 or 0xD0 <= marker <= 0xD9:
            at += 2
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _steps(image: np.ndarray, rows: int, columns: int, height: int, width: int) -> np.ndarray:
    """How much brighter the top of each block is than the bottom of the one above, beyond the gradients.

    Returns:
        (N, 3) float32 in Y, Cr and Cb, 0-255, of all blocks but those of the first row, in the order of
        coding.
    """
    top = np.arange(1, rows) * height
    near = image[(top[:, None] + np.arange(-3, 3)).ravel(), : columns * width]
    means = cv2.resize(near, (columns, len(near)), interpolation=cv2.INTER_AREA)
    lines = (
        cv2.cvtColor(means.astype(np.float32) / 255, cv2.COLOR_BGR2YCrCb).reshape(rows - 1, 6, columns, 3)
        * 255
    )
    a, b, c, d, e, f = (lines[:, k] for k in range(6))
    return ((d + e - c - b) / 2 - (e - d + f - e + c - b + b - a) / 2).reshape(-1, 3)


def _staircase(steps: np.ndarray, columns: int) -> bool:
    sums = np.cumsum(np.concatenate([[0.0], steps]))
    squares = np.cumsum(np.concatenate([[0.0], steps**2]))
    mean = (sums[columns:] - sums[:-columns]) / columns
    spread = np.sqrt(np.maximum((squares[columns:] - squares[:-columns]) / columns - mean**2, 0))
    likely = np.abs(mean) / (spread + _GRAIN)
    likely[::columns] = 0  # a whole row: such edges exist
    return any(
        _begins(steps, start, columns) for start in np.argsort(likely)[-_LOOKED_AT:] if start % columns
    )


def _begins(steps: np.ndarray, start: int, columns: int) -> bool:
    """Whether a jump begins at this block.

    A row's worth of steps of one height, in both rows that it touches, and none around.
    """
    run = steps[start : start + columns]
    height = np.median(run)
    if abs(height) <= LEAST * (np.median(np.abs(run - height)) + _GRAIN):
        return False
    row = start - start % columns
    inside = run[: row + columns - start], run[row + columns - start :]
    outside = steps[row:start], steps[start + columns : row + 2 * columns]
    return all(np.median(part) / height > 0.5 for part in inside) and all(
        np.median(part) / height < 0.5 for part in outside if len(part)
    )
