# SPDX-License-Identifier: Apache-2.0
"""Converts relative depth to metres, by range measurements at the time of the frame.

1 / d (or d itself, depending on the profile) is scale * v + shift for the grey v of one picture, and both
numbers differ in every picture. Every frame is therefore fitted again, and a frame whose measurements do not
determine both numbers gets no metric depth, because a plausible wrong map is worse than none. For the same
reason there is no extrapolation: greys outside the range of the inliers have no metric depth.
"""

from dataclasses import dataclass

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.depth_scale import around_of, on_image
from vision_banana_ros.perception.geometry import Intrinsics
from vision_banana_ros.tasks.profiles_relative import Alignment, agreeing, align, grey, metres

MOST_POINTS = 2000
"""More ranges than this are thinned out."""
STEEP = 0.05
"""Difference of grey (0-1) among neighbours from which on a range may be of what lies behind an edge."""
MIN_SHARE = 0.7
"""Of the ranges, this part must agree. Where it does not, painted depth is wrong in too many places."""
SPREAD = 1.5
"""The far ranges must be this many times the near ones: within what counts as agreement, any scale fits a
single depth."""


@dataclass(frozen=True)
class Fit:
    """Scale and shift from the relative depth of one picture to metres.

    Attributes:
        greys: Minimum and maximum grey of the inliers.
    """

    alignment: Alignment
    greys: tuple[float, float]

    def metres(self, depth_relative: np.ndarray) -> np.ndarray:
        """Depth in metres, (H, W) float32.

        NaN where depth_relative is NaN, and for greys that no range is known of.
        """
        value = grey(depth_relative, self.alignment.kind)
        known = (value >= self.greys[0]) & (value <= self.greys[1])
        return np.where(known, metres(depth_relative, self.alignment), np.float32(np.nan))


def fit_ranges(
    depth_relative: np.ndarray,
    intrinsics: Intrinsics,
    points: np.ndarray,
    kind: str,
    believed_m: tuple[float, float],
) -> Fit:
    """Fits relative depth, (H, W), to `points`, (N, 3) metres in the optical frame.

    kind: One of `profiles_relative.KINDS`. believed_m: Minimum and maximum plausible depth. InputError if too
    few points are on smooth surfaces, if they all have the same depth, or if too few agree, as for inverted
    depth.
    """
    rows, columns, measured = on_image(points, depth_relative, intrinsics)
    with np.errstate(invalid="ignore"):
        smooth = np.ptp(grey(around_of(depth_relative, rows, columns), kind), axis=0) < STEEP  # NaN fails it
    usable = np.flatnonzero(smooth & (measured >= believed_m[0]) & (measured <= believed_m[1]))
    usable = usable[:: max(1, -(-usable.size // MOST_POINTS))]
    relative, measured = depth_relative[rows[usable], columns[usable]], measured[usable]
    alignment = align(relative, measured, kind)
    agree = agreeing(alignment, relative, measured)
    if agree.mean() < MIN_SHARE:
        raise InputError(
            f"Only {agree.mean():.0%} of the ranges agree with one scale and shift of relative depth,"
            f" {MIN_SHARE:.0%} must: check"
            " where their sensor is mounted."
        )
    near, far = np.percentile(measured[agree], (5, 95))
    if far < SPREAD * near:
        raise InputError(
            f"The ranges lie between {near:.2f} and {far:.2f} m, which gives relative depth no scale: let"
            " their sensor see near and"
            " far things."
        )
    least, greatest = np.percentile(grey(relative[agree], kind), (1, 99))
    return Fit(alignment, (float(least), float(greatest)))
