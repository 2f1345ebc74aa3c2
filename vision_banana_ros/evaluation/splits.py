# SPDX-License-Identifier: Apache-2.0
"""What bundles are measured on. A split is fixed by its seeds, and nothing in it is ever trained on.

The rendered splits are those of 0.1, pixel by pixel, whatever has been added to the worlds, cameras and
effects of training since: `EDITION` and `Effects.mild` keep them so, and figures stay comparable.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.cases import Case, Split
from vision_banana_ros.evaluation.real import real_set
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.scenes import (
    CLASSES,
    Camera,
    View,
    World,
    expressions,
    make_world,
    render,
    sample_camera,
)
from vision_banana_ros.scenes.effects import Effects

VIEWS = 300
EXPRESSIONS_A_VIEW = 2
NEGATIVES = 0.3  # about this share of the expressions fits nothing
SIZE = (240, 320)  # height, width of the pictures
EDITION = 1  # of worlds and cameras


def open_split(name: str, count: int | None = None) -> Split:
    """The split of a name: "procedural", "furnished", or a folder as `real_set` reads it.

    Args:
        name: The name of the split, or a path.
        count: Use only the first cases; default: all.

    Raises:
        InputError: If there is no such split, or the count is below 1.
    """
    makers = {"procedural": procedural, "furnished": furnished}
    if count is not None and count < 1:
        raise InputError(f"A split needs at least one view, not {count}.")
    if name in makers:
        return makers[name](count or VIEWS)
    path = Path(name)
    if not path.is_dir():
        raise InputError(
            f"There is no split '{name}': take {', '.join(makers)}, or a folder with NAME.png"
            " and NAME_depth.npz."
        )
    return real_set(path, count=count)


def procedural(count: int = VIEWS) -> Split:
    """One view each of worlds 0 to `count` - 1; training starts at seed 1,000,000."""
    return Split("procedural", count, lambda seed: _case("procedural", make_world(seed), seed))


def furnished(count: int = VIEWS) -> Split:
    """One view each of `count` worlds that hold only models kept from training."""
    from vision_banana_ros.scenes.furnished import make_furnished_world

    def world(seed: int) -> World:
        return make_furnished_world(seed, split="test", edition=EDITION)

    world(0)  # says at once, and how to get them, where the models are missing
    return Split("furnished", count, lambda seed: _case("furnished", world(seed), seed))


def _case(split: str, world: World, seed: int) -> Case:
    height, width = SIZE
    rng = np.random.default_rng(seed)
    view = taken(world, sample_camera(world, rng, width, height, EDITION), rng)
    case = case_of(f"{split} {seed}", view, rng)
    return replace(case, thing=_thing(view, rng))


def taken(world: World, camera: Camera, rng: np.random.Generator | int) -> View:
    """What the camera sees, with the effects that the splits are drawn with."""
    rng = np.random.default_rng(rng)
    return render(world, camera, rng, Effects.mild(rng))


def case_of(name: str, view: View, rng: np.random.Generator) -> Case:
    """A rendered view with its truth, and expressions drawn for it.

    No class whose instances are asked for.
    """
    return Case(
        name=name,
        image=view.image,
        depth_m=view.depth_m,
        intrinsics=Intrinsics.of(view.camera),
        normals=view.normals,
        labels=view.labels,
        instances=view.instances,
        expressions=tuple((e.text, e.mask) for e in expressions(view, rng, EXPRESSIONS_A_VIEW, NEGATIVES)),
    )


def _thing(view: View, rng: np.random.Generator) -> int:
    """Three times in four a class that is there, else any."""
    countable = np.unique(view.labels[(view.instances > 0) & (view.labels < len(CLASSES))])
    return (
        int(rng.choice(countable))
        if len(countable) and rng.random() < 0.75
        else int(rng.integers(len(CLASSES)))
    )
