# SPDX-License-Identifier: Apache-2.0
"""What is done to depth on its way: the cloud of obstacles, the steady filter, the check of its scale."""

import math

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import BALL, SIZE, Camera, camera_info, depth_of, new_client, pixels, running_node
from oracle import Truth
from sensor_msgs.msg import LaserScan, PointCloud2, PointField

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.errors import InputError
from vision_banana_ros.node.topics.point_cloud import read_points
from vision_banana_ros.node.topics.range_sensor import body_from_sensor

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


@pytest.fixture
def running():
    with running_node() as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition)
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info())
        client.spin_until(lambda: node.streams[0].inputs.info is not None, "the CameraInfo in the node")
        yield node, client, camera


def show(node, client, camera, level, *topics):
    """Shows a frame and returns its message of each topic."""
    for topic in topics:
        if topic not in client.received:
            client.listen(topic)
    client.spin_until(lambda: set(topics) <= node.streams[0].outputs.watched(), "the subscribers in the node")
    seen = [len(client.received[topic]) for topic in topics]
    camera.show(level)
    client.spin_until(
        lambda: all(len(client.received[t]) > n for t, n in zip(topics, seen, strict=True)), "the outputs"
    )
    return [client.received[topic][-1] for topic in topics]


def test_the_cloud_of_obstacles_is_thin_sure_and_near(running):
    node, client, camera = running
    assert client.set_parameters(**{"obstacles.max_range": 3.0, "obstacles.voxel": 0.2})[0].successful
    (cloud,) = show(node, client, camera, 100, "points_obstacles")
    points = read_points(cloud).reshape(-1, 3)
    assert cloud.is_dense and cloud.height == 1 and cloud.row_step == 12 * cloud.width
    assert 20 < len(points) < SIZE[0] * SIZE[1] / 4  # a wall of 2.5 x 1.9 m in cells of 0.2 m
    assert points[:, 2] == pytest.approx(depth_of(100), rel=1e-3)
    assert np.linalg.norm(points, axis=1).max() <= 3.0
    (cloud,) = show(node, client, camera, 240, "points_obstacles")  # 3.4 m away
    assert cloud.width == 0


def test_one_stray_pixel_is_no_obstacle(running):
    node, client, camera = running
    depth = np.full(SIZE, np.inf)
    depth[10, 10] = 1.0
    node.generator.truth = lambda image: Truth(depth_m=depth)
    cloud, points = show(node, client, camera, 10, "points_obstacles", "points")
    assert cloud.width == 0
    assert np.isfinite(np.frombuffer(points.data, np.float32).reshape(-1, 4)[:, 2]).sum() == 1


def test_steady_depth_trembles_less_invents_nothing_and_is_off_by_default(running):
    node, client, camera = running

    def trembling():
        levels = [100, 101, 99, 101, 99, 101, 99, 100] * 2
        return [
            float(pixels(show(node, client, camera, level, "depth/image_rect")[0])[20, 20])
            for level in levels
        ]

    free = trembling()
    assert np.std(free) == pytest.approx(0.0087, abs=0.002)
    assert client.set_parameters(steady_depth=8.0)[0].successful
    steady = trembling()
    assert (
        np.std(steady[4:]) < np.std(free) / 2
        and depth_of(99) <= min(steady)
        and max(steady) <= depth_of(101) + 1e-6
    )
    (jump,) = show(node, client, camera, 200, "depth/image_rect")  # something else: taken as it is
    assert pixels(jump) == pytest.approx(np.full(SIZE, depth_of(200)), rel=1e-5)


def scan(client, distance_m):
    """A wall straight ahead, seen by a level laser at the camera."""
    message = LaserScan(angle_min=-0.4, angle_max=0.4, angle_increment=0.01, range_min=0.1, range_max=30.0)
    message.ranges = [distance_m / math.cos(-0.4 + 0.01 * i) for i in range(81)]
    message.header.frame_id = "laser"
    return message


def test_ranges_correct_the_scale_slowly_and_the_place_that_segment_tells(running):
    node, client, camera = running
    assert client.set_parameters(scale_check="scan")[0].successful
    assert "no ranges on /scan are within" in fault_after(
        show, node, client, camera, "The scale of depth is not checked"
    )
    ranges = client.create_publisher(LaserScan, "scan", 5)
    client.spin_until(lambda: ranges.get_subscription_count() > 0, "the node's subscription to scan")
    stream = node.streams[0]
    start = client.next_stamp()
    for i in range(6):
        message = scan(client, 1.1 * depth_of(100))
        stamp = start + i * 500_000_000
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        ranges.publish(message)
        client.spin_until(
            lambda m=message: stream.ranges.newest and stream.ranges.newest.header == m.header, "the scan"
        )
        camera.show(100, stamp)
        client.spin_until(lambda s=stamp: frame_of(client, s), "depth")
    scales = [float(pixels(m)[20, 20]) / depth_of(100) for m in client.received["depth/image_rect"][1:]]
    assert scales == sorted(scales) and scales[0] < 1.051 and scales[-1] == pytest.approx(1.1, rel=0.02)
    status = client.status()
    assert status["scale checked by"] == "scan" and status["frames used"] == "6"
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert reply.centroid.point.z == pytest.approx(scales[-1] * depth_of(100), rel=1e-3)
    # A sensor that says nonsense moves nothing.
    message = scan(client, 50 * depth_of(100))
    message.range_max = 1000.0
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp + 100_000_000, 1_000_000_000)
    ranges.publish(message)
    client.spin_until(lambda: stream.ranges.newest.header == message.header, "the scan")
    camera.show(100, stamp + 100_000_000)
    client.wait_for_fault("not believed")
    assert stream.depth.scale == pytest.approx(scales[-1], rel=1e-3)
    assert client.set_parameters(scale_check="")[0].successful
    client.spin_until(
        lambda: camera.show(100) and "scale checked by" not in client.status(), "the check to end"
    )


def frame_of(client, stamp):
    return any(
        m.header.stamp.sec * 10**9 + m.header.stamp.nanosec == stamp
        for m in client.received["depth/image_rect"]
    )


def fault_after(show, node, client, camera, words):
    show(node, client, camera, 100, "depth/image_rect")
    return client.wait_for_fault(words)


def test_the_height_of_the_camera_corrects_the_scale(running):
    node, client, camera = running
    info = camera_info()
    rows = np.arange(SIZE[0])[:, None] * np.ones((1, SIZE[1]))
    below = rows > info.k[5] + 1
    floor = np.full(SIZE, 8.0)
    floor[below] = np.minimum(8.0, 1.0 * info.k[4] / (rows[below] - info.k[5]))
    node.generator.truth = lambda image: Truth(depth_m=floor)
    assert client.set_parameters(scale_check="camera_height", camera_height=1.2)[0].successful
    client.spin_until(lambda: node.streams[0].asking.settings.scale_check, "the change")
    show(node, client, camera, 10, "depth/image_rect")
    status = client.status()
    assert float(status["scale seen"]) == pytest.approx(1.2, rel=0.02)
    assert 1.0 <= float(status["scale"]) <= 1.06


def test_poses_are_those_of_urdf_and_clouds_are_read_with_their_padding():
    turned = body_from_sensor((1.0, 2.0, 3.0, 0.0, 0.0, math.pi / 2))
    assert turned @ [1, 0, 0, 1] == pytest.approx([1, 3, 3, 1])
    pitched = body_from_sensor((0, 0, 0, 0.0, math.pi / 2, 0.0))  # nose down
    assert pitched @ [1, 0, 0, 1] == pytest.approx([0, 0, -1, 1], abs=1e-12)
    rolled = body_from_sensor((0, 0, 0, math.pi / 2, 0.0, 0.0))
    assert rolled @ [0, 1, 0, 1] == pytest.approx([0, 0, 1, 1], abs=1e-12)
    rows = np.zeros((2, 44), np.uint8)  # 2 points of 20 bytes and a padding of 4
    values = rows[:, :40].reshape(2, 2, 20)
    points = np.arange(12, dtype="<f4").reshape(2, 2, 3)
    values[..., 4:16] = points.view(np.uint8).reshape(2, 2, 12)
    fields = [
        PointField(name=n, offset=4 + 4 * i, datatype=PointField.FLOAT32, count=1)
        for i, n in enumerate("xyz")
    ]
    cloud = PointCloud2(height=2, width=2, fields=fields, point_step=20, row_step=44, data=rows.tobytes())
    assert read_points(cloud).tolist() == points.tolist()
    for change in (
        {"row_step": 30},
        {"height": 3},
        {"point_step": 8},
        {"fields": fields[:2]},
        {"width": 2**31},
    ):
        broken = PointCloud2(
            **{
                "height": 2,
                "width": 2,
                "fields": fields,
                "point_step": 20,
                "row_step": 44,
                "data": rows.tobytes(),
                **change,
            }
        )
        with pytest.raises(InputError, match="the cloud"):
            read_points(broken)
