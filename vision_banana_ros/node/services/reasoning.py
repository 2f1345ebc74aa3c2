# SPDX-License-Identifier: Apache-2.0
"""The reasoning model for ~/segment, on threads of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sensor_msgs.msg import Image

from vision_banana_interfaces.srv import Segment  # type: ignore[attr-defined]
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.services.handlers import NOWHERE
from vision_banana_ros.node.topics.image_input import read_image
from vision_banana_ros.node.topics.messages import image_message
from vision_banana_ros.reasoning import Rewriter


@dataclass(frozen=True)
class Understood:
    """The interpretation of a query in a frame.

    Attributes:
        absent: The model is sure that the object is not visible, so that the generator is not run.
        size: Height and width of the frame.
    """

    query: str
    expression: str
    absent: bool = False
    size: tuple[int, int] = (0, 0)

    def told(self, sentence: str) -> str:
        """The message of a reply, which starts with the interpretation of the query if it differs."""
        return (
            sentence
            if self.expression == self.query
            else (f"{self.query!r} is taken for {self.expression!r}. {sentence}")
        )


def understand(message: Image, query: str, rewriter: Rewriter) -> Understood:
    """Interprets a query, which takes seconds. Raises InputError if the frame or the model cannot be used."""
    image = read_image(message)
    expression = rewriter.rewrite(query, image)
    return Understood(query, expression, rewriter.present(expression, image) is False, image.shape[:2])


def answer_absent(message: Image, meant: Understood, asking: Asking, response: Segment.Response) -> str:
    """Fills the reply of ~/segment for an object that is not visible, and returns its message."""
    response.mask, pixels = image_message(message.header, "mono8", *asking.perceiver.grid(*meant.size))
    pixels[:] = 0
    response.centroid.header = message.header
    p = response.centroid.point
    p.x, p.y, p.z = NOWHERE
    return f"Nothing in the frame fits {meant.expression!r}, says the reasoning model."


def on_a_thread(job: Callable[[], None]) -> None:
    """Runs a function on a daemon thread, which does not keep the process alive."""
    threading.Thread(target=job, name="vision_banana_understanding", daemon=True).start()
