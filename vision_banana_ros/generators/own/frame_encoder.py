# SPDX-License-Identifier: Apache-2.0
"""The frame encoder: EfficientNet-Lite without its classifier, pretrained on photographs.

EfficientNet-Lite (Apache-2.0) is EfficientNet (arXiv 1905.11946) without squeeze-and-excitation and with
ReLU6, designed for quantisation. Batch normalisation is folded into the convolutions when the weights are
converted (`training.own.pretrained`), so its statistics remain those of ImageNet.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

STEM_CHANNELS = 32  # channels of the first convolution, the same in all variants


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of blocks of the same width.

    Attributes:
        blocks: Number of blocks.
        kernel: Kernel size of the depthwise convolutions.
        stride: Stride of the first block.
        expansion: Channels inside a block per input channel.
        channels: Output channels.
    """

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


def _stages(channels: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[Stage, ...]:
    shapes = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
    return tuple(Stage(n, *shape, c) for n, shape, c in zip(blocks, shapes, channels, strict=True))


#: The seven stages of each EfficientNet-Lite variant, by name.
ENCODERS = {
    "efficientnet_lite0": _stages((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_lite2": _stages((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
#: The stages whose outputs are returned, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the frame's resolution.
OUTPUT_STAGES = (0, 1, 2, 4, 6)


class InvertedResidual(nn.Module):
    """Inverted residual block (MobileNetV2, arXiv 1801.04381): expansion, depthwise convolution, projection.

    Args:
        in_channels: Input channels.
        stage: The stage that the block belongs to.
        stride: 1 or 2. The residual connection exists if input and output have the same shape.
    """

    def __init__(self, in_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        expanded = in_channels * stage.expansion
        self.pad_for = stage.kernel if stride > 1 else 0
        self.expand = nn.Conv2d(in_channels, expanded, 1) if stage.expansion > 1 else None
        padding = stage.kernel // 2 if stride == 1 else 0
        self.depthwise = nn.Conv2d(expanded, expanded, stage.kernel, stride, padding, groups=expanded)
        self.project = nn.Conv2d(expanded, stage.channels, 1)
        self.shortcut = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block to (B, in_channels, H, W)."""
        h = x if self.expand is None else F.relu6(self.expand(x))
        h = self.project(F.relu6(self.depthwise(_pad(h, self.pad_for) if self.pad_for else h)))
        return x + h if self.shortcut else h


class FrameEncoder(nn.Module):
    """EfficientNet-Lite as a feature extractor.

    Args:
        name: A key of `ENCODERS`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        stages = ENCODERS[name]
        self.channels = tuple(stages[i].channels for i in OUTPUT_STAGES)
        self.stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2)
        in_channels, self.stages = STEM_CHANNELS, nn.ModuleList()
        for stage in stages:
            blocks = nn.ModuleList()
            for i in range(stage.blocks):
                blocks.append(InvertedResidual(in_channels, stage, stage.stride if i == 0 else 1))
                in_channels = stage.channels
            self.stages.append(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Extracts features.

        Args:
            image: (B, 3, H, W) RGB in -1..1, H and W multiples of 16.

        Returns:
            Feature maps (B, C, h, w) at 1/2, 1/4, 1/8, 1/16 and 1/32 (rounded up) of the resolution.
        """
        # The weights were trained with (x - 127) / 128 for x in 0..255; (x - 127.5) / 127.5 is the same
        # within 0.4 %.
        x = F.relu6(self.stem(_pad(image, 3)))
        features = []
        for i, blocks in enumerate(self.stages):
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x)
            if i in OUTPUT_STAGES:
                features.append(x)
        return features

    def frozen_parameters(self, stages: int) -> Iterator[nn.Parameter]:
        """The parameters that are not trained: the stem, the first stages and all depthwise convolutions.

        Pretrained low-level filters transfer well, and on a CPU the backward pass of the depthwise
        convolutions takes longer than that of the rest of the encoder.

        Args:
            stages: Number of frozen stages.
        """
        for part in (self.stem, *list(self.stages)[:stages]):
            yield from part.parameters()
        for blocks in list(self.stages)[stages:]:
            for block in blocks:  # type: ignore[attr-defined]
                yield from block.depthwise.parameters()


def _pad(x: Tensor, kernel: int) -> Tensor:
    """TensorFlow's "same" padding for stride 2 and even sizes; odd sizes get one more row and column."""
    before = kernel // 2 - 1
    after = kernel - 1 - before
    return F.pad(x, (before, after, before, after))
