# SPDX-License-Identifier: Apache-2.0
"""Time and connections that change: simulated time, clocks that differ, a camera that ends and comes back."""

import time

import pytest
from lifecycle_msgs.msg import Transition
from node_support import SIZE, Camera, camera_info, new_client, running_node, stamps
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.node.topics.transforms import Transforms

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
SECOND = 1_000_000_000


@pytest.fixture
def running(request):
    with running_node(**getattr(request, "param", {})) as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition)
        yield node, client


def watch(node, client, *topics):
    for topic in topics:
        client.listen(topic)
    client.spin_until(
        lambda: len(node.streams[0].outputs.watched()) == len(topics), "the subscribers in the node"
    )


@pytest.mark.parametrize("running", [{"use_sim_time": True, "max_age": 2.0}], indirect=True)
def test_simulated_time_rules_ages_and_may_start_pause_and_jump_back(running):
    node, client = running
    watch(node, client, "depth/image_rect")
    camera = Camera(client)
    camera.connect()
    camera.show(10, 100 * SECOND)
    assert "nobody publishes /clock" in client.wait_for_fault("use_sim_time is set")
    clock = client.create_publisher(Clock, "/clock", 1)

    def done(count):
        report = node.streams[0].counts.report()
        return (report["received"], report["waiting"]) == (str(count), "0")

    def show_at(seconds, stamp_ns):
        message = Clock()
        message.clock.sec = seconds
        client.spin_until(
            lambda: clock.publish(message) or node.get_clock().now().nanoseconds == seconds * SECOND,
            f"the time {seconds}",
        )
        before = int(node.streams[0].counts.report()["received"])
        camera.show(10, stamp_ns)
        client.spin_until(lambda: done(before + 1), "the frame to be done")

    show_at(101, 100_900_000_000)
    show_at(101, 100_950_000_000)  # a pause: time stands still
    show_at(110, 101_000_000_000)  # too old
    show_at(50, 49_900_000_000)  # the recording starts again
    show_at(50, 49_950_000_000)
    expected = [100 * SECOND, 100_900_000_000, 100_950_000_000, 49_900_000_000, 49_950_000_000]
    client.spin_until(lambda: len(client.received["depth/image_rect"]) >= len(expected), "the frames")
    assert stamps(client.received["depth/image_rect"]) == expected
    status = client.status()
    assert status["dropped: stale"] == "1" and status["stamps that jumped back"] == "1"
    assert float(status["age p50 (s)"]) == pytest.approx(0.05, abs=0.06)


def test_transforms_are_forgotten_where_stamps_jump_back_and_not_where_frames_come_out_of_order(monkeypatch):
    forgotten = []
    monkeypatch.setattr(Transforms, "forget", lambda self: forgotten.append(len(forgotten)))
    with running_node(max_age=0.0) as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition)
        watch(node, client, "depth/image_rect")
        camera = Camera(client)
        camera.connect()
        told = []
        for count, stamp_s in enumerate((100.0, 100.2, 100.1, 10.0), 1):
            camera.show(10, round(stamp_s * SECOND))
            client.spin_until(
                lambda count=count: node.streams[0].counts.report()["received"] == str(count), "the frame"
            )
            told.append(len(forgotten))
        assert told == [0, 0, 0, 1]


def test_stamps_in_the_future_are_answered_and_explained(running):
    node, client = running
    watch(node, client, "depth/image_rect")
    camera = Camera(client)
    camera.connect()
    ahead = camera.show(10, client.next_stamp() + 30 * SECOND)
    assert "compare the clocks" in client.wait_for_fault("s in the future")
    assert stamps(client.received["depth/image_rect"]) == [ahead]


@pytest.mark.parametrize("reliability", [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_a_driver_that_starts_again_with_another_resolution_is_answered_from_its_second_frame_on(
    running, reliability
):
    node, client = running
    topics = ["depth/image_rect", "points"]
    watch(node, client, *topics)
    for turn in range(3):
        size = (SIZE[0] * (turn + 1), SIZE[1] * (turn + 1))
        camera = Camera(client, reliability if turn % 2 else ReliabilityPolicy.RELIABLE)
        camera.connect()
        sent = []
        for _ in range(2):
            camera.infos.publish(camera_info(size))
            sent.append(camera.show(10, size=size))
            end = time.monotonic() + 0.5  # between two frames
            while time.monotonic() < end:
                client.own_executor.spin_once(timeout_sec=0.05)
        for topic in topics:
            client.spin_until(
                lambda t=topic, s=sent[1]: s in stamps(client.received[t]), f"{topic} of the second frame"
            )
            newest = client.received[topic][-1]
            assert (newest.height, newest.width) == size
        camera.close()


def test_connections_that_fail_are_named_and_forgotten_when_they_are_mended(running):  # how soon: test/soak
    node, client = running
    assert "nobody publishes there: start the camera" in client.wait_for_fault("No image has come on /image")
    camera = Camera(client)
    camera.connect()
    camera.infos.publish(camera_info((10, 10)))  # of another stream; and nobody listens to the outputs

    def shown():
        camera.show(10)
        return client.said("CameraInfo is for 10x10 pixels")

    client.spin_until(shown, "the fault of CameraInfo")
    camera.infos.publish(camera_info())
    client.spin_until(
        lambda: camera.show(10) and "10x10" not in client.statuses[-1].status[0].message, "the fault to go"
    )

    # A publisher that cannot serve the node, and a subscriber that the node cannot serve; both go again.
    wrong = client.create_subscription(
        Image, "depth/color", lambda _: None, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    )
    client.wait_for_fault("A subscriber to /depth/color asks for a durability")
    client.destroy_subscription(wrong)
    client.spin_until(
        lambda: camera.show(10) and "/depth/color" not in client.statuses[-1].status[0].message,
        "the fault to go",
    )


@pytest.mark.parametrize(
    "running", [{"qos_overrides./camera_info.subscription.reliability": "reliable"}], indirect=True
)
def test_a_publisher_that_offers_too_little_is_named_until_it_has_gone(running):
    node, client = running
    weak = client.create_publisher(
        CameraInfo, "camera_info", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    client.wait_for_fault("A publisher on /camera_info does not offer the reliability")
    client.destroy_publisher(weak)
    client.spin_until(lambda: "/camera_info does not" not in client.status()["message"], "the fault to go")
