# SPDX-License-Identifier: Apache-2.0
"""Tells that Numba compiles: ten seconds of a fast core on a new machine, nothing once its cache is filled.

Other processes help.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from numba.core import event

EVENT = "numba:compile"
"""Numba's name for it; what comes from its cache does not raise the event."""
PERIOD_S = 5.0
MOST_HELPERS = 3
"""Each takes 300 MB while it lasts."""
_PACKAGES = Path(__file__).resolve().parents[1]


class _Progress(event.Listener):
    def __init__(self, say: Callable[[str], object], begin: Callable[[], object]):
        self._say = say
        self._begin = begin
        self._told: float | None = None
        self.started = 0.0
        self.compiled = 0

    def on_start(self, event: event.Event) -> None:
        if self._told is None:
            self.started = self._told = time.monotonic()
            self._say(
                "Code is compiled for this machine's processor, once: ten seconds on an idle PC,"
                " minutes on a small or busy machine."
            )
            self._begin()

    def on_end(self, event: event.Event) -> None:
        self.compiled += 1
        now = time.monotonic()
        if self._told is not None and now - self._told > PERIOD_S:
            self._told = now
            self._say(f"Compiling: {self.compiled} functions after {now - self.started:.0f} s.")


@contextmanager
def compilation_told(say: Callable[[str], object], helper: str = "") -> Iterator[None]:
    """Says within it that code is compiled, how far that is, and when it is done.

    Nothing where all comes from the cache.

    Args:
        say: Takes each sentence, on the thread that compiles.
        helper: A module that compiles the same in another order when it is run as a program with two
            arguments, its number (from 1) and how many compile. Where cores are idle, it is run on them: what
            others have put in the cache is read from it.
    """
    helpers: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        count = min(MOST_HELPERS, len(os.sched_getaffinity(0)) - 1) if helper else 0
        path = os.pathsep.join([str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
        for number in range(1, count + 1):
            command = [sys.executable, "-m", helper, str(number), str(count + 1)]
            helpers.append(
                # It ends when its end of this pipe closes: with this process, however that ends.
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": path},
                )
            )

    progress = _Progress(say, begin)
    try:
        with event.install_listener(EVENT, progress):
            yield
    finally:
        for process in helpers:
            process.kill()
            process.communicate()
    if progress.compiled:
        say(f"Compiled {progress.compiled} functions in {time.monotonic() - progress.started:.0f} s.")
