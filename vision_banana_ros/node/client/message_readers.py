# SPDX-License-Identifier: Apache-2.0
"""The node's outputs back as arrays, for programs that listen to it."""

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from vision_banana_ros.perception.image_encodings import to_rgb

_NUMBERS = {"32FC1": ("<f4", 1), "32FC3": ("<f4", 3), "16UC1": ("<u2", 1), "mono8": ("u1", 1)}


def read_image(message: Image) -> np.ndarray:
    """An output of the node as (H, W) or (H, W, C) numbers, in the message's own memory where possible."""
    if message.encoding == "rgb8":
        return to_rgb(message.data, message.encoding, message.height, message.width, message.step)
    kind, channels = _NUMBERS[message.encoding]
    flat = np.frombuffer(message.data, kind)
    return flat.reshape((message.height, message.width, channels) if channels > 1 else (message.height, message.width))


def read_cloud(message: PointCloud2) -> np.ndarray:
    """x, y, z of an organised cloud as (H, W, 3) float32, metres."""
    offsets = {f.name: f.offset for f in message.fields}
    layout = np.dtype(
        {
            "names": list("xyz"),
            "formats": ["<f4"] * 3,
            "offsets": [offsets[a] for a in "xyz"],
            "itemsize": message.point_step,
        }
    )
    table = np.frombuffer(message.data, layout).reshape(message.height, message.width)
    return np.stack([table[a] for a in "xyz"], axis=-1)


def read_camera(message: CameraInfo) -> np.ndarray:
    """K, with the size that it is for in front: width, height, k0 .. k8."""
    return np.array([message.width, message.height, *message.k])
