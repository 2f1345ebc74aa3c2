# SPDX-License-Identifier: Apache-2.0
"""Detects images without content. A generator answers darkness and noise with the same confidence as a room.

The thresholds lie between the values of real cameras, also when darkened, and those of blank frames and
noise.
"""

import time

import cv2
import numpy as np

CELLS = (16, 12)
"""Width and height of the grid whose cells' means tell structure: sensor noise is averaged out of them."""
MIN_SIDE = 16
"""Pixels. With fewer there is nothing to recognise."""
SAMPLED = (160, 120)
"""At least so many columns and rows are looked at, evenly spread."""
MIN_STRUCTURE = 1.5
"""Standard deviation of the cells' means, of 255, in the channel that varies most. Blank frames with a
sensor's noise stay below 0.8."""
DARK_STRUCTURE = 2.5
"""The same in the dark. In a thirtieth of their light scenes keep 5 and more, and depth is half as wrong
again as by day; in a thousandth, where it is wrong all over, 1 to 3."""
DARK, BRIGHT = 24, 250
MAX_CLIPPED = 0.95
"""Share of pixels at the upper end of the scale."""
NOISE_NEIGHBOURS = 0.5
"""Correlation of neighbouring pixels. A lens blurs: real frames have 0.9, in deep night 0.75; noise has 0."""
NOISE_STRUCTURE = 5.0
"""Structure over what noise alone would leave of itself in the cells' means: 1 to 2 for noise, 50 and more
for scenes."""
NOISE_SHARE = 0.25
"""Structure over all variation. Of noise that was smoothed too, a fifth at most is left in the cells; of
scenes 0.6 is."""
MIN_CELL = 100
"""Pixels that a cell must have for NOISE_SHARE to tell."""

FROZEN_FRAMES = 5
"""Identical frames that are no chance, where they also last for `frozen_after`."""


def nothing_to_see(image: np.ndarray) -> str:
    """Why nothing can be seen in a frame, as a sentence with what to do; empty where something can.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        return (
            f"It has {width}x{height} pixels; images have {MIN_SIDE} and more along each side. Look at"
            " the camera's driver."
        )
    step = max(1, min(height // SAMPLED[1], width // SAMPLED[0]))
    sampled = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(sampled, CELLS, interpolation=cv2.INTER_AREA).astype(np.float32)
    structure = float(small.std((0, 1)).max())
    mean = float(small.mean())
    if structure < (DARK_STRUCTURE if mean < DARK else MIN_STRUCTURE):
        return _blank(mean)
    if np.count_nonzero(small.min(2) >= BRIGHT) > MAX_CLIPPED * small.shape[0] * small.shape[1]:
        return "It is overexposed: nearly all pixels are saturated. Reduce the exposure, or check the camera."
    rows = cv2.cvtColor(image[:: max(1, height // 64)], cv2.COLOR_RGB2GRAY).astype(np.float32)
    spread = float(rows.std())
    left, right = rows[:, :-1] - rows.mean(), rows[:, 1:] - rows.mean()
    neighbours = float((left * right).mean()) / max(spread**2, 1e-6)
    # of Gaussian noise, whose differences have the mean 2 sigma / sqrt(pi)
    noise = float(np.abs(right - left).mean()) / 1.128
    cell = max(1.0, sampled.size / 3 / (CELLS[0] * CELLS[1]))
    grey = float(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).std())
    white = neighbours < NOISE_NEIGHBOURS and grey < NOISE_STRUCTURE * noise / cell**0.5
    if white or (cell >= MIN_CELL and grey < NOISE_SHARE * spread):
        return "It is noise without a scene. Check the camera, its gain and its cable."
    return ""


def _blank(mean: float) -> str:
    if mean < DARK:
        return (
            "It is dark: nothing stands out from black. Remove the lens cap, light the scene, or"
            " increase the exposure."
        )
    if mean >= BRIGHT:
        return "It is overexposed: everything is white. Reduce the exposure, or check the camera."
    return "It has one plain colour. Check whether something covers the lens, and the camera driver."


class FrozenCheck:
    """Whether one camera's frames still change. A camera that works never sends the same noise twice."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._same = 0
        self._since = 0.0

    def frozen(self, image: np.ndarray, after_s: float) -> str:
        """Why the stream counts as frozen, as a sentence with what to do; empty where it does not.

        Args:
            image: The newest frame, (H, W, 3) uint8; it is kept till the next one and must not be written to.
            after_s: Seconds of identical frames that are taken; 0 takes them for ever.
        """
        last, self._last = self._last, image
        if last is None or not _same(last, image):
            self._same, self._since = 0, time.monotonic()
            return ""
        self._same += 1
        same_s = time.monotonic() - self._since
        if not after_s or self._same < FROZEN_FRAMES or same_s < after_s:
            return ""
        return (
            f"The last {self._same + 1} frames, over {same_s:.0f} s, are bit-identical: the stream is"
            " frozen. Restart the"
            " camera or its driver; for a still image, or a simulated camera without noise, set"
            " frozen_after to 0."
        )


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """A few pixels first: of a stream that lives, these differ already."""
    return (
        one.shape == other.shape
        and np.array_equal(one[::31, ::31], other[::31, ::31])
        and np.array_equal(one, other)
    )
