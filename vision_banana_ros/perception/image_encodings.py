# SPDX-License-Identifier: Apache-2.0
"""The pictures of ROS, bytes and an encoding's name, as uint8 RGB. Names are those of sensor_msgs/image_encodings.h."""

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.whole_pictures import decode_whole

Buffer = bytes | bytearray | memoryview | np.ndarray

# Encoding -> (channels, bytes a channel, OpenCV's conversion to RGB). OpenCV names a Bayer code by the pixels of the
# second row and column and ROS by those of the first, so their names are mirrored.
_ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    "rgb8": (3, 1, None),
    "bgr8": (3, 1, cv2.COLOR_BGR2RGB),
    "rgba8": (4, 1, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, 1, cv2.COLOR_BGRA2RGB),
    "mono8": (1, 1, cv2.COLOR_GRAY2RGB),
    "mono16": (1, 2, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, 1, cv2.COLOR_BayerGB2RGB),
    "yuv422": (2, 1, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, 1, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, 1, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, 1, cv2.COLOR_YUV2RGB_YUY2),
}
ENCODINGS = tuple(_ENCODINGS)

MAX_PIXELS = 25_000_000
"""Larger images are refused: hardly a camera of a robot makes them, and a frame with its answers takes some 130 bytes a pixel."""
_HEADERS = 1 << 20
"""A JPEG's size stands behind its metadata: thumbnails, profiles."""


def to_rgb(data: Buffer, encoding: str, height: int, width: int, step: int, is_bigendian: bool = False) -> np.ndarray:
    """The fields of a sensor_msgs/Image as (height, width, 3) uint8 RGB, C-contiguous.

    `step` is the length of a row in bytes and may be longer than the pixels need. A tight rgb8 image is a view of
    `data`, not a copy (read-only where `data` is). 16-bit grey is scaled by 1/256. InputError where the fields do not
    fit together.
    """
    if encoding not in _ENCODINGS:
        raise InputError(f"The encoding {encoding!r} is not known; publish one of {', '.join(ENCODINGS)}.")
    if height <= 0 or width <= 0:
        raise InputError(f"The image is {width}x{height} pixels, so there is nothing to look at; check the camera driver.")
    channels, depth, conversion = _ENCODINGS[encoding]
    if depth > 1 and is_bigendian:
        raise InputError(f"Big-endian {encoding} is not read; publish it little-endian, or as mono8.")
    if conversion is not None and channels == 2 and width % 2:
        raise InputError(f"{encoding} keeps two pixels in four bytes, but the width {width} is odd; publish an even width.")
    needed = width * channels * depth
    if step < needed:
        raise InputError(f"step is {step}, but a row of {width} {encoding} pixels takes {needed} bytes; correct the publisher.")
    flat = np.frombuffer(data, np.uint8)
    if flat.size < step * (height - 1) + needed:
        raise InputError(f"The image has {flat.size} bytes, but {height} rows of {step} take {step * height}; correct the publisher.")
    # By strides and not by a reshape: a last row without its padding is as good.
    rows = np.lib.stride_tricks.as_strided(flat, (height, width, channels * depth), (step, channels * depth, 1))
    if encoding == "mono16":
        rows = rows[:, :, 1:]  # the high byte is the value / 256
    if conversion is None:
        return np.ascontiguousarray(rows)
    # Bayer wants at least 3x3 pixels to interpolate; OpenCV leaves smaller images black without a word.
    if encoding.startswith("bayer") and min(height, width) < 3:
        raise InputError(f"A {encoding} image of {width}x{height} pixels is too small to interpolate; publish 3x3 or more.")
    return cv2.cvtColor(np.ascontiguousarray(rows), conversion)


def compressed_to_rgb(data: Buffer) -> np.ndarray:
    """The data of a sensor_msgs/CompressedImage, JPEG or PNG, as (H, W, 3) uint8 RGB. InputError for others and for huge ones.

    The size is read first: a few kilobytes may unpack to gigabytes. And OpenCV's readers of other formats see nothing.
    """
    flat = np.frombuffer(data, np.uint8)
    size = _declared_size(bytes(flat[:_HEADERS]))
    if size is not None:
        refuse_huge(*size)
    # Orientation tags are ignored: CameraInfo describes the sensor's own rows and columns.
    image = decode_whole(flat, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if size is not None else None
    if image is None:
        raise InputError(f"The {flat.size} bytes of the compressed image are neither JPEG nor PNG; publish one of these, whole.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def refuse_huge(width: int, height: int) -> None:
    """InputError for an image of more than MAX_PIXELS, before memory is taken for it."""
    if width * height > MAX_PIXELS:
        raise InputError(f"{width}x{height} pixels are more than the {MAX_PIXELS:,} that are taken; send it smaller.")


def _declared_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) that the beginning of a PNG or JPEG declares; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR" and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    at = 2 if head.startswith(b"\xff\xd8") else len(head)
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of a frame
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        elif marker == 0x01 or 0xD0 <= marker <= 0xD9:  # these have no length
            at += 2
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
