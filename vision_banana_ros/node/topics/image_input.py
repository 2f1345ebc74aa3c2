# SPDX-License-Identifier: Apache-2.0
"""Image messages in: the picture of a sensor_msgs Image or CompressedImage as uint8 RGB."""

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from vision_banana_ros.perception.image_encodings import (
    TRUE_BITS,
    compressed_to_rgb,
    refuse_huge,
    to_rgb,
    true_bits,
)


class ImageReader:
    """Of one camera.

    A dark frame of 16 bits a channel is scaled by as many bits as the camera has shown to use.
    """

    def __init__(self) -> None:
        self._bits = TRUE_BITS[0]

    def __call__(self, message: Image | CompressedImage) -> np.ndarray:
        """As `read_image`."""
        if isinstance(message, Image) and message.encoding.endswith("16") and len(message.data) % 2 == 0:
            values = np.frombuffer(message.data, ">u2" if message.is_bigendian else "<u2")
            self._bits = max(self._bits, true_bits(values))
        return read_image(message, self._bits)


def read_image(message: Image | CompressedImage, at_least_bits: int = TRUE_BITS[0]) -> np.ndarray:
    """The picture, (H, W, 3) uint8 RGB, for tight rgb8 a view of the message.

    InputError where the message cannot be used.
    """
    if isinstance(message, CompressedImage):
        return compressed_to_rgb(memoryview(message.data), message.format, at_least_bits=at_least_bits)
    refuse_huge(message.width, message.height)
    return to_rgb(
        memoryview(message.data),
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        at_least_bits,
    )
