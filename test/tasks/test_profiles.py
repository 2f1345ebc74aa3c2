# SPDX-License-Identifier: Apache-2.0
"""Codec profiles: words, colours, and depth that has no metres until something measures some. Needs NumPy
alone."""

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.questions import Question
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.tasks import depth, profiles_relative
from vision_banana_ros.tasks.profiles import PROFILES, OpenVisionBanana, profile
from vision_banana_ros.tasks.profiles_relative import align, metres

LEGEND = {"floor": (255, 0, 0), "wall": (0, 255, 0)}
OPEN = PROFILES["open_vision_banana"]


@pytest.fixture(scope="module")
def view():
    world = make_world(3, "room")
    return render(world, sample_camera(world, np.random.default_rng(3), 96, 64), 3)


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_profile_paints_it_reads_again(name, view):
    chosen = PROFILES[name]
    if "depth" in chosen.tasks:
        answer = chosen.decode("depth", chosen.encode("depth", view.depth_m))
        if chosen.metric:
            np.testing.assert_allclose(answer.depth_m, view.depth_m, rtol=1e-3)
        else:
            assert not hasattr(answer, "depth_m")
            near, far = view.depth_m < np.median(view.depth_m), view.depth_m > np.median(view.depth_m)
            assert answer.depth_relative[near].max() <= answer.depth_relative[far].min()
    if "normals" in chosen.tasks:
        answer = chosen.decode("normals", chosen.encode("normals", view.normals))
        known = np.isfinite(view.normals[..., 0])
        np.testing.assert_allclose(answer.normals[known], view.normals[known], atol=1e-3)


def test_marigolds_red_grows_to_the_right():
    right = np.tile(np.array([1, 0, 0], np.float32), (2, 2, 1))
    np.testing.assert_allclose(PROFILES["marigold_normals"].encode("normals", right)[0, 0], [1, 0.5, 0.5])
    np.testing.assert_allclose(PROFILES["vision_banana"].encode("normals", right)[0, 0], [0, 0.5, 0.5])
    u8 = np.full((1, 1, 3), (255, 128, 128), np.uint8)
    assert PROFILES["marigold_normals"].decode("normals", u8).normals[0, 0, 0] > 0.99


@pytest.mark.parametrize("name", ["open_vision_banana", "marigold_depth"])
def test_ranges_give_relative_depth_metres(name, view):
    chosen = PROFILES[name]
    relative = chosen.decode("depth", chosen.encode("depth", view.depth_m)).depth_relative
    rng = np.random.default_rng(0)
    measured = np.where(rng.random(view.depth_m.shape) < 0.05, view.depth_m, np.nan)
    wrong = rng.random(view.depth_m.shape) < 0.2
    # a fifth hit something else
    measured = np.where(wrong, measured * rng.uniform(0.2, 3, view.depth_m.shape), measured)
    found = align(relative, measured, chosen.depth_kind)
    assert found.spread < 0.01 and found.points > 100
    np.testing.assert_allclose(metres(relative, found), view.depth_m, rtol=0.02)


def test_relative_depth_stays_without_metres_where_ranges_do_not_agree(view):
    relative = OPEN.decode("depth", OPEN.encode("depth", view.depth_m)).depth_relative
    none = np.full(view.depth_m.shape, np.nan)
    with pytest.raises(InputError, match="Only 0 ranges"):
        align(relative, none, "inverse")
    with pytest.raises(InputError, match="do not agree"):
        align(relative, np.random.default_rng(0).uniform(0.3, 60, none.shape), "inverse")
    with pytest.raises(InputError, match="do not agree"):
        align(np.full(none.shape, 2.0), view.depth_m, "inverse")  # a constant picture
    with pytest.raises(InputError, match="grid of"):
        align(relative, none[:2], "inverse")
    with pytest.raises(InputError, match="no relative depth 'metric'"):
        align(relative, none, "metric")


def test_black_is_infinity_and_colours_are_unreadable():
    rgb = np.array([[[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.5, 0.5, 0.5], [np.nan, 0, 0]]], np.float32)
    answer = profiles_relative.decode(rgb, "inverse")
    np.testing.assert_allclose(answer.depth_relative[0], [np.inf, 1, np.nan, 2, np.nan])
    np.testing.assert_allclose(answer.confidence[0], [1, 1, 0, 1, 0])
    found = profiles_relative.Alignment("inverse", 2.0)
    np.testing.assert_allclose(metres(answer.depth_relative, found)[0], [np.inf, 0.5, np.nan, 1, np.nan])
    behind = profiles_relative.Alignment("affine", 1.0, -0.5)
    np.testing.assert_allclose(metres(np.array([[0.2, 1.0]]), behind)[0], [np.nan, 0.5])


def test_a_question_in_the_words_of_a_profile():
    asked = OPEN.asked(Question.depth())
    assert "greyscale" in asked.instruction and "metric" not in asked.instruction.lower()
    assert hasattr(asked.read(np.ones((2, 2, 3), np.float32)), "depth_relative")
    asked = OPEN.asked(Question.semantic(LEGEND))
    assert "floor: #ff0000, wall: #00ff00" in asked.instruction and "black background" in asked.instruction
    assert asked.read(np.full((1, 1, 3), (0, 255, 0), np.uint8)).labels[0, 0] == 1
    assert "{evil}" in OPEN.instruction("referring", expression="the {evil} mug", color="red")
    plain = PROFILES["vision_banana"].asked(Question.depth())
    assert plain.instruction == depth.instruction()
    assert plain.read(depth.encode(np.full((1, 1), 2.0, np.float32))).depth_m[0, 0] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("semantic", "more", "asked"),
    [
        ("Colour {legend}.", {}, "Colour floor: #ff0000, wall: #00ff00."),
        (
            "Colour {legend_prose}.",
            {"colors": "rgb"},
            "Colour floor in rgb(255, 0, 0), wall in rgb(0, 255, 0).",
        ),
        ("{legend_json}", {"colors": "angle"}, '{"floor": "<255,0,0>", "wall": "<0,255,0>"}'),
        (
            "{legend_json}",
            {"background": "background"},
            '{"floor": "#ff0000", "wall": "#00ff00", "background": "#000000"}',
        ),
    ],
)
def test_legends_in_the_forms_that_weights_were_tuned_on(semantic, more, asked):
    own = profile("open_vision_banana", {"semantic": semantic, **more})
    question = own.asked(Question.semantic(LEGEND))
    assert question.instruction == asked
    assert question.read(np.full((1, 1, 3), (0, 255, 0), np.uint8)).labels[0, 0] == 1
    red = own.instruction("referring", expression="the mug", color="red")
    assert {"rgb": "rgb(255, 0, 0)", "angle": "<255,0,0>"}.get(more.get("colors"), "#ff0000") in red


def test_questions_that_a_profile_cannot_ask():
    with pytest.raises(InputError, match="on black"):
        OPEN.asked(Question.instances("chair", "white"))
    with pytest.raises(InputError, match="cannot answer 'normals'"):
        PROFILES["marigold_depth"].asked(Question.normals())
    with pytest.raises(InputError, match="needs a legend"):
        OPEN.instruction("semantic")
    with pytest.raises(InputError, match="no task 'colour'"):
        OpenVisionBanana({"colour": "x"})
    with pytest.raises(InputError, match="lack {legend}, where"):
        OpenVisionBanana({"semantic": "Colour it."})
    with pytest.raises(InputError, match="Colours are written in the style"):
        OpenVisionBanana({"colors": "oil"})
    with pytest.raises(InputError, match="There is no profile"):
        profile("nothing")


def test_depth_that_cannot_be_painted():
    with pytest.raises(InputError, match="negative"):
        profiles_relative.encode(np.full((2, 2), -1.0, np.float32), "inverse")
    np.testing.assert_allclose(
        profiles_relative.encode(np.full((1, 1), np.nan, np.float32), "affine")[0, 0], [0, 1, 0]
    )
    np.testing.assert_allclose(profiles_relative.encode(np.array([[1.0, np.inf]]), "inverse")[0, 1], 0)
    np.testing.assert_allclose(
        profiles_relative.encode(np.array([[1.0, 3.0, np.inf]]), "affine")[0, :, 0], [0, 1, 1]
    )
