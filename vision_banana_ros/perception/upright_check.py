# SPDX-License-Identifier: Apache-2.0
"""Whether frames are upside down.

A generator answers these too, wrongly, but is less sure of them than of the frame turned round.
"""

import time
from collections.abc import Sequence

import numpy as np

from vision_banana_ros.perception.perceiver import Looks, Perceiver
from vision_banana_ros.perception.questions import Question

EVERY_S = 10.0
"""How often a stream is looked at: a camera is mounted once."""
IN_A_ROW = 3
"""Frames that must look upside down before a stream counts as such."""
MARGIN = 1.05
"""Mean confidence of depth, turned over as it came. Of 31 frames (21 real, 10 rendered) all are surer
upright, on average by 1.3."""


def upside_down(perceiver: Perceiver, image: np.ndarray, question: Question, confidence: np.ndarray) -> bool:
    """Whether the generator is surer of a frame turned by 180 degrees. Costs a look.

    Args:
        perceiver: That answered the frame.
        image: (H, W, 3) uint8 RGB, on the grid of the answer.
        question: One of a task that `tells_upright`.
        confidence: Of the answer to it, (H, W).
    """
    turned = perceiver.look(np.ascontiguousarray(image[::-1, ::-1]), [question])[0].confidence[::-1, ::-1]
    seen = image.any(axis=2)  # rectifying leaves black what no ray met
    return bool(seen.any()) and float(turned[seen].mean()) > MARGIN * max(
        float(confidence[seen].mean()), 1e-3
    )


def looks_turned(perceiver: Perceiver, questions: Sequence[Question], looks: Looks) -> bool:
    """Whether a frame looks upside down by its answers to `questions`; False if none of them can tell."""
    return any(
        upside_down(perceiver, looks.image, question, answer.confidence)
        for question, answer in zip(questions, looks, strict=True)
        if question.kind.tells_upright
    )


class UprightCheck:
    """For a stream: looks now and then, and at every frame while it is in doubt."""

    def __init__(self) -> None:
        self._due = time.monotonic() + EVERY_S
        self._turned = 0

    def fault(self, perceiver: Perceiver, questions: Sequence[Question], looks: Looks) -> str:
        """Why the stream counts as upside down, as a sentence with what to do; empty where it does not."""
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
