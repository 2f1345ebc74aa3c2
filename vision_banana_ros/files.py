# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else may have made, read with bounds; and results, written whole or not at all."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from vision_banana_ros.errors import InputError

MAX_TEXT_BYTES = 16_000_000
"""Of a JSON or YAML file."""


def find_shared(place: str) -> Path | None:
    """A file or folder that is installed with the package, or None if it is missing.

    It is in the checkout, or in share/ of the installation prefix. Example: "config/fastdds.xml".
    """
    for parent in Path(__file__).resolve().parents:
        for root in (parent, parent / "share" / "vision_banana_ros"):
            if (root / place).exists():
                return root / place
    return None


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """A file to be read, only where it is an ordinary one.

    A pipe would be waited for, a device read without end.

    Raises:
        InputError: for anything else. OSError: where it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # or a pipe is waited for here already
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"'{path}' is no ordinary file; give one, not a pipe, a device or a folder.")
        yield file


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The whole content of an ordinary file. InputError where it is larger than `most_bytes`."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(f"'{path}' has more than {most_bytes:,} bytes, which is too large for what it should be.")
    return content


def read_json(path: Path, most_bytes: int = MAX_TEXT_BYTES) -> Any:
    """What a JSON file holds.

    InputError where it is no JSON, nested too deeply, or has text that cannot be written again.
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
    """Write a file under another name first: whoever finds it finds it whole, also where the disk gets full.

    Raises:
        OSError: with the file's own name, where it cannot be written. Nothing of it is left then.
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
    """`content` as a file, whole or not at all. OSError where it cannot be written."""
    write_whole(path, lambda file: file.write(content))
