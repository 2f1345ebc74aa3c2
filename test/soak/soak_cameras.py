# SPDX-License-Identifier: Apache-2.0
"""Cameras to kill: for each line on stdin one more process, forked from this one, publishes frames at 30 Hz
until it is killed.

Its process id goes to stdout. Forked, because a fresh Python would take longer to start than it has to live.
"""

import os
import random
import signal
import sys
import time
from array import array

import rclpy
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.node.topics.fastdds import carry_large_images

HEIGHT, WIDTH, LEVEL = 48, 64, 60


def publish() -> None:
    carry_large_images()
    rclpy.init(args=[])
    node = rclpy.create_node("camera_to_kill")
    images, infos = (
        node.create_publisher(Image, "image", 10),
        node.create_publisher(CameraInfo, "camera_info", 10),
    )
    message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    rows = array("B", [LEVEL]) * (3 * WIDTH * HEIGHT // 2)
    info = CameraInfo(height=HEIGHT, width=WIDTH, k=[50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0])
    end = time.monotonic() + 120  # whatever becomes of those who should kill it
    while time.monotonic() < end:
        message.header.stamp = info.header.stamp = node.get_clock().now().to_msg()
        message.data = (
            array("B", random.randbytes(3 * WIDTH))
            + array("B", [255 - LEVEL]) * (3 * WIDTH * (HEIGHT // 2 - 1))
            + rows
        )
        infos.publish(info)
        images.publish(message)
        time.sleep(1 / 30)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed ones are buried by the system
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            publish()
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
