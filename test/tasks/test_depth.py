# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import depth


@pytest.fixture(scope="module")
def hilbertmap() -> Any:
    """An independent implementation of the same code; ROS's distributions have no package of it."""
    return pytest.importorskip("hilbertmap")


CORNERS = ["black", "red", "yellow", "green", "cyan", "blue", "magenta", "white"]
CORNER_RGB = np.array(
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 1, 1]], dtype=np.float32
)
# The paper's figures, metres.
CORNER_DEPTH = [0.0, 0.80, 1.83, 3.23, 5.28, 8.71, 16.46, np.inf]

FRAMES = Path(os.environ.get("VISION_BANANA_FRAMES", Path(__file__).parents[3] / "shared" / "frames"))
FRAME_FILES = sorted(FRAMES.glob("*_depth.npz"))


def row(*depths: float) -> np.ndarray:
    return np.array([depths], dtype=np.float32)


def all_codes() -> np.ndarray:
    """Every 8-bit colour of the walk, black to white."""
    corners = CORNER_RGB * 255
    edges = [np.linspace(corners[k], corners[k + 1], 255, endpoint=False) for k in range(7)]
    return np.rint(np.concatenate([*edges, corners[-1:]])).astype(np.uint8)[None]


@pytest.mark.parametrize(("corner", "metres"), list(enumerate(CORNER_DEPTH)), ids=CORNERS)
def test_corners_of_the_cube_stand_for_the_papers_depths(corner: int, metres: float) -> None:
    answer = depth.decode(CORNER_RGB[None, None, corner])
    assert answer.depth_m[0, 0] == pytest.approx(metres, abs=0.005)
    assert answer.confidence[0, 0] == 1


@pytest.mark.parametrize("corner", range(8), ids=CORNERS)
def test_the_papers_depths_are_painted_in_the_corners_colours(corner: int) -> None:
    exact = np.inf if corner == 7 else 10 * ((1 - corner / 7) ** -0.5 - 1)
    assert depth.encode(row(exact))[0, 0] == pytest.approx(CORNER_RGB[corner], abs=1e-6)


def test_depth_between_corners() -> None:
    # f(1 m) = 1 - 1 / 1.21; seven times that is one edge and 0.2149 of the next, from red to yellow.
    assert depth.encode(row(1.0))[0, 0] == pytest.approx([1, 7 * (1 - 1 / 1.21) - 1, 0], abs=1e-6)
    # f(40 m) = 0.96: 0.72 of the last edge, magenta to white.
    assert depth.encode(row(40.0))[0, 0] == pytest.approx([1, 0.72, 1], abs=1e-6)


def test_both_ends_are_exact() -> None:
    for kind in (np.float32, np.uint8):
        ends = np.array([[[0, 0, 0], [1, 1, 1]]], dtype=kind) * (255 if kind == np.uint8 else 1)
        assert depth.decode(ends.astype(kind)).depth_m.tolist() == [[0.0, np.inf]]
    assert depth.decode(depth.encode(row(0.0, np.inf))).depth_m.tolist() == [[0.0, np.inf]]


def test_types_and_shapes() -> None:
    rgb = depth.encode(np.ones((3, 5)))
    assert rgb.shape == (3, 5, 3) and rgb.dtype == np.float32
    answer = depth.decode(rgb)
    assert answer.depth_m.shape == answer.confidence.shape == (3, 5)
    assert answer.depth_m.dtype == answer.confidence.dtype == np.float32


@settings(deadline=None, max_examples=200)
@given(arrays(np.float32, (4, 5), elements=st.floats(0, 300, width=32)))
def test_round_trip(metres: np.ndarray) -> None:
    np.testing.assert_allclose(depth.decode(depth.encode(metres)).depth_m, metres, rtol=2e-5, atol=1e-6)


def test_float_answers_are_not_cut_to_8_bits() -> None:
    metres = np.linspace(0.1, 60, 2000, dtype=np.float32)[None]
    rgb = depth.encode(metres)
    bits = np.rint(rgb * 255).astype(np.uint8)
    error_float = np.abs(depth.decode(rgb).depth_m / metres - 1).max()
    error_bits = np.abs(depth.decode(bits).depth_m / metres - 1).max()
    assert error_float < 2e-6
    assert 1e-3 < error_bits < 2e-2


def test_half_precision_answers_are_read() -> None:
    metres = row(0.5, 3.0, 20.0)
    assert depth.decode(depth.encode(metres).astype(np.float16)).depth_m == pytest.approx(metres, rel=5e-3)


@pytest.mark.parametrize(
    ("metres", "step"), [(1, 3.7e-3), (5, 9.5e-3), (10, 22e-3), (20, 76e-3), (40, 0.35), (100, 3.7)]
)
def test_step_of_one_8_bit_code(metres: float, step: float) -> None:
    codes = depth.decode(all_codes()).depth_m[0]
    assert len(codes) == 1786  # 1785 codes and infinity
    at = int(np.abs(codes - metres).argmin())
    assert (codes[at + 1] - codes[at - 1]) / 2 == pytest.approx(step, rel=0.05)


def test_8_bit_codes_rise_to_412_metres() -> None:
    codes = depth.decode(all_codes()).depth_m[0]
    assert np.all(np.diff(codes[:-1]) > 0)
    assert codes[-2] == pytest.approx(412.5, abs=0.1)
    assert codes[-1] == np.inf


@pytest.mark.parametrize(("metres", "absrel"), [(1, 0.025), (10, 0.015), (20, 0.026), (40, 0.060)])
def test_cost_of_noise(metres: float, absrel: float) -> None:
    rgb = depth.encode(np.full((200, 200), metres, dtype=np.float32))
    noisy = rgb + np.random.default_rng(1).normal(0, 10 / 255, rgb.shape)
    measured = np.median(np.abs(depth.decode(noisy).depth_m / metres - 1))
    assert measured == pytest.approx(absrel, rel=0.2)


def test_agrees_with_hilbertmap_on_the_walk(hilbertmap: Any) -> None:
    metres = np.geomspace(0.05, 60, 20000)[None]
    theirs = hilbertmap.depth_to_rgb(metres)
    np.testing.assert_allclose(depth.encode(metres.astype(np.float32)), theirs, atol=1e-6)
    np.testing.assert_allclose(depth.decode(theirs).depth_m, metres, rtol=1e-5)
    ours = depth.encode(metres)
    np.testing.assert_allclose(
        depth.decode(ours).depth_m, hilbertmap.rgb_to_depth(ours.astype(np.float64)), rtol=1e-5
    )


def test_agrees_with_hilbertmap_off_the_walk(hilbertmap: Any) -> None:
    rgb = np.random.default_rng(2).random((200, 300, 3), dtype=np.float32)
    theirs = hilbertmap.rgb_to_depth(rgb.astype(np.float64))
    within = theirs < 60
    assert within.mean() > 0.9
    ours = depth.decode(rgb, max_distance=2).depth_m
    np.testing.assert_allclose(ours[within], theirs[within], rtol=1e-5)


@pytest.mark.skipif(not FRAME_FILES, reason=f"no depth maps in {FRAMES}; set VISION_BANANA_FRAMES")
@pytest.mark.parametrize("path", FRAME_FILES, ids=lambda path: path.stem)
def test_agrees_with_hilbertmap_on_real_depth(path: Path, hilbertmap: Any) -> None:
    metres = np.load(path)["depth_m"]
    rgb = depth.encode(metres)
    theirs = hilbertmap.rgb_to_depth(rgb.astype(np.float64))
    ours = depth.decode(rgb).depth_m
    near = (metres >= 0.05) & (metres <= 60)
    np.testing.assert_allclose(ours[near], theirs[near], rtol=1e-5)
    np.testing.assert_allclose(ours[near], metres[near], rtol=1e-5)
    # Farther out a float32 colour itself holds fewer digits of the depth.
    np.testing.assert_allclose(ours, metres, rtol=1e-4)


@settings(deadline=None, max_examples=100)
@given(arrays(np.float32, (1, 6, 3), elements=st.floats(-0.5, 1.5, width=32)))
def test_confidence_is_the_distance_to_the_walk(hilbertmap: Any, rgb: np.ndarray) -> None:
    answer = depth.decode(rgb)
    clipped = np.clip(rgb.astype(np.float64), 0, 1)
    on_walk = hilbertmap.walk(hilbertmap.project(clipped))
    expected = np.clip(1 - np.linalg.norm(clipped - on_walk, axis=2) / depth.MAX_DISTANCE, 0, 1)
    np.testing.assert_allclose(answer.confidence, expected, atol=1e-5)
    np.testing.assert_array_equal(np.isnan(answer.depth_m), answer.confidence == 0)


def test_max_distance_moves_the_threshold() -> None:
    rgb = np.array([[[0.5, 0.3, 0.0]]])  # 0.3 from the edge black to red
    assert np.isnan(depth.decode(rgb).depth_m[0, 0])
    answer = depth.decode(rgb, max_distance=0.6)
    assert answer.depth_m[0, 0] == pytest.approx(10 * ((1 - 0.5 / 7) ** -0.5 - 1), rel=1e-5)
    assert answer.confidence[0, 0] == pytest.approx(0.5, abs=1e-5)


def test_overshoot_is_clipped() -> None:
    over = np.array([[[1.03, 1.02, 1.01], [-0.03, -0.01, 0.0], [1.1, 0.5, -0.1]]])
    plain = np.array([[[1, 1, 1], [0, 0, 0], [1.0, 0.5, 0.0]]])
    np.testing.assert_array_equal(depth.decode(over).depth_m, depth.decode(plain).depth_m)
    np.testing.assert_array_equal(depth.decode(over).confidence, 1)


@pytest.mark.parametrize("channel", range(3))
def test_nan_colours_are_unreadable(channel: int) -> None:
    for corner in CORNER_RGB:
        rgb = corner.copy()
        rgb[channel] = np.nan
        answer = depth.decode(rgb[None, None])
        assert np.isnan(answer.depth_m[0, 0]) and answer.confidence[0, 0] == 0


@pytest.mark.parametrize("colormap", depth.COLORMAPS)
def test_missing_truth_is_marked_and_read_back_as_nan(colormap: str) -> None:
    rgb = depth.encode(row(2.0, np.nan), colormap)
    for painted in (rgb, np.rint(rgb * 255).astype(np.uint8)):
        answer = depth.decode(painted, colormap=colormap)
        assert answer.depth_m[0, 0] == pytest.approx(2.0, rel=0.05)
        assert np.isnan(answer.depth_m[0, 1]) and answer.confidence[0, 1] == 0


@pytest.mark.parametrize("colormap", depth.COLORMAPS)
def test_every_colour_map_comes_back(colormap: str) -> None:
    metres = np.append(np.linspace(0.0, 30, 500), np.inf)[None].astype(np.float32)
    answer = depth.decode(depth.encode(metres, colormap), colormap=colormap)
    np.testing.assert_allclose(answer.depth_m, metres, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer.confidence, 1, atol=1e-4)


def test_colour_maps_run_linearly_in_f() -> None:
    half = 10 * (0.5**-0.5 - 1)
    assert depth.encode(row(half), "grey")[0, 0] == pytest.approx([0.5] * 3, abs=1e-6)
    # The middle colours of the published maps.
    for colormap, rgb in {"plasma": "cb4778", "inferno": "bb3755", "viridis": "21908c"}.items():
        assert depth.encode(row(half), colormap)[0, 0] * 255 == pytest.approx(list(bytes.fromhex(rgb)), abs=1)


def test_cube_kernel_agrees_with_the_general_one() -> None:
    rgb = np.random.default_rng(3).random((50, 60, 3), dtype=np.float32)
    planes = np.ascontiguousarray(rgb.reshape(-1, 3).T)
    cube = depth.read_cube(planes, np.float32(0.4))
    general = depth.read_polyline(planes, np.float32(0.4), depth.COLORMAPS["cube"])
    np.testing.assert_allclose(cube[0], general[0], rtol=1e-4)
    np.testing.assert_allclose(cube[1], general[1], atol=1e-5)


@pytest.mark.parametrize(
    ("truth", "sentence"),
    [
        (row(1.0, -0.01), "negative"),
        (row(1.0, -np.inf), "negative"),
        (np.array([[1500]], dtype=np.uint16), "floats"),
        (np.ones(5), "shape"),
        (np.ones((2, 2, 1)), "shape"),
        (np.ones((0, 4)), "shape"),
    ],
)
def test_bad_truth_is_refused(truth: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        depth.encode(truth)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="max_distance"):
        depth.decode(np.zeros((2, 2, 3), np.uint8), max_distance=0)
    for call in (
        lambda: depth.encode(row(1.0), "jet"),
        lambda: depth.decode(np.zeros((2, 2, 3), np.uint8), colormap="jet"),
        lambda: depth.instruction("jet"),
    ):
        with pytest.raises(InputError, match="choose one of cube"):
            call()
