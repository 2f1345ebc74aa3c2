# SPDX-License-Identifier: Apache-2.0
"""Rectified flow (arXiv 2209.03003) between noise (time 1) and image (time 0): loss and sampling.

The network predicts the clean image x instead of the velocity v, as it does in one-step inference, and as is
advisable in pixel space (arXiv 2511.13720). The loss is that of the velocity (x_t - x) / t, so late steps,
which add detail, have sufficient weight.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, pixels

LOGIT_MEAN, LOGIT_STD = 0.8, 0.8  # of the logit of the training times, biased to high noise
PURE_NOISE_FRACTION = 0.05  # fraction of samples at time 1, where sampling starts
MIN_TIME = 0.1  # lower bound of the time in the loss, which limits its weight 1 / t^2


def draw_times(count: int, device: torch.device) -> Tensor:
    """Draws (count,) training times in 0..1 from a logit-normal distribution (arXiv 2403.03206)."""
    times = torch.sigmoid(LOGIT_MEAN + LOGIT_STD * torch.randn(count, device=device))
    return torch.where(torch.rand(count, device=device) < PURE_NOISE_FRACTION, torch.ones_like(times), times)


def interpolate(picture: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """The noisy sample x_t = (1 - t) picture + t noise; images (N, C, H, W), time (N,) in 0..1."""
    time = time[:, None, None, None]
    return (1 - time) * picture + time * noise


def loss(predicted: Tensor, picture: Tensor, time: Tensor) -> Tensor:
    """Squared error of the velocity that corresponds to the predicted image.

    Args:
        predicted: (N, C, H, W) predicted clean image.
        picture: (N, C, H, W) true clean image.
        time: (N,) diffusion times in 0..1.

    Returns:
        (N,) losses.
    """
    return (predicted - picture).square().mean((1, 2, 3)) / time.clamp(min=MIN_TIME).square()


@torch.no_grad()
def sample(
    network: VisionBananaUNet,
    batch: Batch,
    steps: int,
    *,
    from_frame: bool = False,
    guidance: float = 1.0,
    unconditional: tuple[Tensor, Tensor, Tensor] | None = None,
    seed: int = 0,
) -> Tensor:
    """Samples the images that a batch asks for.

    Args:
        network: The network.
        batch: Frames and prompts.
        steps: Number of steps.
        from_frame: Whether the first step starts from the frame, as in one-step inference, instead of noise.
            Each further step adds new noise, less each time, to the prediction and predicts again.
        guidance: Scale of classifier-free guidance; 1 for none.
        unconditional: Tokenised prompt (pieces, colors, mask, each (1, T, ...)) for guidance.
        seed: Seed of the noise.

    Returns:
        (N, 3, H, W), nominally in -1..1.
    """
    image = pixels(batch.image)
    features = network.encode_image(image)
    text, mask = network.encode_text(batch.pieces, batch.colors, batch.mask), batch.mask
    count = len(batch.of)
    other = (
        network.encode_text(*unconditional).expand(count, -1, -1)
        if unconditional is not None and guidance != 1
        else None
    )
    generator = torch.Generator(image.device).manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn((count, *image.shape[1:]), generator=generator, device=image.device)

    def clean(x: Tensor, time: float) -> Tensor:
        each = network.add_sample(repeat_for_samples(features, batch.of), x)
        times = torch.full((count,), time, device=image.device)
        painted = network.answer(each, times, text, mask).float()
        if other is None or unconditional is None:
            return painted
        away = network.answer(each, times, other, unconditional[2].expand(count, -1)).float()
        return away + guidance * (painted - away)

    x = image[batch.of] if from_frame else noise()
    for time, then in _time_steps(steps):
        painted = clean(x, time)
        x = (
            interpolate(painted, noise(), painted.new_full((count,), then))
            if from_frame
            else painted + then / time * (x - painted)
        )
    return x


def repeat_for_samples(features: tuple[Tensor, ...], of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The features of each sample's frame."""
    a, b, c = (level[of] for level in features)
    return a, b, c


def _time_steps(steps: int) -> Iterator[tuple[float, float]]:
    """Equally spaced pairs of times, from and to, from 1 to 0."""
    for i in range(steps):
        yield 1 - i / steps, 1 - (i + 1) / steps
