# SPDX-License-Identifier: Apache-2.0
"""Lifecycle and parameters over DDS."""

import pytest
from lifecycle_msgs.msg import Transition
from node_support import BALL, Camera, new_client, running_node, stamp_of

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.node.parameters import PARAMETERS

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


@pytest.fixture
def running():
    with running_node() as (node, context), new_client(context) as client:
        yield node, client


def test_transitions_can_be_repeated_and_every_time_frames_are_answered(running):
    node, client = running
    camera = Camera(client)
    client.listen("depth/image_rect")
    for turn in range(20):
        for transition in UP:
            assert client.transition(transition)
        client.spin_until(lambda: node.stream.outputs.watched(), "the subscriber in the node")
        camera.connect()
        stamp = camera.show(turn)
        client.spin_until(lambda: client.received["depth/image_rect"], f"depth in turn {turn}")
        assert stamp_of(client.received["depth/image_rect"].pop()) == stamp
        for transition in DOWN:
            assert client.transition(transition)
        assert client.state() == "unconfigured" and node.generator is None
    report = node.stream.counts.report()
    assert report["published"] == report["received"] == "20"


def test_an_inactive_node_lets_no_frame_through_and_says_what_is_missing(running):
    node, client = running
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert not reply.success and "not configured" in reply.message
    camera = Camera(client)
    client.listen("depth/image_rect")
    assert client.transition(UP[0])
    camera.connect()
    camera.show(10)
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert not reply.success and "not active" in reply.message
    assert client.status()["received"] == "0" and client.received["depth/image_rect"] == []


def test_frames_in_flight_are_counted_when_the_node_is_deactivated(running):
    node, client = running
    assert client.set_parameters(bundle="slow")[0].successful
    camera = Camera(client)
    client.listen("depth/image_rect")
    for transition in UP:
        assert client.transition(transition)
    client.spin_until(lambda: node.stream.outputs.watched(), "the subscriber in the node")
    camera.connect()
    for number in range(1, 6):
        camera.show(number)
        client.spin_until(lambda n=number: node.stream.counts.report()["received"] == str(n), "the frame in the node")
    assert client.transition(DOWN[0])
    client.spin_until(lambda: node.stream.counts.report()["waiting"] == "0", "no frame in flight")
    report = node.stream.counts.report()
    dropped = sum(int(value) for key, value in report.items() if key.startswith("dropped"))
    assert int(report["received"]) == int(report["published"]) + dropped == 5
    assert len(client.received["depth/image_rect"]) <= int(report["published"])


def test_a_bundle_that_cannot_be_loaded_leaves_the_node_unconfigured_with_the_reason_in_diagnostics(running):
    _, client = running
    assert client.set_parameters(bundle="missing")[0].successful
    assert not client.transition(UP[0])
    assert client.state() == "unconfigured"
    assert "There is no bundle at 'missing'" in client.status("generator")["message"]
    assert client.set_parameters(bundle="")[0].successful
    assert client.transition(UP[0]) and client.state() == "inactive"
    status = client.status("generator")
    assert status["bundle"] == "oracle" and status["size"] == "64x48" and "depth" in status["tasks"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_age", -1.0, "max_age"),
        ("min_readable", 1.5, "min_readable"),
        ("max_range", 1e9, "max_range"),
        ("service_timeout", 0.0, "service_timeout"),
        ("max_age", "old", "type"),
        ("output_size", "tiny", "must be 'input' or 'generator'"),
        ("legend", ["a=#ff0000", "b=#fe0000"], "too near to tell apart"),
        ("legend", ["a", "a"], "there twice"),
        ("expressions", ["x" * 501], "at most 500"),
        ("instances_class", "y" * 501, "at most 500"),
        ("autostart", True, "read-only"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_a_reason_in_every_state(parameter_client, name, value, words):
    before = parameter_client.get_parameter_of_node(name)
    result = parameter_client.set_parameters(**{name: value})[0]
    assert not result.successful and words in result.reason
    assert parameter_client.get_parameter_of_node(name) == before


@pytest.fixture(scope="module", params=["unconfigured", "active"])
def parameter_client(request):
    with running_node() as (_, context), new_client(context) as client:
        if request.param == "active":
            for transition in UP:
                assert client.transition(transition)
        yield client


def test_parameters_that_only_configure_reads_are_refused_while_configured(running):
    _, client = running
    assert client.transition(UP[0])
    for name in ("bundle", "executor"):
        result = client.set_parameters(**{name: "other"})[0]
        assert not result.successful and "clean up first" in result.reason


def test_prompts_set_as_parameters_are_read_by_the_generator_first_and_kept_out_where_it_cannot(running):
    node, client = running
    for transition in UP:
        assert client.transition(transition)
    assert client.set_parameters(expressions=[BALL])[0].successful
    client.spin_until(lambda: node.stream.asking.prompts.expressions == (BALL,), "the expression to be asked")
    assert client.set_parameters(expressions=["a cat"])[0].successful
    assert "was not told about" in client.wait_for_fault("The prompts were not changed")
    assert node.stream.asking.prompts.expressions == (BALL,)
    assert client.set_parameters(expressions=[""])[0].successful
    client.spin_until(lambda: "not changed" not in client.status()["message"], "the fault to go")


def test_every_parameter_is_described_and_every_number_has_a_range(running):
    node, _ = running
    for name, parameter in PARAMETERS.items():
        descriptor = node.describe_parameter(name)
        assert descriptor.description
        assert bool(descriptor.floating_point_range) == isinstance(parameter.default, float)
