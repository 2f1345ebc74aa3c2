# SPDX-License-Identifier: Apache-2.0
"""Evaluates a generator on a split with the same code that processes frames in the node."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from vision_banana_ros.evaluation.cases import Case
from vision_banana_ros.evaluation.depth_alignment import depth_in_metres
from vision_banana_ros.evaluation.scores import Score, new_score
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks import TASKS, profiles_relative
from vision_banana_ros.tasks.colors import Legend, far_apart
from vision_banana_ros.tasks.profiles import profile

REFERRING_COLOR = far_apart(1, ["black"])[0]
WORST = 3  # number of worst frames per task in the report


def evaluate(
    perceiver: Perceiver, cases: Iterable[Case], progress: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Computes the metrics of all tasks that the generator supports and the cases have ground truth for.

    Args:
        perceiver: The generator to evaluate.
        cases: Images with ground truth.
        progress: Called with the number of finished cases.

    Returns:
        "views", a report for each task, and "worst": the cases with the largest errors by task. The report of
        depth contains "aligned" if relative depth was aligned with the ground truth, and "focal_px_taken"
        (pixels of the painted image) if images without intrinsics were evaluated with a default focal length.
    """
    manifest = perceiver.generator.manifest
    depth_kind, far_m = profile(manifest.codec).depth_kind, manifest.depth_range_m[1]
    scores: dict[str, Score] = {}
    errors: dict[str, list[dict[str, Any]]] = defaultdict(list)
    views, aligned, lens_known = 0, False, True
    for views, case in enumerate(cases, start=1):  # noqa: B007 - the count is used after the loop
        # A specialist is asked for what it was taught.
        asked = [
            (question, truth)
            for question, truth in ask(case, manifest.legend)
            if question.task in manifest.tasks
        ]
        looks = (
            perceiver.look(case.image, [question for question, _ in asked], case.intrinsics) if asked else ()
        )
        lens_known &= case.depth_m is None or case.intrinsics is not None
        for (question, truth), answer in zip(asked, looks, strict=True):
            task = question.task
            if task not in scores:
                scores[task] = new_score(task, tuple(manifest.legend), far_m)
            aligned |= is_relative(answer)
            values = compared(task, answer, truth, depth_kind, far_m)
            error = scores[task].add(values, truth, answer.confidence)
            errors[task].append({"case": case.name, "error": error})
        progress(views)
    worst = {task: _worst(each) for task, each in errors.items()}
    results = {task: score.result() for task, score in scores.items()}
    if aligned:
        results["depth"]["aligned"] = True
    if "depth" in results and not lens_known and perceiver.needs_lens:
        results["depth"]["focal_px_taken"] = manifest.depth_focal_px
    return {"views": views, **results, "worst": worst}


def is_relative(answer: Any) -> bool:
    """Whether an answer is relative depth of an imported editor."""
    return isinstance(answer, profiles_relative.Answer)


def compared(task: str, answer: Any, truth: np.ndarray, depth_kind: str, far_m: float) -> np.ndarray:
    """The values of an answer to be compared with the ground truth.

    Args:
        task: The name of the task.
        answer: The answer; relative depth is aligned with the truth.
        truth: The truth, on the grid of the answer.
        depth_kind: `Profile.depth_kind` of the generator.
        far_m: Truth beyond it is not used for the alignment.
    """
    if is_relative(answer):
        return depth_in_metres(answer.depth_relative, truth, depth_kind, far_m)
    return getattr(answer, TASKS[task].field)


def ask(case: Case, legend: Legend) -> list[tuple[Question, np.ndarray]]:
    """The questions that a case has ground truth for, with that truth; labels are indexes of the legend."""
    asked = []
    if case.depth_m is not None:
        asked.append((Question.depth(), case.depth_m))
    if case.normals is not None:
        asked.append((Question.normals(), case.normals))
    if case.labels is not None:
        asked.append((Question.semantic(legend), in_legend(case.labels, tuple(legend))))
    for text, mask in case.expressions:
        asked.append((Question.referring(text, REFERRING_COLOR), mask))
    if case.instances is not None and case.thing is not None:
        asked.append(
            (Question.instances(CLASSES[case.thing]), np.where(case.labels == case.thing, case.instances, 0))
        )
    return asked


def questions_of(cases: Iterable[Case], legend: Legend) -> Iterator[Question]:
    """All questions about the cases."""
    return (question for case in cases for question, _ in ask(case, legend))


def in_legend(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Converts class indexes of the scenes to indexes of the legend; 255 for classes that it lacks."""
    table = np.full(256, 255, np.uint8)
    for index, name in enumerate(CLASSES):
        if name in names:
            table[index] = names.index(name)
    return table[labels]


def _worst(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cases with the largest errors, each case once."""
    found: dict[str, dict[str, Any]] = {}
    for entry in sorted(errors, key=lambda e: -np.nan_to_num(e["error"], nan=-1.0)):
        found.setdefault(entry["case"], entry)
    return list(found.values())[:WORST]
