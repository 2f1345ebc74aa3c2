# SPDX-License-Identifier: Apache-2.0
"""The newest of a range sensor's messages, as points in the camera's optical frame.

What depth's scale is checked by.
"""

import math
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import LaserScan, PointCloud2

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.topics.point_cloud import read_points
from vision_banana_ros.node.topics.qos import asked, overridable, own_group
from vision_banana_ros.node.topics.stamps import nanoseconds
from vision_banana_ros.node.topics.transforms import Transforms
from vision_banana_ros.perception.depth_scale import moved, scan_points

TYPES: dict[str, type] = {"scan": LaserScan, "cloud": PointCloud2}
"""The topics that ranges may come by."""
MAX_APART_S = 0.5
"""A message whose stamp is farther from the frame's is of another moment."""

# x forward, y left, z up -> the optical frame (REP 103): x right, y down, z forward
_OPTICAL_FROM_BODY = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


class Ranges:
    """One camera's subscription to a range sensor.

    Attributes:
        topic: The one that it listens to, empty for none.
        camera_frame: frame_id of the camera's images, to look up where the sensor is.
        placed_by: How that became known, for diagnostics.
    """

    def __init__(self, node: Node, prefix: str, transforms: Transforms):
        self._node = node
        self._prefix = prefix
        self._transforms = transforms
        self.camera_frame = ""
        self.placed_by = ""
        self.topic = ""
        self._subscription: Subscription | None = None
        self.newest: Any = None

    def listen(self, topic: str) -> None:
        """To one of `TYPES`, or with "" to nothing."""
        if topic == self.topic:
            return
        self.topic, self.newest = topic, None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        if topic:
            self._subscription = self._node.create_subscription(
                TYPES[topic],
                self._prefix + topic,
                self.on_message,
                asked(ReliabilityPolicy.BEST_EFFORT),
                callback_group=own_group(),
                qos_overriding_options=overridable(),
            )

    def points(self, stamp_ns: int, pose: tuple[float, ...]) -> np.ndarray:
        """(N, 3) metres in the optical frame, of about the moment of a frame.

        The sensor is where tf2 says, else where `pose` says: x, y, z, roll, pitch, yaw of the sensor as seen
        from the camera, in axes x forward, y left, z up.
        """
        message = self.newest
        if message is None or abs(nanoseconds(message.header.stamp) - stamp_ns) > MAX_APART_S * 1e9:
            topic = self._node.resolve_topic_name(self._prefix + self.topic)
            raise InputError(
                f"no ranges on {topic} are within {MAX_APART_S} s of the image; start the sensor, and"
                " compare the clocks"
            )
        if isinstance(message, LaserScan):
            points = scan_points(
                np.array(message.ranges, np.float64),
                *(message.angle_min, message.angle_increment, message.range_min, message.range_max),
            )
        else:
            points = read_points(message).reshape(-1, 3).astype(np.float64)
        frame = message.header.frame_id
        try:
            optical_from_sensor = self._transforms.matrix(
                self.camera_frame, frame, nanoseconds(message.header.stamp)
            )
            self.placed_by = f"tf2, {frame} to {self.camera_frame}"
        except InputError as without:
            optical_from_sensor = (
                _OPTICAL_FROM_BODY @ body_from_sensor(pose) @ _SENSOR_AXES[frame.endswith("optical_frame")]
            )
            self.placed_by = f"range_pose, because {without}"
        return moved(points, optical_from_sensor)

    def on_message(self, message: Any) -> None:
        """Keeps a message of the sensor."""
        self.newest = message


_SENSOR_AXES = {False: np.eye(4), True: np.linalg.inv(_OPTICAL_FROM_BODY)}
"""A sensor whose frame_id ends in optical_frame (REP 103) has its axes turned like the camera's."""


def body_from_sensor(pose: tuple[float, ...]) -> np.ndarray:
    """4x4 of x, y, z in metres and roll, pitch, yaw in radians about fixed axes, as in URDF."""
    x, y, z, roll, pitch, yaw = pose
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in (roll, pitch, yaw))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, x],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, y],
            [-sp, cp * sr, cp * cr, z],
            [0, 0, 0, 1],
        ]
    )
