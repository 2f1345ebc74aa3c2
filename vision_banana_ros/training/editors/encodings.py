# SPDX-License-Identifier: Apache-2.0
"""Training examples as the denoiser takes them: encoded when they are used, or once and kept on disk."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from vision_banana_ros.generators.backbones.diffusers_folder import read_header, read_tensors, write_tensors
from vision_banana_ros.generators.backbones.prompt_cache import Prompt
from vision_banana_ros.training.editors.editor import Tuned
from vision_banana_ros.training.editors.examples import Example

_TOLD_EVERY = 100  # examples


@dataclass(frozen=True)
class Encoded:
    """A training example as the denoiser takes it.

    Attributes:
        frame: (1, n, C) latents of the frame.
        prompt: The encoded prompt.
        answer: (1, n, C) latents of the answer, or the answer itself, (H, W, 3) float32 RGB in 0..1.
    """

    frame: Tensor
    prompt: Prompt
    answer: Tensor


class _Examples(Protocol):
    def __getitem__(self, number: int) -> Example: ...


class Encodings:
    """Encodes examples by number, whenever they are asked for.

    Args:
        tuned: The editor.
        examples: The examples by number.
        decoded: Whether the loss is on the decoded picture, so that answers are not encoded.
    """

    def __init__(self, tuned: Tuned, examples: _Examples, decoded: bool) -> None:
        self._tuned, self._examples, self._decoded = tuned, examples, decoded

    @torch.no_grad()
    def __getitem__(self, number: int) -> Encoded:
        return self.encoded(self._examples[number])

    @torch.no_grad()
    def encoded(self, example: Example) -> Encoded:
        """Encodes an example."""
        tuned = self._tuned
        answer = torch.from_numpy(example.answer).to(tuned.device)
        if not self._decoded:
            answer = tuned.encoder.encode(answer.permute(2, 0, 1)[None] * 2 - 1)
        frame = tuned.encoder(torch.from_numpy(example.frame).to(tuned.device))
        return Encoded(frame, tuned.prompt(example.instruction), answer)


class StoredEncodings:
    """A fixed number of encodings on disk, used again and again.

    After `fill`, neither the text encoder is needed, nor are views rendered. A prompt is stored once, however
    many examples have it.

    Args:
        folder: Where they are kept.
        plan: What they depend on. Encodings of another plan in the same folder are left alone.
        count: Number of examples.
    """

    def __init__(
        self, folder: Path, plan: dict[str, Any], tuned: Tuned, examples: _Examples, decoded: bool, count: int
    ) -> None:
        digest = hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self._folder, self._count = folder / digest, count
        self._tuned, self._examples = tuned, examples
        self._encodings = Encodings(tuned, examples, decoded)

    def fill(self, say: Callable[[str], None]) -> None:
        """Encodes and stores what is not stored yet.

        Args:
            say: Prints a line of progress.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        missing = [number for number in range(self._count) if not self._path(number).is_file()]
        for done, number in enumerate(missing, start=1):
            example = self._examples[number]
            encoded = self._encodings.encoded(example)
            prompt = self._prompt(hashlib.sha256(example.instruction.encode()).hexdigest())
            if not prompt.is_file():
                write_tensors(prompt, encoded.prompt, {})
            arrays = {"frame": encoded.frame.cpu().numpy(), "answer": encoded.answer.cpu().numpy()}
            write_tensors(self._path(number), arrays, {"prompt": prompt.name})
            if done % _TOLD_EVERY == 0 or done == len(missing):
                say(f"encoded {done} of {len(missing)} examples")

    def __getitem__(self, number: int) -> Encoded:
        path = self._path(number % self._count)
        prompt = self._folder / Path(read_header(path)["__metadata__"]["prompt"]).name
        kept = read_tensors(path)
        frame, answer = (torch.tensor(kept[name], device=self._tuned.device) for name in ("frame", "answer"))
        return Encoded(frame, read_tensors(prompt), answer)

    def _path(self, number: int) -> Path:
        return self._folder / f"example-{number:07d}.safetensors"

    def _prompt(self, digest: str) -> Path:
        return self._folder / f"prompt-{digest}.safetensors"
