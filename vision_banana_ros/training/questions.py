# SPDX-License-Identifier: Apache-2.0
"""Questions about a rendered view, and the pictures that answer them truly. Legends, colours and wording are drawn anew."""

from dataclasses import dataclass

import numpy as np

from vision_banana_ros.scenes import CLASSES, View, expressions
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import MIN_DISTANCE, Legend, Rgb, far_apart

#: The legend that a trained generator knows best; it is the default of the bundle.
LEGEND: Legend = dict(zip(CLASSES, far_apart(len(CLASSES), [semantic.BLACK]), strict=True))
QUESTIONS_A_VIEW = 5
_COLOR_STYLES = ("hex", "rgb", "name")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An instruction and the picture that it asks for, (H, W, 3) float32 in 0..1."""

    task: str
    instruction: str
    target: np.ndarray


def draw_samples(view: View, rng: np.random.Generator) -> list[Sample]:
    """QUESTIONS_A_VIEW questions about one view: one a task, so that the frame's encoding serves them all."""
    return [
        _depth(view, rng),
        _normals(view, rng),
        _semantic(view, rng),
        _referring(view, rng),
        _instances(view, rng) if rng.random() < 0.5 else _referring(view, rng),
    ]


def _depth(view: View, rng: np.random.Generator) -> Sample:
    colormap = "cube" if rng.random() < 0.85 else str(rng.choice([name for name in depth.COLORMAPS if name != "cube"]))
    text = depth.instruction(colormap, phrasing=_phrasing(depth.PHRASINGS, rng))
    return Sample("depth", text, depth.encode(view.depth_m, colormap))


def _normals(view: View, rng: np.random.Generator) -> Sample:
    return Sample("normals", normals.instruction(phrasing=_phrasing(normals.PHRASINGS, rng)), normals.encode(view.normals))


def _semantic(view: View, rng: np.random.Generator) -> Sample:
    legend, labels = LEGEND, view.labels
    if rng.random() < 0.6:
        legend, labels = _random_legend(view, rng)
    text = semantic.instruction(legend, phrasing=_phrasing(semantic.PHRASINGS, rng), style=str(rng.choice(_COLOR_STYLES)))
    return Sample("semantic", text, semantic.encode(labels, legend))


def _random_legend(view: View, rng: np.random.Generator) -> tuple[Legend, np.ndarray]:
    """Some of the classes that are there, some that are not, in any order and colours; the rest is unlabelled."""
    present = [int(i) for i in np.unique(view.labels) if i < len(CLASSES)]
    absent = [i for i in range(len(CLASSES)) if i not in present]
    chosen = [i for i in present if rng.random() < 0.75] or present[:1]
    chosen += [int(i) for i in rng.permutation(absent)[: rng.integers(0, 5)]]
    chosen = [int(i) for i in rng.permutation(chosen)]
    colors = _random_colors(len(chosen), rng)
    table = np.full(256, semantic.UNLABELLED, np.uint8)
    table[chosen] = range(len(chosen))
    return {CLASSES[i]: color for i, color in zip(chosen, colors, strict=True)}, table[view.labels]


def _random_colors(n: int, rng: np.random.Generator) -> list[Rgb]:
    """Colours that can be told apart from one another and from black, as readable as the dice allow."""
    colors = np.zeros((1, 3))
    for wanted in np.repeat([160.0, 110.0, 80.0, MIN_DISTANCE + 5], 200):
        candidate = rng.integers(0, 256, 3)
        if np.linalg.norm(colors - candidate, axis=1).min() >= wanted:
            colors = np.vstack([colors, candidate])
            if len(colors) > n:
                break
    drawn: list[Rgb] = [(int(r), int(g), int(b)) for r, g, b in colors[1:]]
    return drawn if len(drawn) == n else far_apart(n, [semantic.BLACK])


def _referring(view: View, rng: np.random.Generator) -> Sample:
    found = expressions(view, rng, 1)
    text, mask = (found[0].text, found[0].mask) if found else ("the floor", view.labels == CLASSES.index("floor"))
    color = _random_colors(1, rng)[0]
    instruction = referring.instruction(
        text, color, phrasing=_phrasing(referring.PHRASINGS, rng), style=str(rng.choice(_COLOR_STYLES))
    )
    return Sample("referring", instruction, referring.encode(mask, color))


def _instances(view: View, rng: np.random.Generator) -> Sample:
    """All things of one class, mostly one that is there; a thing's colour says where it is, which can be learnt."""
    present = [int(i) for i in np.unique(view.labels[view.instances > 0]) if i < len(CLASSES)]
    wanted = int(rng.choice(present)) if present and rng.random() < 0.85 else int(rng.integers(len(CLASSES)))
    labels = np.where(view.labels == wanted, view.instances, 0)
    target = np.zeros((*labels.shape, 3), np.float32)
    height, width = labels.shape
    for label in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == label)
        target[rows, columns] = place_color(columns.mean() / width, rows.mean() / height)
    text = instances.instruction(CLASSES[wanted], phrasing=_phrasing(instances.PHRASINGS, rng))
    return Sample("instances", text, target)


def place_color(x: float, y: float) -> tuple[float, float, float]:
    """The colour, 0..1, of a thing whose visible part is centred at x, y (0..1 of the picture): never near black."""
    return 0.2 + 0.8 * x, 0.2 + 0.8 * y, 1.0 - 0.8 * x


def _phrasing(phrasings: tuple[str, ...], rng: np.random.Generator) -> int:
    """The canonical wording a third of the time: it is what the node asks."""
    return 0 if rng.random() < 1 / 3 else int(rng.integers(len(phrasings)))
