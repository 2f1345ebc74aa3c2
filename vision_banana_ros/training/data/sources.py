# SPDX-License-Identifier: Apache-2.0
"""Where rendered views come from. A source knows how to make a world, look at it, and edit it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import View, make_world, render, sample_camera
from vision_banana_ros.scenes.language.edits import Edit, draw_edit

FIRST_TRAINING_SEED = 1_000_000  # worlds below are for tests, demos and evaluation: never trained on
FIRST_HELD_OUT_SEED = 900_000  # on these, training compares itself; test splits start at 0


@dataclass(frozen=True, slots=True)
class Source:
    """make_world(seed) -> world; sample_camera(world, rng, width, height) -> camera; render(world, camera, seed) -> View,
    the same seed giving the same lens and sensor; draw_edit(view, rng) -> Edit, or None where nothing can be edited."""

    make_world: Callable[[int], Any]
    sample_camera: Callable[[Any, np.random.Generator, int, int], Any]
    render: Callable[[Any, Any, int], View]
    draw_edit: Callable[[View, np.random.Generator], Edit | None]


@dataclass(frozen=True, slots=True)
class Shot:
    """A view, and all that is needed to render it again after an edit."""

    view: View
    source: Source
    seed: int

    def again(self, world: Any) -> np.ndarray:
        """The picture of another world by the same camera, lens and sensor."""
        return self.source.render(world, self.view.camera, self.seed).image


def _procedural() -> Source:
    return Source(make_world, sample_camera, render, draw_edit)


def _furnished() -> Source:
    from vision_banana_ros.scenes.furnished import make_furnished_world  # which needs a renderer of triangles

    return Source(make_furnished_world, sample_camera, render, draw_edit)


def _street() -> Source:
    from vision_banana_ros.scenes.street import make_street_world, sample_street_camera  # which needs it, too

    return Source(make_street_world, sample_street_camera, render, draw_edit)


#: Sources by name; each is made in the process that renders, when it is first needed.
SOURCES: dict[str, Callable[[], Source]] = {"procedural": _procedural, "furnished": _furnished, "street": _street}


def check(shares: dict[str, float]) -> None:
    """Raise InputError for a source that there is none of."""
    for name in shares:
        if name not in SOURCES:
            raise InputError(f"There is no source of scenes called '{name}'; there are {', '.join(SOURCES)}.")
