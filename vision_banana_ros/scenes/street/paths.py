# SPDX-License-Identifier: Apache-2.0
"""Where a road runs, and places beside it: s metres along, t metres to the left, z up."""

from math import cos, pi, sin

import numpy as np

from vision_banana_ros.scenes.street.meshes import Shape


class Path:
    """A line on the ground from s = first to last, through (x, y) with `heading` at s = 0.

    bend: curvature in 1/metres at each whole metre from first to last, or one for all. rise: height there in
    metres.
    """

    def __init__(
        self,
        first: int,
        last: int,
        x: float = 0.0,
        y: float = 0.0,
        heading: float = 0.0,
        bend: np.ndarray | float = 0.0,
        rise: np.ndarray | float = 0.0,
    ):
        self.first, self.last = first, last
        s = np.arange(first, last + 1)
        self.z = np.broadcast_to(np.asarray(rise, float), s.shape)
        turned = np.concatenate([[0.0], np.cumsum(np.broadcast_to(np.asarray(bend, float), s.shape)[:-1])])
        self.heading = heading + turned - turned[max(0, -first)]
        ways = np.stack([np.cos(self.heading), np.sin(self.heading)], -1)
        places = np.concatenate([np.zeros((1, 2)), np.cumsum(0.5 * (ways[1:] + ways[:-1]), 0)])
        self.places = places - places[max(0, -first)] + (x, y)
        self.straight = bool(np.all(np.asarray(bend) == 0.0) and np.ptp(self.z) == 0.0)

    def at(self, s: float, t: float = 0.0) -> tuple[float, float, float, float]:
        """x, y, z and heading."""
        k = min(max(s - self.first, 0.0), self.last - self.first - 1e-6)
        i = int(k)
        f = k - i
        heading = float((1 - f) * self.heading[i] + f * self.heading[i + 1])
        x, y = (1 - f) * self.places[i] + f * self.places[i + 1]
        beyond = (s - self.first) - k  # straight on behind its ends
        x, y = x + beyond * cos(heading), y + beyond * sin(heading)
        return (
            float(x) - t * sin(heading),
            float(y) + t * cos(heading),
            float((1 - f) * self.z[i] + f * self.z[i + 1]),
            heading,
        )

    def points(self, s: np.ndarray, t: float, z: float) -> np.ndarray:
        """(N, 3)."""
        rows = np.array([self.at(float(v), t)[:3] for v in s])
        return np.asarray(rows + (0.0, 0.0, z))

    def strip(
        self,
        shape: Shape,
        s0: float,
        s1: float,
        t0: float,
        t1: float,
        z0: float,
        z1: float,
        paint: int,
        metres: float = 4.0,
        along: float | None = None,
        across: float | None = None,
        step: float = 3.0,
        upright: bool = False,
    ) -> None:
        """A ribbon from t0 (at height z0) to t1 (z1).

        Its texture spans `along` by `across` metres, or `metres` both ways; with `upright` the texture stands
        on the path.
        """
        if s1 - s0 < 0.01 or abs(t1 - t0) + abs(z1 - z0) < 1e-3:
            return
        s = np.linspace(s0, s1, 2 if self.straight else max(2, int((s1 - s0) / step) + 1))
        a, b = self.points(s, t0, z0), self.points(s, t1, z1)
        wide = float(np.hypot(t1 - t0, z1 - z0))
        u = np.array([0.0, wide]) / (across or metres) + (t0 / metres if across is None else 0.0)
        v = s / (along or metres)
        uv = np.stack([np.stack([np.full_like(v, u[k]), v], -1) for k in (1, 0)])
        shape.grid(np.stack([b, a]), paint, uv[..., ::-1] if upright else uv)

    def wall(
        self,
        shape: Shape,
        s0: float,
        s1: float,
        t: float,
        z0: float,
        z1: float,
        thick: float,
        paint: int,
        metres: float,
    ) -> None:
        """An upright wall with a top."""
        for side in (-0.5, 0.5):
            s = np.linspace(s0, s1, 2 if self.straight else max(2, int((s1 - s0) / 3.0) + 1))
            low, high = self.points(s, t + side * thick, z0), self.points(s, t + side * thick, z1)
            uv = np.stack([np.stack([s, np.full_like(s, z)], -1) for z in (z0, z1)]) / metres
            shape.grid(np.stack([low, high]), paint, uv)
        self.strip(shape, s0, s1, t - 0.5 * thick, t + 0.5 * thick, z1, z1, paint, metres)
        for end in (s0, s1):
            a, b = self.at(end, t - 0.5 * thick), self.at(end, t + 0.5 * thick)
            ends = [
                (a[0], a[1], a[2] + z0),
                (b[0], b[1], b[2] + z0),
                (b[0], b[1], b[2] + z1),
                (a[0], a[1], a[2] + z1),
            ]
            shape.flat(np.array(ends), paint, metres)


def facing(heading: float) -> float:
    """Yaw of a thing whose front (-y) looks in a direction."""
    return heading + 0.5 * pi
