# SPDX-License-Identifier: Apache-2.0
"""Reads files from untrusted sources with limits, and writes results atomically."""

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from vision_banana_ros.errors import InputError

MAX_TEXT_BYTES = 16_000_000
"""Of a JSON or YAML file."""


def find_shared(pattern: str) -> Path | None:
    """A file or folder that is installed with the package, or None if nothing matches.

    It is in the checkout, or in share/ of the installation prefix. Examples: "config/fastdds.xml",
    "models/*/manifest.json" (the first by name).
    """
    for parent in Path(__file__).resolve().parents:
        for root in (parent, parent / "share" / "vision_banana_ros"):
            if found := sorted(root.glob(pattern)):
                return found[0]
    return None


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Opens a file for reading, if it is a regular file.

    Reading a pipe would block, and a device has no end.

    Raises:
        InputError: For anything else.
        OSError: If it cannot be opened.
    """
    # or a pipe is waited for here already
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"'{path}' is no ordinary file; give one, not a pipe, a device or a folder.")
        yield file


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The whole content of a regular file. Raises InputError if it is larger than `most_bytes`."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(
            f"'{path}' has more than {most_bytes:,} bytes, which is too large for what it should be."
        )
    return content


def read_json(path: Path, most_bytes: int = MAX_TEXT_BYTES) -> Any:
    """The content of a JSON file.

    Raises InputError if it is invalid, nested too deeply, or has invalid Unicode.
    """
    content = read_bounded(path, most_bytes)
    try:
        value = json.loads(content, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be sent or stored
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"'{path}' cannot be read as JSON ({why}).") from error
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file atomically: under another name first, which is then renamed.

    Raises:
        OSError: With the file's own name, if it cannot be written. No partial file is left.
    """
    unfinished = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            write(file)
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror or "It cannot be written", str(path)) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` to a file atomically. Raises OSError if it cannot be written."""
    write_pieces(path, (content,))


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """As `write_bytes`, one piece after another, without a copy of them all in memory."""
    write_whole(path, lambda file: file.writelines(pieces))
