# SPDX-License-Identifier: Apache-2.0
"""Worlds and cameras: repeatable, varied, to scale, and nothing inside anything else."""

from itertools import product
from math import asin, atan, degrees

import numpy as np
import pytest
from scene_support import within

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import (
    CLASSES,
    KINDS,
    Camera,
    World,
    caption,
    make_world,
    render,
    sample_camera,
    viewpoints,
)
from vision_banana_ros.scenes import kernel as k
from vision_banana_ros.scenes.cameras import look_from
from vision_banana_ros.scenes.effects import Effects


def test_same_seed_same_picture_and_truth():
    def draw():
        world = make_world(21)
        return render(world, sample_camera(world, np.random.default_rng(3), 64, 48), 9)

    a, b = draw(), draw()
    assert (a.image == b.image).all()
    assert np.array_equal(a.depth_m, b.depth_m) and np.array_equal(a.normals, b.normals, equal_nan=True)
    assert np.array_equal(a.instances, b.instances)
    assert a.world.objects == b.world.objects
    assert caption(a, np.random.default_rng(1)) == caption(b, np.random.default_rng(1))


def test_effects_change_the_picture_and_not_the_truth():
    world = make_world(2, "room")
    camera = sample_camera(world, np.random.default_rng(0), 64, 48)
    plain, bad = (
        render(world, camera, 0, False),
        render(world, camera, 0, Effects(noise=12.0, jpeg=50, defocus=0.01)),
    )
    assert np.array_equal(plain.depth_m, bad.depth_m)
    assert abs(plain.image.astype(int) - bad.image).mean() > 3


def test_kinds_are_drawn_and_unknown_ones_refused():
    assert {make_world(seed).kind for seed in range(30)} == set(KINDS)
    with pytest.raises(InputError, match="room, corridor, warehouse, yard"):
        make_world(0, "castle")


def test_cameras_refuse_nonsense():
    with pytest.raises(InputError):
        Camera(0, 10, 5.0, 5.0, 5.0, 5.0, np.eye(4))
    with pytest.raises(InputError):
        Camera(10, 10, -5.0, 5.0, 5.0, 5.0, np.eye(4))
    with pytest.raises(InputError):
        Camera(10, 10, 5.0, 5.0, 5.0, 5.0, np.eye(3))


def test_pose_is_world_from_optical():
    pose = look_from(1.0, 2.0, 3.0, 0.0, 0.0, 0.0)  # along x: optical x is -y, optical y is -z
    assert pose == pytest.approx(np.array([[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]]))
    assert look_from(0, 0, 0, 0.3, 0.5, 0.2)[2, 2] < 0  # pitch is positive down
    turned = look_from(0, 0, 0, 0.3, 0.5, 0.2)[:3, :3]
    assert turned.T @ turned == pytest.approx(np.eye(3))
    assert np.linalg.det(turned) == pytest.approx(1.0)


def spheres_touch(world: World, p: int, others: np.ndarray) -> np.ndarray:
    a, b = world.prims[p], world.prims[others]
    reach = a[k.BOUND + 3] + b[:, k.BOUND + 3]
    gap = np.linalg.norm(b[:, k.BOUND : k.BOUND + 3] - a[k.BOUND : k.BOUND + 3], axis=1)
    return others[gap < reach]


def samples(world: World, p: int, rng: np.random.Generator) -> np.ndarray:
    """Points in a primitive, its corners among them."""
    unit = np.concatenate(
        [rng.uniform(-1, 1, (60, 3)), np.array(np.meshgrid(*[[-0.99, 0.99]] * 3)).reshape(3, 8).T]
    )
    matrix = world.prims[p, :12].reshape(3, 4)
    points = (unit - matrix[:, 3]) @ np.linalg.inv(matrix[:, :3]).T
    return points[within(world, p, points, 0.0)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_no_object_is_inside_another_or_in_a_wall(kind, seed):
    world = make_world(500 + seed, kind)
    rng = np.random.default_rng(seed)
    owner = world.prims[:, k.INSTANCE]
    everything = np.arange(len(world.prims))
    for p in np.nonzero(owner > 0)[0]:
        for q in spheres_touch(world, p, everything[owner != owner[p]]):
            deep = within(world, q, samples(world, p, rng), 0.004)
            names = [CLASSES[int(world.prims[x, k.LABEL])] for x in (p, q)]
            assert not deep.any(), f"{names[0]} in {names[1]}"


@pytest.mark.parametrize("kind", KINDS)
def test_objects_stand_on_something(kind):
    world = make_world(77, kind)
    hung = {CLASSES.index(name) for name in ("window", "mirror", "door")}
    for o in world.objects:
        if CLASSES.index(o.class_name) in hung:
            continue
        bottom = o.center[2] - 0.5 * o.size_m[2]
        if o.on == 0:
            assert bottom == pytest.approx(0.0, abs=0.03), o
        else:
            base = world.objects[o.on - 1]
            assert base.instance == o.on
            assert bottom == pytest.approx(base.center[2] + 0.5 * base.size_m[2], abs=0.04), (o, base)


SIZES = {  # height in metres, generously
    "person": (1.45, 2.05), "door": (1.9, 4.0), "table": (0.35, 0.85), "chair": (0.4, 1.15),
    "barrel": (0.55, 1.0),
    "cone": (0.4, 1.0), "cup": (0.03, 0.15), "pallet": (0.14, 0.15), "vehicle": (0.8, 2.7),
    "sofa": (0.65, 1.1),
}  # fmt: skip


def test_sizes_are_real():
    seen = set()
    for seed in range(24):
        for o in make_world(seed).objects:
            if o.class_name in SIZES:
                low, high = SIZES[o.class_name]
                assert low <= o.size_m[2] <= high, o
                seen.add(o.class_name)
    assert seen == set(SIZES)


def test_every_class_comes_into_view():
    seen: set[int] = set()
    for seed in range(120):
        world = make_world(seed)
        view = render(world, sample_camera(world, np.random.default_rng(seed), 64, 48), seed, effects=False)
        seen |= set(np.unique(view.labels).tolist())
    assert {CLASSES[n] for n in seen} == set(CLASSES)


def test_the_cameras_of_driving_robots_are_low_and_look_anywhere(monkeypatch):
    monkeypatch.setattr(viewpoints, "AHEAD", 1.0)
    world, rng = make_world(0), np.random.default_rng(0)
    poses = [sample_camera(world, rng, 24, 18).pose for _ in range(60)]
    heights = [pose[2, 3] for pose in poses]
    assert 0.2 <= min(heights) < 0.4 and 1.3 < max(heights) <= 1.5 and 0.6 < np.median(heights) < 1.1
    assert {(bool(pose[0, 2] > 0), bool(pose[1, 2] > 0)) for pose in poses} == set(
        product((True, False), repeat=2)
    )


def test_cameras_stay_in_their_ranges_and_see_something():
    blind = 0
    for seed in range(40):
        world = make_world(seed)
        camera = sample_camera(world, np.random.default_rng(seed), 48, 36)
        pose = camera.pose
        assert 0.1 <= pose[2, 3] <= 2.5
        assert -20.01 <= degrees(asin(-pose[2, 2])) <= 60.01
        assert 34.9 <= degrees(2 * atan(0.5 * camera.width / camera.fx)) <= 110.1
        level = np.array([pose[1, 2], -pose[0, 2], 0.0]) / np.hypot(pose[0, 2], pose[1, 2])
        assert abs(degrees(np.arccos(np.clip(level @ pose[:3, 0], -1, 1)))) <= 10.1
        view = render(world, camera, 0, effects=False)
        assert view.depth_m.min() > 0.1
        blind += bool(np.isinf(view.depth_m).mean() > 0.75 or np.median(view.depth_m) < 0.5)
    assert blind <= 1


def test_visible_objects_have_enough_pixels():
    world = make_world(4, "room")
    view = render(world, sample_camera(world, np.random.default_rng(1), 128, 96), 1)
    counts = {o.instance: int((view.instances == o.instance).sum()) for o in world.objects}
    assert view.visible(0.01) == [o for o in world.objects if counts[o.instance] >= 0.01 * 128 * 96]
