# SPDX-License-Identifier: Apache-2.0
"""Run a benchmark, or a shard of one.

Frames are read ahead, measured, and kept one by one, so that nothing is computed twice.
"""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.frame_results import FrameResults, frames_file, read_frames
from vision_banana_ros.evaluation.benchmarks.protocols import Options
from vision_banana_ros.evaluation.benchmarks.reading import attempt
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.files import write_bytes
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.tasks.colors import Legend

READERS = 4
"""Threads that read: one unpacks 17 frames of Cityscapes a second, and a GPU may paint more."""
AHEAD = 2 * READERS
"""Frames that are read while one is painted."""
OF_THE_CARD = ("README.md", "metrics.json", ".jpg", ".png")
NAMED = 20
"""Failed frames that a report names; the file of frames has them all."""


@dataclass(frozen=True)
class Plan:
    """What of a benchmark is measured.

    Attributes:
        limit: Only the first frames of the data set; 0 all.
        shard: (i, n), every n-th frame from the i-th on, counted from 1.
    """

    limit: int = 0
    shard: tuple[int, int] = (1, 1)

    def of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of all entries that are measured."""
        i, n = self.shard
        return entries[: self.limit or None][i - 1 :: n]


def parse_shard(text: str) -> tuple[int, int]:
    """'3/16' -> (3, 16). InputError where it is none."""
    i, _, n = text.partition("/")
    if not (i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
        raise InputError(f"'{text}' is no shard: write I/N, as in 3/16, from 1/16 to 16/16.")
    return int(i), int(n)


def identity(perceiver: Perceiver) -> str:
    """What tells a generator from all others: a digest of its files, without the card and what it is made of.

    Of a training run, which has none, its name alone.
    """
    manifest: Any = perceiver.generator.manifest
    files = {
        name: digest
        for name, digest in getattr(manifest, "files", {}).items()
        if not name.endswith(OF_THE_CARD)
    }
    return (
        hashlib.sha256(json.dumps(files, sort_keys=True, default=str).encode()).hexdigest()[:16]
        if files
        else ""
    )


def run(
    benchmark: Benchmark,
    entries: Sequence[Entry],
    perceiver: Perceiver,
    bundle: str,
    out: Path,
    plan: Plan,
    options: Options,
    made: dict[str, Any],
    tell: Callable[[str], None] = lambda said: None,
) -> dict[str, Any]:
    """Measure what is not measured yet, and write the report.

    Args:
        benchmark: What is measured.
        entries: All frames of the data set, of `benchmark.open`.
        perceiver: What answers.
        bundle: What the generator is called.
        out: The report, JSON; the frames are kept beside it.
        plan: Which of the frames.
        options: How they are asked.
        made: More for the report: the command, the version.
        tell: Hears how far it is.

    Returns:
        The report, also where frames failed: "failed" counts and names them.

    Raises:
        InputError: where the generator was not taught the task, or `out` was begun with something else or
            cannot be written.
    """
    task, taught = benchmark.protocol.task, perceiver.generator.manifest.tasks
    if task not in taught:
        raise InputError(
            f"{bundle} was not taught {task}, which {benchmark.name} asks for, only"
            f" {', '.join(taught)}: give another."
        )
    chosen = plan.of(entries)
    header = {
        "benchmark": benchmark.name,
        "folder": entries[0].name.partition("/")[0] if benchmark.own else "",
        "bundle": bundle,
        "identity": identity(perceiver),
        "passes": perceiver.passes,
        "many": perceiver.together,
        "rewritten": options.language_model is not None,
        "set": len(entries),
        "limit": plan.limit,
        "shard": list(plan.shard),
    }
    results = FrameResults(frames_file(out), header)
    todo = [entry for entry in chosen if not results.done.get(entry.name)]
    started, waited = time.monotonic(), 0.0
    for count, (entry, frame, wait_s) in enumerate(read_ahead(todo), start=1):
        waited += wait_s
        found = (
            frame
            if isinstance(frame, Exception)
            else attempt(lambda: benchmark.protocol.measure(perceiver, frame, options))  # noqa: B023
        )
        if isinstance(found, Exception):
            results.fail(entry.name, " ".join(str(found).split()))
            tell(f"{entry.name} failed: {found}")
        else:
            results.add(entry.name, found)
        elapsed = time.monotonic() - started
        left = elapsed / count * (len(todo) - count)
        tell(f"{benchmark.name}: {len(chosen) - len(todo) + count} of {len(chosen)}, {_clock(left)} left")
    spent = time.monotonic() - started
    timing = {"seconds": spent, "waited_for_loading_s": waited, "measured_now": len(todo)} if todo else {}
    legend = perceiver.generator.manifest.legend
    to_merge = {"legend": dict(legend)} if plan.shard[1] > 1 else {}
    report = {**summed_up(benchmark, header, [frames_file(out)], legend), **to_merge, **timing, **made}
    write_bytes(out, json.dumps(tidy(report), indent=2).encode() + b"\n")
    return tidy(report)


def summed_up(
    benchmark: Benchmark, header: dict[str, Any], files: Iterable[Path], legend: Legend
) -> dict[str, Any]:
    """The report of frames that were measured, of one file or of the files of all shards."""
    failed: list[dict[str, str]] = []
    counted = 0

    def sums() -> Iterator[dict[str, Any]]:
        nonlocal counted
        for file in files:
            for frame in read_frames(file)[1]:
                if "sums" in frame:
                    counted += 1
                    yield frame["sums"]
                else:
                    failed.append(frame)

    figures = benchmark.protocol.figures(sums(), legend)
    broken = (
        {"count": len(failed), "frames": {frame["frame"]: frame["failed"] for frame in failed[:NAMED]}}
        if failed
        else {}
    )
    return {
        **header,
        "published": benchmark.frames,
        "frames": counted,
        **figures,
        **({"failed": broken} if failed else {}),
    }


def read_ahead(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Frame | Exception, float]]:
    """Each entry with its frame, or the error of its files, and the seconds that were waited for it.

    The next `AHEAD` are read meanwhile by threads: reading and unpacking run outside of Python's lock.
    """
    waiting: deque[tuple[Entry, Future[Any]]] = deque()
    rest = iter(entries)
    with ThreadPoolExecutor(READERS, thread_name_prefix="loading") as pool:
        try:
            while True:
                while len(waiting) < AHEAD and (entry := next(rest, None)) is not None:
                    waiting.append((entry, pool.submit(attempt, entry.load)))
                if not waiting:
                    return
                entry, future = waiting.popleft()
                asked = time.monotonic()
                frame = future.result()
                yield entry, frame, time.monotonic() - asked
        finally:
            pool.shutdown(cancel_futures=True)


def _clock(seconds: float) -> str:
    hours, minutes = int(seconds) // 3600, int(seconds) // 60 % 60
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {int(seconds) % 60:02d} s"
