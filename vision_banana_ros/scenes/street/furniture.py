# SPDX-License-Identifier: Apache-2.0
"""What stands along streets: lamps, signs, signals, bollards, bins, shelters.

Front along -y, origin on the ground.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape
from vision_banana_ros.scenes.street.vehicles import GLASS

Generator = np.random.Generator
STEEL = Paint((112, 116, 118), "concrete", 1, gloss=0.2, sharpness=30.0)
IRON = Paint((38, 40, 42), gloss=0.2, sharpness=30.0)
WARM = Paint((255, 235, 190), glow=0.25)


def pole(shape: Shape, height: float, radius: float, paint: int, x: float = 0.0, y: float = 0.0) -> None:
    """Adds a vertical pole, in metres."""
    shape.tubes(np.array([[x, y, 0.0]]), np.array([[x, y, height]]), radius, 0.8 * radius, paint, 8)


def lamp(rng: Generator) -> Shape:
    """Its arm reaches over the road, along -y."""
    shape = Shape()
    steel, lit = shape.paint(IRON if rng.random() < 0.4 else STEEL), shape.paint(WARM)
    height = rng.uniform(4.0, 10.0)
    pole(shape, height, 0.085, steel)
    pole(shape, 1.1, 0.11, steel)
    if height > 6:
        reach = rng.uniform(0.9, 2.4)
        for side in (-1, 1) if rng.random() < 0.25 else (-1,):
            shape.tubes(
                np.array([(0, 0, height - 0.05)]),
                np.array([(0, side * reach, height + 0.35)]),
                0.04,
                0.035,
                steel,
                6,
            )
            y = side * (reach + 0.2)
            shape.boxes(
                np.array([-0.14, y - 0.35, height + 0.3]), np.array([0.14, y + 0.3, height + 0.42]), steel
            )
            shape.flat(
                np.array(
                    [
                        (-0.12, y - 0.3, height + 0.29),
                        (-0.12, y + 0.25, height + 0.29),
                        (0.12, y + 0.25, height + 0.29),
                        (0.12, y - 0.3, height + 0.29),
                    ]
                ),
                lit,
                1.0,
            )
    else:
        shape.ball((0, 0, height + 0.2), (0.2, 0.2, 0.24), lit, 6, 10)
        shape.ball((0, 0, height + 0.45), (0.22, 0.22, 0.08), steel, 4, 10)
    return shape


def sign(rng: Generator) -> Shape:
    """A random traffic sign."""
    shape = Shape()
    steel = shape.paint(STEEL)
    height = rng.uniform(2.2, 3.0)
    pole(shape, height, 0.03, steel)
    z = height - 0.05
    for _ in range(int(rng.choice((1, 1, 1, 2)))):
        size = rng.uniform(0.5, 0.75)
        board = shape.paint(
            Paint((255, 255, 255), "sign", int(rng.integers(16)), cutout=True, gloss=0.15, grime=0.15)
        )
        back = shape.paint(Paint((130, 130, 130), "sign", shape.paints[board].copy, cutout=True))
        half = 0.5 * size
        face = np.array(
            [(-half, -0.04, z - size), (half, -0.04, z - size), (half, -0.04, z), (-half, -0.04, z)]
        )
        shape.add(face, board)
        shape.paints[back] = Paint((70, 70, 72), "sign", shape.paints[board].copy, cutout=True)
        shape.add(face + (0, 0.012, 0), back)
        z -= size + 0.06
    return shape


def board(rng: Generator) -> Shape:
    """A direction board over the verge, or an advertisement."""
    shape = Shape()
    steel = shape.paint(STEEL)
    wide, high, low = rng.uniform(1.2, 3.6), rng.uniform(0.8, 2.4), rng.uniform(0.5, 2.4)
    for x in (-0.4 * wide, 0.4 * wide):
        pole(shape, low + high, 0.05, steel, x)
    skin = shape.paint(
        Paint((230, 230, 230), "poster", int(rng.integers(6)), gloss=0.1)
        if rng.random() < 0.6
        else Paint((40, 80, 160), "livery", int(rng.integers(8)), gloss=0.1)
    )
    shape.add(
        np.array(
            [
                (-0.5 * wide, -0.06, low),
                (0.5 * wide, -0.06, low),
                (0.5 * wide, -0.06, low + high),
                (-0.5 * wide, -0.06, low + high),
            ]
        ),
        skin,
    )
    return shape


def signal(rng: Generator) -> Shape:
    """Traffic lights."""
    shape = Shape()
    steel, black = shape.paint(STEEL), shape.paint(IRON)
    height = rng.uniform(3.0, 3.6)
    pole(shape, height, 0.06, steel)
    arm = rng.random() < 0.3
    spots = [(0.0, -0.12, height - 1.0)]
    if arm:
        pole(shape, 5.6, 0.08, steel)
        shape.tubes(np.array([(0, 0, 5.5)]), np.array([(-4.0, 0, 5.8)]), 0.06, 0.05, steel, 6)
        spots.append((-3.8, -0.12, 5.1))
    lit = int(rng.choice((0, 0, 2)))
    tones = ((255, 40, 30), (255, 170, 30), (60, 255, 150))
    for x, y, z in spots:
        shape.boxes(np.array([x - 0.15, y - 0.12, z]), np.array([x + 0.15, y + 0.12, z + 0.95]), black)
        shape.flat(
            np.array(
                [
                    (x - 0.26, y + 0.02, z - 0.1),
                    (x + 0.26, y + 0.02, z - 0.1),
                    (x + 0.26, y + 0.02, z + 1.05),
                    (x - 0.26, y + 0.02, z + 1.05),
                ]
            ),
            black,
            1.0,
        )
        for k, tone in enumerate(tones):
            unlit = Paint(tuple(int(0.25 * c) for c in tone), gloss=0.3)  # type: ignore[arg-type]
            paint = shape.paint(Paint(tone, glow=1.0) if k == lit else unlit)
            turn = np.linspace(0, 2 * np.pi, 11)
            ring = np.stack(
                [x + 0.1 * np.cos(turn), np.full(11, y - 0.125), z + 0.78 - 0.3 * k + 0.1 * np.sin(turn)], -1
            )
            shape.grid(np.stack([np.broadcast_to(ring[:-1].mean(0), ring.shape), ring]), paint)
    return shape


def bollard(rng: Generator) -> Shape:
    """A random bollard."""
    shape = Shape()
    tone = [(40, 42, 44), (150, 150, 150), (200, 60, 40), (230, 225, 215)][int(rng.integers(4))]
    paint = shape.paint(Paint(tone, gloss=0.15))
    height, radius = rng.uniform(0.7, 1.1), rng.uniform(0.05, 0.11)
    pole(shape, height, radius, paint)
    shape.ball((0, 0, height), (0.85 * radius, 0.85 * radius, 0.6 * radius), paint, 4, 8)
    shape.tubes(
        np.array([(0, 0, 0.8 * height)]),
        np.array([(0, 0, 0.9 * height)]),
        radius,
        radius,
        shape.paint(Paint((235, 235, 230))),
        8,
    )
    return shape


def bin_(rng: Generator) -> Shape:
    """A litter bin or a wheeled one."""
    shape = Shape()
    tone = [(40, 60, 44), (50, 52, 56), (60, 80, 120), (110, 60, 40), (46, 90, 60), (90, 92, 94)][
        int(rng.integers(6))
    ]
    paint = shape.paint(Paint(tone, gloss=0.15, grime=0.4))
    lid = shape.paint(Paint(tuple(int(0.75 * c) for c in tone), gloss=0.15))  # type: ignore[arg-type]
    if rng.random() < 0.5:
        wide, deep, high = rng.uniform(0.25, 0.3), rng.uniform(0.28, 0.36), rng.uniform(0.95, 1.1)
        shape.boxes(np.array([-wide, -deep, 0.06]), np.array([wide, deep, high]), paint)
        shape.boxes(
            np.array([-wide - 0.02, -deep - 0.03, high]),
            np.array([wide + 0.02, deep + 0.02, high + 0.07]),
            lid,
        )
    else:
        high = rng.uniform(0.7, 1.0)
        shape.tubes(np.array([(0, 0, 0.0)]), np.array([(0, 0, high)]), 0.25, 0.28, paint, 14)
        shape.ball((0, 0, high), (0.28, 0.28, 0.12), lid, 5, 14)
    return shape


def cabinet(rng: Generator) -> Shape:
    """A random cabinet."""
    shape = Shape()
    tone = [(120, 126, 120), (90, 100, 92), (150, 148, 140), (160, 40, 36)][int(rng.integers(4))]
    wide, deep, high = rng.uniform(0.2, 0.7), rng.uniform(0.15, 0.25), rng.uniform(0.9, 1.5)
    shape.boxes(
        np.array([-wide, -deep, 0]),
        np.array([wide, deep, high]),
        shape.paint(Paint(tone, "plaster", int(rng.integers(5)), grime=0.5)),
        2.0,
    )
    return shape


def shelter(rng: Generator) -> Shape:
    """A bus shelter of glass, open along -y."""
    shape = Shape()
    steel, glass = shape.paint(IRON), shape.paint(Paint((150, 165, 165), mirror=0.1, gloss=0.3, grime=0.2))
    half, deep, high = rng.uniform(1.4, 2.2), 1.3, 2.4
    for x in (-half, half):
        for y in (-0.5 * deep, 0.5 * deep):
            pole(shape, high, 0.04, steel, x, y)
    shape.boxes(
        np.array([-half - 0.15, -0.5 * deep - 0.2, high]),
        np.array([half + 0.15, 0.5 * deep + 0.1, high + 0.12]),
        steel,
    )
    y = 0.5 * deep
    shape.flat(
        np.array([(-half, y, 0.15), (half, y, 0.15), (half, y, high - 0.1), (-half, y, high - 0.1)]),
        glass,
        1.0,
    )
    poster = shape.paint(Paint((240, 240, 240), "poster", int(rng.integers(6)), mirror=0.05, glow=0.05))
    shape.add(
        np.array(
            [
                (half, -0.5 * deep, 0.3),
                (half, 0.5 * deep, 0.3),
                (half, 0.5 * deep, 2.0),
                (half, -0.5 * deep, 2.0),
            ]
        ),
        poster,
    )
    shape.boxes(
        np.array([-0.8 * half, 0.1, 0.42]),
        np.array([0.6 * half, 0.45, 0.48]),
        shape.paint(Paint((120, 90, 60), "boards", 1)),
    )
    return shape


def bench(rng: Generator) -> Shape:
    """A random bench."""
    shape = Shape()
    wood, iron = shape.paint(Paint((134, 100, 66), "boards", int(rng.integers(3)))), shape.paint(IRON)
    half = rng.uniform(0.7, 1.0)
    for y in (-0.2, -0.06, 0.08):
        shape.boxes(np.array([-half, y, 0.42]), np.array([half, y + 0.11, 0.46]), wood)
    if rng.random() < 0.7:
        for z in (0.58, 0.74):
            shape.boxes(np.array([-half, 0.2, z]), np.array([half, 0.24, z + 0.11]), wood)
    for x in (-0.8 * half, 0.8 * half):
        shape.boxes(np.array([x - 0.03, -0.2, 0]), np.array([x + 0.03, 0.24, 0.42]), iron)
        shape.boxes(np.array([x - 0.03, 0.22, 0.4]), np.array([x + 0.03, 0.26, 0.85]), iron)
    return shape


def cone(rng: Generator) -> Shape:
    """A traffic cone."""
    shape = Shape()
    orange, white = (
        shape.paint(Paint((232, 86, 30), gloss=0.1)),
        shape.paint(Paint((235, 235, 230), gloss=0.1)),
    )
    z = np.array([0.03, 0.25, 0.4, 0.52, 0.7])
    r = np.interp(z, [0, 0.7], [0.17, 0.03])
    for k in range(4):
        shape.tubes(
            np.array([(0, 0, z[k])]), np.array([(0, 0, z[k + 1])]), r[k], r[k + 1], (orange, white)[k % 2], 12
        )
    shape.boxes(np.array([-0.2, -0.2, 0]), np.array([0.2, 0.2, 0.04]), orange)
    return shape


def umbrella(rng: Generator) -> Shape:
    """A parasol of a café."""
    shape = Shape()
    tone = [(200, 190, 170), (150, 40, 40), (60, 90, 70), (230, 230, 225), (40, 60, 100)][
        int(rng.integers(5))
    ]
    pole(shape, 2.5, 0.03, shape.paint(STEEL))
    turn = np.linspace(0, 2 * np.pi, 9)
    rings = [
        np.stack([r * np.cos(turn), r * np.sin(turn), np.full(9, z)], -1)
        for r, z in ((1.5, 2.0), (1.45, 2.2), (0.02, 2.65))
    ]
    shape.grid(np.stack(rings), shape.paint(Paint(tone, "cloth", 1, thin=0.4)))
    return shape


KINDS: dict[str, tuple[Callable[[Generator], Shape], str]] = {
    "street lamp": (lamp, ""),
    "traffic sign": (sign, ""),
    "billboard": (board, ""),
    "traffic light": (signal, ""),
    "bollard": (bollard, ""),
    "trash can": (bin_, ""),
    "cabinet": (cabinet, ""),
    "bus shelter": (shelter, ""),
    "bench": (bench, ""),
    "cone": (cone, "cone"),
    "parasol": (umbrella, ""),
}
"""How each is made, and its class, if it is of one."""
VARIANTS = 8
__all__ = ["GLASS", "KINDS", "VARIANTS", "piece"]


@lru_cache(maxsize=128)
def piece(kind: str, variant: int) -> Mesh:
    """One of the things of a kind of `KINDS`."""
    make, _ = KINDS[kind]
    return make(np.random.default_rng([list(KINDS).index(kind), variant, 31])).mesh()
