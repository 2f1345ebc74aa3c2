# SPDX-License-Identifier: Apache-2.0
"""What must be known of a generator to read its painted answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from vision_banana_ros.tasks.colors import Legend


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """How a generator paints. Nothing has a default: whoever measures or uses a generator states all of it.

    Attributes:
        tasks: What it was taught.
        codec: The name of the profile that its answers follow, see `tasks.profiles`.
        legend: The classes that it knows best and their colours, in class order.
        depth_range_m: The least and the greatest depth that it was taught, metres; beyond, it paints noise.
        depth_focal_px: The focal length, in pixels of a painted picture, that depth is painted for. 0: metres
            whatever the lens.
        instance_taus: Thresholds of `instances.decode` by name, where it paints less flatly than the paper's
            generator.
        referring_core: The confidence that a region of a mask must reach somewhere, or it is left out
            (`perception.mask_hysteresis`). 0: every region stays.
        expressions_together: How many referring expressions it was taught to paint in one picture, at most.
    """

    tasks: tuple[str, ...]
    codec: str
    legend: Legend
    depth_range_m: tuple[float, float]
    depth_focal_px: float
    instance_taus: Mapping[str, float]
    referring_core: float
    expressions_together: int
