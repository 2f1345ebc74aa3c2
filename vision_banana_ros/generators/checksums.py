# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of files, of large ones only as often as they change.

What a large file's checksum was is kept in the user's cache under its device and inode, and believed while
its size, the time of its last writing and the time of its last change are what they were. The last of these
nobody but the kernel sets, so a file that was written and given its old time again is read anew. Only files
that this user alone may write, in a folder that this user alone may write, are remembered.
"""

import hashlib
import os
import time
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import open_regular, read_bounded, write_bytes

LARGE = 64 << 20  # bytes; what is smaller is read each time
SETTLED_S = 2.0  # a file that was changed just now may be changed again without its time showing it


def sha256_of(path: Path) -> str:
    """A file's checksum, in hexadecimal. OSError where it cannot be read."""
    with open_regular(path) as file:
        state = os.fstat(file.fileno())
        memory = (
            _memory()
            if state.st_size >= LARGE and _ours(state) and _ours(path.resolve().parent.stat())
            else None
        )
        if memory is None:
            return digest_of(file)
        note = memory / f"{state.st_dev:x}-{state.st_ino:x}"
        known = _read(note)
        if known[:-1] == _identity(state):
            return known[-1]
        digest = digest_of(file)
        after = os.fstat(file.fileno())
    if _identity(after) == _identity(state) and time.time() - after.st_ctime > SETTLED_S:
        with suppress(OSError):  # a full disk only makes it slower
            write_bytes(note, " ".join([*_identity(after), digest]).encode())
    return digest


def digest_of(file: BufferedReader) -> str:
    """The SHA-256 of an open file from its current position on, as hexadecimal digits."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):  # Python 3.10 has no hashlib.file_digest
        digest.update(block)
    return digest.hexdigest()


def _identity(state: os.stat_result) -> list[str]:
    return [str(number) for number in (state.st_size, state.st_mtime_ns, state.st_ctime_ns)]


def _ours(state: os.stat_result) -> bool:
    """Whether this user alone may write it."""
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _read(note: Path) -> list[str]:
    """What was noted, its checksum last; nothing where it is no such note."""
    try:
        fields = read_bounded(note, 1000).decode(errors="replace").split()
    except (OSError, InputError):
        return [""]
    return fields if len(fields) == 4 and len(fields[-1]) == 64 else [""]


def _memory() -> Path | None:
    """The folder of the notes; None where it is not this user's alone."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vision_banana" / "checksums"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if _ours(folder.stat()) else None
    except OSError:
        return None
