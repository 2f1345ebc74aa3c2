# SPDX-License-Identifier: Apache-2.0
"""The objects: each function builds one from solids, in sizes that such things really have (metres).

Frame of a thing: x to its right, y to its back, z up, origin on the floor under its middle; it looks along
-y.
"""

from math import cos, pi, sin
from random import Random

from vision_banana_ros.scenes import kernel, materials
from vision_banana_ros.scenes.materials import BRIGHT, COLORS, Look
from vision_banana_ros.scenes.solids import Thing

COMMON = (*BRIGHT, "brown", "gray", "black")


def box(rng: Random, largest: float = 0.9) -> Thing:
    """Cartons, crates and painted cases."""
    size = rng.uniform(0.18, largest)
    w, d, h = (size * rng.uniform(0.6, 1.0) for _ in range(3))
    drawn = rng.random()
    if drawn < 0.4:
        look = materials.carton(rng)
    elif drawn < 0.85:
        look = materials.plastic(rng, rng.choice(BRIGHT))
    else:
        look = materials.wood(rng)
    thing = Thing("box", "box", look=look, top=(0.5 * w, 0.5 * d, h))
    if look.material == "wood":
        thing.name = "crate"
        thing.box((0, 0, 0.5 * h), (w - 0.03, d - 0.03, h - 0.01), look)
        for x in (-1.0, 1.0):
            for y in (-1.0, 1.0):
                thing.box((x * (0.5 * w - 0.02), y * (0.5 * d - 0.02), 0.5 * h), (0.04, 0.04, h), look)
        return thing
    return thing.box((0, 0, 0.5 * h), (w, d, h), look)


def ball(rng: Random) -> Thing:
    """From tennis ball to beach ball; a football has 0.11 m radius."""
    radius = rng.choice([0.035, 0.11, 0.12, 0.16, 0.22, 0.3]) * rng.uniform(0.95, 1.05)
    color = rng.choice(BRIGHT)
    look = materials.plastic(rng, color)
    if rng.random() < 0.3:
        look = Look(
            "plastic",
            color,
            look.rgb,
            materials.near(rng, COLORS["white"]),
            kernel.SECTORS,
            aspect=3.0,
            gloss=0.2,
        )
    thing = Thing("ball", "ball", look=look)
    return thing.ball((0, 0, radius), radius, look, yaw=rng.uniform(0, 6), tilt=rng.uniform(-1, 1))


def barrel(rng: Random) -> Thing:
    """A 200-litre drum or a smaller keg."""
    size = rng.choice([1.0, 1.0, 0.75])
    r, h = 0.29 * size * rng.uniform(0.95, 1.05), 0.88 * size * rng.uniform(0.95, 1.05)
    look = materials.painted(
        rng, rng.choice(("red", "orange", "yellow", "green", "blue", "gray", "black", "white"))
    )
    rim = Look(look.material, look.color, materials.scaled(look.rgb, 0.8), look.rgb, gloss=look.gloss)
    thing = Thing("barrel", "barrel", look=look, top=(0.6 * r, 0.6 * r, h))
    thing.tube((0, 0, 0), (0, 0, h - 0.015), r, look)
    for z in (0.015, 0.33 * h, 0.66 * h, h - 0.015):
        thing.tube((0, 0, z - 0.014), (0, 0, z + 0.014), r + 0.012, rim)
    return thing


def cone(rng: Random) -> Thing:
    """A traffic cone with a white band."""
    h = rng.choice([0.5, 0.75, 0.9]) * rng.uniform(0.9, 1.05)
    r = 0.19 * h
    look = materials.plastic(rng, rng.choice(("orange", "orange", "red", "yellow", "blue")))
    band = materials.plastic(rng, "white")
    thing = Thing("cone", "cone", look=look)
    thing.box((0, 0, 0.015), (2.6 * r, 2.6 * r, 0.03), look)

    def radius(z: float) -> float:
        return r + (0.16 * r - r) * z / h

    for low, high, paint in ((0.03, 0.45 * h, look), (0.45 * h, 0.7 * h, band), (0.7 * h, h, look)):
        thing.tube((0, 0, low), (0, 0, high), radius(low), paint, radius(high))
    return thing


def chair(rng: Random) -> Thing:
    """A dining chair, an office chair or a stool."""
    w = rng.uniform(0.4, 0.52)
    d = w * rng.uniform(0.95, 1.05)
    seat = rng.uniform(0.43, 0.5)
    color = rng.choice(COMMON)
    cover = (
        materials.wood(rng)
        if color == "brown"
        else rng.choice((materials.plastic, materials.fabric))(rng, color)
    )
    style = rng.random()
    thing = Thing("chair", "chair", look=cover)
    if style < 0.25:
        thing.name = "stool"
        seat = rng.uniform(0.45, 0.75)
        legs = rng.choice((materials.metal(rng), materials.wood(rng)))
        thing.tube((0, 0, seat - 0.05), (0, 0, seat), 0.17, cover)
        for k in range(4):
            x, y = cos(pi / 4 + k * pi / 2), sin(pi / 4 + k * pi / 2)
            thing.tube((0.2 * x, 0.2 * y, 0), (0.13 * x, 0.13 * y, seat - 0.05), 0.016, legs)
        return thing
    back = rng.uniform(0.36, 0.5)
    if style < 0.5:
        thing.name = "office chair"
        dark = materials.painted(rng, "black")
        for k in range(5):
            x, y = cos(k * 0.4 * pi), sin(k * 0.4 * pi)
            thing.tube((0, 0, 0.11), (0.28 * x, 0.28 * y, 0.075), 0.02, dark)
            thing.ball((0.28 * x, 0.28 * y, 0.03), 0.03, dark)
        thing.tube((0, 0, 0.1), (0, 0, seat - 0.05), 0.025, dark)
        thing.box((0, 0, seat - 0.035), (w, d, 0.07), cover)
        thing.box((0, 0.5 * d, seat + 0.15), (0.06, 0.02, 0.4), dark)
        thing.box((0, 0.5 * d - 0.03, seat + 0.15 + 0.5 * back), (0.92 * w, 0.06, back), cover, tilt=-0.1)
        return thing
    legs = (
        cover
        if rng.random() < 0.5
        else rng.choice((materials.metal(rng), materials.wood(rng), materials.painted(rng, "black")))
    )
    leg = rng.uniform(0.015, 0.024)
    for x in (-1.0, 1.0):
        for y in (-1.0, 1.0):
            px, py = x * (0.5 * w - leg), y * (0.5 * d - leg)
            thing.box((px, py, 0.5 * seat), (2 * leg, 2 * leg, seat), legs)
        thing.box((x * (0.5 * w - leg), 0.5 * d - leg, seat + 0.5 * back), (2 * leg, 1.6 * leg, back), legs)
    thing.box((0, 0, seat + 0.015), (w, d, 0.03), cover)
    if rng.random() < 0.5:
        thing.box((0, 0.5 * d - leg, seat + 0.65 * back), (w, 0.022, 0.6 * back), cover)
    else:
        for z in (0.35, 0.62, 0.9):
            thing.box((0, 0.5 * d - leg, seat + z * back), (w, 0.02, 0.07), cover)
    return thing


def table(rng: Random) -> Thing:
    """A dining table, a desk, a side table, a round table or a workbench."""
    style = rng.choice(("table", "table", "desk", "side table", "round table"))
    color = rng.choice(("brown", "brown", "brown", "white", "gray", "black"))
    look = materials.wood(rng) if color == "brown" else materials.painted(rng, color, "plastic")
    h = rng.uniform(0.71, 0.78)
    thing = Thing("table", style, look=look)
    if style == "round table":
        r = rng.uniform(0.35, 0.65)
        thing.tube((0, 0, h - 0.03), (0, 0, h), r, look)
        base = rng.choice((look, materials.metal(rng)))
        thing.tube((0, 0, 0.03), (0, 0, h - 0.03), 0.045, base)
        thing.tube((0, 0, 0), (0, 0, 0.03), 0.55 * r, base)
        thing.top = (0.65 * r, 0.65 * r, h)
        return thing
    w, d = rng.uniform(1.1, 2.0), rng.uniform(0.65, 0.95)
    if style == "side table":
        w, d, h = rng.uniform(0.45, 1.1), rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.55)
    top = rng.uniform(0.025, 0.045)
    thing.box((0, 0, h - 0.5 * top), (w, d, top), look)
    leg = rng.uniform(0.02, 0.04)
    legs = look if rng.random() < 0.6 else rng.choice((materials.metal(rng), materials.painted(rng, "black")))
    if style == "desk":
        thing.box((-0.5 * w + 0.22, 0, 0.5 * (h - top)), (0.4, d - 0.06, h - top), look)
        for z in (0.2, 0.5, 0.8):
            thing.tube(
                (-0.5 * w + 0.16, -0.5 * d + 0.02, z * h),
                (-0.5 * w + 0.28, -0.5 * d + 0.02, z * h),
                0.008,
                legs,
            )
        sides: tuple[float, ...] = (1.0,)
    else:
        sides = (-1.0, 1.0)
        for y in (-1.0, 1.0):
            thing.box((0, y * (0.5 * d - leg - 0.02), h - top - 0.04), (w - 4 * leg, 0.02, 0.08), legs)
    for x in sides:
        for y in (-1.0, 1.0):
            thing.box(
                (x * (0.5 * w - leg - 0.02), y * (0.5 * d - leg - 0.02), 0.5 * (h - top)),
                (2 * leg, 2 * leg, h - top),
                legs,
            )
    thing.top = (0.5 * w - 0.05, 0.5 * d - 0.05, h)
    return thing


def sofa(rng: Random) -> Thing:
    """An armchair or a sofa for two or three."""
    seats = rng.choice((1, 2, 2, 3))
    arm, d = rng.uniform(0.12, 0.22), rng.uniform(0.78, 0.95)
    w = seats * rng.uniform(0.56, 0.66) + 2 * arm
    color = rng.choice(("red", "green", "blue", "purple", "brown", "white", "gray", "gray", "black"))
    look = materials.fabric(rng, color)
    pillow = materials.fabric(rng, color)
    seat = rng.uniform(0.4, 0.46)
    back = rng.uniform(0.74, 0.92)
    thing = Thing("sofa", "armchair" if seats == 1 else "sofa", look=look, top=None)
    thing.box((0, 0, 0.18), (w, d, 0.24), look)
    thing.box((0, 0.5 * d - 0.11, 0.5 * (back + 0.06)), (w - 2 * arm, 0.22, back - 0.06), look)
    for x in (-1.0, 1.0):
        thing.box((x * 0.5 * (w - arm), 0, 0.35), (arm, d, 0.58), look)
        for y in (-1.0, 1.0):
            thing.tube(
                (x * (0.5 * w - 0.06), y * (0.5 * d - 0.06), 0),
                (x * (0.5 * w - 0.06), y * (0.5 * d - 0.06), 0.06),
                0.025,
                materials.rubber(rng),
            )
    one = (w - 2 * arm) / seats
    for k in range(seats):
        x = -0.5 * (w - 2 * arm) + (k + 0.5) * one
        thing.box((x, -0.11, 0.3 + 0.5 * (seat - 0.3)), (one - 0.015, d - 0.23, seat - 0.3), pillow)
        thing.box((x, 0.5 * d - 0.28, seat + 0.19), (one - 0.03, 0.14, 0.36), pillow, tilt=-0.18)
    return thing


def shelf(rng: Random, fill: bool = True) -> Thing:
    """A book shelf or a cupboard, its books part of it."""
    w, d, h = rng.uniform(0.6, 1.4), rng.uniform(0.26, 0.42), rng.uniform(0.9, 2.1)
    color = rng.choice(("brown", "brown", "brown", "white", "gray", "black"))
    look = materials.wood(rng) if color == "brown" else materials.painted(rng, color, "wood")
    board = 0.022
    thing = Thing("shelf", "shelf", look=look, top=(0.5 * w, 0.5 * d, h))
    for x in (-1.0, 1.0):
        thing.box((x * 0.5 * (w - board), 0, 0.5 * h), (board, d, h), look)
    thing.box((0, 0.5 * d - 0.006, 0.5 * h), (w, 0.012, h), look)
    count = max(2, round(h / rng.uniform(0.32, 0.45)))
    for k in range(count + 1):
        z = 0.05 + (h - 0.06) * k / count
        thing.box((0, 0, z), (w, d, board), look)
        if not fill or k == count or rng.random() < 0.2:
            continue
        room = (h - 0.06) / count - 0.04
        x = -0.5 * w + 0.04
        end = 0.5 * w - 0.04 - rng.uniform(0.0, 0.5) * w
        while x < end - 0.05:  # a block of books of one colour is one box
            thick = min(rng.uniform(0.04, 0.16), end - x)
            tall = room * rng.uniform(0.6, 0.98)
            deep = rng.uniform(0.55, 0.8) * d
            book = materials.plastic(rng, rng.choice(COMMON))
            thing.box(
                (x + 0.5 * thick, 0.5 * d - 0.012 - 0.5 * deep, z + 0.5 * board + 0.5 * tall),
                (thick - 0.004, deep, tall),
                book,
            )
            x += thick
    return thing


def cupboard(rng: Random) -> Thing:
    """A closed cupboard with two doors, of the class of shelves."""
    w, d, h = (
        rng.uniform(0.7, 1.3),
        rng.uniform(0.38, 0.6),
        rng.choice((rng.uniform(0.75, 1.0), rng.uniform(1.7, 2.1))),
    )
    color = rng.choice(("brown", "brown", "white", "gray", "green", "blue"))
    look = materials.wood(rng) if color == "brown" else materials.painted(rng, color, "wood")
    thing = Thing("shelf", "cupboard", look=look, top=(0.5 * w, 0.5 * d, h))
    thing.box((0, 0.01, 0.5 * h), (w, d - 0.02, h), look)
    for x in (-1.0, 1.0):
        thing.box((x * 0.25 * w, -0.5 * d + 0.01, 0.5 * h + 0.02), (0.5 * w - 0.02, 0.02, h - 0.1), look)
        thing.tube(
            (x * 0.03, -0.5 * d - 0.02, 0.45 * h),
            (x * 0.03, -0.5 * d - 0.02, 0.55 * h),
            0.008,
            materials.metal(rng),
        )
    return thing


def rack(rng: Random) -> Thing:
    """A pallet rack of a warehouse: posts, beams, and decks of wire or board."""
    w, d = rng.uniform(1.8, 2.8), rng.uniform(0.8, 1.1)
    levels = rng.choice((2, 3, 3, 4))
    pitch = rng.uniform(1.1, 1.5)
    h = levels * pitch + 0.3
    posts = materials.painted(rng, rng.choice(("blue", "blue", "green", "gray", "red")))
    beams = materials.painted(rng, rng.choice(("orange", "orange", "yellow", "gray")))
    deck = materials.wood(rng)
    thing = Thing("shelf", "rack", look=posts)
    for x in (-1.0, 1.0):
        for y in (-1.0, 1.0):
            thing.box((x * (0.5 * w - 0.04), y * (0.5 * d - 0.04), 0.5 * h), (0.08, 0.08, h), posts)
        for k in range(levels):
            thing.box((x * (0.5 * w - 0.04), 0, (k + 0.6) * pitch), (0.03, d - 0.16, 0.04), posts)
    for k in range(levels):
        z = 0.12 + k * pitch
        for y in (-1.0, 1.0):
            thing.box((0, y * (0.5 * d - 0.04), z), (w - 0.16, 0.05, 0.11), beams)
        thing.box((0, 0, z + 0.06), (w - 0.16, d - 0.1, 0.02), deck)
        x = -0.5 * w + 0.12
        while x < 0.5 * w - 0.45:  # the goods on a rack belong to it
            size = rng.uniform(0.35, 0.95)
            size = min(size, 0.5 * w - 0.12 - x)
            tall = rng.uniform(0.3, pitch - 0.3)
            deep = rng.uniform(0.5, 0.8) * d
            if rng.random() < 0.75:
                look = (
                    materials.carton(rng)
                    if rng.random() < 0.7
                    else materials.plastic(rng, rng.choice(BRIGHT))
                )
                thing.box(
                    (x + 0.5 * size, rng.uniform(-0.05, 0.05), z + 0.07 + 0.5 * tall),
                    (size - 0.04, deep, tall),
                    look,
                )
            x += size
    return thing


def pallet(rng: Random) -> Thing:
    """A EUR pallet, 1.2 x 0.8 x 0.144 m, of boards and blocks."""
    w, d = rng.choice(((1.2, 0.8), (1.2, 1.0), (1.0, 1.0)))
    look = materials.wood(rng)
    thing = Thing("pallet", "pallet", look=look, top=(0.5 * w - 0.04, 0.5 * d - 0.04, 0.144))
    for y in (-1.0, 0.0, 1.0):
        py = y * (0.5 * d - 0.05)
        thing.box((0, py, 0.011), (w, 0.1, 0.022), look)
        for x in (-1.0, 0.0, 1.0):
            thing.box((x * (0.5 * w - 0.0725), py, 0.061), (0.145, 0.1, 0.078), look)
        thing.box((0, 0, 0.111) if y == 0 else (y * (0.5 * w - 0.0725), 0, 0.111), (0.145, d, 0.022), look)
    slats = 7 if d > 0.9 else 5
    for k in range(slats):
        thing.box(
            (0, -0.5 * d + 0.06 + (d - 0.12) * k / (slats - 1), 0.133),
            (w, 0.12 if k % 2 == 0 else 0.09, 0.022),
            look,
        )
    return thing


def person(rng: Random) -> Thing:
    """Somebody who stands or walks, 1.5 to 1.95 m tall."""
    h = rng.uniform(1.5, 1.95)
    s = h / 1.75
    flesh = materials.skin(rng)
    color = rng.choice(COMMON)
    shirt = materials.fabric(rng, color)
    trousers = materials.fabric(rng, rng.choice(("blue", "black", "gray", "brown", "green")))
    shoes = rng.choice((materials.rubber(rng), materials.plastic(rng, "white")))
    hair = Look(
        "hair", "black", rng.choice([(30, 24, 20), (90, 60, 36), (190, 150, 90), (150, 150, 150)]), (0, 0, 0)
    )
    thing = Thing("person", "person", look=shirt)
    step = rng.uniform(0.0, 0.28) * s
    fat = rng.uniform(0.9, 1.2)
    hip, shoulder = 0.86 * s, 1.42 * s
    for x, y in ((-0.09 * s, step), (0.09 * s, -step)):
        thing.tube(
            (x, y, 0.09 * s), (x, 0.3 * y - 0.05 * abs(step), 0.48 * s), 0.055 * s, trousers, 0.068 * s * fat
        )
        thing.tube(
            (x, 0.3 * y - 0.05 * abs(step), 0.48 * s), (x, 0, hip), 0.068 * s * fat, trousers, 0.09 * s * fat
        )
        thing.ball((x, y - 0.05 * s, 0.045 * s), (0.05 * s, 0.13 * s, 0.045 * s), shoes)
    thing.ball((0, 0, hip + 0.04 * s), (0.17 * s * fat, 0.125 * s * fat, 0.13 * s), trousers)
    thing.tube((0, 0, hip + 0.02 * s), (0, 0, shoulder - 0.06 * s), 0.145 * s * fat, shirt, 0.165 * s * fat)
    thing.ball((0, 0, shoulder - 0.05 * s), (0.2 * s * fat, 0.12 * s * fat, 0.1 * s), shirt)
    thing.parts[-2].half = (0.155 * s * fat, 0.11 * s * fat, thing.parts[-2].half[2])
    swing = rng.uniform(-0.15, 0.25) * s
    bend = rng.uniform(0.0, 0.2) * s
    for x, y in ((-1, -swing), (1, swing)):
        px = x * 0.215 * s * fat
        elbow = (x * (0.25 * s * fat), 0.6 * y, 1.12 * s)
        wrist = (x * 0.24 * s * fat, y - bend, 0.9 * s + 0.8 * bend)
        thing.tube((px, 0, shoulder - 0.05 * s), elbow, 0.05 * s, shirt, 0.042 * s)
        thing.tube(elbow, wrist, 0.04 * s, shirt if color != "white" else flesh, 0.032 * s)
        thing.ball(wrist, 0.042 * s, flesh)
    thing.tube((0, 0, shoulder), (0, 0, 1.54 * s), 0.055 * s, flesh)
    thing.ball((0, -0.01 * s, 1.63 * s), (0.075 * s, 0.095 * s, 0.115 * s), flesh)
    if rng.random() < 0.25:
        helmet = materials.plastic(rng, rng.choice(("yellow", "white", "red", "orange")))
        thing.ball((0, 0, 1.68 * s), (0.105 * s, 0.12 * s, 0.09 * s), helmet)
    else:
        thing.ball((0, 0.02 * s, 1.66 * s), (0.085 * s, 0.1 * s, 0.1 * s), hair)
    return thing


def wheels(thing: Thing, spots: list[tuple[float, float]], radius: float, width: float, rng: Random) -> None:
    """Adds wheels at the given places, in metres."""
    tyre, hub = materials.rubber(rng), materials.metal(rng)
    for x, y in spots:
        thing.tube((x - 0.5 * width, y, radius), (x + 0.5 * width, y, radius), radius, tyre)
        out = 0.5 * width + 0.006
        thing.tube((x - out, y, radius), (x + out, y, radius), 0.58 * radius, hub)


def car(rng: Random) -> Thing:
    """A passenger car or a van, its front along -y."""
    look = materials.painted(
        rng, rng.choice(("red", "blue", "white", "black", "gray", "green", "yellow", "gray"))
    )
    dark = Look("glass", "black", (40, 48, 54), (40, 48, 54), gloss=0.8, sharpness=90)
    lamp = Look("plastic", "white", (240, 236, 220), (0, 0, 0), gloss=0.6, sharpness=80)
    rear = Look("plastic", "red", (170, 20, 20), (0, 0, 0), gloss=0.5, sharpness=80)
    trim = materials.rubber(rng)
    if rng.random() < 0.3:
        long, wide, high = rng.uniform(4.6, 5.6), rng.uniform(1.9, 2.05), rng.uniform(1.95, 2.5)
        thing = Thing("vehicle", "van", look=look)
        thing.box((0, 0.35, 0.3 + 0.5 * (high - 0.3)), (wide, long - 0.7, high - 0.3), look)
        thing.box((0, -0.5 * long + 0.4, 0.62), (wide, 0.8, 0.64), look)
        thing.box((0, -0.5 * long + 0.72, 0.75 * high), (wide - 0.16, 0.1, 0.3 * high), dark, tilt=-0.45)
        for x in (-1.0, 1.0):
            thing.box((x * 0.5 * wide, -0.5 * long + 1.4, 0.74 * high), (0.012, 0.8, 0.26 * high), dark)
        nose, tail = -0.5 * long, 0.5 * long
    else:
        long, wide, high = rng.uniform(3.7, 4.9), rng.uniform(1.68, 1.88), rng.uniform(1.4, 1.65)
        thing = Thing("vehicle", "car", look=look)
        thing.box((0, 0, 0.58), (wide, long, 0.56), look)
        thing.ball((0, 0, 0.74), (0.5 * wide, 0.5 * long - 0.05, 0.17), look)
        cab = long * rng.uniform(0.5, 0.56)
        thing.box((0, 0.08 * long, 0.86 + 0.5 * (high - 0.9)), (wide - 0.2, cab - 0.7, high - 0.9), dark)
        thing.box((0, 0.08 * long, high - 0.03), (wide - 0.22, cab - 0.75, 0.06), look)
        drop = high - 0.86
        for y, sign in ((0.08 * long - 0.5 * cab + 0.2, -1), (0.08 * long + 0.5 * cab - 0.2, 1)):
            thing.box((0, y, 0.84 + 0.5 * drop), (wide - 0.24, 0.05, 1.3 * drop), dark, tilt=0.75 * sign)
        for y in (-0.5, 0.0, 0.5):
            thing.box(
                (0, 0.08 * long + y * (cab - 0.75), 0.86 + 0.5 * (high - 0.9)),
                (wide - 0.18, 0.07, high - 0.9),
                look,
            )
        nose, tail = -0.5 * long, 0.5 * long
    for x in (-1.0, 1.0):
        thing.box((x * (0.5 * wide - 0.2), nose, 0.64), (0.3, 0.03, 0.14), lamp)
        thing.box((x * (0.5 * wide - 0.14), tail, 0.72), (0.2, 0.03, 0.18), rear)
    for y in (nose, tail):
        thing.box((0, y, 0.4), (wide - 0.04, 0.1, 0.14), trim)
    thing.box((0, nose, 0.6), (0.5 * wide, 0.02, 0.12), trim)
    r = rng.uniform(0.3, 0.34)
    wheels(
        thing,
        [(x * (0.5 * wide - 0.09), y * 0.31 * long) for x in (-1.0, 1.0) for y in (-1.0, 1.0)],
        r,
        0.2,
        rng,
    )
    return thing


def forklift(rng: Random) -> Thing:
    """A counterbalance forklift truck, forks along -y."""
    look = materials.painted(rng, rng.choice(("yellow", "orange", "red", "green", "blue")))
    dark, steel = materials.painted(rng, "black"), materials.metal(rng)
    thing = Thing("vehicle", "forklift", look=look)
    thing.box((0, 0.35, 0.6), (1.1, 1.7, 0.7), look)
    thing.box((0, 1.0, 1.05), (1.1, 0.5, 0.3), look)
    thing.box((0, 0.3, 1.05), (0.5, 0.5, 0.2), dark)
    thing.box((0, 0.55, 1.3), (0.48, 0.12, 0.5), dark, tilt=-0.15)
    thing.box((0, 0.3, 2.1), (1.0, 1.2, 0.06), dark)
    for x in (-0.46, 0.46):
        for y in (-0.25, 0.85):
            thing.tube((x, y, 0.9), (x, y, 2.08), 0.03, dark)
        thing.box((x * 0.75, -0.62, 1.1), (0.1, 0.12, 2.1), dark)
        thing.box((x * 0.6, -1.25, 0.1), (0.12, 1.1, 0.04), steel)
        thing.box((x * 0.6, -0.72, 0.45), (0.12, 0.05, 0.7), steel)
    thing.box((0, -0.62, 2.1), (0.75, 0.1, 0.08), dark)
    wheels(thing, [(-0.46, -0.35), (0.46, -0.35)], 0.32, 0.22, rng)
    wheels(thing, [(-0.46, 0.85), (0.46, 0.85)], 0.26, 0.2, rng)
    return thing


def cart(rng: Random) -> Thing:
    """A hand cart with a push bar; of the class of vehicles."""
    look = materials.painted(rng, rng.choice(("red", "blue", "green", "gray", "yellow")))
    steel = materials.metal(rng)
    thing = Thing("vehicle", "cart", look=look)
    thing.box((0, 0, 0.26), (0.6, 0.95, 0.05), look)
    for x in (-0.25, 0.25):
        thing.tube((x, 0.44, 0.28), (x, 0.5, 0.95), 0.016, steel)
    thing.tube((-0.25, 0.5, 0.95), (0.25, 0.5, 0.95), 0.016, steel)
    wheels(thing, [(x * 0.22, y * 0.35) for x in (-1.0, 1.0) for y in (-1.0, 1.0)], 0.11, 0.05, rng)
    thing.box((0, 0, 0.2), (0.4, 0.8, 0.08), steel)
    return thing


def plant(rng: Random) -> Thing:
    """A potted plant: a bush of leaves on stems."""
    h = rng.uniform(0.4, 1.5)
    r = min(0.22, 0.16 * h + 0.06)
    pot = materials.plastic(rng, rng.choice(("brown", "white", "gray", "black", "blue", "red")))
    rgb = materials.near(rng, rng.choice([(58, 120, 48), (84, 140, 60), (40, 100, 56)]), 0.15)
    leaf = Look("leaves", "green", rgb, materials.scaled(rgb, 0.6), kernel.CLOUDY, scale=0.04)
    earth = Look("earth", "brown", (70, 50, 36), (50, 36, 26), kernel.SPECKLE, scale=0.02)
    thing = Thing("plant", "plant", look=leaf)
    ph = 0.24 * h + 0.06
    thing.tube((0, 0, 0), (0, 0, ph), 0.72 * r, pot, r)
    thing.tube((0, 0, ph - 0.01), (0, 0, ph + 0.003), 0.92 * r, earth)
    tall = rng.random() < 0.5
    for _ in range(rng.randint(9, 16)):
        a, lean = rng.uniform(0, 2 * pi), rng.uniform(0.05, 0.9) * r * 1.6
        z = rng.uniform(ph + 0.15 * (h - ph), h)
        x, y = lean * cos(a), lean * sin(a)
        if tall:  # long blades
            thing.ball(
                (0.6 * x, 0.6 * y, 0.5 * (ph + z)),
                (0.03, 0.007, 0.5 * (z - ph)),
                leaf,
                yaw=a + pi / 2,
                tilt=rng.uniform(0.1, 0.45),
            )
        else:
            size = rng.uniform(0.06, 0.13) * (0.5 + h)
            thing.ball((x, y, z - 0.5 * size), (size, 0.8 * size, 0.6 * size), leaf, yaw=a)
    if not tall:
        thing.tube((0, 0, ph), (0, 0, 0.85 * h), 0.015, materials.wood(rng))
    return thing


def tree(rng: Random) -> Thing:
    """A tree, 3 to 7 m, of the class of plants."""
    h = rng.uniform(3.0, 7.0)
    bark = materials.wood(rng)
    rgb = materials.near(
        rng, rng.choice([(92, 146, 62), (116, 158, 66), (70, 124, 70), (160, 156, 60)]), 0.15
    )
    leaf = Look("leaves", "green", rgb, materials.scaled(rgb, 0.5), kernel.CLOUDY, scale=0.18)
    thing = Thing("plant", "tree", look=leaf)
    r = 0.03 * h + 0.02
    if rng.random() < 0.35:
        thing.tube((0, 0, 0), (0, 0, 0.3 * h), r, bark)
        for k in range(4):
            z = 0.18 * h + 0.2 * h * k
            thing.tube((0, 0, z), (0, 0, min(h, z + 0.34 * h)), (0.24 - 0.045 * k) * h, leaf, 0.02)
        return thing
    thing.tube((0, 0, 0), (0, 0, 0.7 * h), r, bark, 0.5 * r)
    for k in range(10):
        a, lean = k * 2.4, rng.uniform(0.05, 0.22) * h
        size = rng.uniform(0.1, 0.18) * h
        thing.ball(
            (lean * cos(a), lean * sin(a), rng.uniform(0.5, 0.86) * h), (size, size, 0.8 * size), leaf, yaw=a
        )
    return thing


def bush(rng: Random) -> Thing:
    """A garden bush."""
    w, h = rng.uniform(0.6, 1.6), rng.uniform(0.5, 1.3)
    rgb = materials.near(rng, rng.choice([(88, 136, 62), (76, 120, 62), (118, 150, 72)]), 0.15)
    leaf = Look("leaves", "green", rgb, materials.scaled(rgb, 0.5), kernel.CLOUDY, scale=0.08)
    thing = Thing("plant", "bush", look=leaf)
    for k in range(9):
        a = k * 2.4
        lean = rng.uniform(0.0, 0.3) * w
        size = rng.uniform(0.16, 0.26) * w
        thing.ball(
            (lean * cos(a), lean * sin(a), (0.25 if k == 0 else rng.uniform(0.25, 0.75)) * h),
            (size, size, 0.25 * h),
            leaf,
        )
    return thing


def cup(rng: Random) -> Thing:
    """A mug, a glass of opaque plastic, or a bowl."""
    style = rng.choice(("mug", "mug", "cup", "bowl"))
    look = materials.painted(rng, rng.choice(BRIGHT), "ceramic")
    thing = Thing("cup", style, look=look)
    if style == "bowl":
        r = rng.uniform(0.07, 0.13)
        thing.tube((0, 0, 0), (0, 0, 0.55 * r), 0.5 * r, look, r)
        return thing
    r, h = rng.uniform(0.036, 0.045), rng.uniform(0.08, 0.11)
    inside = Look(
        "drink",
        "brown",
        rng.choice([(60, 36, 22), (120, 70, 30), (230, 226, 216)]),
        (0, 0, 0),
        gloss=0.3,
        sharpness=60,
    )
    thing.tube((0, 0, 0), (0, 0, h), 0.82 * r if style == "cup" else r, look, r)
    thing.tube((0, 0, h), (0, 0, h + 0.001), 0.85 * r, inside)
    if style == "mug":
        y = r
        for z0, y0, z1, y1 in ((0.8, 0.95, 0.72, 1.65), (0.72, 1.65, 0.36, 1.65), (0.36, 1.65, 0.25, 0.95)):
            thing.tube((0, -y0 * y, z0 * h), (0, -y1 * y, z1 * h), 0.006, look)
    return thing


def cable(rng: Random) -> Thing:
    """A cable or a hose that lies on the floor in bends."""
    radius = rng.choice((0.006, 0.01, 0.016))
    look = materials.plastic(rng, rng.choice(("black", "black", "orange", "yellow", "red", "blue", "white")))
    thing = Thing("cable", "hose" if radius > 0.015 else "cable", look=look)
    x, y, heading = 0.0, 0.0, 0.0
    spots = [(x, y)]
    bend = rng.uniform(-0.6, 0.6)
    for _ in range(rng.randint(12, 26)):
        bend = 0.75 * bend + rng.uniform(-0.22, 0.22)
        heading += bend
        x, y = x + 0.09 * cos(heading), y + 0.09 * sin(heading)
        spots.append((x, y))
    mx, my = (0.5 * (min(s[i] for s in spots) + max(s[i] for s in spots)) for i in (0, 1))
    for (ax, ay), (bx, by) in zip(spots, spots[1:], strict=False):
        thing.tube((ax - mx, ay - my, radius), (bx - mx, by - my, radius), radius, look)
        thing.ball((bx - mx, by - my, radius), radius, look)
    return thing


def stairs(rng: Random, width: float) -> Thing:
    """A straight flight of 0.15-0.19 m risers and 0.26-0.3 m treads, rising along +y."""
    steps = rng.randint(4, 9)
    rise, run = rng.uniform(0.15, 0.19), rng.uniform(0.26, 0.3)
    tone = materials.near(rng, rng.choice([(150, 148, 142), (150, 108, 70), (120, 120, 124)]))
    look = Look(
        "concrete" if tone[0] - tone[2] < 30 else "wood",
        "gray" if tone[0] - tone[2] < 30 else "brown",
        tone,
        materials.scaled(tone, 0.82),
        kernel.CLOUDY,
        scale=0.5,
    )
    thing = Thing("stairs", "stairs", look=look)
    deep = steps * run
    for k in range(steps):
        length = deep - k * run
        thing.box((0, 0.5 * (deep - length), (k + 0.5) * rise), (width, length, rise), look)
    return thing


def door(rng: Random) -> Thing:
    """A closed door in its frame, a little proud of the wall (its back at y = 0)."""
    w, h = rng.uniform(0.75, 1.05), rng.uniform(1.95, 2.15)
    color = rng.choice(("brown", "brown", "white", "white", "gray", "green", "blue", "red"))
    look = materials.wood(rng) if color == "brown" else materials.painted(rng, color, "wood")
    frame = Look(look.material, look.color, materials.scaled(look.rgb, 0.8), look.second, gloss=look.gloss)
    thing = Thing("door", "door", look=look)
    thing.box((0, -0.015, 0.5 * h), (w, 0.03, h), look)
    for x in (-1.0, 1.0):
        thing.box((x * (0.5 * w + 0.035), -0.03, 0.5 * (h + 0.07)), (0.07, 0.06, h + 0.07), frame)
    thing.box((0, -0.03, h + 0.035), (w, 0.06, 0.07), frame)
    steel = materials.metal(rng)
    side = rng.choice((-1.0, 1.0))
    x = side * (0.5 * w - 0.08)
    thing.tube((x, -0.03, 1.02), (x, -0.08, 1.02), 0.012, steel)
    thing.tube((x, -0.08, 1.02), (x - side * 0.11, -0.08, 1.02), 0.01, steel)
    for z in (0.3, 0.73):
        if rng.random() < 0.6:
            thing.box((0, -0.033, z * h), (0.62 * w, 0.008, 0.3 * h), frame)
    return thing


def gate(rng: Random) -> Thing:
    """A roller gate of a hall; of the class of doors."""
    w, h = rng.uniform(2.4, 3.6), rng.uniform(2.5, 3.4)
    rgb = materials.near(rng, COLORS[color := rng.choice(("gray", "white", "blue", "green", "orange"))])
    look = Look("metal", color, rgb, materials.scaled(rgb, 0.85), kernel.STRIPES, scale=0.12, gloss=0.15)
    thing = Thing("door", "gate", look=look)
    thing.box((0, -0.03, 0.5 * h), (w, 0.06, h), look)
    frame = materials.painted(rng, rng.choice(("black", "yellow", "gray")))
    for x in (-1.0, 1.0):
        thing.box((x * (0.5 * w + 0.06), -0.06, 0.5 * h), (0.12, 0.12, h), frame)
    thing.box((0, -0.1, h + 0.1), (w + 0.24, 0.2, 0.2), frame)
    return thing


def window(rng: Random) -> Thing:
    """A window in its frame with bars (its back at y = 0, its sill at z = 0)."""
    w, h = rng.uniform(0.7, 2.0), rng.uniform(0.9, 1.5)
    frame = materials.painted(rng, rng.choice(("white", "white", "brown", "black", "gray")), "wood")
    thing = Thing("window", "window", look=frame)
    thing.box((0, -0.01, 0.5 * h), (w, 0.02, h), materials.window(rng))
    for x in (-1.0, 1.0):
        thing.box((x * 0.5 * w, -0.03, 0.5 * h), (0.06, 0.06, h + 0.06), frame)
    for z in (0.0, h):
        thing.box((0, -0.03, z), (w, 0.06, 0.06), frame)
    bars = round(w / 0.8)
    for k in range(1, bars + 1):
        x = -0.5 * w + w * k / (bars + 1)
        thing.box((x, -0.025, 0.5 * h), (0.04, 0.05, h), frame)
    thing.box((0, -0.08, -0.045), (w + 0.1, 0.16, 0.03), frame)
    return thing


def mirror(rng: Random) -> Thing:
    """A framed mirror (its back at y = 0, its lower edge at z = 0)."""
    w, h = rng.uniform(0.4, 1.2), rng.uniform(0.7, 1.6)
    frame = (
        materials.wood(rng)
        if rng.random() < 0.5
        else materials.painted(rng, rng.choice(("black", "white", "gray")))
    )
    thing = Thing("mirror", "mirror", look=frame)
    thing.box((0, -0.0125, 0.5 * h), (w, 0.025, h), materials.mirror(rng))
    for x in (-1.0, 1.0):
        thing.box((x * 0.5 * w, -0.02, 0.5 * h), (0.05, 0.04, h + 0.05), frame)
    for z in (0.0, h):
        thing.box((0, -0.02, z), (w, 0.04, 0.05), frame)
    return thing


def glass(rng: Random) -> Thing:
    """A free-standing pane of glass with a steel foot and edge."""
    w, h = rng.uniform(0.8, 1.8), rng.uniform(1.1, 2.0)
    steel = materials.metal(rng)
    thing = Thing("glass", "glass panel", look=materials.glass(rng))
    thing.box((0, 0, 0.5 * h + 0.03), (w, 0.012, h), thing.look or steel)
    thing.box((0, 0, 0.02), (w + 0.04, 0.08, 0.04), steel)
    for x in (-1.0, 1.0):
        thing.box((x * 0.5 * w, 0, 0.5 * h + 0.03), (0.035, 0.035, h + 0.06), steel)
    thing.box((0, 0, h + 0.04), (w, 0.03, 0.03), steel)
    return thing
