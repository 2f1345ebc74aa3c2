# SPDX-License-Identifier: Apache-2.0
"""Each score against a case worked by hand, and the whole against a generator that paints the truth."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.scores import (
    DepthScore,
    InstancesScore,
    NormalsScore,
    ReferringScore,
    SemanticScore,
)
from vision_banana_ros.evaluation.splits import folder, procedural
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import far_apart


def test_depth_by_hand():
    score = DepthScore(far_m=50)
    truth = np.array([[1.0, 2.0, 4.0, np.inf, 60.0, np.nan, 8.0, 10.0]])
    answer = np.array([[1.1, 2.6, 4.0, 3.00, 60.0, 1.000, np.nan, np.inf]])
    score.add(answer, truth)
    result = score.result()
    # known: 1, 2, 4, 8, 10; read: the first three; within 1.25: 1.1 and 4.0
    assert result["delta1"] == pytest.approx(2 / 5)
    assert result["absrel"] == pytest.approx((0.1 + 0.3 + 0) / 3)
    assert result["rmse_m"] == pytest.approx(np.sqrt((0.01 + 0.36) / 3))
    assert result["readable"] == pytest.approx(3 / 5)
    assert result["bands"]["1-2 m"]["absrel"] == pytest.approx(0.1)
    assert result["bands"]["2-5 m"]["delta1"] == pytest.approx(0.5)
    assert "20-100 m" not in result["bands"]


def test_depth_too_near_is_as_wrong_as_too_far():
    score = DepthScore()
    score.add(np.array([[1.0, 1.3, 0.7]]), np.array([[1.3, 1.0, 1.0]]))
    assert score.result()["delta1"] == 0


def test_normals_by_hand():
    score = NormalsScore()
    truth = np.array([[[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [np.nan] * 3]], float)
    tilt = np.radians(30)
    answer = np.array([[[0, 0, 1], [0, np.sin(tilt), np.cos(tilt)], [1, 0, 0], [np.nan] * 3, [0, 0, 1]]], float)
    score.add(answer, truth)
    result = score.result()
    assert result["mean_deg"] == pytest.approx((0 + 30 + 90) / 3, abs=1e-4)
    assert result["median_deg"] == pytest.approx(30, abs=0.1)
    assert result["under_11_25"] == pytest.approx(1 / 4)
    assert result["readable"] == pytest.approx(3 / 4)


def test_semantic_by_hand():
    score = SemanticScore(("a", "b", "never"))
    score.add(np.array([[0, 0, 1, 255]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8))
    result = score.result()
    assert result["classes"] == pytest.approx({"a": 1 / 2, "b": 1 / 3})
    assert result["miou"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert result["pixel_accuracy"] == pytest.approx(2 / 4)


def test_referring_by_hand():
    score = ReferringScore()
    row = lambda text: np.array([[c == "x" for c in text]])  # noqa: E731
    score.add(row("xx.."), row(".xx."))  # 1 of 3
    score.add(row("xxxx"), row("xxxx"))  # 4 of 4
    score.add(row("...."), row("...."))
    score.add(row("x..."), row("...."))
    result = score.result()
    assert result["ciou"] == pytest.approx(5 / 7)
    assert result["giou"] == pytest.approx((1 / 3 + 1) / 2)
    assert result["false_positive"] == pytest.approx(1 / 2)


def test_instances_by_hand():
    score = InstancesScore()
    truth = np.zeros((10, 20), np.uint16)
    truth[:, :10], truth[:, 10:] = 1, 2
    answer = truth.copy()
    answer[:4, 10:] = 0  # the second is found with IoU .6: thresholds .5, .55 and .6
    score.add(answer, truth)
    empty = np.zeros_like(truth)
    score.add(empty, empty)
    result = score.result()
    assert result["pmf1"] == pytest.approx((3 * 1.0 + 7 * 0.5) / 10)
    assert result["il_mcc"] == pytest.approx(1)
    score.add(truth, empty)  # a find where there is nothing: presence suffers, F1 on positives does not
    assert score.result()["pmf1"] == pytest.approx(result["pmf1"])
    assert score.result()["il_mcc"] == pytest.approx((1 * 1 - 0) / np.sqrt(2 * 1 * 2 * 1))


class TruthPainter:
    """Paints each case's truth; `spoil` bends it."""

    def __init__(self, cases, spoil=lambda rgb: rgb):
        self.cases, self.spoil, self.next = cases, spoil, iter(cases)
        self.size = cases[0].depth_m.shape
        self.legend = dict(zip(CLASSES, far_apart(len(CLASSES), ["black"]), strict=True))
        self.manifest = SimpleNamespace(legend=self.legend, depth_range_m=(0.1, 100.0))

    def paint(self, image, instructions):
        case = next(self.next)
        color = far_apart(1, ["black"])[0]
        painted = [depth.encode(case.depth_m), normals.encode(case.normals), semantic.encode(case.labels, self.legend)]
        painted += [referring.encode(mask, color) for _, mask in case.expressions]
        painted.append(instances.encode(np.where(case.labels == case.thing, case.instances, 0)))
        assert len(painted) == len(instructions)
        return np.stack([self.spoil(rgb) for rgb in painted])


def test_painted_truth_scores_full_marks_and_spoilt_truth_does_not():
    cases = list(procedural(6))
    best = evaluate(Perceiver(TruthPainter(cases)), cases)
    assert best["depth"]["delta1"] == pytest.approx(1)
    assert best["depth"]["absrel"] < 1e-3
    assert best["normals"]["mean_deg"] < 0.1
    assert best["semantic"]["miou"] == pytest.approx(1)
    assert best["referring"]["ciou"] == pytest.approx(1) and best["referring"]["false_positive"] in (0, pytest.approx(0))
    assert best["instances"]["pmf1"] > 0.8  # things in two parts, far apart, are two to the paper's decoder
    worse = evaluate(Perceiver(TruthPainter(cases, spoil=lambda rgb: rgb[:, ::-1])), cases)
    assert worse["depth"]["absrel"] > 0.1 and worse["semantic"]["miou"] < 0.9 and worse["normals"]["mean_deg"] > 5


def test_a_split_is_fixed_by_its_seeds():
    first, second = (next(iter(procedural(1))) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.depth_m, second.depth_m)
    assert first.expressions[0][0] == second.expressions[0][0]


def test_a_folder_of_pictures_with_depth(tmp_path):
    with pytest.raises(InputError, match="holds no NAME_depth.npz"):
        list(folder(tmp_path))
    np.savez(tmp_path / "one_depth.npz", depth_m=np.full((4, 6), 2.5, np.float32))
    with pytest.raises(InputError, match="cannot be read as a picture"):
        list(folder(tmp_path))
    cv2.imwrite(str(tmp_path / "one.png"), np.full((4, 6, 3), (0, 0, 255), np.uint8))
    (case,) = folder(tmp_path)
    assert case.name == "one" and case.depth_m[0, 0] == 2.5
    np.testing.assert_array_equal(case.image[0, 0], (255, 0, 0))
