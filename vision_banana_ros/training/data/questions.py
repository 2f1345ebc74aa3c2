# SPDX-License-Identifier: Apache-2.0
"""Prompts about rendered views with their target images; legends, colours and phrasings are random."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import BLACK, MIN_DISTANCE, Legend, Rgb, far_apart
from vision_banana_ros.tasks.vocabulary import CLASSES, LEGEND
from vision_banana_ros.training.data.records import Record, Referred

#: The focal length in pixels for which depth is painted. Depth is only determined up to the ratio of distance
#: and focal length, so true depth is scaled to a canonical camera (label transform of Metric3D, arXiv
#: 2307.10984, section 3.2). The value is in pixels of a canvas of 240x320, where it is a field of view of 70
#: degrees, about the mean of the training views; training at a smaller resolution does not change it.
FOCAL_PX = 228.5
QUESTIONS_PER_VIEW = 3
#: Relative frequency of the tasks. A view is used for few tasks at a time, because more views teach more than
#: more prompts per view.
TASK_WEIGHTS = {"depth": 1.4, "normals": 0.7, "semantic": 1.2, "referring": 1.0, "instances": 0.6}
RANDOM_LEGENDS = 0.6  # fraction of semantic prompts with a random legend instead of the default one
ALL_CLASSES_FRACTION = 0.4  # fraction of random legends with all classes, most of which are not in the view
#: The corners of the colour ramp of depth, 0-255.
CUBE_COLORS: tuple[Rgb, ...] = tuple(
    (round(255 * float(r)), round(255 * float(g)), round(255 * float(b)))
    for r, g, b in depth.COLORMAPS["cube"]
)
CUBE_FRACTION = 0.92  # fraction of depth prompts with the cube colour map, which the node uses
CROWN_GAP = 0.04  # width of gaps in a plant that count as plant, relative to the square root of the area
MULTIPLE_EXPRESSIONS_FRACTION = 0.5  # fraction of referring prompts with more than one expression
_COLOR_STYLES = ("hex", "rgb", "name")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A prompt with its target image.

    Attributes:
        task: Name of the task.
        instruction: The prompt.
        target: (H, W, 3) float32 in 0..1 or uint8, RGB.
        palette: The discrete colours (0-255) of the target; for depth along the cube, the corners of the
            ramp.
        log_m: For depth along the cube, (H, W) float32 natural logarithm of the painted metres; NaN unknown,
            inf beyond range.
    """

    task: str
    instruction: str
    target: np.ndarray
    palette: tuple[Rgb, ...] = ()
    log_m: np.ndarray | None = None


def draw_samples(
    view: Record,
    rng: np.random.Generator,
    random_legends: float = RANDOM_LEGENDS,
    tasks: tuple[str, ...] | None = None,
) -> list[Sample]:
    """Draws prompts about a view, each of another task; they share the encoding of the frame.

    Args:
        view: The view.
        rng: Random generator.
        random_legends: Fraction of semantic prompts with randomly drawn classes and colours, in 0..1.
        tasks: The tasks; by default QUESTIONS_PER_VIEW are drawn by TASK_WEIGHTS.
    """
    chances = np.array(list(TASK_WEIGHTS.values()))
    chosen = tasks or rng.choice(
        list(TASK_WEIGHTS), QUESTIONS_PER_VIEW, replace=False, p=chances / chances.sum()
    )
    makers = {"depth": _depth, "normals": _normals, "referring": _referring, "instances": _instances}
    return [
        _semantic(view, rng, random_legends) if task == "semantic" else makers[task](view, rng)
        for task in chosen
    ]


def _depth(view: Record, rng: np.random.Generator) -> Sample:
    colormap = (
        "cube"
        if rng.random() < CUBE_FRACTION
        else str(rng.choice([name for name in depth.COLORMAPS if name != "cube"]))
    )
    text = depth.instruction(colormap, phrasing=_phrasing(depth.PHRASINGS, rng))
    knots = CUBE_COLORS if colormap == "cube" else ()
    painted = view.depth_m * np.float32(FOCAL_PX / view.focal_px)
    log_m = np.log(painted) if colormap == "cube" else None
    return Sample("depth", text, depth.encode(painted, colormap), knots, log_m)


def _normals(view: Record, rng: np.random.Generator) -> Sample:
    return Sample(
        "normals",
        normals.instruction(phrasing=_phrasing(normals.PHRASINGS, rng)),
        normals.encode(view.normals),
    )


def _semantic(view: Record, rng: np.random.Generator, random_legends: float) -> Sample:
    view = replace(view, labels=with_filled_crowns(view.labels))
    legend, labels = LEGEND, view.labels
    if rng.random() < random_legends:
        legend, labels = _random_legend(view, rng)
    text = semantic.instruction(
        legend, phrasing=_phrasing(semantic.PHRASINGS, rng), style=str(rng.choice(_COLOR_STYLES))
    )
    return Sample("semantic", text, semantic.encode(labels, legend), (BLACK, *legend.values()))


def with_filled_crowns(labels: np.ndarray) -> np.ndarray:
    """Labels in which sky and walls seen through the leaves or twigs of a plant belong to the plant.

    This is the convention of annotated photographs (for example Cityscapes, arXiv 1604.01685, appendix A),
    whose trees are outlined. The gaps are those that a morphological closing fills.

    Args:
        labels: (H, W) uint8 classes, 255 unlabelled.
    """
    plants = (labels == CLASSES.index("plant")).astype(np.uint8)
    side = 2 * round(CROWN_GAP * np.sqrt(labels.size) / 2) + 1
    closed = cv2.morphologyEx(
        plants, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    )
    behind = np.isin(labels, [CLASSES.index("sky"), CLASSES.index("wall")])
    return np.where(closed.astype(bool) & behind, np.uint8(CLASSES.index("plant")), labels)


def _random_legend(view: Record, rng: np.random.Generator) -> tuple[Legend, np.ndarray]:
    """A random legend with all classes, or some present and some absent ones; and labels by its order."""
    if rng.random() < ALL_CLASSES_FRACTION:
        return _in_colors([int(i) for i in rng.permutation(len(CLASSES))], view.labels, rng)
    present = [int(i) for i in np.unique(view.labels) if i < len(CLASSES)]
    absent = [i for i in range(len(CLASSES)) if i not in present]
    chosen = [i for i in present if rng.random() < 0.75] or present[:1]
    chosen += [int(i) for i in rng.permutation(absent)[: rng.integers(0 if chosen else 1, 5)]]
    return _in_colors([int(i) for i in rng.permutation(chosen)], view.labels, rng)


def _in_colors(chosen: list[int], labels: np.ndarray, rng: np.random.Generator) -> tuple[Legend, np.ndarray]:
    """A legend of the chosen classes in random colours, and labels by its order."""
    colors = _random_colors(len(chosen), rng)
    table = np.full(256, semantic.UNLABELLED, np.uint8)
    table[chosen] = range(len(chosen))
    return {CLASSES[i]: color for i, color in zip(chosen, colors, strict=True)}, table[labels]


def _random_colors(n: int, rng: np.random.Generator) -> list[Rgb]:
    """Random colours with a large distance from each other and from black (rejection sampling)."""
    colors = np.zeros((1, 3))
    for wanted in np.repeat([160.0, 110.0, 80.0, MIN_DISTANCE + 5], 200):
        candidate = rng.integers(0, 256, 3)
        if np.linalg.norm(colors - candidate, axis=1).min() >= wanted:
            colors = np.vstack([colors, candidate])
            if len(colors) > n:
                break
    drawn: list[Rgb] = [(int(r), int(g), int(b)) for r, g, b in colors[1:]]
    return drawn if len(drawn) == n else [far_apart(n, [BLACK])[i] for i in rng.permutation(n)]


def _referring(view: Record, rng: np.random.Generator) -> Sample:
    """A prompt with one expression, or several whose masks do not overlap."""
    style = str(rng.choice(_COLOR_STYLES))
    first = draw_expression(view, rng)
    if rng.random() >= MULTIPLE_EXPRESSIONS_FRACTION:
        color = _random_colors(1, rng)[0]
        text = referring.instruction(
            first.text, color, phrasing=_phrasing(referring.PHRASINGS, rng), style=style
        )
        return Sample("referring", text, referring.encode(first.mask, color), (BLACK, color))
    wanted = int(rng.integers(2, referring.MAX_EXPRESSIONS + 1))
    chosen = [first]
    for one in (view.referred[i] for i in rng.permutation(len(view.referred))):
        if len(chosen) < wanted and not any(
            (one.mask & other.mask).any() or one.text == other.text for other in chosen
        ):
            chosen.append(one)
    colors = _random_colors(len(chosen), rng)
    asked = {one.text: color for one, color in zip(chosen, colors, strict=True)}
    text = referring.instruction_many(asked, phrasing=_phrasing(referring.PHRASINGS_MANY, rng), style=style)
    target = referring.encode_many([one.mask for one in chosen], colors)
    return Sample("referring", text, target, (BLACK, *colors))


def draw_expression(view: Record, rng: np.random.Generator) -> Referred:
    """Draws one of the referring expressions of a view; "the floor" if it has none."""
    if view.referred:
        return view.referred[int(rng.integers(len(view.referred)))]
    return Referred("the floor", view.labels == CLASSES.index("floor"))


def _instances(view: Record, rng: np.random.Generator) -> Sample:
    """All instances of a class, usually a present one. Colours encode positions, which are learnable."""
    present = [int(i) for i in np.unique(view.labels[view.instances > 0]) if i < len(CLASSES)]
    wanted = int(rng.choice(present)) if present and rng.random() < 0.85 else int(rng.integers(len(CLASSES)))
    labels = np.where(view.labels == wanted, view.instances, 0)
    height, width = labels.shape
    colors: list[Rgb] = []
    target = np.zeros((*labels.shape, 3), np.uint8)
    for label in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == label)
        colors.append(position_color(columns.mean() / width, rows.mean() / height))
        target[rows, columns] = colors[-1]
    text = instances.instruction(CLASSES[wanted], phrasing=_phrasing(instances.PHRASINGS, rng))
    # The palette needs a colour for an absent class, too: that of the centre of the image.
    return Sample("instances", text, target, (BLACK, *(colors or [position_color(0.5, 0.5)])))


def position_color(x: float, y: float) -> Rgb:
    """The colour (0-255) of an instance by the centre of its visible part, never near black.

    Args:
        x: Horizontal position, 0 (left) to 1.
        y: Vertical position, 0 (top) to 1.
    """
    return round(51 + 204 * x), round(51 + 204 * y), round(255 - 204 * x)


def _phrasing(phrasings: tuple[str, ...], rng: np.random.Generator) -> int:
    """Index of a phrasing; a third of them the first one, which the node uses."""
    return 0 if rng.random() < 1 / 3 else int(rng.integers(len(phrasings)))
