# SPDX-License-Identifier: Apache-2.0
"""Asking more than once: passes are turned back rightly, vote rightly, and are worth it where their errors
differ."""

import warnings

import numpy as np
import pytest
from oracle import Oracle, Truth, paint_truth

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.ensemble import MOST, ask_often, merge, mirrored_words, permuted, ways
from vision_banana_ros.tasks import depth, normals, profiles_relative, referring, semantic
from vision_banana_ros.tasks.colors import BLACK, parse_color, parse_legend

SIZE = (48, 64)
LEGEND = {"wall": (200, 30, 30), "box": (30, 200, 30), "floor": (30, 30, 200)}
LEFT = Question.referring("the box left of the ball", "yellow")
QUESTIONS = [Question.depth(), Question.normals(), Question.semantic(LEGEND), Question.instances("box"), LEFT]


def scene() -> tuple[np.ndarray, Truth]:
    """Nothing in it is its own mirror image: two boxes of which the left one is meant, before a slanted
    wall."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    left, right = (abs(x - 14) < 8) & (abs(y - 20) < 10), (abs(x - 45) < 5) & (abs(y - 30) < 12)
    labels = np.where(left | right, 1, np.where(y > 40, 2, 0)).astype(np.uint8)
    truth = Truth(
        depth_m=np.where(left, 1.5, np.where(right, 2.5, 3 + x / 20)).astype(np.float32),
        normals=np.where(labels[..., None] == 1, (0, 0, 1), (0.6, 0, 0.8)).astype(np.float32),
        labels=labels,
        instances=(left + 2 * right).astype(np.uint16),
        masks={"the box left of the ball": left},
    )
    return np.uint8(60 + x[..., None] + np.array([0, 40, 80])), truth


def mirrored(truth: Truth) -> Truth:
    """What the mirrored frame shows."""
    return Truth(
        depth_m=truth.depth_m[:, ::-1],
        normals=truth.normals[:, ::-1] * np.float64((-1, 1, 1)),
        labels=truth.labels[:, ::-1],
        instances=truth.instances[:, ::-1],
        masks={"the box right of the ball": truth.masks["the box left of the ball"][:, ::-1]},
    )


class Reader(Oracle):
    """Reads any legend and colour, knows the frame from its mirror image, and adds noise that no pass
    repeats."""

    def __init__(self, noise: float = 0.0):
        self.image, self.shown = scene()
        asked = [way.question for q in QUESTIONS for way in ways(q, 8)]
        super().__init__(
            SIZE,
            lambda image: self.shown if image[0, 0, 0] < image[0, -1, 0] else mirrored(self.shown),
            asked,
        )
        self.noise, self.rng, self.asked = noise, np.random.default_rng(0), []

    def paint(self, image, instructions):
        self.asked.append(list(instructions))
        truth = self.truth(image)
        made = []
        for question in (self.questions[text] for text in instructions):
            if question.task == "semantic":  # labels in the order of the legend that was asked for
                order = np.array([list(question.legend).index(name) for name in LEGEND])
                made.append(semantic.encode(order[truth.labels], question.legend))
            else:
                made.append(paint_truth(question, truth))
        painted = np.stack(made).astype(np.float32)
        return np.clip(painted + self.rng.normal(0, self.noise, painted.shape), 0, 1).astype(np.float32)


def look(passes: int, noise: float = 0.0):
    reader = Reader(noise)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Perceiver(reader, passes=passes).look(reader.image, QUESTIONS), reader


@pytest.mark.parametrize("passes", [1, 2, 3, 4, 7])
def test_the_truth_comes_back_however_often_it_is_asked(passes):
    looks, reader = look(passes)
    depth_, normals_, semantic_, instances_, referring_ = looks
    np.testing.assert_allclose(depth_.depth_m, reader.shown.depth_m, rtol=1e-3)
    np.testing.assert_allclose(normals_.normals, reader.shown.normals, atol=1e-3)
    np.testing.assert_array_equal(semantic_.labels, reader.shown.labels)
    np.testing.assert_array_equal(instances_.labels > 0, reader.shown.instances > 0)
    np.testing.assert_array_equal(referring_.mask, reader.shown.masks["the box left of the ball"])
    for answer in looks:
        assert answer.confidence.shape == SIZE and answer.confidence.dtype == np.float32
        assert answer.confidence.min() > 0.9 and answer.confidence.max() <= 1 + 1e-6
    assert (depth_.depth_m.dtype, normals_.normals.dtype) == (np.float32, np.float32)
    assert (semantic_.labels.dtype, referring_.mask.dtype) == (np.uint8, bool)


def test_a_frame_is_painted_twice_at_most_and_only_in_ways_that_differ():
    assert [len(each) for each in look(1)[1].asked] == [5]
    _, reader = look(4)
    upright, turned = reader.asked
    assert len(upright) == 1 + 1 + 2 + 1 + 2 and len(turned) == 1 + 1 + 2 + 2
    assert len(set(upright)) == len(upright) and len(set(turned)) == len(turned)
    assert reader.painted == []


def test_what_is_asked_can_be_prepared():
    perceiver = Perceiver(Reader(), passes=4)
    perceiver.look(perceiver.generator.image, QUESTIONS)
    prepared = {question.instruction for question in perceiver.asked(QUESTIONS)}
    assert prepared == {text for each in perceiver.generator.asked for text in each}


def test_passes_outvote_noise():
    """Noise of its own in each pass: more of them, fewer errors."""

    def errors(passes, noise):
        looks, reader = look(passes, noise)
        shown = reader.shown
        with np.errstate(invalid="ignore"):
            return np.array(
                [
                    np.mean(~(abs(np.log(looks[0].depth_m / shown.depth_m)) < np.log(1.25))),
                    np.mean(
                        ~(np.einsum("hwc,hwc->hw", looks[1].normals, shown.normals) > np.cos(np.radians(20)))
                    ),
                    np.mean(looks[2].labels != shown.labels),
                    np.mean(looks[4].mask != shown.masks[LEFT.expression]),
                ]
            )

    assert (errors(2, 0.1)[:2] < 0.8 * errors(1, 0.1)[:2]).all()
    assert (errors(8, 0.22)[2:] < 0.5 * errors(1, 0.22)[2:]).all()


def answers_of_depth(*pairs):
    return [depth.Answer(np.float32([[d]]), np.float32([[c]])) for d, c in pairs]


@pytest.mark.parametrize(
    "given, wanted, sure",
    [
        ([(2.0, 0.5), (2.2, 0.5)], np.sqrt(2.0 * 2.2), 0.5),
        ([(2.0, 1.0), (2.2, 0.5)], (2.0**2 * 2.2) ** (1 / 3), 0.75),
        ([(2.0, 0.6), (5.0, 0.8)], 5.0, 0.4),  # an edge: nothing between the two is invented
        ([(2.0, 0.6), (5.0, 0.8), (2.0, 0.6)], 2.0, 0.4),
        ([(np.nan, 0.0), (3.0, 0.8)], 3.0, 0.4),
        ([(np.nan, 0.0), (np.nan, 0.0)], np.nan, 0.0),
        ([(np.inf, 0.8), (np.inf, 0.6)], np.inf, 0.7),
        ([(np.inf, 0.8), (20.0, 0.6)], np.inf, 0.4),
        ([(0.0, 0.8), (0.0, 0.8)], 0.0, 0.8),
    ],
)
def test_depths_by_hand(given, wanted, sure):
    merged = merge(answers_of_depth(*given))
    np.testing.assert_allclose(merged.depth_m, [[wanted]], rtol=1e-5)
    np.testing.assert_allclose(merged.confidence, [[sure]], rtol=1e-5)


def test_normals_by_hand():
    def given(*pairs):
        return [normals.Answer(np.float32([[n]]), np.float32([[c]])) for n, c in pairs]

    middle = merge(given(((0.0, 0.0, 1.0), 0.5), ((0.28, 0.0, 0.96), 0.5)))
    np.testing.assert_allclose(
        middle.normals[0, 0], np.array([0.14, 0, 0.98]) / np.hypot(0.14, 0.98), rtol=1e-5
    )
    corner = merge(given(((0.0, 0.0, 1.0), 0.5), ((1.0, 0.0, 0.0), 0.7)))
    np.testing.assert_allclose(corner.normals[0, 0], (1, 0, 0), atol=1e-6)
    assert corner.confidence == pytest.approx(0.35)
    nothing = merge(given(((np.nan,) * 3, 0.0), ((np.nan,) * 3, 0.0)))
    assert np.isnan(nothing.normals).all() and nothing.confidence == 0


def test_votes_on_labels_by_hand():
    labels = np.uint8([[[0, 0, 255, 255]], [[1, 1, 1, 255]], [[1, 0, 255, 255]]])
    sure = np.float32([[[0.9, 0.2, 0.8, 0.0]], [[0.4, 0.3, 0.9, 0.0]], [[0.4, 0.2, 0.8, 0.0]]])
    merged = merge([semantic.Answer(*pair) for pair in zip(labels, sure, strict=True)])
    # 0.9 beats 0.4 + 0.4, 0.2 + 0.2 beats 0.3
    np.testing.assert_array_equal(merged.labels, [[0, 0, 255, 255]])
    np.testing.assert_allclose(merged.confidence, [[0.3, 0.4 / 3, 1.6 / 3, 0]], rtol=1e-5)
    masks = [
        referring.Answer(np.array([[True, False]]), np.float32([[0.9, 0.5]])),
        referring.Answer(np.array([[False, True]]), np.float32([[0.4, 0.9]])),
    ]
    np.testing.assert_array_equal(merge(masks).mask, [[True, True]])


def test_depth_without_a_unit_is_left_as_it_was():
    first, second = (
        profiles_relative.Answer(np.full((2, 2), v, np.float32), np.ones((2, 2), np.float32)) for v in (3, 4)
    )
    assert merge([first, second]) is first


def test_an_answer_from_the_generators_device_counts_as_well_as_a_picture():
    class Device(Reader):
        def answer(self, image, questions):
            painted = self.paint(image, [q.instruction for q in questions])
            return [
                q.read(rgb) if q.task != "instances" else rgb
                for q, rgb in zip(questions, painted, strict=True)
            ]

    device = Device()
    ours, theirs = Perceiver(device, passes=4).look(device.image, QUESTIONS), look(4)[0]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.confidence, other.confidence)


def test_legends_of_other_passes_have_the_same_classes_in_other_colours():
    legend = parse_legend(LEGEND)
    asked = ways(Question.semantic(legend), 6)
    assert [way.mirrored for way in asked] == [False, True] * 3
    assert asked[0].question == asked[1].question == Question.semantic(legend)
    others = [asked[2].question.legend, asked[4].question.legend]
    assert all(set(other) == set(legend) and parse_legend(other) == other for other in others)
    assert others[0] != others[1] and legend not in others
    assert BLACK not in permuted(legend, np.random.default_rng(5)).values()


def test_expressions_get_other_colours_and_sides():
    asked = ways(LEFT, 4)
    assert [way.question.expression for way in asked] == [
        "the box left of the ball",
        "the box right of the ball",
    ] * 2
    assert len({way.question.color for way in asked}) == 4 and asked[0].question.color == parse_color(
        "yellow"
    )
    unclear = ways(Question.referring("the box right behind the ball", "yellow"), 3)
    assert not any(way.mirrored for way in unclear)
    assert {way.question.expression for way in unclear} == {"the box right behind the ball"}


@pytest.mark.parametrize(
    "text, turned",
    [
        ("the red ball", "the red ball"),
        ("the red ball left of the box", "the red ball right of the box"),
        ("the leftmost chair", "the rightmost chair"),
        ("the second box from the left", "the second box from the right"),
        ("the plant farthest to the right", "the plant farthest to the left"),
        ("the ball on the left, right of the box", "the ball on the right, left of the box"),
        ("Left of the door the Right-hand cup", "Right of the door the Left-hand cup"),
        ("the upper left corner", "the upper right corner"),
        ("the person facing LEFT", "the person facing RIGHT"),
        ("the upright barrel", "the upright barrel"),
        ("the box right behind the ball", None),
        ("the box left on the floor", None),
        ("the only one left", None),
        ("the leftover food", None),
        ("the sign that says stop", None),
        ('the box marked "A"', None),
        ("左边的盒子", None),
        ("the hand that turns clockwise", None),
    ],
)
def test_words_for_the_mirrored_frame(text, turned):
    assert mirrored_words(text) == turned
    if turned is not None:
        assert mirrored_words(turned) == text


@pytest.mark.parametrize("passes", [0, -1, MOST + 1])
def test_a_number_of_passes_that_cannot_be_asked(passes):
    with pytest.raises(InputError, match=f"passes is {passes}; ask 1 to {MOST} times"):
        Perceiver(Reader(), passes=passes)


def test_no_question_needs_no_generator():
    assert (
        ask_often(lambda image, questions: pytest.fail("asked"), np.zeros((*SIZE, 3), np.uint8), [], 4) == []
    )
