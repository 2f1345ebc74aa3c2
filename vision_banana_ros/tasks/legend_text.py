# SPDX-License-Identifier: Apache-2.0
"""Parses legends and names from a command line, a parameter or a service request."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.colors import (
    BLACK,
    MAX_CLASSES,
    Legend,
    Rgb,
    far_apart,
    parse_color,
    parse_legend,
)

MAX_CHARACTERS = 500
"""Of an expression or the name of a class."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a terminal obeys in place of showing it; and halves of pairs, which bytes that are no text become."""
_JOINERS = "\u200c\u200d"
"""The invisible characters that some scripts are written with."""


def clean_text(text: str, what: str, most: int = MAX_CHARACTERS) -> str:
    """Normalises white space and checks the length.

    Args:
        text: Any text.
        what: Its name in error messages, such as "The expression".
        most: Maximum number of characters.

    Returns:
        The text in one line.

    Raises:
        InputError: If it is empty, too long, without a letter, or holds characters that logs do not show.
    """
    clean = " ".join(unicodedata.normalize("NFC", text).split())  # é is one character, however it was typed
    if CONTROL.search(clean):
        raise InputError(f"{what} holds control characters; leave them out: {clean[:100]!r}.")
    if unseen := next((c for c in clean if unicodedata.category(c) == "Cf" and c not in _JOINERS), ""):
        raise InputError(
            f"{what} holds U+{ord(unseen):04X}, which nobody sees; type it anew: {clean[:100]!r}."
        )
    if not clean:
        raise InputError(f"{what} is empty; say in words what is wanted.")
    if not any(map(str.isalnum, clean)):
        raise InputError(f"{what} has no letter and no digit; say in words what is wanted: {clean[:100]!r}.")
    if len(clean) > most:
        raise InputError(f"{what} has {len(clean)} characters; at most {most} are taken. Say it shorter.")
    return clean


def refuse_repeated(names: Sequence[str]) -> None:
    """Raises InputError if a name occurs twice.

    Names that differ only in case or punctuation are one: to the generator they are the same words.
    """
    known: dict[str, str] = {}
    for name in names:
        words = _words(name)
        before = known.get(words)
        if before == name:
            raise InputError(f"{name!r} is there twice; name everything once.")
        if before is not None:
            raise InputError(f"{before!r} and {name!r} are the same words; name everything once.")
        known[words] = name


def read_expressions(texts: Sequence[str]) -> tuple[str, ...]:
    """Cleans referring expressions.

    Raises InputError if one is empty, too long, no words, or the same as another.
    """
    expressions = tuple(clean_text(text, f"Expression {i}") for i, text in enumerate(texts, 1))
    refuse_repeated(expressions)
    return expressions


def _words(name: str) -> str:
    """What is left of a name to be told apart by."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(" " if unicodedata.category(c)[0] in "PC" else c for c in folded).split())


def read_legend(entries: Sequence[str], known: Mapping[str, Rgb]) -> Legend:
    """Parses classes from entries "name=colour" or "name", in order.

    The colour follows the last "=". Without one, the colour is that in `known`, or one far from all others.

    Args:
        entries: One entry per class.
        known: Colours by name, such as those of a bundle's legend.

    Raises:
        InputError: If a name is empty, too long or repeated, a colour is invalid, or two colours are too
            similar.
    """
    if len(entries) > MAX_CLASSES:  # before colours are looked for, which takes the longer the more there are
        raise InputError(f"{len(entries)} classes are too many; a mask of bytes has room for {MAX_CLASSES}.")
    names: list[str] = []
    colors: dict[str, Rgb] = {}
    for i, entry in enumerate(entries, 1):
        text, color = entry.rsplit("=", 1) if "=" in entry else (entry, None)
        name = clean_text(text, f"The name of class {i}")
        names.append(name)
        if color is not None:
            colors[name] = parse_color(color)
        elif name in known:
            colors[name] = known[name]
    refuse_repeated(names)
    without = [name for name in names if name not in colors]
    colors.update(zip(without, far_apart(len(without), avoid=[BLACK, *colors.values()]), strict=True))
    return parse_legend({name: colors[name] for name in names})
