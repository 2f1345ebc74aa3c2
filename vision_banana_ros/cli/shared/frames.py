# SPDX-License-Identifier: Apache-2.0
"""A frame, and a source of frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.camera import Calibration


@dataclass(frozen=True)
class Frame:
    """One picture, (H, W, 3) uint8 RGB, under a name that a file may have.

    With its camera where that is known.
    """

    name: str
    image: np.ndarray
    calibration: Calibration | None = None
    stamp_ns: int | None = None


@dataclass(frozen=True)
class Frames:
    """A source of frames.

    How many (None: without end) and a way to read them, one at a time and as often as wanted.

    A frame that cannot be read is an InputError in its place, so that the rest can go on.
    """

    count: int | None
    read: Callable[[], Iterator[Frame | InputError]]


def attempt(make: Callable[..., Frame], *args: Any) -> Frame | InputError:
    """What `make` returns, or the InputError that it raises."""
    try:
        return make(*args)
    except InputError as error:
        return error
