# SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation: several passes per question, merged by confidence-weighted voting.

Every second pass sees the mirrored frame; every two passes use another legend, the same classes in another
order and other colours (Open Vision Banana gained 8 points of mIoU on Cityscapes by voting over 20 legends),
and referring masks another colour. Depth and normals only vary by mirroring, so they have at most two passes.
Instances have one, because their ids are only valid within one picture.

The answers vote per pixel with their confidence. The one with the largest support wins, values that agree
with it are averaged, and others are ignored, so that no values between two surfaces are created. The
confidence is the support divided by its maximum: a pixel on which passes disagree has a lower one than any of
them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.questions import Question
from vision_banana_ros.tasks import depth, normals, referring, semantic
from vision_banana_ros.tasks.colors import BLACK, ColorLike, Legend, far_apart

MOST = 32
DEPTH_AGREES = 1.25
"""Depths within this factor speak for each other: the one of delta1."""
NORMALS_AGREE = np.cos(np.radians(30))
"""Cosine between normals that speak for each other."""

Answerer = Callable[[np.ndarray, Sequence[Question]], Sequence[Any]]


@dataclass(frozen=True)
class Pass:
    """One pass of a question.

    Attributes:
        mirrored: Whether it is asked about the horizontally mirrored frame.
    """

    question: Question
    mirrored: bool = False


def check_passes(passes: int) -> int:
    """Returns the number of passes. Raises InputError if it is invalid."""
    if not 1 <= passes <= MOST:
        raise InputError(f"passes is {passes}; ask 1 to {MOST} times.")
    return passes


@lru_cache(maxsize=256)
def ways(question: Question, passes: int) -> tuple[Pass, ...]:
    """The passes of a question, the first of which is the question itself.

    Fewer if it has fewer variations.
    """
    if question.legend is not None:
        others = (
            Question.semantic(permuted(question.legend, np.random.default_rng(k)))
            for k in range(1, (passes + 1) // 2)
        )
        return tuple(Pass(q, mirrored) for q in (question, *others) for mirrored in (False, True))[:passes]
    if question.kind.takes == "expressions":
        assert question.expression is not None and question.color is not None
        turned = mirrored_words(question.expression)
        texts = (question.expression, turned or question.expression)
        colors = [question.color, *far_apart(passes - 1, avoid=[BLACK, question.color])]
        others = (Question.referring(texts[k % 2], colors[k]) for k in range(1, passes))
        return Pass(question), *(Pass(q, turned is not None and k % 2 == 1) for k, q in enumerate(others, 1))
    if not question.kind.repeats or passes == 1:
        return (Pass(question),)
    return Pass(question), Pass(question, True)


def ask_often(answer: Answerer, image: np.ndarray, questions: Sequence[Question], passes: int) -> list[Any]:
    """Answers each question with `passes` passes and merges the answers.

    answer: Answers questions about an image of the generator's resolution, with pictures (H, W, 3) or a
    task's `Answer`. It is called once for the image and once for its mirror image.
    """
    plan = [ways(question, passes) for question in questions]
    made: list[list[Any]] = [[None] * len(each) for each in plan]
    for mirrored in (False, True):
        places = [
            (i, k) for i, each in enumerate(plan) for k, way in enumerate(each) if way.mirrored == mirrored
        ]
        if places:
            frame = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
            for (i, k), one in zip(
                places, answer(frame, [plan[i][k].question for i, k in places]), strict=True
            ):
                made[i][k] = one
    return [
        given[0]
        if len(each) == 1
        else merge([_as_asked(question, *pair) for pair in zip(each, given, strict=True)])
        for question, each, given in zip(questions, plan, made, strict=True)
    ]


def _as_asked(question: Question, way: Pass, made: Any) -> Any:
    """The answer of a pass, mirrored back and with the labels of the original legend."""
    answer = way.question.read(made) if isinstance(made, np.ndarray) else made
    if way.mirrored:
        answer = replace(answer, **{f.name: getattr(answer, f.name)[:, ::-1] for f in fields(answer)})
        if isinstance(answer, normals.Answer):
            answer = replace(answer, normals=answer.normals * np.array((-1, 1, 1), np.float32))
    if way.question.legend is not None and question.legend is not None:
        names = list(question.legend)
        table = np.full(256, 255, np.uint8)
        table[: len(names)] = [names.index(name) for name in way.question.legend]
        answer = replace(answer, labels=table[answer.labels])
    return answer


def merge(answers: Sequence[Any]) -> Any:
    """Merges several answers to the same question on the same grid and with the same legend."""
    first = answers[0]
    confidence = np.stack([answer.confidence for answer in answers])
    if isinstance(first, depth.Answer):
        with np.errstate(divide="ignore"):
            logs = np.log(np.stack([answer.depth_m for answer in answers]))
        _, weights, sure = _elect(confidence, lambda i, j: _near(logs[i], logs[j]))
        return replace(first, depth_m=np.exp(_mean(logs, weights)), confidence=sure)
    if isinstance(first, normals.Answer):
        vectors = np.stack([answer.normals for answer in answers])
        _, weights, sure = _elect(
            confidence, lambda i, j: np.einsum("hwc,hwc->hw", vectors[i], vectors[j]) > NORMALS_AGREE
        )
        mean = _mean(vectors, weights[..., None])
        return replace(first, normals=mean / np.linalg.norm(mean, axis=2, keepdims=True), confidence=sure)
    if not isinstance(first, referring.Answer | semantic.Answer):
        return first  # depth without a unit, of which every picture has a scale of its own
    name = "mask" if isinstance(first, referring.Answer) else "labels"
    values = np.stack([getattr(answer, name) for answer in answers])
    best, _, sure = _elect(confidence, lambda i, j: values[i] == values[j])
    return replace(first, confidence=sure, **{name: np.take_along_axis(values, best[None], 0)[0]})


def _elect(
    confidence: np.ndarray, agree: Callable[[int, int], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elects per pixel the pass with the largest support.

    agree: (H, W) bool, whether passes i and j agree. The earlier one wins a tie. Returns the winner, the
    weights (N, H, W) of the passes that agree with it, and its confidence.
    """
    n = len(confidence)
    same = np.empty((n, *confidence.shape), bool)
    for i in range(n):
        same[i, i] = True
        for j in range(i):
            same[i, j] = same[j, i] = agree(i, j)
    support = np.einsum("ijhw,jhw->ihw", same, confidence)
    support[confidence == 0] = 0
    best = support.argmax(0)
    weights = confidence * np.take_along_axis(same, best[None, None], 0)[0]
    return best, weights, (weights.sum(0) / np.float32(n)).astype(np.float32)


def _near(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether logarithms of depths belong to the same surface; infinity agrees with infinity."""
    with np.errstate(invalid="ignore"):
        return (one == other) | (np.abs(one - other) < np.float32(np.log(DEPTH_AGREES)))


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean along the first axis, ignoring values of weight 0; NaN if all weights are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(weights > 0, values * weights, 0).sum(0) / weights.sum(0)).astype(np.float32)


def permuted(legend: Legend, rng: np.random.Generator) -> Legend:
    """The same classes in another order and other colours."""
    taken: list[ColorLike] = [BLACK, *(tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(2))]
    colors = far_apart(len(legend), taken)
    names = list(legend)
    order, paint = rng.permutation(len(names)), rng.permutation(len(names))
    return {names[i]: colors[k] for i, k in zip(order, paint, strict=True)}


_SIDE = re.compile(r"\b(left|right)(most|hand)?\b", re.IGNORECASE)
_BEFORE = re.compile(
    r"\b(the|to|far|upper|lower|top|bottom|front|rear|back|its|his|her|their|my|your|facing)[\s-]+$",
    re.IGNORECASE,
)
_AFTER = re.compile(r"[\s-]+(of|side|half|edge|corner|end|hand|most|facing)\b", re.IGNORECASE)
_NOT_MIRRORED = re.compile(
    r"\b(left|right)(?!(most|hand)?\b)|[^\x00-\x7f]|\"|\b(says?|reads?|letters?|words?|text|written|numbers?|digits?|\w*clockwise)\b",
    re.IGNORECASE,
)


def mirrored_words(expression: str) -> str | None:
    """The expression for the mirrored frame, with left and right exchanged.

    None if that may be wrong: "the box right behind the ball", "the box left on the floor", text on objects,
    and words that are not English. "The box right of the ball" is mirrored.
    """
    if _NOT_MIRRORED.search(expression):
        return None
    for side in _SIDE.finditer(expression):
        clear = side[2] or _BEFORE.search(expression, 0, side.start()) or _AFTER.match(expression, side.end())
        if not clear:
            return None
    return _SIDE.sub(_exchange, expression)


def _exchange(side: re.Match[str]) -> str:
    other = "right" if side[1].lower() == "left" else "left"
    cased = other.upper() if side[1].isupper() else other.capitalize() if side[1][0].isupper() else other
    return cased + (side[2] or "")
