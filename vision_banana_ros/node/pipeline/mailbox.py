# SPDX-License-Identifier: Apache-2.0
"""Where a frame waits for the worker: one place, and the newest frame has it."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot, guarded by the condition of whoever waits for it. A queue would only make answers older."""

    def __init__(self, changed: threading.Condition):
        self._changed = changed
        self._waiting: T | None = None

    def put(self, item: T) -> T | None:
        """Leaves `item` and returns the one that it pushed out, if there was one."""
        with self._changed:
            lost, self._waiting = self._waiting, item
            self._changed.notify()
            return lost

    def take(self) -> T | None:
        """Returns what waits, or None, and leaves the slot empty."""
        with self._changed:
            item, self._waiting = self._waiting, None
            return item
