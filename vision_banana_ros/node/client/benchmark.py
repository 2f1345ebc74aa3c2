# SPDX-License-Identifier: Apache-2.0
"""Benchmark of a running node over ROS, with the method of NVIDIA's ros2_benchmark.

The same frames are replayed at a fixed rate. The highest rate with less than 5 % missed frames is searched
for; then latency, jitter, missed frames, CPU time and memory are measured at that rate and at fixed ones.
"""

import os
import struct
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.client.camera_publisher import CameraPublisher
from vision_banana_ros.node.topics.messages import OUTPUTS
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.perception.geometry import Intrinsics

MOST_DROPS = 0.05
LOWEST_HZ, HIGHEST_HZ = 1.0, 120.0
SEARCH_STEPS = 6
"""Halvings of the interval on a logarithmic scale: 120 Hz and 1 Hz end up 8 % apart."""
LAST_S = 2.0
"""How long outputs are awaited after the last frame."""


class NodeBenchmark:
    """Plays frames to a running node and hears its outputs. Use it in a `with`.

    frames: (H, W, 3) uint8 RGB each, played over and over. topics: a frame counts as answered when all of
    these have come. process: the node's, for its CPU time and memory. namespace: of the node.
    """

    def __init__(
        self,
        frames: Sequence[np.ndarray],
        intrinsics: Intrinsics,
        topics: Sequence[str],
        process: Popen[bytes],
        namespace: str = "/",
    ):
        unknown = [topic for topic in topics if topic not in OUTPUTS]
        if unknown:
            raise InputError(f"'{unknown[0]}' is no output of the node; those are {', '.join(OUTPUTS)}.")
        self._frames, self._calibration = frames, Calibration.of_pinhole(intrinsics)
        self._topics, self._pid = tuple(topics), process.pid
        self._process = process
        self._camera = CameraPublisher("benchmark_optical_frame", ["--ros-args", "-r", f"__ns:={namespace}"])
        self._sent: dict[int, float] = {}
        self._heard: dict[int, set[str]] = {}
        self._answered: dict[int, float] = {}
        node = self._camera.node
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        for topic in topics:
            # Raw, so that what is measured is the node and not this process, which would have to read every
            # message.
            node.create_subscription(OUTPUTS[topic], topic, self._listener(topic), qos, raw=True)
        self._executor = SingleThreadedExecutor(context=self._camera.context)
        self._executor.add_node(node)

    def __enter__(self) -> "NodeBenchmark":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._camera.__exit__()

    def wait_until_answering(self, timeout_s: float) -> None:
        """Shows frames until one is answered. InputError where none is within the time."""
        end = time.monotonic() + timeout_s
        for i in count():
            if self._answered:
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise InputError(f"The node answered no frame within {timeout_s:g} s; its log says why.")
            self._show(i)
            self._spin(0.2)

    def measure(self, rate_hz: float, seconds: float) -> dict[str, Any]:
        """Plays at a rate for so long.

        Returns:
            Frames sent and answered, the missed part, the rate of answers, latency from stamp to the last
            output (ms; p50, p99, highest), jitter (ms; standard deviation of the time between answers), the
            node's CPU time (percent of a core) and memory (MiB).
        """
        self._spin(0.2)
        self._sent, self._heard, self._answered = {}, {}, {}
        cpu_s, started = _cpu_s(self._pid), time.monotonic()
        frames = max(2, round(rate_hz * seconds))
        for i in range(frames):
            self._spin(started + i / rate_hz - time.monotonic())
            self._show(i)
        played_s = time.monotonic() - started
        end = time.monotonic() + LAST_S
        while len(self._answered) < frames and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)
        spent_s = time.monotonic() - started
        cpu_s = _cpu_s(self._pid) - cpu_s
        arrivals = np.sort(list(self._answered.values()))
        latencies = 1e3 * np.array([at - self._sent[stamp] for stamp, at in self._answered.items()])
        figures: dict[str, Any] = {
            "rate_hz": round(frames / played_s, 2),
            "wanted_hz": round(rate_hz, 2),
            "sent": frames,
            "answered": len(arrivals),
            "missed": round(1 - len(arrivals) / frames, 4),
            "cpu_percent": round(100 * cpu_s / spent_s, 1),
            "memory_mib": _memory_mib(self._pid),
        }
        if len(arrivals) > 1:
            p50, p99 = np.percentile(latencies, (50, 99))
            figures["latency_ms"] = {
                "p50": round(p50, 1),
                "p99": round(p99, 1),
                "highest": round(float(latencies.max()), 1),
            }
            figures["jitter_ms"] = round(1e3 * float(np.diff(arrivals).std()), 1)
        return figures

    def highest_rate(self, seconds: float, say: Callable[[str], object]) -> float:
        """The highest rate (Hz) with fewer than `MOST_DROPS` missed frames.

        0 where even the lowest has more.
        """
        low, high = 0.0, HIGHEST_HZ
        rate = 10.0
        for _ in range(SEARCH_STEPS):
            missed = self.measure(rate, seconds)["missed"]
            say(f"{rate:.1f} Hz: {100 * missed:.0f} % missed")
            if missed < MOST_DROPS:
                low = rate
            else:
                high = rate
            rate = float(np.sqrt(max(low, LOWEST_HZ) * high))
        return low

    def _show(self, i: int) -> None:
        stamp = self._camera.now_ns()
        self._sent[stamp] = time.monotonic()
        self._camera.publish(self._frames[i % len(self._frames)], self._calibration, stamp)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _listener(self, topic: str) -> Callable[[bytes], None]:
        def listen(message: bytes) -> None:
            stamp = stamp_of(message)
            if stamp not in self._sent:
                return
            heard = self._heard.setdefault(stamp, set())
            heard.add(topic)
            if len(heard) == len(self._topics):
                self._answered[stamp] = time.monotonic()

        return listen


def stamp_of(message: bytes) -> int:
    """The stamp in nanoseconds of a serialized message that begins with a Header (CDR)."""
    seconds, nanoseconds = struct.unpack_from("<iI" if message[1] & 1 else ">iI", message, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
