# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM at every moment of the node's life, with the generator of the package: it ends within
two seconds, in order."""

import random
import signal
import time
from pathlib import Path

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_support import Camera, any_domain, camera_info, new_client
from rclpy.context import Context
from soak_support import INSTALLED, START_S, NodeProcess, spin

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.node.topics.fastdds import carry_large_images

LEAVE_S = 2.0
GONE_S = 5.0
"""A node that has left in order is out of the ROS graph after so long; one that has not, after 20 s."""
LARGE = (480, 640)


class Moment:
    """A node that has just been started, and what it takes to bring it to a moment of its life."""

    def __init__(self, node, client, rng):
        self.node, self.client, self.rng = node, client, rng

    def importing(self):
        status = Path(f"/proc/{self.node.child.pid}/status")
        self.until(
            lambda: int(status.read_text().split("SigCgt:")[1].split()[0], 16) >> (signal.SIGTERM - 1) & 1,
            "handlers",
        )
        time.sleep(self.rng.uniform(0.0, 1.0))

    def loading(self):
        self.until(lambda: "Loading the generator" in self.node.said(), "the loading")
        time.sleep(self.rng.uniform(0.0, 1.5))

    def compiling(self):
        self.until(lambda: "Running on" in self.node.said(), "the loading")
        time.sleep(self.rng.uniform(1.0, 8.0))
        assert "is ready" not in self.node.said()

    def idle(self):
        self.until(
            lambda: "is ready" in self.node.said() and self.client.status("generator")["state"] == "active",
            "an active node",
        )

    def loaded(self):
        """Answers as many frames as it can."""
        self.client.listen("depth/image_rect")
        self.client.listen("points")
        self.idle()
        camera = Camera(self.client)
        camera.connect()

        def answers() -> int:
            camera.infos.publish(camera_info(LARGE))
            camera.show(60, size=LARGE)
            return len(self.client.received["points"])

        self.until(lambda: answers() > 5, "answers")

    def serving(self):
        """A request is under way."""
        self.loaded()
        self.client.call(
            Segment, "/vision_banana/segment", Segment.Request(expression="the floor"), later=True
        )
        spin(self.client, self.rng.uniform(0.0, 0.1))

    def deactivating(self):
        self.loaded()
        request = ChangeState.Request()
        request.transition.id = Transition.TRANSITION_DEACTIVATE
        self.client.call(ChangeState, "/vision_banana/change_state", request, later=True)
        spin(self.client, self.rng.uniform(0.0, 0.1))

    def until(self, condition, what):
        self.client.spin_until(lambda: not self.node.alive or condition(), what, START_S)
        assert self.node.alive, self.node.said()[-4000:]


MOMENTS = ("importing", "loading", "compiling", "idle", "loaded", "serving", "deactivating")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", MOMENTS)
def test_signal(note, tmp_path, moment, number):
    carry_large_images()
    domain, context = any_domain(), Context()
    rclpy.init(context=context, domain_id=domain, args=[])
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)} if moment == "compiling" else {}
    node = NodeProcess(domain, "autostart:=true", "min_readable:=0.0", program=INSTALLED, **environment)
    try:
        with new_client(context) as client:
            getattr(Moment(node, client, random.Random(f"{moment} {number}")), moment)()
            before, sent = node.cpu_s(), time.monotonic()
            node.child.send_signal(number)
            worked = 0.0
            while node.alive and time.monotonic() < sent + 20:
                worked = max(worked, node.cpu_s() - before)
                time.sleep(0.01)
            took = time.monotonic() - sent
            note(
                f"{number.name} while {moment}: to the exit, of it processor time (s)",
                f"{took:.2f}, {worked:.2f}",
                f"{LEAVE_S:g}",
            )
            assert node.child.returncode == 0, node.said()[-4000:]
            assert "Traceback" not in node.said(), node.said()[-4000:]
            if moment != "importing":  # else it may have been half made
                client.spin_until(
                    lambda: "vision_banana" not in client.get_node_names(), "its leaving of the graph", GONE_S
                )
            assert took <= LEAVE_S, node.said()[-1000:]
    finally:
        node.close()
        rclpy.try_shutdown(context=context)
