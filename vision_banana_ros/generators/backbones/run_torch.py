# SPDX-License-Identifier: Apache-2.0
"""An editor by torch and diffusers, on the first CUDA device or the CPU.

Options: "fp32", "bf16" or "fp16" for the denoiser.

The default is bf16 on a GPU and fp32 on a CPU. The VAE is always fp32, for colours are numbers here.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import Folder, tensor_places
from vision_banana_ros.generators.backbones.family import FAMILIES
from vision_banana_ros.generators.backbones.guidance import Denoise, Guidance, guided
from vision_banana_ros.generators.backbones.memory import require_memory
from vision_banana_ros.generators.backbones.noise_schedule import Step, walk
from vision_banana_ros.generators.backbones.prompt_cache import Prompt, require_packages
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.errors import ExecutorLost

PRECISIONS = ("fp32", "bf16", "fp16")


class TorchRunner:
    """Runs a family's networks. precision: one of PRECISIONS, or empty for the device's own."""

    def __init__(self, bundle: Bundle, precision: str = "") -> None:
        import torch

        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = precision or ("bf16" if self._device == "cuda" else "fp32")
        if precision == "fp16" and self._device == "cpu":
            raise InputError(
                "fp16 needs a GPU that torch can use: ask for torch:bf16 or torch:fp32 on a CPU."
            )
        backbone = bundle.manifest.backbone
        family = FAMILIES[backbone["family"]]
        self._names = family.networks.PROMPT
        self.reader = None
        kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        _require_memory(bundle, precision, self._device)
        try:
            networks = family.networks.networks(bundle.path, bundle.manifest.size, kind)
            self._encoder, self._denoiser, self._decoder = (
                network.to(self._device).requires_grad_(False) for network in networks
            )
            if family.encoder_sees_image:
                self.reader = family.networks.Reader(bundle.path, bundle.manifest.size, self._device)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise InputError(
                f"The GPU has too little memory for bundle '{bundle.path}': free some of it, or use a"
                " smaller one."
            ) from error
        # what diffusers raises for weights that do not fit
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"The networks of bundle '{bundle.path}' cannot be loaded ({first}): import the model again."
            ) from error
        self.name = f"torch {self._device} {precision}"

    def tokens(self, instruction: str) -> Prompt:
        """Of an encoder that looks at every frame: what it needs of an instruction.

        InputError where it cannot be read.
        """
        assert self.reader is not None
        return self.reader.tokens(instruction)

    def paint(
        self,
        image: np.ndarray,
        prompts: Sequence[Prompt],
        steps: Sequence[Step],
        start: np.ndarray | None,
        guidance: Guidance | None = None,
    ) -> np.ndarray:
        """Runs the sampling steps with torch; see `Runner`."""
        torch = self._torch
        try:
            with torch.inference_mode():
                frame = self._encoder(torch.from_numpy(image).to(self._device))
                first = frame if start is None else torch.from_numpy(start).to(self._device)
                denoise = guided(guidance, lambda prompt: self._denoise(image, frame, prompt))
                painted = [
                    self._decoder(walk(steps, first, denoise(prompt))).cpu().numpy() for prompt in prompts
                ]
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise ExecutorLost("The GPU has no memory left to paint: free some of it.") from error
        return np.concatenate(painted)

    def _denoise(self, image: np.ndarray, frame: Any, prompt: Prompt) -> Denoise:
        torch = self._torch
        if self.reader is not None:
            prompt = self.reader.read(image, prompt)
        given = [torch.from_numpy(prompt[name])[None].to(self._device) for name in self._names]
        return lambda x, time: self._denoiser(x, frame, torch.full((1,), time, device=self._device), *given)


def _require_memory(bundle: Bundle, precision: str, device: str) -> None:
    """InputError where the networks will not fit."""
    family = FAMILIES[bundle.manifest.backbone["family"]]
    stored = {"vae": 4, family.networks.DENOISER: 4 if precision == "fp32" else 2}  # bytes a weight
    folder = Folder(bundle.path, {}, family)
    needed = 0
    for component in (name for name in family.painting if (bundle.path / name).is_dir()):
        for file in folder.weights(component) if component in (*stored, "text_encoder") else ():
            for place in tensor_places(file).values():
                needed += (
                    math.prod(place.shape) * stored[component]
                    if component in stored
                    else place.last - place.first
                )
    cure = (
        "give the executor torch:bf16 (slow on a CPU), or use a smaller model"
        if precision == "fp32"
        else "or use a smaller model"
    )
    require_memory(f"'{bundle.manifest.name}' in {precision}", needed, device, cure)


def load_torch(bundle: Bundle, options: Sequence[str] = ()) -> TorchRunner:
    """InputError for unknown options, and where a package or memory is missing."""
    unknown = [option for option in options if option not in PRECISIONS]
    if unknown:
        raise InputError(f"torch has no option '{unknown[0]}' for an editor: give {', '.join(PRECISIONS)}.")
    require_packages()
    return TorchRunner(bundle, next(iter(options), ""))
