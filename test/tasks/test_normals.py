# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import normals

# (x right, y up, z to the viewer) -> RGB 0-255 by the paper's formula; note the minus on x.
GOLDEN = {
    "left": ((-1, 0, 0), (255, 127.5, 127.5)),
    "right": ((1, 0, 0), (0, 127.5, 127.5)),
    "up": ((0, 1, 0), (127.5, 255, 127.5)),
    "down": ((0, -1, 0), (127.5, 0, 127.5)),
    "viewer": ((0, 0, 1), (127.5, 127.5, 255)),
    "up and left": ((-0.6, 0.8, 0), (204, 229.5, 127.5)),
}


def unit_vectors(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(*shape, 3))
    return (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("vector", "rgb"), GOLDEN.values(), ids=GOLDEN)
def test_golden_colours(vector: tuple, rgb: tuple) -> None:
    painted = normals.encode(np.array([[vector]], dtype=np.float32))
    assert painted.dtype == np.float32
    assert painted[0, 0] * 255 == pytest.approx(rgb, abs=1e-4)
    answer = normals.decode(painted)
    assert answer.normals[0, 0] == pytest.approx(vector, abs=1e-6)
    assert answer.confidence[0, 0] == pytest.approx(1, abs=1e-6)


def test_round_trip_in_float_beats_8_bits() -> None:
    vectors = unit_vectors((40, 50))
    rgb = normals.encode(vectors)
    exact, coarse = normals.decode(rgb).normals, normals.decode(np.rint(rgb * 255).astype(np.uint8)).normals
    assert np.abs(exact - vectors).max() < 1e-6
    assert 1e-4 < np.abs(coarse - vectors).max() < 0.01
    assert exact.shape == vectors.shape and exact.dtype == np.float32


@settings(deadline=None, max_examples=100)
@given(arrays(np.float32, (3, 4, 3), elements=st.floats(0, 1, width=32)))
def test_any_colour_is_a_unit_vector_or_unreadable(rgb: np.ndarray) -> None:
    answer = normals.decode(rgb)
    vectors = (2 * rgb.astype(np.float64) - 1) * (-1, 1, 1)
    length = np.linalg.norm(vectors, axis=2)
    expected = np.clip(1 - np.abs(length - 1) / 0.5, 0, 1)
    np.testing.assert_allclose(answer.confidence, expected, atol=1e-5)
    readable = answer.confidence > 0
    np.testing.assert_allclose(
        answer.normals[readable], vectors[readable] / length[readable][:, None], atol=1e-5
    )
    assert np.isnan(answer.normals[~readable]).all()


def test_no_surface_is_grey_and_reads_back_as_nan() -> None:
    vectors = np.array([[[np.nan] * 3, [np.nan, 0, 1], [0, 0, 0]]], dtype=np.float32)
    rgb = normals.encode(vectors)
    np.testing.assert_array_equal(rgb, 0.5)
    for painted in (rgb, np.rint(rgb * 255).astype(np.uint8)):
        answer = normals.decode(painted)
        assert np.isnan(answer.normals).all() and not answer.confidence.any()


@pytest.mark.parametrize("channel", range(3))
def test_nan_colours_are_unreadable(channel: int) -> None:
    rgb = normals.encode(np.array([[[0, 0, 1]]], dtype=np.float32))
    rgb[..., channel] = np.nan
    answer = normals.decode(rgb)
    assert np.isnan(answer.normals).all() and answer.confidence[0, 0] == 0


def test_a_blend_of_opposite_surfaces_is_unreadable() -> None:
    left, right = (normals.encode(np.array([[[x, 0, 0]]], dtype=np.float32)) for x in (-1, 1))
    assert np.isnan(normals.decode((left + right) / 2).normals).all()


def test_max_length_error_moves_the_threshold() -> None:
    short = normals.encode(np.array([[[0, 0, 0.8]]], dtype=np.float32))
    assert normals.decode(short).confidence[0, 0] == pytest.approx(0.6, abs=1e-5)
    assert normals.decode(short).normals[0, 0] == pytest.approx([0, 0, 1], abs=1e-6)
    assert np.isnan(normals.decode(short, max_length_error=0.1).normals).all()


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_bad_truth_is_refused(shape: tuple) -> None:
    with pytest.raises(InputError, match="Normals must have the shape"):
        normals.encode(np.ones(shape))
    with pytest.raises(InputError, match="Normals must be floats"):
        normals.encode(np.ones((4, 4, 3), int))


@pytest.mark.parametrize("limit", [0, -1, 1.5, float("nan")])
def test_bad_threshold_is_refused(limit: float) -> None:
    with pytest.raises(InputError, match="max_length_error"):
        normals.decode(np.zeros((2, 2, 3), np.uint8), max_length_error=limit)
