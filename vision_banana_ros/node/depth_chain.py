# SPDX-License-Identifier: Apache-2.0
"""What a camera's depth goes through between the generator and the topics: scale, steadiness, range."""

import math
from dataclasses import replace
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.node import fill
from vision_banana_ros.node.asking import Asking
from vision_banana_ros.node.faults import Faults
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.ranges import Ranges
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception import scale as scale_check
from vision_banana_ros.perception.scale import Evidence, ScaleCorrection
from vision_banana_ros.perception.steady import SteadyDepth


class DepthChain:
    """Of one camera, on the worker's thread. `scale` and `report` may be used from another one."""

    def __init__(self, ranges: Ranges, faults: Faults):
        self._ranges = ranges
        self._faults = faults
        self._correction = ScaleCorrection()
        self._checked_by = ""
        self._steady: SteadyDepth | None = None
        self._last_ns = 0

    @property
    def scale(self) -> float:
        """What the generator's depth is multiplied by."""
        return self._correction.value if self._checked_by else 1.0

    def __call__(self, answer: Any, intrinsics: Intrinsics | None, stamp_ns: int, asking: Asking) -> Any:
        """The answer of the task depth, with `depth_m` as it is to be published. May write into the one given."""
        settings = asking.settings
        self._check_scale(answer.depth_m, intrinsics, stamp_ns, settings)
        if self.scale != 1.0:
            scale_check.apply(answer.depth_m, self.scale)
        answer = self._steadied(answer, stamp_ns, settings.steady_depth)
        fill.limit_range(answer.depth_m, asking.max_range)
        self._last_ns = stamp_ns
        return answer

    def reset(self) -> None:
        """Forgets the past."""
        self._correction.reset()
        self._steady = None

    def report(self) -> dict[str, str]:
        """Figures of the scale check by name, nothing while it is off."""
        return {"scale checked by": self._checked_by, **self._correction.report()} if self._checked_by else {}

    def _check_scale(self, depth_m: Any, intrinsics: Intrinsics | None, stamp_ns: int, settings: Settings) -> None:
        if settings.scale_check != self._checked_by:
            self._correction.reset()
            self._checked_by = settings.scale_check
        if not self._checked_by:
            self._faults.clear("scale")
            return
        self._correction.observe(self._evidence(depth_m, intrinsics, stamp_ns, settings), stamp_ns)
        if self._correction.fault:
            self._faults.report("scale", self._correction.fault)
        else:
            self._faults.clear("scale")

    def _evidence(self, depth_m: Any, intrinsics: Intrinsics | None, stamp_ns: int, settings: Settings) -> Evidence:
        if intrinsics is None:
            return Evidence(math.nan, 0, math.nan, "CameraInfo is missing or cannot be used")
        try:
            if settings.scale_check == "camera_height":
                return scale_check.from_camera_height(depth_m, intrinsics, settings.camera_height)
            return scale_check.from_ranges(depth_m, intrinsics, self._ranges.points(stamp_ns, settings.range_pose))
        except InputError as error:
            return Evidence(math.nan, 0, math.nan, str(error).rstrip("."))

    def _steadied(self, answer: Any, stamp_ns: int, memory: float) -> Any:
        if not memory:
            self._steady = None
            return answer
        if self._steady is None or self._steady.memory != memory or stamp_ns < self._last_ns:
            self._steady = SteadyDepth(memory)
        return replace(answer, depth_m=self._steady(answer.depth_m, answer.confidence))
