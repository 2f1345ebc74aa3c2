# SPDX-License-Identifier: Apache-2.0
"""A street under construction: occupied places, and possible camera positions."""

from functools import lru_cache
from math import cos, hypot, sin
from random import Random

import numpy as np

from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.street import buildings, furniture, people, plants, vehicles
from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape, Thing
from vision_banana_ros.scenes.street.paths import Path, facing

KINDS = ("city street", "residential street", "avenue", "country road", "square", "car park")
TURFS: tuple[RGB, ...] = ((108, 124, 62), (96, 112, 56), (134, 130, 76), (84, 104, 52))
REACH = 130
"""How far the road runs either way, metres."""
DRIVER, ROBOT, WALKER = range(3)
"""Who looks: from a lane, from a pavement low down, from a pavement at eye height."""
HOUSES = {"city": 36, "house": 30, "office": 16, "hall": 10}
"""How many different buildings there are of each kind."""


@lru_cache(maxsize=128)
def house_of(kind: str, variant: int) -> tuple[Mesh, list[tuple[Mesh, float, float]]]:
    """One of the buildings of a kind and its doors, built once a process."""
    rng = Random(f"{kind} {variant}")
    wide = {"city": (6.0, 18.0), "house": (7.0, 13.0), "office": (16.0, 36.0), "hall": (20.0, 45.0)}[kind]
    mesh, doors, _ = buildings.block(
        rng, kind, rng.uniform(*wide), lit=0.35, deep=9.0 if kind == "house" else 14.0
    )
    return mesh, doors


def wide_of(kind: str, variant: int) -> float:
    """The width of a house in metres."""
    return float(np.ptp(house_of(kind, variant)[0].corners[..., 0]))


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
        self.winter = rng.random() < 0.35
        """Whether most trees are bare."""

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
        """Stand a thing beside the path.

        `yaw` against the path's heading, `clear` the radius that it keeps free.
        """
        x, y, ground, heading = path.at(s, t)
        thing = Thing(
            mesh, class_name, name, x, y, ground + z, heading + yaw, scale, color, rgb, material, counts
        )
        self.things.append(thing)
        if clear:
            self.round.append((x, y, clear))
        return thing

    def free(self, x: float, y: float, radius: float) -> bool:
        """Whether a circle is free of other round objects; metres."""
        return all(hypot(x - a, y - b) > radius + r for a, b, r in self.round)

    # ---- vehicles

    def vehicle(
        self, path: Path, s: float, t: float, yaw: float, big: float = 0.1, lit: bool = False
    ) -> float:
        """A car, or with the chance `big` something larger; half its length."""
        rng = self.rng
        draw = rng.random()
        name, rgb = rng.choices([(n, c) for n, c, _ in vehicles.PAINTS], [w for _, _, w in vehicles.PAINTS])[
            0
        ]
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
            p0=Paint(
                rgb,
                gloss=base.gloss,
                sharpness=base.sharpness,
                mirror=base.mirror,
                grime=rng.uniform(0.05, 0.4),
            )
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
        """Adds a person at arc length `s` and offset `t` of a path, in metres."""
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
        """Adds a bicycle with its rider."""
        rng = self.rng
        name, rgb = rng.choice([(n, c) for n, c, _ in vehicles.PAINTS])
        mesh = vehicles.bicycle(rng.randrange(8)).painted(p0=Paint(rgb, gloss=0.3, sharpness=60.0))
        self.put(
            mesh, "vehicle", "bicycle", path, s, t, yaw, color=name, rgb=rgb, material="metal", clear=0.6
        )

    def plant(self, path: Path, s: float, t: float, kind: str = "", scale: float = 0.0) -> None:
        """Adds a plant."""
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
        self.put(
            mesh,
            "plant",
            "tree",
            path,
            s,
            t,
            rng.uniform(0, 6.3),
            z=-0.05,
            scale=scale or rng.uniform(0.75, 1.2),
            clear=0.6,
        )

    def species(self) -> str:
        """A random species of tree."""
        bare = 0.75 if self.winter else 0.06
        return (
            "bare"
            if self.rng.random() < bare
            else self.rng.choice(
                ("broad", "broad", "tall", "small", "conifer" if self.rng.random() < 0.4 else "broad")
            )
        )

    def stand(self, kind: str, path: Path, s: float, t: float, yaw: float) -> None:
        """A piece of street furniture."""
        _, class_name = furniture.KINDS[kind]
        mesh = furniture.piece(kind, self.rng.randrange(furniture.VARIANTS))
        self.put(mesh, class_name or kind, kind, path, s, t, yaw, clear=0.5 if kind != "bus shelter" else 2.0)

    def house(self, kind: str, variant: int, path: Path, s: float, t: float, yaw: float) -> None:
        """Adds a house."""
        rng = self.rng
        mesh, doors = house_of(kind, variant)
        tint = mesh.paints[0]
        changed = []
        for k, paint in enumerate(mesh.paints):
            if k == 0:
                paint = Paint(
                    buildings.shade_of(rng, tint.rgb),
                    tint.picture,
                    tint.copy,
                    gloss=tint.gloss,
                    grime=rng.uniform(0.3, 0.9),
                )
            elif paint.glow > 0.3 and not self.night:
                paint = Paint((235, 238, 240), paint.picture, paint.copy, mirror=0.15, grime=paint.grime)
            changed.append(paint)
        mesh = Mesh(mesh.corners, mesh.shade, mesh.uv, mesh.material, tuple(changed))
        thing = self.put(mesh, "wall", "building", path, s, t, yaw, z=-0.05)
        c, q = cos(thing.yaw), sin(thing.yaw)
        for door, x, y in doors:
            self.things.append(
                Thing(
                    door, "door", "door", thing.x + c * x - q * y, thing.y + q * x + c * y, thing.z, thing.yaw
                )
            )
