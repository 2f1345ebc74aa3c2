# SPDX-License-Identifier: Apache-2.0
"""Whole streets, drawn from a seed: roads with what drives, parks, stands, walks and grows along them.

World frame: x, y level, z up, metres. The road runs through the origin, about 250 m in all; s runs along it, t to the left.
"""

from dataclasses import dataclass, field
from math import cos, hypot, pi, sin
from random import Random

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.solids import World
from vision_banana_ros.scenes.street import buildings, furniture, people, plants, shading, vehicles
from vision_banana_ros.scenes.street.caster import StreetCaster
from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape, Thing, soup_of
from vision_banana_ros.scenes.street.paths import Path, facing

KINDS = ("city street", "residential street", "avenue", "country road", "square", "car park")
TURFS: tuple[RGB, ...] = ((108, 124, 62), (96, 112, 56), (134, 130, 76), (84, 104, 52))
REACH = 130
"""How far the road runs either way, metres."""
DRIVER, ROBOT, WALKER = range(3)
"""Who looks: from a lane, from a pavement low down, from a pavement at eye height."""


@dataclass
class StreetWorld(World):
    """`stands` (N, 5) are places for cameras: x, y, z of the ground, direction of travel, and who looks."""

    stands: np.ndarray = field(default_factory=lambda: np.zeros((0, 5)))


@dataclass
class Profile:
    """A road's cross-section, in metres: lanes each way, parking beside them, verge, pavement; `median` between the ways."""

    lanes: int
    lane: float
    median: float
    parking: tuple[bool, bool]
    verge: tuple[float, float]
    pavement: tuple[float, float]

    def edge(self, side: int) -> float:
        """From the middle to the kerb; side 0 is left."""
        return 0.5 * self.median + self.lanes * self.lane + (2.2 if self.parking[side] else 0.3)

    def back(self, side: int) -> float:
        """From the middle to the pavement's back."""
        return self.edge(side) + 0.15 + self.verge[side] + self.pavement[side]


class Street:
    """A street while it is built."""

    def __init__(self, rng: Random, kind: str):
        self.rng, self.kind = rng, kind
        self.things: list[Thing] = []
        self.ground, self.walls, self.green, self.rails = Shape(), Shape(), Shape(), Shape()
        self.round: list[tuple[float, float, float]] = []
        """Circles x, y, radius in which no camera stands."""
        self.stands: list[tuple[float, float, float, float, float]] = []
        self.hand = rng.choice((1, -1))
        """1 where one drives on the right."""
        self.mood = rng.choices(("clear", "low", "hazy", "dull", "dusk"), (4, 3.5, 3, 3, 0.8))[0]
        self.night = self.mood == "dusk"
        self.wet = 0.03 if self.mood == "dull" and rng.random() < 0.3 else 0.0
        """How far wet asphalt mirrors what it is seen under."""
        self.turf = Paint(buildings.shade_of(rng, rng.choice(TURFS)), "grass", rng.randrange(4), grime=1.0)
        self.season = rng.random()

    # ---- placing

    def put(
        self,
        mesh: Mesh,
        class_name: str,
        name: str,
        path: Path,
        s: float,
        t: float,
        yaw: float,
        z: float = 0.0,
        scale: float = 1.0,
        color: str = "mixed",
        rgb: RGB = (128, 128, 128),
        material: str = "",
        counts: bool = True,
        clear: float = 0.0,
    ) -> Thing:
        """Stand a thing beside the path; `yaw` against the path's heading, `clear` the radius that it keeps free."""
        x, y, ground, heading = path.at(s, t)
        thing = Thing(mesh, class_name, name, x, y, ground + z, heading + yaw, scale, color, rgb, material, counts)
        self.things.append(thing)
        if clear:
            self.round.append((x, y, clear))
        return thing

    def free(self, x: float, y: float, radius: float) -> bool:
        return all(hypot(x - a, y - b) > radius + r for a, b, r in self.round)

    # ---- vehicles

    def vehicle(self, path: Path, s: float, t: float, yaw: float, big: float = 0.1, lit: bool = False) -> float:
        """A car, or with the chance `big` something larger; half its length."""
        rng = self.rng
        draw = rng.random()
        name, rgb = rng.choices([(n, c) for n, c, _ in vehicles.PAINTS], [w for _, _, w in vehicles.PAINTS])[0]
        if draw < big:
            kind = rng.choice(("truck", "truck", "semi", "bus"))
            mesh = vehicles.lorry(kind, rng.randrange(vehicles.VARIANTS))
            noun = "bus" if kind == "bus" else "truck"
        else:
            kind = "van" if rng.random() < 0.12 else rng.choice(vehicles.CARS)
            mesh = vehicles.car(kind, rng.randrange(vehicles.VARIANTS))
            noun = "van" if kind == "van" else "car"
            if kind == "van" and rng.random() < 0.5:
                name, rgb = "white", (226, 227, 226)
        rgb = buildings.shade_of(rng, rgb, 0.06)
        base = mesh.paints[0]
        mesh = mesh.painted(
            p0=Paint(rgb, gloss=base.gloss, sharpness=base.sharpness, mirror=base.mirror, grime=rng.uniform(0.05, 0.4))
        )
        if lit:
            mesh = Mesh(
                mesh.corners,
                mesh.shade,
                mesh.uv,
                mesh.material,
                tuple(
                    vehicles.BRAKE
                    if p == vehicles.TAILLIGHT
                    else Paint((255, 250, 235), glow=0.8)
                    if p == vehicles.HEADLIGHT and self.night
                    else p
                    for p in mesh.paints
                ),
            )
        long = 0.5 * float(mesh.size[1])
        self.put(mesh, "vehicle", noun, path, s, t, yaw, color=name, rgb=rgb, material="metal")
        x, y, _, heading = path.at(s, t)
        across = facing(heading + yaw)  # along the thing's y
        for k in np.arange(-long + 0.9, long - 0.8, 1.2):
            self.round.append((x + k * cos(across), y + k * sin(across), 1.05))
        return long

    def someone(self, path: Path, s: float, t: float, yaw: float, pose: str = "") -> None:
        rng = self.rng
        pose = pose or rng.choice(("walk", "walk", "stand"))
        mesh = people.person(pose, rng.randrange(people.VARIANTS))
        tone = [buildings.shade_of(rng, rng.choice(people.CLOTHES)) for _ in range(3)]
        skin, hair = buildings.shade_of(rng, rng.choice(people.SKINS)), rng.choice(people.HAIR)
        mesh = mesh.painted(
            p0=Paint(tone[0], "cloth", rng.randrange(3), grime=0.15),
            p1=Paint(tone[1], "cloth", rng.randrange(3), grime=0.15),
            p2=Paint(skin, grime=0.1),
            p3=Paint(hair, grime=0.1),
            p5=Paint(tone[2], "cloth", 0, grime=0.15),
        )
        scale = rng.uniform(0.9, 1.08) if rng.random() < 0.9 else rng.uniform(0.6, 0.8)
        self.put(mesh, "person", "person", path, s, t, yaw, scale=scale, clear=0.5)
        if pose == "ride":
            self.bike(path, s, t, yaw)

    def bike(self, path: Path, s: float, t: float, yaw: float) -> None:
        rng = self.rng
        name, rgb = rng.choice([(n, c) for n, c, _ in vehicles.PAINTS])
        mesh = vehicles.bicycle(rng.randrange(8)).painted(p0=Paint(rgb, gloss=0.3, sharpness=60.0))
        self.put(mesh, "vehicle", "bicycle", path, s, t, yaw, color=name, rgb=rgb, material="metal", clear=0.6)

    def plant(self, path: Path, s: float, t: float, kind: str = "", scale: float = 0.0) -> None:
        rng = self.rng
        if kind == "bush":
            self.put(
                plants.bush(rng.randrange(10)),
                "plant",
                "bush",
                path,
                s,
                t,
                rng.uniform(0, 6.3),
                scale=scale or rng.uniform(0.6, 1.4),
                clear=1.2,
            )
            return
        kind = kind or self.species()
        mesh = plants.tree(kind, rng.randrange(plants.VARIANTS))
        self.put(mesh, "plant", "tree", path, s, t, rng.uniform(0, 6.3), z=-0.05, scale=scale or rng.uniform(0.75, 1.2), clear=0.6)

    def species(self) -> str:
        bare = 0.75 if self.season < 0.18 else 0.04
        return (
            "bare"
            if self.rng.random() < bare
            else self.rng.choice(("broad", "broad", "tall", "small", "conifer" if self.rng.random() < 0.4 else "broad"))
        )

    def stand(self, kind: str, path: Path, s: float, t: float, yaw: float) -> None:
        """A piece of street furniture."""
        _, class_name = furniture.KINDS[kind]
        mesh = furniture.piece(kind, self.rng.randrange(furniture.VARIANTS))
        self.put(mesh, class_name or kind, kind, path, s, t, yaw, clear=0.5 if kind != "bus shelter" else 2.0)

    def house(self, kind: str, variant: int, path: Path, s: float, t: float, yaw: float) -> None:
        rng = self.rng
        mesh, doors = house_of(kind, variant)
        tint = mesh.paints[0]
        changed = []
        for k, paint in enumerate(mesh.paints):
            if k == 0:
                paint = Paint(
                    buildings.shade_of(rng, tint.rgb), tint.picture, tint.copy, gloss=tint.gloss, grime=rng.uniform(0.3, 0.9)
                )
            elif paint.glow > 0.3 and not self.night:
                paint = Paint((235, 238, 240), paint.picture, paint.copy, mirror=0.15, grime=paint.grime)
            changed.append(paint)
        mesh = Mesh(mesh.corners, mesh.shade, mesh.uv, mesh.material, tuple(changed))
        thing = self.put(mesh, "wall", "building", path, s, t, yaw, z=-0.05)
        c, q = cos(thing.yaw), sin(thing.yaw)
        for door, x, y in doors:
            self.things.append(Thing(door, "door", "door", thing.x + c * x - q * y, thing.y + q * x + c * y, thing.z, thing.yaw))


HOUSES = {"city": 36, "house": 30, "office": 16, "hall": 10}
"""How many different buildings there are of each kind."""
_BUILT: dict[tuple[str, int], tuple[Mesh, list[tuple[Mesh, float, float]]]] = {}


def house_of(kind: str, variant: int) -> tuple[Mesh, list[tuple[Mesh, float, float]]]:
    """One of the buildings of a kind and its doors, built once a process."""
    if (kind, variant) not in _BUILT:
        rng = Random(f"{kind} {variant}")
        wide = {"city": (6.0, 18.0), "house": (7.0, 13.0), "office": (16.0, 36.0), "hall": (20.0, 45.0)}[kind]
        deep = 9.0 if kind == "house" else 14.0
        mesh, doors, _ = buildings.block(rng, kind, rng.uniform(*wide), lit=0.35, deep=deep)
        _BUILT[kind, variant] = mesh, doors
    return _BUILT[kind, variant]


def wide_of(kind: str, variant: int) -> float:
    return float(np.ptp(house_of(kind, variant)[0].corners[..., 0]))


# ---------------------------------------------------------------- ground


def lay_road(street: Street, path: Path, profile: Profile, gaps: list[tuple[float, float]], s0: float, s1: float) -> None:
    """Asphalt, markings, kerbs, verges and pavements from s0 to s1; beside `gaps` there is only asphalt."""
    rng, ground = street.rng, street.ground
    tone = rng.uniform(78, 160)
    road = ground.paint(
        Paint(
            (int(tone * 1.01), int(tone), int(tone * rng.uniform(0.97, 1.04))),
            "road",
            rng.randrange(6),
            grime=rng.uniform(0.4, 1.2),
            gloss=0.06,
            sharpness=10.0,
            mirror=street.wet,
        )
    )
    plain = ground.paint(Paint((int(tone * 1.01), int(tone), int(tone)), "asphalt", rng.randrange(3), grime=0.8, mirror=street.wet))
    pale = rng.uniform(120, 220)
    paving = ground.paint(
        Paint(
            (int(pale), int(pale * rng.uniform(0.93, 1.0)), int(pale * rng.uniform(0.82, 1.0))),
            *rng.choice(
                (
                    ("slabs", rng.randrange(8)),
                    ("slabs", rng.randrange(8)),
                    ("asphalt", rng.randrange(3)),
                    ("concrete", rng.randrange(4)),
                )
            ),
            grime=0.9,
        )
    )
    stone = ground.paint(Paint(buildings.shade_of(rng, (190, 188, 182)), "kerb", rng.randrange(2), grime=0.8))
    turf = ground.paint(street.turf)
    white = ground.paint(Paint((232, 232, 228), "marking", rng.randrange(3), grime=0.5, gloss=0.05))
    yellow = ground.paint(Paint((220, 180, 60), "marking", rng.randrange(3), grime=0.5))
    high = rng.uniform(0.06, 0.16)
    spans = [(s0, s1)]
    for a, b in gaps:
        spans = [(p, q) for lo, hi in spans for p, q in ((lo, min(hi, a)), (max(lo, b), hi)) if q > p]
    half = 0.5 * profile.median
    for way in (1, -1):
        for k in range(profile.lanes):
            t0 = half + k * profile.lane
            path.strip(ground, s0, s1, way * t0, way * (t0 + profile.lane), 0.0, 0.0, road, along=14.0, across=profile.lane)
        side = 0 if way > 0 else 1
        edge = profile.edge(side)
        path.strip(ground, s0, s1, way * (half + profile.lanes * profile.lane), way * edge, 0.0, 0.0, plain)
        for a, b in spans:
            path.strip(ground, a, b, way * edge, way * edge, 0.0, high, stone, 0.9)
            path.strip(ground, a, b, way * edge, way * (edge + 0.15), high, high, stone, 0.9)
            t = edge + 0.15
            if profile.verge[side] > 0:
                path.strip(ground, a, b, way * t, way * (t + profile.verge[side]), high, high + 0.03, turf, 3.0)
                t += profile.verge[side]
            path.strip(ground, a, b, way * t, way * profile.back(side), high, high + 0.02, paving, 3.0)
            if profile.parking[side] and rng.random() < 0.5:
                path.strip(ground, a, b, way * (edge - 2.2), way * (edge - 2.1), 0.004, 0.004, white, 1.0)
        for a, b in gaps:  # the mouth of a side street
            path.strip(ground, a, b, way * edge, way * profile.back(side), 0.0, 0.0, plain)
        if rng.random() < 0.4:
            for a, b in spans:
                for off in (0.25, 0.45) if rng.random() < 0.5 else (0.3,):
                    path.strip(
                        ground,
                        a,
                        b,
                        way * (edge - off - 0.1),
                        way * (edge - off),
                        0.004,
                        0.004,
                        yellow if rng.random() < 0.5 else white,
                        1.0,
                    )
    if profile.median > 0.5:
        for a, b in spans:
            path.strip(ground, a, b, -half, half, 0.12, 0.12, turf if rng.random() < 0.6 else paving, 3.0)
            for way in (1, -1):
                path.strip(ground, a, b, way * half, way * half, 0.0, 0.12, stone, 0.9)
    marked = rng.random() < 0.88
    dash, gap = rng.choice(((3.0, 6.0), (2.0, 4.0), (4.0, 2.0), (6.0, 12.0)))
    for way in (1, -1):
        lines = [half + k * profile.lane for k in range(1, profile.lanes)]
        for t in lines:
            for s in np.arange(s0, s1 - dash, dash + gap):
                if marked and not any(a - 2 < s < b + 2 for a, b in gaps):
                    path.strip(ground, s, s + dash, way * t - 0.06, way * t + 0.06, 0.004, 0.004, white, 1.0)
    if profile.median <= 0.5 and marked:
        style = rng.random()
        for a, b in spans:
            if style < 0.6:
                for s in np.arange(a, b - dash, dash + gap):
                    path.strip(ground, s, s + dash, -0.06, 0.06, 0.004, 0.004, white, 1.0)
            else:
                for t in (-0.12, 0.12) if style < 0.8 else (0.0,):
                    path.strip(ground, a, b, t - 0.05, t + 0.05, 0.004, 0.004, white if rng.random() < 0.7 else yellow, 1.0)
    for a, b in gaps:  # zebra crossings and stop lines before side streets
        for s, way in ((a - 3.0, -1), (b + 3.0, 1)):
            if rng.random() < 0.45 and s0 < s - 4 and s + 4 < s1:
                wide = profile.edge(0) - 0.5
                for t in np.arange(-wide, wide, 1.0):
                    path.strip(ground, s - 1.5, s + 1.5, t, t + 0.5, 0.005, 0.005, white, 1.0)
            if rng.random() < 0.6:
                t0, t1 = (0.1, profile.edge(0) - 0.4) if way * street.hand < 0 else (-profile.edge(1) + 0.4, -0.1)
                path.strip(ground, s + way * 2.6, s + way * 3.0, t0, t1, 0.005, 0.005, white, 1.0)
    for _ in range(rng.randint(2, 7)):  # arrows on the lanes
        if marked and profile.lanes > 0:
            k, way = rng.randrange(profile.lanes), rng.choice((1, -1))
            s, t = rng.uniform(s0 + 10, s1 - 10), way * (half + (k + 0.5) * profile.lane)
            run = -way * street.hand
            path.strip(ground, s - 1.3, s + 1.3, t - 0.08, t + 0.08, 0.004, 0.004, white, 1.0)
            ends = (s + run * 1.2, t - 0.3), (s + run * 1.2, t + 0.3), (s + run * 2.3, t), (s + run * 2.3, t)
            ground.flat(np.array([path.at(*end)[:3] for end in ends]) + (0, 0, 0.004), white, 1.0)
    for _ in range(rng.randint(0, 6)):  # covers and patches
        s, t = rng.uniform(s0, s1), rng.uniform(-1, 1) * (profile.edge(0) - 0.8)
        dark = ground.paint(Paint((60, 60, 62), "asphalt", rng.randrange(3), grime=0.6))
        w, h = rng.choice(((0.3, 0.3), (0.35, 0.35), (rng.uniform(0.3, 1.2), rng.uniform(1, 8))))
        path.strip(ground, s - h, s + h, t - w, t + w, 0.003, 0.003, dark, 4.0)


# ---------------------------------------------------------------- along the road


def fill_traffic(street: Street, path: Path, profile: Profile, gaps: list[tuple[float, float]], s0: float, s1: float) -> None:
    """Driving and parked vehicles, cyclists, and the places from which a driver looks."""
    rng = street.rng
    half = 0.5 * profile.median
    dense = rng.choice((0.0, 0.3, 0.6, 1.0, 1.6)) if street.kind != "avenue" else rng.uniform(0.5, 2.0)
    parked = rng.choice((0.0, 0.4, 0.7, 0.9))
    big = rng.choice((0.0, 0.05, 0.1, 0.3))
    for way in (1, -1):
        run = -way * street.hand  # 1: along s
        forward = facing(0.0 if run > 0 else pi)
        for k in range(profile.lanes):
            t = way * (half + (k + 0.5) * profile.lane)
            s = s0 + rng.uniform(0, 30)
            queue = rng.random() < 0.25 * dense
            while s < s1 - 6:
                if dense > 0:
                    long = street.vehicle(path, s + 3.0, t + rng.gauss(0, 0.15), forward + rng.gauss(0, 0.01), big, lit=queue)
                    if rng.random() < 0.14:
                        side = t + way * (0.5 * profile.lane - 0.5)
                        street.someone(path, s + 3.0 + long + 4.0, side, forward, "ride")
                    s += 2 * long + (rng.uniform(1.5, 5.0) if queue else rng.expovariate(dense / 22.0) + 6.0)
                else:
                    s += 50.0
            for s in np.arange(s0 + 15, s1 - 15, 2.0):
                if abs(s) < 0.75 * max(abs(s0), abs(s1)):
                    x, y, z, heading = path.at(float(s), t + rng.uniform(-0.4, 0.4))
                    street.stands.append((x, y, z, heading + (0.0 if run > 0 else pi), DRIVER))
        side = 0 if way > 0 else 1
        if profile.parking[side]:
            slots = rng.random() < parked
            s = s0 + rng.uniform(0, 5)
            while s < s1 - 6 and parked > 0:
                blocked = any(a - 5 < s < b + 5 for a, b in gaps)
                if not blocked and rng.random() < (parked if slots else 0.5 * parked):
                    turn = forward if rng.random() < 0.85 else forward + pi
                    s += 2 * street.vehicle(
                        path, s + 2.5, way * (profile.edge(side) - 1.1 + rng.gauss(0, 0.06)), turn + rng.gauss(0, 0.015), 0.03
                    )
                    s += rng.uniform(0.6, 1.6)
                else:
                    s += rng.uniform(3, 8)
        if rng.random() < 0.35:
            s = rng.uniform(s0, s1)
            street.someone(path, s, way * (profile.edge(side) - 0.8 - (2.2 if profile.parking[side] else 0.0)), forward, "ride")


def fill_pavement(
    street: Street, path: Path, profile: Profile, side: int, gaps: list[tuple[float, float]], s0: float, s1: float
) -> None:
    """Trees, lamps, signs, bins and people between the kerb and the pavement's back."""
    rng = street.rng
    way = 1 if side == 0 else -1
    edge, back = profile.edge(side) + 0.15, profile.back(side)
    z = 0.1
    road = 0.0 if side == 0 else pi  # yaw of things that face the road

    def open_(s: float) -> bool:
        return s0 < s < s1 and not any(a - 1 < s < b + 1 for a, b in gaps)

    planted = profile.verge[side] > 0.8 or (profile.pavement[side] > 3.0 and rng.random() < 0.4)
    if planted and rng.random() < 0.8:
        kind, every = street.species(), rng.uniform(6, 16)
        t = edge + (0.5 * profile.verge[side] if profile.verge[side] > 0.8 else 0.6)
        scale = rng.uniform(0.7, 1.1)
        for s in np.arange(s0 + rng.uniform(0, every), s1, every):
            if open_(s) and rng.random() < 0.85:
                street.plant(
                    path, s + rng.gauss(0, 0.4), way * t, kind if rng.random() < 0.85 else "", scale * rng.uniform(0.85, 1.15)
                )
    every = rng.uniform(20, 38)
    variant = rng.randrange(furniture.VARIANTS)
    for s in np.arange(s0 + rng.uniform(0, every), s1, every):
        if open_(s):
            street.put(
                furniture.piece("street lamp", variant),
                "street lamp",
                "street lamp",
                path,
                s,
                way * (edge + 0.45),
                road,
                z=z,
                clear=0.4,
            )
    for kind, count in (
        ("traffic sign", rng.randint(2, 10)),
        ("trash can", rng.randint(0, 6)),
        ("cabinet", rng.randint(0, 3)),
        ("bench", rng.randint(0, 3)),
        ("bus shelter", rng.randint(0, 1)),
        ("billboard", rng.randint(0, 2)),
        ("cone", rng.choice((0, 0, 0, 5))),
    ):
        if kind == "cabinet" and rng.random() < 0.5:
            continue
        for _ in range(count):
            s = rng.uniform(s0, s1)
            if not open_(s):
                continue
            if kind == "traffic sign":
                seen_by = facing(pi if way * street.hand < 0 else 0.0)  # faces those who drive towards it
                street.stand(kind, path, s, way * (edge + 0.35), seen_by + rng.gauss(0, 0.1))
            elif kind in ("trash can", "cabinet"):
                street.stand(kind, path, s, way * (back - 0.4 if rng.random() < 0.6 else edge + 0.5), road)
            elif kind in ("bench", "bus shelter"):
                street.stand(kind, path, s, way * (back - 0.8 if profile.pavement[side] > 2.2 else edge + 0.8), road)
            elif kind == "billboard":
                street.stand(kind, path, s, way * (back - 0.3), road + rng.choice((0, 0.5 * pi)))
            else:
                street.stand(kind, path, s, way * (edge - 0.5), 0.0)
    if rng.random() < 0.25:
        variant, a = rng.randrange(furniture.VARIANTS), rng.uniform(s0, s1 - 20)
        for s in np.arange(a, a + rng.uniform(10, 50), rng.uniform(1.5, 3)):
            if open_(s):
                street.put(
                    furniture.piece("bollard", variant), "bollard", "bollard", path, s, way * (edge + 0.3), 0.0, z=z, clear=0.3
                )
    for a, b in gaps:
        for s, face in ((a - 1.2, 0.0), (b + 1.2, pi)):
            if rng.random() < 0.6:
                street.stand("traffic light", path, s, way * (edge + 0.4), facing(pi - face) if rng.random() < 0.8 else road)
    busy = {"city street": 1.0, "square": 1.2, "avenue": 0.5, "residential street": 0.35, "country road": 0.05, "car park": 0.4}[
        street.kind
    ]
    for _ in range(min(30, int(rng.expovariate(1.0 / (14 * busy + 0.01))))):
        s, t = rng.uniform(s0, s1), rng.uniform(edge + 0.5, max(edge + 0.6, back - 0.5))
        if open_(s):
            street.someone(
                path, s, way * t, facing(rng.choice((0.0, pi)) + rng.gauss(0, 0.25)) if rng.random() < 0.75 else rng.uniform(0, 6.3)
            )
            if rng.random() < 0.3:
                street.someone(path, s + rng.gauss(0, 0.2), way * (t + 0.65), facing(rng.choice((0.0, pi))))
    for _ in range(rng.choice((0, 0, 1, 3))):
        s = rng.uniform(s0, s1)
        for k in range(rng.randint(1, 8)):
            if open_(s + 0.6 * k):
                street.bike(path, s + 0.6 * k, way * (back - 1.0), road + rng.gauss(0, 0.1))
    for s in np.arange(s0 + 10, s1 - 10, 1.5):
        if abs(s) < 70 and open_(s):
            x, y, g, heading = path.at(float(s), way * rng.uniform(edge + 0.3, max(edge + 0.4, back - 0.4)))
            street.stands.append((x, y, g + z, heading, rng.choice((ROBOT, ROBOT, WALKER))))


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
        street.house(kind, variant, path, s + 0.5 * wide, way * (t + rng.choice((0.0, 0.0, rng.uniform(0, 0.4)))), yaw)
        s += wide + (gap * rng.uniform(0.5, 1.5) if gap else 0.0)


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
                    Paint(buildings.shade_of(rng, rng.choice(buildings.BRICKS)), "brick", rng.randrange(6), grime=0.8),
                    Paint(buildings.shade_of(rng, rng.choice(buildings.STONES)), "ashlar", rng.randrange(4), grime=0.9),
                    Paint(buildings.shade_of(rng, rng.choice(buildings.RENDERS)), "plaster", rng.randrange(5), grime=0.9),
                )
            )
            high = rng.choice((0.5, 0.9, 1.2, 1.8))
            path.wall(street.walls, a, b, way * t, -0.05, high, 0.22, street.walls.paint(paint), 2.0)
            if high < 1.0 and rng.random() < 0.4:
                rail = street.rails.paint(Paint((40, 42, 44), "railing", rng.randrange(2), cutout=True))
                path.strip(street.rails, a, b, way * t, way * t + 0.001, high, high + 1.0, rail, along=1.0, across=1.0, upright=True)
        elif what == "hedge":
            variant = rng.randrange(10)
            for s in np.arange(a + 2.0, b - 1.9, 4.0):
                street.put(plants.hedge(variant), "plant", "hedge", path, float(s), way * (t + 0.4), 0.0, z=-0.02)
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
        setback = rng.choice((0.0, 0.0, 0.0, rng.uniform(1, 4))) if what == "city" else rng.choice((0.0, rng.uniform(2, 8)))
        lay(t, t + setback + 0.5, hard())
        row(street, path, way, what, s0, s1, t + setback, 0.0 if rng.random() < 0.75 or what == "office" else 2.5)
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
            street.plant(path, s, way * u, rng.choice(("bush", "bush", "small", "conifer")), rng.uniform(0.5, 0.9))
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
            street.plant(path, rng.uniform(s0, s1), way * (t + rng.uniform(1.2, 10)), "bush", rng.uniform(0.8, 2.0))
        treeline(street, path, way, s0, s1, t + rng.uniform(26, 40))
    elif what == "open":
        field_paint = (
            turf
            if rng.random() < 0.6
            else ground.paint(
                Paint(rng.choice(((140, 112, 80), (176, 160, 96), (120, 100, 76))), "earth", rng.randrange(3), grime=1.0)
            )
        )
        lay(t, t + 3.0, turf)
        lay(t + 3.0, t + 90.0, field_paint, 0.05, 6.0)
        if rng.random() < 0.5:
            enclosure(street, path, way, t + 2.0, s0, s1, rng.choice(("wire", "hedge", "wire", "boards")))
        for _ in range(rng.randint(0, int((s1 - s0) / 12) + 1)):
            street.plant(path, rng.uniform(s0, s1), way * (t + 2.5 + 50.0 * rng.random() ** 1.5), rng.choice(("", "", "bush")))
        treeline(street, path, way, s0, s1, t + rng.uniform(45, 90))
    elif what == "industry":
        setback = rng.uniform(10, 24)
        lay(t, t + setback + 1.0, hard())
        enclosure(street, path, way, t + 0.2, s0, s1, rng.choice(("wire", "wire", "railing", "wall", "hedge")))
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
            kind = rng.choice(("tree", "bench", "person", "person", "person", "parasol", "bike", "trash can", "street lamp"))
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
        asphalt = ground.paint(Paint((tone, tone, tone), "asphalt", rng.randrange(3), grime=1.0, gloss=0.05, mirror=street.wet))
        white = ground.paint(Paint((230, 230, 226), "marking", rng.randrange(3), grime=0.5))
        path.strip(ground, s0, s1, way * t, way * (t + deep + 0.3), 0.08, 0.08, asphalt, 4.0)
        full = rng.uniform(0.3, 0.95)
        u = t + 3.0
        while u + 5.2 < t + deep:
            for s in np.arange(s0 + 1, s1 - 2.5, 2.6):
                path.strip(ground, s - 0.05, s + 0.05, way * u, way * (u + 5.0), 0.085, 0.085, white, 1.0)
                if rng.random() < full:
                    street.vehicle(path, s + 1.3, way * (u + 2.5), yaw + rng.choice((0, pi)) + rng.gauss(0, 0.03), 0.0)
            for s in np.arange(s0 + 4, s1 - 4, 3.0):
                if abs(s) < 70:
                    x, y, g, heading = path.at(float(s), way * (u + 8.0))
                    street.stands.append((x, y, g + 0.08, heading + rng.choice((0.0, pi)), rng.choice((DRIVER, ROBOT, WALKER))))
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
        Paint(green if street.season > 0.18 else (120, 108, 90), "forest", rng.randrange(3), cutout=True, thin=0.3, grime=0.6)
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


# ---------------------------------------------------------------- light


def daylight(street: Street, way: float) -> tuple[np.ndarray, np.ndarray]:
    """Lights and air; `way` is the road's heading, which a low sun likes."""
    rng = street.rng
    air = np.zeros(shading.STREET_AIR)
    air[kernel.AIR_SEED] = rng.randint(0, 10000)
    mood = street.mood
    turn = rng.uniform(0, 2 * pi) if rng.random() < 0.6 else way + rng.choice((0, pi)) + rng.gauss(0, 0.5)
    rise = {
        "clear": rng.uniform(0.35, 1.1),
        "low": rng.uniform(0.08, 0.35),
        "hazy": rng.uniform(0.25, 1.0),
        "dull": rng.uniform(0.5, 1.2),
        "dusk": rng.uniform(0.02, 0.1),
    }[mood]
    air[kernel.SUN_DIR : kernel.SUN_DIR + 3] = cos(turn) * cos(rise), sin(turn) * cos(rise), sin(rise)
    bright = rng.uniform(0.8, 1.9)
    zenith, horizon = np.array([0.2, 0.4, 0.85]), np.array([0.75, 0.87, 1.0])
    power, sky_light, size = rng.uniform(2.0, 3.6), np.array([0.4, 0.47, 0.6]), 0.006
    cover = rng.choice((0.0, 0.15, 0.3, 0.45))
    if mood == "low":
        horizon = np.array([1.05, 0.92, 0.78])
        power, sky_light = rng.uniform(1.4, 2.8), np.array([0.3, 0.34, 0.42])
    elif mood == "hazy":
        zenith, horizon = np.array([0.55, 0.68, 0.9]), np.array([1.0, 1.02, 1.05])
        power, sky_light, size = rng.uniform(0.8, 2.0), np.array([0.6, 0.64, 0.7]), 0.02
        cover, bright = rng.uniform(0.3, 0.7), rng.uniform(1.0, 2.6)
    elif mood == "dull":
        zenith, horizon = np.array([0.68, 0.72, 0.78]), np.array([0.85, 0.87, 0.9])
        power, sky_light, size = rng.uniform(0.0, 0.25), np.array([0.8, 0.83, 0.88]), 0.4
        cover, bright = rng.uniform(0.7, 1.0), rng.uniform(0.9, 2.2)
    elif mood == "dusk":
        zenith, horizon = (
            np.array([0.08, 0.11, 0.22]),
            np.array([0.5, 0.34, 0.28]) if rng.random() < 0.6 else np.array([0.3, 0.34, 0.42]),
        )
        power, sky_light, size = rng.uniform(0.0, 0.2), np.array([0.12, 0.14, 0.19]), 0.05
        bright, cover = rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.6)
    air[kernel.ZENITH : kernel.ZENITH + 3] = bright * zenith
    air[kernel.HORIZON : kernel.HORIZON + 3] = bright * horizon
    air[kernel.CLOUDS] = cover
    air[shading.CLOUD_LIGHT] = bright * (1.1 if mood != "dusk" else 0.28)
    air[shading.GLARE] = {"clear": 0.8, "low": 1.5, "hazy": 1.0, "dull": 0.05, "dusk": 0.3}[mood] * rng.uniform(0.4, 1.2)
    low = max(0.0, 1.0 - rise / 0.6)
    fill = rng.uniform(0.45, 1.1)
    air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = fill * sky_light
    air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = (
        fill * (0.25 + 0.12 * power * sin(rise)) * np.array([0.5, 0.47, 0.42]) * (0.4 if mood == "dusk" else 1.0)
    )
    air[kernel.FOG] = rng.choice((0.0001, 0.0002, 0.0004, 0.0008, 0.0015)) if rng.random() < 0.9 else rng.uniform(0.002, 0.009)
    air[kernel.FOG_COLOR : kernel.FOG_COLOR + 3] = 0.75 * air[kernel.HORIZON : kernel.HORIZON + 3]
    lights = [
        [kernel.SUN, *air[kernel.SUN_DIR : kernel.SUN_DIR + 3], power, power * (0.95 - 0.25 * low), power * (0.88 - 0.5 * low), size]
    ]
    return np.array(lights) if power > 0.01 else np.zeros((0, kernel.LIGHT_COLUMNS)), air


# ---------------------------------------------------------------- whole worlds


def profile_of(rng: Random, kind: str) -> Profile:
    def two(draw) -> tuple[float, float]:  # type: ignore[no-untyped-def]
        a = draw()
        return (a, a) if rng.random() < 0.6 else (a, draw())

    if kind == "avenue":
        lanes = rng.choice((2, 2, 2, 3))
        return Profile(
            lanes,
            rng.uniform(3.1, 3.6),
            rng.choice((0.0, 0.3, 2.0, 5.0)),
            (rng.random() < 0.3, rng.random() < 0.3),
            two(lambda: rng.choice((0.0, 1.5, 3.5))),
            two(lambda: rng.uniform(2.0, 5.0)),
        )
    if kind == "country road":
        return Profile(
            1,
            rng.uniform(2.6, 3.6),
            0.0,
            (False, False),
            two(lambda: rng.uniform(0.8, 3.0)),
            two(lambda: rng.choice((0.3, 0.3, 1.6))),
        )
    park = (rng.random() < 0.65, rng.random() < 0.65)
    return Profile(
        rng.choice((1, 1, 1, 2)) if kind == "city street" else 1,
        rng.uniform(2.7, 3.5),
        0.0,
        park,
        two(lambda: rng.choice((0.0, 0.0, 0.0, 1.6))),
        two(lambda: rng.uniform(1.4, 4.5)),
    )


def bends(rng: Random) -> np.ndarray | float:
    """The road's curvature along its length."""
    if rng.random() < 0.5:
        return 0.0
    s = np.arange(-REACH, REACH + 1)
    out = np.zeros(len(s))
    for _ in range(rng.randint(1, 3)):
        a, wide = rng.uniform(-REACH, REACH), rng.uniform(25, 90)
        out += rng.choice((-1, 1)) / rng.uniform(70, 300) * np.exp(-(((s - a) / wide) ** 2))
    return np.clip(out, -1 / 60, 1 / 60)


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
        Paint(buildings.shade_of(rng, rng.choice(buildings.CONCRETES)), "concrete", rng.randrange(4), grime=1.0)
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
            street.walls.tubes(np.array([(px, py, -0.1)]), np.array([(px, py, low + 0.1)]), 0.5, 0.5, concrete, 10)
            street.round.append((px, py, 0.8))


def make_street_world(seed: int, kind: str | None = None) -> StreetWorld:
    """The street of a seed. It needs no models: everything in it is computed.

    :param kind: one of `KINDS`; None draws it from the seed.
    :raises InputError: for an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"There is no kind of street called {kind!r}; choose one of {', '.join(KINDS)}.")
    rng = Random(f"street {seed}")
    drawn = kind or rng.choices(KINDS, (6, 4, 4, 2.5, 1.5, 1.5))[0]
    street = Street(rng, drawn)
    profile = profile_of(rng, drawn)
    bend = bends(rng)
    gaps: list[tuple[float, float]] = []
    sides: list[tuple[float, Profile, tuple[int, ...]]] = []
    rise: np.ndarray | float = 0.0
    if drawn in ("city street", "residential street", "avenue") and rng.random() < 0.75:
        for near in rng.sample((-75, -40, 0, 35, 70), rng.randint(1, 3)):
            s = near + rng.uniform(-8, 8)
            other = profile_of(rng, "residential street")
            reach = max(other.edge(0), other.edge(1)) + 3.0
            if all(abs(s - a) > 34 for a, _, _ in sides):
                gaps.append((s - reach, s + reach))
                sides.append((s, other, (1, -1) if rng.random() < 0.6 else (rng.choice((1, -1)),)))
    elif rng.random() < 0.6:
        along = np.arange(-REACH, REACH + 1)
        hills = rng.uniform(-0.03, 0.03) * along + rng.uniform(0, 1.5) * np.sin(along / rng.uniform(25, 60) + rng.uniform(0, 6))
        rise = hills - hills[REACH]
    path = Path(-REACH, REACH, bend=bend, rise=rise)
    base = street.ground.paint(street.turf)
    path.strip(street.ground, -REACH - 120, REACH + 120, -140, 140, -0.08, -0.08, base, 5.0, step=8.0)
    lay_road(street, path, profile, gaps, -REACH, REACH)
    fill_traffic(street, path, profile, gaps, -REACH, REACH)
    for side, way in ((0, 1), (1, -1)):
        fill_pavement(street, path, profile, side, gaps, -REACH, REACH)
        open_gaps = sorted(g for g, (_, _, ways) in zip(gaps, sides, strict=True) if way in ways)
        start = -float(REACH)
        for a, b in [*open_gaps, (float(REACH), float(REACH))]:
            line_side(street, path, way, profile.back(side), start, a - 1.0)
            start = b + 1.0
    for s, other, ways in sides:
        for way in ways:
            x, y, _, heading = path.at(s)
            off = int(max(profile.back(0), profile.back(1)))
            lane = Path(0, 95, x, y, heading + way * 0.5 * pi)
            lay_road(street, lane, other, [], profile.back(0 if way > 0 else 1) - 0.1, 95)
            fill_traffic(street, lane, other, [], off + 6, 90)
            for side, hand in ((0, 1), (1, -1)):
                fill_pavement(street, lane, other, side, [], off + 6, 90)
                line_side(street, lane, hand, other.back(side), off + 16, 92)
    for s in (-REACH, REACH):
        close_end(street, path, float(s), profile)
    if rng.random() < (0.3 if drawn == "avenue" else 0.05):
        bridge(street, path, rng.choice((-1, 1)) * rng.uniform(25, 90))
    for shape, class_name, name, round_ in (
        (street.ground, "ground", "ground", False),
        (street.walls, "wall", "wall", True),
        (street.green, "plant", "trees", False),
        (street.rails, "railing", "railing", False),
    ):
        if shape.quads:
            street.things.append(Thing(shape.mesh(round_=round_), class_name, name, counts=False))
    lights, air = daylight(street, 0.0)
    objects, soup = soup_of(street.things)
    stands = np.array([p for p in street.stands if street.free(p[0], p[1], 1.6 if p[4] == DRIVER else 0.25)]).reshape(-1, 5)
    if not len(stands):
        stands = np.array([(0.0, 0.0, 0.0, 0.0, DRIVER)])
    return StreetWorld(
        seed,
        drawn,
        objects,
        prims=np.zeros((0, kernel.PRIM_COLUMNS)),
        groups=np.zeros((0, kernel.GROUP_COLUMNS)),
        lights=lights,
        air=air,
        free=np.column_stack([stands[:, :2], np.full(len(stands), 0.3)]),
        surfaces={"ground": "asphalt", "wall": "brick"},
        caster=StreetCaster(soup, lights, air),
        sunlit=not street.night,
        stands=stands,
    )
