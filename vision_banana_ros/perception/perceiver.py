# SPDX-License-Identifier: Apache-2.0
"""Answers questions about one frame, on one pixel grid."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.ensemble import ask_often, check_passes, ways
from vision_banana_ros.perception.geometry import Intrinsics, Letterbox
from vision_banana_ros.perception.joint_expressions import joined
from vision_banana_ros.perception.mask_hysteresis import sure_regions
from vision_banana_ros.perception.questions import Question
from vision_banana_ros.perception.resample import Guide
from vision_banana_ros.tasks import depth, referring
from vision_banana_ros.tasks.answer_format import AnswerFormat


class Painter(Protocol):
    """What a Perceiver needs of a generator.

    One with `answer` (see Generator) may also decode on its own device.
    """

    @property
    def size(self) -> tuple[int, int]:
        """The resolution (height, width) at which it paints."""

    @property
    def manifest(self) -> AnswerFormat:
        """How its answers are encoded."""

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """Paints N answers, (N, H, W, 3) float32 in [0, 1], for a frame (H, W, 3) uint8 RGB and N prompts."""


@dataclass(frozen=True)
class Looks(Sequence[Any]):
    """The answers to the questions, in their order. All of them have the grid of `image`.

    Attributes:
        image: (H, W, 3) uint8, the frame on the grid of the answers.
        readable: The fraction (0..1) of valid pixels (confidence above zero) by question.
        paint_s: Seconds for inference.
        read_s: Seconds for everything else.
        outside: (H, W) bool, pixels that the raw frame does not show; None for none.
    """

    image: np.ndarray
    answers: tuple[Any, ...]
    readable: tuple[float, ...]
    paint_s: float
    read_s: float
    outside: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.answers)

    def __getitem__(self, index: Any) -> Any:
        return self.answers[index]


class Perceiver:
    """Answers questions about frames of any resolution.

    The frame is letterboxed to the generator's resolution and painted once for all questions. The answers are
    decoded at that resolution, cropped, and resampled as numbers (never as colours) to the output grid: that
    of the frame ("input") or of the generator ("generator", see `grid`). Depth beyond the range of the
    training data is +inf.

    Args:
        generator: The generator.
        output_size: "input" or "generator".
        passes: Number of passes per question, see `ensemble`.
        together: Whether referring expressions share a picture, as many as the generator supports. It is
            faster, but pixels that match two of them are assigned to one only.
    """

    def __init__(
        self,
        generator: Painter,
        output_size: Literal["input", "generator"] = "input",
        passes: int = 1,
        together: bool = False,
    ):
        if output_size not in ("input", "generator"):
            raise InputError(f"output_size is {output_size!r}; it must be 'input' or 'generator'.")
        self.generator = generator
        self.output_size = output_size
        self.passes = check_passes(passes)
        self.together = together
        self._format = generator.manifest

    @property
    def needs_lens(self) -> bool:
        """Whether metric depth requires the intrinsics of the camera."""
        return self._format.depth_focal_px > 0

    def asked(self, questions: Sequence[Question]) -> list[Question]:
        """All questions that the generator gets for these, to prepare them in advance."""
        return [
            way.question for question, _ in self._joined(questions) for way in ways(question, self.passes)
        ]

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The resolution (height, width) of the answers for a frame of height x width.

        CameraInfo has to be scaled to it.
        """
        if self.output_size == "input":
            return height, width
        box = self.letterbox(height, width)
        return box.height, box.width

    def letterbox(self, height: int, width: int) -> Letterbox:
        """The placement of a frame of height x width on the canvas on which it is largest."""
        return Letterbox.best((height, width), getattr(self.generator, "sizes", (self.generator.size,)))

    def look(
        self, image: np.ndarray, questions: Sequence[Question], intrinsics: Intrinsics | None = None
    ) -> Looks:
        """Answers questions about a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            questions: The questions.
            intrinsics: Those of the camera, on the grid of the frame or scaled. If they are missing and
                `needs_lens`, depth is that of the reference camera in the bundle's manifest, which is right
                up to a factor.

        Raises:
            InputError: If the image has another shape or type.
        """
        started = time.perf_counter()
        _check(image)
        image = np.ascontiguousarray(image)
        box = self.letterbox(*image.shape[:2])
        small = box.shrink(image)
        canvas = box.pad(small)
        paint_started = time.perf_counter()
        asked = self._joined(questions)
        made = ask_often(self._ask, canvas, [question for question, _ in asked], self.passes)
        paint_s = time.perf_counter() - paint_started

        found: dict[int, Any] = {}
        for (question, places), one in zip(asked, made, strict=True):
            answer = self._read(question, one, box)
            found |= zip(places, [answer] if len(places) == 1 else answer, strict=True)
        answers = [found[place] for place in range(len(questions))]
        if self._format.referring_core:
            answers = [
                sure_regions(a, self._format.referring_core) if isinstance(a, referring.Answer) else a
                for a in answers
            ]
        answers = [self._in_metres(a, box, intrinsics) if isinstance(a, depth.Answer) else a for a in answers]
        readable = tuple(np.count_nonzero(a.confidence) / a.confidence.size for a in answers)
        if self.output_size == "generator":
            image = small
        elif answers and image.shape != small.shape:
            guide = Guide.of(image, small)
            answers = [guide.answer(a) for a in answers]
        return Looks(image, tuple(answers), readable, paint_s, time.perf_counter() - started - paint_s)

    def _joined(self, questions: Sequence[Question]) -> list[tuple[Question, tuple[int, ...]]]:
        """What is put to the generator, and the places in `questions` that each answers.

        Several passes ask each by itself.
        """
        return joined(
            questions, self._format.expressions_together if self.together and self.passes == 1 else 1
        )

    def _ask(self, canvas: np.ndarray, questions: Sequence[Question]) -> list[Any]:
        """For each question a picture, or an answer from a generator that decodes on its own device."""
        answer = getattr(self.generator, "answer", None)
        return list(
            answer(canvas, questions)
            if answer
            else self.generator.paint(canvas, [q.instruction for q in questions])
        )

    def _in_metres(self, answer: Any, box: Letterbox, intrinsics: Intrinsics | None) -> Any:
        """Scales depth from the reference focal length to that of the camera.

        Depth beyond the range that the generator was trained on is +inf, because the answer is noise there.
        """
        depth_m = answer.depth_m
        if intrinsics is not None and self.needs_lens:
            on_canvas = intrinsics.scaled(box.width, box.height)
            depth_m = depth_m * np.float32(
                math.sqrt(on_canvas.fx * on_canvas.fy) / self._format.depth_focal_px
            )
        return replace(
            answer, depth_m=np.where(depth_m > self._format.depth_range_m[1], np.float32(np.inf), depth_m)
        )

    def _read(self, question: Question, made: Any, box: Letterbox) -> Any:
        """Decodes and crops a picture, or crops an answer."""
        if isinstance(made, np.ndarray):
            return question.read(box.crop(made), self._format.instance_taus)
        return replace(made, **{field.name: box.crop(getattr(made, field.name)) for field in fields(made)})


def _check(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = (
            f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        )
        raise InputError(f"The image must be (height, width, 3) uint8 RGB; it is {what}. Convert it first.")
    if image.size == 0:
        raise InputError(
            f"The image is {image.shape[1]}x{image.shape[0]} pixels, so there is nothing to look at."
        )
