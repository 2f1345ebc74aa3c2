# SPDX-License-Identifier: Apache-2.0
"""A question: a prompt, and the code of its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS, referring
from vision_banana_ros.tasks.colors import BLACK, far_apart, parse_color, parse_legend
from vision_banana_ros.tasks.task import Task, Words

RGB = tuple[int, int, int]
NOTHING = Words()


@dataclass(frozen=True)
class Question:
    """One question about a frame, made by one of the class methods; `instruction` is the prompt.

    Attributes:
        legend: The classes of semantic segmentation, name -> RGB, in class order; the expressions of a joint
            referring one.
        color: RGB of a referring mask, or of the background of instances.
        expression: The referring expression, or the class whose instances are segmented.
    """

    task: str
    instruction: str
    legend: dict[str, RGB] | None = field(default=None, hash=False)
    color: RGB | None = None
    expression: str | None = None

    @classmethod
    def of(cls, task: str, words: Words = NOTHING) -> "Question":
        """The question of a task with these arguments.

        Raises InputError if the task is unknown or the arguments are invalid.
        """
        if task not in TASKS:
            raise InputError(f"There is no task {task!r}; ask for {', '.join(TASKS)}.")
        legend = None if words.legend is None else parse_legend(words.legend)
        color = None if words.color is None else parse_color(words.color)
        return cls(
            task,
            TASKS[task].instruction(Words(legend, color, words.expression)),
            legend,
            color,
            words.expression,
        )

    @classmethod
    def depth(cls) -> "Question":
        """Metric depth in metres along the Z axis of the camera."""
        return cls.of("depth")

    @classmethod
    def normals(cls) -> "Question":
        """Surface normals."""
        return cls.of("normals")

    @classmethod
    def semantic(cls, legend: Mapping[str, str | Sequence[int]]) -> "Question":
        """Semantic segmentation; `legend` maps names to colours. Raises InputError if two are too similar."""
        return cls.of("semantic", Words(legend=legend))

    @classmethod
    def instances(cls, name: str, background: str | Sequence[int] = "black") -> "Question":
        """The instances of the class `name`."""
        return cls.of("instances", Words(color=background, expression=name))

    @classmethod
    def referring(cls, expression: str, color: str | Sequence[int]) -> "Question":
        """The object that `expression` describes, painted in `color`."""
        return cls.of("referring", Words(color=color, expression=expression))

    @classmethod
    def referring_jointly(cls, colors: Mapping[str, str | Sequence[int]]) -> "Question":
        """The objects of several expressions in one picture, each with its own colour and answer.

        colors: expression -> colour. InputError for more than `referring.MAX_EXPRESSIONS`, and for colours
        too near.
        """
        parsed = {text: parse_color(color) for text, color in colors.items()}
        return cls("referring", referring.instruction_many(parsed), legend=parsed)

    @property
    def kind(self) -> Task:
        """The task."""
        return TASKS[self.task]

    @property
    def words(self) -> Words:
        """The arguments of the question."""
        return Words(self.legend, self.color, self.expression)

    def read(self, rgb: np.ndarray, instance_taus: Mapping[str, float] = MappingProxyType({})) -> Any:
        """Decodes a painted answer, (H, W, 3) float in [0, 1] or uint8, to the task's `Answer`.

        instance_taus: thresholds of `instances.decode`, for generators whose colours are less uniform.
        """
        return self.kind.decode(rgb, self.words, instance_taus)


def questions_of(
    task: str, legend: Mapping[str, RGB], expressions: Sequence[str] = (), instances: str = ""
) -> list[Question]:
    """The questions of a task with the prompts that it takes; none without a prompt that it needs.

    Args:
        task: The name of the task.
        legend: The classes of semantic segmentation with their colours.
        expressions: The referring expressions; each is asked in a colour of its own.
        instances: The class whose instances are segmented.

    Raises:
        InputError: There is no such task.
    """
    if task not in TASKS:
        raise InputError(f"There is no task {task!r}; ask for {', '.join(TASKS)}.")
    match TASKS[task].takes:
        case "legend":
            words = [Words(legend=legend)] if legend else []
        case "class":
            words = [Words(color=BLACK, expression=instances)] if instances else []
        case "expressions":
            colors = far_apart(len(expressions), avoid=[BLACK])
            words = [Words(color=c, expression=text) for text, c in zip(expressions, colors, strict=True)]
        case _:
            words = [Words()]
    return [Question.of(task, each) for each in words]
