# SPDX-License-Identifier: Apache-2.0
"""Images of ROS into RGB: against OpenCV, against pixels worked out by hand, and what cannot be read."""

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import image_encodings
from vision_banana_ros.perception.declared_size import declared
from vision_banana_ros.perception.image_encodings import (
    ENCODINGS,
    FILE_KINDS,
    MAX_PIXELS,
    UsedBits,
    compressed_to_rgb,
    to_rgb,
)

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
    [
        ("rgb8", None),
        ("bgr8", cv2.COLOR_RGB2BGR),
        ("rgba8", cv2.COLOR_RGB2RGBA),
        ("bgra8", cv2.COLOR_RGB2BGRA),
    ],
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
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_keeps_its_high_byte_in_either_order_of_bytes(padding, order):
    grey = np.array([[0, 255, 256, 65535], [4096, 32768, 511, 512]], f"{order}u2")
    data, step = with_step(grey, padding)
    rgb = to_rgb(data, "mono16", 2, 4, step, is_bigendian=order == ">")
    np.testing.assert_array_equal(rgb[..., 0], [[0, 0, 1, 255], [16, 128, 1, 2]])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_16_bits_are_scaled_by_those_that_the_camera_uses(bits):
    ramp = np.linspace(0, 2**bits - 1, 64).astype("<u2").reshape(8, 8)
    grey = to_rgb(ramp.tobytes(), "mono16", 8, 8, 16)[..., 0]
    np.testing.assert_array_equal(grey, ramp >> (bits - 8))
    assert grey.max() == 255
    used = UsedBits()
    to_rgb(ramp.tobytes(), "mono16", 8, 8, 16, used=used)
    dark = (ramp // 16).tobytes()
    assert to_rgb(dark, "mono16", 8, 8, 16, used=used).max() == 15


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_damaged_pixel_stays_bright_and_darkens_neither_its_picture_nor_later_ones(bits):
    ramp = np.linspace(0, 2**bits - 1, 40 * 50).astype("<u2").reshape(40, 50)
    damaged = ramp.copy()
    damaged[3, 4] |= 1 << 15
    used = UsedBits()
    grey = to_rgb(damaged.tobytes(), "mono16", 40, 50, 100, used=used)[..., 0]
    assert grey[3, 4] == 255
    after = to_rgb(ramp.tobytes(), "mono16", 40, 50, 100, used=used)[..., 0]
    np.testing.assert_array_equal(after, ramp >> (bits - 8))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("encoding", "conversion"),
    [("rgb16", None), ("bgr16", cv2.COLOR_RGB2BGR), ("rgba16", cv2.COLOR_RGB2RGBA)],
)
def test_colours_of_16_bits(encoding, conversion, order):
    wide = PICTURE.astype(np.uint16) * 257
    wide = wide if conversion is None else cv2.cvtColor(wide, conversion)
    data = wide.astype(f"{order}u2").tobytes()
    rgb = to_rgb(data, encoding, 6, 8, wide.shape[2] * 16, is_bigendian=order == ">")
    np.testing.assert_array_equal(rgb, PICTURE)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_of_12_bits_in_16(pattern):
    color = {"r": 3200, "g": 1600, "b": 800}
    mosaic = np.zeros((8, 8), "<u2")
    for k, name in enumerate(pattern):
        mosaic[k // 2 :: 2, k % 2 :: 2] = color[name]
    np.testing.assert_array_equal(
        to_rgb(mosaic.tobytes(), f"bayer_{pattern}16", 8, 8, 16), np.broadcast_to([200, 100, 50], (8, 8, 3))
    )


def test_opencvs_own_types_are_in_its_order():
    bgr = cv2.cvtColor(PICTURE, cv2.COLOR_RGB2BGR)
    np.testing.assert_array_equal(to_rgb(bgr.tobytes(), "8UC3", 6, 8, 24), PICTURE)
    np.testing.assert_array_equal(
        to_rgb(cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA).tobytes(), "8UC4", 6, 8, 32), PICTURE
    )
    np.testing.assert_array_equal(to_rgb(PICTURE[..., 0].tobytes(), "8UC1", 6, 8, 8)[..., 2], PICTURE[..., 0])


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_planes_of_brightness_and_colour(encoding, padding):
    """Each 2x2 block has one colour, (y, u, v), so that all three hold the same picture."""
    blocks = np.array([[(81, 90, 240), (145, 54, 34)], [(41, 240, 110), (200, 128, 128)]], np.uint8)
    y, u, v = (blocks[..., k].repeat(2, axis=0).repeat(2, axis=1) for k in range(3))
    if encoding == "nv24":
        rows = np.stack([u, v], axis=-1).reshape(4, 8)
    else:
        pair = (u, v) if encoding == "nv12" else (v, u)
        rows = np.stack([c[::2, ::2] for c in pair], axis=-1).reshape(2, 4)
    data, step = with_step(y, padding)
    # of nv24 a row of colours takes two steps
    data += with_step(rows, 2 * padding if encoding == "nv24" else padding)[0]
    rgb = to_rgb(data, encoding, 4, 4, step)
    expected = [[yuv422(*(int(block[k]) for k in (0, 1, 0, 2)))[0] for block in row] for row in blocks]
    np.testing.assert_allclose(rgb, np.array(expected).repeat(2, axis=0).repeat(2, axis=1), atol=1)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("padding", [0, 6])
def test_bayer_names_its_first_two_rows(pattern, padding):
    color = {"r": 200, "g": 100, "b": 50}
    mosaic = np.zeros((8, 8), np.uint8)
    for k, name in enumerate(pattern):
        mosaic[k // 2 :: 2, k % 2 :: 2] = color[name]
    data, step = with_step(mosaic, padding)
    np.testing.assert_array_equal(
        to_rgb(data, f"bayer_{pattern}8", 8, 8, step), np.broadcast_to([200, 100, 50], (8, 8, 3))
    )


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
    for data in (
        PICTURE.tobytes(),
        bytearray(PICTURE.tobytes()),
        memoryview(PICTURE.tobytes()),
        PICTURE.reshape(-1),
    ):
        np.testing.assert_array_equal(to_rgb(data, "rgb8", 6, 8, 24), PICTURE)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (dict(encoding="rgb9"), "not known"),
        (dict(encoding="32FC1"), "depth or another measurement"),
        (dict(encoding="nv12", width=7), "odd"),
        (dict(encoding="nv12", height=6, width=8, step=40), "9 rows of 40 take 360"),
        (dict(height=0), "nothing to look at"),
        (dict(width=0), "nothing to look at"),
        (dict(step=23), "24 bytes"),
        (dict(height=7), "144 bytes"),
        (dict(height=5), "144 bytes, but 5 rows of 24 take 120"),
        (dict(encoding="mono8", step=8), "6 rows of 8 take 48"),
        (dict(encoding="uyvy", width=7), "even"),
        (dict(encoding="bayer_rggb8", height=2, step=72), "3x3"),
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


@pytest.mark.parametrize("ending", [".png", ".webp", ".tiff", ".bmp", ".ppm"])
def test_pictures_without_loss_come_back_exactly(ending):
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if ending == ".webp" else []
    data = cv2.imencode(ending, SMOOTH[..., ::-1], options)[1].tobytes()
    np.testing.assert_array_equal(compressed_to_rgb(data, kinds=FILE_KINDS), SMOOTH)
    assert declared(data)[1] == (64, 48)
    if ending in (".bmp", ".ppm"):  # for files only: few readers of a topic's data are well tried
        with pytest.raises(InputError, match="neither JPEG nor PNG"):
            compressed_to_rgb(data)


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".avif"])
def test_pictures_with_loss_come_back_nearly(ending):
    if not cv2.haveImageWriter(f"a{ending}"):
        pytest.skip(f"this OpenCV writes no {ending}")
    data = cv2.imencode(
        ending, SMOOTH[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95] if ending == ".jpg" else []
    )[1].tobytes()
    assert np.abs(compressed_to_rgb(data).astype(int) - SMOOTH).mean() < 4
    assert declared(data)[1] == (64, 48)


@pytest.mark.parametrize("quality", [80, 101])
def test_the_size_of_every_kind_of_webp_is_read(quality):
    data = cv2.imencode(".webp", np.dstack([SMOOTH, SMOOTH[..., 0]]), [cv2.IMWRITE_WEBP_QUALITY, quality])[
        1
    ].tobytes()
    assert declared(data) == ("WebP", (64, 48))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize(("ending", "depth"), [(".png", 8), (".jpg", 8), (".png", 16)])
def test_a_compressed_mosaic_is_made_colour(pattern, ending, depth):
    color = {"r": 200, "g": 100, "b": 50}
    mosaic = np.zeros((16, 16), np.uint16 if depth == 16 else np.uint8)
    for k, name in enumerate(pattern):
        mosaic[k // 2 :: 2, k % 2 :: 2] = color[name] * (16 if depth == 16 else 1)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100] if ending == ".jpg" else []
    data = cv2.imencode(ending, mosaic, quality)[1].tobytes()
    word = "jpeg" if ending == ".jpg" else "png"
    rgb = compressed_to_rgb(data, f"bayer_{pattern}{depth}; {word} compressed ")
    np.testing.assert_allclose(rgb[4:-4, 4:-4], np.broadcast_to([200, 100, 50], (8, 8, 3)), atol=6)


def test_the_order_of_compressed_colours_is_what_the_format_says():
    png = cv2.imencode(".png", SMOOTH[..., ::-1])[1].tobytes()
    for form in ("", "png", "rgb8; png compressed bgr8", "bgr8; png compressed bgr8"):
        np.testing.assert_array_equal(compressed_to_rgb(png, form), SMOOTH)
    np.testing.assert_array_equal(compressed_to_rgb(png, "rgb8; png compressed rgb8"), SMOOTH[..., ::-1])


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_a_tiff_of_image_transport_has_its_colours_in_the_order_of_the_encoding(encoding):
    as_sent = SMOOTH if encoding == "rgb8" else SMOOTH[..., ::-1]
    tiff = cv2.imencode(".tiff", as_sent)[1].tobytes()
    np.testing.assert_array_equal(compressed_to_rgb(tiff, f"{encoding}; tiff compressed "), SMOOTH)


def test_a_mosaic_that_was_made_grey_before_it_became_a_jpeg_stays_grey():
    grey = cv2.imencode(".jpg", SMOOTH[..., 0])[1].tobytes()
    rgb = compressed_to_rgb(grey, "bayer_rggb8; jpeg compressed mono8")
    assert (rgb == rgb[..., :1]).all()
    assert np.abs(rgb[..., 0].astype(int) - SMOOTH[..., 0]).mean() < 4


@pytest.mark.parametrize("word", ["jpeg", "png"])
def test_colours_are_not_taken_for_the_mosaic_that_they_were_made_of(word):
    data = cv2.imencode(f".{word}", SMOOTH[..., ::-1])[1].tobytes()
    as_colours = compressed_to_rgb(data, f"{word}")
    found = compressed_to_rgb(data, f"bayer_rggb8; {word} compressed bgr8")
    np.testing.assert_array_equal(found, as_colours)


def test_a_compressed_picture_of_12_bits_in_16_is_scaled_by_its_bits():
    grey = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    rgb = compressed_to_rgb(cv2.imencode(".png", grey)[1].tobytes(), "mono16; png compressed ")
    np.testing.assert_array_equal(rgb[..., 1], grey >> 4)


@pytest.mark.parametrize(
    "form", ["16UC1; png compressed ", "32FC1; compressedDepth png", "16UC1; compressedDepth rvl"]
)
def test_compressed_depth_is_refused_as_depth(form):
    with pytest.raises(InputError, match="is depth, not a picture"):
        compressed_to_rgb(cv2.imencode(".png", np.full((8, 8), 900, np.uint16))[1].tobytes(), form)


def test_a_photographs_orientation_is_followed_in_files_and_not_in_messages():
    jpeg = cv2.imencode(".jpg", SMOOTH[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turned by a quarter
    photograph = jpeg[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + jpeg[2:]
    assert compressed_to_rgb(photograph).shape == SMOOTH.shape
    upright = compressed_to_rgb(photograph, upright=True)
    assert upright.shape == (64, 48, 3)
    assert np.abs(upright.astype(int) - np.rot90(SMOOTH, -1)).mean() < 3


def test_huge_pictures_are_refused_by_what_they_declare():
    for head in (
        b"P6\n# a comment\n90000 90000\n255\n",
        b"RIFF0000WEBPVP8X" + b"\0" * 8 + b"\xff\xff\x00" * 2,
    ):
        with pytest.raises(InputError, match="pixels are more than"):
            compressed_to_rgb(head, kinds=FILE_KINDS)


def test_png_comes_back_exactly_and_jpeg_nearly():
    png = cv2.imencode(".png", SMOOTH[..., ::-1])[1]
    np.testing.assert_array_equal(compressed_to_rgb(png.tobytes()), SMOOTH)
    jpeg = cv2.imencode(".jpg", SMOOTH[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    assert np.abs(compressed_to_rgb(jpeg.tobytes()).astype(int) - SMOOTH).mean() < 3


def test_grey_png_becomes_rgb():
    png = cv2.imencode(".png", SMOOTH[..., 0])[1]
    np.testing.assert_array_equal(compressed_to_rgb(png.tobytes()), np.repeat(SMOOTH[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("most", "size", "scale"),
    [(40_000, (160, 240), 1), (40_000, (640, 480), 4), (MAX_PIXELS, (4200, 6000), 2)],
)
def test_a_jpeg_too_large_is_unpacked_smaller_where_that_is_allowed(monkeypatch, most, size, scale):
    monkeypatch.setattr(image_encodings, "MAX_PIXELS", most)
    jpeg = cv2.imencode(".jpg", np.full((*size, 3), (10, 200, 90), np.uint8))[1].tobytes()
    small = compressed_to_rgb(jpeg, shrink=True)
    assert (
        small.shape == (size[0] // scale, size[1] // scale, 3)
        and np.abs(small[0, 0].astype(int) - (90, 200, 10)).max() < 4
    )
    if scale > 1:
        with pytest.raises(InputError, match="pixels"):
            compressed_to_rgb(jpeg)


@pytest.mark.parametrize("more", [1, 200])
def test_a_jpeg_of_scans_without_end_is_refused(more):
    """Each scan of a progressive JPEG costs a pass over all pixels."""
    jpeg = cv2.imencode(".jpg", SMOOTH, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    np.testing.assert_array_equal(compressed_to_rgb(jpeg).shape, SMOOTH.shape)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    with pytest.raises(InputError, match="scans" if more > 100 else "Inconsistent progression"):
        compressed_to_rgb(jpeg[:-2] + more * scan + b"\xff\xd9")


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_gets_a_sentence(data):
    with pytest.raises(InputError, match="neither JPEG nor PNG"):
        compressed_to_rgb(data)


def test_a_picture_that_cannot_be_checked_for_damage_is_refused(monkeypatch):
    """Or what libjpeg guessed would be answered: what it writes of damage is read from a file."""

    def none_left(name):
        raise OSError(24, "Too many open files")

    ok, data = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))
    monkeypatch.setattr("os.memfd_create", none_left)
    with pytest.raises(InputError, match="cannot be checked for damage"):
        compressed_to_rgb(data.tobytes())
