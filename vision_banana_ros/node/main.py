# SPDX-License-Identifier: Apache-2.0
"""The process of the node: it exits soon after SIGINT or SIGTERM, whatever it is doing."""

import os
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from vision_banana_ros.missing import cure

if TYPE_CHECKING:
    from collections.abc import Callable

    from vision_banana_ros.node.pipeline.generator_slot import Loader

LEAVE_S = 1.5
"""So long after a signal the process ends, even where something hangs."""


def main(args: list[str] | None = None, generator_loader: "Loader | None" = None) -> int:
    """Runs the node until SIGINT or SIGTERM, and then exits within two seconds with status 0.

    Args:
        args: The command line; None for that of the process.
        generator_loader: Loads the generator; None for the default loader of the node.

    Returns:
        The exit status, if the node cannot run.
    """
    # There is nothing to undo while modules are imported, and an exception in the midst of it may be
    # swallowed or wrapped.
    _on_signal(lambda number, frame: os._exit(0))
    try:
        from vision_banana_ros.node.run import run  # takes a second or more
    except ImportError as error:
        print(f"vision_banana_node: {cure(error)}", file=sys.stderr)
        return 1
    undo = ExitStack()
    try:
        with undo:
            _on_signal(_leave)
            if status := run(undo, args, generator_loader):
                return status
    except KeyboardInterrupt:
        undo.close()  # what the signal broke off; it is raised only once
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Python takes a second or two to take itself down, and may crash under a thread that still computes.
    os._exit(0)


def _on_signal(handler: "Callable[[int, Any], object] | signal.Handlers") -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _leave(number: int, frame: Any) -> None:
    """Interrupts the main thread once, and makes sure that the process exits."""
    _on_signal(signal.SIG_IGN)
    last = threading.Timer(LEAVE_S, os._exit, (0,))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
