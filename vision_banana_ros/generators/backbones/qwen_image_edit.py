# SPDX-License-Identifier: Apache-2.0
"""Qwen-Image-Edit.

A vision-language model reads the instruction and looks at the frame, and its words lead the painting.

What `QwenImageEditPlusPipeline` of diffusers does for one picture, with two differences. The frame's latents
are of the painted size, where the pipeline enlarges it to a megapixel first. And the encoder is told which of
its tokens are the picture's, which the pipeline forgets with transformers 5 (diffusers issue 14194). What is
kept of an instruction is its token numbers alone, so these models paint by torch, and no instruction is
encoded ahead.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from PIL import Image
from torch import Tensor, nn

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.noise_schedule import shift_by_tokens, shifted_schedule
from vision_banana_ros.generators.backbones.prompt_cache import Prompt
from vision_banana_ros.generators.backbones.shared_networks import (
    LOCAL,
    FrameEncoder,
    TokenEditor,
    check_patches,
    from_tokens,
    to_tokens,
)
from vision_banana_ros.generators.backbones.tokenizer import read_tokenizer, to_ids

DENOISER = "transformer"
DENOISER_CLASS = QwenImageTransformer2DModel
LORA_PIPELINE = "QwenImageEditPlusPipeline"
PROMPT = ("text",)
UNTOLD = " "  # what guidance leads away from, as the weights' card has it
KEEPS_LENGTH = True  # of what is led
_SEEN_PIXELS = 384 * 384  # what the encoder gets to see, about
_DROPPED = 64  # tokens of the system's words, whose embeddings the transformer does not get
_MAX_TOKENS = _DROPPED + 1024
_CHAT = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture,"
    " objects, background), then "
    "explain how the user's text instruction should alter or modify the image. Generate a new image that"
    " meets the user's "
    "requirements while maintaining consistency with the original input where"
    " appropriate.<|im_end|>\n<|im_start|>user\n"
    "Picture 1: <|vision_start|>%s<|vision_end|>{}<|im_end|>\n<|im_start|>assistant\n"
)
_PLACE = "<|image_pad|>"  # stands for each token of the picture


def check(configs: dict[str, dict[str, Any]]) -> None:
    """InputError where the components are not of one model."""
    transformer, vae, encoder = configs["transformer"], configs["vae"], configs["text_encoder"]
    check_patches(int(vae.get("z_dim", 16)), int(transformer.get("in_channels", 64)))
    gives = int(encoder.get("text_config", encoder)["hidden_size"])
    if gives != int(transformer["joint_attention_dim"]):
        raise InputError(
            f"The text encoder gives {gives} numbers a token, the transformer reads"
            f" {transformer['joint_attention_dim']}: "
            "take both from one model."
        )


def latent_shape(configs: dict[str, dict[str, Any]], size: tuple[int, int]) -> tuple[int, ...]:
    """Tokens and channels of a picture of `size`."""
    return (size[0] // 16) * (size[1] // 16), int(configs["transformer"].get("in_channels", 64))


def prompt_shapes(configs: dict[str, dict[str, Any]]) -> dict[str, list[int]]:
    """None: an instruction has as many embeddings as it has tokens."""
    return {}


schedule, shift = shifted_schedule, shift_by_tokens


class Encoder(FrameEncoder):
    """(H, W, 3) uint8 -> (1, n, C) float32 tokens."""

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in -1..1 -> (N, n, C)."""
        mean, deviation = _statistics(self.vae, pictures)
        # a film of one picture
        latents = self.vae.encode(pictures[:, :, None], return_dict=False)[0].mode()[:, :, 0]
        return to_tokens((latents - mean) / deviation)


class Denoiser(nn.Module):
    """The transformer as a function of latents, frame, time and text.

    Tokens (N, n, C), those of the frame (1, n, C), the time 0..1 (N,) and text (N, T, D) -> velocity (N, n,
    C).
    """

    def __init__(self, transformer: Any, grid: tuple[int, int]) -> None:
        super().__init__()
        self.transformer, self.grid = transformer, grid

    def forward(self, x: Tensor, frame: Tensor, time: Tensor, text: Tensor) -> Tensor:
        """Predicts the velocity of the latents `x` at `time`."""
        kind = self.transformer.dtype
        velocity = self.transformer(
            hidden_states=torch.cat([x, frame.expand(x.shape[0], -1, -1)], dim=1).to(kind),
            encoder_hidden_states=text.to(kind),
            timestep=time.to(kind),
            img_shapes=[[(1, *self.grid)] * 2] * x.shape[0],
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
        mean, deviation = _statistics(self.vae, x)
        latents = from_tokens(x, self.grid) * deviation + mean
        picture = self.vae.decode(latents[:, :, None], return_dict=False)[0][:, :, 0]
        return (picture.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)


_EDITOR = TokenEditor(DENOISER_CLASS, AutoencoderKLQwenImage, Encoder, Denoiser, PictureDecoder)
networks, vae_networks = _EDITOR.networks, _EDITOR.vae_networks


class Reader:
    """The encoder that looks at every frame.

    Path: the folder with text_encoder/, tokenizer/ and processor/.
    """

    def __init__(self, path: Path, size: tuple[int, int], device: str) -> None:
        from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor

        self._device = device
        self._tokenizer, _ = read_tokenizer(path / "tokenizer")
        self._processor = Qwen2VLImageProcessor.from_pretrained(path / "processor", local_files_only=True)
        self._seen = _seen(size)
        places = (
            self._look(np.zeros((*size, 3), np.uint8))["image_grid_thw"].prod()
            // self._processor.merge_size**2
        )
        self._chat = _CHAT % (_PLACE * int(places))
        self._place = self._tokenizer.token_to_id(_PLACE)
        if self._place is None:
            raise InputError(f"The tokenizer of '{path}' has no {_PLACE}: download the whole model.")
        whole = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            path / "text_encoder", dtype="auto", **LOCAL
        )
        # without the layer that would speak
        self._encoder = whole.model.eval().requires_grad_(False).to(device)

    def tokens(self, instruction: str) -> Prompt:
        """{"ids": (T,) int64}: all that can be known of an instruction before the frame.

        InputError where it cannot be read.
        """
        numbers, mask = to_ids(self._tokenizer, self._chat, instruction, _MAX_TOKENS, 0, UNTOLD)
        return {"ids": np.array(numbers[: sum(mask)])}

    @torch.inference_mode()
    def read(self, image: np.ndarray, prompt: Prompt) -> Prompt:
        """What the denoiser is told of a frame, (H, W, 3) uint8, and an instruction's `tokens`.

        {"text": (T, D) float32}.
        """
        ids = torch.from_numpy(prompt["ids"])[None].to(self._device)
        seen = {name: values.to(self._device) for name, values in self._look(image).items()}
        seen["pixel_values"] = seen["pixel_values"].to(self._encoder.dtype)
        places = (ids == self._place).int()
        given = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": places,
            "use_cache": False,
        }
        hidden = self._encoder(**given, **seen).last_hidden_state
        return {"text": hidden[0, _DROPPED:].float().cpu().numpy()}

    def _look(self, image: np.ndarray) -> dict[str, Tensor]:
        height, width = self._seen
        picture = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
        return dict(self._processor(picture, return_tensors="pt"))


def encode(path: Path, instructions: list[str], device: str) -> Iterator[dict[str, np.ndarray]]:
    """InputError: there is nothing to encode."""
    raise InputError(
        "The text encoder of Qwen-Image-Edit looks at every frame: nothing can be encoded"
        " ahead, and nothing has to be."
    )


def _seen(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of what the encoder sees.

    The frame's proportions, about _SEEN_PIXELS, multiples of 32.
    """
    from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_dimensions

    width, height = calculate_dimensions(_SEEN_PIXELS, size[1] / size[0])
    return height, width


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each latent channel, (C, 1, 1)."""
    mean, deviation = (
        torch.tensor(values, device=like.device).view(-1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation
