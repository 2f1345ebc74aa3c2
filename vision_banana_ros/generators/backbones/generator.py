# SPDX-License-Identifier: Apache-2.0
"""An open image editor as a generator.

The same face as `generators.Generator`, on instructions that were encoded ahead.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.family import FAMILIES
from vision_banana_ros.generators.backbones.guidance import Guidance
from vision_banana_ros.generators.backbones.noise_schedule import Step, start_of
from vision_banana_ros.generators.backbones.prompt_cache import (
    Encoding,
    Prompt,
    cache_of,
    command_for,
    require_some,
)
from vision_banana_ros.generators.base import BundleGenerator
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.reference import trusted
from vision_banana_ros.tasks.profiles import Asked, Profile, Question, profile

PROMPTS_KEPT = 32  # an encoded instruction takes 16 MB


class Runner(Protocol):
    """Runs the three networks of an editor."""

    name: str

    def paint(
        self,
        image: np.ndarray,
        prompts: Sequence[Prompt],
        steps: Sequence[Step],
        start: np.ndarray | None,
        guidance: Guidance | None = None,
    ) -> np.ndarray:
        """(H, W, 3) uint8 -> (N, H, W, 3) float32 in 0..1.

        Start: the first latents, None for the frame's own.
        """


class BackboneGenerator(BundleGenerator[Prompt]):
    """A bundle made by `vision-banana import`, with something that runs it."""

    def __init__(self, bundle: Bundle, runner: Runner, why: str, encode_prompts: bool = False) -> None:
        super().__init__(bundle, why, PROMPTS_KEPT)
        self.runner, self._encodes = runner, encode_prompts
        backbone = bundle.manifest.backbone
        self._steps = [Step(*map(float, step)) for step in backbone["schedule"]]
        self._start = (
            None if backbone["start"] == "frame" else start_of(backbone["start"], backbone["latents"])
        )
        self._cache = cache_of(bundle)
        self._family = FAMILIES[backbone["family"]]
        self._guidance = self._guidance_of(backbone)
        self._encoding: dict[str, Encoding] = {}
        #: How its questions are worded and its answers read: `profile.asked(question)`.
        self.profile: Profile = profile(bundle.manifest.codec, backbone.get("words"))

    @property
    def executor(self) -> str:
        """What runs the networks, for people."""
        return self.runner.name

    def asked(self, question: Question) -> Asked:
        """The question in the words of the bundle's profile, read by its rules.

        `prepare` wants this one's instruction.
        """
        return self.profile.asked(question)

    def prepare(self, instruction: str) -> None:
        """Find an instruction's embedding ahead of the frame that needs it.

        Where that is allowed, encode it and wait.

        InputError, which names the command to run, where it was not encoded.
        """
        self._prompt(instruction, wait=True)

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """Paint one picture an instruction.

        It never waits for an encoder: InputError for an instruction that is not encoded.

        image: (H, W, 3) uint8 RGB of exactly `size`. Returns (N, H, W, 3) float32 in 0..1.
        """
        self._check(image, instructions)
        prompts = [self._prompt(instruction, wait=False) for instruction in instructions]
        painted = self.runner.paint(
            np.ascontiguousarray(image), prompts, self._steps, self._start, self._guidance
        )
        return trusted(painted, len(instructions), self.size)

    def answer(self, image: np.ndarray, questions: Sequence[Question]) -> list[Any]:
        """Answers questions with the prompts and codes of the bundle's profile.

        For profiles with relative depth, the answer has `depth_relative` and no `depth_m`.
        """
        asked = [self.asked(question) for question in questions]
        painted = self.paint(image, [question.instruction for question in asked])
        return [question.read(rgb) for question, rgb in zip(asked, painted, strict=True)]

    def _prompt(self, instruction: str, wait: bool) -> Prompt:
        if self._family.words and not instruction.strip():
            raise InputError("The instruction is empty: say in words what to paint.")
        found = self._known(instruction)
        if found is None:
            found = self._keep(instruction, self._find(instruction) or self._encode(instruction, wait))
        return found

    def _find(self, instruction: str) -> Prompt | None:
        if self._family.encoder_sees_image:
            return self.runner.tokens(instruction)  # type: ignore[attr-defined]  # of torch, which alone runs these
        return self._cache.find(instruction)

    def _guidance_of(self, backbone: dict[str, Any]) -> Guidance | None:
        """InputError where the instruction that says nothing is gone.

        It was encoded when the model was imported.
        """
        scale = float(backbone.get("guidance", 1.0))
        if scale <= 1:
            return None
        untold = self._find(backbone["untold"])
        if untold is None:
            raise InputError(
                f"Bundle '{self._bundle.path}' lacks the empty instruction, encoded, that its guidance"
                " needs: copy its folder "
                "prompts/ again."
            )
        return Guidance(scale, untold, bool(backbone["keeps_length"]))

    def _encode(self, instruction: str, wait: bool) -> Prompt:
        if not self._encodes:
            raise InputError(
                f"This instruction was not encoded for '{self.name}'. Run:"
                f" {command_for(self._bundle.path, instruction)}"
            )
        running = self._encoding.get(instruction)
        if running is None:
            running = self._encoding[instruction] = Encoding(self._bundle.path, instruction)
        if running.running and not wait:
            raise InputError(
                "This instruction is being encoded in another process, which takes up to some"
                " minutes: ask again."
            )
        del self._encoding[instruction]
        running.wait()
        found = self._cache.find(instruction)
        if found is None:
            raise InputError(
                f"The instruction was not encoded. Run: {command_for(self._bundle.path, instruction)}"
            )
        return found


def load_backbone(bundle: Bundle, executor: str = "auto", encode_prompts: bool = False) -> BackboneGenerator:
    """Loads the bundle of an imported editor.

    Args:
        bundle: The open bundle.
        executor: "auto", "torch" or "onnxruntime", with options after a colon ("torch:bf16",
            "onnxruntime:cpu"), or several separated by commas.
        encode_prompts: Whether unknown prompts are encoded on demand in another process, if the bundle has
            its text encoder.

    Raises:
        InputError: With all reasons, if none of the executors can run it.
    """
    backbone = bundle.manifest.backbone
    if backbone["family"] not in FAMILIES:
        raise InputError(
            f"Bundle '{bundle.path}' is of the family '{backbone['family']}', which this"
            " version does not know."
        )
    fitting = bundle.editor_runner
    if not encode_prompts:
        require_some(bundle)
    refused = []
    for name in [fitting] if executor == "auto" else [part.strip() for part in executor.split(",")]:
        kind, _, options = name.partition(":")
        if kind != fitting:
            other = {"torch": "without --graphs", "onnxruntime": "with --graphs"}.get(kind)
            cure = f", or import the model {other}" if other else ""
            refused.append(
                f"'{name}' cannot run the editor '{bundle.path}', which {fitting} can: "
                f"ask for that or auto{cure}."
            )
            continue
        try:
            given = tuple(options.split("-")) if options else ()
            if fitting == "torch":
                from vision_banana_ros.generators.backbones.run_torch import load_torch as load
            else:
                from vision_banana_ros.generators.backbones.run_onnx import load_onnx as load  # type: ignore[assignment]
            runner: Runner = load(bundle, given)
        except InputError as error:
            refused.append(str(error))
            continue
        why = f"Running on {runner.name}, " + (
            "as asked." if executor != "auto" else f"which runs {backbone['pipeline']}."
        )
        return BackboneGenerator(bundle, runner, " ".join([why, *refused]), encode_prompts)
    raise InputError(" ".join(refused))
