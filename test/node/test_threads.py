# SPDX-License-Identifier: Apache-2.0
"""Which thread does what, while two others ask the node for everything at once."""

import threading
from contextlib import ExitStack

from lifecycle_msgs.msg import Transition
from node_support import BALL, BOX, Camera, new_client, running_node
from patience import PATIENCE_S

from vision_banana_interfaces.srv import SetPrompts

ROUNDS = 12
CYCLE = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
)
OF_THE_GRAPH = (
    *("create_subscription", "destroy_subscription", "create_timer", "destroy_timer"),
    *("create_lifecycle_publisher", "destroy_lifecycle_publisher"),
)


def record_threads(node, monkeypatch) -> dict[str, set[int]]:
    """The threads that change the ROS graph from now on, by what they call."""
    seen: dict[str, set[int]] = {}

    def recording(name, call):
        def recorded(*args, **kwargs):
            seen.setdefault(name, set()).add(threading.get_ident())
            return call(*args, **kwargs)

        return recorded

    for name in OF_THE_GRAPH:
        monkeypatch.setattr(node, name, recording(name, getattr(node, name)))
    return seen


def test_the_ros_graph_belongs_to_the_executor_while_two_threads_ask_for_everything(monkeypatch):
    replies, escaped = [], []

    def prompt(client, stop):
        for i in range(10_000):
            if stop.is_set() and i > ROUNDS:
                return
            request = SetPrompts.Request(task="referring", prompts=[(BALL, BOX)[i % 2]])
            replies.append(client.call(SetPrompts, "/vision_banana/set_prompts", request).message)
            # What a generator has not read yet goes through the worker; so does the sensor that depth is
            # checked by.
            expressions = [[BALL, BOX], [BOX, BALL]][i % 2]
            client.set_parameters(expressions=expressions, scale_check=("scan", "cloud", "")[i % 3])

    with running_node() as (node, context), ExitStack() as clients:
        first, second = (clients.enter_context(new_client(context)) for _ in range(2))
        seen = record_threads(node, monkeypatch)
        executor = []
        node.executor.create_task(lambda: executor.append(threading.get_ident()))
        monkeypatch.setattr(threading, "excepthook", lambda args: escaped.append(args.exc_value))
        monkeypatch.setattr(node.get_logger(), "error", escaped.append)
        stop = threading.Event()
        other = threading.Thread(target=prompt, args=(second, stop))
        other.start()
        camera = Camera(first)
        for _ in range(ROUNDS):
            for transition in CYCLE:
                assert first.transition(transition)
                camera.show(10)
        stop.set()
        other.join(PATIENCE_S)
        assert not other.is_alive()
        for transition in CYCLE[:2]:
            assert first.transition(transition)
        assert first.set_parameters(expressions=[BOX], scale_check="")[0].successful
        first.spin_until(
            lambda: node.streams[0].asking.prompts.expressions == (BOX,), "the last prompts to be asked"
        )
        assert escaped == [] and node.failure == ""
        # Before the node is destroyed, by the thread of this test.
        assert {name: threads == set(executor) for name, threads in seen.items()} == dict.fromkeys(
            OF_THE_GRAPH, True
        )
    known = ("looks for 1 expressions", "not configured", "not activated", "The node was ")
    assert all(any(words in reply for words in known) for reply in replies), set(replies)
    assert any(known[0] in reply for reply in replies)


def test_the_sensor_of_a_change_that_the_worker_prepares_is_listened_to_by_the_executor(monkeypatch):
    with running_node() as (node, context), new_client(context) as client:
        for transition in CYCLE[:2]:
            assert client.transition(transition)
        seen = record_threads(node, monkeypatch)
        executor = []
        node.executor.create_task(lambda: executor.append(threading.get_ident()))
        go_on, prepare = threading.Event(), node.generator.prepare
        node.generator.prepare = lambda instruction: (go_on.wait(PATIENCE_S), prepare(instruction))
        results = client.set_parameters(expressions=[BALL], scale_check="scan")
        assert all(result.successful for result in results)
        go_on.set()
        client.spin_until(lambda: node.streams[0].asking.prompts.expressions == (BALL,), "the change")
        client.spin_until(lambda: seen.get("create_subscription"), "the subscription to ranges")
        assert seen["create_subscription"] == set(executor)
