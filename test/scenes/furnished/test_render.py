# SPDX-License-Identifier: Apache-2.0
"""The truth of furnished views against boxes worked by hand, and OpenGL against Embree."""

from math import radians

import numpy as np
import pytest

pytest.importorskip("embreex")

from pathlib import Path

from furnished_support import MODELS, write_catalogue

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import CLASSES, Camera, World, make_world, render, sample_camera
from vision_banana_ros.scenes import kernel as k
from vision_banana_ros.scenes.cameras import look_from, pinhole
from vision_banana_ros.scenes.furnished import Library, make_furnished_world
from vision_banana_ros.scenes.furnished.embree import EmbreeCaster
from vision_banana_ros.scenes.furnished.library import build
from vision_banana_ros.scenes.furnished.models import smooth
from vision_banana_ros.scenes.furnished.pieces import Finish, Flats, assemble, piece_of
from vision_banana_ros.scenes.solids import Placed

WHITE = Finish("paint", (255, 255, 255))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("furnished_render")
    build([write_catalogue(place / "boxes.sh3f")], place / "cache")
    return place / "cache"


@pytest.fixture(scope="module")
def library(folder: Path) -> Library:
    return Library(folder)


def world_of(library: Library, *things: tuple[str, float, float, float, float], size: float = 400.0) -> World:
    """Models by name at x, y, z, yaw over a level ground, under one lamp."""
    placed = []
    for noun, x, y, z, yaw in things:
        item = next(i for i in library.items if i.noun == noun)
        placed.append(Placed(piece_of(library, item), x, y, z, yaw, -1))
    flats = Flats()
    half = np.array([-0.5 * size, -0.5 * size, 0.0])
    flats.add("ground", WHITE, half, np.array([size, 0.0, 0.0]), np.array([0.0, size, 0.0]))
    objects, soup = assemble(library, placed, flats)
    air = np.full(k.AIR_ENTRIES, 0.5)
    air[k.FOG] = 0.0
    lights = np.array([[k.LAMP, 0.0, 0.0, 6.0, 30.0, 30.0, 30.0, 0.05]])
    return World(
        0, "room", objects, prims=np.zeros((0, k.PRIM_COLUMNS)), groups=np.zeros((0, k.GROUP_COLUMNS)),
        lights=lights, air=air,
        free=np.zeros((0, 3)), surfaces={}, caster=EmbreeCaster(soup, lights, air),
    )  # fmt: skip


def ahead(height: float = 0.5, width: int = 65, rows: int = 49, fov: float = 70.0) -> Camera:
    """A level camera that looks along +x."""
    return pinhole(width, rows, radians(fov), look_from(0, 0, height, 0, 0, 0))


def test_ground_has_its_depth_along_z_and_its_normal(library: Library) -> None:
    camera = ahead(1.2)
    view = render(world_of(library), camera, 0)
    rows = np.arange(camera.height)
    below = rows > camera.cy + 1
    depth = 1.2 * camera.fy / (rows[below] - camera.cy)
    assert view.depth_m[below] == pytest.approx(np.repeat(depth[:, None], camera.width, 1), rel=1e-6)
    assert view.normals[below] == pytest.approx(
        np.broadcast_to([0.0, 1.0, 0.0], view.normals[below].shape), abs=1e-6
    )
    assert (
        np.isposinf(view.depth_m[rows < camera.cy]).all() and np.isnan(view.normals[rows < camera.cy]).all()
    )
    assert (view.labels[rows < camera.cy] == CLASSES.index("sky")).all()


@pytest.mark.parametrize("yaw", (0.0, 0.5, -1.1))
def test_box_against_the_slab_method(library: Library, yaw: float) -> None:
    """The box of 60 x 50 x 40 cm, turned, met where intersecting its slabs says."""
    camera = ahead(0.35)
    view = render(world_of(library, ("box", 2.0, 0.2, 0.0, yaw)), camera, 0)
    rows, columns = np.mgrid[: camera.height, : camera.width]
    dirs = np.stack(
        [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.shape)], -1
    )
    dirs = dirs @ camera.pose[:3, :3].T
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    origin = turn @ (np.array([0, 0, 0.35]) - (2.0, 0.2, 0.2))
    local = dirs @ turn.T
    with np.errstate(divide="ignore"):
        a, b = (np.array([-0.3, -0.25, -0.2]) - origin) / local, (np.array([0.3, 0.25, 0.2]) - origin) / local
    enter, leave = np.minimum(a, b), np.maximum(a, b)
    hit = (enter.max(-1) < leave.min(-1)) & (leave.min(-1) > 0)
    # edges may go either way
    inside = hit & np.roll(hit, 1, 0) & np.roll(hit, -1, 0) & np.roll(hit, 1, 1) & np.roll(hit, -1, 1)
    assert inside.sum() > 60 and (view.instances[inside] == 1).all()
    assert abs(int((view.instances == 1).sum()) - int(hit.sum())) <= 3
    assert view.depth_m[inside] == pytest.approx(enter.max(-1)[inside], rel=1e-5)
    axis = enter.argmax(-1)
    normal = -np.sign(np.take_along_axis(local, axis[..., None], -1)) * np.eye(3)[axis]
    optical = (normal @ turn) @ camera.pose[:3, :3]
    assert view.normals[inside] == pytest.approx((optical * (1, -1, -1))[inside], abs=1e-4)
    assert (view.labels[inside] == CLASSES.index("box")).all()


def test_cylinder_has_round_normals_and_sharp_rims(library: Library) -> None:
    camera = pinhole(81, 61, radians(20), look_from(0, 0, 0.15, 0, 0, 0))
    view = render(world_of(library, ("vase", 1.0, 0.0, 0.0, 0.0)), camera, 0)
    rows, columns = np.nonzero(view.instances)
    normals = view.normals[rows, columns]
    z = view.depth_m[rows, columns]
    x = (columns - camera.cx) / camera.fx * z
    assert normals[:, 1] == pytest.approx(0.0, abs=0.02)  # the side of an upright thing, seen level
    # of 24 facets each is 15 degrees wide: facets' own normals would be off by up to 7.5 degrees, sin 0.13
    inner = abs(x) < 0.09
    assert normals[inner, 0] == pytest.approx(x[inner] / 0.1, abs=0.04)
    cube = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], float)
    faces = np.array([[0, 1, 3], [0, 3, 2], [0, 4, 5], [0, 5, 1]])
    assert np.sort(abs(smooth(cube, faces)).reshape(-1, 3), axis=1) == pytest.approx(
        np.tile([0, 0, 1], (12, 1))
    )


def test_glass_counts_with_its_own_surface_and_shows_what_is_behind(library: Library) -> None:
    camera = ahead(1.5)
    clear = render(world_of(library, ("chair", 3.0, 0.0, 1.0, 0.0)), camera, 0, effects=False)
    view = render(
        world_of(library, ("window", 2.0, 0.0, 0.9, np.pi / 2), ("chair", 3.0, 0.0, 1.0, 0.0)),
        camera,
        0,
        effects=False,
    )
    middle = camera.height // 2, camera.width // 2
    assert view.depth_m[middle] == pytest.approx(1.9, abs=1e-5)
    assert view.labels[middle] == CLASSES.index("window") and clear.labels[middle] == CLASSES.index("chair")
    red, green, _ = (int(v) for v in view.image[middle])
    assert red > 1.2 * green  # the red chair shines through


def test_holes_in_a_texture_are_holes_in_the_truth(library: Library) -> None:
    camera = ahead(0.4, 129, 97, 30.0)
    view = render(world_of(library, ("plant", 2.0, 0.0, 0.0, 0.0)), camera, 0)
    part = view.instances[40:57, 60:69]
    assert {0, 1} == set(np.unique(view.instances)) and 0.1 < (part == 1).mean() <= 1.0
    assert view.depth_m[view.instances == 1].max() < 2.3
    leaves = (view.instances[48] == 1).mean()
    box = render(world_of(library, ("chair", 2.0, 0.0, 0.0, 0.0)), camera, 0)
    assert 0 < leaves < (box.instances[48] == 1).mean()


def test_shadows_fall_away_from_the_lamp_and_corners_are_darker(library: Library) -> None:
    camera = pinhole(160, 120, radians(80), look_from(-1.5, 0, 3.0, 0, radians(45), 0))
    lit = render(world_of(library), camera, 0, effects=False).image.astype(int).sum(-1)
    view = render(world_of(library, ("box", 0.0, 0.0, 1.0, 0.0)), camera, 0, effects=False)
    ground = view.instances == 0
    darker = ground & (view.image.astype(int).sum(-1) < 0.8 * lit)
    rows, columns = np.nonzero(darker)
    assert len(rows) > 30
    z = view.depth_m[rows, columns]
    x = -1.5 + ((rows - camera.cy) / camera.fy * -np.sin(radians(45)) + np.cos(radians(45))) * z
    y = -(columns - camera.cx) / camera.fx * z
    # the box, 60 x 50 cm at 1.0 to 1.4 m under a lamp at 6 m: its shadow is at most 6 / 4.6 of it
    assert np.percentile(abs(x), 90) < 0.5 and np.percentile(abs(y), 90) < 0.5


def test_doors_are_through_walls_and_rooms_are_closed(folder: Path) -> None:
    for seed in range(3):
        world = make_furnished_world(seed, kind="office", folder=folder)
        for _ in range(2):
            view = render(world, sample_camera(world, np.random.default_rng(seed), 96, 72), 0)
            through = (view.labels == CLASSES.index("sky")) | (view.labels == CLASSES.index("ground"))
            assert not through.any()  # every hole is filled by a window or door
            assert np.isfinite(view.depth_m).all() and (view.depth_m > 0).all()
            assert np.linalg.norm(view.normals, axis=-1) == pytest.approx(1.0, abs=1e-5)
            rows, columns = np.mgrid[:72, :96]
            c = view.camera
            ray = np.stack([(columns - c.cx) / c.fx, -(rows - c.cy) / c.fy, -np.ones(rows.shape)], -1)
            assert ((view.normals * ray).sum(-1) < 1e-6).all()  # all face the camera


def test_a_table_of_another_catalogue_has_another_size(tmp_path: Path) -> None:
    name, category, _, elevation, count, material = MODELS[0]
    build(
        [write_catalogue(tmp_path / "t.sh3f", ((name, category, (90, 60, 50), elevation, count, material),))],
        tmp_path / "c",
    )
    view = render(world_of(Library(tmp_path / "c"), ("table", 1.45, 0.0, 0.0, np.pi / 2)), ahead(0.25), 0)
    assert view.depth_m[view.depth_m.shape[0] // 2, view.depth_m.shape[1] // 2] == pytest.approx(
        1.45 - 0.30, abs=1e-6
    )


def test_procedural_worlds_still_render_the_same_way() -> None:
    world = make_world(3)
    assert world.caster is None and world.models == ()


def test_opengl_agrees_with_embree(folder: Path) -> None:
    pytest.importorskip("moderngl")
    from vision_banana_ros.scenes.furnished.gl import machine

    try:
        machine()
    except InputError as error:
        pytest.skip(str(error))
    for seed, kind in ((0, "living room"), (1, "yard")):
        world = make_furnished_world(seed, kind=kind, folder=folder)
        camera = sample_camera(world, np.random.default_rng(seed), 160, 120)
        a, b = (render(world, camera, 0, effects=False, device=device) for device in ("cpu", "cuda"))  # type: ignore[arg-type]
        both = np.isfinite(a.depth_m) & np.isfinite(b.depth_m)
        assert (np.isfinite(a.depth_m) == np.isfinite(b.depth_m)).mean() > 0.995
        same = both & (
            abs(np.where(both, a.depth_m, 1) - np.where(both, b.depth_m, 1))
            < 1e-3 * np.where(both, a.depth_m, 1)
        )
        assert same.sum() > 0.99 * both.sum()
        angle = np.degrees(np.arccos(np.clip((a.normals * b.normals).sum(-1)[same], -1, 1)))
        assert np.mean(angle < 0.5) > 0.99
        assert (a.labels == b.labels).mean() > 0.99 and (a.instances == b.instances).mean() > 0.99
        # the light is made in other ways, but it is the same light
        assert np.corrcoef(a.image.mean(-1).ravel(), b.image.mean(-1).ravel())[0, 1] > 0.75
