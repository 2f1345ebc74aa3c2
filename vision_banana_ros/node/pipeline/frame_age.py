# SPDX-License-Identifier: Apache-2.0
"""The age of frames by the clock of the node, which may be simulated time."""

from typing import cast

from rclpy.clock import ROSClock
from rclpy.node import Node

from vision_banana_ros.node.health.faults import Faults
from vision_banana_ros.node.topics.inputs import Frame

FUTURE_S = 0.5
"""A frame whose stamp lies so far ahead of the clock is reported."""


class Ages:
    """The ages of one camera's frames. Thread-safe."""

    def __init__(self, node: Node, faults: Faults):
        self._clock = cast(ROSClock, node.get_clock())
        self._faults = faults

    def of(self, frame: Frame) -> float:
        """Seconds since the stamp of the frame."""
        return (self._clock.now().nanoseconds - frame.stamp_ns) / 1e9

    def too_old(self, frame: Frame, max_age_s: float) -> bool:
        """Whether the frame is older than the limit (0: no limit). Implausible stamps are reported."""
        age_s = self.of(frame)
        if age_s < -FUTURE_S:
            self._faults.report("future", self._why_ahead(-age_s))
        if max_age_s == 0 or age_s <= max_age_s:
            return False
        self._faults.report(
            "stale",
            f"A frame was dropped because it was {age_s:.1f} s old, more than max_age. For a recording,"
            " play it with"
            " --clock and set use_sim_time, or set max_age to 0; for a camera, compare the clocks of the"
            " two machines.",
        )
        return True

    def _why_ahead(self, ahead_s: float) -> str:
        if self._clock.ros_time_is_active and self._clock.now().nanoseconds == 0:
            return (
                "use_sim_time is set, but nobody publishes /clock: play the recording with --clock, or"
                " set use_sim_time to false."
            )
        return (
            f"Frames have stamps {ahead_s:.1f} s in the future: compare the clocks of the machines, or"
            " set use_sim_time."
        )
