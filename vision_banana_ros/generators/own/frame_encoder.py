# SPDX-License-Identifier: Apache-2.0
"""The frame encoder: EfficientNet-Lite without its classifier, which knows real photographs.

EfficientNet-Lite (Apache-2.0) is EfficientNet (arXiv 1905.11946) without squeeze-and-excite and with ReLU6, made for
integer arithmetic. Batch normalisation is folded into the convolutions when the weights are converted
(`training.pretrained`), so its statistics stay as they were learnt from photographs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

STEM = 32  # channels of the first convolution, in every size


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one width: how many, kernel size, stride of the first, expansion, channels out."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


def _stages(channels: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[Stage, ...]:
    shapes = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
    return tuple(Stage(n, *shape, c) for n, shape, c in zip(blocks, shapes, channels, strict=True))


#: EfficientNet-Lite by name: widths and depths of its seven stages.
ENCODERS = {
    "efficientnet_lite0": _stages((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_lite2": _stages((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
#: The stages whose features are read, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the frame.
READ = (0, 1, 2, 4, 6)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, filter each channel, project; with a shortcut where the shape stays."""

    def __init__(self, given: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = given * stage.expansion
        self.down = stage.kernel if stride > 1 else 0
        self.expand = nn.Conv2d(given, wide, 1) if stage.expansion > 1 else None
        around = stage.kernel // 2 if stride == 1 else 0
        self.depthwise = nn.Conv2d(wide, wide, stage.kernel, stride, around, groups=wide)
        self.project = nn.Conv2d(wide, stage.channels, 1)
        self.shortcut = stride == 1 and given == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.expand is None else F.relu6(self.expand(x))
        h = self.project(F.relu6(self.depthwise(_pad(h, self.down) if self.down else h)))
        return x + h if self.shortcut else h


class FrameEncoder(nn.Module):
    """A frame (B, 3, H, W) in -1..1, H and W multiples of 16 -> features at 1/2, 1/4, 1/8, 1/16 and 1/32 (rounded up)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        stages = ENCODERS[name]
        self.channels = tuple(stages[i].channels for i in READ)
        self.stem = nn.Conv2d(3, STEM, 3, 2)
        given, self.stages = STEM, nn.ModuleList()
        for stage in stages:
            blocks = nn.ModuleList()
            for i in range(stage.blocks):
                blocks.append(InvertedResidual(given, stage, stage.stride if i == 0 else 1))
                given = stage.channels
            self.stages.append(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        # The weights expect (x - 127) / 128 of 0..255; -1..1 is (x - 127.5) / 127.5, which is the same within 0.4 %.
        x = F.relu6(self.stem(_pad(image, 3)))
        features = []
        for i, blocks in enumerate(self.stages):
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x)
            if i in READ:
                features.append(x)
        return features

    def fixed(self, stages: int) -> Iterator[nn.Parameter]:
        """The parameters of the stem, of the first stages, and of all depthwise filters.

        They know edges, textures and shapes from photographs. The gradient of depthwise filters takes longer on a CPU than
        all the rest of the encoder's.
        """
        for part in (self.stem, *list(self.stages)[:stages]):
            yield from part.parameters()
        for blocks in list(self.stages)[stages:]:
            for block in blocks:  # type: ignore[attr-defined]
                yield from block.depthwise.parameters()


def _pad(x: Tensor, kernel: int) -> Tensor:
    """TensorFlow's "same" padding before stride 2 as it is for even sizes; one row and column more at the end, for odd ones."""
    before = kernel // 2 - 1
    after = kernel - 1 - before
    return F.pad(x, (before, after, before, after))
