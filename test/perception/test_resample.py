# SPDX-License-Identifier: Apache-2.0
"""Answers onto another grid: exact on surfaces, never mixed at edges."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.resample import Guide

GREY = np.full((24, 32, 3), 128, np.uint8)


def grey_guide(out: tuple[int, int], source: tuple[int, int]) -> Guide:
    return Guide.of(np.full((*out, 3), 128, np.uint8), np.full((*source, 3), 128, np.uint8))


def source_coordinates(n_out: int, n_in: int) -> np.ndarray:
    return ((np.arange(n_out) + 0.5) * n_in / n_out - 0.5).clip(0, n_in - 1)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_a_linear_ramp_is_reproduced_at_pixel_centres(h, w, height, width):
    y, x = np.mgrid[:h, :w].astype(np.float32)
    ramp = 50 + 0.1 * x + 0.2 * y
    out = grey_guide((height, width), (h, w)).depth(ramp)
    expected = 50 + 0.1 * source_coordinates(width, w)[None] + 0.2 * source_coordinates(height, h)[:, None]
    np.testing.assert_allclose(out, expected, rtol=2e-6)


def test_smooth_depth_agrees_with_opencv():
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((24, 32), np.float32), (0, 0), 4) * 0.2 + 3
    out = grey_guide((97, 131), (24, 32)).depth(smooth)
    np.testing.assert_allclose(out, cv2.resize(smooth, (131, 97), interpolation=cv2.INTER_LINEAR), rtol=1e-4)


def test_the_same_size_changes_nothing():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 60, (24, 32)).astype(np.float32)
    depth[3, 4], depth[5, 6] = np.nan, np.inf
    guide = grey_guide((24, 32), (24, 32))
    np.testing.assert_allclose(guide.depth(depth), depth, rtol=1e-6)
    labels = rng.integers(0, 9, (24, 32)).astype(np.uint8)
    np.testing.assert_array_equal(guide.pick(labels), labels)


def two_surfaces(slope: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A dark thing before a bright wall with an oblique border, at full size: picture and truth (True on
    the thing)."""
    y, x = np.mgrid[:240, :320]
    near = x + slope * y < 143
    return np.where(near[..., None], np.uint8((60, 40, 30)), np.uint8((220, 210, 200))), near


@pytest.mark.parametrize("slope", [0.0, 0.31, -0.2])
def test_an_edge_of_depth_follows_the_picture_and_nothing_lies_between(slope):
    image, near = two_surfaces(slope)
    small = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    near_small = cv2.resize(near.astype(np.float32), (64, 48), interpolation=cv2.INTER_AREA) > 0.5
    guide = Guide.of(image, small)
    out = guide.depth(np.where(near_small, 1.0, 3.0).astype(np.float32))
    assert set(np.unique(out)) == {1.0, 3.0}
    # Plain bilinear invents depths for about one source pixel at each side of the border.
    wrong = (out < 2) != near
    assert wrong.mean() < 0.002
    plain = cv2.resize(np.where(near_small, 1.0, 3.0), (320, 240), interpolation=cv2.INTER_NEAREST)
    assert slope == 0 or wrong.sum() < ((plain < 2) != near).sum() / 3


def test_all_answers_share_one_edge():
    image, _ = two_surfaces(0.4)
    small = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    near = small[..., 0] < 140
    guide = Guide.of(image, small)
    on_thing = guide.pick(near)
    assert on_thing.dtype == bool
    np.testing.assert_array_equal(guide.depth(np.where(near, 1, 3).astype(np.float32)) == 1, on_thing)
    np.testing.assert_array_equal(guide.pick(np.where(near, 7, 255).astype(np.uint8)) == 7, on_thing)
    normals = np.where(near[..., None], (0, 0, 1), (1, 0, 0)).astype(np.float32)
    np.testing.assert_array_equal(guide.normals(normals)[..., 2] == 1, on_thing)


def test_without_a_picture_to_follow_the_nearest_pixel_is_taken():
    labels = np.random.default_rng(0).integers(0, 2000, (12, 16)).astype(np.uint16)
    out = grey_guide((12 * 5, 16 * 5), (12, 16)).pick(labels)
    assert out.dtype == np.uint16
    np.testing.assert_array_equal(out, labels.repeat(5, axis=0).repeat(5, axis=1))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_nan_and_inf_never_mix_with_finite_depth(seed):
    rng = np.random.default_rng(seed)
    depth = np.full((10, 12), 2, np.float32) + rng.random((10, 12), np.float32) * 0.01
    kind = rng.integers(0, 6, (10, 12))
    depth[kind == 0], depth[kind == 1] = np.nan, np.inf
    image = rng.integers(0, 256, (47, 61, 3), np.uint8)
    guide = Guide.of(image, cv2.resize(image, (12, 10), interpolation=cv2.INTER_AREA))
    out = guide.depth(depth)
    assert ((out >= 2) & (out <= 2.0101) | np.isnan(out) | np.isposinf(out)).all()
    # What an output pixel is, its chosen neighbour is: confidence and depth cannot disagree about what is
    # readable.
    np.testing.assert_array_equal(np.isnan(out), np.isnan(guide.pick(depth)))
    np.testing.assert_array_equal(np.isposinf(out), np.isposinf(guide.pick(depth)))


def test_normals_stay_unit_vectors_or_nan():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :32].astype(np.float32)
    normals = np.dstack([np.sin(x / 20), np.sin(y / 30), np.ones_like(x)]) + rng.normal(0, 0.01, (24, 32, 3))
    normals = (normals / np.linalg.norm(normals, axis=2, keepdims=True)).astype(np.float32)
    normals[10:12, 5:9] = np.nan
    out = grey_guide((101, 133), (24, 32)).normals(normals)
    length = np.linalg.norm(out, axis=2)
    readable = ~np.isnan(length)
    np.testing.assert_allclose(length[readable], 1, atol=1e-6)
    assert 0.95 < readable.mean() < 1


def test_a_bent_surface_is_interpolated_and_a_corner_is_not():
    angle = np.radians(np.array([[0, 8], [0, 8]], np.float32))
    normals = np.dstack([np.sin(angle), np.zeros_like(angle), np.cos(angle)])
    middle = grey_guide((2, 4), (2, 2)).normals(normals)[0, 1]
    assert np.degrees(np.arctan2(middle[0], middle[2])) == pytest.approx(2, abs=0.01)
    corner = np.array([[[1, 0, 0], [0, 1, 0]]] * 2, np.float32)
    out = grey_guide((8, 8), (2, 2)).normals(corner)
    assert {tuple(n) for n in out.reshape(-1, 3)} == {(1, 0, 0), (0, 1, 0)}


@pytest.mark.parametrize("source", [(1, 1), (1, 7), (7, 1)])
def test_a_grid_of_one_pixel_has_neighbours_enough(source):
    depth = np.full(source, 4, np.float32)
    out = grey_guide((9, 5), source).depth(depth)
    np.testing.assert_array_equal(out, np.full((9, 5), 4, np.float32))


def test_values_of_another_grid_are_refused():
    with pytest.raises(InputError, match="guide was made for"):
        grey_guide((48, 64), (24, 32)).depth(np.ones((24, 31), np.float32))
