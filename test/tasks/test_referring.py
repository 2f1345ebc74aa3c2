# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import referring
from vision_banana_ros.tasks.colors import far_apart


@pytest.mark.parametrize("color", ["red", "#00ff00", (0, 0, 128), "white", "rgb(60, 60, 60)"])
@settings(deadline=None, max_examples=20)
@given(mask=arrays(np.bool_, (6, 7)))
def test_round_trip(color: object, mask: np.ndarray) -> None:
    rgb = referring.encode(mask, color)
    assert rgb.dtype == np.float32
    for painted in (rgb, np.rint(rgb * 255).astype(np.uint8)):
        answer = referring.decode(painted, color)
        assert answer.mask.dtype == np.bool_ and answer.confidence.dtype == np.float32
        np.testing.assert_array_equal(answer.mask, mask)
        np.testing.assert_array_equal(answer.confidence, 1)


@settings(deadline=None, max_examples=60)
@given(arrays(np.uint8, (5, 6, 3)), st.integers(0, 6), st.sampled_from([30.0, 127.5, 400.0]))
def test_against_brute_force(rgb: np.ndarray, which: int, max_distance: float) -> None:
    color = far_apart(7, ["black"])[which]
    answer = referring.decode(rgb, color, max_distance=max_distance)
    to_color = np.linalg.norm(np.float64(rgb) - color, axis=2)
    to_black = np.linalg.norm(np.float64(rgb), axis=2)
    near, far = np.minimum(to_color, to_black), np.maximum(to_color, to_black)
    np.testing.assert_array_equal(answer.mask, (to_color < to_black) & (to_color < max_distance))
    np.testing.assert_allclose(answer.confidence, np.maximum(1 - near / np.minimum(far, max_distance), 0), atol=1e-5)


def test_another_colour_is_in_no_mask() -> None:
    colors = far_apart(7, ["black"])
    for color in colors:
        others = [other for other in colors if other != color]
        answer = referring.decode(np.array([others], np.uint8), color)
        assert not answer.mask.any() and not answer.confidence.any()


def test_masks_survive_noise() -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    noisy = referring.encode(mask, "yellow") + np.random.default_rng(0).normal(0, 20 / 255, (60, 80, 3))
    np.testing.assert_array_equal(referring.decode(noisy, "yellow").mask, mask)


def test_the_background_may_have_a_colour() -> None:
    mask = np.array([[True, False]])
    rgb = referring.encode(mask, "black", background="white")
    assert rgb.tolist() == [[[0, 0, 0], [1, 1, 1]]]
    assert referring.decode(rgb, "black", background="white").mask.tolist() == [[True, False]]


@pytest.mark.parametrize("channel", range(3))
def test_nan_colours_are_in_no_mask(channel: int) -> None:
    rgb = np.array([[[1.0, 0, 0]]])
    rgb[..., channel] = np.nan
    answer = referring.decode(rgb, "red")
    assert not answer.mask[0, 0] and answer.confidence[0, 0] == 0


def test_bad_input_is_refused() -> None:
    rgb, mask = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), bool)
    with pytest.raises(InputError, match="too near"):
        referring.decode(rgb, (5, 5, 5))
    with pytest.raises(InputError, match="too near"):
        referring.encode(mask, "white", background="snow")
    with pytest.raises(InputError, match="bool"):
        referring.encode(mask.astype(np.uint8), "red")
    with pytest.raises(InputError, match="shape"):
        referring.encode(mask[0], "red")
    with pytest.raises(InputError, match="max_distance"):
        referring.decode(rgb, "red", max_distance=-1)
