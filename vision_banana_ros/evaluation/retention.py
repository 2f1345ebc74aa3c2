# SPDX-License-Identifier: Apache-2.0
"""Retention of image generation and editing after tuning.

Scored automatically on captions and edits of rendered scenes.

Edits: a frame and a sentence ("make the ball green"); the edited world is rendered with the same lens effects
as the target. `done` is the fraction of the pixels to be changed that are nearer to the target than to the
frame; `kept` the fraction of all others within a tenth of the range of the frame. The score of an edit is
done x kept: returning the frame unchanged gives 0, and so does repainting everything.

Captions: a picture is generated from the caption alone and segmented by a judge, always the same generator.
`found` is the fraction of the classes in the captions that the judge sees; `chance` the same with captions of
other pictures. The score is (found - chance) / (1 - chance).

`score` is the mean of both.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.evaluation.scores import EMPTY_SHARE
from vision_banana_ros.evaluation.splits import EDITION, taken
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.perceiver import Painter
from vision_banana_ros.scenes import View, caption, make_world, render, sample_camera
from vision_banana_ros.scenes.language.edits import draw_edit
from vision_banana_ros.scenes.language.expressions import PLURALS
from vision_banana_ros.tasks.colors import Legend

VIEWS = 60
FIRST_SEED = 10_000  # worlds that neither training nor the splits use
BLANK = 128  # the frame where there is none: grey everywhere
VISIBLE = 24  # of 255: a change smaller than this is none
STAYS = 25.5
LEAST_CHANGE = 0.005  # share of the picture


@dataclass(frozen=True, slots=True)
class Trial:
    """A frame, an edit in words, the target picture, and the pixels that must change, (H, W) bool."""

    kind: str
    text: str
    frame: np.ndarray
    target: np.ndarray
    changed: np.ndarray


def measure_retention(painter: Painter, judge: Perceiver, views: int = VIEWS) -> dict[str, Any]:
    """Scores of `painter` on one caption and one edit each of `views` worlds."""
    edits: dict[str, list[tuple[float, float]]] = {}
    wanted, seen = [], []
    legend: Legend = judge.generator.manifest.legend
    blank = np.full((*painter.size, 3), BLANK, np.uint8)
    for seed in range(FIRST_SEED, FIRST_SEED + views):
        rng = np.random.default_rng(seed)
        view = draw_view(seed, rng, painter.size)
        words = caption(view, rng)
        names = named(words, legend)
        if names:
            wanted.append(names)
            seen.append(classes_in(_u8(painter.paint(blank, [words])[0]), judge, legend))
        trial = draw_trial(view, rng, seed)
        if trial is not None:
            painted = _u8(painter.paint(trial.frame, [trial.text])[0])
            edits.setdefault(trial.kind, []).append(score_edit(painted, trial))
    every = np.array([pair for pairs in edits.values() for pair in pairs]).reshape(-1, 2)
    captions = score_captions(wanted, seen)
    edited: dict[str, Any] = {
        "done": float(every[:, 0].mean()),
        "kept": float(every[:, 1].mean()),
        "score": float(every.prod(1).mean()),
        "trials": len(every),
        "kinds": {kind: float(np.prod(pairs, 1).mean()) for kind, pairs in sorted(edits.items())},
    }
    return {"edits": edited, "captions": captions, "score": (edited["score"] + captions["score"]) / 2}


def draw_trial(view: View, rng: np.random.Generator, seed: int) -> Trial | None:
    """An edit of the view with its true outcome; None where nothing would show."""
    edit = draw_edit(view, rng)
    if edit is None:
        return None
    frame, target = (taken(world, view.camera, seed).image for world in (edit.before, edit.after))
    plain = [
        render(world, view.camera, seed, effects=False).image.astype(np.int16)
        for world in (edit.before, edit.after)
    ]
    changed = np.abs(plain[1] - plain[0]).max(2) > VISIBLE
    if changed.mean() < LEAST_CHANGE:
        return None
    return Trial(edit.kind, edit.text, frame, target, changed)


def score_edit(painted: np.ndarray, trial: Trial) -> tuple[float, float]:
    """(done, kept) of a painted picture (H, W, 3) uint8, both 0..1.

    Kept is 1 where everything was to be changed.
    """
    to_target = np.linalg.norm(painted - trial.target.astype(np.float64), axis=2)
    to_frame = np.linalg.norm(painted - trial.frame.astype(np.float64), axis=2)
    done = float((to_target < to_frame)[trial.changed].mean())
    rest = ~trial.changed
    moved = np.abs(painted.astype(np.int16) - trial.target).max(2)
    return done, float((moved[rest] <= STAYS).mean()) if rest.any() else 1.0


def score_captions(wanted: list[set[str]], seen: list[set[str]]) -> dict[str, float]:
    """`wanted`: the classes that each caption names; `seen`: those that the judge saw in its picture."""
    recall = np.array([[len(names & there) / len(names) for there in seen] for names in wanted])
    found = float(np.diag(recall).mean()) if len(recall) else float("nan")
    others = ~np.eye(len(recall), dtype=bool)
    chance = float(recall[others].mean()) if len(recall) > 1 else float("nan")
    score = (found - chance) / (1 - chance) if chance < 1 else 0.0
    return {"found": found, "chance": chance, "score": max(score, 0.0), "trials": len(recall)}


def classes_in(image: np.ndarray, judge: Perceiver, legend: Legend) -> set[str]:
    """The classes that the judge sees in a picture."""
    labels = judge.look(image, [Question.semantic(legend)])[0].labels
    shares = np.bincount(labels.ravel(), minlength=256) / labels.size
    return {name for i, name in enumerate(legend) if shares[i] > EMPTY_SHARE}


def named(words: str, legend: Legend) -> set[str]:
    """The classes of the legend that a caption names, in singular or plural."""
    spoken = words.lower().replace(",", " ").split()
    return {
        name
        for name in legend
        if any(word in spoken for word in (name, f"{name}s", f"{name}es", PLURALS.get(name)))
    }


def draw_view(seed: int, rng: np.random.Generator, size: tuple[int, int]) -> View:
    """Renders a view of the world of a seed, (H, W) in pixels."""
    world = make_world(seed)
    return taken(world, sample_camera(world, rng, size[1], size[0], EDITION), seed)


def _u8(rgb: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(rgb, alpha=255.0)
