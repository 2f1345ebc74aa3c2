# SPDX-License-Identifier: Apache-2.0
"""Ends the process if the ROS thread hangs, so that its supervisor can restart it.

Occasionally, after a camera process was killed, that thread hangs inside the middleware while holding
Python's global interpreter lock: no signal is handled and no other Python thread runs. Only a thread that
needs no Python can end the process: that of faulthandler.
"""

import faulthandler
import sys

PATIENCE_S = 120.0
"""Nothing that ROS's thread does takes so long. A process that is stopped (SIGSTOP) for longer ends when
it goes on."""


class Watchdog:
    """Inactive until `start`."""

    def __init__(self) -> None:
        self._patience_s = 0.0

    def start(self, patience_s: float = PATIENCE_S) -> None:
        """Starts watching.

        Unless `alive` is called regularly, the process prints all tracebacks and exits.
        """
        self._patience_s = patience_s
        self.alive()

    def alive(self) -> None:
        """Resets the timer. The ROS thread calls it every second."""
        if self._patience_s:
            faulthandler.dump_traceback_later(self._patience_s, exit=True, file=sys.__stderr__ or sys.stderr)

    def stop(self) -> None:
        """Stops watching."""
        self._patience_s = 0.0
        faulthandler.cancel_dump_traceback_later()
