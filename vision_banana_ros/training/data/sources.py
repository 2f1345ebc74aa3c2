# SPDX-License-Identifier: Apache-2.0
"""Sources of rendered views: each generates worlds, samples cameras, renders and edits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import View, make_world, render, sample_camera
from vision_banana_ros.scenes.language.edits import Edit, draw_edit

FIRST_TRAINING_SEED = 1_000_000  # lower seeds are for tests, demos and evaluation only
FIRST_HELD_OUT_SEED = 900_000  # for validation during training; test splits start at 0


@dataclass(frozen=True, slots=True)
class Source:
    """A source of rendered views.

    Attributes:
        make_world: Generates a world from a seed.
        sample_camera: Draws a camera: (world, rng, width, height) to camera; sizes in pixels.
        render: Renders a view: (world, camera, seed) to View; the seed determines the effects of lens and
            sensor.
        draw_edit: Draws an edit of a view: (view, rng) to Edit, or None if nothing can be edited.
    """

    make_world: Callable[[int], Any]
    sample_camera: Callable[[Any, np.random.Generator, int, int], Any]
    render: Callable[[Any, Any, int], View]
    draw_edit: Callable[[View, np.random.Generator], Edit | None]


@dataclass(frozen=True, slots=True)
class Shot:
    """A view with everything needed to render it again after an edit.

    Attributes:
        view: The view.
        source: Its source.
        seed: Seed of the effects of lens and sensor.
    """

    view: View
    source: Source
    seed: int

    def again(self, world: Any) -> np.ndarray:
        """Renders another world with the same camera, lens and sensor, (H, W, 3) uint8."""
        return self.source.render(world, self.view.camera, self.seed).image


def _procedural() -> Source:
    return Source(make_world, sample_camera, render, draw_edit)


def _furnished() -> Source:
    from vision_banana_ros.scenes.furnished import make_furnished_world  # needs the mesh renderer

    return Source(make_furnished_world, sample_camera, render, draw_edit)


def _street() -> Source:
    from vision_banana_ros.scenes.street import (
        make_street_world,
        sample_street_camera,
    )  # needs the mesh renderer

    return Source(make_street_world, sample_street_camera, render, draw_edit)


#: Factories of the sources by name; called in the rendering process on first use.
SOURCES: dict[str, Callable[[], Source]] = {
    "procedural": _procedural,
    "furnished": _furnished,
    "street": _street,
}


def check(names: Iterable[str]) -> None:
    """Checks the names of sources.

    Args:
        names: The names.

    Raises:
        InputError: A source is unknown.
    """
    for name in names:
        if name not in SOURCES:
            raise InputError(
                f"There is no source of scenes called '{name}'; the sources are {', '.join(SOURCES)}."
            )
