# SPDX-License-Identifier: Apache-2.0
"""Splits, and whole reports of generators of which it is known what they must score."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from oracle import answer_format

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation import retention
from vision_banana_ros.evaluation.card import depth_note
from vision_banana_ros.evaluation.evaluate import evaluate, in_legend
from vision_banana_ros.evaluation.figures import compare, report_table, tidy
from vision_banana_ros.evaluation.legend_permutations import measure_legends
from vision_banana_ros.evaluation.splits import open_split, procedural
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.perception.ensemble import permuted
from vision_banana_ros.scenes import CLASSES, kernel, make_world
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import far_apart, parse_legend

OWN = parse_legend(dict(zip(CLASSES, far_apart(len(CLASSES), ["black"]), strict=True)))


class Truthful:
    """Paints each case's truth; `spoil` bends it."""

    def __init__(self, cases, spoil=lambda rgb: rgb):
        self.cases, self.spoil = {case.image.tobytes(): case for case in cases}, spoil
        self.size = cases[0].depth_m.shape
        self.manifest = answer_format(legend=OWN, depth_range_m=(0.1, 100.0))

    def paint(self, image, instructions):
        case = self.cases[image.tobytes()]
        color = far_apart(1, ["black"])[0]
        painted = [
            depth.encode(case.depth_m),
            normals.encode(case.normals),
            semantic.encode(case.labels, OWN),
        ]
        painted += [referring.encode(mask, color) for _, mask in case.expressions]
        painted.append(instances.encode(np.where(case.labels == case.thing, case.instances, 0)))
        assert len(painted) == len(instructions)
        return np.stack([self.spoil(rgb) for rgb in painted])


@pytest.fixture(scope="module")
def cases():
    return list(procedural(6))


def test_painted_truth_scores_full_marks_and_spoilt_truth_does_not(cases):
    told = []
    best = evaluate(Perceiver(Truthful(cases)), cases, told.append)
    assert told == [1, 2, 3, 4, 5, 6] and best["views"] == 6
    assert best["depth"]["delta1"] == pytest.approx(1)
    assert best["depth"]["absrel"] < 1e-3
    assert best["normals"]["mean_deg"] < 0.1
    assert best["semantic"]["miou"] == pytest.approx(1)
    assert best["referring"]["ciou"] == pytest.approx(1) and best["referring"][
        "false_positive"
    ] == pytest.approx(0)
    assert best["instances"]["pmf1"] > 0.8  # things in two parts, far apart, are two to the paper's decoder
    worse = evaluate(Perceiver(Truthful(cases, spoil=lambda rgb: rgb[:, ::-1])), cases)
    assert (
        worse["depth"]["absrel"] > 0.1
        and worse["semantic"]["miou"] < 0.9
        and worse["normals"]["mean_deg"] > 5
    )


class Specialist(Truthful):
    def __init__(self, cases, spoil=lambda rgb: rgb):
        super().__init__(cases, spoil)
        self.manifest = replace(self.manifest, tasks=("depth",))

    def paint(self, image, instructions):
        assert instructions == [depth.instruction()]
        return depth.encode(self.cases[image.tobytes()].depth_m)[None]


def test_a_specialist_is_asked_for_its_task_alone(cases):
    assert set(evaluate(Perceiver(Specialist(cases)), cases)) == {"views", "depth", "worst"}


def test_the_lens_of_a_case_is_used_and_where_there_is_none_the_report_says_what_was_taken(cases):
    painter = Specialist(cases)
    # All views are wider: what is painted true is too far away for their lenses.
    painter.manifest = replace(painter.manifest, depth_focal_px=600.0)
    known = evaluate(Perceiver(painter), cases)["depth"]
    unknown = evaluate(Perceiver(painter), [replace(case, intrinsics=None) for case in cases])["depth"]
    assert known["delta1"] < 0.2 and "focal_px_taken" not in known
    assert unknown["delta1"] == pytest.approx(1) and unknown["focal_px_taken"] == 600.0
    assert (
        "600 px were taken for all" in depth_note({"depth": unknown}) and depth_note({"depth": known}) == ""
    )


def test_the_worst_cases_are_named(cases):
    spoilt = cases[4].depth_m.shape, cases[4].image.tobytes()

    class Once(Truthful):
        def paint(self, image, instructions):
            painted = super().paint(image, instructions)
            return painted[:, ::-1] if image.tobytes() == spoilt[1] else painted

    worst = evaluate(Perceiver(Once(cases)), cases)["worst"]
    assert {worst[task][0]["case"] for task in ("depth", "normals", "semantic")} == {"procedural 4"}
    assert worst["depth"][0]["error"] > 0.05 > worst["depth"][1]["error"]
    assert len({entry["case"] for entry in worst["referring"]}) == len(worst["referring"]) == 3


def test_confidence_of_a_generator_that_knows_where_it_is_wrong(cases):
    """Colours are dragged to grey where they are bent, so what is wrong is unsure."""

    def unsure(rgb):
        bent = np.roll(rgb, 25, axis=1)
        moved = np.abs(bent - rgb).max(2, keepdims=True) > 0.02
        return np.where(moved, 0.92 * bent + 0.08 * 0.5, bent)

    report = evaluate(Perceiver(Truthful(cases, unsure)), cases)
    for task in ("depth", "normals", "semantic"):
        figures = report[task]["confidence"]
        assert figures["ausc_oracle"] <= figures["ausc"] < 0.9 and figures["gain"] > 0.2
        assert figures["error_of_most_confident"]["0.5"] < figures["error_of_most_confident"]["1"]


def test_a_split_is_fixed_by_its_seeds():
    first, second = procedural(8).case(7), list(procedural(8))[7]
    assert first.name == "procedural 7"
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.depth_m, second.depth_m)
    assert [text for text, _ in first.expressions] == [text for text, _ in second.expressions]


def test_the_split_has_negatives_and_all_kinds_of_views():
    split = procedural(60)
    views = list(split)
    masks = [mask for case in views for _, mask in case.expressions]
    assert len(split) == 60 and len(masks) > 100
    assert 0.15 < np.mean([not mask.any() for mask in masks]) < 0.45
    absent = [not (case.labels == case.thing).any() for case in views]
    assert 0.05 < np.mean(absent) < 0.5
    shown = {CLASSES[k] for case in views for k in np.unique(case.labels)}
    assert shown >= {"floor", "wall", "sky", "ground", "shelf", "person", "box", "ball", "mirror"}
    depths = np.concatenate([case.depth_m[::16, ::16].ravel() for case in views])
    assert depths.min() < 0.8 and np.isinf(depths).any() and depths[np.isfinite(depths)].max() > 20


def test_a_split_that_is_none_is_refused():
    with pytest.raises(InputError, match="no split 'nowhere'"):
        open_split("nowhere")
    with pytest.raises(InputError, match="at least one view"):
        open_split("procedural", 0)


def test_the_furnished_split_says_how_to_get_its_models(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match="vision-banana scenes fetch"):
        open_split("furnished")


def test_the_furnished_split_holds_models_kept_from_training_alone(monkeypatch):
    """Worlds stand in for furnished ones; one has a thing of no class."""
    asked = []

    def stand_in(seed, split, edition):
        asked.append((seed, split, edition))
        world = make_world(seed, "room")
        world.prims[world.prims[:, kernel.INSTANCE] == 1, kernel.LABEL] = 255
        return world

    monkeypatch.setattr("vision_banana_ros.scenes.furnished.make_furnished_world", stand_in)
    split = open_split("furnished", 5)
    views = list(split)
    assert asked == [(0, "test", 1), *((seed, "test", 1) for seed in range(5))]
    assert [case.name for case in views] == [f"furnished {k}" for k in range(5)]
    assert any((case.labels == 255).any() for case in views) and all(
        case.thing < len(CLASSES) for case in views
    )


# ---- legends


class Reader(Truthful):
    """Paints labels in the legend that it is asked for, or always in its own; on some pixels in another
    class."""

    def __init__(self, cases, learnt_by_heart=False):
        super().__init__(cases)
        self.by_heart = learnt_by_heart
        legends = [OWN, *(permuted(OWN, np.random.default_rng(seed)) for seed in range(1, 4))]
        self.legends = {semantic.instruction(legend): legend for legend in legends}

    def paint(self, image, instructions):
        labels = self.cases[image.tobytes()].labels
        asked = [OWN if self.by_heart else self.legends[text] for text in instructions]
        return np.stack([semantic.encode(in_legend(labels, tuple(legend)), legend) for legend in asked])


def test_a_reader_of_legends_agrees_with_itself_and_one_by_heart_does_not(cases):
    reads = measure_legends(Perceiver(Reader(cases)), cases)
    assert reads["miou_own"] == reads["miou_others"] == reads["miou_voted"] == pytest.approx(1)
    assert reads["agreement"] == pytest.approx(1) and reads["miou_change"] == pytest.approx(0)
    assert (reads["legends"], reads["views"]) == (4, 6)
    heart = measure_legends(Perceiver(Reader(cases, learnt_by_heart=True)), cases)
    assert heart["miou_own"] == pytest.approx(1)
    assert (
        heart["miou_others"] < 0.2
        and heart["miou_worst"] <= heart["miou_others"]
        and heart["agreement"] < 0.3
    )
    assert heart["miou_change"] == pytest.approx(heart["miou_others"] - heart["miou_own"])


def test_agreement_by_hand():
    """Two legends, four pixels, one of which they see differently."""
    labels = np.array([[0, 0, 1, 1]], np.uint8)
    legend = parse_legend({"floor": "red", "wall": "lime"})
    case = SimpleNamespace(image=np.zeros((1, 4, 3), np.uint8), labels=labels)

    class Two:
        size, manifest = (1, 4), answer_format(legend=legend)

        def paint(self, image, instructions):
            other = permuted(legend, np.random.default_rng(1))
            turned = in_legend(np.array([[0, 1, 1, 1]]), tuple(other))
            return np.stack([semantic.encode(labels, legend), semantic.encode(turned, other)])

    figures = measure_legends(Perceiver(Two()), [case], count=2)
    assert figures["agreement"] == pytest.approx(3 / 4)
    assert figures["miou_own"] == pytest.approx(1)
    assert figures["miou_others"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_permuted_legends_hold_the_same_classes_in_other_colours():
    other = permuted(OWN, np.random.default_rng(1))
    assert set(other) == set(OWN) and list(other) != list(OWN)
    assert sum(other[name] == OWN[name] for name in OWN) < 6
    assert parse_legend(other) == other


# ---- generation


def trial(frame, target, changed):
    grey = lambda row: np.repeat(np.array([row], np.uint8)[..., None], 3, axis=2)  # noqa: E731
    return retention.Trial("recolor", "make it so", grey(frame), grey(target), np.array([changed], bool))


def test_an_edit_by_hand():
    asked = trial([50, 50, 200, 200], [150, 150, 200, 200], [1, 1, 0, 0])
    grey = lambda row: np.repeat(np.array([row], np.uint8)[..., None], 3, axis=2)  # noqa: E731
    assert retention.score_edit(asked.target, asked) == (1, 1)
    assert retention.score_edit(asked.frame, asked) == (0, 1)
    # the first pixel comes nearer to 150, the second does not; the third moves by 20, the fourth by 40
    assert retention.score_edit(grey([101, 99, 220, 160]), asked) == (0.5, 0.5)


def test_captions_by_hand():
    wanted = [{"ball"}, {"box", "chair"}]
    assert retention.score_captions(wanted, wanted) == {"found": 1, "chance": 0, "score": 1, "trials": 2}
    # always a ball and a box: 1 and 1/2 of what was asked, and as much of what was not
    assert retention.score_captions(wanted, [{"ball", "box"}] * 2) == {
        "found": 0.75,
        "chance": 0.75,
        "score": 0,
        "trials": 2,
    }


def test_words_of_a_caption():
    assert retention.named("a room with two boxes, a red ball and three people, wooden floor", OWN) == {
        "box",
        "ball",
        "person",
        "floor",
    }


class Editor:
    """Knows what it is asked for, or leaves the frame as it is."""

    size = (96, 128)

    def __init__(self, monkeypatch, idle=False):
        self.pictures, self.captioned, self.idle = {}, None, idle
        draw_trial, make_view = retention.draw_trial, retention.draw_view

        def see(*args):
            view = make_view(*args)
            self.captioned = view.image
            return view

        def draw(*args):
            drawn = draw_trial(*args)
            if drawn is not None:
                self.pictures[drawn.text] = drawn.target
            return drawn

        monkeypatch.setattr(retention, "draw_view", see)
        monkeypatch.setattr(retention, "draw_trial", draw)

    def paint(self, image, instructions):
        (text,) = instructions
        painted = image if self.idle else self.pictures.get(text, self.captioned)
        return painted[None].astype(np.float32) / 255


class Judge:
    """Sees what was rendered, wherever it is shown exactly; a floor anywhere else."""

    size, manifest = Editor.size, answer_format(legend=OWN)

    def __init__(self):
        self.labels = {}

    def paint(self, image, instructions):
        labels = self.labels.get(image.tobytes(), np.zeros(self.size, np.uint8))
        return semantic.encode(labels, OWN)[None]


@pytest.mark.parametrize("idle", [False, True])
def test_generation_of_one_who_can_and_one_who_does_nothing(monkeypatch, idle):
    editor, judge = Editor(monkeypatch, idle), Judge()
    see = retention.draw_view

    def remember(*args):
        view = see(*args)
        judge.labels[view.image.tobytes()] = view.labels
        return view

    monkeypatch.setattr(retention, "draw_view", remember)
    figures = retention.measure_retention(editor, Perceiver(judge), views=8)
    assert figures["edits"]["trials"] >= 4 and figures["captions"]["trials"] >= 6
    if idle:
        assert figures["edits"]["done"] < 0.01 and figures["edits"]["kept"] > 0.9 and figures["score"] < 0.1
    else:
        assert figures["edits"]["score"] == pytest.approx(1)
        assert (
            figures["captions"]["found"] > 0.95
            and figures["captions"]["score"] > 0.9
            and figures["score"] > 0.9
        )


# ---- reports


def test_two_reports_side_by_side():
    one = {"depth": {"delta1": 0.9, "absrel": 0.11, "rmse_m": None}, "normals": {"mean_deg": 9.0}}
    teacher = {"depth": {"delta1": 0.8, "absrel": 0.10, "rmse_m": 1.0}, "semantic": {"miou": 0.5}}
    compared = compare(one, teacher)
    assert compared["depth"]["delta1"] == {"ours": 0.9, "theirs": 0.8, "better": pytest.approx(0.125)}
    assert compared["depth"]["absrel"]["better"] == pytest.approx(-0.1)
    assert set(compared) == {"depth"} and set(compared["depth"]) == {"delta1", "absrel"}


def test_a_table_for_the_terminal():
    text = report_table(
        {"one": {"depth": {"delta1": 0.5, "rmse_m": 1.25}}, "two": {"normals": {"mean_deg": 12.04}}}
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[0] == ["", "one", "two"] and len({len(line) for line in text.splitlines()}) == 1
    assert rows[2:] == [
        ["depth within 1.25 (δ1)", "50.0 %", "–"],
        ["depth RMSE", "1.25 m", "–"],
        ["normals mean", "–", "12.0°"],
    ]


def test_figures_for_json():
    assert tidy({"a": [1 / 3, float("nan"), float("inf"), 3], "b": "c"}) == {
        "a": [0.33333, None, None, 3],
        "b": "c",
    }
