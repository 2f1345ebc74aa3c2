# SPDX-License-Identifier: Apache-2.0
"""Furnished scenes, of a catalogue of boxes made on the spot: sizes, placing, splits, expressions, and
refusals."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex")

from furnished_support import MTL, box_obj, write_catalogue

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import CLASSES, World, caption, expressions, render, sample_camera
from vision_banana_ros.scenes.furnished import KINDS, Library, make_furnished_world
from vision_banana_ros.scenes.furnished.catalogue import held_out, properties
from vision_banana_ros.scenes.furnished.library import build
from vision_banana_ros.scenes.furnished.models import color_names
from vision_banana_ros.scenes.furnished.obj import parse_obj
from vision_banana_ros.scenes.worlds import overlap

SEEDS = range(12)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the catalogue converted."""
    place = tmp_path_factory.mktemp("furnished")
    build([write_catalogue(place / "boxes.sh3f")], place / "cache")
    return place / "cache"


@pytest.fixture(scope="session")
def library(folder: Path) -> Library:
    return Library(folder)


@pytest.fixture(scope="session")
def worlds(folder: Path) -> list[World]:
    return [make_furnished_world(seed, folder=folder) for seed in SEEDS]


def test_sizes_are_the_catalogues_in_metres(library: Library) -> None:
    table = next(i for i in library.items if i.noun == "table")
    assert table.size_m == pytest.approx((1.40, 0.80, 0.74))
    points = library.model(table).points  # the file's own box is 3 x 7 x 5 and stands elsewhere
    assert points.min(0) == pytest.approx([-0.70, -0.40, 0.0], abs=1e-6)
    assert points.max(0) == pytest.approx([0.70, 0.40, 0.74], abs=1e-6)


def test_index_tells_class_colour_maker_and_licence(library: Library) -> None:
    fridge = next(i for i in library.items if i.noun == "fridge")
    assert (fridge.color, fridge.class_name, fridge.label) == ("red", "fridge", 255)
    chair = next(i for i in library.items if i.noun == "chair")
    assert (chair.label, chair.creator, chair.licence) == (
        CLASSES.index("chair"),
        "Jürgen Living room",
        "CC0",
    )
    assert "Jürgen Kitchen" in library.credits() and "CC0" in library.credits()
    assert library.credits([chair]).endswith(": Jürgen Living room")


def test_a_black_colour_does_not_blacken_a_picture(library: Library) -> None:
    table = library.model(next(i for i in library.items if i.noun == "table"))
    row = table.materials[table.material[0]]
    assert row[:3] == pytest.approx(1.0) and row[7] >= 0


def test_top_of_a_table_is_a_place_to_stand(library: Library) -> None:
    table = library.model(next(i for i in library.items if i.noun == "table"))
    x0, y0, x1, y1, z, clearance = table.supports[0]
    assert (x0, y0, x1, y1) == pytest.approx((-0.7, -0.4, 0.7, 0.4), abs=1e-5)
    assert z == pytest.approx(0.74) and clearance > 1


def test_splits_share_no_model_and_one_in_seven_is_held_out(library: Library, folder: Path) -> None:
    held = {i.id for i in library.items if i.held_out}
    used: dict[str, set[str]] = {"train": set(), "test": set()}
    for split in ("train", "test"):
        for seed in range(8):
            used[split] |= set(make_furnished_world(seed, split, folder=folder).models)
    assert used["test"] and used["test"] <= held
    assert used["train"] and not used["train"] & held
    assert np.mean([held_out(f"any#{k}") for k in range(4000)]) == pytest.approx(0.15, abs=0.02)


def test_same_seed_same_view(folder: Path) -> None:
    one, two = (make_furnished_world(5, folder=folder) for _ in range(2))
    assert one.objects == two.objects
    a, b = (render(w, sample_camera(w, np.random.default_rng(1), 64, 48), 3) for w in (one, two))
    for name in ("image", "depth_m", "normals", "labels", "instances"):
        assert np.array_equal(
            getattr(a, name), getattr(b, name), equal_nan=name not in ("image", "labels", "instances")
        )
    assert [o.center for o in make_furnished_world(6, folder=folder).objects] != [
        o.center for o in one.objects
    ]


def test_a_world_can_go_to_another_process(worlds: list[World]) -> None:
    camera = sample_camera(worlds[0], np.random.default_rng(0), 32, 24)
    again = pickle.loads(pickle.dumps(worlds[0]))
    assert np.array_equal(render(again, camera, 0).depth_m, render(worlds[0], camera, 0).depth_m)


def test_every_kind_has_its_name_and_unknown_ones_are_refused(folder: Path) -> None:
    for kind in KINDS:
        world = make_furnished_world(1, kind=kind, folder=folder)
        assert world.kind == kind
        assert caption(
            render(world, sample_camera(world, np.random.default_rng(0), 64, 48), 0), np.random.default_rng(0)
        )
    with pytest.raises(InputError, match="castle"):
        make_furnished_world(1, kind="castle", folder=folder)
    with pytest.raises(InputError, match="'train' or 'test'"):
        make_furnished_world(1, "valid", folder=folder)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def boxes(folder: Path) -> list[World]:
    """Worlds of the catalogue's boxes alone."""
    return [make_furnished_world(seed, folder=folder, edition=1) for seed in SEEDS]


def test_things_stand_on_the_floor_or_on_one_another(boxes: list[World]) -> None:
    loaded = 0
    for world in boxes:
        for o in world.objects:
            low = o.center[2] - 0.5 * o.size_m[2]
            if o.on:
                base = world.objects[o.on - 1]
                assert low == pytest.approx(base.center[2] + 0.5 * base.size_m[2], abs=1e-5)
                loaded += 1
            elif o.name not in ("window", "door"):
                assert low == pytest.approx(0.0, abs=1e-6), o.name
    assert loaded > 10


def test_nothing_interpenetrates(boxes: list[World]) -> None:
    for world in boxes:
        corners, owner = world.caster.soup.corners, world.caster.soup.owner  # type: ignore[union-attr]
        uprights = []
        for k, o in enumerate(world.objects):
            points = corners[owner == k].reshape(-1, 3)
            yaw = _yaw(points[:, :2])
            uprights.append(
                (
                    o.center[0],
                    o.center[1],
                    0.49 * o.size_m[0],
                    0.49 * o.size_m[1],
                    yaw,
                    points[:, 2].min(),
                    points[:, 2].max(),
                )
            )
        for i, a in enumerate(uprights):
            for b in uprights[:i]:
                apart = a[6] <= b[5] + 1e-4 or b[6] <= a[5] + 1e-4
                assert apart or not overlap(a[:5], b[:5]), (world.seed, world.objects[i].name)


def _yaw(points: np.ndarray) -> float:
    """The turn of a box or an upright cylinder, from its first edge; cylinders may have any."""
    edge = points[1] - points[0]
    return float(np.arctan2(edge[1], edge[0]))


def test_expressions_mean_the_right_pixels(worlds: list[World]) -> None:
    fits = misses = 0
    for world in worlds:
        rng = np.random.default_rng(world.seed)
        for _ in range(3):
            view = render(world, sample_camera(world, rng, 96, 72), rng)
            for e in expressions(view, rng, 6, misses=0.3):
                wanted = np.unique(view.instances[e.mask])
                if not e.fits:
                    misses += 1
                    assert not e.mask.any()
                elif e.text.split()[-1] not in ("floor", "wall", "walls", "ceiling", "ground", "sky"):
                    fits += 1
                    assert 0 not in wanted and np.array_equal(e.mask, np.isin(view.instances, wanted))
                    words = e.text.split()
                    if len(words) == 2 and words[0] == "the":  # "the table" is the only one
                        named = [
                            o.instance
                            for o in world.objects
                            if words[1] in (o.name, o.class_name) and (view.instances == o.instance).any()
                        ]
                        assert list(wanted) == named or not named
    assert fits > 20 and misses > 5


def test_labels_and_instances_agree_with_the_objects(worlds: list[World]) -> None:
    for world in worlds[:6]:
        view = render(world, sample_camera(world, np.random.default_rng(2), 96, 72), 0)
        for o in view.visible():
            wanted = CLASSES.index(o.class_name) if o.class_name in CLASSES else 255
            assert (view.labels[view.instances == o.instance] == wanted).all()
        free = np.unique(view.labels[view.instances == 0])
        assert {CLASSES[k] for k in free} <= {"floor", "wall", "ceiling", "ground", "sky"}


# ---------------------------------------------------------------- files


def test_faces_with_negative_and_missing_indices() -> None:
    text = box_obj("red") + "\nf 1 2 99\nf -1 -2 -3"
    mesh = parse_obj(text, lambda name: MTL, lambda name: name)
    assert len(mesh.faces) == 13  # six squares and the last triangle; the one without a corner is left out
    assert mesh.materials[0].color == pytest.approx((0.8, 0.05, 0.05))
    with pytest.raises(InputError, match="no faces"):
        parse_obj("v 0 0 0", lambda name: "", lambda name: "")


def test_properties_join_lines_and_read_unicode() -> None:
    head, entries = properties("# no=thing\nid=a\nname#2 = caf\\u00e9 \\\n   au lait\nwidth#2: 12.5")
    assert head == {"id": "a"} and entries == {2: {"name": "café au lait", "width": "12.5"}}


def test_colours_have_names() -> None:
    rgb = np.array(
        [
            (200, 30, 30),
            (30, 60, 180),
            (120, 80, 50),
            (245, 130, 20),
            (232, 205, 170),
            (20, 20, 22),
            (240, 240, 238),
        ]
    )
    assert list(color_names(rgb.astype(float))) == [
        "red",
        "blue",
        "brown",
        "orange",
        "beige",
        "black",
        "white",
    ]


def test_missing_models_are_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vision-banana scenes fetch"):
        make_furnished_world(0, folder=tmp_path)


def test_altered_models_are_told(tmp_path: Path) -> None:
    build([write_catalogue(tmp_path / "boxes.sh3f")], tmp_path / "cache")
    for file in (tmp_path / "cache" / "models").glob("*.npz"):
        file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="cut off or was altered"):
        make_furnished_world(0, folder=tmp_path / "cache")
    (tmp_path / "cache" / "index.json").write_text('{"format": 3, "models": [{"id"')
    with pytest.raises(InputError, match="not whole"):
        Library(tmp_path / "cache")


def test_bad_zips_are_told(tmp_path: Path) -> None:
    whole = write_catalogue(tmp_path / "boxes.sh3f").read_bytes()
    cut = tmp_path / "cut.sh3f"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off or was altered"):
        build([cut], tmp_path / "a")
    altered = bytearray(whole)
    place = whole.index(b"v -1.5 0 -2.5")
    altered[place : place + 4] = b"v 99"
    cut.write_bytes(altered)
    with pytest.raises(InputError, match="cut off or was altered"):
        build([cut], tmp_path / "b")
    other = tmp_path / "other.sh3f"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "no models")
    with pytest.raises(InputError, match="no list of models"):
        build([other], tmp_path / "c")


def test_the_first_edition_keeps_its_worlds_whatever_is_added(folder: Path) -> None:
    """What 0.1 was measured on: no painted surface, only its kinds, and the places of things as they were."""
    kinds = set()
    for seed in SEEDS:
        world = make_furnished_world(seed, "test", folder=folder, edition=1)
        kinds.add(world.kind)
        assert len(world.caster.soup.texels) < 5000  # type: ignore[union-attr]
    assert kinds <= {"living room", "bedroom", "kitchen", "bathroom", "office", "workshop", "yard"}
    world = make_furnished_world(3, "test", folder=folder, edition=1)
    assert (world.kind, len(world.objects)) == ("kitchen", 13)
    assert world.objects[0].center == pytest.approx((-0.966052, 1.948472, 1.025), abs=1e-5)
    assert world.objects[-1].center == pytest.approx((-0.954332, 0.762401, 0.45), abs=1e-5)
