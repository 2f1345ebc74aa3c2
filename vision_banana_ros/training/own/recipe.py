# SPDX-License-Identifier: Apache-2.0
"""A training recipe: a YAML file with everything that determines the trained generator."""

import hashlib
import math
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import MAX_YAML_BYTES, parse_yaml, read_bounded
from vision_banana_ros.generators.own.frame_encoder import ENCODERS
from vision_banana_ros.perception.geometry import parse_size
from vision_banana_ros.training.data.questions import RANDOM_LEGENDS
from vision_banana_ros.training.data.sources import check as check_sources

Size = tuple[int, int]

LARGEST = {
    "pool_views": 10**9, "views": 10**9, "warm": 10**9, "average": 10**9,
    "frames": 4096, "channels": 4096,
    "rate": 1.0, "encoder_rate": 1.0, "pictures": 1.0, "random_legends": 1.0,
}  # fmt: skip
"""Larger values are slips of the hand, and fractions of more than 1 are none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A training stage.

    Attributes:
        views: Number of training frames.
        sizes: Canvas of the pool (height, width) to training resolutions (height, width) in pixels, of which
            each batch draws one.
        frames: Frames per batch.
        rate: Peak learning rate of the randomly initialised weights.
        encoder_rate: Peak learning rate of the pretrained encoder.
        frozen: Number of frozen stages of the encoder.
        pictures: Fraction of batches with captions and edits, in 0..1.
        random_legends: Fraction of semantic prompts with randomly drawn classes and colours, in 0..1.
        warm: Number of warm-up steps.
    """

    views: int
    sizes: dict[Size, tuple[Size, ...]]
    frames: int = 8
    rate: float = 1e-3
    encoder_rate: float = 1e-4
    frozen: int = 2
    pictures: float = 0.1
    random_legends: float = RANDOM_LEGENDS
    warm: int = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe.

    Attributes:
        name: Name of the recipe.
        encoder: A key of `frame_encoder.ENCODERS`.
        channels: Channels of the features at 1/4, 1/8 and 1/16, multiples of 16.
        sources: Relative frequency of worlds by source (`data.sources.SOURCES`).
        canvases: Relative frequency of worlds by resolution of their views (height, width), in pixels.
        pool_views: Number of rendered views.
        parts: The training stages in order.
        canvases_by_source: The same for a source whose views have other resolutions.
        seed: Random seed.
        average: Time constant of the exponential moving average of the weights, in steps.
        pretrained: Whether the encoder is initialised with ImageNet weights.
        digest: SHA-256 of the file.
    """

    name: str
    encoder: str
    channels: tuple[int, int, int]
    sources: dict[str, float]
    canvases: dict[Size, float]
    pool_views: int
    parts: tuple[Part, ...]
    canvases_by_source: dict[str, dict[Size, float]] = field(default_factory=dict)
    seed: int = 0
    average: int = 1500
    pretrained: bool = True
    digest: str = ""

    @property
    def size(self) -> Size:
        """The bundle's default resolution: the last one of the first canvas in the last stage."""
        return self.parts[-1].sizes[next(iter(self.canvases))][-1]

    @property
    def facts(self) -> dict[str, Any]:
        """The recipe as JSON data, for state.json and the manifest."""
        facts = asdict(self)
        facts["canvases"] = _written_shares(self.canvases)
        facts["canvases_by_source"] = {
            source: _written_shares(shares) for source, shares in self.canvases_by_source.items()
        }
        for part, written in zip(self.parts, facts["parts"], strict=True):
            written["sizes"] = {
                _written(canvas): [_written(size) for size in sizes] for canvas, sizes in part.sizes.items()
            }
        return facts


def canvases_of(facts: dict[str, Any]) -> tuple[Size, ...]:
    """The canvases (height, width) of a recipe that state.json or a manifest holds as `Recipe.facts`."""
    return tuple(parse_size(canvas) for canvas in facts["canvases"])


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Args:
        path: The YAML file.

    Raises:
        InputError: The file cannot be read, or a field is unknown, missing or invalid.
    """
    try:
        data = read_bounded(path, MAX_YAML_BYTES)
        content = parse_yaml(data, path)
    except OSError as error:
        raise InputError(f"The recipe '{path}' cannot be read: {error.strerror}.") from error
    try:
        given = _checked(Recipe, content)
        parts = [_checked(Part, part) for part in _as(list, given["parts"], "parts")]
        recipe = Recipe(
            **given
            | {
                "channels": tuple(
                    _numbers(dict(enumerate(_as(list, given["channels"], "channels"))), "channels").values()
                ),
                "sources": _numbers(given["sources"], "sources"),
                "canvases": _shares(given["canvases"], "canvases"),
                "canvases_by_source": {
                    source: _shares(shares, f"canvases_by_source, {source}")
                    for source, shares in _as(
                        dict, given.get("canvases_by_source", {}), "canvases_by_source"
                    ).items()
                },
                "parts": tuple(Part(**part | {"sizes": _sizes(part["sizes"])}) for part in parts),
                "digest": hashlib.sha256(data).hexdigest(),
            }
        )
        _check(recipe)
    except InputError as error:
        raise InputError(f"The recipe '{path}' cannot be used. {error}") from error
    return recipe


def _checked(kind: type, given: Any) -> dict[str, Any]:
    """Checks names, presence and types of the fields of a recipe or of a stage."""
    known = {field.name: field for field in fields(kind) if field.name != "digest"}
    given = _as(dict, given, kind.__name__.lower())
    for name in given:
        if name not in known:
            raise InputError(f"There is no field '{name}'; the fields are {', '.join(known)}.")
    for name, expected in known.items():
        if name not in given and expected.default is expected.default_factory is MISSING:
            raise InputError(f"The field '{name}' is missing.")
        if name in given and expected.type in (int, float):
            _numbers({name: given[name]}, name)
            if given[name] > LARGEST.get(name, math.inf):
                raise InputError(f"'{name}' must be at most {LARGEST[name]}, not {given[name]}.")
        if name in given and expected.type in (int, str, bool):
            _as(expected.type, given[name], name)
    return given


def _as(kind: type, value: Any, name: str) -> Any:
    """Checks the type of a field and returns its value."""
    if not isinstance(value, kind):
        what = {dict: "a mapping", list: "a list", int: "an integer", str: "a string", bool: "true or false"}[
            kind
        ]
        raise InputError(f"'{name}' must be {what}, not {value!r}: see config/training/small.yaml.")
    return value


def _numbers(given: Any, name: str) -> dict[Any, Any]:
    """Checks that all values of a mapping are non-negative numbers, and returns it."""
    for value in _as(dict, given, name).values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise InputError(f"'{name}' must be a number of at least 0, not {value!r}.")
    return given


def _shares(given: Any, name: str) -> dict[Size, float]:
    """Parses the frequencies of resolutions."""
    return {parse_size(str(size)): share for size, share in _numbers(given, name).items()}


def _sizes(given: Any) -> dict[Size, tuple[Size, ...]]:
    """Parses the training resolutions of the canvases: one, or a list."""
    return {
        parse_size(str(canvas)): tuple(
            parse_size(str(size)) for size in (sizes if isinstance(sizes, list) else [sizes])
        )
        for canvas, sizes in _as(dict, given, "sizes").items()
    }


def _check(recipe: Recipe) -> None:
    """Raises InputError for invalid values, and for values that contradict each other."""
    if recipe.encoder not in ENCODERS:
        raise InputError(f"There is no encoder '{recipe.encoder}'; the encoders are {', '.join(ENCODERS)}.")
    if len(recipe.channels) != 3 or any(not isinstance(n, int) or n % 16 or not n for n in recipe.channels):
        raise InputError(f"'channels' must be three multiples of 16, not {list(recipe.channels)}.")
    if max(recipe.channels) > LARGEST["channels"]:
        raise InputError(f"'channels' must be at most {LARGEST['channels']}, not {list(recipe.channels)}.")
    if recipe.pool_views < 1:
        raise InputError("'pool_views' must be 1 or more: training needs views.")
    check_sources(recipe.sources)
    if not recipe.parts or not sum(recipe.sources.values()) or not sum(recipe.canvases.values()):
        raise InputError("At least one part, one source and one canvas with a fraction above 0 are needed.")
    check_sources(recipe.canvases_by_source)
    for source, shares in recipe.canvases_by_source.items():
        if not sum(shares.values()):
            raise InputError(f"'canvases_by_source, {source}' needs a canvas with a fraction above 0.")
        if missing := [canvas for canvas in shares if canvas not in recipe.canvases]:
            raise InputError(
                f"The source '{source}' has the canvas {_written(missing[0])}, which is not in 'canvases'."
            )
    for part in recipe.parts:
        if min(part.views, part.frames, part.warm, len(part.sizes), *map(len, part.sizes.values())) < 1:
            raise InputError("The fields 'views', 'frames', 'warm' and 'sizes' of a part must be 1 or more.")
        if not part.rate:
            raise InputError("'rate' must be above 0, or the part teaches nothing.")
        if missing := [canvas for canvas in part.sizes if canvas not in recipe.canvases]:
            raise InputError(f"A part uses the canvas {_written(missing[0])}, which is not in 'canvases'.")
    if (first := next(iter(recipe.canvases))) not in recipe.parts[-1].sizes:
        raise InputError(
            f"The last part needs a size for {_written(first)}, the first canvas: the bundle gets it."
        )


def _written_shares(shares: dict[Size, float]) -> dict[str, float]:
    return {_written(size): share for size, share in shares.items()}


def _written(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
