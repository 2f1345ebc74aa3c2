# SPDX-License-Identifier: Apache-2.0
"""Frames that show nothing: a covered lens, a blinded one, a wall too near, a broken cable.

The right answer is none: the node and the commands refuse such a frame before they ask the generator
(`perception.input_check`). Of what the generator itself answers, how much can be read, and how sure it is,
should be near 0 too.
"""

from typing import Any

import numpy as np

from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.input_check import nothing_to_see
from vision_banana_ros.tasks.colors import Legend

SIZE = (480, 640)  # height, width
UNIFORM = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "green": (40, 120, 60)}
NOISE = {"noise": 1, "coarse noise": 8}  # pixels along a side of one random colour


def junk_frames() -> dict[str, np.ndarray]:
    """(H, W, 3) uint8 by name, always the same."""
    frames = {name: np.full((*SIZE, 3), color, np.uint8) for name, color in UNIFORM.items()}
    rng = np.random.default_rng(0)
    for name, side in NOISE.items():
        colors = rng.integers(0, 256, (SIZE[0] // side, SIZE[1] // side, 3), np.uint8)
        frames[name] = colors.repeat(side, 0).repeat(side, 1)
    return frames


def junk_questions(legend: Legend) -> list[Question]:
    """What junk is asked: everything that needs no words."""
    return [Question.depth(), Question.normals(), Question.semantic(legend)]


def measure_junk(perceiver: Perceiver) -> dict[str, Any]:
    """What a generator makes of the frames, and which of them are refused before it is asked.

    Returns:
        "frames": for each frame and task {"readable": share of the pixels, "confidence": mean over all
        pixels}; "refused": the names of the frames that `nothing_to_see` refuses.
    """
    manifest = perceiver.generator.manifest
    questions = [question for question in junk_questions(manifest.legend) if question.task in manifest.tasks]
    frames, report = junk_frames(), dict[str, Any]()
    for name, image in frames.items():
        if not questions:  # a specialist of what takes words
            break
        looks = perceiver.look(image, questions)
        report[name] = {
            question.task: {"readable": readable, "confidence": float(answer.confidence.mean())}
            for question, answer, readable in zip(questions, looks, looks.readable, strict=True)
        }
    refused = [name for name, image in frames.items() if nothing_to_see(image)]
    return {"frames": report, "refused": refused}
