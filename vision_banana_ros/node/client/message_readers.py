# SPDX-License-Identifier: Apache-2.0
"""Converts the output messages of the node to arrays, for subscribers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from vision_banana_ros.node.topics.point_cloud import read_points
from vision_banana_ros.perception.image_encodings import to_rgb

_NUMBERS = {"32FC1": ("<f4", 1), "32FC3": ("<f4", 3), "16UC1": ("<u2", 1), "mono8": ("u1", 1)}


def read_output(message: Image) -> np.ndarray:
    """An output message as an array, (H, W) or (H, W, C); a view of the message's memory where possible."""
    if message.encoding == "rgb8":
        return to_rgb(message.data, message.encoding, message.height, message.width, message.step)
    kind, channels = _NUMBERS[message.encoding]
    flat = np.frombuffer(message.data, kind)
    return flat.reshape((message.height, message.width, channels) if channels > 1 else (message.height, message.width))


def read_camera(message: CameraInfo) -> np.ndarray:
    """K, with the size that it is for in front: width, height, k0 .. k8."""
    return np.array([message.width, message.height, *message.k])


READERS: dict[type, Callable[[Any], np.ndarray]] = {Image: read_output, CameraInfo: read_camera, PointCloud2: read_points}
"""How the messages of a type are read."""
