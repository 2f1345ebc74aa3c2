# SPDX-License-Identifier: Apache-2.0
"""Every data set of the benchmarks, small and in its published layout.

Painted truth scores 1, a constant answer what can be worked out by hand, and what is turned, scaled or
numbered otherwise is caught.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

for package in ("h5py", "scipy", "pycocotools", "OpenEXR"):
    pytest.importorskip(package, reason="data sets need pip install -r requirements/benchmark.txt")

import benchmark_sets as sets  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.evaluation.benchmarks import BENCHMARKS, cityscapes  # noqa: E402
from vision_banana_ros.evaluation.benchmarks.check import check  # noqa: E402
from vision_banana_ros.evaluation.benchmarks.protocols import Options  # noqa: E402
from vision_banana_ros.evaluation.benchmarks.run import Plan, run  # noqa: E402
from vision_banana_ros.perception import Intrinsics, Perceiver  # noqa: E402
from vision_banana_ros.tasks import instances, referring  # noqa: E402
from vision_banana_ros.tasks.colors import far_apart, parse_legend  # noqa: E402

NYU = Intrinsics(640, 480, 518.8579, 519.4696, 325.5824, 253.7362)
WIDE = Intrinsics(1242, 375, 400.0, 400.0, 621.0, 150.0)
DIODE = Intrinsics(1024, 768, 886.81, 927.06, 512.0, 384.0)
CITY_LEGEND = dict(zip(cityscapes.LABEL_IDS, far_apart(19, ["black"]), strict=True))
OWN = parse_legend(dict(zip(("wall", "floor", "box"), far_apart(3, ["black"]), strict=True)))
CITY = {"labels": (sets.CITYSCAPES_TRAIN, CITY_LEGEND)}
REAL = {"labels": (np.arange(3), OWN), "legend": OWN}


def dsine(kind, scene, image="png"):
    return lambda root, views: sets.write_dsine(root, views, kind, scene, image)


#: name: (how it is written, size of its pictures, its camera, how many, what the painter must know)
SETS = {
    "nyuv2-depth": (sets.write_nyuv2, (480, 640), NYU, 2, {}),
    "ibims1-depth": (sets.write_ibims1, (480, 640), None, 2, {}),
    "eth3d-depth": (sets.write_eth3d, (120, 184), None, 2, {}),
    "diode-depth": (sets.write_diode, (768, 1024), DIODE, 1, {}),
    "kitti-depth": (sets.write_kitti, sets.KITTI_SIZE, WIDE, 2, {}),
    "nuscenes-depth": (sets.write_nuscenes, (900, 1600), None, 2, {}),
    "real-depth": (sets.write_real, (60, 80), None, 2, {}),
    "nyuv2-normals": (dsine("png8", "test"), (480, 640), None, 2, {}),
    "ibims1-normals": (dsine("exr", "ibims"), (480, 640), None, 1, {}),
    "scannet-normals": (dsine("png8", "scene0532_00"), (480, 640), None, 2, {}),
    "vkitti-normals": (dsine("png16", "Scene01", "jpg"), (375, 1242), WIDE, 1, {}),
    "diode-normals": (sets.write_diode, (768, 1024), DIODE, 1, {}),
    "cityscapes": (sets.write_cityscapes, (1024, 2048), None, 1, CITY),
    "real-classes": (sets.write_real, (60, 80), None, 2, REAL),
    "refcocog-val": (sets.write_refcoco, (60, 80), None, 2, {}),
    "reasonseg-val": (sets.write_reasonseg, (60, 80), None, 2, {}),
    "saco-gold-metaclip": (sets.write_saco_gold, (60, 80), None, 2, {}),
}
FIRST = {
    "depth": "delta1",
    "normals": "under_11_25",
    "semantic": "miou",
    "referring": "giou",
    "instances": "cgf1",
}


def made(name):
    _, size, camera, count, _ = SETS[name]
    views = sets.rooms(count, size, camera)
    return views


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a data set by name, written once."""
    there: dict[str, Path] = {}

    def folder(name):
        if name not in there:
            there[name] = tmp_path_factory.mktemp(name)
            SETS[name][0](there[name], made(name))
        return there[name]

    return folder


def painter_of(name, spoil=lambda view: view, **formats):
    views = made(name)
    if name == "kitti-depth":
        views = [view.cut(*sets.KITTI_WINDOW) for view in views]
    return sets.Painter(views, spoil=spoil, **SETS[name][4], **formats)


def scored(name, folder, out, painter=None, options=Options(), together=False):  # noqa: B008
    benchmark = BENCHMARKS[name]
    perceiver = Perceiver(painter or painter_of(name), together=together)
    report = run(
        benchmark, benchmark.open(folder), perceiver, "oracle", out / f"{name}.json", Plan(), options, {}
    )
    assert "failed" not in report, report["failed"]
    return report


@pytest.mark.parametrize("name", SETS)
def test_painted_truth_scores_full_marks(name, written, tmp_path):
    report = scored(name, written(name), tmp_path)
    task = BENCHMARKS[name].protocol.task
    figures = report[task]
    assert figures[FIRST[task]] == pytest.approx(1, abs=1e-9)
    if task == "depth":
        assert (
            figures["absrel"] < 2e-3
            and figures["delta3"] == 1
            and figures["readable"] == 1
            and figures["silog"] < 0.5
        )
        assert figures["scale"] == pytest.approx(1, abs=2e-3)
    elif task == "normals":
        assert figures["mean_deg"] < 0.5 and figures["median_deg"] < 0.5 and figures["readable"] == 1
    elif task == "referring":
        assert figures["ciou"] == pytest.approx(1)
        assert figures["expressions"] == (8 if name == "refcocog-val" else 2)
    elif task == "instances":
        assert (
            figures["pmf1"] == 1
            and figures["il_mcc"] == 1
            and figures["pairs"] == 4
            and figures["negatives"] == 2
        )
    assert report["frames"] == (1 if name == "nuscenes-depth" else SETS[name][3])


def _turned(view):
    return replace(
        view,
        **{key: np.ascontiguousarray(getattr(view, key)[:, ::-1]) for key in ("depth_m", "normals", "parts")},
    )


def _wrong(view):
    """Another scale, another sign of an axis, other numbers of the parts."""
    return replace(
        view, depth_m=view.depth_m * 2, normals=view.normals * (1, -1, 1), parts=(view.parts + 1) % 3
    )


# real-classes is the same, and smaller
@pytest.mark.parametrize("name", [name for name in SETS if name != "cityscapes"])
@pytest.mark.parametrize("spoil", [_turned, _wrong])
def test_answers_that_are_turned_scaled_or_numbered_otherwise_are_caught(name, spoil, written, tmp_path):
    task = BENCHMARKS[name].protocol.task
    if task == "normals" and spoil is _turned:
        spoil = lambda view: replace(view, normals=view.normals[..., [1, 0, 2]])  # noqa: E731 - the room's are the same mirrored
    figures = scored(name, written(name), tmp_path, painter_of(name, spoil))[task]
    assert figures[FIRST[task]] < 0.95


# ---- what can be worked out by hand


def constant(value):
    """Everything at 2 m, facing up, class or part 1."""
    return lambda view: replace(
        view,
        depth_m=np.full_like(view.depth_m, value),
        normals=np.broadcast_to(np.float32((0, 1, 0)), view.normals.shape),
        parts=np.ones_like(view.parts),
    )


def scored_pixels(name, view):
    """Where each set scores depth, written down from its protocol and not by its loader."""
    there = np.zeros(view.parts.shape, bool)
    if name == "nyuv2-depth":
        there[45:471, 41:601] = True
    elif name == "ibims1-depth":
        there[10:, 10:] = True
    # Garg's part of the lower 352 rows and middle 1216 columns, where the sensor saw a row of two
    elif name == "kitti-depth":
        there[23 + 143 : 23 + 349, 13 + 43 : 13 + 1172] = True
        there[1::2] = False
    elif name == "diode-depth":
        there[20:] = True
    elif name == "eth3d-depth":
        there[view.parts != sets.BOX] = True
    elif name == "nuscenes-depth":
        there[::5, ::5] = True
    else:
        there[:] = True
    return there


@pytest.mark.parametrize("name", [name for name in SETS if name.endswith("-depth")])
def test_constant_depth_scores_what_a_hand_calculation_says(name, written, tmp_path):
    got = scored(name, written(name), tmp_path, painter_of(name, constant(2.5)))["depth"]
    delta1, absrel, rmse, log10, silog = [], [], [], [], []
    for view in made(name)[: 1 if name == "nuscenes-depth" else None]:  # its second is of another scene
        true = view.depth_m[scored_pixels(name, view)].astype(np.float64)
        delta1.append(np.mean(np.maximum(2.5 / true, true / 2.5) < 1.25))
        absrel.append(np.mean(np.abs(2.5 - true) / true))
        rmse.append(np.sqrt(np.mean((2.5 - true) ** 2)))
        log10.append(np.mean(np.abs(np.log10(2.5) - np.log10(true))))
        silog.append(100 * np.std(np.log(2.5) - np.log(true)))
    assert got["delta1"] == pytest.approx(np.mean(delta1), abs=2e-3)
    for key, want in (("absrel", absrel), ("rmse_m", rmse), ("log10", log10), ("silog", silog)):
        assert got[key] == pytest.approx(np.mean(want), rel=5e-3), key
    assert got["pictures"] == len(delta1)


@pytest.mark.parametrize("name", [name for name in SETS if name.endswith("-normals")])
def test_constant_normals_score_what_a_hand_calculation_says(name, written, tmp_path):
    """Up is right on the floor and 90 degrees off on wall and box."""
    got = scored(name, written(name), tmp_path, painter_of(name, constant(1.0)))["normals"]
    floor = np.mean([view.parts == sets.FLOOR for view in made(name)])
    assert got["under_11_25"] == got["under_30"] == pytest.approx(floor, abs=1e-4)
    assert got["mean_deg"] == pytest.approx(90 * (1 - floor), abs=0.3)
    assert got["median_deg"] == pytest.approx(0 if floor > 0.5 else 90, abs=0.5)


def test_a_constant_class_scores_what_a_hand_calculation_says(written, tmp_path):
    """Road everywhere: its own IoU is its share of what is not void, that of the two others 0."""
    got = scored("cityscapes", written("cityscapes"), tmp_path, painter_of("cityscapes", constant(1.0)))[
        "semantic"
    ]
    known = [view.parts[40:] for view in made("cityscapes")]
    road = np.mean([parts == sets.FLOOR for parts in known])
    assert got["miou"] == pytest.approx(road / 3, rel=1e-3) and got["classes"]["road"] == pytest.approx(
        road, rel=1e-3
    )


def test_a_constant_mask_scores_what_a_hand_calculation_says(written, tmp_path):
    """For the two texts about the floor everything is marked, for the others nothing."""
    got = scored(
        "refcocog-val", written("refcocog-val"), tmp_path, painter_of("refcocog-val", constant(1.0))
    )["referring"]
    views = made("refcocog-val")
    floors = [np.mean(view.parts == sets.FLOOR) for view in views]
    assert got["giou"] == pytest.approx(np.mean([[0, floor, floor, 0] for floor in floors]), rel=1e-3)
    # Of the box and the wall nothing is marked: their unions are themselves, together all but the floor.
    assert got["ciou"] == pytest.approx(
        sum(2 * floor for floor in floors) / sum(2 + (1 - floor) for floor in floors), rel=1e-3
    )


def test_a_constant_mask_for_a_query_scores_what_a_hand_calculation_says(written, tmp_path):
    """Everything is marked: of what is scored, all but the box's left half, its right half is right."""

    class Everything(sets.Painter):
        def paint(self, image, instructions):
            whole = referring.encode(np.ones(self.size, bool), far_apart(1, ["black"])[0])
            return np.stack([whole] * len(instructions)).astype(np.float32)

    views = made("reasonseg-val")
    got = scored("reasonseg-val", written("reasonseg-val"), tmp_path, Everything(views))["referring"]
    box = views[0].parts == sets.BOX  # at the same place in every view
    left = box & (np.arange(80) < np.flatnonzero(box.any(axis=0)).mean())
    share = (box.sum() - left.sum()) / (box.size - left.sum())
    assert 0.02 < share < 0.1 and got["giou"] == got["ciou"] == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(("columns", "pmf1"), [(0, 0), (15, 1), (20, 0.6), (40, 0)])
def test_a_constant_answer_about_concepts_scores_what_a_hand_calculation_says(
    columns, pmf1, written, tmp_path
):
    """The box has 15 of 80 columns. An answer with 20 has an IoU of .75: six of ten thresholds let it pass.

    What is the same whatever is asked tells no negatives from positives: no correlation, and so no cgF1.
    """
    answer = np.zeros((60, 80), np.int64)
    answer[19:42, 9 : 9 + columns] = 1

    class Constant(sets.Painter):
        def paint(self, image, instructions):
            return np.stack([instances.encode(answer)] * len(instructions)).astype(np.float32)

    views = made("saco-gold-metaclip")
    got = scored("saco-gold-metaclip", written("saco-gold-metaclip"), tmp_path, Constant(views))["instances"]
    assert got["pairs"] == 2 * len(views) and got["negatives"] == len(views)  # the box; the elephant
    assert got["pmf1"] == pytest.approx(pmf1, abs=1e-9) and got["il_mcc"] == got["cgf1"] == 0


def test_intrinsics_are_used_beside_and_without(written, tmp_path):
    """Depth is painted for a lens of half the length: without the camera's own it is half of what it
    should be."""
    focal = made("nyuv2-depth")[0].camera
    halved = painter_of(
        "nyuv2-depth",
        lambda view: replace(view, depth_m=view.depth_m / 2),
        depth_focal_px=float(np.sqrt(focal.fx * focal.fy) / 2),
    )
    got = scored("nyuv2-depth", written("nyuv2-depth"), tmp_path, halved)["depth"]
    assert (
        got["delta1"] == 0
        and got["absrel"] == pytest.approx(0.5, abs=1e-3)
        and got["scale"] == pytest.approx(2, abs=1e-2)
    )
    assert got["delta1_lens"] == 1 and got["absrel_lens"] < 1e-3 and got["delta1_aligned"] == 1
    assert halved.painted == 2  # once a frame


def test_depths_beyond_what_was_taught_are_told(written, tmp_path):
    got = scored(
        "nyuv2-depth", written("nyuv2-depth"), tmp_path, painter_of("nyuv2-depth", depth_range_m=(0.05, 3.0))
    )["depth"]
    beyond = [np.mean(view.depth_m[45:471, 41:601] > 3) for view in made("nyuv2-depth")]
    assert (
        got["farther_than_taught"] == pytest.approx(np.mean(beyond), rel=1e-3)
        and got["nearer_than_taught"] == 0
    )
    assert got["readable"] == pytest.approx(1 - np.mean(beyond), rel=1e-2)


def test_many_expressions_in_one_painting(written, tmp_path):
    """The two texts of the floor share a painting with the others: they are of one thing, so that the
    first hides the second."""
    painter = painter_of("refcocog-val", expressions_together=8)
    got = scored("refcocog-val", written("refcocog-val"), tmp_path, painter, together=True)["referring"]
    assert painter.painted == 2 and got["expressions"] == 8 and got["giou"] == pytest.approx(0.75)


def test_queries_and_presence_go_to_a_language_model(written, tmp_path):
    class Model:
        def rewrite(self, query, image):
            return sets.TEXTS[3] if query == sets.TEXTS[0] else query

        def present(self, thing, image):
            return thing != sets.TEXTS[0]

    got = scored("reasonseg-val", written("reasonseg-val"), tmp_path, options=Options(language_model=Model()))
    assert got["rewritten"] and got["referring"]["giou"] == 0  # the wall is not the box
    got = scored(
        "saco-gold-metaclip", written("saco-gold-metaclip"), tmp_path, options=Options(language_model=Model())
    )["instances"]
    assert got["pmf1"] == 0 and got["il_mcc"] == 0


@pytest.mark.parametrize("name", SETS)
def test_a_check_knows_what_is_whole(name, written):
    benchmark, folder = BENCHMARKS[name], written(name)
    wrong = check(benchmark, folder, benchmark.open(folder))
    count = [said for said in wrong if "were published" in said]
    assert wrong == count and len(count) <= 2 and (count or not benchmark.frames)


def _half(data):
    return data[: len(data) // 2]


def _blank(data):
    """As a download leaves a file whose blocks were reserved and never written."""
    return bytes(len(data))


# one of each kind of reader
@pytest.mark.parametrize(
    "name",
    ["ibims1-depth", "eth3d-depth", "kitti-depth", "ibims1-normals", "vkitti-normals", "refcocog-val"]
    + ["reasonseg-val", "saco-gold-metaclip", "nyuv2-depth", "diode-depth"],
)
@pytest.mark.parametrize("damage", [_half, _blank])
def test_a_damaged_file_of_any_kind_is_told_in_a_sentence(name, damage, written, tmp_path):
    benchmark, whole = BENCHMARKS[name], written(name)
    right = check(benchmark, whole, benchmark.open(whole))
    files = [file for file in sorted(whole.rglob("*")) if file.is_file() and "_normal.npy" not in file.name]
    for number, file in enumerate(files):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder, copy_function=os.link)
        damaged = folder / file.relative_to(whole)
        damaged.unlink()
        damaged.write_bytes(damage(file.read_bytes()))
        try:
            told = check(benchmark, folder, benchmark.open(folder))
        except InputError as error:
            told = [str(error)]
        assert told and told != right, file.name


def test_the_list_names_what_is_published_and_its_layouts_are_those_that_are_written(written):
    for name, benchmark in BENCHMARKS.items():
        assert (
            name == benchmark.name
            and benchmark.source
            and benchmark.licence
            and benchmark.notes
            and benchmark.layout
        )
    for name in SETS:
        for line in BENCHMARKS[name].layout.splitlines():
            if "..." in line or "NAME" in line:
                continue
            assert any(written(name).glob(f"{Path(line).parts[0]}*")), (name, line)
