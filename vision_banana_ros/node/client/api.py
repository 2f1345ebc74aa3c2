# SPDX-License-Identifier: Apache-2.0
"""The node from a Python program, without the boilerplate of ROS.

>>> with VisionBanana() as banana:
...     found = banana.segment("the red ball left of the box")
...     if found:
...         print(found.place)
"""

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.time import Time
from sensor_msgs.msg import Image

from vision_banana_interfaces.srv import Generate, Segment, SetPrompts  # type: ignore[attr-defined]
from vision_banana_ros.node.client.message_readers import READERS, read_output
from vision_banana_ros.node.ros_start import start_ros
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.messages import OUTPUTS
from vision_banana_ros.node.topics.qos import offered
from vision_banana_ros.node.topics.stamps import nanoseconds

_FRAMES_AWAITED = 30
Client = TypeVar("Client", bound="VisionBanana")


class Refused(RuntimeError):
    """The node did not execute a request, or did not reply. The message says why and what to do."""


@dataclass(frozen=True)
class Found:
    """What an expression fits in one frame. False where it fits nothing.

    mask: (H, W) bool. box: left, top, width, height in pixels. confidence: 0..1. place: metres in the
    camera's optical frame (x right, y down, z forward), None where depth or CameraInfo is missing.
    """

    message: str
    stamp_ns: int
    mask: np.ndarray
    box: tuple[int, int, int, int]
    confidence: float
    place: tuple[float, float, float] | None

    def __bool__(self) -> bool:
        return self.box[2] > 0


class VisionBanana:
    """A client of a running node. Use it in a `with` statement, from one thread.

    Its calls wait at most `timeout_s` and raise `Refused`. It has its own ROS context, so that it can be used
    beside other nodes of the program and without rclpy.init.
    """

    def __init__(self, node: str = "/vision_banana", timeout_s: float = 15.0):
        carry_large_images()
        self._name, self._timeout_s = node, timeout_s
        self._context = Context()
        start_ros(context=self._context)
        namespace = node.rpartition("/")[0] or "/"
        self._node = rclpy.create_node("vision_banana_client", namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def bring_up(self, timeout_s: float) -> None:
        """Configures and activates the node, so far as that is not done: at most `timeout_s` in all."""
        end = time.monotonic() + timeout_s
        for state, transition, word in (
            (State.PRIMARY_STATE_UNCONFIGURED, Transition.TRANSITION_CONFIGURE, "configure"),
            (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_ACTIVATE, "activate"),
        ):
            if (
                self._call(GetState, "get_state", GetState.Request(), end - time.monotonic()).current_state.id
                != state
            ):
                continue
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self._call(ChangeState, "change_state", request, end - time.monotonic()).success:
                raise Refused(f"{self._name} refused to {word}; its log says why.")

    def segment(
        self, expression: str, stamp_ns: int = 0, image: np.ndarray | None = None, camera: str = ""
    ) -> Found:
        """Finds what an expression describes.

        In the newest frame, in that of a stamp, or in an image (H, W, 3) uint8 RGB.
        """
        request = Segment.Request(
            expression=expression, stamp=Time(nanoseconds=stamp_ns).to_msg(), camera=camera
        )
        if image is not None:
            request.image = _message(image)
        reply = self._ask(Segment, "segment", request)
        point, roi = reply.centroid.point, reply.roi
        place = (point.x, point.y, point.z)
        return Found(
            message=reply.message,
            stamp_ns=nanoseconds(reply.mask.header.stamp),
            mask=read_output(reply.mask) > 0,
            box=(roi.x_offset, roi.y_offset, roi.width, roi.height),
            confidence=reply.confidence,
            place=place if all(np.isfinite(place)) else None,
        )

    def set_prompts(
        self, task: str, prompts: Sequence[str], persist: bool = False
    ) -> dict[str, tuple[int, str]]:
        """Sets the prompts of the live stream from the next frame on.

        Args:
            task: "semantic", "referring" or "instances".
            prompts: Classes, expressions, or the one class whose instances are segmented.
            persist: Whether to store the prompts for the next start of the node.

        Returns:
            For each prompt its value in the mask and its colour, "#rrggbb".

        Raises:
            Refused: If the node does not accept them; the message says why.
        """
        reply = self._ask(
            SetPrompts, "set_prompts", SetPrompts.Request(task=task, prompts=list(prompts), persist=persist)
        )
        return dict(zip(prompts, zip(reply.ids, reply.colors, strict=True), strict=False))

    def generate(self, instruction: str, image: np.ndarray | None = None, camera: str = "") -> np.ndarray:
        """What the generator paints, (h, w, 3) uint8 RGB, of the newest frame or of an image."""
        request = Generate.Request(instruction=instruction, camera=camera)
        if image is not None:
            request.image = _message(image)
        return read_output(self._ask(Generate, "generate", request).image)

    def frames(self, *topics: str, camera: str = "") -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yields the stamp (ns) and the requested outputs of each frame by topic, as "depth/image_rect".

        Only complete frames. Raises Refused if there is none within the timeout.
        """
        unknown = [topic for topic in topics if topic not in OUTPUTS]
        if unknown or not topics:
            raise Refused(
                f"{unknown or 'Nothing'} cannot be subscribed to; the outputs are {', '.join(OUTPUTS)}."
            )
        waiting: dict[int, dict[str, np.ndarray]] = {}

        def listener(topic: str) -> Any:
            def listen(message: Any) -> None:
                frame = waiting.setdefault(nanoseconds(message.header.stamp), {})
                frame[topic] = READERS[OUTPUTS[topic]](message)
                # parts of frames that will not come whole any more
                for old in list(waiting)[:-_FRAMES_AWAITED]:
                    del waiting[old]

            return listen

        prefix = f"{camera}/" if camera else ""
        subscriptions = [
            self._node.create_subscription(OUTPUTS[t], prefix + t, listener(t), offered()) for t in topics
        ]
        try:
            while True:
                self._spin_until(
                    lambda: any(len(f) == len(topics) for f in waiting.values()),
                    f"{', '.join(topics)} of one frame",
                )
                stamp = next(s for s, f in waiting.items() if len(f) == len(topics))
                yield stamp, waiting.pop(stamp)
        finally:
            for subscription in subscriptions:
                self._node.destroy_subscription(subscription)

    def _ask(self, kind: type, service: str, request: Any) -> Any:
        """The reply of a service of the node's own. Refused where it says that it was not done."""
        reply = self._call(kind, service, request, self._timeout_s)
        if not reply.success:
            raise Refused(reply.message)
        return reply

    def _call(self, kind: type, service: str, request: Any, timeout_s: float) -> Any:
        end = time.monotonic() + timeout_s
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self._node.create_client(kind, f"{self._name}/{service}")
        missing = f"the service {client.srv_name}; is the node running, in this ROS domain?"
        self._spin_until(client.service_is_ready, missing, timeout_s)
        future = client.call_async(request)
        self._spin_until(future.done, f"an answer of {client.srv_name}", end - time.monotonic())
        return future.result()

    def _spin_until(self, done: Callable[[], bool], what: str, timeout_s: float | None = None) -> None:
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + wait_s
        while not done():
            left = end - time.monotonic()
            if left <= 0:
                raise Refused(f"Timeout after {max(wait_s, 0):g} s: waited for {what}")
            self._spin(min(left, 0.1))

    def _spin(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)


def _message(image: np.ndarray) -> Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise Refused(f"An image is (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}: convert it first.")
    height, width = image.shape[:2]
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", np.ascontiguousarray(image).tobytes())
    return message
