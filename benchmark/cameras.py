# SPDX-License-Identifier: Apache-2.0
"""How true published rays are, lens by lens, and what rectifying costs: writes benchmark/cameras.json.

    PYTHONPATH=.:test/support python benchmark/cameras.py

The raw picture holds the place of each of its pixels, so that a pixel's published ray can be compared with
the ray that OpenCV gives the place where it came from. "before": the same image taken as a pinhole's, by the
matrix that version 0.1 took.
"""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rays import places

from vision_banana_ros.perception import Intrinsics, points
from vision_banana_ros.perception.camera import FISHEYE_MODELS, Calibration, Camera, camera_for

EYE = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
SIZE = (480, 640)


def square(focal: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """K and P of a focal length, the axis through the middle."""
    k = (focal, 0.0, 319.5, 0.0, focal, 239.5, 0.0, 0.0, 1.0)
    return k, (focal, 0.0, 319.5, 0.0, 0.0, focal, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0)


def cases() -> dict[str, tuple[Calibration, tuple[int, int], Intrinsics | None]]:
    """By name: what CameraInfo says, the size of the image, and the pinhole that version 0.1 made of it;
    None: it refused."""
    k400, p400 = square(400.0)
    k290, p290 = square(290.0)
    k240, _ = square(240.0)
    _, p330 = square(330.0)
    full = Intrinsics(640, 480, 400.0, 400.0, 319.5, 239.5)
    bent = Calibration(640, 480, "plumb_bob", (-0.3, 0.0, 0.0, 0.0, 0.0), k400, EYE, p400)
    region = replace(bent, d=(), region=(320, 240, 320, 240))
    rational = (0.5, -0.2, 0.0, 0.0, 0.01, 0.8, -0.1, 0.02)
    return {
        "ideal equidistant, f = 290": (
            Calibration(640, 480, "equidistant", (0.0,) * 4, k290, EYE, p290),
            SIZE,
            Intrinsics(640, 480, 290.0, 290.0, 319.5, 239.5),
        ),
        "plumb_bob, k1 = -0.3": (bent, SIZE, full),
        "plumb_bob, k1 = -0.3, P of another focal length, on a topic named image_rect": (
            replace(bent, p=p330),
            SIZE,
            Intrinsics(640, 480, 330.0, 330.0, 319.5, 239.5),
        ),
        "rational_polynomial, P all zero": (
            replace(bent, model="rational_polynomial", d=rational, p=(0.0,) * 12),
            SIZE,
            full,
        ),
        "a stereo R of 2 degrees": (
            replace(
                bent,
                d=(),
                r=(
                    math.cos(0.035),
                    0.0,
                    math.sin(0.035),
                    0.0,
                    1.0,
                    0.0,
                    -math.sin(0.035),
                    0.0,
                    math.cos(0.035),
                ),
            ),
            SIZE,
            full,
        ),
        "a roi of the lower right quarter": (region, (240, 320), None),
        "binning 2x2": (replace(bent, d=(), binning=(2, 2)), (240, 320), None),
        "equidistant, f = 240 (153 degrees), P all zero": (
            Calibration(640, 480, "equidistant", (0.0,) * 4, k240, EYE, (0.0,) * 12),
            SIZE,
            Intrinsics(640, 480, 240.0, 240.0, 319.5, 239.5),
        ),
    }


def true_rays(told: Calibration, pixels: np.ndarray) -> np.ndarray:
    """(N, 2) pixels of the sent image -> (N, 3) unit rays in the axes of the rectified image, by OpenCV."""
    x, y = told.region[:2]
    on_sensor = (pixels.astype(np.float64) + 0.5) * np.maximum(told.binning, 1) - 0.5 + (x, y)
    k = np.array(told.k).reshape(3, 3)
    if told.model in FISHEYE_MODELS:
        flat = cv2.fisheye.undistortPoints(on_sensor[None], k, np.array(told.d)).reshape(-1, 2)
    else:
        exact = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-10)
        flat = cv2.undistortPoints(on_sensor[None], k, np.array(told.d), criteria=exact).reshape(-1, 2)
    return unit(np.column_stack([flat, np.ones(len(flat))]) @ np.array(told.r).reshape(3, 3).T)


def unit(rays: np.ndarray) -> np.ndarray:
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def largest_angle(told: Calibration, camera: Camera) -> float:
    """Degrees between the published ray of a pixel and that of what it shows."""
    k = camera.intrinsics
    came_from = camera.rectify(places(k.height, k.width)).reshape(-1, 2)
    rays = unit(points(np.ones((k.height, k.width), np.float32), k).reshape(-1, 3).astype(np.float64))
    seen = (came_from > 0).all(axis=1) & (came_from < (k.width - 1, k.height - 1)).all(axis=1)
    if camera.outside is not None:
        seen &= ~camera.outside.reshape(-1)
    # By the chord, which is exact for small angles too.
    chords = np.linalg.norm(rays[seen] - true_rays(told, came_from[seen]), axis=1)
    return float(np.degrees(2 * np.arcsin(chords / 2)).max())


def rectify_ms() -> dict[str, float]:
    """Milliseconds of processor time, the median of 50, by size. "rectified already": the image itself
    comes back."""
    out = {}
    for height, width in ((480, 640), (720, 1280), (1080, 1920)):
        k = (0.6 * width, 0.0, width / 2, 0.0, 0.6 * width, height / 2, 0.0, 0.0, 1.0)
        bent = Calibration(width, height, "plumb_bob", (-0.3, 0.1, 0.0, 0.0, 0.0), k, EYE, (0.0,) * 12)
        for name, told in (
            (f"{width}x{height}", bent),
            (f"{width}x{height}, rectified already", replace(bent, d=())),
        ):
            camera, image, took = (
                camera_for(told, (height, width)),
                np.zeros((height, width, 3), np.uint8),
                [],
            )
            for _ in range(50):
                started = time.process_time()
                camera.rectify(image)
                took.append(time.process_time() - started)
            out[name] = round(1e3 * float(np.median(took)), 3)
    return out


def main() -> None:
    rays = []
    for name, (told, size, before) in cases().items():
        camera = camera_for(told, size)
        row = {
            "case": name,
            "before_deg": None if before is None else round(largest_angle(told, Camera(before, "")), 2),
            "now_deg": round(largest_angle(told, camera), 4),
            "reading": camera.reading,
        }
        rays.append(row)
        print(row)
    report = {
        "command": "PYTHONPATH=.:test/support python benchmark/cameras.py",
        "rays": rays,
        "rectify_ms": rectify_ms(),
    }
    (Path(__file__).parent / "cameras.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
