# SPDX-License-Identifier: Apache-2.0
"""Frames that the generator is surer of when they are turned round are upside down."""

from types import SimpleNamespace

import numpy as np
import pytest

from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Looks, Perceiver, Question
from vision_banana_ros.perception import upright_check as upright
from vision_banana_ros.perception.upright_check import IN_A_ROW, UprightCheck, looks_turned, upside_down
from vision_banana_ros.scenes import make_world, render, sample_camera


class Sure:
    """Answers with this confidence if the upper left pixel is bright, else with the other."""

    def __init__(self, bright: float, dark: float):
        self.bright, self.dark = bright, dark
        self.looks = 0

    def look(self, image, questions):
        self.looks += 1
        sure = self.bright if image[0, 0, 0] > 100 else self.dark
        return [SimpleNamespace(confidence=np.full(image.shape[:2], sure, np.float32))]


IMAGE = np.full((20, 30, 3), 9, np.uint8)
IMAGE[0, 0] = 255  # as it came: bright at the upper left


@pytest.mark.parametrize(
    ("as_it_came", "turned", "wrong"),
    [(0.7, 0.5, False), (0.5, 0.7, True), (0.6, 0.61, False), (0.0, 0.0, False)],
)
def test_the_surer_way_round_is_up(as_it_came, turned, wrong):
    asked = Sure(as_it_came, turned)
    assert (
        upside_down(asked, IMAGE, Question.depth(), np.full((20, 30), as_it_came)) == wrong
        and asked.looks == 1
    )


@pytest.mark.parametrize(("turned", "wrong"), [(0.6, False), (0.8, True)])
def test_what_the_raw_frame_of_a_wide_lens_does_not_show_does_not_count(turned, wrong):
    """The answer has no confidence there, that of the turned frame has."""
    outside = np.zeros((20, 30), bool)
    outside[8:] = True
    answer = SimpleNamespace(confidence=np.where(outside, np.float32(0), np.float32(0.7)))
    looks = Looks(IMAGE, (answer,), (1.0,), 0.0, 0.0, outside)
    assert looks_turned(Sure(0.7, turned), [Question.depth()], looks) == wrong


def test_a_stream_is_looked_at_now_and_then_and_faulted_after_several(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(upright.time, "monotonic", lambda: now[0])
    check, asked = UprightCheck(), Sure(0.5, 0.8)

    def said(confidence):
        now[0] += 1.0
        looks = Looks(IMAGE, (SimpleNamespace(confidence=np.full((20, 30), confidence)),), (1.0,), 0.0, 0.0)
        return check.fault(asked, [Question.depth()], looks)

    assert not any(said(0.5) for _ in range(9)) and asked.looks == 0
    assert [bool(said(0.5)) for _ in range(IN_A_ROW + 2)] == [False] * (IN_A_ROW - 1) + [True] * 3
    assert "upside down" in said(0.5)
    assert not said(0.9) and not said(0.5)  # it was turned; the next look is due later
    assert asked.looks == IN_A_ROW + 4


def test_the_shipped_bundle_tells_upright_frames_from_turned_ones():
    perceiver = Perceiver(load_generator(default_bundle()), "generator")
    right = 0
    for seed in range(101, 103):
        world, rng = make_world(seed), np.random.default_rng(seed)
        image = render(world, sample_camera(world, rng, 320, 240), rng).image
        for picture, wrong in ((image, False), (np.ascontiguousarray(image[::-1, ::-1]), True)):
            looks = perceiver.look(picture, [Question.depth()])
            right += upside_down(perceiver, looks.image, Question.depth(), looks[0].confidence) == wrong
    assert right >= 3
