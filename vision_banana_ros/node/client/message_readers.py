# SPDX-License-Identifier: Apache-2.0
"""Converts the output messages of the node to arrays, for subscribers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from vision_banana_ros.node.topics.messages import OF_THINGS, OUTPUTS
from vision_banana_ros.node.topics.point_cloud import read_points
from vision_banana_ros.perception.image_encodings import to_rgb

_NUMBERS = {"32FC1": ("<f4", 1), "32FC3": ("<f4", 3), "16UC1": ("<u2", 1), "mono8": ("u1", 1)}


def read_output(message: Image) -> np.ndarray:
    """An output message as an array, (H, W) or (H, W, C); a view of the message's memory where possible."""
    if message.encoding == "rgb8":
        return to_rgb(message.data, message.encoding, message.height, message.width, message.step)
    kind, channels = _NUMBERS[message.encoding]
    flat = np.frombuffer(message.data, kind)
    return flat.reshape(
        (message.height, message.width, channels) if channels > 1 else (message.height, message.width)
    )


def read_camera(message: CameraInfo) -> np.ndarray:
    """K, with the size that it is for in front: width, height, k0 .. k8."""
    return np.array([message.width, message.height, *message.k])


_THING = [("id", int), ("name", object), ("score", float)]
_BOX, _SOLID = [("box", float, 4)], [("center", float, 3), ("size", float, 3), ("orientation", float, 4)]


def read_things(message: Any) -> np.ndarray:
    """Detections as records with the fields id, name and score.

    Those of an image have box as well (left, top, width, height in pixels), those in space center and size
    (metres) and orientation (x, y, z, w).
    """
    records: list[tuple[Any, ...]] = []
    flat = not type(message).__name__.startswith("Detection3D")
    for d in message.detections:
        known = (int(d.id), d.results[0].hypothesis.class_id, d.results[0].hypothesis.score)
        if flat:
            x, y, width, height = (
                d.bbox.center.position.x,
                d.bbox.center.position.y,
                d.bbox.size_x,
                d.bbox.size_y,
            )
            records.append((*known, (x - (width - 1) / 2, y - (height - 1) / 2, width, height)))
        else:
            p, q, size = d.bbox.center.position, d.bbox.center.orientation, d.bbox.size
            records.append((*known, (p.x, p.y, p.z), (size.x, size.y, size.z), (q.x, q.y, q.z, q.w)))
    return np.array(records, [*_THING, *(_BOX if flat else _SOLID)])


READERS: dict[type, Callable[[Any], np.ndarray]] = {
    Image: read_output,
    CameraInfo: read_camera,
    PointCloud2: read_points,
}
READERS |= {kind: read_things for topic, kind in OUTPUTS.items() if topic in OF_THINGS}
"""How the messages of a type are read."""
