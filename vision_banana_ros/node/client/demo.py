# SPDX-License-Identifier: Apache-2.0
"""The client of the demonstration: brings the node up, asks it, and writes down everything that it publishes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from vision_banana_interfaces.srv import SetPrompts  # type: ignore[attr-defined]
from vision_banana_ros.node.client.message_readers import read_camera, read_cloud, read_image

NODE = "/vision_banana"
QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=2,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class Failure(RuntimeError):
    """The demonstration cannot go on. The message is a sentence for the user."""


READERS: dict[str, tuple[type, Callable[[Any], np.ndarray]]] = {
    "depth/image_rect": (Image, read_image),
    "depth/camera_info": (CameraInfo, read_camera),
    "normals/image": (Image, read_image),
    "segmentation/mask": (Image, read_image),
    "segmentation/confidence": (Image, read_image),
    "instances/mask": (Image, read_image),
    "referring/mask": (Image, read_image),
    "points": (PointCloud2, read_cloud),
    "depth/color": (Image, read_image),
    "normals/color": (Image, read_image),
    "segmentation/overlay": (Image, read_image),
}
"""Every output that has a stamp of the camera, and how its message is read."""


@dataclass
class Heard:
    """What came on one topic: stamps (ns), ages at arrival (s), and what was wrong with messages that did not read."""

    stamps: list[int] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Client:
    """Use it in a `with`. Every wait is bounded, and ends early when `alive` says that the node's process is gone."""

    def __init__(self, alive: Callable[[], bool], keep: Callable[[int], bool]):
        """keep: whether the outputs of a stamp (ns) are to be kept whole for later, in `kept`."""
        self.alive = alive
        self.keep = keep
        self.heard = {topic: Heard() for topic in READERS}
        self.kept: dict[int, dict[str, np.ndarray]] = {}
        self.labels_expected = False
        self.labels: dict[int, str] = {}
        self.diagnostics: dict[str, str] = {}
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("vision_banana_demo", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def bring_up(self, timeout_s: float) -> None:
        """Configures and activates the lifecycle node, so far as it has not done so by itself."""
        deadline = time.monotonic() + timeout_s
        for state, transition, word in (
            (State.PRIMARY_STATE_UNCONFIGURED, Transition.TRANSITION_CONFIGURE, "configure"),
            (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_ACTIVATE, "activate"),
        ):
            left = deadline - time.monotonic()
            if self._call(GetState, f"{NODE}/get_state", GetState.Request(), left).current_state.id != state:
                continue
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self._call(ChangeState, f"{NODE}/change_state", request, deadline - time.monotonic()).success:
                raise Failure(f"{NODE} refused to {word}; its log says why.")

    def set_prompts(self, task: str, prompts: list[str]) -> list[int]:
        """Says what the live stream is asked, and returns the ids of the prompts."""
        request = SetPrompts.Request(task=task, prompts=prompts)
        reply = self._call(SetPrompts, f"{NODE}/set_prompts", request, 30.0)
        if not reply.success:
            raise Failure(f"{NODE} refused the prompts {prompts} for {task}: {reply.message}")
        return list(reply.ids)

    def subscribe(self) -> None:
        """To everything that the node publishes. The latched labels only where vision_msgs is installed."""
        for topic, (kind, read) in READERS.items():
            self._node.create_subscription(kind, topic, self._listener(topic, read), QOS)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QOS)
        try:
            label_info = import_module("vision_msgs.msg").LabelInfo
        except ImportError:
            return
        self.labels_expected = True
        self._node.create_subscription(label_info, "segmentation/labels", self._on_labels, LATCHED)

    def listen(self, seconds: float) -> None:
        """Receives for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._spin(left)

    def _spin(self, timeout_s: float) -> None:
        if not self.alive():
            raise Failure("The node's process ended; its log says why.")
        self._executor.spin_once(timeout_sec=min(timeout_s, 0.2))

    def _call(self, kind: Any, name: str, request: Any, timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        client: Any = self._node.create_client(kind, name)
        try:
            while not client.service_is_ready():
                if time.monotonic() > deadline:
                    raise Failure(f"The service {name} did not appear within {timeout_s:.0f} s; is the node running?")
                self._spin(0.1)
            future = client.call_async(request)
            while not future.done():
                if time.monotonic() > deadline:
                    raise Failure(f"The service {name} did not answer within {timeout_s:.0f} s.")
                self._spin(0.1)
            return future.result()
        finally:
            self._node.destroy_client(client)

    def _listener(self, topic: str, read: Callable[[Any], np.ndarray]) -> Callable[[Any], None]:
        heard = self.heard[topic]

        def listen(message: Any) -> None:
            stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
            heard.ages_s.append((self._node.get_clock().now().nanoseconds - stamp) / 1e9)
            heard.stamps.append(stamp)
            try:
                values = read(message)
            except (ValueError, KeyError) as error:
                heard.faults.append(f"{type(error).__name__}: {error}")
                return
            if self.keep(stamp):
                self.kept.setdefault(stamp, {})[topic] = values

        return listen

    def _on_labels(self, message: Any) -> None:
        self.labels = {c.class_id: c.class_name for c in message.class_map}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if "vision_banana" in status.name:
                self.diagnostics |= {value.key: value.value for value in status.values}
