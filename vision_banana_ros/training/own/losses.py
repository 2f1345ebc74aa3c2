# SPDX-License-Identifier: Apache-2.0
"""Losses: decoded-value losses of answers in one step, and rectified flow for image generation and editing.

An RGB loss does not reflect the decoded values. Therefore depth is compared as the logarithm of metres,
normals by their angle, and classes and masks by the cross entropy over the colours in the prompt.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_banana_ros.generators.own.network import PATCH, SAME_COLOR, PaintPlan, VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, pixels
from vision_banana_ros.training.own import rectified_flow as flow

MAX_CLASS_WEIGHT = 8.0  # maximum weight of a pixel of a rare class; the most frequent class has 1
MAX_MASK_WEIGHT = 3.0  # maximum weight of a pixel of a mask; the background has 1
MAX_LOG_DEPTH = math.log(100.0)  # larger targets are only a lower bound
GRADIENT_WEIGHT = 0.5  # weight of the gradient loss relative to the loss of log depth
GRADIENT_SCALES = 3  # resolutions of the gradient loss, each half of the one before
UNCERTAINTY_SCALE = 0.3  # error of log depth whose target uncertainty is 63 % of MAX_UNCERTAINTY
MAX_UNCERTAINTY = 0.35  # maximum target where the depth is known; the decoder rejects 0.5 and more
UNCERTAINTY_WEIGHT = 0.3  # weight of the binary cross entropy of the uncertainty
COSINE_WEIGHT = 1.0  # weight of 1 - cosine of normals relative to the RGB loss
CHOICE_WEIGHT = 0.5  # weight of the cross entropy over the output heads
PALETTE_TASKS = ("semantic", "referring")  # tasks whose answers only contain colours of the prompt


@dataclass(frozen=True, slots=True)
class OutputRows:
    """Indices of the samples for which outputs are computed at full resolution.

    Attributes:
        painted: (P,) int64, samples to be rendered as images.
        ramps: (D,) int64, samples of depth along the colour ramp.
    """

    painted: Tensor
    ramps: Tensor


class BatchForward(nn.Module):
    """The forward pass of a batch as one module call, as distributed training requires."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, batch: Batch, rows: OutputRows, sample: Tensor | None = None, time: Tensor | None = None
    ) -> tuple[PaintPlan, Tensor, Tensor, Tensor]:
        """Computes the outputs that the losses need.

        Classes and masks are trained on the scores of the plan, so most images need not be rendered.

        Args:
            batch: F frames with N samples.
            rows: Samples for which outputs are computed at full resolution.
            sample: (N, 3, H, W) noisy images in -1..1; None for one step from the frame.
            time: (N,) diffusion time in 0..1; None for 1.

        Returns:
            The plan of all N samples; images (P, 3, H, W); and for depth along the ramp natural logarithm of
            metres and logit of the uncertainty, both (D, H, W).
        """
        network, image = self.network, pixels(batch.image).contiguous(memory_format=torch.channels_last)
        # On a CPU the backward pass of depthwise convolutions is a hundred times slower in bfloat16.
        with torch.autocast(image.device.type, enabled=image.device.type == "cuda"):
            levels = network.image_encoder(image)
        features = network.image_neck(levels)
        if sample is None:
            features = network.add_sample(features, image)
        weights = network.upsampling_weights(features)
        features = flow.repeat_for_samples(features, batch.of)
        if sample is not None:
            features = network.add_sample(features, sample)
        if time is None:
            time = torch.ones(len(batch.of), device=image.device)
        text = network.encode_text(batch.pieces, batch.colors, batch.mask)
        plan = network.plan(features, time, text, batch.mask)
        painted, ramps = _at_least_one(rows.painted), _at_least_one(rows.ramps)
        picture = network.paint(PaintPlan(*(part[painted] for part in plan)), weights[batch.of[painted]])
        log_m, unsure = network.distance(plan.features[ramps], weights[batch.of[ramps]])
        return plan, picture[: len(rows.painted)], log_m[: len(rows.ramps)], unsure[: len(rows.ramps)]


def _at_least_one(rows: Tensor) -> Tensor:
    """The rows, or row 0 if there are none: pixel shuffle of an empty batch has no gradient."""
    return rows if len(rows) else rows.new_zeros(1)


def losses(forward: nn.Module, batch: Batch) -> Tensor:
    """Computes the losses of a batch.

    Args:
        forward: A `BatchForward`, possibly wrapped for distributed training.
        batch: Prompts with answers, or captions and edits.

    Returns:
        (N,) one loss per sample.
    """
    target = pixels(batch.target)
    if batch.asks:
        return answer_losses(forward, target, batch)
    time = flow.draw_times(len(target), target.device)
    everything = torch.arange(len(target), device=target.device)
    sample = flow.interpolate(target, torch.randn_like(target), time)
    _, picture, _, _ = forward(batch, OutputRows(everything, everything[:0]), sample, time)
    return flow.loss(picture.float(), target, time)


def answer_losses(forward: nn.Module, target: Tensor, batch: Batch) -> Tensor:
    """Computes the losses of answers in one step from the frame.

    Args:
        forward: As for `losses`.
        target: (N, 3, H, W) images in -1..1.
        batch: Prompts with answers.

    Returns:
        (N,) one loss per sample.
    """
    free = [i for i, task in enumerate(batch.tasks) if task not in PALETTE_TASKS and i not in batch.ramps]
    rows = OutputRows(
        torch.tensor(free, device=target.device, dtype=torch.long),
        torch.tensor(batch.ramps, device=target.device, dtype=torch.long),
    )
    plan, picture, log_m, unsure = forward(batch, rows)
    weights = pixel_weights(target, batch)
    on_ramp = torch.zeros(len(target), dtype=torch.bool, device=target.device).index_fill(0, rows.ramps, True)
    row, column = torch.randint(PATCH, (2,)).tolist()
    subsample = (..., slice(row, None, PATCH), slice(column, None, PATCH))
    loss = CHOICE_WEIGHT * choice_cross_entropy(
        plan.scores, target[subsample], plan.colors, weights[subsample], on_ramp
    )
    loss = loss.index_add(0, rows.ramps, depth_loss(log_m, unsure, batch.log_m))
    free_loss = ((picture - target[rows.painted]).abs().mean(1) * weights[rows.painted]).mean((1, 2))
    is_normals = torch.tensor([batch.tasks[i] == "normals" for i in free], device=target.device)
    free_loss = free_loss + COSINE_WEIGHT * cosine_loss(picture, target[rows.painted]) * is_normals
    return loss.index_add(0, rows.painted, free_loss)


def depth_loss(log_m: Tensor, unsure: Tensor, true: Tensor) -> Tensor:
    """Loss of depth: L1 of log depth and of its gradient, and binary cross entropy of the uncertainty.

    The gradient loss is the multi-scale gradient matching of MegaDepth (arXiv 1804.00607) on log depth.

    Args:
        log_m: (D, H, W) predicted natural logarithm of metres.
        unsure: (D, H, W) predicted logit of the uncertainty.
        true: (D, H, W) true natural logarithm of metres, NaN where unknown, inf on the sky.

    Returns:
        (D,) losses.
    """
    known = ~torch.isnan(true)
    target = true.nan_to_num(nan=0.0, posinf=MAX_LOG_DEPTH).clamp(max=MAX_LOG_DEPTH)
    # Beyond the maximum, every larger prediction is correct.
    error = torch.where(target >= MAX_LOG_DEPTH, (log_m - target).clamp(max=0), log_m - target) * known
    counted = known.float().sum((1, 2)).clamp(min=1)
    loss = error.abs().sum((1, 2)) / counted
    level_error, level_known = error, known
    for scale in range(GRADIENT_SCALES):
        if scale:
            level_error, level_known = level_error[:, ::2, ::2], level_known[:, ::2, ::2]
        across = (level_error[:, :, 1:] - level_error[:, :, :-1]).abs() * (
            level_known[:, :, 1:] & level_known[:, :, :-1]
        )
        down = (level_error[:, 1:] - level_error[:, :-1]).abs() * (level_known[:, 1:] & level_known[:, :-1])
        pairs = level_known.float().sum((1, 2)).clamp(min=1)
        loss = loss + GRADIENT_WEIGHT * (across.sum((1, 2)) + down.sum((1, 2))) / pairs
    readable = MAX_UNCERTAINTY * (1 - torch.exp(-error.detach().abs() / UNCERTAINTY_SCALE))
    uncertainty = torch.where(known, readable, torch.ones_like(readable))
    entropy = F.binary_cross_entropy_with_logits(unsure, uncertainty, reduction="none")
    return loss + UNCERTAINTY_WEIGHT * entropy.mean((1, 2))


def cosine_loss(answer: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cosine of normals over pixels with a surface.

    Args:
        answer: (N, 3, H, W) predicted image in -1..1.
        target: (N, 3, H, W) true image in -1..1.

    Returns:
        (N,) losses.
    """
    surface = target.square().sum(1) > 0.25
    cosine = F.cosine_similarity(answer, target, dim=1)
    return ((1 - cosine) * surface).sum((1, 2)) / surface.sum((1, 2)).clamp(min=1)


def choice_cross_entropy(
    scores: Tensor, target: Tensor, colors: Tensor, weights: Tensor, on_ramp: Tensor
) -> Tensor:
    """Weighted cross entropy over the output heads.

    A regression loss on RGB neglects rare classes: their prediction is a mean of many colours, where the
    gradient does not separate them. If several heads give the true colour, their probabilities are added.

    Args:
        scores: (N, 2 + K, h, w) logits of free regression, the ramp, and each colour of the prompt.
        target: (N, 3, h, w) image in -1..1.
        colors: (N, K, 4) RGB in 0..1, and 1 for a colour or 0 for padding.
        weights: (N, h, w) weights of the pixels.
        on_ramp: (N,) whether the whole target is on the ramp.

    Returns:
        (N,) losses.
    """
    named = colors[:, :, 3] > 0
    same = (
        (_squared_distances(target, colors[:, :, :3]) < SAME_COLOR)
        & named[:, :, None, None]
        & ~on_ramp[:, None, None, None]
    )
    ramp = on_ramp[:, None, None].expand(-1, *target.shape[2:])
    true = torch.cat([(~same.any(1) & ~ramp)[:, None], ramp[:, None], same], 1)
    entropy = scores.logsumexp(1) - scores.masked_fill(~true, -math.inf).logsumexp(1)
    return (entropy * weights).sum((1, 2)) / weights.sum((1, 2))


def pixel_weights(target: Tensor, batch: Batch) -> Tensor:
    """Weights of the pixels, (N, H, W), that balance rare classes and small masks with the background."""
    weights = target.new_ones(len(target), *target.shape[2:])
    if rows := [i for i, task in enumerate(batch.tasks) if task in ("referring", "instances")]:
        index = torch.tensor(rows, device=target.device)
        lit = target[index].amax(1) > -1
        share = lit.float().mean((1, 2), keepdim=True)
        more = (1 / share.clamp(min=0.01) - 2).clamp(0, MAX_MASK_WEIGHT - 1)
        weights = weights.index_copy(0, index, 1 + more * lit)
    if rows := [i for i, task in enumerate(batch.tasks) if task == "semantic"]:
        index = torch.tensor(rows, device=target.device)
        rare = class_weights(target[index], batch.palette[index])
        weights = weights.index_copy(0, index, rare / rare.mean((1, 2), keepdim=True))
    return weights


def class_weights(target: Tensor, palette: Tensor) -> Tensor:
    """Weights by class frequency: the square root of the inverse frequency, 1 for the most frequent class.

    Args:
        target: (N, 3, H, W) images in -1..1.
        palette: (N, K, 3) colours of the classes, RGB in 0..1.

    Returns:
        (N, H, W) weights in 1..MAX_CLASS_WEIGHT.
    """
    true = _squared_distances(target, palette).argmin(1).flatten(1)
    counts = target.new_zeros(palette.shape[:2]).scatter_add_(
        1, true, torch.ones_like(true, dtype=target.dtype)
    )
    weights = (counts.amax(1, keepdim=True) / counts.clamp(min=1)).sqrt().clamp(max=MAX_CLASS_WEIGHT)
    return weights.gather(1, true).view(target.shape[0], *target.shape[2:])


def _squared_distances(picture: Tensor, palette: Tensor) -> Tensor:
    """Squared RGB distances (0..3) of pixels to K colours, (N, K, H, W)."""
    # In bfloat16, the error of the product is larger than SAME_COLOR.
    with torch.autocast(picture.device.type, enabled=False):
        color, palette = picture.float() / 2 + 0.5, palette.float()
        product = torch.einsum("nchw,nkc->nkhw", color, palette)
        return color.square().sum(1, keepdim=True) - 2 * product + palette.square().sum(2)[:, :, None, None]
