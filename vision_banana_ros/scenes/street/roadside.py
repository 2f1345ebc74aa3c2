# SPDX-License-Identifier: Apache-2.0
"""What lies behind the pavements: rows of houses, gardens, parks, fields, car parks, squares.

What ends and crosses a road.
"""

from math import pi

import numpy as np

from vision_banana_ros.scenes.street import buildings, plants
from vision_banana_ros.scenes.street.meshes import Paint
from vision_banana_ros.scenes.street.paths import Path
from vision_banana_ros.scenes.street.roads import Profile
from vision_banana_ros.scenes.street.site import DRIVER, HOUSES, ROBOT, WALKER, Street, wide_of

SETTINGS: dict[str, dict[str, float]] = {
    "city street": {"city": 6, "office": 2, "park": 1.5, "yard": 0.5},
    "residential street": {"houses": 6, "city": 1, "park": 1.5, "open": 0.5},
    "avenue": {"city": 3, "office": 3, "park": 4, "industry": 2, "open": 1.5},
    "country road": {"open": 5, "houses": 1.5, "wood": 4, "industry": 0.5},
    "square": {"square": 3, "city": 2, "park": 1},
    "car park": {"car park": 5, "industry": 1, "office": 1, "park": 1},
}


def line_side(street: Street, path: Path, way: int, t: float, s0: float, s1: float) -> None:
    """What lies behind the pavement, in stretches of 30-120 m."""
    rng = street.rng
    s = s0
    while s < s1 - 4:
        end = min(s1, s + rng.uniform(30, 120))
        if s1 - end < 15:
            end = s1
        table = SETTINGS[street.kind]
        what = rng.choices(list(table), list(table.values()))[0]
        fill_side(street, path, way, what, t, s, end)
        s = end


def row(street: Street, path: Path, way: int, kind: str, s0: float, s1: float, t: float, gap: float) -> None:
    """Buildings side by side from s0 to s1 with their fronts at t."""
    rng = street.rng
    yaw = 0.0 if way > 0 else pi
    s = s0
    while s < s1 - 5.0:
        variant = rng.randrange(HOUSES[kind])
        wide = wide_of(kind, variant)
        if s + wide > s1:
            fits = [v for v in range(HOUSES[kind]) if wide_of(kind, v) <= s1 - s]
            if not fits:
                break
            variant = rng.choice(fits)
            wide = wide_of(kind, variant)
        street.house(
            kind, variant, path, s + 0.5 * wide, way * (t + rng.choice((0.0, 0.0, rng.uniform(0, 0.4)))), yaw
        )
        s += wide + (gap * rng.uniform(0.5, 1.5) if gap else 0.0)


def enclosure(street: Street, path: Path, way: int, t: float, s0: float, s1: float, what: str = "") -> None:
    """A garden wall, hedge, fence or railing along t, with gaps for drives."""
    rng = street.rng
    what = what or rng.choice(("wall", "wall", "hedge", "hedge", "boards", "railing", "wire", "none"))
    a = s0
    while a < s1 - 1:
        b = min(s1, a + rng.uniform(8, 30))
        if what == "wall":
            paint = rng.choice(
                (
                    Paint(
                        buildings.shade_of(rng, rng.choice(buildings.BRICKS)),
                        "brick",
                        rng.randrange(6),
                        grime=0.8,
                    ),
                    Paint(
                        buildings.shade_of(rng, rng.choice(buildings.STONES)),
                        "ashlar",
                        rng.randrange(4),
                        grime=0.9,
                    ),
                    Paint(
                        buildings.shade_of(rng, rng.choice(buildings.RENDERS)),
                        "plaster",
                        rng.randrange(5),
                        grime=0.9,
                    ),
                )
            )
            high = rng.choice((0.5, 0.9, 1.2, 1.8))
            path.wall(street.walls, a, b, way * t, -0.05, high, 0.22, street.walls.paint(paint), 2.0)
            if high < 1.0 and rng.random() < 0.4:
                rail = street.rails.paint(Paint((40, 42, 44), "railing", rng.randrange(2), cutout=True))
                path.strip(
                    street.rails,
                    a,
                    b,
                    way * t,
                    way * t + 0.001,
                    high,
                    high + 1.0,
                    rail,
                    along=1.0,
                    across=1.0,
                    upright=True,
                )
        elif what == "hedge":
            variant = rng.randrange(10)
            for s in np.arange(a + 2.0, b - 1.9, 4.0):
                street.put(
                    plants.hedge(variant), "plant", "hedge", path, float(s), way * (t + 0.4), 0.0, z=-0.02
                )
        elif what == "boards":
            tone = rng.choice(((150, 116, 84), (120, 96, 76), (170, 160, 148), (90, 100, 90)))
            path.wall(
                street.walls,
                a,
                b,
                way * t,
                -0.05,
                rng.uniform(1.0, 1.9),
                0.04,
                street.walls.paint(Paint(tone, "boards", rng.randrange(3), grime=0.9)),
                2.0,
            )
        elif what in ("railing", "wire"):
            tone = (40, 42, 44) if what == "railing" else (120, 126, 122)
            rail = street.rails.paint(Paint(tone, what, rng.randrange(2), cutout=True))
            high = rng.uniform(0.9, 1.4) if what == "railing" else rng.uniform(1.2, 2.2)
            path.strip(
                street.rails,
                a,
                b,
                way * t,
                way * t + 0.001,
                0.0,
                high,
                rail,
                along=1.0 if what == "railing" else 2.0,
                across=high,
                upright=True,
            )
        a = b + rng.uniform(2.5, 4.0)


def fill_side(street: Street, path: Path, way: int, what: str, t: float, s0: float, s1: float) -> None:
    """One stretch of what lies behind the pavement (from t outwards)."""
    rng, ground = street.rng, street.ground
    turf = ground.paint(street.turf)
    yaw = 0.0 if way > 0 else pi

    def lay(t0: float, t1: float, paint: int, z: float = 0.1, metres: float = 3.0) -> None:
        path.strip(ground, s0, s1, way * t0, way * t1, z, z, paint, metres)

    def hard() -> int:
        pale = rng.uniform(110, 200)
        return ground.paint(
            Paint(
                (int(pale), int(0.97 * pale), int(0.93 * pale)),
                rng.choice(("slabs", "asphalt", "concrete")),
                rng.randrange(8),
                grime=0.9,
            )
        )

    if what in ("city", "office"):
        setback = (
            rng.choice((0.0, 0.0, 0.0, rng.uniform(1, 4)))
            if what == "city"
            else rng.choice((0.0, rng.uniform(2, 8)))
        )
        lay(t, t + setback + 0.5, hard())
        row(
            street,
            path,
            way,
            what,
            s0,
            s1,
            t + setback,
            0.0 if rng.random() < 0.75 or what == "office" else 2.5,
        )
        if setback > 2.5 and rng.random() < 0.6:
            enclosure(street, path, way, t + 0.1, s0, s1)
    elif what == "houses":
        setback = rng.uniform(2.5, 9.0)
        lay(t, t + setback + 24.0, turf)
        row(street, path, way, "house", s0, s1, t + setback, rng.choice((0.0, 2.5, 5.0)))
        enclosure(street, path, way, t + 0.15, s0, s1)
        drive = hard()
        for _ in range(rng.randint(1, 5)):
            s = rng.uniform(s0 + 2, max(s0 + 2.1, s1 - 2))
            path.strip(ground, s - 1.4, s + 1.4, way * t, way * (t + setback), 0.11, 0.11, drive, 3.0)
            if setback > 5.2 and rng.random() < 0.6:
                street.vehicle(path, s, way * (t + 0.5 * setback), yaw + rng.choice((0, pi)), 0.0)
        for _ in range(int((s1 - s0) / 6)):
            s, u = rng.uniform(s0, s1), t + rng.uniform(0.8, max(0.9, setback - 0.8))
            street.plant(
                path, s, way * u, rng.choice(("bush", "bush", "small", "conifer")), rng.uniform(0.5, 0.9)
            )
        for _ in range(int((s1 - s0) / 12)):
            street.plant(path, rng.uniform(s0, s1), way * (t + setback + rng.uniform(11, 20)))
    elif what in ("park", "wood"):
        lay(t, t + 60.0, turf)
        if what == "park" and rng.random() < 0.7:
            enclosure(street, path, way, t + 0.3, s0, s1, rng.choice(("railing", "wall", "hedge", "none")))
        count = int((s1 - s0) * (0.25 if what == "wood" else 0.14))
        near = 2.5 if what == "wood" else 3.5
        for _ in range(count):
            u = near + 22.0 * rng.random() ** 1.3
            street.plant(path, rng.uniform(s0, s1), way * (t + u))
        for _ in range(int((s1 - s0) / 7)):
            street.plant(
                path, rng.uniform(s0, s1), way * (t + rng.uniform(1.2, 10)), "bush", rng.uniform(0.8, 2.0)
            )
        treeline(street, path, way, s0, s1, t + rng.uniform(26, 40))
    elif what == "open":
        field_paint = (
            turf
            if rng.random() < 0.6
            else ground.paint(
                Paint(
                    rng.choice(((140, 112, 80), (176, 160, 96), (120, 100, 76))),
                    "earth",
                    rng.randrange(3),
                    grime=1.0,
                )
            )
        )
        lay(t, t + 3.0, turf)
        lay(t + 3.0, t + 90.0, field_paint, 0.05, 6.0)
        if rng.random() < 0.5:
            enclosure(street, path, way, t + 2.0, s0, s1, rng.choice(("wire", "hedge", "wire", "boards")))
        for _ in range(rng.randint(0, int((s1 - s0) / 12) + 1)):
            street.plant(
                path,
                rng.uniform(s0, s1),
                way * (t + 2.5 + 50.0 * rng.random() ** 1.5),
                rng.choice(("", "", "bush")),
            )
        treeline(street, path, way, s0, s1, t + rng.uniform(45, 90))
    elif what == "industry":
        setback = rng.uniform(10, 24)
        lay(t, t + setback + 1.0, hard())
        enclosure(
            street, path, way, t + 0.2, s0, s1, rng.choice(("wire", "wire", "railing", "wall", "hedge"))
        )
        row(street, path, way, "hall", s0, s1, t + setback, rng.uniform(3, 8))
        for s in np.arange(s0 + 3, s1 - 3, 2.9):
            if rng.random() < 0.5:
                street.vehicle(path, s, way * (t + setback - 4.0), yaw + rng.choice((0, pi)), 0.05)
    elif what == "square":
        wide = rng.uniform(18, 42)
        lay(t, t + wide + 0.5, hard())
        row(street, path, way, "city", s0, s1, t + wide, 0.0)
        for _ in range(min(30, int((s1 - s0) * wide / 130))):
            s, u = rng.uniform(s0, s1), t + rng.uniform(2, wide - 3)
            kind = rng.choice(
                ("tree", "bench", "person", "person", "person", "parasol", "bike", "trash can", "street lamp")
            )
            if kind == "tree":
                street.plant(path, s, way * u)
            elif kind == "person":
                street.someone(path, s, way * u, rng.uniform(0, 6.3))
            elif kind == "bike":
                street.bike(path, s, way * u, rng.uniform(0, 6.3))
            else:
                street.stand(kind, path, s, way * u, rng.uniform(0, 6.3))
        for s in np.arange(s0 + 4, s1 - 4, 3.0):
            if abs(s) < 70:
                x, y, g, heading = path.at(float(s), way * (t + rng.uniform(1, wide - 3)))
                street.stands.append((x, y, g + 0.1, rng.uniform(0, 6.3), rng.choice((ROBOT, WALKER))))
    elif what == "car park":
        deep = rng.uniform(24, 48)
        tone = int(rng.uniform(84, 140))
        asphalt = ground.paint(
            Paint((tone, tone, tone), "asphalt", rng.randrange(3), grime=1.0, gloss=0.05, mirror=street.wet)
        )
        white = ground.paint(Paint((230, 230, 226), "marking", rng.randrange(3), grime=0.5))
        path.strip(ground, s0, s1, way * t, way * (t + deep + 0.3), 0.08, 0.08, asphalt, 4.0)
        full = rng.uniform(0.3, 0.95)
        u = t + 3.0
        while u + 5.2 < t + deep:
            for s in np.arange(s0 + 1, s1 - 2.5, 2.6):
                path.strip(ground, s - 0.05, s + 0.05, way * u, way * (u + 5.0), 0.085, 0.085, white, 1.0)
                if rng.random() < full:
                    street.vehicle(
                        path, s + 1.3, way * (u + 2.5), yaw + rng.choice((0, pi)) + rng.gauss(0, 0.03), 0.0
                    )
            for s in np.arange(s0 + 4, s1 - 4, 3.0):
                if abs(s) < 70:
                    x, y, g, heading = path.at(float(s), way * (u + 8.0))
                    street.stands.append(
                        (x, y, g + 0.08, heading + rng.choice((0.0, pi)), rng.choice((DRIVER, ROBOT, WALKER)))
                    )
            u += 11.5 if rng.random() < 0.6 else 5.1
        if rng.random() < 0.5:
            row(street, path, way, rng.choice(("hall", "office", "city")), s0, s1, t + deep, 2.0)
        else:
            treeline(street, path, way, s0, s1, t + deep + 6)
            for _ in range(int((s1 - s0) / 9)):
                street.plant(path, rng.uniform(s0, s1), way * (t + deep + rng.uniform(1, 6)))
        for _ in range(rng.randint(0, 5)):
            street.someone(path, rng.uniform(s0, s1), way * (t + rng.uniform(2, deep)), rng.uniform(0, 6.3))
    else:
        lay(t, t + 14.0, hard())
        enclosure(street, path, way, t + 0.15, s0, s1, "wall")
        row(street, path, way, "city", s0, s1, t + 12.0, 0.0)
        for _ in range(int((s1 - s0) / 8)):
            street.plant(path, rng.uniform(s0, s1), way * (t + rng.uniform(2, 10)))


def treeline(street: Street, path: Path, way: int, s0: float, s1: float, t: float) -> None:
    """The edge of a wood that nobody comes near: a standing picture with holes along its top."""
    rng = street.rng
    green = rng.choice(plants.GREENS[:-1])
    paint = street.green.paint(
        Paint(
            (120, 108, 90) if street.winter else green,
            "forest",
            rng.randrange(3),
            cutout=True,
            thin=0.3,
            grime=0.6,
        )
    )
    high = rng.uniform(8, 16)
    for k in range(2):
        off = 3.0 * k
        path.strip(
            street.green,
            s0 - 4,
            s1 + 4,
            way * (t + off),
            way * (t + off) + 0.001,
            -0.5,
            high + 2.0 * k,
            paint,
            along=2.2 * high,
            across=high + 0.5 + 2.0 * k,
            upright=True,
        )


def close_end(street: Street, path: Path, s: float, profile: Profile) -> None:
    """What one sees at the end of the road: a row of houses or a wood across it."""
    rng = street.rng
    x, y, _, heading = path.at(s)
    outward = 1 if s > 0 else -1
    across = Path(-90, 90, x, y, heading + outward * 0.5 * pi)
    t = -rng.uniform(8, 40)  # right of a path that turns left is further out
    if rng.random() < 0.55 and street.kind != "country road":
        row(street, across, -1, rng.choice(("city", "city", "house", "office")), -60, 60, -t, 0.0)
    else:
        treeline(street, across, -1, -90, 90, -t)
        for _ in range(14):
            street.plant(across, rng.uniform(-50, 50), t - rng.uniform(-3, 1))


def bridge(street: Street, path: Path, s: float) -> None:
    """A flyover across the road, on pillars."""
    rng = street.rng
    x, y, z, heading = path.at(s)
    over = Path(-100, 100, x, y, heading + 0.5 * pi + rng.gauss(0, 0.25))
    concrete = street.walls.paint(
        Paint(
            buildings.shade_of(rng, rng.choice(buildings.CONCRETES)), "concrete", rng.randrange(4), grime=1.0
        )
    )
    wide, low, deck = rng.uniform(4, 9), rng.uniform(4.6, 6.5), rng.uniform(0.7, 1.5)
    over.strip(street.walls, -100, 100, wide, -wide, low, low, concrete, 4.0)
    for side in (-1, 1):
        over.strip(street.walls, -100, 100, side * wide, side * wide + 0.001, low, low + deck, concrete, 4.0)
        rail = street.rails.paint(Paint((90, 92, 94), "railing", 0, cutout=True))
        over.strip(
            street.rails,
            -100,
            100,
            side * wide,
            side * wide + 0.001,
            low + deck,
            low + deck + 1.1,
            rail,
            along=1.5,
            across=1.1,
            upright=True,
        )
    over.strip(street.walls, -100, 100, -wide, wide, low + deck, low + deck, concrete, 4.0)
    for a in (-34, -17, 17, 34, 60, -60):
        for t in (-0.6 * wide, 0.6 * wide):
            px, py, _, _ = over.at(a, t)
            street.walls.tubes(
                np.array([(px, py, -0.1)]), np.array([(px, py, low + 0.1)]), 0.5, 0.5, concrete, 10
            )
            street.round.append((px, py, 0.8))
