# SPDX-License-Identifier: Apache-2.0
"""An image with ground truth, and sets of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from vision_banana_ros.perception import Intrinsics


@dataclass(frozen=True, slots=True)
class Case:
    """An image with the ground truth that is known.

    Attributes:
        name: Its name in reports.
        image: (H, W, 3) uint8 RGB.
        depth_m: (H, W) metres along Z; NaN or 0 unknown.
        intrinsics: The pinhole camera, if known.
        normals: (H, W, 3) unit vectors; NaN unknown.
        labels: (H, W) class indexes.
        instances: (H, W) instance ids; 0 background.
        expressions: Referring expressions with their masks, (H, W) bool.
        thing: The class of the instance segmentation.
    """

    name: str
    image: np.ndarray
    depth_m: np.ndarray | None = None
    intrinsics: Intrinsics | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    expressions: tuple[tuple[str, np.ndarray], ...] = ()
    thing: int | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A sequence of cases, created on demand.

    Attributes:
        name: Its name in reports.
        count: Number of cases.
        case: Creates the case of an index.
        ours: Whether the images were rendered by this package, so that the model card may show them.
        classes: For labels of another data set, its class names and the class of the bundle that each is
            scored as; None for ignored classes.
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
