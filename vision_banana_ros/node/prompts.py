# SPDX-License-Identifier: Apache-2.0
"""What the live stream is asked, and which questions follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Question
from vision_banana_ros.tasks.colors import BLACK, MAX_CLASSES, Rgb, far_apart, parse_color, parse_legend

MAX_CHARACTERS = 500
"""Of an expression or the name of a class."""
MAX_EXPRESSIONS = 16
"""Live expressions: each costs an answer a frame."""


@dataclass(frozen=True)
class Prompts:
    """What one frame is asked. Never changed, only replaced, so that a frame's answers belong to one set.

    legend: the classes, in the order of their ids. expressions: the first has the value 1 in referring/mask.
    instances: the class whose single things are told apart; empty for none.
    """

    legend: dict[str, Rgb]
    expressions: tuple[str, ...] = ()
    instances: str = ""

    def expression_colors(self) -> list[Rgb]:
        """The colour that each expression's thing is painted in."""
        return far_apart(len(self.expressions), avoid=[BLACK])

    def questions(self, task: str) -> list[Question]:
        """What `task` asks of a frame; nothing where nothing was asked for."""
        match task:
            case "depth" | "depth_relative":
                return [Question.depth()]
            case "normals":
                return [Question.normals()]
            case "semantic":
                return [Question.semantic(self.legend)]
            case "instances":
                return [Question.instances(self.instances)] if self.instances else []
            case "referring":
                pairs = zip(self.expressions, self.expression_colors(), strict=True)
                return [Question.referring(expression, color) for expression, color in pairs]
        raise InputError(f"There is no task {task!r}; ask for depth, normals, semantic, instances or referring.")


def clean_text(text: str, what: str, most: int = MAX_CHARACTERS) -> str:
    """The text in one line. InputError where it is empty or too long; `what` names it ("The expression")."""
    clean = " ".join(text.split())
    if not clean:
        raise InputError(f"{what} is empty; say in words what is wanted.")
    if len(clean) > most:
        raise InputError(f"{what} has {len(clean)} characters; at most {most} are taken. Say it shorter.")
    return clean


def read_expressions(texts: Sequence[str]) -> tuple[str, ...]:
    """Expressions for the live stream. InputError where one is empty, too long or there twice, or where they are too many."""
    if len(texts) > MAX_EXPRESSIONS:
        raise InputError(f"{len(texts)} expressions are too many for a live stream; give at most {MAX_EXPRESSIONS}.")
    expressions = tuple(clean_text(text, f"Expression {i}") for i, text in enumerate(texts, 1))
    _refuse_repeated(expressions)
    return expressions


def read_legend(entries: Sequence[str], known: Mapping[str, Rgb]) -> dict[str, Rgb]:
    """Classes from entries "name=colour" or "name", in order.

    A name alone keeps its colour in `known`, or gets one far from all others. InputError where a name is empty, too long or
    there twice, a colour cannot be read, or two are too near to tell apart.
    """
    if len(entries) > MAX_CLASSES:  # before colours are looked for, which takes the longer the more there are
        raise InputError(f"{len(entries)} classes are too many; a mask of bytes has room for {MAX_CLASSES}.")
    names: list[str] = []
    colors: dict[str, Rgb] = {}
    for i, entry in enumerate(entries, 1):
        text, _, color = entry.partition("=")
        name = clean_text(text, f"The name of class {i}")
        names.append(name)
        if color.strip():
            colors[name] = parse_color(color)
        elif name in known:
            colors[name] = known[name]
    _refuse_repeated(names)
    without = [name for name in names if name not in colors]
    colors.update(zip(without, far_apart(len(without), avoid=[BLACK, *colors.values()]), strict=True))
    return parse_legend({name: colors[name] for name in names})


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise InputError(f"{repeated!r} is there twice; name everything once.")
