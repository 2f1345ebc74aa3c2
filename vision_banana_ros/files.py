# SPDX-License-Identifier: Apache-2.0
"""Reads files from untrusted sources with limits, and writes results atomically."""

import io
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vision_banana_ros.errors import InputError

MAX_TEXT_BYTES, MAX_YAML_BYTES = 16_000_000, 100_000
"""Of a JSON file; of a YAML file, which PyYAML reads a hundred times slower."""


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
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"'{path}' is no ordinary file; give one, not a pipe, a device or a folder.")
    with os.fdopen(descriptor, "rb") as file:
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


def parse_array(data: bytes, path: Path) -> np.ndarray:
    """The array that the content of an .npy file holds; no pickles. Raises InputError if it holds none."""
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except Exception as error:  # NumPy raises whatever a damaged header leads to
        raise InputError(f"'{path}' cannot be read as an array of NumPy ({error}): copy it again.") from None


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


def read_yaml(path: Path, most_bytes: int = MAX_YAML_BYTES) -> Any:
    """The first document of a YAML file.

    Raises InputError if it is invalid, nested too deeply, or grows by references to itself; ImportError
    without PyYAML.
    """
    return parse_yaml(read_bounded(path, most_bytes), path)


def parse_yaml(content: bytes, path: Path) -> Any:
    """As `read_yaml`, of a file that was read already."""
    import yaml

    try:
        loader = yaml.SafeLoader(content)
        node = loader.get_node() if loader.check_node() else None
        if node is None:
            return None
        if _written_out(node, {}) > max(len(content), MAX_YAML_BYTES):
            raise ValueError("its references repeat it too often")
        return loader.construct_document(node)
    # the constructors of numbers and dates raise what they stumble over
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"'{path}' cannot be read as YAML ({why}).") from error


def _written_out(node: Any, known: dict[int, int]) -> int:
    """How many nodes a tree of YAML has when every reference is followed. ValueError for a circle."""
    if (count := known.get(id(node))) is not None:
        if not count:
            raise ValueError("it refers to itself")
        return count
    known[id(node)] = 0
    parts = node.value if isinstance(node.value, list) else ()
    inside = (each for part in parts for each in (part if isinstance(part, tuple) else (part,)))
    known[id(node)] = 1 + sum(_written_out(each, known) for each in inside)
    return known[id(node)]


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
