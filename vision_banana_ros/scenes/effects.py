# SPDX-License-Identifier: Apache-2.0
"""From light to an 8-bit picture: exposure, lens, sensor, compression."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit


@dataclass(frozen=True)
class Effects:
    """What a camera does to a picture; the defaults do nothing but expose it."""

    exposure: float = 0.0
    """Stops above the automatic exposure."""
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignette: float = 0.0
    """Light lost in the corners, 0-1."""
    defocus: float = 0.0
    """Standard deviation of the blur, as a share of the picture's width."""
    motion: tuple[float, float] = (0.0, 0.0)
    """Movement during exposure, as shares of the picture's width."""
    noise: float = 0.0
    """Standard deviation of the sensor's noise at middle grey, 0-255."""
    jpeg: int = 100
    """Quality of the compression; 100 leaves it out."""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Effects":
        """Effects as cameras on robots have them: often mild, sometimes bad."""
        angle = rng.uniform(0, 2 * math.pi)
        streak = rng.uniform(0.003, 0.02) if rng.random() < 0.15 else 0.0
        warm = rng.normal(0, 0.06)
        return Effects(
            exposure=float(np.clip(rng.normal(0, 0.35), -1.0, 1.0)),
            balance=(1.0 + warm, 1.0, 1.0 - warm + rng.normal(0, 0.02)),
            vignette=float(rng.uniform(0, 0.4) if rng.random() < 0.6 else 0.0),
            defocus=float(abs(rng.normal(0, 0.0018)) if rng.random() < 0.6 else 0.0),
            motion=(streak * math.cos(angle), streak * math.sin(angle)),
            noise=float(abs(rng.normal(0, 4.0))),
            jpeg=int(rng.integers(45, 96)) if rng.random() < 0.6 else 100,
        )


TONES = 4096


def _tone_curve() -> np.ndarray:
    """Display values 0-255 over the square root of linear light 0-2, bright light rolled off softly."""
    light = (np.arange(TONES) / (TONES - 1)) ** 2 * 4.0
    rolled = np.where(light < 0.7, light, 0.7 + 0.3 * (1.0 - np.exp(-(light - 0.7) / 0.3)))
    return (255.0 * rolled ** (1 / 2.2)).astype(np.float32)


CURVE = _tone_curve()


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def expose(rgb, curve, gains, vignette, noise, seed, out):  # type: ignore[no-untyped-def]
    """Gain, vignette, tone curve and noise of every pixel; a seed gives the same noise."""
    height, width = rgb.shape[:2]
    state = np.uint32(seed * 2 + 1)
    top = len(curve) - 1
    reach = 1.0 / (height * height + width * width)
    for y in range(height):
        for x in range(width):
            far = ((2 * y - height) ** 2 + (2 * x - width) ** 2) * reach
            keep = 1.0 - vignette * far
            for k in range(3):
                v = max(0.0, rgb[y, x, k] * gains[k] * keep)
                tone = curve[min(top, int(math.sqrt(v * 0.25) * top + 0.5))]
                if noise > 0.0:
                    state = np.uint32(state ^ np.uint32(state << np.uint32(13)))
                    state = np.uint32(state ^ np.uint32(state >> np.uint32(17)))
                    state = np.uint32(state ^ np.uint32(state << np.uint32(5)))
                    # four bytes, each uniform over 0-255, add up to a fair bell of deviation 147.8
                    bell = (state & 255) + (state >> 8 & 255) + (state >> 16 & 255) + (state >> 24) - 510.0
                    tone += bell / 147.8 * noise * (1.2 - 0.4 * tone / 255.0)
                out[y, x, k] = np.uint8(min(255.0, max(0.0, tone + 0.5)))


def develop(rgb: np.ndarray, effects: Effects, seed: int) -> np.ndarray:
    """Linear light (H, W, 3) float32 as an 8-bit picture. Exposure follows the picture's mean, as cameras do."""
    height, width = rgb.shape[:2]
    if effects.defocus * width > 0.25:
        rgb = cv2.GaussianBlur(rgb, (0, 0), effects.defocus * width)
    length = math.hypot(*effects.motion) * width
    if length > 1.0:
        size = 2 * int(0.5 * length + 1) + 1
        streak = np.zeros((size, size), np.float32)
        middle = size // 2
        ax, ay = (round(0.5 * m * width * 16) for m in effects.motion)
        cv2.line(streak, (middle * 16 - ax, middle * 16 - ay), (middle * 16 + ax, middle * 16 + ay), 1.0, 1, cv2.LINE_AA, 4)
        rgb = cv2.filter2D(rgb, -1, streak / max(float(streak.sum()), 1e-6))
    # the geometric mean: a bright sky must not leave the ground dark
    light = math.exp(float(np.log(rgb[::4, ::4] + 0.01).mean()))
    gain = min(4.0, max(0.3, 0.22 / light)) * 2.0**effects.exposure
    out = np.empty((height, width, 3), np.uint8)
    gains = np.asarray(effects.balance) * gain
    expose(np.ascontiguousarray(rgb), CURVE, gains, effects.vignette, effects.noise, seed, out)
    if effects.jpeg == 100:
        return out
    _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, effects.jpeg])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
