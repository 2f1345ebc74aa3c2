# SPDX-License-Identifier: Apache-2.0
"""The slot in which a frame waits for the worker; a newer frame replaces it."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot, guarded by the condition variable of the consumer.

    A queue would only increase the latency.
    """

    def __init__(self, changed: threading.Condition):
        self._changed = changed
        self._waiting: T | None = None

    def put(self, item: T) -> T | None:
        """Puts an item into the slot and returns the item that it replaced, or None."""
        with self._changed:
            lost, self._waiting = self._waiting, item
            self._changed.notify()
            return lost

    def take(self) -> T | None:
        """Takes the item out of the slot; None if it is empty."""
        with self._changed:
            item, self._waiting = self._waiting, None
            return item
