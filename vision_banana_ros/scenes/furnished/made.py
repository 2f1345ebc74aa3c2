# SPDX-License-Identifier: Apache-2.0
"""Procedural objects that robots often meet and catalogues lack, in many sizes and materials.

Every function takes a `Random` and returns a piece at its true size, standing on z = 0 with its front along
-y.
"""

from math import cos, hypot, pi, sin
from random import Random

import numpy as np

from vision_banana_ros.scenes import materials
from vision_banana_ros.scenes.furnished.embree import MIRROR_GLOSS
from vision_banana_ros.scenes.furnished.meshes import Paint, Shape
from vision_banana_ros.scenes.furnished.pieces import Piece
from vision_banana_ros.scenes.furnished.textures import VARIANTS
from vision_banana_ros.scenes.materials import COLORS, RGB

# ---------------------------------------------------------------- paints


def covered(
    rng: Random, picture: str, span: float = 1.0, gloss: float = 0.0, rgb: RGB | None = None
) -> Paint:
    """A surface with a picture of a kind."""
    shade = rng.randint(170, 255)
    return Paint(rgb or (shade, shade, shade), picture, rng.randrange(VARIANTS // 2), span, gloss)


def once(rng: Random, picture: str, glow: float = 0.0) -> Paint:
    """A picture that fills each face."""
    return Paint((255, 255, 255), picture, rng.randrange(VARIANTS), 0.0, 0.05, glow=glow)


def colored(rng: Random, *names: str, gloss: float | None = None) -> Paint:
    """Plastic or lacquer of one of the colours, any if none is given."""
    rgb = materials.near(rng, COLORS[rng.choice(names or tuple(COLORS))], 0.2)
    return Paint(rgb, gloss=rng.uniform(0.0, 0.4) if gloss is None else gloss, sharpness=rng.uniform(15, 60))


def steel(rng: Random) -> Paint:
    """Random brushed steel."""
    shade = rng.randint(60, 200)
    return Paint(
        (shade, shade, min(255, shade + 3)), gloss=rng.uniform(0.2, 0.6), sharpness=rng.uniform(20, 60)
    )


def dark(rng: Random) -> Paint:
    """Random dark plastic."""
    shade = rng.randint(12, 50)
    return Paint((shade, shade, shade + 2), gloss=rng.uniform(0.0, 0.3))


def wooden(rng: Random, span: float = 1.0) -> Paint:
    """Random wood, whose picture spans `span` metres."""
    return covered(rng, "wood", span, rng.uniform(0.0, 0.2))


def cloth(rng: Random, span: float = 0.6) -> Paint:
    """Random cloth, whose picture spans `span` metres."""
    return covered(rng, "fabric", span)


# ---------------------------------------------------------------- stores and halls


def box(rng: Random, most: float = 0.8) -> Piece:
    """A carton, closed or open, or a crate of plastic or wood."""
    w, d, h = (rng.uniform(0.15, most) * f for f in (1.0, 0.8, 0.8))
    shape, drawn = Shape(), rng.random()
    if drawn < 0.6:
        paint = once(rng, "carton")
        if rng.random() < 0.3:  # flaps stand open
            inner = Paint(tuple(int(0.5 * c) for c in (200, 160, 120)))  # type: ignore[arg-type]
            shape.box((0, 0, h / 2), (w, d, h), paint, top=inner)
            for side, tilt in ((-1, rng.uniform(0.3, 2.2)), (1, rng.uniform(0.3, 2.2))):
                run = (0, side * sin(tilt) * 0.4 * d, cos(tilt) * 0.4 * d)
                shape.quad((-w / 2, side * d / 2, h), (w, 0, 0), run, paint)
        else:
            shape.box((0, 0, h / 2), (w, d, h), paint)
        shape.place(-w / 2, -d / 2, w / 2, d / 2, h)
        return shape.piece("box", "cardboard box", material="cardboard")
    paint = colored(rng, "blue", "gray", "black", "red", "green", "yellow") if drawn < 0.85 else wooden(rng)
    t = 0.02
    for x, y, a, b in ((0, -d / 2, w, t), (0, d / 2, w, t), (-w / 2, 0, t, d), (w / 2, 0, t, d)):
        shape.box((x, y, h / 2), (a, b, h), paint)
    for z in (0.35 * h, h - 0.02):
        shape.box((0, 0, z), (w + 0.03, d + 0.03, 0.02), paint, top=None, bottom=None)
    shape.box(
        (0, 0, rng.uniform(0.1, 0.9) * h),
        (w - t, d - t, 0.02),
        covered(rng, rng.choice(("carton", "metal", "printed")), 0.0),
    )
    return shape.piece("box", "crate", material="plastic" if drawn < 0.85 else "wood")


def pallet(rng: Random) -> Piece:
    """One or several pallets, of wood or plastic."""
    w, d, count = rng.choice(((1.2, 0.8), (1.2, 1.0), (0.8, 0.6))) + (rng.choice((1, 1, 1, 2, 4, 7)),)
    paint = wooden(rng, 0.8) if rng.random() < 0.85 else colored(rng, "blue", "black", "gray")
    shape = Shape()
    for k in range(count):
        z, x, y = 0.144 * k, rng.uniform(-0.02, 0.02) * (k > 0), rng.uniform(-0.02, 0.02) * (k > 0)
        for row in (-1, 0, 1):
            shape.box((x, y + row * (d / 2 - 0.05), z + 0.011), (w, 0.1, 0.022), paint)
            for column in (-1, 0, 1):
                shape.box(
                    (x + column * (w / 2 - 0.07), y + row * (d / 2 - 0.05), z + 0.061),
                    (0.14, 0.1, 0.078),
                    paint,
                )
        for column in (-1, 0, 1):
            shape.box((x + column * (w / 2 - 0.07), y, z + 0.111), (0.14, d, 0.022), paint)
        boards = rng.choice((5, 7))
        for row in range(boards):
            at = (row / (boards - 1) - 0.5) * (d - 0.1)
            shape.box((x, y + at, z + 0.133), (w, 0.1 if row % 2 else 0.12, 0.022), paint)
    shape.place(-w / 2, -d / 2, w / 2, d / 2, 0.144 * count)
    return shape.piece("pallet", material="wood")


def barrel(rng: Random) -> Piece:
    """A drum of steel or plastic with ribs, or a wooden barrel."""
    r, h = rng.uniform(0.2, 0.32), rng.uniform(0.55, 1.0)
    drawn = rng.random()
    if drawn < 0.2:
        profile = (
            [(0.0, 0.0)] + [(r * (0.8 + 0.2 * sin(pi * k / 8)), h * k / 8) for k in range(9)] + [(0.0, h)]
        )
        shape = Shape().turn(profile, covered(rng, "wood", 0.5), sides=20)
        for z in (0.12, 0.3, 0.7, 0.88):
            shape.turn(
                [
                    (r * (0.81 + 0.2 * sin(pi * z)), h * z - 0.02),
                    (r * (0.81 + 0.2 * sin(pi * z)), h * z + 0.02),
                ],
                dark(rng),
                sides=20,
            )
        return shape.place(-0.5 * r, -0.5 * r, 0.5 * r, 0.5 * r, h).piece("barrel", material="wood")
    paint = (
        covered(rng, "metal", 0.8, 0.2)
        if drawn < 0.5
        else colored(rng, "blue", "blue", "red", "black", "green", "yellow", "white", "gray")
    )
    ribs = [
        (r + out, h * part + dz)
        for part in (1 / 3, 2 / 3)
        for dz, out in ((-0.03, 0.0), (0.0, 0.015), (0.03, 0.0))
    ]
    profile = [
        (0.0, 0.0),
        (r, 0.0),
        *ribs,
        (r, h - 0.01),
        (r + 0.01, h),
        (r - 0.01, h - 0.015),
        (0.0, h - 0.015),
    ]
    shape = Shape().turn(profile, paint, sides=20)
    if rng.random() < 0.4:
        shape.turn([(r + 0.004, 0.4 * h), (r + 0.004, 0.6 * h)], once(rng, "printed"), sides=20)
    return shape.place(-0.6 * r, -0.6 * r, 0.6 * r, 0.6 * r, h).piece("barrel", material="metal")


def cone(rng: Random) -> Piece:
    """A random cone."""
    h = rng.choice((0.2, 0.3, 0.45, 0.5, 0.7, 0.9)) * rng.uniform(0.9, 1.1)
    paint = colored(rng, "orange", "orange", "orange", "red", "yellow", "blue", "green")
    band = Paint((235, 235, 230))
    r = 0.22 * h
    bands = sorted(rng.uniform(0.3, 0.9) for _ in range(2 * rng.choice((0, 1, 1, 2))))
    shape = Shape()
    for k, (a, b) in enumerate(zip([0.04, *bands], [*bands, 1.0], strict=True)):
        shape.turn(
            [(r * (1.05 - 0.9 * a), h * a), (r * (1.05 - 0.9 * b), h * b)], band if k % 2 else paint, sides=16
        )
    shape.turn([(0.15 * r, h), (0.0, h)], paint)
    base = paint if rng.random() < 0.6 else dark(rng)
    shape.box((0, 0, 0.02 * h + 0.004), (0.62 * h, 0.62 * h, 0.04 * h + 0.008), base)
    return shape.piece("cone", look=paint, material="plastic")


def ball(rng: Random) -> Piece:
    """A random ball."""
    r = rng.choice((0.033, 0.06, 0.11, 0.11, 0.12, 0.2, 0.33))
    paint = covered(rng, "fabric", 0.0) if rng.random() < 0.25 else colored(rng)
    return Shape().ball((0, 0, r), r, paint, fine=20).piece("ball", material="plastic")


def wander(rng: Random, length: float, step: float = 0.08) -> np.ndarray:
    """A line on the floor that bends at random (N, 3)."""
    points, heading, bend = [(0.0, 0.0, 0.0)], rng.uniform(0, 2 * pi), 0.0
    for _ in range(max(3, int(length / step))):
        bend = 0.85 * bend + rng.gauss(0, 0.18)
        heading += bend
        x, y, _ = points[-1]
        points.append((x + step * cos(heading), y + step * sin(heading), 0.0))
    return np.array(points)


def cable(rng: Random) -> Piece:
    """A cord, hose or rope on the floor, straggling or coiled."""
    r = rng.choice((0.003, 0.004, 0.006, 0.009, 0.014))
    paint = colored(
        rng, "black", "black", "gray", "white", "orange", "yellow", "blue", "red", "green", gloss=0.1
    )
    if rng.random() < 0.3:
        turns, wide = rng.uniform(2, 7), rng.uniform(0.1, 0.3)
        n = int(14 * turns)
        angle = [2 * pi * turns * k / n for k in range(n)]
        line = np.array(
            [
                (
                    wide * (1 + 0.15 * sin(3.3 * a)) * cos(a),
                    wide * (1 + 0.1 * cos(1.7 * a)) * sin(a),
                    2.2 * r * a / (2 * pi) % 0.06,
                )
                for a in angle
            ]
        )
        tail = wander(rng, rng.uniform(0.3, 1.5)) + line[-1] * (1, 1, 0)
        line = np.concatenate([line, tail[1:]])
    else:
        line = wander(rng, rng.uniform(0.8, 6.0))
    shape = Shape().bar(*(line + (0, 0, r)), radius=r, paint=paint, sides=6)
    if rng.random() < 0.4:  # a plug or a strip of sockets at its end
        x, y, _ = line[0]
        shape.box(
            (x, y, 0.022),
            (rng.choice((0.05, 0.3)), 0.05, 0.044),
            colored(rng, "white", "black"),
            yaw=rng.uniform(0, pi),
        )
    return shape.piece("cable", look=paint, material="plastic")


def stairs(rng: Random) -> Piece:
    """A flight, closed or open, maybe with railings; or a step stool and a platform with few steps."""
    count = rng.choice((2, 3, 4, 6, 9, 12, 15))
    rise, run, w = rng.uniform(0.15, 0.2), rng.uniform(0.24, 0.32), rng.uniform(0.7, 2.2)
    tread = covered(
        rng, rng.choice(("concrete", "wood", "tiles", "metal", "carpet")), 1.2, rng.uniform(0, 0.15)
    )
    side = covered(rng, rng.choice(("plaster", "concrete", "wood")), 2.0) if rng.random() < 0.6 else tread
    edge = colored(rng, "yellow", "black", "gray") if rng.random() < 0.3 else tread
    open_ = rng.random() < 0.3
    shape = Shape()
    depth = count * run
    for k in range(count):
        y0, z = k * run, (k + 1) * rise
        if open_:
            shape.box((0, y0 + run / 2, z - 0.02), (w, run + 0.03, 0.04), tread, front=edge)
        else:
            shape.box(
                (0, 0.5 * (y0 + depth), z - rise / 2),
                (w, depth - y0, rise),
                tread,
                front=side,
                left=side,
                right=side,
            )
            shape.box((0, y0 + 0.02, z - 0.01), (w + 0.004, 0.045, 0.024), edge)
    if open_:
        for x in (-w / 2, w / 2):
            shape.add(
                np.array(
                    [
                        [
                            (x, -0.1, -0.0),
                            (x, 0.15, 0.0),
                            (x, depth, count * rise - 0.15),
                            (x, depth, count * rise + 0.02),
                        ]
                    ]
                ),
                side,
            )
            shape.box(
                (x, depth / 2, count * rise / 2 + 0.02),
                (0.05, hypot(depth, count * rise), 0.22),
                side,
                tilt=np.arctan2(rise, run),
            )
    if count > 2 and rng.random() < 0.6:
        rail = rng.choice((steel, wooden, dark))(rng)
        for x in rng.choice(((-w / 2 + 0.04,), (w / 2 - 0.04,), (-w / 2 + 0.04, w / 2 - 0.04))):
            for k in range(0, count + 1, 1 if rng.random() < 0.5 else 3):
                shape.bar(
                    (x, k * run + 0.05, max(0.0, k * rise - 0.02)),
                    (x, k * run + 0.05, k * rise + 0.9),
                    radius=0.012,
                    paint=rail,
                    sides=6,
                )
            for high in (0.9, 0.5)[: rng.choice((1, 2))]:
                shape.bar((x, 0.05, high), (x, depth, count * rise + high), radius=0.022, paint=rail)
    return shape.piece("stairs", look=tread)


def rack(rng: Random, high: float = 4.0) -> Piece:
    """Shelving with open fronts: of a store with beams, of an office or a cellar.

    Goods are part of it or put on it.
    """
    heavy = high > 2.6 and rng.random() < 0.7
    w, d = (
        (rng.uniform(1.8, 2.8), rng.uniform(0.8, 1.1))
        if heavy
        else (rng.uniform(0.7, 1.4), rng.uniform(0.3, 0.6))
    )
    h = min(high, rng.uniform(2.4, 5.0) if heavy else rng.uniform(1.2, 2.2))
    boards = rng.randint(2, 4) if heavy else rng.randint(3, 6)
    post, beam = (
        (colored(rng, "blue", "gray"), colored(rng, "orange", "yellow")) if heavy else (steel(rng),) * 2
    )
    if not heavy and rng.random() < 0.4:
        post = beam = wooden(rng)
    deck = covered(rng, "wood", 1.0) if heavy else beam
    shape, t = Shape(), 0.08 if heavy else 0.035
    for x in (-w / 2, w / 2):
        for y in (-d / 2, d / 2):
            shape.box((x, y, h / 2), (t, t, h), post)
        if heavy:
            for k in range(int(h / 0.6)):
                a, b = (-d / 2, d / 2) if k % 2 else (d / 2, -d / 2)
                shape.bar((x, a, 0.6 * k), (x, b, 0.6 * k + 0.6), radius=0.015, paint=post, sides=4)
    step = (h - 0.15) / (boards - (0 if heavy else 1))
    for k in range(boards):
        z = 0.1 + k * step
        shape.box((0, 0, z), (w, d, 0.025), deck)
        for y in (-d / 2, d / 2) if heavy else ():
            shape.box((0, y, z - 0.05), (w, 0.045, 0.1), beam)
        goods(rng, shape, w - 0.12, d, z + 0.013, min(step, h - z) - 0.12)
    if rng.random() < 0.3 and not heavy:
        shape.box((0, d / 2, h / 2), (w, 0.01, h), post)
    return shape.piece("shelf", look=beam, material="metal")


def goods(rng: Random, shape: Shape, w: float, d: float, z: float, room: float) -> None:
    """Fills a board: books, folders, cartons, crates, or little."""
    if room < 0.12 or rng.random() < 0.1:
        return
    drawn = rng.random()
    x = -w / 2
    if drawn < 0.35 and room < 0.6:
        h = min(room, rng.uniform(0.2, 0.34))
        wide = rng.uniform(0.4, 1.0) * w
        shape.box(
            (-w / 2 + wide / 2, -0.05 * d, z + h / 2),
            (wide, 0.7 * d, h),
            once(rng, "spines"),
            top=Paint((190, 185, 170)),
            left=Paint((120, 90, 70)),
            right=Paint((70, 80, 110)),
        )
        return
    while x < w / 2 - 0.1:
        a, b, h = (
            rng.uniform(0.1, 0.6 if room > 0.5 else 0.35),
            rng.uniform(0.5, 0.95) * d,
            rng.uniform(0.35, 0.95) * room,
        )
        if x + a > w / 2:
            break
        if rng.random() < 0.8:
            kind = rng.random()
            paint = (
                once(rng, "carton") if kind < 0.55 else once(rng, "printed") if kind < 0.7 else colored(rng)
            )
            if kind > 0.93:
                shape.turn(
                    [(0, 0), (a / 2, 0), (a / 2, 0.8 * h), (0.2 * a, h), (0, h)], paint, (x + a / 2, 0, z), 10
                )
            else:
                shape.box(
                    (x + a / 2, rng.uniform(-0.5, 0.5) * (d - b), z + h / 2),
                    (a, b, h),
                    paint,
                    yaw=rng.gauss(0, 0.03),
                )
        x += a + rng.choice((0.01, 0.01, 0.05, 0.3))


def pillar(rng: Random, height: float) -> Piece:
    """A column, round or square, to the ceiling."""
    r = rng.uniform(0.06, 0.4)
    paint = (
        covered(rng, rng.choice(("concrete", "plaster", "metal", "bricks")), 2.0)
        if rng.random() < 0.6
        else steel(rng)
    )
    shape = Shape()
    if rng.random() < 0.5:
        shape.turn([(r, 0), (r, height)], paint, sides=20)
    else:
        shape.box((0, 0, height / 2), (2 * r, 2 * r, height), paint)
    if rng.random() < 0.3:  # guarded below
        shape.turn([(1.5 * r, 0.0), (1.5 * r, 0.4)], colored(rng, "yellow", "red", "black"), sides=16)
    return shape.piece("pillar", look=paint)


def tripod(rng: Random) -> Piece:
    """A random tripod."""
    h, spread, paint = rng.uniform(0.9, 2.4), rng.uniform(0.3, 0.7), rng.choice((dark, steel))(rng)
    turn = rng.uniform(0, 2 * pi)
    shape = Shape()
    for k in range(3):
        a = turn + 2 * pi * k / 3
        foot, knee = (
            (spread * cos(a), spread * sin(a), 0.0),
            (0.3 * spread * cos(a), 0.3 * spread * sin(a), 0.6 * h),
        )
        shape.bar(foot, knee, radius=0.012, paint=paint, sides=6)
        shape.bar(knee, (0.02 * cos(a), 0.02 * sin(a), 0.85 * h), radius=0.016, paint=paint, sides=6)
    shape.bar((0, 0, 0.5 * h), (0, 0, h), radius=0.018, paint=paint, sides=6)
    if rng.random() < 0.7:
        shape.box(
            (0, 0, h + 0.06),
            (rng.uniform(0.1, 0.5), 0.12, rng.uniform(0.1, 0.35)),
            dark(rng),
            yaw=rng.uniform(0, pi),
        )
    return shape.piece("tripod")


def extinguisher(rng: Random) -> Piece:
    """A random fire extinguisher."""
    r, h = 0.07, rng.uniform(0.4, 0.55)
    red = colored(rng, "red", gloss=0.4)
    shape = Shape().turn([(0, 0), (r, 0), (r, 0.75 * h), (0.35 * r, 0.88 * h), (0.3 * r, h), (0, h)], red)
    shape.turn([(r + 0.002, 0.3 * h), (r + 0.002, 0.6 * h)], once(rng, "printed"))
    shape.bar(
        (0, 0, h),
        (0.06, 0, h + 0.05),
        (0.1, 0, 0.8 * h),
        (0.08, 0.02, 0.4 * h),
        radius=0.012,
        paint=dark(rng),
        sides=6,
    )
    return shape.piece("fire extinguisher", look=red, material="metal")


def trolley(rng: Random) -> Piece:
    """A cart with a platform or shelves and a handle."""
    w, d, h = rng.uniform(0.5, 0.8), rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.1)
    frame, deck = steel(rng), rng.choice((wooden, colored))(rng)
    shape = Shape()
    for x in (-w / 2 + 0.08, w / 2 - 0.08):
        for y in (-d / 2 + 0.1, d / 2 - 0.1):
            shape.bar((x - 0.02, y, 0.06), (x + 0.02, y, 0.06), radius=0.06, paint=dark(rng), sides=12)
    levels = rng.choice(((0.2,), (0.2, 0.8), (0.2, 0.5, 0.85)))
    for z in levels:
        shape.box((0, 0, z), (w, d, 0.04), deck)
        if rng.random() < 0.6:
            goods(rng, shape, w - 0.1, 0.6 * d, z + 0.02, 0.3)
    shape.bar(
        (-w / 2, d / 2, 0.15),
        (-w / 2, d / 2, h),
        (w / 2, d / 2, h),
        (w / 2, d / 2, 0.15),
        radius=0.017,
        paint=frame,
    )
    if len(levels) > 1:
        for x in (-w / 2, w / 2):
            shape.bar((x, -d / 2, 0.15), (x, -d / 2, levels[-1] + 0.05), radius=0.015, paint=frame)
    return shape.place(-w / 2, -d / 2, w / 2, d / 2 - 0.1, levels[-1] + 0.02).piece("trolley", look=deck)


def ladder(rng: Random) -> Piece:
    """A random ladder."""
    h, w = rng.uniform(1.2, 2.8), rng.uniform(0.35, 0.5)
    paint, lean = rng.choice((steel, colored))(rng), rng.uniform(0.25, 0.35)
    shape = Shape()
    for side in (-1, 1):
        for x in (-w / 2, w / 2):
            shape.bar((x, side * lean * h / 2, 0), (0.8 * x, 0, h), radius=0.022, paint=paint, sides=4)
        for k in range(1, int(h / 0.27)):
            share = 0.27 * k / h
            shape.box(
                (0, side * lean * h / 2 * (1 - share), 0.27 * k),
                (w * (1 - 0.2 * share), 0.08 if side < 0 else 0.02, 0.025),
                paint,
            )
    return shape.piece("step ladder", look=paint, material="metal")


def bin_(rng: Random) -> Piece:
    """A random bin."""
    r, h = rng.uniform(0.12, 0.3), rng.uniform(0.28, 0.9)
    paint = rng.choice((colored, steel, dark))(rng)
    shape = Shape().turn(
        [(0, 0), (0.8 * r, 0), (r, h), (r + 0.01, h), (0.9 * r, h - 0.02), (0.85 * r, 0.5 * h), (0, 0.5 * h)],
        paint,
    )
    return shape.piece("trash can", look=paint)


def fence(rng: Random, height: float) -> Piece:
    """A screen that divides a hall: wire mesh, a tarpaulin on a frame, boards, or an office partition."""
    w, h = rng.uniform(1.2, 3.6), min(height - 0.1, rng.uniform(1.3, 2.6))
    frame, shape = steel(rng), Shape()
    drawn = rng.random()
    for x in (-w / 2, w / 2):
        shape.bar((x, 0, 0), (x, 0, h), radius=0.02, paint=frame)
        shape.box((x, 0, 0.02), (0.08, 0.5, 0.04), frame)
    shape.bar((-w / 2, 0, h), (w / 2, 0, h), radius=0.02, paint=frame)
    if drawn < 0.35:
        for k in range(1, int(w / 0.12)):
            shape.bar(
                (-w / 2 + 0.12 * k, 0, 0.1), (-w / 2 + 0.12 * k, 0, h), radius=0.004, paint=frame, sides=4
            )
        for k in range(8):
            shape.bar(
                (-w / 2, 0, 0.1 + k * (h - 0.1) / 8),
                (w / 2, 0, 0.1 + k * (h - 0.1) / 8),
                radius=0.005,
                paint=frame,
                sides=4,
            )
        return shape.piece("fence", look=frame)
    picture = "cloth" if drawn < 0.7 else "panels" if drawn < 0.85 else "fabric"
    paint = covered(rng, picture, 1.5, rgb=(255, 255, 255))
    shape.box((0, 0, 0.5 * h + 0.04), (w, 0.03, h - 0.08), paint)
    return shape.piece("partition", look=paint)


# ---------------------------------------------------------------- furniture


def table(
    rng: Random,
    wide: tuple[float, float] = (0.8, 2.0),
    high: tuple[float, float] = (0.68, 0.78),
    noun: str = "table",
) -> Piece:
    """A random table of a width and height drawn from ranges in metres."""
    w, d, h = rng.uniform(*wide), rng.uniform(0.55, 0.95), rng.uniform(*high)
    top = rng.choice((wooden, wooden, colored, covered_top))(rng)
    leg = rng.choice((steel, dark, wooden))(rng)
    shape, drawn, t = Shape(), rng.random(), rng.uniform(0.018, 0.045)
    if drawn < 0.15:  # round
        r = 0.5 * d + 0.1
        shape.turn([(0, h - t), (r, h - t), (r, h), (0, h)], top, sides=24)
        shape.bar((0, 0, 0), (0, 0, h - t), radius=0.035, paint=leg)
        for k in range(4):
            shape.bar(
                (0, 0, 0.06),
                (0.8 * r * cos(k * pi / 2), 0.8 * r * sin(k * pi / 2), 0.02),
                radius=0.022,
                paint=leg,
                sides=6,
            )
        return shape.place(-0.65 * r, -0.65 * r, 0.65 * r, 0.65 * r, h).piece("table", noun, look=top)
    shape.box((0, 0, h - t / 2), (w, d, t), top)
    x, y, r = w / 2 - 0.06, d / 2 - 0.06, rng.uniform(0.015, 0.04)
    if drawn < 0.6:
        for a in (-x, x):
            for b in (-y, y):
                shape.box((a, b, (h - t) / 2), (2 * r, 2 * r, h - t), leg)
    elif drawn < 0.85:
        for a in (-0.8 * x, 0.8 * x):
            shape.box((a, 0, (h - t) / 2), (0.06, 0.08, h - t), leg)
            shape.box((a, 0, 0.02), (0.06, 0.85 * d, 0.04), leg)
    else:
        for a in (-x, x):
            shape.box((a, 0, (h - t) / 2), (0.03, d - 0.04, h - t), top)
    if drawn > 0.3:
        shape.box((0, y - 0.04, h - 0.2), (2 * x, 0.02, 0.3), top if drawn > 0.7 else leg)
    if noun == "desk" and rng.random() < 0.5:
        front = rng.choice((wooden, colored))(rng)
        for k in range(3):
            shape.box((x - 0.2, 0, 0.12 + 0.2 * k), (0.4, d - 0.1, 0.19), front)
            shape.box((x - 0.2, -d / 2 + 0.03, 0.12 + 0.2 * k), (0.12, 0.03, 0.015), steel(rng))
    return shape.place(-w / 2, -d / 2, w / 2, d / 2, h).piece("table", noun, look=top)


def covered_top(rng: Random) -> Paint:
    """Random table top."""
    return covered(rng, rng.choice(("linoleum", "tiles", "metal", "fabric")), 0.8, rng.uniform(0.0, 0.3))


def desk(rng: Random) -> Piece:
    """A random desk."""
    return table(rng, (1.1, 1.9), (0.7, 0.76), "desk")


def chair(rng: Random) -> Piece:
    """On four legs, a swivel base or a bent tube; of wood, plastic or covered."""
    w, d, seat, high = (
        rng.uniform(0.4, 0.5),
        rng.uniform(0.4, 0.5),
        rng.uniform(0.42, 0.5),
        rng.uniform(0.35, 0.6),
    )
    drawn = rng.random()
    frame = steel(rng) if drawn > 0.35 else wooden(rng)
    cover = rng.choice((cloth, cloth, colored, wooden))(rng) if drawn > 0.2 else frame
    shape, t = Shape(), rng.uniform(0.02, 0.08)
    soft = t > 0.04
    x, y = w / 2 - 0.03, d / 2 - 0.03
    lean = rng.uniform(0.05, 0.25)

    def pad(center: tuple[float, float, float], size: tuple[float, float, float], tilt: float) -> None:
        if soft:
            shape.ball(center, tuple(0.5 * s for s in size), cover, square=0.35, tilt=tilt)
        else:
            shape.box(center, size, cover, tilt=tilt)

    pad((0, 0, seat - t / 2), (w, d, t), 0.0)
    if drawn < 0.6:
        r = rng.uniform(0.011, 0.022)
        for a in (-x, x):
            shape.bar((a, -y, seat - t), (1.08 * a, -1.08 * y, 0), radius=r, paint=frame, sides=6)
            shape.bar((a, y, seat - t), (1.08 * a, 1.12 * y, 0), radius=r, paint=frame, sides=6)
            shape.bar((a, y, seat - t), (a, y + lean * high, seat + high), radius=r, paint=frame, sides=6)
    elif drawn < 0.85:  # an office chair
        shape.bar((0, 0, 0.1), (0, 0, seat - t), radius=0.03, paint=frame)
        for k in range(5):
            a = 2 * pi * (k + rng.random() * 0.1) / 5
            shape.bar(
                (0, 0, 0.11), (0.29 * cos(a), 0.29 * sin(a), 0.07), radius=0.022, paint=dark(rng), sides=6
            )
            shape.ball((0.29 * cos(a), 0.29 * sin(a), 0.03), 0.03, dark(rng), fine=8)
        shape.bar(
            (0, y - 0.05, seat - t),
            (0, y + 0.06, seat),
            (0, y + lean * high, seat + 0.6 * high),
            radius=0.025,
            paint=dark(rng),
        )
        if rng.random() < 0.6:
            for a in (-w / 2 - 0.03, w / 2 + 0.03):
                shape.bar(
                    (0.7 * a, 0.05, seat - t),
                    (a, 0.05, seat),
                    (a, 0.05, seat + 0.2),
                    radius=0.018,
                    paint=dark(rng),
                    sides=6,
                )
                shape.box((a, 0, seat + 0.21), (0.06, 0.26, 0.03), dark(rng))
    else:  # a bent tube
        for a in (-x, x):
            points = (
                (a, y + lean * high, seat + high),
                (a, y, seat),
                (a, -y, seat - 0.01),
                (a, -y - 0.02, seat - 0.05),
                (a, -y, 0.015),
                (a, y, 0.015),
            )
            shape.bar(*points, radius=0.012, paint=frame, sides=6)
        shape.bar((-x, y, 0.015), (x, y, 0.015), radius=0.012, paint=frame, sides=6)
    if rng.random() < 0.25 and not soft:  # rungs
        for k in range(rng.randint(2, 5)):
            z = 0.35 + 0.6 * k / 4
            shape.box((0, y + lean * high * z, seat + high * z), (w - 0.04, 0.018, 0.05), cover, tilt=-lean)
    else:
        back = rng.uniform(0.45, 0.9) * high
        pad(
            (0, y + lean * (high - back / 2), seat + high - back / 2),
            (w - 0.02, max(0.02, 0.8 * t), back),
            -lean,
        )
    return shape.place(-w / 2, -d / 2, w / 2, d / 2 - 0.06, seat, 0.3).piece("chair", look=cover)


def sofa(rng: Random) -> Piece:
    """A random sofa."""
    seats = rng.choice((1, 2, 2, 3))
    w, d, seat, high = (
        0.3 + 0.62 * seats,
        rng.uniform(0.75, 1.0),
        rng.uniform(0.36, 0.46),
        rng.uniform(0.7, 0.95),
    )
    cover = cloth(rng) if rng.random() < 0.75 else covered(rng, "fabric", 3.0, 0.25)
    leg, arm, square = rng.choice((dark, steel, wooden))(rng), rng.uniform(0.1, 0.2), rng.uniform(0.15, 0.45)
    shape = Shape()
    inner = w - 2 * arm
    shape.box((0, 0, 0.5 * seat), (w - 0.04, d - 0.06, seat - 0.16), cover)
    for side in (-1, 1):
        shape.ball(
            (side * (w - arm) / 2, 0, 0.5 * seat + 0.14), (arm / 2, d / 2, 0.5 * seat + 0.06), cover, square
        )
    shape.ball((0, d / 2 - 0.1, 0.5 * (high + 0.1)), (w / 2, 0.1, 0.5 * (high - 0.1)), cover, square)
    for k in range(seats):
        x = -inner / 2 + inner * (k + 0.5) / seats
        shape.ball((x, -0.06, seat), (inner / seats / 2, d / 2 - 0.1, 0.085), cover, square)
        shape.ball(
            (x, d / 2 - 0.25, 0.5 * (seat + high)),
            (inner / seats / 2, 0.09, 0.5 * (high - seat)),
            cover,
            square,
            tilt=-0.15,
        )
        if rng.random() < 0.3:
            shape.ball(
                (x + rng.uniform(-0.1, 0.1), d / 2 - 0.38, seat + 0.25),
                (0.22, 0.07, 0.2),
                cloth(rng),
                0.5,
                tilt=-0.4,
            )
    for x in (-w / 2 + 0.08, w / 2 - 0.08):
        for y in (-d / 2 + 0.08, d / 2 - 0.08):
            shape.bar((x, y, 0), (x, y, 0.12), radius=0.02, paint=leg, sides=6)
    shape.place(-inner / 2, -d / 2 + 0.05, inner / 2, d / 2 - 0.35, seat + 0.085, 0.4)
    return shape.piece("sofa", "sofa" if seats > 1 else "armchair", look=cover, material="fabric")


def cupboard(rng: Random, tall: bool | None = None) -> Piece:
    """Doors and drawers with handles."""
    tall = rng.random() < 0.5 if tall is None else tall
    w, d, h = (
        rng.uniform(0.6, 1.6),
        rng.uniform(0.35, 0.6),
        rng.uniform(1.5, 2.2) if tall else rng.uniform(0.6, 1.2),
    )
    body = rng.choice((wooden, wooden, colored, lambda r: covered(r, "metal", 1.5, 0.15)))(rng)
    front = body if rng.random() < 0.7 else colored(rng, "white", "gray", "blue", "red")
    handle = rng.choice((steel, dark))(rng)
    columns, rows = rng.randint(1, 3), rng.randint(1, 2) if tall else rng.randint(1, 4)
    shape = Shape().box((0, 0, h / 2), (w, d, h), body)
    for i in range(columns):
        for k in range(rows):
            cw, ch = w / columns, (h - 0.1) / rows
            x, z = -w / 2 + (i + 0.5) * cw, 0.08 + (k + 0.5) * ch
            shape.box((x, -d / 2 - 0.008, z), (cw - 0.012, 0.016, ch - 0.012), front)
            if ch > 0.5:
                shape.box((x + (0.4 if i % 2 else -0.4) * cw, -d / 2 - 0.03, z), (0.015, 0.03, 0.12), handle)
            else:
                shape.box((x, -d / 2 - 0.03, z + 0.2 * ch), (0.12, 0.03, 0.015), handle)
    return shape.place(-w / 2, -d / 2, w / 2, d / 2, h).piece("shelf", "cabinet", look=front)


def plant(rng: Random) -> Piece:
    """A pot with leaves on stems."""
    r, h = rng.uniform(0.07, 0.22), rng.uniform(0.3, 1.9)
    pot = rng.choice((colored, covered_pot))(rng)
    ph = rng.uniform(1.2, 2.0) * r
    shape = Shape().turn(
        [(0, 0), (0.7 * r, 0), (r, ph), (0.9 * r, ph), (0.85 * r, 0.9 * ph), (0, 0.9 * ph)], pot
    )
    hue = rng.random()
    rgb = (int(40 + 60 * hue), int(80 + 70 * rng.random()), int(30 + 30 * rng.random()))
    greens = [
        Paint(materials.scaled(rgb, rng.uniform(0.6, 1.25)), gloss=rng.uniform(0, 0.2)) for _ in range(4)
    ]
    stem = Paint((90, 75, 45))
    count, narrow, bow = rng.randint(14, 60), rng.uniform(0.06, 0.5), rng.uniform(-0.2, 1.2)
    trunk = rng.random() < 0.5
    if trunk:
        shape.bar(
            (0, 0, 0.8 * ph),
            (rng.gauss(0, 0.03), rng.gauss(0, 0.03), 0.6 * h),
            (rng.gauss(0, 0.06), rng.gauss(0, 0.06), h),
            radius=0.015,
            paint=stem,
            sides=6,
        )
    for leaf in range(count):
        a, rise = rng.uniform(0, 2 * pi), rng.uniform(0.1, 1.4)
        length = rng.uniform(0.12, 0.45) * (0.5 + 0.6 * h) * (0.7 if trunk else 1.0)
        z = ph + (h - ph) * rng.uniform(0.25, 1.0) if trunk else 0.9 * ph + rng.uniform(0, 0.25) * h
        out, points = 0.02 if trunk else rng.uniform(0, 0.6 * r), []
        for _ in range(4):
            points.append((out * cos(a), out * sin(a), z))
            out += length / 3 * cos(rise)
            z += length / 3 * sin(rise)
            rise -= bow * 0.7
        line = np.array(points)
        side = np.array((-sin(a), cos(a), 0.0)) * narrow * length * 0.5
        widths = np.array((0.25, 1.0, 0.8, 0.0))[:, None]
        net = np.stack([line - side * widths, line + side * widths], 1)
        net[:, :, 2] = np.maximum(net[:, :, 2], 0.02)
        shape.grid(net, greens[leaf % 4])
    return shape.piece("plant", look=greens[0])


def covered_pot(rng: Random) -> Paint:
    """Random pot."""
    return covered(rng, rng.choice(("tiles", "concrete", "wood")), 0.5)


# ---------------------------------------------------------------- people


def person(rng: Random, sitting: bool = False) -> Piece:
    """A clothed body of rounded parts; standing, walking or, facing -y, sitting on something 0.45 m high."""
    tall = rng.uniform(1.5, 1.92)
    s = tall / 1.75
    skin = Paint(
        materials.near(rng, rng.choice(((235, 190, 160), (210, 160, 125), (150, 100, 70), (95, 62, 45))))
    )
    shirt, trousers = (
        cloth(rng, 0.5),
        cloth(rng, 1.5) if rng.random() < 0.6 else colored(rng, "blue", "black", "gray", "brown", gloss=0.0),
    )
    hair = Paint(rng.choice(((25, 20, 18), (70, 45, 30), (150, 110, 60), (120, 120, 118), (40, 30, 25))))
    shoe = rng.choice((dark, colored))(rng)
    wide, stride = rng.uniform(0.9, 1.25) * s, rng.uniform(-0.25, 0.25) * s * (rng.random() < 0.6)
    shape = Shape()
    hip = (0.52 if sitting else 0.93) * s
    for side in (-1, 1):
        x = side * 0.09 * wide
        step = side * stride
        if sitting:
            knee, foot = (1.3 * x, -0.42 * s, hip - 0.02), (1.3 * x, -0.45 * s + 0.5 * step, 0.06)
        else:
            knee, foot = (1.1 * x, 0.55 * step - 0.03, 0.5 * hip), (1.15 * x, step, 0.06)
        shape.bar((x, 0, hip), knee, foot, radius=0.085 * wide, end=0.055 * wide, paint=trousers, sides=10)
        shape.ball((foot[0], foot[1] - 0.06 * s, 0.04), (0.05 * s, 0.13 * s, 0.045), shoe, 0.8)
        shoulder = (side * 0.19 * wide, 0.0, hip + 0.47 * s)
        swing = rng.uniform(-0.3, 0.3) if not sitting else -rng.uniform(0.1, 0.35)
        if rng.random() < 0.25:
            elbow, hand = (
                (side * 0.26 * wide, -0.1, hip + 0.2 * s),
                (side * 0.12 * wide, -0.32 * s, hip + rng.uniform(0.1, 0.5) * s),
            )
        else:
            elbow = (side * 0.25 * wide, 0.3 * swing * s, hip + 0.19 * s)
            hand = (side * 0.24 * wide, 0.9 * swing * s - 0.05, hip - 0.05 * s + 0.3 * abs(swing) * s)
        bare = rng.random() < 0.3
        shape.bar(shoulder, elbow, radius=0.055 * wide, end=0.045 * wide, paint=shirt, sides=8)
        shape.bar(elbow, hand, radius=0.042 * wide, end=0.03 * s, paint=skin if bare else shirt, sides=8)
        shape.ball(hand, (0.035 * s, 0.04 * s, 0.06 * s), skin, fine=8)
    shape.ball((0, 0.0, hip + 0.02), (0.17 * wide, 0.115 * wide, 0.13 * s), trousers, 0.8)
    shape.ball((0, 0.0, hip + 0.27 * s), (0.19 * wide, 0.115 * wide, 0.3 * s), shirt, 0.7)
    shape.bar((0, 0, hip + 0.5 * s), (0, -0.01, hip + 0.64 * s), radius=0.055 * s, paint=skin)
    head = hip + 0.71 * s
    shape.ball((0, -0.02, head), (0.075 * s, 0.09 * s, 0.115 * s), skin)
    shape.ball((0, 0.01, head + 0.03 * s), (0.085 * s, 0.095 * s, 0.105 * s), hair)
    if rng.random() < 0.35:
        shape.ball((0, 0.05, head - 0.06 * s), (0.09 * s, 0.06 * s, 0.16 * s), hair)
    if rng.random() < 0.2:
        shape.ball((0, 0.16 * wide, hip + 0.3 * s), (0.15 * s, 0.1 * s, 0.2 * s), cloth(rng), 0.6)
    return shape.piece("person", look=shirt)


# ---------------------------------------------------------------- small things


def cup(rng: Random) -> Piece:
    """A random cup or mug."""
    r, h = rng.uniform(0.03, 0.05), rng.uniform(0.07, 0.13)
    paint = (
        once(rng, "printed")
        if rng.random() < 0.2
        else colored(rng, "white", "white", "white", "blue", "red", "black", "yellow", "green", "gray")
    )
    low = rng.uniform(0.6, 1.0)
    shape = Shape().turn(
        [(0, 0), (low * r, 0), (r, h), (0.92 * r, h), (0.9 * low * r, 0.15 * h), (0, 0.15 * h)],
        paint,
        sides=18,
    )
    if rng.random() < 0.6:
        shape.turn([(0.88 * r, 0.75 * h), (0, 0.75 * h)], Paint((50, 30, 18)), sides=14)
        shape.bar(
            (0.95 * r, 0, 0.8 * h),
            (1.6 * r, 0, 0.7 * h),
            (1.6 * r, 0, 0.35 * h),
            (0.85 * r, 0, 0.25 * h),
            radius=0.006,
            paint=paint,
            sides=6,
        )
    return shape.piece("cup", look=paint, material="ceramic")


def bottle(rng: Random) -> Piece:
    """A random bottle."""
    r, h = rng.uniform(0.03, 0.045), rng.uniform(0.18, 0.33)
    paint = colored(rng, "green", "brown", "white", "blue", "black", gloss=0.4)
    shape = Shape().turn([(0, 0), (r, 0), (r, 0.62 * h), (0.35 * r, 0.82 * h), (0.35 * r, h), (0, h)], paint)
    shape.turn([(r + 0.001, 0.2 * h), (r + 0.001, 0.5 * h)], once(rng, "printed"))
    shape.turn([(0.4 * r, 0.93 * h), (0.4 * r, h + 0.002), (0, h + 0.002)], colored(rng))
    return shape.piece("bottle", look=paint)


def books(rng: Random) -> Piece:
    """A pile of books or papers."""
    shape, z = Shape(), 0.0
    for _ in range(rng.randint(1, 6)):
        w, d, t = rng.uniform(0.14, 0.24), rng.uniform(0.2, 0.32), rng.uniform(0.004, 0.05)
        cover, page = once(rng, "printed"), Paint((225, 222, 210))
        shape.box(
            (rng.gauss(0, 0.008), rng.gauss(0, 0.008), z + t / 2),
            (w, d, t),
            page,
            yaw=rng.gauss(0, 0.15),
            top=cover,
            left=cover,
        )
        z += t
    return shape.piece("books")


def paper(rng: Random) -> Piece:
    """A random paper."""
    return Shape().box((0, 0, 0.001), (0.21, 0.297, 0.002), once(rng, "printed")).piece("paper")


def monitor(rng: Random) -> Piece:
    """A random monitor."""
    w, h = rng.choice(((0.48, 0.28), (0.53, 0.31), (0.61, 0.36), (0.38, 0.3), (0.8, 0.35)))
    low, case = rng.uniform(0.08, 0.2), dark(rng) if rng.random() < 0.8 else colored(rng, "gray", "white")
    shape = Shape().box((0, 0, low + h / 2), (w + 0.02, 0.03, h + 0.03), case)
    shape.quad(
        (-w / 2, -0.0155, low), (w, 0, 0), (0, 0, h), once(rng, "screen", glow=rng.choice((0.0, 0.15, 0.3)))
    )
    shape.box((0, 0.05, 0.5 * low + 0.1), (0.05, 0.03, low + 0.2), case)
    shape.box((0, 0.03, 0.008), (0.24, 0.18, 0.016), case)
    return shape.piece("monitor", look=case)


def keyboard(rng: Random) -> Piece:
    """A random keyboard."""
    base = dark(rng) if rng.random() < 0.7 else colored(rng, "white", "gray")
    w = rng.uniform(0.3, 0.45)
    shape = Shape().box((0, 0, 0.01), (w, 0.14, 0.02), base)
    key = Paint(tuple(min(255, c + 25) for c in base.rgb))  # type: ignore[arg-type]
    for k in range(5):
        shape.box((0, -0.05 + 0.026 * k, 0.022), (w - 0.02, 0.02, 0.006), key)
    if rng.random() < 0.7:
        shape.ball((w / 2 + 0.08, 0, 0.015), (0.03, 0.05, 0.016), base)
    return shape.piece("keyboard", look=base)


def computer(rng: Random) -> Piece:
    """A random computer."""
    w, d, h = rng.uniform(0.16, 0.22), rng.uniform(0.35, 0.48), rng.uniform(0.34, 0.48)
    case = dark(rng) if rng.random() < 0.7 else colored(rng, "gray", "white")
    shape = Shape().box((0, 0, h / 2), (w, d, h), case)
    for k in range(rng.randint(1, 4)):
        shape.box((0, -d / 2 - 0.002, h * (0.9 - 0.12 * k)), (0.8 * w, 0.004, 0.03), steel(rng))
    return shape.piece("computer", look=case)


def bag(rng: Random) -> Piece:
    """A rucksack or bag on the floor."""
    w, d, h = rng.uniform(0.25, 0.5), rng.uniform(0.15, 0.3), rng.uniform(0.25, 0.5)
    paint = cloth(rng) if rng.random() < 0.6 else dark(rng)
    shape = Shape().ball((0, 0, h / 2), (w / 2, d / 2, h / 2), paint, 0.55)
    shape.ball((0, -d / 2, 0.35 * h), (0.4 * w, 0.06, 0.25 * h), paint, 0.5)
    for x in (-0.2 * w, 0.2 * w):
        shape.bar(
            (x, 0.3 * d, 0.9 * h),
            (1.3 * x, 0.7 * d, 0.6 * h),
            (x, 0.4 * d, 0.15 * h),
            radius=0.014,
            paint=dark(rng),
            sides=6,
        )
    return shape.piece("bag", look=paint, material="fabric")


# ---------------------------------------------------------------- on walls and in them


def mirror(rng: Random) -> Piece:
    """Reflecting glass, framed or not."""
    w, h = rng.uniform(0.4, 1.4), rng.uniform(0.6, 2.0)
    frame, t = rng.choice((wooden, steel, dark))(rng), rng.uniform(0.004, 0.06)
    shape = Shape().box((0, 0, h / 2), (w + 2 * t, 0.03, h + 2 * t), frame)
    shape.quad((-w / 2, -0.017, 0), (w, 0, 0), (0, 0, h), Paint((200, 205, 205), gloss=MIRROR_GLOSS))
    return shape.piece("mirror", look=frame)


def pane(rng: Random, height: float) -> Piece:
    """A sheet of glass in a frame, or a glazed partition with posts."""
    w, h = rng.uniform(0.8, 2.4), min(height, rng.uniform(1.6, 2.6))
    frame = rng.choice((steel, dark))(rng)
    glass = Paint(
        rng.choice(((215, 232, 228), (205, 222, 232), (230, 232, 230))),
        gloss=0.5,
        sharpness=120,
        alpha=rng.uniform(0.1, 0.3),
    )
    shape = Shape().box(
        (0, 0, h / 2), (w, 0.012, h), glass, top=None, bottom=None, back=None, left=None, right=None
    )
    for x in (-w / 2, w / 2):
        shape.box((x, 0, h / 2), (0.04, 0.05, h), frame)
    for z in (0.03, h - 0.02):
        shape.box((0, 0, z), (w, 0.05, 0.05), frame)
    if rng.random() < 0.4:
        shape.box((0, 0, 1.0), (w, 0.014, 0.1), Paint((235, 235, 235), alpha=0.75))
    return shape.piece("glass", "glass panel", look=glass, material="glass")


def door(rng: Random) -> Piece:
    """A leaf or two in a frame with handles, 0.12 m thick; maybe with a window, a sign or a kick plate."""
    leaves = rng.choice((1, 1, 1, 2))
    w, h = leaves * rng.uniform(0.78, 1.0), rng.uniform(1.96, 2.2)
    leaf = rng.choice((wooden, colored_leaf, colored_leaf, lambda r: covered(r, "metal", 2.0, 0.1)))(rng)
    frame = leaf if rng.random() < 0.3 else rng.choice((steel, colored_leaf, wooden))(rng)
    handle, t = rng.choice((steel, dark))(rng), 0.06
    shape = Shape().box((0, 0.03, h / 2), (w, 0.05, h), leaf)
    for x in (-w / 2 - t / 2, w / 2 + t / 2):
        shape.box((x, 0, (h + t) / 2), (t, 0.14, h + t), frame)
    shape.box((0, 0, h + t / 2), (w, 0.14, t), frame)
    for k in range(leaves):
        at = -w / 2 + (k + 0.5) * w / leaves
        side = (1 if k == 0 else -1) if leaves == 2 else rng.choice((-1, 1))
        x = at + side * (0.5 * w / leaves - 0.08)
        shape.box((x, -0.005, 1.04), (0.04, 0.012, 0.2), handle)
        shape.bar(
            (x, 0.0, 1.06),
            (x, -0.06, 1.06),
            (x - side * 0.12, -0.06, 1.06),
            radius=0.01,
            paint=handle,
            sides=6,
        )
        if leaves == 2:
            shape.box((at + 0.25 * w * side, -0.0, h / 2), (0.012, 0.012, h), dark(rng))
        drawn = rng.random()
        if drawn < 0.25:
            shape.box(
                (at, 0.001, 1.45),
                (0.4 * w / leaves, 0.01, rng.uniform(0.3, 0.9)),
                Paint((120, 135, 140), gloss=0.6, sharpness=100),
            )
        elif drawn < 0.5:
            for z, hh in ((0.5, 0.7), (1.45, 0.8)):
                shape.box((at, 0.004, z), (0.6 * w / leaves, 0.012, hh), leaf)
        if rng.random() < 0.25:
            shape.box((at, 0.0, rng.uniform(1.4, 1.7)), (0.2, 0.006, 0.15), once(rng, "printed"))
    return shape.piece("door", look=leaf)


def colored_leaf(rng: Random) -> Paint:
    """Random leaf colour."""
    rgb = rng.choice(
        (
            (225, 225, 220),
            (200, 195, 185),
            (120, 130, 140),
            (60, 80, 110),
            (110, 45, 40),
            (70, 95, 80),
            (150, 120, 90),
            (90, 92, 95),
        )
    )
    return Paint(materials.near(rng, rgb), gloss=rng.uniform(0.0, 0.2))


def poster(rng: Random) -> Piece:
    """A picture, notice or painting, framed or not."""
    w = rng.uniform(0.2, 1.1)
    h = w * rng.uniform(0.65, 1.45)
    shape = Shape().box((0, 0, h / 2), (w, 0.012, h), once(rng, "printed"))
    if rng.random() < 0.4:
        frame, t = rng.choice((dark, wooden, steel))(rng), rng.uniform(0.015, 0.05)
        for x in (-w / 2, w / 2):
            shape.box((x, -0.005, h / 2), (t, 0.025, h + t), frame)
        for z in (0.0, h):
            shape.box((0, -0.005, z), (w, 0.025, t), frame)
    return shape.piece("picture")


def whiteboard(rng: Random) -> Piece:
    """A random whiteboard."""
    w, h = rng.uniform(1.0, 3.2), rng.uniform(0.8, 1.3)
    frame = steel(rng)
    shape = Shape().box((0, 0, h / 2), (w, 0.02, h), once(rng, "board"))
    for x in (-w / 2, w / 2):
        shape.box((x, -0.002, h / 2), (0.025, 0.03, h + 0.025), frame)
    for z in (0.0, h):
        shape.box((0, -0.002, z), (w, 0.03, 0.025), frame)
    shape.box((0, -0.03, -0.02), (0.6 * w, 0.07, 0.015), frame)
    return shape.piece("whiteboard")


def radiator(rng: Random) -> Piece:
    """A random radiator."""
    w, h, d = rng.uniform(0.6, 2.0), rng.uniform(0.3, 0.9), rng.uniform(0.06, 0.14)
    paint = colored(rng, "white", "white", "gray")
    shape, n = Shape(), int(w / 0.07)
    if rng.random() < 0.5:
        for k in range(n):
            shape.box((-w / 2 + (k + 0.5) * w / n, 0, 0.12 + h / 2), (0.045, d, h), paint)
    else:
        shape.box((0, 0, 0.12 + h / 2), (w, d, h), paint)
        for k in range(n):
            shape.box((-w / 2 + (k + 0.5) * w / n, -d / 2, 0.12 + h / 2), (0.03, 0.015, 0.94 * h), paint)
    shape.bar((-w / 2, 0, 0.0), (-w / 2, 0, 0.2), radius=0.012, paint=paint)
    return shape.piece("radiator", look=paint)


def curtain(rng: Random, height: float) -> Piece:
    """A hanging cloth with folds."""
    w, h, n = rng.uniform(0.4, 1.6), min(height - 0.1, rng.uniform(1.4, 2.6)), 60
    paint = covered(rng, "fabric", 1.2) if rng.random() < 0.6 else covered(rng, "cloth", 2.0)
    folds, deep, turn = w * rng.uniform(5, 11), rng.uniform(0.02, 0.05), rng.random()
    x = np.linspace(-w / 2, w / 2, n)
    y = deep * np.sin(2 * pi * (folds * x / w + turn)) + 0.3 * deep * np.sin(2 * pi * (1.7 * folds * x / w))
    net = np.stack(
        [np.stack([x * f, y, np.full(n, z)], -1) for z, f in ((0.0, 1.0), (0.5 * h, 0.97), (h, 0.94))]
    )
    return Shape().grid(net, paint).piece("curtain", look=paint, material="fabric")


def socket(rng: Random) -> Piece:
    """A random socket."""
    n = rng.choice((1, 1, 2, 3, 8))
    paint = Paint((225, 225, 220)) if rng.random() < 0.8 else dark(rng)
    shape = Shape().box((0, 0, 0.04), (0.08 * n, 0.014, 0.08), paint)
    for k in range(n):
        shape.box((0.08 * (k - (n - 1) / 2), -0.0075, 0.04), (0.045, 0.003, 0.045), Paint((150, 150, 146)))
    return shape.piece("socket")


def window(rng: Random, w: float, h: float) -> Piece:
    """A glazed opening with bars, sometimes behind slats or a blind that is half down."""
    frame = rng.choice((steel, dark, colored_leaf, colored_leaf))(rng)
    glass = Paint((225, 235, 235), gloss=0.4, sharpness=100, alpha=rng.uniform(0.05, 0.2))
    columns, rows, t = (
        max(1, round(w / rng.uniform(0.6, 1.4))),
        rng.choice((1, 1, 2, 3)) if h > 1 else 1,
        rng.uniform(0.03, 0.06),
    )
    shape = Shape().quad((-w / 2, 0.03, 0), (w, 0, 0), (0, 0, h), glass)
    for k in range(columns + 1):
        shape.box((-w / 2 + t / 2 + k * (w - t) / columns, 0.02, h / 2), (t, 0.06, h), frame)
    for k in range(rows + 1):
        shape.box((0, 0.02, t / 2 + k * (h - t) / rows), (w, 0.055, t), frame)
    drawn = rng.random()
    if drawn < 0.2:  # slats
        low, paint = rng.uniform(0.0, 0.8) * h, colored_leaf(rng)
        n = int((h - low) / 0.06)
        for k in range(n):
            shape.box((0, -0.05, h - 0.06 * k), (w, 0.045, 0.003), paint, tilt=rng.gauss(0.5, 0.02))
    elif drawn < 0.35:
        low = rng.uniform(0.2, 0.9) * h
        shape.box(
            (0, -0.03, 0.5 * (low + h)),
            (w, 0.004, h - low),
            Paint((225, 220, 205), glow=rng.uniform(0.0, 0.25)),
        )
    if rng.random() < 0.5:
        shape.box((0, -0.08, -0.015), (w + 0.08, 0.16, 0.03), colored_leaf(rng))
    return shape.piece("window", look=frame)
