# SPDX-License-Identifier: Apache-2.0
"""Pictures of street surfaces, computed.

Noise with the spectrum of photographs, stains, joints, cracks, leaves, panes.

Every picture is uint8 RGBA, its edges powers of two, and repeats without a seam where it is meant to. Alpha
is a hole for cut-out pictures (leaves, railings), and elsewhere how strongly the place reflects. Colours are
near white where a paint tints them.
"""

from collections.abc import Callable
from functools import lru_cache
from math import cos, pi, sin

import cv2
import numpy as np

from vision_banana_ros.scenes.furnished.models import mips

Picture = np.ndarray
Generator = np.random.Generator


def noise(rng: Generator, height: int, width: int, beta: float = 1.0, stretch: float = 1.0) -> np.ndarray:
    """Random field (H, W), mean 0 and deviation 1, that repeats.

    Its amplitude falls with frequency to the power beta.

    Photographs have beta near 1. `stretch` above 1 draws it out along the height.
    """
    fy = np.fft.fftfreq(height)[:, None] * height * stretch
    fx = np.fft.rfftfreq(width)[None] * width * height / width
    radius = np.sqrt(fx * fx + fy * fy)
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) * radius**-beta
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, (height, width))
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


def paint(base: tuple[float, float, float], light: np.ndarray, alpha: np.ndarray | float = 255.0) -> Picture:
    """A colour 0-255 times a field of lightness (H, W) or (H, W, 3)."""
    field = light[..., None] if light.ndim == 2 else light
    rgb = np.clip(np.asarray(base) * field, 0, 255)
    return np.dstack([rgb, np.broadcast_to(alpha, light.shape[:2])]).round().astype(np.uint8)


def hue(rng: Generator, height: int, width: int, strength: float) -> np.ndarray:
    """Slow drifts of colour, (H, W, 3) around 1."""
    warm, green = noise(rng, height, width, 1.5), noise(rng, height, width, 1.5)
    return 1.0 + strength * np.stack([warm, 0.4 * green, -warm], -1)


def cracks(rng: Generator, height: int, width: int, count: int, step: float = 8.0) -> np.ndarray:
    """Thin wandering lines, 0-1, (H, W), that repeat."""
    out = np.zeros((height, width), np.uint8)
    for _ in range(count):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        angle = rng.uniform(0, 2 * pi)
        points = [(x, y)]
        for _ in range(int(rng.integers(8, 40))):
            angle += rng.normal(0, 0.35)
            x, y = x + step * cos(angle), y + step * sin(angle)
            points.append((x, y))
        line = np.round(np.array(points) * 8).astype(np.int32)
        for dx in (-width, 0, width):
            for dy in (-height, 0, height):
                cv2.polylines(
                    out, [line + (dx * 8, dy * 8)], False, 255, int(rng.integers(1, 3)), cv2.LINE_AA, 3
                )
    return out.astype(np.float32) / 255


def asphalt(rng: Generator, height: int = 512, width: int = 512) -> np.ndarray:
    """Lightness of worn asphalt around 1."""
    light = 1.0 + 0.07 * noise(rng, height, width, 1.3) + 0.05 * noise(rng, height, width, 0.6)
    light += rng.uniform(0.04, 0.1) * noise(rng, height, width, 0.1)
    stones = noise(rng, height, width, 0.0)
    light += 0.35 * (stones > rng.uniform(2.2, 2.8)) - 0.25 * (stones < -2.4)
    if rng.random() < 0.7:
        light *= 1.0 - rng.uniform(0.2, 0.55) * cracks(rng, height, width, int(rng.integers(1, 7)))
    for _ in range(int(rng.integers(0, 3))):  # where it was dug up and closed again
        y, x = int(rng.integers(0, height)), int(rng.integers(0, width))
        h, w = int(rng.integers(60, 260)), int(rng.integers(60, 200))
        field = np.ones((height, width), np.float32)
        field[:h, :w] = rng.uniform(0.75, 1.2)
        cv2.rectangle(field, (0, 0), (w, h), rng.uniform(0.55, 0.9), 2)
        light *= np.roll(field, (y, x), (0, 1))
    return light


def road(rng: Generator) -> Picture:
    """A lane of asphalt, 3.5 m across the width and 14 m along the height.

    Worn by wheels, oiled between them.
    """
    height, width = 1024, 256
    light = asphalt(rng, height, width)
    x = np.linspace(-1, 1, width)
    tracks = np.exp(-(((np.abs(x) - 0.5) / 0.2) ** 2))
    middle = np.exp(-((x / 0.2) ** 2))
    drift = 1.0 + 0.4 * noise(rng, height, width, 1.5, 4.0)
    light *= 1.0 + (rng.uniform(-0.06, 0.14) * tracks - rng.uniform(0.0, 0.14) * middle) * drift
    joint = rng.uniform(0.6, 1.0)
    light[:, :2] *= joint
    light[:, -2:] *= joint
    return paint((255 / 1.6,) * 3, light[..., None] * hue(rng, height, width, 0.012))


def plain_asphalt(rng: Generator) -> Picture:
    """A random texture of plain asphalt."""
    return paint((255 / 1.6,) * 3, asphalt(rng)[..., None] * hue(rng, 512, 512, 0.012))


def rough(rng: Generator, fine: float, coarse: float, tint: float = 0.02) -> np.ndarray:
    """Lightness (512, 512, 3) of plaster, concrete, earth."""
    light = (
        1.0
        + coarse * noise(rng, 512, 512, 1.4)
        + 0.5 * coarse * noise(rng, 512, 512, 0.9)
        + fine * noise(rng, 512, 512, 0.1)
    )
    return np.asarray(light[..., None] * hue(rng, 512, 512, tint))


def blocks(
    rng: Generator,
    rows: int,
    columns: int,
    joint: int,
    offset: float,
    spread: float,
    mortar: float,
    tint: float = 0.05,
) -> np.ndarray:
    """Lightness (512, 512, 3) of bricks or slabs in rows, `offset` of a block's length from row to row."""
    size = 512
    y, x = np.mgrid[:size, :size].astype(np.float32)
    row = np.floor(y / size * rows).astype(int)
    shift = (row * offset % 1.0) * size / columns
    column = np.floor((x + shift) % size / size * columns).astype(int)
    high, wide = size / rows, size / columns
    wobble = 0.6 * noise(rng, size, size, 1.0)
    u = (x + shift) % size % wide + wobble
    v = y % high + 0.6 * noise(rng, size, size, 1.0)
    edge = np.minimum(np.minimum(u, wide - u), np.minimum(v, high - v))
    tone = 1.0 + spread * rng.standard_normal((rows, columns))
    warm = tint * rng.standard_normal((rows, columns))
    light = tone[row, column][..., None] * (1.0 + np.stack([warm, 0 * warm, -warm], -1)[row, column])
    light = light * rough(rng, 0.06, 0.06)
    inside = np.clip((edge - 0.5 * joint) / 1.2 + 0.5, 0, 1)[..., None]
    bevel = 1.0 - 0.15 * np.clip(1.0 - edge / (2.0 * joint + 1.0), 0, 1)[..., None]
    return np.asarray(inside * light * bevel + (1 - inside) * mortar * rough(rng, 0.08, 0.08))


def brick(rng: Generator) -> Picture:
    """2 m square."""
    light = blocks(rng, 26, 9, 3, 0.5, rng.uniform(0.06, 0.16), rng.uniform(0.9, 1.6), 0.03)
    return paint((140.0,) * 3, light * (1 + 0.08 * noise(rng, 512, 512, 1.5)[..., None]), 20)


def ashlar(rng: Generator) -> Picture:
    """A random texture of ashlar."""
    rows = int(rng.choice((6, 8, 10)))
    return paint((185.0,) * 3, blocks(rng, rows, rows // 2, 3, 0.5, 0.07, rng.uniform(0.6, 1.0), 0.03), 20)


def plaster(rng: Generator) -> Picture:
    """4 m square: painted render with stains that run down."""
    runs = noise(rng, 512, 512, 1.2, 8.0)
    light = rough(rng, 0.03, rng.uniform(0.02, 0.06), 0.01) * (
        1.0 - rng.uniform(0.02, 0.09) * np.clip(runs, 0, 3)[..., None]
    )
    if rng.random() < 0.4:
        light = light * (1 - 0.3 * cracks(rng, 512, 512, 3)[..., None])
    return paint((205.0,) * 3, light, 20)


def concrete(rng: Generator) -> Picture:
    """A random texture of concrete."""
    light = rough(rng, 0.05, 0.08) * (1.0 - 0.1 * np.clip(noise(rng, 512, 512, 1.2, 8.0), 0, 3)[..., None])
    n = int(rng.choice((1, 2)))
    for k in range(n):
        light[k * 512 // n : k * 512 // n + 3] *= 0.6
        light[:, k * 512 // n : k * 512 // n + 3] *= 0.6
    return paint((180.0,) * 3, light, 20)


def cladding(rng: Generator) -> Picture:
    """Ribbed metal or boards."""
    n = int(rng.choice((16, 24, 32)))
    x = np.arange(512) / 512 * n % 1.0
    profile = 1.0 + 0.12 * np.sin(2 * pi * x) - 0.35 * (x < 0.08)
    light = np.broadcast_to(profile, (512, 512))
    light = light if rng.random() < 0.5 else light.T
    return paint((190.0,) * 3, light[..., None] * rough(rng, 0.02, 0.04), 60)


def slabs(rng: Generator) -> Picture:
    """Paving, 3 m square."""
    kind = rng.integers(4)
    if kind == 0:
        light = blocks(rng, 6, 5, 4, 0.5, 0.07, rng.uniform(0.45, 0.7), 0.02)
    elif kind == 1:
        light = blocks(rng, 10, 10, 4, 0.0, 0.06, rng.uniform(0.45, 0.7), 0.02)
    elif kind == 2:
        light = blocks(rng, 30, 15, 3, 0.5, 0.1, rng.uniform(0.5, 0.7), 0.05)
    else:
        light = blocks(rng, 28, 28, 5, 0.5, 0.16, 0.55, 0.02)
    if rng.random() < 0.5:  # chewing gum, stains
        spots = (noise(rng, 512, 512, 0.7) > 2.7).astype(np.float32)
        light = light * (1 - 0.3 * cv2.GaussianBlur(spots, (0, 0), 1.5)[..., None])
    return paint((165.0,) * 3, light * (1 + 0.07 * noise(rng, 512, 512, 1.4)[..., None]))


def kerb(rng: Generator) -> Picture:
    """A random texture of kerb."""
    light = rough(rng, 0.12, 0.1)
    light[:, :8] *= 0.5
    return paint((185.0,) * 3, light)


def grass(rng: Generator) -> Picture:
    """3 m square."""
    dry = noise(rng, 512, 512, 1.2)
    blades = noise(rng, 512, 512, 0.35, 2.0)
    light = 1.0 + 0.18 * noise(rng, 512, 512, 0.9) + 0.28 * blades
    rgb = np.stack([1.0 + 0.09 * dry, 1.0 + 0.03 * dry, 0.9 - 0.03 * dry], -1)
    bare = np.clip(dry - rng.uniform(1.3, 2.2), 0, 1)[..., None]
    return paint(
        (150.0,) * 3,
        np.clip(light, 0.15, 2)[..., None] * (rgb * (1 - bare) + bare * np.array([1.5, 1.2, 0.9])),
    )


def earth(rng: Generator) -> Picture:
    """A random texture of earth."""
    return paint((160.0,) * 3, rough(rng, 0.18, 0.12, 0.03))


def roof_tiles(rng: Generator) -> Picture:
    """3 m square, rows along the eaves."""
    rows, columns = int(rng.choice((10, 12))), int(rng.choice((12, 14)))
    light = blocks(rng, rows, columns, 2, 0.5 if rng.random() < 0.5 else 0.0, 0.1, 0.4, 0.025)
    y = np.arange(512)[:, None] / 512 * rows % 1.0
    x = np.arange(512)[None] / 512 * columns % 1.0
    wave = (0.75 + 0.35 * y) * (1.0 + 0.22 * np.sin(2 * pi * x))
    return paint((155.0,) * 3, light * wave[..., None])


def bark(rng: Generator) -> Picture:
    """A random texture of bark."""
    light = 1.0 + 0.3 * noise(rng, 128, 128, 0.8, 4.0)
    return paint((170.0,) * 3, np.clip(light, 0.2, 2.0))


def leaves(rng: Generator, size: int = 256, count: int = 420, fill: float = 0.9) -> Picture:
    """A spray of leaves, cut out: many small blades that thin out towards the rim."""
    rgb = np.full((size, size, 3), 90, np.uint8)
    alpha = np.zeros((size, size), np.uint8)
    long, slim = rng.uniform(0.028, 0.05) * size, rng.uniform(0.35, 0.6)
    autumn = rng.random() < 0.25
    for k in range(count):
        radius = 0.46 * size * fill * rng.random() ** 0.62
        angle = rng.uniform(0, 2 * pi)
        x, y = 0.5 * size + radius * cos(angle), 0.5 * size + radius * sin(angle)
        depth = 0.35 + 0.65 * (k / count) ** 1.2
        tone = depth * rng.uniform(0.75, 1.2)
        color = np.array([rng.uniform(0.85, 1.15), 1.0, rng.uniform(0.55, 0.85)])
        if autumn and rng.random() < 0.4:
            color = np.array([1.3, 0.95, 0.4])
        axes = (int(8 * long * rng.uniform(0.6, 1.2)), int(8 * long * slim * rng.uniform(0.5, 1.1)))
        turn = np.degrees(angle + rng.normal(0, 0.9))
        fillcolor = tuple(float(v) for v in np.clip(200 * tone * color, 0, 255))
        centre = (int(8 * x), int(8 * y))
        ring = (
            np.asarray(cv2.ellipse2Poly((0, 0), (max(axes[0], 1), max(axes[1], 1)), int(turn), 0, 360, 45))
            + centre
        )
        cv2.fillConvexPoly(rgb, ring, fillcolor, cv2.LINE_AA, 3)
        cv2.fillConvexPoly(alpha, ring, 255, cv2.LINE_AA, 3)
    spread = np.dstack([rgb, alpha])
    return np.asarray(spread)


def twigs(rng: Generator) -> Picture:
    """Bare twigs, cut out."""
    size = 256
    alpha = np.zeros((size, size), np.uint8)

    def grow(x: float, y: float, angle: float, length: float, width: float) -> None:
        if length < 9:
            return
        for _ in range(3):
            angle += rng.normal(0, 0.22)
            u, v = x + length / 3 * cos(angle), y + length / 3 * sin(angle)
            cv2.line(
                alpha,
                (int(8 * x), int(8 * y)),
                (int(8 * u), int(8 * v)),
                255,
                max(1, round(width)),
                cv2.LINE_AA,
                3,
            )
            x, y = u, v
            if rng.random() < 0.75:
                grow(x, y, angle + rng.choice((-1, 1)) * rng.uniform(0.4, 0.9), 0.62 * length, 0.6 * width)
        grow(x, y, angle + rng.normal(0, 0.3), 0.7 * length, 0.7 * width)

    for _ in range(3):
        grow(rng.uniform(90, 166), 8, 0.5 * pi + rng.normal(0, 0.35), 80, 4)
    light = 1.0 + 0.2 * noise(rng, size, size, 0.6)
    return paint((150.0,) * 3, np.clip(light, 0.3, 1.6), np.where(alpha > 90, 255, alpha))


def foliage(rng: Generator) -> Picture:
    """A closed wall of leaves (hedges, the inside of crowns), 1.5 m square."""
    size = 256
    big = leaves(rng, 512, 2600, 1.5)
    rgb = big[128:384, 128:384, :3].astype(np.float32) / 160
    light = rgb * (1.0 + 0.25 * noise(rng, size, size, 0.9)[..., None])
    return paint((150.0,) * 3, np.clip(light, 0.1, 1.7))


def forest(rng: Generator) -> Picture:
    """The edge of a distant wood, cut out along its top: 512 x 256, 40 x 20 m."""
    height, width = 256, 512
    shade = np.zeros((height, width), np.float32)
    alpha = np.zeros((height, width), np.uint8)
    color = np.ones((height, width, 3), np.float32)
    for k in range(90):
        y = 0.95 - 0.75 * (k / 90) + rng.uniform(-0.05, 0.05)
        top = rng.uniform(0.35, 0.95)
        y = min(y, 1.0) * height * top
        x, r = rng.uniform(0, width), rng.uniform(18, 44)
        tone, warm = rng.uniform(0.5, 1.15), rng.normal(0, 0.12)
        for dx in (-width, 0, width):
            blob = np.zeros((height, width), np.uint8)
            for _ in range(9):
                u, v, q = x + rng.normal(0, 0.45 * r), y + rng.normal(0, 0.35 * r), r * rng.uniform(0.3, 0.7)
                cv2.circle(blob, (int(u + dx), int(v)), int(q), 255, -1, cv2.LINE_AA)
            shade[blob > 0] = tone
            color[blob > 0] = (1 + warm, 1.0, 0.7)
            alpha = np.maximum(alpha, blob)
    fine = noise(rng, height, width, 0.5)
    ragged = cv2.GaussianBlur(alpha, (0, 0), 3).astype(np.float32) / 255 + 0.16 * fine > 0.5
    rows = np.arange(height)[:, None]
    ragged |= rows < 0.22 * height
    light = (
        np.maximum(shade, 0.5)
        * (1 + 0.3 * fine + 0.12 * noise(rng, height, width, 1.0))
        * (0.45 + 0.55 * np.clip(rows / 120, 0, 1))
    )
    return paint((140.0,) * 3, np.clip(light, 0.1, 1.6)[..., None] * color, np.where(ragged, 255, 0))


# ---------------------------------------------------------------- what houses have


def pane(rng: Generator, height: int, width: int) -> np.ndarray:
    """What is behind a window, linear-ish 0-255 RGB (H, W, 3).

    Darkness, curtains, blinds, the far wall of a room.
    """
    base = rng.uniform(12, 55) * np.array([1.0, rng.uniform(0.95, 1.05), rng.uniform(0.9, 1.1)])
    out = np.ones((height, width, 3), np.float32) * base
    out *= (1.0 + 0.25 * noise(rng, height, width, 1.3))[..., None]
    kind = rng.random()
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    if kind < 0.3:  # curtains at the sides
        wide = rng.uniform(0.12, 0.35)
        folds = 150 * (0.8 + 0.25 * np.sin(x * rng.uniform(60, 110)))
        out = np.where(
            ((x < wide) | (x > 1 - wide))[..., None],
            folds[..., None] * rng.uniform(0.5, 1.1) * rng.uniform(0.85, 1.05, 3),
            out,
        )
    elif kind < 0.5:  # a net curtain over the lower part
        out = np.where(
            (y < rng.uniform(0.4, 1.0))[..., None],
            0.35 * out + 95 * (1 + 0.12 * np.sin(x * 90))[..., None],
            out,
        )
    elif kind < 0.68:  # blinds
        low = rng.uniform(0.0, 0.7)
        slats = 140 + 45 * np.sin(y * rng.uniform(120, 220))
        out = np.where((y > low)[..., None], slats[..., None] * rng.uniform(0.75, 1.0), out)
    elif kind < 0.8:  # things on the sill
        for _ in range(3):
            a, b, c = rng.uniform(0, 0.9), rng.uniform(0.05, 0.15), rng.uniform(0.1, 0.35)
            out = np.where(((x > a) & (x < a + b) & (y < c))[..., None], rng.uniform(30, 150, 3), out)
    return np.clip(out, 0, 255)


def window(rng: Generator) -> Picture:
    """A window with its frame, bottom row first: panes reflect (alpha 255), bars do not."""
    height, width = 128, 64
    out = pane(rng, height, width)
    alpha = np.full((height, width), 255.0)
    bars = np.zeros((height, width), bool)
    rim = int(rng.integers(3, 6))
    bars[:rim], bars[-rim:], bars[:, :rim], bars[:, -rim:] = True, True, True, True
    for k in range(1, int(rng.choice((1, 1, 2, 2, 3)))):
        at = width * k // (int(rng.choice((2, 3))) if k == 1 else 3) + 1
        bars[:, at - 2 : at + 1] = True
    for k in range(1, int(rng.choice((1, 2, 2, 3, 4)))):
        at = height * k // int(rng.choice((2, 3, 4)))
        bars[at - 2 : at + 1] = True
    frame = np.array(
        rng.choice(
            [(235, 235, 230), (235, 235, 230), (215, 210, 200), (90, 60, 40), (40, 42, 46), (70, 90, 80)]
        )
    )
    light = 1.0 + 0.06 * noise(rng, height, width, 0.8)
    out[bars] = (frame * light[..., None])[bars]
    alpha[bars] = 25
    return np.dstack([np.clip(out, 0, 255), alpha]).round().astype(np.uint8)


def lettering(
    rng: Generator, picture: np.ndarray, box: tuple[int, int, int, int], color: tuple[float, ...]
) -> None:
    """Writes something into a box x0, y0, x1, y1 of a picture whose top row is first."""
    x0, y0, x1, y1 = box
    letters = "".join(
        chr(int(rng.integers(65, 91))) if rng.random() < 0.85 else " "
        for _ in range(int(rng.integers(4, 11)))
    )
    font = int(
        rng.choice(
            (
                cv2.FONT_HERSHEY_DUPLEX,
                cv2.FONT_HERSHEY_COMPLEX,
                cv2.FONT_HERSHEY_TRIPLEX,
                cv2.FONT_HERSHEY_SIMPLEX,
            )
        )
    )
    (w, h), _ = cv2.getTextSize(letters, font, 1.0, 2)
    scale = 0.8 * min((x1 - x0) / max(w, 1), (y1 - y0) / max(h, 1))
    x, y = int(0.5 * (x0 + x1 - w * scale)), int(0.5 * (y0 + y1 + h * scale))
    ink = np.zeros(picture.shape[:2], np.uint8)
    cv2.putText(ink, letters, (x, y), font, scale, 255, max(1, round(1.6 * scale)), cv2.LINE_AA)
    share = (ink / 255.0)[..., None]
    picture[:] = share * np.asarray(color) + (1 - share) * picture


def shop(rng: Generator) -> Picture:
    """A shop front, 6 x 3.5 m, bottom row first."""
    height, width = 128, 256
    frame = rng.choice(
        [(30, 32, 34), (200, 198, 190), (70, 30, 26), (26, 50, 44), (36, 44, 70), (110, 96, 80)]
    ).astype(float)
    out = np.ones((height, width, 3), np.float32) * frame
    alpha = np.full((height, width), 30.0)
    sign_h = int(rng.uniform(0.16, 0.24) * height)
    plinth = int(rng.uniform(0.04, 0.2) * height)
    top, low = sign_h + 3, height - plinth  # rows from the top
    count = int(rng.integers(2, 6))
    edges = np.linspace(3, width - 3, count + 1).astype(int)
    door = int(rng.integers(count))
    for k in range(count):
        a, b = edges[k] + 2, edges[k + 1] - 2
        c = height - 4 if k == door else low
        inside = pane(rng, c - top, b - a)[::-1] * rng.uniform(0.6, 1.6)
        for _ in range(int(rng.integers(2, 10))):  # what is on show
            u, v = int(rng.uniform(0, b - a - 6)), int(rng.uniform(0.3, 0.9) * (c - top))
            w, h = int(rng.integers(3, 14)), int(rng.integers(4, 24))
            inside[v : v + h, u : u + w] = rng.uniform(20, 200) * rng.uniform(0.8, 1.1, 3)
        out[top:c, a:b] = np.clip(inside, 0, 255)
        alpha[top:c, a:b] = 255
        if rng.random() < 0.25:
            v = int(rng.uniform(0.2, 0.6) * (c - top)) + top
            out[v : v + 12, a + 4 : b - 4] = rng.uniform(120, 240, 3)
    sign = rng.choice(
        [
            (235, 232, 225),
            (30, 30, 34),
            (150, 30, 30),
            (30, 60, 120),
            (40, 90, 60),
            (190, 150, 60),
            (110, 60, 90),
        ]
    ).astype(float)
    out[2:sign_h] = sign * rng.uniform(0.8, 1.05)
    ink = (240.0,) * 3 if sign.mean() < 120 else (30.0,) * 3
    lettering(rng, out, (10, 3, width - 10, sign_h - 2), ink)
    out *= (1.0 + 0.05 * noise(rng, height, width, 1.0))[..., None]
    return np.dstack([np.clip(out, 0, 255), alpha])[::-1].round().astype(np.uint8)


def door(rng: Generator) -> Picture:
    """A random texture of door."""
    height, width = 128, 64
    tone = rng.choice(
        [
            (60, 40, 28),
            (110, 70, 40),
            (40, 60, 90),
            (120, 30, 30),
            (30, 70, 50),
            (200, 198, 190),
            (50, 52, 56),
        ]
    ).astype(float)
    light = 1.0 + 0.08 * noise(rng, height, width, 0.8, 2.5)
    alpha = np.full((height, width), 40.0)
    out = tone * light[..., None]
    for row in range(int(rng.integers(2, 4))):
        for column in range(2):
            a, b = 6 + column * 28, 30 + column * 28
            c, d = 6 + row * 40, 40 + row * 40
            cv2.rectangle(out, (a, c), (b, d), tuple(tone * 0.6), 1)
            cv2.line(out, (a + 1, c + 1), (b - 1, c + 1), tuple(np.clip(tone * 1.3, 0, 255)), 1)
    if rng.random() < 0.6:
        out[92:120, 8:56] = pane(rng, 28, 48)
        alpha[92:120, 8:56] = 255
    out[:, :3], out[:, -3:], out[-3:] = tone * 0.5, tone * 0.5, tone * 0.5
    out[58:64, 52:56] = (170, 165, 150)
    return np.dstack([np.clip(out, 0, 255), alpha]).round().astype(np.uint8)


def shutter(rng: Generator) -> Picture:
    """A garage door."""
    y = np.arange(128)[:, None] / 128 * rng.integers(5, 30) % 1.0
    light = np.broadcast_to(0.9 + 0.15 * y - 0.3 * (y < 0.1), (128, 128)) * (
        1 + 0.05 * noise(rng, 128, 128, 1.2)
    )
    return paint((195.0,) * 3, light, 50)


def sign_board(rng: Generator) -> Picture:
    """A traffic sign, cut out, bottom row first."""
    size = 64
    out = np.zeros((size, size, 3), np.uint8)
    mask = np.zeros((size, size), np.uint8)
    red, blue, white, yellow = (190, 20, 24), (24, 70, 170), (238, 238, 236), (240, 200, 40)
    kind = int(rng.integers(6))
    if kind in (0, 1):
        cv2.circle(mask, (32, 32), 30, 255, -1)
        cv2.circle(out, (32, 32), 31, red if kind == 0 else blue, -1)
        if kind == 0:
            cv2.circle(out, (32, 32), 22, white, -1)
            cv2.putText(
                out,
                str(int(rng.integers(1, 10)) * 10),
                (13, 42),
                cv2.FONT_HERSHEY_DUPLEX,
                0.9,
                (20, 20, 20),
                2,
                cv2.LINE_AA,
            )
        else:
            cv2.arrowedLine(out, (32, 52), (32, 14), white, 6, cv2.LINE_AA, tipLength=0.4)
    elif kind == 2:
        points = np.array([(32, 3), (62, 58), (2, 58)])
        cv2.fillConvexPoly(mask, points, 255)
        cv2.fillConvexPoly(out, points, red)
        cv2.fillConvexPoly(out, np.array([(32, 17), (51, 51), (13, 51)]), white)
        cv2.line(out, (32, 28), (32, 42), (20, 20, 20), 4)
    elif kind == 3:
        points = np.array(
            [(32 + 31 * cos(a), 32 + 31 * sin(a)) for a in np.arange(8) * pi / 4 + pi / 8]
        ).astype(np.int32)
        cv2.fillConvexPoly(mask, points, 255)
        cv2.fillConvexPoly(out, points, red)
        cv2.putText(out, "STOP", (8, 39), cv2.FONT_HERSHEY_DUPLEX, 0.6, white, 2, cv2.LINE_AA)
    else:
        mask[3:61, 3:61] = 255
        out[:] = blue if kind == 4 else white
        cv2.rectangle(out, (5, 5), (58, 58), white if kind == 4 else (60, 60, 60), 2)
        cv2.putText(
            out,
            chr(int(rng.integers(65, 91))),
            (16, 48),
            cv2.FONT_HERSHEY_DUPLEX,
            1.4,
            white if kind == 4 else yellow[::-1],
            3,
        )
    return np.dstack([out, mask])[::-1].copy()


def plate(rng: Generator) -> Picture:
    """A random texture of plate."""
    out = np.full((32, 128, 3), 235, np.uint8)
    if rng.random() < 0.25:
        out[:] = (230, 190, 40)
    if rng.random() < 0.6:
        out[:, :10] = (30, 60, 160)
    cv2.rectangle(out, (0, 0), (127, 31), (20, 20, 20), 1)
    lettering(rng, out, (14, 4, 124, 28), (20, 20, 24))
    return np.dstack([out, np.full((32, 128), 20, np.uint8)])[::-1].copy()


def livery(rng: Generator) -> Picture:
    """The side of a lorry or van, to be tinted."""
    height, width = 128, 256
    out = np.full((height, width, 3), 225, np.float32)
    color = tuple(float(v) for v in rng.uniform(20, 200, 3))
    if rng.random() < 0.5:
        y = int(rng.uniform(0.1, 0.7) * height)
        cv2.rectangle(out, (0, y), (width, y + int(rng.integers(8, 50))), color, -1)
    for _ in range(int(rng.integers(1, 4))):
        y = int(rng.uniform(0.05, 0.7) * height)
        lettering(
            rng,
            out,
            (int(rng.uniform(5, 80)), y, int(rng.uniform(150, 250)), y + int(rng.integers(14, 44))),
            color[::-1],
        )
    streaks = np.clip(noise(rng, height, width, 1.1, 6.0), 0, 3)
    out *= (1.0 - 0.06 * streaks + 0.02 * noise(rng, height, width, 0.5))[..., None]
    return np.dstack([np.clip(out, 0, 255), np.full((height, width), 60)])[::-1].round().astype(np.uint8)


def railing(rng: Generator) -> Picture:
    """Iron bars, cut out, 1 m along and 1 m up."""
    alpha = np.zeros((128, 128), np.uint8)
    count = int(rng.choice((6, 8, 10)))
    for k in range(count):
        x = int((k + 0.5) * 128 / count)
        alpha[:, x - 2 : x + 2] = 255
    for y in (12, 112):
        alpha[y - 3 : y + 3] = 255
    return paint((180.0,) * 3, 1 + 0.1 * noise(rng, 128, 128, 0.8), alpha)


def wire(rng: Generator) -> Picture:
    """A wire fence with posts, cut out, 2 m along and 1 m up."""
    alpha = np.zeros((128, 256), np.uint8)
    for k in range(-16, 33):
        cv2.line(alpha, (k * 8, 0), (k * 8 + 128, 128), 255, 1)
        cv2.line(alpha, (k * 8 + 128, 0), (k * 8, 128), 255, 1)
    alpha[:, :6] = 255
    return paint((170.0,) * 3, 1 + 0.1 * noise(rng, 128, 256, 0.8), alpha)


def boards(rng: Generator) -> Picture:
    """A fence of boards, 2 m square."""
    n = int(rng.choice((10, 14, 18)))
    x = np.arange(256) / 256 * n
    tone = (1 + 0.14 * rng.standard_normal(n))[x.astype(int)] * np.where(x % 1.0 < 0.08, 0.35, 1.0)
    return paint(
        (165.0,) * 3,
        tone[None, :, None] * np.clip(1 + 0.15 * noise(rng, 256, 256, 0.9, 8.0), 0.3, 2)[..., None],
    )


def marking(rng: Generator) -> Picture:
    """Road paint that wheels have worn, 1 m square."""
    worn = noise(rng, 256, 256, 0.9) + 0.7 * noise(rng, 256, 256, 0.2)
    keep = np.clip(2.0 * (worn + rng.uniform(1.0, 2.2)), 0, 1)
    light = keep * (1.0 + 0.05 * noise(rng, 256, 256, 0.8)) + (1 - keep) * 0.42
    return paint((215.0,) * 3, light)


def cloth(rng: Generator) -> Picture:
    """A random texture of cloth."""
    light = np.clip(1.0 + 0.22 * noise(rng, 128, 128, 1.2) + 0.05 * noise(rng, 128, 128, 0.1), 0.3, 1.6)
    return paint((180.0,) * 3, light)


def poster(rng: Generator) -> Picture:
    """A random texture of poster."""
    out = np.ones((128, 64, 3), np.float32) * rng.uniform(30, 230, 3)
    for _ in range(int(rng.integers(2, 6))):
        x, y = int(rng.uniform(0, 60)), int(rng.uniform(0, 120))
        shape = tuple(float(v) for v in rng.uniform(10, 250, 3))
        if rng.random() < 0.5:
            cv2.circle(out, (x, y), int(rng.integers(8, 34)), shape, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(out, (x, y), (x + 30, y + 40), shape, -1)
    lettering(rng, out, (2, 8, 62, 36), (245, 245, 240))
    return np.dstack([np.clip(out, 0, 255), np.full((128, 64), 120)])[::-1].round().astype(np.uint8)


def white(rng: Generator) -> Picture:
    """A white texture."""
    return np.full((2, 2, 4), 255, np.uint8)


MAKERS: dict[str, tuple[Callable[[Generator], Picture], int]] = {
    "white": (white, 1),
    "road": (road, 6),
    "asphalt": (plain_asphalt, 3),
    "slabs": (slabs, 8),
    "kerb": (kerb, 2),
    "grass": (grass, 4),
    "earth": (earth, 3),
    "brick": (brick, 6),
    "ashlar": (ashlar, 4),
    "plaster": (plaster, 5),
    "concrete": (concrete, 4),
    "cladding": (cladding, 4),
    "roof": (roof_tiles, 4),
    "bark": (bark, 2),
    "leaves": (leaves, 8),
    "twigs": (twigs, 3),
    "foliage": (foliage, 3),
    "forest": (forest, 3),
    "window": (window, 24),
    "shop": (shop, 20),
    "door": (door, 10),
    "shutter": (shutter, 4),
    "sign": (sign_board, 16),
    "plate": (plate, 4),
    "livery": (livery, 8),
    "railing": (railing, 2),
    "wire": (wire, 1),
    "boards": (boards, 3),
    "marking": (marking, 3),
    "cloth": (cloth, 3),
    "poster": (poster, 6),
}
"""How each picture is made, and how many different ones there are."""


class Bank:
    """All pictures in one array, as the renderer reads them.

    `rows` has the numbers of the pictures of each kind.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = {}
        texels: list[np.ndarray] = []
        table: list[tuple[int, int, int]] = []
        count = 0
        for number, (name, (make, copies)) in enumerate(MAKERS.items()):
            for k in range(copies):
                picture = make(np.random.default_rng([number, k]))
                levels = mips(np.ascontiguousarray(picture))
                self.rows.setdefault(name, []).append(len(table))
                table.append((count, picture.shape[1].bit_length() - 1, picture.shape[0].bit_length() - 1))
                texels.append(levels)
                count += len(levels)
        self.texels, self.table, self.count = np.concatenate(texels), table, count

    def with_(self, extra: list[np.ndarray]) -> np.ndarray:
        """The texels and further ones behind them; without any, the bank's own array and no copy."""
        return np.concatenate([self.texels, *extra]) if extra else self.texels


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The pictures, made once a process."""
    return Bank()
