# SPDX-License-Identifier: Apache-2.0
"""What bundles are measured on. A split is fixed by its seeds, and nothing in it is ever trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import CLASSES, View, expressions, make_world, render, sample_camera

PROCEDURAL_VIEWS = 300
EXPRESSIONS_A_VIEW = 2
SIZE = (240, 320)  # height, width of the pictures


@dataclass(frozen=True, slots=True)
class Case:
    """A picture and the truth there is about it."""

    name: str
    image: np.ndarray
    depth_m: np.ndarray
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    expressions: tuple[tuple[str, np.ndarray], ...] = ()
    thing: int | None = None  # the class whose instances are asked for


def procedural(count: int = PROCEDURAL_VIEWS) -> Iterator[Case]:
    """One view each of worlds 0 to `count` - 1; training starts at seed 1,000,000."""
    height, width = SIZE
    for seed in range(count):
        rng = np.random.default_rng(seed)
        world = make_world(seed)
        view = render(world, sample_camera(world, rng, width, height), rng)
        yield Case(
            name=f"procedural {seed}",
            image=view.image,
            depth_m=view.depth_m,
            normals=view.normals,
            labels=view.labels,
            instances=view.instances,
            expressions=tuple((e.text, e.mask) for e in expressions(view, rng, EXPRESSIONS_A_VIEW)),
            thing=_thing(view, rng),
        )


def folder(path: Path) -> Iterator[Case]:
    """Pictures NAME.png with NAME_depth.npz beside them (key depth_m, metres along Z)."""
    found = sorted(path.glob("*_depth.npz"))
    if not found:
        raise InputError(f"'{path}' holds no NAME_depth.npz beside pictures NAME.png: give a folder that does.")
    for file in found:
        picture = path / f"{file.name.removesuffix('_depth.npz')}.png"
        image = cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise InputError(f"{picture} cannot be read as a picture: put it beside {file.name}.")
        with np.load(file) as truth:
            yield Case(picture.stem, image, truth["depth_m"].astype(np.float32))


def _thing(view: View, rng: np.random.Generator) -> int:
    """Three times in four a class that is there, else any."""
    countable = np.unique(view.labels[view.instances > 0])
    return int(rng.choice(countable)) if len(countable) and rng.random() < 0.75 else int(rng.integers(len(CLASSES)))
