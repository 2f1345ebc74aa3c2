# SPDX-License-Identifier: Apache-2.0
"""Tells that Numba compiles, which takes a minute on a new machine and nothing once its cache is filled."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event

EVENT = "numba:compile"
"""Numba's name for it; what comes from its cache does not raise the event."""
PERIOD_S = 5.0


class _Progress(event.Listener):
    def __init__(self, say: Callable[[str], object]):
        self._say = say
        self._told: float | None = None
        self.started = 0.0
        self.compiled = 0

    def on_start(self, event: event.Event) -> None:
        if self._told is None:
            self.started = self._told = time.monotonic()
            self._say("Code is compiled for this machine's processor, once: a minute or so of one core.")

    def on_end(self, event: event.Event) -> None:
        self.compiled += 1
        now = time.monotonic()
        if self._told is not None and now - self._told > PERIOD_S:
            self._told = now
            self._say(f"Compiling: {self.compiled} functions after {now - self.started:.0f} s.")


@contextmanager
def compilation_told(say: Callable[[str], object]) -> Iterator[None]:
    """Says within it that code is compiled, how far that is, and when it is done; nothing where all comes from the cache.

    Args:
        say: Takes each sentence, on the thread that compiles.
    """
    progress = _Progress(say)
    with event.install_listener(EVENT, progress):
        yield
    if progress.compiled:
        say(f"Compiled {progress.compiled} functions in {time.monotonic() - progress.started:.0f} s.")
