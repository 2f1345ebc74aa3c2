# SPDX-License-Identifier: Apache-2.0
"""The generator of a bundle with this package's own network, and loading of any generator."""

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
    """The attributes of a question that a generator uses (`perception.Question`)."""

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
    """A bundle with this package's own network, and an executor for its graphs.

    Args:
        bundle: The bundle.
        executor: The executor.
        why: A sentence on why this executor was chosen, for the log.
    """

    def __init__(
        self, bundle: Bundle, executor: Executor, why: str = "", faults: list[str] | None = None
    ) -> None:
        super().__init__(bundle, why, PROMPTS_KEPT, faults)
        self.loaded_executor = executor

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The resolutions (height, width) at which it can paint, the default first."""
        return (self.size, *self.manifest.canvases) if self.loaded_executor.any_size else (self.size,)

    @property
    def executor(self) -> str:
        """Name of the executor."""
        return self.loaded_executor.name

    def asked(self, question: Asked) -> Asked:
        """The question with the prompt that the generator expects; only imported editors change it."""
        return question

    def prepare(self, instruction: str) -> None:
        """Encodes a prompt ahead of the first frame that needs it.

        Args:
            instruction: The prompt.

        Raises:
            InputError: The prompt is empty or too long.
        """
        self.encoded(instruction)

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """Paints one answer per prompt; the frame is encoded once.

        Args:
            image: (H, W, 3) uint8 RGB of one of `sizes`.
            instructions: N prompts.

        Returns:
            (N, H, W, 3) float32 in 0..1, NaN for pixels that are no colours.
        """
        return trusted(
            self.loaded_executor.answer(*self._given(image, instructions)), len(instructions), image.shape[:2]
        )

    def answer(self, image: np.ndarray, questions: Sequence[Asked]) -> list[Any]:
        """Answers questions; answers are decoded on the device if the executor can.

        Args:
            image: (H, W, 3) uint8 RGB of one of `sizes`.
            questions: The questions.

        Returns:
            For each question the task's `Answer`, or an image (H, W, 3) float32 in 0..1 to be decoded.
        """
        given = self._given(image, [question.instruction for question in questions])
        if not getattr(self.loaded_executor, "decodes", ()):
            return list(trusted(self.loaded_executor.answer(*given), len(questions), image.shape[:2]))
        # No graph decodes several expressions in one image; for a task without a name the image is returned.
        tasks = ["" if q.task == "referring" and q.color is None else q.task for q in questions]
        asked = [
            (task, decode_inputs(task, q.legend, q.color)) for task, q in zip(tasks, questions, strict=True)
        ]
        outputs = self.loaded_executor.read(*given, asked)  # type: ignore[attr-defined]
        return [
            trusted(out[0][None], 1, image.shape[:2])[0]
            if len(out) == 1
            else self._decoded(q.task, out, image.shape[:2])
            for q, out in zip(questions, outputs, strict=True)
        ]

    def _decoded(self, task: str, outputs: list[np.ndarray], size: tuple[int, ...]) -> Any:
        if any(values.shape[:2] != size for values in outputs):
            shapes = ", ".join(str(values.shape) for values in outputs)
            raise WrongAnswers(
                f"The answer to {task} has the shapes {shapes}, not those of {size}: it is not used."
            )
        return as_answer(task, outputs)

    def _given(
        self, image: np.ndarray, instructions: Sequence[str]
    ) -> tuple[Features, np.ndarray, np.ndarray]:
        """The inputs of the executor: features, encoded prompts and their mask."""
        self._check(image, instructions)
        encoded = [self.encoded(instruction) for instruction in instructions]
        features = self.loaded_executor.encode_image(np.ascontiguousarray(image))
        text, mask = (np.stack(parts) for parts in zip(*encoded, strict=True))
        return features, text, mask

    def encoded(self, instruction: str) -> tuple[np.ndarray, np.ndarray]:
        """A prompt as the executor takes it: its encoding and its mask, from the cache if it is known."""
        found = self._known(instruction)
        if found is None:
            prompt = tokenize(instruction, self.manifest.text_length, self.manifest.text_buckets)
            text = self.loaded_executor.encode_text(
                prompt.pieces[None], prompt.colors[None], prompt.mask[None]
            )[0]
            found = self._keep(instruction, (text, prompt.mask))
        return found


def load_generator(bundle_dir: str | Path, executor: str = "auto", encode_prompts: bool = False) -> Generator:
    """Opens a bundle, verifies it and loads it into an executor.

    Args:
        bundle_dir: Folder of the bundle.
        executor: "auto", a name, or several names separated by commas in order of preference.
        encode_prompts: Whether an imported editor may encode new prompts in a separate process.

    Raises:
        InputError: The bundle is incomplete or modified, or no executor is available.
    """
    bundle = open_bundle(bundle_dir)
    if bundle.manifest.backbone:
        from vision_banana_ros.generators.backbones.generator import load_backbone

        return load_backbone(bundle, executor, encode_prompts)  # type: ignore[return-value]  # the same face
    faults: list[str] = []
    return Generator(bundle, *load_executor(bundle, executor, faults.append), faults)
