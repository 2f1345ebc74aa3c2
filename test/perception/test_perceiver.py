# SPDX-License-Identifier: Apache-2.0
"""A frame of any size, asked of a generator that paints the truth: the truth comes back, on the frame's
own grid."""

from dataclasses import replace

import numpy as np
import pytest
from oracle import Oracle, Truth, answer_format

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, Perceiver, Question, points
from vision_banana_ros.perception.geometry import Letterbox

CANVAS = (96, 128)
LEGEND = {"wall": (200, 30, 30), "box": (30, 200, 30)}
BALL = Question.referring("the box", "yellow")
QUESTIONS = [Question.depth(), Question.normals(), Question.semantic(LEGEND), Question.instances("box"), BALL]
SIZES = [(480, 640), (96, 128), (97, 401), (500, 131), (33, 45), (720, 1280)]


def scene(height: int, width: int) -> tuple[np.ndarray, Truth]:
    """A slanted wall with a box before it, in coordinates relative to the frame: picture and truth at any
    size."""
    y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width]).reshape(2, 1, 1)
    box = (np.abs(x - 0.55) < 0.2) & (np.abs(y - 0.5) < 0.25)
    image = np.where(box[..., None], np.uint8((40, 60, 50)), np.uint8((210, 200, 190)))
    truth = Truth(
        depth_m=np.where(box, 1.5, 3 + x + 0.5 * y).astype(np.float32),
        normals=np.where(box[..., None], (0, 0, 1), (0.6, 0, 0.8)).astype(np.float32),
        labels=box.astype(np.uint8),
        instances=box.astype(np.uint16),
        masks={"the box": box},
    )
    return image, truth


def oracle_for(height: int, width: int) -> Oracle:
    """The truth on the canvas, with bars that would be noticed in every answer if they were not cut away."""
    box = Letterbox.fit((height, width), CANVAS)
    _, inside = scene(box.height, box.width)

    def on_canvas(values: np.ndarray, bar: float) -> np.ndarray:
        canvas = np.full((*CANVAS, *values.shape[2:]), bar, values.dtype)
        canvas[box.top : box.top + box.height, box.left : box.left + box.width] = values
        return canvas

    truth = Truth(
        depth_m=on_canvas(inside.depth_m, 40),
        normals=on_canvas(inside.normals, 0.57735),
        labels=on_canvas(inside.labels, 1),
        instances=on_canvas(inside.instances, 1),
        masks={"the box": on_canvas(inside.masks["the box"], 1)},
    )
    return Oracle(CANVAS, truth, QUESTIONS)


@pytest.mark.parametrize("size", SIZES)
def test_the_truth_comes_back_on_the_frames_own_grid(size):
    image, truth = scene(*size)
    looks = Perceiver(oracle_for(*size)).look(image, QUESTIONS)
    depth, normals, semantic, instances, referring = looks
    assert looks.image is image
    assert all(answer.confidence.shape == size and answer.confidence.dtype == np.float32 for answer in looks)

    # One pixel of the canvas is `unit` pixels of the frame: edges are exact to that, everything else to the
    # code.
    box = Letterbox.fit(size, CANVAS)
    inside = truth.masks["the box"]
    unit = max(1, size[0] / box.height, size[1] / box.width)
    rim = 2 * unit * (1 / (0.4 * size[1]) + 1 / (0.5 * size[0]))
    agree = [
        depth.depth_m < 2.5,
        normals.normals[..., 0] < 0.3,
        semantic.labels == 1,
        instances.labels > 0,
        referring.mask,
    ]
    for found in agree:
        assert found.shape == size
        assert np.count_nonzero(found != inside) <= rim * np.count_nonzero(inside)
    right = (depth.depth_m < 2.5) == inside
    np.testing.assert_allclose(depth.depth_m[right], truth.depth_m[right], rtol=0.02)
    assert np.median(np.abs(depth.depth_m[right] / truth.depth_m[right] - 1)) < 1e-3
    np.testing.assert_allclose(np.linalg.norm(normals.normals, axis=2), 1, atol=1e-5)
    assert set(np.unique(semantic.labels)) == {0, 1}
    assert instances.labels.max() == 1 and semantic.labels.dtype == np.uint8 and referring.mask.dtype == bool


@pytest.mark.parametrize("size", SIZES)
def test_depth_painted_for_one_lens_becomes_metres_by_the_focal_length_on_the_canvas(size):
    """Twice the focal length on the generator's canvas, bars included: the same picture is of things twice
    as far away."""
    image, truth = scene(*size)
    oracle = oracle_for(*size)
    oracle.manifest = replace(oracle.manifest, depth_focal_px=CANVAS[1] / 2)
    perceiver = Perceiver(oracle)
    shrunk = min(CANVAS[0] / size[0], CANVAS[1] / size[1])
    camera = Intrinsics(size[1], size[0], *(2 * (CANVAS[1] / 2) / shrunk,) * 2, size[1] / 2, size[0] / 2)
    known, halved, unknown = (
        perceiver.look(image, QUESTIONS, c)[0].depth_m
        for c in (camera, camera.scaled(size[1] // 2, size[0] // 2), None)
    )
    rounding = 2 / min(Letterbox.fit(size, CANVAS).height, Letterbox.fit(size, CANVAS).width)
    np.testing.assert_allclose(known, 2 * unknown, rtol=rounding)
    np.testing.assert_allclose(halved, known, rtol=0.04)
    assert np.median(unknown / truth.depth_m) == pytest.approx(1, abs=0.01)
    assert perceiver.needs_lens and not Perceiver(oracle_for(*size)).needs_lens


def test_beyond_the_range_that_was_taught_depth_is_infinite_and_what_is_unreadable_stays_so():
    depth_m = np.full(CANVAS, 59.0, np.float32)
    depth_m[:48], depth_m[90:] = 61.0, np.nan
    oracle = Oracle(CANVAS, Truth(depth_m=depth_m))
    assert oracle.manifest.depth_range_m[1] == 60
    answer = Perceiver(oracle).look(np.zeros((*CANVAS, 3), np.uint8), [Question.depth()])[0]
    assert np.isposinf(answer.depth_m[:48]).all() and np.isnan(answer.depth_m[90:]).all()
    assert answer.depth_m[48:90] == pytest.approx(np.full((42, 128), 59.0), rel=1e-4)
    # 60 degrees; behind a lens of 120 all of it is a third as far away.
    oracle.manifest = replace(oracle.manifest, depth_focal_px=64 * 3**0.5)
    wide = Perceiver(oracle).look(
        np.zeros((*CANVAS, 3), np.uint8), [Question.depth()], Intrinsics.from_fov(128, 96, 120)
    )[0]
    assert wide.depth_m[:48] == pytest.approx(np.full((48, 128), 61 / 3), rel=1e-4)


def test_metres_as_they_are_painted_do_not_ask_for_the_lens():
    image, _ = scene(*CANVAS)
    with_lens, without = (
        Perceiver(oracle_for(*CANVAS)).look(image, QUESTIONS, c)[0].depth_m
        for c in (Intrinsics.from_fov(128, 96, 30), None)
    )
    assert np.array_equal(with_lens, without)


@pytest.mark.parametrize("size", [(480, 640), (97, 401), (500, 131)])
def test_the_generators_own_grid_has_no_bars_and_its_camera_scales(size):
    image, _ = scene(*size)
    perceiver = Perceiver(oracle_for(*size), output_size="generator")
    looks = perceiver.look(image, QUESTIONS)
    grid = perceiver.grid(*size)
    assert looks.image.shape == (*grid, 3) and looks[0].depth_m.shape == grid
    np.testing.assert_allclose(looks[0].depth_m, scene(*grid)[1].depth_m, rtol=1e-3)
    k = Intrinsics.from_fov(size[1], size[0], 70).scaled(grid[1], grid[0])
    assert points(looks[0].depth_m, k).shape == (*grid, 3)


def test_the_image_is_painted_once_for_all_questions():
    image, _ = scene(480, 640)
    oracle = oracle_for(480, 640)
    looks = Perceiver(oracle).look(image, QUESTIONS)
    assert len(oracle.painted) == 1 and len(looks) == len(QUESTIONS)
    assert looks.paint_s > 0 and looks.read_s > 0


def test_no_question_needs_no_generator():
    oracle = oracle_for(480, 640)
    looks = Perceiver(oracle).look(scene(480, 640)[0], [])
    assert list(looks) == [] and looks.readable == () and oracle.painted == []


def test_what_cannot_be_read_is_counted_and_stays_unreadable():
    class Scribbler:
        size, manifest = CANVAS, answer_format()

        def paint(self, image, instructions):
            # mid-grey: far from every depth
            painted = np.full((len(instructions), *CANVAS, 3), 0.5, np.float32)
            painted[:, :, :32] = (1, 0, 0)
            return painted

    looks = Perceiver(Scribbler()).look(scene(480, 640)[0], [Question.depth()])
    assert looks.readable == (0.25,)
    np.testing.assert_array_equal(np.isnan(looks[0].depth_m), looks[0].confidence == 0)
    assert np.isnan(looks[0].depth_m).mean() == pytest.approx(0.75, abs=0.01)


def test_views_of_images_are_fine():
    image, _ = scene(480, 640)
    turned = image[::-1, :, ::-1]
    assert Perceiver(oracle_for(480, 640)).look(turned, [Question.depth()])[0].depth_m.shape == (480, 640)
    image.flags.writeable = False
    Perceiver(oracle_for(480, 640)).look(image, [Question.depth()])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_what_is_no_picture_gets_a_sentence(image):
    with pytest.raises(InputError, match="must be|nothing to look at"):
        Perceiver(oracle_for(480, 640)).look(image, QUESTIONS)


def test_an_output_size_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="'input' or 'generator'"):
        Perceiver(oracle_for(480, 640), output_size="half")


def test_a_question_refuses_what_its_task_refuses():
    with pytest.raises(InputError):
        Question.semantic({"floor": "red", "wall": (254, 0, 0)})
    with pytest.raises(InputError):
        Question.referring("the box", "no colour at all")


def test_questions_with_the_same_words_are_equal():
    assert Question.semantic(LEGEND) == Question.semantic(LEGEND)
    assert (
        len({Question.depth(), Question.depth(), Question.semantic(LEGEND), Question.semantic(LEGEND)}) == 2
    )


class Blotchy:
    """Paints one thing whose halves differ by 20 in each channel: two colours for the paper's tau of 14,
    one for 40."""

    size = (64, 64)

    def __init__(self, **taus):
        self.manifest = answer_format(instance_taus=taus)

    def paint(self, image, instructions):
        picture = np.zeros((len(instructions), *self.size, 3), np.float32)
        picture[:, 10:50, 10:30], picture[:, 10:50, 30:50] = 120 / 255, 140 / 255
        return picture


@pytest.mark.parametrize(("taus", "things"), [({}, 2), ({"region_tau": 40}, 1)])
def test_instances_are_read_as_flatly_as_the_bundle_says_that_it_paints(taus, things):
    looks = Perceiver(Blotchy(**taus)).look(np.zeros((64, 64, 3), np.uint8), [Question.instances("box")])
    assert looks.answers[0].labels.max() == things


def test_of_several_canvases_a_frame_is_painted_on_the_one_that_fits_it():
    """The canvas (48, 192) is for wide frames; the truth comes back from it as from the other."""
    size, canvas = (60, 240), (48, 192)
    image, truth = scene(*size)
    _, inside = scene(*canvas)
    wide = Oracle(canvas, inside, QUESTIONS)
    wide.sizes = (CANVAS, canvas)
    perceiver = Perceiver(wide)
    assert perceiver.letterbox(*size).canvas == canvas and perceiver.letterbox(480, 640).canvas == CANVAS
    depth, *_, box = perceiver.look(image, QUESTIONS)
    assert np.count_nonzero(box.mask != truth.masks["the box"]) < 0.1 * box.mask.sum()
    assert Perceiver(wide, output_size="generator").grid(*size) == canvas
    assert np.median(np.abs(depth.depth_m / truth.depth_m - 1)) < 0.02
