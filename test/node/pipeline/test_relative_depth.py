# SPDX-License-Identifier: Apache-2.0
"""Depth without a unit, over DDS: where it goes, and that it has metres only while ranges give it some
that fit."""

import math

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import BALL, Camera, camera_info, drawn, mask_of, new_client, pixels, running_node, stamp_of
from oracle import Truth
from sensor_msgs.msg import Image, LaserScan
from stand_in_editor import SIZE, encode, loader, make_bundle

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.cli.prompts import own_instructions
from vision_banana_ros.node.topics.messages import RELATIVE
from vision_banana_ros.perception import Question
from vision_banana_ros.tasks.colors import BLACK, far_apart
from vision_banana_ros.tasks.profiles import PROFILES

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
METRIC = ("depth/image_rect", "depth/color", "points", "points_obstacles")
# a wall, 3 m away on the left and 9 m on the right
SLANT = np.broadcast_to(np.linspace(3.0, 9.0, SIZE[1]), SIZE)
SECOND = 1_000_000_000


@pytest.fixture(params=["open_vision_banana", "marigold_depth"])
def codec(request):
    return request.param


@pytest.fixture
def bundle(codec, tmp_path):
    made = make_bundle(tmp_path / "relative", codec)
    encode(made, own_instructions(made))
    if "referring" in made.manifest.tasks:
        question = Question.referring(BALL, far_apart(1, avoid=[BLACK])[0])
        encode(made, [PROFILES[codec].asked(question).instruction])
    return made


@pytest.fixture
def running(bundle):
    load = loader(lambda image: Truth(depth_m=SLANT, masks={BALL: mask_of(BALL, SIZE)}))
    with running_node(load, bundle=str(bundle.path)) as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition), node.failure
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info())
        client.spin_until(lambda: node.streams[0].inputs.info is not None, "the CameraInfo in the node")
        yield node, client, camera


def watch(node, client, *topics):
    for topic in topics:
        client.listen(topic, Image if topic == RELATIVE else None)
    client.spin_until(lambda: set(topics) <= node.streams[0].outputs.watched(), "the subscribers in the node")


def show(client, camera, stamp=None):
    """Shows a frame and returns its relative depth."""
    seen = len(client.received[RELATIVE])
    camera.show(100, stamp)
    client.spin_until(lambda: len(client.received[RELATIVE]) > seen, "relative depth")
    return client.received[RELATIVE][-1]


def painted(codec):
    """What the stand-in paints of the slant, read again."""
    return PROFILES[codec].decode("depth", 0.7 * PROFILES[codec].encode("depth", SLANT) + 0.2).depth_relative


def beams(depth, factor=1.0):
    """What a level laser at the camera measures of depth that is the same in every row."""
    k = camera_info().k
    message = LaserScan(
        angle_min=-0.5, angle_max=0.5, angle_increment=0.01, range_min=0.1, range_max=10_000.0
    )
    message.header.frame_id = "laser"
    for i in range(101):
        angle = -0.5 + 0.01 * i
        column = min(max(k[2] - k[0] * math.tan(angle), 0), SIZE[1] - 1)
        message.ranges.append(
            factor * float(np.interp(column, np.arange(SIZE[1]), depth[24])) / math.cos(angle)
        )
    return message


class Laser:
    """Publishes scans, and waits until the node has them."""

    def __init__(self, node, client):
        self.node, self.client = node, client
        self.publisher = client.create_publisher(LaserScan, "scan", 5)
        client.spin_until(
            lambda: self.publisher.get_subscription_count() > 0, "the node's subscription to scan"
        )

    def measure(self, message):
        """Returns the stamp of the scan."""
        stamp = self.client.next_stamp()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
        self.publisher.publish(message)
        newest = self.node.streams[0].ranges
        self.client.spin_until(
            lambda: newest.newest is not None and newest.newest.header == message.header, "the scan"
        )
        return stamp


def test_relative_depth_leaves_by_its_own_topic_alone_and_says_what_it_means(running, codec):
    node, client, camera = running
    watch(node, client, RELATIVE, *METRIC)
    for _ in range(3):
        stamp = client.next_stamp()
        message = show(client, camera, stamp)
        assert (stamp_of(message), message.header.frame_id) == (stamp, "camera")
        assert (message.encoding, message.height, message.width) == ("32FC1", *SIZE)
        np.testing.assert_allclose(pixels(message), painted(codec), rtol=1e-5)
    told = client.wait_for_fault("A topic of depth")
    assert "this bundle's is relative; take depth_relative/image_rect, or set scale_check" in told
    meaning = client.status()["depth_relative"]
    assert meaning.startswith("no unit") and ("1 / metres = a / depth_relative" in meaning) == (
        codec == "open_vision_banana"
    )
    assert not any(client.received[topic] for topic in METRIC)


def test_relative_depth_is_offered_as_depth_is(running):
    node, client, _ = running
    (relative,), (metric,) = (
        client.get_publishers_info_by_topic(f"/{topic}") for topic in (RELATIVE, "depth/image_rect")
    )
    assert relative.qos_profile == metric.qos_profile
    assert client.set_parameters(**{"rates.depth": 1.0})[0].successful


def test_relative_depth_has_the_rate_of_depth(running):
    node, client, camera = running
    watch(node, client, RELATIVE)
    assert client.set_parameters(**{"rates.depth": 1.0})[0].successful
    client.spin_until(lambda: node.streams[0].asking.settings.pacing.rates["depth"], "the change")
    start = client.next_stamp()
    show(client, camera, start)
    camera.show(100, start + SECOND // 10)
    client.spin_until(
        lambda: client.status()["dropped: not due"] == "1", "the frame in between to be dropped"
    )
    show(client, camera, start + SECOND)
    assert [stamp_of(message) - start for message in client.received[RELATIVE]] == [0, SECOND]


def test_ranges_that_fit_give_metres_to_this_frame_and_others_do_not(running, codec):
    node, client, camera = running
    assert client.set_parameters(scale_check="scan")[0].successful
    watch(node, client, RELATIVE, *METRIC)
    show(client, camera)
    assert "Relative depth has no metres: no ranges on /scan are within" in client.wait_for_fault("no metres")
    laser = Laser(node, client)

    stamp = laser.measure(beams(SLANT))
    show(client, camera, stamp)
    client.spin_until(
        lambda: all(client.received[topic] for topic in METRIC), "depth, cloud, obstacles and picture"
    )
    assert {stamp_of(client.received[topic][0]) for topic in METRIC} == {stamp}
    depth_m = pixels(client.received["depth/image_rect"][0])
    known = np.isfinite(depth_m)
    np.testing.assert_allclose(depth_m[known], SLANT[known], rtol=0.01)
    assert known[:, 4:-4].all() and not known[:, [0, -1]].any()  # where no beam was, nothing is invented
    client.spin_until(lambda: not node.streams[0].faults.shown("scale"), "the fault to end")
    assert client.status()["frames with metres"] == "1"

    wrong = {
        "agree": beams(SLANT[:, ::-1]),  # far is near
        "only 0 ranges": beams(SLANT, 1000),  # millimetres
        "ranges fall on readable pixels; 20 are needed": few(beams(SLANT)),
        "gives relative depth no scale": narrow(beams(SLANT)),
    }
    for words, message in wrong.items():
        stamp = laser.measure(message)
        show(client, camera, stamp)
        client.wait_for_fault(words)
    assert all(len(client.received[topic]) == 1 for topic in METRIC)
    status = client.status()
    assert (status["frames with metres"], status["frames without metres"]) == ("1", "5")
    assert int(status["published"]) == len(client.received[RELATIVE]) == 6


def few(message):
    message.ranges = [r if i % 10 == 0 else math.inf for i, r in enumerate(message.ranges)]
    return message


def narrow(message):
    """Only what lies between 4.5 and 6 m."""
    message.range_min, message.range_max = 4.5, 6.0
    return message


def test_a_frame_whose_only_output_has_no_metres_is_a_counted_drop(running):
    node, client, camera = running
    assert client.set_parameters(scale_check="scan")[0].successful
    watch(node, client, "depth/image_rect")
    client.spin_until(lambda: node.streams[0].asking.settings.scale_check, "the change")
    camera.show(100)
    client.spin_until(lambda: client.status()["dropped: no metres"] == "1", "the drop")
    status = client.status()
    assert (
        status["received"] == "1" and status["published"] == "0" and not client.received["depth/image_rect"]
    )


def test_the_height_of_the_camera_alone_gives_no_metres(running):
    node, client, camera = running
    assert client.set_parameters(scale_check="camera_height")[0].successful
    watch(node, client, RELATIVE, "depth/image_rect")
    client.spin_until(lambda: node.streams[0].asking.settings.scale_check, "the change")
    show(client, camera)
    assert "camera_height tells one of the two numbers that metres need" in client.wait_for_fault(
        "A topic of depth"
    )
    assert not client.received["depth/image_rect"]


@pytest.mark.parametrize("codec", ["open_vision_banana"], indirect=True)
def test_segment_tells_a_place_only_where_depth_has_metres(running):
    node, client, camera = running
    watch(node, client, RELATIVE)
    show(client, camera)
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert reply.success and pixels(reply.mask).any() and math.isnan(reply.centroid.point.z)
    assert "without a place: depth in metres" in reply.message
    assert client.set_parameters(scale_check="scan")[0].successful
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert reply.success and math.isnan(reply.centroid.point.z) and "no ranges on /scan" in reply.message
    laser = Laser(node, client)
    show(client, camera, laser.measure(beams(SLANT)))
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert reply.centroid.point.z == pytest.approx(np.median(SLANT[mask_of(BALL, SIZE)]), rel=0.01)
    # the stream's own frames alone are counted
    assert node.streams[0].depth.report()["frames with metres"] == "0"


def test_a_metric_bundle_has_no_relative_depth_and_says_where_its_depth_is():
    with running_node() as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition)
        camera = Camera(client)
        camera.connect()
        watch(node, client, RELATIVE)
        camera.show(100)
        assert "take depth/image_rect" in client.wait_for_fault("A topic of depth_relative")
        assert client.status()["dropped: unanswerable"] == "1" and not client.received[RELATIVE]
        assert "depth_relative" not in client.status()


def test_a_real_marigold_publishes_relative_depth(tmp_path):
    for package in ("torch", "diffusers", "transformers"):
        pytest.importorskip(package)
    import tiny_editors as tiny

    from vision_banana_ros.generators import load_generator
    from vision_banana_ros.generators.backbones.importing import Options, import_model

    tiny.marigold(tmp_path / "marigold", "depth")
    bundle = import_model(
        tmp_path / "marigold", tmp_path / "bundle", Options("marigold_depth", size=tiny.SIZE, steps=1)
    )
    from vision_banana_ros.node.node import load

    with (
        running_node(load, bundle=str(bundle.path), min_readable=0.0) as (node, context),
        new_client(context) as client,
    ):
        for transition in UP:
            assert client.transition(transition), node.failure
        camera = Camera(client)
        camera.connect()
        watch(node, client, RELATIVE, "depth/image_rect")
        stamp_ns = camera.show(100, size=tiny.SIZE)
        client.spin_until(lambda: client.received[RELATIVE], "relative depth")
        image = drawn(100, tiny.SIZE, stamp_ns)
        expected = load_generator(bundle.path).answer(image, [Question.depth()])[0].depth_relative
        np.testing.assert_allclose(pixels(client.received[RELATIVE][0]), expected, atol=1e-4)
        assert not client.received["depth/image_rect"]
