# SPDX-License-Identifier: Apache-2.0
"""Training examples for editors: prompts about rendered views, edits of them, and what else is drawn from."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import numpy as np

from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks import TASKS as KNOWN
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.tasks.vocabulary import LEGEND
from vision_banana_ros.training.data.captions_and_edits import draw_pictures
from vision_banana_ros.training.data.questions import draw_expression, draw_samples
from vision_banana_ros.training.data.records import Record, record_of
from vision_banana_ros.training.data.sources import FIRST_TRAINING_SEED, SOURCES, Shot

TASKS = ("depth", "normals", "semantic", "referring", "instances")
_MASK = (255, 0, 0)  # colour of masks in profiles with fixed prompts


@dataclass(frozen=True)
class Example:
    """A training example.

    Attributes:
        frame: (H, W, 3) uint8 RGB.
        instruction: The prompt.
        answer: (H, W, 3) float32 in 0..1, RGB.
    """

    frame: np.ndarray
    instruction: str
    answer: np.ndarray


class Source(Protocol):
    """What examples are drawn from besides views, such as `pairs.Pairs`."""

    def draw(self, rng: np.random.Generator) -> Example:
        """Draws an example."""


class Plan(Protocol):
    """The attributes of a plan that `Lessons` uses (see `tune.Plan`)."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""

    @property
    def views(self) -> int:
        """Number of different scenes."""

    @property
    def keep(self) -> float:
        """Fraction of examples that are edits or pairs."""

    @property
    def seed(self) -> int:
        """Random seed."""


class Lessons:
    """Endless examples by number: prompts for each task about views, mixed with the editor's own work.

    An example depends only on its number, the plan and the process, so a resumed run continues with the same
    examples.

    Args:
        profile: Format of the answers.
        plan: The plan; `plan.keep` is the fraction of the editor's own work. If it is 0 and there are pairs,
            only pairs are used.
        pairs: The editor's own work; without them edits of views are used.
        process: Index of the process; each gets different examples.
        reads: Whether the text encoder can encode a prompt; otherwise the example is drawn again.
    """

    def __init__(
        self,
        profile: Profile,
        plan: Plan,
        pairs: Source | None = None,
        process: int = 0,
        reads: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._profile, self._plan, self._pairs, self._reads = profile, plan, pairs, reads
        self._process = process
        self._keep = plan.keep if plan.keep or pairs is None else 1.0
        self._view: tuple[int, Record] | None = None  # the last one, for its other questions

    def __getitem__(self, number: int) -> Example:
        for attempt in count():
            example = self._drawn(
                number, np.random.default_rng([self._plan.seed, self._process, number, attempt])
            )
            if self._reads(example.instruction):
                return example
        raise AssertionError  # for mypy

    def _drawn(self, number: int, rng: np.random.Generator) -> Example:
        if rng.random() < self._keep:
            return self._pairs.draw(rng) if self._pairs else _edit(self._plan, rng)
        tasks = self._plan.tasks
        world = np.random.default_rng([self._plan.seed, self._process, number // len(tasks)])
        seed, order = (
            FIRST_TRAINING_SEED + int(world.integers(self._plan.views)),
            world.permutation(list(tasks)),
        )
        if self._view is None or self._view[0] != seed:
            self._view = seed, drawn(seed, self._plan.size)
        return question(self._profile, str(order[number % len(tasks)]), self._view[1], rng)


def question(profile: Profile, task: str, view: Record, rng: np.random.Generator) -> Example:
    """Makes an example of a task.

    In the profile of the paper, phrasing, legend and colours are random; in other profiles they are fixed.

    Args:
        profile: Format of the answer.
        task: Name of the task.
        view: The view.
        rng: Random generator.
    """
    if profile.metric:
        sample = draw_samples(view, rng, tasks=(task,))[0]
        return Example(view.image, sample.instruction, to_unit_range(sample.target))
    asked: dict[str, Any] = {}
    painted: dict[str, Any] = {}
    truth: np.ndarray = {"depth": view.depth_m, "normals": view.normals, "semantic": view.labels}.get(
        task, view.instances
    )
    match KNOWN[task].takes:
        case "legend":
            asked = painted = {"legend": LEGEND}
        case "expressions":
            said = draw_expression(view, rng)
            text, truth = said.text, said.mask
            asked, painted = {"expression": text, "color": _MASK}, {"color": _MASK}
        case "class":
            present = np.unique(view.labels[(view.instances > 0) & (view.labels < len(CLASSES))])
            wanted = int(rng.choice(present)) if len(present) else int(rng.integers(len(CLASSES)))
            truth, asked = np.where(view.labels == wanted, view.instances, 0), {"expression": CLASSES[wanted]}
    return Example(
        view.image,
        profile.instruction(task, **asked),
        profile.encode(task, truth, **painted).astype(np.float32),
    )


def drawn(seed: int, size: tuple[int, int]) -> Record:
    """Renders a view of a world, both determined by the seed, with expressions, captions and an edit."""
    return record_of(shot(seed, size), np.random.default_rng(seed))


def shot(seed: int, size: tuple[int, int]) -> Shot:
    """Renders a view of a world, both determined by the seed."""
    source = SOURCES["procedural"]()
    world = source.make_world(seed)
    camera = source.sample_camera(world, np.random.default_rng(seed), size[1], size[0])
    return Shot(source.render(world, camera, seed), source, seed)


def _edit(plan: Plan, rng: np.random.Generator) -> Example:
    """Draws an edit of a view; views without an edit are skipped."""
    while True:
        frame, sample = draw_pictures(
            drawn(FIRST_TRAINING_SEED + int(rng.integers(plan.views)), plan.size), rng
        )[1]
        if frame is not None:
            return Example(frame, sample.instruction, to_unit_range(sample.target))


def to_unit_range(picture: np.ndarray) -> np.ndarray:
    """Colours as float32 in 0..1, of uint8 or of float."""
    return picture.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1)
