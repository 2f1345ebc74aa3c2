# SPDX-License-Identifier: Apache-2.0
"""Detects images that are upside down.

A generator also answers these, but with a lower confidence than for the image rotated by 180 degrees.
"""

import time
from collections.abc import Sequence

import numpy as np

from vision_banana_ros.perception.perceiver import Looks, Perceiver
from vision_banana_ros.perception.questions import Question

EVERY_S = 10.0
"""Interval of the checks of a stream; the mounting of a camera does not change often."""
IN_A_ROW = 3
"""Number of consecutive frames that must appear upside down before a fault is reported."""
MARGIN = 1.05
"""Threshold of the ratio of the mean confidences, rotated to original. All of 31 upright frames (21 real, 10
rendered) have a higher confidence than their rotated copies, by a factor of 1.3 on average."""


def upside_down(
    perceiver: Perceiver,
    image: np.ndarray,
    question: Question,
    confidence: np.ndarray,
    outside: np.ndarray | None = None,
) -> bool:
    """Whether the confidence is higher for the image rotated by 180 degrees. Runs one inference.

    Args:
        perceiver: The perceiver that answered the frame.
        image: (H, W, 3) uint8 RGB, on the grid of the answer.
        question: A question of a task with `tells_upright`.
        confidence: (H, W) confidence of its answer.
        outside: (H, W) bool, pixels that do not count because the raw frame does not show them.
    """
    turned = perceiver.look(np.ascontiguousarray(image[::-1, ::-1]), [question])[0].confidence[::-1, ::-1]
    seen = np.ones(confidence.shape, bool) if outside is None else ~outside
    return bool(seen.any()) and float(turned[seen].mean()) > MARGIN * max(
        float(confidence[seen].mean()), 1e-3
    )


def looks_turned(perceiver: Perceiver, questions: Sequence[Question], looks: Looks) -> bool:
    """Whether a frame appears upside down; False if no task of the questions has `tells_upright`."""
    return any(
        upside_down(perceiver, looks.image, question, answer.confidence, looks.outside)
        for question, answer in zip(questions, looks, strict=True)
        if question.kind.tells_upright
    )


class UprightCheck:
    """Checks a stream every `EVERY_S` seconds, and every frame after one that appeared upside down."""

    def __init__(self) -> None:
        self._due = time.monotonic() + EVERY_S
        self._turned = 0

    def fault(self, perceiver: Perceiver, questions: Sequence[Question], looks: Looks) -> str:
        """The fault to report, with its remedy, if the stream is upside down; otherwise empty."""
        if time.monotonic() < self._due:
            return ""
        if not looks_turned(perceiver, questions, looks):
            self._turned, self._due = 0, time.monotonic() + EVERY_S
            return ""
        self._turned += 1
        if self._turned < IN_A_ROW:
            return ""
        return (
            "The images look upside down: turned by 180 degrees, their depth is surer. Turn the camera, or"
            " its images"
            " (the driver's rotation or flip setting, or image_flip)."
        )
