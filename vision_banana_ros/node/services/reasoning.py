# SPDX-License-Identifier: Apache-2.0
"""What a language model does for ~/segment, where there is one: on a thread of its own, away from ROS's executor and the worker."""

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
    """What a query means in a frame.

    absent: the model is sure that it is not there, so the generator need not be asked. size: of the frame, (height, width).
    """

    query: str
    expression: str
    absent: bool = False
    size: tuple[int, int] = (0, 0)

    def told(self, sentence: str) -> str:
        """The sentence of a reply, which begins with what the query was taken for where that is something else."""
        return sentence if self.expression == self.query else f"{self.query!r} is taken for {self.expression!r}. {sentence}"


def understand(message: Image, query: str, rewriter: Rewriter) -> Understood:
    """Takes seconds. InputError where the frame cannot be read or the model cannot be had."""
    image = read_image(message)
    expression = rewriter.rewrite(query, image)
    return Understood(query, expression, rewriter.present(expression, image) is False, image.shape[:2])


def answer_absent(message: Image, meant: Understood, asking: Asking, response: Segment.Response) -> str:
    """Fills the reply of ~/segment for a thing that is not there, an empty mask, and returns its sentence."""
    response.mask, pixels = image_message(message.header, "mono8", *asking.perceiver.grid(*meant.size))
    pixels[:] = 0
    response.centroid.header = message.header
    p = response.centroid.point
    p.x, p.y, p.z = NOWHERE
    return f"Nothing in the frame fits {meant.expression!r}, says the reasoning model."


def on_a_thread(job: Callable[[], None]) -> None:
    """It does not keep the process from ending."""
    threading.Thread(target=job, name="vision_banana_understanding", daemon=True).start()
