# SPDX-License-Identifier: Apache-2.0
"""A network is measured while it is trained as the bundle that is made of it will be."""

from dataclasses import asdict, fields

import pytest

from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.tasks.answer_format import AnswerFormat

pytest.importorskip("torch")
from vision_banana_ros.generators.own.network import VisionBananaUNet  # noqa: E402
from vision_banana_ros.training.data.questions import FOCAL_PX  # noqa: E402
from vision_banana_ros.training.own.answers import answers_at  # noqa: E402
from vision_banana_ros.training.own.recipe import canvases_of  # noqa: E402
from vision_banana_ros.training.own.sampler import Painter  # noqa: E402


def test_a_network_in_training_is_read_as_its_bundle_is():
    manifest = open_bundle(default_bundle()).manifest
    canvases = canvases_of(manifest.made["recipe"])
    painter = Painter(VisionBananaUNet(**manifest.network), manifest.size, canvases=canvases)
    shipped = {field.name: getattr(manifest, field.name) for field in fields(AnswerFormat)}
    assert asdict(painter.manifest) == {**shipped, "tasks": painter.tasks}
    assert set(painter.tasks) == set(manifest.tasks)
    assert Perceiver(painter).needs_lens


@pytest.mark.parametrize(
    ("size", "scale"), [((240, 320), 1.0), ((192, 256), 0.8), ((480, 640), 2.0), ((144, 480), 1.0), ((72, 240), 0.5)]
)
def test_depth_is_painted_for_the_lens_of_the_views_at_any_resolution(size, scale):
    answers = answers_at(size, [(240, 320), (144, 480)])
    assert answers.depth_focal_px == pytest.approx(scale * FOCAL_PX, abs=0.05)


def test_nothing_of_an_answers_format_is_left_to_a_default():
    with pytest.raises(TypeError, match="instance_taus"):
        AnswerFormat(tasks=(), codec="", legend={}, depth_range_m=(0.1, 1.0), depth_focal_px=0.0, referring_core=0.0)
