# SPDX-License-Identifier: Apache-2.0
"""Frames through the node over DDS: what comes out, with which stamp, and what becomes of frames that
cannot be answered."""

from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from node_support import (
    BALL,
    BOX,
    BREAKS,
    LATCHED,
    LEGEND,
    SIZE,
    UNREADABLE,
    Camera,
    camera_info,
    depth_of,
    drawn,
    mask_of,
    new_client,
    picture,
    pixels,
    running_node,
    stamp_of,
    stamps,
)
from patience import PATIENCE_S
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import LabelInfo

from vision_banana_ros.node.client.message_readers import read_things
from vision_banana_ros.node.topics import transforms
from vision_banana_ros.node.topics.messages import OF_THINGS, TYPES
from vision_banana_ros.node.topics.point_cloud import read_points

CAMERA_TOPICS = {"points", "depth/camera_info"}


@pytest.fixture(scope="module")
def running():
    with running_node(expressions=[BALL, BOX]) as (node, context):
        with new_client(context) as client:
            assert client.transition(Transition.TRANSITION_CONFIGURE)
            assert client.transition(Transition.TRANSITION_ACTIVATE)
        yield node, context


@pytest.fixture
def client(running):
    node, context = running
    with new_client(context) as client:
        yield client


@pytest.fixture
def camera(client):
    return Camera(client)


@pytest.fixture
def node(running):
    node, _ = running
    yield node
    for name, value in {
        "max_age": PATIENCE_S,
        "output_size": "input",
        "max_range": 0.0,
        "min_readable": 0.05,
    }.items():
        if node.get_parameter(name).value != value:
            with new_client(node.context) as client:
                client.set_parameters(**{name: value})


def watch(node, client, topics):
    """Subscribes, and waits until the node knows."""
    for topic in topics:
        client.listen(topic)
    client.spin_until(
        lambda: node.streams[0].outputs.watched() == set(topics), f"the node to see subscribers to {topics}"
    )


def see(client, camera, topics, level, size=SIZE):
    """Shows one frame and returns its message of every topic."""
    before = {topic: len(client.received[topic]) for topic in topics}
    stamp = camera.show(level, size=size)
    client.spin_until(
        lambda: all(len(client.received[topic]) > before[topic] for topic in topics),
        f"one message of each of {topics}",
    )
    latest = {topic: client.received[topic][-1] for topic in topics}
    assert {stamp_of(message) for message in latest.values()} == {stamp}
    return latest


def give_info(node, client, camera, info):
    camera.connect()
    node.streams[0].inputs.infos.clear()
    camera.infos.publish(info)
    client.spin_until(lambda: node.streams[0].inputs.info is not None, "the CameraInfo in the node")


def test_every_output_arrives_with_the_frames_stamp_and_frame_id_and_what_it_says_is_true(
    node, client, camera
):
    watch(node, client, TYPES)
    give_info(node, client, camera, camera_info())
    seen = see(client, camera, TYPES, 120)
    assert {message.header.frame_id for message in seen.values()} == {"camera"}
    on_the_grid = [
        message for topic, message in seen.items() if topic not in {"points_obstacles", *OF_THINGS}
    ]
    assert {(message.height, message.width) for message in on_the_grid} == {SIZE}
    assert pixels(seen["depth/image_rect"]) == pytest.approx(np.full(SIZE, depth_of(120)), rel=1e-5)
    assert pixels(seen["normals/image"])[5, 5] == pytest.approx([0.6, 0.0, -0.8], abs=1e-5)
    half = np.arange(SIZE[1]) >= SIZE[1] // 2
    assert np.array_equal(pixels(seen["segmentation/mask"]), np.broadcast_to(half, SIZE).astype(np.uint8))
    assert (pixels(seen["segmentation/confidence"]) == 255).all()
    ball, box = mask_of(BALL, SIZE), mask_of(BOX, SIZE)
    assert np.array_equal(pixels(seen["referring/mask"]), ball * 1 + box * 2)
    found = pixels(seen["instances/mask"])
    assert len(set(found[ball])) == 1 and len(set(found[box])) == 1 and (found[~ball & ~box] == 0).all()
    assert pixels(seen["segmentation/overlay"])[20, 0].tolist() == [
        (2 * 120 + 3 * c + 2) // 5 for c in LEGEND["floor"]
    ]
    assert seen["depth/camera_info"].k.tolist() == camera_info().k.tolist()

    cloud = seen["points"]
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "rgb"]
    assert cloud.point_step == 16 and cloud.row_step == 16 * SIZE[1] and not cloud.is_dense
    values = np.frombuffer(cloud.data, np.float32).reshape(*SIZE, 4)
    info = camera_info()
    assert values[..., 2] == pytest.approx(np.full(SIZE, depth_of(120)), rel=1e-5)
    assert values[7, 9, 0] == pytest.approx((9 - info.k[2]) / info.k[0] * depth_of(120), rel=1e-4)
    assert values[7, 9, 1] == pytest.approx((7 - info.k[5]) / info.k[4] * depth_of(120), rel=1e-4)
    assert np.frombuffer(cloud.data, np.uint32)[4 * 20 * SIZE[1] + 3] == 0x787878

    things = read_things(seen["detections"])
    assert (
        set(things["name"]) == {"box", BALL, BOX}
        and len(set(things["id"])) == len(things) == 4
        and (things["score"] > 0.9).all()
    )
    (of_ball,) = things[things["name"] == BALL]
    rows, columns = np.nonzero(ball)
    left, top, width, height = of_ball["box"]
    assert (left, left + width - 1, top, top + height - 1) == (
        columns.min(),
        columns.max(),
        rows.min(),
        rows.max(),
    )
    solids = read_things(seen["detections_3d"])
    assert sorted(solids["id"]) == sorted(things["id"])
    (solid,) = solids[solids["name"] == BALL]
    assert solid["center"][2] == pytest.approx(depth_of(120), rel=1e-4)
    assert solid["center"][0] == pytest.approx(
        (left + (width - 1) / 2 - info.k[2]) / info.k[0] * depth_of(120), rel=0.02
    )
    assert read_things(seen["tracks"]).size == 0  # nothing was seen for long enough


def test_a_thing_keeps_its_id_and_becomes_a_track(node, client, camera):
    topics = ["detections", "tracks"]
    watch(node, client, topics)
    give_info(node, client, camera, camera_info())
    assert client.set_parameters(max_age=0.0)[0].successful
    first = client.next_stamp()
    for i in range(4):  # a tenth of a second apart by their stamps, however long that takes here
        stamp = camera.show(100 + i, first + i * 100_000_000)
        client.spin_until(
            lambda s=stamp: all(s in map(stamp_of, client.received[topic]) for topic in topics), f"frame {i}"
        )
    ids = [set(read_things(message)["id"]) for message in client.received["detections"]]
    assert ids[0] and ids == ids[:1] * 4 and set(read_things(client.received["tracks"][-1])["id"]) == ids[0]


def test_a_frame_of_the_cameras_size_gives_outputs_of_that_size(node, client, camera):
    topics = ["depth/image_rect", "segmentation/mask", "points", "depth/camera_info"]
    watch(node, client, topics)
    give_info(node, client, camera, camera_info((120, 160)))
    seen = see(client, camera, topics, 60, size=(120, 160))
    assert {(message.height, message.width) for message in seen.values()} == {(120, 160)}
    assert pixels(seen["depth/image_rect"])[100, 20] == pytest.approx(depth_of(60), rel=1e-5)


def test_outputs_of_the_generators_size_come_with_a_camera_info_scaled_to_match(node, client, camera):
    topics = ["depth/image_rect", "points", "depth/camera_info"]
    watch(node, client, topics)
    assert client.set_parameters(output_size="generator")[0].successful
    give_info(node, client, camera, camera_info((120, 160)))
    seen = see(client, camera, topics, 60, size=(120, 160))
    assert {(message.height, message.width) for message in seen.values()} == {SIZE}
    scaled, given = seen["depth/camera_info"], camera_info((120, 160))
    assert scaled.k[0] == pytest.approx(given.k[0] * 0.4) and scaled.p[5] == pytest.approx(given.p[5] * 0.4)
    assert scaled.k[2] == pytest.approx((SIZE[1] - 1) / 2) and scaled.p[6] == pytest.approx((SIZE[0] - 1) / 2)
    cloud = np.frombuffer(seen["points"].data, np.float32).reshape(*SIZE, 4)
    assert cloud[..., :2].mean(axis=(0, 1)) == pytest.approx([0, 0], abs=1e-4)


def test_only_what_somebody_subscribes_to_is_asked(node, client, camera):
    camera.connect()
    client.spin_until(lambda: not node.streams[0].outputs.watched(), "the subscribers of other tests to go")
    dropped = int(client.status()["dropped: unwatched"])
    node.generator.answered.clear()
    camera.show(50)
    client.spin_until(
        lambda: int(client.status()["dropped: unwatched"]) > dropped, "the unwatched frame to be counted"
    )
    assert node.generator.answered == []
    watch(node, client, ["normals/color"])
    see(client, camera, ["normals/color"], 50)
    assert node.generator.answered == ["normals"]


def test_a_late_subscriber_gets_the_labels(client):
    client.listen("segmentation/labels", LabelInfo, LATCHED)
    labels = client.spin_until(lambda: client.received["segmentation/labels"], "the latched labels")[0]
    assert [(entry.class_id, entry.class_name) for entry in labels.class_map] == list(enumerate(LEGEND))


def test_depth_beyond_max_range_is_infinite_and_has_no_point(node, client, camera):
    topics = ["depth/image_rect", "points"]
    watch(node, client, topics)
    give_info(node, client, camera, camera_info())
    assert client.set_parameters(max_range=2.0)[0].successful
    assert np.isposinf(pixels(see(client, camera, topics, 200)["depth/image_rect"])).all()
    values = np.frombuffer(client.received["points"][-1].data, np.float32).reshape(-1, 4)
    assert np.isnan(values[:, :3]).all()
    assert np.isfinite(pixels(see(client, camera, topics, 50)["depth/image_rect"])).all()


def broken(kind, stamp):
    """An image message that cannot be used, and words of the sentence about it."""
    message = picture(90, stamp)
    if kind == "step":
        message.step = 10
        return message, "step is 10"
    if kind == "size":
        message.height += 5
        return message, "rows of"
    if kind == "encoding":
        message.encoding = "purple8"
        return message, "'purple8' is not known"
    if kind == "zero":
        message.width = message.height = 0
        return message, "0x0 pixels"
    if kind == "huge":
        message.width = message.height = 2**31
        return message, "more than the"
    message.encoding, message.step = "16UC1", 2 * SIZE[1]
    return message, "is depth or another measurement"


@pytest.mark.parametrize("kind", ["step", "size", "encoding", "zero", "huge", "depth"])
def test_an_image_that_cannot_be_read_is_counted_and_explained_and_the_next_one_answered(
    node, client, camera, kind
):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    before = int(client.status()["dropped: unusable"])
    message, words = broken(kind, client.next_stamp())
    camera.images.publish(message)
    assert words in client.wait_for_fault(words)
    assert int(client.status()["dropped: unusable"]) == before + 1
    assert client.received["depth/image_rect"] == []
    see(client, camera, ["depth/image_rect"], 90)


def test_compressed_images_are_answered(node, client):
    watch(node, client, ["depth/image_rect"])
    publisher = client.create_publisher(CompressedImage, "image/compressed", 10)
    client.spin_until(
        lambda: publisher.get_subscription_count() > 0, "the node's subscription to image/compressed"
    )
    for suffix, form in ((".png", "png"), (".jpg", "rgb8; jpeg compressed bgr8")):
        message = CompressedImage(format=form)
        ok, data = cv2.imencode(suffix, drawn(80))
        assert ok
        message.data = data.tobytes()
        message.header = picture(0, client.next_stamp()).header
        seen = len(client.received["depth/image_rect"])
        publisher.publish(message)
        client.spin_until(
            lambda seen=seen: len(client.received["depth/image_rect"]) > seen, f"the depth of a {suffix}"
        )
        depth = client.received["depth/image_rect"][-1]
        assert stamp_of(depth) == stamp_of(message)
        assert pixels(depth).mean() == pytest.approx(depth_of(80), rel=0.02)
    message.data = b"neither"
    publisher.publish(message)
    client.wait_for_fault("neither JPEG nor PNG")


def test_a_frame_that_cannot_be_read_is_dropped_and_reported_never_published(node, client, camera):
    watch(node, client, ["depth/image_rect", "normals/image"])
    camera.connect()
    before = int(client.status()["dropped: unreadable"])
    camera.show(UNREADABLE)
    assert "of the answer about depth 0.0% can be read" in client.wait_for_fault("can be read")
    assert int(client.status()["dropped: unreadable"]) == before + 1
    assert client.received["depth/image_rect"] == [] and client.received["normals/image"] == []
    see(client, camera, ["depth/image_rect", "normals/image"], 10)


def test_an_error_in_the_generator_costs_one_frame(node, client, camera):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    before = int(client.status()["dropped: failed"])
    camera.show(BREAKS)
    client.wait_for_fault("the accelerator has gone")
    assert int(client.status()["dropped: failed"]) == before + 1
    see(client, camera, ["depth/image_rect"], 10)


def blank(info):
    info.k, info.p = [0.0] * 9, [0.0] * 12
    return info


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (blank(camera_info()), "holds no focal length"),
        (camera_info((30, 40)), "CameraInfo is for 40x30 pixels, the image has 64x48"),
    ],
)
def test_with_a_camera_info_that_cannot_be_used_there_are_masks_and_no_depth(
    node, client, camera, info, words
):
    watch(node, client, ["depth/image_rect", "points", "depth/camera_info", "segmentation/mask"])
    give_info(node, client, camera, info)
    see(client, camera, ["segmentation/mask"], 10)
    client.wait_for_fault(words)
    metric = ["depth/image_rect", "points", "depth/camera_info"]
    assert not any(client.received[topic] for topic in metric)
    give_info(node, client, camera, camera_info())
    see(client, camera, metric, 11)
    client.spin_until(lambda: words not in client.status()["message"], "the fault to go")


def test_without_a_camera_info_there_is_no_cloud_and_all_else_goes_on(node, client, camera):
    watch(node, client, ["depth/image_rect", "points", "depth/camera_info"])
    camera.connect()
    node.streams[0].inputs.infos.clear()
    see(client, camera, ["depth/image_rect"], 10)
    client.wait_for_fault("No CameraInfo has arrived on /camera_info")
    assert client.received["points"] == [] and client.received["depth/camera_info"] == []
    give_info(node, client, camera, camera_info())
    see(client, camera, ["depth/image_rect", "points", "depth/camera_info"], 11)
    client.spin_until(lambda: "No CameraInfo" not in client.status()["message"], "the fault to go")


def test_stamps_that_jump_back_are_counted_and_answered(node, client, camera):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    before = int(client.status()["stamps that jumped back"])
    now = client.next_stamp()
    for number, stamp in enumerate((now, now - 1_000_000_000, now - 500_000_000), 1):
        camera.show(10, stamp)
        client.spin_until(
            lambda n=number: len(client.received["depth/image_rect"]) >= n, "the answer to a frame"
        )
    assert stamps(client.received["depth/image_rect"]) == [now, now - 1_000_000_000, now - 500_000_000]
    assert int(client.status()["stamps that jumped back"]) == before + 1


def test_a_stale_frame_is_dropped_unless_there_is_no_limit(node, client, camera):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    before = int(client.status()["dropped: stale"])
    age_ns = int(2e9 * PATIENCE_S)
    camera.show(10, client.next_stamp() - age_ns)
    assert "use_sim_time" in client.wait_for_fault("more than max_age")
    assert int(client.status()["dropped: stale"]) == before + 1
    assert client.set_parameters(max_age=0.0)[0].successful
    old = client.next_stamp() - age_ns
    camera.show(10, old)
    client.spin_until(lambda: client.received["depth/image_rect"], "the answer to an old frame")
    assert stamps(client.received["depth/image_rect"]) == [old]


def test_a_subscriber_whose_qos_does_not_fit_is_reported_with_the_topic_and_the_policy(client):
    client.listen("depth/color", qos=QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    assert "qos_overrides./depth/color.publisher.durability" in client.wait_for_fault(
        "A subscriber to /depth/color"
    )


def test_a_best_effort_camera_is_answered_like_a_reliable_one(node, client):
    watch(node, client, ["depth/image_rect"])
    camera = Camera(client, ReliabilityPolicy.BEST_EFFORT)
    camera.connect()
    client.spin_until(
        lambda: (
            [s.qos_profile.reliability for s in client.get_subscriptions_info_by_topic("/image")]
            == [ReliabilityPolicy.BEST_EFFORT]
        ),
        "a best-effort subscription, and no other",
    )
    see(client, camera, ["depth/image_rect"], 30)


def test_a_reliable_camera_gets_a_reliable_subscription_and_each_frame_one_answer(node, client, camera):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    asked: list[int] = []

    def reliable_only() -> bool:
        asked.append(camera.show(len(asked)))
        client.spin_until(lambda: len(client.received["depth/image_rect"]) >= len(asked), "an answer")
        profiles = [s.qos_profile.reliability for s in client.get_subscriptions_info_by_topic("/image")]
        return profiles == [ReliabilityPolicy.RELIABLE]

    client.spin_until(reliable_only, "a reliable subscription, and no other")
    reliable_only()
    assert stamps(client.received["depth/image_rect"]) == asked


def test_ignored_classes_are_left_out_of_the_obstacles(node, client, camera):
    """The left half of the frame is floor, the right half wall."""
    client.set_parameters(max_age=0.0)
    watch(node, client, ["points_obstacles"])
    give_info(node, client, camera, camera_info())
    everything = read_points(see(client, camera, ["points_obstacles"], 20)["points_obstacles"])
    assert client.set_parameters(**{"obstacles.ignored_classes": ["floor", "flor"]})[0].successful
    client.wait_for_fault("names 'flor', which is no class")
    walls = read_points(see(client, camera, ["points_obstacles"], 20)["points_obstacles"])
    assert client.set_parameters(**{"obstacles.ignored_classes": [""]})[0].successful
    middle = 0.05  # a voxel
    assert (everything[..., 0] < -middle).any() and not (walls[..., 0] < -middle).any()
    assert (walls[..., 0] > middle).sum() > 0.8 * (everything[..., 0] > middle).sum() > 0


class LooksDown:
    """A tf2 buffer that knows a camera `HEIGHT_M` above base_link, looking straight down."""

    HEIGHT_M = 2.1

    def __init__(self, node):
        self.srv = node.create_service(GetState, "~/tf2_frames", lambda _, response: response)

    def lookup_transform(self, target, source, time):
        transform = TransformStamped()
        transform.transform.rotation.x, transform.transform.rotation.w = 1.0, 0.0
        transform.transform.translation.z = self.HEIGHT_M
        return transform


def test_obstacles_are_moved_by_the_error_of_the_floor_that_tf2_knows(node, client, camera, monkeypatch):
    """The left half of the frame is floor, the right half a box; depth sees both at 1.5 m. Other topics keep
    their depth."""
    fake = SimpleNamespace(
        TransformException=RuntimeError,
        Buffer=LooksDown,
        TransformListener=lambda *_, **__: SimpleNamespace(unregister=lambda: None),
    )
    topics = ["points_obstacles", "depth/image_rect"]
    client.set_parameters(max_age=0.0, base_frame="")
    watch(node, client, topics)
    give_info(node, client, camera, camera_info())
    monkeypatch.setattr(transforms, "tf2_ros", fake)
    assert client.set_parameters(base_frame="base_link")[0].successful
    try:
        as_seen = see(client, camera, topics, 50)
        assert read_points(as_seen["points_obstacles"])[..., 2] == pytest.approx(depth_of(50), rel=1e-3)
        assert "multiplied" not in client.status()["points_obstacles"]
        assert client.set_parameters(**{"obstacles.ignored_classes": ["floor"]})[0].successful
        seen = see(client, camera, topics, 50)
        told = client.status()["points_obstacles"]
    finally:
        client.set_parameters(base_frame="", **{"obstacles.ignored_classes": [""]})
        monkeypatch.undo()  # before the node listens to tf2 again
        client.set_parameters(base_frame="base_link")
    scale = LooksDown.HEIGHT_M / depth_of(50) / 1.2
    box = read_points(seen["points_obstacles"]).reshape(-1, 3)
    assert len(box) > 100 and box[:, 2] == pytest.approx(scale * depth_of(50), rel=1e-3)
    assert pixels(seen["depth/image_rect"]) == pytest.approx(np.full(SIZE, depth_of(50)), rel=1e-5)
    assert f"multiplied by {scale:.3f}" in told


def test_frames_without_anything_in_them_are_dropped_by_name(node, client, camera):
    watch(node, client, ["depth/image_rect", "points_obstacles"])
    camera.connect()
    before = int(client.status()["dropped: nothing to see"])
    noise = np.random.default_rng(1).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    shown = [
        (np.full((*SIZE, 3), level, np.uint8), words)
        for level, words in ((0, "dark"), (255, "overexposed"), (128, "one plain colour"))
    ]
    for number, (image, words) in enumerate([*shown, (noise, "noise without a scene")], 1):
        message = picture(0, client.next_stamp())
        message.data = array("B", image.tobytes())
        camera.images.publish(message)
        assert "nothing to see" in client.wait_for_fault(words)
        assert int(client.status()["dropped: nothing to see"]) == before + number
    assert client.received["depth/image_rect"] == [] and client.received["points_obstacles"] == []
    see(client, camera, ["depth/image_rect"], 10)


def test_a_camera_that_repeats_its_picture_is_frozen_until_it_changes(node, client, camera):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    assert client.set_parameters(frozen_after=0.01)[0].successful
    try:
        message = picture(120, client.next_stamp())

        def said_after_one_more():
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(
                client.next_stamp(), 1_000_000_000
            )
            camera.images.publish(message)
            return client.said("bit-identical")

        client.spin_until(said_after_one_more, "the fault of a frozen stream")
        assert int(client.status()["dropped: frozen"]) > 0
        see(client, camera, ["depth/image_rect"], 10)
    finally:
        client.set_parameters(frozen_after=3.0)


def test_an_answer_that_took_too_long_is_dropped(node, client, camera, monkeypatch):
    watch(node, client, ["depth/image_rect"])
    camera.connect()
    monkeypatch.setattr(node.generator, "pace_s", 1.0)
    assert client.set_parameters(max_age=0.8)[0].successful
    before = int(client.status()["dropped: stale"])
    try:
        camera.show(20)
        client.spin_until(lambda: int(client.status()["dropped: stale"]) > before, "the late answer")
        assert client.received["depth/image_rect"] == []
    finally:
        client.set_parameters(max_age=PATIENCE_S)
