# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import colors

BYTES = st.integers(0, 255)


@pytest.mark.parametrize(
    ("written", "rgb"),
    [
        ("red", (255, 0, 0)),
        ("green", (0, 128, 0)),
        ("Dark Orange", (255, 140, 0)),
        ("grey", (128, 128, 128)),
        ("rebeccapurple", (0x66, 0x33, 0x99)),
        ("#ff8800", (255, 136, 0)),
        ("#F80", (255, 136, 0)),
        ("rgb(1,2,3)", (1, 2, 3)),
        (" RGB( 1 2 3 ) ", (1, 2, 3)),
        ("(1, 2, 3)", (1, 2, 3)),
        ((1, 2, 3), (1, 2, 3)),
        ([255, 0, 255], (255, 0, 255)),
        (np.array([1, 2, 3], np.uint8), (1, 2, 3)),
    ],
)
def test_colours_as_people_write_them(written: object, rgb: tuple) -> None:
    parsed = colors.parse_color(written)
    assert parsed == rgb and all(type(value) is int for value in parsed)


@pytest.mark.parametrize(
    "written",
    ["", "reddish", "#ff88", "#gg0000", "ff8800", "rgb(1,2)", "rgb(1,2,256)", "rgb(-1,2,3)"]
    + [(1, 2), (1, 2, 3, 4), (0, 0, 256), (-1, 0, 0), (0.5, 0.5, 0.5), 7, None, ("a", "b", "c")],
)
def test_what_is_no_colour_is_refused(written: object) -> None:
    with pytest.raises(InputError, match="is not a colour; write"):
        colors.parse_color(written)


@given(st.tuples(BYTES, BYTES, BYTES), st.sampled_from(["hex", "rgb", "name"]))
def test_every_colour_is_read_as_it_was_written(rgb: tuple, style: str) -> None:
    assert colors.parse_color(colors.write_color(rgb, style)) == rgb


def test_names_that_people_use() -> None:
    rgbs = [(0, 255, 255), (255, 0, 255), (128, 128, 128), (1, 2, 3)]
    assert [colors.write_color(rgb, "name") for rgb in rgbs] == ["cyan", "magenta", "gray", "#010203"]


def test_all_css_names_are_known() -> None:
    assert len(colors.CSS_COLORS) == 148


def test_a_legend_keeps_its_order() -> None:
    legend = colors.parse_legend({"wall": "#f00", " traffic  light ": "blue", "floor": (0, 255, 0)})
    assert list(legend) == ["wall", "traffic light", "floor"]
    assert list(legend.values()) == [(255, 0, 0), (0, 0, 255), (0, 255, 0)]


@pytest.mark.parametrize(
    ("legend", "sentence"),
    [
        ({}, "at least one class"),
        (["floor", "wall"], "at least one class"),
        ({"": "red"}, "name"),
        ({False: "red"}, "False is not the name"),
        ({"floor": "red", " floor": "blue"}, "'floor' twice"),
        ({"floor": "redd"}, "'redd' is not a colour"),
        ({"floor": "red", "wall": "blue", "door": (250, 5, 5)}, "'floor' .#ff0000. and 'door' .#fa0505."),
        ({str(i): (i, 0, 0) for i in range(256)}, "256 classes; at most 255"),
    ],
)
def test_legends_that_are_refused(legend: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        colors.parse_legend(legend)


def test_the_threshold_of_refusal() -> None:
    assert colors.MIN_DISTANCE == 14
    colors.parse_legend({"a": (0, 0, 0), "b": (14, 0, 0)})
    with pytest.raises(InputError, match="too near"):
        colors.parse_legend({"a": (0, 0, 0), "b": (13, 0, 0)})


def nearest_pair(palette: list) -> float:
    distance = np.linalg.norm(np.array(palette, float)[:, None] - np.array(palette, float), axis=2)
    return float(distance[~np.eye(len(palette), dtype=bool)].min())


@pytest.mark.parametrize(("n", "apart"), [(7, 255), (8, 219), (20, 127), (64, 60), (200, 42)])
def test_far_apart_colours_are_far_apart_and_far_from_what_is_avoided(n: int, apart: float) -> None:
    palette = colors.far_apart(n, avoid=["black"])
    assert len(palette) == n
    assert nearest_pair([*palette, (0, 0, 0)]) >= apart


def test_far_apart_colours_are_the_same_each_time_and_begin_with_names() -> None:
    assert colors.far_apart(5) == colors.far_apart(30)[:5]
    names = [colors.write_color(color, "name") for color in colors.far_apart(7, avoid=["black"])]
    assert names == ["red", "lime", "blue", "yellow", "magenta", "cyan", "white"]


@given(st.lists(st.tuples(BYTES, BYTES, BYTES), min_size=1, max_size=5, unique=True), st.integers(1, 16))
def test_far_apart_avoids_anything(avoid: list, n: int) -> None:
    palette = colors.far_apart(n, avoid)
    distance = np.linalg.norm(np.array(palette, float)[:, None] - np.array(avoid, float), axis=2)
    assert distance.min() > 60 and len(set(palette)) == n


def test_how_many_colours_there_are() -> None:
    assert colors.far_apart(0) == []
    with pytest.raises(InputError, match="none or more"):
        colors.far_apart(-1)
    with pytest.raises(InputError, match="ask for at most 343"):
        colors.far_apart(400)
