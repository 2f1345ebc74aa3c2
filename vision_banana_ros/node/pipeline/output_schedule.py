# SPDX-License-Identifier: Apache-2.0
"""Decides which outputs of a camera are computed for a frame: those that are due, within the time budget.

Outputs are grouped by the first part of their topics: depth, points, segmentation, ...
"""

import math
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

SLACK = 0.2
"""An output is due this part of its period early: a camera's frames come a little unevenly."""
MEASURED_FOR_S = 10.0
"""What took too long is tried again after so long: the machine may have become free."""
NEWEST_PART = 0.3
"""Weight of the newest measurement in the mean."""


@dataclass(frozen=True)
class Pacing:
    """Rates, priorities and budget.

    Attributes:
        rates: Maximum rate by group in Hz, 0 for every frame.
        priority: All groups, the highest priority first.
        budget_s: Time budget per frame in seconds, 0 for no limit.
    """

    rates: dict[str, float]
    priority: tuple[str, ...]
    budget_s: float


class Schedule:
    """The schedule of one camera. `report` is thread-safe.

    Attributes:
        skipped: The groups that the last plan skipped because of the budget.
    """

    def __init__(self) -> None:
        self.skipped: list[str] = []
        self._last_ns = 0
        self._due_ns: dict[str, float] = {}
        self._took: dict[frozenset[str], tuple[float, float]] = {}
        self._fates: Counter[tuple[str, str]] = Counter()

    def plan(self, watched: Collection[str], stamp_ns: int, pacing: Pacing) -> list[str]:
        """The groups to compute for a frame, among those with subscribers, the highest priority first.

        Groups that are due but exceed the budget are skipped, those with the lowest priority first, and stay
        due. The first group is always computed, because a frame without outputs is of no use.
        """
        if stamp_ns < self._last_ns:
            self._due_ns.clear()  # time has jumped back
        self._last_ns = stamp_ns
        chosen: list[str] = []
        self.skipped = []
        for group in pacing.priority:
            if group not in watched:
                continue
            if not self._due(group, stamp_ns, pacing.rates[group]):
                self._fates[group, "not due"] += 1
            elif chosen and pacing.budget_s and self.expected_s({*chosen, group}) > pacing.budget_s:
                self._fates[group, "over budget"] += 1
                self.skipped.append(group)
            else:
                chosen.append(group)
                self._next(group, stamp_ns, pacing.rates[group])
                self._fates[group, "asked"] += 1
        return chosen

    def took(self, groups: Collection[str], seconds: float) -> None:
        """Records the processing time of a frame with these groups."""
        key, now = frozenset(groups), time.monotonic()
        before, when = self._took.get(key, (seconds, 0.0))
        known = now - when < MEASURED_FOR_S
        self._took[key] = (before + NEWEST_PART * (seconds - before) if known else seconds), now

    def expected_s(self, groups: Collection[str]) -> float:
        """A lower bound of the processing time of a frame with these groups, in seconds.

        It is the longest recent measurement of a subset of the groups; 0 if there is none, so that they are
        tried.
        """
        now, wanted = time.monotonic(), frozenset(groups)
        return max(
            (s for known, (s, when) in self._took.items() if known <= wanted and now - when < MEASURED_FOR_S),
            default=0.0,
        )

    def report(self) -> dict[str, str]:
        """How often each group was computed, not due, and over budget, as text."""
        return {f"{group}: {fate}": str(count) for (group, fate), count in sorted(self._fates.copy().items())}

    def _due(self, group: str, stamp_ns: int, rate_hz: float) -> bool:
        return not rate_hz or stamp_ns >= self._due_ns.get(group, -math.inf) - SLACK * 1e9 / rate_hz

    def _next(self, group: str, stamp_ns: int, rate_hz: float) -> None:
        if rate_hz:
            period_ns = 1e9 / rate_hz
            planned = self._due_ns.get(group, -math.inf) + period_ns
            self._due_ns[group] = planned if planned > stamp_ns else stamp_ns + period_ns
