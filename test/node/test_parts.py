# SPDX-License-Identifier: Apache-2.0
"""The node's parts that need no DDS: mailbox and worker, counts, faults, prompts, CameraInfo, images."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_support import SIZE, drawn, picture
from patience import PATIENCE_S
from sensor_msgs.msg import CompressedImage, Image

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.health import faults as faults_module
from vision_banana_ros.node.health.faults import Faults
from vision_banana_ros.node.pipeline.frame_statistics import DROPS, Counts
from vision_banana_ros.node.pipeline.mailbox import Mailbox
from vision_banana_ros.node.pipeline.worker import MAX_JOBS, Worker
from vision_banana_ros.node.prompts import Prompts, read_expressions
from vision_banana_ros.node.topics import fastdds
from vision_banana_ros.node.topics.image_input import read_image


def test_the_newest_item_has_the_slot_and_the_loser_is_returned():
    box = Mailbox(threading.Condition())
    assert box.take() is None
    assert box.put(1) is None and box.put(2) == 1
    assert box.take() == 2 and box.take() is None


@pytest.fixture
def worker():
    """A worker whose answers wait for `gate`; what it did is in `done`, what escaped in `errors`."""
    done, errors, gate = [], [], threading.Event()

    def answer(frame):
        gate.wait(PATIENCE_S)
        if frame == "bad":
            raise RuntimeError("bad frame")
        done.append(frame)

    worker = Worker([answer], errors.append)
    worker.done, worker.errors, worker.gate = done, errors, gate
    yield worker
    gate.set()
    assert worker.stop(PATIENCE_S)


def finish(worker):
    """Waits until all that was given to the worker is done."""
    worker.gate.set()
    done = threading.Event()
    worker.submit(done.set)
    assert done.wait(PATIENCE_S)


def test_frames_and_jobs_take_turns(worker):
    started, go = threading.Event(), threading.Event()
    worker.submit(lambda: (started.set(), go.wait(PATIENCE_S)))
    assert started.wait(PATIENCE_S)
    worker.gate.set()
    for number in range(3):
        worker.submit(lambda n=number: worker.done.append(f"job {n}"))
    worker.mailboxes[0].put("frame")
    go.set()
    finish(worker)
    # a job had just been done, so it was the frame's turn
    assert worker.done == ["frame", "job 0", "job 1", "job 2"]


def test_an_error_is_told_and_the_worker_goes_on(worker):
    worker.mailboxes[0].put("bad")
    finish(worker)
    worker.submit(lambda: 1 / 0)
    worker.mailboxes[0].put("good")
    finish(worker)
    finish(worker)
    assert [type(error) for error in worker.errors] == [RuntimeError, ZeroDivisionError]
    assert worker.done == ["good"]


def test_more_jobs_than_can_wait_are_refused(worker):
    started, go = threading.Event(), threading.Event()
    worker.submit(lambda: (started.set(), go.wait(PATIENCE_S)))
    assert started.wait(PATIENCE_S)
    for _ in range(MAX_JOBS):
        worker.submit(lambda: None)
    with pytest.raises(InputError, match="ask again"):
        worker.submit(lambda: None)
    go.set()


def test_a_worker_that_stops_leaves_the_waiting_frame_in_the_mailbox():
    began, go, done = threading.Event(), threading.Event(), []

    def answer(frame):
        began.set()
        go.wait(PATIENCE_S)
        done.append(frame)

    worker = Worker([answer], print)
    worker.mailboxes[0].put("first")
    assert began.wait(PATIENCE_S)
    worker.mailboxes[0].put("second")
    assert not worker.stop(0.0)  # still busy
    go.set()
    assert worker.stop(PATIENCE_S)
    assert done == ["first"] and worker.mailboxes[0].take() == "second"


@given(st.lists(st.sampled_from(["publish", *DROPS]), max_size=60), st.integers(0, 3))
def test_received_is_published_and_dropped_and_waiting(fates, waiting):
    counts = Counts()
    for _ in range(len(fates) + waiting):
        counts.receive(jumped_back=False)
    for fate in fates:
        counts.publish(0.1) if fate == "publish" else counts.drop(fate)
    report = counts.report()
    dropped = sum(int(value) for name, value in report.items() if name.startswith("dropped"))
    assert int(report["received"]) == int(report["published"]) + dropped + int(report["waiting"])
    assert int(report["waiting"]) == waiting
    for reason in DROPS:
        assert int(report[f"dropped: {reason}"]) == fates.count(reason)


def test_ages_and_jumps_are_reported():
    counts = Counts()
    for age in range(1, 101):
        counts.receive(jumped_back=age == 50)
        counts.publish(age / 100)
    report = counts.report()
    assert float(report["age p50 (s)"]) == pytest.approx(0.5, abs=0.02)
    assert float(report["age p99 (s)"]) == pytest.approx(0.99, abs=0.02)
    assert report["stamps that jumped back"] == "1" and float(report["rate out (Hz)"]) > 0


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(faults_module.time, "monotonic", lambda: now[0])
    return now


def test_a_fault_of_a_frame_is_shown_for_a_while_and_logged_now_and_then(clock):
    logged = []
    faults = Faults(logged.append)
    for number in range(100):
        faults.report("image", f"bad image {number}")
    assert faults.sentences() == ["bad image 99"] and logged == ["bad image 0"]
    clock[0] += faults_module.SHOWN_S + 1
    assert faults.sentences() == []
    clock[0] += faults_module.LOGGED_EVERY_S
    faults.report("image", "bad image again")
    assert logged[1:] == ["bad image again"]


def test_a_lasting_fault_stays_until_it_is_cleared_and_a_new_sentence_is_logged_at_once(clock):
    logged = []
    faults = Faults(logged.append)
    faults.report("qos", "depth does not fit", lasting=True)
    faults.report("qos", "reliability does not fit", lasting=True)
    clock[0] += 1000
    assert faults.sentences() == ["reliability does not fit"] and len(logged) == 2
    faults.clear("qos")
    assert faults.sentences() == []


def test_questions_follow_from_prompts():
    prompts = Prompts({"floor": (255, 0, 0)}, ("the ball", "the box"), "cup")
    assert [q.expression for q in prompts.questions("referring")] == ["the ball", "the box"]
    assert [q.color for q in prompts.questions("referring")] == prompts.expression_colors()
    assert prompts.questions("semantic")[0].legend == {"floor": (255, 0, 0)}
    assert prompts.questions("instances")[0].expression == "cup"
    assert Prompts({}).questions("instances") == Prompts({}).questions("referring") == []
    with pytest.raises(InputError, match="no task 'flow'"):
        prompts.questions("flow")
    assert read_expressions(["  the\n ball "]) == ("the ball",)


def test_images_of_all_kinds_of_message_are_read():
    plain = drawn(7)
    message = picture(7, 0)
    np.testing.assert_array_equal(read_image(message), plain)
    message.encoding, message.step, message.width = "mono16", 3 * SIZE[1], SIZE[1]
    assert read_image(message).shape == (*SIZE, 3)
    with pytest.raises(InputError, match="colour topic"):
        read_image(CompressedImage(format="32FC1; compressedDepth png", data=b"x"))
    with pytest.raises(InputError, match="neither JPEG nor PNG"):
        read_image(CompressedImage(format="jpeg"))
    with pytest.raises(InputError, match="more than the"):
        read_image(Image(height=100_000, width=100_000, encoding="rgb8", step=300_000))


@given(st.binary(max_size=300),
       st.sampled_from(["rgb8", "mono8", "bayer_rggb8", "yuv422", "mono16", "8UC3", ""]),
       st.integers(0, 9), st.integers(0, 9), st.integers(0, 40), st.booleans())  # fmt: skip
def test_no_image_message_raises_anything_but_a_sentence(data, encoding, height, width, step, big):
    message = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=big, data=data)
    try:
        image = read_image(message)
    except InputError as error:
        assert len(str(error)) > 20
    else:
        assert image.shape == (height, width, 3) and image.dtype == np.uint8


@pytest.mark.parametrize(
    ("rclpy", "name"),
    [
        ("3.3.16", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("7.1.6", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("9.1.2", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_fast_dds_gets_its_profiles_by_the_variable_that_its_version_reads(monkeypatch, rclpy, name):
    monkeypatch.setattr(fastdds, "version", lambda package: rclpy)
    monkeypatch.setattr(fastdds.os, "environ", {})
    fastdds.carry_large_images()
    assert list(os.environ) == [name] and Path(os.environ[name]).name == Path(fastdds.PROFILES).name


@pytest.mark.parametrize("variable", fastdds.VARIABLES)
def test_profiles_of_the_users_own_are_left_alone(monkeypatch, variable):
    monkeypatch.setattr(fastdds.os, "environ", {variable: "/mine.xml"})
    fastdds.carry_large_images()
    assert os.environ == {variable: "/mine.xml"}
