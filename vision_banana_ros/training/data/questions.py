# SPDX-License-Identifier: Apache-2.0
"""Questions about a rendered view, and the pictures that answer them truly. Legends, colours and wording are drawn anew."""

from dataclasses import dataclass

import numpy as np

from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import BLACK, MIN_DISTANCE, Legend, Rgb, far_apart
from vision_banana_ros.tasks.vocabulary import CLASSES, LEGEND
from vision_banana_ros.training.data.records import Record, Referred

#: The focal length, in pixels of the painted picture, that depth is painted for. Through a lens of twice the focal length a thing
#: twice as far away looks the same: a picture tells depth over focal length, and metres are for who knows the lens (the label
#: transform of Metric3D, arXiv 2307.10984, section 3.2). In pixels, so that what is learnt at a small size holds at a larger
#: one; of pictures 320 wide it is a lens of 70 degrees, in the middle of those that views are taken with.
FOCAL_PX = 228.5
QUESTIONS_A_VIEW = 3
#: How often each task is asked: another view teaches more than another question about the same one.
OFTEN = {"depth": 1.4, "normals": 0.7, "semantic": 1.2, "referring": 1.0, "instances": 0.6}
RANDOM_LEGENDS = 0.6  # else the own one: it is what a robot asks most
ALL_CLASSES = 0.4  # share of random legends that name every class: a robot's legend is long, and mostly of what is not there
CUBE_WALK: tuple[Rgb, ...] = tuple(tuple(round(255 * float(c)) for c in knot) for knot in depth.COLORMAPS["cube"])  # type: ignore[misc]
CUBE = 0.92  # share of depth questions along the cube, which is what the node asks
SEVERAL = 0.5  # share of referring questions with more than one expression
_COLOR_STYLES = ("hex", "rgb", "name")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An instruction and the picture that it asks for, (H, W, 3) float32 in 0..1 or uint8.

    palette: the flat colours that the answer is made of; for depth along the cube, the corners of its walk.
    log_m: for depth along the cube, (H, W) float32, log of the painted metres; NaN unknown, inf beyond everything.
    """

    task: str
    instruction: str
    target: np.ndarray
    palette: tuple[Rgb, ...] = ()
    log_m: np.ndarray | None = None


def draw_samples(
    view: Record, rng: np.random.Generator, random_legends: float = RANDOM_LEGENDS, tasks: tuple[str, ...] | None = None
) -> list[Sample]:
    """QUESTIONS_A_VIEW questions about one view, each of another task: the frame's encoding serves them all.

    random_legends: share of semantic questions whose classes and colours are drawn anew. tasks: ask these instead.
    """
    chances = np.array(list(OFTEN.values()))
    chosen = tasks or rng.choice(list(OFTEN), QUESTIONS_A_VIEW, replace=False, p=chances / chances.sum())
    makers = {"depth": _depth, "normals": _normals, "referring": _referring, "instances": _instances}
    return [_semantic(view, rng, random_legends) if task == "semantic" else makers[task](view, rng) for task in chosen]


def _depth(view: Record, rng: np.random.Generator) -> Sample:
    colormap = "cube" if rng.random() < CUBE else str(rng.choice([name for name in depth.COLORMAPS if name != "cube"]))
    text = depth.instruction(colormap, phrasing=_phrasing(depth.PHRASINGS, rng))
    knots = CUBE_WALK if colormap == "cube" else ()
    painted = view.depth_m * np.float32(FOCAL_PX / view.focal_px)
    log_m = np.log(painted) if colormap == "cube" else None
    return Sample("depth", text, depth.encode(painted, colormap), knots, log_m)


def _normals(view: Record, rng: np.random.Generator) -> Sample:
    return Sample("normals", normals.instruction(phrasing=_phrasing(normals.PHRASINGS, rng)), normals.encode(view.normals))


def _semantic(view: Record, rng: np.random.Generator, random_legends: float) -> Sample:
    legend, labels = LEGEND, view.labels
    if rng.random() < random_legends:
        legend, labels = _random_legend(view, rng)
    text = semantic.instruction(legend, phrasing=_phrasing(semantic.PHRASINGS, rng), style=str(rng.choice(_COLOR_STYLES)))
    return Sample("semantic", text, semantic.encode(labels, legend), (BLACK, *legend.values()))


def _random_legend(view: Record, rng: np.random.Generator) -> tuple[Legend, np.ndarray]:
    """All classes, or some that are there and some that are not, in any order and colours; the rest is unlabelled."""
    if rng.random() < ALL_CLASSES:
        return _in_colors([int(i) for i in rng.permutation(len(CLASSES))], view.labels, rng)
    present = [int(i) for i in np.unique(view.labels) if i < len(CLASSES)]
    absent = [i for i in range(len(CLASSES)) if i not in present]
    chosen = [i for i in present if rng.random() < 0.75] or present[:1]
    chosen += [int(i) for i in rng.permutation(absent)[: rng.integers(0 if chosen else 1, 5)]]
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


def _referring(view: Record, rng: np.random.Generator) -> Sample:
    """One expression, or several whose masks are apart; the floor where a view has nothing to refer to."""
    style = str(rng.choice(_COLOR_STYLES))
    first = draw_expression(view, rng)
    if rng.random() >= SEVERAL:
        color = _random_colors(1, rng)[0]
        text = referring.instruction(first.text, color, phrasing=_phrasing(referring.PHRASINGS, rng), style=style)
        return Sample("referring", text, referring.encode(first.mask, color), (BLACK, color))
    wanted = int(rng.integers(2, referring.MAX_EXPRESSIONS + 1))
    chosen = [first]
    for one in (view.referred[i] for i in rng.permutation(len(view.referred))):
        if len(chosen) < wanted and not any((one.mask & other.mask).any() or one.text == other.text for other in chosen):
            chosen.append(one)
    colors = _random_colors(len(chosen), rng)
    asked = {one.text: color for one, color in zip(chosen, colors, strict=True)}
    text = referring.instruction_many(asked, phrasing=_phrasing(referring.PHRASINGS_MANY, rng), style=style)
    target = referring.encode_many([one.mask for one in chosen], colors)
    return Sample("referring", text, target, (BLACK, *colors))


def draw_expression(view: Record, rng: np.random.Generator) -> Referred:
    """One of the view's expressions; the floor where it has nothing to refer to."""
    if view.referred:
        return view.referred[int(rng.integers(len(view.referred)))]
    return Referred("the floor", view.labels == CLASSES.index("floor"))


def _instances(view: Record, rng: np.random.Generator) -> Sample:
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
