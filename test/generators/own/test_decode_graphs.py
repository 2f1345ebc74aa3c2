# SPDX-License-Identifier: Apache-2.0
"""The decode graphs of a bundle give what `tasks` gives."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS, as_answer, decode_inputs
from vision_banana_ros.tasks import depth, normals, referring, semantic
from vision_banana_ros.tasks.colors import far_apart

SIZE = open_bundle(default_bundle()).manifest.size
SESSIONS = {task: onnxruntime.InferenceSession(default_bundle() / graph) for task, graph in DECODE_GRAPHS.items()}
CHANNEL = st.sampled_from([0.0, 0.5, 1.0, -0.25, 1.5, np.nan, np.inf, -np.inf]) | st.floats(-0.5, 1.5, width=32)
COLORS = arrays.arrays(np.float32, (40, 3), elements=CHANNEL)


def picture(colors):
    """These colours, over and over."""
    return np.resize(colors, (*SIZE, 3)).astype(np.float32)


def read(task, rgb, **asked):
    return as_answer(task, SESSIONS[task].run(None, {"rgb": rgb, **decode_inputs(task, **asked)}))


def assert_same(ours, theirs, field):
    """Equal to float precision; where confidence is zero but for the last digit, either may call it unreadable."""
    np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-6)
    sure = theirs.confidence > 1e-6
    np.testing.assert_allclose(getattr(ours, field)[sure], getattr(theirs, field)[sure], rtol=2e-6, atol=2e-6)
    lost = (theirs.confidence == 0) & (ours.confidence == 0)
    np.testing.assert_array_equal(getattr(ours, field)[lost], getattr(theirs, field)[lost])


@settings(max_examples=12, deadline=None)
@given(COLORS)
def test_depth_and_normals(colors):
    rgb = picture(colors)
    assert_same(read("depth", rgb), depth.decode(rgb), "depth_m")
    assert_same(read("normals", rgb), normals.decode(rgb), "normals")


def test_depth_from_the_camera_to_infinity():
    metres = np.resize(np.concatenate([[0, np.inf, np.nan], np.geomspace(1e-3, 1e5, 500)]), SIZE).astype(np.float32)
    rgb = depth.encode(metres)
    answer = read("depth", rgb)
    assert_same(answer, depth.decode(rgb), "depth_m")
    assert answer.depth_m[0, 0] == 0 and np.isposinf(answer.depth_m[0, 1]) and np.isnan(answer.depth_m[0, 2])


@settings(max_examples=12, deadline=None)
@given(COLORS, st.integers(1, 40), st.booleans(), st.sampled_from([0, 64]))
def test_semantic_for_any_legend(colors, classes, black, rows):
    chosen = [(0, 0, 0), *far_apart(classes, ["black"])] if black else far_apart(classes, ["black"])
    legend = {f"class {i}": color for i, color in enumerate(chosen)}
    rgb = picture(colors)
    ours, theirs = read("semantic", rgb, legend=legend, rows=rows), semantic.decode(rgb, legend)
    near = np.abs(theirs.confidence - semantic.MIN_CONFIDENCE) < 1e-5  # where the last digit decides
    tie = (theirs.confidence < 1e-5) & (ours.confidence < 1e-5)
    np.testing.assert_allclose(ours.confidence[~near], theirs.confidence[~near], atol=1e-5)
    np.testing.assert_array_equal(ours.labels[~near & ~tie], theirs.labels[~near & ~tie])
    assert ours.labels.dtype == np.uint8


@settings(max_examples=12, deadline=None)
@given(COLORS, st.sampled_from([(255, 0, 0), (255, 255, 255), (10, 200, 90)]))
def test_referring_for_any_colour(colors, color):
    rgb = picture(colors)
    assert_same(read("referring", rgb, color=color), referring.decode(rgb, color), "mask")


def test_a_palette_with_too_few_rows_is_refused():
    legend = {f"class {i}": color for i, color in enumerate(far_apart(8))}
    with pytest.raises(InputError, match="8 classes; this engine supports 7"):
        decode_inputs("semantic", legend=legend, rows=8)
