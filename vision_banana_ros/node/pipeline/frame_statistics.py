# SPDX-License-Identifier: Apache-2.0
"""Counts what happens to every frame: received = published + dropped (by reason) + waiting."""

import threading
import time
from collections import Counter, deque

import numpy as np

RATE_WINDOW_S = 5.0
AGES_KEPT = 500

DROPS = {
    "replaced": "a newer frame arrived before the worker was free",
    "unwatched": "no output has a subscriber",
    "not due": "no subscribed output is due (rates)",
    "unanswerable": "the subscribed outputs have no prompts",
    "stale": "older than max_age",
    "unusable": "the image cannot be decoded",
    "nothing to see": "the image is dark, overexposed, uniform or noise",
    "frozen": "the images of the last frozen_after seconds are bit-identical",
    "unreadable": "less than min_readable of an answer is valid",
    "no metres": "only relative depth is available, and no range measurements fit",
    "failed": "an error in the generator or the node, such as out of memory",
    "inactive": "the node was deactivated",
}
"""Why a frame may be dropped."""


class Counts:
    """Frames by their fate, and how old the published ones were. May be used from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._published = 0
        self._jumps_back = 0
        self._copies = 0
        self._dropped: Counter[str] = Counter()
        self._ages: deque[float] = deque(maxlen=AGES_KEPT)
        self._arrivals: deque[float] = deque(maxlen=AGES_KEPT)
        self._departures: deque[float] = deque(maxlen=AGES_KEPT)

    def receive(self, jumped_back: bool) -> None:
        """Counts a received frame."""
        with self._lock:
            self._received += 1
            self._jumps_back += jumped_back
            self._arrivals.append(time.monotonic())

    def copy(self) -> None:
        """Counts a frame that has come by another subscription already: it is no other frame."""
        with self._lock:
            self._copies += 1

    def publish(self, age_s: float) -> None:
        """Counts a published frame with its age in seconds."""
        with self._lock:
            self._published += 1
            self._ages.append(age_s)
            self._departures.append(time.monotonic())

    def drop(self, reason: str) -> None:
        """Counts a frame that will not be answered; `reason` is one of `DROPS`."""
        with self._lock:
            self._dropped[reason] += 1

    def report(self) -> dict[str, str]:
        """All figures as text, by name, of one moment."""
        with self._lock:
            dropped = {reason: self._dropped[reason] for reason in DROPS}
            gone = self._published + sum(dropped.values())
            p50, p99 = np.percentile(self._ages, (50, 99)) if self._ages else (np.nan, np.nan)
            return {
                "received": str(self._received),
                "published": str(self._published),
                **{f"dropped: {reason}": str(count) for reason, count in dropped.items()},
                "waiting": str(self._received - gone),
                "stamps that jumped back": str(self._jumps_back),
                "copies by another subscription": str(self._copies),
                "rate in (Hz)": f"{_rate(self._arrivals):.2f}",
                "rate out (Hz)": f"{_rate(self._departures):.2f}",
                "age p50 (s)": f"{p50:.3f}",
                "age p99 (s)": f"{p99:.3f}",
            }


def _rate(times: deque[float]) -> float:
    since = time.monotonic() - RATE_WINDOW_S
    return sum(t > since for t in times) / RATE_WINDOW_S
