# SPDX-License-Identifier: Apache-2.0
"""JPEGs whose colours jump from one block on are refused, and whole ones never."""

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.image_encodings import compressed_to_rgb
from vision_banana_ros.perception.jpeg_damage import shifted_blocks
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.scenes.effects import SAMPLING, SAMPLING_FACTOR


def rendered(seed, size=(240, 320)):
    world, rng = make_world(seed), np.random.default_rng(seed)
    return np.ascontiguousarray(
        render(world, sample_camera(world, rng, size[1], size[0]), rng).image[..., ::-1]
    )


PICTURES = [rendered(seed) for seed in range(3)]


def encoded(image, *options):
    return cv2.imencode(".jpg", image, list(options))[1].ravel()


def jumped(image, row, column, shift, block=16):
    """As a decoder shows a picture whose colours were shifted from one block on, in the order of coding."""
    found = image.astype(int)
    found[row * block : (row + 1) * block, column * block :] += shift
    found[(row + 1) * block :] += shift
    return found.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("image", PICTURES)
@pytest.mark.parametrize(
    ("row", "column", "shift"), [(2, 7, 40), (6, 3, -40), (9, 15, (0, 0, 60)), (4, 1, (40, 0, 0))]
)
def test_a_jump_of_brightness_or_colour_is_known(image, row, column, shift):
    assert shifted_blocks(encoded(image), jumped(image, row, column, np.array(shift)))


@pytest.mark.parametrize("image", PICTURES)
@pytest.mark.parametrize("quality", [30, 70, 95])
@pytest.mark.parametrize("sampling", [SAMPLING[2], SAMPLING[1]])
def test_whole_pictures_pass(image, quality, sampling):
    data = encoded(image, cv2.IMWRITE_JPEG_QUALITY, quality, SAMPLING_FACTOR, sampling)
    np.testing.assert_array_equal(compressed_to_rgb(data), cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def test_edges_of_things_people_make_are_no_damage():
    """Bars above and below, two halves side by side, a frame around, a level horizon, plain pictures."""
    bars, halves, framed, horizon = (PICTURES[0].copy() for _ in range(4))
    bars[:32] = bars[208:] = 0
    halves[:, 160:] = 255 - halves[:, 160:]
    framed[16:-16, 16:-16] = 128
    horizon[:112], horizon[112:] = (230, 200, 180), (60, 80, 60)
    for image in (bars, halves, framed, horizon, np.full_like(bars, 90)):
        assert not shifted_blocks(encoded(image), image)


def test_a_flipped_bit_that_no_decoder_notices_is_refused():
    """Some of every hundred: most flips are warned of or seen by nobody."""
    rng = np.random.default_rng(5)
    whole = encoded(PICTURES[1], cv2.IMWRITE_JPEG_QUALITY, 80)
    begin = whole.tobytes().index(b"\xff\xda") + 14
    found = 0
    for _ in range(60):
        data = whole.copy()
        data[rng.integers(begin, len(data) - 2)] ^= np.uint8(1 << rng.integers(8))
        try:
            compressed_to_rgb(data)
        except InputError as error:
            found += "jump from one block on" in str(error)
    assert found >= 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0",
        b"\xff\xd8\xff\xff\xff\xc0\0\x0b\x08",
        b"\x89PNG\r\n\x1a\n" + bytes(99),
    ],
)
def test_what_is_no_baseline_jpeg_is_not_judged(data):
    assert not shifted_blocks(np.frombuffer(data, np.uint8), PICTURES[0])
