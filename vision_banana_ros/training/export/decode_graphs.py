# SPDX-License-Identifier: Apache-2.0
"""`tasks`' decoders as torch modules, to be exported: an accelerator then hands out numbers instead of pictures.

Each takes a painted answer (H, W, 3) float32 and repeats the arithmetic of `vision_banana_ros.tasks` step by step, in single
precision, so that both give the same numbers but for the last digit. Instances are not among them: telling regions apart is no
work for a graph.
"""

import torch
from torch import Tensor, nn

from vision_banana_ros.tasks import depth, normals, referring, semantic
from vision_banana_ros.tasks._palette import DIAGONAL, UNLABELLED


class DecodeDepth(nn.Module):
    """The cube's seven edges. Returns depth (H, W) in metres, +inf beyond range, NaN unreadable; and confidence."""

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        colors, readable = _clean(rgb)
        r, g, b = colors.unbind(-1)
        not_r, not_g, not_b = 1 - r, 1 - g, 1 - b
        edges = (  # the two channels that stand still on an edge, the way walked before it, the channel that moves
            (not_r, b, 1 + g),
            (not_g, b, 2 + not_r),
            (r, not_g, 3 + b),
            (r, not_b, 4 + not_g),
            (g, not_b, 5 + r),
        )
        best, walked = g * g + b * b, r
        for one, other, way in edges:
            square = one * one + other * other
            near = square < best
            best, walked = torch.where(near, square, best), torch.where(near, way, walked)
        square = not_r * not_r + not_b * not_b
        near = square < best
        best, left = torch.where(near, square, best), torch.where(near, not_g, 7 - walked)
        walked = torch.where(near, 6 + g, walked)
        sure = 1 - best.sqrt() / depth.MAX_DISTANCE
        readable = readable & (sure > 0)
        # At white nothing is left of the walk. The division is kept from zero, for runtimes that do not promise infinity.
        beyond = left == 0
        metres = 10 * walked / torch.where(beyond, 1.0, left + ((walked + left) * left).sqrt())
        metres = torch.where(beyond, torch.inf, metres)
        return torch.where(readable, metres, torch.nan), torch.where(readable, sure, 0.0)


class DecodeNormals(nn.Module):
    """Returns unit vectors (H, W, 3) in the paper's frame, NaN unreadable; and confidence (H, W)."""

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        colors, readable = _clean(rgb)
        r, g, b = colors.unbind(-1)
        x, y, z = 1 - 2 * r, 2 * g - 1, 2 * b - 1
        length = (x * x + y * y + z * z).sqrt()
        sure = 1 - (length - 1).abs() / normals.MAX_LENGTH_ERROR
        readable = readable & (sure > 0)
        unit = torch.where(readable, 1 / torch.where(readable, length, 1.0), torch.nan)
        return torch.stack([x * unit, y * unit, z * unit], -1), torch.where(readable, sure, 0.0)


class DecodeSemantic(nn.Module):
    """Returns labels (H, W) uint8, 255 unlabelled; and confidence (H, W).

    palette: (colors, 3) float32, 0-255: the legend in class order, and last the colour of what belongs to no class. Rows between
    them, and the last one where there is no such colour, are padding: `generators.own.device_decode` writes it.
    """

    def forward(self, rgb: Tensor, palette: Tensor) -> tuple[Tensor, Tensor]:
        index, sure = _nearest(rgb, palette, DIAGONAL)
        readable = sure >= semantic.MIN_CONFIDENCE
        labelled = readable & (index < palette.shape[0] - 1)
        labels = torch.where(labelled, index, UNLABELLED).to(torch.uint8)
        return labels, torch.where(readable, sure, 0.0)


class DecodeReferring(nn.Module):
    """palette: (2, 3) float32, 0-255: background and colour. Returns the mask (H, W) bool; and confidence (H, W)."""

    def forward(self, rgb: Tensor, palette: Tensor) -> tuple[Tensor, Tensor]:
        index, sure = _nearest(rgb, palette, referring.MAX_DISTANCE)
        sure = torch.where(sure >= 0, sure, 0.0)
        return (index == 1) & (sure > 0), sure


def _clean(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Colours within 0..1, and where all three channels are numbers."""
    missing = rgb.isnan()
    return torch.where(missing, 0.0, rgb).clamp(0, 1), ~missing.any(-1)


def _nearest(rgb: Tensor, palette: Tensor, max_distance: float) -> tuple[Tensor, Tensor]:
    """Index of the nearest colour and the confidence, -1 where a colour is NaN."""
    colors, readable = _clean(rgb)
    offset = (255 * colors)[:, :, None] - palette
    x, y, z = offset.unbind(-1)
    squares, order = torch.topk(x * x + y * y + z * z, 2, dim=-1, largest=False)
    first, second = squares.sqrt().unbind(-1)
    sure = (1 - first / second.clamp(max=max_distance)).clamp(min=0)
    return order[..., 0], torch.where(readable, sure, -1)
