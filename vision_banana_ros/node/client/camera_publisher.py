# SPDX-License-Identifier: Apache-2.0
"""Publishes pictures as Image with their CameraInfo, as a camera driver does."""

from array import array
from collections.abc import Sequence

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.node.ros_start import saying_refusals, start_ros
from vision_banana_ros.node.topics.camera_info import message_of
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.qos import asked
from vision_banana_ros.perception.camera import Calibration


class CameraPublisher:
    """The node `camera` with the relative topics `image` and `camera_info`.

    Remap them with `--ros-args -r`. Use it in a `with` statement, which ends the node and its context.
    """

    def __init__(self, frame_id: str = "camera_optical_frame", ros_args: Sequence[str] = ()):
        self.frame_id = frame_id
        no_room = carry_large_images()
        self.context = Context()
        start_ros(["camera", *ros_args], self.context)
        with saying_refusals():
            self.node = rclpy.create_node("camera", context=self.context)
        if no_room:
            self.node.get_logger().warning(no_room)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        qos = asked(ReliabilityPolicy.RELIABLE)  # so that reliable and best-effort subscribers both receive
        overridable = QoSOverridingOptions.with_default_policies()
        self.images = self.node.create_publisher(Image, "image", qos, qos_overriding_options=overridable)
        self.infos = self.node.create_publisher(
            CameraInfo, "camera_info", qos, qos_overriding_options=overridable
        )

    def __enter__(self) -> "CameraPublisher":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    @property
    def subscribers(self) -> int:
        """How many subscriptions receive the images."""
        return int(self.images.get_subscription_count())

    def now_ns(self) -> int:
        """The node's clock, nanoseconds.

        Where use_sim_time is set, as of the last message on /clock, 0 before the first.
        """
        self._executor.spin_once(timeout_sec=0)
        return int(self.node.get_clock().now().nanoseconds)

    def publish(self, image: np.ndarray, calibration: Calibration, stamp_ns: int) -> None:
        """One frame, (H, W, 3) uint8 RGB, and its camera under one stamp (nanoseconds)."""
        message = Image(height=image.shape[0], width=image.shape[1], encoding="rgb8", step=image.shape[1] * 3)
        message.header.frame_id = self.frame_id
        message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        # An array.array passes the setter without a look at every byte, which for a ndarray takes a second.
        data = array("B")
        data.frombytes(np.ascontiguousarray(image).data)
        message.data = data
        info = message_of(calibration)
        info.header = message.header
        # The camera first: who waits for both has it when the image comes.
        self.infos.publish(info)
        self.images.publish(message)
