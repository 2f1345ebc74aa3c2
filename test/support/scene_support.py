# SPDX-License-Identifier: Apache-2.0
"""Worlds made by hand for the tests of scenes, and what lies inside their primitives."""

import numpy as np

from vision_banana_ros.scenes import World
from vision_banana_ros.scenes import kernel as k
from vision_banana_ros.scenes.solids import Placed, Thing, assemble


def world_of(*things: Thing) -> World:
    """A world of things where they are built, under one lamp."""
    objects, arrays = assemble([Placed(thing, 0.0, 0.0, 0.0, 0.0) for thing in things])
    air = np.full(k.AIR_ENTRIES, 0.5)
    air[k.FOG] = air[k.ROOM + 3] = 0.0
    lights = np.array([[k.LAMP, 0.0, 0.0, 5.0, 3.0, 3.0, 3.0, 0.05]])
    return World(0, "room", objects, lights=lights, air=air, free=np.zeros((0, 3)), surfaces={}, **arrays)


def unit_points(world: World, p: int, points: np.ndarray) -> np.ndarray:
    matrix = world.prims[p, :12].reshape(3, 4)
    return points @ matrix[:, :3].T + matrix[:, 3]


def within(world: World, p: int, points: np.ndarray, margin_m: float) -> np.ndarray:
    """Whether points lie at least margin_m deep in a primitive."""
    half = world.prims[p, k.HALF : k.HALF + 3]
    local = unit_points(world, p, points)
    shape = world.prims[p, k.SHAPE]
    if shape == k.BOX:
        return (abs(local) * half < half - margin_m).all(-1)
    if shape == k.BALL:
        return np.linalg.norm(local, axis=-1) < 1 - margin_m / half.min()
    radius = 1 + (world.prims[p, k.TAPER] - 1) * (local[..., 2] + 1) / 2
    return (np.hypot(local[..., 0], local[..., 1]) < radius - margin_m / half[0]) & (
        abs(local[..., 2]) * half[2] < half[2] - margin_m
    )
