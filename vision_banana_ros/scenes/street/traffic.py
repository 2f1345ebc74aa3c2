# SPDX-License-Identifier: Apache-2.0
"""What drives and parks on roads, and what stands and walks on pavements."""

from math import pi

import numpy as np

from vision_banana_ros.scenes.street import furniture
from vision_banana_ros.scenes.street.paths import Path, facing
from vision_banana_ros.scenes.street.roads import Profile
from vision_banana_ros.scenes.street.site import DRIVER, ROBOT, WALKER, Street


def fill_traffic(
    street: Street, path: Path, profile: Profile, gaps: list[tuple[float, float]], s0: float, s1: float
) -> None:
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
                    long = street.vehicle(
                        path, s + 3.0, t + rng.gauss(0, 0.15), forward + rng.gauss(0, 0.01), big, lit=queue
                    )
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
                        path,
                        s + 2.5,
                        way * (profile.edge(side) - 1.1 + rng.gauss(0, 0.06)),
                        turn + rng.gauss(0, 0.015),
                        0.03,
                    )
                    s += rng.uniform(0.6, 1.6)
                else:
                    s += rng.uniform(3, 8)
        if rng.random() < 0.35:
            s = rng.uniform(s0, s1)
            street.someone(
                path,
                s,
                way * (profile.edge(side) - 0.8 - (2.2 if profile.parking[side] else 0.0)),
                forward,
                "ride",
            )


def fill_pavement(
    street: Street,
    path: Path,
    profile: Profile,
    side: int,
    gaps: list[tuple[float, float]],
    s0: float,
    s1: float,
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
                    path,
                    s + rng.gauss(0, 0.4),
                    way * t,
                    kind if rng.random() < 0.85 else "",
                    scale * rng.uniform(0.85, 1.15),
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
                street.stand(
                    kind, path, s, way * (back - 0.8 if profile.pavement[side] > 2.2 else edge + 0.8), road
                )
            elif kind == "billboard":
                street.stand(kind, path, s, way * (back - 0.3), road + rng.choice((0, 0.5 * pi)))
            else:
                street.stand(kind, path, s, way * (edge - 0.5), 0.0)
    if rng.random() < 0.25:
        variant, a = rng.randrange(furniture.VARIANTS), rng.uniform(s0, s1 - 20)
        for s in np.arange(a, a + rng.uniform(10, 50), rng.uniform(1.5, 3)):
            if open_(s):
                street.put(
                    furniture.piece("bollard", variant),
                    "bollard",
                    "bollard",
                    path,
                    s,
                    way * (edge + 0.3),
                    0.0,
                    z=z,
                    clear=0.3,
                )
    for a, b in gaps:
        for s, face in ((a - 1.2, 0.0), (b + 1.2, pi)):
            if rng.random() < 0.6:
                street.stand(
                    "traffic light",
                    path,
                    s,
                    way * (edge + 0.4),
                    facing(pi - face) if rng.random() < 0.8 else road,
                )
    busy = {
        "city street": 1.0,
        "square": 1.2,
        "avenue": 0.5,
        "residential street": 0.35,
        "country road": 0.05,
        "car park": 0.4,
    }[street.kind]
    for _ in range(min(30, int(rng.expovariate(1.0 / (14 * busy + 0.01))))):
        s, t = rng.uniform(s0, s1), rng.uniform(edge + 0.5, max(edge + 0.6, back - 0.5))
        if open_(s):
            street.someone(
                path,
                s,
                way * t,
                facing(rng.choice((0.0, pi)) + rng.gauss(0, 0.25))
                if rng.random() < 0.75
                else rng.uniform(0, 6.3),
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
