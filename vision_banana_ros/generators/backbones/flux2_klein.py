# SPDX-License-Identifier: Apache-2.0
"""FLUX.2-klein.

The frame's latent tokens follow the painted ones in one sequence, and the text's embedding is a constant.

What the pipeline `Flux2KleinPipeline` of diffusers does, cut into three networks of fixed shapes: frame to
tokens, one step, tokens to picture. Latents are 2x2 patches of the VAE's, normalised by its running mean and
variance.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from torch import Tensor, nn

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.noise_schedule import Step, flow_steps
from vision_banana_ros.generators.backbones.prompt_cache import Prompt
from vision_banana_ros.generators.backbones.shared_networks import (
    LOCAL,
    FrameEncoder,
    TokenDenoiser,
    TokenEditor,
    check_patches,
    in_float32,
    quiet,
)
from vision_banana_ros.generators.backbones.tokenizer import read_tokenizer, to_ids

DENOISER = "transformer"
DENOISER_CLASS = Flux2Transformer2DModel
LORA_PIPELINE = "Flux2KleinPipeline"
PROMPT = ("text",)  # names of a prompt's arrays
UNTOLD = ""  # what guidance leads away from
KEEPS_LENGTH = False  # of what is led
_LAYERS = (9, 18, 27)  # of the text encoder, whose outputs side by side are the embedding
_MAX_TOKENS = 512
#: Qwen3's chat with an empty thought, as its own template writes one user's message.
_CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_FRAME_TIME = 10  # the frame's place on the axis of time, as the pipeline numbers the first reference image


def check(configs: dict[str, dict[str, Any]]) -> None:
    """InputError where the components are not of one model."""
    transformer, vae, encoder = configs["transformer"], configs["vae"], configs.get("text_encoder")
    check_patches(int(vae.get("latent_channels", 32)), int(transformer.get("in_channels", 128)))
    if encoder is not None and 3 * int(encoder["hidden_size"]) != int(transformer["joint_attention_dim"]):
        raise InputError(
            f"The text encoder gives {3 * int(encoder['hidden_size'])} numbers a token, the transformer"
            " reads "
            f"{transformer['joint_attention_dim']}: take both from one model."
        )


def latent_shape(configs: dict[str, dict[str, Any]], size: tuple[int, int]) -> tuple[int, ...]:
    """Tokens and channels of a picture of `size`."""
    return (size[0] // 16) * (size[1] // 16), int(configs["transformer"].get("in_channels", 128))


def prompt_shapes(configs: dict[str, dict[str, Any]]) -> dict[str, list[int]]:
    """Of one encoded instruction."""
    return {"text": [_MAX_TOKENS, int(configs["transformer"]["joint_attention_dim"])]}


def shift(config: dict[str, Any], steps: int, shape: tuple[int, ...]) -> float:
    """How far the pipeline shifts its steps towards noise for a picture of this latent shape."""
    from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

    return compute_empirical_mu(shape[0], steps)


def schedule(config: dict[str, Any], steps: int, shape: tuple[int, ...]) -> list[Step]:
    """The steps that the pipeline takes for a picture of this latent shape."""
    return flow_steps(FlowMatchEulerDiscreteScheduler.from_config(config), steps, shift(config, steps, shape))


class Encoder(FrameEncoder):
    """(H, W, 3) uint8 -> (1, n, C) float32 tokens."""

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in -1..1 -> (N, n, C)."""
        latents = self.vae.encode(pictures, return_dict=False)[0].mode()
        n, channels, height, width = latents.shape
        patches = latents.reshape(n, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        patches = patches.reshape(n, channels * 4, height // 2, width // 2)
        mean, deviation = _statistics(self.vae)
        return ((patches - mean) / deviation).flatten(2).transpose(1, 2)


class Denoiser(TokenDenoiser):
    """The transformer as a function of latents, frame, time and text.

    Tokens (N, n, C), those of the frame (1, n, C), the time 0..1 (N,) and text (N, T, D) -> velocity (N, n,
    C).
    """

    def __init__(self, transformer: Any, grid: tuple[int, int]) -> None:
        zeros = torch.zeros(1, dtype=torch.long)
        rows, columns = torch.arange(grid[0]), torch.arange(grid[1])
        words = torch.cartesian_prod(zeros, zeros, zeros, torch.arange(_MAX_TOKENS))
        pictures = [
            torch.cartesian_prod(torch.tensor([time]), rows, columns, zeros) for time in (0, _FRAME_TIME)
        ]
        super().__init__(transformer, torch.cat([words, *pictures]), _MAX_TOKENS)

    def forward(self, x: Tensor, frame: Tensor, time: Tensor, text: Tensor) -> Tensor:
        """Predicts the velocity of the latents `x` at `time`."""
        kind = self.transformer.dtype
        hidden = torch.cat([x, frame.expand(x.shape[0], -1, -1)], dim=1).to(kind)
        velocity = self.transformer(
            hidden_states=hidden,
            encoder_hidden_states=text.to(kind),
            timestep=time.to(kind),
            img_ids=self.places,
            txt_ids=self.words,
            guidance=None,
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
        n, _, channels = x.shape
        height, width = self.grid
        mean, deviation = _statistics(self.vae)
        patches = x.transpose(1, 2).reshape(n, channels, height, width) * deviation + mean
        latents = patches.reshape(n, channels // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        latents = latents.reshape(n, channels // 4, 2 * height, 2 * width)
        picture = self.vae.decode(latents, return_dict=False)[0]
        return (picture.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)


_EDITOR = TokenEditor(DENOISER_CLASS, AutoencoderKLFlux2, Encoder, Denoiser, PictureDecoder)
networks, vae_networks = _EDITOR.networks, _EDITOR.vae_networks


class Words:
    """The text encoder. path: the folder with text_encoder/ and tokenizer/."""

    def __init__(self, path: Path, device: str) -> None:
        self._path, self._device = path, device
        self._tokenizer, self._padding = read_tokenizer(path / "tokenizer")

    def ids(self, instruction: str) -> tuple[list[int], list[int]]:
        """An instruction's token numbers and their mask. InputError where it cannot be read."""
        return to_ids(self._tokenizer, _CHAT, instruction, _MAX_TOKENS, self._padding, UNTOLD)

    def encode(self, instructions: Sequence[str]) -> Iterator[Prompt]:
        """Embed instructions one after the other: each {"text": (512, D) float32}.

        InputError for one that is longer than the encoder reads, before anything large is loaded.
        """
        ids = [self.ids(text) for text in instructions]
        for tokens, mask in ids:
            with torch.inference_mode():
                given = (torch.tensor([values], device=self._device) for values in (tokens, mask))
                hidden = self.encoder(*given, output_hidden_states=True, use_cache=False).hidden_states
                text = torch.cat([hidden[layer][0] for layer in _LAYERS], dim=-1)
            yield {"text": text.float().cpu().numpy()}

    @cached_property
    def encoder(self) -> Any:
        """As far as the last layer that is taken; the norm behind it is of an answer that nobody wants."""
        from transformers import Qwen3Config, Qwen3Model

        folder = self._path / "text_encoder"
        config = Qwen3Config.from_pretrained(folder, local_files_only=True)
        config.num_hidden_layers = min(config.num_hidden_layers, _LAYERS[-1])
        config.layer_types = list(config.layer_types or ())[: config.num_hidden_layers]
        with quiet():  # of the layers that are left out
            encoder = Qwen3Model.from_pretrained(folder, config=config, dtype="auto", **LOCAL)
        encoder.norm = nn.Identity()  # type: ignore[assignment]
        if self._device == "cpu":
            in_float32(encoder.embed_tokens, encoder.layers)
        return encoder.eval().to(self._device)


def encode(path: Path, instructions: list[str], device: str) -> Iterator[Prompt]:
    """`Words.encode` once."""
    return Words(path, device).encode(instructions)


def _statistics(vae: Any) -> tuple[Tensor, Tensor]:
    mean = vae.bn.running_mean.view(1, -1, 1, 1)
    return mean, torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
