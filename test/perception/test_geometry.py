# SPDX-License-Identifier: Apache-2.0
"""Intrinsics, points and the letterbox, against figures worked out by hand."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.geometry import Intrinsics, Letterbox, parse_size, points


def test_a_right_angle_of_view_has_a_focal_length_of_half_the_width():
    k = Intrinsics.from_fov(640, 480, 90)
    assert k.fx == pytest.approx(320) and k.fy == pytest.approx(320)
    assert (k.cx, k.cy) == (319.5, 239.5)


def test_scaling_keeps_the_edges_of_the_image_where_they_are():
    k = Intrinsics(640, 480, 500, 510, 330, 200).scaled(320, 120)
    assert (k.width, k.height, k.fx, k.fy) == (320, 120, 250, 127.5)
    # The left edge -0.5 and the top edge -0.5 are the same rays as before.
    assert (-0.5 - k.cx) / k.fx == pytest.approx((-0.5 - 330) / 500)
    assert (-0.5 - k.cy) / k.fy == pytest.approx((-0.5 - 200) / 510)
    assert (319.5 - k.cx) / k.fx == pytest.approx((639.5 - 330) / 500)


def test_scaled_intrinsics_match_a_resized_picture():
    """Rays are resized as OpenCV resizes pictures: the mean ray of 2x2 pixels is the ray of the new pixel."""
    k = Intrinsics(64, 48, 50, 50, 30, 20)
    rays = points(np.ones((48, 64), np.float32), k)
    small = cv2.resize(rays, (32, 24), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(points(np.ones((24, 32), np.float32), k.scaled(32, 24)), small, atol=1e-6)


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(1, 2000))
def test_scaling_there_and_back_changes_nothing(width, height):
    k = Intrinsics(640, 480, 500, 510, 330, 200)
    back = k.scaled(width, height).scaled(640, 480)
    np.testing.assert_allclose([back.fx, back.fy, back.cx, back.cy], [500, 510, 330, 200])


@pytest.mark.parametrize("bad", [dict(width=0), dict(height=-1), dict(fx=0.0), dict(fy=float("nan"))])
def test_a_camera_that_cannot_be_is_refused(bad):
    with pytest.raises(InputError, match="above zero"):
        Intrinsics(**{**dict(width=4, height=3, fx=2.0, fy=2.0, cx=1.5, cy=1.0), **bad})


@pytest.mark.parametrize("fov", [0, -20, 180, 400])
def test_a_field_of_view_that_cannot_be_is_refused(fov):
    with pytest.raises(InputError, match="between 0 and 180"):
        Intrinsics.from_fov(4, 3, fov)


def test_points_by_hand():
    k = Intrinsics(3, 2, fx=2, fy=4, cx=1, cy=0.5)
    depth = np.array([[2, 4, np.nan], [np.inf, 8, -np.inf]], np.float32)
    cloud = points(depth, k)
    assert cloud.shape == (2, 3, 3) and cloud.dtype == np.float32
    # x = (u - 1) / 2 z, y = (v - 0.5) / 4 z
    np.testing.assert_allclose(cloud[0, 0], [-1, -0.25, 2])
    np.testing.assert_allclose(cloud[0, 1], [0, -0.5, 4])
    np.testing.assert_allclose(cloud[1, 1], [0, 1, 8])
    assert np.isnan(cloud[0, 2]).all() and np.isnan(cloud[1, 0]).all() and np.isnan(cloud[1, 2]).all()


def test_points_need_the_camera_of_their_depth():
    with pytest.raises(InputError, match="scale the intrinsics"):
        points(np.ones((3, 4), np.float32), Intrinsics(8, 6, 5, 5, 4, 3))


sizes = st.tuples(st.integers(1, 700), st.integers(1, 700))


@given(sizes, sizes)
@settings(deadline=None, max_examples=200)
def test_the_letterbox_lies_in_the_canvas_and_fills_one_side(frame, canvas):
    box = Letterbox.fit(frame, canvas)
    assert box.top >= 0 and box.top + box.height <= canvas[0]
    assert box.left >= 0 and box.left + box.width <= canvas[1]
    assert box.height == canvas[0] or box.width == canvas[1]
    # The bars at both sides are equal to within a pixel, and the aspect is kept to within the rounding of a
    # pixel.
    assert abs(canvas[0] - box.height - 2 * box.top) <= 1 and abs(canvas[1] - box.width - 2 * box.left) <= 1
    scale = min(canvas[0] / frame[0], canvas[1] / frame[1])
    assert abs(box.height - frame[0] * scale) <= 1 and abs(box.width - frame[1] * scale) <= 1


@settings(deadline=None)
@given(sizes, sizes, st.floats(0, 1), st.floats(0, 1))
def test_a_coordinate_goes_to_the_canvas_and_back(frame, canvas, across, down):
    """The letterbox as a camera: a ray through the frame is the same ray through the canvas."""
    box = Letterbox.fit(frame, canvas)
    height, width = frame
    k = Intrinsics(width, height, width, width, (width - 1) / 2, (height - 1) / 2)
    s = k.scaled(box.width, box.height)
    u, v = across * width - 0.5, down * height - 0.5
    ray = (u - k.cx) / k.fx, (v - k.cy) / k.fy
    on_canvas = ray[0] * s.fx + s.cx + box.left, ray[1] * s.fy + s.cy + box.top
    assert box.left - 0.501 <= on_canvas[0] <= box.left + box.width - 0.499
    back = (
        (on_canvas[0] - box.left + 0.5) * width / box.width - 0.5,
        (on_canvas[1] - box.top + 0.5) * height / box.height - 0.5,
    )
    np.testing.assert_allclose(back, (u, v), atol=1e-6 * max(frame))


def test_pad_and_crop_are_inverse_and_the_bars_repeat_the_border():
    content = np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8)
    box = Letterbox.fit((5, 8), (12, 8))
    canvas = box.pad(box.shrink(content))
    assert canvas.shape == (12, 8, 3) and canvas.flags.c_contiguous
    np.testing.assert_array_equal(box.crop(canvas), content)
    np.testing.assert_array_equal(canvas[: box.top], np.broadcast_to(content[:1], (box.top, 8, 3)))
    np.testing.assert_array_equal(
        canvas[box.top + 5 :], np.broadcast_to(content[-1:], (12 - box.top - 5, 8, 3))
    )


@settings(deadline=None)
@given(sizes, st.lists(sizes, min_size=1, max_size=4))
def test_of_several_canvases_the_one_is_taken_that_shows_most(frame, canvases):
    box = Letterbox.best(frame, canvases)
    every = [Letterbox.fit(frame, canvas) for canvas in canvases]
    assert box in every and box.height * box.width == max(each.height * each.width for each in every)


def test_frames_lie_on_the_canvas_of_their_shape_and_the_first_of_equals_is_taken():
    canvases = [(240, 320), (208, 368), (144, 480), (320, 240)]
    shapes = {(480, 640): 0, (720, 1280): 1, (376, 1241): 2, (1280, 720): 3, (640, 480): 3, (100, 100): 0}
    for frame, expected in shapes.items():
        assert Letterbox.best(frame, canvases).canvas == canvases[expected], frame


def test_sizes_are_written_height_first_in_sixteens():
    assert parse_size("144x192") == (144, 192)
    for text in (
        "²x16",
        "16x" + "9" * 5000,
        "160000x16",
        "144",
        "144x",
        "144x190",
        "0x16",
        "-16x16",
        "16x0",
        "a x b",
        "16x16x16",
    ):
        with pytest.raises(InputError, match="write HEIGHTxWIDTH"):
            parse_size(text)
