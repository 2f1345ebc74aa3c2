# SPDX-License-Identifier: Apache-2.0
"""The services over DDS: what they answer, what they refuse and in which words, and that nothing waits for
them."""

import threading

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import (
    BALL,
    BOX,
    ECHO,
    LATCHED,
    LEGEND,
    NOTHING,
    SIZE,
    UNREADABLE,
    Camera,
    camera_info,
    depth_of,
    mask_of,
    new_client,
    picture,
    pixels,
    running_node,
    stamp_of,
)
from patience import PATIENCE_S
from vision_msgs.msg import LabelInfo

from vision_banana_interfaces.srv import Generate, Segment, SetPrompts


@pytest.fixture(scope="module")
def running():
    with running_node() as (node, context):
        with new_client(context) as client:
            assert client.transition(Transition.TRANSITION_CONFIGURE)
            assert client.transition(Transition.TRANSITION_ACTIVATE)
        yield node, context


@pytest.fixture
def node(running):
    return running[0]


@pytest.fixture
def client(running):
    with new_client(running[1]) as client:
        yield client


def segment(client, expression, later=False, **fields):
    return client.call(
        Segment, "/vision_banana/segment", Segment.Request(expression=expression, **fields), later
    )


def set_prompts(client, task, *prompts):
    return client.call(
        SetPrompts, "/vision_banana/set_prompts", SetPrompts.Request(task=task, prompts=list(prompts))
    )


def generate(client, instruction, **fields):
    return client.call(
        Generate, "/vision_banana/generate", Generate.Request(instruction=instruction, **fields)
    )


def shown(node, client, level, stamp=None):
    """Shows a frame and waits until the node has it; returns its stamp."""
    camera = Camera(client)
    camera.connect()
    camera.infos.publish(camera_info())
    client.spin_until(lambda: node.streams[0].inputs.info is not None, "the CameraInfo in the node")
    stamp = camera.show(level, stamp)
    client.spin_until(
        lambda: any(f.stamp_ns == stamp for f in node.streams[0].frames.received), "the frame in the node"
    )
    return stamp


# must stay the first of this file
def test_before_the_first_frame_a_request_is_told_where_frames_are_awaited(client):
    for reply in (segment(client, BALL), generate(client, ECHO)):
        assert not reply.success and "No image has arrived yet on /image" in reply.message


def test_segment_answers_for_the_newest_frame_with_mask_box_confidence_and_place(node, client):
    stamp = shown(node, client, 100)
    reply = segment(client, BOX)
    assert reply.success and repr(BOX) in reply.message
    mask = mask_of(BOX, SIZE)
    assert np.array_equal(pixels(reply.mask), mask * 255)
    assert (
        stamp_of(reply.mask) == stamp_of(reply.centroid) == stamp and reply.mask.header.frame_id == "camera"
    )
    rows, columns = np.nonzero(mask)
    assert (reply.roi.x_offset, reply.roi.y_offset) == (columns.min(), rows.min())
    assert (reply.roi.width, reply.roi.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert reply.confidence == pytest.approx(1.0, abs=0.01)
    info, point = camera_info(), reply.centroid.point
    assert point.z == pytest.approx(depth_of(100), rel=1e-4)
    assert point.x == pytest.approx((np.median(columns) - info.k[2]) / info.k[0] * point.z, rel=1e-3)
    assert point.y == pytest.approx((np.median(rows) - info.k[5]) / info.k[4] * point.z, rel=1e-3)


def test_segment_answers_for_the_frame_with_a_given_stamp_while_it_is_kept(node, client):
    first = shown(node, client, 60)
    shown(node, client, 160)
    request = picture(0, first).header.stamp
    reply = segment(client, BALL, stamp=request)
    assert reply.success and stamp_of(reply.mask) == first
    assert reply.centroid.point.z == pytest.approx(depth_of(60), rel=1e-4)
    request.sec -= 1000
    reply = segment(client, BALL, stamp=request)
    assert not reply.success and "leave the stamp zero" in reply.message


def test_segment_of_something_that_is_not_there_succeeds_with_an_empty_mask_and_says_so(node, client):
    shown(node, client, 100)
    reply = segment(client, NOTHING)
    assert reply.success and "Nothing in the frame fits" in reply.message
    assert not pixels(reply.mask).any() and reply.roi.width == 0 and reply.confidence == 0.0
    assert np.isnan(reply.centroid.point.z)


def test_segment_and_generate_answer_for_an_image_that_is_sent_along(client):
    image = picture(40, 123, size=(24, 32), frame_id="elsewhere")
    reply = segment(client, BALL, image=image)
    assert reply.success and (reply.mask.height, reply.mask.width) == (24, 32)
    assert reply.mask.header.frame_id == "elsewhere" and "without a place" in reply.message
    painted = generate(client, ECHO, image=image)
    assert (
        painted.success
        and painted.image.encoding == "rgb8"
        and (pixels(painted.image)[SIZE[0] // 4 :] == 40).all()
    )
    image.encoding = "purple8"
    for reply in (segment(client, BALL, image=image), generate(client, ECHO, image=image)):
        assert not reply.success and "'purple8' is not known" in reply.message


@pytest.mark.parametrize(
    ("expression", "words"),
    [("", "is empty"), (" \n ", "is empty"), ("a" * 10_000, "has 10000 characters; at most 500")],
)
def test_an_expression_that_cannot_be_used_is_refused_with_a_reason(client, expression, words):
    assert words in segment(client, expression).message
    reply = set_prompts(client, "referring", BALL, expression)
    assert not reply.success and words in reply.message and list(reply.ids) == []


def test_an_instruction_that_is_empty_or_far_too_long_is_refused(client):
    assert "is empty" in generate(client, "").message
    assert "at most 4000" in generate(client, "a" * 10_000).message


def test_an_answer_that_cannot_be_read_is_a_failure_that_says_so(node, client):
    shown(node, client, UNREADABLE)
    reply = segment(client, BALL)
    assert reply.success  # the mask of this oracle can be read, its depth cannot
    assert np.isnan(reply.centroid.point.z)


def test_new_expressions_take_effect_on_the_next_frame_with_the_values_of_the_reply(node, client):
    client.listen("referring/mask")
    client.spin_until(
        lambda: "referring/mask" in node.streams[0].outputs.watched(), "the subscriber in the node"
    )
    reply = set_prompts(client, "referring", BALL, BOX)
    assert reply.success and list(reply.ids) == [1, 2] and len(set(reply.colors)) == 2
    stamp = shown(node, client, 100)
    mask = client.spin_until(lambda: client.received["referring/mask"], "a referring mask")[-1]
    assert stamp_of(mask) == stamp
    assert np.array_equal(pixels(mask), mask_of(BALL, SIZE) * 1 + mask_of(BOX, SIZE) * 2)
    assert client.get_parameter_of_node("expressions") == [BALL, BOX]
    assert set_prompts(client, "referring").success
    assert client.get_parameter_of_node("expressions") == [""]


def test_a_new_legend_is_latched_and_answers_follow_it(node, client):
    client.listen("segmentation/labels", LabelInfo, LATCHED)
    client.listen("segmentation/mask")
    client.spin_until(
        lambda: "segmentation/mask" in node.streams[0].outputs.watched(), "the subscriber in the node"
    )
    reply = set_prompts(client, "semantic", "road=red", "curb=#00ff00")
    assert reply.success and list(reply.ids) == [0, 1] and list(reply.colors) == ["#ff0000", "#00ff00"]

    def names():
        return [entry.class_name for entry in client.received["segmentation/labels"][-1].class_map]

    client.spin_until(
        lambda: client.received["segmentation/labels"] and names() == ["road", "curb"], "new labels"
    )
    shown(node, client, 100)
    client.spin_until(lambda: client.received["segmentation/mask"], "a mask")
    assert set_prompts(client, "semantic").success  # back to the bundle's own
    client.spin_until(lambda: names() == list(LEGEND), "the bundle's labels")


@pytest.mark.parametrize(
    ("task", "prompts", "words"),
    [
        ("semantic", ["floor", "wall", "floor"], "'floor' is there twice"),
        ("referring", [BALL, BALL], f"{BALL!r} is there twice"),
        ("semantic", ["a=#ff0000", "b=#ff0001"], "too near to tell apart"),
        ("semantic", ["a=redish"], "'redish' is not a colour"),
        ("referring", ["a cat"], "was not told about"),  # the generator itself cannot use it
        ("instances", ["box", "chair"], "takes one class, not 2"),
        ("depth", ["near"], "depth takes no prompts"),
        ("optical flow", ["left"], "There is no task 'optical flow'"),
        ("referring", [f"thing {i}" for i in range(17)], "at most 16"),
        ("semantic", [f"class {i}" for i in range(100_000)], "100000 classes are too many"),
    ],
)
def test_prompts_that_cannot_be_used_change_nothing_and_say_why(node, client, task, prompts, words):
    before = node.streams[0].asking
    reply = set_prompts(client, task, *prompts)
    assert not reply.success and words in reply.message
    assert node.streams[0].asking is before


def test_another_class_of_instances(node, client):
    assert set_prompts(client, "instances", "chair").success
    assert node.streams[0].asking.prompts.instances == "chair"
    assert set_prompts(client, "instances", "box").success


def test_a_request_that_takes_too_long_fails_in_time_and_others_are_answered_meanwhile(node, client):
    shown(node, client, 100)
    client.spin_until(lambda: node.streams[0].counts.report()["waiting"] == "0", "the worker to be free")
    assert client.set_parameters(service_timeout=0.5)[0].successful
    pace, node.generator.pace_s = node.generator.pace_s, 3.0
    try:
        slow = segment(client, BALL, later=True)
        assert client.state() == "active"
        assert "is empty" in segment(client, "").message
        reply = client.reply(slow)
        assert not reply.success and "No answer within 0.5 s" in reply.message
    finally:
        node.generator.pace_s = pace
        client.set_parameters(service_timeout=PATIENCE_S)
    client.spin_until(lambda: segment(client, BALL).success, "the worker to be free again")


def test_callbacks_do_not_wait_for_a_request_that_the_worker_has(node, client):
    shown(node, client, 100)
    painting, may_go_on = threading.Event(), threading.Event()
    truth, node.generator.truth = node.generator.truth, None
    node.generator.truth = lambda image: painting.set() or may_go_on.wait(PATIENCE_S) and truth(image)
    try:
        waits = segment(client, BALL, later=True)
        client.spin_until(painting.is_set, "the worker to be busy")
        assert client.state() == "active"
        assert client.set_parameters(max_age=2 * PATIENCE_S)[0].successful
        assert not waits.done()
    finally:
        node.generator.truth = truth
        may_go_on.set()
    assert client.reply(waits).success
    assert client.set_parameters(max_age=PATIENCE_S)[0].successful


def test_a_burst_of_requests_gets_a_reply_each_and_those_that_cannot_wait_are_refused(node, client):
    shown(node, client, 100)
    pace, node.generator.pace_s = node.generator.pace_s, 0.1
    try:
        replies = [client.reply(future) for future in [segment(client, BALL, later=True) for _ in range(30)]]
    finally:
        node.generator.pace_s = pace
    refused = [reply.message for reply in replies if not reply.success]
    assert refused and all("16 requests are waiting" in message for message in refused)
    assert len(refused) <= 30 - 16


def test_of_hundreds_of_requests_at_once_each_gets_a_reply(node, client):
    shown(node, client, 100)
    pace, node.generator.pace_s = node.generator.pace_s, 0.05
    try:
        replies = [client.reply(future) for future in [segment(client, BALL, later=True) for _ in range(300)]]
    finally:
        node.generator.pace_s = pace
    assert len(replies) == 300 and all(reply.message for reply in replies)
