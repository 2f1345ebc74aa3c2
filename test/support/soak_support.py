# SPDX-License-Identifier: Apache-2.0
"""What the soak tests share: the node's process with its memory and processor time, and the books that it
must balance."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from node_support import Camera, Client, any_domain, camera_info, new_client, stamp_of
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.messages import TYPES

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "test" / "soak"
START_S = 120.0
OUTPUTS = ("depth/image_rect", "segmentation/mask", "points")
EVERYTHING = QoSProfile(history=HistoryPolicy.KEEP_ALL, depth=10, reliability=ReliabilityPolicy.RELIABLE)
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


FORGETFUL = (str(HERE / "soak_node.py"),)
INSTALLED = ("-m", "vision_banana_ros.node.main")


class NodeProcess:
    """The node, watched from outside. program: FORGETFUL, with the tests' generator, or INSTALLED, with
    that of the package."""

    def __init__(self, domain: int, *parameters: str, program: Sequence[str] = FORGETFUL, **environment: str):
        arguments = [part for parameter in parameters for part in ("-p", parameter)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.log = open(f"/tmp/soak_node_{os.getpid()}_{domain}.log", "w+")  # noqa: SIM115
        self.child = subprocess.Popen(
            [sys.executable, *program, "--ros-args", *arguments],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": path, **environment},
            cwd=ROOT,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    @property
    def alive(self) -> bool:
        return self.child.poll() is None

    def memory_mib(self) -> float:
        """Resident memory that is the process's own: shared pages, such as those of the middleware's
        segments, apart."""
        resident, shared = map(int, Path(f"/proc/{self.child.pid}/statm").read_text().split()[1:3])
        return (resident - shared) * PAGE / 2**20

    def cpu_s(self) -> float:
        """Processor time so far."""
        try:
            fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICK

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        self.log.close()
        Path(self.log.name).unlink(missing_ok=True)


class Listener:
    """Counts every output by its stamp, on a thread and in a context of its own."""

    def __init__(self, domain: int):
        self.stamps: dict[str, Counter[int]] = {topic: Counter() for topic in OUTPUTS}
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain, args=[])
        self._node = rclpy.create_node("listener", context=self._context)
        for topic in OUTPUTS:
            self._node.create_subscription(TYPES[topic], topic, self._counting(topic), EVERYTHING)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _counting(self, topic: str) -> Callable[[Any], None]:
        counter = self.stamps[topic]

        def count(message: Any) -> None:
            counter[stamp_of(message)] += 1

        return count

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def count(self, topic: str = OUTPUTS[0]) -> int:
        return len(self.stamps[topic])

    def doubled(self) -> int:
        """How many outputs came more than once."""
        return sum(times - 1 for counter in self.stamps.values() for times in list(counter.values()))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@contextmanager
def soaked_node(
    *parameters: str, program: Sequence[str] = FORGETFUL
) -> Iterator[tuple[NodeProcess, Client, Camera, Listener]]:
    """An active node that somebody listens to, a client and a camera that is connected."""
    carry_large_images()
    domain, context = any_domain(), Context()
    node = NodeProcess(domain, "autostart:=true", "max_age:=0.0", *parameters, program=program)
    rclpy.init(context=context, domain_id=domain, args=[])
    listener = Listener(domain)
    try:
        with new_client(context) as client:
            client.spin_until(
                lambda: not node.alive or client.statuses and client.status("generator")["state"] == "active",
                "an active node",
                START_S,
            )
            assert node.alive, node.said()
            camera = Camera(client)
            camera.connect()
            client.spin_until(
                lambda: show_with_info(camera) and all(listener.count(topic) for topic in OUTPUTS),
                "a first answer on all outputs",
                START_S,
            )
            yield node, client, camera, listener
    finally:
        listener.close()
        rclpy.try_shutdown(context=context)
        node.close()


def show_with_info(camera: Camera) -> int:
    """A frame after its CameraInfo, which the node may not have been connected in time for before. Returns
    its stamp."""
    camera.infos.publish(camera_info())
    return camera.show(60)


def spin(client: Client, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        client.own_executor.spin_once(timeout_sec=min(left, 0.02))


def settle(client: Client) -> dict[str, str]:
    """The stream's figures once nothing waits any more."""
    client.spin_until(lambda: client.status()["waiting"] == "0", "the last frame to be done", 60)
    return client.status()


def dropped(status: dict[str, str]) -> int:
    return sum(int(value) for key, value in status.items() if key.startswith("dropped"))


def balanced(status: dict[str, str]) -> bool:
    """Whether every frame that came was published or dropped for a reason."""
    return int(status["received"]) == int(status["published"]) + dropped(status) + int(status["waiting"])
