# SPDX-License-Identifier: Apache-2.0
"""CameraInfo: whether it can be used, and what it says of another size of the same picture."""

import copy
from dataclasses import dataclass

from sensor_msgs.msg import CameraInfo

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics


@dataclass(frozen=True)
class PinholeCamera:
    """A camera on one pixel grid: as numbers, and as the message that describes the outputs."""

    intrinsics: Intrinsics
    info: CameraInfo


def distorted(info: CameraInfo) -> bool:
    """Whether the camera's lens bends straight lines (D is not all zero)."""
    return any(info.d)


def pinhole(info: CameraInfo, image_size: tuple[int, int], grid: tuple[int, int], rectified: bool) -> PinholeCamera:
    """The camera of images of `image_size` (height, width), scaled to answers of `grid` (height, width).

    Rectified images follow P, others K. InputError where the info is not calibrated or belongs to images of another size.
    """
    height, width = image_size
    if (info.height, info.width) != image_size:
        raise InputError(
            f"CameraInfo is for {info.width}x{info.height} pixels, the image has {width}x{height}."
            " Publish the info of the same stream."
        )
    use_p = info.p[0] > 0 and (rectified or not distorted(info))
    fx, fy, cx, cy = (info.p[0], info.p[5], info.p[2], info.p[6]) if use_p else (info.k[0], info.k[4], info.k[2], info.k[5])
    if not (fx > 0 and fy > 0):
        raise InputError("CameraInfo holds no focal length. Calibrate the camera and load its calibration.")
    intrinsics = Intrinsics(width, height, fx, fy, cx, cy)
    if grid == image_size:
        return PinholeCamera(intrinsics, copy.copy(info))
    return PinholeCamera(intrinsics.scaled(grid[1], grid[0]), _scaled(info, *grid))


def _scaled(info: CameraInfo, height: int, width: int) -> CameraInfo:
    """The same picture in another size. Pixel edges stay edges, so c' = (c + 0.5) s - 0.5, as in `Intrinsics.scaled`."""
    sx, sy = width / info.width, height / info.height
    out = CameraInfo(header=info.header, height=height, width=width, distortion_model=info.distortion_model, d=info.d, r=info.r)
    k, p = list(info.k), list(info.p)
    for matrix, columns in ((k, 3), (p, 4)):
        if matrix[0] == 0:
            continue
        for row, s in ((0, sx), (1, sy)):
            for column in range(columns):
                matrix[row * columns + column] *= s
            matrix[row * columns + 2] += (s - 1) / 2
    out.k, out.p = k, p
    return out
