# SPDX-License-Identifier: Apache-2.0
"""From the start of the node's process to its first depth message: the installed bundle, on a CPU, a camera
already running.

The process is started the way `ros2 launch` starts it, with the launch file's parameters and a domain of its
own. A camera of 640x480 publishes at 10 Hz in this process and listens to `depth/image_rect` and to the
states of the node. What Python and Numba keep from an earlier start is there, as on any robot that was
started once: the first start is not counted.

`python benchmark/first_answer.py` writes first_answer.json next to itself: the median and all starts, seconds
by the clock, the CPU seconds of the node's process, and seconds to each state of its life.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from array import array
from pathlib import Path

os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", ROS_DOMAIN_ID=str(10 + os.getpid() % 90))

import rclpy
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from lifecycle_msgs.msg import TransitionEvent
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.node.topics.camera_info import message_of
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.scenes import SimulatedCamera

PACKAGE = "vision_banana_ros"
HEIGHT, WIDTH, RATE_HZ, SEED = 480, 640, 10.0, 3
PATIENCE_S = 120.0


class Watcher:
    """The camera and who waits for depth."""

    def __init__(self) -> None:
        carry_large_images()
        rclpy.init(args=[])
        self._node = rclpy.create_node("camera")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        view = SimulatedCamera(SEED, WIDTH, HEIGHT, RATE_HZ).view(0.0)
        self._image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        self._image.data = array("B", view.image.tobytes())
        self._info = message_of(Calibration.of_pinhole(Intrinsics.of(view.camera)))
        self._images = self._node.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = self._node.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self._node.create_timer(1 / RATE_HZ, self._publish)
        self._node.create_subscription(Image, "depth/image_rect", self._answered, qos_profile_sensor_data)
        self._node.create_subscription(TransitionEvent, "vision_banana/transition_event", self._moved, 10)
        self.seen: dict[str, float] = {}

    def wait(self, child: subprocess.Popen) -> dict[str, float]:
        """Until depth came: the clock at each event. RuntimeError where the node ends before, or it takes
        PATIENCE_S."""
        self.seen = {}
        end = time.perf_counter() + PATIENCE_S
        while "first depth" not in self.seen:
            self._executor.spin_once(timeout_sec=0.05)
            if child.poll() is not None:
                raise RuntimeError(
                    f"The node ended with status {child.returncode}: start it by hand to see why."
                )
            if time.perf_counter() > end:
                raise RuntimeError(
                    f"There was no depth within {PATIENCE_S:.0f} s: is the package built and sourced?"
                )
        return self.seen

    def _publish(self) -> None:
        self._image.header.stamp = self._info.header.stamp = self._node.get_clock().now().to_msg()
        self._image.header.frame_id = self._info.header.frame_id = "camera"
        self._infos.publish(self._info)
        self._images.publish(self._image)

    def _answered(self, _: Image) -> None:
        self.seen.setdefault("first depth", time.perf_counter())

    def _moved(self, event: TransitionEvent) -> None:
        self.seen.setdefault(event.goal_state.label, time.perf_counter())


def start(watcher: Watcher) -> dict[str, float]:
    """One start: seconds to the first depth, to each state on the way, and CPU seconds of the process
    until then."""
    executable = Path(get_package_prefix(PACKAGE)) / "lib" / PACKAGE / "vision_banana_node"
    params = Path(get_package_share_directory(PACKAGE)) / "config" / "vision_banana.yaml"
    arguments = [
        "--ros-args",
        "-r",
        "__node:=vision_banana",
        "--params-file",
        str(params),
        "-p",
        "autostart:=true",
    ]
    started = time.perf_counter()
    child = subprocess.Popen(
        [str(executable), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        seen = watcher.wait(child)
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    finally:
        child.terminate()
        child.wait()
    return {name: round(when - started, 2) for name, when in seen.items()} | {"cpu": round(cpu_s, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5, metavar="N")
    args = parser.parse_args()
    watcher = Watcher()
    starts = [start(watcher) for _ in range(args.starts + 1)][1:]
    report = {
        "command": "python benchmark/first_answer.py",
        "machine": machine("onnxruntime", "numba", "numpy"),
        "first_answer_s": round(statistics.median(one["first depth"] for one in starts), 2),
        "cpu_s": round(statistics.median(one["cpu"] for one in starts), 2),
        "starts": starts,
    }
    print(json.dumps(report, indent=2))
    (Path(__file__).parent / "first_answer.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
