# SPDX-License-Identifier: Apache-2.0
"""A picture with what is known about it, and a set of those."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from vision_banana_ros.perception import Intrinsics


@dataclass(frozen=True, slots=True)
class Case:
    """A picture and the truth there is about it. depth_m: metres along Z, NaN or 0 where nothing is known."""

    name: str
    image: np.ndarray
    depth_m: np.ndarray | None = None
    intrinsics: Intrinsics | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    expressions: tuple[tuple[str, np.ndarray], ...] = ()
    thing: int | None = None  # the class whose instances are asked for


@dataclass(frozen=True, slots=True)
class Split:
    """Cases by number, each made anew whenever it is asked for.

    ours: rendered here, so pictures may be shown. classes: of others' labels, their names and the class of
    ours that each is scored as; None for those that are left out of the score.
    """

    name: str
    count: int
    case: Callable[[int], Case]
    ours: bool = True
    classes: Mapping[str, str | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Case]:
        return (self.case(i) for i in range(self.count))
