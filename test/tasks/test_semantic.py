# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import semantic
from vision_banana_ros.tasks.colors import far_apart

LEGEND = {"floor": (128, 64, 128), "wall": (70, 70, 70), "chair": (220, 20, 60), "plant": (107, 142, 35)}


def brute_force(rgb: np.ndarray, palette: list) -> tuple[np.ndarray, np.ndarray]:
    """Nearest colour and 1 - d1 / d2, in double precision."""
    distance = np.linalg.norm(np.float64(rgb)[:, :, None] - np.array(palette, float), axis=3)
    ordered = np.sort(distance, axis=2)
    return distance.argmin(axis=2), 1 - ordered[..., 0] / ordered[..., 1]


@settings(deadline=None, max_examples=60)
@given(arrays(np.uint8, (5, 7, 3)), st.integers(2, 40))
def test_the_papers_rule_against_brute_force(rgb: np.ndarray, classes: int) -> None:
    palette = far_apart(classes)
    legend = {f"class {i}": color for i, color in enumerate(palette)}
    answer = semantic.decode(rgb, legend, min_confidence=0, unlabelled=None)
    labels, confidence = brute_force(rgb, palette)
    np.testing.assert_array_equal(answer.labels, labels)
    np.testing.assert_allclose(answer.confidence, confidence, atol=1e-5)


def test_thresholds_and_unlabelled_colour_against_brute_force() -> None:
    # Larger than a block of the compiled loop, and no multiple of it.
    rgb = np.random.default_rng(0).random((37, 41, 3), dtype=np.float32)
    answer = semantic.decode(rgb, LEGEND, min_confidence=0.3)
    labels, confidence = brute_force(rgb * 255, [*LEGEND.values(), (0, 0, 0)])
    clear = np.abs(confidence - 0.3) > 1e-5
    readable = confidence >= 0.3
    np.testing.assert_array_equal(answer.labels[clear], np.where(readable & (labels < 4), labels, 255)[clear])
    np.testing.assert_allclose(answer.confidence[clear], np.where(readable, confidence, 0)[clear], atol=1e-5)
    assert 0.1 < readable.mean() < 0.9


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_round_trip_with_unlabelled_pixels(kind: type) -> None:
    labels = np.random.default_rng(1).choice([0, 1, 2, 3, 255], size=(20, 30)).astype(np.uint8)
    rgb = semantic.encode(labels, LEGEND)
    assert rgb.dtype == np.float32 and rgb.shape == (20, 30, 3)
    answer = semantic.decode(rgb if kind == np.float32 else np.rint(rgb * 255).astype(np.uint8), LEGEND)
    np.testing.assert_array_equal(answer.labels, labels)
    assert answer.labels.dtype == np.uint8 and answer.confidence.dtype == np.float32
    np.testing.assert_array_equal(answer.confidence, 1)


def test_classes_survive_noise() -> None:
    labels = np.random.default_rng(2).integers(0, 4, (60, 80))
    noisy = semantic.encode(labels, LEGEND) + np.random.default_rng(3).normal(0, 12 / 255, (60, 80, 3))
    answer = semantic.decode(noisy, LEGEND)
    assert (answer.labels == labels).mean() > 0.99


def test_a_colour_between_two_classes_is_unlabelled() -> None:
    legend = {"a": (255, 0, 0), "b": (0, 0, 255)}
    rgb = np.array([[(255, 0, 0), (130, 0, 125), (150, 0, 105), (0, 0, 255)]], dtype=np.uint8)
    answer = semantic.decode(rgb, legend)
    assert answer.labels.tolist() == [[0, 255, 0, 1]]
    assert answer.confidence[0, 1] == 0 < answer.confidence[0, 2] < 0.5


def test_black_means_no_class_unless_a_class_is_black() -> None:
    black = np.zeros((1, 1, 3), np.uint8)
    answer = semantic.decode(black, LEGEND)
    assert answer.labels[0, 0] == 255 and answer.confidence[0, 0] == 1
    assert semantic.decode(black, LEGEND | {"void": "black"}).labels[0, 0] == 4
    assert semantic.decode(black, LEGEND, unlabelled=None).labels[0, 0] == 1


def test_unlabelled_pixels_need_a_colour_of_their_own() -> None:
    legend = {"void": "black", "sky": "skyblue"}
    labels = np.array([[0, 255, 1]])
    with pytest.raises(InputError, match="unlabelled"):
        semantic.encode(labels, legend)
    painted = semantic.encode(labels, legend, unlabelled="red")
    assert semantic.decode(painted, legend, unlabelled="red").labels.tolist() == labels.tolist()


def test_one_class_is_a_legend_too() -> None:
    legend = {"road": "gray"}
    painted = semantic.encode(np.array([[0, 255]]), legend)
    assert semantic.decode(painted, legend).labels.tolist() == [[0, 255]]
    whole = semantic.decode(np.full((1, 1, 3), 128, np.uint8), legend, unlabelled=None)
    assert whole.labels[0, 0] == 0 and whole.confidence[0, 0] == 1


def test_255_classes_are_told_apart() -> None:
    legend = {str(i): color for i, color in enumerate(far_apart(255))}
    labels = np.arange(255).reshape(15, 17)
    np.testing.assert_array_equal(semantic.decode(semantic.encode(labels, legend), legend).labels, labels)


@pytest.mark.parametrize("channel", range(3))
def test_nan_colours_are_unlabelled(channel: int) -> None:
    rgb = np.full((1, 1, 3), 70 / 255)
    rgb[..., channel] = np.nan
    answer = semantic.decode(rgb, LEGEND, min_confidence=0, unlabelled=None)
    assert answer.labels[0, 0] == 255 and answer.confidence[0, 0] == 0


def test_legends_may_be_written_as_people_write_them() -> None:
    written = {"floor": "rgb(128, 64, 128)", "wall": "#464646", "chair": "crimson", "plant": [107, 142, 35]}
    rgb = np.random.default_rng(4).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(semantic.decode(rgb, written).labels, semantic.decode(rgb, LEGEND).labels)


def test_the_cityscapes_palette_is_accepted() -> None:
    palette = [
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60),
        (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ]  # fmt: skip
    legend = {str(i): color for i, color in enumerate(palette)}
    assert semantic.decode(np.array([palette], np.uint8), legend).labels.tolist() == [list(range(19))]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([[0, 4]]), "go up to 4, but the legend has 4 classes"),
        (np.array([[0, 300]]), "go up to 300"),
        (np.array([[0, -1]]), "negative"),
        (np.array([[0.0, 1.0]]), "whole numbers"),
        (np.zeros((2, 2, 1), int), "shape"),
    ],
)
def test_bad_truth_is_refused(labels: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        semantic.encode(labels, LEGEND)


def test_bad_legends_and_thresholds_are_refused() -> None:
    rgb = np.zeros((2, 2, 3), np.uint8)
    near = {"bus": (10, 60, 100), "train": (0, 60, 100)}
    for call in (
        lambda: semantic.decode(rgb, near),
        lambda: semantic.encode(np.zeros((2, 2), int), near),
        lambda: semantic.instruction(near),
    ):
        with pytest.raises(InputError, match="'bus'.*'train'.*too near"):
            call()
    with pytest.raises(InputError, match="min_confidence"):
        semantic.decode(rgb, LEGEND, min_confidence=1.1)
