# SPDX-License-Identifier: Apache-2.0
"""Post-processing of a camera's depth before publishing.

Scale or conversion to metres, temporal filter, range limit.
"""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.health.faults import Faults
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.topics import message_buffers
from vision_banana_ros.node.topics.range_sensor import Ranges
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception import depth_scale as scale_check
from vision_banana_ros.perception.depth_scale import Evidence, ScaleCorrection
from vision_banana_ros.perception.relative_to_metric import Fit, fit_ranges
from vision_banana_ros.perception.temporal_filter import SteadyDepth
from vision_banana_ros.tasks import depth
from vision_banana_ros.tasks.profiles_relative import MEANINGS


class DepthChain:
    """The chain of one camera, on the worker thread. `scale` and `report` are thread-safe."""

    def __init__(self, ranges: Ranges, faults: Faults):
        self._ranges = ranges
        self._faults = faults
        self._correction = ScaleCorrection()
        self._checked_by = ""
        self._steady: SteadyDepth | None = None
        self._last_ns = 0
        self._kind = ""
        self._fit: Fit | None = None
        self._fitted: Counter[bool] = Counter()

    @property
    def scale(self) -> float:
        """The current scale correction of metric depth."""
        return self._correction.value if self._checked_by else 1.0

    def __call__(
        self, answer: Any, intrinsics: Intrinsics | None, stamp_ns: int, asking: Asking
    ) -> depth.Answer | None:
        """Filters and scales depth for publishing. May modify the answer in place.

        Returns:
            The answer with the final `depth_m`, or None if it has no metric depth, which is reported.
        """
        settings = asking.settings
        if asking.depth_kind:
            fitted = self._fit_metres(answer, intrinsics, stamp_ns, asking)
            if fitted is None:
                return None
            answer = fitted
        else:
            self._check_scale(answer.depth_m, intrinsics, stamp_ns, settings)
            if self.scale != 1.0:
                scale_check.apply(answer.depth_m, self.scale)
        answer = self._steadied(answer, stamp_ns, settings.steady_depth)
        message_buffers.limit_range(answer.depth_m, asking.max_range)
        self._last_ns = stamp_ns
        return answer

    def metres(self, answer: Any, intrinsics: Intrinsics, stamp_ns: int, asking: Asking) -> np.ndarray:
        """Metric depth, (H, W) in metres, of a single answer outside the stream.

        Raises InputError if there is none.
        """
        if asking.depth_kind:
            return self._fit_to_ranges(answer, intrinsics, stamp_ns, asking).metres(answer.depth_relative)
        return answer.depth_m * np.float32(self.scale)

    def reset(self, kind: str) -> None:
        """Resets the filters.

        Args:
            kind: The kind of depth that follows, `Asking.depth_kind`.
        """
        self._correction.reset()
        self._steady = None
        self._kind, self._fit = kind, None
        self._fitted.clear()

    def report(self) -> dict[str, str]:
        """Values for diagnostics by name.

        The meaning of relative depth, and the state of the scale correction.
        """
        if not self._kind:
            placed = {"ranges placed by": self._ranges.placed_by} if self._ranges.placed_by else {}
            return (
                {"scale checked by": self._checked_by, **placed, **self._correction.report()}
                if self._checked_by
                else {}
            )
        figures = {"depth_relative": MEANINGS[self._kind]}
        figures |= {
            "frames with metres": str(self._fitted[True]),
            "frames without metres": str(self._fitted[False]),
        }
        if (fit := self._fit) is not None and self._ranges.topic:
            found = fit.alignment
            figures |= {"metres: a": f"{found.scale:.4g}", "metres: b": f"{found.shift:.4g}"}
            figures |= {
                "metres: ranges that agree": str(found.points),
                "metres: their spread": f"{found.spread:.4f}",
            }
        return figures

    def _fit_metres(
        self, answer: Any, intrinsics: Intrinsics | None, stamp_ns: int, asking: Asking
    ) -> depth.Answer | None:
        try:
            self._fit = self._fit_to_ranges(answer, intrinsics, stamp_ns, asking)
        except InputError as error:
            self._fit = None
            self._fitted[False] += 1
            self._faults.report("scale", f"Relative depth has no metres: {_within(error)}.")
            return None
        self._fitted[True] += 1
        self._faults.clear("scale")
        depth_m = self._fit.metres(answer.depth_relative)
        return depth.Answer(depth_m, np.where(np.isnan(depth_m), np.float32(0), answer.confidence))

    def _fit_to_ranges(
        self, answer: Any, intrinsics: Intrinsics | None, stamp_ns: int, asking: Asking
    ) -> Fit:
        if intrinsics is None:
            raise InputError("CameraInfo is missing or cannot be used.")
        points = self._ranges.points(stamp_ns, asking.settings.range_pose)
        return fit_ranges(
            answer.depth_relative,
            intrinsics,
            points,
            asking.depth_kind,
            asking.generator.manifest.depth_range_m,
        )

    def _check_scale(
        self, depth_m: Any, intrinsics: Intrinsics | None, stamp_ns: int, settings: Settings
    ) -> None:
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

    def _evidence(
        self, depth_m: Any, intrinsics: Intrinsics | None, stamp_ns: int, settings: Settings
    ) -> Evidence:
        if intrinsics is None:
            return Evidence(math.nan, 0, math.nan, "CameraInfo is missing or cannot be used")
        try:
            if settings.scale_check == "camera_height":
                return scale_check.from_camera_height(depth_m, intrinsics, settings.camera_height)
            return scale_check.from_ranges(
                depth_m, intrinsics, self._ranges.points(stamp_ns, settings.range_pose)
            )
        except InputError as error:
            return Evidence(math.nan, 0, math.nan, _within(error))

    def _steadied(self, answer: Any, stamp_ns: int, memory: float) -> Any:
        if not memory:
            self._steady = None
            return answer
        if self._steady is None or self._steady.memory != memory or stamp_ns < self._last_ns:
            self._steady = SteadyDepth(memory)
        return replace(answer, depth_m=self._steady(answer.depth_m, answer.confidence))


def _within(error: InputError) -> str:
    """The sentence of an error as a subordinate clause."""
    text = str(error).rstrip(".")
    return text if text[:2].isupper() or text.startswith("CameraInfo") else text[0].lower() + text[1:]
