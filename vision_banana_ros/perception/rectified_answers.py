# SPDX-License-Identifier: Apache-2.0
"""Answers questions about a raw image: pixels outside of it are invalid."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.perception.camera import Camera
from vision_banana_ros.perception.geometry import Intrinsics
from vision_banana_ros.perception.perceiver import Looks, Perceiver
from vision_banana_ros.perception.questions import Question

_UNREADABLE: dict[str, Any] = {
    "depth_m": np.nan,
    "depth_relative": np.nan,
    "normals": np.nan,
    "mask": False,
    "confidence": 0,
}
"""What an answer's field holds where nothing could be read. Labels are of two kinds: 8 bits for classes,
16 for instances."""


def answer_rectified(
    camera: Camera | None, perceiver: Perceiver, image: np.ndarray, questions: Sequence[Question]
) -> tuple[Looks, Intrinsics | None]:
    """Answers the questions about a frame, (H, W, 3) uint8 RGB as it came.

    And the camera on the grid of the answers.

    The answers' `image` is the rectified one. Without a camera the frame is taken as it is.
    """
    if camera is None:
        return perceiver.look(image, questions), None
    looks = perceiver.look(camera.rectify(image), questions, camera.intrinsics)
    height, width = looks.image.shape[:2]
    if camera.outside is not None:
        outside = cv2.resize(
            camera.outside.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        ).view(bool)
        looks = replace(looks, answers=tuple(_without(answer, outside) for answer in looks), outside=outside)
    return looks, camera.intrinsics.scaled(width, height)


def _without(answer: Any, outside: np.ndarray) -> Any:
    changed = {}
    for field in fields(answer):
        values = getattr(answer, field.name).copy()
        values[outside] = (
            (255 if values.dtype == np.uint8 else 0) if field.name == "labels" else _UNREADABLE[field.name]
        )
        changed[field.name] = values
    return replace(answer, **changed)
