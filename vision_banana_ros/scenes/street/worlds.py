# SPDX-License-Identifier: Apache-2.0
"""Whole streets, drawn from a seed: roads with what drives, parks, stands, walks and grows along them.

World frame: x, y level, z up, metres. The road runs through the origin, about 250 m in all; s runs along it,
t to the left.
"""

from dataclasses import dataclass, field
from math import pi
from random import Random

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.solids import World
from vision_banana_ros.scenes.street.caster import StreetCaster
from vision_banana_ros.scenes.street.daylight import daylight
from vision_banana_ros.scenes.street.meshes import Thing, soup_of
from vision_banana_ros.scenes.street.paths import Path
from vision_banana_ros.scenes.street.roads import Profile, bends, lay_road, profile_of
from vision_banana_ros.scenes.street.roadside import bridge, close_end, line_side
from vision_banana_ros.scenes.street.site import DRIVER, KINDS, REACH, Street
from vision_banana_ros.scenes.street.traffic import fill_pavement, fill_traffic


@dataclass
class StreetWorld(World):
    """`stands` (N, 5) are places for cameras: x, y, z of the ground, direction of travel, and who looks."""

    stands: np.ndarray = field(default_factory=lambda: np.zeros((0, 5)))


def make_street_world(seed: int, kind: str | None = None) -> StreetWorld:
    """The street of a seed, which is entirely procedural.

    kind: one of `KINDS`; None draws it from the seed. InputError for an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"There is no kind of street called {kind!r}; choose one of {', '.join(KINDS)}.")
    rng = Random(f"street {seed}")
    drawn = kind or rng.choices(KINDS, (8, 4, 4, 2, 1.5, 1.5))[0]
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
        hills = rng.uniform(-0.03, 0.03) * along + rng.uniform(0, 1.5) * np.sin(
            along / rng.uniform(25, 60) + rng.uniform(0, 6)
        )
        rise = hills - hills[REACH]
    # in a bend, what lies far inside it would close the mouths of side streets
    path = Path(-REACH, REACH, bend=0.25 * bend if sides else bend, rise=rise)
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
    stands = np.array(
        [p for p in street.stands if street.free(p[0], p[1], 1.6 if p[4] == DRIVER else 0.25)]
    ).reshape(-1, 5)
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
