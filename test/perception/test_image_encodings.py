# SPDX-License-Identifier: Apache-2.0
"""Images of ROS into RGB: against OpenCV, against pixels worked out by hand, and what cannot be read."""

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.image_encodings import ENCODINGS, compressed_to_rgb, to_rgb

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (6, 8, 3), np.uint8)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 6)


def with_step(rows: np.ndarray, padding: int) -> tuple[bytes, int]:
    """The rows of bytes, each followed by padding that must not be read."""
    flat = rows.reshape(rows.shape[0], -1).view(np.uint8)
    return np.pad(flat, ((0, 0), (0, padding)), constant_values=77).tobytes(), flat.shape[1] + padding


@pytest.mark.parametrize("padding", [0, 1, 5, 64])
@pytest.mark.parametrize(
    ("encoding", "conversion"),
    [("rgb8", None), ("bgr8", cv2.COLOR_RGB2BGR), ("rgba8", cv2.COLOR_RGB2RGBA), ("bgra8", cv2.COLOR_RGB2BGRA)],
)
def test_colour_survives_any_order_of_channels_and_any_step(encoding, conversion, padding):
    published = PICTURE if conversion is None else cv2.cvtColor(PICTURE, conversion)
    data, step = with_step(published, padding)
    rgb = to_rgb(data, encoding, 6, 8, step)
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, PICTURE)


@pytest.mark.parametrize("padding", [0, 3])
def test_grey_becomes_three_equal_channels(padding):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    data, step = with_step(grey, padding)
    np.testing.assert_array_equal(to_rgb(data, "mono8", 3, 4, step), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("padding", [0, 2])
def test_16_bit_grey_keeps_its_high_byte(padding):
    grey = np.array([[0, 255, 256, 65535], [4096, 32768, 511, 512]], "<u2")
    data, step = with_step(grey, padding)
    np.testing.assert_array_equal(to_rgb(data, "mono16", 2, 4, step)[..., 0], [[0, 0, 1, 255], [16, 128, 1, 2]])


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("padding", [0, 6])
def test_bayer_names_its_first_two_rows(pattern, padding):
    color = {"r": 200, "g": 100, "b": 50}
    mosaic = np.zeros((8, 8), np.uint8)
    for k, name in enumerate(pattern):
        mosaic[k // 2 :: 2, k % 2 :: 2] = color[name]
    data, step = with_step(mosaic, padding)
    np.testing.assert_array_equal(to_rgb(data, f"bayer_{pattern}8", 8, 8, step), np.broadcast_to([200, 100, 50], (8, 8, 3)))


def yuv422(y0: int, u: int, y1: int, v: int) -> tuple[list[int], list[int]]:
    """BT.601 with studio swing, by its definition."""
    chroma = np.array([1.596 * (v - 128), -0.813 * (v - 128) - 0.391 * (u - 128), 2.018 * (u - 128)])
    return tuple(np.clip(np.round(1.164 * (y - 16) + chroma), 0, 255) for y in (y0, y1))


@pytest.mark.parametrize("name", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
@pytest.mark.parametrize("padding", [0, 4])
def test_yuv_shares_chroma_between_two_pixels(name, padding):
    groups = [(16, 128, 235, 128), (81, 90, 145, 240), (100, 54, 200, 34)]
    y_first = name in ("yuv422_yuy2", "yuyv")
    packed = [[y0, u, y1, v] if y_first else [u, y0, v, y1] for y0, u, y1, v in groups]
    data, step = with_step(np.array([packed, packed], np.uint8), padding)
    rgb = to_rgb(data, name, 2, 6, step)
    expected = np.concatenate([yuv422(*g) for g in groups]).reshape(6, 3)
    np.testing.assert_allclose(rgb[0], expected, atol=1)
    np.testing.assert_array_equal(rgb[1], rgb[0])


def test_a_tight_rgb8_image_is_not_copied():
    data = bytearray(PICTURE.tobytes())
    rgb = to_rgb(data, "rgb8", 6, 8, 24)
    data[0] ^= 255
    assert rgb[0, 0, 0] == data[0]


def test_the_padding_of_the_last_row_may_be_missing():
    data, step = with_step(PICTURE, 5)
    np.testing.assert_array_equal(to_rgb(data[:-5], "rgb8", 6, 8, step), PICTURE)


def test_every_kind_of_buffer_is_read():
    for data in (PICTURE.tobytes(), bytearray(PICTURE.tobytes()), memoryview(PICTURE.tobytes()), PICTURE.reshape(-1)):
        np.testing.assert_array_equal(to_rgb(data, "rgb8", 6, 8, 24), PICTURE)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (dict(encoding="rgb9"), "not known"),
        (dict(encoding="32FC1"), "not known"),
        (dict(height=0), "nothing to look at"),
        (dict(width=0), "nothing to look at"),
        (dict(step=23), "24 bytes"),
        (dict(height=7), "144 bytes"),
        (dict(encoding="mono16", is_bigendian=True, step=16), "ig-endian"),
        (dict(encoding="uyvy", width=7), "even"),
        (dict(encoding="bayer_rggb8", height=2), "3x3"),
    ],
)
def test_fields_that_do_not_fit_together_get_a_sentence(fields, word):
    good = dict(encoding="rgb8", height=6, width=8, step=24, is_bigendian=False)
    to_rgb(PICTURE.tobytes(), **good)
    with pytest.raises(InputError, match=word):
        to_rgb(PICTURE.tobytes(), **{**good, **fields})


def test_big_endian_matters_only_to_wide_channels():
    np.testing.assert_array_equal(to_rgb(PICTURE.tobytes(), "rgb8", 6, 8, 24, is_bigendian=True), PICTURE)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_empty_data_is_refused_in_every_encoding(encoding):
    with pytest.raises(InputError, match="0 bytes"):
        to_rgb(b"", encoding, 6, 8, 64)


def test_png_comes_back_exactly_and_jpeg_nearly():
    png = cv2.imencode(".png", SMOOTH[..., ::-1])[1]
    np.testing.assert_array_equal(compressed_to_rgb(png.tobytes()), SMOOTH)
    jpeg = cv2.imencode(".jpg", SMOOTH[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    assert np.abs(compressed_to_rgb(jpeg.tobytes()).astype(int) - SMOOTH).mean() < 3


def test_grey_png_becomes_rgb():
    png = cv2.imencode(".png", SMOOTH[..., 0])[1]
    np.testing.assert_array_equal(compressed_to_rgb(png.tobytes()), np.repeat(SMOOTH[..., :1], 3, axis=2))


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_gets_a_sentence(data):
    with pytest.raises(InputError, match="neither JPEG nor PNG"):
        compressed_to_rgb(data)
