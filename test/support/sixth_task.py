# SPDX-License-Identifier: Apache-2.0
"""A sixth task in one file, registered on import, and a generator that was taught nothing else.

Run as a program it asks it: python test/support/sixth_task.py run IMAGE DIR, or: node
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from oracle import answer_format

from vision_banana_ros.tasks import register
from vision_banana_ros.tasks.task import Output, Task, Words


@dataclass(frozen=True, slots=True)
class Answer:
    """brightness: (H, W) float32, 0 dark to 1 bright. confidence: (H, W) float32, that the colour is a
    grey."""

    brightness: np.ndarray
    confidence: np.ndarray


class Brightness(Task):
    """How bright is everything?"""

    name = "brightness"
    PHRASINGS = ("Paint how bright everything is, in grey.",)
    Answer = Answer
    field = "brightness"
    publishes = (Output("brightness/image", "32FC1", "brightness"),)
    stem = "brightness"

    def instruction(self, words: Words) -> str:
        return self.PHRASINGS[0]

    def encode(self, truth: Any, words: Words) -> np.ndarray:
        return np.repeat(np.asarray(truth, np.float32)[..., None], 3, axis=2)

    def decode(self, rgb: Any, words: Words, thresholds: Mapping[str, float]) -> Answer:
        return Answer(rgb.mean(2, np.float32), 1 - np.ptp(rgb, axis=2).astype(np.float32))


register(Brightness())


class Generator:
    """Paints the brightness that a frame has."""

    name = executor = "sixth"
    why = "As asked."
    faults = []
    size = (48, 64)
    tasks = ("brightness",)
    manifest = answer_format(tasks=tasks)

    def asked(self, question: Any) -> Any:
        return question

    def prepare(self, instruction: str) -> None:
        pass

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        assert list(instructions) == list(Brightness.PHRASINGS)
        return Brightness().encode(image.mean(2) / 255, Words())[None]


def ask_by_run(image: str, out: str) -> int:
    from vision_banana_ros.cli import run
    from vision_banana_ros.cli.main import main

    run.load_generator = lambda bundle, executor: Generator()  # type: ignore[assignment]
    run.default_bundle = lambda: Path("none")
    return main(["run", image, "--out", out])


def ask_by_node() -> None:
    """Prints the encoding and the middle value of what a frame of grey level 51 is answered by."""
    from lifecycle_msgs.msg import Transition
    from node_support import Camera, camera_info, new_client, pixels, running_node

    with running_node(lambda bundle, executor: Generator()) as (node, context), new_client(context) as client:
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert client.transition(transition)
        client.listen("brightness/image")
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info())
        client.spin_until(lambda: node.streams[0].outputs.watched(), "the subscription")
        stamp = camera.show(51)
        (message,) = client.spin_until(lambda: client.received["brightness/image"], "an answer")
        assert message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec == stamp
        print(message.encoding, float(pixels(message)[24, 32]))


if __name__ == "__main__":
    sys.modules["sixth_task"] = sys.modules["__main__"]
    sys.exit(ask_by_run(*sys.argv[2:]) if sys.argv[1] == "run" else ask_by_node())
