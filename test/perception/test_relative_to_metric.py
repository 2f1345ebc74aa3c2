# SPDX-License-Identifier: Apache-2.0
"""Metres for relative depth: right where ranges tell them, and none where they do not."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, points
from vision_banana_ros.perception.relative_to_metric import MOST_POINTS, SPREAD, fit_ranges
from vision_banana_ros.scenes import KINDS, SimulatedCamera
from vision_banana_ros.tasks.profiles_relative import KINDS as CODES
from vision_banana_ros.tasks.profiles_relative import decode, encode, grey

CAMERA = Intrinsics.from_fov(160, 120, 75)
BELIEVED = (0.1, 100.0)
FLOOR = np.broadcast_to(np.geomspace(12.0, 1.0, 120)[:, None], (120, 160))
codes = pytest.mark.parametrize("code", CODES)


def relative(depth_m, code, scale=0.7, shift=0.2, noise=0.0, bend=1.0):
    """What a generator answers whose grey has an unknown scale and shift, and which does not keep to its
    code quite."""
    painted = scale * encode(depth_m, code) ** bend + shift
    return decode(
        painted + np.random.default_rng(0).normal(0, noise, depth_m.shape)[..., None], code
    ).depth_relative


def ranges(depth_m, count=300, camera=CAMERA, seed=0):
    i, j = np.random.default_rng(seed).integers((2, 2), np.array(depth_m.shape) - 2, (count, 2)).T
    return points(depth_m, camera)[i, j]


def fitted(answer, measured, code, camera=CAMERA):
    return fit_ranges(answer, camera, measured, code, BELIEVED).metres(answer)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CODES),
    st.floats(0.3, 0.75),
    st.floats(0.01, 0.25),
    st.floats(0.3, 3.0),
    st.floats(2.0, 20.0),
    st.integers(0, 99),
)
def test_any_scale_and_shift_are_found(code, scale, shift, near, times, seed):
    depth_m = np.broadcast_to(np.geomspace(near * times, near, 120)[:, None], (120, 160))
    found = fitted(relative(depth_m, code, scale, shift), ranges(depth_m, seed=seed), code)
    known = np.isfinite(found)
    assert known.mean() > 0.5
    np.testing.assert_allclose(found[known], depth_m[known], rtol=1e-3)


@codes
@pytest.mark.parametrize("bend", [0.8, 1.0, 1.1])
def test_in_rendered_worlds_a_level_laser_gives_metres_or_none(code, bend):
    """One row of ranges, noise, and a generator that bends its code: what gets metres is nearly right."""
    shares, errors = [], []
    for kind in KINDS:
        for seed in range(3):
            view = SimulatedCamera(seed, 160, 120, 10.0, kind).view(0.0)
            depth_m, camera = np.minimum(view.depth_m, 60.0), Intrinsics.of(view.camera)
            row = points(view.depth_m, camera)[65]
            try:
                found = fitted(
                    relative(depth_m, code, noise=0.005, bend=bend),
                    row[np.isfinite(row).all(axis=1)],
                    code,
                    camera,
                )
            except InputError:
                continue
            known = np.isfinite(found)
            shares.append(known.mean())
            errors.append(np.quantile(np.abs(found[known] / depth_m[known] - 1), 0.9))
    assert len(shares) >= 4 and np.median(shares) > 0.5, shares
    assert np.median(errors) < 0.12 and max(errors) < 0.35, errors


@codes
def test_some_wrong_ranges_do_no_harm_and_many_are_refused(code):
    answer, measured = relative(FLOOR, code), ranges(FLOOR)
    rng = np.random.default_rng(1)
    for part in (0.2, 0.4, 0.9):
        wrong = np.where(rng.random((300, 1)) < part, measured * rng.uniform(0.2, 0.7, (300, 1)), measured)
        if part == 0.2:
            found = fitted(answer, wrong, code)
            np.testing.assert_allclose(found[np.isfinite(found)], FLOOR[np.isfinite(found)], rtol=0.02)
            continue
        with pytest.raises(InputError, match="agree"):
            fitted(answer, wrong, code)


@codes
def test_nothing_is_invented_beyond_the_ranges(code):
    measured = ranges(FLOOR)
    found = fitted(relative(FLOOR, code), measured[(measured[:, 2] > 2) & (measured[:, 2] < 6)], code)
    known = np.isfinite(found)
    assert FLOOR[known].min() > 1.9 and FLOOR[known].max() < 6.1 and known.mean() > 0.3


@codes
def test_far_painted_as_near_has_no_metres(code):
    with pytest.raises(InputError, match="agree"):
        fitted(relative(FLOOR[::-1], code), ranges(FLOOR), code)


@codes
@pytest.mark.parametrize("turned", [False, True])
def test_ranges_at_one_depth_give_no_scale(code, turned):
    """Nearly any line goes through them, also one that turns near and far round."""
    measured = ranges(FLOOR, 4000)
    measured = measured[(measured[:, 2] > 3) & (measured[:, 2] < 3 * SPREAD * 0.9)]
    with pytest.raises(InputError, match="near and far things|do not agree"):
        fitted(relative(FLOOR[::-1] if turned else FLOOR, code), measured, code)
    with pytest.raises(InputError, match="near and far things|do not agree"):
        fitted(relative(FLOOR, code), np.where(np.arange(3) == 2, 3.0, measured), code)


@codes
def test_a_picture_of_one_grey_has_no_metres(code):
    with pytest.raises(InputError, match="agree"):
        fitted(np.full((120, 160), 2.0, np.float32), ranges(FLOOR), code)


@codes
def test_ranges_in_millimetres_are_not_believed(code):
    with pytest.raises(InputError, match="Only 0 ranges"):
        fitted(relative(FLOOR, code), 1000 * ranges(FLOOR), code)


@codes
def test_ranges_at_edges_are_left_out_and_too_few_are_none(code):
    fence = np.where(np.arange(160) % 2, 1.0, 8.0) * np.ones((120, 1))
    with pytest.raises(InputError, match="Only 0 ranges"):
        fitted(relative(fence, code), ranges(fence), code)
    with pytest.raises(InputError, match="Only 19 ranges"):
        fitted(relative(FLOOR, code), ranges(FLOOR, 19), code)
    with pytest.raises(InputError, match="Only 0 ranges"):
        fitted(relative(FLOOR, code), np.empty((0, 3)), code)


@codes
def test_what_is_unreadable_stays_so_and_many_points_are_thinned(code):
    answer = relative(FLOOR, code)
    answer[:, :40] = np.nan
    fit = fit_ranges(answer, CAMERA, ranges(FLOOR, 20 * MOST_POINTS), code, BELIEVED)
    found = fit.metres(answer)
    assert (
        np.isnan(found[:, :40]).all() and np.isfinite(found[10:-10, 40:]).all() and found.dtype == np.float32
    )
    assert fit.alignment.points <= MOST_POINTS


def test_grey_is_what_depth_was_read_from():
    answer = decode(np.full((1, 1, 3), 0.25), "inverse").depth_relative
    assert grey(answer, "inverse") == 0.25 and answer == 4


def test_sizes_that_differ_are_refused():
    with pytest.raises(InputError, match="scale the intrinsics"):
        fitted(np.ones((5, 5), np.float32), ranges(FLOOR), "inverse")
    with pytest.raises(InputError, match=r"points \(N, 3\)"):
        fitted(np.ones((120, 160), np.float32), np.ones(7), "inverse")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CODES), st.integers(0, 2**32 - 1))
def test_whatever_comes_brings_no_other_error_and_no_warning(code, seed):
    rng = np.random.default_rng(seed)
    strange = np.array([np.nan, np.inf, 0, 1e-38, 1e38, 0.3, 0.31, 1.0, 1.01, 2.0], np.float32)
    answer = rng.choice(strange, (120, 160), p=rng.dirichlet(np.full(10, 0.3)))
    measured = rng.choice(np.array([np.nan, np.inf, -np.inf, 0, 1e300, -1e300, 1e-300, 1, 2, 3]), (3000, 3))
    measured = np.where(rng.random((3000, 1)) < 0.5, ranges(FLOOR, 3000, seed=seed % 1000), measured)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = fitted(answer, measured, code)
        except InputError:
            return
    assert found.shape == answer.shape and not (found <= 0).any()
