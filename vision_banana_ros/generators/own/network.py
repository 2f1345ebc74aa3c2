# SPDX-License-Identifier: Apache-2.0
"""The generator's network: a frame and an instruction in, a picture out.

Three parts, so that a frame is encoded once for any number of questions:

* `encode_image`: the frame -> features at 1/4, 1/8 and 1/16 of its size, and where its edges lie. A pretrained encoder
  (`frame_encoder`) and a light neck that joins its levels.
* `encode_text`: a tokenized instruction -> one vector a token; the first is the summary.
* `answer`: features, the picture being painted and the instruction -> the picture. Each position is painted in one of
  three ways, chosen by a softmax: freely; in a colour that the instruction names; or on the ramp through all the colours
  that it names, in their order, as a colour map asks.

Pixels of the picture being painted enter and leave through pixel (un)shuffling by 4, so no convolution runs at full
resolution. In one step the frame itself stands in place of the noise, so its share of `answer` is computed once with the
features.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from vision_banana_ros.generators.own.frame_encoder import FrameEncoder

PATCH = 4
KEY = 64  # numbers behind a word's vector: what a position that is to have its colour looks like
COLOR = 4  # and behind those its colour: red, green, blue, and whether it is one
SHARPNESS = 2.0  # inverse softmax temperature over the ways of painting, in the picture
HEAD = 16  # channels of an attention head
KNOTS = 8  # colours of a ramp at most
NAMED = 40  # colours of an instruction at most: as many as its words have room for
NEAR, FAR = -4.0, 6.0  # log of metres that a ramp position may stand for
UNSURE = 0.5  # RGB distance from the ramp that uncertainty 1 is painted at; depth.decode reads nothing beyond half of it
SAME_COLOR = 1e-4  # squared RGB distance, 0..3, of colours that are one: 2.5 of 255
PIXELS_A_UNIT = 120.0  # of the coordinates that tell a position where it lies
Features = tuple[Tensor, Tensor, Tensor]


class Meant(NamedTuple):
    """What is to be painted, at 1/4 of the picture: features (N, C, h, w); scores (N, 2 + K, h, w) of painting freely, on the
    ramp, and in each of K colours; those colours (N, K, 4), 0..1 and whether it is one."""

    features: Tensor
    scores: Tensor
    colors: Tensor


class ConvBlock(nn.Module):
    """Residual 3x3 and 1x1 convolution; with `condition` the normalised input is scaled and shifted by it (FiLM)."""

    def __init__(self, channels: int, condition: int = 0) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.film = nn.Linear(condition, 2 * channels) if condition else None
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.norm(x)
        if self.film is not None:
            scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return x + self.conv2(F.relu(self.conv1(F.relu(h))))


class Attention(nn.Module):
    """Residual attention of positions to positions, or to the words of the instruction."""

    def __init__(self, channels: int, context: int = 0) -> None:
        super().__init__()
        self.heads = channels // HEAD
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(context or channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, context: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        h = self.norm(x)
        key, value = self.key_value(h if context is None else context).chunk(2, dim=-1)
        query, key, value = (self._split(part) for part in (self.query(h), key, value))
        scores = query @ key.transpose(2, 3) * HEAD**-0.5
        h = (scores if bias is None else scores + bias).softmax(3).to(value.dtype) @ value
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
        self.attention = nn.ModuleList(Attention(width) for _ in range(layers))
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


class Neck(nn.Module):
    """Joins the encoder's levels from the coarsest down, and finds the frame's edges.

    Edges are given for each finer position as the shares of the 3x3 coarser ones around it that it is made of (convex
    upsampling, RAFT, arXiv 2003.12039, section 3.3). They belong to the frame and not to the question, so they cost once
    whatever is asked, and answers that are painted coarsely come out with the frame's edges.
    """

    def __init__(self, given: tuple[int, ...], channels: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.lateral = nn.ModuleList(
            nn.Conv2d(n, c, 1) for n, c in zip((4 * given[0], *given[1:]), (fine, fine, middle, coarse, coarse), strict=True)
        )
        self.up = nn.ModuleList(nn.Conv2d(above, 4 * c, 1) for above, c in ((middle, fine), (coarse, middle), (coarse, coarse)))
        self.places = nn.ModuleList(nn.Conv2d(2, c, 1) for c in (fine, middle, coarse, coarse))
        self.blocks = nn.ModuleList(ConvBlock(c) for c in (fine, middle, coarse, coarse))
        self.attention = nn.ModuleList(Attention(coarse) for _ in range(2))
        self.shares = nn.ModuleList(nn.Conv2d(c, n, 1) for c, n in ((fine, 9 * PATCH**2), (4 * fine, 9 * 4), (4 * middle, 9 * 4)))

    def forward(self, levels: list[Tensor]) -> Features:
        """Features at 1/2 to 1/32 -> features at 1/4, 1/8 and 1/16, with the shares behind their channels."""
        half, quarter, eighth, sixteenth, last = levels
        x = self._joined(3, self.lateral[4](last), 32)
        x = _over_positions(self.attention[1], x)  # type: ignore[arg-type]
        x = self.lateral[3](sixteenth) + _twice(self.up[2](x), sixteenth)
        coarse = _over_positions(self.attention[0], self._joined(2, x, 16))  # type: ignore[arg-type]
        middle = self._joined(1, self.lateral[2](eighth) + _twice(self.up[1](coarse), eighth), 8)
        x = self.lateral[1](quarter) + _of_squares(self.lateral[0], half) + _twice(self.up[0](middle), quarter)
        fine = self._joined(0, x, 4)
        shares = (self.shares[0](fine), _of_squares(self.shares[1], fine), _of_squares(self.shares[2], middle))
        parts = [_shares(s.float().unflatten(1, (9, -1))).flatten(1, 2).to(s.dtype) for s in shares]
        return torch.cat([fine, parts[0]], 1), torch.cat([middle, parts[1]], 1), torch.cat([coarse, parts[2]], 1)

    def _joined(self, level: int, x: Tensor, step: int) -> Tensor:
        return self.blocks[level](x + self.places[level](_places(x, step)))


class Ways(nn.Module):
    """Scores of painting a position freely, on the ramp, and in the colour of each word (pointers, arXiv 1506.03134).

    Three numbers a pixel cannot say "one of these two": what is unclear would be painted in the mean of all colours, and
    what decides between rare ones would not be learnt.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, KEY, 1)
        self.ramp = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor, keys: Tensor, named: Tensor) -> Tensor:
        """(N, C, h, w), (N, K, KEY) and (N, K), 1 where there is a colour -> (N, 2 + K, h, w): free (always 0), ramp, colours."""
        words = keys @ self.query(x).flatten(2) * KEY**-0.5 + (named - 1)[:, :, None] * 1e4
        ramp = self.ramp(x).flatten(2) + (named.sum(1) < 2)[:, None, None] * -1e4
        return torch.cat([torch.zeros_like(ramp, dtype=torch.float32), ramp.float(), words.float()], 1).unflatten(2, x.shape[-2:])


class VisionBananaUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Saves and loads in diffusers' format (`save_pretrained`, `from_pretrained`)."""

    config: Any  # the arguments below, as attributes
    answer_blocks: Any  # lists of lists of blocks, and lists of attentions
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
        self.sample_down = nn.ModuleList(_down(channels[i], channels[i + 1]) for i in range(2))

        self.answer_blocks = nn.ModuleList(
            nn.ModuleList(ConvBlock(c, text_width) for _ in range(n)) for c, n in zip(channels, answer_depth, strict=True)
        )
        self.answer_self = Attention(channels[2])
        self.answer_text = nn.ModuleList(
            nn.ModuleList(Attention(c, text_width) for _ in range(n)) for c, n in zip(channels[1:], answer_depth[1:], strict=True)
        )
        self.answer_up = nn.ModuleList(nn.Conv2d(channels[i + 1], 4 * channels[i], 1) for i in range(2))
        self.answer_edged = nn.ModuleList(_without_effect(nn.Conv2d(channels[i + 1], channels[i], 1)) for i in range(2))
        self.answer_norm = nn.GroupNorm(8, channels[0])
        self.answer_out = nn.Conv2d(channels[0], pixels, 3, padding=1)
        self.answer_coarse = _without_effect(nn.Conv2d(channels[0], 3, 1))
        self.answer_distance = _without_effect(nn.Conv2d(channels[0], 2, 1))
        self.answer_ways = Ways(channels[0])
        with torch.no_grad():
            self.answer_distance.bias[0] = 1.0  # type: ignore[index]  # begins at e m, in the middle of what is seen

    @property
    def word(self) -> int:
        """Numbers a word of an encoded instruction: its vector, its key and its colour."""
        return int(self.config.text_width) + KEY + COLOR

    def encode_text(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        """(N, T, P) hashed words, (N, T, 4) colours, (N, T) mask -> (N, T, word): the summary, the colours, the other words."""
        text = torch.cat([self.text(pieces, colors, mask), colors], 2)
        words = text.shape[1]
        place = torch.arange(words, 0, -1, device=text.device) + words * colors[..., 3] + 2 * words * (pieces[..., 0] == 1)
        order = place.topk(words, 1).indices
        return text.gather(1, order[..., None].expand(-1, -1, text.shape[2]))

    def encode_image(self, image: Tensor) -> Features:
        """(B, 3, H, W) in -1..1, H and W multiples of 16 -> features at 1/4, 1/8, 1/16."""
        return self.image_neck(self.image_encoder(image))

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
        return self.paint(self.mean(features, timestep, text, mask), self.edges(features))

    def edges(self, features: Features) -> Tensor:
        """The shares by which what is painted at 1/4 becomes the picture."""
        return self._apart(features)[1][0]

    def mean(self, features: Features, timestep: Tensor, text: Tensor, mask: Tensor) -> Meant:
        """Features with the sample in them, (N,) time in 0..1, the instruction -> what is to be painted."""
        named = text[:, 1 : 1 + NAMED, self.config.text_width :]
        text = text[..., : self.config.text_width]
        keys, colors = named[..., :KEY], named[..., KEY:].float()
        condition = text[:, 0] + self.time(_waves(timestep))
        bias = _bias(mask)
        features, shares = self._apart(features)
        x = features[2].expand(text.shape[0], -1, -1, -1)
        x = _over_positions(self.answer_self, x)
        for block, to_text in zip(self.answer_blocks[2], self.answer_text[1], strict=True):
            x = block(_over_positions(to_text, x, text, bias), condition)
        x = F.pixel_shuffle(self.answer_up[1](x), 2) + features[1] + _finer(self.answer_edged[1](x), shares[2], 2)
        for block, to_text in zip(self.answer_blocks[1], self.answer_text[0], strict=True):
            x = block(_over_positions(to_text, x, text, bias), condition)
        x = F.pixel_shuffle(self.answer_up[0](x), 2) + features[0] + _finer(self.answer_edged[0](x), shares[1], 2)
        for block in self.answer_blocks[0]:
            x = block(x, condition)
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 has two steps for each 8-bit code near white
            x = F.relu(self.answer_norm(x.float()))
            return Meant(x, self.answer_ways(x, keys.float(), colors[..., 3]), colors)

    def distance(self, features: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) features of `mean` -> log of the metres that the ramp position stands for, and the logit of its
        uncertainty, each (N, H, W)."""
        with torch.autocast(features.device.type, enabled=False):
            patches = _patches(self.answer_distance(features), edges.float())
            return self._bounded(_picture(patches, *features.shape[2:]))

    def paint(self, meant: Meant, edges: Tensor) -> Tensor:
        """(N, 3, H, W) in -1..1: the picture of what is meant."""
        x, scores, colors = meant
        height, width = x.shape[2:]
        with torch.autocast(x.device.type, enabled=False):
            chances = _shares(scores * SHARPNESS)
            parts = torch.cat([self.answer_coarse(x), _copied(chances[:, 2:], colors), chances[:, :2], self.answer_distance(x)], 1)
            free, copied, freely, ramped, distance = _patches(parts, edges.float()).split([3, 3, 1, 1, 2], 1)
            free = free + self.answer_out(x).flatten(2).unflatten(1, (3, -1)).transpose(2, 3)
            log_m, unsure = self._bounded(distance)
            picture = free * freely + copied + (_ramp(log_m, unsure.sigmoid(), colors) * 2 - 1) * ramped
            return _picture(picture, height, width)

    def _bounded(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        log_m, unsure = distance.unbind(1)
        return log_m.clamp(NEAR, FAR), unsure

    def _apart(self, features: Features) -> tuple[Features, Features]:
        """Features, and the shares behind their channels."""
        fine, middle, coarse = self.config.channels
        a, b, c = features
        return (a[:, :fine], b[:, :middle], c[:, :coarse]), (a[:, fine:], b[:, middle:], c[:, coarse:])

    def forward(self, image: Tensor, sample: Tensor, timestep: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """One denoising step for one question a frame; see the parts for shapes."""
        return self.answer(self.add_sample(self.encode_image(image), sample), timestep, text, mask)


def _copied(chances: Tensor, colors: Tensor) -> Tensor:
    """(N, 3, h, w) in -1..1, times the sum of the chances: the likeliest colour, the less sure the nearer to its neighbour.

    The mean of the likely colours, weighted by their chances, may be like a colour that is not likely at all. So what is unclear
    is painted between the likeliest colour and the one next to it in RGB, as far from the middle as the chances of the two
    likeliest are apart: the nearest colour, which is what a decoder reads, is always the likeliest.

    chances: (N, K, h, w). colors: (N, K, 4), 0..1 and whether it is one.
    """
    best = chances.amax(1, keepdim=True)
    chosen = (chances == best).to(chances.dtype)
    second = (chances * (1 - chosen)).amax(1, keepdim=True)
    between = second / (best + second).clamp(min=1e-6)
    chosen = chosen / chosen.sum(1, keepdim=True)
    rgb = colors[..., :3]
    table = torch.cat([rgb * 2 - 1, (_neighbours(rgb, colors[..., 3]) - rgb) * 2], 2).transpose(1, 2)
    color, aside = (table @ chosen.flatten(2)).unflatten(2, chances.shape[2:]).chunk(2, 1)
    return (color + between * aside) * chances.sum(1, keepdim=True)


def _neighbours(rgb: Tensor, named: Tensor) -> Tensor:
    """(N, K, 3): for each colour the nearest other that is named, or black, which is what is unlabelled."""
    others = F.pad(rgb, (0, 0, 0, 1))  # black behind the last
    distances = (rgb[:, :, None] - others[:, None]).square().sum(3)
    distances = distances + 9 * (distances < SAME_COLOR) + 9 * (1 - F.pad(named, (0, 1), value=1.0))[:, None]
    nearest = (distances == distances.amin(2, keepdim=True)).to(rgb.dtype)
    return nearest @ others / nearest.sum(2, keepdim=True)


def _ramp(log_m: Tensor, unsure: Tensor, colors: Tensor) -> Tensor:
    """(N, 3, h w, PATCH^2) in 0..1: the colour of a distance on the ramp, and beside the ramp where it is uncertain.

    The ramp runs straight between the named colours, which are equally spaced in f = 1 - (1 + m / 10)^-2 (the power
    transform of arXiv 2604.20329). What is uncertain leaves the ramp towards grey, at right angles to its edge and to the
    nearer one of the next, so that the nearest point of the ramp, which is what a decoder reads, stays where it is.

    log_m, unsure: (N, h w, PATCH^2). colors: (N, K, 4), 0..1 and whether it is one.
    """
    named = colors[..., 3]
    last = (named.sum(1) - 1).clamp(1, KNOTS - 1)
    rank = named.cumsum(1) * named  # 1, 2, ... for the named colours
    order = torch.arange(1, KNOTS + 1, device=colors.device)
    knots = (rank[:, None] == order[None, :, None]).to(colors.dtype) @ colors[..., :3]  # (N, KNOTS, 3)
    along = knots[:, 1:] - knots[:, :-1]
    exists = order[None, :-1] <= last[:, None]
    along = along * exists[..., None]
    aside = _aside(knots, along)
    once = 1 + log_m.flatten(1).exp() / 10
    walked = (1 - 1 / (once * once)) * last[:, None]
    edges = order[:-1, None] - 1
    done = (walked[:, None] - edges).clamp(0, 1)  # (N, KNOTS - 1, pixels): how much of each edge lies behind
    halves = torch.arange(1, 2 * (KNOTS - 1), device=colors.device)[:, None] / 2
    begun = (walked.detach()[:, None] >= halves).to(colors.dtype) * unsure.flatten(1)[:, None]  # of each half but the first
    away = torch.cat([aside[:, :1], aside[:, 1:] - aside[:, :-1]], 1)
    steps = torch.cat([along, away], 1).transpose(1, 2)
    color = steps @ torch.cat([done, unsure.flatten(1)[:, None], begun], 1) + knots[:, :1].transpose(1, 2)
    return color.unflatten(2, log_m.shape[1:])


def _aside(knots: Tensor, along: Tensor) -> Tensor:
    """(N, 2 (KNOTS - 1), 3): for each half of each edge the way, UNSURE long, that leads off the ramp alone.

    knots: (N, KNOTS, 3). along: (N, KNOTS - 1, 3), 0 for edges that there are none of; their halves are as the last one's.
    """
    middle = (knots[:, :-1] + knots[:, 1:]) / 2
    none = torch.zeros_like(along[:, :1])
    halves = []
    for neighbour in (torch.cat([none, along[:, :-1]], 1), torch.cat([along[:, 1:], none], 1)):
        first = _unit(along)
        second = neighbour - (neighbour * first).sum(2, keepdim=True) * first
        second = _unit(second)
        away = 0.5 - middle
        for axis in (first, second):
            away = away - (away * axis).sum(2, keepdim=True) * axis
        halves.append(_unit(away) * UNSURE)
    return torch.stack(halves, 2).flatten(1, 2)


def _unit(x: Tensor) -> Tensor:
    length = x.square().sum(-1, keepdim=True).sqrt()
    return x / length.clamp(min=1e-6) * (length > 1e-3)


def _of_squares(layer: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution of squares of 2x2 positions as channels (pixel unshuffling), without moving them."""
    weight = layer.weight.flatten(1).unflatten(1, (-1, 2, 2))  # type: ignore[operator, union-attr]
    return F.conv2d(x, weight, layer.bias, stride=2)  # type: ignore[arg-type]


def _twice(x: Tensor, like: Tensor) -> Tensor:
    """Squares of channels as positions, cut to the size of `like`, which may be odd."""
    return F.pixel_shuffle(x, 2)[..., : like.shape[-2], : like.shape[-1]]


def _finer(x: Tensor, shares: Tensor, times: int) -> Tensor:
    """(N, C, H, W) `times` as fine: each position the shares, (N or 1, 9 * times^2, H, W), of the 3x3 around it."""
    finer = _mixed(x, shares, times).flatten(2).transpose(1, 2)
    return F.pixel_shuffle(finer.unflatten(2, x.shape[2:]), times)


def _patches(x: Tensor, shares: Tensor) -> Tensor:
    """(N, C, h w, PATCH^2): the pixels of each position of x, (N, C, h, w). Planes of whole channels are quick to count with."""
    return _mixed(x, shares, PATCH).transpose(1, 2)


def _picture(patches: Tensor, height: int, width: int) -> Tensor:
    """(..., h w, PATCH^2) as (..., H, W)."""
    patches = patches.unflatten(-1, (PATCH, PATCH)).unflatten(-3, (height, width))
    return patches.transpose(-3, -2).flatten(-4, -3).flatten(-2, -1)


def _mixed(x: Tensor, shares: Tensor, times: int) -> Tensor:
    """(N, H W, C, times^2): what each finer position is made of."""
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    around = torch.stack([padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)], 2)
    around = around.flatten(3).permute(0, 3, 1, 2)  # (N, H W, C, 9)
    shares = shares.to(x.dtype).flatten(2).transpose(1, 2).unflatten(2, (9, times**2))
    return around @ shares


def _shares(x: Tensor) -> Tensor:
    """Softmax over the second dimension, step by step: along other dimensions than the last, runtimes are slow at it."""
    each = (x - x.amax(1, keepdim=True)).exp()
    return each / each.sum(1, keepdim=True)


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


def _places(x: Tensor, step: int) -> Tensor:
    """How far each position, `step` pixels apart, lies from the middle, (B, 2, H, W): what is low in a picture is mostly near."""
    height, width = x.shape[-2:]
    down = (torch.arange(height, device=x.device, dtype=x.dtype) - (height - 1) / 2)[:, None].expand(height, width)
    across = (torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2)[None].expand(height, width)
    down, across = (part * (step / PIXELS_A_UNIT) for part in (down, across))
    return torch.stack([across, down])[None].expand(x.shape[0], -1, -1, -1)


def _bias(mask: Tensor) -> Tensor:
    """Additive attention bias that hides padding, (N, 1, 1, T)."""
    return (mask - 1)[:, None, None, :] * 1e4


def _waves(timestep: Tensor) -> Tensor:
    frequencies = torch.exp(torch.arange(32, device=timestep.device) * (-math.log(1000.0) / 31)) * 1000
    angles = timestep[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
