# SPDX-License-Identifier: Apache-2.0
"""Several referring expressions asked in one picture, each in a colour of its own.

Eight cost one question instead of eight.

Source: arXiv 2604.20329, whose generator answers so. A pixel has one colour, so of two expressions that mean
the same thing only one gets it.
"""

from collections.abc import Sequence

from vision_banana_ros.perception.questions import Question
from vision_banana_ros.tasks.colors import BLACK, far_apart


def joined(questions: Sequence[Question], most: int) -> list[tuple[Question, tuple[int, ...]]]:
    """The questions to put to a generator, each with the places in `questions` of what it answers.

    Args:
        questions: Those to be answered; referring ones are joined, the others stay as they are.
        most: How many expressions the generator paints in one picture, at most.
    """
    asked: list[tuple[Question, tuple[int, ...]]] = []
    group: dict[str, int] = {}

    def close() -> None:
        if len(group) == 1:
            (place,) = group.values()
            asked.append((questions[place], (place,)))
        elif group:
            colors = dict(zip(group, far_apart(len(group), avoid=[BLACK]), strict=True))
            asked.append((Question.referring_jointly(colors), tuple(group.values())))
        group.clear()

    for place, question in enumerate(questions):
        if most < 2 or question.kind.takes != "expressions" or question.expression is None:
            asked.append((question, (place,)))
            continue
        if len(group) == most or question.expression in group:
            close()
        group[question.expression] = place
    close()
    return asked
