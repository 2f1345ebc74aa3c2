# SPDX-License-Identifier: Apache-2.0
"""An open image editor during fine-tuning: its networks, prompts and validation."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.cases import Case
from vision_banana_ros.evaluation.evaluate import ask, evaluate
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.evaluation.splits import case_of
from vision_banana_ros.generators.backbones.diffusers_folder import Folder
from vision_banana_ros.generators.backbones.guidance import Denoise, Guidance, guided
from vision_banana_ros.generators.backbones.noise_schedule import Step, shifted_time, start_of, walk
from vision_banana_ros.generators.backbones.prompt_cache import Prompt
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.tasks.vocabulary import LEGEND
from vision_banana_ros.training.data.sources import FIRST_HELD_OUT_SEED
from vision_banana_ros.training.editors.examples import shot

PROMPTS_KEPT = 64  # an encoded prompt takes 16 MB


class Tuned:
    """The networks of an editor on the accelerator's device.

    The text encoder is loaded with the first prompt and stays in memory until it is released.

    Args:
        folder: Folder of the model.
        profile: Format of the answers.
        size: Height and width of frames and answers in pixels.
        tasks: Names of the tasks.
        accelerator: The `accelerate.Accelerator`.
    """

    def __init__(
        self, folder: Folder, profile: Profile, size: tuple[int, int], tasks: Sequence[str], accelerator: Any
    ) -> None:
        self.networks = folder.family.networks
        self.device = accelerator.device
        self.folder, self._profile, self._size, self._tasks = folder, profile, size, tuple(tasks)
        self._accelerator = accelerator
        kind = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
        networks = (
            network.requires_grad_(False) for network in self.networks.networks(folder.path, size, kind)
        )
        self.encoder, self.denoiser, self.decoder = networks
        self.encoder, self.decoder = self.encoder.to(self.device), self.decoder.to(self.device)
        self.denoiser.transformer.enable_gradient_checkpointing()  # saves memory at 1.5 times the time
        self.decoder.vae.enable_gradient_checkpointing()
        self._prompts: OrderedDict[str, Prompt] = OrderedDict()
        self.release_text_encoder()

    def release_text_encoder(self) -> None:
        """Frees the text encoder and the prompts in memory; the next prompt loads it again."""
        self.words = self.networks.Words(self.folder.path, str(self.device))
        self._prompts.clear()

    def reads(self, instruction: str) -> bool:
        """Whether a prompt fits into the text encoder."""
        try:
            self.words.ids(instruction)
        except InputError:
            return False
        return True

    def prompt(self, instruction: str) -> Prompt:
        """Encodes a prompt, or returns it from the cache.

        Args:
            instruction: The prompt.

        Raises:
            InputError: The prompt is too long for the text encoder.
        """
        if instruction not in self._prompts:
            self._prompts[instruction] = next(self.words.encode([instruction]))
            if len(self._prompts) > PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(instruction)
        return self._prompts[instruction]

    def velocity(self, x: Tensor, frame: Tensor, time: Tensor, prompt: Prompt) -> Tensor:
        """Predicts the velocity of latents `x` at a time in 0..1 for a frame's latents and a prompt."""
        given = (torch.from_numpy(prompt[name])[None].to(self.device) for name in self.networks.PROMPT)
        with self._accelerator.autocast():
            return self.denoiser(x, frame, time, *given).float()

    def in_one_step(self, frame: Tensor, prompt: Prompt) -> Tensor:
        """Paints an answer in one step from the latents of the frame.

        The VAE remains in float32, because the exact colours carry the values.

        Args:
            frame: Latents of the frame.
            prompt: The encoded prompt.

        Returns:
            (1, H, W, 3) in 0..1.
        """
        return self.decoder(frame - self.velocity(frame, frame, torch.ones(1, device=self.device), prompt))

    def painted_steps(self) -> int:
        """Number of sampling steps that the model was trained for."""
        return self.folder.family.painted(self.folder.index)[0]

    def noise_level(self, rng: np.random.Generator, latents: tuple[int, ...]) -> float:
        """Draws a training time in 0..1.

        Half of them are times of the model's sampling steps; the others are logit-normal (arXiv 2403.03206),
        shifted like the sampling steps.

        Args:
            rng: Random generator.
            latents: Shape of the latents.
        """
        steps, config = self.painted_steps(), self.folder.config("scheduler")
        if rng.random() < 0.5:
            return float(rng.choice([step.time for step in self.networks.schedule(config, steps, latents)]))
        time = 1 / (1 + np.exp(-rng.standard_normal()))
        return shifted_time(config, self.networks.shift(config, steps, latents), float(time))

    def measure(self, views: int, steps: int) -> dict[str, Any]:
        """Evaluates on held-out views.

        Args:
            views: Number of views.
            steps: 1 for one step from the frame; more for sampling from noise with the model's guidance.

        Returns:
            The report of the evaluation package, and "picture", the mean RGB error (0..1) of the answers.
        """
        live = _Live(self, self._profile, self._size, self._tasks, steps)
        report = evaluate(
            Perceiver(live),
            live.shown(held_out_case(FIRST_HELD_OUT_SEED + i, self._size) for i in range(views)),
        )
        del report["worst"]
        return tidy({**report, "picture": float(np.mean(live.errors)) if live.errors else float("nan")})

    @torch.no_grad()
    def paint(self, image: np.ndarray, instructions: Sequence[str], steps: int) -> np.ndarray:
        """Paints one answer per prompt.

        Args:
            image: (H, W, 3) uint8 RGB.
            instructions: N prompts.
            steps: As for `measure`.

        Returns:
            (N, H, W, 3) float32 in 0..1.
        """
        frame = self.encoder(torch.from_numpy(image).to(self.device))
        prompts = [self.prompt(instruction) for instruction in instructions]
        if steps == 1:
            pictures = [self.in_one_step(frame, prompt) for prompt in prompts]
        else:
            schedule, guidance = self._way(steps, tuple(frame.shape[1:]))
            noise = torch.from_numpy(start_of("noise", frame.shape[1:])).to(self.device)
            denoise = guided(guidance, lambda prompt: self._steps(frame, prompt))
            pictures = [self.decoder(walk(schedule, noise, denoise(prompt))) for prompt in prompts]
        return torch.cat(pictures).float().cpu().numpy()

    def _steps(self, frame: Tensor, prompt: Prompt) -> Denoise:
        return lambda x, time: self.velocity(x, frame, torch.full((1,), time, device=self.device), prompt)

    def _way(self, steps: int, latents: tuple[int, ...]) -> tuple[list[Step], Guidance | None]:
        scale = self.folder.family.painted(self.folder.index)[1]
        guidance = (
            Guidance(scale, self.prompt(self.networks.UNTOLD), self.networks.KEEPS_LENGTH)
            if scale > 1
            else None
        )
        return self.networks.schedule(self.folder.config("scheduler"), steps, latents), guidance


class _Live:
    """The editor with the interface of a generator, for evaluation.

    Attributes:
        errors: Mean RGB error of each answer with a unique target.
    """

    def __init__(
        self, tuned: Tuned, profile: Profile, size: tuple[int, int], tasks: tuple[str, ...], steps: int
    ) -> None:
        self.profile, self.size = profile, size
        self.manifest = AnswerFormat(
            tasks=tasks,
            codec=profile.name,
            legend=LEGEND,
            depth_range_m=(0.1, 100.0),
            depth_focal_px=0.0,
            instance_taus={},
            referring_core=0.0,
            expressions_together=1,
        )
        self.errors: list[float] = []
        self._tuned, self._steps = tuned, steps
        self._truths: dict[str, np.ndarray] = {}

    def shown(self, cases: Iterable[Case]) -> Iterator[Case]:
        """Iterates over cases, and computes the targets of each before it is evaluated."""
        for case in cases:
            asked = [
                (self.profile.asked(question), truth)
                for question, truth in ask(case, LEGEND)
                if self._has_one_truth(question)
            ]
            self._truths = {
                question.instruction: self.profile.encode(
                    question.task, truth, legend=question.legend, color=question.color
                )
                for question, truth in asked
            }
            yield case

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """Paints one answer per prompt, (N, H, W, 3) float32 in 0..1."""
        return self._tuned.paint(image, instructions, self._steps)

    def answer(self, image: np.ndarray, questions: Sequence[Question]) -> list[Any]:
        """Answers questions, and records the errors of the painted colours."""
        asked = [self.profile.asked(question) for question in questions]
        painted = self.paint(image, [question.instruction for question in asked])
        for question, rgb in zip(asked, painted, strict=True):
            if question.instruction in self._truths:
                self.errors.append(float(np.abs(rgb - self._truths[question.instruction]).mean()))
        return [question.read(rgb) for question, rgb in zip(asked, painted, strict=True)]

    def _has_one_truth(self, question: Question) -> bool:
        """Whether there is only one correct image; instances may have any colours."""
        return question.task in self.manifest.tasks and not question.kind.free_colors


def held_out_case(seed: int, size: tuple[int, int]) -> Case:
    """Renders a case for validation.

    Args:
        seed: Seed of a world that is not used for training.
        size: Height and width in pixels.
    """
    view, rng = shot(seed, size).view, np.random.default_rng(seed)
    things = np.unique(view.labels[(view.instances > 0) & (view.labels < len(CLASSES))])
    case = case_of(f"held out {seed}", view, rng)
    return replace(case, thing=int(rng.choice(things)) if len(things) else None)
