# SPDX-License-Identifier: Apache-2.0
"""How answers to a benchmark are scored.

What a frame is asked, the sums that its answers add, and the figures that all sums come to.

The sums of a frame are numbers and lists alone, so that they can be stored as JSON and summed up on another
machine. The scores themselves are those of `evaluation.scores`.
"""

import base64
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from typing import Protocol as Shape

import numpy as np

from vision_banana_ros.evaluation.depth_alignment import least_squares, median_scale
from vision_banana_ros.evaluation.evaluate import REFERRING_COLOR, in_legend, is_relative
from vision_banana_ros.evaluation.scores import (
    DEPTH_SUMS,
    NormalsSums,
    ReferringScore,
    confusion,
    depth_figures,
    depth_sums,
    normals_sums,
    overlap,
    semantic_figures,
)
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks.colors import Legend, far_apart

Sums = dict[str, Any]


class LanguageModel(Shape):
    """What a rewriter of `reasoning` has."""

    def rewrite(self, query: str, image: np.ndarray) -> str:
        """The query as a plain expression."""
        ...

    def present(self, thing: str, image: np.ndarray) -> bool | None:
        """Whether the thing is in the image; None where that is not known."""
        ...


@dataclass(frozen=True)
class Options:
    """How a benchmark is asked.

    Attributes:
        language_model: Rewrites queries and says what is there; None leaves both to the generator.
    """

    language_model: LanguageModel | None = None


class Protocol(ABC):
    """What is asked of the frames of a benchmark, and how the answers are scored."""

    task: ClassVar[str]

    @abstractmethod
    def questions(self, texts: Sequence[str], legend: Legend, options: Options) -> list[Question]:
        """The questions about a frame with these `texts`, for a generator with this `legend`, if known."""

    @abstractmethod
    def measure(self, perceiver: Perceiver, frame: Any, options: Options) -> Sums:
        """What the answers about a `Frame` add. InputError where the frame or the answers cannot be used."""

    @abstractmethod
    def figures(self, sums: Iterable[Sums], legend: Legend) -> dict[str, Any]:
        """The figures that all sums come to, by task as in the reports of `evaluate`."""


class DepthProtocol(Protocol):
    """Metrics of each picture and their means, as in the evaluations of UniDepth and Marigold.

    Truth is (H, W) metres, NaN where nothing is scored. Three answers are scored: without the camera's
    intrinsics, as the paper has none; with them ("lens"), of a generator whose metres need them; and times
    one factor a picture, the ratio of the medians ("aligned"). Relative depth has no metres: it is aligned by
    least squares first.
    """

    task = "depth"

    def questions(self, texts: Sequence[str], legend: Legend, options: Options) -> list[Question]:
        """One, always the same."""
        return [Question.depth()]

    def measure(self, perceiver: Perceiver, frame: Any, options: Options) -> Sums:
        """The sums of each answer, the factor of the medians, and the pixels outside of the trained range."""
        truth = frame.truth
        near, far = perceiver.generator.manifest.depth_range_m
        known = truth[np.isfinite(truth)]
        sums: Sums = {"outside": [int((known < near).sum()), int((known > far).sum())]}
        asked = _PaintedOnce(perceiver)
        (answer,) = asked.look(frame.image, [Question.depth()])
        if is_relative(answer):
            generator: Any = perceiver.generator
            fitted = least_squares(answer.depth_relative, truth, generator.profile.depth_kind)
            return sums | {"depth": depth_sums(fitted, truth).tolist(), "relative": True}
        scale = median_scale(answer.depth_m, truth)
        sums |= {
            "depth": depth_sums(answer.depth_m, truth).tolist(),
            "aligned": depth_sums(answer.depth_m * scale, truth).tolist(),
        }
        sums |= {"scale": scale} if math.isfinite(scale) else {}
        if perceiver.needs_lens and frame.intrinsics is not None:
            (answer,) = asked.look(frame.image, [Question.depth()], frame.intrinsics)
            sums["lens"] = depth_sums(answer.depth_m, truth).tolist()
        return sums

    def figures(self, sums: Iterable[Sums], legend: Legend) -> dict[str, Any]:
        """The means of the figures over the pictures, by answer."""
        rows: dict[str, list[np.ndarray]] = {"depth": [], "aligned": [], "lens": []}
        scales, outside, relative = [], np.zeros(2), False
        for each in sums:
            for name in rows.keys() & each.keys():
                rows[name].append(np.array(each[name]))
            scales += [each["scale"]] if "scale" in each else []
            outside += each["outside"]
            relative |= each.get("relative", False)
        if not rows["depth"]:
            return {}
        found: dict[str, Any] = _mean_of_pictures(rows["depth"])
        for name in ("aligned", "lens"):
            if rows[name]:
                found |= {
                    f"{key}_{name}": value
                    for key, value in _mean_of_pictures(rows[name]).items()
                    if key != "readable"
                }
        found |= {"scale": float(np.median(scales))} if scales else {}
        found |= {"aligned": True} if relative else {}
        total = sum(row[0] for row in rows["depth"])
        near, far = outside / max(total, 1)
        return {
            "depth": found
            | {
                "nearer_than_taught": float(near),
                "farther_than_taught": float(far),
                "pictures": len(rows["depth"]),
            }
        }


class NormalsProtocol(Protocol):
    """Angles over all pixels of the set, as DSINE's evaluation has them.

    Truth is (H, W, 3) unit vectors in the paper's frame (+x right, +y up, +z to the viewer), NaN where there
    is none.
    """

    task = "normals"

    def questions(self, texts: Sequence[str], legend: Legend, options: Options) -> list[Question]:
        """One, always the same."""
        return [Question.normals()]

    def measure(self, perceiver: Perceiver, frame: Any, options: Options) -> Sums:
        """The sums of angles."""
        (answer,) = perceiver.look(frame.image, [Question.normals()], frame.intrinsics)
        sums = normals_sums(answer.normals, frame.truth)
        return {
            "known": sums.known,
            "degrees": sums.degrees,
            "under": sums.under.tolist(),
            "tenths": _packed(sums.tenths),
        }

    def figures(self, sums: Iterable[Sums], legend: Legend) -> dict[str, Any]:
        """The figures over all pixels."""
        total, pictures = NormalsSums.none(), 0
        for each in sums:
            total += NormalsSums(
                each["known"], each["degrees"], np.array(each["under"]), _unpacked(each["tenths"])
            )
            pictures += 1
        return {"normals": {**total.figures(), "pictures": pictures}} if pictures else {}


@dataclass(frozen=True)
class SemanticProtocol(Protocol):
    """All classes in one question, pixels summed up over the set, as cityscapesScripts has it.

    Truth is (H, W) uint8, 255 void.

    classes: names in the order of the truth's numbers; none where the truth has the numbers of the scenes'
    classes and the generator's own legend is asked for.
    """

    classes: tuple[str, ...] = ()

    task = "semantic"

    def legend(self, own: Legend) -> Legend:
        """The classes and their colours; the generator's own where the truth has the scenes' classes."""
        return (
            dict(zip(self.classes, far_apart(len(self.classes), ["black"]), strict=True))
            if self.classes
            else own
        )

    def questions(self, texts: Sequence[str], legend: Legend, options: Options) -> list[Question]:
        """One, always the same."""
        return [Question.semantic(self.legend(legend))]

    def measure(self, perceiver: Perceiver, frame: Any, options: Options) -> Sums:
        """The pixels by true and answered class."""
        legend = self.legend(perceiver.generator.manifest.legend)
        truth = frame.truth if self.classes else in_legend(frame.truth, tuple(legend))
        (answer,) = perceiver.look(frame.image, [Question.semantic(legend)], frame.intrinsics)
        pixels = confusion(answer.labels, truth, len(legend)).ravel()
        there = np.flatnonzero(pixels)
        return {"pixels": [[int(i), int(pixels[i])] for i in there]}

    def figures(self, sums: Iterable[Sums], legend: Legend) -> dict[str, Any]:
        """The figures over all pixels."""
        classes = tuple(self.legend(legend))
        total, pictures = np.zeros(len(classes) * (len(classes) + 1), np.int64), 0
        for each in sums:
            for index, pixels in each["pixels"]:
                total[index] += pixels
            pictures += 1
        figures = semantic_figures(total.reshape(len(classes), -1), classes)
        return {"semantic": {**figures, "pictures": pictures}} if pictures else {}


@dataclass(frozen=True, slots=True)
class Expression:
    """What is asked for in words, and where it is: (H, W) bool. ignored: pixels that are not scored."""

    text: str
    mask: np.ndarray
    ignored: np.ndarray | None = None


@dataclass(frozen=True)
class ReferringProtocol(Protocol):
    """cIoU and gIoU over all expressions, as LISA's evaluation has them. Truth is a sequence of `Expression`.

    queries: whether the texts are questions that a language model may rewrite, as those of ReasonSeg.
    """

    queries: bool = False

    task = "referring"

    def questions(self, texts: Sequence[str], legend: Legend, options: Options) -> list[Question]:
        """One a text; none that a language model will rewrite."""
        rewritten = self.queries and options.language_model
        return [] if rewritten else [Question.referring(text, REFERRING_COLOR) for text in texts]

    def measure(self, perceiver: Perceiver, frame: Any, options: Options) -> Sums:
        """Pixels in both masks, in either and in the truth, of each expression."""
        expressions: Sequence[Expression] = frame.truth
        texts = [expression.text for expression in expressions]
        if self.queries and options.language_model:
            texts = [options.language_model.rewrite(text, frame.image) for text in texts]
        looks = perceiver.look(
            frame.image, [Question.referring(text, REFERRING_COLOR) for text in texts], frame.intrinsics
        )
        overlaps = []
        for expression, answer in zip(expressions, looks, strict=True):
            counted = True if expression.ignored is None else ~expression.ignored
            overlaps.append(overlap(answer.mask & counted, expression.mask & counted))
        return {"overlaps": overlaps}

    def figures(self, sums: Iterable[Sums], legend: Legend) -> dict[str, Any]:
        """The figures over all expressions."""
        score, pictures = ReferringScore(), 0
        for each in sums:
            pictures += 1
            for found in each["overlaps"]:
                score.add_overlap(*found)
        return {"referring": {**score.result(), "pictures": pictures}} if pictures else {}


def _mean_of_pictures(rows: list[np.ndarray]) -> dict[str, float]:
    """The mean of each figure over the pictures that have it."""
    figures = [depth_figures(row) for row in rows]
    names = depth_figures(np.zeros(DEPTH_SUMS))
    means = {}
    for name in names:
        values = np.array([each[name] for each in figures])
        finite = np.isfinite(values)
        means[name] = float(values[finite].mean()) if finite.any() else float("nan")
    return means


class _PaintedOnce(Perceiver):
    """A perceiver that paints each instruction about a frame once, however often it looks at it."""

    def __init__(self, perceiver: Perceiver) -> None:
        super().__init__(perceiver.generator, perceiver.output_size, perceiver.passes)
        self._made: dict[tuple[bytes, str], Any] = {}

    def _ask(self, canvas: np.ndarray, questions: Sequence[Question]) -> list[Any]:
        keys = [(canvas.tobytes(), question.instruction) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._made}
        if new:
            self._made.update(zip(new, super()._ask(canvas, list(new.values())), strict=True))
        return [self._made[key] for key in keys]


def _packed(counts: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(counts.astype("<u4").tobytes())).decode()


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u4").astype(np.int64)
