# SPDX-License-Identifier: Apache-2.0
"""The generator's network: maps a frame and a prompt to an image.

It has three parts, so that a frame is encoded once for any number of prompts:

* `encode_image` computes features at 1/4, 1/8 and 1/16 of the frame's resolution, and weights for edge-aware
  upsampling: a pretrained encoder (`frame_encoder`) followed by a feature pyramid neck.
* `encode_text` computes one embedding per token of a tokenised prompt; the first one summarises the prompt.
* `answer` computes the image from the features, the noisy sample and the encoded prompt. A softmax at each
  position mixes three output heads: free regression of RGB; a copy of a colour in the prompt; and a position
  on the colour ramp through all colours in the prompt, in their order, as for a colour map.

The sample is downsampled by pixel unshuffle by 4 and the image is upsampled by pixel shuffle, so no
convolution runs at full resolution. In one-step inference the sample is the frame itself, so `add_sample`
also runs once per frame.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from vision_banana_ros.generators.own.frame_encoder import FrameEncoder

PATCH = 4  # side in pixels of the patch of the image that one position of the finest level paints
KEY_CHANNELS = 64  # channels of a token's key, with which positions are compared to choose its colour
COLOR_CHANNELS = 4  # channels of a token's colour: red, green, blue in 0..1, and 1 if the token is a colour
INVERSE_TEMPERATURE = 2.0  # inverse softmax temperature over the output heads; the loss uses temperature 1
HEAD_CHANNELS = 16  # channels per attention head
MAX_RAMP_COLORS = 8  # further colours of a colour ramp are ignored
MAX_PROMPT_COLORS = 40  # further colours of a prompt cannot be copied
MIN_LOG_DEPTH, MAX_LOG_DEPTH = -4.0, 6.0  # natural logarithm of metres
UNCERTAIN_DISTANCE = (
    0.5  # RGB distance from the ramp for uncertainty 1; depth.decode rejects more than half of it
)
SAME_COLOR = 1e-4  # squared RGB distance (0..3) below which colours are equal: 2.5 of 255
COORDINATE_UNIT = 0.1875**0.5  # unit of the position coordinates per square root of the image's area
Features = tuple[Tensor, Tensor, Tensor]


class PaintPlan(NamedTuple):
    """What `VisionBananaUNet.paint` renders, at 1/4 of the resolution of the image.

    Attributes:
        features: (N, C, h, w) input of the output heads.
        scores: (N, 2 + K, h, w) logits of free regression, the colour ramp, and each of K colours of the
            prompt.
        colors: (N, K, 4) the colours, RGB in 0..1, and 1 for a colour or 0 for padding.
    """

    features: Tensor
    scores: Tensor
    colors: Tensor


class ConvBlock(nn.Module):
    """Residual block of a 3x3 and a 1x1 convolution, optionally with FiLM (arXiv 1709.07871).

    Args:
        channels: Channels of input and output, a multiple of 8.
        condition: Channels of the modulating vector; 0 for a block without modulation.
    """

    def __init__(self, channels: int, condition: int = 0) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.film = nn.Linear(condition, 2 * channels) if condition else None
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Applies the block to (N, channels, h, w), modulated by (N, condition)."""
        h = self.norm(x)
        if self.film is not None:
            scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return x + self.conv2(F.relu(self.conv1(F.relu(h))))


class Attention(nn.Module):
    """Residual multi-head attention: self-attention, or cross-attention to the tokens of the prompt.

    Args:
        channels: Channels of the queries, a multiple of 16.
        context: Channels of the keys' and values' input; 0 for self-attention.
    """

    def __init__(self, channels: int, context: int = 0) -> None:
        super().__init__()
        self.heads = channels // HEAD_CHANNELS
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(context or channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, context: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Attends from (N, L, channels) to itself or to (N, T, context).

        Args:
            x: Queries.
            context: Keys and values; None for self-attention.
            bias: (N, 1, 1, T), added to the logits.
        """
        h = self.norm(x)
        key, value = self.key_value(h if context is None else context).chunk(2, dim=-1)
        query, key, value = (self._split_heads(part) for part in (self.query(h), key, value))
        scores = query @ key.transpose(2, 3) * HEAD_CHANNELS**-0.5
        h = (scores if bias is None else scores + bias).softmax(3).to(value.dtype) @ value
        return x + self.out(h.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TextEncoder(nn.Module):
    """Small transformer that embeds a tokenised prompt (`tokenizer.Prompt`).

    Args:
        width: Channels of an embedding.
        layers: Number of layers.
        length: Maximum number of tokens.
        buckets: Size of the hashed vocabulary.
    """

    def __init__(self, width: int, layers: int, length: int, buckets: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(buckets, width, padding_idx=0)
        self.color = nn.Linear(4, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        # Neighbouring words belong together ("floor: red"); a convolution provides this locality from
        # initialisation.
        self.neighbours = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(layers))
        self.attention = nn.ModuleList(Attention(width) for _ in range(layers))
        self.mix = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.key = nn.Linear(width, KEY_CHANNELS)
        # The class of a colour usually precedes it ("barrel: red"). Adding the raw embeddings of the
        # preceding words to the keys makes keys of different classes distinct from initialisation; the
        # contextual embeddings of rare classes are too similar.
        self.before = nn.Conv1d(width, KEY_CHANNELS, 3)
        nn.init.normal_(self.before.weight, std=0.1)
        nn.init.normal_(self.pieces.weight, std=0.3)
        with torch.no_grad():
            self.pieces.weight[0] = 0

    def forward(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        """Encodes (N, T, P) hashed words, (N, T, 4) colours and an (N, T) mask.

        Returns:
            (N, T, width + KEY_CHANNELS): per token its embedding and its key; 0 for padding.
        """
        keep = mask[:, :, None]
        x = (self.pieces(pieces).sum(2) + self.color(colors) + self.position[: pieces.shape[1]]) * keep
        written = self.before(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
        bias = _padding_bias(mask)
        for neighbours, attention, mix in zip(self.neighbours, self.attention, self.mix, strict=True):
            x = x + F.silu(neighbours(x.transpose(1, 2))).transpose(1, 2) * keep
            x = attention(x, bias=bias)
            x = x + mix(x)
        x = self.norm(x)
        return torch.cat([x, self.key(x) + written], 2) * keep


class Neck(nn.Module):
    """Feature pyramid neck that merges the levels from coarse to fine and predicts upsampling weights.

    Upsampling is convex (RAFT, arXiv 2003.12039, section 3.3): each finer position is a convex combination of
    the 3x3 coarser positions around it. The weights depend on the frame only, so they are computed once per
    frame, and a coarse answer is upsampled along the edges of the frame.

    Args:
        given: Channels of the encoder's levels at 1/2 to 1/32.
        channels: Channels of the features at 1/4, 1/8 and 1/16.
    """

    def __init__(self, given: tuple[int, ...], channels: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.lateral = nn.ModuleList(
            nn.Conv2d(n, c, 1)
            for n, c in zip((4 * given[0], *given[1:]), (fine, fine, middle, coarse, coarse), strict=True)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(above, 4 * c, 1) for above, c in ((middle, fine), (coarse, middle), (coarse, coarse))
        )
        self.places = nn.ModuleList(nn.Conv2d(2, c, 1) for c in (fine, middle, coarse, coarse))
        self.blocks = nn.ModuleList(ConvBlock(c) for c in (fine, middle, coarse, coarse))
        self.attention = nn.ModuleList(Attention(coarse) for _ in range(2))
        self.shares = nn.ModuleList(
            nn.Conv2d(c, n, 1) for c, n in ((fine, 9 * PATCH**2), (4 * fine, 9 * 4), (4 * middle, 9 * 4))
        )

    def forward(self, levels: list[Tensor]) -> Features:
        """Merges the five levels at 1/2 to 1/32, each (B, C, h, w).

        Returns:
            Features at 1/4, 1/8 and 1/16; the last channels of each level are its upsampling weights, 9 for
            each of the 4x4, 2x2 and 2x2 finer positions, by which 1/4, 1/8 and 1/16 are upsampled.
        """
        half, quarter, eighth, sixteenth, last = levels
        x = self._fuse(3, self.lateral[4](last))
        x = _attend(self.attention[1], x)  # type: ignore[arg-type]
        x = self.lateral[3](sixteenth) + _upsample_like(self.up[2](x), sixteenth)
        coarse = _attend(self.attention[0], self._fuse(2, x))  # type: ignore[arg-type]
        middle = self._fuse(1, self.lateral[2](eighth) + _upsample_like(self.up[1](coarse), eighth))
        x = (
            self.lateral[1](quarter)
            + _conv_over_blocks(self.lateral[0], half)
            + _upsample_like(self.up[0](middle), quarter)
        )
        fine = self._fuse(0, x)
        shares = (
            self.shares[0](fine),
            _conv_over_blocks(self.shares[1], fine),
            _conv_over_blocks(self.shares[2], middle),
        )
        parts = [
            _softmax_over_channels(s.float().unflatten(1, (9, -1))).flatten(1, 2).to(s.dtype) for s in shares
        ]
        return (
            torch.cat([fine, parts[0]], 1),
            torch.cat([middle, parts[1]], 1),
            torch.cat([coarse, parts[2]], 1),
        )

    def _fuse(self, level: int, x: Tensor) -> Tensor:
        """Adds coordinates of the positions and applies the block of the level."""
        return self.blocks[level](x + self.places[level](position_coordinates(x)))


class PaintModeScores(nn.Module):
    """Logits of the output heads: free regression, the colour ramp, and a copy of each colour of the prompt.

    Copying is a pointer network over the tokens that are colours (arXiv 1506.03134). Regression of RGB cannot
    represent "one of these two classes": it predicts the mean colour, and gives no gradient that separates
    rare classes.

    Args:
        channels: Channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, KEY_CHANNELS, 1)
        self.ramp = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor, keys: Tensor, named: Tensor) -> Tensor:
        """Compares positions with the keys of the colours.

        Args:
            x: (N, C, h, w) features.
            keys: (N, K, KEY_CHANNELS) keys of K tokens.
            named: (N, K) 1 for tokens that are colours, else 0.

        Returns:
            (N, 2 + K, h, w) logits of free regression (always 0), the ramp (needs two colours) and each
            colour.
        """
        words = keys @ self.query(x).flatten(2) * KEY_CHANNELS**-0.5 + (named - 1)[:, :, None] * 1e4
        ramp = self.ramp(x).flatten(2) + (named.sum(1) < 2)[:, None, None] * -1e4
        return torch.cat(
            [torch.zeros_like(ramp, dtype=torch.float32), ramp.float(), words.float()], 1
        ).unflatten(2, x.shape[-2:])


class VisionBananaUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The network, saved and loaded in diffusers' format (`save_pretrained`, `from_pretrained`).

    Args:
        encoder: Name of the frame encoder, a key of `frame_encoder.ENCODERS`.
        channels: Channels of the features at 1/4, 1/8 and 1/16, multiples of 16.
        answer_depth: Number of blocks of the decoder at 1/4, 1/8 and 1/16.
        text_width: Channels of a token's embedding.
        text_layers: Layers of the text encoder.
        text_length: Maximum number of tokens in a prompt.
        text_buckets: Size of the hashed vocabulary.
    """

    config: Any  # the arguments, as attributes
    answer_blocks: Any  # nested lists of ConvBlock; answer_text: of Attention
    answer_text: Any

    @register_to_config
    def __init__(
        self,
        encoder: str = "efficientnet_lite0",
        channels: tuple[int, int, int] = (32, 80, 160),
        answer_depth: tuple[int, int, int] = (1, 1, 2),
        text_width: int = 128,
        text_layers: int = 2,
        text_length: int = 128,
        text_buckets: int = 4096,
    ) -> None:
        super().__init__()
        pixels = 3 * PATCH * PATCH
        self.text = TextEncoder(text_width, text_layers, text_length, text_buckets)
        self.time = nn.Sequential(nn.Linear(64, text_width), nn.SiLU(), nn.Linear(text_width, text_width))

        self.image_encoder = FrameEncoder(encoder)
        self.image_neck = Neck(self.image_encoder.channels, channels)

        self.sample_stem = nn.Conv2d(pixels, channels[0], 3, padding=1)
        self.sample_down = nn.ModuleList(_downsampling_conv(channels[i], channels[i + 1]) for i in range(2))

        self.answer_blocks = nn.ModuleList(
            nn.ModuleList(ConvBlock(c, text_width) for _ in range(n))
            for c, n in zip(channels, answer_depth, strict=True)
        )
        self.answer_self = Attention(channels[2])
        self.answer_text = nn.ModuleList(
            nn.ModuleList(Attention(c, text_width) for _ in range(n))
            for c, n in zip(channels[1:], answer_depth[1:], strict=True)
        )
        self.answer_up = nn.ModuleList(nn.Conv2d(channels[i + 1], 4 * channels[i], 1) for i in range(2))
        self.answer_edged = nn.ModuleList(
            _zero_initialized(nn.Conv2d(channels[i + 1], channels[i], 1)) for i in range(2)
        )
        self.answer_norm = nn.GroupNorm(8, channels[0])
        self.answer_out = nn.Conv2d(channels[0], pixels, 3, padding=1)
        self.answer_coarse = _zero_initialized(nn.Conv2d(channels[0], 3, 1))
        self.answer_distance = _zero_initialized(nn.Conv2d(channels[0], 2, 1))
        self.answer_ways = PaintModeScores(channels[0])
        with torch.no_grad():
            self.answer_distance.bias[0] = 1.0  # type: ignore[index]  # initial prediction: e = 2.7 m

    @property
    def token_channels(self) -> int:
        """Channels of a token of an encoded prompt: embedding, key and colour."""
        return int(self.config.text_width) + KEY_CHANNELS + COLOR_CHANNELS

    def encode_text(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        """Encodes tokenised prompts.

        Args:
            pieces: (N, T, P) int64 hashed words and trigrams.
            colors: (N, T, 4) RGB in 0..1, and 1 for tokens that are colours.
            mask: (N, T) 1 for tokens, 0 for padding.

        Returns:
            (N, T, token_channels), reordered: the summary, the colours in their order, the other tokens.
        """
        text = torch.cat([self.text(pieces, colors, mask), colors], 2)
        words = text.shape[1]
        place = (
            torch.arange(words, 0, -1, device=text.device)
            + words * colors[..., 3]
            + 2 * words * (pieces[..., 0] == 1)
        )
        order = place.topk(words, 1).indices
        return text.gather(1, order[..., None].expand(-1, -1, text.shape[2]))

    def encode_image(self, image: Tensor) -> Features:
        """Encodes frames (B, 3, H, W) in -1..1, H and W multiples of 16.

        Returns:
            Features at 1/4, 1/8 and 1/16, with upsampling weights as the last channels (see `Neck`).
        """
        return self.image_neck(self.image_encoder(image))

    def add_sample(self, features: Features, sample: Tensor) -> Features:
        """Adds the sample to the features.

        Args:
            features: Result of `encode_image`.
            sample: (N, 3, H, W) in -1..1: the noisy image, or the frame itself in one-step inference.
        """
        s0 = self.sample_stem(F.pixel_unshuffle(sample, PATCH))
        s1 = self.sample_down[0](s0)
        added = s0, s1, self.sample_down[1](s1)
        (fine, middle, coarse), shares = self._split(features)
        return (
            torch.cat([fine + added[0], shares[0]], 1),
            torch.cat([middle + added[1], shares[1]], 1),
            torch.cat([coarse + added[2], shares[2]], 1),
        )

    def answer(self, features: Features, timestep: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Predicts the clean image.

        Args:
            features: Result of `add_sample`, for N prompts or for one frame that all prompts share.
            timestep: (N,) diffusion time, 0 (clean) to 1 (noise); 1 in one-step inference.
            text: (N, T, token_channels) result of `encode_text`; T may be less than there.
            mask: (N, T) 1 for tokens, 0 for padding.

        Returns:
            (N, 3, H, W), nominally in -1..1.
        """
        return self.paint(self.plan(features, timestep, text, mask), self.upsampling_weights(features))

    def upsampling_weights(self, features: Features) -> Tensor:
        """The convex upsampling weights from 1/4 to full resolution, (N, 9 * PATCH^2, h, w)."""
        return self._split(features)[1][0]

    def plan(self, features: Features, timestep: Tensor, text: Tensor, mask: Tensor) -> PaintPlan:
        """Decodes what to paint at 1/4 of the resolution; arguments as for `answer`."""
        named = text[:, 1 : 1 + MAX_PROMPT_COLORS, self.config.text_width :]
        text = text[..., : self.config.text_width]
        keys, colors = named[..., :KEY_CHANNELS], named[..., KEY_CHANNELS:].float()
        condition = text[:, 0] + self.time(_time_embedding(timestep))
        bias = _padding_bias(mask)
        features, shares = self._split(features)
        x = features[2].expand(text.shape[0], -1, -1, -1)
        x = _attend(self.answer_self, x)
        for block, to_text in zip(self.answer_blocks[2], self.answer_text[1], strict=True):
            x = block(_attend(to_text, x, text, bias), condition)
        x = (
            F.pixel_shuffle(self.answer_up[1](x), 2)
            + features[1]
            + upsample(self.answer_edged[1](x), shares[2], 2)
        )
        for block, to_text in zip(self.answer_blocks[1], self.answer_text[0], strict=True):
            x = block(_attend(to_text, x, text, bias), condition)
        x = (
            F.pixel_shuffle(self.answer_up[0](x), 2)
            + features[0]
            + upsample(self.answer_edged[0](x), shares[1], 2)
        )
        for block in self.answer_blocks[0]:
            x = block(x, condition)
        with torch.autocast(
            x.device.type, enabled=False
        ):  # bfloat16 has only 2 steps per 8-bit code near white
            x = F.relu(self.answer_norm(x.float()))
            return PaintPlan(x, self.answer_ways(x, keys.float(), colors[..., 3]), colors)

    def distance(self, features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts the distances that `paint` shows as positions on the colour ramp.

        Args:
            features: (N, C, h, w) of the plan.
            weights: Result of `upsampling_weights`.

        Returns:
            Natural logarithm of the distance in metres, and logit of its uncertainty, both (N, H, W).
        """
        with torch.autocast(features.device.type, enabled=False):
            patches = _upsample_to_patches(self.answer_distance(features), weights.float())
            return self._clamped(_join_patches(patches, *features.shape[2:]))

    def paint(self, plan: PaintPlan, weights: Tensor) -> Tensor:
        """Renders a plan.

        Args:
            plan: Result of the method `plan`.
            weights: Result of `upsampling_weights`.

        Returns:
            (N, 3, H, W), nominally in -1..1.
        """
        x, scores, colors = plan
        height, width = x.shape[2:]
        with torch.autocast(x.device.type, enabled=False):
            shares = _softmax_over_channels(scores * INVERSE_TEMPERATURE)
            copied = copied_colors(shares[:, 2:], colors)
            parts = torch.cat([self.answer_coarse(x), copied, shares[:, :2], self.answer_distance(x)], 1)
            upsampled = _upsample_to_patches(parts, weights.float())
            free, copied, free_share, ramp_share, distance = upsampled.split([3, 3, 1, 1, 2], 1)
            free = free + self.answer_out(x).flatten(2).unflatten(1, (3, -1)).transpose(2, 3)
            log_m, unsure = self._clamped(distance)
            ramp = ramp_colors(log_m, unsure.sigmoid(), colors) * 2 - 1
            return _join_patches(free * free_share + copied + ramp * ramp_share, height, width)

    def _clamped(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        log_m, unsure = distance.unbind(1)
        return log_m.clamp(MIN_LOG_DEPTH, MAX_LOG_DEPTH), unsure

    def _split(self, features: Features) -> tuple[Features, Features]:
        """Splits features from the upsampling weights in their last channels."""
        fine, middle, coarse = self.config.channels
        a, b, c = features
        return (a[:, :fine], b[:, :middle], c[:, :coarse]), (a[:, fine:], b[:, middle:], c[:, coarse:])

    def forward(self, image: Tensor, sample: Tensor, timestep: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """One denoising step with one prompt per frame; arguments as for the methods that it calls."""
        return self.answer(self.add_sample(self.encode_image(image), sample), timestep, text, mask)


def copied_colors(shares: Tensor, colors: Tensor) -> Tensor:
    """The copied colour in -1..1 times the sum of the shares, (N, 3, h, w).

    An expectation over several colours could be close to a third, improbable one. Instead, the most probable
    colour is interpolated towards its nearest neighbour in RGB, at most to the middle, by the ratio of the
    two highest probabilities. The nearest colour of the prompt, which the decoder selects, is therefore
    always the most probable one.

    Args:
        shares: (N, K, h, w) probabilities of the colours.
        colors: (N, K, 4) RGB in 0..1, and 1 for a colour or 0 for padding.
    """
    best = shares.amax(1, keepdim=True)
    chosen = (shares == best).to(shares.dtype)
    second = (shares * (1 - chosen)).amax(1, keepdim=True)
    step = second / (best + second).clamp(min=1e-6)
    chosen = chosen / chosen.sum(1, keepdim=True)
    rgb = colors[..., :3]
    table = torch.cat([rgb * 2 - 1, (_nearest_neighbors(rgb, colors[..., 3]) - rgb) * 2], 2).transpose(1, 2)
    color, to_neighbor = (table @ chosen.flatten(2)).unflatten(2, shares.shape[2:]).chunk(2, 1)
    return (color + step * to_neighbor) * shares.sum(1, keepdim=True)


def _nearest_neighbors(rgb: Tensor, named: Tensor) -> Tensor:
    """The nearest different colour of the prompt, or black (unlabelled), for each colour, (N, K, 3)."""
    others = F.pad(rgb, (0, 0, 0, 1))  # with black as the last one
    distances = (rgb[:, :, None] - others[:, None]).square().sum(3)
    distances = distances + 9 * (distances < SAME_COLOR) + 9 * (1 - F.pad(named, (0, 1), value=1.0))[:, None]
    nearest = (distances == distances.amin(2, keepdim=True)).to(rgb.dtype)
    return nearest @ others / nearest.sum(2, keepdim=True)


def ramp_colors(log_m: Tensor, unsure: Tensor, colors: Tensor) -> Tensor:
    """Maps distances and uncertainties to colours, (N, 3, h w, PATCH^2) in 0..1.

    The ramp is piecewise linear between the colours, which are equally spaced in f = 1 - (1 + m / 10)^-2 (the
    power transform of arXiv 2604.20329). Uncertainty moves the colour off the ramp towards grey,
    perpendicular to its edge and to the nearer adjacent edge, so that the nearest point of the ramp, which
    the decoder uses, does not change.

    Args:
        log_m: (N, h w, PATCH^2) natural logarithm of metres.
        unsure: (N, h w, PATCH^2) uncertainty in 0..1.
        colors: (N, K, 4) RGB in 0..1, and 1 for a colour or 0 for padding.
    """
    named = colors[..., 3]
    last = (named.sum(1) - 1).clamp(1, MAX_RAMP_COLORS - 1)
    rank = named.cumsum(1) * named  # 1, 2, ... for the named colours
    order = torch.arange(1, MAX_RAMP_COLORS + 1, device=colors.device)
    knots = (rank[:, None] == order[None, :, None]).to(colors.dtype) @ colors[
        ..., :3
    ]  # (N, MAX_RAMP_COLORS, 3)
    along = knots[:, 1:] - knots[:, :-1]
    exists = order[None, :-1] <= last[:, None]
    along = along * exists[..., None]
    aside = off_ramp_vectors(knots, along)
    once = 1 + log_m.flatten(1).exp() / 10
    walked = (1 - 1 / (once * once)) * last[:, None]
    edges = order[:-1, None] - 1
    done = (walked[:, None] - edges).clamp(0, 1)  # fraction of each edge before the point, (N, edges, pixels)
    halves = torch.arange(1, 2 * (MAX_RAMP_COLORS - 1), device=colors.device)[:, None] / 2
    # Uncertainty for each half edge but the first, up to the one that the point is on
    begun = (walked.detach()[:, None] >= halves).to(colors.dtype) * unsure.flatten(1)[:, None]
    away = torch.cat([aside[:, :1], aside[:, 1:] - aside[:, :-1]], 1)
    steps = torch.cat([along, away], 1).transpose(1, 2)
    color = steps @ torch.cat([done, unsure.flatten(1)[:, None], begun], 1) + knots[:, :1].transpose(1, 2)
    return color.unflatten(2, log_m.shape[1:])


def off_ramp_vectors(knots: Tensor, along: Tensor) -> Tensor:
    """Vectors off the ramp for each half of each edge, (N, 2 (MAX_RAMP_COLORS - 1), 3).

    Their length is UNCERTAIN_DISTANCE.

    Args:
        knots: (N, MAX_RAMP_COLORS, 3) the colours of the ramp.
        along: (N, MAX_RAMP_COLORS - 1, 3) its edges, 0 beyond the last one.
    """
    middle = (knots[:, :-1] + knots[:, 1:]) / 2
    none = torch.zeros_like(along[:, :1])
    halves = []
    for neighbour in (torch.cat([none, along[:, :-1]], 1), torch.cat([along[:, 1:], none], 1)):
        first = _normalized(along)
        second = neighbour - (neighbour * first).sum(2, keepdim=True) * first
        second = _normalized(second)
        away = 0.5 - middle
        for axis in (first, second):
            away = away - (away * axis).sum(2, keepdim=True) * axis
        halves.append(_normalized(away) * UNCERTAIN_DISTANCE)
    return torch.stack(halves, 2).flatten(1, 2)


def _normalized(x: Tensor) -> Tensor:
    """Unit vectors along the last dimension; 0 for vectors of length 0."""
    length = x.square().sum(-1, keepdim=True).sqrt()
    return x / length.clamp(min=1e-6) * (length > 1e-3)


def _conv_over_blocks(layer: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution after pixel unshuffle by 2, as one strided convolution, which is faster."""
    weight = layer.weight.flatten(1).unflatten(1, (-1, 2, 2))  # type: ignore[operator, union-attr]
    return F.conv2d(x, weight, layer.bias, stride=2)  # type: ignore[arg-type]


def _upsample_like(x: Tensor, like: Tensor) -> Tensor:
    """Pixel shuffle by 2, cropped to the resolution of `like`, which may be odd."""
    return F.pixel_shuffle(x, 2)[..., : like.shape[-2], : like.shape[-1]]


def upsample(x: Tensor, shares: Tensor, times: int) -> Tensor:
    """Convex upsampling of (N, C, H, W) by the factor `times`, with weights (N or 1, 9 * times^2, H, W)."""
    finer = _convex_combinations(x, shares, times).flatten(2).transpose(1, 2)
    return F.pixel_shuffle(finer.unflatten(2, x.shape[2:]), times)


def _upsample_to_patches(x: Tensor, shares: Tensor) -> Tensor:
    """Convex upsampling of (N, C, h, w) to the pixels of each patch, (N, C, h w, PATCH^2).

    Elementwise operations are faster in this layout than on an image.
    """
    return _convex_combinations(x, shares, PATCH).transpose(1, 2)


def _join_patches(patches: Tensor, height: int, width: int) -> Tensor:
    """Rearranges patches, (..., h w, PATCH^2), to an image, (..., H, W)."""
    patches = patches.unflatten(-1, (PATCH, PATCH)).unflatten(-3, (height, width))
    return patches.transpose(-3, -2).flatten(-4, -3).flatten(-2, -1)


def _convex_combinations(x: Tensor, shares: Tensor, times: int) -> Tensor:
    """Convex combinations of the 3x3 neighbours (borders replicated), (N, H W, C, times^2)."""
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    around = torch.stack([padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)], 2)
    around = around.flatten(3).permute(0, 3, 1, 2)  # (N, H W, C, 9)
    shares = shares.to(x.dtype).flatten(2).transpose(1, 2).unflatten(2, (9, times**2))
    return around @ shares


def _softmax_over_channels(x: Tensor) -> Tensor:
    """Softmax over dimension 1, written out because runtimes are slow for other dimensions than the last."""
    each = (x - x.amax(1, keepdim=True)).exp()
    return each / each.sum(1, keepdim=True)


def _zero_initialized(layer: nn.Conv2d) -> nn.Conv2d:
    """Initialises a layer with zeros, so that it has no effect before training."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _downsampling_conv(channels: int, wider: int) -> nn.Conv2d:
    return nn.Conv2d(channels, wider, 3, stride=2, padding=1)


def _attend(attention: Attention, x: Tensor, *context: Tensor) -> Tensor:
    """Applies attention to the positions of a feature map (N, C, H, W)."""
    height, width = x.shape[-2:]
    return attention(x.flatten(2).transpose(1, 2), *context).transpose(1, 2).unflatten(2, (height, width))


def position_coordinates(x: Tensor) -> Tensor:
    """Coordinates (x, y) of positions relative to the centre of the image, (B, 2, H, W).

    Depth correlates with the height in the image. The unit is relative to the size of the image, so that a
    position has the same coordinates at each resolution of a view.
    """
    height, width = x.shape[-2:]
    down = (torch.arange(height, device=x.device, dtype=x.dtype) - (height - 1) / 2)[:, None].expand(
        height, width
    )
    across = (torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2)[None].expand(
        height, width
    )
    area = (2 * down[-1, -1] + 1) * (2 * across[-1, -1] + 1)  # a tensor, for graphs of any resolution
    down, across = (part / (COORDINATE_UNIT * area.sqrt()) for part in (down, across))
    return torch.stack([across, down])[None].expand(x.shape[0], -1, -1, -1)


def _padding_bias(mask: Tensor) -> Tensor:
    """Additive attention bias that masks padding, (N, 1, 1, T)."""
    return (mask - 1)[:, None, None, :] * 1e4


def _time_embedding(timestep: Tensor) -> Tensor:
    """Sinusoidal embedding of (N,) times in 0..1, (N, 64)."""
    frequencies = torch.exp(torch.arange(32, device=timestep.device) * (-math.log(1000.0) / 31)) * 1000
    angles = timestep[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
