# SPDX-License-Identifier: Apache-2.0
"""A generator that knows the answer: it paints truth with the tasks' own codes, so a test can tell what must
come back.

>>> oracle = Oracle((96, 128), Truth(depth_m=depth))                  # one truth for every image
>>> oracle = Oracle((96, 128), lambda image: Truth(depth_m=...))      # or the truth that an image has
>>> oracle.paint(image, [Question.depth().instruction])               # (1, 96, 128, 3) float32
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.questions import Question
from vision_banana_ros.tasks import TASKS, depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.answer_format import AnswerFormat

_AS_THE_PAPER = AnswerFormat(
    tasks=tuple(TASKS),
    codec="vision_banana",
    legend={},
    depth_range_m=(0.05, 60.0),
    depth_focal_px=0.0,
    instance_taus={},
    referring_core=0.0,
    expressions_together=1,
)


def answer_format(**changes: Any) -> AnswerFormat:
    """How the paper's generator paints, with some changes."""
    return replace(_AS_THE_PAPER, **changes)


@dataclass
class Truth:
    """What an image shows, on the generator's grid (bars included). Only what a test asks for needs to be
    there."""

    depth_m: np.ndarray | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None
    instances: np.ndarray | None = None
    masks: dict[str, np.ndarray] = field(default_factory=dict)


def paint_truth(question: Question, truth: Truth) -> np.ndarray:
    """The right answer to a question: (H, W, 3) float32 in [0, 1]."""
    if question.task == "depth":
        return depth.encode(truth.depth_m)
    if question.task == "normals":
        return normals.encode(truth.normals)
    if question.task == "semantic":
        return semantic.encode(truth.labels, question.legend)
    if question.task == "instances":
        return instances.encode(truth.instances)
    if question.legend is not None:
        return referring.encode_many(
            [truth.masks[name] for name in question.legend], list(question.legend.values())
        )
    return referring.encode(truth.masks[question.expression], question.color)


class Oracle:
    """Has the face of a Generator. Refuses questions that it was not told; depth and normals it always
    knows."""

    name = "oracle"
    executor = "oracle"
    why = "Running on the oracle, as asked."
    tasks = ("depth", "normals", "semantic", "instances", "referring")

    def __init__(
        self,
        size: tuple[int, int],
        truth: Truth | Callable[[np.ndarray], Truth],
        questions: Iterable[Question] = (),
    ):
        self.size = size
        self.truth = truth if callable(truth) else lambda image: truth
        self.questions = {q.instruction: q for q in [Question.depth(), Question.normals(), *questions]}
        self.legend = next((q.legend for q in self.questions.values() if q.legend), {})
        self.manifest = answer_format(legend=self.legend)
        self.prepared: list[str] = []
        self.faults: list[str] = []
        self.painted: list[np.ndarray] = []

    def asked(self, question: Question) -> Question:
        return question

    def prepare(self, instruction: str) -> None:
        if instruction not in self.questions:
            raise InputError(
                f"The oracle was not told about {instruction!r}; pass its Question when you make it."
            )
        self.prepared.append(instruction)

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        assert image.shape == (*self.size, 3) and image.dtype == np.uint8
        self.painted.append(image)
        truth = self.truth(image)
        return np.stack([paint_truth(self.questions[i], truth) for i in instructions]).astype(np.float32)
