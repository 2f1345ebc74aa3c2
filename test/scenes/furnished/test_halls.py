# SPDX-License-Identifier: Apache-2.0
"""Halls, and the things made for them: true sizes, places, classes, words, and light."""

from inspect import signature
from random import Random

import numpy as np
import pytest

pytest.importorskip("embreex")

from furnished_support import write_catalogue

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import CLASSES, kernel, render, sample_camera
from vision_banana_ros.scenes.cameras import look_from, pinhole
from vision_banana_ros.scenes.furnished import made, make_furnished_world
from vision_banana_ros.scenes.furnished.embree import EmbreeCaster
from vision_banana_ros.scenes.furnished.halls import HALLS, hall_of
from vision_banana_ros.scenes.furnished.home import MOST_LIGHTS
from vision_banana_ros.scenes.furnished.library import Library, build
from vision_banana_ros.scenes.furnished.meshes import Paint, Shape
from vision_banana_ros.scenes.furnished.models import TEXTURE
from vision_banana_ros.scenes.furnished.pieces import Finish, Flats, Made, Piece, assemble
from vision_banana_ros.scenes.solids import Placed
from vision_banana_ros.scenes.worlds import extent, overlap

MAKERS = [f for f in vars(made).values() if getattr(f, "__annotations__", {}).get("return") is Piece]
EXTRA = {"height": 3.0, "w": 1.4, "h": 1.2}
CLASS_OF = {
    "box": "box", "pallet": "pallet", "barrel": "barrel", "cone": "cone", "ball": "ball", "cable": "cable",
    "stairs": "stairs",
    "rack": "shelf", "table": "table", "chair": "chair", "sofa": "sofa", "plant": "plant", "person": "person",
    "cup": "cup",
    "mirror": "mirror", "pane": "glass", "door": "door", "window": "window",
}  # fmt: skip


def made_by(maker, seed: int) -> Piece:  # type: ignore[no-untyped-def]
    extra = [
        EXTRA[name]
        for name, p in signature(maker).parameters.items()
        if name in EXTRA and p.default is p.empty
    ]
    return maker(Random(seed), *extra)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    place = tmp_path_factory.mktemp("halls")
    build([write_catalogue(place / "boxes.sh3f")], place / "cache")
    return Library(place / "cache")


@pytest.mark.parametrize("maker", MAKERS, ids=lambda f: f.__name__)
def test_made_things_have_their_size_and_stand_on_the_floor(maker) -> None:  # type: ignore[no-untyped-def]
    sizes = set()
    for seed in range(8):
        piece = made_by(maker, seed)
        assert isinstance(piece.model, Made) and piece.item is not None
        points = piece.model.points
        assert points[:, 2].min() == pytest.approx(0.0, abs=1e-6)
        assert np.ptp(points, axis=0) == pytest.approx(piece.item.size_m, abs=1e-5)
        assert points[:, :2].max(0) == pytest.approx(-points[:, :2].min(0), abs=1e-5)
        assert 0.001 < max(piece.item.size_m) < 12 and len(piece.model.faces) < 12000
        rows = piece.model.materials[:, TEXTURE]
        assert rows.max() < len(piece.model.pictures) and piece.model.material.max() < len(rows)
        for x0, y0, x1, y1, z, _ in piece.model.supports:
            assert x0 < x1 and y0 < y1 and z <= points[:, 2].max() + 1e-5
        if maker.__name__ in CLASS_OF:
            assert piece.item.label == CLASSES.index(CLASS_OF[maker.__name__])
        sizes.add(piece.item.size_m)
    assert len(sizes) > 1 or maker.__name__ in ("paper", "socket")


def test_makers_were_found() -> None:
    assert len(MAKERS) > 35 and set(CLASS_OF) <= {f.__name__ for f in MAKERS}


def test_a_box_shows_its_faces_outwards_and_its_paint(library: Library) -> None:
    red, blue = Paint((255, 0, 0)), Paint((0, 0, 255))
    piece = Shape().box((0, 0, 0.5), (1, 2, 1), red, top=blue).piece("box", look=red)
    assert piece.item is not None and (piece.item.color, piece.item.size_m) == ("red", (1.0, 2.0, 1.0))
    model = piece.model
    assert model is not None
    corners = model.points[model.faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((outward * (corners.mean(1) - (0, 0, 0.5))).sum(1) > 0).all()
    top = corners[:, :, 2].min(1) > 0.99
    assert (
        top.sum() == 2
        and len(set(model.material[top])) == 1
        and set(model.material[~top]) != set(model.material[top])
    )


def test_pictures_are_shared_between_things(library: Library) -> None:
    paint = Paint(picture="wood", number=3)
    pieces = [Shape().box((0, 0, 0.5), (1, 1, 1), paint).piece("box") for _ in range(3)]
    flats = Flats()
    flats.add(
        "floor", Finish("wood", (255, 255, 255)), np.zeros(3), np.array([4.0, 0, 0]), np.array([0, 4.0, 0])
    )
    _, soup = assemble(library, [Placed(p, 2.0 * k, 0.0, 0.0, 0.0, -1) for k, p in enumerate(pieces)], flats)
    assert len(soup.textures) == 1
    assert {int(soup.materials[m, TEXTURE]) for m in soup.material} == {0, -1}


@pytest.mark.parametrize("kind", HALLS)
def test_things_keep_apart_and_inside(library: Library, kind: str) -> None:
    for seed in range(3):
        home = hall_of(Random(seed), library, "train", kind)
        for i, a in enumerate(home.taken):
            assert not any(overlap(a, b) for b in home.taken[:i]), (kind, seed)
        for p in home.placed:
            inside = abs(p.x) <= 0.5 * home.width + 0.2 and abs(p.y) <= 0.5 * home.depth + 0.2
            assert not inside or p.z >= -1e-6 and p.z + extent(p.thing)[2] < home.height + 0.05, (
                kind,
                seed,
                p.thing.name,
            )
            outside = abs(p.x) > 0.5 * home.width + 0.5 or abs(p.y) > 0.5 * home.depth + 0.5
            assert inside or outside and p.thing.class_name in ("plant", "vehicle")
        assert home.width * home.depth > 8 and home.flats.classes.count("floor") == 1


@pytest.mark.parametrize("kind", HALLS)
def test_halls_are_seen_lit_and_named(library: Library, kind: str) -> None:
    far = 0.0
    for seed in range(4):
        world = make_furnished_world(seed, kind=kind, folder=library.folder)
        assert len(world.lights) <= MOST_LIGHTS and (world.lights[:, 7] > 0).all()
        assert (world.lights[:, 0] == kernel.SUN).sum() <= 1
        view = render(world, sample_camera(world, np.random.default_rng(seed), 64, 48), seed)
        assert np.isfinite(view.depth_m).mean() > 0.5 and view.image.std() > 4
        far = max(far, float(view.depth_m[np.isfinite(view.depth_m)].max()))
        assert not any(m.startswith("made") for m in world.models)
        assert {o.class_name for o in world.objects} & {
            "chair",
            "table",
            "box",
            "shelf",
            "sofa",
            "door",
            "plant",
        }
    assert far > 5.0


def test_the_first_edition_knows_no_halls(library: Library) -> None:
    with pytest.raises(InputError, match="no kind"):
        make_furnished_world(1, kind="hall", folder=library.folder, edition=1)


def test_a_mirror_shows_what_stands_before_it_and_counts_with_its_own_surface(library: Library) -> None:
    """A red wall behind the camera is seen in the mirror ahead, whose depth and class are its own."""
    mirror = made.mirror(Random(1))
    flats = Flats()
    tall, wide = np.array([0.0, 0.0, 4.0]), np.array([8.0, 0.0, 0.0])
    flats.add("wall", Finish("paint", (220, 20, 20)), np.array([-4.0, -3.0, -1.0]), wide, tall)
    flats.add("wall", Finish("paint", (200, 200, 200)), np.array([-4.0, 2.2, -1.0]), wide, tall)
    objects, soup = assemble(library, [Placed(mirror, 0.0, 2.0, 0.0, 0.0, -1)], flats)
    air = np.zeros(kernel.AIR_ENTRIES)
    air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = 0.5
    caster = EmbreeCaster(soup, np.zeros((0, kernel.LIGHT_COLUMNS)), air)
    h = mirror.item.size_m[2]  # type: ignore[union-attr]
    camera = pinhole(40, 30, 0.1, look_from(0.0, 0.0, 0.5 * h, 0.5 * np.pi, 0.0, 0.0))
    rgb, depth_m, normals, labels, instances = caster.cast(camera)
    assert (labels == CLASSES.index("mirror")).all() and (instances == 1).all() and len(objects) == 1
    assert depth_m == pytest.approx(np.full((30, 40), 1.983), abs=0.02)
    assert normals[15, 20] == pytest.approx((0, 0, 1), abs=1e-3)
    r, g, _ = rgb[15, 20]
    assert r > 4 * g and r > 0.1


def test_cameras_turn_to_rare_things_and_come_close(library: Library) -> None:
    worlds = [make_furnished_world(seed, kind="laboratory", folder=library.folder) for seed in range(4)]
    seen = {1: 0, 2: 0}
    for edition in seen:
        for k, world in enumerate(worlds):
            rare = [
                o.instance
                for o in world.objects
                if o.class_name in ("cup", "cable", "ball", "cone", "mirror", "glass")
            ]
            for seed in range(12):
                camera = sample_camera(world, np.random.default_rng(100 * k + seed), 48, 36, edition)
                _, _, _, _, instances = world.caster.cast(camera)  # type: ignore[union-attr]
                seen[edition] += bool(np.isin(instances, rare).mean() > 0.005)
                assert camera.pose[2, 3] >= 0.1
    assert seen[2] > 1.3 * seen[1]
