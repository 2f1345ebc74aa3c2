# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that decides what a generator learns, in one file, so that anyone can make it again."""

import hashlib
import math
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.frame_encoder import ENCODERS
from vision_banana_ros.perception.geometry import parse_size
from vision_banana_ros.training.data.questions import RANDOM_LEGENDS
from vision_banana_ros.training.data.sources import check as check_sources

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the run: so many views, each looked at with all its questions.

    views: frames learnt from. sizes: canvas of the pool -> size that it is learnt at. frames: a batch. rate: learning rate at
    its highest, of weights that start from chance; the pretrained encoder's is `encoder_rate`. frozen: first stages of the
    encoder that stay as they are. pictures: share of batches that hold captions and edits. random_legends: share of semantic
    questions whose classes and colours are drawn anew.
    """

    views: int
    sizes: dict[Size, Size]
    frames: int = 8
    rate: float = 1e-3
    encoder_rate: float = 1e-4
    frozen: int = 2
    pictures: float = 0.1
    random_legends: float = RANDOM_LEGENDS
    warm: int = 200  # steps


@dataclass(frozen=True, slots=True)
class Recipe:
    """canvases: size (height, width) of the pool's pictures -> share of worlds seen in it. average: steps of weights' mean.
    pretrained: whether the encoder begins with what it knows of photographs."""

    name: str
    encoder: str
    channels: tuple[int, int, int]
    sources: dict[str, float]
    canvases: dict[Size, float]
    pool_views: int
    parts: tuple[Part, ...]
    seed: int = 0
    average: int = 1500
    pretrained: bool = True
    digest: str = ""  # SHA-256 of the file

    @property
    def size(self) -> Size:
        """What the bundle paints: what the first canvas is learnt at in the last part."""
        return self.parts[-1].sizes[next(iter(self.canvases))]

    @property
    def facts(self) -> dict[str, Any]:
        """For state.json and the manifest."""
        facts = asdict(self)
        for place in (facts, *facts["parts"]):
            for name in ("canvases", "sizes"):
                if name in place:
                    place[name] = {_written(size): value if name == "canvases" else _written(value)
                                   for size, value in place[name].items()}  # fmt: skip
        return facts


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises InputError with what is wrong in it."""
    try:
        data = path.read_bytes()
        content = yaml.safe_load(data)
    except OSError as error:
        raise InputError(f"The recipe '{path}' cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"The recipe '{path}' is no YAML: {error}") from error
    try:
        given = _checked(Recipe, content)
        parts = [_checked(Part, part) for part in _as(list, given["parts"], "parts")]
        recipe = Recipe(
            **given
            | {
                "channels": tuple(_numbers(dict(enumerate(_as(list, given["channels"], "channels"))), "channels").values()),
                "sources": _numbers(given["sources"], "sources"),
                "canvases": {parse_size(size): share for size, share in _numbers(given["canvases"], "canvases").items()},
                "parts": tuple(Part(**part | {"sizes": _sizes(part["sizes"])}) for part in parts),
                "digest": hashlib.sha256(data).hexdigest(),
            }
        )
        _check(recipe)
    except InputError as error:
        raise InputError(f"The recipe '{path}' cannot be used. {error}") from error
    return recipe


def _checked(kind: type, given: Any) -> dict[str, Any]:
    """The fields of a recipe or of a part, if they are those that there are and the numbers are numbers."""
    known = {field.name: field for field in fields(kind) if field.name != "digest"}
    given = _as(dict, given, kind.__name__.lower())
    for name in given:
        if name not in known:
            raise InputError(f"There is no field '{name}'; there are {', '.join(known)}.")
    for name, field in known.items():
        if name not in given and field.default is MISSING:
            raise InputError(f"It lacks the field '{name}'.")
        if name in given and field.type in (int, float):
            _numbers({name: given[name]}, name)
        if name in given and field.type in (int, str, bool):
            _as(field.type, given[name], name)
    return given


def _as(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, kind):
        what = {dict: "fields and values", list: "a list", int: "a whole number", str: "a word", bool: "true or false"}[kind]
        raise InputError(f"'{name}' must be {what}, not {value!r}: see config/training/small.yaml.")
    return value


def _numbers(given: Any, name: str) -> dict[Any, Any]:
    for value in _as(dict, given, name).values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise InputError(f"'{name}' must be a number from 0 on, not {value!r}.")
    return given


def _sizes(given: Any) -> dict[Size, Size]:
    return {parse_size(str(canvas)): parse_size(str(size)) for canvas, size in _as(dict, given, "sizes").items()}


def _check(recipe: Recipe) -> None:
    """Raise InputError where the fields do not go together."""
    if recipe.encoder not in ENCODERS:
        raise InputError(f"There is no encoder '{recipe.encoder}'; there are {', '.join(ENCODERS)}.")
    if len(recipe.channels) != 3 or any(not isinstance(n, int) or n % 16 or not n for n in recipe.channels):
        raise InputError(f"'channels' are three multiples of 16, not {list(recipe.channels)}.")
    check_sources(recipe.sources)
    if not recipe.parts or not sum(recipe.sources.values()) or not sum(recipe.canvases.values()):
        raise InputError("It needs a part, and a source and a canvas with a share above 0.")
    for part in recipe.parts:
        if part.views < 1 or part.frames < 1 or part.warm < 1 or not part.sizes:
            raise InputError("The views, frames, warm steps and sizes of a part must be 1 or more.")
        if missing := [canvas for canvas in part.sizes if canvas not in recipe.canvases]:
            raise InputError(f"A part learns from the canvas {_written(missing[0])}, which its pool does not have.")


def _written(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
