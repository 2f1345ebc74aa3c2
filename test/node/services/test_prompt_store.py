# SPDX-License-Identifier: Apache-2.0
"""Live prompts: kept over a restart where asked for, and never mixed into a frame."""

import json
import os
import threading

import pytest
from lifecycle_msgs.msg import Transition
from node_support import (
    BALL,
    BOX,
    LATCHED,
    LEGEND,
    NEW_LEGEND,
    NOTHING,
    Camera,
    camera_info,
    new_client,
    pixels,
    running_node,
    stamp_of,
)
from patience import PATIENCE_S
from vision_msgs.msg import LabelInfo

from vision_banana_interfaces.srv import SetPrompts
from vision_banana_ros.errors import InputError
from vision_banana_ros.node.services.prompt_store import MAX_BYTES, KeptPrompts

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    return KeptPrompts("/vision_banana")


def test_what_is_kept_is_read_back_and_added_to(kept):
    assert kept.read() == {}
    kept.keep({"expressions": ["the door"]})
    kept.keep({"legend": ["floor", "wall=#0000ff"], "instances_class": "cup"})
    kept.keep({"expressions": ["the lift"]})
    assert kept.read() == {
        "expressions": ["the lift"],
        "legend": ["floor", "wall=#0000ff"],
        "instances_class": "cup",
    }
    assert [path.name for path in kept.path.parent.iterdir()] == ["vision_banana.prompts.json"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(kept, monkeypatch):
    kept.keep({"expressions": ["the door"]})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device.*ROS_HOME"):
        kept.keep({"expressions": ["the lift"]})
    assert kept.read() == {"expressions": ["the door"]} and len(list(kept.path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"bundle": "/tmp/evil"}',
        b'{"expressions": "x"}',
        b'{"legend": [1]}',
        b"\xff\xfe",
        b" " * (MAX_BYTES + 1),
    ],
)
def test_a_file_that_does_not_hold_prompts_is_not_used(kept, content):
    kept.path.parent.mkdir(parents=True)
    kept.path.write_bytes(content)
    with pytest.raises(InputError, match="delete the file"):
        kept.read()


def set_prompts(client, task, *prompts, persist=False):
    request = SetPrompts.Request(task=task, prompts=list(prompts), persist=persist)
    return client.call(SetPrompts, "/vision_banana/set_prompts", request)


def test_prompts_are_asked_after_a_restart_only_where_that_was_asked_for(kept):
    with running_node() as (_, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition)
        reply = set_prompts(client, "referring", BALL, BOX, persist=True)
        assert reply.success and "kept over a restart" in reply.message and list(reply.ids) == [1, 2]
        assert set_prompts(client, "instances", "chair").success
    with running_node(expressions=[NOTHING]) as (node, context), new_client(context) as client:
        assert client.transition(UP[0])
        assert node.asking().prompts.expressions == (BALL, BOX)
        assert node.asking().prompts.instances == "box"
        assert client.get_parameter_of_node("expressions") == [BALL, BOX]
        assert set_prompts(client, "referring", persist=True).success  # none any more
    with running_node() as (node, _):
        node.trigger_configure()
        assert node.asking().prompts.expressions == ()


@pytest.mark.parametrize(
    ("name", "value"), [("expressions", ["x" * 501]), ("legend", ["a=#ff0000", "b=#ff0001"])]
)
def test_kept_prompts_that_cannot_be_used_are_reported_and_left_aside(kept, name, value):
    kept.path.parent.mkdir(parents=True)
    kept.path.write_text(json.dumps({name: value}))
    with running_node() as (node, context), new_client(context) as client:
        assert str(kept.path) in client.wait_for_fault("The kept prompts in")
        assert client.transition(UP[0]) and node.asking().prompts.expressions == ()


def test_kept_prompts_that_the_bundle_does_not_understand_name_their_file(kept):
    kept.keep({"expressions": ["a cat"]})
    with running_node() as (node, _):
        node.trigger_configure()
        assert "was not told about" in node.failure and str(kept.path) in node.failure
    with running_node(bundle="missing") as (node, _):
        node.trigger_configure()
        assert "There is no bundle" in node.failure and str(kept.path) not in node.failure


def test_a_legend_that_changes_while_a_frame_is_answered_does_not_split_it_and_its_labels_come_first():
    heard = []  # masks and labels in the order that they were published in
    with running_node() as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition)
        client.create_subscription(
            LabelInfo,
            "segmentation/labels",
            lambda m: heard.append([c.class_name for c in m.class_map]),
            LATCHED,
        )
        client.listen("segmentation/overlay")
        client.listen("segmentation/mask")
        camera = Camera(client)
        camera.connect()
        camera.infos.publish(camera_info())
        stream = node.streams[0]
        client.spin_until(lambda: heard and len(stream.outputs.watched()) == 2, "all connections")
        published, publish = [], stream.outputs.publish
        stream.outputs.publish = lambda topic, message: (published.append(topic), publish(topic, message))
        painting, go_on = threading.Event(), threading.Event()
        truth = node.generator.truth
        node.generator.truth = lambda image: (painting.set(), go_on.wait(PATIENCE_S), truth(image))[-1]
        first = camera.show(10)
        client.spin_until(painting.is_set, "the frame to be painted")
        assert client.set_parameters(
            legend=[f"{n}=#{r:02x}{g:02x}{b:02x}" for n, (r, g, b) in NEW_LEGEND.items()]
        )[0].successful
        go_on.set()
        second = client.spin_until(
            lambda: stream.asking.prompts.legend == NEW_LEGEND, "the change"
        ) and camera.show(10)
        client.spin_until(lambda: len(client.received["segmentation/overlay"]) == 2, "both frames")
        client.spin_until(lambda: heard[-1] == list(NEW_LEGEND), "the new labels")
        # of the first frame
        assert published.index("segmentation/labels") > published.index("segmentation/mask")
        assert published.count("segmentation/labels") == 1
        old, new = client.received["segmentation/overlay"]
        assert (stamp_of(old), stamp_of(new)) == (first, second)
        for message, legend in ((old, LEGEND), (new, NEW_LEGEND)):
            expected = [(2 * 10 + 3 * c + 2) // 5 for c in next(iter(legend.values()))]
            assert pixels(message)[20, 0].tolist() == expected
