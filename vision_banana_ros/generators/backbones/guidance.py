# SPDX-License-Identifier: Apache-2.0
"""Classifier-free guidance.

Each step is painted twice, and led away from what an instruction that says nothing gives.

For weights that were not distilled to do without. It doubles the time of painting. Source: arXiv 2207.12598,
and for the lengths that are kept the pipelines of Qwen-Image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vision_banana_ros.generators.backbones.prompt_cache import Prompt

LARGEST = 20.0
#: In a bundle's model_index.json: what weights are told that were distilled from guided ones.
TOLD = "guidance_told"
Denoise = Callable[
    [Any, float], Any
]  # the picture so far and the time -> the denoiser's answer, of any kind of array


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance (Ho and Salimans 2022).

    Attributes:
        scale: The guidance scale, above 1.
        untold: The encoded empty prompt.
        keeps_length: Whether the norm of each token stays that of the conditional prediction.
    """

    scale: float
    untold: Prompt
    keeps_length: bool = False

    def lead(self, told: Any, untold: Any) -> Any:
        """Combines the conditional and the unconditional prediction of the denoiser, (..., n, C)."""
        led = untold + self.scale * (told - untold)
        return led * (_length(told) / _length(led)) if self.keeps_length else led


def guided(guidance: Guidance | None, denoise: Callable[[Prompt], Denoise]) -> Callable[[Prompt], Denoise]:
    """`denoise`, which gives the sampling steps of a prompt, with classifier-free guidance."""
    if guidance is None:
        return denoise
    untold = denoise(guidance.untold)

    def of(prompt: Prompt) -> Denoise:
        told = denoise(prompt)
        return lambda x, time: guidance.lead(told(x, time), untold(x, time))

    return of


def _length(x: Any) -> Any:
    return (x * x).sum(-1, keepdims=True) ** 0.5
