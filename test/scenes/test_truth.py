# SPDX-License-Identifier: Apache-2.0
"""The truth of rendered views, against cases worked by hand and against a slow reference that shares no
code."""

from math import radians

import numpy as np
import pytest
from scene_support import unit_points, within, world_of

from vision_banana_ros.scenes import CLASSES, KINDS, Camera, make_world, render, sample_camera
from vision_banana_ros.scenes import kernel as k
from vision_banana_ros.scenes.cameras import look_from, pinhole
from vision_banana_ros.scenes.materials import Look
from vision_banana_ros.scenes.solids import Part, Thing

GRAY = Look("plastic", "gray", (128, 128, 128), (128, 128, 128))


def ahead(width: int = 33, height: int = 25, fov: float = 70.0) -> Camera:
    """A camera at the origin that looks along +x: optical x is -y, optical y is -z."""
    return pinhole(width, height, radians(fov), look_from(0, 0, 0, 0, 0, 0))


def test_wall_gives_z_depth_and_not_the_length_of_the_ray():
    view = render(world_of(Thing("wall").box((2.05, 0, 0), (0.1, 20, 20), GRAY)), ahead(), 0)
    assert view.depth_m == pytest.approx(2.0, abs=1e-6)  # in the corners the ray is 2.6 m long
    assert view.normals == pytest.approx(np.broadcast_to([0.0, 0.0, 1.0], view.normals.shape), abs=1e-6)
    assert (view.labels == CLASSES.index("wall")).all()
    assert (view.instances == 0).all()


def test_floor_under_a_level_camera():
    view = render(world_of(Thing("ground").box((0, 0, -1.3), (500, 500, 0.2), GRAY)), camera := ahead(), 0)
    rows = np.arange(camera.height)
    below = rows > camera.cy
    depth = 1.2 * camera.fy / (rows[below] - camera.cy)
    assert view.depth_m[below] == pytest.approx(np.repeat(depth[:, None], camera.width, 1), rel=1e-6)
    assert view.normals[below] == pytest.approx(
        np.broadcast_to([0.0, 1.0, 0.0], view.normals[below].shape), abs=1e-6
    )
    assert np.isposinf(view.depth_m[~below]).all()
    assert np.isnan(view.normals[~below]).all()
    assert (view.labels[~below] == CLASSES.index("sky")).all()


def test_ball_on_the_optical_axis():
    view = render(world_of(Thing("ball").ball((3.0, 0, 0), 0.5, GRAY)), camera := ahead(), 0)
    row, column = camera.height // 2, camera.width // 2
    assert view.depth_m[row, column] == pytest.approx(2.5)
    assert view.normals[row, column] == pytest.approx([0, 0, 1])
    assert view.instances[row, column] == 1
    rows, columns = np.nonzero(view.instances)
    z = view.depth_m[rows, columns]
    # the normal of a ball points from its middle, in the frame +x right, +y up, +z to the viewer
    x, y = (columns - camera.cx) / camera.fx * z, -(rows - camera.cy) / camera.fy * z
    normal = np.stack([x, y, 3.0 - z], -1) / 0.5
    assert view.normals[rows, columns] == pytest.approx(normal, abs=1e-5)


def test_left_facing_surface_has_negative_x():
    # -y is to the right
    view = render(world_of(Thing("box").box((3, -1.0, 0), (1, 1, 1), GRAY)), camera := ahead(), 0)
    assert (view.instances[:, : int(camera.cx)] == 0).all()
    side = view.normals[view.normals[..., 0] < -0.9]
    assert len(side) and side == pytest.approx(np.broadcast_to([-1.0, 0.0, 0.0], side.shape), abs=1e-6)


def inside(part: Part, points: np.ndarray) -> np.ndarray:
    """Whether points (..., 3) lie in a solid, from its definition."""
    local = (points - np.array(part.center)) @ np.array(part.rotation).reshape(3, 3)
    a, b, c = (
        (local / np.array(part.half))[..., 0],
        (local / np.array(part.half))[..., 1],
        local[..., 2] / part.half[2],
    )
    if part.shape == k.BOX:
        return np.maximum(np.maximum(abs(a), abs(b)), abs(c)) < 1
    if part.shape == k.BALL:
        return a * a + b * b + c * c < 1
    radius = 1 + (part.taper - 1) * (c + 1) / 2
    return (np.hypot(a, b) < radius) & (abs(c) < 1)


@pytest.mark.parametrize("seed", range(6))
def test_solids_in_any_pose_against_marching_along_the_rays(seed):
    rng = np.random.default_rng(seed)
    thing = Thing("box")
    for _ in range(3):
        at = (float(rng.uniform(1.5, 3.0)), float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.6, 0.6)))
        size = tuple(map(float, rng.uniform(0.1, 0.8, 3)))
        yaw, tilt = rng.uniform(-3, 3, 2)
        thing.box(at, size, GRAY, yaw, tilt)
        thing.ball((at[0], at[1] + 0.7, at[2]), size, GRAY, yaw, tilt)
        end = tuple(float(v) for v in np.add(at, rng.uniform(-0.7, 0.7, 3)))
        thing.tube(at, end, 0.2, GRAY, float(rng.choice([0.0, 0.1, 0.2, 0.35])))
    camera = ahead(24, 18)
    view = render(world_of(thing), camera, 0)
    step = 0.002
    depths = np.arange(0.1, 4.5, step)
    rows, columns = np.mgrid[:18, :24]
    rays = np.stack(
        [np.ones((18, 24)), -(columns - camera.cx) / camera.fx, -(rows - camera.cy) / camera.fy], -1
    )
    points = rays[:, :, None] * depths[:, None]
    solid = np.zeros(points.shape[:3], bool)
    for part in thing.parts:
        solid |= inside(part, points)
    first = np.where(solid.any(2), depths[solid.argmax(2)], np.inf)
    seen = np.isfinite(first)
    assert seen.mean() > 0.1
    # a ray may graze an edge within less than a step
    assert (np.isfinite(view.depth_m) == seen).mean() > 0.98
    both = seen & np.isfinite(view.depth_m)
    error = first[both] - view.depth_m[both]
    assert ((error > -1e-6) & (error <= step + 1e-6)).mean() > 0.98


def unprojected(view) -> np.ndarray:
    """Points (H, W, 3) in the paper's frame: +x right, +y up, +z to the viewer; NaN on the sky."""
    c = view.camera
    rows, columns = np.mgrid[: c.height, : c.width]
    z = np.where(np.isfinite(view.depth_m), view.depth_m, np.nan).astype(float)
    return np.stack([(columns - c.cx) / c.fx * z, -(rows - c.cy) / c.fy * z, -z], -1)


def in_world(view) -> np.ndarray:
    pose = view.camera.pose
    return unprojected(view) @ np.diag([1.0, -1.0, -1.0]) @ pose[:3, :3].T + pose[:3, 3]


@pytest.fixture(scope="module", params=KINDS)
def view(request):
    world = make_world(11, request.param)
    return render(world, sample_camera(world, np.random.default_rng(5), 96, 72), 5)


def test_points_lie_on_the_surface_of_their_instance(view):
    world, points = view.world, in_world(view)
    for instance in np.unique(view.instances):
        mask = (view.instances == instance) & np.isfinite(view.depth_m)
        off = np.full(mask.sum(), np.inf)
        for p in np.nonzero(world.prims[:, k.INSTANCE] == instance)[0]:
            local = unit_points(world, p, points[mask])
            if world.prims[p, k.SHAPE] == k.BOX:
                gap = abs(local).max(-1) - 1
            elif world.prims[p, k.SHAPE] == k.BALL:
                gap = np.linalg.norm(local, axis=-1) - 1
            else:
                radius = 1 + (world.prims[p, k.TAPER] - 1) * (local[:, 2] + 1) / 2
                gap = np.maximum(np.hypot(local[:, 0], local[:, 1]) - radius, abs(local[:, 2]) - 1)
            off = np.minimum(off, abs(gap) * world.prims[p, k.HALF : k.HALF + 3].max())
        assert off.max() < 2e-4 * max(1.0, np.abs(points[mask]).max()), instance


def test_nothing_stands_between_camera_and_points(view):
    world, points, eye = view.world, in_world(view), view.camera.pose[:3, 3]
    points = np.where(np.isfinite(view.depth_m)[..., None], points, eye)[::5, ::5]
    for share in np.linspace(0.02, 0.999, 25):
        between = eye + share * (points - eye)
        for p in range(len(world.prims)):
            assert not within(world, p, between, 1e-3).any(), (share, p)


def test_normals_are_unit_face_the_viewer_and_agree_with_the_depth(view):
    points, normals = unprojected(view), view.normals
    seen = np.isfinite(view.depth_m)
    assert np.isnan(normals[~seen]).all()
    assert np.linalg.norm(normals[seen], axis=-1) == pytest.approx(1.0, abs=1e-5)
    assert ((normals * -points)[seen].sum(-1) >= -1e-5).all()
    # where three neighbours have one normal, they span the plane that it stands on
    across, down = points[:-1, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, :-1]
    here = normals[:-1, :-1]
    flat = (abs(here - normals[:-1, 1:]).max(-1) < 1e-6) & (abs(here - normals[1:, :-1]).max(-1) < 1e-6)
    cross = np.cross(down, across)
    cross /= np.linalg.norm(cross, axis=-1, keepdims=True)
    angle = np.degrees(np.arccos(np.clip((cross * here).sum(-1)[flat], -1, 1)))
    assert flat.mean() > 0.2
    assert (angle < 0.5).mean() > 0.7  # steps between parallel faces remain
    assert np.median(angle) < 0.1


def test_labels_are_those_of_the_objects(view):
    for o in view.world.objects:
        assert (view.labels[view.instances == o.instance] == CLASSES.index(o.class_name)).all()
    assert set(np.unique(view.instances)) <= {0, *(o.instance for o in view.world.objects)}
    assert view.image.dtype == np.uint8 and view.image.flags.c_contiguous
    assert (view.depth_m.dtype, view.normals.dtype) == (np.float32, np.float32)
    assert (view.labels.dtype, view.instances.dtype) == (np.uint8, np.uint16)


def test_panes_have_their_own_depth():
    glass = Look("glass", "clear", (230, 240, 235), (230, 240, 235), surface=k.GLASS)
    pane = Thing("glass").box((1.505, 0, 0), (0.01, 9, 9), glass)
    board = Thing("box").box((3.0, 0, 0), (0.1, 1, 1), Look("paint", "red", (200, 30, 30), (200, 30, 30)))
    view = render(world_of(pane, board), ahead(), 0, effects=False)
    assert view.depth_m == pytest.approx(1.5)
    assert (view.labels == CLASSES.index("glass")).all()
    red = view.image[12, 16].astype(int)
    assert red[0] > red[1] + 30  # though one sees through


def test_mirror_shows_what_is_behind_the_camera():
    mirror = Look("mirror", "gray", (240, 240, 240), (240, 240, 240), surface=k.MIRROR)
    pane = Thing("mirror").box((2.05, 0, 0), (0.1, 9, 9), mirror)
    board = Thing("box").box(
        (-2.0, 0, 0), (0.1, 1.5, 1.5), Look("paint", "red", (200, 30, 30), (200, 30, 30))
    )
    view = render(world_of(pane, board), ahead(), 0, effects=False)
    assert view.depth_m == pytest.approx(2.0)
    assert (view.instances == 1).all()
    middle = view.image[12, 16].astype(int)
    assert middle[0] > middle[1] + 30


def test_shadow_falls_where_the_light_is_hidden():
    floor = Thing("floor").box((0, 0, -1.1), (40, 40, 0.2), GRAY)
    board = Thing("box").box((3.0, 0, 2.0), (1.0, 1.0, 0.05), GRAY)
    world = world_of(floor, board)
    world.lights[0, 1:4] = 3.0, 0.0, 5.0
    world.lights[0, 4:7] = 20.0
    view = render(world, pinhole(96, 72, radians(70), look_from(0, 0, 0, 0, 0.3, 0)), 0, effects=False)
    points = in_world(view)
    on_floor = (view.instances == 0) & (abs(points[..., 2] + 1) < 1e-3)
    away = np.maximum(abs(points[..., 0] - 3.0), abs(points[..., 1]))
    # seen from 5 m, a board 3 m below hides twice its size on the floor 6 m below
    assert (
        view.image[on_floor & (away < 0.8)].mean()
        < 0.75 * view.image[on_floor & (away > 1.3) & (away < 1.8)].mean()
    )
