# SPDX-License-Identifier: Apache-2.0
"""Legends as people write them."""

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.legend_text import read_legend


def test_a_legend_keeps_known_colours_and_gives_others_ones_far_apart():
    known = {"floor": (128, 64, 128), "wall": (0, 0, 255)}
    legend = read_legend(["wall", "box = orange", "floor=#804081", "cup"], known)
    assert list(legend) == ["wall", "box", "floor", "cup"]
    assert (
        legend["wall"] == (0, 0, 255) and legend["box"] == (255, 165, 0) and legend["floor"] == (128, 64, 129)
    )
    assert (
        min(np.linalg.norm(np.subtract(legend["cup"], legend[name])) for name in ("wall", "box", "floor"))
        > 100
    )


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["a", "b", "a"], "'a' is there twice"),
        (["=red"], "class 1 is empty"),
        (["a=blurple"], "not a colour"),
        (["a="], "not a colour"),
        (["a" * 501], "501 characters"),
        ([], "at least one class"),
    ],
)
def test_a_legend_that_cannot_be_used_is_refused(entries, words):
    with pytest.raises(InputError, match=words):
        read_legend(entries, {})


def test_classes_without_a_colour_get_one_far_from_the_others():
    legend = read_legend(["floor=red", "wall", "a=b=#00ff00", "box"], {})
    assert list(legend) == ["floor", "wall", "a=b", "box"]
    assert legend["floor"] == (255, 0, 0) and legend["a=b"] == (0, 255, 0)
    colors = np.array([(0, 0, 0), *legend.values()], float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=2)[np.triu_indices(5, 1)]
    assert apart.min() >= 128
