# SPDX-License-Identifier: Apache-2.0
"""Edits of a procedural world, in words.

"make the ball green", "remove the chair", "paint the floor in wood".

An edit is made in the world, not in the picture. Both worlds rendered by the same camera with the same seed
give a pair that differs in the edit alone, shadows and reflections included.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.language.expressions import COLORLESS, Expression, expressions
from vision_banana_ros.scenes.materials import COLORS, RGB, Look
from vision_banana_ros.scenes.solids import CLASSES, STRUCTURE, World, WorldObject
from vision_banana_ros.scenes.views import View

LEAST = 0.004  # share of the picture that an edit must touch: a smaller one teaches to change nothing
LARGE_M = 0.6  # half an edge: what of a wall is wall, not skirting or a picture on it

RECOLOR = (
    "make {thing} {color}",
    "paint {thing} {color}",
    "turn {thing} {color}",
    "change the colour of {thing} to {color}",
)
REMOVE = ("remove {thing}", "take {thing} away", "erase {thing}", "delete {thing} from the picture")
ADD = (
    "add {thing} {place}",
    "put {thing} {place}",
    "place {thing} {place}",
    "there should be {thing} {place}",
)
RESURFACE = (
    "paint {thing} in {material}",
    "change {thing} to {material}",
    "make {thing} of {material}",
    "cover {thing} with {material}",
)
PAINT = ("paint {thing} {material}", "make {thing} {material}", "colour {thing} {material}")
FOG = ("make it foggy", "add fog", "let there be mist", "fill the air with fog")

#: Words for a surface, and how it looks: colours as 0-255, sizes of the pattern in metres.
MATERIALS: dict[str, tuple[RGB, RGB, int, float, float]] = {
    "wood": ((168, 122, 78), (126, 90, 58), kernel.PLANKS, 0.14, 9.0),
    "dark wood": ((104, 70, 46), (78, 52, 34), kernel.PLANKS, 0.14, 9.0),
    "white tiles": ((226, 224, 218), (150, 150, 148), kernel.TILES, 0.3, 0.03),
    "blue tiles": ((70, 110, 160), (210, 214, 216), kernel.TILES, 0.25, 0.04),
    "bricks": ((166, 84, 62), (196, 190, 180), kernel.BRICKS, 0.09, 3.0),
    "concrete": ((160, 158, 152), (128, 127, 124), kernel.CLOUDY, 0.7, 1.0),
    "black and white checks": ((224, 222, 216), (44, 44, 46), kernel.CHECKER, 0.4, 1.0),
    "green carpet": ((84, 122, 84), (62, 92, 62), kernel.SPECKLE, 0.02, 1.0),
    "red carpet": ((150, 50, 48), (112, 38, 36), kernel.SPECKLE, 0.02, 1.0),
    "grass": ((112, 150, 66), (82, 120, 48), kernel.CLOUDY, 0.35, 1.0),
    "sand": ((206, 184, 138), (186, 162, 118), kernel.SPECKLE, 0.04, 1.0),
}
#: What walls and ceilings can be made of.
UPRIGHT = ("wood", "dark wood", "white tiles", "blue tiles", "bricks", "concrete")


@dataclass(frozen=True, slots=True)
class Edit:
    """What is asked for, and the world before and after it. `kind` is one of `KINDS`."""

    kind: str
    text: str
    before: World
    after: World


def draw_edit(view: View, rng: np.random.Generator, kinds: tuple[str, ...] = ()) -> Edit | None:
    """A random edit that is visible in this view, of one of `kinds` (default: any).

    None if there is nothing to edit, and in furnished worlds, which have no solids.
    """
    if view.world.caster is not None:
        return None
    for kind in rng.permutation(kinds or KINDS):
        edit = _MAKERS[str(kind)](view, rng)
        if edit is not None:
            return edit
    return None


def _recolor(view: View, rng: np.random.Generator) -> Edit | None:
    found = _things(view, rng)
    if found is None:
        return None
    expression, things = found
    if any(thing.class_name in (*COLORLESS, "person") or thing.color not in COLORS for thing in things):
        return None
    color = str(rng.choice([name for name in COLORS if all(thing.color != name for thing in things)]))
    prims = view.world.prims.copy()
    for thing in things:
        _dye(prims, thing, COLORS[color])
    # what is named after its frame, but full of books
    if _share(view, (prims != view.world.prims).any(axis=1)) < LEAST:
        return None
    named = {thing.instance for thing in things}
    objects = [
        replace(o, color=color, rgb=COLORS[color]) if o.instance in named else o for o in view.world.objects
    ]
    text = _pick(RECOLOR, rng).format(thing=expression.text, color=color)
    return Edit("recolor", text, view.world, replace(view.world, prims=prims, objects=objects))


def _dye(prims: np.ndarray, thing: WorldObject, color: RGB) -> None:
    """Recolours all parts of a thing that have its main colour, or a lighter or darker shade of it."""
    old, new = (np.power(np.array(rgb) / 255.0, 2.2) for rgb in (thing.rgb, color))
    own = (prims[:, kernel.INSTANCE] == thing.instance) & (prims[:, kernel.SURFACE] == kernel.OPAQUE)
    for column in (kernel.COLOR_A, kernel.COLOR_B):
        values = prims[:, column : column + 3]
        shade = values @ old / (old @ old)
        same = (
            own & (np.abs(values - shade[:, None] * old).max(axis=1) < 0.02) & (shade > 0.3) & (shade < 2.0)
        )
        values[same] = np.clip(shade[same, None] * new, 0, 1)


def _share(view: View, rows: np.ndarray) -> float:
    """How much of the picture shows these primitives, (N,) bool."""
    camera, prims = view.camera, view.world.prims
    items, nears, starts, columns = kernel.tiles(camera.eye(), prims, camera.height, camera.width)
    depth, who = np.empty((camera.height, camera.width)), np.empty((camera.height, camera.width), np.int32)
    kernel.trace_image(camera.eye(), prims, items, nears, starts, columns, depth, who)
    return float((rows[who] & (who >= 0)).mean())


def _remove(view: View, rng: np.random.Generator) -> Edit | None:
    found = _things(view, rng)
    if found is None:
        return None
    expression, things = found
    after = _without(view.world, things)
    return (
        None
        if after is None
        else Edit("remove", _pick(REMOVE, rng).format(thing=expression.text), view.world, after)
    )


def _add(view: View, rng: np.random.Generator) -> Edit | None:
    """A removal backwards.

    The words say what and roughly where, not everything: a generator has to fill in the rest.
    """
    found = _things(view, rng)
    if found is None or len(found[1]) != 1:
        return None
    thing = found[1][0]
    before = _without(view.world, [thing])
    if before is None:
        return None
    noun = (
        f"{thing.color} {thing.name}"
        if thing.color in COLORS and thing.class_name not in (*COLORLESS, "person")
        else thing.name
    )
    across = np.nonzero(view.instances == thing.instance)[1].mean() / view.instances.shape[1]
    place = "on the left" if across < 0.38 else "on the right" if across > 0.62 else "in the middle"
    words = f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"
    return Edit("add", _pick(ADD, rng).format(thing=words, place=place), before, view.world)


def _without(world: World, things: list[WorldObject]) -> World | None:
    """The world without these things; None where something would be left hanging in the air.

    The list of objects stays: instances keep their numbers, and what is gone is never seen.
    """
    gone = {thing.instance for thing in things}
    if any(o.on in gone and o.instance not in gone for o in world.objects):
        return None
    keep = ~np.isin(world.prims[:, kernel.INSTANCE], list(gone))
    groups = world.groups.copy()
    spans = groups[:, kernel.FIRST : kernel.LAST + 1].astype(int)
    before = np.concatenate([[0], np.cumsum(keep)])
    groups[:, kernel.FIRST], groups[:, kernel.LAST] = before[spans[:, 0]], before[spans[:, 1]]
    groups = groups[groups[:, kernel.FIRST] < groups[:, kernel.LAST]]
    return replace(world, prims=np.ascontiguousarray(world.prims[keep]), groups=np.ascontiguousarray(groups))


def _resurface(view: View, rng: np.random.Generator) -> Edit | None:
    shares = np.bincount(view.labels.ravel(), minlength=256) / view.labels.size
    names = [name for name in ("floor", "wall", "ceiling", "ground") if shares[CLASSES.index(name)] > 0.05]
    if not names:
        return None
    name = _pick(tuple(names), rng)
    if name in ("wall", "ceiling") and rng.random() < 0.6:
        material = _pick(tuple(COLORS), rng)
        row = Look("paint", material, COLORS[material], COLORS[material]).row()
        words = _pick(PAINT, rng)
    else:
        material = _pick(tuple(MATERIALS) if name in ("floor", "ground") else UPRIGHT, rng)
        first, second, pattern, scale, aspect = MATERIALS[material]
        row = Look(material, material, first, second, pattern, scale=scale, aspect=aspect).row()
        words = _pick(RESURFACE, rng)
    prims = view.world.prims.copy()
    halves = np.sort(prims[:, kernel.HALF : kernel.HALF + 3], axis=1)
    rows = (prims[:, kernel.LABEL] == CLASSES.index(name)) & (prims[:, kernel.INSTANCE] == 0)
    rows &= (halves[:, 1] > LARGE_M) & (prims[:, kernel.SURFACE] == kernel.OPAQUE)
    prims[rows, kernel.PATTERN : kernel.SURFACE + 1] = row
    thing = "the walls" if name == "wall" else f"the {name}"
    surfaces = {**view.world.surfaces, name: material}
    text = words.format(thing=thing, material=material)
    return Edit("resurface", text, view.world, replace(view.world, prims=prims, surfaces=surfaces))


def _fog(view: View, rng: np.random.Generator) -> Edit | None:
    far = np.median(view.depth_m)
    if view.world.kind not in ("yard", "warehouse") or far < 4 or view.world.air[kernel.FOG] > 0.004:
        return None
    air = view.world.air.copy()
    air[kernel.FOG] = 0.06
    return Edit("fog", _pick(FOG, rng), view.world, replace(view.world, air=air))


def _things(view: View, rng: np.random.Generator) -> tuple[Expression, list[WorldObject]] | None:
    """Words for things that show well, and the things."""
    for expression in expressions(view, rng, 2, misses=0.0):
        meant = {int(i) for i in np.unique(view.instances[expression.mask])}
        things = [o for o in view.world.objects if o.instance in meant and o.class_name not in STRUCTURE]
        if things and 0 not in meant and expression.mask.mean() > LEAST:
            return expression, things
    return None


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


_MAKERS: dict[str, Callable[[View, np.random.Generator], Edit | None]] = {
    "recolor": _recolor,
    "remove": _remove,
    "add": _add,
    "resurface": _resurface,
    "fog": _fog,
}
KINDS = tuple(_MAKERS)
