# SPDX-License-Identifier: Apache-2.0
"""The generator: a frame and instructions in, painted pictures out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vision_banana_ros.generators.base import BundleGenerator
from vision_banana_ros.generators.bundle import Bundle, open_bundle
from vision_banana_ros.generators.errors import WrongAnswers
from vision_banana_ros.generators.executors import Executor, Features, load_executor
from vision_banana_ros.generators.own.device_decode import as_answer, decode_inputs
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.generators.reference import trusted
from vision_banana_ros.tasks.colors import Rgb

PROMPTS_KEPT = 256  # encoded instructions kept in memory


class Asked(Protocol):
    """What a Generator looks at in a question (`perception.Question`)."""

    @property
    def task(self) -> str:
        """The name of the task."""

    @property
    def instruction(self) -> str:
        """The prompt in the generator's words."""

    @property
    def legend(self) -> dict[str, Rgb] | None:
        """The classes with their colours (0-255), for semantic segmentation."""

    @property
    def color(self) -> Rgb | None:
        """The colour (0-255) of the mask or of the background."""


class Generator(BundleGenerator[tuple[np.ndarray, np.ndarray]]):
    """A bundle of this project's own network with an executor that runs its graphs."""

    def __init__(self, bundle: Bundle, executor: Executor, why: str = "", faults: list[str] | None = None) -> None:
        super().__init__(bundle, why, PROMPTS_KEPT, faults)
        self._executor = executor

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The resolutions (height, width) at which it can paint, the default first."""
        return (self.size, *self.manifest.canvases) if self._executor.any_size else (self.size,)

    @property
    def executor(self) -> str:
        """What runs the networks, for people."""
        return self._executor.name

    def asked(self, question: Asked) -> Asked:
        """The question in the words that the generator wants: here as it is, for an imported editor in those of its profile."""
        return question

    def prepare(self, instruction: str) -> None:
        """Encode an instruction ahead of the frame that needs it. Raises InputError where it cannot be used."""
        self._encoded(instruction)

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """Paint one picture an instruction; the frame is encoded once.

        image: (H, W, 3) uint8 RGB of one of `sizes`. Returns (N, H, W, 3) float32 in 0..1.
        """
        return trusted(self._executor.answer(*self._given(image, instructions)), len(instructions), image.shape[:2])

    def answer(self, image: np.ndarray, questions: Sequence[Asked]) -> list[Any]:
        """As `paint`, but answers that the executor decodes on its device are returned as the task's `Answer`.

        The others are returned as pictures (H, W, 3) to be decoded.
        """
        given = self._given(image, [question.instruction for question in questions])
        if not getattr(self._executor, "decodes", ()):
            return list(trusted(self._executor.answer(*given), len(questions), image.shape[:2]))
        # Several expressions in one picture have no graph that reads them; a task without a name stays a picture.
        tasks = ["" if q.task == "referring" and q.color is None else q.task for q in questions]
        asked = [(task, decode_inputs(task, q.legend, q.color)) for task, q in zip(tasks, questions, strict=True)]
        outputs = self._executor.read(*given, asked)  # type: ignore[attr-defined]
        return [
            trusted(out[0][None], 1, image.shape[:2])[0] if len(out) == 1 else self._decoded(q.task, out, image.shape[:2])
            for q, out in zip(questions, outputs, strict=True)
        ]

    def _decoded(self, task: str, outputs: list[np.ndarray], size: tuple[int, ...]) -> Any:
        if any(values.shape[:2] != size for values in outputs):
            shapes = ", ".join(str(values.shape) for values in outputs)
            raise WrongAnswers(f"The answer to {task} has the shapes {shapes}, not those of {size}: it is not used.")
        return as_answer(task, outputs)

    def _given(self, image: np.ndarray, instructions: Sequence[str]) -> tuple[Features, np.ndarray, np.ndarray]:
        """What an executor answers from: features, encoded instructions and their mask."""
        self._check(image, instructions)
        encoded = [self._encoded(instruction) for instruction in instructions]
        features = self._executor.encode_image(np.ascontiguousarray(image))
        text, mask = (np.stack(parts) for parts in zip(*encoded, strict=True))
        return features, text, mask

    def _encoded(self, instruction: str) -> tuple[np.ndarray, np.ndarray]:
        found = self._known(instruction)
        if found is None:
            prompt = tokenize(instruction, self.manifest.text_length, self.manifest.text_buckets)
            text = self._executor.encode_text(prompt.pieces[None], prompt.colors[None], prompt.mask[None])[0]
            found = self._keep(instruction, (text, prompt.mask))
        return found


def load_generator(bundle_dir: str | Path, executor: str = "auto", encode_prompts: bool = False) -> Generator:
    """Open a bundle, verify it and load it into an executor: "auto", a name, or several in order of preference.

    encode_prompts: whether an imported editor may encode new instructions in a process of its own.
    Raises InputError where the bundle is incomplete or altered, or the executor is not to be had.
    """
    bundle = open_bundle(bundle_dir)
    if bundle.manifest.backbone:
        from vision_banana_ros.generators.backbones.generator import load_backbone

        return load_backbone(bundle, executor, encode_prompts)  # type: ignore[return-value]  # the same face
    faults: list[str] = []
    return Generator(bundle, *load_executor(bundle, executor, faults.append), faults)
