# SPDX-License-Identifier: Apache-2.0
"""Measure a generator on a split, through the same path that a frame takes in the node."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vision_banana_ros.evaluation.scores import (
    DepthScore,
    InstancesScore,
    NormalsScore,
    ReferringScore,
    SemanticScore,
)
from vision_banana_ros.evaluation.splits import Case
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks.colors import far_apart

REFERRING_COLOR = far_apart(1, ["black"])[0]


def evaluate(perceiver: Perceiver, cases: Iterable[Case], progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Scores a task, for the tasks that the cases have truth for."""
    legend = perceiver.generator.manifest.legend
    scores: dict[str, Any] = {}
    for done, case in enumerate(cases, start=1):
        asked: list[tuple[str, Question, Any]] = [("depth", Question.depth(), case.depth_m)]
        if case.normals is not None:
            asked.append(("normals", Question.normals(), case.normals))
        if case.labels is not None:
            asked.append(("semantic", Question.semantic(legend), _in_legend(case.labels, tuple(legend))))
        for text, mask in case.expressions:
            asked.append(("referring", Question.referring(text, REFERRING_COLOR), mask))
        if case.instances is not None and case.thing is not None:
            truth = np.where(case.labels == case.thing, case.instances, 0)
            asked.append(("instances", Question.instances(CLASSES[case.thing]), truth))
        looks = perceiver.look(case.image, [question for _, question, _ in asked])
        for (task, _, truth), answer in zip(asked, looks, strict=True):
            if task not in scores:
                scores[task] = _score(task, tuple(legend), perceiver.generator.manifest.depth_range_m[1])
            scores[task].add(_numbers(task, answer), truth)
        progress(done)
    return {task: score.result() for task, score in scores.items()}


def _score(task: str, classes: tuple[str, ...], far_m: float) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "depth": lambda: DepthScore(far_m),
        "normals": NormalsScore,
        "semantic": lambda: SemanticScore(classes),
        "referring": ReferringScore,
        "instances": InstancesScore,
    }
    return makers[task]()


def _numbers(task: str, answer: Any) -> np.ndarray:
    field = {"depth": "depth_m", "normals": "normals", "referring": "mask"}.get(task, "labels")
    return getattr(answer, field)


def _in_legend(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The scenes' class indexes as indexes into the legend; 255 where the legend has no such class."""
    table = np.full(256, 255, np.uint8)
    for index, name in enumerate(CLASSES):
        if name in names:
            table[index] = names.index(name)
    return table[labels]
