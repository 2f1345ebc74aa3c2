# SPDX-License-Identifier: Apache-2.0
"""Procedural worlds by seed: rooms, corridors, warehouses and yards, furnished without interpenetration.

World frame: x, y on the floor, z up, metres; the floor is z = 0 and the origin is its centre.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, pi, sin
from random import Random

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import kernel, materials, objects
from vision_banana_ros.scenes.materials import Look
from vision_banana_ros.scenes.solids import IDENTITY, STRUCTURE, Placed, Thing, World, assemble

KINDS = ("room", "corridor", "warehouse", "yard")
Rectangle = tuple[float, float, float, float, float]
"""Middle x, y, half width, half depth, yaw."""


@dataclass
class Wall:
    """A stretch of wall that things can lean on or hang at.

    Middle, yaw of such things, length, taken stretches.
    """

    x: float
    y: float
    yaw: float
    length: float
    taken: list[tuple[float, float]] = field(default_factory=list)
    doors: list[tuple[float, float]] = field(default_factory=list)

    def find(self, rng: Random, half: float) -> float | None:
        """A place along the wall where `half` metres to both sides are free."""
        room = 0.5 * self.length - half - 0.03
        for _ in range(8):
            if room <= 0:
                return None
            s = rng.uniform(-room, room)
            if all(s + half < a or s - half > b for a, b in self.taken):
                return s
        return None

    def at(self, s: float, away: float = 0.0) -> tuple[float, float]:
        """The point s metres along the wall and `away` metres in front of it."""
        c, t = cos(self.yaw), sin(self.yaw)
        return self.x + s * c + away * t, self.y + s * t - away * c


def extent(thing: Thing) -> tuple[float, float, float]:
    """Half width and half depth of the smallest box around the object's origin, and its height."""
    wide = deep = high = 0.0
    for part in thing.parts:
        r = part.rotation
        hx, hy, hz = part.half
        if part.shape == kernel.TUBE:
            hx, hy = hx * max(1.0, part.taper), hy * max(1.0, part.taper)
        x, y, z = part.center
        if r == IDENTITY:
            rx, ry, rz = hx, hy, hz
        elif part.shape == kernel.BALL:
            rx, ry, rz = (
                ((r[i] * hx) ** 2 + (r[i + 1] * hy) ** 2 + (r[i + 2] * hz) ** 2) ** 0.5 for i in (0, 3, 6)
            )
        else:
            rx, ry, rz = (abs(r[i]) * hx + abs(r[i + 1]) * hy + abs(r[i + 2]) * hz for i in (0, 3, 6))
        wide = max(wide, abs(x) + rx)
        deep = max(deep, abs(y) + ry)
        high = max(high, z + rz)
    return wide, deep, high


def overlap(a: Rectangle, b: Rectangle) -> bool:
    """True where two turned rectangles meet (separating axes)."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    if dx * dx + dy * dy > (a[2] + a[3] + b[2] + b[3]) ** 2:
        return False
    turn = b[4] - a[4]
    c, s = abs(cos(turn)), abs(sin(turn))
    for (_, _, w, d, yaw), (_, _, v, e, _) in ((a, b), (b, a)):
        ax, ay = cos(yaw), sin(yaw)
        if abs(dx * ax + dy * ay) > w + v * c + e * s or abs(dy * ax - dx * ay) > d + v * s + e * c:
            return False
    return True


class Site:
    """A world while it is furnished."""

    def __init__(self, rng: Random, kind: str, width: float, depth: float):
        self.rng, self.kind, self.width, self.depth = rng, kind, width, depth
        self.placed: list[Placed] = []
        self.taken: list[Rectangle] = []
        self.walls: list[Wall] = []
        self.lights: list[list[float]] = []

    def fits(self, spot: Rectangle) -> bool:
        """True where the rectangle lies inside the site and meets no other."""
        x, y, w, d, yaw = spot
        c, s = abs(cos(yaw)), abs(sin(yaw))
        if abs(x) + w * c + d * s > 0.5 * self.width or abs(y) + w * s + d * c > 0.5 * self.depth:
            return False
        return not any(overlap(spot, other) for other in self.taken)

    def structure(self, thing: Thing, casts: bool = False) -> None:
        """Adds a fixed part of the building."""
        self.placed.append(Placed(thing, 0.0, 0.0, 0.0, 0.0, casts=casts))

    def put(self, thing: Thing, x: float, y: float, yaw: float, z: float = 0.0, on: int = 0) -> int:
        """Puts an object at a place in metres, and returns its index."""
        self.placed.append(Placed(thing, x, y, z, yaw, on))
        return len(self.placed) - 1

    def scatter(self, thing: Thing, tries: int = 12, margin: float = 0.03, square: float = 0.4) -> int | None:
        """Stand a thing somewhere free on the floor; its index, or None where nothing was free."""
        w, d, _ = extent(thing)
        for _ in range(tries):
            yaw = (
                self.rng.choice((0, 0.5, 1, 1.5)) * pi
                if self.rng.random() < square
                else self.rng.uniform(0, 2 * pi)
            )
            x = self.rng.uniform(-0.5, 0.5) * (self.width - 2 * min(w, d))
            y = self.rng.uniform(-0.5, 0.5) * (self.depth - 2 * min(w, d))
            if self.fits((x, y, w + margin, d + margin, yaw)):
                self.taken.append((x, y, w, d, yaw))
                return self.put(thing, x, y, yaw)
        return None

    def beside(self, thing: Thing, other: int, gap: float = 0.1) -> int | None:
        """Stand a thing next to another one."""
        base = self.placed[other]
        w, d, _ = extent(base.thing)
        v, e, _ = extent(thing)
        for _ in range(8):
            a = self.rng.uniform(0, 2 * pi)
            reach = max(w, d) + max(v, e) + self.rng.uniform(0.02, gap + 0.3)
            x, y, yaw = base.x + reach * cos(a), base.y + reach * sin(a), self.rng.uniform(0, 2 * pi)
            if self.fits((x, y, v + 0.02, e + 0.02, yaw)):
                self.taken.append((x, y, v, e, yaw))
                return self.put(thing, x, y, yaw)
        return None

    def lean(self, thing: Thing, gap: float = 0.02) -> int | None:
        """Stand a thing with its back to a wall."""
        w, d, _ = extent(thing)
        for wall in self.rng.sample(self.walls, len(self.walls)):
            s = wall.find(self.rng, w)
            if s is None:
                continue
            x, y = wall.at(s, d + gap)
            if not any(overlap((x, y, w, d, wall.yaw), other) for other in self.taken):
                wall.taken.append((s - w, s + w))
                self.taken.append((x, y, w, d, wall.yaw))
                return self.put(thing, x, y, wall.yaw)
        return None

    def hang(self, thing: Thing, low: float = 0.0, solid: bool = True) -> int | None:
        """Fix a thing to a wall, its lower edge at height `low`. A solid one claims the floor before it."""
        w, d, _ = extent(thing)
        for wall in self.rng.sample(self.walls, len(self.walls)):
            s = wall.find(self.rng, w)
            if s is None:
                continue
            spot = (*wall.at(s, d), w, d, wall.yaw)
            if solid and any(overlap(spot, other) for other in self.taken):
                continue
            wall.taken.append((s - w, s + w))
            if low == 0.0:
                wall.doors.append((s - w, s + w))
            if solid:
                self.taken.append(spot)
            return self.put(thing, *wall.at(s), wall.yaw, low)
        return None

    def load(self, base: int, makers: list[Callable[[], Thing]], count: int) -> list[int]:
        """Stand up to `count` things on top of another one."""
        under = self.placed[base]
        if under.thing.top is None:
            return []
        half_w, half_d, top = under.thing.top
        taken: list[Rectangle] = []
        done = []
        for _ in range(count):
            thing = self.rng.choice(makers)()
            w, d, _ = extent(thing)
            for _ in range(6):
                yaw = self.rng.choice((0.0, self.rng.uniform(-0.3, 0.3), self.rng.uniform(0, 2 * pi)))
                c, s = abs(cos(yaw)), abs(sin(yaw))
                rx, ry = half_w - w * c - d * s, half_d - w * s - d * c
                if rx < 0 or ry < 0:
                    continue
                x, y = self.rng.uniform(-rx, rx), self.rng.uniform(-ry, ry)
                spot = (x, y, w + 0.01, d + 0.01, yaw)
                if any(overlap(spot, other) for other in taken):
                    continue
                taken.append(spot)
                c, s = cos(under.yaw), sin(under.yaw)
                done.append(
                    self.put(
                        thing,
                        under.x + c * x - s * y,
                        under.y + s * x + c * y,
                        under.yaw + yaw,
                        under.z + top,
                        base,
                    )
                )
                break
        return done

    def free(self, count: int = 160, margin: float = 0.25) -> np.ndarray:
        """Spots for a camera: (N, 3) of x, y and the free radius around."""
        spots = []
        rect = np.array(self.taken or [(1e6, 0.0, 0.0, 0.0, 0.0)])
        for _ in range(count):
            x, y = self.rng.uniform(-0.5, 0.5) * self.width, self.rng.uniform(-0.5, 0.5) * self.depth
            dx, dy = x - rect[:, 0], y - rect[:, 1]
            c, s = np.cos(rect[:, 4]), np.sin(rect[:, 4])
            u = np.maximum(abs(dx * c + dy * s) - rect[:, 2], 0.0)
            v = np.maximum(abs(dy * c - dx * s) - rect[:, 3], 0.0)
            gap = min(float(np.hypot(u, v).min()), 0.5 * self.width - abs(x), 0.5 * self.depth - abs(y))
            if gap > margin:
                spots.append((x, y, gap))
        return np.array(spots).reshape(-1, 3)


def enclose(site: Site, height: float) -> Look:
    """Floor, four walls and ceiling of a rectangular hall; the paint of its walls."""
    rng, w, d = site.rng, site.width, site.depth
    paint, floor = materials.wall_look(rng, site.kind), materials.floor_look(rng, site.kind)
    tone = materials.near(rng, (232, 232, 228) if site.kind != "warehouse" else (150, 152, 154))
    ceiling = Look(
        "paint",
        "white",
        tone,
        materials.scaled(tone, 0.96),
        rng.choice((kernel.CLOUDY, kernel.TILES)),
        scale=0.6,
        aspect=0.02,
    )
    site.structure(Thing("floor").box((0, 0, -0.1), (w + 0.4, d + 0.4, 0.2), floor))
    other = materials.wall_look(rng, site.kind) if rng.random() < 0.25 else paint
    for k, (x, y, length) in enumerate(
        ((0.0, 0.5 * d, w), (-0.5 * w, 0.0, d), (0.0, -0.5 * d, w), (0.5 * w, 0.0, d))
    ):
        yaw = k * 0.5 * pi
        wall = Wall(x, y, yaw, length)
        cx, cy = wall.at(0.0, -0.1)
        thing = Thing("wall").box(
            (cx, cy, 0.5 * height), (length + 0.4, 0.2, height), other if k == 0 else paint, yaw
        )
        site.structure(thing)
        site.walls.append(wall)
    site.structure(Thing("ceiling").box((0, 0, height + 0.1), (w + 0.4, d + 0.4, 0.2), ceiling))
    return paint


def lamps(site: Site, height: float, count_x: int, count_y: int, power: float) -> None:
    """Glowing panels in a grid under the ceiling.

    The kernel casts shadows from the middle of each row at most.
    """
    rng = site.rng
    warm = rng.uniform(0.0, 1.0)
    color = (1.0, 0.96 - 0.12 * warm, 0.9 - 0.3 * warm)
    panel = materials.glowing((255, round(255 - 16 * warm), round(250 - 46 * warm)), 2.5)
    round_ = rng.random() < 0.4
    size = (rng.uniform(0.25, 0.6), rng.uniform(0.25, 1.2))
    spots = [
        (
            (i + 0.5) / count_x * site.width - 0.5 * site.width,
            (j + 0.5) / count_y * site.depth - 0.5 * site.depth,
        )
        for i in range(count_x)
        for j in range(count_y)
    ]
    for x, y in spots:
        thing = Thing("ceiling")
        if round_:
            thing.tube((x, y, height - 0.06), (x, y, height), 0.5 * size[1], panel)
        else:
            thing.box((x, y, height - 0.02), (size[0], size[1], 0.04), panel)
        site.structure(thing)
    lit = rng.sample(spots, min(2, len(spots)))
    for x, y in lit:
        s = power * height * height / len(lit)
        site.lights.append(
            [kernel.LAMP, x, y, height - 0.1, *(s * c for c in color), rng.choice((0.02, 0.06, 0.12))]
        )


def decorate(site: Site, height: float) -> None:
    """Skirting between the doors, and pictures: structure, like the walls that they are on."""
    rng = site.rng
    skirting = materials.painted(rng, rng.choice(("white", "white", "brown", "gray")), "wood")
    for wall in site.walls:
        start = -0.5 * wall.length
        for a, b in (*sorted(wall.doors), (0.5 * wall.length, 0.0)):
            if a - start > 0.05:
                x, y = wall.at(0.5 * (start + a), 0.006)
                site.structure(Thing("wall").box((x, y, 0.045), (a - start, 0.012, 0.09), skirting, wall.yaw))
            start = b
    for _ in range(rng.randint(0, 3)):
        w, h = rng.uniform(0.3, 1.1), rng.uniform(0.3, 0.8)
        first, second = (
            materials.near(rng, materials.COLORS[rng.choice(materials.BRIGHT)]) for _ in range(2)
        )
        art = Look("paper", "white", first, second, kernel.PICTURE, scale=rng.uniform(0.1, 0.3))
        frame = materials.painted(rng, rng.choice(("black", "white", "brown")), "wood")
        thing = (
            Thing("wall")
            .box((0, -0.01, 0), (w, 0.02, h), frame)
            .box((0, -0.012, 0), (w - 0.06, 0.022, h - 0.06), art)
        )
        site.hang(thing, rng.uniform(1.3, min(1.8, height - 0.6)), solid=False)


def small_things(rng: Random) -> list[Callable[[], Thing]]:
    """What stands on tables."""
    return [
        lambda: objects.cup(rng), lambda: objects.cup(rng), lambda: objects.box(rng, 0.32),
        lambda: objects.ball(rng),
        lambda: small_plant(rng),
    ]  # fmt: skip


def small_plant(rng: Random) -> Thing:
    """A plant of half its size, for a table."""
    thing = objects.plant(rng)
    for part in thing.parts:
        x, y, z = part.center
        part.center = (0.45 * x, 0.45 * y, 0.45 * z)
        a, b, c = part.half
        part.half = (0.45 * a, 0.45 * b, 0.45 * c)
    return thing


def set_tables(site: Site, count: int) -> None:
    """Tables with things on them and chairs around them."""
    rng = site.rng
    for _ in range(count):
        table = objects.table(rng)
        place = (
            site.lean(table, gap=rng.uniform(0.02, 0.1))
            if table.name == "desk"
            else site.scatter(table, square=0.8)
        )
        if place is None:
            continue
        site.load(place, small_things(rng), rng.randint(0, 4))
        base = site.placed[place]
        w, d, _ = extent(table)
        if table.name == "side table":
            continue
        style = rng.getrandbits(32)
        sides = rng.sample(range(4), rng.randint(0, 4)) if table.name != "desk" else [0]
        for k in sides:
            chair = objects.chair(Random(style))  # the chairs of one table are alike
            v, e, _ = extent(chair)
            reach = (d if k % 2 == 0 else w) + e + rng.uniform(0.03, 0.25)
            yaw = base.yaw + pi + k * 0.5 * pi
            # a chair looks along its -y, at the table
            x, y = base.x - reach * sin(yaw) * -1.0, base.y + reach * cos(yaw)
            yaw += rng.uniform(-0.25, 0.25)
            if site.fits((x, y, v + 0.02, e + 0.02, yaw)):
                site.taken.append((x, y, v, e, yaw))
                site.put(chair, x, y, yaw)


def stack(site: Site, base: int, largest: float, more: float = 0.5) -> None:
    """Boxes on a thing, and smaller ones on those."""
    rng = site.rng
    for place in site.load(base, [lambda: objects.box(rng, largest)], rng.randint(1, 3)):
        if rng.random() < more and largest > 0.35:
            stack(site, place, 0.7 * largest, 0.4)


def furnish_room(site: Site, height: float) -> None:
    """What living rooms, offices and workshops hold."""
    rng = site.rng
    area = site.width * site.depth
    for _ in range(rng.randint(1, 2)):
        site.hang(objects.door(rng))
    for _ in range(rng.randint(0, 3)):
        site.hang(objects.window(rng), rng.uniform(0.85, 1.0))
    if rng.random() < 0.35:
        site.hang(objects.mirror(rng), rng.uniform(0.3, 0.9))
    for _ in range(rng.randint(0, 2)):
        maker = rng.choice((objects.shelf, objects.shelf, objects.cupboard))
        place = site.lean(maker(rng))
        if (
            place is not None
            and (site.placed[place].thing.top or (0, 0, 9))[2] < height - 0.7
            and rng.random() < 0.7
        ):
            site.load(place, small_things(rng), rng.randint(1, 3))
    for _ in range(rng.randint(0, 2) if area > 14 else rng.randint(0, 1)):
        site.lean(objects.sofa(rng), gap=rng.uniform(0.03, 0.3))
    decorate(site, height)
    set_tables(site, rng.choice((0, 1, 1, 2)) if area > 12 else rng.choice((0, 1)))
    makers: list[Callable[[], Thing]] = [
        lambda: objects.chair(rng), lambda: objects.ball(rng), lambda: objects.ball(rng),
        lambda: objects.box(rng),
        lambda: objects.box(rng, 0.6), lambda: objects.plant(rng), lambda: objects.person(rng),
        lambda: objects.barrel(rng),
        lambda: objects.cone(rng), lambda: objects.cable(rng), lambda: objects.table(rng),
    ]  # fmt: skip
    chosen = rng.sample(makers, 6)
    if rng.random() < 0.3:
        site.scatter(objects.glass(rng))
    for _ in range(round(area * rng.uniform(0.15, 0.55))):
        place = site.scatter(rng.choice(chosen)())
        if place is not None and site.placed[place].thing.class_name == "box" and rng.random() < 0.35:
            stack(site, place, 0.4)
        elif place is not None and rng.random() < 0.12:
            site.beside(objects.ball(rng), place)


def room(rng: Random) -> tuple[Site, float]:
    """A random room and the height of its ceiling in metres."""
    width, depth, height = rng.uniform(3.0, 8.0), rng.uniform(3.0, 9.0), rng.uniform(2.4, 3.3)
    site = Site(rng, "room", width, depth)
    paint = enclose(site, height)
    lamps(site, height, rng.randint(1, 2), rng.randint(1, 2), rng.uniform(0.7, 1.3))
    if rng.random() < 0.3:  # a corner walled off makes the room L-shaped
        w, d = rng.uniform(0.2, 0.4) * width, rng.uniform(0.2, 0.4) * depth
        x, y = rng.choice((-1, 1)) * 0.5 * (width - w), rng.choice((-1, 1)) * 0.5 * (depth - d)
        site.structure(Thing("wall").box((x, y, 0.5 * height), (w, d, height), paint), casts=True)
        site.taken.append((x, y, 0.5 * w, 0.5 * d, 0.0))
        for wall in site.walls:
            along = x * cos(wall.yaw) + y * sin(wall.yaw)
            half = 0.5 * (w if abs(cos(wall.yaw)) > 0.5 else d)
            if (x - wall.x) * sin(wall.yaw) - (y - wall.y) * cos(wall.yaw) < 0.5 * max(w, d) + 0.5:
                wall.taken.append((along - half - 0.02, along + half + 0.02))
    furnish_room(site, height)
    return site, height


def corridor(rng: Random) -> tuple[Site, float]:
    """A random corridor and the height of its ceiling in metres."""
    width, depth, height = rng.uniform(1.5, 3.2), rng.uniform(8.0, 22.0), rng.uniform(2.3, 3.2)
    site = Site(rng, "corridor", width, depth)
    enclose(site, height)
    lamps(site, height, 1, max(2, round(depth / rng.uniform(2.5, 4.5))), rng.uniform(1.2, 2.5))
    for _ in range(rng.randint(3, 8)):
        site.hang(objects.door(rng))
    for _ in range(rng.randint(0, 3)):
        site.hang(objects.window(rng), rng.uniform(0.85, 1.0))
    if rng.random() < 0.2:
        site.hang(objects.mirror(rng), rng.uniform(0.3, 0.9))
    decorate(site, height)
    if rng.random() < 0.3:
        flight = objects.stairs(rng, width - 0.05)
        w, d, _ = extent(flight)
        y = 0.5 * depth - d - 0.015
        if site.fits((0.0, y, w, d, 0.0)):
            site.taken.append((0.0, y, w, d, 0.0))
            site.put(flight, 0.0, y, 0.0)
    for _ in range(rng.randint(1, 4)):
        maker = rng.choice(
            (objects.shelf, objects.cupboard, objects.chair, objects.plant, objects.chair, objects.barrel)
        )
        thing = maker(rng)
        if extent(thing)[1] * 2 < 0.4 * width:
            place = site.lean(thing)
            if place is not None and rng.random() < 0.5 and thing.top and thing.top[2] < 1.5:
                site.load(place, small_things(rng), 2)
    makers = (
        objects.box,
        objects.ball,
        objects.person,
        objects.cone,
        objects.cable,
        objects.plant,
        objects.chair,
        objects.cart,
        objects.barrel,
    )
    for _ in range(rng.randint(3, 9)):
        place = site.scatter(rng.choice(makers)(rng))
        if place is not None and site.placed[place].thing.class_name == "box" and rng.random() < 0.3:
            stack(site, place, 0.4)
    return site, height


def warehouse(rng: Random) -> tuple[Site, float]:
    """A random warehouse and the height of its ceiling in metres."""
    width, depth, height = rng.uniform(11.0, 24.0), rng.uniform(14.0, 34.0), rng.uniform(4.8, 8.0)
    site = Site(rng, "warehouse", width, depth)
    enclose(site, height)
    lamps(site, height, rng.randint(2, 3), rng.randint(3, 4), rng.uniform(1.5, 2.5))
    for _ in range(rng.randint(1, 2)):
        site.hang(objects.gate(rng))
    for _ in range(rng.randint(0, 2)):
        site.hang(objects.door(rng))
    for _ in range(rng.randint(0, 4)):
        site.hang(objects.window(rng), rng.uniform(1.6, 2.8))
    style = rng.getrandbits(32)
    y = -0.5 * depth + rng.uniform(2.0, 4.0)
    while y < 0.5 * depth - 3.0:  # rows of racks with aisles between them
        x = -0.5 * width + rng.uniform(0.6, 3.0)
        while x < 0.5 * width - 3.0:
            if rng.random() < 0.75:
                thing = objects.rack(Random(style + rng.randint(0, 2)))
                w, d, high = extent(thing)
                spot = (x + w, y, w + 0.01, d + 0.01, 0.0)
                if high < height - 0.3 and site.fits(spot):
                    site.taken.append(spot)
                    site.put(thing, x + w, y, rng.choice((0.0, pi)))
            x += 2.9
        y += rng.uniform(2.8, 4.5)
    for _ in range(rng.randint(0, 2)):
        site.scatter(objects.forklift(rng))
    for _ in range(rng.randint(2, 6)):
        place = site.scatter(objects.pallet(rng), square=0.8)
        if place is not None and rng.random() < 0.75:
            if rng.random() < 0.3:
                site.load(place, [lambda: objects.barrel(rng)], 2)
            else:
                stack(site, place, 0.75)
    makers = (
        objects.box,
        objects.barrel,
        objects.cone,
        objects.person,
        objects.cart,
        objects.ball,
        objects.cable,
        objects.barrel,
        objects.box,
    )
    for _ in range(rng.randint(6, 20)):
        place = site.scatter(rng.choice(makers)(rng))
        if place is None:
            continue
        if site.placed[place].thing.class_name == "box" and rng.random() < 0.35:
            stack(site, place, 0.5)
        elif rng.random() < 0.2:
            site.beside(rng.choice((objects.box, objects.barrel, objects.cone))(rng), place)
    return site, height


def house(site: Site, x: float, y: float, w: float, d: float, h: float) -> None:
    """A building of one material with doors and windows on its four sides."""
    rng = site.rng
    look = materials.wall_look(rng, "yard")
    roof = Look(
        "tile",
        "red",
        materials.near(rng, rng.choice([(120, 60, 48), (76, 78, 84), (96, 80, 70)])),
        (60, 60, 60),
        kernel.TILES,
        scale=0.3,
        aspect=0.08,
    )
    thing = Thing("wall").box((x, y, 0.5 * h), (w, d, h), look)
    thing.box((x, y, h + 0.1), (w + 0.6, d + 0.6, 0.2), roof)
    thing.box(
        (x, y, 0.15),
        (w + 0.04, d + 0.04, 0.3),
        Look("concrete", "gray", (120, 120, 118), (100, 100, 98), kernel.CLOUDY, scale=0.6),
    )
    site.structure(thing, casts=True)
    site.taken.append((x, y, 0.5 * w + 0.35, 0.5 * d + 0.35, 0.0))
    for k, (wx, wy, length) in enumerate(
        ((x, y - 0.5 * d, w), (x + 0.5 * w, y, d), (x, y + 0.5 * d, w), (x - 0.5 * w, y, d))
    ):
        wall = Wall(wx, wy, k * 0.5 * pi, length)
        for low in range(int(h / 2.8)):
            for _ in range(rng.randint(1, max(1, round(length / 3)))):
                ground = low == 0 and rng.random() < 0.3
                piece = (
                    (objects.door(rng) if rng.random() < 0.7 or h < 4 else objects.gate(rng))
                    if ground
                    else objects.window(rng)
                )
                half = extent(piece)[0]
                s = wall.find(rng, half)
                if s is None:
                    continue
                wall.taken.append((s - half, s + half))
                px, py = wall.at(s, 0.021)  # before the plinth
                site.put(piece, px, py, wall.yaw, 0.0 if ground else 1.0 + 2.8 * low)
        wall.taken.clear()


def yard(rng: Random) -> tuple[Site, float]:
    """A random yard and the height of its ceiling in metres."""
    width, depth = rng.uniform(12.0, 28.0), rng.uniform(14.0, 36.0)
    site = Site(rng, "yard", width, depth)
    site.structure(Thing("ground").box((0, 0, -0.1), (300.0, 300.0, 0.2), materials.ground_look(rng)))
    for k in range(rng.randint(1, 3)):
        w, d, h = rng.uniform(7, 16), rng.uniform(6, 10), rng.choice((3.2, 5.8, 8.6))
        side = rng.choice((-1, 1))
        if k % 2 == 0:
            x, y = rng.uniform(-0.3, 0.3) * width, side * (0.5 * depth + 0.3 * d)
        else:
            x, y = side * (0.5 * width + 0.3 * w), rng.uniform(-0.3, 0.3) * depth
        if not any(overlap((x, y, 0.5 * w + 0.5, 0.5 * d + 0.5, 0.0), other) for other in site.taken):
            house(site, x, y, w, d, h)
    if rng.random() < 0.6:  # a fence or wall around
        h = rng.uniform(0.9, 2.2)
        look = rng.choice(
            (materials.wall_look(rng, "yard"), materials.wood(rng), materials.wall_look(rng, "warehouse"))
        )
        for sx, sy, w, d in (
            (0, 1, width, 0.14),
            (0, -1, width, 0.14),
            (1, 0, 0.14, depth),
            (-1, 0, 0.14, depth),
        ):
            if rng.random() < 0.7:
                x, y = sx * 0.5 * (width + 1.0), sy * 0.5 * (depth + 1.0)
                if not any(overlap((x, y, 0.5 * w, 0.5 * d, 0.0), other) for other in site.taken):
                    site.structure(Thing("wall").box((x, y, 0.5 * h), (w, d, h), look), casts=True)
                    site.taken.append((x, y, 0.5 * w, 0.5 * d, 0.0))
    for _ in range(rng.randint(1, 4)):
        site.scatter(rng.choice((objects.car, objects.car, objects.forklift))(rng), square=0.7, margin=0.3)
    for _ in range(rng.randint(1, 8)):
        site.scatter(rng.choice((objects.tree, objects.bush, objects.bush))(rng), margin=0.2)
    for _ in range(rng.randint(0, 3)):
        place = site.scatter(objects.pallet(rng))
        if place is not None and rng.random() < 0.6:
            stack(site, place, 0.7)
    if rng.random() < 0.25:
        site.scatter(objects.stairs(rng, rng.uniform(1.0, 2.0)))
    makers = (
        objects.person,
        objects.person,
        objects.cone,
        objects.cone,
        objects.barrel,
        objects.box,
        objects.ball,
        objects.cable,
        objects.table,
        objects.chair,
        objects.cart,
    )
    for _ in range(rng.randint(6, 22)):
        place = site.scatter(rng.choice(makers)(rng))
        if place is None:
            continue
        name = site.placed[place].thing.class_name
        if name == "table":
            site.load(place, small_things(rng), rng.randint(0, 3))
        elif name == "box" and rng.random() < 0.35:
            stack(site, place, 0.5)
        elif rng.random() < 0.2:
            site.beside(rng.choice((objects.ball, objects.cone, objects.box))(rng), place)
    return site, 0.0


def atmosphere(site: Site, height: float) -> np.ndarray:
    """Sky, ambient light and fog, as the kernel's `air`."""
    rng = site.rng
    air = np.zeros(kernel.AIR_ENTRIES)
    air[kernel.AIR_SEED] = rng.randint(0, 10000)
    cloudy = rng.random() ** 1.5
    outside = 1.0 if site.kind == "yard" else 1.8  # seen from inside, the day is bright
    clear, dull = np.array([0.16, 0.36, 0.9]), np.array([0.62, 0.66, 0.72])
    air[kernel.ZENITH : kernel.ZENITH + 3] = outside * (clear * (1 - cloudy) + dull * cloudy)
    air[kernel.HORIZON : kernel.HORIZON + 3] = outside * (
        np.array([0.72, 0.84, 0.95]) * (1 - cloudy) + 1.2 * dull * cloudy
    )
    air[kernel.CLOUDS] = rng.uniform(0.05, 0.5)
    turn, rise = rng.uniform(0, 2 * pi), rng.uniform(0.35, 1.2)
    air[kernel.SUN_DIR : kernel.SUN_DIR + 3] = cos(turn) * cos(rise), sin(turn) * cos(rise), sin(rise)
    if site.kind == "yard":
        power = rng.uniform(1.2, 2.6) * (1.0 - 0.75 * cloudy)
        low = 1.0 - rise / 1.2
        color = (power, power * (0.95 - 0.2 * low), power * (0.88 - 0.4 * low))
        site.lights.append(
            [kernel.SUN, *air[kernel.SUN_DIR : kernel.SUN_DIR + 3], *color, 0.008 + 0.1 * cloudy**2]
        )
        air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = np.array([0.36, 0.42, 0.5]) * rng.uniform(0.7, 1.2)
        air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = np.array([0.22, 0.21, 0.18]) * rng.uniform(
            0.7, 1.2
        )
        air[kernel.FOG] = rng.choice((0.0, 0.0, 0.001, 0.003, rng.uniform(0.0, 0.02)))
    else:
        base = rng.uniform(0.18, 0.42)
        air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = base * np.array([1.0, 1.0, 1.02])
        air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = base * np.array([0.92, 0.86, 0.8])
        air[kernel.FOG] = rng.uniform(0.0, 0.012) if site.kind == "warehouse" and rng.random() < 0.3 else 0.0
        half = 0.5 * site.width, 0.5 * site.depth
        air[kernel.ROOM : kernel.ROOM + 6] = -half[0], -half[1], 0.0, half[0], half[1], height
    air[kernel.FOG_COLOR : kernel.FOG_COLOR + 3] = air[kernel.HORIZON : kernel.HORIZON + 3] * 0.9
    return air


MAKERS = {"room": room, "corridor": corridor, "warehouse": warehouse, "yard": yard}


def make_world(seed: int, kind: str | None = None) -> World:
    """The world of a seed.

    kind: one of `KINDS`; None draws it from the seed, rooms most often. InputError for an unknown kind.
    """
    if kind is not None and kind not in MAKERS:
        raise InputError(f"There is no kind of world called {kind!r}; choose one of {', '.join(KINDS)}.")
    rng = Random(seed)
    drawn = rng.choices(KINDS, (5, 2, 2, 3))[0]
    site, height = MAKERS[kind or drawn](rng)
    air = atmosphere(site, height)
    free = site.free()
    objects, arrays = assemble(site.placed)
    surfaces: dict[str, str] = {}
    for p in site.placed:
        if p.thing.class_name in STRUCTURE:
            surfaces.setdefault(p.thing.class_name, p.thing.parts[0].look.material)
    return World(
        seed,
        site.kind,
        objects,
        lights=np.array(site.lights),
        air=air,
        free=free,
        surfaces=surfaces,
        prims=arrays["prims"],
        groups=arrays["groups"],
    )
