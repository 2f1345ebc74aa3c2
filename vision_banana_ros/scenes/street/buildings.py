# SPDX-License-Identifier: Apache-2.0
"""House fronts with windows, doors, shops, balconies and roofs.

The front is the plane y = 0, seen along +y; z up, x right.
"""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import ArrayLike

from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape

Array = np.ndarray

BRICKS: tuple[RGB, ...] = (
    (176, 96, 74),
    (150, 82, 64),
    (190, 150, 116),
    (140, 110, 90),
    (196, 170, 134),
    (120, 74, 62),
    (110, 98, 90),
)
RENDERS: tuple[RGB, ...] = (
    (255, 250, 238),
    (246, 228, 190),
    (230, 206, 170),
    (210, 190, 160),
    (238, 214, 204),
    (214, 220, 222),
    (200, 206, 190),
    (236, 200, 150),
    (190, 170, 150),
    (250, 248, 246),
    (176, 180, 184),
    (206, 160, 130),
)
STONES: tuple[RGB, ...] = (
    (226, 214, 190),
    (206, 194, 172),
    (190, 184, 174),
    (240, 226, 200),
    (170, 162, 150),
)
CONCRETES: tuple[RGB, ...] = ((200, 198, 192), (170, 168, 164), (214, 208, 196))
METALS: tuple[RGB, ...] = (
    (180, 186, 190),
    (120, 126, 132),
    (210, 208, 200),
    (70, 84, 104),
    (150, 60, 50),
    (90, 110, 90),
)
ROOFS: tuple[RGB, ...] = ((170, 92, 66), (140, 76, 58), (96, 92, 92), (74, 72, 74), (120, 96, 80))


def shade_of(rng: Random, rgb: RGB, spread: float = 0.12) -> RGB:
    """A colour near another."""
    k = 1.0 + rng.uniform(-spread, spread)
    r, g, b = (min(255, max(0, round(c * k + rng.uniform(-8, 8)))) for c in rgb)
    return r, g, b


@dataclass
class Style:
    """What a front is made of and how it is divided."""

    wall: Paint
    metres: float
    """What the wall's picture spans."""
    cell: float
    floor: float
    window: tuple[float, float]
    recess: float
    ledge: Paint
    sills: bool = True
    surround: bool = False


def style_of(rng: Random, kind: str) -> Style:
    """Drawn for "city", "house", "office" or "hall"."""
    draw = rng.random()
    if kind == "hall":
        wall = Paint(shade_of(rng, rng.choice(METALS)), "cladding", rng.randrange(4), gloss=0.1, grime=0.5)
        return Style(wall, 3.0, rng.uniform(3, 6), rng.uniform(3.5, 4.5), (1.6, 1.0), 0.08, wall, sills=False)
    if kind == "office":
        pick = rng.choice(
            (
                (CONCRETES, "concrete", 4.0),
                (STONES, "ashlar", 3.0),
                (METALS, "cladding", 3.0),
                (BRICKS, "brick", 2.0),
            )
        )
        wall = Paint(shade_of(rng, rng.choice(pick[0])), pick[1], rng.randrange(8), grime=0.45)
        cell = rng.uniform(1.6, 3.6)
        return Style(
            wall,
            pick[2],
            cell,
            rng.uniform(3.1, 3.8),
            (cell * rng.uniform(0.7, 0.94), rng.uniform(1.7, 2.5)),
            0.12,
            wall,
            sills=False,
        )
    if draw < 0.38:
        wall, metres = Paint(shade_of(rng, rng.choice(BRICKS)), "brick", rng.randrange(6), grime=0.5), 2.0
    elif draw < 0.8:
        wall, metres = Paint(shade_of(rng, rng.choice(RENDERS)), "plaster", rng.randrange(5), grime=0.6), 4.0
    else:
        wall, metres = Paint(shade_of(rng, rng.choice(STONES)), "ashlar", rng.randrange(4), grime=0.55), 3.0
    pale = Paint(shade_of(rng, rng.choice(STONES)), "concrete", rng.randrange(4), grime=0.6)
    floor = rng.uniform(2.8, 3.6) if kind == "city" else rng.uniform(2.5, 2.9)
    return Style(
        wall,
        metres,
        rng.uniform(1.9, 3.4),
        floor,
        (rng.uniform(0.9, 1.4), floor * rng.uniform(0.42, 0.62)),
        rng.uniform(0.06, 0.22),
        pale if rng.random() < 0.7 else wall,
        rng.random() < 0.8,
        rng.random() < 0.4,
    )


def panel(
    shape: Shape,
    x0: ArrayLike,
    x1: ArrayLike,
    z0: ArrayLike,
    z1: ArrayLike,
    y: float,
    paint: int | Array,
    metres: float,
) -> None:
    """Rectangles of the plane y, their picture laid out from the building's corner so that it runs on."""
    x0, x1, z0, z1 = (np.atleast_1d(np.asarray(v, float)) for v in (x0, x1, z0, z1))
    x0, x1, z0, z1 = np.broadcast_arrays(x0, x1, z0, z1)
    xs, zs = np.stack([x0, x1, x1, x0], 1), np.stack([z0, z0, z1, z1], 1)
    shape.add(np.stack([xs, np.full_like(xs, y), zs], -1), paint, np.stack([xs, zs], -1) / metres)


def openings(
    shape: Shape,
    rng: Random,
    style: Style,
    wall: int,
    x0: Array,
    x1: Array,
    z0: Array,
    z1: Array,
    w: float,
    h: float,
    low: float,
    panes: Array,
) -> None:
    """Cells of wall x0-x1, z0-z1 (N,), each with a centred window w by h, `low` above its bottom."""
    a, b = 0.5 * (x0 + x1) - 0.5 * w, 0.5 * (x0 + x1) + 0.5 * w
    c, d = z0 + low, np.minimum(z0 + low + h, z1 - 0.1)
    m = style.metres
    panel(shape, x0, a, z0, z1, 0.0, wall, m)
    panel(shape, b, x1, z0, z1, 0.0, wall, m)
    panel(shape, a, b, z0, c, 0.0, wall, m)
    panel(shape, a, b, d, z1, 0.0, wall, m)
    deep = style.recess
    zero, back = np.zeros_like(a), np.full_like(a, deep)
    for p, q in (((a, c), (a, d)), ((b, d), (b, c)), ((a, d), (b, d)), ((b, c), (a, c))):
        quads = np.stack(
            [
                np.stack(v, -1)
                for v in ((p[0], zero, p[1]), (q[0], zero, q[1]), (q[0], back, q[1]), (p[0], back, p[1]))
            ],
            1,
        )
        shape.flat(quads, wall, m)
    shape.add(
        np.stack([np.stack(v, -1) for v in ((a, back, c), (b, back, c), (b, back, d), (a, back, d))], 1),
        panes,
    )
    ledge = shape.paint(style.ledge)
    if style.sills:
        shape.boxes(
            np.stack([a - 0.06, zero - 0.07, c - 0.08], -1), np.stack([b + 0.06, zero, c], -1), ledge, 2.0
        )
    if style.surround:
        t = 0.13
        shape.boxes(np.stack([a - t, zero - 0.035, c], -1), np.stack([a, zero, d + t], -1), ledge, 2.0)
        shape.boxes(np.stack([b, zero - 0.035, c], -1), np.stack([b + t, zero, d + t], -1), ledge, 2.0)
        shape.boxes(np.stack([a - t, zero - 0.05, d], -1), np.stack([b + t, zero, d + t], -1), ledge, 2.0)


def glazing(rng: Random, shape: Shape, count: int, lit: float) -> Array:
    """Paints of panes, a few kinds a house; `lit` is the share of windows with light behind them."""
    kinds = [rng.randrange(24) for _ in range(4)]
    mirror = rng.uniform(0.08, 0.3)
    dark = [shape.paint(Paint((235, 238, 240), "window", k, mirror=mirror, grime=0.08)) for k in kinds]
    bright = [
        shape.paint(Paint((255, 226, 170), "window", k, mirror=0.08, grime=0.05, glow=1.2)) for k in kinds
    ]
    return np.array([rng.choice(bright) if rng.random() < lit else rng.choice(dark) for _ in range(count)])


def block(
    rng: Random, kind: str, width: float, lit: float = 0.0, floors: int = 0, deep: float = 12.0
) -> tuple[Mesh, list[tuple[Mesh, float, float]], float]:
    """A building of "city", "house", "office" or "hall", `width` metres wide.

    Returns its mesh, its doors (each a mesh and where its middle is: x, y), and its height.
    """
    style = style_of(rng, kind)
    shape = Shape()
    wall = shape.paint(style.wall)
    ledge = shape.paint(style.ledge)
    floors = (
        floors
        or {
            "city": rng.choice((2, 3, 3, 4, 4, 5, 6)),
            "house": rng.choice((1, 2, 2)),
            "office": rng.choice((3, 4, 6, 8)),
            "hall": rng.choice((1, 1, 2)),
        }[kind]
    )
    half = 0.5 * width
    shops = kind == "city" and rng.random() < 0.6
    ground = style.floor * (rng.uniform(1.1, 1.35) if kind in ("city", "office") else 1.0)
    height = ground + (floors - 1) * style.floor
    w, h = style.window
    count = max(1, int(width / style.cell))
    edges = np.linspace(-half, half, count + 1)
    if floors > 1:
        columns, rows = (v.ravel() for v in np.meshgrid(np.arange(count), np.arange(floors - 1)))
        z0 = ground + rows * style.floor
        low = 0.28 * style.floor if kind != "office" else 0.22 * style.floor
        panes = glazing(rng, shape, len(columns), lit)
        openings(
            shape,
            rng,
            style,
            wall,
            edges[columns],
            edges[columns + 1],
            z0,
            z0 + style.floor,
            min(w, 0.94 * width / count),
            h,
            low,
            panes,
        )
    doors: list[tuple[Mesh, float, float]] = []
    _ground_floor(rng, shape, style, kind, wall, edges, ground, shops, lit, doors)
    # ledges between the floors and under the roof
    if rng.random() < 0.6 and kind != "hall":
        shape.boxes(np.array([-half, -0.08, ground - 0.12]), np.array([half, 0, ground + 0.08]), ledge, 2.0)
    if rng.random() < 0.25:
        for k in range(1, floors - 1):
            z = ground + k * style.floor
            shape.boxes(np.array([-half, -0.05, z - 0.06]), np.array([half, 0, z + 0.06]), ledge, 2.0)
    if kind == "city" and floors > 2 and rng.random() < 0.3:
        _balconies(rng, shape, edges, ground, style.floor, floors, ledge)
    top = _roof(rng, shape, kind, style, wall, ledge, half, height, deep)
    # a pipe down the corner
    if rng.random() < 0.5:
        x = rng.choice((-1, 1)) * (half - 0.15)
        shape.tubes(
            np.array([(x, -0.06, 0.0)]),
            np.array([(x, -0.06, height)]),
            0.05,
            0.05,
            shape.paint(Paint((70, 70, 72))),
            6,
        )
    return shape.mesh(round_=False), doors, top


def _ground_floor(
    rng: Random,
    shape: Shape,
    style: Style,
    kind: str,
    wall: int,
    edges: Array,
    ground: float,
    shops: bool,
    lit: float,
    doors: list[tuple[Mesh, float, float]],
) -> None:
    half = float(edges[-1])

    def fit_door(x: float, w: float, h: float, picture: str) -> None:
        inside = Shape()
        tone = (255, 255, 255) if picture == "door" else shade_of(rng, rng.choice(METALS))
        paint = inside.paint(Paint(tone, picture, rng.randrange(10), mirror=0.12, gloss=0.1, grime=0.4))
        panel(inside, -0.5 * w, 0.5 * w, 0.02, h, 0.0, paint, 1.0)
        inside.uvs[-1] = np.array([[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]])
        doors.append((inside.mesh(round_=False), x, style.recess))

    if shops:
        n = max(1, round(2 * half / rng.uniform(4.0, 8.0)))
        at = np.linspace(-half, half, n + 1)
        high = min(ground - 0.15, rng.uniform(3.0, 3.8))
        for k in range(n):
            a, b = at[k] + 0.2, at[k + 1] - 0.2
            paint = shape.paint(
                Paint(
                    (235, 235, 235),
                    "shop",
                    rng.randrange(20),
                    mirror=rng.uniform(0.08, 0.25),
                    grime=0.25,
                    glow=0.5 * (rng.random() < lit + 0.15),
                )
            )
            panel(shape, a, b, 0.0, high, 0.1, paint, 1.0)
            shape.uvs[-1] = np.array([[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]])
            panel(shape, at[k], a, 0.0, ground, 0.0, wall, style.metres)
            panel(shape, b, at[k + 1], 0.0, ground, 0.0, wall, style.metres)
            panel(shape, a, b, high, ground, 0.0, wall, style.metres)
            for x in (a, b):
                shape.flat(
                    np.array([(x, 0, 0), (x, 0.1, 0), (x, 0.1, high), (x, 0, high)]), wall, style.metres
                )
            if rng.random() < 0.25:  # an awning
                out, z = rng.uniform(0.8, 1.6), high - 0.55
                tone = rng.choice(
                    (
                        (150, 36, 36),
                        (40, 80, 60),
                        (220, 214, 200),
                        (50, 70, 120),
                        (60, 60, 64),
                        (200, 120, 40),
                    )
                )
                cloth = shape.paint(Paint(tone, "cloth", rng.randrange(3), thin=0.3))
                shape.flat(
                    np.array([(a, -out, z - 0.5), (b, -out, z - 0.5), (b, 0, z), (a, 0, z)]), cloth, 2.0
                )
                shape.flat(
                    np.array(
                        [(a, -out, z - 0.75), (b, -out, z - 0.75), (b, -out, z - 0.5), (a, -out, z - 0.5)]
                    ),
                    cloth,
                    2.0,
                )
            elif rng.random() < 0.3:  # a sign that hangs out
                x, z = rng.uniform(a, b), high + 0.1
                board = shape.paint(Paint((240, 240, 240), "poster", rng.randrange(6), gloss=0.1))
                shape.flat(
                    np.array([(x, -0.75, z), (x, -0.1, z), (x, -0.1, z + 0.7), (x, -0.75, z + 0.7)]),
                    board,
                    0.7,
                )
        return
    count = len(edges) - 1
    x0, x1 = edges[:-1], edges[1:]
    what = np.zeros(count, int)
    what[rng.randrange(count)] = 1
    for k in range(count):
        if (
            what[k] == 0
            and rng.random() < {"house": 0.12, "hall": 0.3}.get(kind, 0.06)
            and x1[k] - x0[k] > 2.2
        ):
            what[k] = 2
    plain = what == 0
    if kind == "hall" and rng.random() < 0.6:
        panel(shape, x0[plain], x1[plain], 0.0, ground, 0.0, wall, style.metres)
    elif plain.any():
        w, h = style.window
        panes = glazing(rng, shape, int(plain.sum()), lit)
        zeros = np.zeros(int(plain.sum()))
        openings(
            shape,
            rng,
            style,
            wall,
            x0[plain],
            x1[plain],
            zeros,
            zeros + ground,
            min(w, float((x1 - x0).min()) * 0.94),
            min(h, 0.55 * ground),
            0.32 * ground,
            panes,
        )
    for k in np.flatnonzero(what).tolist():
        wide = 1.0 if what[k] == 1 else 2.3 if kind != "hall" else min(3.6, float(x1[k] - x0[k]) - 0.3)
        high = 2.15 if what[k] == 1 else 2.2 if kind != "hall" else min(3.4, ground - 0.3)
        a, b = 0.5 * (x0[k] + x1[k] - wide), 0.5 * (x0[k] + x1[k] + wide)
        panel(shape, x0[k], a, 0.0, ground, 0.0, wall, style.metres)
        panel(shape, b, x1[k], 0.0, ground, 0.0, wall, style.metres)
        panel(shape, a, b, high, ground, 0.0, wall, style.metres)
        deep = style.recess
        for p, q in (((a, 0), (a, high)), ((b, high), (b, 0)), ((a, high), (b, high))):
            shape.flat(
                np.array([(p[0], 0, p[1]), (q[0], 0, q[1]), (q[0], deep, q[1]), (p[0], deep, p[1])]),
                wall,
                style.metres,
            )
        fit_door(0.5 * (a + b), wide, high, "door" if what[k] == 1 else "shutter")
        shape.boxes(np.array([a - 0.2, -0.35, 0.0]), np.array([b + 0.2, 0.0, 0.04]), shape.paint(style.ledge))


def _balconies(
    rng: Random, shape: Shape, edges: Array, ground: float, floor: float, floors: int, ledge: int
) -> None:
    """Slabs with railings before some of the windows."""
    rail = shape.paint(Paint((60, 62, 66), "railing", rng.randrange(2), cutout=True))
    every = rng.choice((1, 2, 2, 3))
    out = rng.uniform(0.5, 1.2)
    for k in range(0, len(edges) - 1, every):
        for f in range(floors - 1):
            a, b, z = edges[k] + 0.15, edges[k + 1] - 0.15, ground + f * floor + 0.15 * floor
            shape.boxes(np.array([a, -out, z - 0.12]), np.array([b, 0, z]), ledge, 2.0)
            # the underside
            shape.flat(
                np.array([(a, -out, z - 0.12), (a, 0, z - 0.12), (b, 0, z - 0.12), (b, -out, z - 0.12)]),
                ledge,
                2.0,
            )
            for p, q in (((a, -out), (b, -out)), ((a, 0.0), (a, -out)), ((b, -out), (b, 0.0))):
                shape.flat(np.array([(*p, z), (*q, z), (*q, z + 1.0), (*p, z + 1.0)]), rail, 1.0)


def _roof(
    rng: Random,
    shape: Shape,
    kind: str,
    style: Style,
    wall: int,
    ledge: int,
    half: float,
    height: float,
    deep: float,
) -> float:
    """Roof and blind side walls; the height of the ridge."""
    m = style.metres
    pitched = kind == "house" or (kind == "city" and rng.random() < 0.6)
    for x in (-half, half):
        shape.flat(np.array([(x, deep, 0), (x, 0, 0), (x, 0, height), (x, deep, height)]), wall, m)
    if kind == "house":
        panel(shape, -half, half, 0.0, height, deep, wall, m)
    if not pitched:
        top = height + rng.uniform(0.3, 1.0)
        shape.boxes(
            np.array([-half - 0.02, -0.1 if rng.random() < 0.5 else 0.0, height]),
            np.array([half + 0.02, 0.3, top]),
            ledge,
            2.0,
        )
        for x in (-half, half - 0.3):
            shape.boxes(np.array([x, 0.3, height]), np.array([x + 0.3, deep, top]), wall, m)
        shape.flat(
            np.array([(-half, 0, height), (half, 0, height), (half, deep, height), (-half, deep, height)]),
            ledge,
            3.0,
        )
        if rng.random() < 0.4:
            x = rng.uniform(-0.6, 0.4) * half
            shape.boxes(np.array([x, 3.0, height]), np.array([x + 2.5, 6.0, height + 2.2]), wall, m)
        return top
    tiles = shape.paint(
        Paint(shade_of(rng, rng.choice(ROOFS)), "roof", rng.randrange(4), gloss=0.05, grime=0.5)
    )
    rise = rng.uniform(0.28, 0.5) * deep * (1.0 if kind == "house" else 0.8)
    eave, over = rng.uniform(0.15, 0.5), 0.3 if kind == "house" else 0.0
    if kind == "house" and rng.random() < 0.45:  # the gable faces the street
        rise = rng.uniform(0.5, 0.9) * half
        for s in (-1, 1):
            edge = s * (half + over)
            low = height - over * rise / half
            quad = np.array(
                [
                    (edge, -eave, low),
                    (0, -eave, height + rise),
                    (0, deep + eave, height + rise),
                    (edge, deep + eave, low),
                ]
            )
            shape.flat(quad, tiles, 3.0)
        for y in (0.0, deep):
            shape.flat(
                np.array(
                    [(-half, y, height), (half, y, height), (0, y, height + rise), (0, y, height + rise)]
                ),
                wall,
                m,
            )
        if rng.random() < 0.6:
            pane = glazing(rng, shape, 1, 0.0)
            panel(shape, -0.5, 0.5, height + 0.25 * rise, height + 0.25 * rise + 1.1, -0.01, pane, 1.0)
            shape.uvs[-1] = np.array([[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]])
    else:
        slope = rise / (0.5 * deep)
        for y0, y1 in ((-eave, 0.5 * deep), (deep + eave, 0.5 * deep)):
            quad = np.array(
                [
                    (-half - over, y0, height - eave * slope),
                    (half + over, y0, height - eave * slope),
                    (half + over, y1, height + rise),
                    (-half - over, y1, height + rise),
                ]
            )
            shape.flat(quad, tiles, 3.0)
        for x in (-half, half):
            shape.flat(
                np.array(
                    [
                        (x, 0, height),
                        (x, deep, height),
                        (x, 0.5 * deep, height + rise),
                        (x, 0.5 * deep, height + rise),
                    ]
                ),
                wall,
                m,
            )
        for _ in range(rng.choice((0, 0, 1, 2, 3))):  # windows in the roof
            x, y0 = rng.uniform(-0.7, 0.7) * half, rng.uniform(0.08, 0.2) * deep
            pane = glazing(rng, shape, 1, 0.0)[0]
            lift = 0.05
            shape.add(
                np.array(
                    [
                        (x - 0.4, y0, height + y0 * slope + lift),
                        (x + 0.4, y0, height + y0 * slope + lift),
                        (x + 0.4, y0 + 1.0, height + (y0 + 1.0) * slope + lift),
                        (x - 0.4, y0 + 1.0, height + (y0 + 1.0) * slope + lift),
                    ]
                ),
                pane,
            )
        shape.boxes(
            np.array([-half, -eave - 0.06, height - eave * slope - 0.12]),
            np.array([half, -eave + 0.04, height - eave * slope]),
            shape.paint(Paint((80, 78, 76))),
        )
    for _ in range(rng.choice((0, 1, 1, 2))):
        x, y = rng.uniform(-0.8, 0.8) * half, rng.uniform(0.35, 0.65) * deep
        shape.boxes(
            np.array([x - 0.35, y - 0.3, height]),
            np.array([x + 0.35, y + 0.3, height + rise + rng.uniform(0.4, 1.2)]),
            wall,
            m,
        )
    return height + rise
