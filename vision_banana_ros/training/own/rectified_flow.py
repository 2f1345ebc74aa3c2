# SPDX-License-Identifier: Apache-2.0
"""Rectified flow: a straight way from noise (time 1) to the picture (time 0), and how to walk it.

The network predicts the clean picture, not the velocity: that is what it predicts in one step too, so nothing about its
output changes between the stages, and a picture lies on a far thinner manifold than noise does, which a network without
spare channels needs ("Back to Basics", arXiv 2511.13720, finds the same for pixels). The loss is that of the velocity
(x_t - picture) / t, so late steps, where only detail is left, count as much as early ones.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, pixels

MEAN, SPREAD = 0.8, 0.8  # of the logit of time: what decides an answer is decided while there is much noise
ALL_NOISE = 0.05  # share of samples at time 1, where every walk starts
MIN_TIME = 0.1  # below it, the velocity's loss would be all weight and no information


def draw_times(count: int, device: torch.device) -> Tensor:
    """Times in 0..1, logit-normal."""
    times = torch.sigmoid(MEAN + SPREAD * torch.randn(count, device=device))
    return torch.where(torch.rand(count, device=device) < ALL_NOISE, torch.ones_like(times), times)


def between(picture: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """The sample at a time on the straight way."""
    time = time[:, None, None, None]
    return (1 - time) * picture + time * noise


def loss(predicted: Tensor, picture: Tensor, time: Tensor) -> Tensor:
    """(N,) squared error of the velocity that follows from the predicted picture."""
    return (predicted - picture).square().mean((1, 2, 3)) / time.clamp(min=MIN_TIME).square()


@torch.no_grad()
def sample(
    network: VisionBananaUNet,
    batch: Batch,
    steps: int,
    *,
    from_frame: bool = False,
    guidance: float = 1.0,
    plain: tuple[Tensor, Tensor, Tensor] | None = None,
    seed: int = 0,
) -> Tensor:
    """The pictures that a batch asks for, (N, 3, H, W) in -1..1, in so many steps.

    from_frame: the first step starts at the frame instead of noise, as a network of one step does; each further step
    puts less new noise on the answer and paints again.
    guidance: above 1, lead away from what the network paints for the prompt `plain` (pieces, colors, mask of one prompt).
    """
    image = pixels(batch.image)
    features = network.encode_image(image)
    text, mask = network.encode_text(batch.pieces, batch.colors, batch.mask), batch.mask
    count = len(batch.of)
    other = network.encode_text(*plain).expand(count, -1, -1) if plain is not None and guidance != 1 else None
    generator = torch.Generator(image.device).manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn((count, *image.shape[1:]), generator=generator, device=image.device)

    def clean(x: Tensor, time: float) -> Tensor:
        each = network.add_sample(_of(features, batch.of), x)
        times = torch.full((count,), time, device=image.device)
        painted = network.answer(each, times, text, mask).float()
        if other is None or plain is None:
            return painted
        away = network.answer(each, times, other, plain[2].expand(count, -1)).float()
        return away + guidance * (painted - away)

    x = image[batch.of] if from_frame else noise()
    for time, then in _times(steps):
        painted = clean(x, time)
        x = between(painted, noise(), painted.new_full((count,), then)) if from_frame else painted + then / time * (x - painted)
    return x


def _of(features: tuple[Tensor, ...], of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a, b, c = (level[of] for level in features)
    return a, b, c


def _times(steps: int) -> Iterator[tuple[float, float]]:
    for i in range(steps):
        yield 1 - i / steps, 1 - (i + 1) / steps
