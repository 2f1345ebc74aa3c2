# SPDX-License-Identifier: Apache-2.0
"""Streets: repeatable, to scale, their truth in agreement with itself, and usable by words, training and
command line."""

from math import hypot, radians
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex")

from vision_banana_ros.cli.main import main
from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import CLASSES, View, caption, expressions, kernel, render
from vision_banana_ros.scenes.cameras import look_from, pinhole
from vision_banana_ros.scenes.street import KINDS, StreetWorld, make_street_world, sample_street_camera
from vision_banana_ros.scenes.street.caster import StreetCaster
from vision_banana_ros.scenes.street.meshes import Paint, Shape, Thing, soup_of
from vision_banana_ros.scenes.street.shading import STREET_AIR
from vision_banana_ros.scenes.street.vehicles import BUILDS, car
from vision_banana_ros.training.data.sources import SOURCES

SEED = {kind: 40 + k for k, kind in enumerate(KINDS)}


@pytest.fixture(scope="module")
def worlds() -> dict[str, StreetWorld]:
    return {kind: make_street_world(seed, kind) for kind, seed in SEED.items()}


def views_of(world: StreetWorld, count: int = 3, width: int = 96, height: int = 72) -> list[View]:
    rng = np.random.default_rng(world.seed)
    return [render(world, sample_street_camera(world, rng, width, height), rng) for _ in range(count)]


def scene(*things: Thing) -> StreetWorld:
    """Things on level asphalt, without sun."""
    ground = Shape()
    ground.flat(
        np.array([(-200, -200, 0), (200, -200, 0), (200, 200, 0), (-200, 200, 0)]),
        ground.paint(Paint((120, 120, 120), "asphalt")),
        4.0,
    )
    objects, soup = soup_of([*things, Thing(ground.mesh(round_=False), "ground", "ground", counts=False)])
    air = np.full(STREET_AIR, 0.5)
    air[kernel.FOG] = 0.0
    lights = np.zeros((0, kernel.LIGHT_COLUMNS))
    none = np.zeros((0, kernel.PRIM_COLUMNS)), np.zeros((0, kernel.GROUP_COLUMNS))
    caster = StreetCaster(soup, lights, air)
    return StreetWorld(
        0, "city street", objects, *none, lights, air, np.zeros((0, 3)), {"ground": "asphalt"}, caster
    )


def test_same_seed_same_picture_and_truth() -> None:
    def draw() -> View:
        world = make_street_world(3)
        return render(world, sample_street_camera(world, np.random.default_rng(1), 64, 48), 9)

    a, b = draw(), draw()
    assert (
        (a.image == b.image).all()
        and np.array_equal(a.depth_m, b.depth_m)
        and np.array_equal(a.instances, b.instances)
    )
    assert a.world.objects == b.world.objects and a.world.kind in KINDS
    assert {make_street_world(seed).kind for seed in range(12)} > {a.world.kind}


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="city street, residential street"):
        make_street_world(0, "canal")


def test_ground_has_its_depth_and_normal() -> None:
    camera = pinhole(65, 49, radians(60), look_from(0, 0, 1.4, 0.3, 0, 0))
    view = render(scene(), camera, 0)
    rows = np.arange(camera.height)
    below = rows > camera.cy + 2
    depth = 1.4 * camera.fy / (rows[below] - camera.cy)
    assert view.depth_m[below] == pytest.approx(np.repeat(depth[:, None], camera.width, 1), rel=1e-5)
    assert view.normals[below] == pytest.approx(
        np.broadcast_to([0.0, 1.0, 0.0], view.normals[below].shape), abs=1e-5
    )
    assert np.isposinf(view.depth_m[rows < camera.cy]).all()
    assert (view.labels[rows < camera.cy] == CLASSES.index("sky")).all() and (
        view.labels[below] == CLASSES.index("ground")
    ).all()


@pytest.mark.parametrize("kind", BUILDS)
def test_a_car_stands_where_it_was_put_and_is_as_long_as_its_kind(kind: str) -> None:
    mesh = car(kind, 0)
    low, high = BUILDS[kind].length
    assert low <= mesh.size[1] <= high + 0.05 and mesh.corners[..., 2].min() > -0.02
    # its front (-y) looks along +x: we see its tail
    world = scene(Thing(mesh, "vehicle", "car", 8.0, 0.0, 0.0, np.pi / 2))
    view = render(world, pinhole(97, 73, radians(60), look_from(0, 0, 1.0, 0, 0, 0)), 0)
    seen = view.instances == 1
    assert seen.sum() > 100 and (view.labels[seen] == CLASSES.index("vehicle")).all()
    assert view.depth_m[seen].min() == pytest.approx(8.0 - 0.5 * mesh.size[1], abs=0.1)
    row = np.flatnonzero(seen.any(1))[int(0.7 * seen.any(1).sum())]  # below the windows
    wide = np.ptp(np.flatnonzero(seen[row])) + 1
    assert wide * view.depth_m[seen].min() / view.camera.fx == pytest.approx(
        np.mean(BUILDS[kind].width), rel=0.2
    )


@pytest.mark.parametrize("kind", KINDS)
def test_views_show_a_street_and_speak_of_it(worlds: dict[str, StreetWorld], kind: str) -> None:
    world = worlds[kind]
    numbers = [o.instance for o in world.objects]
    assert numbers == list(range(1, len(numbers) + 1))
    rng = np.random.default_rng(5)
    views = views_of(world)
    for view in views:
        sky = view.labels == CLASSES.index("sky")
        assert np.array_equal(sky, np.isposinf(view.depth_m)) and (view.depth_m > 0.1).all()
        assert np.array_equal(np.isnan(view.normals).any(-1), sky)
        facing = view.normals[~sky]
        assert np.linalg.norm(facing, axis=-1) == pytest.approx(1.0, abs=1e-4)
        assert (view.labels[view.instances == 0] != CLASSES.index("vehicle")).all()
        for o in world.objects:
            if o.class_name in CLASSES and (part := view.instances == o.instance).any():
                assert (view.labels[part] == CLASSES.index(o.class_name)).all()
        assert caption(view, rng)
        for said in expressions(view, rng, 3):
            assert said.mask.any() == said.fits
    assert any((view.labels == CLASSES.index("ground")).mean() > 0.1 for view in views)


def test_no_camera_stands_in_a_thing_and_heights_are_those_of_cars_robots_and_people(
    worlds: dict[str, StreetWorld],
) -> None:
    world = worlds["city street"]
    rng = np.random.default_rng(0)
    cars = [o for o in world.objects if o.name in ("car", "van", "truck", "bus")]
    for _ in range(20):
        camera = sample_street_camera(world, rng, 64, 48)
        x, y, z = camera.pose[:3, 3]
        assert 0.2 <= z <= 3.2  # this street is level, its pavements 0.1 m above the road
        assert all(hypot(x - o.center[0], y - o.center[1]) > 0.9 for o in cars)


def test_vehicles_do_not_stand_in_one_another(worlds: dict[str, StreetWorld]) -> None:
    for world in worlds.values():
        places = np.array([o.center[:2] for o in world.objects if o.name in ("car", "van")])
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(len(places))
        assert (apart.min(1) < 1.2).mean() < 0.03  # crossing roads are filled each for itself


def test_training_can_draw_streets(worlds: dict[str, StreetWorld]) -> None:
    source, world = SOURCES["street"](), worlds["avenue"]
    rng = np.random.default_rng(0)
    views = [source.render(world, source.sample_camera(world, rng, 64, 48), seed) for seed in range(2)]
    assert views[0].image.shape == (48, 64, 3) and not np.array_equal(views[0].image, views[1].image)


def test_a_wide_picture_as_of_a_car(worlds: dict[str, StreetWorld]) -> None:
    rng = np.random.default_rng(0)
    heights = [sample_street_camera(worlds["avenue"], rng, 170, 50).pose[2, 3] for _ in range(12)]
    assert sum(height > 1.15 for height in heights) > 8  # the avenue is level
    view = views_of(worlds["avenue"], 1, 170, 50)[0]
    assert view.image.shape == (50, 170, 3) and view.camera.fx == view.camera.fy


def test_command_shows_a_street(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "street.png"
    assert main(["scenes", "show", "7", "--street", "--size", "96", "72", "--out", str(out)]) == 0
    assert out.is_file() and str(out) in capsys.readouterr().out
