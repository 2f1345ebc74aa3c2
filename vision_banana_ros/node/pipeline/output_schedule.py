# SPDX-License-Identifier: Apache-2.0
"""Which of a camera's outputs a frame is asked for: those that are due by their rates, as far as the budget reaches.

Outputs come in groups, named by the first part of their topics: depth, points, segmentation …
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
    """How often each group may be answered, and what goes first.

    rates: Hz by group, 0 for every frame. priority: all groups, the most important first.
    budget_s: seconds that a frame may take; 0 for no limit.
    """

    rates: dict[str, float]
    priority: tuple[str, ...]
    budget_s: float


class Schedule:
    """For one camera. `report` may be used from another thread.

    skipped: what the last plan left out because of the budget.
    """

    def __init__(self) -> None:
        self.skipped: list[str] = []
        self._last_ns = 0
        self._due_ns: dict[str, float] = {}
        self._took: dict[frozenset[str], tuple[float, float]] = {}
        self._fates: Counter[tuple[str, str]] = Counter()

    def plan(self, watched: Collection[str], stamp_ns: int, pacing: Pacing) -> list[str]:
        """The groups to answer a frame for, of those that somebody watches, the most important first.

        What is due but would take the frame over the budget is skipped, the least important first, and stays due. The
        most important one is always answered: a frame with nothing helps nobody.
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
        """How long a frame with these groups took."""
        key, now = frozenset(groups), time.monotonic()
        before, when = self._took.get(key, (seconds, 0.0))
        known = now - when < MEASURED_FOR_S
        self._took[key] = (before + NEWEST_PART * (seconds - before) if known else seconds), now

    def expected_s(self, groups: Collection[str]) -> float:
        """A lower bound of the processing time of a frame with these groups, in seconds.

        It is the longest recent measurement of a subset of the groups; 0 if there is none, so that they are tried.
        """
        now, wanted = time.monotonic(), frozenset(groups)
        return max((s for known, (s, when) in self._took.items() if known <= wanted and now - when < MEASURED_FOR_S), default=0.0)

    def report(self) -> dict[str, str]:
        """How many frames each group was asked for, was not due in, and was skipped in, as text."""
        return {f"{group}: {fate}": str(count) for (group, fate), count in sorted(self._fates.copy().items())}

    def _due(self, group: str, stamp_ns: int, rate_hz: float) -> bool:
        return not rate_hz or stamp_ns >= self._due_ns.get(group, -math.inf) - SLACK * 1e9 / rate_hz

    def _next(self, group: str, stamp_ns: int, rate_hz: float) -> None:
        if rate_hz:
            period_ns = 1e9 / rate_hz
            planned = self._due_ns.get(group, -math.inf) + period_ns
            self._due_ns[group] = planned if planned > stamp_ns else stamp_ns + period_ns
