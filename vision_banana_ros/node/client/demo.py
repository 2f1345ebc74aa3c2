# SPDX-License-Identifier: Apache-2.0
"""The client of the demo: records all outputs of the node."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

from vision_banana_ros.node.client.api import Refused, VisionBanana
from vision_banana_ros.node.client.message_readers import READERS
from vision_banana_ros.node.topics.messages import OF_THINGS, TYPES
from vision_banana_ros.node.topics.qos import latched, offered
from vision_banana_ros.node.topics.stamps import nanoseconds

SHOWN = tuple(topic for topic in TYPES if topic not in {"points_obstacles", *OF_THINGS})
"""The outputs that have one value a pixel of the camera, and its CameraInfo."""


@dataclass
class Heard:
    """What came on one topic.

    Stamps (ns), ages at arrival (s), and what was wrong with messages that did not read.
    """

    stamps: list[int] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Recorder(VisionBanana):
    """Every wait ends early where `alive` says that the node's process is gone.

    keep: whether the outputs of a stamp (ns) are to be kept whole for later, in `kept`. namespace: of the
    node.
    """

    def __init__(self, alive: Callable[[], bool], keep: Callable[[int], bool], namespace: str):
        # the first prompts wait for the compilation
        super().__init__(f"{namespace}/vision_banana", timeout_s=120.0)
        self.alive = alive
        self.keep = keep
        self.heard = {topic: Heard() for topic in SHOWN}
        self.kept: dict[int, dict[str, np.ndarray]] = {}
        self.labels_expected = False
        self.labels: dict[int, str] = {}
        self.diagnostics: dict[str, str] = {}

    def subscribe(self) -> None:
        """To everything that the node publishes. The latched labels only where vision_msgs is installed."""
        for topic in SHOWN:
            self._node.create_subscription(
                TYPES[topic], topic, self._listener(topic, READERS[TYPES[topic]]), offered()
            )
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, offered())
        try:
            label_info = import_module("vision_msgs.msg").LabelInfo
        except ImportError:
            return
        self.labels_expected = True
        self._node.create_subscription(label_info, "segmentation/labels", self._on_labels, latched())

    def listen(self, seconds: float) -> None:
        """Receives for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._spin(min(left, 0.2))

    def _spin(self, timeout_s: float) -> None:
        if not self.alive():
            raise Refused("The node's process ended; its log says why.")
        super()._spin(timeout_s)

    def _listener(self, topic: str, read: Callable[[Any], np.ndarray]) -> Callable[[Any], None]:
        heard = self.heard[topic]

        def listen(message: Any) -> None:
            stamp = nanoseconds(message.header.stamp)
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
            if status.name.startswith(f"{self._name.lstrip('/')}: "):
                self.diagnostics |= {value.key: value.value for value in status.values}
