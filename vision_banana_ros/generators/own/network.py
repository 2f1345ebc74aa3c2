# SPDX-License-Identifier: Apache-2.0
"""The generator's network: a frame and an instruction in, a picture out.

Three parts, so that a frame is encoded once for any number of questions:

* `encode_image`: the frame -> features at 1/4, 1/8 and 1/16 of its size, and where its edges lie.
* `encode_text`: a tokenized instruction -> one vector a token; the first sums the instruction up.
* `answer`: features, the picture being painted and the instruction -> the picture. A position is painted freely or in a colour
  that the instruction names, whichever is likelier: what is to have exactly that colour is a choice, not a mixture.

Pixels enter and leave through pixel (un)shuffling by 4, so no convolution runs at full resolution. In one step the frame
itself stands in place of the noise, so its share of `answer` can be computed once with the features.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

PATCH = 4
KEY = 64  # numbers behind a word's vector: what a position that is to have its colour looks like
COLOR = 4  # and behind those its colour: red, green, blue, and whether it is one
DECIDED = 2.0  # times the scores of colours count in the picture: nearer the likeliest than their mean, and confidence still tells
Features = tuple[Tensor, Tensor, Tensor]


class ConvBlock(nn.Module):
    """Residual pair of 3×3 convolutions; with `condition` it is scaled and shifted by the instruction."""

    def __init__(self, channels: int, condition: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(condition, 2 * channels) if condition else None
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.film is not None:
            scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return x + self.conv2(F.silu(h))


class Attention(nn.Module):
    """Residual attention of positions to positions, or to the words of the instruction."""

    def __init__(self, channels: int, heads: int, context: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(context or channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, context: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        h = self.norm(x)
        key, value = self.key_value(h if context is None else context).chunk(2, dim=-1)
        query, key, value = (self._split(part) for part in (self.query(h), key, value))
        h = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return x + self.out(h.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TextEncoder(nn.Module):
    """Hashed words and colour values -> contextual vectors, by a small transformer, and behind them the keys of Copies."""

    def __init__(self, width: int, layers: int, length: int, buckets: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(buckets, width, padding_idx=0)
        self.color = nn.Linear(4, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        # Neighbouring words belong together ("floor: red"); a convolution says so from the first step on.
        self.neighbours = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(layers))
        self.attention = nn.ModuleList(Attention(width, 4) for _ in range(layers))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.key = nn.Linear(width, KEY)
        # What a colour is for mostly stands before it ("barrel: red"). Taken as it is written, classes have keys of their own
        # from the first step on; in vectors that have learnt to tell walls from floors, rare ones lie close together.
        self.before = nn.Conv1d(width, KEY, 3)
        nn.init.normal_(self.before.weight, std=0.1)
        nn.init.normal_(self.pieces.weight, std=0.3)
        with torch.no_grad():
            self.pieces.weight[0] = 0

    def forward(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        keep = mask[:, :, None]
        x = (self.pieces(pieces).sum(2) + self.color(colors) + self.position[: pieces.shape[1]]) * keep
        written = self.before(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
        bias = _bias(mask)
        for neighbours, attention, mix in zip(self.neighbours, self.attention, self.mix, strict=True):
            x = x + F.silu(neighbours(x.transpose(1, 2))).transpose(1, 2) * keep
            x = attention(x, bias=bias)
            x = x + mix(x)
        x = self.norm(x)
        return torch.cat([x, self.key(x) + written], 2) * keep


class Edges(nn.Module):
    """Where a frame's edges lie: for each finer position, the shares of the 3x3 coarser ones around it that it is made of.

    They belong to the frame and not to the question, so they cost once whatever is asked, and answers that are painted
    coarsely come out with the frame's edges (convex upsampling, after RAFT, arXiv 2003.12039, section 3.3). Features of all
    levels are joined on the way, from the coarse ones down.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.up = nn.ModuleList(_without_effect(nn.Conv2d(channels[i + 1], 4 * channels[i], 1)) for i in range(2))
        self.blocks = nn.ModuleList(ConvBlock(channels[i]) for i in range(2))
        self.shares = nn.ModuleList(
            nn.Conv2d(c, n, 3, padding=1) for c, n in zip((channels[0], channels[0], channels[1]), (9 * PATCH**2, 9, 9), strict=True)
        )

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Features:
        """Features -> features, with the shares behind their channels: 9 for each finer position of theirs."""
        middle = self.blocks[1](middle + F.pixel_shuffle(self.up[1](coarse), 2))
        fine = self.blocks[0](fine + F.pixel_shuffle(self.up[0](middle), 2))
        shares = self.shares[0](fine), *(F.pixel_unshuffle(self.shares[i + 1](x), 2) for i, x in enumerate((fine, middle)))
        parts = [s.unflatten(1, (9, -1)).softmax(1).flatten(1, 2) for s in shares]
        return torch.cat([fine, parts[0]], 1), torch.cat([middle, parts[1]], 1), torch.cat([coarse, parts[2]], 1)


class Copies(nn.Module):
    """Scores of painting a position freely, and in the colour of each word: a pointer to the instruction (arXiv 1506.03134).

    Three numbers a pixel cannot say "one of these two": what is unclear would be painted in the mean of all colours, and what
    decides between rare ones would not be learnt.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, KEY, 1)

    def forward(self, x: Tensor, keys: Tensor, named: Tensor) -> Tensor:
        """(N, C, h, w), (N, T, KEY) and (N, T), 1 where a word is a colour -> (N, 1 + T, h, w), painting freely first: 0."""
        scores = keys @ self.query(x).flatten(2) * KEY**-0.5 + (named - 1)[:, :, None] * 1e4
        return F.pad(scores.float(), (0, 0, 1, 0)).unflatten(2, x.shape[-2:])


class VisionBananaUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Saves and loads in diffusers' format (`save_pretrained`, `from_pretrained`)."""

    config: Any  # the arguments below, as attributes
    image_blocks: Any  # lists of lists of blocks, and lists of attentions
    image_attention: Any
    answer_blocks: Any
    answer_self: Any
    answer_text: Any

    @register_to_config
    def __init__(
        self,
        channels: tuple[int, int, int] = (48, 128, 256),
        encoder_depth: tuple[int, int, int] = (2, 2, 3),
        answer_depth: tuple[int, int, int] = (2, 2, 3),
        heads: int = 8,
        text_width: int = 128,
        text_layers: int = 2,
        text_length: int = 128,
        text_buckets: int = 4096,
    ) -> None:
        super().__init__()
        pixels = 3 * PATCH * PATCH
        self.text = TextEncoder(text_width, text_layers, text_length, text_buckets)
        self.time = nn.Sequential(nn.Linear(64, text_width), nn.SiLU(), nn.Linear(text_width, text_width))

        self.image_stem = nn.Conv2d(pixels + 2, channels[0], 3, padding=1)
        self.image_down = nn.ModuleList(_down(channels[i], channels[i + 1]) for i in range(2))
        self.image_blocks = nn.ModuleList(
            nn.ModuleList(ConvBlock(c) for _ in range(n)) for c, n in zip(channels, encoder_depth, strict=True)
        )
        self.image_attention = nn.ModuleList(Attention(channels[2], heads) for _ in range(encoder_depth[2]))

        self.sample_stem = nn.Conv2d(pixels, channels[0], 3, padding=1)
        self.sample_down = nn.ModuleList(_down(channels[i], channels[i + 1]) for i in range(2))

        self.answer_blocks = nn.ModuleList(
            nn.ModuleList(ConvBlock(c, text_width) for _ in range(n)) for c, n in zip(channels, answer_depth, strict=True)
        )
        self.answer_self = nn.ModuleList(Attention(channels[2], heads) for _ in range(answer_depth[2]))
        self.answer_text = nn.ModuleList(
            nn.ModuleList(Attention(c, heads, text_width) for _ in range(n))
            for c, n in zip(channels[1:], answer_depth[1:], strict=True)
        )
        self.answer_up = nn.ModuleList(nn.Conv2d(channels[i + 1], 4 * channels[i], 1) for i in range(2))
        self.answer_norm = nn.GroupNorm(8, channels[0])
        self.answer_out = nn.Conv2d(channels[0], pixels, 3, padding=1)

        self.image_edges = Edges(channels)
        self.answer_edged = nn.ModuleList(_without_effect(nn.Conv2d(c, n, 1)) for c, n in zip(channels, (3, *channels), strict=False))
        self.answer_copies = Copies(channels[0])

    @property
    def word(self) -> int:
        """Numbers a word of an encoded instruction: its vector, its key and its colour."""
        return int(self.config.text_width) + KEY + COLOR

    def encode_text(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        """(N, T, P) hashed words, (N, T, 4) colours, (N, T) mask -> (N, T, word)."""
        return torch.cat([self.text(pieces, colors, mask), colors], 2)

    def encode_image(self, image: Tensor) -> Features:
        """(B, 3, H, W) in -1..1, H and W multiples of 16 -> features at 1/4, 1/8, 1/16."""
        x = F.pixel_unshuffle(image, PATCH)
        x = self.image_stem(torch.cat([x, _places(x)], dim=1))
        features = []
        for level, blocks in enumerate(self.image_blocks):
            for i, block in enumerate(blocks):
                x = block(x)
                if level == 2:
                    x = _over_positions(self.image_attention[i], x)
            features.append(x)
            if level < 2:
                x = self.image_down[level](x)
        return self.image_edges(*features)

    def add_sample(self, features: Features, sample: Tensor) -> Features:
        """Add the picture being painted, (N, 3, H, W) in -1..1: noise on its way, or the frame itself in one step."""
        s0 = self.sample_stem(F.pixel_unshuffle(sample, PATCH))
        s1 = self.sample_down[0](s0)
        added = s0, s1, self.sample_down[1](s1)
        (fine, middle, coarse), shares = self._apart(features)
        return (
            torch.cat([fine + added[0], shares[0]], 1),
            torch.cat([middle + added[1], shares[1]], 1),
            torch.cat([coarse + added[2], shares[2]], 1),
        )

    def answer(self, features: Features, timestep: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Features with the sample in them, (N,) time in 0..1, the instruction -> (N, 3, H, W) clean picture in -1..1."""
        return self.paint(features, timestep, text, mask)[0]

    def paint(self, features: Features, timestep: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """`answer`, and the scores of Copies at 1/4 of the picture that it is painted by."""
        text, keys, colors = text.split([self.config.text_width, KEY, COLOR], 2)
        colors = colors.float()
        condition = text[:, 0] + self.time(_waves(timestep))
        bias = _bias(mask)
        features, shares = self._apart(features)
        x = features[2].expand(text.shape[0], -1, -1, -1)
        for block, to_self, to_text in zip(self.answer_blocks[2], self.answer_self, self.answer_text[1], strict=True):
            x = _over_positions(to_self, block(x, condition))
            x = _over_positions(to_text, x, text, bias)
        x = F.pixel_shuffle(self.answer_up[1](x), 2) + features[1] + _finer(self.answer_edged[2](x), shares[2], 2)
        for block, to_text in zip(self.answer_blocks[1], self.answer_text[0], strict=True):
            x = _over_positions(to_text, block(x, condition), text, bias)
        x = F.pixel_shuffle(self.answer_up[0](x), 2) + features[0] + _finer(self.answer_edged[1](x), shares[1], 2)
        for block in self.answer_blocks[0]:
            x = block(x, condition)
        x = F.silu(self.answer_norm(x))
        scores = self.answer_copies(x, keys, colors[..., 3])
        chances = (scores * DECIDED).softmax(1)
        copied = ((colors[..., :3] * 2 - 1).transpose(1, 2) @ chances[:, 1:].flatten(2)).unflatten(2, x.shape[-2:])
        edged = _finer(torch.cat([self.answer_edged[0](x), copied, chances[:, :1]], 1), shares[0], PATCH)
        painted = F.pixel_shuffle(self.answer_out(x), PATCH) + edged[:, :3]
        return painted * edged[:, 6:] + edged[:, 3:6], scores

    def _apart(self, features: Features) -> tuple[Features, Features]:
        """Features, and the shares behind their channels."""
        fine, middle, coarse = self.config.channels
        a, b, c = features
        return (a[:, :fine], b[:, :middle], c[:, :coarse]), (a[:, fine:], b[:, middle:], c[:, coarse:])

    def forward(self, image: Tensor, sample: Tensor, timestep: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """One denoising step for one question a frame; see the parts for shapes."""
        return self.answer(self.add_sample(self.encode_image(image), sample), timestep, text, mask)


def _finer(x: Tensor, shares: Tensor, times: int) -> Tensor:
    """(N, C, H, W) `times` as fine: each position the shares, (N or 1, 9 * times^2, H, W), of the 3x3 around it."""
    channels, height, width = x.shape[1:]
    around = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3).unflatten(1, (channels, 9)).permute(0, 3, 1, 2)
    shares = shares.to(x.dtype).unflatten(1, (9, -1)).flatten(3).permute(0, 3, 1, 2)
    finer = around @ shares  # a position at a time: (C, 9) by (9, times^2)
    return F.pixel_shuffle(finer.permute(0, 2, 3, 1).flatten(1, 2).unflatten(2, (height, width)), times)


def _without_effect(layer: nn.Conv2d) -> nn.Conv2d:
    """Zero, so that what it adds is learnt from nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _down(channels: int, wider: int) -> nn.Conv2d:
    return nn.Conv2d(channels, wider, 3, stride=2, padding=1)


def _over_positions(attention: Attention, x: Tensor, *context: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    return attention(x.flatten(2).transpose(1, 2), *context).transpose(1, 2).unflatten(2, (height, width))


def _places(x: Tensor) -> Tensor:
    """Where each position lies across and down, -1..1, (B, 2, H, W): what is low in a picture is mostly near."""
    height, width = x.shape[-2:]
    down = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)[:, None].expand(height, width)
    across = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)[None].expand(height, width)
    return torch.stack([across, down])[None].expand(x.shape[0], -1, -1, -1)


def _bias(mask: Tensor) -> Tensor:
    """Additive attention bias that hides padding, (N, 1, 1, T)."""
    return (mask - 1)[:, None, None, :] * 1e4


def _waves(timestep: Tensor) -> Tensor:
    frequencies = torch.exp(torch.arange(32, device=timestep.device) * (-math.log(1000.0) / 31)) * 1000
    angles = timestep[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
