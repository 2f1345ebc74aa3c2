# SPDX-License-Identifier: Apache-2.0
"""Where frames are, by tf2."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.time import Time

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.topics.stamps import nanoseconds
from vision_banana_ros.perception.obstacles import Floor

try:
    import tf2_ros
except ImportError:  # the wheels of ROS have no tf2: the node works without it
    tf2_ros = None  # type: ignore[assignment,unused-ignore]

OLDEST_S = 0.5
"""A transform whose stamp is farther from the frame's does not tell where the camera was; a static one
always does."""
FARTHEST_M = 1e6
"""A transform that moves farther holds no place of a robot."""
STRAIGHT_UP = 0.7
"""Sine of the elevation of a camera's view. What looks higher is rather a frame with z up than a camera that
looks at the ceiling."""


class NotOptical(InputError):
    """The frame_id of a camera is not that of its optical frame."""


class Transforms:
    """A node's tf2 buffer. It listens to /tf only while that is asked for."""

    def __init__(self, node: Node):
        self._node = node
        self.buffer: Any = None
        self._listener: Any = None

    def listen(self, wanted: bool) -> None:
        """Subscribes to /tf and /tf_static, or unsubscribes. Nothing happens where tf2 is not installed."""
        if wanted and self._listener is None and tf2_ros is not None:
            self.buffer = tf2_ros.Buffer(node=self._node)
            self._listener = tf2_ros.TransformListener(self.buffer, self._node, spin_thread=False)
        elif not wanted and self._listener is not None:
            self._listener.unregister()
            self._node.destroy_service(self.buffer.srv)  # tf2_frames, which the listener leaves on the node
            if hasattr(self.buffer, "jump_handle"):  # not in Humble
                self.buffer.jump_handle.unregister()
            self.buffer = self._listener = None

    def forget(self) -> None:
        """Drops all transforms but the static ones, because time has jumped back.

        tf2 refuses what is older than its newest transform by its cache's 10 s, and does not notice a jump
        of stamps while the node's clock goes on, nor, in Humble, that of /clock.
        """
        if self.buffer is not None:
            self.buffer.clear()

    def matrix(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """Where `source` is as seen from `target`, at the moment of a frame.

        May be used from the worker's thread.

        Transforms of moving parts often arrive after the image: the newest one is taken if it is at most
        `OLDEST_S` away.

        Returns:
            4x4, points of `source` -> points of `target`, in metres.

        Raises:
            InputError: There is no such transform; the sentence says why.
        """
        buffer = self.buffer
        if buffer is None:
            raise InputError("tf2 is not installed" if tf2_ros is None else "tf2 is not listened to")
        if not target or not source:
            raise InputError("the messages have no frame_id")
        if stamp_ns >= 0:  # of an earlier time rclpy has no moments
            with suppress(tf2_ros.TransformException):  # of this moment there is none
                exact = buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
                return _matrix(exact.transform, target, source)
        try:
            newest = buffer.lookup_transform(target, source, Time())
        except tf2_ros.TransformException as error:
            raise InputError(f"tf2 has no transform from {source} to {target}: {error}") from error
        apart_s = abs(nanoseconds(newest.header.stamp) - stamp_ns) / 1e9
        if nanoseconds(newest.header.stamp) and apart_s > OLDEST_S:
            raise InputError(
                f"the transform from {source} to {target} is {apart_s:.1f} s away from the frame"
            )
        return _matrix(newest.transform, target, source)

    def floor(self, base: str, camera: str, stamp_ns: int) -> Floor:
        """The x-y plane of `base` as a camera of frame_id `camera` sees it, at the moment of a frame.

        Raises:
            NotOptical: By tf2 the camera looks straight up.
            InputError: There is no such transform; the sentence says why.
        """
        x, y, z, height = map(float, self.matrix(base, camera, stamp_ns)[2])
        if z > STRAIGHT_UP:
            raise NotOptical(f"by tf2 {camera} looks straight up, so it is no optical frame")
        return Floor((x, y, z), height)


def _matrix(transform: Any, target: str, source: str) -> np.ndarray:
    t, q = transform.translation, transform.rotation
    length = math.hypot(q.x, q.y, q.z, q.w)
    if not (0 < length < math.inf and math.hypot(t.x, t.y, t.z) <= FARTHEST_M):
        raise InputError(f"the transform from {source} to {target} holds numbers that are no place or turn")
    x, y, z, w = np.array([q.x, q.y, q.z, q.w]) / length
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), t.x],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), t.y],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), t.z],
        [0, 0, 0, 1],
    ])  # fmt: skip
