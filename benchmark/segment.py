# SPDX-License-Identifier: Apache-2.0
"""How long ~/segment takes on a 640x480 frame, over DDS, beside the generator's own time.

The generator paints truth from memory and then waits, so that a frame's inference takes exactly `--inference`
seconds. The caller is a process of its own. "idle": nobody subscribes to an output. "streaming": depth and
masks of a 5 Hz camera are subscribed to, so a request may come while a frame is being answered, and waits for
it.

`python benchmark/segment.py` prints a table and writes segment.json next to itself.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from node_share import HEIGHT, WIDTH, Painter, publish_frames
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from vision_banana_interfaces.srv import Segment
from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.node.node import VisionBananaNode
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.messages import TYPES

STREAMED = ("depth/image_rect", "segmentation/mask")


class Waiting(Painter):
    """Paints, and waits until a frame's inference is over."""

    def __init__(self, inference_s: float):
        super().__init__()
        self.inference_s = inference_s

    def paint(self, image: np.ndarray, instructions: list[str]) -> np.ndarray:
        started = time.perf_counter()
        painted = super().paint(image, instructions)
        time.sleep(max(0.0, self.inference_s - (time.perf_counter() - started)))
        return painted


def caller(domain: int, calls: int, streaming: bool) -> None:
    """Publishes frames, calls the service, and prints how long each call took, in milliseconds."""
    carry_large_images()
    rclpy.init(domain_id=domain, args=[])
    node = rclpy.create_node("caller")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if streaming:
        for topic in STREAMED:
            node.create_subscription(TYPES[topic], topic, lambda _: None, 5)
    client = node.create_client(Segment, "/vision_banana/segment")
    client.wait_for_service()
    took: list[float] = []
    publish_frames(node)
    rng = np.random.default_rng(0)
    while len(took) < calls + 5:
        pause = time.perf_counter() + rng.uniform(0.1, 0.3)
        while time.perf_counter() < pause:
            executor.spin_once(timeout_sec=0.02)
        started = time.perf_counter()
        future = client.call_async(Segment.Request(expression="the box"))
        while not future.done():
            executor.spin_once(timeout_sec=1.0)
        if future.result().success and np.isfinite(future.result().centroid.point.z):
            took.append(1e3 * (time.perf_counter() - started))
    print(json.dumps(took[5:]))


def measure(calls: int, inference_s: float, streaming: bool) -> dict[str, float]:
    """Milliseconds a call."""
    painter, domain = Waiting(inference_s), 10 + os.getpid() % 90
    carry_large_images()
    rclpy.init(domain_id=domain, args=[])
    expressions = Parameter("expressions", value=["the box"])
    still = Parameter("frozen_after", value=0.0)  # one frame again and again
    node = VisionBananaNode(lambda bundle, executor: painter, parameter_overrides=[expressions, still])
    node.trigger_configure()
    assert not node.failure, node.failure
    node.trigger_activate()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    command = [
        sys.executable,
        __file__,
        "--caller",
        str(domain),
        "--calls",
        str(calls),
        *(["--streaming"] if streaming else []),
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while child.poll() is None:
        executor.spin_once(timeout_sec=0.5)
    took = json.loads(child.communicate()[0])
    node.close()
    rclpy.try_shutdown()
    return {
        "calls": len(took),
        "ms_p50": round(statistics.median(took), 1),
        "ms_p90": round(statistics.quantiles(took, n=10)[8], 1),
        "ms_p50_beside_one_inference": round(statistics.median(took) - 1e3 * inference_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--inference", type=float, default=0.05, help="seconds")
    parser.add_argument("--caller", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--streaming", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    if args.caller is not None:
        return caller(args.caller, args.calls, args.streaming)
    result = {
        "command": "python benchmark/segment.py",
        "machine": machine("rclpy", rmw="rmw_fastrtps_cpp"),
        "frame": f"{WIDTH}x{HEIGHT} rgb8, one inference takes {1e3 * args.inference:g} ms",
        "idle": measure(args.calls, args.inference, False),
        "streaming": measure(args.calls, args.inference, True),
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
