# SPDX-License-Identifier: Apache-2.0
"""Frames without anything in them are known, those of a dark room are not among them, and a stream that
stands still is frozen."""

import cv2
import numpy as np
import pytest

from vision_banana_ros.perception.input_check import FROZEN_FRAMES, FrozenCheck, nothing_to_see
from vision_banana_ros.scenes import make_world, render, sample_camera

SIZES = [(480, 640), (144, 192), (60, 120), (48, 64)]


def rendered(seed, size=(240, 320)):
    world, rng = make_world(seed), np.random.default_rng(seed)
    return render(world, sample_camera(world, rng, size[1], size[0]), rng).image


def darker(image, light, rng, noise=1.5):
    """The image with this part of its light, and the noise of a sensor, in grey levels."""
    linear = (image / 255.0) ** 2.2 * light
    return (
        np.clip(255 * linear ** (1 / 2.2) + rng.normal(0, noise, image.shape), 0, 255)
        .round()
        .astype(np.uint8)
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("color", "words"),
    [
        ((0, 0, 0), "dark"),
        ((255, 255, 255), "overexposed"),
        ((128, 128, 128), "colour"),
        ((0, 135, 0), "colour"),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_blank_frames_are_known_with_and_without_a_sensors_noise(size, color, words, noise):
    rng = np.random.default_rng(3)
    image = np.clip(np.array(color) + rng.normal(0, noise, (*size, 3)), 0, 255).astype(np.uint8)
    assert words in nothing_to_see(image)


@pytest.mark.parametrize("size", SIZES)
def test_noise_and_shuffled_pixels_are_known(size):
    rng = np.random.default_rng(4)
    grey = rng.integers(0, 256, (*size, 1)).astype(np.uint8)
    pixels = cv2.resize(rendered(7), size[::-1]).reshape(-1, 3)
    gaussian = np.clip(128 + rng.normal(0, 40, (*size, 3)), 0, 255).astype(np.uint8)
    for image in (
        rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        np.repeat(grey, 3, 2),
        rng.permutation(pixels).reshape(*size, 3),
        gaussian,
    ):
        assert "noise" in nothing_to_see(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (15, 400), (70000, 3)])
def test_frames_too_small_to_see_anything_are_known(size):
    assert "pixels" in nothing_to_see(np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8))


def test_a_frame_that_is_overexposed_but_for_a_corner_is_known():
    image = np.full((480, 640, 3), 255, np.uint8)
    image[400:, 600:] = 90
    assert "overexposed" in nothing_to_see(image)


@pytest.mark.parametrize("light", [1.0, 0.1, 0.03])
def test_scenes_pass_in_a_thirtieth_of_their_light_too(light):
    rng = np.random.default_rng(5)
    for seed in range(12):
        assert nothing_to_see(darker(rendered(seed), light, rng)) == "", seed


def test_a_stream_that_repeats_itself_for_long_enough_is_frozen_and_one_changed_pixel_ends_it():
    image = rendered(3)
    check = FrozenCheck()
    said = [check.frozen(image.copy(), 1e-9) for _ in range(FROZEN_FRAMES + 2)]
    assert said[:FROZEN_FRAMES] == [""] * FROZEN_FRAMES
    assert "frozen" in said[-1] and "frozen_after" in said[-1]
    other = image.copy()
    other[200, 300] += 1
    assert check.frozen(other, 1e-9) == ""


def test_identical_frames_are_taken_for_a_while_and_without_a_limit_for_ever():
    image = rendered(3)
    for after_s in (60.0, 0.0):
        check = FrozenCheck()
        assert not any(check.frozen(image.copy(), after_s) for _ in range(20))


def test_a_scene_of_which_darkness_leaves_nothing_is_dark():
    rng = np.random.default_rng(6)
    said = [nothing_to_see(darker(rendered(seed), 0.0002, rng)) for seed in range(12)]
    assert sum("dark" in why for why in said) >= 11
