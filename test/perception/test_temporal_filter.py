# SPDX-License-Identifier: Apache-2.0
"""Steady depth: less noise on still things, no lag at edges, and never a depth that was not between two
that were seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.temporal_filter import GATE, SteadyDepth
from vision_banana_ros.scenes import SimulatedCamera

SIZE = (6, 8)
STRANGE = st.sampled_from(
    [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-30, 1e30, 0.3, 2.0, 2.01, 2.05, 2.2, 2.3, 50.0]
)


def sure(depth):
    return np.where(np.isnan(depth), 0, 1).astype(np.float32)


def test_a_still_camera_gets_the_same_answer_bit_for_bit():
    image = SimulatedCamera(3, 320, 240, 10.0).view(0.0).image
    perceiver, steady = Perceiver(load_generator(default_bundle())), SteadyDepth()
    without, filtered = set(), set()
    for _ in range(4):
        (answer,) = perceiver.look(image, [Question.depth()])
        without.add(answer.depth_m.tobytes())
        filtered.add(steady(answer.depth_m, answer.confidence).tobytes())
    assert len(without) == 1 and filtered == without


def test_noise_on_a_still_wall_is_reduced_without_a_bias():
    rng, steady = np.random.default_rng(0), SteadyDepth(memory=4.0)
    frames = (2.0 * (1 + rng.uniform(-0.02, 0.02, (200, 30, 40)))).astype(np.float32)
    filtered = np.stack([steady(frame, sure(frame)) for frame in frames])[20:]
    # A recursive mean with the weight a = 1 / (memory + 1) leaves sqrt(a / (2 - a)) of the deviation: a
    # third.
    assert filtered.std(axis=0).mean() / frames.std(axis=0).mean() == pytest.approx(1 / 3, rel=0.05)
    assert filtered.mean() == pytest.approx(2.0, rel=1e-3)


def test_a_moving_edge_is_not_smeared():
    steady = SteadyDepth()
    for column in range(10, 30):
        depth = np.full((20, 40), 4.0, np.float32)
        depth[:, column : column + 8] = 1.5
        assert np.array_equal(steady(depth, sure(depth)), depth)


def test_a_surface_that_comes_nearer_is_never_further_behind_than_the_gate():
    steady, z = SteadyDepth(memory=50.0), 5.0
    while z > 0.3:
        depth = np.full(SIZE, z, np.float32)
        assert np.abs(steady(depth, sure(depth)) / depth - 1).max() <= GATE * 1.001
        z *= 0.99


def test_unreadable_stays_unreadable_and_is_forgotten():
    steady = SteadyDepth()
    depth = np.full(SIZE, 2.0, np.float32)
    steady(depth, sure(depth))
    depth[2:4] = np.nan
    depth[4:] = np.inf
    assert np.array_equal(steady(depth, sure(depth)), depth, equal_nan=True)
    new = np.full(SIZE, 2.02, np.float32)
    found = steady(new, sure(new))
    assert (found[2:] == new[2:]).all() and (found[:2] < new[:2]).all()


def test_the_surer_depth_counts_more():
    first, second = np.full(SIZE, 2.0, np.float32), np.full(SIZE, 2.04, np.float32)
    for confidence, expected in ((1.0, 2.02), (0.25, 2.008), (0.0, 2.04)):
        steady = SteadyDepth()
        steady(first, sure(first))
        assert steady(second, np.full(SIZE, confidence, np.float32)) == pytest.approx(
            np.full(SIZE, expected), rel=1e-6
        )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(STRANGE, st.floats(0, 1, width=32)), min_size=1, max_size=20), st.floats(0.1, 100))
def test_every_value_is_the_new_one_or_between_it_and_those_seen(seen, memory):
    steady, values = SteadyDepth(memory), []
    for depth, confidence in seen:
        depth = np.float32(depth)
        values.append(depth)
        (found,) = steady(np.full((1, 1), depth), np.full((1, 1), confidence, np.float32)).ravel()
        if np.isfinite(depth):
            finite = [v for v in values if np.isfinite(v)]
            assert min(finite) <= found <= max(finite) and abs(found - depth) <= GATE * 1.01 * abs(found)
        else:
            assert np.array_equal(found, depth, equal_nan=True)


def test_another_size_and_a_reset_start_anew():
    steady = SteadyDepth()
    small, large = np.full(SIZE, 2.0, np.float32), np.full((12, 16), 2.02, np.float32)
    steady(small, sure(small))
    assert np.array_equal(steady(large, sure(large)), large)
    steady.reset()
    assert np.array_equal(steady(large * np.float32(1.01), sure(large)), large * np.float32(1.01))


def test_the_frame_is_not_written_to_and_the_answer_is_the_callers():
    steady = SteadyDepth()
    depth = np.full(SIZE, 2.0, np.float32)
    first = steady(depth, sure(depth))
    first[:] = 7
    assert (depth == 2).all() and (steady(depth, sure(depth)) == 2).all()


def test_what_cannot_be_is_refused():
    for memory in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(InputError, match="must be above 0"):
            SteadyDepth(memory)
    with pytest.raises(InputError, match="must be of one size"):
        SteadyDepth()(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32))
