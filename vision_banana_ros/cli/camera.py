# SPDX-License-Identifier: Apache-2.0
"""Publishes `image` and `camera_info` from a simulated camera, image files, a bag or a webcam.

Arguments after --ros-args go to ROS: `vision-banana camera 7 --ros-args -r image:=/camera/image_raw`.
"""

import argparse
import time
from typing import TYPE_CHECKING

from vision_banana_ros.cli.shared.calibration import resized
from vision_banana_ros.cli.shared.frame_sources import Frames, open_frames, simulated_frames, webcam_frames
from vision_banana_ros.cli.shared.progress import tell
from vision_banana_ros.errors import InputError
from vision_banana_ros.missing import cure
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception.camera import Calibration

if TYPE_CHECKING:
    from vision_banana_ros.node.client.camera_publisher import CameraPublisher

DEFAULT_FOV = 60.0
PROGRESS_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "source",
        nargs="?",
        default="0",
        metavar="SEED|IMAGE|FOLDER|BAG|VIDEO|webcam:N",
        help="a number is the seed of a simulated scene (default: %(default)s)",
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, metavar="HZ", help="frame rate (default: %(default)g)"
    )
    parser.add_argument(
        "--size",
        default="640x480",
        metavar="WxH",
        help="resolution of the simulation or webcam (default: %(default)s)",
    )
    parser.add_argument(
        "--fov",
        type=float,
        metavar="DEG",
        help="horizontal field of view in degrees, if the source has no CameraInfo",
    )
    parser.add_argument("--topic", help="image topic of a bag; required if the bag has several")
    parser.add_argument("--recursive", action="store_true", help="include the images of subfolders")
    parser.add_argument(
        "--frame-id", default="camera_optical_frame", help="frame_id of the messages (default: %(default)s)"
    )
    parser.add_argument("--once", action="store_true", help="stop after the last image instead of looping")
    parser.add_argument(
        "--duration", type=float, default=float("inf"), metavar="S", help="stop after this many seconds"
    )
    parser.add_argument(
        "--ros-args",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="...",
        help="ROS arguments: remappings, node name, namespace",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    if not 0.01 <= args.rate <= 1000:
        raise InputError(f"The rate must lie between 0.01 and 1000 Hz; it is {args.rate:g}.")
    if not args.duration >= 0:
        raise InputError(f"The duration is a number of seconds from 0 on; it is {args.duration:g}.")
    if not args.frame_id.isprintable():
        raise InputError(f"The frame id must be printable text; it is {args.frame_id!r}.")
    frames = _open(args)
    try:
        from vision_banana_ros.node.client.camera_publisher import CameraPublisher
    except ImportError as error:
        raise InputError(cure(error)) from None
    ros_args = ["--ros-args", *args.ros_args] if args.ros_args else []
    with CameraPublisher(args.frame_id, ros_args) as camera:
        topics = f"{camera.images.topic_name} and {camera.infos.topic_name}"
        tell(f"Publishing {args.source} on {topics} at {args.rate:g} Hz. Ctrl+C ends it.")
        if camera.now_ns() == 0:
            tell("use_sim_time is set, and /clock has not been heard yet.")
            while camera.now_ns() == 0:
                time.sleep(0.02)
        published = _publish(camera, frames, args)
    tell(f"{published} frames published.")
    return 0


def _open(args: argparse.Namespace) -> Frames:
    width, height = _size(args.size)
    if args.source.removeprefix("-").isdecimal():
        seed = _whole(args.source, 2**63 - 1)
        if seed is None:
            raise InputError(f"A seed is a whole number from 0 to 2^63 - 1; it is {args.source}.")
        return simulated_frames(seed, width, height, args.rate)
    kind, _, name = args.source.partition(":")
    if kind == "webcam":
        number = _whole(name, 9999)
        if number is None:
            raise InputError(f"A webcam is named by its number, as in webcam:0, not {args.source!r}.")
        return webcam_frames(number, width, height)
    return open_frames(args.source, args.topic, args.recursive)


def _size(text: str) -> tuple[int, int]:
    width, height = (_whole(side, 8192) for side in text.lower().partition("x")[::2])
    if width is None or height is None or min(width, height) < 16:
        raise InputError(
            f"The size must be WIDTHxHEIGHT, 16 to 8192 pixels each, as in 640x480; it is {text!r}."
        )
    return width, height


def _whole(text: str, most: int) -> int | None:
    """A whole number from 0 to `most`; None for anything else, such as more digits than Python converts."""
    return number if text.isdecimal() and len(text) <= 19 and (number := int(text)) <= most else None


def _publish(camera: "CameraPublisher", frames: Frames, args: argparse.Namespace) -> int:
    """Frames at the wanted rate until they or the time are over. Returns how many were published."""
    started = due = told = 0.0
    published, assumed = 0, False
    while True:
        before = published
        for frame in frames.read():
            if isinstance(frame, InputError):
                tell(f"skipped: {frame}")
                continue
            if not published:  # the time counts from the first frame: making a world may take a while
                started = due = told = time.monotonic()
            time.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if now - started >= args.duration:
                return published
            height, width = frame.image.shape[:2]
            calibration = frame.calibration
            if calibration is None:
                fov = DEFAULT_FOV if args.fov is None else args.fov
                if args.fov is None and not assumed:
                    assumed = True
                    tell(
                        f"{args.source} does not say which camera took it: CameraInfo tells {fov:g} degrees"
                        " of view, by which depth and clouds are measured. Give --fov."
                    )
                calibration = Calibration.of_pinhole(Intrinsics.from_fov(width, height, fov))
            camera.publish(frame.image, resized(calibration, width, height), camera.now_ns())
            published += 1
            # A source slower than the rate is not followed by a burst.
            due = max(due + 1 / args.rate, now)
            if now - told >= PROGRESS_S:
                told = now
                rate = published / (now - started)
                tell(f"{published} frames, {rate:.1f} Hz, {camera.subscribers} subscribers")
        if args.once:
            return published
        if published == before:
            raise InputError(f"Not one picture of '{args.source}' could be read; nothing was published.")
