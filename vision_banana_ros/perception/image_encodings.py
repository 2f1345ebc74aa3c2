# SPDX-License-Identifier: Apache-2.0
"""The pictures of ROS, bytes and an encoding's name, as uint8 RGB.

Names are those of sensor_msgs/image_encodings.hpp.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.declared_size import KINDS, declared
from vision_banana_ros.perception.image_decoding import decode_whole

Buffer = bytes | bytearray | memoryview | np.ndarray


@dataclass(frozen=True)
class _Encoding:
    """How the pixels of an encoding are stored.

    Attributes:
        channels: Numbers per pixel.
        bytes: Per number.
        conversion: OpenCV's conversion to RGB.
        planes: Rows of bytes per row of pixels, if brightness and colour are stored in separate planes.
    """

    channels: int
    bytes: int
    conversion: int | None
    planes: float = 1


def _bayer(depth: int) -> dict[str, _Encoding]:
    """The four Bayer patterns.

    OpenCV names a pattern by the pixels of the second row and column, ROS by those of the first, so their
    names are mirrored.
    """
    codes = {
        "rggb": cv2.COLOR_BayerBG2RGB,
        "bggr": cv2.COLOR_BayerRG2RGB,
        "gbrg": cv2.COLOR_BayerGR2RGB,
        "grbg": cv2.COLOR_BayerGB2RGB,
    }
    return {f"bayer_{pattern}{8 * depth}": _Encoding(1, depth, code) for pattern, code in codes.items()}


def _colors(depth: int) -> dict[str, _Encoding]:
    bits = 8 * depth
    return {
        f"rgb{bits}": _Encoding(3, depth, None),
        f"bgr{bits}": _Encoding(3, depth, cv2.COLOR_BGR2RGB),
        f"rgba{bits}": _Encoding(4, depth, cv2.COLOR_RGBA2RGB),
        f"bgra{bits}": _Encoding(4, depth, cv2.COLOR_BGRA2RGB),
        f"mono{bits}": _Encoding(1, depth, cv2.COLOR_GRAY2RGB),
    }


_UYVY, _YUYV = _Encoding(2, 1, cv2.COLOR_YUV2RGB_UYVY), _Encoding(2, 1, cv2.COLOR_YUV2RGB_YUY2)
_ENCODINGS: dict[str, _Encoding] = {
    **_colors(1),
    **_bayer(1),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _Encoding(1, 1, cv2.COLOR_YUV2RGB_NV12, 1.5),
    "nv21": _Encoding(1, 1, cv2.COLOR_YUV2RGB_NV21, 1.5),
    "nv24": _Encoding(1, 1, cv2.COLOR_YUV2RGB_NV12, 3),
    # OpenCV's own types, in its order of channels, as cv_bridge and rviz read them.
    "8UC1": _Encoding(1, 1, cv2.COLOR_GRAY2RGB),
    "8UC3": _Encoding(3, 1, cv2.COLOR_BGR2RGB),
    "8UC4": _Encoding(4, 1, cv2.COLOR_BGRA2RGB),
    **_colors(2),
    **_bayer(2),
}
ENCODINGS = tuple(_ENCODINGS)
DEPTHS = ("16UC1", "32FC1", "16SC1", "64FC1")
"""Encodings of depth and other measurements: they show nothing."""
ON_TOPICS = ("JPEG", "PNG", "TIFF", "WebP", "AVIF")
"""What a CompressedImage may hold; files may be of all `declared_size.KINDS`."""

MAX_PIXELS = 25_000_000
"""Larger images are refused: hardly a camera of a robot makes them, and a frame with its answers takes
some 130 bytes a pixel."""
TRUE_BITS = (10, 12, 14, 16)
"""What cameras send in 16 bits. Less than 10 is only dark."""
DAMAGED = 0.001
"""Share of a picture's numbers that may be larger than its bits allow: one flipped bit of a link must not
darken all later pictures."""


class UsedBits:
    """How many bits of 16 one camera uses, of `TRUE_BITS`.

    Cameras of 10 and 12 bits send theirs unshifted, and no field says so. A dark picture is scaled by as many
    as were seen before.
    """

    def __init__(self) -> None:
        self._most = TRUE_BITS[0]

    def of(self, values: np.ndarray) -> int:
        """With the pixels of one more picture."""
        few = int(DAMAGED * values.size)
        while self._most < TRUE_BITS[-1] and np.count_nonzero(values >= 1 << self._most) > few:
            self._most = TRUE_BITS[TRUE_BITS.index(self._most) + 1]
        return self._most


def to_rgb(
    data: Buffer,
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool = False,
    used: UsedBits | None = None,
) -> np.ndarray:
    """The fields of a sensor_msgs/Image as (height, width, 3) uint8 RGB, C-contiguous.

    `step` is the length of a row in bytes and may be longer than the pixels need. A tight rgb8 image is a
    view of `data`, not a copy (read-only where `data` is). 16 bits a channel are scaled by those that the
    picture uses, or that its camera has `used` before. InputError where the fields do not fit together.
    """
    if encoding in DEPTHS:
        raise InputError(
            f"An image of {encoding} is depth or another measurement, not a picture; connect"
            " the camera's colour topic."
        )
    if encoding not in _ENCODINGS:
        raise InputError(f"The encoding {encoding!r} is not known; publish one of {', '.join(ENCODINGS)}.")
    if height <= 0 or width <= 0:
        raise InputError(
            f"The image is {width}x{height} pixels, so there is nothing to look at; check the camera driver."
        )
    as_told = _ENCODINGS[encoding]
    if as_told.conversion is not None and as_told.channels == 2 and width % 2:
        raise InputError(
            f"{encoding} keeps two pixels in four bytes, but the width {width} is odd; publish an even width."
        )
    if as_told.planes == 1.5 and (width % 2 or height % 2):
        raise InputError(
            f"{encoding} keeps one colour for four pixels, but the size {width}x{height} is"
            " odd; publish an even one."
        )
    needed = width * as_told.channels * as_told.bytes
    if step < needed:
        raise InputError(
            f"step is {step}, but a row of {width} {encoding} pixels takes {needed} bytes;"
            " correct the publisher."
        )
    flat = np.frombuffer(data, np.uint8)
    rows = int(height * as_told.planes)
    # More bytes than rows are those of another size or encoding than the fields tell.
    if not step * (rows - 1) + needed <= flat.size <= step * rows:
        raise InputError(
            f"The image has {flat.size} bytes, but {rows} rows of {step} take {step * rows};"
            " correct the publisher."
        )
    # By strides and not by a reshape: a last row without its padding is as good.
    pixel = as_told.channels * as_told.bytes
    values = np.lib.stride_tricks.as_strided(flat, (rows, width, pixel), (step, pixel, 1))
    if as_told.bytes == 2:
        wide = np.ascontiguousarray(values).view(">u2" if is_bigendian else "<u2").astype(np.uint16)
        values = _to_8_bits(wide, (used or UsedBits()).of(wide))
    values = np.ascontiguousarray(values)
    if as_told.conversion is None:
        return values
    # Bayer wants at least 3x3 pixels to interpolate; OpenCV leaves smaller images black without a word.
    if encoding.startswith("bayer") and min(height, width) < 3:
        raise InputError(
            f"A {encoding} image of {width}x{height} pixels is too small to interpolate; publish 3x3 or more."
        )
    if encoding == "nv24":
        colors = np.lib.stride_tricks.as_strided(flat[step * height :], (height, 2 * width), (2 * step, 1))
        return _nv24(values[:height, :, 0], colors)
    return cv2.cvtColor(values, as_told.conversion)


def _to_8_bits(values: np.ndarray, bits: int) -> np.ndarray:
    return np.minimum(values >> (bits - 8), 255).astype(np.uint8)


def _nv24(brightness: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """(H, W) and (H, 2 W): the NV12 of a picture twice as large, of which each pixel is taken once."""
    doubled = np.concatenate([brightness.repeat(2, axis=0).repeat(2, axis=1), colors])
    return np.ascontiguousarray(cv2.cvtColor(doubled, cv2.COLOR_YUV2RGB_NV12)[::2, ::2])


def compressed_to_rgb(
    data: Buffer,
    form: str = "",
    kinds: tuple[str, ...] = ON_TOPICS,
    upright: bool = False,
    used: UsedBits | None = None,
    shrink: bool = False,
) -> np.ndarray:
    """A compressed picture as (H, W, 3) uint8 RGB.

    InputError for other data, for depth, and for what is huge.

    form: a CompressedImage's `format`, which by image_transport begins with the encoding that was compressed,
    as in "bayer_rggb8; jpeg compressed bgr8". upright: whether the orientation that a photograph carries is
    followed; in messages it is not, for CameraInfo describes the sensor's own rows and columns. shrink:
    whether a JPEG of more than MAX_PIXELS is unpacked at a half, a quarter or an eighth of its size, without
    its pixels ever being in memory, and not refused. used: as in `to_rgb`.
    """
    encoding, _, rest = (part.strip() for part in form.partition(";"))
    if "compressedDepth" in form or encoding in DEPTHS:
        raise InputError(
            f"A compressed image of {form!r} is depth, not a picture; connect the camera's colour topic."
        )
    flat = np.frombuffer(data, np.uint8)
    found = declared(flat.data)
    scale = 1
    if found is not None:
        width, height = found[1]
        if shrink and found[0] == "JPEG":
            scale = next((s for s in _REDUCED if width * height <= s * s * MAX_PIXELS), 1)
        refuse_huge(width // scale, height // scale)
    # image_transport makes a mosaic grey before it becomes a JPEG, and says so by the last word.
    mosaic = encoding.startswith("bayer_") and "compressed mono" not in rest
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR | _REDUCED[scale]
    flags |= 0 if upright else cv2.IMREAD_IGNORE_ORIENTATION
    image = decode_whole(flat, flags) if found is not None and found[0] in kinds else None
    if image is None:
        others = ", ".join(kind for kind in kinds if kind not in ("JPEG", "PNG"))
        raise InputError(
            f"The {flat.size} bytes of the compressed image are neither JPEG nor PNG, nor {others} where"
            " OpenCV reads it; publish"
            " one of these, whole."
        )
    if image.dtype == np.uint16:
        image = _to_8_bits(image, (used or UsedBits()).of(image))
    if image.dtype != np.uint8:
        raise InputError(
            f"The picture holds {image.dtype} numbers, which are measurements and no colours; give a"
            " picture of 8 or 16 bits."
        )
    # Some drivers name the sensor's mosaic and send the colours that they made of it.
    if mosaic and (image[..., :1] == image).all():
        pattern = encoding.rstrip("0123456789") + "8"
        height, width = image.shape[:2]
        return to_rgb(np.ascontiguousarray(image[..., 0]), pattern, height, width, step=width)
    # By image_transport colours are compressed as bgr, as OpenCV has them, and "compressed rgb" says
    # otherwise. Its TIFF have no last word: their colours are in the order of the encoding.
    as_rgb = "compressed rgb" in rest or (rest == "tiff compressed" and encoding.startswith("rgb"))
    return image if as_rgb else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


_REDUCED = {1: 0, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
"""OpenCV's flags, by which libjpeg leaves out the finer half of each block's frequencies."""
FILE_KINDS = tuple(KINDS)


def refuse_huge(width: int, height: int) -> None:
    """InputError for an image of more than MAX_PIXELS, before memory is taken for it."""
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{width}x{height} pixels are more than the {MAX_PIXELS:,} that are taken; send it smaller."
        )
