# SPDX-License-Identifier: Apache-2.0
"""~/segment with a language model before it, over DDS: what is asked of whom, and that a slow model blocks
nothing else."""

import itertools
import socket
import threading

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_support import BALL, SIZE, Camera, camera_info, mask_of, new_client, picture, pixels, running_node
from patience import PATIENCE_S
from reasoning_server import chat, replying, server

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.reasoning.openai import KEY_VARIABLE

QUERY, DEPTH = "something round to play with", "depth/image_rect"


class Model:
    """The stand-in that the node was started with: `reply` is what it does now, `asked` what came since it
    was changed."""

    def __init__(self):
        self.reply, self.requests, self.before = replying(b""), [], 0

    def does(self, reply):
        self.reply, self.before = reply, len(self.requests)

    @property
    def asked(self):
        return [body["messages"][1]["content"][0]["text"] for _, _, body in self.requests[self.before :]]


@pytest.fixture(scope="module")
def model():
    return Model()


@pytest.fixture(scope="module")
def running(model):
    with server(lambda handler: model.reply(handler)) as (url, requests):
        model.requests = requests
        with (
            running_node(reasoning_url=url, reasoning_model="m", reasoning_timeout=PATIENCE_S) as (
                node,
                context,
            ),
            new_client(context, [DEPTH]) as client,
        ):
            assert client.transition(Transition.TRANSITION_CONFIGURE)
            assert client.transition(Transition.TRANSITION_ACTIVATE)
            yield node, client


@pytest.fixture
def node(running):
    return running[0]


@pytest.fixture
def client(running):
    yield running[1]
    running[1].set_parameters(service_timeout=PATIENCE_S, reasoning_timeout=PATIENCE_S)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def segment(client, query, later=False):
    image = picture(100, 5, frame_id="camera")
    return client.call(
        Segment, "/vision_banana/segment", Segment.Request(expression=query, image=image), later
    )


def says(expression, present):
    """What the stand-in says to the two things that it is asked."""
    said = itertools.cycle([{"expression": expression}, {"present": present}])
    return lambda handler: replying(chat(next(said)))(handler)


def test_a_query_is_taken_for_an_expression_that_the_generator_finds(client, model):
    model.does(says(BALL, True))
    reply = segment(client, QUERY)
    assert reply.success, reply.message
    assert reply.message.startswith(f"{QUERY!r} is taken for {BALL!r}. {BALL!r} is found on")
    np.testing.assert_array_equal(pixels(reply.mask), mask_of(BALL, SIZE) * 255)
    assert model.asked == [QUERY, BALL]


def test_what_the_model_does_not_see_is_not_painted(node, client, model):
    model.does(says(BALL, False))
    before = list(node.generator.answered)
    reply = segment(client, QUERY)
    assert reply.success and "says the reasoning model" in reply.message
    assert (
        not pixels(reply.mask).any()
        and reply.mask.header.frame_id == "camera"
        and pixels(reply.mask).shape == SIZE
    )
    assert reply.confidence == 0 and reply.roi.width == 0 and np.isnan(reply.centroid.point.z)
    assert node.generator.answered == before


@pytest.mark.parametrize(
    "reply, words",
    [
        (replying(b"", 500), "answered 500"),
        (replying(chat("a ball, I think")), "did not answer with JSON"),
        (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), "breaks off"),
    ],
)
def test_a_model_that_fails_is_a_reply_that_says_so(client, model, reply, words):
    model.does(reply)
    answer = segment(client, QUERY)
    assert not answer.success and words in answer.message


def test_a_slow_model_delays_neither_frames_nor_other_requests_and_is_left_in_time(client, model):
    over = threading.Event()
    model.does(lambda handler: over.wait(PATIENCE_S))
    camera = Camera(client)
    camera.connect()
    camera.infos.publish(camera_info())
    slow = segment(client, QUERY, later=True)
    client.spin_until(lambda: model.asked, "the model to be asked")
    answered = client.received[DEPTH]
    for level in range(10, 15):
        answered.clear()
        camera.show(level)
        client.spin_until(lambda: answered, "an answer beside the request")
    assert client.state() == "active" and not slow.done()
    assert client.set_parameters(service_timeout=1.0)[0].successful
    left = segment(client, QUERY)
    assert (
        not left.success
        and "No answer within 1 s" in left.message
        and "reasoning model is slow" in left.message
    )
    assert not slow.done()
    over.set()
    assert not client.reply(slow).success


def test_nobody_can_send_frames_and_key_elsewhere_while_the_node_runs(client):
    for change in (
        {"reasoning_url": "https://example.org/v1"},
        {"reasoning_model": "other"},
        {"reasoning_allow_http": True},
    ):
        (result,) = client.set_parameters(**change)
        assert not result.successful and "read-only" in result.reason


@pytest.mark.parametrize(
    "url, words", [("http://192.168.1.5:8080/v1", "everybody on the way"), ("localhost", "no URL")]
)
def test_a_url_that_cannot_be_used_keeps_the_node_from_being_configured(url, words):
    with (
        running_node(reasoning_url=url, reasoning_model="m", reasoning_timeout=PATIENCE_S) as (node, context),
        new_client(context) as client,
    ):
        assert not client.transition(Transition.TRANSITION_CONFIGURE)
        assert words in node.failure
