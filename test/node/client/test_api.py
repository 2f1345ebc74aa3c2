# SPDX-License-Identifier: Apache-2.0
"""The Python client, and the README's example as it stands there."""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import (
    BALL,
    BOX,
    ECHO,
    NOTHING,
    ROOT,
    SIZE,
    Camera,
    camera_info,
    depth_of,
    drawn,
    mask_of,
    new_client,
    running_node,
)
from patience import PATIENCE_S

from vision_banana_ros.node.client import Refused, VisionBanana


@pytest.fixture(scope="module")
def running():
    with (
        running_node(expressions=[BALL]) as (node, context),
        new_client(context, ["depth/image_rect"]) as client,
    ):
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert client.transition(transition)
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info())
        client.spin_until(
            lambda: node.streams[0].outputs.watched() and node.streams[0].inputs.info, "all connections"
        )
        camera.show(100)
        client.spin_until(lambda: client.received["depth/image_rect"], "the first frame")
        yield node, context, camera


@pytest.fixture
def banana(running, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(running[1].get_domain_id()))
    with VisionBanana(timeout_s=PATIENCE_S) as banana:
        yield banana


def test_segment_finds_what_is_there_and_says_what_is_not(banana):
    found = banana.segment(BOX)
    assert found and np.array_equal(found.mask, mask_of(BOX, SIZE)) and found.confidence > 0.9
    assert found.box == (SIZE[1] // 2, SIZE[0] // 2, SIZE[1] // 4, SIZE[0] // 4)
    assert found.place[2] == pytest.approx(depth_of(100), rel=1e-3)
    assert banana.segment(BOX, stamp_ns=found.stamp_ns).stamp_ns == found.stamp_ns
    nothing = banana.segment(NOTHING)
    assert (
        not nothing
        and not nothing.mask.any()
        and nothing.place is None
        and ("Nothing in the frame fits") in nothing.message
    )


def test_an_image_of_the_programs_own_can_be_asked_about(banana):
    image = drawn(40, (24, 32))
    assert banana.segment(BALL, image=image).mask.shape == (24, 32)
    assert (banana.generate(ECHO, image)[SIZE[0] // 4 :] == 40).all()


@pytest.mark.parametrize(
    "image",
    [np.zeros((24, 32, 4), np.uint8), np.zeros((24, 32), np.uint8), np.full((24, 32, 3), 0.5)],
    ids=["rgba", "grey", "float"],
)
def test_an_array_that_is_no_picture_is_not_sent_as_one(banana, image):
    with pytest.raises(Refused, match=r"\(H, W, 3\) uint8 RGB"):
        banana.segment(BALL, image=image)
    with pytest.raises(Refused, match="convert it first"):
        banana.generate(ECHO, image=image)


def test_prompts_are_set_and_refusals_are_exceptions_with_the_reason(banana):
    assert set(banana.set_prompts("referring", [BALL, BOX])) == {BALL, BOX}
    assert banana.set_prompts("semantic", ["road=red", "curb=#00ff00"])["curb=#00ff00"] == (1, "#00ff00")
    banana.set_prompts("semantic", [])
    with pytest.raises(Refused, match="there twice"):
        banana.set_prompts("referring", [BALL, BALL])
    with pytest.raises(Refused, match="the outputs are depth/image_rect"):
        next(banana.frames("colour"))
    with pytest.raises(Refused, match="There is no camera 'left'"):
        banana.segment(BALL, camera="left")


def test_frames_come_whole_and_in_order(running, banana):
    node, _, camera = running
    sent, seen = [], threading.Event()

    def show():  # again and again: what is shown before everybody is connected is lost
        for level in range(250):
            sent.append(camera.show(level))
            if seen.wait(0.1):
                break

    with ThreadPoolExecutor(1) as pool:
        pool.submit(show)
        stamp, outputs = next(banana.frames("depth/image_rect", "points", "depth/camera_info"))
        seen.set()
    level = sent.index(stamp)
    assert outputs["depth/image_rect"] == pytest.approx(np.full(SIZE, depth_of(level)), rel=1e-5)
    assert outputs["points"].shape == (*SIZE, 3)
    assert outputs["depth/camera_info"][:2].tolist() == [SIZE[1], SIZE[0]]


def test_a_node_that_is_not_there_is_named(running, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(running[1].get_domain_id()))
    with (
        VisionBanana("/elsewhere/banana", timeout_s=0.3) as banana,
        pytest.raises(Refused, match="the service /elsewhere/banana/segment"),
    ):
        banana.segment(BALL)


def test_the_example_in_the_documentation_runs_as_it_is(running):
    text = (ROOT / "docs" / "reference" / "node.md").read_text()
    (program,) = [p for p in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "VisionBanana(" in p]
    assert len(program.splitlines()) <= 20
    program = program.replace("the red ball left of the box", BALL)
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(running[1].get_domain_id()),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    child = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert child.returncode == 0, child.stderr
    assert re.search(r"16x12 pixels .*\n.* m to the right, .* m down, \d\.\d\d m away", child.stdout)
