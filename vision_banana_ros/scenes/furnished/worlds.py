# SPDX-License-Identifier: Apache-2.0
"""Whole furnished worlds, drawn from a seed: rooms, halls and yards, where nothing floats or interpenetrates.

World frame: x, y on the floor, z up, metres; the floor is z = 0 and the origin lies in its middle.
"""

from pathlib import Path
from random import Random

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.furnished.embree import EmbreeCaster
from vision_banana_ros.scenes.furnished.halls import HALLS, hall_of
from vision_banana_ros.scenes.furnished.home import time_of_day
from vision_banana_ros.scenes.furnished.library import Split, default_folder, library_at
from vision_banana_ros.scenes.furnished.pieces import assemble
from vision_banana_ros.scenes.furnished.rooms import indoors, outdoors
from vision_banana_ros.scenes.solids import World
from vision_banana_ros.scenes.worlds import atmosphere

ROOMS = ("living room", "bedroom", "kitchen", "bathroom", "office", "workshop", "yard")
ROOM_WEIGHTS = (4, 3, 3, 2, 3, 2, 4)
KINDS = (*ROOMS, *HALLS)


def make_furnished_world(
    seed: int, split: Split = "train", kind: str | None = None, folder: Path | None = None, edition: int = 2
) -> World:  # fmt: skip
    """The furnished world of a seed; the same catalogue gives the same world.

    split: "test" uses only held-out models, "train" only the others. kind: one of `KINDS`; None draws it from
    the seed. folder: that of `vision-banana scenes fetch`; None for the default. edition: 1 for the worlds of
    0.1, 2 for the current ones. InputError for an unknown kind or split, and if there are no models.
    """
    kinds = KINDS if edition > 1 else ROOMS
    if kind is not None and kind not in kinds:
        raise InputError(
            f"There is no kind of furnished world called {kind!r}; choose one of {', '.join(kinds)}."
        )
    if split not in ("train", "test"):
        raise InputError(f"There is no split called {split!r}; choose 'train' or 'test'.")
    library = library_at(folder or default_folder())
    rng = Random(f"{seed} {split}")
    drawn = (
        kind
        or rng.choices(kinds, (*ROOM_WEIGHTS, *(plan.weight for plan in HALLS.values()))[: len(kinds)])[0]
    )
    if drawn in HALLS:
        home = hall_of(rng, library, split, drawn)
    else:
        home = (
            outdoors(rng, library, split, edition)
            if drawn == "yard"
            else indoors(rng, library, split, drawn, edition)
        )
    # the sky and the air of the procedural scenes; inside, a sun that may shine through the windows
    air = atmosphere(home, home.height)
    if drawn != "yard" and rng.random() < 0.5:
        power = rng.uniform(1.0, 2.2)
        home.lights.append(
            [kernel.SUN, *air[kernel.SUN_DIR : kernel.SUN_DIR + 3], power, 0.93 * power, 0.82 * power, 0.01]
        )
    if drawn != "yard" and edition > 1:
        time_of_day(home, air)
    objects, soup = assemble(library, home.placed, home.flats)
    lights = np.array(home.lights).reshape(-1, kernel.LIGHT_COLUMNS)
    return World(
        seed, drawn, objects, prims=np.zeros((0, kernel.PRIM_COLUMNS)),
        groups=np.zeros((0, kernel.GROUP_COLUMNS)), lights=lights,
        air=air, free=home.free(), surfaces=home.surfaces, caster=EmbreeCaster(soup, lights, air),
        models=tuple(sorted({item.id for k in range(len(home.placed)) if (item := home.item(k)).catalogue})),
    )  # fmt: skip
