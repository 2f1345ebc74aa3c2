# SPDX-License-Identifier: Apache-2.0
"""Marigold depth and normals.

A latent diffusion UNet that reads the frame's latents beside the painted ones. It takes no words.

What `MarigoldDepthPipeline` and `MarigoldNormalsPipeline` of diffusers do for one member of an ensemble, at
one size. Source: arXiv 2312.02145. Depth is painted as grey, normals as (x, y, z) in red, green and blue,
each from -1 to 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, LCMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import INDEX, read_json
from vision_banana_ros.generators.backbones.family import marigold_task
from vision_banana_ros.generators.backbones.noise_schedule import Step, linear_steps
from vision_banana_ros.generators.backbones.shared_networks import LOCAL, FrameEncoder

DENOISER = "unet"
DENOISER_CLASS = UNet2DConditionModel
LORA_PIPELINE = None
PROMPT = ("text",)
_NO_WORDS = 2  # tokens of the empty prompt: its start and its end


def check(configs: dict[str, dict[str, Any]]) -> None:
    """InputError where the components are not of one model, or it does not paint what the profiles read."""
    unet, vae, encoder, index = configs["unet"], configs["vae"], configs["text_encoder"], configs["index"]
    channels, wanted = int(vae.get("latent_channels", 4)), int(unet.get("in_channels", 8)) / 2
    if channels != wanted:
        raise InputError(
            f"The VAE has {channels} latent channels, the UNet was made for {wanted:g}: take"
            " both from one model."
        )
    if int(encoder["hidden_size"]) != int(unet["cross_attention_dim"]):
        raise InputError(
            f"The text encoder gives {encoder['hidden_size']} numbers a token, the UNet reads"
            f" {unet['cross_attention_dim']}: "
            "take both from one model."
        )
    marigold_task(index)


def latent_shape(configs: dict[str, dict[str, Any]], size: tuple[int, int]) -> tuple[int, ...]:
    """The shape of the latents for a resolution (height, width)."""
    return int(configs["vae"].get("latent_channels", 4)), size[0] // 8, size[1] // 8


def prompt_shapes(configs: dict[str, dict[str, Any]]) -> dict[str, list[int]]:
    """The shapes of an encoded prompt by name, without the batch dimension."""
    return {"text": [_NO_WORDS, int(configs["unet"]["cross_attention_dim"])]}


def schedule(config: dict[str, Any], steps: int, shape: tuple[int, ...]) -> list[Step]:
    """The steps that the pipeline takes; the same for every latent shape."""
    made = (LCMScheduler if config.get("_class_name") == "LCMScheduler" else DDIMScheduler).from_config(
        config
    )
    return linear_steps(made, steps)


def networks(
    path: Path, size: tuple[int, int], denoiser_type: torch.dtype
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Encoder, denoiser and decoder of a bundle's (or a diffusers) folder; the VAE is always float32."""
    encoder, decoder = vae_networks(path, size)
    unet = UNet2DConditionModel.from_pretrained(path / DENOISER, torch_dtype=denoiser_type, **LOCAL).eval()
    return encoder, Denoiser(unet), decoder


def vae_networks(path: Path, size: tuple[int, int]) -> tuple["Encoder", "PictureDecoder"]:
    """The first and the last of them. size: any, for nothing of them depends on it."""
    vae = AutoencoderKL.from_pretrained(path / "vae", torch_dtype=torch.float32, **LOCAL).eval()
    about = read_json(path / INDEX)
    normals = marigold_task(about) == "normals"
    return Encoder(vae), PictureDecoder(
        vae, grey=not normals, half_z=normals and not about.get("use_full_z_range", True)
    )


class Encoder(FrameEncoder):
    """(H, W, 3) uint8 -> (1, C, h, w) float32 latents."""

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in -1..1 -> (N, C, h, w)."""
        return self.vae.encode(pictures, return_dict=False)[0].mode() * self.vae.config.scaling_factor


class Denoiser(nn.Module):
    """The U-Net as a function of latents, frame and time.

    Latents (N, C, h, w), those of the frame (1, C, h, w), the timestep (N,) and the empty prompt -> output of
    the U-Net.
    """

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor, frame: Tensor, time: Tensor, text: Tensor) -> Tensor:
        """Predicts the output of the U-Net for the latents `x` at `time`."""
        kind = self.unet.dtype
        both = torch.cat([frame.expand(x.shape[0], -1, -1, -1), x], dim=1).to(kind)
        return self.unet(both, time, encoder_hidden_states=text.to(kind), return_dict=False)[0].float()


class PictureDecoder(nn.Module):
    """(N, C, h, w) latents -> (N, H, W, 3) float32 in 0..1.

    grey: whether the three channels are one number, their mean. half_z: whether z fills the blue channel from
    0 to 1 alone.
    """

    def __init__(self, vae: Any, grey: bool, half_z: bool) -> None:
        super().__init__()
        self.vae, self.grey, self.half_z = vae, grey, half_z

    def forward(self, x: Tensor) -> Tensor:
        """Decodes latents to an RGB picture in [0, 1]."""
        picture = self.vae.decode(x / self.vae.config.scaling_factor, return_dict=False)[0]
        if self.grey:
            picture = picture.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        picture = picture.clamp(-1, 1)
        if self.half_z:
            picture = torch.cat([picture[:, :2], picture[:, 2:] / 2 + 0.5], dim=1)
        return picture.permute(0, 2, 3, 1) / 2 + 0.5


def encode(path: Path, instructions: list[str], device: str) -> Iterator[dict[str, np.ndarray]]:
    """Embed the empty prompt, the only one that there is: {"text": (2, D) float32}."""
    if any(instructions):
        raise InputError("Marigold takes no words: its one prompt was encoded when it was imported.")
    from transformers import CLIPTextModel, CLIPTokenizerFast

    tokenizer = CLIPTokenizerFast.from_pretrained(path / "tokenizer", local_files_only=True)
    encoder = CLIPTextModel.from_pretrained(path / "text_encoder", **LOCAL).eval().to(device)
    tokens = tokenizer("", padding="do_not_pad", return_tensors="pt").input_ids.to(device)
    with torch.inference_mode():
        text = encoder(tokens)[0][0].float().cpu().numpy()
    yield from ({"text": text} for _ in instructions)
