# SPDX-License-Identifier: Apache-2.0
"""Metres for relative depth, from ranges that something else measured at the moment of the frame.

1 / d (or d itself, as the profile has it) is scale * v + shift for the grey v of one picture, and both numbers differ from
picture to picture. So every frame is fitted anew, and one whose ranges do not tell both numbers gets no metres: a map that
looks right and is wrong is worse than none. For the same reason nothing is extrapolated: a grey that is nearer or farther
than all ranges that agree has no metres either.
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
"""The far ranges must be this many times the near ones: within what counts as agreement, any scale fits a single depth."""


@dataclass(frozen=True)
class Fit:
    """What turns the relative depth of one picture into metres.

    greys: the least and the greatest grey that ranges were seen on.
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
    depth_relative: np.ndarray, intrinsics: Intrinsics, points: np.ndarray, kind: str, believed_m: tuple[float, float]
) -> Fit:
    """Fits relative depth, (H, W), to `points`, (N, 3) metres in the optical frame.

    Kind: of `profiles_relative.KINDS`.

    believed_m: the nearest and the farthest depth that can be. InputError where too few points fall on smooth surfaces, where
    they are all at one depth, and where too few agree, as when far is painted as near.
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
            f"Only {agree.mean():.0%} of the ranges agree with one scale and shift of relative depth, {MIN_SHARE:.0%} must: check"
            " where their sensor is mounted."
        )
    near, far = np.percentile(measured[agree], (5, 95))
    if far < SPREAD * near:
        raise InputError(
            f"The ranges lie between {near:.2f} and {far:.2f} m, which gives relative depth no scale: let their sensor see near and"
            " far things."
        )
    least, greatest = np.percentile(grey(relative[agree], kind), (1, 99))
    return Fit(alignment, (float(least), float(greatest)))
