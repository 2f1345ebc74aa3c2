# SPDX-License-Identifier: Apache-2.0
"""Image messages in: the picture of a sensor_msgs Image or CompressedImage as uint8 RGB."""

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from vision_banana_ros.perception.image_encodings import UsedBits, compressed_to_rgb, refuse_huge, to_rgb


class ImageReader:
    """Of one camera.

    A dark frame of 16 bits a channel is scaled by as many bits as frames of its encoding have used so far.
    """

    def __init__(self) -> None:
        self._used: dict[str, UsedBits] = {}

    def __call__(self, message: Image | CompressedImage) -> np.ndarray:
        """As `read_image`."""
        encoding = message.encoding if isinstance(message, Image) else message.format
        if encoding not in self._used:
            self._used = {encoding: UsedBits()}  # of one at a time: nothing bounds how many there are
        return read_image(message, self._used[encoding])


def read_image(message: Image | CompressedImage, used: UsedBits | None = None) -> np.ndarray:
    """The picture, (H, W, 3) uint8 RGB, for tight rgb8 a view of the message.

    InputError where the message cannot be used.
    """
    if isinstance(message, CompressedImage):
        return compressed_to_rgb(memoryview(message.data), message.format, used=used)
    refuse_huge(message.width, message.height)
    return to_rgb(
        memoryview(message.data),
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        used,
    )
