# SPDX-License-Identifier: Apache-2.0
"""Samples camera poses for a robot in a world."""

from math import radians

import numpy as np

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.cameras import Camera, look_from, pinhole
from vision_banana_ros.scenes.solids import World


def glance(world: World, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """A very small picture of what the camera would see: depth (inf for sky) and instances, (18, 24)."""
    a, b = 24 / camera.width, 18 / camera.height
    cx, cy = (camera.cx + 0.5) * a - 0.5, (camera.cy + 0.5) * b - 0.5
    small = Camera(24, 18, camera.fx * a, camera.fy * b, cx, cy, camera.pose)
    if world.caster is not None:
        return world.caster.glance(small)
    eye = small.eye()
    items, nears, starts, columns = kernel.tiles(eye, world.prims, 18, 24)
    depth = np.empty((18, 24))
    who = np.empty((18, 24), np.int32)
    kernel.trace_image(eye, world.prims, items, nears, starts, columns, depth, who)
    instances = np.where(who >= 0, world.prims[who, kernel.INSTANCE], 0).astype(int)
    return np.where(who >= 0, depth, np.inf), instances


def interest(depth: np.ndarray, instances: np.ndarray, nearest: float = 0.6) -> float:
    """How worth looking at a view is.

    Below zero where it stares into a wall, nearer than `nearest` m, or at the sky.
    """
    seen = np.isfinite(depth)
    if seen.mean() < 0.25 or depth.min() < 0.12:
        return -1.0
    near = np.median(depth[seen])
    if near < nearest:
        return -1.0
    counts = np.bincount(instances.ravel())[1:]
    share = counts[counts > 0] / depth.size
    if not len(share):
        return -0.5
    # many things, none of which fills the picture
    return float(np.sqrt(np.minimum(share, 0.15)).sum() - 2.0 * max(0.0, share.max() - 0.5))


WANTED = {
    "stairs": 6.0, "mirror": 6.0, "glass": 6.0, "cone": 5.0, "cable": 6.0, "ball": 6.0, "cup": 5.0,
    "barrel": 4.0, "pallet": 3.0,
    "sofa": 4.0, "box": 2.5, "person": 2.0, "vehicle": 2.0, "plant": 1.2, "chair": 1.5, "table": 2.0,
    "shelf": 1.0, "door": 1.0,
    "window": 0.5,
}  # fmt: skip
"""How often cameras turn to a thing of a class: rare and small ones more often. All other things:
`OTHERS`."""
OTHERS = 0.3
AHEAD = 0.35
"""Share of the cameras of a driving robot, which see what lies ahead, mostly floor, and choose nothing."""
CLOSE = 0.2
"""Share of the cameras that look at one thing from as near as its size asks for."""


def close_look(
    world: World, rng: np.random.Generator, chances: np.ndarray, top: float
) -> tuple[float, float, float, float, float]:
    """x, y, z, yaw and pitch (radians) of a camera near an object, mostly above it, looking at it."""
    thing = world.objects[int(rng.choice(len(chances), p=chances))]
    w, d, h = thing.size_m
    away = 0.2 + max(0.5 * (w * w + d * d) ** 0.5, 0.6 * h) * rng.uniform(1.3, 4.0)
    turn = rng.uniform(0, 2 * np.pi)
    x, y = thing.center[0] + away * np.cos(turn), thing.center[1] + away * np.sin(turn)
    if world.kind != "yard":
        low, high = (
            world.air[kernel.ROOM : kernel.ROOM + 2] + 0.12,
            world.air[kernel.ROOM + 3 : kernel.ROOM + 5] - 0.12,
        )
        x, y = np.clip(x, low[0], high[0]), np.clip(y, low[1], high[1])
    z = np.clip(thing.center[2] + rng.uniform(-0.2, 0.8) * max(away, 0.3), 0.1, top)
    dx, dy = thing.center[0] - x, thing.center[1] - y
    pitch = np.arctan2(z - thing.center[2], max(np.hypot(dx, dy), 1e-3))
    return (
        float(x),
        float(y),
        float(z),
        float(np.arctan2(dy, dx) + rng.normal(0, 0.15)),
        float(pitch + rng.normal(0, 0.1)),
    )


def sample_camera(
    world: World, rng: np.random.Generator, width: int, height: int, edition: int = 2
) -> Camera:
    """A camera at a free place of the world.

    Height 0.1-2.5 m, pitch -20 to +60 degrees (down positive), roll up to 10 degrees either way, horizontal
    field of view 35-110 degrees. One in three is that of a driving robot, 0.2-1.5 m high, wherever it looks.
    The others are the most interesting of several random ones and turn to rare objects more often than to
    others: one in five of all looks at one object from nearby; of the rest most are level, 50-90 degrees
    wide, and one in four is as low as a small robot's.
    edition: 1 for the cameras of 0.1: none of a driving robot, fewer of them low, and 45-110 degrees wide.
    """
    targets = np.array([o.center[:2] for o in world.objects]).reshape(-1, 2)
    chances = np.array([WANTED.get(o.class_name, OTHERS) for o in world.objects])
    chances /= max(chances.sum(), 1e-9)
    kind = rng.random() if edition > 1 else 1.0
    ahead, close = kind < AHEAD, AHEAD <= kind < AHEAD + CLOSE and len(targets) > 0
    top = 2.5 if world.kind == "yard" else min(2.5, world.air[kernel.ROOM + 5] - 0.2)
    spots = world.free if len(world.free) else np.array([(0.0, 0.0, 0.3)])
    best, camera = -np.inf, None
    for _ in range(8):
        x, y, _ = spots[rng.integers(len(spots))]
        z = np.clip(rng.uniform(0.1, top) if rng.random() < 0.35 else rng.normal(1.2, 0.4), 0.1, top)
        if edition > 1 and rng.random() < 0.25:
            z = rng.uniform(0.15, 0.8)
        yaw = rng.uniform(0, 2 * np.pi)
        if len(targets) and rng.random() < 0.7:  # towards something, not into its middle
            tx, ty = targets[
                rng.integers(len(targets)) if edition == 1 else rng.choice(len(targets), p=chances)
            ]
            yaw = np.arctan2(ty - y, tx - x) + rng.normal(0, 0.25)
        pitch = rng.uniform(-20, 60) if rng.random() < 0.2 else rng.normal(3.0 + 4.0 * z, 8.0)
        roll = rng.normal(0, 2.5) if rng.random() < 0.7 else rng.uniform(-10, 10)
        fov = rng.uniform(50, 90) if rng.random() < 0.75 else rng.uniform(45, 110)
        if edition > 1 and rng.random() < 0.15:
            fov = rng.uniform(35, 60)
        if close:
            x, y, z, yaw, pitch = close_look(world, rng, chances, top)
            pitch = np.degrees(pitch)
        if ahead:
            z, yaw = min(rng.uniform(0.2, 1.5), top), rng.uniform(0, 2 * np.pi)
            pitch, roll, fov = rng.normal(5.0, 7.0), rng.normal(0, 1.5), rng.uniform(45, 95)
        pitch, roll = np.clip(pitch, -20, 60), np.clip(roll, -10, 10)
        pose = look_from(float(x), float(y), float(z), float(yaw), radians(pitch), radians(roll))
        drawn = pinhole(width, height, radians(fov), pose)
        worth = interest(*glance(world, drawn), 0.25 if close else 0.6)
        if worth > best:
            best, camera = worth, drawn
        if best > 0.7 or (ahead and best > -1.0):
            break
    assert camera is not None
    return camera
