# SPDX-License-Identifier: Apache-2.0
"""Cameras from files.

A calibration as camera_calibration writes it, or a CameraInfo as `ros2 topic echo` prints it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_yaml
from vision_banana_ros.perception.camera import Calibration, camera_for

_MATRICES = {
    "d": "distortion_coefficients",
    "k": "camera_matrix",
    "r": "rectification_matrix",
    "p": "projection_matrix",
}
"""The names of the message, and those of camera_calibration's files. Only K must be there."""
_LENGTHS = {"d": 0, "r": 9, "p": 12}


def read_calibration(path: Path) -> Calibration:
    """What a file says of a camera. InputError where it holds neither form."""
    try:
        # A topic's echo ends with `---`: the first document is the message.
        content: Any = read_yaml(path)
    except ImportError:
        raise InputError(
            "Reading --camera-info needs PyYAML; install it with `pip install pyyaml`, or give --fov."
        ) from None
    try:
        if "camera_matrix" in content:
            matrices = {
                name: content[file_name]["data"]
                for name, file_name in _MATRICES.items()
                if file_name in content
            }
            width, height = content["image_width"], content["image_height"]
        else:
            matrices = {name: content[name] for name in _MATRICES if name in content}
            width, height = content["width"], content["height"]
        d, k, r, p = (
            tuple(
                float(value)
                for value in (matrices["k"] if name == "k" else matrices.get(name, [0.0] * _LENGTHS[name]))
            )
            for name in "dkrp"
        )
        model = str(content.get("distortion_model", content.get("camera_model", "plumb_bob")))
        binning = int(content.get("binning_x", 0)), int(content.get("binning_y", 0))
        calibration = Calibration(
            int(width), int(height), model, d, k, r, p, binning, _region(content.get("roi", {}))
        )
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
        raise InputError(
            f"'{path}' is no camera: it needs image_width, image_height and camera_matrix as"
            " camera_calibration writes"
            " them, or width, height and k as `ros2 topic echo --once camera_info` prints them."
        ) from None
    try:
        camera_for(calibration, calibration.image_size)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from None
    return calibration


def _region(roi: Mapping[str, Any]) -> tuple[int, int, int, int]:
    x, y, width, height = (int(roi.get(name, 0)) for name in ("x_offset", "y_offset", "width", "height"))
    return x, y, width, height


def resized(calibration: Calibration, width: int, height: int) -> Calibration:
    """The calibration for an image of width x height.

    InputError where that is no resize of the calibration's own size.

    With binning or a region the message itself says what size it is for, and is left as it is.
    """
    c = calibration
    if any(c.region) or max(c.binning) > 1 or (c.width, c.height) == (width, height):
        return c
    if abs(width * c.height - height * c.width) > max(width, height):
        raise InputError(
            f"The camera is for {c.width}x{c.height} images, but this one is {width}x{height}, which no"
            " resize explains; give the calibration of this camera, or --fov."
        )
    scales = width / c.width, height / c.height
    return replace(c, width=width, height=height, k=_scaled(c.k, 3, scales), p=_scaled(c.p, 4, scales))


def _scaled(matrix: tuple[float, ...], columns: int, scales: tuple[float, float]) -> tuple[float, ...]:
    """K or P of the same picture in another size: c' = (c + 0.5) s - 0.5, as in `Intrinsics.scaled`."""
    out = list(matrix)
    if any(out):
        for row, s in enumerate(scales):
            for column in range(columns):
                out[row * columns + column] *= s
            out[row * columns + 2] += (s - 1) / 2
    return tuple(out)
