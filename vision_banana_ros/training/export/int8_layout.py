# SPDX-License-Identifier: Apache-2.0
"""The network once more, laid out for 8-bit CPUs: the same weights and the same arithmetic, a position a row.

ONNX Runtime spends most of a small network's time between the convolutions: it turns layouts around, normalises by a chain of
passes and widens what it has just narrowed. Here features are (positions, channels) from end to end. A convolution gathers the
bytes of each position's neighbours and is one product of matrices, as every linear layer is: 8-bit in, floats out. Normalising
over groups, the instruction's scale and shift among them, is one multiplication and one addition of whole rows.

Only `training.quantize` writes these graphs; they use operators of ONNX Runtime's own, so they are for ONNX Runtime alone.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_banana_ros.generators.own.network import (
    COLOR,
    DECIDED,
    KEY,
    PATCH,
    Attention,
    ConvBlock,
    VisionBananaUNet,
    _places,
    _waves,
)

Ranges = dict[str, tuple[float, float]]  # name of a convolution or linear layer -> least and most of what goes into it
OUT = ".out"  # after the name, for what comes out of it
RGB_ZERO = 128  # the byte that stands for nothing beyond the frame's border
SIDES = (PATCH, 2, 2)  # of the square of finer positions that a position of each level becomes
WIDE = 384  # columns from which on a row is no longer too short to be worked on at full speed


class Linear(nn.Module):
    """A linear layer in 8 bits: activations with one scale, weights with one a channel, floats out."""

    scale: Tensor
    zero: Tensor
    weight: Tensor
    steps: Tensor
    weight_zero: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, scale: float, zero: int) -> None:
        super().__init__()
        fits = bias.abs() / (scale * 2**30)  # where weights are next to nothing, the bias still has to fit
        steps = torch.maximum(weight.abs().amax(1) / 127, fits).clamp(min=1e-12)
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("zero", torch.tensor(zero, dtype=torch.uint8))
        self.register_buffer("weight", (weight / steps[:, None]).round().to(torch.int8))
        self.register_buffer("steps", steps)
        self.register_buffer("weight_zero", torch.zeros(len(steps), dtype=torch.int8))
        self.register_buffer("bias", (bias / (steps * scale)).round().to(torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        return self.product(self.narrowed(x))

    def narrowed(self, x: Tensor) -> Tensor:
        """The same in bytes."""
        return _op("::QuantizeLinear", (x, self.scale, self.zero), {}, torch.uint8, x.shape)

    def product(self, x: Tensor) -> Tensor:
        given = (x, self.scale, self.zero, self.weight, self.steps, self.weight_zero, self.bias)
        return _op("com.microsoft::QGemm", given, {"transB": 1}, torch.float32, (x.shape[0], self.weight.shape[0]))


class Conv(nn.Module):
    """A 3×3 convolution of (positions, channels): the bytes of the nine neighbours are gathered, then it is a linear layer."""

    border: Tensor
    neighbours: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, scale: float, zero: int, neighbours: Tensor) -> None:
        super().__init__()
        self.linear = Linear(weight.permute(0, 2, 3, 1).flatten(1), bias, scale, zero)
        self.register_buffer("border", torch.full((1, weight.shape[1]), zero, dtype=torch.uint8))
        self.register_buffer("neighbours", neighbours)

    def forward(self, x: Tensor) -> Tensor:
        return self.bytes(self.linear.narrowed(x))

    def bytes(self, x: Tensor) -> Tensor:
        around = torch.cat([x, self.border]).index_select(0, self.neighbours)
        return self.linear.product(around.reshape(-1, self.linear.weight.shape[1]))


class NarrowConv(nn.Module):
    """The same where channels are few: gathering would take longer than ONNX Runtime's own convolution, which gives bytes."""

    kernel: Tensor
    scale: Tensor
    zero: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, size: tuple[int, int], given: tuple[float, int], out: tuple[float, int]) -> None:
        super().__init__()
        self.size = size
        self.linear = Linear(weight.flatten(1), bias, *given)
        self.register_buffer("kernel", self.linear.weight.reshape(weight.shape))
        self.register_buffer("scale", torch.tensor(out[0]))
        self.register_buffer("zero", torch.tensor(out[1], dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        part, shape = self.linear, (1, *self.size, self.kernel.shape[0])
        given = (part.narrowed(x).reshape(1, *self.size, -1), part.scale, part.zero, self.kernel, part.steps, part.weight_zero)
        how = {"channels_last": 1, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
        made = _op("com.microsoft::QLinearConv", (*given, self.scale, self.zero, part.bias), how, torch.uint8, shape)
        return _op("::DequantizeLinear", (made, self.scale, self.zero), {}, torch.float32, shape).reshape(x.shape[0], -1)


class Norm(nn.Module):
    """Normalising over groups, scaling, shifting and SiLU of (positions, channels).

    Rows of few channels are taken several at once.
    """

    ones: Tensor
    gather: Tensor
    eps: Tensor
    spread: Tensor
    bias: Tensor

    def __init__(self, norm: nn.GroupNorm, positions: int) -> None:
        super().__init__()
        channels, groups = norm.num_channels, norm.num_groups
        self.rows = 1
        while channels * self.rows < WIDE and positions % (2 * self.rows) == 0:
            self.rows *= 2
        member = torch.block_diag(*[torch.ones(1, channels // groups)] * groups)  # (groups, channels)
        self.register_buffer("ones", torch.full((1, positions), 1 / positions))
        self.register_buffer("gather", (member / (channels // groups)).T.contiguous())
        self.register_buffer("eps", torch.full((groups,), norm.eps))
        self.register_buffer("spread", (member * norm.weight).repeat(1, self.rows))
        self.register_buffer("bias", norm.bias.repeat(self.rows))

    def forward(self, x: Tensor, film: Sequence[Tensor] = ()) -> Tensor:
        """film: what scale and shift are multiplied with, and what is added, (1, channels) each."""
        mean = self.ones @ x @ self.gather
        squares = torch.addmm(self.eps, self.ones @ (x * x), self.gather)
        rise = (squares - mean * mean) ** -0.5
        scale = rise @ self.spread
        shift = torch.addmm(self.bias, mean * rise, self.spread, alpha=-1)
        if film:
            factor, offset = (torch.cat([part] * self.rows, 1) for part in film)
            scale, shift = scale * factor, shift * factor + offset
        return F.silu(x.reshape(-1, scale.shape[1]) * scale + shift).reshape(x.shape)


class Block(nn.Module):
    """A ConvBlock."""

    def __init__(self, block: ConvBlock, first: nn.Module, second: nn.Module, positions: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([Norm(block.norm1, positions), Norm(block.norm2, positions)])
        self.first, self.second = first, second

    def forward(self, x: Tensor, film: Sequence[Tensor] = ()) -> Tensor:
        return x + self.second(self.norms[1](self.first(self.norms[0](x)), film))


class Attend(nn.Module):
    """An Attention, of positions to positions or to words."""

    def __init__(self, attention: Attention, layers: Sequence[Linear], out: Linear) -> None:
        """layers: of query, key and value all together, or of the query, and of key and value."""
        super().__init__()
        self.norm, self.heads = attention.norm, attention.heads
        self.layers, self.out = nn.ModuleList(layers), out

    def forward(self, x: Tensor, words: Tensor | None = None) -> Tensor:
        h = self.norm(x)
        rows = [layer(values) for layer, values in zip(self.layers, (h, words), strict=False)]
        query, key, value = (part for values in rows for part in self._heads(values, x.shape[1]))
        how = {"transB": 1, "alpha": query.shape[-1] ** -0.5}
        like = _op("com.microsoft::FusedMatMul", (query, key), how, torch.float32, (*query.shape[:3], key.shape[2]))
        return x + self.out((like.softmax(-1) @ value).transpose(1, 2).reshape(x.shape))

    def _heads(self, x: Tensor, channels: int) -> Sequence[Tensor]:
        """(rows, parts × channels) -> as many times (1, heads, rows, channels of a head)."""
        parts = x.shape[1] // channels
        return x.reshape(x.shape[0], parts, self.heads, channels // self.heads).permute(1, 2, 0, 3).split(1)


class Maker:
    """Makes the parts above of a network's own, for frames of `size` (height, width) with activations in `ranges`."""

    def __init__(self, network: VisionBananaUNet, size: tuple[int, int], ranges: Ranges) -> None:
        self.network, self.ranges = network, ranges
        self.sizes = [(size[0] // step, size[1] // step) for step in (PATCH, 2 * PATCH, 4 * PATCH)]
        self._names = {module: name for name, module in network.named_modules()}
        self._neighbours: dict[tuple[int, int], Tensor] = {}

    def conv(self, layer: Any, level: int) -> nn.Module:
        """level: of what goes in."""
        name = self._names[layer]
        if layer.stride[0] == 1 and layer.in_channels <= 64:
            return NarrowConv(layer.weight, layer.bias, self.sizes[level], self._step(name), self._step(name + OUT))
        return Conv(layer.weight, layer.bias, *self._step(name), self.neighbours(level, layer.stride[0]))

    def neighbours(self, level: int, stride: int) -> Tensor:
        """For each position that comes out the nine that go in, in one row; one past the last where there is none."""
        if (level, stride) not in self._neighbours:
            height, width = self.sizes[level]
            index = F.pad(torch.arange(height * width).reshape(height, width), (1, 1, 1, 1), value=height * width)
            around = index.unfold(0, 3, stride).unfold(1, 3, stride)
            self._neighbours[level, stride] = around.flatten().int()
        return self._neighbours[level, stride]

    def up(self, layer: Any) -> Linear:
        """Of a 1×1 convolution whose channels become a square of 2×2 positions."""
        order = _square_first(layer.out_channels, 2)
        return Linear(layer.weight.flatten(1)[order], layer.bias[order], *self._step(self._names[layer]))

    def linear(self, *layers: Any) -> Linear:
        """Of linear layers, or 1×1 convolutions, that are given the same."""
        weight = torch.cat([layer.weight.flatten(1) for layer in layers])
        bias = torch.cat([layer.bias for layer in layers])
        return Linear(weight, bias, *self._step(self._names[layers[0]]))

    def block(self, block: ConvBlock, level: int) -> Block:
        height, width = self.sizes[level]
        return Block(block, self.conv(block.conv1, level), self.conv(block.conv2, level), height * width)

    def to_self(self, attention: Attention) -> Attend:
        return Attend(attention, [self.linear(attention.query, attention.key_value)], self.linear(attention.out))

    def to_text(self, attention: Attention) -> Attend:
        return Attend(attention, [self.linear(attention.query), self.linear(attention.key_value)], self.linear(attention.out))

    def around(self, level: int) -> Tensor:
        """For each position the nine around it; beyond the border, the one at the border."""
        height, width = self.sizes[level]
        index = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
        index = F.pad(index, (1, 1, 1, 1), mode="replicate")[0, 0]
        return index.unfold(0, 3, 1).unfold(1, 3, 1).flatten().int()

    def shares(self, layer: Any, level: int) -> Conv:
        """Of the convolution that makes the nine shares of each position in a square: the square comes first."""
        order = torch.arange(layer.out_channels).reshape(9, -1).T.flatten()
        return Conv(layer.weight[order], layer.bias[order], *self._step(self._names[layer]), self.neighbours(level, 1))

    def _step(self, name: str) -> tuple[float, int]:
        low, high = self.ranges[name]
        low, high = min(low, 0.0), max(high, 1e-6)
        scale = (high - low) / 255
        return scale, round(-low / scale)


class EdgesRows(nn.Module):
    """Edges: features joined from the coarse ones down, and of each level the shares, (positions, 9 × square)."""

    up: Any
    blocks: Any
    shares: Any

    def __init__(self, make: Maker) -> None:
        super().__init__()
        edges: Any = make.network.image_edges
        self.sizes = make.sizes
        self.up = nn.ModuleList(make.up(layer) for layer in edges.up)
        self.blocks = nn.ModuleList(make.block(block, level) for level, block in enumerate(edges.blocks))
        self.shares = nn.ModuleList(make.shares(layer, level) for layer, level in zip(edges.shares, (0, 0, 1), strict=True))

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        middle = self.blocks[1](middle + _apart(self.up[1](coarse), self.sizes[2], 2))
        fine = self.blocks[0](fine + _apart(self.up[0](middle), self.sizes[1], 2))
        whole, half, quarter = (layer(x) for layer, x in zip(self.shares, (fine, fine, middle), strict=True))
        shares = whole, _together(half, self.sizes[1], 2), _together(quarter, self.sizes[2], 2)
        return (fine, middle, coarse), [each.unflatten(1, (-1, 9)).softmax(2).flatten(1) for each in shares]


class ImageRows(nn.Module):
    """(H, W, 3) uint8 frame -> features (positions, channels) at 1/4, 1/8, 1/16, with the frame in them as the sample, and
    the shares behind their channels."""

    places: Tensor
    sample_places: Tensor
    blocks: Any  # lists of lists of blocks, and lists of the rest
    attention: Any
    down: Any
    sample_down: Any
    edges: Any

    def __init__(self, make: Maker) -> None:
        super().__init__()
        network = make.network
        stem: Any = network.image_stem
        sample: Any = network.sample_stem
        pixels = sample.in_channels
        order = _square_first(pixels, PATCH)
        around = make.neighbours(0, 1)
        # The frame's bytes are the activations: (u - 128) / 127.5 is half a step from what the network is given.
        self.stem = Conv(stem.weight[:, :pixels][:, order], stem.bias, 1 / 127.5, RGB_ZERO, around)
        self.sample = Conv(sample.weight[:, order], sample.bias, 1 / 127.5, RGB_ZERO, around)
        half = torch.full((1, pixels, *make.sizes[0]), (RGB_ZERO - 127.5) / 127.5)
        missing = F.conv2d(torch.cat([half, _places(half)], 1), stem.weight, padding=1)
        self.register_buffer("places", missing[0].flatten(1).T.contiguous())
        missing = F.conv2d(half, sample.weight, padding=1)
        self.register_buffer("sample_places", missing[0].flatten(1).T.contiguous())
        self.blocks = nn.ModuleList(
            nn.ModuleList(make.block(block, level) for block in blocks) for level, blocks in enumerate(network.image_blocks)
        )
        self.attention = nn.ModuleList(make.to_self(attention) for attention in network.image_attention)
        self.down = nn.ModuleList(make.conv(layer, level) for level, layer in enumerate(network.image_down))
        self.sample_down = nn.ModuleList(make.conv(layer, level) for level, layer in enumerate(network.sample_down))
        self.edges = EdgesRows(make)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width, _ = image.shape
        rows = image.reshape(height // PATCH, PATCH, width // PATCH, 3 * PATCH).transpose(1, 2).reshape(-1, 3 * PATCH * PATCH)
        x, sample = self.stem.bytes(rows) + self.places, self.sample.bytes(rows) + self.sample_places
        features, samples = [], []
        for level, blocks in enumerate(self.blocks):
            for i, block in enumerate(blocks):
                x = block(x)
                if level == 2:
                    x = self.attention[i](x)
            features.append(x)
            samples.append(sample)
            if level < 2:
                x, sample = self.down[level](x), self.sample_down[level](sample)
        joined, shares = self.edges(*features)
        fine, middle, coarse = (torch.cat([x + sample, each], 1) for x, sample, each in zip(joined, samples, shares, strict=True))
        return fine, middle, coarse


class AnswerRows(nn.Module):
    """What ImageRows gives and one instruction without padding, (1, words, C) -> (1, H, W, 3) float32 in 0..1."""

    kernel: Tensor
    bias: Tensor
    film: Tensor
    film_steps: Tensor
    film_zero: Tensor
    film_bias: Tensor
    edged_kernel: Tensor
    edged_bias: Tensor
    query: Tensor
    query_bias: Tensor
    around_0: Tensor
    around_1: Tensor
    around_2: Tensor
    blocks: Any  # lists of lists, or lists
    to_self: Any
    to_text: Any
    up: Any

    def __init__(self, make: Maker) -> None:
        super().__init__()
        network = make.network
        self.sizes = make.sizes
        self.blocks = nn.ModuleList(
            nn.ModuleList(make.block(block, level) for block in blocks) for level, blocks in enumerate(network.answer_blocks)
        )
        self.to_self = nn.ModuleList(make.to_self(attention) for attention in network.answer_self)
        self.to_text = nn.ModuleList(nn.ModuleList(make.to_text(attention) for attention in level) for level in network.answer_text)
        self.up = nn.ModuleList(make.up(layer) for layer in network.answer_up)
        self.channels, self.text_width = network.config.channels, network.config.text_width
        edged: Any = network.answer_edged
        self.edged = nn.ModuleList(make.linear(layer) for layer in edged[1:])
        for level in range(3):
            self.register_buffer(f"around_{level}", make.around(level))
        self.norm = Norm(network.answer_norm, make.sizes[0][0] * make.sizes[0][1])
        out: Any = network.answer_out
        order = _square_first(out.out_channels, PATCH)
        self.register_buffer("kernel", out.weight[order])  # what paints stays in floats
        self.register_buffer("bias", out.bias[order])
        self.register_buffer("edged_kernel", edged[0].weight.flatten(1))
        self.register_buffer("edged_bias", edged[0].bias)
        copies: Any = network.answer_copies
        self.register_buffer("query", copies.query.weight.flatten(1))
        self.register_buffer("query_bias", copies.query.bias)
        films = [block.film for blocks in network.answer_blocks for block in blocks]
        self.widths = [width for film in films for width in [film.out_features // 2] * 2]
        factors = torch.cat([torch.ones(width) * (i % 2 == 0) for i, width in enumerate(self.widths)])
        film = torch.cat([film.weight for film in films])
        steps = film.abs().amax(1).clamp(min=1e-8) / 127
        self.register_buffer("film", (film / steps[:, None]).round().to(torch.int8))  # kept in 8 bits, counted with in floats
        self.register_buffer("film_steps", steps)
        self.register_buffer("film_zero", torch.zeros(len(steps), dtype=torch.int8))
        # The time of the one step is the same each time, and so is what it adds.
        now = network.time(_waves(torch.ones(1)))
        self.register_buffer("film_bias", F.linear(now, film, torch.cat([film.bias for film in films]) + factors)[0])

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor, text: Tensor) -> Tensor:
        words, keys, colors = text[0].split([self.text_width, KEY, COLOR], 1)
        film = _op("::DequantizeLinear", (self.film, self.film_steps, self.film_zero), {"axis": 0}, torch.float32, self.film.shape)
        films = F.linear(words[:1], film, self.film_bias).split(self.widths, 1)
        pairs = iter(zip(films[::2], films[1::2], strict=True))
        film_of = [[next(pairs) for _ in blocks] for blocks in self.blocks]
        levels = zip((fine, middle, coarse), self.channels, strict=True)
        (fine, middle, x), shares = zip(*((level[:, :count], level[:, count:]) for level, count in levels), strict=True)
        for i, (to_self, to_text) in enumerate(zip(self.to_self, self.to_text[1], strict=True)):
            x = to_text(to_self(self.blocks[2][i](x, film_of[2][i])), words)
        edged = _finer(self.edged[1](x), shares[2], self.around_2)
        x = _apart(self.up[1](x) + edged, self.sizes[2], 2) + middle
        for i, to_text in enumerate(self.to_text[0]):
            x = to_text(self.blocks[1][i](x, film_of[1][i]), words)
        edged = _finer(self.edged[0](x), shares[1], self.around_1)
        x = _apart(self.up[0](x) + edged, self.sizes[1], 2) + fine
        for i, block in enumerate(self.blocks[0]):
            x = block(x, film_of[0][i])
        height, width = self.sizes[0]
        x = self.norm(x)
        coarse = torch.cat([F.linear(x, self.edged_kernel, self.edged_bias), self._copied(x, keys, colors)], 1)
        edged = _finer(coarse, shares[0], self.around_0).unflatten(1, (PATCH**2, -1))
        x = F.conv2d(x.reshape(1, height, width, -1).permute(0, 3, 1, 2), self.kernel, self.bias, padding=1)
        painted = x.permute(0, 2, 3, 1).reshape(height * width, PATCH**2, 3) + edged[:, :, :3]
        painted = (painted * edged[:, :, 6:] + edged[:, :, 3:6]).flatten(1)
        painted = _apart(painted, self.sizes[0], PATCH).reshape(1, height * PATCH, width * PATCH, 3)
        return (painted / 2 + 0.5).clamp(0, 1)

    def _copied(self, x: Tensor, keys: Tensor, colors: Tensor) -> Tensor:
        """What positions have of the colours that the instruction names, -1..1, and how much of them is painted freely."""
        keys = keys * (DECIDED * KEY**-0.5)
        # The keys are brought to the positions' channels, of which there are fewer.
        scores = F.linear(x, keys @ self.query, keys @ self.query_bias + (colors[:, 3] - 1) * 1e4)
        chances = torch.cat([torch.zeros_like(x[:, :1]), scores], 1).softmax(1)
        return torch.cat([chances[:, 1:] @ (colors[:, :3] * 2 - 1), chances[:, :1]], 1)


def _square_first(channels: int, side: int) -> Tensor:
    """The order of channels in which the place in a square of positions comes first and the channel last."""
    return torch.arange(channels).reshape(-1, side, side).permute(1, 2, 0).flatten()


def _apart(x: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """(positions, side × side × channels) -> (positions × side × side, channels), positions in rows again."""
    height, width = size
    channels = x.shape[1] // side**2
    return x.reshape(height, width, side, side * channels).transpose(1, 2).reshape(-1, channels)


def _together(x: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """What `_apart` takes apart; size: (height, width) in squares."""
    height, width = size
    return x.reshape(height, side, width, -1).transpose(1, 2).reshape(height * width, -1)


def _finer(x: Tensor, shares: Tensor, around: Tensor) -> Tensor:
    """(positions, channels) -> (positions, square × channels): the shares, (positions, square × 9), of the nine around."""
    nine = x.index_select(0, around).reshape(len(x), 9, -1)
    return (shares.unflatten(1, (-1, 9)) @ nine).flatten(1)


def _op(name: str, given: Sequence[Tensor], how: dict[str, Any], dtype: torch.dtype, shape: Sequence[int | torch.SymInt]) -> Tensor:
    """An operator that torch does not have."""
    version = 1 if name.startswith("com.microsoft") else None
    return torch.onnx.ops.symbolic(name, given, how, dtype=dtype, shape=shape, version=version)
