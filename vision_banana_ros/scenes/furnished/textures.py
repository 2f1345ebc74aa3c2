# SPDX-License-Identifier: Apache-2.0
"""Procedural surface textures with variation at every scale, dirt, wear and patterns.

Real surfaces have spectra close to 1/f, so every texture contains periodic noise of such spectra. All
textures are seamless, `SIDE` pixels wide and high, with sRGB values in 0-1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

SIDE = 512
VARIANTS = 32
"""Pictures of a kind; worlds share them, and a process keeps the last few."""
Rng = np.random.Generator
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Painted:
    """A picture of a kind, and the metres that it spans: it takes a `library.Surface`'s place in a finish."""

    kind: str
    number: int
    size_m: tuple[float, float]
    small: bool = False
    """Half as many pixels a side: for things, of which there are many."""

    @property
    def id(self) -> str:
        """The name of the picture, the same for equal pictures."""
        return f"painted {self.kind} {self.number}{' small' if self.small else ''}"

    def texels(self) -> tuple[np.ndarray, int, int]:
        """Texels with their mip levels, log2 width, log2 height."""
        return (small_texels if self.small else texels)(self.kind, self.number)


@lru_cache(maxsize=128)
def texels(kind: str, number: int) -> tuple[np.ndarray, int, int]:
    """The texels of a texture with their mip levels, log2 width, log2 height."""
    return levels(paint(kind, number))


@lru_cache(maxsize=512)
def small_texels(kind: str, number: int) -> tuple[np.ndarray, int, int]:
    """The same for a small texture."""
    return levels(cv2.resize(paint(kind, number), (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA))


def levels(picture: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Texels with their mip levels, log2 width, log2 height.

    Averages gamma-encoded values, unlike `models.mips`: ten times faster, and these surfaces have little
    contrast.
    """
    log = picture.shape[0].bit_length() - 1
    found = [picture]
    while len(found[-1]) > 1:
        found.append(cv2.resize(found[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    rgb = np.concatenate([level.reshape(-1, 3) for level in found])
    return np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], 1), log, log


def paint(kind: str, number: int) -> np.ndarray:
    """The picture (H, W, 3) uint8 sRGB, first row at the bottom of walls."""
    rng = np.random.default_rng([sum(map(ord, kind)), len(kind), number])
    return np.asarray(np.clip(PAINTERS[kind](rng) * 255.0 + 0.5, 0, 255), np.uint8)


# ---------------------------------------------------------------- noise


@lru_cache(maxsize=16)
def _field(slope: float, number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    fy, fx = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    f = np.hypot(fx, fy)
    f[0, 0] = 1.0
    spectrum /= f**slope
    spectrum[0, 0] = 0.0
    out = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return np.asarray(np.clip(out / out.std(), -3.5, 3.5), np.float32)


GRAIN, NATURAL, SMOOTH = 0.4, 1.0, 1.7


def field(rng: Rng, slope: float, repeat: int = 1) -> np.ndarray:
    """Periodic noise (SIDE, SIDE) of mean 0 and deviation 1, amplitude f^-slope.

    `repeat` makes it that much finer.
    """
    out = _field(slope, int(rng.integers(3)))
    out = np.roll(out, tuple(rng.integers(SIDE, size=2)), (0, 1))
    if rng.random() < 0.5:
        out = out.T
    if repeat > 1:
        out = np.tile(
            cv2.resize(out, (SIDE // repeat, SIDE // repeat), interpolation=cv2.INTER_AREA), (repeat, repeat)
        )
    return out[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]


def streaks(rng: Rng, slope: float, stretch: int, across: bool = True) -> np.ndarray:
    """Noise drawn out along x (or y): grain of wood, brushed metal, drips."""
    out = _field(slope, int(rng.integers(3)))
    out = np.roll(out, tuple(rng.integers(SIDE, size=2)), (0, 1))
    narrow = np.ascontiguousarray(out[:, : SIDE // stretch])
    narrow = 0.5 * (narrow + narrow[:, ::-1])  # so that both ends meet
    out = cv2.resize(narrow, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    out = out / max(float(out.std()), 1e-6)
    return np.ascontiguousarray(out if across else out.T)


def grid() -> tuple[np.ndarray, np.ndarray]:
    """x, y of the pixels, 0-1."""
    axis = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    return np.broadcast_to(axis, (SIDE, SIDE)), np.broadcast_to(axis[:, None], (SIDE, SIDE))


# ---------------------------------------------------------------- colour


def pick(rng: Rng, *colors: Color) -> np.ndarray:
    """One of the colours, a little changed."""
    color = np.array(colors[int(rng.integers(len(colors)))])
    return np.clip(color * rng.uniform(0.85, 1.12) + rng.normal(0, 0.015, 3), 0.02, 0.98).astype(np.float32)


def plain(color: np.ndarray) -> np.ndarray:
    """A texture of one colour."""
    return np.broadcast_to(color, (SIDE, SIDE, 3)).astype(np.float32)


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """B where `share` (H, W) is 1, a where it is 0."""
    return a + (b - a) * np.clip(share, 0, 1)[..., None]


def vary(picture: np.ndarray, *parts: np.ndarray) -> np.ndarray:
    """The picture brighter and darker by the sum of the parts."""
    return picture * (1.0 + np.sum(parts, axis=0))[..., None]


def worn(rng: Rng, picture: np.ndarray, most: float = 0.3) -> np.ndarray:
    """Unevenness, stains and specks; how much is drawn, and often it is little."""
    amount = most * rng.random() ** 1.5
    picture = vary(
        picture, (0.02 + 0.25 * amount) * field(rng, SMOOTH), (0.012 + 0.1 * amount) * field(rng, NATURAL)
    )
    if rng.random() < 0.6:
        dirt = pick(rng, (0.35, 0.3, 0.24), (0.25, 0.23, 0.21), (0.5, 0.45, 0.36))
        picture = mix(
            picture,
            picture * dirt * 1.6,
            amount * np.clip(field(rng, NATURAL) - rng.uniform(0.0, 1.5), 0, 1.5),
        )
    if rng.random() < 0.4:
        specks = (field(rng, GRAIN) > rng.uniform(2.6, 3.2)).astype(np.float32)
        picture = mix(
            picture,
            plain(pick(rng, (0.2, 0.18, 0.15), (0.8, 0.8, 0.78))),
            0.8 * cv2.GaussianBlur(specks, (0, 0), 0.7),
        )
    if rng.random() < 0.25:  # a crack or scratch: where a smooth field passes zero
        crack = abs(field(rng, SMOOTH)) < rng.uniform(0.004, 0.012)
        keep = field(rng, SMOOTH) > rng.uniform(0.3, 1.2)
        picture = vary(picture, -0.4 * (crack & keep).astype(np.float32))
    return picture


def random_color(rng: Rng, strength: float = 0.8) -> np.ndarray:
    """Any colour, most of them dull."""
    hue, s, v = rng.random(), strength * rng.random(), rng.uniform(0.15, 0.95)
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    return np.asarray(v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1), np.float32)


# ---------------------------------------------------------------- patterns


def joints(
    columns: int, rows: int, width: float, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A running bond: the share of joint (H, W), and each pixel's column and row."""
    x, y = grid()
    row = np.floor(y * rows).astype(int)
    along = x * columns + shift * (row % 2) + (shift == 0.37) * row * 0.37
    column = np.floor(along).astype(int) % columns
    near_x = np.minimum(along % 1, 1 - along % 1) / columns
    near_y = np.minimum((y * rows) % 1, 1 - (y * rows) % 1) / rows
    near = np.minimum(near_x, near_y)
    return np.clip(1.5 - near / max(width, 1e-6), 0, 1).astype(np.float32), column, row


def each(rng: Rng, column: np.ndarray, row: np.ndarray, spread: float) -> np.ndarray:
    """A value for each stone, plank or tile."""
    table = rng.normal(0, spread, (row.max() + 1, column.max() + 1)).astype(np.float32)
    return np.asarray(table[row, column])


# ---------------------------------------------------------------- floors


def carpet(rng: Rng) -> np.ndarray:
    """A random texture of carpet."""
    color = pick(
        rng,
        (0.36, 0.35, 0.35),
        (0.28, 0.31, 0.38),
        (0.45, 0.41, 0.36),
        (0.4, 0.26, 0.24),
        (0.27, 0.33, 0.28),
        (0.2, 0.2, 0.22),
        (0.55, 0.5, 0.43),
    )
    picture = vary(
        plain(color), rng.uniform(0.06, 0.2) * field(rng, 0.15), rng.uniform(0.02, 0.08) * field(rng, NATURAL)
    )
    drawn = rng.random()
    if drawn < 0.35:  # carpet tiles, laid crosswise
        n = int(rng.choice((4, 6, 8)))
        joint, column, row = joints(n, n, 0.0012)
        picture = vary(
            picture,
            each(rng, column, row, 0.04),
            0.08 * ((column + row) % 2).astype(np.float32),
            -0.15 * joint,
        )
    elif drawn < 0.5:
        _, y = grid()
        other = random_color(rng, 0.5)
        picture = mix(
            picture,
            picture * 0.4 + 0.6 * other,
            0.6 * (np.sin(2 * math.pi * y * int(rng.integers(4, 40))) > rng.uniform(0, 0.8)),
        )
    elif drawn < 0.62:
        picture = mix(
            picture,
            picture * 0.3 + 0.7 * random_color(rng, 0.5),
            0.8 * (field(rng, NATURAL, int(rng.choice((2, 4)))) > 0.8),
        )
    return worn(rng, picture, 0.35)


def parquet(rng: Rng) -> np.ndarray:
    """A random texture of parquet."""
    color = pick(
        rng,
        (0.62, 0.45, 0.28),
        (0.5, 0.35, 0.22),
        (0.72, 0.57, 0.4),
        (0.36, 0.24, 0.16),
        (0.55, 0.5, 0.45),
        (0.66, 0.52, 0.38),
    )
    columns, rows = int(rng.choice((2, 3, 4))), int(rng.integers(10, 22))
    joint, column, row = joints(columns, rows, rng.uniform(0.0008, 0.002), 0.37)
    grain = streaks(rng, 0.7, int(rng.choice((8, 16))))
    step = (each(rng, column, row, 1.0) * 97).astype(int)
    rows_, columns_ = np.indices((SIDE, SIDE))
    grain = grain[(rows_ + step) % SIDE, (columns_ + 5 * step) % SIDE]
    picture = vary(
        plain(color), rng.uniform(0.04, 0.13) * grain, each(rng, column, row, rng.uniform(0.02, 0.11))
    )
    picture = picture * (1 + each(rng, column, row, 0.02)[..., None] * np.array([1, 0, -1]))
    return worn(rng, mix(picture, picture * rng.uniform(0.3, 0.7), joint), 0.3)


def concrete(rng: Rng) -> np.ndarray:
    """A floor or wall of concrete or screed: cloudy, stained, cracked."""
    color = pick(
        rng,
        (0.55, 0.54, 0.52),
        (0.44, 0.43, 0.41),
        (0.36, 0.33, 0.28),
        (0.62, 0.6, 0.56),
        (0.32, 0.34, 0.34),
        (0.48, 0.42, 0.33),
        (0.3, 0.27, 0.22),
    )
    picture = vary(
        plain(color), rng.uniform(0.03, 0.12) * field(rng, SMOOTH),
        rng.uniform(0.02, 0.1) * field(rng, NATURAL),
        rng.uniform(0.01, 0.05) * field(rng, GRAIN),
    )  # fmt: skip
    if rng.random() < 0.5:
        joint, column, row = joints(
            int(rng.choice((1, 2))), int(rng.choice((1, 2))), rng.uniform(0.001, 0.003)
        )
        picture = vary(picture, -rng.uniform(0.1, 0.5) * joint, each(rng, column, row, 0.04))
    if rng.random() < 0.35:  # repaired or spilled: patches of another tone
        edge = field(rng, SMOOTH) + 0.15 * field(rng, NATURAL)
        picture = vary(picture, rng.uniform(-0.35, 0.25) * np.clip(8 * (edge - rng.uniform(0.6, 1.6)), 0, 1))
    if rng.random() < 0.3:  # a trail
        picture = mix(
            picture,
            picture * pick(rng, (0.6, 0.5, 0.4), (0.5, 0.5, 0.5)),
            0.5 * np.clip(streaks(rng, 1.2, 8, rng.random() < 0.5) - 0.8, 0, 1),
        )
    return worn(rng, picture, 0.5)


def painted_floor(rng: Rng) -> np.ndarray:
    """Epoxy or sports floor, with lines of tape or paint."""
    color = pick(
        rng,
        (0.42, 0.45, 0.46),
        (0.3, 0.42, 0.36),
        (0.55, 0.33, 0.25),
        (0.32, 0.4, 0.5),
        (0.6, 0.58, 0.52),
        (0.7, 0.52, 0.34),
        (0.45, 0.44, 0.42),
    )
    picture = vary(
        plain(color), 0.04 * field(rng, SMOOTH), 0.02 * field(rng, NATURAL), 0.015 * field(rng, GRAIN)
    )
    lines = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        at, width = int(rng.integers(SIDE)), int(rng.integers(3, 9))
        if rng.random() < 0.5:
            lines[at : at + width] = 1
        else:
            lines[:, at : at + width] = 1
    paint_ = plain(
        pick(
            rng,
            (0.85, 0.85, 0.83),
            (0.85, 0.72, 0.15),
            (0.2, 0.3, 0.6),
            (0.75, 0.2, 0.16),
            (0.12, 0.12, 0.12),
        )
    )
    rubbed = np.clip(1.2 + rng.uniform(0, 0.5) * field(rng, NATURAL), 0, 1)
    return worn(rng, mix(picture, paint_, lines * rubbed), 0.5)


def tiles(rng: Rng) -> np.ndarray:
    """A random texture of tiles."""
    color = pick(
        rng,
        (0.75, 0.73, 0.69),
        (0.6, 0.57, 0.53),
        (0.45, 0.44, 0.43),
        (0.68, 0.58, 0.47),
        (0.86, 0.86, 0.84),
        (0.55, 0.35, 0.27),
        (0.35, 0.38, 0.42),
    )
    n = int(rng.choice((4, 6, 8, 10)))
    joint, column, row = joints(
        n, n if rng.random() < 0.7 else 2 * n, rng.uniform(0.001, 0.004), rng.choice((0.0, 0.0, 0.5))
    )
    marble = field(rng, NATURAL) * rng.uniform(0.0, 0.1)
    picture = vary(
        plain(color), each(rng, column, row, rng.uniform(0.005, 0.06)), marble, 0.015 * field(rng, GRAIN)
    )
    if rng.random() < 0.15:
        picture = mix(picture, plain(random_color(rng, 0.6)), ((column + row) % 2).astype(np.float32))
    grout = plain(pick(rng, (0.35, 0.33, 0.31), (0.6, 0.58, 0.55), (0.8, 0.79, 0.77)))
    return worn(rng, mix(picture, vary(grout, 0.1 * field(rng, NATURAL)), joint), 0.35)


def linoleum(rng: Rng) -> np.ndarray:
    """A random texture of linoleum."""
    color = pick(
        rng,
        (0.6, 0.57, 0.5),
        (0.45, 0.5, 0.5),
        (0.66, 0.6, 0.48),
        (0.5, 0.45, 0.42),
        (0.38, 0.42, 0.48),
        (0.72, 0.7, 0.66),
    )
    picture = vary(plain(color), 0.02 * field(rng, SMOOTH), 0.04 * streaks(rng, 0.8, 4))
    for _ in range(int(rng.integers(1, 4))):
        flake = field(rng, 0.6) > rng.uniform(1.0, 2.0)
        picture = mix(
            picture, plain(np.clip(color * rng.uniform(0.5, 1.5), 0, 1)), rng.uniform(0.3, 0.8) * flake
        )
    if rng.random() < 0.4:
        joint, column, row = joints(*(int(rng.choice((6, 10))),) * 2, 0.0012)
        picture = vary(picture, each(rng, column, row, 0.03), -0.2 * joint)
    return worn(rng, picture, 0.35)


def asphalt(rng: Rng) -> np.ndarray:
    """A random texture of asphalt."""
    color = pick(rng, (0.36, 0.36, 0.37), (0.28, 0.28, 0.29), (0.46, 0.45, 0.44))
    picture = vary(
        plain(color), 0.22 * field(rng, 0.1), 0.06 * field(rng, NATURAL), 0.06 * field(rng, SMOOTH)
    )
    return worn(rng, picture, 0.5)


# ---------------------------------------------------------------- walls; the first row stands on the floor


def plaster(rng: Rng) -> np.ndarray:
    """Painted plaster.

    Often white, sometimes in two tones, with a skirting, scuffs below and stains that run down.
    """
    color = pick(
        rng,
        (0.88, 0.87, 0.84),
        (0.85, 0.85, 0.85),
        (0.8, 0.77, 0.7),
        (0.87, 0.82, 0.7),
        (0.72, 0.74, 0.74),
        (0.66, 0.72, 0.76),
        (0.74, 0.76, 0.66),
        (0.8, 0.7, 0.62),
        (0.6, 0.58, 0.55),
    )
    if rng.random() < 0.08:
        color = np.clip(0.3 + 0.7 * random_color(rng), 0, 1)
    picture = vary(
        plain(color),
        0.015 * field(rng, SMOOTH),
        rng.uniform(0.003, 0.018) * field(rng, NATURAL),
        rng.uniform(0.002, 0.03) * field(rng, GRAIN),
    )
    _, y = grid()
    if rng.random() < 0.2:  # another tone below, sometimes with a line between them
        level = rng.uniform(0.3, 0.55)
        lower = pick(
            rng,
            tuple(color * 0.7),  # type: ignore[arg-type]
            (0.5, 0.55, 0.6),
            (0.62, 0.55, 0.45),
            (0.55, 0.62, 0.55),
            (0.75, 0.73, 0.7),
        )
        picture = mix(picture, picture * (lower / color), np.clip((level - y) * SIDE, 0, 1))
        if rng.random() < 0.4:
            picture = mix(picture, plain(random_color(rng, 0.5)), np.clip(4 - abs(y - level) * SIDE, 0, 1))
    scuffs = np.clip(field(rng, NATURAL) - 0.8 - 3 * y, 0, 1) * rng.uniform(0.0, 0.4)
    drips = np.clip(streaks(rng, 1.0, 8, False) - 1.2, 0, 1) * rng.uniform(0, 0.15) * (rng.random() < 0.4)
    picture = vary(picture, -scuffs, -drips, -rng.uniform(0.0, 0.12) * np.exp(-y * 8))
    if rng.random() < 0.75:
        high = rng.uniform(0.018, 0.045)
        board = plain(
            pick(
                rng,
                (0.85, 0.84, 0.82),
                (0.4, 0.27, 0.18),
                (0.25, 0.25, 0.26),
                (0.55, 0.55, 0.55),
                (0.62, 0.48, 0.33),
            )
        )
        board = vary(board, 0.05 * streaks(rng, 0.8, 8), -0.3 * np.clip(3 - abs(y - high) * SIDE, 0, 1) / 3)
        picture = mix(picture, board, np.clip((high - y) * SIDE, 0, 1))
    return worn(rng, picture, 0.06)


def wallpaper(rng: Rng) -> np.ndarray:
    """A random texture of wallpaper."""
    color = pick(
        rng, (0.82, 0.78, 0.7), (0.7, 0.74, 0.7), (0.75, 0.68, 0.66), (0.66, 0.7, 0.78), (0.86, 0.84, 0.8)
    )
    other = np.clip(color * rng.uniform(0.75, 1.15) + rng.normal(0, 0.05, 3), 0, 1).astype(np.float32)
    x, y = grid()
    n = int(rng.integers(6, 30))
    drawn = rng.random()
    if drawn < 0.4:
        pattern = np.sin(2 * math.pi * n * x) > rng.uniform(-0.5, 0.8)
    elif drawn < 0.7:
        a, b = 2 * math.pi * n * x, 2 * math.pi * n * y
        pattern = np.sin(a) * np.sin(b) + 0.5 * np.sin(2 * a + 1) * np.cos(2 * b) > rng.uniform(0.1, 0.7)
    else:
        pattern = np.tile(field(rng, SMOOTH, 8)[: SIDE // 8, : SIDE // 8], (8, 8)) > rng.uniform(0.2, 1.0)
    return worn(rng, vary(mix(plain(color), plain(other), pattern), 0.02 * field(rng, GRAIN)), 0.2)


def bricks(rng: Rng) -> np.ndarray:
    """A random texture of bricks."""
    color = pick(
        rng,
        (0.55, 0.3, 0.22),
        (0.62, 0.42, 0.3),
        (0.7, 0.6, 0.45),
        (0.4, 0.26, 0.22),
        (0.82, 0.81, 0.78),
        (0.6, 0.58, 0.55),
    )
    rows = int(rng.choice((14, 20, 28, 36)))
    joint, column, row = joints(
        max(2, rows // int(rng.choice((2, 3, 4)))), rows, rng.uniform(0.0025, 0.005), 0.5
    )
    picture = vary(
        plain(color),
        each(rng, column, row, rng.uniform(0.03, 0.16)),
        0.08 * field(rng, NATURAL),
        0.06 * field(rng, GRAIN),
    )
    picture = picture * (1 + each(rng, column, row, 0.05)[..., None] * np.array([1.0, 0.2, -0.6]))
    tone = pick(rng, (0.65, 0.62, 0.57), (0.45, 0.43, 0.4), tuple(color * 0.9))  # type: ignore[arg-type]
    mortar = vary(plain(tone), 0.08 * field(rng, GRAIN))
    picture = mix(picture, mortar, joint)
    return worn(rng, vary(picture, 0.1 * (np.roll(joint, 1, 0) - joint)), 0.5)


def panels(rng: Rng) -> np.ndarray:
    """Boards, sheets of metal with ribs, office partitions."""
    color = pick(
        rng,
        (0.62, 0.62, 0.6),
        (0.7, 0.72, 0.74),
        (0.55, 0.42, 0.3),
        (0.45, 0.5, 0.55),
        (0.82, 0.82, 0.8),
        (0.6, 0.48, 0.34),
    )
    x, _ = grid()
    n = int(rng.choice((3, 4, 5)))
    joint, column, row = joints(n, int(rng.choice((1, 1, 2))), rng.uniform(0.001, 0.003))
    picture = vary(
        plain(color), each(rng, column, row, 0.02), 0.02 * field(rng, NATURAL), -rng.uniform(0.2, 0.6) * joint
    )
    drawn = rng.random()
    if drawn < 0.35:
        ribs = 2 * math.pi * n * int(rng.integers(3, 10))
        picture = vary(picture, rng.uniform(0.05, 0.2) * np.tanh(3 * np.sin(ribs * x)).astype(np.float32))
    elif drawn < 0.6:
        picture = vary(picture, 0.08 * streaks(rng, 0.8, 8, False))
    elif drawn < 0.75:
        picture = vary(picture, rng.uniform(0.05, 0.12) * field(rng, 0.1))
    return worn(rng, picture, 0.35)


def cloth(rng: Rng) -> np.ndarray:
    """Curtains, tarpaulins and sheets that hang in folds, lit from one side or from behind."""
    color = pick(
        rng,
        (0.86, 0.86, 0.88),
        (0.78, 0.76, 0.72),
        (0.4, 0.42, 0.5),
        (0.6, 0.3, 0.25),
        (0.35, 0.45, 0.4),
        (0.2, 0.2, 0.22),
        (0.9, 0.9, 0.92),
    )
    x, y = grid()
    bend = 0.02 * field(rng, SMOOTH)
    folds = np.sum(
        [np.sin(2 * math.pi * (int(rng.integers(2, 22)) * (x + bend) + rng.random())) for _ in range(4)],
        axis=0,
    )
    picture = vary(
        plain(color),
        (rng.uniform(0.02, 0.1) * folds).astype(np.float32),
        0.03 * field(rng, SMOOTH),
        0.02 * field(rng, GRAIN),
    )
    if rng.random() < 0.4:  # a wire fence or seams before it
        joint, _, _ = joints(int(rng.integers(6, 24)), int(rng.integers(2, 8)), 0.0015)
        picture = vary(picture, -rng.uniform(0.05, 0.3) * joint)
    return worn(rng, picture, 0.25)


def hanging_ceiling(rng: Rng) -> np.ndarray:
    """Square or long panels with dark pores in a grid of rails."""
    n = int(rng.choice((4, 6, 8)))
    joint, column, row = joints(n, n if rng.random() < 0.7 else 2 * n, 0.0025)
    color = pick(rng, (0.86, 0.86, 0.84), (0.78, 0.78, 0.76), (0.9, 0.89, 0.86))
    pores = (field(rng, 0.2) > rng.uniform(1.8, 2.6)).astype(np.float32)
    picture = vary(plain(color), -0.25 * pores, each(rng, column, row, 0.015), 0.01 * field(rng, NATURAL))
    return worn(rng, vary(picture, rng.uniform(-0.3, 0.06) * joint), 0.1)


def deck(rng: Rng) -> np.ndarray:
    """The underside of a hall's roof: trapezoidal sheets and beams, or dark fabric and pipes."""
    color = pick(
        rng, (0.7, 0.72, 0.72), (0.5, 0.5, 0.5), (0.25, 0.25, 0.26), (0.62, 0.6, 0.55), (0.82, 0.82, 0.8)
    )
    x, y = grid()
    picture = vary(
        plain(color),
        rng.uniform(0.05, 0.15) * np.tanh(4 * np.sin(2 * math.pi * 24 * x)).astype(np.float32),
        0.02 * field(rng, NATURAL),
    )
    beams = int(rng.integers(1, 4))
    near = abs((y * beams) % 1 - 0.5) / beams
    picture = mix(
        picture,
        plain(pick(rng, (0.45, 0.46, 0.48), (0.75, 0.76, 0.76), (0.5, 0.2, 0.15), (0.55, 0.42, 0.28))),
        np.clip((0.018 - near) * SIDE, 0, 1),
    )
    return worn(rng, picture, 0.4)


# ---------------------------------------------------------------- what is printed, written or shown


def printed(rng: Rng) -> np.ndarray:
    """A poster, notice, book's cover or painting: fields of colour, a picture, lines of writing."""
    picture = plain(
        np.array((0.93, 0.92, 0.88), np.float32) if rng.random() < 0.5 else random_color(rng)
    ).copy()
    for _ in range(int(rng.integers(0, 4))):
        x0, y0 = rng.integers(0, SIDE - 60, 2)
        x1, y1 = x0 + rng.integers(40, SIDE), y0 + rng.integers(40, SIDE)
        patch = picture[y0:y1, x0:x1]
        if rng.random() < 0.5:  # as a photograph: smooth colours with edges
            shape = patch.shape[:2]
            a, b = random_color(rng), random_color(rng)
            ground = (
                0.5
                + 0.35 * field(rng, SMOOTH)[: shape[0], : shape[1]]
                + 0.1 * field(rng, NATURAL)[: shape[0], : shape[1]]
            )
            patch[:] = mix(np.broadcast_to(a, patch.shape), np.broadcast_to(b, patch.shape), ground)
        else:
            patch[:] = random_color(rng)
    return np.clip(write(rng, picture, int(rng.integers(0, 30))), 0, 1)


def write(rng: Rng, picture: np.ndarray, lines: int) -> np.ndarray:
    """Lines that look like writing from afar, from the top down.

    The first row of the picture is its bottom.
    """
    ink = plain(
        random_color(rng, 0.5) * 0.5 if picture.mean() > 0.4 else np.array((0.9, 0.9, 0.9), np.float32)
    )
    mask = np.zeros((SIDE, SIDE), np.float32)
    y, left = int(rng.integers(20, 120)), int(rng.integers(15, 120))
    for _ in range(lines):
        high = int(rng.integers(20, 50)) if rng.random() < 0.15 else int(rng.integers(5, 10))
        x, stop = left, SIDE - int(rng.integers(15, 200))
        while x < stop and y + high < SIDE:
            length = int(high * rng.uniform(0.8, 5))
            letters = rng.random((high, max(1, min(length, stop - x)))) < 0.55
            mask[SIDE - y - high : SIDE - y, x : x + letters.shape[1]] = letters
            x += length + high // 2 + 1
        y += int(high * rng.uniform(1.4, 2.2))
    return mix(picture, ink, 0.85 * cv2.GaussianBlur(mask, (0, 0), 0.8))


def screen(rng: Rng) -> np.ndarray:
    """What a monitor shows: windows with bars and writing, dark or bright, or nothing."""
    drawn = rng.random()
    if drawn < 0.2:
        return vary(plain(np.array((0.03, 0.03, 0.035), np.float32)), 0.1 * field(rng, SMOOTH))
    ground = mix(plain(random_color(rng)), plain(random_color(rng)), 0.5 + 0.4 * field(rng, SMOOTH)).copy()
    for _ in range(int(rng.integers(1, 4))):
        x0, y0 = rng.integers(0, SIDE // 2, 2)
        x1, y1 = x0 + rng.integers(SIDE // 4, SIDE), y0 + rng.integers(SIDE // 4, SIDE)
        window = plain(
            np.array((0.95, 0.95, 0.96), np.float32)
            if rng.random() < 0.6
            else np.array((0.12, 0.13, 0.15), np.float32)
        ).copy()
        window = write(rng, window, int(rng.integers(5, 40)))
        ground[y0:y1, x0:x1] = window[y0:y1, x0:x1]
        ground[max(0, min(y1, SIDE) - 16) : y1, x0:x1] = random_color(rng, 0.4)
    return np.clip(ground, 0, 1)


def board(rng: Rng) -> np.ndarray:
    """A whiteboard or blackboard with writing and drawings, half wiped."""
    dark = rng.random() < 0.15
    color = (
        pick(rng, (0.14, 0.22, 0.18), (0.12, 0.13, 0.14))
        if dark
        else pick(rng, (0.93, 0.94, 0.95), (0.88, 0.89, 0.9))
    )
    picture = np.ascontiguousarray(vary(plain(color), 0.02 * field(rng, SMOOTH)))
    for _ in range(int(rng.integers(0, 25))):
        ink = (
            (0.9, 0.9, 0.85)
            if dark
            else tuple(
                map(
                    float,
                    ((0.1, 0.12, 0.3), (0.6, 0.1, 0.1), (0.1, 0.35, 0.15), (0.1, 0.1, 0.1))[
                        int(rng.integers(4))
                    ],
                )
            )
        )
        start = rng.integers(20, SIDE - 20, 2)
        steps = rng.normal(0, rng.choice((6, 20)), (int(rng.integers(4, 40)), 2)) + (rng.uniform(0, 10), 0)
        line = (start + np.cumsum(steps, 0)).astype(np.int32)
        cv2.polylines(picture, [line], False, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
    smear = np.clip(streaks(rng, 1.2, 4) - 0.5, 0, 1) * 0.06
    return np.clip(vary(picture, smear if dark else -smear), 0, 1)


def spines(rng: Rng) -> np.ndarray:
    """A row of books or folders, standing."""
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    x = 0
    _, y = grid()
    same = random_color(rng, 0.6) if rng.random() < 0.3 else None
    while x < SIDE:
        wide = int(rng.integers(10, 45))
        color = random_color(rng, 0.7) if same is None else np.clip(same * rng.uniform(0.8, 1.2), 0, 1)
        shape = np.sin(np.linspace(0.35, math.pi - 0.35, wide))[:, None] * color
        picture[:, x : x + wide] = shape[: SIDE - x]
        if rng.random() < 0.7:
            low, high = sorted(rng.integers(40, SIDE - 40, 2))
            label = random_color(rng)
            picture[low:high, x + wide // 4 : x + wide - wide // 4] = label
            picture[low:high:5, x + wide // 3 : x + wide - wide // 3] = 1 - label
        top = SIDE - int(rng.integers(0, 110))
        picture[top:, x : x + wide] = 0.06
        picture[:, max(0, x - 1) : x + 1] *= 0.4
        x += wide
    return vary(picture, 0.05 * field(rng, NATURAL))


def carton(rng: Rng) -> np.ndarray:
    """Cardboard with tape, labels and print."""
    color = pick(
        rng, (0.62, 0.47, 0.32), (0.7, 0.55, 0.38), (0.5, 0.37, 0.25), (0.85, 0.83, 0.78), (0.58, 0.44, 0.3)
    )
    if rng.random() < 0.12:
        color = random_color(rng)
    picture = vary(
        plain(color),
        0.03 * streaks(rng, 0.5, 8, False),
        0.04 * field(rng, NATURAL),
        0.05 * field(rng, SMOOTH),
    ).copy()
    if rng.random() < 0.6:
        at, wide = int(rng.integers(180, 280)), int(rng.integers(30, 60))
        picture[:, at : at + wide] = picture[:, at : at + wide] * 0.6 + 0.4 * pick(
            rng, (0.75, 0.6, 0.35), (0.85, 0.85, 0.85)
        )
    if rng.random() < 0.6:
        x, y = rng.integers(30, 330, 2)
        w, h = rng.integers(60, 160, 2)
        label = write(rng, plain(pick(rng, (0.92, 0.92, 0.9))), 30)
        picture[y : y + h, x : x + w] = label[y : y + h, x : x + w]
    if rng.random() < 0.5:
        picture = write(rng, picture, int(rng.integers(1, 6)))
    edge = np.minimum.reduce([*grid(), 1 - grid()[0], 1 - grid()[1]])
    return worn(rng, vary(picture, -0.25 * np.exp(-edge * 60)), 0.4)


def wood(rng: Rng) -> np.ndarray:
    """A random texture of wood."""
    color = pick(
        rng,
        (0.6, 0.45, 0.3),
        (0.72, 0.58, 0.42),
        (0.42, 0.28, 0.18),
        (0.3, 0.2, 0.14),
        (0.8, 0.74, 0.64),
        (0.55, 0.5, 0.44),
    )
    rings = np.sin(14 * streaks(rng, 1.4, 8, False))
    return worn(
        rng,
        vary(
            plain(color), rng.uniform(0.02, 0.12) * streaks(rng, 0.6, 16, False), rng.uniform(0, 0.06) * rings
        ),
        0.3,
    )


def metal(rng: Rng) -> np.ndarray:
    """A random texture of metal."""
    color = pick(
        rng,
        (0.55, 0.56, 0.57),
        (0.3, 0.31, 0.33),
        (0.7, 0.7, 0.7),
        (0.2, 0.3, 0.5),
        (0.6, 0.25, 0.12),
        (0.75, 0.6, 0.15),
        (0.35, 0.45, 0.4),
    )
    picture = vary(plain(color), 0.04 * streaks(rng, 0.4, 16), 0.03 * field(rng, NATURAL))
    if rng.random() < 0.3:
        picture = mix(
            picture,
            plain(pick(rng, (0.4, 0.24, 0.14))),
            np.clip(field(rng, NATURAL) - rng.uniform(1.0, 2.2), 0, 0.8),
        )
    return worn(rng, picture, 0.4)


def fabric(rng: Rng) -> np.ndarray:
    """A random texture of fabric."""
    x, y = grid()
    a, b = (0.75 * random_color(rng, 0.9) + 0.04 for _ in range(2))
    picture = vary(plain(a), 0.1 * field(rng, 0.2), 0.08 * field(rng, SMOOTH))
    drawn = rng.random()
    n = int(rng.integers(4, 24))
    if drawn < 0.15:
        picture = mix(picture, plain(b), 0.8 * (np.sin(2 * math.pi * n * x) > rng.uniform(-0.3, 0.8)))
    elif drawn < 0.28:
        picture = mix(
            mix(picture, plain(b), 0.5 * (np.sin(2 * math.pi * n * x) > 0.3)),
            plain(b),
            0.5 * (np.sin(2 * math.pi * n * y) > 0.3),
        )
    elif drawn < 0.4:
        picture = mix(picture, plain(b), 0.8 * (field(rng, NATURAL, 2) > rng.uniform(0.3, 1.2)))
    folds = np.clip(streaks(rng, 1.5, 4, False), -2, 2)
    return worn(rng, vary(picture, rng.uniform(0, 0.12) * folds), 0.3)


def houses(rng: Rng) -> np.ndarray:
    """A front with rows of windows."""
    columns, rows = int(rng.integers(3, 7)), int(rng.integers(2, 5))
    x, y = grid()
    wall = vary(
        plain(pick(rng, (0.75, 0.7, 0.6), (0.6, 0.42, 0.33), (0.82, 0.8, 0.76), (0.55, 0.56, 0.58))),
        0.03 * field(rng, NATURAL),
    )
    wide, high = rng.uniform(0.35, 0.8), rng.uniform(0.4, 0.75)
    u, v = abs((x * columns) % 1 - 0.5), abs((y * rows) % 1 - 0.5)
    pane = mix(
        plain(np.array((0.16, 0.19, 0.22), np.float32)),
        plain(np.array((0.7, 0.75, 0.8), np.float32)),
        0.3 + 0.3 * field(rng, SMOOTH),
    )
    frame = (u < 0.5 * wide) & (v < 0.5 * high)
    inner = (u < 0.5 * wide - 0.03) & (v < 0.5 * high - 0.03) & (u > 0.015)
    picture = mix(wall, plain(pick(rng, (0.9, 0.9, 0.88), (0.3, 0.25, 0.2))), frame.astype(np.float32))
    return worn(rng, mix(picture, pane, inner.astype(np.float32)), 0.3)


def outside(rng: Rng) -> np.ndarray:
    """What windows show, far away and out of focus: sky above houses or leaves.

    The first row is the bottom.
    """
    x, y = grid()
    sky = pick(rng, (0.95, 0.97, 1.0), (0.8, 0.88, 0.98), (0.9, 0.9, 0.9))
    line = rng.uniform(0.25, 0.65) + 0.1 * field(rng, SMOOTH)[0]
    leaves = vary(
        plain(pick(rng, (0.35, 0.45, 0.25), (0.5, 0.55, 0.35), (0.3, 0.33, 0.3))), 0.3 * field(rng, NATURAL)
    )
    picture = mix(plain(sky), leaves, np.clip((line[None] - y) * 40, 0, 1))
    if rng.random() < 0.6:
        joint, column, row = joints(int(rng.integers(3, 9)), int(rng.integers(4, 10)), 0.02)
        house = mix(
            plain(pick(rng, (0.7, 0.65, 0.58), (0.6, 0.45, 0.38), (0.8, 0.79, 0.76))),
            plain(np.array((0.3, 0.33, 0.38), np.float32)),
            1 - joint,
        )
        left, right = sorted(rng.uniform(-0.1, 1.1, 2))
        picture = mix(
            picture, house, ((x > left) & (x < right) & (y < rng.uniform(0.3, 0.8))).astype(np.float32)
        )
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 5)))


PAINTERS: dict[str, Callable[[Rng], np.ndarray]] = {
    f.__name__: f
    for f in (
        carpet, parquet, concrete, painted_floor, tiles, linoleum, asphalt, plaster, wallpaper, bricks,
        panels, cloth,
        hanging_ceiling, deck, printed, screen, board, spines, carton, wood, metal, fabric, outside,
        houses,
    )
}  # fmt: skip
