# SPDX-License-Identifier: Apache-2.0
"""Answers as messages, beside what slower and simpler code makes of them."""

from array import array
from types import SimpleNamespace

import numpy as np
import pytest
from node_support import pixels
from std_msgs.msg import Header

from vision_banana_ros.node.topics.messages import (
    OF_THINGS,
    TYPES,
    Composer,
    Seen,
    image_message,
    picture_range,
)
from vision_banana_ros.perception import Intrinsics, points, visualization
from vision_banana_ros.perception.obstacles import ObstacleFilter
from vision_banana_ros.perception.visualization import BEYOND
from vision_banana_ros.tasks.normals import picture as normals_picture

SIZE = (30, 40)
LEGEND = {"floor": (128, 64, 128), "wall": (0, 0, 255), "box": (255, 128, 0)}
CAMERA = Intrinsics(40, 30, 33.0, 34.0, 19.0, 14.0)


def seen(seed=0, size=SIZE, camera=CAMERA, answers=None):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.1, 30, size).astype(np.float32)
    depth[0, :5] = np.nan, np.inf, 0.0, 0.2, 19.9
    normals = rng.normal(size=(*size, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    normals[2, 3] = np.nan
    sure = rng.uniform(0, 1, size).astype(np.float32)
    everything = {
        "depth": [SimpleNamespace(depth_m=depth, confidence=sure)],
        "normals": [SimpleNamespace(normals=normals.astype(np.float32), confidence=sure)],
        "semantic": [SimpleNamespace(labels=rng.choice(np.uint8([0, 1, 2, 255]), size), confidence=sure)],
        "instances": [SimpleNamespace(labels=rng.integers(0, 900, size, dtype=np.uint16), confidence=sure)],
        "referring": [
            SimpleNamespace(
                mask=rng.uniform(size=size) < 0.5, confidence=rng.uniform(0, 1, size).astype(np.float32)
            )
            for _ in range(3)
        ],
    }
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return Seen(
        Header(frame_id="camera"),
        image,
        everything if answers is None else answers,
        LEGEND,
        (0.2, 20.0),
        camera,
        ObstacleFilter(),
    )


@pytest.mark.parametrize("topic", TYPES)
def test_a_message_has_the_frames_header_and_an_array_that_rclpy_passes_straight(topic):
    frame = seen()
    message = Composer().compose(topic, frame)
    assert type(message) is TYPES[topic]
    assert message.header == frame.header
    if topic in OF_THINGS:
        assert message.detections == []
        return
    assert (message.height, message.width) == SIZE or topic == "points_obstacles" and message.height == 1
    if topic != "depth/camera_info":
        assert type(message.data) is array and message.data.typecode == "B" and not message.is_bigendian
        step = message.step if hasattr(message, "step") else message.row_step
        assert len(message.data) == step * message.height


def test_numbers_are_passed_on_unchanged_and_normals_in_the_optical_frame():
    frame, composer = seen(), Composer()
    assert np.array_equal(
        pixels(composer.compose("depth/image_rect", frame)), frame.answers["depth"][0].depth_m, equal_nan=True
    )
    normals = frame.answers["normals"][0].normals * np.float32([1, -1, -1])
    assert np.array_equal(pixels(composer.compose("normals/image", frame)), normals, equal_nan=True)
    assert np.array_equal(
        pixels(composer.compose("segmentation/mask", frame)), frame.answers["semantic"][0].labels
    )
    assert np.array_equal(
        pixels(composer.compose("instances/mask", frame)), frame.answers["instances"][0].labels
    )
    sure = np.round(frame.answers["semantic"][0].confidence * 255)
    assert np.array_equal(pixels(composer.compose("segmentation/confidence", frame)), sure)


def test_where_expressions_overlap_the_surer_one_has_the_pixel():
    frame = seen()
    sure = np.stack([np.where(a.mask, a.confidence, 0) for a in frame.answers["referring"]])
    expected = np.where(sure.max(axis=0) > 0, sure.argmax(axis=0) + 1, 0)
    assert np.array_equal(pixels(Composer().compose("referring/mask", frame)), expected)


def test_the_cloud_is_organised_and_agrees_with_the_plain_computation():
    frame = seen()
    cloud = Composer().compose("points", frame)
    values = np.frombuffer(cloud.data, np.float32).reshape(*SIZE, 4)
    expected = points(frame.answers["depth"][0].depth_m, CAMERA)
    assert np.array_equal(np.isnan(values[..., :3]), np.isnan(expected))
    np.testing.assert_allclose(values[..., :3], expected, rtol=1e-5)
    colors = np.frombuffer(cloud.data, np.uint32).reshape(*SIZE, 4)[..., 3]
    assert np.array_equal(colors, frame.image.astype(np.uint32) @ np.uint32([1 << 16, 1 << 8, 1]))
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        (name, 4 * i, 7, 1) for i, name in enumerate(("x", "y", "z", "rgb"))
    ]


def test_pictures_agree_with_those_of_the_command_line():
    frame, composer = seen(), Composer()
    depth = frame.answers["depth"][0].depth_m
    painted = pixels(composer.compose("depth/color", frame))
    # The same up to the table's steps in depth: the colour is that of a depth at most 0.8 % nearer.
    nearer, itself = (
        visualization.depth_picture(depth * 0.992, 0.2, 20.0),
        visualization.depth_picture(depth, 0.2, 20.0),
    )
    low, high = np.minimum(nearer, itself).astype(int) - 6, np.maximum(nearer, itself).astype(int) + 6
    assert ((painted >= low) & (painted <= high)).all()
    assert painted[0, 0].tolist() == [0, 0, 0] and painted[0, 1].tolist() == list(BEYOND)
    off = pixels(composer.compose("normals/color", frame)).astype(int) - normals_picture(
        frame.answers["normals"][0].normals
    )
    assert abs(off).max() <= 1
    overlay = visualization.labels_overlay(frame.image, frame.answers["semantic"][0].labels, LEGEND)
    assert abs(pixels(composer.compose("segmentation/overlay", frame)).astype(int) - overlay).max() <= 1


def test_buffers_are_kept_from_frame_to_frame_and_follow_a_change_of_size():
    composer = Composer()
    first, second = composer.compose("points", seen(1)), composer.compose("points", seen(2))
    assert first is second
    assert composer.compose("points", seen(3, (12, 16))).width == 16
    depth = seen(2)
    composer.compose("depth/image_rect", seen(1))
    again = composer.compose("depth/image_rect", depth)
    assert np.array_equal(pixels(again), depth.answers["depth"][0].depth_m, equal_nan=True)


def test_there_is_no_message_without_an_answer_or_without_a_camera():
    nothing, blind = seen(answers={}), seen(camera=None)
    composer = Composer()
    for topic in TYPES:
        assert (composer.compose(topic, nothing) is None) == (topic != "depth/camera_info")
    assert (
        composer.compose("detections_3d", blind) is None and composer.compose("detections", blind) is not None
    )
    assert composer.compose("points", blind) is None and composer.compose("depth/camera_info", blind) is None


def test_an_image_message_is_written_through_its_view():
    message, view = image_message(Header(), "16UC1", 4, 5)
    view[3, 4] = 0x0102
    assert bytes(message.data[-2:]) == b"\x02\x01" and message.step == 10


def test_depth_pictures_have_one_range_for_a_bundle():
    assert picture_range((0.05, 60.0), 60.0) == (0.2, 20.0)
    assert picture_range((0.3, 15.0), 15.0) == (0.3, 15.0)
    assert picture_range((0.3, 15.0), 0.1) == (0.3, 0.6)  # never empty
