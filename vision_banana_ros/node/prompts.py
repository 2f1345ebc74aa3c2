# SPDX-License-Identifier: Apache-2.0
"""What the live stream is asked, and which questions follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Question
from vision_banana_ros.tasks.colors import BLACK, Rgb, far_apart
from vision_banana_ros.tasks.legend_text import clean_text, refuse_repeated

MAX_EXPRESSIONS = 16
"""Live expressions: each costs an answer a frame."""


@dataclass(frozen=True)
class Prompts:
    """What one frame is asked. Never changed, only replaced, so that a frame's answers belong to one set.

    legend: the classes, in the order of their ids. expressions: the first has the value 1 in referring/mask.
    instances: the class whose single things are told apart; empty for none.
    """

    legend: dict[str, Rgb]
    expressions: tuple[str, ...] = ()
    instances: str = ""

    def expression_colors(self) -> list[Rgb]:
        """The colour that each expression's thing is painted in."""
        return far_apart(len(self.expressions), avoid=[BLACK])

    def questions(self, task: str) -> list[Question]:
        """What `task` asks of a frame; nothing where nothing was asked for."""
        match task:
            case "depth" | "depth_relative":
                return [Question.depth()]
            case "normals":
                return [Question.normals()]
            case "semantic":
                return [Question.semantic(self.legend)]
            case "instances":
                return [Question.instances(self.instances)] if self.instances else []
            case "referring":
                pairs = zip(self.expressions, self.expression_colors(), strict=True)
                return [Question.referring(expression, color) for expression, color in pairs]
        raise InputError(f"There is no task {task!r}; ask for depth, normals, semantic, instances or referring.")


def read_expressions(texts: Sequence[str]) -> tuple[str, ...]:
    """Expressions for the live stream. InputError where one is empty, too long or there twice, or where they are too many."""
    if len(texts) > MAX_EXPRESSIONS:
        raise InputError(f"{len(texts)} expressions are too many for a live stream; give at most {MAX_EXPRESSIONS}.")
    expressions = tuple(clean_text(text, f"Expression {i}") for i, text in enumerate(texts, 1))
    refuse_repeated(expressions)
    return expressions
