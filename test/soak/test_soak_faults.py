# SPDX-License-Identifier: Apache-2.0
"""Errors at every stage of a frame's way, each of which may cost that frame and nothing else; and signals at any moment."""

import random
import signal
import time

import pytest
from lifecycle_msgs.msg import Transition
from node_support import Camera, any_domain, camera_info, new_client, running_node, stamp_of
from soak_support import NodeProcess, balanced, settle

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.node import stream
from vision_banana_ros.node.messages import Composer
from vision_banana_ros.node.outputs import Outputs
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.perception.resample import Guide
from vision_banana_ros.tasks import depth

FAILURES = 4
SIGNALS = 10
LEAVE_S = 2.0
ERRORS = (RuntimeError("the accelerator has gone"), MemoryError(), KeyError("nowhere"), ZeroDivisionError("division by zero"))

# Where a frame passes through on the worker's thread.
STAGES = {
    "decoding the image": (stream, "read_image"),
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
                lambda: stamp in map(stamp_of, client.received["depth/image_rect"]) or client.status()["waiting"] == "0",
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
                client.spin_until(lambda n=failed: int(client.status()["dropped: failed"]) > n, f"a failure when {stage}")
                if stage in ("painting", "looking"):
                    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression="the red ball"))
                    assert not reply.success and reply.message
            assert answered(), f"after an error when {stage} the next frame must be answered"
        assert balanced(settle(client))
        note(f"errors when {stage}, each cost one frame", FAILURES, FAILURES)


def _raising(error):
    def stand_in(*args, **kwargs):
        raise error

    return stand_in


def test_signals_at_any_moment(note):
    rng, took, worked, late = random.Random(4), [], [], []
    begun = time.monotonic()
    node = NodeProcess(any_domain(), "autostart:=true")
    while "is ready" not in node.said() and node.alive and time.monotonic() < begun + 120:
        time.sleep(0.05)
    ready_s = time.monotonic() - begun
    node.close()
    for k in range(SIGNALS):
        node = NodeProcess(any_domain(), "autostart:=true")
        time.sleep(rng.uniform(0, 1.3 * ready_s))
        number = signal.SIGINT if k % 2 else signal.SIGTERM
        sent = time.monotonic()
        node.child.send_signal(number)
        before = after = node.cpu_s()
        while node.alive and time.monotonic() < sent + 20:
            after = max(after, node.cpu_s())
            time.sleep(0.01)
        took.append(time.monotonic() - sent)
        worked.append(after - before)
        if took[-1] > LEAVE_S:
            late.append(f"{number.name}: {took[-1]:.1f} s\n{node.said()[-1000:]}")
        node.close()
    note("starts interrupted by SIGINT or SIGTERM", SIGNALS)
    note("a start takes (s)", round(ready_s, 1))
    note("signal to exit, median / worst (s)", f"{sorted(took)[len(took) // 2]:.2f} / {max(took):.2f}", f"{LEAVE_S:g}")
    note("processor time in between, worst (s)", round(max(worked), 2))
    assert not late, "\n".join(late)
