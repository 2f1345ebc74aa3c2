# SPDX-License-Identifier: Apache-2.0
"""FLUX.1 Kontext: as FLUX.2-klein, the frame's tokens follow the painted ones.

Two text encoders, T5's words and CLIP's summary.

What `FluxKontextPipeline` of diffusers does at one size, cut into three networks of fixed shapes.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import Tensor, nn

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import INDEX, read_json
from vision_banana_ros.generators.backbones.guidance import TOLD
from vision_banana_ros.generators.backbones.noise_schedule import shift_by_tokens, shifted_schedule
from vision_banana_ros.generators.backbones.prompt_cache import Prompt
from vision_banana_ros.generators.backbones.shared_networks import (
    LOCAL,
    FrameEncoder,
    TokenDenoiser,
    TokenEditor,
    check_patches,
    from_tokens,
    in_float32,
    to_tokens,
)
from vision_banana_ros.generators.backbones.tokenizer import read_tokenizer, to_ids

DENOISER = "transformer"
DENOISER_CLASS = FluxTransformer2DModel
LORA_PIPELINE = "FluxKontextPipeline"
PROMPT = ("text", "summary")
UNTOLD = ""
KEEPS_LENGTH = False
GUIDANCE = 3.5  # what the pipeline tells weights that were distilled from guided ones, by default
_MAX_TOKENS = 512


def check(configs: dict[str, dict[str, Any]]) -> None:
    """InputError where the components are not of one model."""
    transformer, vae, clip, t5 = (
        configs[name] for name in ("transformer", "vae", "text_encoder", "text_encoder_2")
    )
    check_patches(int(vae.get("latent_channels", 16)), int(transformer.get("in_channels", 64)))
    for name, gives, reads in (
        ("text_encoder_2", t5["d_model"], transformer["joint_attention_dim"]),
        ("text_encoder", clip["hidden_size"], transformer["pooled_projection_dim"]),
    ):
        if int(gives) != int(reads):
            raise InputError(
                f"{name} gives {gives} numbers, the transformer reads {reads}: take both from one model."
            )


def latent_shape(configs: dict[str, dict[str, Any]], size: tuple[int, int]) -> tuple[int, ...]:
    """Tokens and channels of a picture of `size`."""
    return (size[0] // 16) * (size[1] // 16), int(configs["transformer"].get("in_channels", 64))


def prompt_shapes(configs: dict[str, dict[str, Any]]) -> dict[str, list[int]]:
    """The shapes of an encoded prompt by name, without the batch dimension."""
    transformer = configs["transformer"]
    return {
        "text": [_MAX_TOKENS, int(transformer["joint_attention_dim"])],
        "summary": [int(transformer["pooled_projection_dim"])],
    }


schedule, shift = shifted_schedule, shift_by_tokens


class Encoder(FrameEncoder):
    """(H, W, 3) uint8 -> (1, n, C) float32 tokens: 2x2 patches of the VAE's latents."""

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in -1..1 -> (N, n, C)."""
        latents = self.vae.encode(pictures, return_dict=False)[0].mode()
        return to_tokens((latents - self.vae.config.shift_factor) * self.vae.config.scaling_factor)


class Denoiser(TokenDenoiser):
    """The transformer as a function of latents, frame, time and text.

    Tokens (N, n, C), those of the frame (1, n, C), the time 0..1 (N,), text (N, T, D) and summary (N, P) ->
    velocity (N, n, C).
    """

    def __init__(self, transformer: Any, grid: tuple[int, int]) -> None:
        rows, columns = torch.arange(float(grid[0])), torch.arange(float(grid[1]))
        pictures = [torch.cartesian_prod(torch.tensor([float(which)]), rows, columns) for which in (0, 1)]
        super().__init__(transformer, torch.cat([torch.zeros(_MAX_TOKENS, 3), *pictures]), _MAX_TOKENS)
        self.told = GUIDANCE

    def forward(self, x: Tensor, frame: Tensor, time: Tensor, text: Tensor, summary: Tensor) -> Tensor:
        """Predicts the velocity of the latents `x` at `time`."""
        kind = self.transformer.dtype
        velocity = self.transformer(
            hidden_states=torch.cat([x, frame.expand(x.shape[0], -1, -1)], dim=1).to(kind),
            encoder_hidden_states=text.to(kind),
            pooled_projections=summary.to(kind),
            timestep=time.to(kind),
            img_ids=self.places,
            txt_ids=self.words,
            guidance=torch.full_like(time, self.told) if self.transformer.config.guidance_embeds else None,
            return_dict=False,
        )[0]
        return velocity[:, : x.shape[1]].float()


class PictureDecoder(nn.Module):
    """(N, n, C) tokens -> (N, H, W, 3) float32 in 0..1."""

    def __init__(self, vae: Any, grid: tuple[int, int]) -> None:
        super().__init__()
        self.vae, self.grid = vae, grid

    def forward(self, x: Tensor) -> Tensor:
        """Decodes latents to an RGB picture in [0, 1]."""
        latents = from_tokens(x, self.grid)
        picture = self.vae.decode(
            latents / self.vae.config.scaling_factor + self.vae.config.shift_factor, return_dict=False
        )[0]
        return (picture.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)


_EDITOR = TokenEditor(DENOISER_CLASS, AutoencoderKL, Encoder, Denoiser, PictureDecoder)
vae_networks = _EDITOR.vae_networks


def networks(
    path: Path, size: tuple[int, int], denoiser_type: torch.dtype
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """`TokenEditor.networks`, with the guidance that the folder's index tells the denoiser."""
    encoder, denoiser, decoder = _EDITOR.networks(path, size, denoiser_type)
    denoiser.told = float(read_json(path / INDEX).get(TOLD, GUIDANCE))  # type: ignore[assignment]
    return encoder, denoiser, decoder


class Words:
    """The two text encoders. path: the folder with text_encoder/, text_encoder_2/ and their tokenizers."""

    def __init__(self, path: Path, device: str) -> None:
        self._path, self._device = path, device
        self._tokenizer, self._padding = read_tokenizer(path / "tokenizer_2")

    def ids(self, instruction: str) -> tuple[list[int], list[int]]:
        """An instruction's token numbers and their mask. InputError where T5 cannot read it."""
        return to_ids(self._tokenizer, "{}", instruction, _MAX_TOKENS, self._padding, UNTOLD)

    def encode(self, instructions: Sequence[str]) -> Iterator[Prompt]:
        """Encodes prompts one after the other: each {"text": (512, D), "summary": (P,)} float32.

        CLIP reads only the first 77 tokens, as in the pipeline of diffusers. InputError for a prompt that is
        too long for T5.
        """
        ids = [self.ids(text)[0] for text in instructions]
        for instruction, numbers in zip(instructions, ids, strict=True):
            with torch.inference_mode():
                text = self._t5(torch.tensor([numbers], device=self._device))[0][0]
                words, clip = self._clip
                given = words(
                    instruction, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
                ).input_ids
                summary = clip(given.to(self._device)).pooler_output[0]
            yield {"text": text.float().cpu().numpy(), "summary": summary.float().cpu().numpy()}

    @cached_property
    def _t5(self) -> Any:
        from transformers import T5EncoderModel

        model = (
            T5EncoderModel.from_pretrained(self._path / "text_encoder_2", dtype="auto", **LOCAL)
            .eval()
            .to(self._device)
        )
        if self._device == "cpu":
            in_float32(model.encoder.embed_tokens, model.encoder.block)
            model.encoder.final_layer_norm.float()
        return model

    @cached_property
    def _clip(self) -> tuple[Any, Any]:
        from transformers import CLIPTextModel, CLIPTokenizerFast

        words = CLIPTokenizerFast.from_pretrained(self._path / "tokenizer", local_files_only=True)
        kind = torch.float32 if self._device == "cpu" else "auto"
        return words, CLIPTextModel.from_pretrained(
            self._path / "text_encoder", dtype=kind, **LOCAL
        ).eval().to(self._device)


def encode(path: Path, instructions: list[str], device: str) -> Iterator[Prompt]:
    """`Words.encode` once."""
    return Words(path, device).encode(instructions)
