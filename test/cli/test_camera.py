# SPDX-License-Identifier: Apache-2.0
"""`vision-banana camera` as a process of its own, heard over real DDS."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import cv2
import numpy as np
import pytest
import rclpy
from bag_support import camera_info, picture, raw_image, write_bag
from builtin_interfaces.msg import Time
from patience import PATIENCE_S
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rosbags.rosbag2 import StoragePlugin
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.cli.main import main
from vision_banana_ros.scenes import SimulatedCamera

DOMAIN = 10 + os.getpid() % 90
ENV = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def listen(
    argv: list[str], wanted: int, image_topic: str = "image", clock_s: int | None = None
) -> tuple[list[Image], list[CameraInfo], str]:
    """Starts the verb, hears `wanted` images, and ends it by Ctrl+C. Returns the messages and what it said.

    clock_s: this time is on /clock, for ever.
    """
    os.environ.update(ENV)
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node("listener", context=context)
    images: list[Image] = []
    infos: list[CameraInfo] = []
    node.create_subscription(Image, image_topic, images.append, qos_profile_sensor_data)
    node.create_subscription(CameraInfo, "camera_info", infos.append, qos_profile_sensor_data)
    if clock_s is not None:
        clock = node.create_publisher(Clock, "/clock", qos_profile_sensor_data)
        node.create_timer(0.02, lambda: clock.publish(Clock(clock=Time(sec=clock_s))))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    command = [sys.executable, "-m", "vision_banana_ros.cli.main", "camera", *argv]
    # Where the tests run in a shell's background, SIGINT is ignored, and that is inherited.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while len(images) < wanted and process.poll() is None and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        assert len(images) >= wanted, (
            f"heard {len(images)} images only, and the camera's status is {process.poll()}"
        )
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130 and "Traceback" not in said
        return images, infos, said
    finally:
        process.kill()
        process.communicate()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def pixels(message: Image) -> np.ndarray:
    assert message.encoding == "rgb8" and message.step == 3 * message.width
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def stamp(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_a_simulated_camera_publishes_its_world_at_its_rate():
    images, infos, said = listen(["3", "--rate", "10", "--size", "96x64", "--frame-id", "eye"], 20)
    assert "Publishing 3 on /image and /camera_info at 10 Hz" in said
    assert {m.header.frame_id for m in images} == {"eye"}
    # Image and camera go together, and the stamps rise by the period (a busy machine may lose some).
    assert len({stamp(m) for m in images} - {stamp(m) for m in infos}) <= 2
    steps = np.diff([stamp(m) for m in images]) / 1e9
    assert steps.min() > 0 and np.percentile(steps, 20) == pytest.approx(0.1, abs=0.04)
    camera = SimulatedCamera(3, 96, 64, 10)
    views = [camera.view(k / 10) for k in range(200)]
    known = {view.image.tobytes() for view in views}
    assert all(pixels(m).tobytes() in known for m in images)
    k = infos[0].k
    assert (infos[0].width, infos[0].height) == (96, 64) and list(infos[0].d) == [0.0] * 5
    assert (k[0], k[4], k[2], k[5]) == pytest.approx(
        (views[0].camera.fx, views[0].camera.fy, views[0].camera.cx, views[0].camera.cy)
    )


def test_a_folder_starts_again_and_takes_remaps(tmp_path):
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((24, 32, 3), 60 * k, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    argv = [str(tmp_path), "--rate", "20", "--fov", "90", "--ros-args", "-r", "image:=/cam/raw"]
    images, infos, said = listen(argv, 20, "/cam/raw")
    assert {int(pixels(m)[0, 0, 0]) for m in images} == {0, 60, 120}
    assert infos[0].k[0] == pytest.approx(16) and "skipped" in said and "/cam/raw" in said


@pytest.mark.parametrize("plugin", StoragePlugin)
def test_a_bag_brings_its_own_camera(tmp_path, plugin):
    info = camera_info(50.0, d=-0.25)
    info.width, info.height = 64, 48  # the images were resized to 128x96 after calibration
    topics = {"/cam/image_raw": [raw_image(k, "bgr8") for k in range(4)], "/cam/camera_info": [info]}
    bag = write_bag(tmp_path / "bag", plugin, topics)
    images, infos, said = listen([str(bag), "--rate", "20"], 8)
    assert "Give --fov" not in said
    np.testing.assert_array_equal(pixels(images[0]), picture())
    assert (infos[0].width, infos[0].height, infos[0].k[0]) == (128, 96, 100) and infos[0].d[0] == -0.25
    assert abs(stamp(images[0]) / 1e9 - time.time()) < 2 * PATIENCE_S, "stamped anew"


@pytest.mark.parametrize(("limit", "frames"), [(["--once"], 3), (["--duration", "1"], 20)])
def test_it_ends_after_the_last_picture_or_in_time(tmp_path, limit, frames):
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((24, 32, 3), 60 * k, np.uint8))
    command = [
        sys.executable,
        "-m",
        "vision_banana_ros.cli.main",
        "camera",
        str(tmp_path),
        "--rate",
        "20",
        *limit,
    ]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("does not say which camera took it: CameraInfo tells 60 degrees") == 1
    published = int(done.stderr.splitlines()[-1].split()[0])
    assert published == frames if limit == ["--once"] else frames / 2 <= published <= frames


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--rate", "0"], "rate must lie"),
        (["--size", "640"], "WIDTHxHEIGHT"),
        (["--size", "0x480"], "16 to 8192"),
        (["webcam:first"], "by its number"),
        (["webcam:77"], "cannot be opened"),
        (["9" * 5000], "2^63"),
        (["-1"], "2^63"),
        (["webcam:" + "9" * 5000], "by its number"),
        ([f"webcam:{2**40}"], "by its number"),
        (["--size", "9" * 5000 + "x480"], "WIDTHxHEIGHT"),
        (["--duration", "nan"], "number of seconds"),
        (["--frame-id", "\udcff"], "printable"),
        (["1", "--ros-args", "-r", "__node:=a/b"], "after --ros-args"),
        (["1", "--ros-args", "-r", "__node:=" + "x" * 300], "after --ros-args"),
        (["/nowhere"], "nothing at"),
    ],
)
def test_mistakes_get_one_sentence(argv, word, capfd):
    assert main(["camera", *argv]) == 2
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("vision-banana: ")]
    assert len(said) == 1 and word in said[0]


def test_a_folder_without_one_readable_picture_ends(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "vision_banana_ros.cli.main", "camera", str(tmp_path)]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and "Not one picture" in done.stderr


def test_with_simulated_time_the_stamps_are_those_of_the_clock():
    argv = ["7", "--size", "64x48", "--ros-args", "-p", "use_sim_time:=true"]
    images, infos, _ = listen(argv, 3, clock_s=100)
    assert {m.header.stamp.sec for m in (*images, *infos)} == {100}
