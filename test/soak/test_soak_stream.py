# SPDX-License-Identifier: Apache-2.0
"""A 30 Hz stream beside 100 service calls a second, an idle node, and cameras that are killed."""

import math
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lifecycle_msgs.srv import GetState
from node_support import BALL, MANY_CALLS, NOTHING
from soak_support import FORGETFUL, INSTALLED, OUTPUTS, balanced, dropped, settle, soaked_node, spin

from vision_banana_interfaces.srv import Generate, Segment, SetPrompts

RATE_HZ, CALLS_HZ = 30.0, 100.0
WARM_UP_S, WARM_UP_PART, WARM_UP_ANSWERS = 20.0, 0.1, 300
KILLS = 50


def requests():
    """Endless requests of all kinds, most of them as they should be, some of them not."""
    while True:
        yield Segment, "segment", Segment.Request(expression=BALL)
        yield Segment, "segment", Segment.Request(expression=NOTHING)
        yield Generate, "generate", Generate.Request(instruction="Paint the picture as it is.")
        yield Segment, "segment", Segment.Request(expression="x" * 100_000)
        yield SetPrompts, "set_prompts", SetPrompts.Request(task="referring", prompts=[BALL])
        yield GetState, "get_state", GetState.Request()
        yield SetPrompts, "set_prompts", SetPrompts.Request(task="telepathy", prompts=["a"] * 50)


@pytest.mark.parametrize("program", [FORGETFUL, INSTALLED], ids=["test generator", "small"])
def test_stream_and_services(note, seconds, pace, program):
    rate_hz, calls_hz = pace * RATE_HZ, pace * CALLS_HZ
    warm_up_s = max(WARM_UP_S, WARM_UP_PART * seconds)
    with soaked_node("min_readable:=0.0", program=program) as (node, client, camera, listener):  # grey frames
        clients = {
            name: client.create_client(kind, f"/vision_banana/{name}", qos_profile=MANY_CALLS)
            for kind, name in (
                (Segment, "segment"),
                (Generate, "generate"),
                (SetPrompts, "set_prompts"),
                (GetState, "get_state"),
            )
        }
        client.spin_until(lambda: all(c.service_is_ready() for c in clients.values()), "the services")
        started, asking = time.monotonic(), requests()
        frames = calls = replies = failures = 0
        waiting, took, memory = [], [], []
        warm_s = math.inf  # until all kinds of work were done so often that no buffer grows any more
        while (now := time.monotonic() - started) < warm_s + seconds:
            if warm_s == math.inf and now > warm_up_s and listener.count() > WARM_UP_ANSWERS:
                warm_s = now
            if frames < now * rate_hz:
                camera.show(10 + frames % 200)
                frames += 1
            if calls < now * calls_hz and len(waiting) < 500:
                _, name, request = next(asking)
                waiting.append((time.monotonic(), clients[name].call_async(request)))
                calls += 1
            client.own_executor.spin_once(timeout_sec=0.002)
            for begun, future in [pair for pair in waiting if pair[1].done()]:
                waiting.remove((begun, future))
                took.append(time.monotonic() - begun)
                replies += 1
                reply = future.result()
                failures += reply is None or (hasattr(reply, "message") and not reply.message)
            if now - warm_s > len(memory) * seconds / 120:
                memory.append(node.memory_mib())
            del client.statuses[:-2]
            assert node.alive, node.said()[-4000:]
        client.spin_until(lambda: all(future.done() for _, future in waiting), "the last replies", 60)
        status = settle(client)
        client.spin_until(
            lambda: listener.count() >= int(status["published"]) or not spin(client, 2), "the last outputs"
        )
        elapsed = time.monotonic() - started
        # The means of the first and last quarters: single samples depend on what is in flight.
        quarter = max(1, len(memory) // 4)
        first, last = statistics.mean(memory[:quarter]), statistics.mean(memory[-quarter:])
        growth = last / first - 1
        lost = {topic: int(status["published"]) - listener.count(topic) for topic in OUTPUTS}
        note("frames sent a second", round(frames / elapsed, 1), f"{rate_hz:g}")
        note("service calls a second", round(calls / elapsed, 1), f"{calls_hz:g}")
        note("service replies missing or without a sentence", calls - replies - len(waiting) + failures, "0")
        note(
            "service reply p50 / p99 (ms)",
            f"{1e3 * statistics.median(took):.0f} / {1e3 * statistics.quantiles(took, n=100)[98]:.0f}",
        )
        note("frames received", int(status["received"]))
        note("frames published", int(status["published"]))
        note("frames dropped, with a reason", dropped(status))
        note("outputs lost on the way", sum(lost.values()), "0")
        note("outputs doubled", listener.doubled(), "0")
        note("memory after warm-up (MiB)", round(first, 1))
        note("memory growth", f"{growth:.2%} in {seconds / 60:.1f} min", "1 %")
        note("processor time of the node", f"{node.cpu_s() / elapsed:.0%} of a core")
        assert failures == 0 and calls == replies + len(waiting)
        assert balanced(status)
        assert not any(lost.values()) and listener.doubled() == 0
        assert growth <= 0.01


def test_idle_node(note):
    with soaked_node() as (node, client, _camera, _listener):
        settle(client)
        spin(client, 3)
        before, started = node.cpu_s(), time.monotonic()
        spin(client, 20)
        share = (node.cpu_s() - before) / (time.monotonic() - started)
        note("processor time of an idle node", f"{share:.2%} of a core", "2 %")
        assert share <= 0.02


def test_cameras_killed_and_restarted(note):
    with soaked_node() as (node, client, camera, listener):
        client.destroy_publisher(camera.images)
        client.destroy_publisher(camera.infos)
        domain = str(client.context.get_domain_id())
        path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")])
        cameras = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("soak_cameras.py"))],
            env={**os.environ, "ROS_DOMAIN_ID": domain, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        took = []
        try:
            for kill in range(KILLS):
                seen = listener.count()
                cameras.stdin.write("start\n")
                cameras.stdin.flush()
                camera_id = int(cameras.stdout.readline())
                started = time.monotonic()
                try:
                    client.spin_until(lambda n=seen: listener.count() > n + 2, f"frames of camera {kill}", 60)
                finally:
                    os.kill(camera_id, signal.SIGKILL)
                took.append(time.monotonic() - started)
                assert node.alive, node.said()[-4000:]
        finally:
            cameras.stdin.close()
            cameras.wait(30)
        status = settle(client)
        note("cameras killed", len(took), KILLS)
        note("start of a camera to its third answer, worst (s)", round(max(took), 2))
        note("outputs doubled", listener.doubled(), "0")
        assert balanced(status) and listener.doubled() == 0
