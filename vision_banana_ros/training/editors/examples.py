# SPDX-License-Identifier: Apache-2.0
"""What an open editor is tuned on: questions about rendered views, edits of them, and pairs that somebody gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
_MASK = (255, 0, 0)  # of a profile that has fixed words


@dataclass(frozen=True)
class Example:
    """A frame (H, W, 3) uint8, an instruction, and the picture that answers it, (H, W, 3) float32 in 0..1."""

    frame: np.ndarray
    instruction: str
    answer: np.ndarray


class Plan(Protocol):
    """What `lessons` reads of a plan."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def tasks(self) -> tuple[str, ...]: ...
    @property
    def views(self) -> int: ...
    @property
    def keep(self) -> float: ...
    @property
    def seed(self) -> int: ...


def lessons(profile: Profile, plan: Plan, pairs: Sequence[Example], done: int = 0, process: int = 0) -> Iterator[Example]:
    """Examples without end: views, each asked every task, and the editor's own work. The same for the same arguments.

    pairs: the editor's own work; where there are none, edits of the views. `plan.keep` is its share; with pairs and no share,
    pairs alone.
    """
    keep = plan.keep if plan.keep or not pairs else 1.0
    rng = np.random.default_rng([plan.seed, done, process])
    while True:
        if rng.random() < keep:
            yield pairs[int(rng.integers(len(pairs)))] if pairs else _edit(plan, rng)
            continue
        view = drawn(FIRST_TRAINING_SEED + int(rng.integers(plan.views)), plan.size)
        for task in rng.permutation(list(plan.tasks)):
            yield question(profile, str(task), view, rng)


def question(profile: Profile, task: str, view: Record, rng: np.random.Generator) -> Example:
    """A question about a view with its true answer. In the paper's profile wording, legend and colours are drawn anew; others
    are always asked in the same words."""
    if profile.metric:
        sample = draw_samples(view, rng, tasks=(task,))[0]
        return Example(view.image, sample.instruction, _unit(sample.target))
    asked: dict[str, Any] = {}
    painted: dict[str, Any] = {}
    truth: np.ndarray = {"depth": view.depth_m, "normals": view.normals, "semantic": view.labels}.get(task, view.instances)
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
    return Example(view.image, profile.instruction(task, **asked), profile.encode(task, truth, **painted).astype(np.float32))


def drawn(seed: int, size: tuple[int, int]) -> Record:
    """One view of a world, both drawn from the seed, with what can be said of it."""
    return record_of(shot(seed, size), np.random.default_rng(seed))


def shot(seed: int, size: tuple[int, int]) -> Shot:
    """One view of a world, both drawn from the seed."""
    source = SOURCES["procedural"]()
    world = source.make_world(seed)
    camera = source.sample_camera(world, np.random.default_rng(seed), size[1], size[0])
    return Shot(source.render(world, camera, seed), source, seed)


def read_pairs(folder: Path, size: tuple[int, int]) -> list[Example]:
    """Pairs of a folder: pairs.json, {"pairs": [{"image": file, "answer": file, "instruction": text}, ...]}, pictures of any size."""
    entries = read_json(folder / "pairs.json").get("pairs", []) if (folder / "pairs.json").is_file() else None
    if not entries:
        raise InputError(f"'{folder}' holds no pairs.json with a list of pairs: write one, see `vision-banana tune --help`.")
    found = []
    for entry in entries:
        pictures = [_picture(folder, entry.get(name), size) for name in ("image", "answer")]
        if not str(entry.get("instruction", "")).strip():
            raise InputError(f"A pair of '{folder}' has no instruction: say in words what its answer shows.")
        found.append(Example(pictures[0], str(entry["instruction"]), _unit(pictures[1])))
    return found


def _edit(plan: Plan, rng: np.random.Generator) -> Example:
    """An edit of a view; some views have nothing to edit."""
    while True:
        frame, sample = draw_pictures(drawn(FIRST_TRAINING_SEED + int(rng.integers(plan.views)), plan.size), rng)[1]
        if frame is not None:
            return Example(frame, sample.instruction, _unit(sample.target))


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1)


def _picture(folder: Path, name: Any, size: tuple[int, int]) -> np.ndarray:
    picture = cv2.imread(str(folder / str(name)))
    if picture is None:
        raise InputError(f"The picture '{name}' of '{folder}' is not there or cannot be read.")
    picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
