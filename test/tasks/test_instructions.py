# SPDX-License-Identifier: Apache-2.0
"""What all tasks have in common: their names, their instructions, and what they refuse to read."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS, depth, instances, normals, referring, semantic

LEGEND = {"floor": "gray", "potted plant": (0, 128, 0)}
ASK: dict[str, Callable[..., str]] = {
    "depth": depth.instruction,
    "normals": normals.instruction,
    "semantic": lambda **how: semantic.instruction(LEGEND, **how),
    "instances": lambda **how: instances.instruction("paper cup", "white", **how),
    "referring": lambda **how: referring.instruction("the red ball left of the box", "lime", **how),
}
READ: dict[str, Callable[[np.ndarray], object]] = {
    "depth": depth.decode,
    "normals": normals.decode,
    "semantic": lambda rgb: semantic.decode(rgb, LEGEND),
    "instances": instances.decode,
    "referring": lambda rgb: referring.decode(rgb, "red"),
}
# What each instruction has to say, whatever its wording.
PARAMETERS = {
    "depth": ["cube", "black 0 m", "red 0.80 m", "magenta 16.46 m", "white infinity"],
    "normals": [],
    "semantic": ["floor", "#808080", "potted plant", "#008000", "anything else", "#000000"],
    "instances": ["paper cup", "#ffffff"],
    "referring": ["the red ball left of the box", "#00ff00", "#000000"],
}


def test_tasks_by_name() -> None:
    assert list(TASKS) == ["depth", "normals", "semantic", "instances", "referring"]
    for name, task in TASKS.items():
        assert name == task.name
        assert all(callable(getattr(task, verb)) for verb in ("instruction", "encode", "decode", "Answer"))


@pytest.mark.parametrize("task", TASKS)
def test_at_least_twenty_phrasings_each_with_all_parameters(task: str) -> None:
    count = len(TASKS[task].PHRASINGS)
    asked = [ASK[task](phrasing=i) for i in range(count)]
    assert count >= 20 and len(set(asked)) == count
    assert asked[0] == ASK[task]()
    for sentence in asked:
        assert all(parameter in sentence for parameter in PARAMETERS[task]), sentence
        assert "{name}" not in sentence and "\n" not in sentence


@pytest.mark.parametrize("task", TASKS)
def test_unknown_phrasings_are_refused(task: str) -> None:
    for phrasing in (-1, len(TASKS[task].PHRASINGS)):
        with pytest.raises(InputError, match="phrasing"):
            ASK[task](phrasing=phrasing)


@pytest.mark.parametrize(
    ("style", "written"), [("hex", "#008000"), ("rgb", "rgb(0, 128, 0)"), ("name", "potted plant: green")]
)
def test_colours_are_written_in_a_style(style: str, written: str) -> None:
    assert written in semantic.instruction(LEGEND, style=style)
    with pytest.raises(InputError, match="style"):
        semantic.instruction(LEGEND, style="hsv")


def test_a_legend_may_be_asked_in_json() -> None:
    sentences = (semantic.instruction(LEGEND, phrasing=i) for i in range(len(semantic.PHRASINGS)))
    found = [json.loads(text[text.index("{") : text.index("}") + 1]) for text in sentences if "{" in text]
    assert len(found) >= 2
    assert found[0] == {"floor": "#808080", "potted plant": "#008000", "anything else": "#000000"}


def test_no_colour_for_the_rest_where_a_class_has_it() -> None:
    assert "anything else" not in semantic.instruction({"void": "black", "sky": "blue"})
    assert "anything else" not in semantic.instruction(LEGEND, unlabelled=None)


def test_every_colour_map_can_be_asked_for() -> None:
    for colormap in depth.COLORMAPS:
        assert f"{colormap} colour map" in depth.instruction(colormap)


def test_words_are_brought_onto_one_line_and_braces_are_words() -> None:
    assert "the {color} cup on the left" in referring.instruction("  the {color} cup\n on the\tleft ", "red")


@pytest.mark.parametrize("words", ["", "  \n "])
def test_empty_words_are_refused(words: str) -> None:
    with pytest.raises(InputError, match="empty"):
        referring.instruction(words, "red")
    with pytest.raises(InputError, match="no name"):
        instances.instruction(words)


def test_a_colour_like_the_background_is_refused() -> None:
    with pytest.raises(InputError, match="too near"):
        referring.instruction("a cup", "#010101")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), "alpha"),
        (np.zeros((2, 4, 4, 3), np.uint8), "batch"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((4, 4, 3), np.int32), "int32"),
        (np.zeros((4, 4, 3), bool), "bool"),
        (np.full((4, 4, 3), 255.0), "divide by 255"),
    ],
    ids=["grey", "rgba", "batch", "no rows", "int32", "bool", "floats to 255"],
)
def test_answers_that_no_task_reads(task: str, answer: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        READ[task](answer)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("view", ["every second pixel", "bottom up", "read-only", "one pixel"])
def test_any_memory_layout_is_read(task: str, view: str) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    whole.flags.writeable = view != "read-only"
    parts = {"every second pixel": whole[::2, ::2], "bottom up": whole[::-1], "one pixel": whole[:1, :1]}
    part = parts.get(view, whole)
    plain = READ[task](part.copy())
    for field in plain.__slots__:
        np.testing.assert_array_equal(getattr(READ[task](part), field), getattr(plain, field))


@pytest.mark.parametrize("task", TASKS)
def test_8_bit_and_float_answers_read_the_same(task: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    bits, floats = READ[task](rgb), READ[task](rgb.astype(np.float32) / np.float32(255))
    for field in bits.__slots__:
        np.testing.assert_array_equal(getattr(bits, field), getattr(floats, field))


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_left_as_they_were(task: str) -> None:
    rgb = np.random.default_rng(0).random((20, 30, 3), dtype=np.float32) * 1.2
    before = rgb.copy()
    READ[task](rgb)
    np.testing.assert_array_equal(rgb, before)
