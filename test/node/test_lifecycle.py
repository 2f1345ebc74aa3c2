# SPDX-License-Identifier: Apache-2.0
"""Lifecycle and parameters over DDS."""

import gc
import json
import os
import subprocess
import sys
import threading
import types
import weakref

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_support import BALL, PATIENT, ROOT, Camera, load_oracle, new_client, running_node, stamp_of
from patience import COMPILED_S, PATIENCE_S
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import String

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.node.parameters import PARAMETERS

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


@pytest.fixture
def running():
    # However slow the machine is, a frame counts.
    with running_node(max_age=0.0) as (node, context), new_client(context) as client:
        yield node, client


def test_a_node_that_was_shut_down_says_that_it_has_to_be_started_anew(running):
    _, client = running
    assert client.transition(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert not reply.success and "start it anew" in reply.message and "configure" not in reply.message


CYCLES = """
import gc, json, resource, threading
from pathlib import Path
from node_support import running_node

memory, objects = [], []
with running_node() as (node, _):
    for _ in range(200):
        node.trigger_configure()
        node.trigger_activate()
        assert node.state == "active" and not node.failure
        node.trigger_deactivate()
        assert node.generator is None
        node.trigger_cleanup()
        assert node.state == "unconfigured"
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20)
        if len(memory) % 50 == 0:
            gc.collect()
            objects.append(len(gc.get_objects()))
    workers = [thread.name for thread in threading.enumerate() if "worker" in thread.name]
print(json.dumps([memory, objects, workers]))
"""


def test_every_transition_200_times_leaves_no_thread_no_object_and_no_memory_behind():
    # In a process of its own, whose buffers go back to the system at once, so that its memory can be read
    # off.
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), str(ROOT / "test" / "support"), os.environ.get("PYTHONPATH", "")]
        ),
    }
    child = subprocess.run(
        [sys.executable, "-c", CYCLES], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert child.returncode == 0, child.stderr
    memory, objects, workers = json.loads(child.stdout.splitlines()[-1])
    assert workers == [] and len(memory) == 200
    assert objects[-1] - objects[0] < 150 * 5, objects
    assert min(memory[150:]) - min(memory[20:70]) < 4, memory


def test_diagnostics_state_and_parameters_answer_while_the_generator_is_loaded():
    loaded = threading.Event()

    def slow(bundle, executor):
        assert loaded.wait(COMPILED_S)
        return load_oracle(bundle, executor)

    with running_node(loader=slow) as (_, context), new_client(context) as client:
        request = ChangeState.Request()
        request.transition.id = UP[0]
        reply = client.call(ChangeState, "/vision_banana/change_state", request, later=True)
        try:
            for _ in range(2):
                client.spin_until(
                    lambda: client.statuses and client.status("generator")["state"] == "configuring",
                    "what is being done",
                )
            assert client.state() == "configuring"
            assert client.get_parameter_of_node("max_age") == PATIENT["max_age"]
        finally:
            loaded.set()
        assert client.reply(reply, patience_s=COMPILED_S).success
        assert client.status("generator")["state"] == "inactive"


def test_an_active_node_has_a_bond_where_ros_has_bondpy(running, monkeypatch):
    node, client = running
    told = []

    class Bond:
        """Of bondpy, as far as it is used, with the arguments of its ROS 2 versions (4.1 and later)."""

        def __init__(self, node, topic, bond_id, on_broken=None, on_formed=None):
            told.append((topic, bond_id))
            self.sub, self.pub = (
                node.create_subscription(String, topic, print, 1),
                node.create_publisher(String, topic, 1),
            )

        def __getattr__(self, name):
            return lambda *values: told.append((name, *values))

    monkeypatch.setitem(sys.modules, "bondpy", types.SimpleNamespace(bondpy=types.SimpleNamespace(Bond=Bond)))
    for transition in UP:
        assert client.transition(transition)
    assert told[0] == ("bond", "vision_banana") and told[-1] == ("start",)
    assert client.transition(DOWN[0])
    assert told[-2:] == [("break_bond",), ("shutdown",)] and not node.count_publishers("bond")


def test_deactivate_lets_go_of_the_generator_and_activate_loads_it_again(running):
    node, client = running
    camera = Camera(client)
    client.listen("depth/image_rect")
    for transition in UP:
        assert client.transition(transition)
    first = weakref.ref(node.generator)
    client.spin_until(lambda: node.streams[0].outputs.watched(), "the subscriber in the node")
    camera.connect()
    camera.show(10)
    client.spin_until(lambda: client.received["depth/image_rect"], "depth")
    assert client.transition(DOWN[0])
    client.spin_until(
        lambda: gc.collect() and first() is None or first() is None, "the generator to be freed"
    )
    assert client.status("generator")["message"] == "not loaded"
    reply = client.call(Segment, "/vision_banana/segment", Segment.Request(expression=BALL))
    assert (
        not reply.success
        and "not activated" in reply.message
        and ("lifecycle set /vision_banana activate") in reply.message
    )
    assert client.set_parameters(expressions=[BALL])[0].successful  # activate reads it
    result = client.set_parameters(bundle="other")[0]
    assert not result.successful and "clean up first" in result.reason
    assert client.transition(UP[1])
    assert node.streams[0].asking.prompts.expressions == (BALL,)
    camera.show(20)
    client.spin_until(
        lambda: len(client.received["depth/image_rect"]) == 2, "depth of the generator that was loaded again"
    )
    assert client.transition(DOWN[0])
    assert client.set_parameters(expressions=["a cat"])[0].successful
    assert not client.transition(UP[1]) and client.state() == "inactive"
    assert "was not told about" in client.status("generator")["message"]
    assert client.set_parameters(expressions=[""])[0].successful
    assert client.transition(UP[1])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("[ONNXRuntimeError] : INVALID_PROTOBUF"),
            "'vision-banana info BUNDLE' checks a bundle",
        ),
        (RuntimeError("CUDA error: out of memory"), "choose a smaller bundle"),
        (MemoryError(), "the memory ran out"),
    ],
)
def test_whatever_goes_wrong_in_configure_the_cure_is_named(error, words):
    def fails(bundle, executor):
        raise error

    with running_node(loader=fails) as (node, _):
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert words in node.failure and node.state == "unconfigured"


def test_transitions_can_be_repeated_and_every_time_frames_are_answered(running):
    node, client = running
    camera = Camera(client)
    client.listen("depth/image_rect")
    for turn in range(5):
        for transition in UP:
            assert client.transition(transition)
        client.spin_until(lambda: node.streams[0].outputs.watched(), "the subscriber in the node")
        camera.connect()
        stamp = camera.show(turn)
        client.spin_until(lambda: client.received["depth/image_rect"], f"depth in turn {turn}")
        assert stamp_of(client.received["depth/image_rect"].pop()) == stamp
        for transition in DOWN:
            assert client.transition(transition)
        assert client.state() == "unconfigured" and node.generator is None
    report = node.streams[0].counts.report()
    assert report["published"] == report["received"] == "5"


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
    client.spin_until(lambda: node.streams[0].outputs.watched(), "the subscriber in the node")
    camera.connect()
    for number in range(1, 6):
        camera.show(number)
        client.spin_until(
            lambda n=number: node.streams[0].counts.report()["received"] == str(n), "the frame in the node"
        )
    assert client.transition(DOWN[0])
    client.spin_until(lambda: node.streams[0].counts.report()["waiting"] == "0", "no frame in flight")
    report = node.streams[0].counts.report()
    dropped = sum(int(value) for key, value in report.items() if key.startswith("dropped"))
    assert int(report["received"]) == int(report["published"]) + dropped == 5
    assert len(client.received["depth/image_rect"]) <= int(report["published"])


def test_a_node_that_was_shut_down_is_an_error_in_diagnostics(running):
    _, client = running
    assert client.transition(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    client.wait_for_fault("start its process again")
    assert "start its process again" in client.status("generator")["message"]
    assert {status.level for status in client.statuses[-1].status} == {b"\x02"}


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
        ("cameras", ["front"], "read-only"),
        ("rates.depth", -1.0, "rates.depth"),
        ("priority", ["depth", "colour"], "the outputs are depth,"),
        ("obstacles.voxel", 0.0, "obstacles.voxel"),
        ("obstacles.max_range", 0.1, "obstacles.max_range"),
        ("scale_check", "odometer", "must be empty, 'camera_height', 'scan' or 'cloud'"),
        ("range_pose", [1.0, 2.0], "six finite numbers"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_a_reason_in_every_state(
    parameter_client, name, value, words
):
    before = parameter_client.get_parameter_of_node(name)
    result = parameter_client.set_parameters(**{name: value})[0]
    assert not result.successful and words in result.reason
    assert parameter_client.get_parameter_of_node(name) == before


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("max_age", 2, 2.0),
        ("range_pose", [0, 0, 1, 0, 0, 0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        ("expressions", Parameter.Type.INTEGER_ARRAY, [""]),  # what `ros2 param set` makes of []
    ],
)
def test_numbers_and_lists_may_be_written_as_people_write_them(parameter_client, name, value, read):
    change = Parameter(name, value, []) if isinstance(value, Parameter.Type) else Parameter(name, value=value)
    request = SetParameters.Request(parameters=[change.to_parameter_msg()])
    assert (
        parameter_client.call(SetParameters, "/vision_banana/set_parameters", request).results[0].successful
    )
    assert list(np.ravel(parameter_client.get_parameter_of_node(name))) == list(np.ravel(read))


def test_a_qos_override_that_is_none_is_named_when_the_node_is_configured():
    with (
        running_node(**{"qos_overrides./image.subscription.reliability": "best"}) as (node, context),
        new_client(context) as client,
    ):
        assert not client.transition(UP[0])
        assert "`best`" in node.failure and "Correct qos_overrides" in node.failure


def test_a_misspelt_parameter_is_refused_with_the_most_similar_name(parameter_client):
    result = parameter_client.set_parameters(max_agee=2.0)[0]
    assert not result.successful and "max_agee; is it 'max_age'?" in result.reason


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
    client.spin_until(
        lambda: node.streams[0].asking.prompts.expressions == (BALL,), "the expression to be asked"
    )
    assert client.set_parameters(expressions=["a cat"])[0].successful
    assert "was not told about" in client.wait_for_fault("The prompts were not changed")
    assert node.streams[0].asking.prompts.expressions == (BALL,)
    assert client.set_parameters(expressions=[""])[0].successful
    client.spin_until(lambda: "not changed" not in client.status()["message"], "the fault to go")


def test_every_parameter_is_described_and_every_number_has_a_range(running):
    node, _ = running
    for name, parameter in PARAMETERS.items():
        descriptor = node.describe_parameter(name)
        assert descriptor.description
        assert bool(descriptor.floating_point_range) == isinstance(parameter.default, float)


def test_a_second_node_of_the_same_name_and_a_very_long_name_are_told_in_a_sentence(running):
    node, client = running
    twin = rclpy.create_node("vision_banana", context=client.context)
    try:
        client.wait_for_fault("2 nodes are called /vision_banana")
    finally:
        twin.destroy_node()
    long_name = client.set_parameters(output_size="x" * 1_000_000)[0]
    assert not long_name.successful and len(long_name.reason) < 1000 and "output_size" in long_name.reason
