# SPDX-License-Identifier: Apache-2.0
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import instances

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def canvas(height: int = 100, width: int = 120) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def reference(rgb: np.ndarray, min_area: float, min_core: float, spread: float) -> np.ndarray:
    """The five steps in plain Python, from the paper's wording; on black, tau = 14."""
    height, width, _ = rgb.shape
    color = {(y, x): rgb[y, x].astype(float) for y in range(height) for x in range(width)}

    def near(a: np.ndarray, b: np.ndarray) -> bool:
        return float(((a - b) ** 2).sum()) <= 14**2

    free = [p for p in color if (color[p] ** 2).sum() >= 14**2]  # 1, in raster order
    waiting = set(free)
    regions = []
    for seed in free:  # 2
        if seed not in waiting:
            continue
        region, frontier = {seed}, [seed]
        waiting.discard(seed)
        while frontier:
            y, x = frontier.pop(0)
            for p in list(waiting):
                moved = sorted((abs(p[0] - y), abs(p[1] - x)))
                if moved in ([0, 1], [1, 1], [1, 2]) and near(color[p], color[seed]):
                    waiting.discard(p)
                    region.add(p)
                    frontier.append(p)
        regions.append(region)
    regions = [region for region in regions if len(region) >= min_area * height * width]  # 3

    def survives(y: int, x: int, region: set) -> bool:
        around = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        return all(p in region or p not in color for p in around)

    cores = [sum(survives(*p, region) for p in region) for region in regions]
    regions = [a for a, core in zip(regions, cores, strict=True) if core >= min_core * len(a)]  # 4

    def box(*sets: set) -> int:
        ys, xs = zip(*set().union(*sets), strict=True)
        return (max(ys) - min(ys) + 1) * (max(xs) - min(xs) + 1)

    def mean(region: set) -> np.ndarray:
        return np.mean([color[p] for p in region], axis=0)

    groups = [{i} for i in range(len(regions))]  # 5
    for i, j in combinations(range(len(regions)), 2):
        a, b = regions[i], regions[j]
        if near(mean(a), mean(b)) and box(a, b) <= spread * (box(a) + box(b)):
            together = [group for group in groups if i in group or j in group]
            groups = [group for group in groups if group not in together] + [set().union(*together)]
    labels = np.zeros((height, width), np.uint16)
    for number, group in enumerate(sorted(groups, key=min), start=1):
        for i in group:
            for p in regions[i]:
                labels[p] = number
    return labels


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    min_area=st.sampled_from([0.0, 0.01, 0.05]),
    min_core=st.sampled_from([0.0, 0.1, 0.3]),
    spread=st.sampled_from([0.0, 0.8, 1.5, 5.0]),
)
def test_against_the_steps_in_plain_python(
    seed: int, min_area: float, min_core: float, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(6, 15, 2)
    rgb = np.zeros((height, width, 3), np.uint8)
    palette = rng.integers(0, 256, (3, 3))
    for _ in range(rng.integers(1, 7)):
        y, x = rng.integers(0, height), rng.integers(0, width)
        rgb[y : y + rng.integers(1, 8), x : x + rng.integers(1, 8)] = palette[rng.integers(3)]
    rgb = np.clip(rgb + rng.integers(-6, 7, rgb.shape), 0, 255).astype(np.uint8)
    answer = instances.decode(rgb, min_area=min_area, min_core=min_core, max_spread=spread)
    np.testing.assert_array_equal(answer.labels, reference(rgb, min_area, min_core, spread))


def test_separate_and_touching_things() -> None:
    rgb = canvas()
    rgb[10:30, 10:30] = RED
    rgb[10:30, 30:50] = GREEN  # touches the red one
    rgb[60:90, 70:100] = BLUE
    answer = instances.decode(rgb)
    expected = np.zeros((100, 120), int)
    expected[10:30, 10:30], expected[10:30, 30:50], expected[60:90, 70:100] = 1, 2, 3
    np.testing.assert_array_equal(answer.labels, expected)
    np.testing.assert_array_equal(answer.confidence, 1)
    assert answer.labels.dtype == np.uint16 and answer.confidence.dtype == np.float32


def test_step_1_background_is_strictly_nearer_than_tau() -> None:
    rgb = canvas()
    rgb[:50], rgb[50:] = (13, 0, 0), (14, 0, 0)
    assert not instances.decode(rgb).labels[:50].any()
    assert instances.decode(rgb).labels[50:].all()
    assert instances.decode(rgb, background_tau=15).labels.max() == 0


def test_step_2_a_pixel_joins_up_to_tau_from_the_seed() -> None:
    rgb = canvas()
    rgb[20:40, 20:40], rgb[20:40, 40:60], rgb[20:40, 60:80] = (200, 0, 0), (214, 0, 0), (228, 0, 0)
    kept = instances.decode(rgb, merge_tau=0).labels[30]
    # The third is within tau of its neighbour, but not of the seed.
    assert kept[30] == kept[50] == 1 and kept[70] == 2
    assert len(np.unique(instances.decode(rgb, region_tau=30, merge_tau=0).labels)) == 2


@pytest.mark.parametrize(("crack", "regions"), [(1, 1), (2, 2)])
def test_step_2_a_region_crosses_a_crack_one_pixel_wide(crack: int, regions: int) -> None:
    rgb = canvas()
    rgb[20:60, 20:80] = RED
    rgb[:, 50 : 50 + crack] = 0
    assert instances.decode(rgb, merge_tau=0, max_spread=0).labels.max() == regions


def test_step_3_small_regions_are_dropped() -> None:
    rgb = canvas(200, 200)  # 2e-4 of it are 8 pixels
    rgb[10:12, 10:14] = RED
    rgb[50:57, 50] = GREEN
    answer = instances.decode(rgb, min_core=0)
    assert answer.labels[10, 10] == 1 and answer.labels.max() == 1
    # What was dropped is neither a thing nor background.
    assert answer.confidence[50, 50] == 0 and answer.confidence[0, 0] == 1
    assert instances.decode(rgb, min_core=0, min_area=0).labels.max() == 2


def test_step_4_thin_regions_are_dropped() -> None:
    rgb = canvas()
    rgb[20:22, 10:110] = RED  # nothing of it survives erosion
    rgb[50:60, 10:110] = GREEN
    assert set(np.unique(instances.decode(rgb).labels)) == {0, 1}
    assert instances.decode(rgb, min_core=0).labels.max() == 2


def test_step_4_the_frame_does_not_erode() -> None:
    rgb = canvas()
    rgb[:2, 10:110] = RED  # as thin, but cut off by the frame: its upper row survives
    assert instances.decode(rgb).labels[0, 50] == 1


def test_step_5_parts_of_one_thing_are_merged() -> None:
    rgb = canvas()
    rgb[20:40, 20:40] = rgb[20:40, 60:80] = RED
    rgb[20:40, 42:58] = GREEN
    labels = instances.decode(rgb).labels
    assert labels[30, 30] == labels[30, 70] == 1 and labels[30, 50] == 2
    # The joint box is 20 x 60, the two are 2 * 400: 1.5 times.
    assert instances.decode(rgb, max_spread=1.5).labels.max() == 2
    assert instances.decode(rgb, max_spread=1.49).labels.max() == 3


def test_step_5_things_far_apart_stay_two() -> None:
    rgb = canvas(200, 200)
    rgb[:10, :10] = rgb[-10:, -10:] = RED
    assert instances.decode(rgb).labels.max() == 2


def test_step_5_joins_over_a_third() -> None:
    rgb = canvas(60, 400)
    for x in (20, 150, 280):
        rgb[20:40, x : x + 20] = RED
    # Next ones span 150 x 20, 3.75 times their boxes; the outer two 280 x 20, 7 times.
    assert instances.decode(rgb).labels.max() == 1
    rgb[20:40, 150:170] = 0
    assert instances.decode(rgb).labels.max() == 2


def test_step_5_joins_over_a_later_third() -> None:
    rgb = canvas(120, 320)
    rgb[20:40, 20:40] = rgb[20:40, 280:300] = RED  # 280 x 20 together: 7 times their boxes
    rgb[60:100, 120:200] = RED  # with either of them at most 180 x 80, 4 times
    assert instances.decode(rgb).labels.max() == 1


@pytest.mark.parametrize(("merge_tau", "things"), [(14, 1), (13.9, 2)])
def test_step_5_merges_up_to_tau(merge_tau: float, things: int) -> None:
    rgb = canvas()
    rgb[20:40, 20:40], rgb[20:40, 50:70] = (200, 0, 0), (214, 0, 0)
    assert instances.decode(rgb, merge_tau=merge_tau).labels.max() == things


def test_confidence_falls_with_the_distance_to_the_regions_colour() -> None:
    rgb = canvas()
    rgb[20:60, 20:60] = RED
    rgb[30, 30] = (245, 0, 0)
    rgb[80, 80] = (7, 0, 0)
    answer = instances.decode(rgb)
    assert answer.confidence[30, 30] == pytest.approx(1 - 10 / 28, abs=1e-3)
    assert answer.confidence[80, 80] == pytest.approx(0.75, abs=1e-5)


def test_round_trip_of_many_things() -> None:
    labels = np.zeros((240, 320), np.uint16)
    for k in range(64):
        y, x = 30 * (k // 8), 40 * (k % 8)
        labels[y + 2 : y + 28, x + 2 : x + 38] = k + 1
    for painted in (instances.encode(labels), np.rint(instances.encode(labels) * 255).astype(np.uint8)):
        np.testing.assert_array_equal(instances.decode(painted).labels, labels)


def test_colours_are_taken_in_the_order_of_labels() -> None:
    labels = np.array([[0, 7, 3]])
    rgb = instances.encode(labels, colors=["blue", "#ff0000", "lime"], background="white")
    assert rgb.dtype == np.float32
    assert (rgb * 255).tolist() == [[[255, 255, 255], [255, 0, 0], [0, 0, 255]]]


def test_another_background() -> None:
    labels = np.zeros((50, 60), int)
    labels[10:40, 10:40] = 1
    rgb = instances.encode(labels, background="white")
    np.testing.assert_array_equal(instances.decode(rgb, background="white").labels, labels)


def test_an_empty_picture_has_no_things() -> None:
    assert instances.encode(np.zeros((4, 5), int)).max() == 0
    answer = instances.decode(canvas())
    assert answer.labels.max() == 0 and answer.confidence.min() == 1


def test_noise_escapes_tau_as_others_measured() -> None:
    rgb = np.random.default_rng(0).normal(0, 12 / 255, (300, 300, 3))  # below black, clipped by the decoder
    for tau, escaped in ((14, 0.37), (40, 0.003)):
        background = instances.decode(rgb, background_tau=tau, min_area=1).confidence > 0
        assert 1 - background.mean() == pytest.approx(escaped, rel=0.2)


def test_things_survive_noise_with_a_wider_tau() -> None:
    labels = np.zeros((120, 160), int)
    labels[20:60, 20:60], labels[20:60, 60:100], labels[70:110, 40:140] = 1, 2, 3
    noisy = instances.encode(labels) + np.random.default_rng(1).normal(0, 12 / 255, (120, 160, 3))
    answer = instances.decode(noisy, background_tau=60, region_tau=80)
    assert (answer.labels == labels).mean() > 0.99


def test_nan_colours_are_no_thing() -> None:
    rgb = np.zeros((50, 50, 3))
    rgb[10:40, 10:40] = (1, 0, 0)
    rgb[20, 20, 1] = np.nan
    answer = instances.decode(rgb)
    assert answer.labels[20, 20] == 0 and answer.confidence[20, 20] == 0
    assert answer.labels[21, 21] == 1


def test_bad_input_is_refused() -> None:
    labels = np.array([[0, 1, 2]])
    with pytest.raises(InputError, match="2 instances but 1 colours"):
        instances.encode(labels, colors=["red"])
    with pytest.raises(InputError, match="too near"):
        instances.encode(labels, colors=["red", "#fa0000"])
    with pytest.raises(InputError, match="the background.*too near"):
        instances.encode(labels, colors=["red", "black"])
    with pytest.raises(InputError, match="negative"):
        instances.encode(-labels)
    with pytest.raises(InputError, match="cannot be told apart"):
        instances.encode(np.arange(400).reshape(20, 20))
    for wrong in (
        {"background_tau": 0},
        {"region_tau": -1},
        {"min_area": 1.5},
        {"min_core": -0.1},
        {"merge_tau": -1},
        {"max_spread": float("nan")},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            instances.decode(canvas(), **wrong)


def test_more_regions_than_labels_are_refused() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="16 bits"):
        instances.decode(rgb, min_area=0, min_core=0)
