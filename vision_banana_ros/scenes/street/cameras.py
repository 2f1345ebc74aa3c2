# SPDX-License-Identifier: Apache-2.0
"""Where a camera may be in a street: behind a windscreen, on a robot's mast, in a hand."""

from math import pi, radians

import numpy as np

from vision_banana_ros.scenes.cameras import Camera, look_from, pinhole
from vision_banana_ros.scenes.street.site import DRIVER, ROBOT
from vision_banana_ros.scenes.street.worlds import StreetWorld
from vision_banana_ros.scenes.viewpoints import glance

#: Ratio of width to height above which a picture is a panorama, which nearly always comes from a vehicle.
PANORAMA = 2.5


def worth(depth: np.ndarray, people: bool) -> float:
    """A score of a camera position.

    Negative if an object is right in front of the lens or nothing is visible; highest with near and far
    objects and people.
    """
    seen = np.isfinite(depth)
    if seen.mean() < 0.3 or depth.min() < 0.25:
        return -1.0
    near = depth[seen]
    if np.median(near) < 1.2:
        return -0.5
    return float(min(0.6, np.std(np.log(near)))) + 0.3 * people


def sample_street_camera(world: StreetWorld, rng: np.random.Generator, width: int, height: int) -> Camera:
    """A camera at one of the world's stands.

    Half of them, and nearly all of panoramas, look along the road from 1.2-2.0 m, dashboard to roof (some
    lorries: 2.8 m), through a lens of 35-90 degrees, level but for a few; of the others two thirds are robots
    at 0.2-1.2 m that look anywhere, and the rest pedestrians.
    """
    stands = world.stands
    people = np.array([o.instance for o in world.objects if o.class_name == "person"])
    drivers = 0.9 if width > PANORAMA * height else 0.55
    best, camera = -np.inf, None
    for _ in range(6):
        draw = rng.random()
        who = DRIVER if draw < drivers else ROBOT if draw < 0.5 + drivers / 2 else ROBOT + 1
        found = stands[stands[:, 4] == who]
        x, y, z, heading, _ = (found if len(found) else stands)[
            rng.integers(len(found) if len(found) else len(stands))
        ]
        fov = rng.uniform(35, 90)
        roll, pitch = rng.normal(0, 1.0), rng.normal(0, 2.5)
        if who == DRIVER:
            up = rng.uniform(1.2, 2.0) if rng.random() < 0.9 else rng.uniform(2.0, 2.8)
            yaw = heading + radians(rng.normal(0, 5.0)) + (pi if rng.random() < 0.12 else 0.0)
            if rng.random() < 0.12:
                yaw = heading + rng.uniform(-pi, pi)
        else:
            up = rng.uniform(0.2, 1.2) if who == ROBOT else rng.uniform(1.4, 1.8)
            yaw = (
                heading + rng.uniform(-pi, pi)
                if rng.random() < 0.6
                else heading + rng.choice((0.0, pi)) + rng.normal(0, 0.4)
            )
            pitch, roll = rng.normal(2.0, 6.0), rng.normal(0, 2.0)
            fov = rng.uniform(45, 100)
        pose = look_from(float(x), float(y), float(z) + up, float(yaw), radians(pitch), radians(roll))
        drawn = pinhole(width, height, radians(fov), pose)
        depth, instances = glance(world, drawn)
        value = worth(depth, bool(np.isin(instances, people).any()))
        if value > best:
            best, camera = value, drawn
        if best > 0.7:
            break
    assert camera is not None
    return camera
