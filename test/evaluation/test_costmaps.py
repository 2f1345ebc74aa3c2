# SPDX-License-Identifier: Apache-2.0
"""Nav2's layers by their rules, on cases worked out by hand, and the presets held against them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from vision_banana_ros.evaluation.costmaps import SemanticTiles, marked

ROOT = Path(__file__).resolve().parents[2]
NAMES = {0: "floor", 1: "chair", 2: "person", 3: "ceiling"}
HERE = np.zeros(3)


def preset(name):
    file = yaml.safe_load((ROOT / "config" / "nav2" / f"{name}.yaml").read_text())
    return file["local_costmap"]["local_costmap"]["ros__parameters"][name]["camera"]


def frame(*pixels):
    """Pixels (class, confidence, x) side by side, at half a metre's height."""
    labels, confidence, x = (np.array([values]) for values in zip(*pixels, strict=True))
    points = np.stack([x, np.zeros_like(x), np.full_like(x, 0.5, float)], axis=-1)
    return points, HERE, labels.astype(np.uint8), confidence.astype(np.uint8), NAMES


@pytest.mark.parametrize("other", [0, 3])
def test_the_preset_keeps_an_obstacle_beside_a_surer_pixel_of_floor_or_of_a_class_that_is_not_listed(other):
    tiles = SemanticTiles(preset("semantic_layer"))
    chosen = tiles.add(*frame((other, 250, 1.01), (1, 140, 1.02), (other, 250, 1.03)), 0.0)
    assert chosen == {(20, 0): 1}
    surest = SemanticTiles({**preset("semantic_layer"), "use_cost_selection": False})
    assert surest.add(*frame((other, 250, 1.01), (1, 140, 1.02)), 0.0) == {(20, 0): other}, (
        "what the preset guards against"
    )


def test_the_cost_grows_with_sightings_and_is_forgotten():
    tiles = SemanticTiles(preset("semantic_layer"))
    for i in range(3):
        assert tiles.costs() == ({} if i == 0 else {(20, 0): 100})
        tiles.add(*frame((1, 140, 1.01)), 0.1 * i)
    assert tiles.costs() == {(20, 0): 254}
    tiles.add(*frame((1, 140, 2.01)), 3.15)  # the first two are older than 3 s then
    assert tiles.costs() == {(20, 0): 100, (40, 0): 100}
    tiles.add(*frame((1, 140, 2.01)), 9.0)
    assert set(tiles.costs()) == {(40, 0)}


def test_a_person_takes_a_tile_from_what_was_seen_there_before():
    tiles = SemanticTiles(preset("semantic_layer"))
    for i in range(5):
        tiles.add(*frame((0, 200, 1.01)), 0.1 * i)
    assert tiles.costs() == {(20, 0): 0}
    tiles.add(*frame((2, 10, 1.01)), 0.6)
    assert tiles.costs() == {(20, 0): 254}


def test_points_out_of_the_layers_ranges_bring_nothing():
    source = preset("semantic_layer")
    tiles = SemanticTiles(source)
    points, *rest = frame((1, 200, 0.1), (1, 200, 1.01), (1, 200, 9.0), (1, 200, 1.51))
    points[0, 0, 2] = 0.0
    points[0, 3, 2] = np.nan
    assert set(tiles.add(points, *rest, 0.0)) == {(20, 0)}


def test_marks_are_bound_by_height_and_by_distance_from_the_sensor():
    source = {
        "min_obstacle_height": 0.15,
        "max_obstacle_height": 2.0,
        "obstacle_max_range": 5.0,
        "obstacle_min_range": 0.3,
    }
    cloud = np.array(
        [[1, 0, 0.1], [1, 0, 0.15], [1, 0, 2.0], [1, 0, 2.1], [5, 0, 1.0], [4.9, 0, 1.0], [0.1, 0, 1.0]]
    )
    assert marked(cloud, np.array([0, 0, 1.0]), source).tolist() == [
        False,
        True,
        True,
        False,
        False,
        True,
        False,
    ]
