# SPDX-License-Identifier: Apache-2.0
"""The publishers of a camera."""

from collections.abc import Iterable
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from vision_banana_ros.node.health.faults import Faults
from vision_banana_ros.node.topics.messages import OUTPUTS
from vision_banana_ros.node.topics.qos import latched, mismatch, offered, overridable, own_group

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # a ROS without it: the node works, only the names of the classes have no topic
    LabelInfo = None

LABELS = "segmentation/labels"


class Outputs:
    """The publishers of one camera. They publish while the node is active.

    Args:
        prefix: The prefix of the topics, such as "front/".
    """

    def __init__(self, node: LifecycleNode, prefix: str, faults: Faults):
        self._node = node
        self._prefix = prefix
        self._faults = faults
        self._publishers: dict[str, LifecyclePublisher] = {}

    def open(self) -> None:
        """Creates the publishers."""
        for topic, message_type in OUTPUTS.items():
            self._publishers[topic] = self._create(topic, message_type, offered())
        if LabelInfo is None:
            self._node.get_logger().info(f"vision_msgs is not installed: {LABELS} is not published.")
        else:
            self._publishers[LABELS] = self._create(LABELS, LabelInfo, latched())

    def close(self) -> None:
        """Destroys the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def watched(self) -> set[str]:
        """The outputs with subscribers. Thread-safe."""
        return {topic for topic in OUTPUTS if self._publishers[topic].get_subscription_count() > 0}

    def inspect(self) -> None:
        """Clears faults of subscribers that are gone. To be called every second."""
        for topic, publisher in self._publishers.items():
            resolved = self._node.resolve_topic_name(self._prefix + topic)
            if not self._faults.shown(f"qos {resolved}"):
                continue
            asked = self._node.get_subscriptions_info_by_topic(resolved)
            if all(
                qos_check_compatible(publisher.qos_profile, a.qos_profile)[0] != QoSCompatibility.ERROR
                for a in asked
            ):
                self._faults.clear(f"qos {resolved}")

    def publish(self, topic: str, message: Any) -> None:
        """Publishes a message. Thread-safe."""
        self._publishers[topic].publish(message)

    def publish_labels(self, names: Iterable[str]) -> None:
        """Publishes the class names of segmentation/mask, latched for late subscribers."""
        if LabelInfo is None:
            return
        message = LabelInfo(
            class_map=[VisionClass(class_id=i, class_name=name) for i, name in enumerate(names)]
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self.publish(LABELS, message)

    def _create(self, topic: str, message_type: type, profile: QoSProfile) -> LifecyclePublisher:
        resolved = self._node.resolve_topic_name(self._prefix + topic)
        tell = mismatch(
            resolved, True, lambda text: self._faults.report(f"qos {resolved}", text, lasting=True)
        )
        return self._node.create_lifecycle_publisher(
            message_type,
            self._prefix + topic,
            profile,
            callback_group=own_group(),
            qos_overriding_options=overridable(),
            event_callbacks=PublisherEventCallbacks(incompatible_qos=tell, use_default_callbacks=False),
        )
