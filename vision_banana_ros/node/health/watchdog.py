# SPDX-License-Identifier: Apache-2.0
"""Ends the process where ROS's thread hangs, so that whoever started it can start it again.

Now and then, after a camera was killed, that thread is caught inside the middleware with Python's lock held: no signal is heard and
no other thread runs. Only a thread that needs no Python can end that: the one of faulthandler.
"""

import faulthandler
import sys

PATIENCE_S = 120.0
"""Nothing that ROS's thread does takes so long. A process that is stopped (SIGSTOP) for longer ends when it goes on."""


class Watchdog:
    """Does nothing until `start`."""

    def __init__(self) -> None:
        self._patience_s = 0.0

    def start(self, patience_s: float = PATIENCE_S) -> None:
        """From now on `alive` must be called at least so often, or the tracebacks are printed and the process ends with status 1."""
        self._patience_s = patience_s
        self.alive()

    def alive(self) -> None:
        """ROS's thread is well. To be called by it, every second."""
        if self._patience_s:
            faulthandler.dump_traceback_later(self._patience_s, exit=True, file=sys.__stderr__ or sys.stderr)

    def stop(self) -> None:
        """It is not watched any more."""
        self._patience_s = 0.0
        faulthandler.cancel_dump_traceback_later()
