# SPDX-License-Identifier: Apache-2.0
"""Camera effects: from linear radiance to an 8-bit image.

Lens, sensor, exposure, tone mapping and compression, in the order of a real camera.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

STRONG = 0.22
"""Share of the pictures that a bad camera or a bad moment took: there, every effect may be strong."""


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
    highlights: float = 0.0
    """How far the automatic exposure saves bright places instead of showing the mean: 0-1."""
    bloom: float = 0.0
    """Share of the light that the lens scatters over the picture."""
    distortion: float = 0.0
    """Radial distortion that rectifying left: shift at the corners, as a share of the half diagonal."""
    aberration: float = 0.0
    """How much larger red is shown than blue, as a share."""
    resolution: float = 1.0
    """Pixels of the sensor along a side, as a share of the picture's."""
    mosaic: bool = False
    """Each pixel of the sensor sees one colour, the others are guessed from its neighbours."""
    blotches: float = 0.0
    """Standard deviation of noise that denoising smeared over some pixels, mostly in colour, 0-255."""
    gamma: float = 1.0
    """Exponent of the tone curve besides the standard one: above 1 is darker."""
    contrast: float = 1.0
    """Slope of the tone curve at middle grey."""
    black: float = 0.0
    """Where black lies, 0-1: stray light above 0, crushed shadows below."""
    saturation: float = 1.0
    sharpening: float = 0.0
    """Strength of the unsharp mask, which leaves halos at edges."""
    banding: tuple[float, float, float] = (0.0, 10.0, 0.0)
    """Flicker of lamps over the rows: strength, periods a picture, phase in radians."""
    chroma: int = 2
    """Colours are kept for squares of this many pixels in the JPEG: 1, 2, or 4 for rows of four."""

    @staticmethod
    def mild(rng: np.random.Generator) -> "Effects":
        """The effects of the fixed evaluation splits, unchanged since 0.1 for comparability."""
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

    @staticmethod
    def draw(rng: np.random.Generator, sunlit: bool = False) -> "Effects":
        """Random effects of cameras on robots: mostly mild, a fraction `STRONG` of them strong.

        sunlit: the tones of real street images, in which a bright sky leaves the ground dark.
        """
        bad = rng.random() < STRONG

        def some(chance: float, mild: float, strong: float) -> float:
            """Zero, or up to `mild`, small values more often; of a bad camera up to `strong` now and then."""
            if bad and rng.random() < 0.35:
                return float(rng.uniform(mild, strong))
            return float(mild * rng.random() ** 1.5) if rng.random() < chance else 0.0

        def either(spread: float, strong: float) -> float:
            """Around zero, mostly within twice `spread`."""
            return float(
                rng.uniform(-strong, strong)
                if bad and rng.random() < 0.35
                else np.clip(rng.normal(0, spread), -2.2 * spread, 2.2 * spread)
            )

        angle = rng.uniform(0, 2 * math.pi)
        streak = rng.uniform(0.003, 0.025 if bad else 0.01) if rng.random() < (0.4 if bad else 0.12) else 0.0
        warm, tint = either(0.07, 0.4), either(0.025, 0.1)
        dark = bad and rng.random() < 0.25  # too little light: under-exposed, noisy, coarse
        gray = rng.random() < 0.03
        jpeg, resolution = 100, 1.0
        if rng.random() < 0.6:
            jpeg = int(rng.integers(12, 45) if bad and rng.random() < 0.35 else rng.integers(45, 97))
        if rng.random() < 0.25:
            resolution = float(rng.uniform(0.3, 0.7) if bad else rng.uniform(0.7, 1.0))
        return Effects(
            exposure=float(rng.uniform(-2.6, -1.0)) if dark else either(0.4, 1.7) - 0.35 * sunlit,
            balance=(1.0 + warm, 1.0 + tint, 1.0 - warm + either(0.02, 0.08)),
            vignette=some(0.6, 0.4, 0.8),
            defocus=some(0.6, 0.003, 0.008),
            motion=(streak * math.cos(angle), streak * math.sin(angle)),
            noise=some(0.85, 6.0, 16.0) + (float(rng.uniform(2, 12)) if dark else 0.0),
            jpeg=jpeg,
            highlights=float(rng.uniform(0, 1)) if rng.random() < 0.5 else 0.0,
            bloom=some(0.5, 0.08, 0.3),
            distortion=either(0.002, 0.006) if rng.random() < 0.4 else 0.0,
            aberration=either(0.0012, 0.005) if rng.random() < 0.4 else 0.0,
            resolution=resolution,
            mosaic=bool(rng.random() < 0.2),
            blotches=some(0.5, 4.0, 11.0) + (float(rng.uniform(0, 6)) if dark else 0.0),
            gamma=math.exp(either(0.12, 0.5)),
            contrast=math.exp(either(0.12, 0.45) + 0.25 * sunlit),
            black=either(0.02, 0.1) - 0.02 * sunlit,
            saturation=0.0 if gray else math.exp(either(0.2, 0.7)),
            sharpening=some(0.6, 0.8, 2.0),
            banding=(some(0.06, 0.06, 0.2), float(rng.uniform(1, 8)), float(rng.uniform(0, 2 * math.pi))),
            chroma=int(rng.choice((1, 2, 2, 2, 4))),
        )  # fmt: skip


TONES = 4096
SAMPLING_FACTOR = 7
SAMPLING = {1: 0x111111, 2: 0x221111, 4: 0x411111}
"""cv2.IMWRITE_JPEG_SAMPLING_FACTOR and its _444, _420 and _411. The OpenCV of Humble and Jazzy has no names
for them, and takes 4:2:0."""


def tone_curve(gamma: float = 1.0, contrast: float = 1.0, black: float = 0.0) -> np.ndarray:
    """Display values 0-255 over the square root of linear light 0-2, bright light rolled off softly."""
    light = (np.arange(TONES) / (TONES - 1)) ** 2 * 4.0
    rolled = np.where(light < 0.7, light, 0.7 + 0.3 * (1.0 - np.exp(-(light - 0.7) / 0.3)))
    shown = rolled ** (1 / 2.2)
    if gamma != 1.0:
        shown = shown**gamma
    if contrast != 1.0:  # an S through black, the middle and white, or a flat one
        bent = np.where(shown < 0.5, 0.5 * (2 * shown) ** contrast, 1.0 - 0.5 * (2 * (1 - shown)) ** contrast)
        shown = bent if contrast > 1.0 else 0.5 + (shown - 0.5) * contrast
    if black != 0.0:
        shown = np.clip(black + (1.0 - black) * shown, 0.0, 1.0)
    return np.asarray(255.0 * shown, np.float32)


CURVE = tone_curve()


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
    """Linear light (H, W, 3) float32 as an 8-bit picture.

    Exposure follows the picture's mean, as cameras do.
    """
    height, width = rgb.shape[:2]
    rgb = through_lens(rgb, effects)
    if effects.resolution < 1.0:
        size = max(8, round(width * effects.resolution)), max(6, round(height * effects.resolution))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    out: np.ndarray = np.empty(rgb.shape, np.uint8)
    curve = CURVE
    if (effects.gamma, effects.contrast, effects.black) != (1.0, 1.0, 0.0):
        curve = tone_curve(effects.gamma, effects.contrast, effects.black)
    gains = np.asarray(effects.balance) * automatic_gain(rgb, effects.highlights) * 2.0**effects.exposure
    expose(np.ascontiguousarray(rgb), curve, gains, effects.vignette, effects.noise, seed, out)
    out = process(out, effects, seed)
    if out.shape[:2] != (height, width):
        out = np.asarray(
            cv2.resize(out, (width, height), interpolation=(cv2.INTER_LINEAR, cv2.INTER_CUBIC)[seed & 1])
        )
    if effects.jpeg == 100:
        return out
    how = [cv2.IMWRITE_JPEG_QUALITY, effects.jpeg, SAMPLING_FACTOR, SAMPLING[effects.chroma]]
    _, data = cv2.imencode(".jpg", out, how)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def through_lens(rgb: np.ndarray, effects: Effects) -> np.ndarray:
    """Linear light as a lens that moves throws it on the sensor."""
    height, width = rgb.shape[:2]
    if effects.distortion != 0.0 or effects.aberration != 0.0:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        cx, cy = 0.5 * (width - 1), 0.5 * (height - 1)
        x, y = x - cx, y - cy
        bend = 1.0 + effects.distortion * (x * x + y * y) / (cx * cx + cy * cy)
        moved = [
            cv2.remap(
                np.ascontiguousarray(rgb[..., k]), cx + x * bend * size, cy + y * bend * size,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for k, size in enumerate((1.0 - 0.5 * effects.aberration, 1.0, 1.0 + 0.5 * effects.aberration))
        ]  # fmt: skip
        rgb = np.stack(moved, -1)
    if effects.bloom > 0.0:
        small = cv2.resize(rgb, (max(4, width // 8), max(4, height // 8)), interpolation=cv2.INTER_AREA)
        veil = cv2.resize(
            cv2.GaussianBlur(small, (0, 0), 0.012 * width), (width, height), interpolation=cv2.INTER_LINEAR
        )
        rgb = (1.0 - effects.bloom) * rgb + np.float32(effects.bloom) * veil
    if effects.defocus * width > 0.25:
        rgb = cv2.GaussianBlur(rgb, (0, 0), effects.defocus * width)
    length = math.hypot(*effects.motion) * width
    if length > 1.0:
        size = 2 * int(0.5 * length + 1) + 1
        streak = np.zeros((size, size), np.float32)
        middle = size // 2
        ax, ay = (round(0.5 * m * width * 16) for m in effects.motion)
        cv2.line(
            streak,
            (middle * 16 - ax, middle * 16 - ay),
            (middle * 16 + ax, middle * 16 + ay),
            1.0,
            1,
            cv2.LINE_AA,
            4,
        )
        rgb = cv2.filter2D(rgb, -1, streak / max(float(streak.sum()), 1e-6))
    return rgb


def automatic_gain(rgb: np.ndarray, highlights: float) -> float:
    """What the light is multiplied by.

    For a mean of middle grey, or so that bright places are just not clipped.
    """
    sample = rgb[::4, ::4]
    # the geometric mean: a bright sky must not leave the ground dark
    gain = min(4.0, max(0.3, 0.22 / math.exp(float(np.log(sample + 0.01).mean()))))
    if highlights > 0.0:
        bright = float(np.percentile(sample.max(-1), 96))
        gain *= (min(6.0, max(0.05, 0.7 / max(bright, 1e-3))) / gain) ** highlights
    return gain


def process(out: np.ndarray, effects: Effects, seed: int) -> np.ndarray:
    """What the camera's processor does to the exposed picture (H, W, 3) uint8."""
    height, width = out.shape[:2]
    if effects.mosaic:
        raw = np.empty((height, width), np.uint8)
        raw[0::2, 0::2], raw[0::2, 1::2] = out[0::2, 0::2, 0], out[0::2, 1::2, 1]
        raw[1::2, 0::2], raw[1::2, 1::2] = out[1::2, 0::2, 1], out[1::2, 1::2, 2]
        out = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB)
    strength, periods, phase = effects.banding
    if (
        effects.blotches == 0.0
        and strength == 0.0
        and effects.saturation == 1.0
        and effects.sharpening == 0.0
    ):
        return out
    picture = out.astype(np.float32)
    if effects.blotches > 0.0:
        rng = np.random.default_rng(seed)
        coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
        coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(
            1.5 * effects.blotches
        )
        picture += coarse * (1.1 - picture.mean(-1, keepdims=True) / 255.0)
    if strength > 0.0:
        wave = 1.0 - strength * (
            0.5 + 0.5 * np.sin(2 * math.pi * periods * np.arange(height) / height + phase)
        )
        picture *= wave.astype(np.float32)[:, None, None]
    if effects.saturation != 1.0:
        luma = picture @ np.array([0.299, 0.587, 0.114], np.float32)
        picture = luma[..., None] + np.float32(effects.saturation) * (picture - luma[..., None])
    if effects.sharpening > 0.0:
        soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
        picture += np.float32(effects.sharpening) * (picture - soft)
    return np.asarray(np.clip(picture + 0.5, 0.0, 255.0), np.uint8)
