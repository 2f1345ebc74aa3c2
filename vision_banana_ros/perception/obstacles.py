# SPDX-License-Identifier: Apache-2.0
"""Converts depth to a small point cloud of obstacles: confident, near and not isolated.

A costmap marks a cell for a single point, so an outlier is an obstacle. Six steps remove speckle and floor: a
confidence threshold, a range limit, classes that are no obstacles, a minimum height above the floor where
that is known, a voxel grid, and the removal of statistical outliers (Rusu 2008, "Towards 3D point cloud based
object maps"), points whose mean distance to their nearest neighbours is far above that of the cloud.

The voxel grid and the outlier removal are own loops. Open3D, with which the tests compare them, gives the
same result, but it is not faster (benchmark/obstacles.json), holds Python's global interpreter lock, and adds
300 MB and desktop libraries.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.depth_scale import BOUNDS, SAMPLES, ground
from vision_banana_ros.perception.geometry import Intrinsics

REACH = 3
"""Neighbours are looked for this many voxels away. One that is missing counts as lying there: the
threshold then does not depend on how far away the outliers are, and the time does not either."""

IGNORED_VOXEL = 0.1
"""Metres. Masks are inexact at their edges: a point that shares a voxel of this edge with an ignored pixel is
ignored, too. Larger voxels lose low obstacles: at 0.2 m, 6 % of the cells with things 5 to 30 cm high."""

USUAL_ERROR = 1.2
"""The factor by which the floor is often seen too near or too far while obstacles are not. Only what exceeds
it is an error of scale: correcting smaller ones moves obstacles that are right, and more of them are
missed."""
MIN_FLOOR_PART = 0.01
"""Of the pixels looked at, this part must be floor."""
FLOOR_AGREES = 0.2
"""At least half of the floor's pixels must agree on its error within this part of it."""

_PER_AXIS = 1 << 20
_EMPTY = np.int64(-1)


@dataclass(frozen=True)
class Floor:
    """The plane that heights are measured from.

    Attributes:
        up: Unit vector in the optical frame.
        camera_height: Metres of the camera above the plane.
    """

    up: tuple[float, float, float]
    camera_height: float

    def heights(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) metres in the optical frame -> (N,) metres above the plane."""
        return points @ np.array(self.up, points.dtype) + points.dtype.type(self.camera_height)


def floor_in_depth(
    depth_m: np.ndarray, intrinsics: Intrinsics, ignored: np.ndarray | None = None
) -> tuple[Floor | None, str]:
    """Finds the floor in depth, (H, W) metres along Z.

    It is first sought among the ignored pixels, (H, W) bool, which are usually floor: in all of depth a table
    may be taken for it.

    Returns:
        The floor, None if there is none; and why there is none.
    """
    plane, reason = None, ""
    if ignored is not None:
        plane, _, reason = ground(np.where(ignored, depth_m, np.nan), intrinsics)
    if plane is None:
        plane, _, reason = ground(depth_m, intrinsics)
    if plane is None:
        return None, reason
    # plane . point = 1 on the plane
    height = float(1 / np.linalg.norm(plane))
    x, y, z = (float(part) for part in -plane * height)
    return Floor((x, y, z), height), ""


def scale_by_floor(
    depth_m: np.ndarray, intrinsics: Intrinsics, floor: Floor, ignored: np.ndarray
) -> tuple[float, str]:
    """The factor by which the depth of obstacles is multiplied, from the error of the floor's depth.

    The depth of a floor pixel is known without the generator: where its ray meets the plane. The error is the
    median ratio of this to the depth seen. The factor is what exceeds `USUAL_ERROR` of it, 1 up to there.

    Args:
        depth_m: (H, W) metres along Z.
        intrinsics: The camera, of the size of depth.
        floor: The floor, known from elsewhere than depth.
        ignored: (H, W) bool, pixels of classes that are no obstacles, most of them floor.

    Returns:
        The factor, 1 without evidence for another; and why there is none, if the floor cannot be compared.
    """
    stride = max(1, math.isqrt(depth_m.size // SAMPLES))
    start, k = stride // 2, intrinsics
    looked_at = ignored[start::stride, start::stride]
    rows, columns = (axis * stride + start for axis in np.nonzero(looked_at))
    rays = np.stack([(columns - k.cx) / k.fx, (rows - k.cy) / k.fy, np.ones(len(rows))], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # at and above the horizon, and without depth
        errors = np.log(-floor.camera_height / (rays @ np.array(floor.up)) / depth_m[rows, columns])
    errors = errors[np.isfinite(errors)]
    if errors.size < MIN_FLOOR_PART * looked_at.size:
        return 1.0, "too little floor is seen"
    error = float(np.median(errors))
    if np.median(np.abs(errors - error)) > math.log1p(FLOOR_AGREES):
        return 1.0, "the ignored classes show no plane"
    if not BOUNDS[0] <= math.exp(error) <= BOUNDS[1]:  # another floor, or TF is wrong
        return 1.0, f"the floor in depth would have to be multiplied by {math.exp(error):.2f}; check TF"
    return math.exp(math.copysign(max(abs(error) - math.log(USUAL_ERROR), 0.0), error)), ""


@dataclass(frozen=True)
class ObstacleFilter:
    """Converts a frame's depth, confidence and camera to obstacle points.

    Attributes:
        min_confidence: Minimum confidence of a pixel (0..1).
        min_range: Minimum depth in metres.
        max_range: Maximum depth in metres.
        voxel: Edge of a voxel in metres; a voxel yields one point, the mean of its points.
        neighbours: Number of nearest neighbours in the outlier test.
        spread: A point is removed if its mean distance to them exceeds the mean of the cloud by more than
            this number of standard deviations.
        min_height: Minimum height in metres above the floor.
    """

    min_confidence: float = 0.5
    min_range: float = 0.2
    max_range: float = 8.0
    voxel: float = 0.05
    neighbours: int = 8
    spread: float = 1.0
    min_height: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise InputError(
                f"The obstacles' min_confidence is {self.min_confidence}; it must lie between 0 and 1."
            )
        if not 0 <= self.min_range < self.max_range <= 1000:
            raise InputError(
                f"Obstacles from {self.min_range} m to {self.max_range} m leave nothing; give a smaller"
                " min_range, and a"
                " max_range up to 1000."
            )
        if not 0.005 <= self.voxel <= 10:
            raise InputError(f"The obstacles' voxel is {self.voxel} m; it must lie between 0.005 and 10.")
        if not 1 <= self.neighbours <= 64:
            raise InputError(f"The obstacles' neighbours are {self.neighbours}; give 1 to 64.")
        if not -10 <= self.min_height <= 10:
            raise InputError(
                f"The obstacles' min_height is {self.min_height} m; it must lie between -10 and 10."
            )
        if not self.spread > 0:
            raise InputError(f"The obstacles' spread is {self.spread}; it must be above 0.")

    def __call__(
        self,
        depth_m: np.ndarray,
        confidence: np.ndarray,
        intrinsics: Intrinsics,
        floor: Floor | None = None,
        ignored: np.ndarray | None = None,
    ) -> np.ndarray:
        """Filters the points of a frame.

        Args:
            depth_m: (H, W) metres along Z.
            confidence: (H, W) confidence of depth, 0 to 1.
            intrinsics: The camera, of the size of depth.
            floor: The floor; None if unknown.
            ignored: (H, W) bool, pixels of classes that are no obstacles; None for none.

        Returns:
            (N, 3) float32 in the optical frame, all finite, in the order of the image rows.

        Raises:
            InputError: If the sizes differ.
        """
        size = (intrinsics.height, intrinsics.width)
        if any(part is not None and part.shape != size for part in (depth_m, confidence, ignored)):
            raise InputError(
                f"Depth {depth_m.shape}, confidence {confidence.shape}, ignored pixels"
                f" {size if ignored is None else ignored.shape} and camera {size} must be of one size; scale"
                " the intrinsics to the depth's."
            )
        if ignored is None:
            gated = self._gated(depth_m, confidence, intrinsics)
        else:
            gated, left_out = (
                self._gated(depth_m, np.where(chosen, confidence, np.nan), intrinsics)
                for chosen in (~ignored, ignored)
            )
            apart = np.empty(len(gated), bool)
            _share_no_voxel(gated, left_out, np.float32(1 / IGNORED_VOXEL), _table(len(left_out))[0], apart)
            gated = gated[apart]
        if floor is not None:
            gated = gated[floor.heights(gated) > self.min_height]
        return drop_outliers(voxels(gated, self.voxel), self.voxel, self.neighbours, self.spread)

    def _gated(self, depth_m: np.ndarray, confidence: np.ndarray, k: Intrinsics) -> np.ndarray:
        """The (N, 3) points of the pixels that are confident and within the range."""
        out = np.empty((k.height * k.width, 3), np.float32)
        count = _gated(
            np.ascontiguousarray(depth_m, np.float32),
            np.ascontiguousarray(confidence, np.float32),
            ((np.arange(k.width) - k.cx) / k.fx).astype(np.float32),
            ((np.arange(k.height) - k.cy) / k.fy).astype(np.float32),
            *(self.min_confidence, self.min_range, self.max_range),
            out,
        )
        return out[:count]


def voxels(points: np.ndarray, voxel: float) -> np.ndarray:
    """Averages (N, 3) finite points in each voxel of a grid with edge `voxel`, to (M, 3) float32.

    The grid is fixed in the camera frame (0 is a corner), so that it does not shift with the content.
    """
    n = len(points)
    sums, counts, means = np.empty((n, 3)), np.empty(n, np.int32), np.empty((n, 3), np.float32)
    points = np.ascontiguousarray(points, np.float32)
    return means[: _voxels(points, np.float32(1 / voxel), *_table(n), sums, counts, means)]


def drop_outliers(points: np.ndarray, voxel: float, neighbours: int, spread: float) -> np.ndarray:
    """Removes statistical outliers from (M, 3) points of `voxels`."""
    if len(points) < 2:
        return points[:0]  # nobody vouches for a single point
    apart = np.empty(len(points), np.float32)
    cells, nearest = np.empty((len(points), 3), np.int64), np.empty(neighbours, np.float32)
    _apart(points, np.float32(voxel), *_table(len(points)), cells, nearest, apart)
    return points[apart <= apart.mean() + spread * apart.std()]


@njit(cache=True, nogil=True)
def _gated(depth_m, confidence, columns, rows, min_confidence, min_range, max_range, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    height, width = depth_m.shape
    least, most = np.float32(min_range * min_range), np.float32(max_range * max_range)
    sure, one = np.float32(min_confidence), np.float32(1)
    n = 0
    for v in range(height):
        y = rows[v]
        for u in range(width):
            z, x = depth_m[v, u], columns[u]
            # NaN fails the comparisons, +inf the last of them.
            if z > 0 and confidence[v, u] >= sure and least <= z * z * (one + x * x + y * y) <= most:
                out[n, 0], out[n, 1], out[n, 2] = x * z, y * z, z
                n += 1
    return n


@njit(inline="always")
def _key(x, y, z):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Combines integer voxel coordinates to one number.

    20 bits per axis, more than 1000 m at the smallest voxel.
    """
    half = np.int64(_PER_AXIS // 2)
    return ((np.int64(x) + half) * _PER_AXIS + (np.int64(y) + half)) * _PER_AXIS + (np.int64(z) + half)


@njit(inline="always")
def _voxel_of(x, y, z, per_metre):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The key of the voxel that holds a point, for a grid of `per_metre` voxels a metre."""
    return _key(np.floor(x * per_metre), np.floor(y * per_metre), np.floor(z * per_metre))


@njit(inline="always")
def _find(keys, key):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The position of a key in the open-addressing hash table, or the empty position where it would be.

    Consecutive voxels along z are adjacent, so that a neighbour search touches few cache lines.
    """
    mask = np.uint64(len(keys) - 1)
    column = np.uint64(key) // np.uint64(_PER_AXIS)
    place = (((column * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) + np.uint64(key)) & mask
    while keys[place] != key and keys[place] != _EMPTY:
        place = (place + np.uint64(1)) & mask
    return place


def _table(most: int) -> tuple[np.ndarray, np.ndarray]:
    """An empty hash table with a load factor of at most 1/4 for `most` entries.

    Keys, and the entry number of each key.
    """
    size = 64
    while size < 4 * most:
        size *= 2
    return np.full(size, _EMPTY, np.int64), np.empty(size, np.int32)


@njit(cache=True, nogil=True)
def _share_no_voxel(points, others, per_metre, keys, apart):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Writes to `apart` which points share no voxel with any of the others."""
    for i in range(len(others)):
        key = _voxel_of(others[i, 0], others[i, 1], others[i, 2], per_metre)
        keys[_find(keys, key)] = key
    for i in range(len(points)):
        key = _voxel_of(points[i, 0], points[i, 1], points[i, 2], per_metre)
        apart[i] = keys[_find(keys, key)] == _EMPTY


@njit(cache=True, nogil=True)
def _voxels(points, per_metre, keys, entries, sums, counts, means):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Writes the mean of each voxel to `means` and returns their number."""
    n = 0
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        key = _voxel_of(x, y, z, per_metre)
        place = _find(keys, key)
        if keys[place] == _EMPTY:
            keys[place], entries[place] = key, n
            sums[n, 0], sums[n, 1], sums[n, 2] = 0.0, 0.0, 0.0
            counts[n] = 0
            n += 1
        k = entries[place]
        sums[k, 0] += x
        sums[k, 1] += y
        sums[k, 2] += z
        counts[k] += 1
    for k in range(n):
        for axis in range(3):
            means[k, axis] = sums[k, axis] / counts[k]
    return n


@njit(cache=True, nogil=True)
def _apart(points, voxel, keys, entries, cells, nearest, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Writes the mean distances in metres to the nearest points, as many as `nearest` holds, to `out`."""
    neighbours = len(nearest)
    per_metre = np.float32(1) / voxel
    for i in range(len(points)):
        for axis in range(3):
            cells[i, axis] = np.int64(np.floor(points[i, axis] * per_metre))
        key = _key(cells[i, 0], cells[i, 1], cells[i, 2])
        place = _find(keys, key)
        keys[place], entries[place] = key, i
    for i in range(len(points)):
        nearest[:] = (REACH * voxel) ** 2
        for ring in range(1, REACH + 1):
            # Nothing beyond the rings searched is nearer than this.
            if ring > 1 and nearest[neighbours - 1] <= ((ring - 1) * voxel) ** 2:
                break
            _search(points, keys, entries, cells, i, ring, nearest)
        total = np.float32(0)
        for k in range(neighbours):
            total += np.sqrt(nearest[k])
        out[i] = total / neighbours


@njit(cache=True, nogil=True)
def _search(points, keys, entries, cells, i, ring, nearest):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Inserts the points of the voxels at the distance `ring` into the sorted squared distances `nearest`."""
    last = len(nearest) - 1
    for dx in range(-ring, ring + 1):
        for dy in range(-ring, ring + 1):
            shell = abs(dx) == ring or abs(dy) == ring
            for dz in range(-ring, ring + 1, 1 if shell else 2 * ring):
                place = _find(keys, _key(cells[i, 0] + dx, cells[i, 1] + dy, cells[i, 2] + dz))
                if keys[place] == _EMPTY:
                    continue
                other = entries[place]
                x, y, z = (
                    points[i, 0] - points[other, 0],
                    points[i, 1] - points[other, 1],
                    points[i, 2] - points[other, 2],
                )
                distance2 = x * x + y * y + z * z
                if distance2 >= nearest[last]:
                    continue
                k = last
                while k > 0 and nearest[k - 1] > distance2:
                    nearest[k] = nearest[k - 1]
                    k -= 1
                nearest[k] = distance2
