# SPDX-License-Identifier: Apache-2.0
"""Each score against a case worked by hand, and against the same figure computed in another, slower way."""

from itertools import permutations

import numpy as np
import pytest

from vision_banana_ros.evaluation.confidence import ConfidenceScore
from vision_banana_ros.evaluation.scores import (
    DEPTH_BANDS_M,
    DepthScore,
    InstancesScore,
    NormalsScore,
    ReferringScore,
    SemanticScore,
)


def test_depth_by_hand():
    score = DepthScore(far_m=50)
    truth = np.array([[1.0, 2.0, 4.0, np.inf, 60.0, np.nan, 8.0, 10.0]])
    answer = np.array([[1.1, 2.6, 4.0, 3.00, 60.0, 1.000, np.nan, np.inf]])
    assert score.add(answer, truth) == pytest.approx((0.1 + 0.3 + 0) / 3)
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


def test_a_frame_of_which_nothing_was_read_is_the_worst_of_all():
    nothing, metres, up = np.full((2, 2), np.nan), np.ones((2, 2)), np.zeros((2, 2, 3)) + [0, 0, 1]
    assert DepthScore().add(nothing, metres) == np.inf and np.isnan(DepthScore().add(metres, nothing))
    assert NormalsScore().add(up * np.nan, up) == np.inf and np.isnan(NormalsScore().add(up, up * np.nan))


def test_depth_frame_by_frame_is_depth_of_all_pixels_at_once():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 90, (3, 20, 30))
    answer = truth * rng.uniform(0.6, 1.6, truth.shape)
    answer[rng.random(truth.shape) < 0.1] = np.nan
    score = DepthScore()
    for a, t in zip(answer, truth, strict=True):
        score.add(a, t)
    result = score.result()
    for low, high in zip(DEPTH_BANDS_M[:-1], DEPTH_BANDS_M[1:], strict=True):
        inside = (truth >= low) & (truth < high)
        read = inside & ~np.isnan(answer)
        close = [1 / 1.25 < a / t < 1.25 for a, t in zip(answer[inside], truth[inside], strict=True)]
        band = result["bands"][f"{low:g}-{high:g} m"]
        assert band["delta1"] == pytest.approx(np.mean(close))
        assert band["absrel"] == pytest.approx(np.mean(abs(answer[read] / truth[read] - 1)))
        assert band["rmse_m"] == pytest.approx(
            np.linalg.norm(answer[read] - truth[read]) / np.sqrt(read.sum())
        )


def test_normals_by_hand():
    score = NormalsScore()
    truth = np.array([[[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [np.nan] * 3]], float)
    tilt = np.radians(30)
    answer = np.array(
        [[[0, 0, 1], [0, np.sin(tilt), np.cos(tilt)], [1, 0, 0], [np.nan] * 3, [0, 0, 1]]], float
    )
    assert score.add(answer, truth) == pytest.approx(40, abs=1e-4)
    result = score.result()
    assert result["mean_deg"] == pytest.approx((0 + 30 + 90) / 3, abs=1e-4)
    assert result["median_deg"] == pytest.approx(30, abs=0.1)
    assert result["under_11_25"] == pytest.approx(1 / 4)
    assert result["readable"] == pytest.approx(3 / 4)


def test_normals_against_angles_by_arctangent():
    rng = np.random.default_rng(1)
    truth, answer = rng.normal(size=(2, 40, 50, 3))
    answer = truth + 0.6 * answer
    truth, answer = (v / np.linalg.norm(v, axis=2, keepdims=True) for v in (truth, answer))
    score = NormalsScore()
    for rows in (slice(0, 15), slice(15, 40)):
        score.add(answer[rows].astype(np.float32), truth[rows].astype(np.float32))
    degrees = np.degrees(np.arctan2(np.linalg.norm(np.cross(answer, truth), axis=2), (answer * truth).sum(2)))
    result = score.result()
    assert result["mean_deg"] == pytest.approx(degrees.mean(), abs=1e-3)
    assert result["median_deg"] == pytest.approx(np.median(degrees), abs=0.1)
    for key, limit in (("under_11_25", 11.25), ("under_22_5", 22.5), ("under_30", 30)):
        assert result[key] == pytest.approx((degrees < limit).mean(), abs=1e-3)


def test_semantic_by_hand():
    score = SemanticScore(("a", "b", "never"))
    assert score.add(
        np.array([[0, 0, 1, 255]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8)
    ) == pytest.approx(2 / 4)
    result = score.result()
    assert result["classes"] == pytest.approx({"a": 1 / 2, "b": 1 / 3})
    assert result["miou"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert result["pixel_accuracy"] == pytest.approx(2 / 4)


def test_semantic_against_one_mask_a_class():
    rng = np.random.default_rng(2)
    truth = rng.choice([0, 1, 2, 3, 255], (4, 30, 30), p=[0.4, 0.3, 0.15, 0.05, 0.1]).astype(np.uint8)
    answer = np.where(
        rng.random(truth.shape) < 0.6, truth, rng.choice([0, 1, 2, 4, 255], truth.shape)
    ).astype(np.uint8)
    score = SemanticScore(("a", "b", "c", "d", "e"))
    for a, t in zip(answer, truth, strict=True):
        score.add(a, t)
    known = truth != 255
    ious = [
        ((answer == k) & (truth == k)).sum() / (((answer == k) | (truth == k)) & known).sum()
        for k in range(4)
    ]
    assert score.result()["miou"] == pytest.approx(np.mean(ious))
    assert list(score.result()["classes"].values()) == pytest.approx(ious)


def test_referring_by_hand():
    score = ReferringScore()
    row = lambda text: np.array([[c == "x" for c in text]])  # noqa: E731
    assert score.add(row("xx.."), row(".xx.")) == pytest.approx(2 / 3)  # 1 of 3
    score.add(row("xxxx"), row("xxxx"))  # 4 of 4
    assert score.add(row("...."), row("....")) == 0
    assert score.add(row("x..."), row("....")) == 1
    result = score.result()
    assert result["ciou"] == pytest.approx(5 / 7)
    assert result["giou"] == pytest.approx((1 / 3 + 1) / 2)
    assert result["false_positive"] == pytest.approx(1 / 2)
    assert (result["expressions"], result["negatives"]) == (4, 2)


def test_referring_against_sets_of_pixels():
    rng = np.random.default_rng(3)
    pairs = [(rng.random((9, 11)) < 0.4, rng.random((9, 11)) < 0.3) for _ in range(20)]
    score = ReferringScore()
    for mask, truth in pairs:
        score.add(mask, truth)
    sets = [tuple(set(zip(*np.nonzero(x), strict=True)) for x in pair) for pair in pairs]
    both, either = [len(a & b) for a, b in sets], [len(a | b) for a, b in sets]
    assert score.result()["ciou"] == pytest.approx(sum(both) / sum(either))
    assert score.result()["giou"] == pytest.approx(sum(b / e for b, e in zip(both, either, strict=True)) / 20)


def test_instances_by_hand():
    score = InstancesScore()
    truth = np.zeros((10, 20), np.uint16)
    truth[:, :10], truth[:, 10:] = 1, 2
    answer = truth.copy()
    answer[:4, 10:] = 0  # the second is found with IoU .6: thresholds .5, .55 and .6
    assert score.add(answer, truth) == pytest.approx(1 - (3 * 1.0 + 7 * 0.5) / 10)
    empty = np.zeros_like(truth)
    score.add(empty, empty)
    result = score.result()
    assert result["pmf1"] == pytest.approx((3 * 1.0 + 7 * 0.5) / 10)
    assert result["il_mcc"] == pytest.approx(1)
    assert result["cgf1"] == pytest.approx(result["pmf1"])
    score.add(truth, empty)  # a find where there is nothing: presence suffers, F1 on positives does not
    assert score.result()["pmf1"] == pytest.approx(result["pmf1"])
    assert score.result()["il_mcc"] == pytest.approx((1 * 1 - 0) / np.sqrt(2 * 1 * 2 * 1))


def test_one_answer_over_two_halves_is_one_match_at_most():
    truth = np.repeat([[1, 2]], 10, axis=0).repeat(10, axis=1).astype(np.uint16)
    for answer, true in ((np.ones_like(truth), truth), (truth, np.ones_like(truth))):
        score = InstancesScore()
        score.add(answer, true)
        # IoU .5 counts at the first threshold alone
        assert score.result()["pmf1"] == pytest.approx((2 / 3) / 10)


def test_instances_against_the_best_of_all_assignments():
    """Micro F1 by trying every assignment, and IL_MCC as the correlation coefficient of two rows of 0 and
    1."""
    rng = np.random.default_rng(4)
    pictures = []
    for _ in range(25):
        truth, answer = np.zeros((2, 24, 24), np.uint16)
        for k in range(rng.integers(0, 4)):
            y, x, size = *rng.integers(0, 16, 2), rng.integers(6, 9)
            truth[y : y + size, x : x + size] = k + 1
            if rng.random() < 0.8:
                y, x = np.clip((y, x) + rng.integers(-1, 2, 2), 0, 16)
                answer[y : y + size, x : x + size] = k + 4
        if rng.random() < 0.3:
            answer[20:23, 2:9] = 40
        pictures.append((answer, truth))
    score = InstancesScore(least_share=0)
    for picture in pictures:
        score.add(*picture)
    f1 = []
    for threshold in np.linspace(0.5, 0.95, 10):
        matched = found = true = 0
        for answer, truth in pictures:
            if not truth.any():
                continue
            answers = [answer == k for k in np.unique(answer[answer > 0])]
            things = [truth == k for k in np.unique(truth[truth > 0])]
            good = [[(a & t).sum() / (a | t).sum() >= threshold - 1e-9 for t in things] for a in answers]
            slots = [*range(len(things)), *[-1] * len(answers)]
            matched += max(
                sum(s >= 0 and good[i][s] for i, s in enumerate(p)) for p in permutations(slots, len(answers))
            )
            found, true = found + len(answers), true + len(things)
        f1.append(matched / (matched + 0.5 * (found - matched + true - matched)))
    result = score.result()
    assert result["pmf1"] == pytest.approx(np.mean(f1)) and 0.2 < result["pmf1"] < 0.9
    there = [(answer.any(), truth.any()) for answer, truth in pictures]
    assert result["il_mcc"] == pytest.approx(np.corrcoef(np.array(there, float).T)[0, 1])
    assert result["cgf1"] == pytest.approx(result["pmf1"] * result["il_mcc"])


def confidence_of(confidence, error):
    score = ConfidenceScore()
    for half in (slice(0, len(error) // 2), slice(len(error) // 2, None)):
        score.add(np.array(confidence, np.float32)[half], np.array(error, float)[half])
    return score.result()


def test_confidence_by_hand():
    # right is surer than wrong: nothing is wrong up to half, then 2 (r - 1/2) of all errors at a share r of
    # the pixels
    sure = confidence_of([0.95, 0.15], [0, 1])
    assert sure["ausc"] == pytest.approx(1 - np.log(2))
    assert sure["ause"] == pytest.approx(0) and sure["gain"] == pytest.approx(1)
    assert sure["error_of_most_confident"] == pytest.approx(
        {"1": 0.5, "0.9": 4 / 9, "0.75": 1 / 3, "0.5": 0, "0.25": 0}
    )
    assert sure["bins"] == {"0.1-0.2": {"share": 0.5, "error": 1.0}, "0.9-1": {"share": 0.5, "error": 0.0}}
    # wrong is surer than right: 2 up to half, then 1 / r
    assert confidence_of([0.1, 0.9], [0, 1])["ausc"] == pytest.approx(1 + np.log(2))
    # all alike: whichever goes first, what remains is as bad as before
    assert confidence_of([0.5, 0.5], [0, 1])["ausc"] == pytest.approx(1)
    assert confidence_of([0.5, 0.5], [0, 1])["gain"] == pytest.approx(0)


def test_nothing_wrong_and_nothing_read_give_no_area():
    assert np.isnan(confidence_of([0.2, 0.8], [0, 0])["ausc"])
    assert np.isnan(confidence_of([], [])["ausc"])


def test_confidence_against_removing_pixels_one_by_one():
    rng = np.random.default_rng(5)
    error = rng.exponential(0.2, 3000)
    # with many alike
    confidence = np.clip(np.round(0.9 - error + rng.normal(0, 0.2, 3000), 2), 0, 0.99) + 0.005

    def area(order):
        kept = np.cumsum(error[order]) / np.arange(1, 3001)
        return kept.mean() / error.mean()

    # ties are broken at random, many times
    chances = [area(np.lexsort((rng.random(3000), -confidence))) for _ in range(60)]
    result = confidence_of(confidence, error)
    assert result["ausc"] == pytest.approx(np.mean(chances), abs=2e-3)
    assert result["ausc_oracle"] == pytest.approx(area(np.argsort(error)), abs=2e-3)
    assert 0.3 < result["gain"] < 1
    surest = confidence >= 0.8
    share, mean = (
        sum(b["share"] for k, b in result["bins"].items() if k[:3] in ("0.8", "0.9")),
        error[surest].mean(),
    )
    assert share == pytest.approx(surest.mean())
    assert (
        result["bins"]["0.9-1"]["error"] == pytest.approx(error[confidence >= 0.9].mean())
        and mean < error.mean()
    )
