# SPDX-License-Identifier: Apache-2.0
"""Running benchmarks: resuming, shards, tables, what is said of bad downloads, and that memory stays flat."""

import csv
import errno
import json
import os
import pickle
import shutil
import tracemalloc
from pathlib import Path

import benchmark_sets as sets
import cv2
import numpy as np
import pytest

from vision_banana_ros.cli.main import main
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation import scores
from vision_banana_ros.evaluation.benchmarks import (
    BENCHMARKS,
    diode,
    frame_results,
    kitti,
    masks,
    nuscenes,
    reading,
    saco_gold,
)
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.check import check
from vision_banana_ros.evaluation.benchmarks.plain_pickle import read_plain_pickle
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol, Options
from vision_banana_ros.evaluation.benchmarks.run import Plan, parse_shard, run
from vision_banana_ros.evaluation.benchmarks.table import as_csv, markdown, plot, read_reports
from vision_banana_ros.evaluation.card import card
from vision_banana_ros.evaluation.depth_alignment import least_squares
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.tasks import profiles_relative
from vision_banana_ros.tasks.colors import parse_legend

SIZE = (48, 64)


@pytest.fixture
def real(tmp_path):
    sets.write_real(tmp_path / "real", sets.rooms(3, SIZE))
    return tmp_path / "real"


def measured(folder, out, painter=None, name="real-depth", plan=Plan(), bundle="oracle", options=Options()):  # noqa: B008
    benchmark = BENCHMARKS[name]
    perceiver = Perceiver(painter or sets.Painter(sets.rooms(3, SIZE)), together=False)
    return run(
        benchmark,
        benchmark.open(folder),
        perceiver,
        bundle,
        out,
        plan,
        options,
        {"command": "vision-banana benchmark"},
    )


# ---- resuming


def test_a_run_that_was_killed_goes_on_and_computes_nothing_twice(real, tmp_path):
    out = tmp_path / "r.json"
    whole = measured(real, tmp_path / "whole.json")
    frames = tmp_path / "r.frames.jsonl"
    lines = (tmp_path / "whole.frames.jsonl").read_bytes().splitlines(keepends=True)
    frames.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # killed while it wrote the second frame
    painter = sets.Painter(sets.rooms(3, SIZE))
    report = measured(real, out, painter)
    assert painter.painted == 2 and report["depth"] == whole["depth"] and report["frames"] == 3
    assert frames.read_bytes().count(b"\n") == 4
    again = sets.Painter(sets.rooms(3, SIZE))
    assert measured(real, out, again)["depth"] == whole["depth"] and again.painted == 0


def test_a_report_that_was_begun_with_something_else_is_not_continued(real, tmp_path):
    measured(real, tmp_path / "r.json")
    with pytest.raises(InputError, match="begun with another bundle: give another --out"):
        measured(real, tmp_path / "r.json", bundle="other")
    (tmp_path / "r.frames.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="no results of frames of this version"):
        measured(real, tmp_path / "r.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[" * 100_000, "no results of frames of this version"),
        ('{"format": 1}\n' + "[" * 100_000 + "\n", "Line 2 of .* is damaged"),
        ('{"format": 1}\n{"frame": []}\n', "Line 2 of .* is damaged"),
        ('{"format": 1}\n' + "x" * 20_000_000 + "\n", "Line 2 of .* is damaged"),
    ],
    ids=["deep header", "deep line", "no name", "long line"],
)
def test_results_of_frames_that_are_none_are_a_sentence(tmp_path, content, sentence):
    (tmp_path / "r.frames.jsonl").write_text(content)
    with pytest.raises(InputError, match=sentence):
        list(frame_results.read_frames(tmp_path / "r.frames.jsonl")[1])


def test_results_of_frames_in_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "r.frames.jsonl")
    with pytest.raises(InputError, match="no ordinary file"):
        frame_results.read_frames(tmp_path / "r.frames.jsonl")


def test_a_full_disk_is_said_and_nothing_is_lost(real, tmp_path, monkeypatch):
    write, written = os.write, []

    def full(descriptor, data):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(frame_results.os, "write", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\): make room"):
        measured(real, tmp_path / "r.json")
    monkeypatch.undo()
    painter = sets.Painter(sets.rooms(3, SIZE))
    assert measured(real, tmp_path / "r.json", painter)["frames"] == 3 and painter.painted == 2


def test_a_frame_that_fails_is_counted_and_named_and_tried_again(real, tmp_path):
    good = (real / "room1.png").read_bytes()
    (real / "room1.png").write_bytes(good[: len(good) // 2])
    told = []
    benchmark, perceiver = BENCHMARKS["real-depth"], Perceiver(sets.Painter(sets.rooms(3, SIZE)))
    report = run(
        benchmark,
        benchmark.open(real),
        perceiver,
        "oracle",
        tmp_path / "r.json",
        Plan(),
        Options(),
        {},
        told.append,
    )
    assert (
        report["frames"] == 2
        and report["failed"]["count"] == 1
        and "room1.png" in report["failed"]["frames"]["real/room1"]
    )
    assert any("real/room1 failed" in said for said in told) and any(
        "3 of 3" in said and "left" in said for said in told
    )
    assert "oracle: 1 frames failed and are not counted, such as real/room1; 2 are." in markdown([report])
    (real / "room1.png").write_bytes(good)
    assert "failed" not in measured(real, tmp_path / "r.json")


def test_a_bundle_that_does_not_know_the_task_is_refused(real, tmp_path):
    painter = sets.Painter(sets.rooms(3, SIZE), tasks=("normals",))
    with pytest.raises(
        InputError, match="oracle was not taught depth, which real-depth asks for, only normals"
    ):
        measured(real, tmp_path / "r.json", painter)
    assert not list(tmp_path.glob("r.*"))


# ---- shards and tables


def test_shards_are_merged_to_the_figures_of_one_run(real, tmp_path):
    whole = measured(real, tmp_path / "whole.json")
    for i in (1, 2):
        measured(real, tmp_path / f"{i}.json", plan=Plan(shard=(i, 2)))
    with pytest.raises(InputError, match="2/2 are missing"):
        read_reports([tmp_path / "1.json"])
    with pytest.raises(InputError, match="the same shard 1/2"):
        read_reports([tmp_path / "1.json", tmp_path / "1.json"])
    (merged,) = read_reports([tmp_path / "2.json", tmp_path / "1.json"])
    assert merged["depth"] == whole["depth"] and merged["frames"] == 3
    legend = parse_legend({"wall": "red", "floor": "lime", "box": "blue"})
    for name, plan in {"all": Plan(), "a": Plan(shard=(1, 2)), "b": Plan(shard=(2, 2))}.items():
        painter = sets.Painter(sets.rooms(3, SIZE), labels=(np.arange(3), legend), legend=legend)
        measured(real, tmp_path / f"{name}.json", painter, "real-classes", plan)
    one, both = (
        read_reports([tmp_path / f"{name}.json" for name in names])[0]["semantic"]
        for names in (["all"], ["a", "b"])
    )
    assert one == both and one["miou"] == 1
    assert [parse_shard(text) for text in ("3/16", "1/1")] == [(3, 16), (1, 1)]
    for text in ("0/4", "5/4", "3", "a/b"):
        with pytest.raises(InputError, match="write I/N"):
            parse_shard(text)


def report_of(name, task, figures, bundle="ours", **more):
    header = {
        "benchmark": name,
        "bundle": bundle,
        "passes": 1,
        "many": False,
        "rewritten": False,
        "limit": 0,
        "shard": [1, 1],
    }
    there = {
        "set": BENCHMARKS[name].frames,
        "published": BENCHMARKS[name].frames,
        "frames": BENCHMARKS[name].frames,
    }
    return {**header, **there, task: figures, **more}


def test_the_table_stands_beside_the_paper_with_every_deviation_in_a_footnote(tmp_path):
    names = [name for name in BENCHMARKS if name.endswith("-depth") and name != "real-depth"]
    reports = [report_of(name, "depth", {"delta1": 0.5, "absrel": 0.3, "readable": 0.9}) for name in names]
    reports[0]["depth"] |= {"farther_than_taught": 0.25, "aligned": True}
    reports[1] |= {"set": 60, "limit": 7}
    reports.append(report_of("refcocog-val", "referring", {"ciou": 0.25, "giou": 0.3}, passes=4, many=True))
    text = markdown(reports)
    nyu = next(line for line in text.splitlines() if line.startswith("| NYU, δ1"))
    assert [cell.strip() for cell in nyu.split("|")[2:5]] == ["0.500", "0.948", "0.915"]
    mean = next(line for line in text.splitlines() if line.startswith("| mean of 6, AbsRel"))
    assert [cell.strip() for cell in mean.split("|")[2:4]] == ["0.300", "0.116"]
    for note in (
        "ours: 25.0 % of the scored depths are farther than any that the bundle was taught.",
        "ours: depth is relative and was aligned",
        "ours: 60 of the 100 published frames were there.",
        "ours: only the first 7 frames were asked (--limit).",
        "ours: 10.0 % of the depth could not be read",
        "ours, 4 passes, many a painting",
    ):
        assert note in text
    lines = list(csv.DictReader(as_csv(reports).splitlines()))
    assert {
        "task": "referring",
        "benchmark": "refcocog-val",
        "figure": "ciou",
        "method": "Vision Banana",
        "value": "0.738",
    } in lines
    with pytest.raises(InputError, match="Two reports are of ours on nyuv2-depth"):
        markdown([reports[0], reports[0]])
    (tmp_path / "x.json").write_text('{"benchmark": "nothing"}')
    with pytest.raises(InputError, match="is no report of a benchmark"):
        read_reports([tmp_path / "x.json"])
    pytest.importorskip("matplotlib")
    assert cv2.imdecode(np.frombuffer(plot(reports), np.uint8), cv2.IMREAD_COLOR) is not None


def test_the_command_measures_writes_the_card_and_makes_the_table(real, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = tmp_path / "bundle"
    shutil.copytree(default_bundle(), bundle)
    assert main(["benchmark", "check", "real-depth", "--data", str(real)]) == 0
    assert (
        main(
            [
                "benchmark",
                "real-depth",
                "--data",
                str(real),
                "--bundle",
                str(bundle),
                "--limit",
                "2",
                "--write",
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "real frames real, δ1" in out and "only the first 2 frames" in out
    report = json.loads((tmp_path / "real-depth.json").read_text())
    assert (
        report["frames"] == 2
        and report["depth"]["pictures"] == 2
        and 0 <= report["waited_for_loading_s"] <= report["seconds"]
    )
    assert report["command"] == "vision-banana benchmark real-depth --data DIR --bundle bundle --limit 2"
    text = card(open_bundle(bundle))
    assert "## Published data sets" in text and "real frames real, δ1" in text and report["command"] in text
    again = ["benchmark", "real-depth", "--data", str(real), "--bundle", str(bundle), "--limit", "2"]
    assert main(again) == 0  # the card changed, the generator did not: nothing is left to measure
    assert "measured_now" not in json.loads((tmp_path / "real-depth.json").read_text())
    assert main(["benchmark", "table", "real-depth.json"]) == 0
    assert "real frames real, δ1" in capsys.readouterr().out
    assert main(["benchmark", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name}\n" in f"\n{listed}" for name in BENCHMARKS) and "nyu_depth_v2_labeled.mat" in listed
    for words, sentence in (
        (["check", "nothing", "--data", "."], "There is no benchmark 'nothing'"),
        (["check"], "takes the name of one benchmark"),
        (["table"], "name at least one"),
        (["real-depth"], "Give --data DIR"),
        (["real-depth", "nyuv2-depth", "--data", str(real)], "one word too many"),
        (["real-depth", "--data", str(real), "--shard", "3"], "write I/N"),
        (["real-depth", "--data", str(real), "--many", "--passes", "2"], "asked once"),
        (["real-depth", "--data", str(real), "--mapping", "m.yaml"], "leave --mapping out"),
        (["real-depth", "--data", str(real), "--shard", "1/2", "--write"], "A shard is no row"),
        (["real-depth", "--data", str(real), "--limit", "-1"], "give 1 or more"),
    ):
        assert main(["benchmark", *words]) == 2
        assert sentence in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    assert main(["benchmark", "table", "real-depth.json", "--out", str(tmp_path / "table")]) == 0
    assert {file.suffix for file in tmp_path.glob("table.*")} == {".md", ".csv", ".png"}


# ---- bad downloads


def write_cityscapes(root):
    sets.write_cityscapes(root, sets.rooms(2, (1024, 2048)))


def test_a_folder_one_level_off_is_told_which_to_give(real):
    (real / "deeper").mkdir()
    with pytest.raises(InputError, match=f"but '{real}' is: give --data that one"):
        BENCHMARKS["real-depth"].open(real.parent)
    with pytest.raises(InputError, match=f"but '{real}' is: give --data that one"):
        BENCHMARKS["real-depth"].open(real / "deeper")
    with pytest.raises(InputError, match="There is no folder"):
        BENCHMARKS["real-depth"].open(real / "nowhere")
    with pytest.raises(InputError, match="does not hold"):
        BENCHMARKS["cityscapes"].open(real)


def test_half_a_download_is_told_by_check_and_by_the_frames(tmp_path):
    sets.write_eth3d(tmp_path, sets.rooms(2, (24, 32)))
    benchmark = BENCHMARKS["eth3d-depth"]
    images, truths = (
        tmp_path / "office" / folder / "dslr_images" for folder in ("images", "ground_truth_depth")
    )
    (images / "DSC_0000.JPG").unlink()  # truth without a picture
    (truths / "DSC_0001.JPG").write_bytes(b"")  # a picture without its truth
    entries = benchmark.open(tmp_path)
    assert [entry.name for entry in entries] == ["office/DSC_0000", "office/DSC_0001"]
    wrong = " ".join(check(benchmark, tmp_path, entries))
    assert "1 of 6 files are missing, such as office/images/dslr_images/DSC_0000.JPG" in wrong
    assert "1 files are empty" in wrong and "2 frames are there, and 454 were published" in wrong
    for entry, sentence in zip(entries, ("DSC_0000.JPG' is missing", "DSC_0001.JPG' is empty"), strict=True):
        with pytest.raises(InputError, match=sentence):
            entry.load()


def test_a_truth_of_another_size_or_unit_is_refused(tmp_path):
    sets.write_eth3d(tmp_path, sets.rooms(1, (24, 32)))
    truth = tmp_path / "office/ground_truth_depth/dslr_images/DSC_0000.JPG"
    load = BENCHMARKS["eth3d-depth"].open(tmp_path)[0].load
    for values, sentence in (
        (np.ones((12, 16)), "not 4 for each pixel"),
        (np.zeros((24, 32)), "knows no depth between 0.01 and 50 m"),
        (np.full((24, 32), 4000.0), "of another unit"),
    ):
        truth.write_bytes(values.astype("<f4").tobytes())
        with pytest.raises(InputError, match=sentence):
            load()


def test_pictures_of_another_size_or_damaged_are_refused(tmp_path):
    sets.write_dsine(tmp_path, sets.rooms(2, (48, 64)), "png8", "scene0001_00")
    small, _ = BENCHMARKS["scannet-normals"].open(tmp_path)
    with pytest.raises(InputError, match="has 64x48 pixels, and the published one 640x480"):
        small.load()
    file = tmp_path / "a.png"
    sets.save(file, np.zeros((40, 40, 3), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None])
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="a.png'.* cannot be read as a picture: copy it again"):
        reading.picture(file)
    with pytest.raises(InputError, match="a.png"):
        reading.raster(file, np.uint8, 3)
    file.write_bytes(whole)
    with pytest.raises(InputError, match="should be uint16 with 1 channel"):
        reading.raster(file, np.uint16)
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read as an array"):
        reading.array(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        reading.array(tmp_path / "b.npy")


def test_labels_of_another_kind_are_refused(tmp_path):
    folder = tmp_path / "gtFine/val/city"
    for stem, ids in (("a", np.full((1024, 2048), 200, np.uint8)), ("b", np.ones((1024, 2048), np.uint8))):
        sets.save(folder / f"{stem}_gtFine_labelIds.png", ids)
        sets.save(
            tmp_path / f"leftImg8bit/val/city/{stem}_leftImg8bit.png", np.zeros((1024, 2048, 3), np.uint8)
        )
    colours, void = BENCHMARKS["cityscapes"].open(tmp_path)
    with pytest.raises(InputError, match="give labelIds, not trainIds or colours"):
        colours.load()
    with pytest.raises(InputError, match="no class that is evaluated"):
        void.load()


def test_annotations_of_another_version_or_put_together_are_refused(tmp_path):
    pytest.importorskip("pycocotools")
    sets.write_refcoco(tmp_path, sets.rooms(1, SIZE))
    opened = BENCHMARKS["refcocog-val"].open
    instances, refs = tmp_path / "refcocog/instances.json", tmp_path / "refcocog/refs(umd).p"
    found = json.loads(instances.read_text())
    for changed, sentence in (
        ({"images": []}, "has no lists images, annotations"),
        ({**found, "annotations": [{"number": 1}]}, "lacks one of id, segmentation"),
        ({**found, "annotations": found["annotations"] * 2}, "twice: it was put together of two"),
        ({**found, "annotations": found["annotations"][:1]}, "take both from one download"),
    ):
        instances.write_text(json.dumps(changed))
        with pytest.raises(InputError, match=sentence):
            opened(tmp_path)
    instances.write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        opened(tmp_path)
    instances.write_text(json.dumps(found))
    rows = read_plain_pickle(refs)
    for changed, sentence in (
        ({"refs": rows}, "no list of references"),
        ([{**row, "split": "train"} for row in rows], "has no references of the split val"),
        ([*rows, rows[0]], "twice"),
    ):
        refs.write_bytes(pickle.dumps(changed))
        with pytest.raises(InputError, match=sentence):
            opened(tmp_path)
    refs.unlink()
    with pytest.raises(InputError, match="does not hold refcocog"):
        opened(tmp_path)


def test_lists_that_name_a_frame_twice_or_none_are_refused(tmp_path):
    sets.write_kitti(tmp_path, [view for view in sets.rooms(1, sets.KITTI_SIZE)])
    frames = tmp_path / kitti.LIST
    line = frames.read_text().splitlines()[0]
    for text, sentence in ((f"{line}\n{line}\n", "twice"), ("a b c\n", "names no frame of KITTI")):
        frames.write_text(text)
        with pytest.raises(InputError, match=sentence):
            BENCHMARKS["kitti-depth"].open(tmp_path)


def test_tables_of_nuscenes_that_do_not_belong_together_are_refused(tmp_path):
    sets.write_nuscenes(tmp_path, sets.rooms(2, (900, 1600)))
    tables = tmp_path / "v1.0-trainval"
    (frame,) = BENCHMARKS["nuscenes-depth"].open(tmp_path)
    (tables / "ego_pose.json").write_text("[]")
    with pytest.raises(InputError, match="ego_pose.json' lacks sample0cam, which sample_data.json names"):
        frame.load()
    (tables / "calibrated_sensor.json").write_text("[]")
    (tmp_path / "other").mkdir()
    shutil.move(tables, tmp_path / "other")
    shutil.copy(tmp_path / "val_scenes.txt", tmp_path / "other")
    with pytest.raises(InputError, match="has no CAM_FRONT or no LIDAR_TOP"):
        BENCHMARKS["nuscenes-depth"].open(tmp_path / "other")


def test_a_pickle_that_could_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    file = tmp_path / "refs(umd).p"
    for value in (Evil(), [{"a": Evil()}], Path("x"), np.float64(1)):
        file.write_bytes(pickle.dumps(value))
        with pytest.raises(InputError, match="is not read, because it names"):
            read_plain_pickle(file)
    assert not (tmp_path / "ran").exists()
    file.write_bytes(b"garbage")
    with pytest.raises(InputError, match="no whole pickle"):
        read_plain_pickle(file)
    # as Python 2 wrote it: byte strings in protocol 0
    file.write_bytes(b"(lp0\n(dp1\nS'sent'\np2\nS'the dog'\np3\nsS'n'\nI7\nsa.")
    assert read_plain_pickle(file) == [{"sent": "the dog", "n": 7}]


# ---- conventions and metrics, against other ways of computing them


def test_the_axes_of_normals_on_a_wall_and_a_floor(tmp_path):
    """DSINE stores a wall in front as (0, 0, 1), a floor as (0, 1, 0); in the paper's frame they look at the
    viewer, and up.

    A wall on the right looks left: DSINE's normal points away from the camera, +x.
    """
    from vision_banana_ros.evaluation.benchmarks.dsine import in_paper_frame

    stored = np.zeros((1, 4, 3), np.float32)
    stored[0, :3] = (0, 0, 1), (0, 1, 0), (1, 0, 0)
    got = in_paper_frame(stored, tmp_path)
    np.testing.assert_allclose(got[0, :3], [(0, 0, 1), (0, 1, 0), (-1, 0, 0)])
    assert np.isnan(got[0, 3]).all()
    with pytest.raises(InputError, match="no normal at all"):
        in_paper_frame(np.zeros((2, 2, 3)), tmp_path)
    with pytest.raises(InputError, match="unit vectors"):
        in_paper_frame(np.full((2, 2, 3), 100.0), tmp_path)
    away = diode.facing(np.broadcast_to(np.float32((0, 0, -1)), (768, 1024, 3)))
    assert (away[..., 2] == 1).all()
    up = np.broadcast_to(np.float32((0, 1, 0)), (768, 1024, 3))
    turned = diode.facing(up)[..., 1]
    # below the camera it is a floor, above it a ceiling
    assert (turned[400:] == 1).all() and (turned[:380] == -1).all()


def test_lidar_points_on_one_pixel_give_the_nearest():
    k = np.array([[10.0, 0, 4], [0, 10, 3], [0, 0, 1]])
    points = np.array([[0, 0, 5.0], [0, 0, 3.0], [0, 0, -2.0], [100, 0, 5.0], [0, 0, 0.5]])
    depth_m = nuscenes.projected(points, k, (6, 8))
    assert depth_m[3, 4] == 3 and np.isfinite(depth_m).sum() == 1


def test_depth_figures_against_their_definitions():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 20, (40, 50))
    truth[rng.random(truth.shape) < 0.3] = np.nan
    truth[0] = 0
    answer = truth * rng.uniform(0.5, 2.2, truth.shape) + 1e-3
    answer[5] = np.nan
    answer[6] = np.inf
    got = scores.depth_figures(scores.depth_sums(answer, truth))
    known = np.isfinite(truth) & (truth > 0)
    read = known & np.isfinite(answer)
    a, t = answer[read], truth[read]
    ratio = np.maximum(a / t, t / a)
    for power in (1, 2, 3):
        assert got[f"delta{power}"] == pytest.approx((ratio < 1.25**power).sum() / known.sum(), abs=1e-6)
    want = {
        "absrel": np.mean(np.abs(a - t) / t),
        "rmse_m": np.sqrt(np.mean((a - t) ** 2)),
        "log10": np.mean(np.abs(np.log10(a / t))),
        "silog": 100 * np.std(np.log(a / t)),
        "readable": read.sum() / known.sum(),
    }
    for key, value in want.items():
        assert got[key] == pytest.approx(value, abs=1e-6), key


def test_least_squares_against_a_fit_by_numpy():
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 10, (20, 30)).astype(np.float32)
    truth[0] = np.nan
    grey = np.clip(0.08 * np.nan_to_num(truth, nan=1.0) + rng.normal(0, 0.02, truth.shape), 0, 1)
    known = np.isfinite(truth)
    scale, shift = np.polyfit(grey[known], truth[known].astype(np.float64), 1)
    np.testing.assert_allclose(
        least_squares(grey, truth, "affine")[known], scale * grey[known] + shift, rtol=1e-4
    )
    inverse = np.clip(0.9 / np.nan_to_num(truth, nan=1.0), 0.01, 1)
    np.testing.assert_allclose(least_squares(1 / inverse, truth, "inverse")[known], truth[known], rtol=1e-3)
    assert np.isnan(least_squares(grey, np.full_like(truth, np.nan), "affine")).all()


def test_relative_depth_is_aligned_before_it_is_scored(real, tmp_path):
    class Relative(sets.Painter):
        profile = type("profile", (), {"depth_kind": "affine"})

        def answer(self, image, questions):
            truth = self.views[round((float(np.median(image[..., 2])) - 10) / sets.STEP)].depth_m
            return [profiles_relative.decode(profiles_relative.encode(truth, "affine"), "affine")]

    report = measured(real, tmp_path / "r.json", Relative(sets.rooms(3, SIZE)))
    assert report["depth"]["aligned"] and report["depth"]["delta1"] == 1 and "scale" not in report["depth"]


def test_semantic_figures_against_a_loop_over_pixels():
    """cityscapesScripts' rule: a pixel whose truth is void counts nowhere; an answer that is no class
    counts against the truth."""
    rng = np.random.default_rng(2)
    classes = ("a", "b", "c", "d")
    total = np.zeros((4, 5), np.int64)
    right, false, missed = np.zeros(4), np.zeros(4), np.zeros(4)
    for _ in range(3):
        truth = rng.choice([0, 1, 2, 3, 255], (12, 15)).astype(np.uint8)
        labels = rng.choice([0, 1, 2, 3, 255], (12, 15)).astype(np.uint8)
        total += scores.confusion(labels, truth, 4)
        for answer, true in zip(labels.ravel(), truth.ravel(), strict=True):
            if true == 255:
                continue
            if answer == true:
                right[true] += 1
                continue
            missed[true] += 1
            if answer != 255:
                false[answer] += 1
    got = scores.semantic_figures(total, classes)
    assert got["miou"] == pytest.approx(np.mean(right / (right + false + missed)), abs=1e-6)


def test_overlaps_of_masks_against_pycocotools():
    """On random masks, an empty answer, an empty truth, whole ones, and two empty ones."""
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(5)
    shares = [(0.3, 0.5), (0.01, 0.9), (0, 0.4), (0.4, 0), (1, 1)]
    for shared, truthful in shares:
        answer, truth = rng.random((31, 47)) < shared, rng.random((31, 47)) < truthful
        both, either, true, _ = scores.overlap(answer, truth)
        drawn = [masks.encode(mask) for mask in (answer, truth)]
        assert true == coco.area(drawn[1]) and either == coco.area(coco.merge(drawn))
        assert both == coco.area(coco.merge(drawn, intersect=True))
        assert both / either == pytest.approx(coco.iou(drawn[:1], drawn[1:], [0])[0, 0], abs=1e-6)
    none = np.zeros((4, 4), bool)
    assert scores.overlap(none, none) == (0, 0, 0, 16)


def test_normals_figures_against_all_pixels_at_once():
    rng = np.random.default_rng(3)
    unit = lambda shape: (lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True))(rng.normal(size=shape))  # noqa: E731
    total, angles = scores.NormalsSums.none(), []
    for _ in range(3):
        truth, answer = unit((20, 30, 3)), unit((20, 30, 3))
        answer = truth + 0.3 * answer
        answer /= np.linalg.norm(answer, axis=-1, keepdims=True)
        truth[:2] = np.nan
        total += scores.normals_sums(answer, truth)
        angles.append(np.degrees(np.arccos(np.clip((answer[2:] * truth[2:]).sum(-1), -1, 1))).ravel())
    every = np.concatenate(angles)
    got = total.figures()
    assert got["mean_deg"] == pytest.approx(every.mean(), abs=1e-6) and got["median_deg"] == pytest.approx(
        np.median(every), abs=0.06
    )
    for key, limit in (("under_11_25", 11.25), ("under_22_5", 22.5), ("under_30", 30)):
        assert got[key] == pytest.approx(np.mean(every < limit), abs=1e-6)


def test_concepts_against_the_published_rules():
    """The evaluator of SAM 3, written down again for masks of one picture: counts by threshold, its guard
    terms of 1e-4 and all."""
    pytest.importorskip("pycocotools")
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(4)
    thresholds = np.linspace(0.5, 0.95, 10)
    pairs, tp, fp, fn, presence = [], np.zeros(10), np.zeros(10), np.zeros(10), np.zeros((2, 2))
    for i in range(60):
        labels = np.zeros((24, 24), np.uint16)
        true = []
        for n in range(rng.integers(0, 4) if i % 3 else 0):
            y, x = rng.integers(0, 17, 2)
            mask = np.zeros((24, 24), bool)
            mask[y : y + 7, x : x + 7] = True
            true.append(mask)
            if rng.random() < 0.8:
                dy, dx = rng.integers(-1, 2, 2)
                labels[max(y + dy, 0) : y + 7 + dy, max(x + dx, 0) : x + 7 + dx] = n + 1
        if i % 7 == 0:
            labels[20:, 20:] = 9
        pairs.append(saco_gold.matched(labels, [[masks.encode(mask) for mask in true]]))
        answered = [labels == n for n in np.unique(labels[labels > 0])]
        presence[int(bool(true)), int(bool(answered))] += 1
        if not true:
            continue
        iou = np.array([[(a & t).sum() / (a | t).sum() for t in true] for a in answered]).reshape(
            len(answered), len(true)
        )
        rows, columns = optimize.linear_sum_assignment(-iou)
        hits = (iou[rows, columns][None] >= thresholds[:, None] - 1e-9).sum(1)
        tp, fp, fn = tp + hits, fp + len(answered) - hits, fn + len(true) - hits
    got = saco_gold.ConceptProtocol().figures([{"pairs": pairs}], {})["instances"]
    precision, recall = tp / (tp + fp + 1e-4), tp / (tp + fn + 1e-4)
    (tn, false), (missed, hit) = presence
    mcc = (hit * tn - false * missed) / (
        np.sqrt((hit + false) * (hit + missed) * (tn + false) * (tn + missed)) + 1e-6
    )
    pmf1 = np.mean(2 * precision * recall / (precision + recall + 1e-4))
    exact = np.mean(2 * tp / (2 * tp + fp + fn))
    assert got["pmf1"] == pytest.approx(exact, abs=1e-6) and got["pmf1"] == pytest.approx(pmf1, abs=2e-4)
    assert got["il_mcc"] == pytest.approx(mcc, abs=1e-6) and got["cgf1"] == pytest.approx(
        exact * mcc, abs=1e-6
    )
    assert 0.2 < got["pmf1"] < 0.95 and 0 < got["il_mcc"] < 1


def test_the_annotator_that_suits_best_counts_and_an_empty_answer_to_an_empty_truth_is_right():
    pytest.importorskip("pycocotools")
    pytest.importorskip("scipy")
    mask = np.zeros((10, 10), bool)
    mask[2:6, 2:6] = True
    labels = mask.astype(np.uint16)
    drawn, other = masks.encode(mask), masks.encode(~mask)
    assert saco_gold.matched(labels, [[other], [drawn], [drawn, other]])[:2] == [1, 1]
    assert saco_gold.matched(labels * 0, [[drawn], []]) == [0, 0, [0] * 10]  # one saw nothing either
    assert saco_gold.matched(labels * 0, [[drawn], [drawn, other]])[0] == 1
    assert saco_gold.matched(labels, [[], [drawn]])[2] == [1] * 10
    nothing = saco_gold.ConceptProtocol().figures([{"pairs": [[0, 0, [0] * 10]] * 5}], {})["instances"]
    assert nothing["pmf1"] == nothing["il_mcc"] == nothing["cgf1"] == 0 and nothing["negatives"] == 5


def test_thousands_of_frames_in_flat_memory(tmp_path):
    """Nothing is painted here; what counts is that no frame is kept."""

    class Mean(DepthProtocol):
        def measure(self, perceiver, frame, options):
            return {"outside": [0, 0], "depth": scores.depth_sums(frame.truth, frame.truth).tolist()}

    def load():
        return Frame(np.zeros((60, 60, 3), np.uint8), np.full((60, 60), 1.3, np.float32))

    benchmark = Benchmark("real-depth", "many", Mean(), 0, lambda root: [], "", "", "", "", ())
    entries = [Entry(str(i), (), load) for i in range(2_500)]
    grown = []

    def tell(said):
        if said.split(": ")[1].startswith(("500 of", "2500 of")):
            grown.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        perceiver = Perceiver(sets.Painter(sets.rooms(1, SIZE)))
        report = run(benchmark, entries, perceiver, "small", tmp_path / "r.json", Plan(), Options(), {}, tell)
    finally:
        tracemalloc.stop()
    assert report["frames"] == 2_500 and report["depth"]["delta1"] == 1
    # A name and a flag a frame stay: of 2,000 frames that is less than 20 pictures with their truth.
    assert grown[1] - grown[0] < 20 * 60 * 60 * 7
