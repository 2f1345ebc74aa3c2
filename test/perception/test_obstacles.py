# SPDX-License-Identifier: Apache-2.0
"""The obstacle cloud: what its four steps keep and drop, against plain NumPy, and against Open3D where it
is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, points
from vision_banana_ros.perception.obstacles import (
    REACH,
    Floor,
    ObstacleFilter,
    drop_outliers,
    floor_in_depth,
    scale_by_floor,
    voxels,
)
from vision_banana_ros.scenes import SimulatedCamera

CAMERA = Intrinsics.from_fov(80, 60, 75)
SURE = np.ones((60, 80), np.float32)


def wall(z=2.0):
    return np.full((60, 80), z, np.float32)


def outliers_by_definition(cloud, voxel, neighbours, spread):
    """Every distance to every point, sorted: what `drop_outliers` must keep."""
    distances = np.sqrt(((cloud[:, None].astype(np.float64) - cloud[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(distances, np.inf)
    nearest = np.minimum(np.sort(distances, axis=1), REACH * voxel)[:, :neighbours]
    missing = np.full((len(cloud), neighbours - nearest.shape[1]), REACH * voxel)
    apart = np.concatenate([nearest, missing], axis=1).mean(axis=1)
    return apart, apart.mean() + spread * apart.std()


def test_a_wall_becomes_one_point_a_cell_at_its_distance():
    found = ObstacleFilter(voxel=0.1, spread=10.0)(wall(), SURE, CAMERA)
    assert found.dtype == np.float32 and found.shape[1] == 3
    assert found[:, 2] == pytest.approx(2.0)
    cells = np.floor(found[:, :2] / 0.1)
    assert len(np.unique(cells, axis=0)) == len(found)
    everything = points(wall(), CAMERA)
    assert len(found) == len(np.unique(np.floor(everything[..., :2].reshape(-1, 2) / 0.1), axis=0))


def test_unsure_unreadable_near_and_far_pixels_leave_no_point():
    depth, confidence = wall(), SURE.copy()
    depth[:10] = np.nan
    depth[10:20] = np.inf
    depth[20:30] = 0.1
    depth[30:40] = 9.0
    confidence[40:50] = 0.49
    found = ObstacleFilter()(depth, confidence, CAMERA)
    kept = points(wall(), CAMERA)[50:]
    assert len(found) and np.isfinite(found).all()
    assert found[:, 1].min() >= kept[..., 1].min() - 1e-6 and found[:, 2] == pytest.approx(2.0)


def test_range_is_the_distance_from_the_camera_and_not_the_depth():
    found = ObstacleFilter(max_range=2.2)(wall(), SURE, CAMERA)
    assert len(found) and np.linalg.norm(found, axis=1).max() <= 2.2 + 0.05
    assert np.abs(points(wall(), CAMERA)[..., 0]).max() > np.sqrt(2.2**2 - 2.0**2) + 0.2


def test_nothing_at_all_gives_an_empty_cloud():
    assert ObstacleFilter()(np.full((60, 80), np.nan, np.float32), SURE, CAMERA).shape == (0, 3)
    lonely = np.full((60, 80), np.nan, np.float32)
    lonely[30, 40] = 1.0
    assert ObstacleFilter()(lonely, SURE, CAMERA).shape == (0, 3)


def test_speckle_in_the_air_is_dropped_and_surfaces_stay():
    view = SimulatedCamera(3, 320, 240, 10.0).view(0.0)
    camera = Intrinsics.of(view.camera)
    rng = np.random.default_rng(0)
    speckled = view.depth_m.copy()
    struck = (rng.random(speckled.shape) < 0.003) & (view.depth_m > 2)
    speckled[struck] = rng.uniform(0.5, 0.6 * view.depth_m[struck]).astype(np.float32)
    sure = np.ones_like(speckled)
    true, cleaned = (
        ObstacleFilter(spread=100.0)(view.depth_m, sure, camera),
        ObstacleFilter()(speckled, sure, camera),
    )

    def cells(cloud):
        return {tuple(cell) for cell in np.floor(cloud / 0.1).astype(int)}

    around = {
        (x + a, y + b, z + c)
        for x, y, z in cells(true)
        for a in (-1, 0, 1)
        for b in (-1, 0, 1)
        for c in (-1, 0, 1)
    }
    unfiltered = voxels(points(speckled, camera)[struck], 0.05)
    assert len(unfiltered) > 100
    assert len(cells(cleaned) - around) < 0.05 * len(unfiltered)
    assert len(cells(true) & cells(cleaned)) > 0.9 * len(cells(true))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0.2, 3), st.integers(2, 120))
def test_outliers_are_those_of_the_definition(seed, neighbours, spread, count):
    rng = np.random.default_rng(seed)
    cloud = voxels(rng.normal(0, 0.15, (count, 3)), 0.05)
    apart, threshold = outliers_by_definition(cloud, 0.05, neighbours, spread)
    kept = {point.tobytes() for point in drop_outliers(cloud, 0.05, neighbours, spread)}
    for point, distance in zip(cloud, apart, strict=True):
        if abs(distance - threshold) > 1e-5:  # float32 may decide a tie either way
            assert (point.tobytes() in kept) == (distance < threshold)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.005, 2))
def test_voxels_are_the_means_of_their_cells(seed, voxel):
    rng = np.random.default_rng(seed)
    cloud = rng.uniform(-5, 5, (300, 3)).astype(np.float32)
    found = voxels(cloud, voxel)
    cells, which = np.unique(np.floor(cloud * np.float32(1 / voxel)), axis=0, return_inverse=True)
    means = np.stack([cloud[which.ravel() == i].mean(axis=0, dtype=np.float64) for i in range(len(cells))])
    np.testing.assert_allclose(
        found[np.lexsort(found.T)], means[np.lexsort(means.T)].astype(np.float32), atol=1e-5
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_whatever_comes_in_only_finite_points_within_range_come_out(seed):
    rng = np.random.default_rng(seed)
    strange = np.array([np.nan, np.inf, -np.inf, -1, 0, 1e-30, 1e30, 0.5, 3.0, 7.9], np.float32)
    found = ObstacleFilter()(rng.choice(strange, (60, 80)), rng.choice(strange, (60, 80)), CAMERA)
    distance = np.linalg.norm(found, axis=1)
    assert np.isfinite(found).all() and (distance >= 0.2 - 1e-3).all() and (distance <= 8 + 1e-3).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"min_confidence": 1.5}, "between 0 and 1"),
        ({"min_range": 9.0}, "leave nothing"),
        ({"max_range": 1e6}, "up to 1000"),
        ({"voxel": 0.0}, "between 0.005 and 10"),
        ({"voxel": float("nan")}, "between 0.005 and 10"),
        ({"neighbours": 0}, "give 1 to 64"),
        ({"spread": 0.0}, "above 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_a_sentence(wrong, words):
    with pytest.raises(InputError, match=words):
        ObstacleFilter(**wrong)


def test_sizes_that_differ_are_refused():
    with pytest.raises(InputError, match="must be of one size"):
        ObstacleFilter()(wall(), SURE[:-1], CAMERA)
    with pytest.raises(InputError, match="must be of one size"):
        ObstacleFilter()(wall(), SURE, CAMERA, ignored=np.zeros((60, 79), bool))


def test_open3d_drops_the_same_outliers():
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    view = SimulatedCamera(3, 320, 240, 10.0).view(0.0)
    cloud = points(view.depth_m, Intrinsics.of(view.camera)).reshape(-1, 3)
    cloud = voxels(cloud[np.isfinite(cloud).all(axis=1)], 0.05)
    theirs, _ = open3d.geometry.PointCloud(
        open3d.utility.Vector3dVector(cloud.astype(np.float64))
    ).remove_statistical_outlier(9, 1.0)
    expected = {point.tobytes() for point in np.asarray(theirs.points).astype(np.float32)}
    found = {point.tobytes() for point in drop_outliers(cloud, 0.05, 8, 1.0)}
    # Open3D counts the point itself as its first neighbour, and looks further than REACH for the others.
    assert len(found ^ expected) < 0.02 * len(expected)


def test_the_floor_is_sought_among_the_ignored_pixels_first():
    """Of a picture that ends below the horizon, a table covers six sevenths; the floor is 1.2 m below."""
    rows, columns = np.mgrid[:240, :320]
    k = Intrinsics(320, 240, 200.0, 200.0, 159.5, -60.0)
    floor = columns < 45
    depth_m = (np.where(floor, 1.2, 0.85) * k.fy / (rows - k.cy)).astype(np.float32)
    table = floor_in_depth(depth_m, k)[0]
    assert table.camera_height == pytest.approx(0.85, abs=0.05), "what the class guards against"
    found = floor_in_depth(depth_m, k, floor)[0]
    assert found.camera_height == pytest.approx(1.2, abs=0.01)
    assert found.up == pytest.approx((0, -1, 0), abs=0.01)
    assert floor_in_depth(depth_m, k, np.zeros_like(floor))[0] == table, "else in all of depth"
    nothing, reason = floor_in_depth(np.full_like(depth_m, 2.0), k, floor)
    assert nothing is None and "no ground" in reason


ROWS, COLUMNS = np.mgrid[:240, :320]
LEVEL = Intrinsics(320, 240, 200.0, 200.0, 159.5, 119.5)
BY_TF = Floor((0.0, -1.0, 0.0), 1.2)
FLOOR = ROWS > 160


def floor_seen(error):
    """Depth of a floor 1.2 m below a level camera, seen `error` times too far, and a wall above it."""
    with np.errstate(divide="ignore"):
        return np.where(FLOOR, error * 1.2 * LEVEL.fy / (ROWS - LEVEL.cy), 3.0).astype(np.float32)


@given(st.floats(0.55, 1.9))
def test_depth_is_corrected_by_what_exceeds_the_usual_error_of_the_floor(error):
    """1 up to 20 %; a floor seen 30 % too far brings obstacles nearer by 30 % less 20 %."""
    scale, reason = scale_by_floor(floor_seen(error), LEVEL, BY_TF, FLOOR)
    expected = min(1.2 / error, 1.0) if error > 1 else max(1 / (1.2 * error), 1.0)
    assert scale == pytest.approx(expected, rel=1e-4) and not reason


def test_the_floor_is_believed_by_its_median_and_where_it_has_depth():
    depth_m = floor_seen(0.7)
    depth_m[FLOOR & (COLUMNS < 120)] = 0.3  # the leg of a table that the mask calls floor
    depth_m[FLOOR & (COLUMNS > 300)] = np.nan
    everywhere = FLOOR | (ROWS < 60)  # above the horizon there is no floor to compare with
    scale = scale_by_floor(depth_m, LEVEL, BY_TF, everywhere)[0]
    assert scale == pytest.approx(1 / (1.2 * 0.7), rel=0.01)


@pytest.mark.parametrize(
    ("error", "ignored", "floor", "words"),
    [
        (0.8, np.zeros_like(FLOOR), BY_TF, "too little floor"),
        (0.8, FLOOR & (COLUMNS < 3), BY_TF, "too little floor"),
        (0.8, ROWS < 60, BY_TF, "too little floor"),
        (np.nan, FLOOR, BY_TF, "too little floor"),
        (0.8, FLOOR, Floor((0.0, -1.0, 0.0), -1.2), "too little floor"),
        (0.8, FLOOR, Floor((0.0, -1.0, 0.0), 0.0), "too little floor"),
        (0.45, FLOOR, BY_TF, "multiplied by 2.22; check TF"),
        (2.1, FLOOR, BY_TF, "multiplied by 0.48; check TF"),
    ],
)
def test_without_a_floor_to_believe_depth_stays_as_it_is(error, ignored, floor, words):
    scale, reason = scale_by_floor(floor_seen(error), LEVEL, floor, ignored)
    assert scale == 1.0 and words in reason


def test_ignored_classes_that_stand_upright_correct_nothing():
    scale, reason = scale_by_floor(np.full(FLOOR.shape, 2.0, np.float32), LEVEL, BY_TF, ROWS > 130)
    assert scale == 1.0 and "no plane" in reason


@pytest.mark.parametrize("min_confidence", [0.0, 0.5])
def test_ignored_pixels_are_left_out_with_what_shares_their_voxels(min_confidence):
    """A box 0.4 m high, 2 m ahead, on a floor 0.8 m below a level camera. The mask of the floor ends two
    pixels before the box."""
    rows, columns = np.mgrid[:240, :320]
    k = Intrinsics(320, 240, 200.0, 200.0, 159.5, 119.5)
    with np.errstate(divide="ignore"):
        floor_m = np.where(rows > 140, 0.8 * k.fy / (rows - k.cy), np.nan)
    box = (rows >= 160) & (rows < 200) & (columns >= 140) & (columns < 180)
    depth_m = np.where(box, 2.0, floor_m).astype(np.float32)
    mask = ~((rows >= 158) & (rows < 202) & (columns >= 138) & (columns < 182))
    keep = ObstacleFilter(min_confidence=min_confidence, spread=10.0)
    sure = np.full(depth_m.shape, 0.9, np.float32)
    missed = keep(np.where(mask | box, np.nan, depth_m), sure, k)
    kept = keep(depth_m, sure, k, ignored=mask)
    height = 0.8 - kept[:, 1]
    assert len(missed) > 20 and (height < 0.02).sum() < 0.5 * len(missed)
    upper = keep(np.where(box & (rows < 188), depth_m, np.nan), sure, k)  # more than a voxel above the floor
    cells = {tuple(cell) for cell in np.floor(kept / 0.05).astype(int)}
    assert len(upper) > 20 and {tuple(cell) for cell in np.floor(upper / 0.05).astype(int)} <= cells


def test_the_floor_is_left_out_and_what_stands_on_it_is_kept():
    """A level camera 1 m above a floor, on which a box 0.3 m high stands 2 m ahead."""
    k = Intrinsics(80, 60, 60.0, 60.0, 39.5, 29.5)
    rows = np.arange(60)[:, None] + np.zeros((1, 80))
    with np.errstate(divide="ignore"):
        depth_m = np.where(rows > 29.5, k.fy / (rows - k.cy), np.nan).astype(np.float32)
    depth_m[51:60, 30:50] = 2.0  # 0.72 m below the camera and lower
    sure = np.ones((60, 80), np.float32)
    floor = Floor((0.0, -1.0, 0.0), 1.0)
    kept = ObstacleFilter(min_height=0.1, spread=10.0)
    with_floor, without = kept(depth_m, sure, k), kept(depth_m, sure, k, floor)
    assert (floor.heights(with_floor) < 0.05).mean() > 0.5
    assert (
        len(without) > 10
        and (floor.heights(without) > 0.1).all()
        and without[:, 2] == pytest.approx(2.0, abs=0.05)
    )
    assert (floor.heights(ObstacleFilter(min_height=0.4)(depth_m, sure, k, floor)) > 0.4).all()
    with pytest.raises(InputError, match="min_height"):
        ObstacleFilter(min_height=np.nan)
