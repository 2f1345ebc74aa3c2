# SPDX-License-Identifier: Apache-2.0
"""Colours as people write them, legends, and sets of colours that can be told apart. RGB, 0-255."""

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks._css import CSS_COLORS

Rgb = tuple[int, int, int]
ColorLike = str | Sequence[int]
Legend = dict[str, Rgb]

BLACK: Rgb = (0, 0, 0)
#: Two legend colours nearer than this (0-255 RGB distance) are refused. It is the paper's tau, within which
#: its instance decoder takes two colours for one. (The nearest pair of the Cityscapes palette is 20 apart.)
MIN_DISTANCE = 14.0
#: Class indices are uint8, and 255 means unlabelled.
MAX_CLASSES = 255

_HEX = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})")
_TRIPLE = re.compile(r"(?:rgb)?\s*\(\s*(\d{1,3})\s*[,\s]\s*(\d{1,3})\s*[,\s]\s*(\d{1,3})\s*\)")
# Of two names for one colour, the one that people use.
_NAMES = {rgb: name for name, rgb in CSS_COLORS.items()}
_NAMES.update({CSS_COLORS[name]: name for name in ("cyan", "magenta", "gray")})
_CORNERS = [
    CSS_COLORS[name] for name in ("red", "lime", "blue", "yellow", "magenta", "cyan", "white", "black")
]
_LEVELS = (0, 42, 85, 128, 170, 212, 255)
_GRID: list[Rgb] = [(r, g, b) for r in _LEVELS for g in _LEVELS for b in _LEVELS]
_CANDIDATES = _CORNERS + [color for color in _GRID if color not in _CORNERS]


def parse_color(color: ColorLike) -> Rgb:
    """Return (r, g, b), 0-255, of a CSS name, "#rrggbb", "#rgb", "rgb(1, 2, 3)", or three whole numbers.

    Raises `InputError` for anything else.
    """
    if isinstance(color, str):
        return _parse_text(color)
    try:
        r, g, b = (operator.index(value) for value in color)
    except (TypeError, ValueError):
        raise _unreadable(color) from None
    if not all(0 <= value <= 255 for value in (r, g, b)):
        raise _unreadable(color)
    return r, g, b


def write_color(color: ColorLike, style: str = "hex") -> str:
    """Formats a colour as "hex" (#rrggbb), "rgb" (rgb(1, 2, 3)), "angle" (<1,2,3>) or "name" (else hex)."""
    rgb = parse_color(color)
    match style:
        case "rgb":
            return f"rgb({rgb[0]}, {rgb[1]}, {rgb[2]})"
        case "angle":
            return f"<{rgb[0]},{rgb[1]},{rgb[2]}>"
        case "name" if rgb in _NAMES:
            return _NAMES[rgb]
        case "hex" | "name":
            return f"#{bytes(rgb).hex()}"
    raise InputError(f"Colours are written in the style 'hex', 'rgb', 'angle' or 'name', not {style!r}.")


def parse_legend(legend: Mapping[str, ColorLike]) -> Legend:
    """Return a legend as names and (r, g, b) triples, in class order.

    Raises `InputError` for an empty legend, an empty or repeated name, more than `MAX_CLASSES` classes, a
    colour that cannot be read, and two colours nearer than `MIN_DISTANCE`.
    """
    if not isinstance(legend, Mapping) or not legend:
        raise InputError("A legend names at least one class with its colour, such as {'floor': '#808080'}.")
    if len(legend) > MAX_CLASSES:
        raise InputError(f"The legend has {len(legend)} classes; at most {MAX_CLASSES} fit into a mask.")
    parsed: Legend = {}
    for name, color in legend.items():
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{name!r} is not the name of a class; give every colour a name.")
        clean = " ".join(name.split())
        if clean in parsed:
            raise InputError(f"The legend names {clean!r} twice; give every class one colour.")
        parsed[clean] = parse_color(color)
    require_distinct(parsed)
    return parsed


def require_distinct(colors: Mapping[str, Rgb]) -> None:
    """Raise `InputError`, saying which, if two of these named colours are nearer than `MIN_DISTANCE`."""
    distance = np.linalg.norm(_floats(colors.values())[:, None] - _floats(colors.values()), axis=2)
    np.fill_diagonal(distance, np.inf)
    if distance.min() < MIN_DISTANCE:
        pair = divmod(int(distance.argmin()), len(colors))
        one, other = (f"{name!r} ({write_color(colors[name])})" for name in (list(colors)[i] for i in pair))
        raise InputError(
            f"{one} and {other} are too near to tell apart; choose colours that are at least"
            f" {MIN_DISTANCE:g} apart in RGB."
        )


def far_apart(n: int, avoid: Iterable[ColorLike] = ()) -> list[Rgb]:
    """Return `n` colours far from one another and from those in `avoid`. They are always the same.

    Each is the farthest from all before it on a 7 x 7 x 7 grid of the RGB cube, so the easily named corners
    come first: seven colours beside black are 255 apart, 64 still 60. Raises `InputError` if the grid has not
    so many.
    """
    if n < 0:
        raise InputError(f"{n} colours cannot be chosen; ask for none or more.")
    return list(_far_apart(n, tuple(parse_color(color) for color in avoid)))


@lru_cache(maxsize=256)
def _far_apart(n: int, avoid: tuple[Rgb, ...]) -> tuple[Rgb, ...]:
    grid = _floats(_CANDIDATES)
    nearest = np.full(len(grid), np.inf)
    for color in avoid:
        nearest = np.minimum(nearest, np.linalg.norm(grid - color, axis=1))
    chosen: list[Rgb] = []
    for _ in range(n):
        # As far as one corner from the next is far enough: then the order of the candidates decides.
        best = int(np.minimum(nearest, 255.0).argmax())
        if nearest[best] < MIN_DISTANCE:
            raise InputError(f"{n} colours cannot be told apart; ask for at most {len(chosen)}.")
        chosen.append(_CANDIDATES[best])
        nearest = np.minimum(nearest, np.linalg.norm(grid - grid[best], axis=1))
    return tuple(chosen)


def _parse_text(color: str) -> Rgb:
    text = color.strip().lower()
    if rgb := CSS_COLORS.get(text.replace(" ", "")):
        return rgb
    if match := _HEX.fullmatch(text):
        digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if match := _TRIPLE.fullmatch(text):
        return parse_color([int(value) for value in match.groups()])
    raise _unreadable(color)


def _unreadable(color: object) -> InputError:
    return InputError(
        f"{color!r} is not a colour; write a CSS name such as 'orange', '#ff8800', 'rgb(255, 136, 0)', "
        "or three whole numbers from 0 to 255."
    )


def _floats(colors: Iterable[Rgb]) -> NDArray[np.float64]:
    return np.array(list(colors), dtype=np.float64)
