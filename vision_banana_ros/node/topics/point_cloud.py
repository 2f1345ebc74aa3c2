# SPDX-License-Identifier: Apache-2.0
"""Reads PointCloud2 messages."""

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from vision_banana_ros.errors import InputError

MAX_POINTS = 4_000_000


def read_points(cloud: PointCloud2) -> np.ndarray:
    """The points of a cloud with float32 fields x, y and z.

    Returns:
        (height, width, 3) float32 in metres; invalid points are NaN as in the message.

    Raises:
        InputError: If the fields are missing, or the size does not match the data.
    """
    offsets = {f.name: f.offset for f in cloud.fields if f.datatype == PointField.FLOAT32}
    if not {"x", "y", "z"} <= set(offsets):
        raise InputError("the cloud has no float32 fields x, y and z")
    width, height, step = cloud.width, cloud.height, cloud.point_step
    row = cloud.row_step or width * step
    if (
        max(offsets[a] for a in "xyz") + 4 > step
        or width * step > row
        or row * height > len(cloud.data)
        or width * height > MAX_POINTS
    ):
        raise InputError("the cloud's size does not fit its data")
    order = ">" if cloud.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": list("xyz"),
            "formats": [f"{order}f4"] * 3,
            "offsets": [offsets[a] for a in "xyz"],
            "itemsize": step,
        }
    )
    table = np.ndarray((height, width), layout, memoryview(cloud.data), strides=(row, step))
    return np.stack([table[a] for a in "xyz"], axis=-1).astype(np.float32, copy=False)
