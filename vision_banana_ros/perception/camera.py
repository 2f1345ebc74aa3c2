# SPDX-License-Identifier: Apache-2.0
"""What a CameraInfo says of a picture: which pinhole camera it has, and how a raw picture becomes that one's.

The reading follows the comments of sensor_msgs/CameraInfo:

- K and D describe the raw image, R and P the rectified one; both are of the full sensor, before binning and
  region.
- An image is taken as raw unless K, D, R and P say that raw and rectified are the same picture; nothing else
  can be known from the message, and nothing else is looked at (not the topic's name). `image_is_rectified`
  overrules it.
- P all zero: the rectified camera is K's. K all zero with P given: the image is rectified. R all zero: no
  rotation.
- Tx and Ty in P's last column tell where another camera of a rig is. Rays start at this camera, so they play
  no part.
- R turns the camera's axes into those of the rectified image; points are in the axes of the rectified image.
- The region of interest is given in pixels of the full sensor, binning comes after it. A binned pixel covers
  a block, so that c' = (c - offset + 0.5) / binning - 0.5, while image_geometry leaves out the half pixel.

Rectifying is OpenCV's: `initUndistortRectifyMap` of its pinhole and fisheye models.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.geometry import Intrinsics

PINHOLE_MODELS = {"plumb_bob": (0, 4, 5), "rational_polynomial": (0, 4, 5, 8, 12, 14)}
"""Distortion models by the names in use (sensor_msgs/distortion_models), with the numbers of coefficients
that OpenCV takes."""
FISHEYE_MODELS = ("equidistant", "fisheye", "kannala_brandt", "kannala_brandt4")
"""Names of one model, Kannala and Brandt's with four coefficients: without any, r = f theta."""
UNDISTORTED = ("", "none", "pinhole")
"""Names that say that there is no distortion; D must then be zero."""
MODELS = (*PINHOLE_MODELS, *FISHEYE_MODELS, *UNDISTORTED[1:])

WIDEST_DEG = 120.0
"""A fisheye that sees more is not unrolled whole: a pinhole's border would be stretched beyond what a
generator can read."""
VIRTUAL_FOV_DEG = 100.0
"""Of the pinhole that takes its place, along the image's longer side."""

LEAST_SLOPE = 0.1
"""Of what a lens draws apart over what a pinhole at its centre does: with less, a pixel is a smear of ten."""
LEAST_SEEN = 0.05
"""Of a rectified image that the raw one must show: with less, D, R or P are of another camera."""
FOCAL_LENGTHS = (0.05, 100.0)
"""In image widths (the longer side): 169 degrees and half a degree of view. What lies outside is no lens
of a robot."""
ASPECT = 4.0
"""Largest quotient of the two focal lengths."""

Rectify = Literal["auto", "never"]
Rectified = Literal["auto", "true", "false"]


@dataclass(frozen=True)
class Calibration:
    """The numbers of a CameraInfo.

    Attributes:
        width: Of the full sensor in pixels; K, R and P are for the full sensor, too.
        height: As width.
        model: distortion_model.
        d: Distortion coefficients.
        k: Row by row.
        r: Row by row.
        p: Row by row.
        binning: Horizontal and vertical; 0 means 1.
        region: x, y, width and height on the full sensor; all 0 means everything.
    """

    width: int
    height: int
    model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    binning: tuple[int, int] = (0, 0)
    region: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def of(cls, info: Any) -> "Calibration":
        """Of a sensor_msgs/CameraInfo, from rclpy or out of a bag."""
        d, k, r, p = (tuple(map(float, matrix)) for matrix in (info.d, info.k, info.r, info.p))
        region = (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height)
        return cls(
            info.width,
            info.height,
            info.distortion_model,
            d,
            k,
            r,
            p,
            (info.binning_x, info.binning_y),
            region,
        )

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the images that are sent.

        InputError where binning and region contradict the sensor.
        """
        _, _, width, height = _region(self)
        return height // max(1, self.binning[1]), width // max(1, self.binning[0])

    @classmethod
    def of_pinhole(cls, k: Intrinsics) -> "Calibration":
        """Of a camera without distortion."""
        eye = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        matrix, projection = (
            (k.fx, 0.0, k.cx, 0.0, k.fy, k.cy, 0.0, 0.0, 1.0),
            (k.fx, 0.0, k.cx, 0.0, 0.0, k.fy, k.cy, 0.0),
        )
        return cls(k.width, k.height, "plumb_bob", (0.0,) * 5, matrix, eye, (*projection, 0.0, 0.0, 1.0, 0.0))


@dataclass(frozen=True, eq=False)
class Camera:
    """The camera of the pictures of one size that are painted and published.

    intrinsics: the pinhole, on the picture's own grid. reading: in words, what its CameraInfo was taken to
    say.
    """

    intrinsics: Intrinsics
    reading: str
    _maps: tuple[np.ndarray, np.ndarray] | None = None
    outside: np.ndarray | None = None
    """(H, W) bool, or None for nowhere: pixels of the rectified picture that the raw one does not show."""

    def rectify(self, image: np.ndarray) -> np.ndarray:
        """(H, W, C) as it came -> the picture of `intrinsics`.

        The image itself where there is nothing to do.
        """
        if self._maps is None:
            return image
        return cv2.remap(image, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=16)
@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # of numbers that are refused for it
def camera_for(
    calibration: Calibration,
    size: tuple[int, int],
    image_is_rectified: Rectified = "auto",
    rectify: Rectify = "auto",
) -> Camera:
    """The camera of images of `size` (height, width) that come with this calibration.

    The maps are computed once and kept. rectify "never": a raw image that is not a pinhole's is refused
    instead of resampled. InputError names the field that is wrong, or that does not fit the image.
    """
    c = calibration
    _check_size(c)
    x, y, width, height = _region(c)
    bin_x, bin_y = (max(1, b) for b in c.binning)
    if c.image_size != size:
        raise _of_another_size(c, size, (width, height))

    def on_image(pinhole: tuple[float, float, float, float]) -> Intrinsics:
        fx, fy, cx, cy = pinhole
        cx, cy = (cx - x + 0.5) / bin_x - 0.5, (cy - y + 0.5) / bin_y - 0.5
        return Intrinsics(size[1], size[0], fx / bin_x, fy / bin_y, cx, cy)

    raw, rectified = _pinhole(c, "K", c.k, 3), _pinhole(c, "P", c.p, 4)
    rotation = _rotation(c)
    if image_is_rectified == "true" or (image_is_rectified == "auto" and raw is None):
        given = rectified or raw
        if given is None:
            raise _nothing(c)
        return Camera(on_image(given), f"rectified, by {'P' if rectified else 'K'}")
    if raw is None:
        raise (
            _nothing(c)
            if rectified is None
            else InputError("CameraInfo has no K, which a raw image needs; calibrate the camera.")
        )
    fisheye, d = _distortion(c)
    straight = not fisheye and not any(d)
    turned = not np.allclose(rotation, np.eye(3), atol=1e-6)
    if straight and not turned:
        how = (
            "rectified: no distortion, no rotation"
            if rectified in (None, raw)
            else ("raw without distortion, by K")
        )
        return Camera(on_image(raw), how)
    if rectify == "never":
        raise InputError(
            f"The image is raw ({c.model or 'a stereo R'}) and rectify is never: its pixels are not a"
            " pinhole's. Set rectify to"
            " auto, or image_is_rectified to true where the image is rectified already."
        )
    target, told = rectified or raw, "P" if rectified else "K"
    if (
        fisheye
        and _widest(target, width, height) > WIDEST_DEG
        or (fisheye and rectified is None and _sees(c, raw) > WIDEST_DEG)
    ):
        focal = max(width, height) / 2 / math.tan(math.radians(VIRTUAL_FOV_DEG) / 2)
        target, told = (
            (focal, focal, x + (width - 1) / 2, y + (height - 1) / 2),
            (f"a virtual pinhole of {VIRTUAL_FOV_DEG:g} degrees"),
        )
    new = on_image(target)
    maps, outside = _maps(c, fisheye, d, rotation, on_image(raw), new)
    return Camera(
        new, f"raw ({c.model}{', turned by R' if turned else ''}), rectified here to {told}", maps, outside
    )


def _check_size(c: Calibration) -> None:
    if c.width <= 0 or c.height <= 0:
        raise InputError(
            f"CameraInfo's width and height are {c.width}x{c.height}; give the size of the full sensor."
        )


def _region(c: Calibration) -> tuple[int, int, int, int]:
    """x, y, width, height of what is read of the sensor."""
    x, y, width, height = c.region
    if not any(c.region):
        return 0, 0, c.width, c.height
    if width <= 0 or height <= 0 or x < 0 or y < 0 or x + width > c.width or y + height > c.height:
        raise InputError(
            f"CameraInfo's roi, {width}x{height} pixels from ({x}, {y}), does not lie on the sensor of"
            f" {c.width}x{c.height}; it"
            " is given in pixels of the full sensor, before binning. Correct the camera's driver."
        )
    return x, y, width, height


def _of_another_size(c: Calibration, size: tuple[int, int], region: tuple[int, int]) -> InputError:
    what = full = f"{c.width}x{c.height} pixels"
    if max(c.binning) > 1:
        what += f" with binning {max(1, c.binning[0])}x{max(1, c.binning[1])}"
    if region != (c.width, c.height):
        what += f" and a roi of {region[0]}x{region[1]}"
    makes = "" if what == full else f", which makes {c.image_size[1]}x{c.image_size[0]}"
    return InputError(
        f"CameraInfo is for {what}{makes}, the image has {size[1]}x{size[0]}. Publish the"
        " info of the same stream."
    )


def _pinhole(
    c: Calibration, name: str, matrix: tuple[float, ...], columns: int
) -> tuple[float, float, float, float] | None:
    """fx, fy, cx, cy of K or P on the full sensor; None where it is all zero.

    InputError where it cannot be a lens.
    """
    if len(matrix) != 3 * columns:
        raise InputError(
            f"CameraInfo's {name} has {len(matrix)} numbers, not {3 * columns}. Calibrate the camera."
        )
    if not any(matrix) or not any(number for i, number in enumerate(matrix) if i != 2 * columns + 2):
        return None
    if not all(map(math.isfinite, matrix)):
        raise InputError(
            f"CameraInfo's {name} holds numbers that are not finite: {_row(matrix)}. Calibrate the camera."
        )
    fx, fy, cx, cy = matrix[0], matrix[columns + 1], matrix[2], matrix[columns + 2]
    longest = max(c.width, c.height)
    least, most = (limit * longest for limit in FOCAL_LENGTHS)
    if not (least <= fx <= most and least <= fy <= most and max(fx, fy) <= ASPECT * min(fx, fy)):
        raise InputError(
            f"CameraInfo's {name} has focal lengths of {fx:g} and {fy:g} pixels, which no lens has for"
            f" {c.width}x{c.height}"
            " pixels. Calibrate the camera."
        )
    if not (-c.width <= cx <= 2 * c.width and -c.height <= cy <= 2 * c.height):
        raise InputError(
            f"CameraInfo's {name} has its principal point at ({cx:g}, {cy:g}), far outside the"
            f" {c.width}x{c.height} pixels."
            " Calibrate the camera."
        )
    last = matrix[2 * columns :]
    if last[2] not in (0.0, 1.0) or last[0] or last[1] or any(last[3:]):
        raise InputError(
            f"CameraInfo's {name} ends in the row {_row(last)}, not in {_row((0.0, 0.0, 1.0, 0.0)[:columns])}"
            ". Calibrate the camera."
        )
    if abs(matrix[1]) > 1e-6 * fx or abs(matrix[columns]) > 1e-6 * fx:
        raise InputError(
            f"CameraInfo's {name} has skewed axes ({_row(matrix)}), which are not read."
            " Calibrate without skew."
        )
    return fx, fy, cx, cy


def _rotation(c: Calibration) -> np.ndarray:
    """R; the identity where it is all zero."""
    if len(c.r) != 9 or not all(map(math.isfinite, c.r)):
        raise InputError(f"CameraInfo's R is no rotation: {_row(c.r)}. Calibrate the camera.")
    if not any(c.r):
        return np.eye(3)
    r = np.array(c.r).reshape(3, 3)
    if np.abs(r @ r.T - np.eye(3)).max() > 1e-3 or np.linalg.det(r) < 0:
        raise InputError(f"CameraInfo's R is no rotation: {_row(c.r)}. Calibrate the camera.")
    return r


def _distortion(c: Calibration) -> tuple[bool, tuple[float, ...]]:
    """Whether the lens is a fisheye, and the coefficients for OpenCV."""
    if not all(map(math.isfinite, c.d)):
        raise InputError(
            f"CameraInfo's D holds numbers that are not finite: {_row(c.d)}. Calibrate the camera."
        )
    name = c.model.strip().lower()
    fisheye = name in FISHEYE_MODELS
    counts = (0, 4) if fisheye else PINHOLE_MODELS.get(name, ())
    if not fisheye and not counts:
        if name in UNDISTORTED and not any(c.d):
            return False, ()
        if name in UNDISTORTED:
            raise InputError(
                f"CameraInfo has a D of {_row(c.d)}, but no distortion_model; name one of"
                f" {', '.join(MODELS)}."
            )
        raise InputError(
            f"CameraInfo's distortion_model {c.model!r} is not known, only {', '.join(MODELS)}. Calibrate"
            " the camera with one"
            " of them, or rectify its images and set image_is_rectified to true."
        )
    d = c.d
    while d and len(d) not in counts and d[-1] == 0:
        d = d[:-1]
    if len(d) not in counts:
        raise InputError(
            f"CameraInfo's D has {len(c.d)} numbers, but {c.model} takes"
            f" {' or '.join(str(n) for n in counts if n)}."
            " Correct D or distortion_model."
        )
    return fisheye, d or (0.0,) * 4


def _nothing(c: Calibration) -> InputError:
    return InputError(
        "CameraInfo holds no focal length: K and P are zero. Calibrate the camera and load its calibration."
    )


def _widest(pinhole: tuple[float, float, float, float], width: int, height: int) -> float:
    """Degrees of view of a pinhole along its wider side."""
    return max(
        math.degrees(2 * math.atan(width / 2 / pinhole[0])),
        math.degrees(2 * math.atan(height / 2 / pinhole[1])),
    )


def _sees(c: Calibration, raw: tuple[float, float, float, float]) -> float:
    """Degrees of view of a fisheye along its wider side, as far as r = f theta tells."""
    return max(math.degrees(c.width / raw[0]), math.degrees(c.height / raw[1]))


def _row(numbers: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


def _maps(
    c: Calibration,
    fisheye: bool,
    d: tuple[float, ...],
    rotation: np.ndarray,
    raw: Intrinsics,
    new: Intrinsics,
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray | None]:
    """Where each pixel of `new` lies in the raw image, for cv2.remap, and which lie nowhere in it."""
    k, p = (np.array([[i.fx, 0, i.cx], [0, i.fy, i.cy], [0, 0, 1]]) for i in (raw, new))
    make: Callable[..., Any] = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
    u, v = make(k, np.array(d), rotation, p, (new.width, new.height), cv2.CV_32FC1)
    seen = (u >= -0.5) & (u <= raw.width - 0.5) & (v >= -0.5) & (v <= raw.height - 0.5)
    seen &= _unfolded(fisheye, d, rotation, new) & _not_mirrored(u, v)
    if seen.mean() < LEAST_SEEN:
        raise InputError(
            f"By CameraInfo's D, R and P the raw image shows {seen.mean():.1%} of the rectified one;"
            f" calibrate the camera ({c.model})."
        )
    # Fixed-point maps: remap takes half the time, and a thirty-second of a pixel is what it interpolates by.
    return cv2.convertMaps(u, v, cv2.CV_16SC2), None if seen.all() else ~seen


def _unfolded(fisheye: bool, d: tuple[float, ...], rotation: np.ndarray, new: Intrinsics) -> np.ndarray:
    """Returns (H, W) bool: rays within the angle up to which the distortion grows with it.

    Beyond it the polynomials turn back, and what lies outside the image would be read from inside it.
    """
    x = ((np.arange(new.width) - new.cx) / new.fx).astype(np.float32)
    y = ((np.arange(new.height) - new.cy) / new.fy).astype(np.float32)[:, None]
    right, down, forward = (x * np.float32(a) + y * np.float32(b) + np.float32(c) for a, b, c in rotation.T)
    angle = np.arctan2(np.hypot(right, down), forward)
    limit = math.pi if fisheye else math.pi / 2 - 1e-3
    angles = np.linspace(0, limit, 4000)
    if fisheye:
        powers = angles**2
        reach = angles * (1 + powers * (d[0] + powers * (d[1] + powers * (d[2] + powers * d[3]))))
    else:
        k1, k2, _, _, k3, k4, k5, k6 = (*d, *(0.0,) * 8)[:8]
        r = np.tan(angles)
        r2 = r * r
        reach = r * (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    turns = np.flatnonzero(np.diff(reach) <= LEAST_SLOPE * np.diff(angles))
    return angle < (angles[turns[0]] if turns.size else limit)


def _not_mirrored(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns (H, W) bool: where the raw image lies as in the rectified one, and not turned inside out.

    Tangential, prism and tilt coefficients fold the image, too, but not by the angle alone.
    """
    if min(u.shape) < 2:
        return np.ones(u.shape, bool)
    u_down, u_right = np.gradient(u)
    v_down, v_right = np.gradient(v)
    return u_right * v_down > u_down * v_right
