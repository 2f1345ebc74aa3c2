# SPDX-License-Identifier: Apache-2.0
"""The card, what `evaluate --write` puts into a bundle, and the two verbs."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision_banana_ros.cli.main import main
from vision_banana_ros.evaluation.card import card, write_card
from vision_banana_ros.evaluation.report import origin
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.bundle import add_metrics, renew_manifest

GRAPHS = ("image.onnx", "text.onnx", "answer.onnx", "manifest.json")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A copy of the installed bundle, measured by the command on a few views, without figures of its own
    before."""
    path = tmp_path_factory.mktemp("bundles") / "mine"
    path.mkdir()
    for name in GRAPHS:
        shutil.copy(default_bundle() / name, path)
    renew_manifest(path)
    assert main(["evaluate", str(path), "--count", "3", "--write"]) == 0
    return path


def edit_metrics(path, change):
    metrics = json.loads((path / "metrics.json").read_text())
    (path / "metrics.json").write_text(json.dumps(change(metrics)))
    renew_manifest(path)


@pytest.fixture
def bundle(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "copy")


def rows(text):
    """The rows of all tables that hold a figure; headers are followed by a rule."""
    lines = text.splitlines()
    return [
        a
        for a, b in zip(lines, [*lines[1:], ""], strict=True)
        if a.startswith("|") and re.search(r"\d", a) and b[:2] != "|-"
    ]


def test_evaluate_fills_the_bundle(measured):
    report = open_bundle(measured).metrics["procedural"]
    assert report["views"] == 3 and report["command"] == (
        "vision-banana evaluate mine --split procedural --count 3"
    )
    assert 0 <= report["depth"]["delta1"] <= 1 and report["legends"]["legends"] == 4
    assert report["version"] and report["executor"]
    for name in ("procedural.jpg", "procedural_worst.jpg"):
        assert (measured / name).stat().st_size <= 70_000
        picture = cv2.imread(str(measured / name))
        assert picture.shape[0] > 500 and picture.std() > 20
    text = (measured / "README.md").read_text()
    assert "![image, truth, answer: procedural](procedural.jpg)" in text
    assert text == card(open_bundle(measured))


def test_every_figure_of_the_card_is_one_of_the_json(measured, bundle):
    before = rows((measured / "README.md").read_text())
    metrics = open_bundle(measured).metrics["procedural"]
    joined = "\n".join(before)
    for figure in (
        f"{100 * metrics['depth']['delta1']:.1f} %",
        f"{metrics['normals']['mean_deg']:.1f}°",
        f"{100 * metrics['semantic']['miou']:.1f} %",
        f"{metrics['depth']['confidence']['ausc']:.3f}",
        f"{100 * metrics['legends']['agreement']:.1f} %",
    ):
        assert figure in joined

    def double(value):
        if isinstance(value, dict):
            return {key: double(each) for key, each in value.items()}
        return 2 * value + 0.0357 if isinstance(value, float) else value

    edit_metrics(bundle, double)
    after = rows(write_card(bundle).read_text())
    assert len(after) == len(before)
    facts = 7  # the manifest's rows, about the bundle itself
    same = [row for row in after[facts:] if row in before]
    assert not same


def test_the_card_can_be_written_again_and_the_bundle_stays_whole(bundle, capsys):
    first = (bundle / "README.md").read_text()
    (bundle / "README.md").write_text("nonsense")
    assert main(["card", str(bundle)]) == 2
    assert "cut off or altered" in capsys.readouterr().err
    (bundle / "README.md").unlink()
    renew_manifest(bundle)
    assert main(["card", str(bundle)]) == 0
    assert (bundle / "README.md").read_text() == first
    assert "README.md" in open_bundle(bundle).manifest.files


def test_a_card_without_figures_says_what_the_bundle_is(bundle):
    for name in ("metrics.json", "README.md", "procedural.jpg", "procedural_worst.jpg"):
        (bundle / name).unlink()
    renew_manifest(bundle)
    text = write_card(bundle).read_text()
    assert text.startswith(f"# {open_bundle(bundle).manifest.name}\n") and "How good it is" not in text


def test_what_it_is_bad_at_is_chosen_by_figures(bundle):
    def change(metrics):
        report = metrics["procedural"]
        report["depth"]["bands"] = {
            "1-2 m": {"delta1": 0.9, "absrel": 0.1, "rmse_m": 0.2, "readable": 1.0},
            "5-10 m": {"delta1": 0.31, "absrel": 0.44, "rmse_m": 3.0, "readable": 1.0},
        }
        report["semantic"]["classes"] = {**{f"class {k}": 0.5 for k in range(8)}, "cable": 0.01}
        return metrics

    edit_metrics(bundle, change)
    weak = write_card(bundle).read_text().split("## What it is bad at")[1].split("##")[0]
    assert "depth at 5-10 m: 31.0 % within 1.25, AbsRel 0.440" in weak and "1-2 m" not in weak
    assert "IoU: cable 1.0 %" in weak


def test_credits_generation_and_comparison_have_their_places(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["made"]["credits"] = "Kitchen (CC-BY 3.0): A. Carpenter, B. Potter\nGarden (CC0): C. Gardener"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    edits = {"done": 0.5, "kept": 0.8, "score": 0.4321, "trials": 60, "kinds": {}}
    captions = {"found": 0.6, "chance": 0.2, "score": 0.5, "trials": 60}
    generation = {"edits": edits, "captions": captions, "score": 0.46}

    def change(metrics):
        teacher = {"depth": {"delta1": metrics["procedural"]["depth"]["delta1"] / 2}}
        metrics["procedural"]["against"] = {"teacher": teacher}
        return {**metrics, "generation": {**generation, "against": {"base": {**generation, "score": 0.5}}}}

    edit_metrics(bundle, change)
    text = write_card(bundle).read_text()
    assert "- Kitchen (CC-BY 3.0): A. Carpenter, B. Potter\n- Garden (CC0): C. Gardener" in text
    assert "60 edits and 60 captions" in text and text.count("43.2 %") == 2
    assert "The score is 0.92 times that of base." in text
    assert "## Against teacher, procedural" in text and "+100.0 %" in text


def test_evaluate_prints_a_table_or_json(measured, tmp_path, capsys):
    assert main(["evaluate", str(measured), "--count", "1"]) == 0
    out, err = capsys.readouterr()
    assert "| depth within 1.25 (δ1) " in out and "procedural: 1 of 1" in err
    np.savez(tmp_path / "one_depth.npz", depth_m=np.full((60, 80), 2.0))
    cv2.imwrite(str(tmp_path / "one.png"), np.full((60, 80, 3), 90, np.uint8))
    assert main(["evaluate", str(measured), "--split", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["views"] == 1 and set(report) >= {"depth", "command", "version"} and "normals" not in report
    assert "/" not in report["command"]
    assert main(["evaluate", str(measured), "--split", "nowhere"]) == 2
    assert "no split 'nowhere'" in capsys.readouterr().err


def test_a_bundle_against_another(measured, capsys):
    assert main(["evaluate", str(measured), "--count", "1", "--against", str(measured), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (other,) = report["against"].values()
    assert other["depth"]["delta1"] == report["depth"]["delta1"]


def test_a_teacher_beside_its_student(bundle):
    report = open_bundle(bundle).metrics["procedural"]
    theirs = {"the teacher, 8 steps": {"normals": {"mean_deg": report["normals"]["mean_deg"] * 2}}}
    add_metrics(bundle, "procedural", report | {"against": theirs})
    text = write_card(bundle).read_text()
    assert re.search(
        r"## Against the teacher, 8 steps, procedural\n.*\n.*\n\| normals mean .*\+50\.0 % \|", text
    )


def test_pictures_that_are_not_ours_are_not_shown(bundle, tmp_path):
    (tmp_path / "photos").mkdir()
    np.savez(tmp_path / "photos" / "one_depth.npz", depth_m=np.full((60, 80), 2.0))
    cv2.imwrite(str(tmp_path / "photos" / "one.png"), np.full((60, 80, 3), 90, np.uint8))
    assert main(["evaluate", str(bundle), "--split", str(tmp_path / "photos"), "--write"]) == 0
    assert set(open_bundle(bundle).metrics) == {"procedural", "real:photos"}
    assert {file.name for file in bundle.glob("*.jpg")} == {"procedural.jpg", "procedural_worst.jpg"}


def test_the_origin_is_a_version_and_maybe_a_commit():
    found = origin()
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    assert re.fullmatch(r"[0-9a-f]{12}\+?", found.get("commit", "0" * 12))


def test_cards_in_the_repository_are_those_of_their_figures():
    for manifest in Path(__file__).parents[2].glob("models/*/manifest.json"):
        bundle = open_bundle(manifest.parent)
        assert bundle.metrics, (
            f"{bundle.path} has no figures: run vision-banana evaluate {bundle.path} --write"
        )
        if "README.md" in bundle.manifest.files:
            assert (bundle.path / "README.md").read_text() == card(bundle), (
                f"run vision-banana card {bundle.path}"
            )
