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
        (["chair", "Chair"], "'chair' and 'Chair' are the same words"),
        (["traffic light", "box", "traffic_light!"], "the same words"),
        (["caf\u00e9", "cafe\u0301"], "is there twice"),
        (["\ufb01re", "fire"], "the same words"),
        (["!?"], "class 1 has no letter"),
        (["\U0001f697=red"], "class 1 has no letter"),
        (["\u200b"], r"holds U\+200B"),
        (["ball\u202e"], r"holds U\+202E, which nobody sees"),
        (["\ufeffball", "ball"], r"holds U\+FEFF"),
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


def test_names_of_every_script_are_read_as_they_are_seen():
    names = [
        "cafe\u0301",
        "stra\u00dfe",
        "\u8d64\u3044",
        "\u0915\u0941",
        "\u0915",
        "\u0645\u06cc\u200c\u062e\u0648",
    ]
    assert list(read_legend(names, {})) == ["caf\u00e9", *names[1:]]


def test_classes_without_a_colour_get_one_far_from_the_others():
    legend = read_legend(["floor=red", "wall", "a=b=#00ff00", "box"], {})
    assert list(legend) == ["floor", "wall", "a=b", "box"]
    assert legend["floor"] == (255, 0, 0) and legend["a=b"] == (0, 255, 0)
    colors = np.array([(0, 0, 0), *legend.values()], float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=2)[np.triu_indices(5, 1)]
    assert apart.min() >= 128
