# SPDX-License-Identifier: Apache-2.0
"""The camera of frames out of files: as the arguments say, else as came with the frame, else a guess."""

import argparse
from pathlib import Path

from vision_banana_ros.cli.shared.calibration import read_calibration, resized
from vision_banana_ros.cli.shared.frames import Frame
from vision_banana_ros.perception.camera import Calibration, Camera, camera_for
from vision_banana_ros.perception.geometry import Intrinsics

DEFAULT_FOV = 60.0


def add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --fov, --camera-info and --rectified."""
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument(
        "--fov",
        type=float,
        metavar="DEG",
        help="horizontal field of view in degrees (default: the CameraInfo of the bag, otherwise"
        f" {DEFAULT_FOV:g})",
    )
    camera.add_argument(
        "--camera-info",
        type=Path,
        metavar="YAML",
        help="calibration file, or the output of `ros2 topic echo`",
    )
    parser.add_argument(
        "--rectified",
        action="store_true",
        help="the images are already rectified, regardless of D in the calibration",
    )


def named_calibration(args: argparse.Namespace) -> Calibration | None:
    """The calibration that the arguments name.

    InputError where it cannot be read, or --fov is none: before any work is done.
    """
    if args.fov is not None:
        Intrinsics.from_fov(1, 1, args.fov)
    return read_calibration(args.camera_info) if args.camera_info else None


def camera_of(
    frame: Frame, args: argparse.Namespace, calibration: Calibration | None, what: str
) -> tuple[Camera, str]:
    """The camera of a frame, and what the user should know about it. what: is made by it."""
    height, width = frame.image.shape[:2]
    known = None if args.fov is not None else calibration or frame.calibration
    if known is not None:
        camera = camera_for(
            resized(known, width, height), (height, width), "true" if args.rectified else "auto"
        )
        return camera, f"The images are {camera.reading}."
    pinhole = Intrinsics.from_fov(width, height, DEFAULT_FOV if args.fov is None else args.fov)
    remark = f"No camera is known: {what} take {DEFAULT_FOV:g} degrees of view; give --fov or --camera-info."
    return camera_for(Calibration.of_pinhole(pinhole), (height, width)), remark if args.fov is None else ""
