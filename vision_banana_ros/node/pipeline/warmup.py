# SPDX-License-Identifier: Apache-2.0
"""Everything once before the first frame: compiled code is loaded, the generator has painted, buffers are there."""

from collections.abc import Sequence

import numpy as np
from std_msgs.msg import Header

from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.prompts import Prompts
from vision_banana_ros.node.topics.messages import TASKS, Composer, Seen
from vision_banana_ros.perception import Intrinsics, Perceiver, Question
from vision_banana_ros.tasks.answer_format import AnswerFormat


class _Grey:
    """Paints nothing, for all questions: what comes after painting is compiled by it in no time."""

    def __init__(self, size: tuple[int, int], manifest: AnswerFormat):
        self.size = size
        self.manifest = manifest

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        return np.full((len(instructions), *self.size, 3), 0.5, np.float32)


def warm_up(asking: Asking) -> None:
    """On the worker's thread, with the generator that will be used."""
    frame = np.zeros((480, 640, 3), np.uint8)
    legend = asking.prompts.legend
    prompts = Prompts(legend, ("anything",), "thing")
    questions = [question for task in sorted(asking.questions) for question in prompts.questions(task)]
    looks = Perceiver(_Grey(asking.generator.size, asking.generator.manifest)).look(frame, questions)
    answers = {question.task: [answer] for question, answer in zip(questions, looks, strict=True)}
    camera = Intrinsics.from_fov(640, 480, 60.0)
    seen = Seen(Header(), looks.image, answers, legend, (0.2, 20.0), camera, asking.settings.obstacles)
    composer = Composer()
    for topic in TASKS:
        composer.compose(topic, seen)
    if "depth" in asking.generator.tasks:
        asking.perceiver.look(frame, [Question.depth()])
