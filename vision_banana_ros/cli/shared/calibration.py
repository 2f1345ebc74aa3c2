# SPDX-License-Identifier: Apache-2.0
"""Cameras from files: a calibration as camera_calibration writes it, or a CameraInfo as `ros2 topic echo` prints it."""

from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_bounded
from vision_banana_ros.perception.geometry import Intrinsics

MAX_BYTES = 100_000
"""A message that repeats itself by YAML's references would otherwise grow without end."""


def read_camera_info(path: Path) -> tuple[Intrinsics, tuple[float, ...]]:
    """The pinhole part and the distortion coefficients. InputError where the file holds neither form."""
    try:
        import yaml
    except ImportError:
        raise InputError("Reading --camera-info needs PyYAML; install it with `pip install pyyaml`, or give --fov.") from None
    try:
        # A topic's echo ends with `---`: the first document is the message.
        content: Any = next(yaml.safe_load_all(read_bounded(path, MAX_BYTES).decode()), {})
        if "camera_matrix" in content:
            width, height = content["image_width"], content["image_height"]
            k, d = content["camera_matrix"]["data"], content.get("distortion_coefficients", {}).get("data", [])
        else:
            width, height, k, d = content["width"], content["height"], content["k"], content.get("d", [])
        numbers = [float(k[i]) for i in (0, 4, 2, 5)]
        distortion = tuple(float(value) for value in d)
        width, height = int(width), int(height)
    except (yaml.YAMLError, RecursionError, KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError):
        raise InputError(
            f"'{path}' is no camera: it needs image_width, image_height and camera_matrix as camera_calibration writes"
            " them, or width, height and k as `ros2 topic echo --once camera_info` prints them."
        ) from None
    return Intrinsics(width, height, *numbers), distortion


def fit_camera(camera: Intrinsics, width: int, height: int) -> Intrinsics:
    """The camera for an image of width x height. InputError where that is no resize of the camera's own size."""
    if abs(width * camera.height - height * camera.width) > max(width, height):
        raise InputError(
            f"The camera is for {camera.width}x{camera.height} images, but this one is {width}x{height}, which no"
            " resize explains; give the calibration of this camera, or --fov."
        )
    return camera.scaled(width, height)
