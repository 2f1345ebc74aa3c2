# SPDX-License-Identifier: Apache-2.0
"""Everything once before the first frame.

Compiled code is loaded, the generator has painted, buffers are there.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from std_msgs.msg import Header

from vision_banana_ros.compilation import compilation_told
from vision_banana_ros.generators import default_bundle
from vision_banana_ros.generators.bundle import open_bundle
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.prompts import Prompts
from vision_banana_ros.node.topics.messages import OUTPUTS, TASKS, Composer, Seen
from vision_banana_ros.perception import Intrinsics, Perceiver
from vision_banana_ros.perception.obstacles import ObstacleFilter
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.colors import Legend

FRAME = (480, 640, 3)
"""Shape of the frame that is asked about."""


class _Grey:
    """Paints nothing, for all questions: what comes after painting is compiled by it in no time."""

    def __init__(self, size: tuple[int, int], manifest: AnswerFormat):
        self.size = size
        self.manifest = manifest

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        return np.full((len(instructions), *self.size, 3), 0.5, np.float32)


def warm_up(asking: Asking) -> None:
    """On the worker's thread, with the generator that will be used."""
    _compose(
        asking.generator,
        asking.prompts.legend,
        asking.settings.obstacles,
        sorted(asking.questions),
        list(OUTPUTS),
    )
    if first := asking.all_questions()[:1]:
        asking.perceiver.look(np.zeros(FRAME, np.uint8), first)


def _compose(
    generator: Any, legend: Legend, obstacles: ObstacleFilter, tasks: Sequence[str], topics: Sequence[str]
) -> None:
    """Answers `tasks` about nothing and makes the messages of `topics`."""
    prompts = Prompts(legend, ("anything",), "thing")
    questions = [question for task in tasks for question in prompts.questions(task)]
    looks = Perceiver(_Grey(generator.size, generator.manifest)).look(np.zeros(FRAME, np.uint8), questions)
    answers = {question.task: [answer] for question, answer in zip(questions, looks, strict=True)}
    camera = Intrinsics.from_fov(FRAME[1], FRAME[0], 60.0)
    ignored = np.zeros(FRAME[:2], bool)  # so that what leaves classes out is compiled, too
    seen = Seen(Header(), looks.image, answers, legend, (0.2, 20.0), camera, obstacles, ignored)
    composer = Composer()
    for topic in topics:
        composer.compose(topic, seen)


def compile_decoders(say: Callable[[str], object]) -> None:
    """Compiles ahead what `warm_up` needs.

    Without a generator, and with nothing to do where it was done before.
    """
    with compilation_told(say, __name__):
        compile_outputs(0, 1)


def compile_outputs(number: int, count: int) -> None:
    """All outputs, one by one, beginning with the one at number / count of them."""
    bundle = open_bundle(default_bundle())
    generator = SimpleNamespace(size=bundle.manifest.size, manifest=bundle.manifest)
    topics = list(OUTPUTS)
    first = len(topics) * number // count
    for topic in topics[first:] + topics[:first]:
        tasks = [task for task in TASKS[topic] if task in bundle.manifest.tasks]
        _compose(generator, bundle.manifest.legend, ObstacleFilter(), tasks, [topic])


if __name__ == "__main__":
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    compile_outputs(int(sys.argv[1]), int(sys.argv[2]))
