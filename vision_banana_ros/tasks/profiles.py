# SPDX-License-Identifier: Apache-2.0
"""Codec profiles: in what words a generator wants its questions, and in what colours it answers them.

Every profile has the same face: `instruction`, `encode` (truth to picture), `decode` (picture to answer),
task by task. The profile of a bundle is its manifest's `codec`. Only a profile that is `metric` answers depth
in metres (`answer.depth_m`); the others answer `depth_relative`, which has no unit, and metres come from
`profiles_relative.align` alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS, normals, profiles_relative
from vision_banana_ros.tasks.colors import BLACK, ColorLike, parse_color, parse_legend, write_color
from vision_banana_ros.tasks.phrasings import one_line, write_legend
from vision_banana_ros.tasks.task import Words

#: What an instruction of a profile may hold in braces, task by task.
PLACES = {
    "depth": (),
    "normals": (),
    "semantic": ("legend",),
    "instances": ("name",),
    "referring": ("expression", "color"),
}
#: Forms that a legend can have in its place: "floor: #808080, …", in prose, and as JSON.
LEGENDS = {"legend": "legend", "legend_prose": "prose", "legend_json": "json"}


class Question(Protocol):
    """What a profile reads of a question."""

    @property
    def task(self) -> str:
        """The name of the task."""

    @property
    def legend(self) -> Mapping[str, ColorLike] | None:
        """The classes with their colours, for semantic segmentation."""

    @property
    def color(self) -> ColorLike | None:
        """The colour of the mask or of the background."""

    @property
    def expression(self) -> str | None:
        """The expression or the class name."""


@dataclass(frozen=True)
class Asked:
    """A question in the words of a profile, read by its rules.

    It stands wherever a perception question does.
    """

    task: str
    instruction: str
    legend: dict[str, tuple[int, int, int]] | None = field(default=None, hash=False)
    color: tuple[int, int, int] | None = None
    expression: str | None = None
    profile: "Profile" = field(kw_only=True, compare=False, repr=False)

    def read(self, rgb: NDArray) -> Any:
        """The task's `Answer`; for depth of a relative profile a `profiles_relative.Answer`."""
        return self.profile.decode(self.task, rgb, legend=self.legend, color=self.color)


class Profile:
    """The paper's codec.

    Metric depth along the colour cube, normals, and masks in the colours that the question names.
    """

    name = "vision_banana"
    tasks: tuple[str, ...] = tuple(TASKS)
    metric = True
    depth_kind = ""  # of `profiles_relative.KINDS` where the profile is not metric

    def instruction(
        self,
        task: str,
        *,
        legend: Mapping[str, ColorLike] | None = None,
        color: ColorLike | None = None,
        expression: str | None = None,
    ) -> str:
        """The prompt for a task.

        Args:
            task: The name of the task.
            legend: Classes with their colours, for semantic segmentation.
            color: Colour of the referring mask, or of the background of instances.
            expression: The referring expression, or the class whose instances are segmented.

        Raises:
            InputError: If the profile does not support the task, or an argument is missing.
        """
        self.require(task)
        return TASKS[task].instruction(Words(legend, color, expression))

    def decode(
        self,
        task: str,
        rgb: ArrayLike,
        *,
        legend: Mapping[str, ColorLike] | None = None,
        color: ColorLike | None = None,
    ) -> Any:
        """Read a painted answer, (H, W, 3) uint8 or float in [0, 1]."""
        self.require(task)
        return TASKS[task].decode(rgb, Words(legend, color), {})

    def encode(
        self,
        task: str,
        truth: ArrayLike,
        *,
        legend: Mapping[str, ColorLike] | None = None,
        color: ColorLike | None = None,
    ) -> NDArray[np.float32]:
        """Paint the truth as this profile's generator should, (H, W, 3) float32 in [0, 1]."""
        self.require(task)
        return TASKS[task].encode(truth, Words(legend, color))

    def require(self, task: str) -> None:
        """Raises InputError if the profile does not support a task."""
        if task not in self.tasks:
            raise InputError(
                f"A generator of the profile {self.name} cannot answer '{task}'; ask for"
                f" {', '.join(self.tasks)}."
            )

    def asked(self, question: Question) -> Asked:
        """The same question in this profile's words. InputError where it cannot be asked."""
        given = {"legend": question.legend, "color": question.color, "expression": question.expression}
        return Asked(
            question.task,
            self.instruction(question.task, **given),  # type: ignore[arg-type]
            legend=None if question.legend is None else parse_legend(question.legend),
            color=None if question.color is None else parse_color(question.color),
            expression=question.expression,
            profile=self,
        )


class OpenVisionBanana(Profile):
    """Relative depth in grey (near is bright), the paper's normals, masks on black. It never answers metres.

    words: instructions by task in place of the built-in ones, with the places of `PLACES` in braces (a legend
    in one of `LEGENDS`), to ask in the very words that a set of weights was tuned on; besides "colors", the
    style of `write_color` that colours are written in (hex), and "background", what the black of a legend is
    called (else it is not named).

    The built-in words are this package's own: those that Open Vision Banana was tuned on are not known here.
    """

    name = "open_vision_banana"
    metric = False
    depth_kind = "inverse"
    WORDS = {
        "depth": "Generate a relative depth map of this image in greyscale: near surfaces are bright, far"
        " surfaces are dark.",
        "normals": "Generate a surface normal map of this image: red for left, green for up, blue for"
        " towards the camera.",
        "semantic": "Perform semantic segmentation on this image on a black background, with these colours:"
        " {legend}.",
        "instances": "Perform instance segmentation of {name} in this image: each in a colour of its own on"
        " a black background.",
        "referring": "Segment {expression} in this image: paint it {color} on a black background.",
    }

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        given = dict(words or {})
        self._style, self._background = str(given.pop("colors", "hex")), str(given.pop("background", ""))
        write_color(BLACK, self._style)  # InputError for a style that is none
        self._words = self.WORDS | _checked_words(given, self.tasks)

    def instruction(
        self,
        task: str,
        *,
        legend: Mapping[str, ColorLike] | None = None,
        color: ColorLike | None = None,
        expression: str | None = None,
    ) -> str:
        """The prompt in the words of this profile."""
        self.require(task)
        self._require_black(task, color)
        given = Words(legend, color, expression)
        made: dict[str, Callable[[], str]] = {
            **{place: partial(self._legend, given, form) for place, form in LEGENDS.items()},
            "name": lambda: one_line(
                given.need("expression", "class"), "The class has no name; say what to look for."
            ),
            "expression": lambda: one_line(
                given.need("expression", "expression"), "The expression is empty; say what to look for."
            ),
            "color": lambda: write_color(given.need("color", "colour"), self._style),
        }
        text = self._words[task]
        for place in LEGENDS if task == "semantic" else PLACES[task]:
            if f"{{{place}}}" in text:
                text = text.replace(f"{{{place}}}", made[place]())
        return text

    def _legend(self, given: Words, form: str) -> str:
        legend = parse_legend(given.need("legend", "legend"))
        if self._background and BLACK not in legend.values():
            legend = {**legend, self._background: BLACK}
        return write_legend(legend, self._style)[form]

    def decode(
        self,
        task: str,
        rgb: ArrayLike,
        *,
        legend: Mapping[str, ColorLike] | None = None,
        color: ColorLike | None = None,
    ) -> Any:
        """The answer, decoded by the codes of this profile."""
        self._require_black(task, color)
        if task == "depth":
            return profiles_relative.decode(rgb, self.depth_kind)
        return super().decode(task, rgb, legend=legend, color=color)

    def encode(
        self,
        task: str,
        truth: ArrayLike,
        *,
        legend: Mapping[str, ColorLike] | None = None,
        color: ColorLike | None = None,
    ) -> NDArray[np.float32]:
        """The truth, encoded by the codes of this profile, (H, W, 3) float32 in [0, 1]."""
        self._require_black(task, color)
        if task == "depth":
            return profiles_relative.encode(truth, self.depth_kind)
        return super().encode(task, truth, legend=legend, color=color)

    def _require_black(self, task: str, color: ColorLike | None) -> None:
        if task == "instances" and color is not None and parse_color(color) != BLACK:
            raise InputError(
                f"A generator of the profile {self.name} paints instances on black; ask with"
                " the background black."
            )


class Marigold(Profile):
    """One task a bundle and no words.

    Affine depth in grey, or normals with x, y and z in red, green and blue.
    """

    metric = False
    depth_kind = "affine"

    def __init__(self, task: str) -> None:
        self.name = f"marigold_{task}"
        self.tasks = (task,)

    def instruction(self, task: str, **_: Any) -> str:
        """Empty: there is one thing that it paints."""
        self.require(task)
        return ""

    def decode(self, task: str, rgb: ArrayLike, **_: Any) -> Any:
        """The answer, decoded by the codes of this profile."""
        self.require(task)
        if task == "depth":
            return profiles_relative.decode(rgb, self.depth_kind)
        return normals.decode(_mirror_red(rgb))

    def encode(self, task: str, truth: ArrayLike, **_: Any) -> NDArray[np.float32]:
        """The truth, encoded by the codes of this profile, (H, W, 3) float32 in [0, 1]."""
        self.require(task)
        return (
            profiles_relative.encode(truth, self.depth_kind)
            if task == "depth"
            else _mirror_red(normals.encode(truth))
        )


def _mirror_red(rgb: ArrayLike) -> NDArray[np.float32]:
    """The paper's red grows to the left, Marigold's to the right.

    Takes and gives what `read_colors` takes.
    """
    image = np.asarray(rgb)
    image = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
    return np.stack([1 - image[..., 0], image[..., 1], image[..., 2]], axis=-1).astype(np.float32)


def _checked_words(words: Mapping[str, str], tasks: tuple[str, ...]) -> dict[str, str]:
    for task, text in words.items():
        if task not in tasks:
            raise InputError(f"There is no task '{task}' to give words for: choose of {', '.join(tasks)}.")
        named = {place: LEGENDS if place == "legend" else (place,) for place in PLACES[task]}
        missing = [
            f"{{{place}}}"
            for place, forms in named.items()
            if not any(f"{{{form}}}" in str(text) for form in forms)
        ]
        if missing:
            raise InputError(
                f"The words for '{task}' lack {' and '.join(missing)}, where the question's own words go."
            )
    return {task: str(text) for task, text in words.items()}


PROFILES: dict[str, Profile] = {
    p.name: p for p in (Profile(), OpenVisionBanana(), Marigold("depth"), Marigold("normals"))
}


def profile(name: str, words: Mapping[str, str] | None = None) -> Profile:
    """The profile of this name; words: instructions of its own, which only open_vision_banana takes.

    InputError for others.
    """
    if name not in PROFILES:
        raise InputError(f"There is no profile '{name}': choose one of {', '.join(PROFILES)}.")
    if not words:
        return PROFILES[name]
    if name != OpenVisionBanana.name:
        raise InputError(
            f"The profile {name} has fixed instructions; only {OpenVisionBanana.name} can be"
            " asked in other words."
        )
    return OpenVisionBanana(words)
