# SPDX-License-Identifier: Apache-2.0
"""Questions about a rendered view, and the pictures that answer them truly. Legends, colours and wording are drawn anew."""

from dataclasses import dataclass

import numpy as np

from vision_banana_ros.scenes import View, expressions
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import BLACK, MIN_DISTANCE, Legend, Rgb, far_apart
from vision_banana_ros.tasks.vocabulary import CLASSES, LEGEND

#: The focal length, in pixels of the painted picture, that depth is painted for. Through a lens of twice the focal length a thing
#: twice as far away looks the same: a picture tells depth over focal length, and metres are for who knows the lens (the label
#: transform of Metric3D, arXiv 2307.10984, section 3.2). In pixels, so that what is learnt at a small size holds at a larger
#: one; of pictures 192 wide it is a lens of 70 degrees, in the middle of those that views are taken with.
FOCAL_PX = 137.1
QUESTIONS_A_VIEW = 5
RANDOM_LEGENDS = 0.6  # else the own one: it is what a robot asks most
INSTANCES = 0.65  # share of views whose last question is for instances; the others are asked for one thing more
ALL_CLASSES = 0.4  # share of random legends that name every class: a robot's legend is long, and mostly of what is not there
CUBE_WALK: tuple[Rgb, ...] = tuple(tuple(round(255 * float(c)) for c in knot) for knot in depth.COLORMAPS["cube"])  # type: ignore[misc]
_COLOR_STYLES = ("hex", "rgb", "name")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An instruction and the picture that it asks for, (H, W, 3) float32 in 0..1 or uint8.

    palette: the flat colours that the answer is made of; for depth along the cube, the corners of its walk.
    """

    task: str
    instruction: str
    target: np.ndarray
    palette: tuple[Rgb, ...] = ()


def draw_samples(
    view: View, rng: np.random.Generator, random_legends: float = RANDOM_LEGENDS, tasks: tuple[str, ...] | None = None
) -> list[Sample]:
    """QUESTIONS_A_VIEW questions about one view: one a task, so that the frame's encoding serves them all.

    random_legends: share of semantic questions whose classes and colours are drawn anew.
    tasks: ask one question of each of these alone, as a specialist is taught.
    """
    if tasks is not None:
        makers = {"depth": _depth, "normals": _normals, "referring": _referring, "instances": _instances}
        return [_semantic(view, rng, random_legends) if task == "semantic" else makers[task](view, rng) for task in tasks]
    return [
        _depth(view, rng),
        _normals(view, rng),
        _semantic(view, rng, random_legends),
        _referring(view, rng),
        _instances(view, rng) if rng.random() < INSTANCES else _referring(view, rng),
    ]


def _depth(view: View, rng: np.random.Generator) -> Sample:
    colormap = "cube" if rng.random() < 0.85 else str(rng.choice([name for name in depth.COLORMAPS if name != "cube"]))
    text = depth.instruction(colormap, phrasing=_phrasing(depth.PHRASINGS, rng))
    knots = CUBE_WALK if colormap == "cube" else ()
    painted = view.depth_m * np.float32(FOCAL_PX / view.camera.fx)
    return Sample("depth", text, depth.encode(painted, colormap), knots)


def _normals(view: View, rng: np.random.Generator) -> Sample:
    return Sample("normals", normals.instruction(phrasing=_phrasing(normals.PHRASINGS, rng)), normals.encode(view.normals))


def _semantic(view: View, rng: np.random.Generator, random_legends: float) -> Sample:
    legend, labels = LEGEND, view.labels
    if rng.random() < random_legends:
        legend, labels = _random_legend(view, rng)
    text = semantic.instruction(legend, phrasing=_phrasing(semantic.PHRASINGS, rng), style=str(rng.choice(_COLOR_STYLES)))
    return Sample("semantic", text, semantic.encode(labels, legend), (BLACK, *legend.values()))


def _random_legend(view: View, rng: np.random.Generator) -> tuple[Legend, np.ndarray]:
    """All classes, or some that are there and some that are not, in any order and colours; the rest is unlabelled."""
    if rng.random() < ALL_CLASSES:
        return _in_colors([int(i) for i in rng.permutation(len(CLASSES))], view.labels, rng)
    present = [int(i) for i in np.unique(view.labels) if i < len(CLASSES)]
    absent = [i for i in range(len(CLASSES)) if i not in present]
    chosen = [i for i in present if rng.random() < 0.75] or present[:1]
    chosen += [int(i) for i in rng.permutation(absent)[: rng.integers(0, 5)]]
    return _in_colors([int(i) for i in rng.permutation(chosen)], view.labels, rng)


def _in_colors(chosen: list[int], labels: np.ndarray, rng: np.random.Generator) -> tuple[Legend, np.ndarray]:
    """A legend of these classes in random colours, and labels in its order."""
    colors = _random_colors(len(chosen), rng)
    table = np.full(256, semantic.UNLABELLED, np.uint8)
    table[chosen] = range(len(chosen))
    return {CLASSES[i]: color for i, color in zip(chosen, colors, strict=True)}, table[labels]


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
    return drawn if len(drawn) == n else [far_apart(n, [BLACK])[i] for i in rng.permutation(n)]


def _referring(view: View, rng: np.random.Generator) -> Sample:
    text, mask = draw_expression(view, rng)
    color = _random_colors(1, rng)[0]
    instruction = referring.instruction(
        text, color, phrasing=_phrasing(referring.PHRASINGS, rng), style=str(rng.choice(_COLOR_STYLES))
    )
    return Sample("referring", instruction, referring.encode(mask, color), (BLACK, color))


def draw_expression(view: View, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """A referring expression and its mask, (H, W) bool; the floor where a view has nothing to refer to."""
    found = expressions(view, rng, 1)
    return (found[0].text, found[0].mask) if found else ("the floor", view.labels == CLASSES.index("floor"))


def _instances(view: View, rng: np.random.Generator) -> Sample:
    """All things of one class, mostly one that is there; a thing's colour says where it is, which can be learnt."""
    present = [int(i) for i in np.unique(view.labels[view.instances > 0]) if i < len(CLASSES)]
    wanted = int(rng.choice(present)) if present and rng.random() < 0.85 else int(rng.integers(len(CLASSES)))
    labels = np.where(view.labels == wanted, view.instances, 0)
    height, width = labels.shape
    colors: list[Rgb] = []
    target = np.zeros((*labels.shape, 3), np.uint8)
    for label in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == label)
        colors.append(place_color(columns.mean() / width, rows.mean() / height))
        target[rows, columns] = colors[-1]
    text = instances.instruction(CLASSES[wanted], phrasing=_phrasing(instances.PHRASINGS, rng))
    # What is not there could have been anywhere; the middle's colour stands for that.
    return Sample("instances", text, target, (BLACK, *(colors or [place_color(0.5, 0.5)])))


def place_color(x: float, y: float) -> Rgb:
    """The colour, 0-255, of a thing whose visible part is centred at x, y (0..1 of the picture): never near black."""
    return round(51 + 204 * x), round(51 + 204 * y), round(255 - 204 * x)


def _phrasing(phrasings: tuple[str, ...], rng: np.random.Generator) -> int:
    """The canonical wording a third of the time: it is what the node asks."""
    return 0 if rng.random() < 1 / 3 else int(rng.integers(len(phrasings)))
