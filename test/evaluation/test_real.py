# SPDX-License-Identifier: Apache-2.0
"""Folders of real frames: what is read from them, what a generator scores on them, and what is said of
broken ones."""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from oracle import answer_format

from vision_banana_ros.cli.main import main
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.card import card, junk_table
from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.junk import junk_frames, measure_junk
from vision_banana_ros.evaluation.real import read_mapping, real_set
from vision_banana_ros.evaluation.report import measure
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.bundle import renew_manifest
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks import depth, normals, semantic
from vision_banana_ros.tasks.colors import far_apart, parse_legend

ROOT = Path(__file__).parents[2]
LEGEND = parse_legend(dict(zip(CLASSES, far_apart(len(CLASSES), ["black"]), strict=True)))
NAMES = ["sky", "pole", "road", "pavement", "house"]
MAPPING = {"sky": "sky", "road": "ground", "pavement": "ground", "house": "wall"}
SIZE = (48, 64)
WIDE = (30, 100)


def write_frame(folder, name, depth_m=None, k=None, labels=None, size=SIZE):
    """A frame as such folders hold it; returns its picture."""
    folder.mkdir(exist_ok=True)
    image = np.full((*size, 3), 60 + 10 * len(list(folder.glob("*.png"))), np.uint8)
    cv2.imwrite(str(folder / f"{name}.png"), image)
    if depth_m is not None:
        np.savez_compressed(folder / f"{name}_depth.npz", depth_m=depth_m, **({} if k is None else {"k": k}))
    if labels is not None:
        cv2.imwrite(str(folder / f"{name}_labels.png"), labels)
        (folder / "classes.json").write_text(json.dumps(NAMES))
    return image


def camera(focal, size=SIZE):
    return np.array([[focal, 0, size[1] / 2], [0, focal, size[0] / 2], [0, 0, 1.0]])


class Painter:
    """Paints the same depth and the same labels, whatever the frame; 25 px is the lens that depth is
    painted for."""

    size = SIZE

    def __init__(self, depth_m=None, labels=None, tasks=("depth", "semantic")):
        self.depth_m, self.labels = depth_m, labels
        self.manifest = answer_format(
            legend=LEGEND, depth_range_m=(0.1, 100.0), depth_focal_px=25.0, tasks=tasks
        )

    def paint(self, image, instructions):
        painted = {
            depth.instruction(): lambda: depth.encode(self.depth_m),
            semantic.instruction(LEGEND): lambda: semantic.encode(self.labels, LEGEND),
            normals.instruction(): lambda: normals.encode(np.full((*SIZE, 3), (0, 0, 1), np.float32)),
        }
        return np.stack([painted[text]() for text in instructions]).astype(np.float32)


# ---- depth


def test_sparse_depth_behind_a_known_lens(tmp_path):
    """The lens is twice as long as the painted one, so what is painted at 2 m is seen at 4 m. Four pixels
    in all are known."""
    sparse = np.full(SIZE, np.nan, np.float32)
    sparse[10, 10], sparse[10, 50], sparse[40, 10], sparse[40, 50] = 4.0, 4.4, 8.0, 90.0
    write_frame(tmp_path / "walk", "a", sparse, camera(50))
    split = real_set(tmp_path / "walk")
    (case,) = split
    assert (split.name, split.ours, len(split), case.name) == ("real:walk", False, 1, "a")
    assert (case.intrinsics.fx, case.intrinsics.width, np.isfinite(case.depth_m).sum()) == (50, 64, 4)
    figures = measure(Perceiver(Painter(np.full(SIZE, 2.0))), split)["depth"]
    assert figures["delta1"] == pytest.approx(2 / 4) and "focal_px_taken" not in figures
    assert figures["absrel"] == pytest.approx((0 + 0.4 / 4.4 + 4 / 8 + 86 / 90) / 4, abs=1e-3)
    # the true median is 6.2 m: the aligned map and the constant one are alike here
    for name in ("aligned", "constant"):
        assert figures[f"delta1_{name}"] == pytest.approx(0)
        assert figures[f"absrel_{name}"] == pytest.approx(
            (2.2 / 4 + 1.8 / 4.4 + 1.8 / 8 + 83.8 / 90) / 4, abs=1e-3
        )
    assert figures["scale"] == pytest.approx(6.2 / 4, rel=1e-3)


def test_dense_depth_without_a_lens_and_a_wide_frame_with_one(tmp_path):
    """Of the wide frame, 64 x 19 of the painted pixels are left: its lens of 50 px is one of 32 px there."""
    write_frame(tmp_path / "set", "a", np.full(SIZE, 3.0))
    write_frame(tmp_path / "set", "b", np.full(WIDE, 3.0 * 32 / 25), camera(50, WIDE), size=WIDE)
    report = evaluate(Perceiver(Painter(np.full(SIZE, 3.0))), real_set(tmp_path / "set"))
    assert report["views"] == 2 and report["depth"]["focal_px_taken"] == 25.0
    assert report["depth"]["delta1"] == pytest.approx(1) and report["depth"]["absrel"] < 0.01
    assert report["depth"]["delta1_constant"] == report["depth"]["delta1_aligned"] == pytest.approx(1)
    assert report["depth"]["scale"] == pytest.approx(1, abs=0.01)


def test_zero_is_unknown_too(tmp_path):
    known = np.zeros(SIZE)
    known[5, 5] = 3.0
    write_frame(tmp_path / "set", "a", known)
    figures = evaluate(Perceiver(Painter(np.full(SIZE, 3.0))), real_set(tmp_path / "set"))["depth"]
    assert figures["delta1"] == pytest.approx(1) and figures["readable"] == pytest.approx(1)


# ---- labels


def test_somebody_elses_labels(tmp_path):
    """Eight rows each of sky, pole, road, pavement, house and unknown, answered as sky, sky, ground, wall,
    ground, sky."""
    labels = np.repeat([0, 1, 2, 3, 4, 255], 8)[:, None].repeat(64, 1).astype(np.uint8)
    write_frame(tmp_path / "street", "a", labels=labels)
    answered = [CLASSES.index(name) for name in ("sky", "sky", "ground", "wall", "ground", "sky")]
    painter = Painter(labels=np.repeat(answered, 8)[:, None].repeat(64, 1).astype(np.uint8))
    split = real_set(tmp_path / "street", MAPPING)
    report = measure(Perceiver(painter), split)
    assert "depth" not in report and "legends" not in report
    figures = report["semantic"]
    # sky: right; ground: road of road, pavement and house; wall: pavement was called wall, house was not
    assert figures["classes"] == pytest.approx({"sky": 1, "ground": 1 / 3, "wall": 0}, abs=1e-4)
    assert figures["miou"] == pytest.approx((1 + 1 / 3 + 0) / 3, abs=1e-4)
    assert figures["pixel_accuracy"] == pytest.approx(2 / 4)
    assert report["classes"] == {
        "sky": "sky",
        "pole": None,
        "road": "ground",
        "pavement": "ground",
        "house": "wall",
    }


def test_a_set_may_have_depth_of_some_frames_and_labels_of_others(tmp_path):
    write_frame(tmp_path / "set", "a", np.full(SIZE, 2.0), camera(25))
    write_frame(tmp_path / "set", "b", labels=np.full(SIZE, 2, np.uint8))
    write_frame(tmp_path / "set", "c", np.full(SIZE, 4.0), camera(25), np.full(SIZE, 4, np.uint8))
    write_frame(tmp_path / "set", "d")  # without a truth: no view
    split = real_set(tmp_path / "set", MAPPING)
    assert [case.name for case in split] == ["a", "b", "c"] and len(
        real_set(tmp_path / "set", MAPPING, count=2)
    ) == 2
    painter = Painter(np.full(SIZE, 2.0), np.full(SIZE, CLASSES.index("ground"), np.uint8))
    report = evaluate(Perceiver(painter), split)
    assert report["depth"]["delta1"] == report["semantic"]["pixel_accuracy"] == pytest.approx(1 / 2)
    assert "focal_px_taken" not in report["depth"]  # the frame without a lens is not asked for depth
    specialist = Painter(np.full(SIZE, 2.0), tasks=("depth",))
    assert set(evaluate(Perceiver(specialist), split)) == {"views", "depth", "worst"}


def test_labels_in_our_own_words_need_no_mapping(tmp_path):
    write_frame(tmp_path / "set", "a", labels=np.full(SIZE, 1, np.uint8))
    with pytest.raises(InputError, match=r"not ours \(pole, road, pavement, house\): give --mapping"):
        real_set(tmp_path / "set")
    (tmp_path / "set" / "classes.json").write_text('["floor", "table"]')
    (case,) = real_set(tmp_path / "set")
    assert (case.labels == CLASSES.index("table")).all()


def test_mappings_are_read_from_yaml_and_json(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(MAPPING))
    (tmp_path / "a.yaml").write_text(
        "# a remark\n" + "".join(f"{theirs}: {ours}\n" for theirs, ours in MAPPING.items())
    )
    assert read_mapping(tmp_path / "a.json") == read_mapping(tmp_path / "a.yaml") == MAPPING
    for text, sentence in (
        ("road: lava", "maps 'road' to 'lava', which is no class: take floor, wall,"),
        ("road", "no mapping of classes"),
        ("road: 3", "no mapping of classes"),
        ("", "no mapping of classes"),
        ("{road", "cannot be read"),
    ):
        for name in ("b.yaml", "b.json"):
            (tmp_path / name).write_text(text)
            with pytest.raises(InputError, match=sentence if name == "b.yaml" else "cannot be read"):
                read_mapping(tmp_path / name)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00road")
    with pytest.raises(InputError, match="cannot be read"):
        read_mapping(tmp_path / "b.yaml")


@pytest.mark.parametrize("file", sorted((ROOT / "config" / "real").iterdir()), ids=lambda file: file.name)
def test_the_mappings_of_the_repository_are_whole(file):
    assert len(set(read_mapping(file).values())) > 1


# ---- broken folders


def broken(folder, file, content):
    """One file of a whole frame with depth and labels replaced: by bytes, arrays, a picture, or nothing."""
    labels = np.full(SIZE, 2, np.uint8)
    write_frame(folder, "a", np.full(SIZE, 2.0), camera(25), labels)
    path = folder / file
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        cv2.imwrite(str(path), content)


@pytest.mark.parametrize(
    "file, content, sentence",
    [
        ("a.png", None, "a truth of 'a' but no a.png"),
        ("a.png", b"no picture", "cannot be read as a picture"),
        ("a_depth.npz", b"", "cannot be read as arrays"),
        ("a_depth.npz", b"PK\x03\x04 cut off", "cannot be read as arrays"),
        ("a_depth.npz", {"depth": np.ones(SIZE)}, "no array 'depth_m'"),
        ("a_depth.npz", {"depth_m": np.ones((48, 63))}, "one depth a pixel"),
        (
            "a_depth.npz",
            {"depth_m": np.full(SIZE, 2000, np.uint16)},
            "stores depth as uint16: store floats, in metres",
        ),
        ("a_depth.npz", {"depth_m": np.full(SIZE, np.nan)}, "knows no depth at all"),
        ("a_depth.npz", {"depth_m": np.array([[{}]])}, "cannot be read as arrays"),
        ("a_depth.npz", {"depth_m": np.ones(SIZE), "k": np.ones(4)}, "no 3x3 camera matrix"),
        ("a_depth.npz", {"depth_m": np.ones(SIZE), "k": np.full((3, 3), np.nan)}, "no 3x3 camera matrix"),
        (
            "a_depth.npz",
            {"depth_m": np.ones(SIZE), "k": np.zeros((3, 3))},
            "focal lengths 0.0, 0.0 cannot be",
        ),
        ("classes.json", None, r"classes\.json is missing"),
        ("classes.json", b"[", "cannot be read as JSON"),
        ("classes.json", b'{"0": "sky"}', "no list"),
        ("classes.json", b'["sky", "sky", "road"]', "names a class twice"),
        ("classes.json", b'["street", "grass"]', r"none of the classes of .* \(street, grass\)"),
        ("classes.json", b'["sky", "road"]', "holds 2, and classes.json names 2"),
        ("a_labels.png", b"no picture", "no grey picture of 8 bits"),
        ("a_labels.png", np.zeros((*SIZE, 3), np.uint8), "no grey picture of 8 bits"),
        ("a_labels.png", np.zeros(SIZE, np.uint16), "no grey picture of 8 bits"),
        ("a_labels.png", np.zeros((48, 63), np.uint8), "one label a pixel"),
    ],
)
def test_what_is_broken_is_said(tmp_path, file, content, sentence):
    broken(tmp_path / "set", file, content)
    with pytest.raises(InputError, match=sentence):
        list(real_set(tmp_path / "set", MAPPING))


def test_folders_without_a_truth(tmp_path):
    write_frame(tmp_path / "set", "a")
    with pytest.raises(InputError, match=r"holds no NAME_depth\.npz or NAME_labels\.png"):
        real_set(tmp_path / "set")
    for path in (tmp_path / "set" / "a.png", tmp_path / "nowhere"):
        with pytest.raises(InputError, match="There is no folder"):
            real_set(path)


# ---- frames that show nothing


def test_frames_that_show_nothing():
    frames = junk_frames()
    assert all(image.shape == (480, 640, 3) and image.dtype == np.uint8 for image in frames.values())
    assert [len(np.unique(image.reshape(-1, 3), axis=0)) for image in list(frames.values())[:4]] == [
        1,
        1,
        1,
        1,
    ]
    assert min(frames[name].std() for name in ("noise", "coarse noise")) > 70
    tall = cv2.resize(frames["coarse noise"], (80, 60), interpolation=cv2.INTER_AREA)
    assert tall.std() > 70  # which noise of single pixels is not, once it is made smaller
    np.testing.assert_array_equal(frames["noise"], junk_frames()["noise"])


def test_what_a_sure_and_a_silent_generator_make_of_them():
    sure = measure_junk(
        Perceiver(
            Painter(
                np.full(SIZE, 2.0), np.zeros(SIZE, np.uint8), ("depth", "normals", "semantic", "referring")
            )
        )
    )
    assert set(sure["frames"]) == set(junk_frames())
    assert all(set(answers) == {"depth", "normals", "semantic"} for answers in sure["frames"].values())
    assert all(
        a["readable"] == 1 and a["confidence"] > 0.9
        for answers in sure["frames"].values()
        for a in answers.values()
    )

    class Silent(Painter):
        def paint(self, image, instructions):
            return np.full((len(instructions), *SIZE, 3), 0.5, np.float32)

    silent = measure_junk(Perceiver(Silent(tasks=("depth",))))["frames"]["black"]
    assert silent["depth"]["readable"] < 0.01 and silent["depth"]["confidence"] < 0.01
    assert re.search(r"\| black +\| +0\.0 % / 0\.000 \|", junk_table({"frames": {"black": silent}}))
    nothing = measure_junk(Perceiver(Painter(tasks=("referring",))))
    assert nothing == {"frames": {}, "refused": list(junk_frames())}


# ---- the command and the card


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A folder with depth and one with labels, and a mapping."""
    out = tmp_path_factory.mktemp("real")
    for name, metres in (("a", 2.0), ("b", 3.0)):
        write_frame(out / "hall", name, np.full(SIZE, metres, np.float32), camera(50))
    write_frame(
        out / "street", "a", labels=np.repeat([0, 1, 2, 4], 12)[:, None].repeat(64, 1).astype(np.uint8)
    )
    (out / "mapping.json").write_text(json.dumps(MAPPING))
    return out


@pytest.fixture(scope="module")
def measured(sets, tmp_path_factory):
    """A copy of the installed bundle with figures of real frames alone."""
    path = tmp_path_factory.mktemp("bundles") / "mine"
    path.mkdir()
    for name in ("image.onnx", "text.onnx", "answer.onnx", "manifest.json"):
        shutil.copy(default_bundle() / name, path)
    renew_manifest(path)
    assert main(["evaluate", str(path), "--only-real", *arguments(sets), "--write"]) == 0
    return path


def arguments(sets):
    return ["--real", str(sets / "hall"), str(sets / "street"), "--mapping", str(sets / "mapping.json")]


def test_real_sets_have_their_columns_in_the_card(measured):
    bundle = open_bundle(measured)
    metrics = bundle.metrics
    assert set(metrics) == {"real:hall", "real:street", "junk"}
    hall = metrics["real:hall"]
    assert (
        hall["views"] == 2 and hall["depth"]["delta1_constant"] == 1 and hall["version"] and hall["executor"]
    )
    assert hall["command"] == (
        "vision-banana evaluate mine --only-real --real hall street --mapping mapping.json"
    )
    text = (measured / "README.md").read_text()
    assert text == card(bundle)
    assert re.search(r"\| +\| real:hall \| real:street \|", text)
    assert re.search(r"\| constant map δ1 +\| +100\.0 % \| +– \|", text) and "looks at no picture" in text
    assert (
        "- **real:street**: 1 views. Its classes as ours: sky: sky; ground: road, pavement; wall: house."
        " Left out: pole."
    ) in text
    assert "## Frames that show nothing" in text and "| coarse noise" in text
    assert text.count(hall["command"]) == 1
    assert not list(measured.glob("*.jpg")) and "## Pictures" not in text


def test_real_frames_beside_a_split(measured, sets, capsys):
    words = ["evaluate", str(measured), "--count", "1", *arguments(sets), "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["views"] == 1 and "normals" in report  # the split's, as without real frames
    assert set(report["real"]) == {"real:hall", "real:street"} and report["real"]["real:hall"]["views"] == 1
    assert set(report["junk"]["frames"]) == set(junk_frames())
    assert main([*words[:-1], "--only-real", "--against", str(measured)]) == 0
    out = capsys.readouterr().out
    other = open_bundle(measured).manifest.name
    assert re.search(rf"\| real:hall +\| +this \| +{other} \|", out) and re.search(
        rf"\| real:street +\| +this \| +{other} \|", out
    )
    assert (
        re.search(r"\| sky +\| +([\d.]+ %) \| +\1 \|", out) and "| black" in out and "procedural" not in out
    )


def test_a_real_folder_may_be_the_split(measured, sets, capsys):
    assert main(["evaluate", str(measured), "--split", str(sets / "hall"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["views"] == 2 and "junk" not in report and report["command"].endswith("--split hall")


def test_what_cannot_be_measured_is_said_first(measured, sets, tmp_path, capsys):
    shutil.copytree(sets / "hall", tmp_path / "hall")
    (tmp_path / "run" / "network").mkdir(parents=True)
    for words, sentence in (
        (["--only-real"], "give --real DIR"),
        (["--only-real", "--real", str(sets / "hall"), str(tmp_path / "hall")], "both called real:hall"),
        (["--only-real", "--real", str(sets / "street")], "give --mapping"),
        (
            ["--only-real", "--real", str(sets / "hall"), "--mapping", str(tmp_path / "none.yaml")],
            "No such file",
        ),
        (["--real", str(sets)], "holds no NAME_depth.npz"),
    ):
        assert main(["evaluate", str(measured), *words]) == 2
        out, err = capsys.readouterr()
        assert sentence in err and not out and "1 of" not in err
    assert main(["evaluate", str(tmp_path / "run"), "--write"]) == 2
    assert "is a run of training" in capsys.readouterr().err


# ---- what is committed


def test_the_shipped_bundle_is_the_newest_of_the_benchmark_and_not_behind_the_oldest():
    bundles = json.loads((ROOT / "benchmark" / "real.json").read_text())["bundles"]
    oldest, newest = bundles[0], bundles[-1]
    shipped = open_bundle(ROOT / "models" / newest["name"])
    assert shipped.manifest.files["answer.onnx"].startswith(newest["answer.onnx"]), (
        "run python benchmark/real.py OLD NEW --real ..."
    )
    for task, keys in (("depth", ("delta1", "delta1_aligned")), ("semantic", ("miou", "pixel_accuracy"))):
        names = [name for name, before in oldest["sets"].items() if task in before]
        for key in keys:  # over all sets: no single one decides
            before, now = (
                sum(bundle["sets"][name][task][key] for name in names) for bundle in (oldest, newest)
            )
            assert now >= before, f"{task} {key}"


def bomb(path):
    """A depth that is a thousand times as large as its file."""
    np.savez_compressed(path, depth_m=np.ones((500, 500), np.float32))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: bomb(folder / "a_depth.npz"),
        lambda folder: member(folder / "a_depth.npz", b"no array"),
        lambda folder: member(folder / "a_depth.npz", b"\x93NUMPY\1\0\x10\0{'descr': ('<f4'\n"),
        lambda folder: np.save((folder / "a_depth.npz").open("wb"), np.ones(SIZE)),
        lambda folder: replaced(folder / "classes.json", os.mkfifo),
        lambda folder: replaced(folder / "a.png", os.mkfifo),
        lambda folder: replaced(folder / "a.png", lambda path: path.write_bytes(b"\x89PNG")),
        lambda folder: (folder / "classes.json").write_text("[" * 100_000),
        lambda folder: (folder / "classes.json").write_text('["\\ud800"]'),
    ],
)
def test_bombs_pipes_and_nonsense_in_a_folder_are_sentences(tmp_path, monkeypatch, spoil):
    monkeypatch.setattr("vision_banana_ros.evaluation.real.MAX_FILE_BYTES", 900_000)
    write_frame(tmp_path, "a", np.ones(SIZE, np.float32), labels=np.zeros(SIZE, np.uint8))
    spoil(tmp_path)
    with pytest.raises(InputError):
        real_set(tmp_path, MAPPING).case(0)


def member(path, content):
    """A file of arrays whose depth is something else."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("depth_m.npy", content)


def replaced(path, make):
    path.unlink()
    make(path)


@pytest.mark.parametrize("content", ["[" * 100_000, "a: &a [*a]", '{"a": NaN}', b"\xff\xfe\0"])
@pytest.mark.parametrize("ending", [".json", ".yaml"])
def test_a_mapping_that_is_nonsense_is_a_sentence(tmp_path, content, ending):
    path = tmp_path / f"mapping{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError):
        read_mapping(path)
    replaced(path, os.mkfifo)
    with pytest.raises(InputError, match="no ordinary file"):
        read_mapping(path)
