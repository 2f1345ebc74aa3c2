# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, lorries, buses and bicycles, lofted from a few measures.

Front along -y, origin on the road under the middle.

Paint number 0 of every mesh is its body's colour.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np

from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape

GLASS = Paint((20, 23, 25), mirror=0.05, gloss=0.6, sharpness=300.0, grime=0.05)
RUBBER = Paint((30, 30, 31), gloss=0.04, sharpness=8.0, grime=0.3)
DARK = Paint((22, 22, 24), gloss=0.05, sharpness=15.0, grime=0.2)
TRIM = Paint((38, 38, 40), gloss=0.1, sharpness=20.0, grime=0.3)
RIM = Paint((122, 124, 128), gloss=0.4, sharpness=40.0, mirror=0.06, grime=0.3)
CHROME = Paint((190, 190, 195), gloss=0.6, sharpness=80.0, mirror=0.4, grime=0.1)
HEADLIGHT = Paint((205, 210, 214), gloss=0.7, sharpness=120.0, mirror=0.25, grime=0.05)
TAILLIGHT = Paint((122, 14, 14), gloss=0.5, sharpness=90.0, mirror=0.08, grime=0.05)
BRAKE = Paint((255, 40, 24), gloss=0.3, glow=0.7, grime=0.0)
ORANGE = Paint((240, 130, 20), gloss=0.4, sharpness=60.0)
BODY = Paint((130, 130, 132), gloss=0.45, sharpness=160.0, mirror=0.05, grime=0.12)

PAINTS: tuple[tuple[str, RGB, float], ...] = (
    ("black", (16, 17, 19), 4.0),
    ("gray", (78, 81, 86), 4.0),
    ("gray", (146, 149, 152), 4.5),
    ("white", (226, 227, 226), 4.5),
    ("blue", (28, 48, 96), 2.0),
    ("blue", (48, 98, 160), 0.8),
    ("red", (150, 20, 24), 1.8),
    ("red", (186, 36, 30), 0.7),
    ("green", (28, 62, 44), 0.7),
    ("brown", (92, 76, 60), 0.6),
    ("white", (205, 198, 180), 0.6),
    ("yellow", (228, 186, 32), 0.3),
    ("orange", (204, 92, 26), 0.3),
    ("green", (120, 140, 60), 0.2),
    ("purple", (72, 34, 70), 0.2),
    ("gray", (58, 66, 76), 2.0),
)
"""Paints of cars: the name of the colour, the colour, how common it is."""


@dataclass(frozen=True)
class Build:
    """Measures of a kind of car, in metres, and where along its length (0 front, 1 rear) things are."""

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    belt: float
    """Height of the windows' lower edge as a share of the height."""
    screen: tuple[float, float]
    back: tuple[float, float]
    bonnet: float
    """Height of the bonnet's front as a share of the belt's."""
    boot: float
    """Height of the tail's top as a share of the belt's."""
    windows: tuple[float, ...]
    """Where pillars stand between the side windows; the last is where the glass ends."""


BUILDS = {
    "hatchback": Build(
        (3.6, 4.3), (1.66, 1.8), (1.42, 1.54), 0.62, (0.25, 0.43), (0.86, 0.965), 0.72, 1.0, (0.63, 0.86)
    ),
    "saloon": Build(
        (4.3, 4.9), (1.74, 1.88), (1.4, 1.48), 0.63, (0.27, 0.43), (0.72, 0.85), 0.74, 1.03, (0.58, 0.77)
    ),
    "estate": Build(
        (4.4, 4.85),
        (1.74, 1.86),
        (1.44, 1.54),
        0.62,
        (0.26, 0.41),
        (0.91, 0.975),
        0.74,
        1.0,
        (0.56, 0.73, 0.92),
    ),
    "suv": Build(
        (4.2, 4.8), (1.8, 1.95), (1.62, 1.8), 0.6, (0.25, 0.39), (0.88, 0.97), 0.82, 1.0, (0.55, 0.73, 0.9)
    ),
    "minivan": Build(
        (4.3, 4.8), (1.78, 1.9), (1.62, 1.78), 0.58, (0.16, 0.36), (0.93, 0.98), 0.76, 1.0, (0.5, 0.7, 0.92)
    ),
    "city car": Build(
        (2.7, 3.5), (1.56, 1.66), (1.46, 1.56), 0.6, (0.18, 0.4), (0.88, 0.97), 0.74, 1.0, (0.62, 0.88)
    ),
    "coupe": Build(
        (4.0, 4.5), (1.76, 1.86), (1.28, 1.36), 0.64, (0.3, 0.47), (0.66, 0.9), 0.76, 1.05, (0.72,)
    ),
    "van": Build((4.9, 5.9), (1.92, 2.05), (1.95, 2.5), 0.5, (0.1, 0.22), (0.985, 0.995), 0.8, 1.0, (0.3,)),
}
CARS = ("hatchback", "saloon", "estate", "suv", "minivan", "city car", "coupe")
VARIANTS = 8


def wheel(shape: Shape, x: float, y: float, radius: float, wide: float, side: float, spokes: int) -> None:
    """A wheel whose outer face is at x, on the side of the sign `side`."""
    turn = 2 * pi * np.arange(13) / 12
    ring = np.stack([np.zeros(13), np.cos(turn), np.sin(turn)], -1)
    centre = np.array([x, y, radius])
    inner = centre - (side * wide, 0, 0)
    rubber, rim, dark = shape.paint(RUBBER), shape.paint(RIM), shape.paint(DARK)
    out = np.array([side * 0.012, 0, 0])
    shape.grid(
        np.stack([inner + radius * ring, centre + radius * ring, centre + out + 0.68 * radius * ring]), rubber
    )
    lit = np.where(np.arange(12) % max(2, 12 // spokes) < max(1, 6 // spokes), rim, dark)
    shape.grid(
        np.stack(
            [centre + 0.4 * out + 0.68 * radius * ring, np.broadcast_to(centre + 0.2 * out, ring.shape)]
        ),
        lit,
    )


def arch(shape: Shape, x: float, y: float, radius: float, axle: float, low: float) -> None:
    """The dark opening over a wheel, on the plane x."""
    turn = np.linspace(-0.12 * pi, 1.12 * pi, 10)
    points = np.stack(
        [np.full(10, x), y + radius * np.cos(turn), np.maximum(axle + radius * np.sin(turn), low)], -1
    )
    shape.grid(np.stack([np.broadcast_to([x, y, axle], points.shape), points]), shape.paint(DARK))


@lru_cache(maxsize=128)
def car(kind: str, variant: int) -> Mesh:
    """One of the cars of a kind of `BUILDS`."""
    rng = np.random.default_rng([sorted(BUILDS).index(kind), variant, 7])
    b = BUILDS[kind]
    length, width, height = (float(rng.uniform(*span)) for span in (b.length, b.width, b.height))
    half = 0.5 * width
    belt = height * (b.belt + rng.uniform(-0.02, 0.03))
    clear = rng.uniform(0.16, 0.22) + (0.06 if kind in ("suv", "van") else 0.0)
    front0, front1 = (s + rng.uniform(-0.015, 0.015) for s in b.screen)
    back0, back1 = b.back
    tilt = rng.uniform(0.1, 0.17) if kind != "van" else 0.06
    pillars = [front1, *[w for w in b.windows if w < back0], back0]
    posts = sorted(
        {p for w in b.windows for p in (w - 0.012, w + 0.012) if front1 + 0.02 < p < back0 - 0.005}
    )
    at = np.array(
        sorted(
            {
                0.0,
                0.012,
                0.05,
                0.5 * front0,
                front0,
                0.5 * (front0 + front1),
                front1,
                *posts,
                back0,
                back1,
                0.955,
                0.99,
                1.0,
            }
        )
    )
    nose = np.interp(
        at, [0, 0.012, 0.05, 0.12, 0.9, 0.96, 0.99, 1.0], [0.8, 0.88, 0.96, 1.0, 1.0, 0.96, 0.9, 0.86]
    )
    hood = belt * np.interp(
        at,
        [0, 0.012, 0.05, front0, back0, back1, 0.99, 1.0],
        [0.6, 0.9 * b.bonnet, b.bonnet, 0.97, 1.0, b.boot, b.boot * 0.98, 0.9 * b.boot],
    )
    roof = np.interp(
        at,
        [front0, 0.5 * (front0 + front1), front1, 0.5 * (front1 + back0), back0, back1],
        [0.0, 0.62, 0.975, 1.0, 0.965, 0.0],
    )
    cabin = belt + (height - belt) * roof
    top = np.where(roof > 0, np.maximum(cabin, hood + 0.03), hood + 0.03)
    low = clear + np.interp(at, [0, 0.05, 0.93, 1.0], [0.08, 0, 0.0, 0.12])
    wide = half * nose
    up = np.clip((top - hood) / max(height - belt, 0.1), 0, 1)
    roof_w = wide * (0.93 - 0.2 * up * (tilt / 0.13))
    zero = np.zeros_like(at)
    y = (at - 0.5) * length
    line = [
        (zero, low),
        (0.86 * wide, low),
        (0.97 * wide, low + 0.1),
        (wide, 0.5 * (low + hood) + 0.05),
        (0.985 * wide, 0.93 * hood),
        (0.94 * wide, hood),
        (roof_w, hood + 0.9 * (top - hood)),
        (0.84 * roof_w, top),
        (zero, top + 0.02 + 0.015 * up),
    ]
    shape = Shape()
    body, glass, trim, dark = (shape.paint(p) for p in (BODY, GLASS, TRIM, DARK))
    panels = len(at) - 1
    middle = 0.5 * (at[1:] + at[:-1])
    material = np.full((len(line) - 1, panels), body)
    material[0] = dark
    material[1] = trim if rng.random() < 0.5 else body
    upright = (middle > front1) & (middle < back0)
    glazed = upright & np.array([any(abs(m - w) > 0.0125 for w in [0.0]) for m in middle])
    for w in b.windows:
        glazed &= abs(middle - w) > 0.0125
    if kind == "van":
        glazed &= middle < b.windows[0]
    material[5, glazed] = glass
    slope = ((middle > front0) & (middle < front1)) | ((middle > back0) & (middle < back1) & (kind != "van"))
    material[6, slope] = glass
    material[7, slope] = glass
    del pillars
    for side in (1.0, -1.0):
        points = np.stack([np.stack([side * px, y, pz], -1) for px, pz in line])
        shape.grid(points, material.ravel())
        for k in (0, -1):  # the flat ends
            ends = points[:, k]
            shape.grid(np.stack([ends, ends * (0, 1, 1)]), body)
    radius = (0.295 + 0.03 * rng.random()) * (1.12 if kind in ("suv", "van") else 1.0)
    spokes = int(rng.choice((3, 4, 6)))
    for share in (rng.uniform(0.185, 0.2), rng.uniform(0.79, 0.81)):
        wy = (share - 0.5) * length
        for side in (1.0, -1.0):
            arch(shape, side * (half + 0.004), wy, radius + 0.055, radius, clear)
            wheel(shape, side * (half + 0.008), wy, radius, 0.2, side, spokes)
    lamp, tail, chrome = shape.paint(HEADLIGHT), shape.paint(TAILLIGHT), shape.paint(CHROME)
    plate = shape.paint(Paint((255, 255, 255), "plate", int(rng.integers(4)), gloss=0.1, grime=0.1))

    def face(y: float, x0: float, x1: float, z0: float, z1: float, paint: int) -> None:
        corners = [(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)]
        shape.add(np.array(corners if y < 0 else [corners[1], corners[0], corners[3], corners[2]]), paint)

    front, rear = -0.5 * length - 0.006, 0.5 * length + 0.006
    fw, rw = 0.8 * half, 0.86 * half
    z = belt * b.bonnet
    face(front, -0.5 * fw, 0.5 * fw, 0.62 * z, 0.8 * z, dark)
    face(front, -0.75 * fw, 0.75 * fw, 0.38 * z, 0.48 * z, dark)
    face(front - 0.003, -0.06, 0.06, 0.69 * z, 0.73 * z, chrome)
    face(front - 0.004, -0.26, 0.26, 0.5 * z, 0.5 * z + 0.11, plate)
    tall = rng.uniform(0.12, 0.22)
    for side in (-1, 1):
        a, c = sorted((side * 0.58 * fw, side * 0.99 * fw))
        face(front - 0.003, a, c, 0.66 * z, 0.66 * z + tall, lamp)
        # round the corner of the wings
        ly = -0.5 * length
        shape.add(
            np.array(
                [
                    (side * 0.985 * fw, ly - 0.006, 0.66 * z),
                    (side * 0.965 * half, ly + 0.05 * length, 0.74 * z),
                    (side * 0.965 * half, ly + 0.05 * length, 0.74 * z + 0.8 * tall),
                    (side * 0.985 * fw, ly - 0.006, 0.66 * z + tall),
                ]
            ),
            lamp,
        )
        a, c = sorted((side * rng.uniform(0.62, 0.86) * rw, side * 0.99 * rw))
        top_light = 0.88 * belt * b.boot
        high = rng.uniform(0.12, 0.3) * (1.4 if kind == "van" else 1.0)
        face(rear + 0.003, a, c, top_light - high, top_light, tail)
        ly = 0.5 * length
        shape.add(
            np.array(
                [
                    (side * 0.985 * rw, ly + 0.008, top_light - high),
                    (side * 0.975 * half, ly - 0.035 * length, top_light - high),
                    (side * 0.975 * half, ly - 0.035 * length, top_light),
                    (side * 0.985 * rw, ly + 0.008, top_light),
                ]
            ),
            tail,
        )
        # mirrors
        mx, my, mz = side * (half + 0.02), (front0 + 0.05 - 0.5) * length, belt + 0.03
        a, c = sorted((mx, mx + side * 0.17))
        shape.boxes(np.array([a, my, mz]), np.array([c, my + 0.1, mz + 0.13]), body)
    face(rear + 0.004, -0.27, 0.27, 0.55 * belt, 0.55 * belt + 0.12, plate)
    face(rear + 0.002, -0.9 * rw, 0.9 * rw, clear + 0.14, clear + 0.24, trim)
    # joints of doors, handles
    for w in (front0 + 0.03, *b.windows[:2]):
        for side in (-1, 1):
            x0, yy = side * (half + 0.002), (w - 0.5) * length
            shape.add(
                np.array(
                    [
                        (x0, yy, clear + 0.2),
                        (x0, yy + 0.014, clear + 0.2),
                        (x0, yy + 0.014, 0.9 * belt),
                        (x0, yy, 0.9 * belt),
                    ]
                ),
                dark,
            )
            if w != front0 + 0.03:
                shape.add(
                    np.array(
                        [
                            (x0, yy - 0.22, 0.83 * belt),
                            (x0, yy - 0.05, 0.83 * belt),
                            (x0, yy - 0.05, 0.83 * belt + 0.03),
                            (x0, yy - 0.22, 0.83 * belt + 0.03),
                        ]
                    ),
                    trim,
                )
    if kind in ("estate", "suv") and rng.random() < 0.6:
        for side in (-1, 1):
            x0 = side * 0.6 * half
            shape.boxes(
                np.array([x0 - 0.02, (front1 - 0.45) * length, height]),
                np.array([x0 + 0.02, (back0 - 0.55) * length, height + 0.06]),
                trim,
            )
    return shape.mesh()


@lru_cache(maxsize=64)
def lorry(kind: str, variant: int) -> Mesh:
    """A "truck" with a box, a canvas or a flat bed, a "semi" with a trailer or tank, or a "bus".

    Paint 0 is the cab.
    """
    rng = np.random.default_rng([("truck", "semi", "bus").index(kind), variant, 11])
    shape = Shape()
    cab = shape.paint(Paint((150, 150, 150), gloss=0.3, sharpness=80.0, mirror=0.04, grime=0.25))
    glass, trim, dark = shape.paint(GLASS), shape.paint(TRIM), shape.paint(DARK)
    lamp, tail, plate = (
        shape.paint(HEADLIGHT),
        shape.paint(TAILLIGHT),
        shape.paint(Paint((255, 255, 255), "plate", int(rng.integers(4)))),
    )
    half = 1.25 if kind != "truck" else rng.uniform(1.0, 1.25)
    radius = 0.5 if kind != "truck" else 0.42

    def face(y: float, x0: float, x1: float, z0: float, z1: float, paint: int, outward: float) -> None:
        corners = [(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)]
        shape.add(
            np.array(corners if outward < 0 else [corners[1], corners[0], corners[3], corners[2]]), paint
        )

    def side_pane(y0: float, y1: float, z0: float, z1: float, paint: int, off: float = 0.006) -> None:
        for side in (-1, 1):
            x = side * (half + off)
            ys = (y0, y1) if side > 0 else (y1, y0)
            shape.add(np.array([(x, ys[0], z0), (x, ys[1], z0), (x, ys[1], z1), (x, ys[0], z1)]), paint)

    def wheels(y: float) -> None:
        for side in (-1.0, 1.0):
            arch(shape, side * (half + 0.005), y, radius + 0.07, radius, 0.45)
            wheel(shape, side * (half + 0.01), y, radius, 0.3, side, 4)

    if kind == "bus":
        length, height = rng.uniform(10.5, 13.0), rng.uniform(2.9, 3.3)
        a = -0.5 * length
        shape.boxes(np.array([-half, a, 0.3]), np.array([half, -a, height]), cab, 3.0)
        side_pane(a + 0.5, -a - 0.5, 1.25, height - 0.5, glass)
        for y in np.arange(a + 1.6, -a - 0.8, 1.45):
            side_pane(y, y + 0.07, 1.25, height - 0.5, dark, 0.01)
        side_pane(a + 0.9, a + 2.1, 0.38, height - 0.5, glass, 0.012)
        side_pane(0.6, 1.9, 0.38, height - 0.5, glass, 0.012)
        face(a - 0.006, -half + 0.08, half - 0.08, 1.0, height - 0.45, glass, -1)
        sign = shape.paint(Paint((210, 140, 40), glow=0.15))
        face(a - 0.01, -0.8, 0.8, height - 0.36, height - 0.12, dark, -1)
        face(a - 0.013, -0.7, 0.7, height - 0.32, height - 0.16, sign, -1)
        face(-a + 0.006, -half + 0.2, half - 0.2, 1.6, height - 0.6, glass, 1)
        band = shape.paint(Paint(tuple(int(v) for v in rng.uniform(20, 230, 3)), gloss=0.2, grime=0.3))  # type: ignore[arg-type]
        side_pane(a, -a, 0.55, rng.uniform(0.7, 1.15), band, 0.004)
        for y in (a + 2.7, -a - 3.2):
            wheels(y)
        ends = ((a, -1.0, 0.7), (-a, 1.0, 0.8))
    else:
        long_cab = rng.uniform(1.7, 2.3)
        load = rng.uniform(3.5, 6.5) if kind == "truck" else rng.uniform(9.5, 12.0)
        length = long_cab + load
        a = -0.5 * length
        high_cab = rng.uniform(2.1, 2.7) if kind == "truck" else rng.uniform(2.8, 3.6)
        slant = rng.uniform(0.0, 0.35)
        z_screen = 0.52 * high_cab
        profile = np.array(
            [(a, 0.45), (a, z_screen), (a + slant, high_cab), (a + long_cab, high_cab), (a + long_cab, 0.45)]
        )
        for side in (-1, 1):
            x = side * half
            shape.grid(
                np.stack(
                    [
                        np.column_stack([np.full(5, x), profile]),
                        np.column_stack([np.full(5, x), np.full(5, a + 1.0), np.full(5, 1.2)]),
                    ]
                ),
                cab,
            )
        shape.grid(
            np.stack([np.column_stack([np.full(5, s * half), profile]) for s in (-1, 1)]),
            np.array([cab, glass, cab, cab]),
        )
        side_pane(a + 0.3 + 0.5 * slant, a + 0.68 * long_cab, z_screen, z_screen + 0.3 * high_cab, glass)
        side_pane(a + 0.02, a + long_cab, 0.4, 0.72, trim)
        face(a - 0.006, -0.6 * half, 0.6 * half, 0.75, 0.8 * z_screen, dark, -1)
        b0, b1 = a + long_cab + 0.12, -a
        shape.boxes(np.array([-0.9 * half, a + 0.3, 0.55]), np.array([0.9 * half, b1, 0.85]), dark)
        what = rng.choice(
            (
                "box",
                "box",
                "canvas",
                "bed",
                "tank" if kind == "semi" else "box",
                "tank" if kind == "semi" else "canvas",
            )
        )
        top = rng.uniform(2.6, 3.3) if kind == "truck" else rng.uniform(3.4, 4.0)
        deck = 0.9 if kind == "truck" else 1.1
        tone = tuple(
            int(v)
            for v in (
                rng.uniform(190, 245) * np.array([1, 1, 1]) if rng.random() < 0.6 else rng.uniform(20, 220, 3)
            )
        )
        skin = Paint(tone, "livery", int(rng.integers(8)), gloss=0.12, sharpness=30.0, mirror=0.02, grime=0.3)  # type: ignore[arg-type]
        if what == "tank":
            turn = np.linspace(0, 2 * pi, 21)
            bulge = 0.93 * half
            rings = []
            for s, r in (
                (0.0, 0.05),
                (0.0, 0.7),
                (0.04, 0.95),
                (0.08, 1.0),
                (0.92, 1.0),
                (0.96, 0.95),
                (1.0, 0.7),
                (1.0, 0.05),
            ):
                rings.append(
                    np.column_stack(
                        [
                            bulge * r * np.cos(turn),
                            np.full(21, b0 + s * (b1 - b0)),
                            0.5 * (deck + top) + 0.5 * (top - deck) * r * np.sin(turn),
                        ]
                    )
                )
            uv = np.stack(
                [
                    np.broadcast_to(np.linspace(0, 1, 8)[:, None], (8, 21)),
                    np.broadcast_to(np.linspace(0, 2, 21), (8, 21)),
                ],
                -1,
            )
            shape.grid(np.stack(rings), shape.paint(skin), uv)
            shape.boxes(np.array([-half, b0, 0.75]), np.array([half, b1, deck]), trim)
        elif what == "bed":
            shape.boxes(np.array([-half, b0, 0.75]), np.array([half, b1, deck]), dark)
            for x0, x1, y0, y1 in (
                (-half, -half + 0.05, b0, b1),
                (half - 0.05, half, b0, b1),
                (-half, half, b1 - 0.05, b1),
                (-half, half, b0, b0 + 0.05),
            ):
                shape.boxes(np.array([x0, y0, deck]), np.array([x1, y1, deck + 0.5]), shape.paint(skin))
            for _ in range(int(rng.integers(0, 5))):
                cx, cy = rng.uniform(-0.6, 0.6) * half, rng.uniform(b0 + 0.6, b1 - 0.6)
                shape.boxes(
                    np.array([cx - 0.4, cy - 0.4, deck]),
                    np.array([cx + 0.4, cy + 0.4, deck + rng.uniform(0.3, 1.2)]),
                    shape.paint(Paint((150, 120, 80), "boards", 1)),
                )
        else:
            shape.boxes(np.array([-half, b0, 0.75]), np.array([half, b1, deck]), trim)
            number = shape.paint(skin)
            shape.boxes(np.array([-half, b0, deck]), np.array([half, b1, top]), number, 6.0)
            side_pane(b0, b1, deck, top, number, 0.004)
            if what == "box":
                face(b1 + 0.006, -0.02, 0.02, deck + 0.1, top - 0.1, dark, 1)
        if rng.random() < 0.5:  # a bright board at the tail
            face(b1 + 0.012, -half, half, 0.62, 0.82, shape.paint(Paint((225, 60, 30))), 1)
            for k in range(4):
                x = -half + (k + 0.25) * half / 2
                face(b1 + 0.014, x, x + 0.25 * half, 0.62, 0.82, shape.paint(Paint((235, 215, 60))), 1)
        axles = [a + 0.75 * long_cab] + (
            [b1 - 1.2] if kind == "truck" else [a + long_cab + 1.0, b1 - 1.3, b1 - 2.6, b1 - 3.9]
        )
        for y in axles:
            wheels(y)
        for side in (-1, 1):  # mirrors
            x0, x1 = sorted((side * (half + 0.02), side * (half + 0.28)))
            shape.boxes(
                np.array([x0, a + 0.1, z_screen + 0.1]), np.array([x1, a + 0.2, z_screen + 0.7]), dark
            )
        ends = ((a, -1.0, 0.55), (b1, 1.0, 0.6))
    for y, outward, z in ends:
        for side in (-1, 1):
            x0, x1 = sorted((side * 0.6 * half, side * 0.93 * half))
            face(y + outward * 0.016, x0, x1, z, z + 0.2, lamp if outward < 0 else tail, outward)
        face(y + outward * 0.018, -0.26, 0.26, z - 0.05, z + 0.07, plate, outward)
    return shape.mesh()


@lru_cache(maxsize=8)
def bicycle(variant: int) -> Mesh:
    """A bicycle, 1.75 m long."""
    rng = np.random.default_rng([variant, 13])
    shape = Shape()
    frame = shape.paint(Paint((120, 30, 30), gloss=0.3, sharpness=60.0))
    rubber, dark, chrome = shape.paint(RUBBER), shape.paint(DARK), shape.paint(CHROME)
    r = 0.34
    for y in (-0.53, 0.53):
        turn = 2 * pi * np.arange(21) / 20
        points = np.stack([np.zeros(21), y + r * np.cos(turn), r + r * np.sin(turn)], -1)
        shape.tubes(points[:-1], points[1:], 0.02, 0.02, rubber, 4)
        spokes = points[:20:2]
        shape.tubes(np.broadcast_to([0.0, y, r], spokes.shape), spokes, 0.003, 0.003, chrome, 3)
    head, seat, crank, rear, front = (
        (0, -0.36, 0.86),
        (0, 0.18, 0.88),
        (0, 0.04, 0.3),
        (0, 0.53, r),
        (0, -0.53, r),
    )
    low = (0, -0.4, 0.7) if rng.random() < 0.6 else (0, -0.42, 0.6)
    pairs = [(head, front), (low, crank), (seat, crank), (crank, rear), (seat, rear)]
    if rng.random() < 0.7:
        pairs.append((low, (0, 0.15, 0.8)))
    shape.tubes(np.array([p for p, _ in pairs]), np.array([q for _, q in pairs]), 0.018, 0.016, frame, 6)
    shape.tubes(
        np.array([(-0.27, -0.3, 1.02), (0, -0.36, 0.86)]),
        np.array([(0.27, -0.3, 1.02), (0, -0.36, 1.02)]),
        0.015,
        0.015,
        dark,
        5,
    )
    shape.boxes(np.array([-0.08, 0.1, 0.92]), np.array([0.08, 0.36, 0.98]), dark)
    if rng.random() < 0.5:
        shape.boxes(
            np.array([-0.15, -0.62, 0.78]),
            np.array([0.15, -0.4, 1.0]),
            shape.paint(Paint((70, 55, 40), "boards", 0)),
        )
    if rng.random() < 0.7:
        shape.tubes(np.array([(-0.06, 0.53, 0.72)]), np.array([(0.06, 0.53, 0.72)]), 0.012, 0.012, dark, 4)
        shape.boxes(np.array([-0.08, 0.3, 0.7]), np.array([0.08, 0.75, 0.72]), dark)
    return shape.mesh()
