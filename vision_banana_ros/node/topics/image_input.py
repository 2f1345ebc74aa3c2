# SPDX-License-Identifier: Apache-2.0
"""Image messages in: the picture of a sensor_msgs Image or CompressedImage as uint8 RGB."""

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.image_encodings import compressed_to_rgb, refuse_huge, to_rgb


def read_image(message: Image | CompressedImage) -> np.ndarray:
    """The picture, (H, W, 3) uint8 RGB, for tight rgb8 a view of the message. InputError where the message cannot be used."""
    if isinstance(message, CompressedImage):
        if "compressedDepth" in message.format:
            raise InputError("A compressedDepth image is depth, not a picture; connect the camera's colour topic.")
        return compressed_to_rgb(memoryview(message.data))
    refuse_huge(message.width, message.height)
    return to_rgb(
        memoryview(message.data),
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
    )
