# SPDX-License-Identifier: Apache-2.0
"""A question: the instruction that a generator gets, and how its answer is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS, referring
from vision_banana_ros.tasks.colors import parse_color, parse_legend
from vision_banana_ros.tasks.task import Task, Words

RGB = tuple[int, int, int]
NOTHING = Words()


@dataclass(frozen=True)
class Question:
    """One thing to ask of a frame. Make it by the class methods; `instruction` is what the generator reads.

    legend: the classes of a semantic question, name -> RGB, in class order; the expressions of a joint referring one.
    color: RGB of a referring mask, or of the background of instances.
    expression: what a referring question looks for, or the class whose instances are asked for.
    """

    task: str
    instruction: str
    legend: dict[str, RGB] | None = field(default=None, hash=False)
    color: RGB | None = None
    expression: str | None = None

    @classmethod
    def of(cls, task: str, words: Words = NOTHING) -> "Question":
        """What a task asks with these words.

        InputError where there is no such task, or it cannot be asked so.
        """
        if task not in TASKS:
            raise InputError(f"There is no task {task!r}; ask for {', '.join(TASKS)}.")
        legend = None if words.legend is None else parse_legend(words.legend)
        color = None if words.color is None else parse_color(words.color)
        return cls(task, TASKS[task].instruction(Words(legend, color, words.expression)), legend, color, words.expression)

    @classmethod
    def depth(cls) -> "Question":
        """How far is every pixel, in metres along the camera's Z axis?"""
        return cls.of("depth")

    @classmethod
    def normals(cls) -> "Question":
        """Which way does every surface face?"""
        return cls.of("normals")

    @classmethod
    def semantic(cls, legend: Mapping[str, str | Sequence[int]]) -> "Question":
        """Which class is every pixel? `legend` maps names to colours; InputError where two are too near."""
        return cls.of("semantic", Words(legend=legend))

    @classmethod
    def instances(cls, name: str, background: str | Sequence[int] = "black") -> "Question":
        """Where is each single `name`?"""
        return cls.of("instances", Words(color=background, expression=name))

    @classmethod
    def referring(cls, expression: str, color: str | Sequence[int]) -> "Question":
        """Where is the thing that `expression` describes? It will be painted in `color`."""
        return cls.of("referring", Words(color=color, expression=expression))

    @classmethod
    def referring_jointly(cls, colors: Mapping[str, str | Sequence[int]]) -> "Question":
        """Where are the things that several expressions describe? Each is painted in its colour and read as an answer of its own.

        colors: expression -> colour. InputError for more than `referring.MAX_EXPRESSIONS`, and for colours too near.
        """
        parsed = {text: parse_color(color) for text, color in colors.items()}
        return cls("referring", referring.instruction_many(parsed), legend=parsed)

    @property
    def kind(self) -> Task:
        """What is known of its task."""
        return TASKS[self.task]

    @property
    def words(self) -> Words:
        """What it names."""
        return Words(self.legend, self.color, self.expression)

    def read(self, rgb: np.ndarray, instance_taus: Mapping[str, float] = MappingProxyType({})) -> Any:
        """Decodes a painted answer, (H, W, 3) float in [0, 1] or uint8, into the task's own `Answer`.

        instance_taus: thresholds of `instances.decode`, for a generator that paints less flatly than the paper's.
        """
        return self.kind.decode(rgb, self.words, instance_taus)
