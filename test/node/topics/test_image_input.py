# SPDX-License-Identifier: Apache-2.0
"""The pictures of one camera, frame after frame."""

from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from vision_banana_ros.node.topics.image_input import ImageReader

RAMP = np.linspace(0, 4095, 64).astype("<u2").reshape(8, 8)
"""Of a camera of 12 bits."""


def raw(values: np.ndarray, padding: bytes = b"") -> Image:
    """As mono16, each row followed by padding."""
    rows = b"".join(row.tobytes() + padding for row in values)
    step = len(rows) // len(values)
    return Image(height=8, width=8, encoding="mono16", step=step, data=array("B", rows))


def compressed(values: np.ndarray, padding: bytes = b"") -> CompressedImage:
    data = cv2.imencode(".png", values)[1].tobytes()
    return CompressedImage(format="mono16; png compressed ", data=array("B", data))


def test_what_stands_behind_a_row_is_no_brightness():
    read = ImageReader()
    np.testing.assert_array_equal(read(raw(RAMP, b"\xff\xff"))[..., 0], RAMP >> 4)


@pytest.mark.parametrize("message", [raw, compressed])
def test_a_dark_frame_is_not_brightened_over_those_before(message):
    read = ImageReader()
    read(message(RAMP))
    np.testing.assert_array_equal(read(message(RAMP // 16))[..., 0], RAMP >> 8)


def test_bits_of_one_encoding_say_nothing_of_another():
    read = ImageReader()
    read(raw(RAMP * 16))
    color = np.repeat(RAMP[..., None], 3, axis=2)
    message = Image(height=8, width=8, encoding="rgb16", step=48, data=array("B", color.tobytes()))
    np.testing.assert_array_equal(read(message), color >> 4)
