# SPDX-License-Identifier: Apache-2.0
"""Several cameras on one node: namespaced topics, fair turns, one generator."""

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import (
    BALL,
    Camera,
    TestGenerator,
    camera_info,
    depth_of,
    new_client,
    pixels,
    running_node,
    stamps,
)

from vision_banana_interfaces.srv import Generate, Segment
from vision_banana_ros.errors import InputError
from vision_banana_ros.node.parameters import read_cameras

LOADED = []


def load(bundle, executor):
    LOADED.append(TestGenerator(pace_s=0.05))
    return LOADED[-1]


@pytest.fixture(scope="module")
def running():
    topics = [f"{name}/{topic}" for name in ("front", "rear") for topic in ("depth/image_rect", "points")]
    with (
        running_node(loader=load, cameras=["front", "rear"]) as (node, context),
        new_client(context, topics) as client,
    ):
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert client.transition(transition)
        cameras = {name: Camera(client, prefix=f"{name}/") for name in ("front", "rear")}
        for camera in cameras.values():
            camera.connect()
            camera.infos.publish(camera_info())
        client.spin_until(
            lambda: all(len(s.outputs.watched()) == 2 and s.inputs.info for s in node.streams),
            "all connections",
        )
        yield node, client, cameras


def test_each_camera_is_answered_under_its_own_name_by_one_generator(running):
    node, client, cameras = running
    sent = {"front": cameras["front"].show(10), "rear": cameras["rear"].show(90)}
    for name, level in (("front", 10), ("rear", 90)):
        for topic in ("points", "depth/image_rect"):
            client.spin_until(lambda n=name, t=topic: client.received[f"{n}/{t}"], f"{topic} of {name}")
        (message,) = client.received[f"{name}/depth/image_rect"]
        assert stamps([message]) == [sent[name]]
        assert np.allclose(pixels(message), depth_of(level), rtol=1e-4)
        client.spin_until(lambda n=name: client.status(f"stream {n}")["published"] == "1", "the count")
    assert len(LOADED) == 1


def test_a_fast_camera_does_not_starve_a_slow_one(running):
    node, client, cameras = running
    before = {s.name: int(s.counts.report()["published"]) for s in node.streams}

    def grown(name):
        return int(node.stream(name).counts.report()["published"]) - before[name]

    shown = 0
    while grown("front") < 12:
        for _ in range(5):
            cameras["front"].show(10)
        if shown == grown("rear"):  # the one before is answered
            cameras["rear"].show(20)
            shown += 1
        client.own_executor.spin_once(timeout_sec=0.01)
    assert grown("rear") >= 8
    client.spin_until(
        lambda: all(s.counts.report()["waiting"] == "0" for s in node.streams), "all frames to be done"
    )
    assert int(node.stream("front").counts.report()["dropped: replaced"]) > 0


def test_services_ask_about_the_camera_that_they_name(running):
    _, client, cameras = running
    cameras["front"].show(30), cameras["rear"].show(130)
    client.spin_until(lambda: client.status("stream rear")["waiting"] == "0", "the frames to be answered")
    for camera, level in (("", 30), ("front", 30), ("rear", 130)):
        reply = client.call(
            Segment, "/vision_banana/segment", Segment.Request(expression=BALL, camera=camera)
        )
        assert reply.success and abs(reply.centroid.point.z - depth_of(level)) < 0.01
    for kind, request in (
        (Segment, Segment.Request(expression=BALL, camera="left")),
        (Generate, Generate.Request(instruction="x", camera="left")),
    ):
        reply = client.call(kind, f"/vision_banana/{kind.__name__.lower()}", request)
        assert (
            not reply.success
            and "There is no camera 'left'; the parameter cameras names front, rear" in reply.message
        )


def test_names_of_cameras_are_checked():
    assert read_cameras([""]) == ("",) and read_cameras(["a", "b_2"]) == ("a", "b_2")
    for names in (["front", "front"], ["a/b"], ["2nd"], ["rear camera"]):
        with pytest.raises(InputError, match="name of its own"):
            read_cameras(names)
