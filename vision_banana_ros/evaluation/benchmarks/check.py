# SPDX-License-Identifier: Apache-2.0
"""Is a download whole? Files, counts and sizes, without asking any generator."""

from collections.abc import Sequence
from pathlib import Path

from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry
from vision_banana_ros.evaluation.benchmarks.reading import attempt

NAMED = 5


def check(benchmark: Benchmark, root: Path, entries: Sequence[Entry]) -> list[str]:
    """What is wrong with the frames that were found below a folder, a sentence each.

    Empty where the download is whole.
    """
    files = list(dict.fromkeys(file for entry in entries for file in entry.files))
    missing = [file for file in files if not file.is_file()]
    empty = [file for file in files if file.is_file() and not file.stat().st_size]
    found = []
    if missing:
        found.append(
            f"{len(missing)} of {len(files)} files are missing, such as {_named(missing, root)}:"
            " get the download again."
        )
    if empty:
        found.append(f"{len(empty)} files are empty, such as {_named(empty, root)}: get them again.")
    if benchmark.frames and len(entries) != benchmark.frames:
        found.append(
            f"{len(entries)} frames are there, and {benchmark.frames} were published: figures of"
            " others cannot be compared."
        )
    texts = sum(len(entry.texts) for entry in entries)
    if benchmark.texts and texts != benchmark.texts:
        found.append(
            f"{texts} expressions are there, and {benchmark.texts} were published: figures of"
            " others cannot be compared."
        )
    bad = set(missing) | set(empty)
    samples = (attempt(entry.load) for entry in _samples(entries) if not bad & set(entry.files))
    found += [str(error) for error in samples if isinstance(error, Exception)]
    return found


def _samples(entries: Sequence[Entry]) -> list[Entry]:
    """The first, the middle and the last, which are read as a run would."""
    return list(
        {entry.name: entry for entry in (entries[0], entries[len(entries) // 2], entries[-1])}.values()
    )


def _named(files: Sequence[Path], root: Path) -> str:
    names = [
        str(file.relative_to(root)) if file.is_relative_to(root) else str(file) for file in files[:NAMED]
    ]
    return ", ".join(names) + (" ..." if len(files) > NAMED else "")
