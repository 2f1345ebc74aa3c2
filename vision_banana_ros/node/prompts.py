# SPDX-License-Identifier: Apache-2.0
"""The prompts of the live stream, and the questions that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Question
from vision_banana_ros.perception.questions import questions_of
from vision_banana_ros.tasks import legend_text
from vision_banana_ros.tasks.colors import BLACK, Rgb, far_apart

MAX_EXPRESSIONS = 16
"""Live expressions: each costs an answer a frame."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of one frame. Immutable, so that all answers of a frame belong to the same prompts.

    Attributes:
        legend: The classes with their colours, in the order of their ids.
        expressions: The referring expressions; the first one has the value 1 in referring/mask.
        instances: The class of the instance segmentation; empty for none.
    """

    legend: dict[str, Rgb]
    expressions: tuple[str, ...] = ()
    instances: str = ""

    def expression_colors(self) -> list[Rgb]:
        """The colour that each expression's thing is painted in."""
        return far_apart(len(self.expressions), avoid=[BLACK])

    def questions(self, task: str) -> list[Question]:
        """What `task` asks of a frame; nothing where nothing was asked for."""
        asked = task.removesuffix("_relative")  # depth without a unit is asked for like depth
        return questions_of(asked, self.legend, self.expressions, self.instances)


def read_expressions(texts: Sequence[str]) -> tuple[str, ...]:
    """Checks expressions.

    Raises InputError if one is empty, too long or duplicate, or if there are too many.
    """
    if len(texts) > MAX_EXPRESSIONS:
        raise InputError(
            f"{len(texts)} expressions are too many for a live stream; give at most {MAX_EXPRESSIONS}."
        )
    return legend_text.read_expressions(texts)
