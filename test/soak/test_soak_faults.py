# SPDX-License-Identifier: Apache-2.0
"""Errors at every stage of a frame's way, each of which may cost that frame and nothing else; and
connections that fail."""

import time

import pytest
from lifecycle_msgs.msg import Transition
from node_support import Camera, camera_info, new_client, running_node, stamp_of
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from soak_support import balanced, settle

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.node.pipeline import camera_stream
from vision_banana_ros.node.topics.messages import Composer
from vision_banana_ros.node.topics.outputs import Outputs
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.perception.resample import Guide
from vision_banana_ros.tasks import depth

FAILURES = 4
NAMED_S = 2.0
ERRORS = (
    RuntimeError("the accelerator has gone"),
    MemoryError(),
    KeyError("nowhere"),
    ZeroDivisionError("division by zero"),
)

# Where a frame passes through on the worker's thread.
STAGES = {
    "decoding the image": (camera_stream, "read_image"),
    "looking": (Perceiver, "look"),
    "decoding depth": (depth, "decode"),
    "resampling": (Guide, "of"),
    "composing": (Composer, "compose"),
    "publishing": (Outputs, "publish"),
}


@pytest.mark.parametrize("stage", [*STAGES, "painting"])
def test_error(note, monkeypatch, stage):
    with running_node(max_age=0.0) as (node, context), new_client(context, ["depth/image_rect"]) as client:
        assert client.transition(Transition.TRANSITION_CONFIGURE)
        assert client.transition(Transition.TRANSITION_ACTIVATE)
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info((96, 128)))

        def answered():
            stamp = camera.show(60, size=(96, 128))
            client.spin_until(
                lambda: (
                    stamp in map(stamp_of, client.received["depth/image_rect"])
                    or client.status()["waiting"] == "0"
                ),
                "the frame's fate",
            )
            return stamp in map(stamp_of, client.received["depth/image_rect"])

        client.spin_until(answered, "a first answer")
        place, name = (node.generator, "paint") if stage == "painting" else STAGES[stage]
        for k in range(FAILURES):
            with monkeypatch.context() as patch:
                patch.setattr(place, name, _raising(ERRORS[k % len(ERRORS)]))
                failed = int(client.status()["dropped: failed"])
                camera.show(60, size=(96, 128))
                client.spin_until(
                    lambda n=failed: int(client.status()["dropped: failed"]) > n, f"a failure when {stage}"
                )
                if stage in ("painting", "looking"):
                    reply = client.call(
                        Segment, "/vision_banana/segment", Segment.Request(expression="the red ball")
                    )
                    assert not reply.success and reply.message
            assert answered(), f"after an error when {stage} the next frame must be answered"
        assert balanced(settle(client))
        note(f"errors when {stage}, each cost one frame", FAILURES, FAILURES)


def _raising(error):
    def stand_in(*args, **kwargs):
        raise error

    return stand_in


def test_faults_of_connections_are_named_in_time(note):
    options = {"qos_overrides./camera_info.subscription.reliability": "reliable"}
    with running_node(**options) as (_, context), new_client(context) as client:
        assert client.transition(Transition.TRANSITION_CONFIGURE)
        assert client.transition(Transition.TRANSITION_ACTIVATE)
        camera = Camera(client)
        camera.connect()
        weak = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        strict = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        faults = {
            "CameraInfo of another size": (
                lambda: camera.infos.publish(camera_info((10, 10))),
                "CameraInfo is for 10x10 pixels",
            ),
            "a subscriber's QoS": (
                lambda: client.create_subscription(Image, "depth/color", print, strict),
                "A subscriber to /depth/color asks for a durability",
            ),
            "a publisher's QoS": (
                lambda: client.create_publisher(CameraInfo, "camera_info", weak),
                "A publisher on /camera_info does not offer the reliability",
            ),
        }
        for what, (cause, words) in faults.items():
            cause()
            started = time.monotonic()
            client.spin_until(
                lambda w=words: camera.show(10) and client.said(w), f"diagnostics that say {words!r}"
            )
            took = time.monotonic() - started
            note(f"{what} is in diagnostics after (s)", round(took, 2), f"{NAMED_S:g}")
            assert took <= NAMED_S
