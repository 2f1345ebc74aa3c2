# SPDX-License-Identifier: Apache-2.0
"""The node's own share of a 640x480 frame: everything but painting, on one core, all outputs subscribed over
DDS.

The node runs in this process, pinned to one core; a second process is the camera and all the subscribers. The
generator paints the truth of a simulated room from memory, and the time in `paint` is taken out. Two figures:
the CPU time of the whole process for a frame (receiving, decoding, resizing, filling messages, handing them
to the middleware, the middleware's own threads), and the time between taking a frame from the mailbox and the
end of its last publish.

Beside it, for the same answers: messages filled here, against plain NumPy with `tobytes`, and a cloud made
the way that create_cloud makes it. "checked" is rclpy with its field checks on, as older releases always are.

`python benchmark/node_share.py` prints a table and writes node_share.json next to itself.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import argparse
import json
import statistics
import subprocess
import sys
import time
from array import array
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.node.node import VisionBananaNode
from vision_banana_ros.node.topics.camera_info import message_of
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.messages import OF_THINGS, TYPES, Composer, Seen
from vision_banana_ros.perception import Intrinsics, Question, points, visualization
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.scenes import CLASSES, SimulatedCamera
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.colors import far_apart

# points_obstacles is left out: it is made for costmaps, at a rate of its own, and is measured by
# obstacles.py.
OUTPUTS = {topic: kind for topic, kind in TYPES.items() if topic not in {"points_obstacles", *OF_THINGS}}
HEIGHT, WIDTH = 480, 640
PAINTED = 192, 256
RATE_HZ = 5.0
LEGEND = dict(zip(CLASSES, far_apart(len(CLASSES), avoid=["black"]), strict=True))
SEED = 3


class Painter:
    """Paints the truth of one view from memory, with a little noise, and remembers how long that took."""

    name, executor = "truth", "memory"
    tasks = ("depth", "normals", "semantic", "instances", "referring")
    size = PAINTED
    manifest = AnswerFormat(
        tasks=tasks,
        codec="vision_banana",
        legend=LEGEND,
        depth_range_m=(0.1, 40.0),
        depth_focal_px=0.0,
        instance_taus={},
        referring_core=0.0,
        expressions_together=1,
    )

    def __init__(self) -> None:
        view = SimulatedCamera(SEED, PAINTED[1], PAINTED[0], RATE_HZ).view(0.0)
        thing = int(np.bincount(view.instances[view.instances > 0]).argmax())
        answers = {
            "depth": depth.encode(view.depth_m),
            "normals": normals.encode(view.normals),
            "semantic": semantic.encode(view.labels, LEGEND),
            "instances": instances.encode(view.instances),
            "referring": referring.encode(view.instances == thing, far_apart(1, avoid=["black"])[0]),
        }
        rng = np.random.default_rng(0)
        noisy = {
            task: (rgb + rng.normal(0, 2 / 255, rgb.shape)).astype(np.float32)
            for task, rgb in answers.items()
        }
        questions = [
            Question.depth(),
            Question.normals(),
            Question.semantic(LEGEND),
            Question.instances("box"),
            Question.referring("the box", far_apart(1, avoid=["black"])[0]),
        ]
        self._answers = {question.instruction: noisy[question.task] for question in questions}
        self.cpu_s = self.wall_s = 0.0

    def asked(self, question: Question) -> Question:
        return question

    def prepare(self, instruction: str) -> None:
        assert instruction in self._answers

    def paint(self, image: np.ndarray, instructions: list[str]) -> np.ndarray:
        cpu, wall = time.thread_time(), time.perf_counter()
        painted = np.stack([self._answers[instruction] for instruction in instructions])
        self.cpu_s += time.thread_time() - cpu
        self.wall_s += time.perf_counter() - wall
        return painted


def publish_frames(node: Node) -> None:
    """One frame of a simulated room again and again, RATE_HZ times a second, with its CameraInfo."""
    images, infos = (
        node.create_publisher(Image, "image", 1),
        node.create_publisher(CameraInfo, "camera_info", 1),
    )
    view = SimulatedCamera(SEED, WIDTH, HEIGHT, RATE_HZ).view(0.0)
    message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    message.data = array("B", view.image.tobytes())
    info = message_of(Calibration.of_pinhole(Intrinsics.of(view.camera)))

    def publish() -> None:
        message.header.stamp = info.header.stamp = node.get_clock().now().to_msg()
        infos.publish(info)
        images.publish(message)

    node.create_timer(1 / RATE_HZ, publish)


def client(domain: int, frames: int) -> None:
    """The camera and the subscribers, in a process of their own: publishes until every output came
    `frames` times."""
    os.sched_setaffinity(0, map(int, os.environ["OTHER_CORES"].split(",")))
    carry_large_images()
    rclpy.init(domain_id=domain, args=[])
    node = rclpy.create_node("client")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    received = dict.fromkeys(OUTPUTS, 0)

    def count(topic: str) -> None:
        received[topic] += 1

    for topic, kind in OUTPUTS.items():
        node.create_subscription(kind, topic, lambda _, t=topic: count(t), 5)
    publish_frames(node)
    end = time.monotonic() + 20 + 3 * frames / RATE_HZ
    while min(received.values()) < frames and time.monotonic() < end:
        executor.spin_once(timeout_sec=1.0)
    print(json.dumps(received))


def measure(frames: int) -> tuple[dict, Seen]:
    """Runs the node; returns milliseconds a frame, and what was seen in the last one."""
    carry_large_images()
    domain = 10 + os.getpid() % 90
    rclpy.init(domain_id=domain, args=[])
    painter = Painter()
    # one frame again and again
    given = [Parameter("expressions", value=["the box"]), Parameter("frozen_after", value=0.0)]
    node = VisionBananaNode(lambda bundle, executor: painter, parameter_overrides=given)
    stream = node.streams[0]
    kept, spans = [], []
    answer, look = stream.answer, stream._look

    def timed(frame: object) -> None:
        start, painted = time.perf_counter(), painter.wall_s
        answer(frame)
        if len(stream.outputs.watched()) == len(OUTPUTS):
            spans.append(time.perf_counter() - start - (painter.wall_s - painted))

    def keep(*args: object) -> object:
        kept[:] = [look(*args)]
        return kept[0]

    stream.answer, stream._look = timed, keep
    node.trigger_configure()
    assert not node.failure, node.failure
    node.trigger_activate()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    child = subprocess.Popen(
        [sys.executable, __file__, "--client", str(domain), "--frames", str(frames + 10)],
        stdout=subprocess.PIPE,
    )
    while len(spans) < 10:  # everybody is connected, everything is warm
        executor.spin_once(timeout_sec=1.0)
    first, cpu, painted = len(spans), time.process_time(), painter.cpu_s
    while len(spans) < first + frames and child.poll() is None:
        executor.spin_once(timeout_sec=1.0)
    counted = len(spans) - first
    cpu_s = time.process_time() - cpu - (painter.cpu_s - painted)
    child.terminate()
    child.wait()
    node.close()
    rclpy.try_shutdown()
    late = spans[first:]
    figures = {
        "frames": counted,
        "cpu_ms_a_frame": round(1e3 * cpu_s / counted, 2),
        "worker_ms_p50": round(1e3 * statistics.median(late), 2),
        "worker_ms_p90": round(1e3 * statistics.quantiles(late, n=10)[8], 2),
    }
    return figures, kept[0]


def plain_messages(seen: Seen, checked: bool) -> list:
    """The same messages by whole-array NumPy, `tobytes` and a cloud from a structured array."""

    def image(pixels: np.ndarray, encoding: str) -> Image:
        height, width = pixels.shape[:2]
        message = Image(check_fields=checked)
        message.header, message.encoding, message.height, message.width = seen.header, encoding, height, width
        message.step = pixels.strides[0]
        message.data = pixels.tobytes()
        return message

    d, n, s = seen.answers["depth"][0], seen.answers["normals"][0], seen.answers["semantic"][0]
    instance, found = seen.answers["instances"][0], seen.answers["referring"][0]
    xyz = points(d.depth_m, seen.camera.intrinsics)
    rgb = seen.image.astype(np.uint32)
    packed = (rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]).view(np.float32)
    structured = np.empty(xyz.shape[:2], [(name, np.float32) for name in ("x", "y", "z", "rgb")])
    for i, name in enumerate(("x", "y", "z")):
        structured[name] = xyz[..., i]
    structured["rgb"] = packed
    cloud = PointCloud2(check_fields=checked)
    cloud.header, cloud.height, cloud.width = seen.header, HEIGHT, WIDTH
    cloud.point_step, cloud.row_step, cloud.is_dense = 16, 16 * WIDTH, False
    cloud.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "rgb"))
    ]
    cloud.data = structured.tobytes()
    return [
        image(d.depth_m, "32FC1"),
        image(n.normals * np.array([1, -1, -1], np.float32), "32FC3"),
        image(s.labels, "mono8"),
        image((s.confidence * 255 + 0.5).astype(np.uint8), "mono8"),
        image(instance.labels, "16UC1"),
        image(np.where(found.mask, np.uint8(1), np.uint8(0)), "mono8"),
        cloud,
        image(visualization.depth_picture(d.depth_m, *seen.depth_range), "rgb8"),
        image(normals.picture(n.normals), "rgb8"),
        image(visualization.labels_overlay(seen.image, s.labels, seen.legend), "rgb8"),
    ]


def median_ms(call: object, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(times[1:]), 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    if args.client is not None:
        return client(args.client, args.frames)
    core, *others = sorted(os.sched_getaffinity(0))
    os.environ["OTHER_CORES"] = ",".join(map(str, others or [core]))
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {core})
    figures, seen = measure(args.frames)
    composer = Composer()
    result = {
        "command": "python benchmark/node_share.py",
        "machine": machine("rclpy", "numpy", "numba", rmw="rmw_fastrtps_cpp", cores_used=1),
        "frame": f"{WIDTH}x{HEIGHT} rgb8, answers painted at {PAINTED[1]}x{PAINTED[0]}, {len(OUTPUTS)}"
        " outputs subscribed",
        "node_share": figures,
        "filling_messages": {
            "ms": median_ms(lambda: [composer.compose(topic, seen) for topic in OUTPUTS], 20),
            "plain_ms": median_ms(lambda: plain_messages(seen, checked=False), 5),
            "plain_checked_ms": median_ms(lambda: plain_messages(seen, checked=True), 1),
        },
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
