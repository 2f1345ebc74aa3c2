# SPDX-License-Identifier: Apache-2.0
"""The interface of a task: everything that the rest of the package needs to know about it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.colors import ColorLike


@dataclass(frozen=True, slots=True)
class Words:
    """The arguments of a question.

    Attributes:
        legend: Classes with their colours in class order, for semantic segmentation.
        color: Colour of a referring mask, or of the background of instances.
        expression: The referring expression, or the class whose instances are segmented.
    """

    legend: Mapping[str, ColorLike] | None = None
    color: ColorLike | None = None
    expression: str | None = None

    def need(self, name: Literal["legend", "color", "expression"], what: str) -> Any:
        """One of the arguments.

        Args:
            name: The attribute.
            what: Its name in the error message.

        Raises:
            InputError: If it is missing.
        """
        value = getattr(self, name)
        if value is None:
            raise InputError(f"This question needs a {what}: give one.")
        return value


@dataclass(frozen=True, slots=True)
class Output:
    """An image topic whose pixels are values of an answer.

    Attributes:
        topic: Relative name. Its first part is the group in the parameters `rates` and `priority`.
        encoding: Encoding of sensor_msgs/Image, see `node.topics.messages`.
        field: The field of the answer that is published; empty if the node composes the image from several
            fields.
    """

    topic: str
    encoding: str
    field: str = ""


class Task(ABC):
    """A task of a generator. Each one is created and registered once, in `tasks/__init__.py`.

    Attributes:
        name: Name in the command line, the services and bundles.
        PHRASINGS: Prompt templates; training draws from them.
        Answer: The decoded answer: a dataclass with fields of the image's size, one of them `confidence`.
        field: The main field of `Answer`.
        takes: The arguments of the question: none, a legend, expressions (one question each), or a class.
        publishes: Its topics.
        stem: Prefix of its file names.
        may_be_empty: Whether an answer without valid pixels is legitimate, for example if there is nothing to
            find.
        repeats: Whether answers to the same question can be merged (`perception.ensemble`).
        free_colors: Whether the generator chooses the colours, so that several pictures are correct.
        tells_upright: Whether its confidence is lower for images that are upside down.
    """

    name: ClassVar[str]
    PHRASINGS: ClassVar[tuple[str, ...]]
    Answer: ClassVar[type]
    field: ClassVar[str]
    takes: ClassVar[Literal["", "legend", "expressions", "class"]] = ""
    publishes: ClassVar[tuple[Output, ...]] = ()
    stem: ClassVar[str]
    may_be_empty: ClassVar[bool] = False
    repeats: ClassVar[bool] = False
    free_colors: ClassVar[bool] = False
    tells_upright: ClassVar[bool] = False

    @abstractmethod
    def instruction(self, words: Words) -> str:
        """The prompt. Raises InputError if arguments are missing or invalid."""

    @abstractmethod
    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """Encodes the ground truth as the generator should paint it, (H, W, 3) float32 in [0, 1]."""

    @abstractmethod
    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """Decodes a painted picture.

        Args:
            rgb: (H, W, 3) uint8, or float in [0, 1].
            words: The arguments of the question.
            thresholds: Thresholds of the generator (`AnswerFormat.instance_taus`), for tasks whose colours
                are not in the prompt.

        Returns:
            An `Answer`.
        """

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """The files of an answer by suffix: ".npy" for any array, ".png" for uint8 or uint16."""
        return {".npy": getattr(answer, self.field)}
