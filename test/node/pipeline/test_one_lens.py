# SPDX-License-Identifier: Apache-2.0
"""A bundle that paints depth for one lens, over DDS: metres follow from CameraInfo, and without one there
are none."""

from dataclasses import replace

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import (
    BALL,
    SIZE,
    Camera,
    TestGenerator,
    camera_info,
    depth_of,
    new_client,
    pixels,
    running_node,
)

from vision_banana_interfaces.srv import Segment

FOCAL_PX = 90.0
DEPTH = ["depth/image_rect", "points"]


def load(bundle, executor):
    generator = TestGenerator()
    generator.manifest = replace(generator.manifest, depth_focal_px=FOCAL_PX)
    return generator


@pytest.fixture
def running():
    with running_node(load) as (node, context), new_client(context, [*DEPTH, "normals/image"]) as client:
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert client.transition(transition), node.failure
        camera = Camera(client)
        camera.connect()
        client.spin_until(
            lambda: node.streams[0].outputs.watched() == {*DEPTH, "normals/image"}, "the subscribers"
        )
        yield node, client, camera


def test_without_camera_info_there_is_no_depth_and_all_else_goes_on_with_it_there_are_metres(running):
    node, client, camera = running
    camera.show(20)
    client.spin_until(lambda: client.received["normals/image"], "normals")
    client.wait_for_fault("No CameraInfo has arrived on /camera_info")
    assert "neither depth nor clouds" in client.status()["message"]
    assert not any(client.received[topic] for topic in DEPTH)

    camera.infos.publish(camera_info())
    client.spin_until(lambda: node.streams[0].inputs.info is not None, "the CameraInfo in the node")
    stamp = camera.show(20)
    client.spin_until(lambda: all(client.received[topic] for topic in DEPTH), "depth and its cloud")
    expected = depth_of(20) * camera_info().k[0] / FOCAL_PX
    assert pixels(client.received["depth/image_rect"][0]) == pytest.approx(np.full(SIZE, expected), rel=1e-4)

    request = Segment.Request(expression=BALL)
    request.stamp.sec, request.stamp.nanosec = divmod(stamp, 1_000_000_000)
    reply = client.call(Segment, "/vision_banana/segment", request)
    assert reply.success and reply.centroid.point.z == pytest.approx(expected, rel=1e-4)
