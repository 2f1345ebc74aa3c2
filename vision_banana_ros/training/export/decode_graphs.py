# SPDX-License-Identifier: Apache-2.0
"""The decoders of `tasks` as torch modules for export, so that answers can be decoded on the accelerator.

Each takes a painted answer, (H, W, 3) float32, and repeats the arithmetic of `vision_banana_ros.tasks` in
single precision, with equal results up to rounding. There is none for instances, because segmentation into
regions does not fit a graph.
"""

import torch
from torch import Tensor, nn

from vision_banana_ros.tasks import depth, normals, referring, semantic
from vision_banana_ros.tasks._palette import DIAGONAL, UNLABELLED


class DecodeDepth(nn.Module):
    """Decodes depth along the seven edges of the colour ramp on the RGB cube."""

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Decodes an answer.

        Args:
            rgb: (H, W, 3) in 0..1.

        Returns:
            Depth (H, W) in metres, +inf beyond range, NaN invalid; and confidence (H, W) in 0..1.
        """
        colors, readable = _clean(rgb)
        r, g, b = colors.unbind(-1)
        not_r, not_g, not_b = 1 - r, 1 - g, 1 - b
        edges = (  # per edge: the distances of the two constant channels, and the position along the ramp
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
        # White is infinite depth; division by zero is avoided, because not all runtimes return infinity.
        beyond = left == 0
        metres = 10 * walked / torch.where(beyond, 1.0, left + ((walked + left) * left).sqrt())
        metres = torch.where(beyond, torch.inf, metres)
        return torch.where(readable, metres, torch.nan), torch.where(readable, sure, 0.0)


class DecodeNormals(nn.Module):
    """Decodes surface normals."""

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Decodes an answer.

        Args:
            rgb: (H, W, 3) in 0..1.

        Returns:
            Unit vectors (H, W, 3), +x right, +y up, +z to the viewer, NaN invalid; and confidence (H, W) in
            0..1.
        """
        colors, readable = _clean(rgb)
        r, g, b = colors.unbind(-1)
        x, y, z = 1 - 2 * r, 2 * g - 1, 2 * b - 1
        length = (x * x + y * y + z * z).sqrt()
        sure = 1 - (length - 1).abs() / normals.MAX_LENGTH_ERROR
        readable = readable & (sure > 0)
        unit = torch.where(readable, 1 / torch.where(readable, length, 1.0), torch.nan)
        return torch.stack([x * unit, y * unit, z * unit], -1), torch.where(readable, sure, 0.0)


class DecodeSemantic(nn.Module):
    """Decodes semantic segmentation."""

    def forward(self, rgb: Tensor, palette: Tensor) -> tuple[Tensor, Tensor]:
        """Decodes an answer.

        Args:
            rgb: (H, W, 3) in 0..1.
            palette: (colors, 3) float32, 0-255: the legend in class order, then padding, and in the last row
                the colour of unlabelled pixels, or padding (see `generators.own.device_decode`).

        Returns:
            Labels (H, W) uint8, 255 unlabelled; and confidence (H, W) in 0..1.
        """
        index, sure = _nearest(rgb, palette, DIAGONAL)
        readable = sure >= semantic.MIN_CONFIDENCE
        labelled = readable & (index < palette.shape[0] - 1)
        labels = torch.where(labelled, index, UNLABELLED).to(torch.uint8)
        return labels, torch.where(readable, sure, 0.0)


class DecodeReferring(nn.Module):
    """Decodes the mask of a referring expression."""

    def forward(self, rgb: Tensor, palette: Tensor) -> tuple[Tensor, Tensor]:
        """Decodes an answer.

        Args:
            rgb: (H, W, 3) in 0..1.
            palette: (2, 3) float32, 0-255: the colours of background and mask.

        Returns:
            Mask (H, W) bool; and confidence (H, W) in 0..1.
        """
        index, sure = _nearest(rgb, palette, referring.MAX_DISTANCE)
        sure = torch.where(sure >= 0, sure, 0.0)
        return (index == 1) & (sure > 0), sure


def _clean(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Colours clipped to 0..1, and whether all three channels are numbers."""
    missing = rgb.isnan()
    return torch.where(missing, 0.0, rgb).clamp(0, 1), ~missing.any(-1)


def _nearest(rgb: Tensor, palette: Tensor, max_distance: float) -> tuple[Tensor, Tensor]:
    """Index of the nearest colour, and confidence, -1 for NaN."""
    colors, readable = _clean(rgb)
    offset = (255 * colors)[:, :, None] - palette
    x, y, z = offset.unbind(-1)
    squares, order = torch.topk(x * x + y * y + z * z, 2, dim=-1, largest=False)
    first, second = squares.sqrt().unbind(-1)
    sure = (1 - first / second.clamp(max=max_distance)).clamp(min=0)
    return order[..., 0], torch.where(readable, sure, -1)
