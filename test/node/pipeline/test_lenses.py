# SPDX-License-Identifier: Apache-2.0
"""Lenses, stamps and formats over DDS: whose CameraInfo a frame has, and what is published of a raw image."""

from array import array

import cv2
import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from node_support import (
    BALL,
    LATCHED,
    SIZE,
    Camera,
    camera_info,
    depth_of,
    drawn,
    new_client,
    picture,
    pixels,
    running_node,
    stamp_of,
)
from rays import degrees_a_pixel, project
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.perception.camera import Calibration

TOPICS = ["depth/image_rect", "depth/camera_info", "points", "segmentation/mask"]
WIDE = (192, 256)


@pytest.fixture(scope="module")
def node():
    with running_node() as (node, context):
        with new_client(context) as client:
            for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                assert client.transition(transition), node.failure
        yield node


@pytest.fixture
def client(node):
    with new_client(node.context, TOPICS) as client:
        client.set_parameters(max_age=0.0)  # the first frame waits for compiled code
        client.spin_until(lambda: node.streams[0].outputs.watched() == set(TOPICS), "the subscribers")
        node.streams[0].inputs.infos.clear()
        yield client
        client.set_parameters(image_is_rectified="auto", rectify="auto")


@pytest.fixture
def camera(client):
    camera = Camera(client)
    camera.connect()
    yield camera
    camera.close()


def stamped(info: CameraInfo, stamp_ns: int) -> CameraInfo:
    info.header.stamp.sec, info.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    info.header.frame_id = "camera"
    return info


def focal(info: CameraInfo, factor: float) -> CameraInfo:
    info.k[0] = info.k[4] = info.p[0] = info.p[5] = factor * info.width
    return info


def answered(client, topics, stamp):
    """The message of each topic with this stamp."""

    def found():
        of = {
            topic: next((m for m in client.received[topic] if stamp_of(m) == stamp), None) for topic in topics
        }
        return of if all(of.values()) else None

    # the first frame waits for code that is compiled
    return client.spin_until(found, f"{topics} of {stamp}")


def distorted_info() -> CameraInfo:
    info = camera_info(WIDE)
    info.d = [-0.25, 0.05, 0.001, -0.001, 0.0]
    return info


def fisheye_info() -> CameraInfo:
    info = focal(camera_info(WIDE), 0.45)
    info.distortion_model, info.d = "equidistant", [0.0] * 4
    return info


def test_the_cloud_of_a_raw_image_holds_true_rays_and_its_info_describes_it(node, client, camera):
    for info in (distorted_info(), fisheye_info()):
        stamp = client.next_stamp()
        # red and green say where a pixel came from
        rows, columns = np.mgrid[: WIDE[0], : WIDE[1]].astype(np.uint8)
        message = Image(height=WIDE[0], width=WIDE[1], encoding="rgb8", step=3 * WIDE[1])
        message.data = array("B", np.stack([columns, rows, np.full_like(rows, 90)], axis=-1).tobytes())
        message.header = stamped(info, stamp).header
        camera.infos.publish(info)
        camera.images.publish(message)
        seen = answered(client, ["points", "depth/camera_info"], stamp)
        cloud: PointCloud2 = seen["points"]
        values = np.frombuffer(cloud.data, np.float32).reshape(-1, 4)
        colors = np.frombuffer(cloud.data, np.uint32).reshape(-1, 4)[:, 3]
        came_from = np.stack([colors >> 16, colors >> 8 & 255], axis=-1).astype(float)
        there = (
            np.isfinite(values[:, 2])
            & (came_from > 2).all(axis=1)
            & (came_from < (WIDE[1] - 3, WIDE[0] - 3)).all(axis=1)
        )
        points, of = values[there, :3].astype(np.float64), Calibration.of(info)
        # 8 bits round it by half a pixel in both axes, as often up as down
        off = project(of, points) - came_from[there]
        assert there.sum() > 0.5 * len(values) and np.abs(off).max() < 0.6
        assert (np.abs(off.mean(axis=0)).max() * degrees_a_pixel(of, points)).max() < 0.1
        published: CameraInfo = seen["depth/camera_info"]
        assert (
            not any(published.d)
            and published.r.tolist() == camera_info().r.tolist()
            and (published.width, published.height) == WIDE[::-1]
        )
        assert published.binning_x == 0 and published.roi.width == 0 and published.k[0] == published.p[0] > 0
        u, v = np.meshgrid(np.arange(WIDE[1]), np.arange(WIDE[0]))
        by_info = (u.reshape(-1)[there] - published.p[2]) / published.p[0] * points[:, 2]
        assert by_info == pytest.approx(points[:, 0], abs=1e-4)
    assert "rectified here" in client.status()["images"]


def test_what_was_decided_of_the_image_is_in_diagnostics_and_can_be_overruled(node, client, camera):
    camera.infos.publish(stamped(distorted_info(), 1))
    stamp = camera.show(90, size=WIDE)
    answered(client, TOPICS, stamp)
    assert client.status()["images"] == "raw (plumb_bob), rectified here to P"
    # as YAML and the command line have it
    assert client.set_parameters(image_is_rectified=True)[0].successful
    answered(client, TOPICS, camera.show(90, size=WIDE))
    assert client.status()["images"] == "rectified, by P"
    client.set_parameters(image_is_rectified="auto", rectify="never")
    assert not client.set_parameters(rectify="often")[0].successful
    before = len(client.received["points"])
    answered(client, ["segmentation/mask"], camera.show(90, size=WIDE))
    assert "Set rectify to auto" in client.wait_for_fault("rectify is never")
    assert len(client.received["points"]) == before


def test_nonsense_in_camera_info_is_a_fault_that_names_the_field_and_there_is_no_depth(node, client, camera):
    info = camera_info()
    info.k[0] = float("nan")
    camera.infos.publish(info)
    answered(client, ["segmentation/mask"], camera.show(20))
    assert "neither depth nor clouds" in client.wait_for_fault(
        "CameraInfo's K holds numbers that are not finite"
    )
    assert not client.received["depth/image_rect"] and not client.received["points"]


def test_a_frame_is_measured_with_the_camera_info_of_its_own_stamp(node, client, camera):
    """Two zooms in turn, each CameraInfo a little after its image: none may be measured with the other's."""
    expected = {}
    first = client.next_stamp()
    camera.infos.publish(stamped(focal(camera_info(), 0.5), first))
    camera.show(20, first)
    answered(client, ["points"], first)
    expected[first] = 0.5
    for factor in (1.5, 0.5, 1.5):
        stamp = camera.show(20)
        camera.infos.publish(stamped(focal(camera_info(), factor), stamp))
        answered(client, ["points"], stamp)
        expected[stamp] = factor
    for cloud in client.received["points"]:
        values = np.frombuffer(cloud.data, np.float32).reshape(*SIZE, 4)
        measured = (0 - (SIZE[1] - 1) / 2) * values[0, 0, 2] / values[0, 0, 0] / SIZE[1]
        assert measured == pytest.approx(expected[stamp_of(cloud)], rel=1e-3)


def test_a_latched_camera_info_that_was_published_before_is_received(node, client):
    infos = client.create_publisher(CameraInfo, "camera_info", LATCHED)
    infos.publish(camera_info())
    client.spin_until(lambda: node.streams[0].inputs.info is not None, "the latched CameraInfo")
    node.streams[0].inputs.infos.clear()
    client.destroy_publisher(infos)


def test_a_requests_own_picture_is_measured_with_its_own_camera_or_not_at_all(node, client, camera):
    camera.infos.publish(stamped(camera_info(), client.next_stamp()))
    answered(client, ["points"], camera.show(20))
    own = focal(camera_info(), 1.6)
    foreign = picture(20, 0, frame_id="elsewhere")
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL, image=foreign))
    assert reply.success and np.isnan(reply.centroid.point.z)
    reply = client.call(
        Segment, "/vision_banana/segment", Segment.Request(expression=BALL, image=foreign, camera_info=own)
    )
    by_own = reply.centroid.point
    assert by_own.z == pytest.approx(depth_of(20), rel=1e-4)
    same = picture(20, 0, frame_id="camera")
    by_live = client.call(
        Segment, "/vision_banana/segment", Segment.Request(expression=BALL, image=same)
    ).centroid.point
    assert by_live.x / by_own.x == pytest.approx(1.6 / 0.8, rel=1e-3)


def test_camera_info_of_another_frame_id_is_reported_until_it_is_of_the_same(node, client, camera):
    """Of two cameras whose topics were swapped: nothing else differs."""
    info = stamped(camera_info(), 0)
    info.header.frame_id = "rear_camera"
    camera.infos.publish(info)
    camera.show(20)
    told = client.wait_for_fault("'rear_camera'")
    assert "'camera'" in told and "/camera_info" in told
    camera.infos.publish(stamped(camera_info(), 0))
    client.spin_until(lambda: not node.streams[0].faults.shown("frame_id"), "the fault to go")


def test_an_image_without_frame_id_is_of_no_known_camera(node, client, camera):
    """Also where the stream's CameraInfo has none."""
    info = stamped(camera_info(), 0)
    info.header.frame_id = ""
    camera.infos.publish(info)
    client.spin_until(lambda: node.streams[0].inputs.info is not None, "the CameraInfo")
    request = Segment.Request(expression=BALL, image=picture(20, 0, frame_id=""))
    reply = client.call(Segment, "/vision_banana/segment", request)
    assert reply.success and np.isnan(reply.centroid.point.z) and "without a place" in reply.message


@pytest.mark.parametrize(("topic", "kind"), [("image", Image), ("camera_info", CameraInfo)])
def test_a_second_publisher_of_a_camera_is_reported_while_it_is_there(node, client, camera, topic, kind):
    subscriptions = node.streams[0].inputs.subscriptions
    client.spin_until(
        lambda: "image" not in subscriptions or camera.show(20) == 0, "the reliable subscription alone"
    )
    second = rclpy.create_node("second_camera", context=node.context)
    second.create_publisher(kind, topic, 1)
    told = client.wait_for_fault(f"2 publishers send to /{topic}")
    assert "Leave one" in told
    second.destroy_node()
    client.spin_until(lambda: not node.streams[0].faults.shown(f"publishers /{topic}"), "the fault to go")


def test_frames_of_one_stamp_are_all_answered_or_counted_also_when_the_subscription_changes(node, client):
    """A publisher that repeats its stamp; at first beside one that is not reliable, so that best effort is
    asked for."""
    other = client.create_publisher(
        Image, "image", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    camera = Camera(client)
    camera.connect()
    assert client.set_parameters(max_age=0.0)[0].successful
    stamp, shown = client.next_stamp(), 0
    before = client.status()
    for phase in ("best effort", "reliable"):
        wanted = len(client.received["segmentation/mask"]) + 12

        def one_more(wanted=wanted):
            nonlocal shown
            camera.images.publish(picture(20 + shown % 100, stamp))
            shown += 1
            return len(client.received["segmentation/mask"]) >= wanted

        client.spin_until(one_more, f"answers to frames of one stamp by {phase}")
        if phase == "best effort":
            client.destroy_publisher(other)
            client.spin_until(
                lambda: "image, reliable" in node.streams[0].inputs.subscriptions,
                "the reliable subscription",
            )
    after = client.spin_until(
        lambda: (s := client.status())["waiting"] == "0" and s, "all frames to be answered or counted"
    )
    dropped = sum(int(after[key]) - int(before[key]) for key in after if key.startswith("dropped"))
    assert (
        int(after["received"]) - int(before["received"])
        == int(after["published"]) - int(before["published"]) + dropped
    )
    copies = int(after["copies by another subscription"]) - int(before["copies by another subscription"])
    assert copies <= 8 and int(after["received"]) - int(before["received"]) + copies >= 24
    camera.close()


def test_compressed_images_are_taken_where_raw_ones_are_only_advertised(node, client, camera):
    compressed = client.create_publisher(CompressedImage, "image/compressed", 5)
    client.spin_until(
        lambda: compressed.get_subscription_count() > 0, "the subscription to compressed images"
    )
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.data = array("B", cv2.imencode(".jpg", drawn(90))[1].tobytes())
    stamp = client.next_stamp()
    message.header = picture(0, stamp).header
    compressed.publish(message)
    mask = answered(client, ["segmentation/mask"], stamp)["segmentation/mask"]
    assert pixels(mask).shape == SIZE
    answered(client, ["segmentation/mask"], camera.show(20))
    client.spin_until(
        lambda: compressed.get_subscription_count() == 0, "compressed images to be left, as raw ones come"
    )
    client.destroy_publisher(compressed)


def test_a_topic_of_another_type_is_named_as_that(node, client):
    elsewhere = Context()  # within one participant a topic has one type
    rclpy.init(context=elsewhere, domain_id=node.context.get_domain_id(), args=[])
    driver = rclpy.create_node("driver", context=elsewhere)
    driver.create_publisher(CompressedImage, "image", 5)
    told = client.wait_for_fault("is published as sensor_msgs/msg/CompressedImage")
    assert "remap image/compressed to it" in told
    driver.destroy_node()
    rclpy.try_shutdown(context=elsewhere)
    client.spin_until(lambda: client.statuses[-1:] and not client.said("is published as"), "the fault to go")


def test_compressed_images_follow_the_base_name(node):
    inputs = node.streams[0].inputs
    assert inputs.topic("image/compressed") == inputs.topic("image") + "/compressed"
