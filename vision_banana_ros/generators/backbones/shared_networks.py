# SPDX-License-Identifier: Apache-2.0
"""What the editors' networks have in common. Imports torch."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vision_banana_ros.errors import InputError

#: Nothing is fetched, and safetensors are insisted on.
LOCAL: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}


def check_patches(channels: int, tokens: int) -> None:
    """InputError where 2x2 patches of the VAE's latents are not the transformer's tokens.

    channels: of the VAE's latents. tokens: what the transformer takes for each token.
    """
    if channels != tokens / 4:
        raise InputError(
            f"The VAE has {channels} latent channels, the transformer was made for {tokens / 4:g}: take"
            " both from one model."
        )


def to_tokens(latents: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h/2 * w/2, 4 C): 2x2 patches row by row, a patch's channels side by side."""
    n, channels, height, width = latents.shape
    patches = latents.reshape(n, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(n, (height // 2) * (width // 2), channels * 4)


def from_tokens(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """The inverse of `to_tokens`; grid: rows and columns of patches."""
    (height, width), (n, _, channels) = grid, tokens.shape
    patches = tokens.reshape(n, height, width, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(n, channels // 4, 2 * height, 2 * width)


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' list of what a file holds and the model does not take."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def in_float32(embedding: nn.Module, blocks: Iterable[nn.Module]) -> None:
    """Has a text encoder compute in float32: CPUs multiply bfloat16 several times slower.

    A block's weights are widened while it computes and no longer, so that memory holds one block more than
    what is stored.
    """
    stored: list[Tensor] = []

    def widen(block: nn.Module, given: tuple[Any, ...]) -> None:
        for weights in block.parameters():
            stored.append(weights.data)
            weights.data = weights.data.float()

    def put_back(block: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        for weights, narrow in zip(block.parameters(), stored, strict=True):
            weights.data = narrow
        stored.clear()

    embedding.register_forward_hook(lambda module, given, result: result.float())
    for block in blocks:
        block.register_forward_pre_hook(widen)
        block.register_forward_hook(put_back)


@dataclass(frozen=True)
class TokenEditor:
    """Loads the networks of an editor with one token per 16x16 pixels.

    transformer, vae: classes of diffusers; the others: those of the family, made of them.
    """

    transformer: Any
    vae: Any
    encoder: Callable[[Any], nn.Module]
    denoiser: Callable[[Any, tuple[int, int]], nn.Module]
    decoder: Callable[[Any, tuple[int, int]], nn.Module]

    def networks(
        self, path: Path, size: tuple[int, int], denoiser_type: torch.dtype
    ) -> tuple[nn.Module, nn.Module, nn.Module]:
        """Encoder, denoiser and decoder from a bundle or a diffusers folder.

        The VAE is always float32: bfloat16 has only two steps per 8-bit value near white.
        """
        encoder, decoder = self.vae_networks(path, size)
        transformer = self.transformer.from_pretrained(
            path / "transformer", torch_dtype=denoiser_type, **LOCAL
        ).eval()
        return encoder, self.denoiser(transformer, (size[0] // 16, size[1] // 16)), decoder

    def vae_networks(self, path: Path, size: tuple[int, int]) -> tuple[nn.Module, nn.Module]:
        """The first and the last of them."""
        vae = self.vae.from_pretrained(path / "vae", torch_dtype=torch.float32, **LOCAL).eval()
        return self.encoder(vae), self.decoder(vae, (size[0] // 16, size[1] // 16))


class FrameEncoder(nn.Module):
    """(H, W, 3) uint8 -> the frame's float32 latents, by the family's `encode`."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> Tensor:
        """Encodes an RGB picture to latents."""
        return self.encode(image.float().permute(2, 0, 1)[None] / 127.5 - 1)

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in -1..1 -> latents of N pictures."""
        raise NotImplementedError


class TokenDenoiser(nn.Module):
    """A transformer over text tokens and the tokens of two pictures, with given rotary tables."""

    words: Tensor
    places: Tensor

    def __init__(self, transformer: Any, positions: Tensor, words: int) -> None:
        """positions: of all tokens, those of the `words` first."""
        super().__init__()
        self.transformer = transformer
        table = torch.cat([part.float() for part in self.transformer.pos_embed(positions)], dim=1)
        self.transformer.pos_embed = _Halves()
        self.register_buffer("words", table[:words], persistent=False)
        self.register_buffer("places", table[words:], persistent=False)


class _Halves(nn.Module):
    """Rotary cosines and sines from one table, side by side."""

    def forward(self, table: Tensor) -> tuple[Tensor, Tensor]:
        cosines, sines = table.chunk(2, dim=1)
        return cosines, sines
