# SPDX-License-Identifier: Apache-2.0
"""`vision-banana bench --node` against the node of the tests, over DDS."""

import os
import subprocess
import sys

import pytest
from node_support import ROOT, any_domain, drawn
from patience import PATIENCE_S
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.client.benchmark import NodeBenchmark, stamp_of
from vision_banana_ros.perception import Intrinsics

FRAMES = [drawn(40 * i, stamp_ns=i + 1) for i in range(1, 4)]
CAMERA = Intrinsics.from_fov(FRAMES[0].shape[1], FRAMES[0].shape[0], 60)
TOPICS = ("depth/image_rect", "segmentation/mask")


def test_the_stamp_is_read_without_reading_the_message():
    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = 12, 345
    assert stamp_of(serialize_message(message)) == 12_000_000_345


def test_an_output_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="'depht' is no output"):
        NodeBenchmark(FRAMES, CAMERA, ["depht"], None)


@pytest.fixture
def node(monkeypatch):

    monkeypatch.setenv("ROS_DOMAIN_ID", str(any_domain()))
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = [
        sys.executable,
        str(ROOT / "test" / "support" / "node_support.py"),
        "--ros-args",
        "-p",
        "autostart:=true",
    ]
    child = subprocess.Popen(program, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT)
    yield child
    child.kill()
    child.wait()


def test_frames_are_counted_as_answered_or_missed_and_the_process_is_watched(node):
    with NodeBenchmark(FRAMES, CAMERA, TOPICS, node) as benchmark:
        benchmark.wait_until_answering(PATIENCE_S)
        figures = benchmark.measure(5.0, 2.0)
        assert figures["sent"] == 10 and 1 <= figures["answered"] <= 10
        assert figures["missed"] == pytest.approx(1 - figures["answered"] / 10)
        assert figures["memory_mib"] > 20 and figures["cpu_percent"] >= 0
        if figures["answered"] > 1:
            assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["highest"]


def test_a_node_that_is_gone_ends_the_waiting_with_a_sentence(node):
    node.kill()
    node.wait()
    with (
        NodeBenchmark(FRAMES, CAMERA, TOPICS, node) as benchmark,
        pytest.raises(InputError, match="answered no frame"),
    ):
        benchmark.wait_until_answering(10)


def test_the_highest_rate_is_where_few_frames_are_missed(monkeypatch):
    """With measurements that miss nothing up to 23 Hz, and half of the frames above."""
    benchmark = object.__new__(NodeBenchmark)
    monkeypatch.setattr(
        benchmark, "measure", lambda rate, seconds: {"missed": 0.0 if rate <= 23 else 0.5}, raising=False
    )
    said: list[str] = []
    assert 23 / 1.3 < benchmark.highest_rate(1.0, said.append) <= 23 and len(said) == 6
    monkeypatch.setattr(benchmark, "measure", lambda rate, seconds: {"missed": 1.0})
    assert benchmark.highest_rate(1.0, said.append) == 0
