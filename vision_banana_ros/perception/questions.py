# SPDX-License-Identifier: Apache-2.0
"""A question: the instruction that a generator gets, and how its answer is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from vision_banana_ros.tasks import colors, depth, instances, normals, referring, semantic

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Question:
    """One thing to ask of a frame. Make it by the class methods; `instruction` is what the generator reads.

    legend: the classes of a semantic question, name -> RGB, in class order.
    color: RGB of a referring mask, or of the background of instances.
    expression: what a referring question looks for, or the class whose instances are asked for.
    """

    task: str
    instruction: str
    legend: dict[str, RGB] | None = field(default=None, hash=False)
    color: RGB | None = None
    expression: str | None = None

    @classmethod
    def depth(cls) -> "Question":
        """How far is every pixel, in metres along the camera's Z axis?"""
        return cls("depth", depth.instruction())

    @classmethod
    def normals(cls) -> "Question":
        """Which way does every surface face?"""
        return cls("normals", normals.instruction())

    @classmethod
    def semantic(cls, legend: Mapping[str, str | Sequence[int]]) -> "Question":
        """Which class is every pixel? `legend` maps names to colours; InputError where two are too near."""
        parsed = colors.parse_legend(legend)
        return cls("semantic", semantic.instruction(parsed), legend=parsed)

    @classmethod
    def instances(cls, name: str, background: str | Sequence[int] = "black") -> "Question":
        """Where is each single `name`?"""
        color = colors.parse_color(background)
        return cls("instances", instances.instruction(name, color), color=color, expression=name)

    @classmethod
    def referring(cls, expression: str, color: str | Sequence[int]) -> "Question":
        """Where is the thing that `expression` describes? It will be painted in `color`."""
        parsed = colors.parse_color(color)
        return cls("referring", referring.instruction(expression, parsed), color=parsed, expression=expression)

    def read(self, rgb: np.ndarray, instance_taus: Mapping[str, float] = MappingProxyType({})) -> Any:
        """Decodes a painted answer, (H, W, 3) float in [0, 1] or uint8, into the task's own `Answer`.

        instance_taus: thresholds of `instances.decode`, for a generator that paints less flatly than the paper's.
        """
        if self.legend is not None:
            return semantic.decode(rgb, self.legend)
        if self.color is not None:
            if self.task == "instances":
                return instances.decode(rgb, self.color, **instance_taus)
            return referring.decode(rgb, self.color)
        return depth.decode(rgb) if self.task == "depth" else normals.decode(rgb)
