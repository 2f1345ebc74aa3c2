# SPDX-License-Identifier: Apache-2.0
"""Pictures to look at: what their colours promise."""

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import visualization
from vision_banana_ros.tasks import normals

LEGEND = {"floor": (200, 0, 0), "wall": (0, 0, 200)}
IMAGE = np.full((4, 6, 3), 100, np.uint8)


def test_depth_runs_through_turbo_and_marks_what_is_no_depth():
    depth = np.array([[1, 4, 16, 0.2, 99, np.nan, np.inf]], np.float32)
    picture = visualization.depth_picture(depth, 1, 16)[0]
    turbo = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_TURBO)[0, :, ::-1]
    np.testing.assert_array_equal(picture[0], turbo[255])  # near is red
    np.testing.assert_array_equal(picture[1], turbo[127])  # 4 is half way between 1 and 16 by ratio
    np.testing.assert_array_equal(picture[2], turbo[0])
    np.testing.assert_array_equal(picture[3], picture[0])
    np.testing.assert_array_equal(picture[4], picture[2])
    assert tuple(picture[5]) == (0, 0, 0) and tuple(picture[6]) == visualization.BEYOND


@pytest.mark.parametrize(("near", "far"), [(0, 1), (2, 2), (3, 1), (float("nan"), 2)])
def test_a_range_of_depth_that_cannot_be_is_refused(near, far):
    with pytest.raises(InputError, match="0 < near < far"):
        visualization.depth_picture(np.ones((2, 2), np.float32), near, far)


def test_the_range_leaves_out_what_is_no_depth():
    depth = np.linspace(1, 5, 1001, dtype=np.float32)
    near, far = visualization.depth_range(np.concatenate([depth, [np.nan, np.inf, 0]]).astype(np.float32))
    assert near == pytest.approx(1.08, abs=0.01) and far == pytest.approx(4.92, abs=0.01)
    for empty in (np.full((2, 2), np.nan), np.zeros((0, 3)), np.full((2, 2), 3.0)):
        near, far = visualization.depth_range(empty)
        assert 0 < near < far


def test_normals_have_the_colours_of_the_paper():
    n = np.array([[[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0, 0.8]]], np.float32)
    np.testing.assert_allclose(normals.picture(n), normals.encode(n) * 255, atol=0.6)
    assert normals.picture(np.full((1, 1, 3), np.nan, np.float32)).sum() == 0


def test_labels_tint_their_pixels_and_leave_the_unlabelled():
    labels = np.array([[0, 1, 255, 2, 0, 1]] * 4, np.uint8)
    out = visualization.labels_overlay(IMAGE, labels, LEGEND, strength=0.5)
    np.testing.assert_array_equal(out[0, 0], [150, 50, 50])
    np.testing.assert_array_equal(out[0, 1], [50, 50, 150])
    np.testing.assert_array_equal(out[0, 2:4], IMAGE[0, 2:4])


def test_instances_have_colours_of_their_own():
    labels = np.arange(24, dtype=np.uint16).reshape(4, 6)
    out = visualization.instances_overlay(IMAGE, labels, strength=1.0).reshape(-1, 3)
    assert len(np.unique(out, axis=0)) == 24
    np.testing.assert_array_equal(out[0], [100, 100, 100])


def test_a_mask_stands_out():
    mask = np.zeros((4, 6), bool)
    mask[1:3, 1:3] = True
    out = visualization.mask_overlay(IMAGE, mask, (255, 0, 0))
    np.testing.assert_array_equal(out[0, 5], [50, 50, 50])
    assert (out[mask][:, 0] > 100).all()


def test_a_sheet_holds_every_picture_at_its_aspect():
    wide, tall = np.full((30, 60, 3), (10, 200, 30), np.uint8), np.full((60, 30, 3), (200, 10, 30), np.uint8)
    tiles = [
        visualization.Tile("one", wide, "a note", LEGEND),
        visualization.Tile("two", tall),
        visualization.Tile(
            "a title that is far too long to fit above its picture in one line of the sheet",
            wide,
            "word " * 60,
        ),
    ]
    out = visualization.sheet(tiles, "all", columns=2, tile_width=200)
    assert out.dtype == np.uint8 and out.shape[1] == 16 + 2 * 216
    assert (out == (10, 200, 30)).all(axis=2).sum() == 2 * 200 * 100
    assert (out == (200, 10, 30)).all(axis=2).sum() == 200 * 400
    # The legend's swatches are there.
    assert (out == LEGEND["floor"]).all(axis=2).any() and (out == LEGEND["wall"]).all(axis=2).any()


def test_an_empty_sheet_is_refused():
    with pytest.raises(InputError, match="at least one"):
        visualization.sheet([])


def test_the_bar_of_colours_is_that_of_the_picture():
    bar = visualization.color_bar(1, 16)
    assert list(bar) == ["1 m", "2 m", "4 m", "8 m", "16 m", "unreadable", "beyond"]
    picture = visualization.depth_picture(np.array([[4]], np.float32), 1, 16)
    assert tuple(picture[0, 0]) == bar["4 m"]
