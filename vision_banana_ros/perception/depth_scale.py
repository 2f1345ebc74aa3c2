# SPDX-License-Identifier: Apache-2.0
"""Estimates the global scale error of depth, from the height of the camera or from range measurements.

`from_camera_height` and `from_ranges` evaluate one frame and return an `Evidence`. `ScaleCorrection` filters
many of them: the factor stays within `BOUNDS` and changes by at most `CHANGE_PER_S`. Evidence outside the
bounds is rejected, because a wrong height is more likely than such an error of the generator.
"""

import math
from collections import Counter, deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.geometry import Intrinsics

BOUNDS = (0.5, 2.0)
CHANGE_PER_S = 0.05
"""Largest change of the factor in a second, as a part of itself."""
WINDOW = 15
"""Frames whose evidence is weighed: the factor goes towards their median."""
LONGEST_STEP_S = 1.0
"""A longer pause between two frames counts as this long: a jump in time must not become a jump in scale."""

AGREE = 0.1
"""Points within this part of the common answer speak for it."""
MIN_GROUND_PART = 0.1
"""Of the looked-at pixels, this part must be ground."""
MIN_RANGES = 20
MAX_RANGES = 100_000
"""More points than this are thinned out."""
MAX_TILT = math.radians(45)
"""Of the ground against the image's horizontal: a camera looks at most this far down, up or rolled."""
SAMPLES = 4000
"""Of the image's pixels, about so many are looked at for the ground."""
MIN_SAMPLES = 200
TRIES = 128
ON_GROUND, UNDER_GROUND = 0.1, 0.25
"""Parts of the camera's height: so far off is still ground, so far below is something else, which ground
does not have."""


@dataclass(frozen=True)
class Evidence:
    """The scale estimate of one frame.

    Attributes:
        scale: The factor by which depth has to be multiplied; NaN if there is no estimate.
        reason: Why there is none.
        inliers: Number of pixels or range measurements that agree.
        spread: Their median deviation, relative to the scale.
    """

    scale: float = math.nan
    inliers: int = 0
    spread: float = math.nan
    reason: str = ""


class ScaleCorrection:
    """The filtered scale factor of a camera's depth. Initially 1."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Resets the filter, for another bundle or camera."""
        self.value = 1.0
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._stamp_ns: int | None = None
        self._last = Evidence(reason="nothing was seen yet")
        self._counts: Counter[str] = Counter()

    def observe(self, evidence: Evidence, stamp_ns: int) -> float:
        """Adds the evidence of the frame with this stamp, and returns the scale factor for it."""
        before, self._stamp_ns = self._stamp_ns, stamp_ns
        if not math.isfinite(evidence.scale):
            self._last = evidence
            self._counts["none"] += 1
            return self.value
        if not BOUNDS[0] <= evidence.scale <= BOUNDS[1]:
            reason = (
                f"depth would have to be multiplied by {evidence.scale:.3g}, which is outside {BOUNDS[0]:g}"
                f" to {BOUNDS[1]:g}"
                " and not believed; check camera_height (metres), or the ranges and where their sensor is"
                " mounted"
            )
            self._last = Evidence(evidence.scale, evidence.inliers, evidence.spread, reason)
            self._counts["refused"] += 1
            return self.value
        self._last = evidence
        self._counts["used"] += 1
        self._recent.append(evidence.scale)
        elapsed_s = 0.0 if before is None else min(max((stamp_ns - before) / 1e9, 0.0), LONGEST_STEP_S)
        most = math.exp(math.log1p(CHANGE_PER_S) * elapsed_s)
        wanted = median(self._recent)
        self.value = min(max(min(max(wanted, self.value / most), self.value * most), BOUNDS[0]), BOUNDS[1])
        return self.value

    @property
    def fault(self) -> str:
        """A sentence if the last frame gave no usable evidence, otherwise empty."""
        return f"The scale of depth is not checked: {self._last.reason}." if self._last.reason else ""

    def report(self) -> dict[str, str]:
        """Values for diagnostics by name."""
        return {
            "scale": f"{self.value:.4f}",
            "scale seen": f"{self._last.scale:.4f}",
            "scale inliers": str(self._last.inliers),
            "scale spread": f"{self._last.spread:.4f}",
            "frames used": str(self._counts["used"]),
            "frames refused": str(self._counts["refused"]),
            "frames without evidence": str(self._counts["none"]),
        }


def from_camera_height(depth_m: np.ndarray, intrinsics: Intrinsics, height_m: float) -> Evidence:
    """Estimates the scale as the known height of the camera divided by the height that depth shows.

    On a plane, 1 / depth is linear in the ray of the pixel. RANSAC (Fischler and Bolles 1981, with fixed
    random numbers) fits planes to three random pixels; the best one is refined on its inliers. The ground is
    the plane with the most pixels on it and few below it, tilted by at most `MAX_TILT`. depth_m is (H, W)
    metres along Z. InputError for an implausible height.
    """
    if not 0 < height_m < 100:
        raise InputError(f"camera_height is {height_m}; give metres above the ground, between 0 and 100.")
    plane, points, reason = ground(depth_m, intrinsics)
    if plane is None:
        return Evidence(reason=reason)
    # plane . point = 1 on the plane, so the camera is 1 / |plane| away from it.
    off = np.abs(points @ plane - 1)
    on = off < ON_GROUND
    return Evidence(float(height_m * np.linalg.norm(plane)), int(on.sum()), float(np.median(off[on])))


def ground(depth_m: np.ndarray, intrinsics: Intrinsics) -> tuple[np.ndarray | None, np.ndarray, str]:
    """Finds the ground in depth, (H, W) metres along Z.

    Returns:
        The plane as a vector whose product with the plane's points is 1, None where there is no ground; the
        (N, 3) points that were looked at; and why there is no ground.
    """
    _check(depth_m, intrinsics)
    stride = max(1, math.isqrt(depth_m.size // SAMPLES))
    start = stride // 2
    z = depth_m[start::stride, start::stride].astype(np.float64)
    least = max(MIN_SAMPLES, round(MIN_GROUND_PART * z.size))
    rows, columns = np.nonzero(np.isfinite(z) & (z > 0.01) & (z < 1e4))
    z = z[rows, columns]
    if z.size < least:
        return None, np.zeros((0, 3)), "too little of depth can be read to find the ground"
    k = intrinsics
    x, y = (columns * stride + start - k.cx) / k.fx * z, (rows * stride + start - k.cy) / k.fy * z
    points = np.stack([x, y, z], axis=1)
    plane = _ground(points, least)
    return (
        plane,
        points,
        ("no ground is seen; the camera must see enough of it, and be level within 45 degrees"),
    )


def from_ranges(depth_m: np.ndarray, intrinsics: Intrinsics, points: np.ndarray) -> Evidence:
    """Estimates the scale as the median ratio of measured to predicted depth.

    points: (N, 3) metres in the optical frame. Points at depth edges are ignored, because the sensor may see
    past the object that the camera sees. At least half of the others must agree within `AGREE`.
    """
    i, j, measured = on_image(points, depth_m, intrinsics)
    around = around_of(depth_m, i, j)
    near, far = around.min(axis=0), around.max(axis=0)
    smooth = (near > 0.01) & (far <= (1 + AGREE) * near) & (far < np.inf)  # NaN fails it
    ratios = np.log(measured[smooth] / depth_m[i, j][smooth])
    if ratios.size < MIN_RANGES:
        reason = f"only {ratios.size} ranges fall on readable surfaces, {MIN_RANGES} are needed"
        return Evidence(inliers=int(ratios.size), reason=reason)
    off = np.abs(ratios - np.median(ratios))
    agreeing = off <= math.log1p(AGREE)
    inliers = int(agreeing.sum())
    if inliers < max(MIN_RANGES, ratios.size / 2):
        return Evidence(
            inliers=inliers,
            reason="the ranges do not agree on one scale; check where their sensor is mounted",
        )
    return Evidence(math.exp(float(np.median(ratios[agreeing]))), inliers, float(np.median(off[agreeing])))


def on_image(
    points: np.ndarray, depth: np.ndarray, intrinsics: Intrinsics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and depth of the points, (N, 3) in the optical frame, on inner pixels of `depth`."""
    _check(depth, intrinsics)
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"Ranges must be points (N, 3); they are {points.shape}.")
    points = points[:: max(1, -(-len(points) // MAX_RANGES))]
    points = points[(np.abs(points) < 1e4).all(axis=1) & (points[:, 2] > 0.01)]  # NaN fails it
    k = intrinsics
    column = np.rint(k.fx * points[:, 0] / points[:, 2] + k.cx)
    row = np.rint(k.fy * points[:, 1] / points[:, 2] + k.cy)
    inside = (column >= 1) & (column < k.width - 1) & (row >= 1) & (row < k.height - 1)
    return row[inside].astype(int), column[inside].astype(int), points[inside, 2]


def around_of(depth: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(9, N) values of inner pixels and their neighbours; the pixels themselves are in the middle."""
    return np.stack([depth[rows + a, columns + b] for a in (-1, 0, 1) for b in (-1, 0, 1)])


def scan_points(
    ranges: np.ndarray, angle_min: float, angle_increment: float, range_min: float, range_max: float
) -> np.ndarray:
    """Converts a LaserScan to (N, 3) metres in the frame of the laser, without invalid beams."""
    ranges = np.asarray(ranges, np.float64)
    angles = angle_min + angle_increment * np.arange(ranges.size)
    hit = np.isfinite(ranges) & (ranges >= range_min) & (ranges <= range_max)
    r, a = ranges[hit], angles[hit]
    return np.stack([r * np.cos(a), r * np.sin(a), np.zeros_like(r)], axis=1)


def moved(points: np.ndarray, optical_from_sensor: np.ndarray) -> np.ndarray:
    """Transforms (N, 3) points of a sensor frame to the optical frame of the camera, by a 4x4 matrix."""
    return np.asarray(points, np.float64) @ optical_from_sensor[:3, :3].T + optical_from_sensor[:3, 3]


@njit(cache=True, nogil=True)
def apply(depth_m: np.ndarray, scale: float) -> None:
    """Multiplies depth (H, W) by the scale, in place. NaN and inf are unchanged."""
    factor = np.float32(scale)
    for i in range(depth_m.shape[0]):
        for j in range(depth_m.shape[1]):
            depth_m[i, j] *= factor


def _check(depth_m: np.ndarray, intrinsics: Intrinsics) -> None:
    if depth_m.shape != (intrinsics.height, intrinsics.width):
        raise InputError(
            f"The depth is {depth_m.shape[1]}x{depth_m.shape[0]}, the camera"
            f" {intrinsics.width}x{intrinsics.height};"
            " scale the intrinsics to the depth's size."
        )


def _ground(points: np.ndarray, least: int) -> np.ndarray | None:
    """The plane n / height (n points down) with the most of (N, 3) points on it and few below it, or None."""
    triples = points[np.random.default_rng(0).integers(0, len(points), (TRIES, 3))]
    triples = triples[np.abs(np.linalg.det(triples)) > 1e-9]
    # As many right sides as there are triples: NumPy 1 takes one matrix for a stack of vectors, and refuses
    # it.
    planes = np.linalg.solve(triples, np.ones((len(triples), 3, 1)))[..., 0]
    planes = planes[_level(planes)]
    if len(planes) == 0:
        return None
    off = points @ planes.T - 1
    votes = _agreement(off).sum(axis=0) - 3 * (off > UNDER_GROUND).sum(axis=0)
    plane = planes[int(votes.argmax())]
    for _ in range(8):
        weights = _agreement(points @ plane - 1)
        if np.count_nonzero(weights) < least:
            return None
        plane = np.linalg.lstsq(points * weights[:, None], weights, rcond=None)[0]
    off = points @ plane - 1
    on, under = np.count_nonzero(np.abs(off) < ON_GROUND), np.count_nonzero(off > UNDER_GROUND)
    return plane if _level(plane[None])[0] and on >= least and 3 * under < on else None


def _agreement(off: np.ndarray) -> np.ndarray:
    """1 for points on the plane, falling to 0 at the distance `ON_GROUND` (Tukey's biweight)."""
    return np.square(np.maximum(1 - np.square(off / ON_GROUND), 0))


def _level(planes: np.ndarray) -> np.ndarray:
    """Which of (N, 3) normals point down in the image, within `MAX_TILT`."""
    return planes[:, 1] > math.cos(MAX_TILT) * np.linalg.norm(planes, axis=1)
