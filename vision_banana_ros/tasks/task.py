# SPDX-License-Identifier: Apache-2.0
"""What a task is: everything that the rest of the package needs to know of it."""

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
    """What a question names beside its task.

    Attributes:
        legend: The classes of a semantic question and their colours, in class order.
        color: Of a referring mask, or of the background of instances.
        expression: What a referring question looks for, or the class whose instances are asked for.
    """

    legend: Mapping[str, ColorLike] | None = None
    color: ColorLike | None = None
    expression: str | None = None

    def need(self, name: Literal["legend", "color", "expression"], what: str) -> Any:
        """One of them. InputError where it is missing; `what` is how a user calls it."""
        value = getattr(self, name)
        if value is None:
            raise InputError(f"This question needs a {what}: give one.")
        return value


@dataclass(frozen=True, slots=True)
class Output:
    """A topic of images, in which a pixel has a value of an answer.

    Attributes:
        topic: Relative. Its first part is the group that the node's parameters `rates` and `priority` name.
        encoding: Of sensor_msgs/Image, see `node.topics.messages`.
        field: The field of the answer that is published; empty where the node makes the picture of several things.
    """

    topic: str
    encoding: str
    field: str = ""


class Task(ABC):
    """One thing that a generator can be asked. A task is made and registered once, in `tasks/__init__.py`.

    Attributes:
        name: As the command line, the node's services and bundles call it.
        PHRASINGS: The instruction in many wordings; training draws from them.
        Answer: What an answer is read into: a dataclass whose fields have the picture's size, one of them `confidence`.
        field: The field of `Answer` that holds what was asked for.
        takes: What the question names: nothing, a legend, expressions (one question each), or a class.
        publishes: Its topics.
        stem: Of its files' names.
        may_be_empty: Whether a picture in which nothing can be read is an answer, as where there is nothing to find.
        repeats: Whether several answers to the same question can be merged (`perception.ensemble`).
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

    @abstractmethod
    def instruction(self, words: Words) -> str:
        """The sentence that asks for it. InputError where words are missing or cannot be used."""

    @abstractmethod
    def encode(self, truth: ArrayLike, words: Words) -> NDArray[np.float32]:
        """The truth as a generator should paint it, (H, W, 3) float32 in [0, 1]."""

    @abstractmethod
    def decode(self, rgb: ArrayLike, words: Words, thresholds: Mapping[str, float]) -> Any:
        """A painted picture, (H, W, 3) uint8 or float in [0, 1], as an `Answer`.

        thresholds: A generator's own, `AnswerFormat.instance_taus`, for a task that reads colours it was not told.
        """

    def writes(self, answer: Any) -> dict[str, np.ndarray]:
        """An answer as files.

        By the end of the name, ".npy" for any array and ".png" for one of bytes or 16 bits.
        """
        return {".npy": getattr(answer, self.field)}
