# SPDX-License-Identifier: Apache-2.0
"""Ids that things keep from frame to frame.

Boxes of one class are assigned to tracks by SciPy's `linear_sum_assignment` (the optimal assignment, Crouse
2016) over the distance-IoU (Zheng et al. 2020), between the frame's boxes and where a Kalman filter of
constant velocity expects the tracks, as in SORT (Bewley et al. 2016). Time is that of the frames' stamps, so
that dropped frames count as what they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from vision_banana_ros.perception.detections import Detection

FARTHEST = 1.3
"""1 - distance-IoU up to which a box may be a track's: without overlap, centres apart by half the diagonal
around both."""
LOST_S = 1.0
"""A track that is not seen for longer is forgotten; its id does not come again."""
SURE_AFTER = 3
"""Frames in which a thing was seen before its track counts as sure."""

BOX_NOISE, ACCELERATION, FIRST_SPEED = 0.05, 2.0, 1.0
"""Standard deviations in sizes of the box: of a measured box, of what its speed changes by in a second, of
a new track's speed."""


@dataclass(frozen=True)
class Tracked:
    """A detection with its track.

    Box: left, top, width and height as the filter sees them. sure: seen often enough.
    """

    detection: Detection
    id: int
    sure: bool
    box: tuple[float, float, float, float]


class _Track:
    """Centre x, centre y, width and height of a box, each with its speed, in pixels and seconds.

    Each by a filter of its own.
    """

    def __init__(self, number: int, name: str, measured: np.ndarray):
        self.id, self.name = number, name
        self.seen, self.unseen_s = 1, 0.0
        self.state = np.stack([measured, np.zeros(4)], axis=1)
        size = measured[2:].mean()
        self.covariance = np.tile(np.diag([(BOX_NOISE * size) ** 2, (FIRST_SPEED * size) ** 2]), (4, 1, 1))

    def predict(self, dt: float) -> None:
        move = np.array([[1.0, dt], [0.0, 1.0]])
        self.state = self.state @ move.T
        self.state[2:, 0] = np.maximum(self.state[2:, 0], 1.0)
        pushed = (
            np.outer([dt * dt / 2, dt], [dt * dt / 2, dt]) * (ACCELERATION * self.state[2:, 0].mean()) ** 2
        )
        self.covariance = move @ self.covariance @ move.T + pushed
        self.unseen_s += dt

    def update(self, measured: np.ndarray) -> None:
        noise = (BOX_NOISE * measured[2:].mean()) ** 2
        gain = self.covariance[:, :, 0] / (self.covariance[:, 0, 0] + noise)[:, None]
        self.state = self.state + gain * (measured - self.state[:, 0])[:, None]
        self.covariance = self.covariance - gain[:, :, None] * self.covariance[:, None, 0, :]
        self.seen, self.unseen_s = self.seen + 1, 0.0


class Tracker:
    """Of one camera. Call it with each frame's detections."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last_ns: int | None = None
        self._size: tuple[int, ...] = (0, 0)
        self._given = 0

    def reset(self) -> None:
        """Forgets the tracks, but not which ids were given."""
        self._tracks, self._last_ns = [], None

    def __call__(
        self, detections: Sequence[Detection], stamp_ns: int, size: tuple[int, ...] = (0, 0)
    ) -> list[Tracked]:
        """The detections in their order, each with an id from 1.

        A stamp before the last one forgets the tracks, and so does another size of the image (height, width):
        its pixels lie elsewhere.
        """
        if (self._last_ns is not None and stamp_ns < self._last_ns) or size != self._size:
            self.reset()
        self._size = size
        dt = 0.0 if self._last_ns is None else (stamp_ns - self._last_ns) / 1e9
        self._last_ns = stamp_ns
        # Before the prediction: after a long pause there is nothing left to predict.
        self._tracks = [track for track in self._tracks if track.unseen_s + dt <= LOST_S]
        for track in self._tracks:
            track.predict(dt)
        measured = np.array([_centered(d.box) for d in detections]).reshape(-1, 4)
        mine: dict[int, _Track] = {}
        if self._tracks and len(measured):
            expected = np.array([track.state[:, 0] for track in self._tracks])
            costs = 1 - distance_iou(expected, measured)
            other = np.array([[track.name != d.name for d in detections] for track in self._tracks])
            costs[other | (costs > FARTHEST)] = 1e3
            for i, j in zip(*linear_sum_assignment(costs), strict=True):
                if costs[i, j] <= FARTHEST:
                    self._tracks[i].update(measured[j])
                    mine[j] = self._tracks[i]
        out = []
        for j, detection in enumerate(detections):
            if j not in mine:
                self._given += 1
                mine[j] = _Track(self._given, detection.name, measured[j])
                self._tracks.append(mine[j])
            track = mine[j]
            x, y, width, height = (float(number) for number in track.state[:, 0])
            out.append(
                Tracked(
                    detection,
                    track.id,
                    track.seen >= SURE_AFTER,
                    (x - width / 2, y - height / 2, width, height),
                )
            )
        return out


def distance_iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, 4) and (M, 4) boxes (centre x, centre y, width, height) -> (N, M), 1 for equal ones, down to -1."""
    a, b = one[:, None], other[None]
    low = np.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = np.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    common = np.maximum(high - low, 0).prod(axis=-1)
    iou = common / (a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - common)
    hull = np.maximum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2) - np.minimum(
        a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2
    )
    apart = np.square(a[..., :2] - b[..., :2]).sum(axis=-1)
    return iou - apart / np.square(hull).sum(axis=-1)


def _centered(box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    left, top, width, height = box
    return left + width / 2, top + height / 2, width, height
