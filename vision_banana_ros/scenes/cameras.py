# SPDX-License-Identifier: Apache-2.0
"""A pinhole camera and its pose in a world."""

from dataclasses import dataclass
from math import cos, sin, tan

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import kernel


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: image size and intrinsics in pixels (pixel centres at whole numbers), and its pose.

    `pose` is 4x4, world_from_optical: x right, y down, z forward (REP 103) into the world, z up, metres.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    pose: np.ndarray

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or min(self.fx, self.fy) <= 0:
            raise InputError(
                "A camera needs a width and height of at least one pixel and focal lengths above zero."
            )
        if np.shape(self.pose) != (4, 4):
            raise InputError("A camera's pose is a 4x4 matrix, world_from_optical.")

    def eye(self) -> np.ndarray:
        """The numbers that the kernel reads."""
        eye = np.empty(kernel.EYE_ENTRIES)
        eye[:4] = self.fx, self.fy, self.cx, self.cy
        eye[kernel.ROTATION : kernel.ROTATION + 9] = self.pose[:3, :3].ravel()
        eye[kernel.ORIGIN : kernel.ORIGIN + 3] = self.pose[:3, 3]
        eye[kernel.SLOPE :] = 1.0 / self.fx, 1.0 / self.fy
        return eye


def look_from(x: float, y: float, z: float, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """World_from_optical pose at a point.

    Radians: yaw from x towards y, pitch positive down, roll clockwise.
    """
    forward = np.array([cos(yaw) * cos(pitch), sin(yaw) * cos(pitch), -sin(pitch)])
    right = np.array([sin(yaw), -cos(yaw), 0.0])
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = cos(roll) * right + sin(roll) * down
    pose[:3, 1] = cos(roll) * down - sin(roll) * right
    pose[:3, 2] = forward
    pose[:3, 3] = x, y, z
    return pose


def pinhole(width: int, height: int, fov: float, pose: np.ndarray) -> Camera:
    """A camera of square pixels with a horizontal field of view in radians and a centred principal point."""
    focal = 0.5 * width / tan(0.5 * fov)
    return Camera(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1), pose)
