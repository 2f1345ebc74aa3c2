# SPDX-License-Identifier: Apache-2.0
"""Rates, priority and budget: which outputs a frame is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_msgs.msg import Transition
from node_support import Camera, TestGenerator, camera_info, new_client, running_node, stamps

from vision_banana_ros.node.parameters import PRIORITY
from vision_banana_ros.node.pipeline import output_schedule as schedule_module
from vision_banana_ros.node.pipeline.output_schedule import Pacing, Schedule
from vision_banana_ros.node.topics.messages import GROUPS

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


def pacing(budget_s=0.0, priority=PRIORITY, **rates):
    return Pacing({group: rates.get(group, 0.0) for group in GROUPS}, priority, budget_s)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(schedule_module.time, "monotonic", lambda: now[0])
    return now


def test_the_default_priority_names_every_output_once():
    assert sorted(PRIORITY) == sorted(GROUPS)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 15.0), st.integers(10, 40), st.floats(0.0, 0.2), st.integers(0, 100))
def test_an_output_comes_at_its_rate_on_the_average_though_frames_come_unevenly(
    rate_hz, camera_hz, jitter, seed
):
    rng = np.random.default_rng(seed)
    frames = (np.arange(20 * camera_hz) + rng.uniform(-jitter, jitter, 20 * camera_hz)) / camera_hz + 1.0
    schedule = Schedule()
    times = [
        t
        for t in frames
        if "normals" in schedule.plan(["depth", "normals"], int(t * 1e9), pacing(normals=rate_hz))
    ]
    assert len(times) <= 20 * rate_hz + 2
    if rate_hz <= camera_hz / 2:
        assert len(times) >= 0.9 * 20 * rate_hz - 1
    assert schedule.report()["depth: asked"] == str(20 * camera_hz)


def test_a_rate_equal_to_the_cameras_lets_every_frame_through():
    rng = np.random.default_rng(0)
    frames = np.arange(100) / 10 + rng.uniform(-0.01, 0.01, 100) + 1.0
    schedule = Schedule()
    assert sum(bool(schedule.plan(["depth"], int(t * 1e9), pacing(depth=10.0))) for t in frames) >= 99


def test_after_a_pause_or_a_jump_back_the_next_frame_is_answered():
    schedule, slow = Schedule(), pacing(depth=1.0)
    assert schedule.plan(["depth"], 100_000_000_000, slow) == ["depth"]
    assert schedule.plan(["depth"], 100_100_000_000, slow) == []
    assert schedule.plan(["depth"], 500_000_000_000, slow) == ["depth"]
    assert schedule.plan(["depth"], 500_100_000_000, slow) == []
    assert schedule.plan(["depth"], 3_000_000_000, slow) == ["depth"]


def test_what_the_budget_does_not_reach_is_skipped_by_priority_and_tried_again_later(clock):
    cost = {"depth": 0.03, "segmentation": 0.04, "normals": 0.05}
    schedule, tight = Schedule(), pacing(0.08)

    def turn(number):
        groups = schedule.plan(list(cost), number * 100_000_000, tight)
        schedule.took(groups, sum(cost[g] for g in groups))
        return groups

    assert turn(1) == ["depth", "segmentation", "normals"]  # nothing is known yet
    assert [turn(number) for number in range(2, 10)] == [["depth", "segmentation"]] * 8
    assert schedule.skipped == ["normals"] and schedule.report()["normals: over budget"] == "8"
    clock[0] += 11
    cost["normals"] = 0.005  # the machine has become faster
    assert [turn(number) for number in range(10, 15)] == [["depth", "segmentation", "normals"]] * 5
    assert schedule.skipped == []


def test_the_declared_order_decides_and_the_first_is_always_answered(clock):
    schedule = Schedule()
    order = ("normals", *(group for group in PRIORITY if group != "normals"))
    for number in range(1, 4):
        groups = schedule.plan(["depth", "normals"], number, pacing(0.001, order))
        schedule.took(groups, 1.0)
    assert groups == ["normals"] and schedule.skipped == ["depth"]


class Paced(TestGenerator):
    """Takes 50 ms a picture."""

    def paint(self, image, instructions):
        self.pace_s = 0.05 * len(instructions)
        return super().paint(image, instructions)


TOPICS = ["depth/image_rect", "segmentation/mask", "normals/image"]


@pytest.fixture
def running():
    with (
        running_node(loader=lambda bundle, executor: Paced()) as (node, context),
        new_client(context, TOPICS) as client,
    ):
        for transition in UP:
            assert client.transition(transition)
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info())
        client.spin_until(
            lambda: len(node.streams[0].outputs.watched()) == len(TOPICS), "the subscribers in the node"
        )
        yield node, client, camera


def show(client, camera, count, interval_s):
    """Frames with stamps so far apart, each when the one before is answered."""
    first = client.next_stamp()
    sent = [first + int(i * interval_s * 1e9) for i in range(count)]
    for stamp in sent:
        camera.show(10, stamp)
        client.spin_until(
            lambda s=stamp: s in stamps(client.received["depth/image_rect"]), "depth of a frame"
        )
    return sent


def test_rates_are_kept_and_nothing_is_painted_for_what_is_not_due(running):
    node, client, camera = running
    assert client.set_parameters(**{"rates.segmentation": 2.5, "rates.normals": 5.0})[0].successful
    sent = show(client, camera, 9, 0.1)
    assert stamps(client.received["depth/image_rect"]) == sent
    client.spin_until(lambda: len(client.received["segmentation/mask"]) == 3, "every fourth mask")
    client.spin_until(lambda: len(client.received["normals/image"]) == 5, "every second map of normals")
    assert stamps(client.received["segmentation/mask"]) == sent[::4]
    assert stamps(client.received["normals/image"]) == sent[::2]
    assert (node.generator.answered.count("semantic"), node.generator.answered.count("normals")) == (3, 5)
    status = client.status()
    assert (status["segmentation: asked"], status["segmentation: not due"]) == ("3", "6")


def test_a_machine_that_cannot_keep_up_leaves_out_the_last_of_priority_and_says_so(running):
    node, client, camera = running
    assert client.set_parameters(priority=["depth", "normals"], budget=0.13)[0].successful
    sent = show(client, camera, 6, 0.1)
    assert "segmentation left out of frames" in client.wait_for_fault("cannot keep up")
    client.spin_until(lambda: stamps(client.received["normals/image"]) == sent, "normals of every frame")
    assert stamps(client.received["segmentation/mask"]) == sent[:1]  # tried once
    assert client.status()["segmentation: over budget"] == "5"
    assert client.set_parameters(budget=0.0)[0].successful
    later = show(client, camera, 1, 0.1)
    client.spin_until(
        lambda: stamps(client.received["segmentation/mask"]) == [sent[0], *later], "the mask again"
    )
    client.spin_until(lambda: "cannot keep up" not in client.status()["message"], "the fault to go")


def test_a_frame_for_which_nothing_is_due_is_a_counted_drop(running):
    node, client, camera = running
    assert client.set_parameters(**{f"rates.{group}": 1.0 for group in ("depth", "segmentation", "normals")})[
        0
    ].successful
    first = show(client, camera, 1, 0.1)[0]
    camera.show(10, first + 100_000_000)
    client.spin_until(lambda: client.status()["dropped: not due"] == "1", "the drop")
    status = client.status()
    assert (status["received"], status["published"], status["waiting"]) == ("2", "1", "0")
