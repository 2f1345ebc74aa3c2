# SPDX-License-Identifier: Apache-2.0
"""Words that an imported editor does not know yet, over DDS: refused with the command, or encoded in
another process and used."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import stand_in_editor
from lifecycle_msgs.msg import Transition
from node_support import BALL, BOX, Camera, camera_info, mask_of, new_client, picture, pixels, running_node
from oracle import Truth
from patience import PATIENCE_S
from sensor_msgs.msg import Image
from stand_in_editor import FAILS, SIZE, SLOW, encode, loader, make_bundle

from vision_banana_interfaces.srv import Generate, Segment, SetPrompts
from vision_banana_ros.cli.prompts import own_instructions
from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones import prompt_cache
from vision_banana_ros.generators.backbones.prompt_cache import Encoding, cache_of, command_for
from vision_banana_ros.node.services import prompt_encoder
from vision_banana_ros.node.topics.messages import RELATIVE

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
NEITHER = "a purple elephant"


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Knows what the node asks by default, and has a text encoder: the stand-in's, which takes the place
    of the real command's."""
    made = make_bundle(tmp_path / "editor", "open_vision_banana")
    encode(made, own_instructions(made))
    (made.path / "encoder").mkdir()
    monkeypatch.setattr(prompt_cache, "COMMAND", (sys.executable, str(Path(stand_in_editor.__file__))))
    return made


@pytest.fixture
def running(bundle):
    truth = Truth(depth_m=np.full(SIZE, 3.0), masks={name: mask_of(name, SIZE) for name in (BALL, BOX)})
    given = {"bundle": str(bundle.path), "encode_prompts": True}
    with running_node(loader(lambda image: truth), **given) as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition), node.failure
        yield node, client


def segment(client, expression, later=False):
    image = picture(100, 5)
    return client.call(
        Segment, "/vision_banana/segment", Segment.Request(expression=expression, image=image), later
    )


def set_prompts(client, *expressions):
    request = SetPrompts.Request(task="referring", prompts=list(expressions))
    return client.call(SetPrompts, "/vision_banana/set_prompts", request)


def known(bundle):
    return len(cache_of(bundle).instructions())


def test_unknown_words_are_refused_with_the_command_that_makes_them_known(running, bundle):
    node, client = running
    assert client.set_parameters(encode_prompts=False)[0].successful
    before = known(bundle)
    reply = segment(client, BALL)
    assert not reply.success and "Set encode_prompts to true, or run: " in reply.message
    assert f'vision-banana prompts encode {bundle.path} "Segment {BALL} in this image' in reply.message
    reply = set_prompts(client, BALL, BOX)
    assert (
        not reply.success and f'"Segment {BALL} in' in reply.message and f'"Segment {BOX} in' in reply.message
    )
    assert client.get_parameter_of_node("expressions") == [""] and known(bundle) == before
    # The command that it names does it, beside the running node.
    asked = command_for(bundle.path).split() + [instruction_of(node, BALL)]
    subprocess.run(
        [*prompt_cache.COMMAND, str(bundle.path), "--", *asked[4:]], check=True, timeout=PATIENCE_S
    )
    assert segment(client, BALL).success


def instruction_of(node, expression):
    from vision_banana_ros.node.services.handlers import look_for

    return node.generator.asked(look_for(expression)).instruction


def test_unknown_words_are_encoded_and_used(running, bundle):
    _, client = running
    before = known(bundle)
    reply = segment(client, BALL)
    assert reply.success, reply.message
    np.testing.assert_array_equal(pixels(reply.mask), mask_of(BALL, SIZE) * 255)
    assert known(bundle) == before + 1
    reply = set_prompts(client, BALL, BOX)
    assert reply.success and list(reply.ids) == [1, 2], reply.message
    camera = Camera(client)
    camera.connect()
    client.listen("referring/mask")
    client.spin_until(
        lambda: camera.show(100) and client.received["referring/mask"], "a mask of the live stream"
    )
    expected = mask_of(BALL, SIZE) + 2 * mask_of(BOX, SIZE)
    np.testing.assert_array_equal(pixels(client.received["referring/mask"][-1]), expected)
    reply = client.call(
        Generate, "/vision_banana/generate", Generate.Request(instruction="Paint.", image=picture(100, 5))
    )
    assert reply.success, reply.message


def test_frames_go_on_while_words_are_encoded_and_the_node_is_left_in_time(running, bundle):
    node, client = running
    client.listen(RELATIVE, Image)
    camera = Camera(client)
    camera.connect()
    camera.infos.publish(camera_info())
    client.spin_until(lambda: RELATIVE in node.streams[0].outputs.watched(), "the subscriber in the node")
    slow = segment(client, SLOW, later=True)
    encoding = client.spin_until(lambda: node.services_offered.encoder.encoding, "the process")
    waits = segment(client, BOX, later=True)  # for the other: one at a time
    for level in range(100, 105):
        before = len(client.received[RELATIVE])
        camera.show(level)
        client.spin_until(
            lambda n=before: len(client.received[RELATIVE]) > n, "an answer beside the encoding"
        )
    pid = encoding.process.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) >= max(10, os.getpriority(os.PRIO_PROCESS, 0))
    assert not slow.done() and not waits.done() and encoding.running
    assert client.transition(Transition.TRANSITION_DEACTIVATE)
    for future in (slow, waits):
        reply = client.reply(future)
        assert not reply.success and "deactivated before the request was answered" in reply.message
    assert not encoding.running
    assert client.transition(Transition.TRANSITION_ACTIVATE)
    assert segment(client, BOX).success


def test_what_fails_is_told_and_the_next_is_encoded(running, bundle):
    _, client = running
    reply = segment(client, FAILS)
    assert not reply.success and reply.message == (
        "The instruction was not encoded: The text encoder has no memory left."
    )
    assert segment(client, BALL).success
    shutil.rmtree(bundle.path / "encoder")
    reply = segment(client, NEITHER)
    assert (
        not reply.success
        and "no text encoder here" in reply.message
        and ("vision-banana prompts encode") in reply.message
    )
    assert segment(client, BALL).success  # known by now


def test_services_cannot_fill_the_disk(running, bundle, monkeypatch):
    _, client = running
    before = known(bundle)
    monkeypatch.setattr(prompt_encoder, "MOST", before + 1)
    assert not set_prompts(client, BALL, BOX).success
    assert segment(client, BALL).success
    reply = segment(client, BOX)
    assert (
        not reply.success
        and f"would hold more than {before + 1} instructions" in reply.message
        and known(bundle) == before + 1
    )


def test_encoding_that_takes_too_long_is_ended(running, monkeypatch):
    node, client = running
    monkeypatch.setattr(prompt_encoder, "LONGEST_S", 1.0)
    reply = segment(client, SLOW)
    assert not reply.success and (
        "took longer than 1 s and was ended" in reply.message or "Within 1 s" in reply.message
    )
    monkeypatch.setattr(prompt_encoder, "LONGEST_S", 600.0)
    assert segment(client, BALL).success


def test_the_process_ends_with_the_node(bundle):
    load, given = (
        loader(lambda image: Truth(depth_m=np.ones(SIZE))),
        {"bundle": str(bundle.path), "encode_prompts": True},
    )
    with running_node(load, **given) as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition), node.failure
        segment(client, SLOW, later=True)
        encoding = client.spin_until(lambda: node.services_offered.encoder.encoding, "the process")
    assert not encoding.running


def test_the_real_command_says_what_it_lacks(bundle, monkeypatch):
    """Whatever that is here: torch, transformers, or the text encoder's files."""
    monkeypatch.undo()
    with pytest.raises(InputError, match="The instruction was not encoded: "):
        Encoding(bundle.path, "anything", device="cpu").wait(PATIENCE_S)


def test_prompts_may_be_encoded_anew_while_they_are_read(bundle):
    cache, other, texts = cache_of(bundle), cache_of(bundle), [f"thing {i}" for i in range(4)]
    encode(bundle, texts)
    over, failed = threading.Event(), []

    def write():
        value = 0.0
        while not over.is_set():
            value += 1
            for text in texts:
                other.add(text, {"text": np.full(stand_in_editor.LETTERS, value, np.float32)})

    writer = threading.Thread(target=write)
    writer.start()
    end = time.monotonic() + 2
    try:
        while time.monotonic() < end:
            for text in texts:
                if cache.find(text) is None:
                    failed.append(text)
    finally:
        over.set()
        writer.join()
    assert not failed
    assert len(list((bundle.path / "prompts").iterdir())) == known(bundle)  # nothing is left over


@pytest.mark.parametrize("text", ['the "best" $5 mug', "a `b` \\ c", "plain"])
def test_the_command_can_be_typed_into_a_shell(text):
    command = command_for(Path("/bundles/klein"), text, "another").replace(
        "vision-banana", "printf '%s\\n'", 1
    )
    said = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said == ["prompts", "encode", "/bundles/klein", text, "another"]


def test_a_real_text_encoder_makes_words_known(tmp_path):
    for package in ("torch", "diffusers", "transformers", "tokenizers"):
        pytest.importorskip(package)
    import tiny_editors as tiny

    from vision_banana_ros.generators.backbones.importing import Options, import_model
    from vision_banana_ros.generators.backbones.prompt_cache import encode_here
    from vision_banana_ros.node.node import load

    tiny.flux2_klein(tmp_path / "klein")
    options = Options("open_vision_banana", size=tiny.SIZE, steps=1)
    made = import_model(tmp_path / "klein", tmp_path / "bundle", options)
    encode_here(made, own_instructions(made), "cpu")
    node_parameters = {"bundle": str(made.path), "encode_prompts": True, "min_readable": 0.0}
    with running_node(load, **node_parameters) as (node, context), new_client(context) as client:
        for transition in UP:
            assert client.transition(transition), node.failure
        request = Segment.Request(expression=BALL, image=picture(100, 5, size=tiny.SIZE))
        future = client.call(Segment, "/vision_banana/segment", request, later=True)
        reply = client.spin_until(lambda: future.done() and future.result(), "the reply")
        assert reply.success, reply.message
        assert instruction_of(node, BALL) in cache_of(made).instructions()
