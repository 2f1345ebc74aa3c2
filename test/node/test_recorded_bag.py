# SPDX-License-Identifier: Apache-2.0
"""Recorded truth: a bag of a simulated scene with a board at 2.00 m, and what the node says of it; and
that no frame is lost."""

import time
from array import array
from math import radians

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import BREAKS, UNREADABLE, Camera, new_client, picture, pixels, running_node, stamps
from oracle import Oracle, Truth
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.cli.shared.bags import bag_frames
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.node.topics.camera_info import message_of
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.scenes import World, render
from vision_banana_ros.scenes import kernel as k
from vision_banana_ros.scenes.cameras import look_from, pinhole
from vision_banana_ros.scenes.materials import Look
from vision_banana_ros.scenes.solids import Placed, Thing, assemble

FRAMES, SIZE, BOARD_M = 100, (144, 192), 2.00
UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


def scene():
    """A room with a wooden board that faces the camera from 2.00 m, wherever the camera stands along it."""
    board = Thing("box").box(
        (BOARD_M + 0.05, 0, 0), (0.1, 1.6, 1.2), Look("paint", "red", (170, 60, 40), (170, 60, 40))
    )
    floor = Thing("floor").box(
        (0, 0, -1.3), (40, 40, 0.2), Look("plastic", "gray", (110, 110, 110), (110, 110, 110))
    )
    wall = Thing("wall").box(
        (4.05, 0, 0), (0.1, 20, 6), Look("plastic", "white", (210, 205, 190), (210, 205, 190))
    )
    objects, arrays = assemble([Placed(thing, 0.0, 0.0, 0.0, 0.0) for thing in (board, floor, wall)])
    air = np.full(k.AIR_ENTRIES, 0.5)
    air[k.FOG] = air[k.ROOM + 3] = 0.0
    lights = np.array([[k.LAMP, 0.0, 0.0, 2.0, 3.0, 3.0, 3.0, 0.05]])
    return World(0, "room", objects, lights=lights, air=air, free=np.zeros((0, 3)), surfaces={}, **arrays)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The bag, and by the pixels of each of its frames the true depth and where the board is."""
    path = tmp_path_factory.mktemp("recorded") / "bag"
    world, rng = scene(), np.random.default_rng(0)
    sideways = np.linspace(-0.25, 0.25, 10)
    views = [
        render(world, pinhole(SIZE[1], SIZE[0], radians(70), look_from(0, y, 0, 0, 0, 0)), 0)
        for y in sideways
    ]
    store = get_typestore(Stores.ROS2_KILTED if hasattr(Stores, "ROS2_KILTED") else Stores.LATEST)
    kinds = store.types
    truth = {}
    with Writer(path, version=9) as writer:
        images = writer.add_connection("/camera/image", "sensor_msgs/msg/Image", typestore=store)
        infos = writer.add_connection("/camera/camera_info", "sensor_msgs/msg/CameraInfo", typestore=store)
        for i in range(FRAMES):
            view = views[i % len(views)]
            image = np.clip(view.image + rng.normal(0, 2, view.image.shape), 0, 255).astype(np.uint8)
            truth[image.tobytes()] = view.depth_m, np.abs(view.depth_m - BOARD_M) < 0.005
            header = kinds["std_msgs/msg/Header"](
                stamp=kinds["builtin_interfaces/msg/Time"](sec=100, nanosec=10_000_000 * i), frame_id="camera"
            )
            message = kinds["sensor_msgs/msg/Image"](
                header, SIZE[0], SIZE[1], "rgb8", 0, 3 * SIZE[1], image.reshape(-1)
            )
            plain = message_of(Calibration.of_pinhole(Intrinsics.of(views[0].camera)))
            region = kinds["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            info = kinds["sensor_msgs/msg/CameraInfo"](
                header,
                SIZE[0],
                SIZE[1],
                "plumb_bob",
                *(np.array(m, float) for m in (plain.d, plain.k, plain.r, plain.p)),
                0,
                0,
                region,
            )
            for connection, part in ((infos, info), (images, message)):
                kind = f"sensor_msgs/msg/{'CameraInfo' if connection is infos else 'Image'}"
                writer.write(connection, 100_000_000_000 + 10_000_000 * i, store.serialize_cdr(part, kind))
    return path, truth


def play(path, node, client):
    """Sends the bag's frames, one after the other was answered; yields each image with the depth that came
    back."""
    images, infos = (
        client.create_publisher(Image, "image", 5),
        client.create_publisher(CameraInfo, "camera_info", 5),
    )
    client.spin_until(
        lambda: images.get_subscription_count() and infos.get_subscription_count(), "the node's subscriptions"
    )
    client.spin_until(lambda: node.streams[0].outputs.watched(), "the subscriber in the node")
    for frame in bag_frames(path, "/camera/image").read():
        stamp = client.next_stamp()
        message = picture(0, stamp, SIZE)
        message.data = array("B", frame.image.tobytes())
        infos.publish(message_of(frame.calibration))
        images.publish(message)
        client.spin_until(
            lambda s=stamp: s in stamps(client.received["depth/image_rect"]), "the depth of a frame"
        )
        yield frame.image, pixels(client.received["depth/image_rect"][-1])


def errors(path, truth, loader):
    """For each frame the mean relative error of the board's depth."""
    found = []
    with (
        running_node(loader=loader, max_age=0.0) as (node, context),
        new_client(context, ["depth/image_rect"]) as client,
    ):
        for transition in UP:
            assert client.transition(transition)
        for image, depth_m in play(path, node, client):
            board = truth[image.tobytes()][1]
            assert board.mean() > 0.1
            found.append(np.nanmean(np.abs(depth_m[board] - BOARD_M)) / BOARD_M)
    assert len(found) == FRAMES
    return found


def test_the_boards_depth_comes_back_exactly_where_the_generator_paints_the_truth(recorded):
    path, truth = recorded
    oracle = Oracle(
        SIZE, lambda image: Truth(depth_m=truth[image.tobytes()][0]) if image.tobytes() in truth else blank()
    )
    oracle.tasks = ("depth",)
    assert max(errors(path, truth, lambda bundle, executor: oracle)) < 1e-3


def blank():
    return Truth(depth_m=np.ones(SIZE))


def test_the_boards_depth_of_the_shipped_bundle_is_of_the_right_size(recorded):
    """A board before nothing is no scene that it was taught: metres and not centimetres are asked for."""
    path, truth = recorded
    found = errors(path, truth, lambda bundle, executor: load_generator(default_bundle()))
    assert np.mean(found) < 0.75


def test_of_1000_frames_each_gives_one_output_or_one_counted_drop():
    lossless = {
        "qos_overrides./image.subscription.reliability": "reliable",
        "qos_overrides./image.subscription.depth": 1000,
    }
    topics = ["depth/image_rect", "segmentation/mask"]
    with running_node(**lossless) as (node, context), new_client(context) as client:
        for topic in topics:
            client.listen(topic, qos=1000)
        for transition in UP:
            assert client.transition(transition)
        camera = Camera(client)
        camera.connect()
        counts = node.streams[0].counts
        client.spin_until(lambda: len(node.streams[0].outputs.watched()) == 2, "the subscribers in the node")
        sent = []
        for number in range(1000):
            sent.append(camera.show({7: UNREADABLE, 8: BREAKS}.get(number % 100, number % 200)))
            if number % 10 == 9:  # a camera's queue is short: let the node take what it has
                client.spin_until(
                    lambda n=number: int(counts.report()["received"]) > n - 8, "the frames in the node"
                )
            time.sleep(0.002)
        client.spin_until(lambda: counts.report()["received"] == "1000", "all frames in the node")
        client.spin_until(lambda: counts.report()["waiting"] == "0", "the last frame to be done")
        report = counts.report()
        published = int(report["published"])
        assert published + sum(int(v) for name, v in report.items() if name.startswith("dropped")) == 1000
        assert int(report["dropped: unreadable"]) > 0 or int(report["dropped: replaced"]) > 0
        for topic in topics:
            client.spin_until(lambda t=topic: len(client.received[t]) >= published, f"all of {topic}")
            answered = stamps(client.received[topic])
            assert len(answered) == len(set(answered)) == published and set(answered) <= set(sent)
