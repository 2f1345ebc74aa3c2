# SPDX-License-Identifier: Apache-2.0
"""A pool of rendered views on disk, rendered once and used many times.

World w of a pool always has the same seed, source, canvas and cameras, regardless of the number of processes
and interruptions, so the same recipe renders the same pool again.
"""

import multiprocessing
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.training.data.records import record_of, write_record
from vision_banana_ros.training.data.sources import FIRST_TRAINING_SEED, SOURCES, Shot, Source, check

VIEWS_PER_WORLD = 10
WORLDS_PER_FOLDER = 1000
MIN_WORLDS = 8  # to be rendered before training starts


@dataclass(frozen=True, slots=True)
class Canvas:
    """A resolution of rendered views.

    Attributes:
        size: Height and width in pixels.
        share: Relative frequency of worlds with this resolution.
    """

    size: tuple[int, int]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of views.

    Attributes:
        folder: Folder of the views.
        views: Number of views, rounded up to whole worlds.
        sources: Relative frequency of worlds by source.
        canvases: Resolutions with their frequencies.
        canvases_by_source: The resolutions of the sources that have others.
        seed: Random seed.
    """

    folder: Path
    views: int
    sources: dict[str, float]
    canvases: tuple[Canvas, ...]
    canvases_by_source: dict[str, tuple[Canvas, ...]] = field(default_factory=dict)
    seed: int = 0
    _made: dict[str, Source] = field(default_factory=dict, compare=False)

    @property
    def worlds(self) -> int:
        """Number of worlds."""
        return -(-self.views // VIEWS_PER_WORLD)

    def fill(self, part: int = 0, parts: int = 1) -> Iterator[int]:
        """Renders missing worlds.

        Args:
            part: Index of this process.
            parts: Number of processes; each renders every `parts`-th world.

        Yields:
            The number of each world that is complete.
        """
        for number in range(part, self.worlds, parts):
            if not self._path(number, VIEWS_PER_WORLD - 1, self.canvas(number)).is_file():
                self._render(number)
            yield number

    def records(self) -> dict[tuple[int, int], list[Path]]:
        """The files of the rendered views by resolution (height, width)."""
        found: dict[tuple[int, int], list[Path]] = defaultdict(list)
        for path in sorted(self.folder.glob("*/*.npz")):
            height, width = path.stem.rsplit("_", 1)[1].split("x")
            found[int(height), int(width)].append(path)
        return found

    def canvas(self, number: int) -> tuple[int, int]:
        """The resolution (height, width) of the views of a world."""
        canvases = self.canvases_by_source.get(self._source(self._rng(number)), self.canvases)
        shares = [canvas.share for canvas in canvases]
        return random.Random(f"{self.seed} {number}").choices(canvases, shares)[0].size

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number])

    def _source(self, rng: np.random.Generator) -> str:
        """The source of a world: the first draw of its generator."""
        names = sorted(self.sources)
        chances = np.array([self.sources[name] for name in names])
        return names[int(rng.choice(len(names), p=chances / chances.sum()))]

    def _path(self, number: int, view: int, size: tuple[int, int]) -> Path:
        return (
            self.folder
            / f"{number // WORLDS_PER_FOLDER:03d}"
            / f"{number:06d}_{view:02d}_{size[0]}x{size[1]}.npz"
        )

    def _render(self, number: int) -> None:
        rng = self._rng(number)
        name = self._source(rng)
        if name not in self._made:
            self._made[name] = SOURCES[name]()
        source = self._made[name]
        world = source.make_world(int(rng.integers(FIRST_TRAINING_SEED, 2**31)))
        height, width = size = self.canvas(number)
        self._path(number, 0, size).parent.mkdir(parents=True, exist_ok=True)
        for view in range(VIEWS_PER_WORLD):
            seed = int(rng.integers(2**31))
            seen = source.render(world, source.sample_camera(world, rng, width, height), seed)
            write_record(record_of(Shot(seen, source, seed), rng), self._path(number, view, size))


@contextmanager
def rendering(pool: Pool, processes: int) -> Iterator[None]:
    """Renders the pool in processes of low priority while the context is open.

    The context is entered when the first worlds are complete.

    Args:
        pool: The pool.
        processes: Number of processes; 0 to use existing views only.

    Raises:
        InputError: A source is unknown or its models are missing, or all processes ended early.
    """
    check(pool.sources)
    started = [
        multiprocessing.get_context("spawn").Process(
            target=_render, args=(pool, part, processes), daemon=True
        )
        for part in range(processes)
    ]
    for process in started:
        process.start()
    try:
        while started and _worlds(pool) < min(MIN_WORLDS, pool.worlds):
            if not any(process.is_alive() for process in started) and _worlds(pool) < min(
                MIN_WORLDS, pool.worlds
            ):
                raise InputError("The views could not be rendered: see the messages above.")
            time.sleep(0.5)
        yield
    finally:
        for process in started:
            process.terminate()


def _worlds(pool: Pool) -> int:
    return sum(len(paths) for paths in pool.records().values()) // VIEWS_PER_WORLD


def _render(pool: Pool, part: int, parts: int) -> None:
    os.nice(5)
    for _ in pool.fill(part, parts):
        pass
