# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS: 34 MiB a process of this package, and what killed processes left behind."""

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path("/dev/shm")
LOCKS = ("fastdds_*_el", "fastrtps_*_el")
"""As Fast DDS 3 calls them, and Fast DDS 2 of Humble and Jazzy."""
SEGMENT = 35_200_000
"""Bytes that Fast DDS takes for the segment of `config/fastdds.xml`."""
YOUNG_S = 10.0
"""Segments are locked just after they are made; younger ones are left alone."""


def no_room(folder: Path = FOLDER) -> str:
    """A sentence if a segment does not fit into what is free, "" if it does or nothing is known."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    if free >= SEGMENT:
        return ""
    return (
        f"{folder} has {free >> 20} MiB left and Fast DDS needs {(SEGMENT >> 20) + 1} for large"
        " images: they go by UDP, which is slower and loses some. In a container start it with --ipc host or"
        " --shm-size 512m; 'fastdds shm clean' removes what killed processes left."
    )


def remove_dead_segments(folder: Path = FOLDER) -> int:
    """Removes the segments of this user whose owner is gone, and returns their number.

    As `fastdds shm clean` does: the owner of the segment NAME holds a lock on the file NAME_el while it is
    alive.
    """
    removed = 0
    with suppress(OSError):
        for lock in [path for pattern in LOCKS for path in folder.glob(pattern)]:
            with suppress(OSError):  # somebody else's, or removed by somebody else meanwhile
                removed += _remove(lock)
    return removed


def _remove(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.getuid() or time.time() - found.st_mtime < YOUNG_S:
            return False
        # BlockingIOError, which is an OSError, while the owner lives
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
        lock.unlink()
        return True
    finally:
        os.close(descriptor)
