# SPDX-License-Identifier: Apache-2.0
"""The scale of depth: found from the camera's height and from ranges, and never led astray by wrong ones."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, points
from vision_banana_ros.perception.depth_scale import (
    BOUNDS,
    CHANGE_PER_S,
    MIN_RANGES,
    Evidence,
    ScaleCorrection,
    apply,
    from_camera_height,
    from_ranges,
    moved,
    scan_points,
)
from vision_banana_ros.scenes import KINDS, SimulatedCamera

SECOND = 1_000_000_000
CAMERA = Intrinsics.from_fov(160, 120, 75)
anything = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, -1.0, 0.5, 2.0, 0.4999, 2.0001, 1000.0]
)


def ground(height=1.2, pitch_deg=10.0, roll_deg=0.0, camera=CAMERA):
    """Depth of endless flat ground from a pitched and rolled camera; +inf above the horizon."""
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    down = np.array([math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch)])
    rays = points(np.ones((camera.height, camera.width), np.float32), camera)
    sinks = rays @ down
    return np.where(sinks > 0.01, height / np.maximum(sinks, 0.01), np.inf).astype(np.float32)


def ranges_of(depth, factor=1.0, count=200, seed=0):
    """Points that a sensor would have measured on this depth if it were too small by `factor`."""
    i, j = np.random.default_rng(seed).integers((2, 2), np.array(depth.shape) - 2, (count, 2)).T
    return points(depth, CAMERA)[i, j] * factor


# From the camera's height


@pytest.mark.parametrize(
    ("height", "pitch", "roll"), [(0.3, 0, 0), (1.2, 10, -8), (2.0, 35, 5), (1.2, -8, 10)]
)
def test_the_height_is_found_on_flat_ground(height, pitch, roll):
    depth = ground(height, pitch, roll)
    found = from_camera_height(depth * np.float32(0.8), CAMERA, height)
    assert found.scale == pytest.approx(1.25, rel=0.005) and found.reason == ""
    noisy = depth * np.random.default_rng(0).normal(0.8, 0.04, depth.shape).astype(np.float32)
    assert from_camera_height(noisy, CAMERA, height).scale == pytest.approx(1.25, rel=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_the_height_is_found_in_rendered_worlds(kind):
    found = 0
    for seed in range(6):
        view = SimulatedCamera(seed, 160, 120, 10.0, kind).view(0.0)
        height_m = float(view.camera.pose[2, 3])
        evidence = from_camera_height(view.depth_m, Intrinsics.of(view.camera), height_m)
        if math.isfinite(evidence.scale):
            found += 1
            assert evidence.scale == pytest.approx(1.0, rel=0.1), (kind, seed)
    assert found >= 3, "ground must be found in half of the worlds"


def test_a_table_top_in_front_is_not_taken_for_the_ground():
    depth = ground()
    depth[60:110, 40:120] = np.minimum(depth, ground(0.5))[60:110, 40:120]
    assert from_camera_height(depth, CAMERA, 1.2).scale == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(
    "depth",
    [
        np.full((120, 160), 2.0, np.float32),  # a wall
        np.full((120, 160), np.nan, np.float32),
        np.full((120, 160), np.inf, np.float32),
        ground()[::-1].copy(),  # a ceiling
        np.random.default_rng(0).uniform(0.1, 50, (120, 160)).astype(np.float32),
    ],
    ids=["wall", "nan", "inf", "ceiling", "noise"],
)
def test_without_ground_there_is_no_evidence_and_a_reason(depth):
    found = from_camera_height(depth, CAMERA, 1.2)
    assert math.isnan(found.scale) and "ground" in found.reason


@pytest.mark.parametrize("height", [0.0, -1.0, math.nan, math.inf, 1200.0])
def test_a_height_that_cannot_be_is_refused(height):
    with pytest.raises(InputError, match="metres above the ground"):
        from_camera_height(ground(), CAMERA, height)


# From ranges


def test_the_scale_is_found_from_ranges_though_a_third_are_wrong():
    depth = np.minimum(ground(), 6.0).astype(np.float32)
    measured = ranges_of(depth, 1.3)
    assert from_ranges(depth, CAMERA, measured).scale == pytest.approx(1.3, rel=1e-4)
    measured[:60] *= np.random.default_rng(1).uniform(0.1, 5, (60, 1))
    found = from_ranges(depth, CAMERA, measured)
    assert found.scale == pytest.approx(1.3, rel=0.01) and found.inliers >= 140


def test_ranges_that_disagree_are_no_evidence():
    depth = np.full((120, 160), 3.0, np.float32)
    measured = ranges_of(depth) * np.geomspace(0.2, 5, 200)[:, None]
    found = from_ranges(depth, CAMERA, measured)
    assert math.isnan(found.scale) and "do not agree" in found.reason


def test_ranges_at_depth_edges_and_beside_unreadable_pixels_are_left_out():
    depth = np.full((120, 160), 3.0, np.float32)
    depth[:, ::2] = 1.5
    assert from_ranges(depth, CAMERA, ranges_of(depth)).inliers == 0
    depth[:, ::2] = np.nan
    assert from_ranges(depth, CAMERA, ranges_of(np.full((120, 160), 3.0, np.float32))).inliers == 0


def test_too_few_ranges_are_no_evidence():
    depth = np.full((120, 160), 3.0, np.float32)
    assert math.isnan(from_ranges(depth, CAMERA, ranges_of(depth)[: MIN_RANGES - 1]).scale)
    assert from_ranges(depth, CAMERA, np.empty((0, 3))).reason.startswith("only 0 ranges")


def test_a_laser_scan_reaches_the_image_by_its_transform():
    depth = np.full((120, 160), 3.0, np.float32)
    angles = np.linspace(-0.5, 0.5, 101)
    ranges = 3.3 / np.cos(angles)
    ranges[:10], ranges[10:20] = np.inf, np.nan
    in_laser = scan_points(ranges, -0.5, 0.01, 0.1, 30.0)
    assert len(in_laser) == 81 and in_laser[:, 0] == pytest.approx(3.3)
    transform = np.eye(4)
    # x forward, y left, z up -> x right, y down, z forward
    transform[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    transform[:3, 3] = 0.0, 0.1, 0.3
    found = from_ranges(depth, CAMERA, moved(in_laser, transform))
    assert found.scale == pytest.approx(3.6 / 3.0) and found.inliers == 81


def test_sizes_that_differ_are_refused():
    for look in (
        lambda d: from_camera_height(d, CAMERA, 1.2),
        lambda d: from_ranges(d, CAMERA, np.ones((50, 3))),
    ):
        with pytest.raises(InputError, match="scale the intrinsics"):
            look(np.ones((5, 5), np.float32))
    with pytest.raises(InputError, match=r"points \(N, 3\)"):
        from_ranges(ground(), CAMERA, np.ones(7))


# Adversaries


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 99))
def test_no_depth_and_no_ranges_bring_an_error_or_a_warning(seed, height):
    rng = np.random.default_rng(seed)
    strange = np.array([np.nan, np.inf, -np.inf, -1, 0, 1e-38, 1e38, 1.0, 1.01, 2.0], np.float32)
    depth = rng.choice(strange, (120, 160), p=rng.dirichlet(np.full(10, 0.3)))
    measured = rng.choice(np.array([np.nan, np.inf, -np.inf, 0, 1e300, -1e300, 1e-300, 1, 2, 3]), (300, 3))
    correction = ScaleCorrection()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k, evidence in enumerate(
            (from_camera_height(depth, CAMERA, height), from_ranges(depth, CAMERA, measured))
        ):
            assert math.isnan(evidence.scale) or evidence.scale > 0
            assert BOUNDS[0] <= correction.observe(evidence, k * SECOND) <= BOUNDS[1]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(anything, st.integers(-(2**63), 2**63 - 1)), max_size=60))
def test_nothing_moves_the_factor_out_of_its_bounds_or_fast(steps):
    correction, stamp, value = ScaleCorrection(), None, 1.0
    for scale, new_stamp in steps:
        before, value = value, correction.observe(Evidence(scale, 1000), new_stamp)
        elapsed = 0 if stamp is None else min(max((new_stamp - stamp) / 1e9, 0), 1)
        stamp = new_stamp
        assert BOUNDS[0] <= value <= BOUNDS[1]
        assert abs(math.log(value / before)) <= math.log1p(CHANGE_PER_S) * elapsed + 1e-12
        assert all(isinstance(text, str) for text in correction.report().values())


def test_the_factor_goes_to_what_frames_agree_on_and_no_faster_than_stated():
    correction = ScaleCorrection()
    values = [correction.observe(Evidence(1.2, 500), k * SECOND // 10) for k in range(100)]
    assert values[0] == 1.0 and values[10] == pytest.approx(1 + CHANGE_PER_S, rel=1e-6) and values[-1] == 1.2
    assert correction.fault == "" and correction.report()["scale"] == "1.2000"


def test_a_few_wrong_frames_among_right_ones_change_nothing():
    correction = ScaleCorrection()
    for k in range(200):
        correction.observe(Evidence(1.9 if k % 3 == 0 else 1.1, 500), k * SECOND // 10)
    assert correction.value == pytest.approx(1.1)


@pytest.mark.parametrize("wrong", [1000.0, 0.001, 2.01, 0.49])
def test_evidence_outside_the_bounds_is_not_believed_and_a_sentence_says_so(wrong):
    correction = ScaleCorrection()
    for k in range(50):
        correction.observe(Evidence(wrong, 5000), k * SECOND)
    assert correction.value == 1.0 and "not believed" in correction.fault
    assert correction.report()["frames refused"] == "50"


def test_a_height_in_millimetres_does_nothing():
    correction, depth = ScaleCorrection(), ground(0.08)
    for k in range(20):
        correction.observe(from_camera_height(depth, CAMERA, 80.0), k * SECOND)
    assert correction.value == 1.0 and "camera_height (metres)" in correction.fault


def test_without_evidence_the_factor_stays_and_a_reason_is_told():
    correction = ScaleCorrection()
    for k in range(20):
        correction.observe(Evidence(1.1, 500), k * SECOND)
    kept = correction.value
    assert correction.observe(Evidence(reason="no ground is seen"), 21 * SECOND) == kept
    assert correction.fault == "The scale of depth is not checked: no ground is seen."
    correction.reset()
    assert correction.value == 1.0 and correction.fault


def test_depth_is_multiplied_in_place_and_what_is_not_a_number_stays():
    depth = np.array([[1.0, np.nan, np.inf, -np.inf]], np.float32)
    apply(depth, 1.5)
    assert np.array_equal(depth, np.array([[1.5, np.nan, np.inf, -np.inf]], np.float32), equal_nan=True)
