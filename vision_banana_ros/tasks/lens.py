# SPDX-License-Identifier: Apache-2.0
"""Depth painted for one lens, whatever lens the frame was taken with.

A thing that is twice as far away looks the same through a lens of twice the focal length: a picture tells depth over focal
length, and only who knows the lens can tell depth. So a generator is taught to paint the depth that its pixels would have
behind one lens, and metres follow from the focal length in CameraInfo (label transform of Metric3D, arXiv 2307.10984,
section 3.2).
"""

import math

from vision_banana_ros.errors import InputError


def metres_per_painted(focal_px: float, width_px: int, fov_deg: float) -> float:
    """What painted depth is multiplied by, for a frame of this focal length and width (of all that was painted).

    :param fov_deg: horizontal field of view of the lens that depth is painted for, in degrees.
    """
    if not (0 < fov_deg < 180 and focal_px > 0 and width_px > 0):
        raise InputError(
            f"A lens of {fov_deg:g} degrees and a focal length of {focal_px:g} px on {width_px} px cannot be: all must be above "
            "zero, and the field of view below 180."
        )
    return focal_px / width_px * 2 * math.tan(math.radians(fov_deg) / 2)
