# SPDX-License-Identifier: Apache-2.0
"""The node's process: it ends soon after SIGINT or SIGTERM, whatever it is doing."""

import os
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vision_banana_ros.node.pipeline.generator_slot import Loader

LEAVE_S = 1.5
"""So long after a signal the process ends, even where something hangs."""


def main(args: list[str] | None = None, generator_loader: "Loader | None" = None) -> int:
    """Runs the node until SIGINT or SIGTERM, and ends the process within two seconds then, with status 0.

    Returns the exit status where the node cannot run. generator_loader: None for that of the node.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    undo = ExitStack()
    try:
        with undo:
            from vision_banana_ros.node.run import run  # takes a second or more, in which signals are heard already

            if status := run(undo, args, generator_loader):
                return status
    except KeyboardInterrupt:
        undo.close()  # what the signal broke off; it is raised only once
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Python takes a second or two to take itself down, and may crash under a thread that still computes.
    os._exit(0)


def _leave(number: int, frame: Any) -> None:
    """Ends what the main thread does, once, and sees to it that the process ends."""
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, signal.SIG_IGN)
    last = threading.Timer(LEAVE_S, os._exit, (0,))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
