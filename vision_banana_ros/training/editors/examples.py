# SPDX-License-Identifier: Apache-2.0
"""Training examples for editors: prompts about rendered views, edits of them, and pairs of files."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import read_json
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.tasks.vocabulary import LEGEND
from vision_banana_ros.training.data.captions_and_edits import draw_pictures
from vision_banana_ros.training.data.questions import draw_expression, draw_samples
from vision_banana_ros.training.data.records import Record, record_of
from vision_banana_ros.training.data.sources import FIRST_TRAINING_SEED, SOURCES, Shot

TASKS = ("depth", "normals", "semantic", "referring", "instances")
_MASK = (255, 0, 0)  # colour of masks in profiles with fixed prompts
_SAME_SHAPE = 0.02  # tolerance of the logarithm of the aspect ratio, for rounding to pixels


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
        pairs: "Pairs | None" = None,
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
        return Example(view.image, sample.instruction, _unit(sample.target))
    asked: dict[str, Any] = {}
    painted: dict[str, Any] = {}
    truth: np.ndarray = {"depth": view.depth_m, "normals": view.normals, "semantic": view.labels}.get(
        task, view.instances
    )
    if task == "semantic":
        asked = painted = {"legend": LEGEND}
    elif task == "referring":
        said = draw_expression(view, rng)
        text, truth = said.text, said.mask
        asked, painted = {"expression": text, "color": _MASK}, {"color": _MASK}
    elif task == "instances":
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


class Pairs:
    """Pairs of images with prompts, loaded from disk on demand.

    Args:
        folder: Folder with pairs.json: {"pairs": [{"image": file, "answer": file, "instruction": text},
            ...]}.
        size: Height and width of the examples in pixels. Pairs with another aspect ratio are cropped at a
            random position, the same in both images.

    Raises:
        InputError: The list is invalid, or a file is missing.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        entries = (
            read_json(folder / "pairs.json").get("pairs", []) if (folder / "pairs.json").is_file() else None
        )
        if (
            not isinstance(entries, list)
            or not entries
            or not all(isinstance(entry, dict) for entry in entries)
        ):
            raise InputError(
                f"'{folder}' holds no pairs.json with a list of pairs: "
                "write one, see `vision-banana tune --help`."
            )
        self._folder, self._size = folder, size
        self._entries = [
            tuple(str(entry.get(name, "")) for name in ("image", "answer", "instruction"))
            for entry in entries
        ]
        for image, answer, instruction in self._entries:
            if missing := next((name for name in (image, answer) if not (folder / name).is_file()), None):
                raise InputError(f"The picture '{missing}' of '{folder}' is not there or cannot be read.")
            if not instruction.strip():
                raise InputError(
                    f"A pair of '{folder}' has no instruction: say in words what its answer shows."
                )

    @property
    def instructions(self) -> list[str]:
        """The prompts without duplicates."""
        return list(dict.fromkeys(entry[2] for entry in self._entries))

    def draw(self, rng: np.random.Generator) -> Example:
        """Draws a pair.

        Args:
            rng: Random generator.

        Raises:
            InputError: An image cannot be read, or the aspect ratios of the two differ.
        """
        image, answer, instruction = self._entries[int(rng.integers(len(self._entries)))]
        frame, painted = (_picture(self._folder, name) for name in (image, answer))
        if abs(np.log(frame.shape[0] * painted.shape[1] / (frame.shape[1] * painted.shape[0]))) > _SAME_SHAPE:
            raise InputError(
                f"'{image}' and '{answer}' of '{self._folder}' have other proportions: give both of one size."
            )
        place = rng.random(2)
        return Example(
            _cut(frame, self._size, place, cv2.INTER_AREA),
            instruction,
            _unit(_cut(painted, self._size, place, cv2.INTER_NEAREST)),
        )


def _edit(plan: Plan, rng: np.random.Generator) -> Example:
    """Draws an edit of a view; views without an edit are skipped."""
    while True:
        frame, sample = draw_pictures(
            drawn(FIRST_TRAINING_SEED + int(rng.integers(plan.views)), plan.size), rng
        )[1]
        if frame is not None:
            return Example(frame, sample.instruction, _unit(sample.target))


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1)


def _picture(folder: Path, name: str) -> np.ndarray:
    picture = cv2.imread(str(folder / name))
    if picture is None:
        raise InputError(f"The picture '{name}' of '{folder}' is not there or cannot be read.")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _cut(picture: np.ndarray, size: tuple[int, int], place: np.ndarray, interpolation: int) -> np.ndarray:
    """The largest crop with the aspect ratio of `size`, resized; `place` is its position, 0..1 per axis."""
    height, width = picture.shape[:2]
    scale = min(height / size[0], width / size[1])
    part = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (
        int(share * (whole - cut + 1)) for share, whole, cut in zip(place, (height, width), part, strict=True)
    )
    cut = picture[top : top + part[0], left : left + part[1]]
    return np.ascontiguousarray(cv2.resize(cut, size[::-1], interpolation=interpolation))
