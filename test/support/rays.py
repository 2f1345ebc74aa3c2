# SPDX-License-Identifier: Apache-2.0
"""Pictures that tell where each pixel came from, and the rays that OpenCV gives those places."""

import cv2
import numpy as np

from vision_banana_ros.perception.camera import FISHEYE_MODELS, Calibration


def places(height: int, width: int) -> np.ndarray:
    """(H, W, 2) float32: each pixel holds its own column and row."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)


def project(calibration: Calibration, points: np.ndarray) -> np.ndarray:
    """(N, 3) points in the camera's own axes -> (N, 2) pixels of the raw image of the full sensor, by
    OpenCV."""
    k = np.array(calibration.k).reshape(3, 3)
    zero, d = np.zeros(3), np.array(calibration.d or (0.0,) * 4)
    if calibration.model in FISHEYE_MODELS:
        return cv2.fisheye.projectPoints(points[None].astype(np.float64), zero, zero, k, d[:4])[0].reshape(
            -1, 2
        )
    return cv2.projectPoints(points.astype(np.float64), zero, zero, k, d)[0].reshape(-1, 2)


def on_image(calibration: Calibration, pixels: np.ndarray) -> np.ndarray:
    """Pixels of the full sensor -> of the image that is sent: the region first, then blocks of binning."""
    x, y = calibration.region[:2]
    binning = np.maximum(calibration.binning, 1)
    return (pixels - (x, y) + 0.5) / binning - 0.5


def degrees_a_pixel(calibration: Calibration, points: np.ndarray) -> np.ndarray:
    """(N,) how many degrees a pixel of the sent image is at these points, across the direction in which it
    is the most."""
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    side = np.cross(unit, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(unit, side)
    step, here = 1e-4, on_image(calibration, project(calibration, unit))
    moves = [
        np.linalg.norm(on_image(calibration, project(calibration, unit + step * axis)) - here, axis=1)
        for axis in (side, up)
    ]
    return np.degrees(step) / np.minimum(*moves)
