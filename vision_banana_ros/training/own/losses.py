# SPDX-License-Identifier: Apache-2.0
"""What is learnt from: how wrong the answers of one step are, and the flow of pictures from captions and edits.

The picture's own error treats all channels alike; what it is read as does not. So depth is compared in log of metres,
normals by angle, and flat colours (classes, masks) by the choice among those that the instruction names.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_banana_ros.generators.own.network import PATCH, Meant, VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, pixels
from vision_banana_ros.training.own import rectified_flow as flow

RAREST = 8.0  # times that a pixel of a rare class counts at most as much as one of the commonest
MOST_LIT = 3.0  # times that a pixel of a mask counts at most as much as one of the background
SAME = 1e-4  # squared distance, 0..3, of colours that are one: 2.5 of 255
FARTHEST = math.log(100.0)  # log of metres beyond which distances are not told apart
EDGES = 0.5  # weight of the gradient of depth's error beside the error
EDGE_SCALES = 3
UNSURE_AT = 0.3  # error of log depth at which uncertainty has risen to 63 % of its most
UNSURE_MOST = 0.35  # uncertainty of what can be read, however wrong; from 0.5 on a decoder reads nothing
UNSURE = 0.3  # weight of the uncertainty's cross entropy
ANGLE = 1.0  # weight of 1 - cosine beside the picture's error of normals
CHOICE = 0.5  # weight of the choice among ways of painting
FLAT = ("semantic", "referring")  # tasks that are answered in colours of the instruction alone


@dataclass(frozen=True, slots=True)
class Rows:
    """Which samples of a batch are painted in full, and which are depth along the ramp."""

    painted: Tensor
    ramps: Tensor


class Painting(nn.Module):
    """The whole network as one call, as several processes need it."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, batch: Batch, rows: Rows, sample: Tensor | None = None, time: Tensor | None = None
    ) -> tuple[Meant, Tensor, Tensor, Tensor]:
        """What is meant for all samples; pictures of the rows painted; log of metres and uncertainty of the ramps.

        Without a sample: in one step from the frame. Classes and masks are learnt from what is meant, so most pictures need
        not be painted.
        """
        network, image = self.network, pixels(batch.image).contiguous(memory_format=torch.channels_last)
        # On a CPU the backward pass of depthwise convolutions is a hundred times slower in bfloat16.
        with torch.autocast(image.device.type, enabled=image.device.type == "cuda"):
            levels = network.image_encoder(image)
        features = network.image_neck(levels)
        if sample is None:
            features = network.add_sample(features, image)
        edges = network.edges(features)
        fine, middle, coarse = (level[batch.of] for level in features)
        if sample is not None:
            fine, middle, coarse = network.add_sample((fine, middle, coarse), sample)
        if time is None:
            time = torch.ones(len(batch.of), device=image.device)
        text = network.encode_text(batch.pieces, batch.colors, batch.mask)
        meant = network.mean((fine, middle, coarse), time, text, batch.mask)
        painted, ramps = _one_or_more(rows.painted), _one_or_more(rows.ramps)
        picture = network.paint(Meant(*(part[painted] for part in meant)), edges[batch.of[painted]])
        log_m, unsure = network.distance(meant.features[ramps], edges[batch.of[ramps]])
        return meant, picture[: len(rows.painted)], log_m[: len(rows.ramps)], unsure[: len(rows.ramps)]


def _one_or_more(rows: Tensor) -> Tensor:
    """Rows, or the first of all where there are none: shuffling the pixels of no picture has no gradient."""
    return rows if len(rows) else rows.new_zeros(1)


def losses(painting: nn.Module, batch: Batch) -> Tensor:
    """(N,) the losses of a batch's samples."""
    target = pixels(batch.target)
    if batch.asks:
        return answered(painting, target, batch)
    time = flow.draw_times(len(target), target.device)
    everything = torch.arange(len(target), device=target.device)
    sample = flow.between(target, torch.randn_like(target), time)
    _, picture, _, _ = painting(batch, Rows(everything, everything[:0]), sample, time)
    return flow.loss(picture.float(), target, time)


def answered(painting: nn.Module, target: Tensor, batch: Batch) -> Tensor:
    """(N,) the losses of answers in one step."""
    free = [i for i, task in enumerate(batch.tasks) if task not in FLAT and i not in batch.ramps]
    rows = Rows(
        torch.tensor(free, device=target.device, dtype=torch.long), torch.tensor(batch.ramps, device=target.device, dtype=torch.long)
    )
    meant, picture, log_m, unsure = painting(batch, rows)
    times = _times(target, batch)
    on_ramp = torch.zeros(len(target), dtype=torch.bool, device=target.device).index_fill(0, rows.ramps, True)
    row, column = torch.randint(PATCH, (2,)).tolist()
    thin = (..., slice(row, None, PATCH), slice(column, None, PATCH))
    loss = CHOICE * chosen_wrongly(meant.scores, target[thin], meant.colors, times[thin], on_ramp)
    loss = loss.index_add(0, rows.ramps, depth_error(log_m, unsure, batch.log_m))
    wrong = ((picture - target[rows.painted]).abs().mean(1) * times[rows.painted]).mean((1, 2))
    directions = torch.tensor([batch.tasks[i] == "normals" for i in free], device=target.device)
    wrong = wrong + ANGLE * angle_error(picture, target[rows.painted]) * directions
    return loss.index_add(0, rows.painted, wrong)


def depth_error(log_m: Tensor, unsure: Tensor, true: Tensor) -> Tensor:
    """(D,) error of the log of metres, of its gradient, and of the uncertainty that was given for it.

    Args:
        log_m: (D, H, W) log of metres, as painted.
        unsure: (D, H, W) logit of the uncertainty.
        true: (D, H, W) NaN where unknown, inf on the sky.
    """
    known = ~torch.isnan(true)
    far = true.nan_to_num(nan=0.0, posinf=FARTHEST).clamp(max=FARTHEST)
    # Beyond the farthest, any distance from there on is right.
    error = torch.where(far >= FARTHEST, (log_m - far).clamp(max=0), log_m - far) * known
    counted = known.float().sum((1, 2)).clamp(min=1)
    loss = error.abs().sum((1, 2)) / counted
    each, there = error, known
    for scale in range(EDGE_SCALES):
        if scale:
            each, there = each[:, ::2, ::2], there[:, ::2, ::2]
        across = (each[:, :, 1:] - each[:, :, :-1]).abs() * (there[:, :, 1:] & there[:, :, :-1])
        down = (each[:, 1:] - each[:, :-1]).abs() * (there[:, 1:] & there[:, :-1])
        pairs = there.float().sum((1, 2)).clamp(min=1)
        loss = loss + EDGES * (across.sum((1, 2)) + down.sum((1, 2))) / pairs
    wrong = UNSURE_MOST * (1 - torch.exp(-error.detach().abs() / UNSURE_AT))
    told = torch.where(known, wrong, torch.ones_like(wrong))
    return loss + UNSURE * F.binary_cross_entropy_with_logits(unsure, told, reduction="none").mean((1, 2))


def angle_error(answer: Tensor, target: Tensor) -> Tensor:
    """(N,) 1 - cosine where there is a surface; pictures (N, 3, H, W) in -1..1."""
    surface = target.square().sum(1) > 0.25
    cosine = F.cosine_similarity(answer, target, dim=1)
    return ((1 - cosine) * surface).sum((1, 2)) / surface.sum((1, 2)).clamp(min=1)


def chosen_wrongly(scores: Tensor, target: Tensor, colors: Tensor, times: Tensor, on_ramp: Tensor) -> Tensor:
    """(N,) cross entropy of the choice among ways of painting.

    A colour's error alone starves what is rare: between many colours it is painted in their mean, where nothing that tells
    it from its like makes the picture better. Choosing among the colours themselves does.

    Args:
        scores: (N, 2 + K, h, w) of painting freely, on the ramp, and in each colour.
        target: (N, 3, h, w), -1..1.
        colors: (N, K, 4), 0..1 and whether it is one.
        times: (N, h, w), how much a pixel counts.
        on_ramp: (N,) whether the picture is on the ramp all over.
    """
    named = colors[:, :, 3] > 0
    same = (_distances(target, colors[:, :, :3]) < SAME) & named[:, :, None, None] & ~on_ramp[:, None, None, None]
    ramp = on_ramp[:, None, None].expand(-1, *target.shape[2:])
    true = torch.cat([(~same.any(1) & ~ramp)[:, None], ramp[:, None], same], 1)
    surprise = scores.logsumexp(1) - scores.masked_fill(~true, -math.inf).logsumexp(1)
    return (surprise * times).sum((1, 2)) / times.sum((1, 2))


def _times(target: Tensor, batch: Batch) -> Tensor:
    """(N, H, W) how much each pixel counts: what is rare or small would be lost among walls, floors and background."""
    times = target.new_ones(len(target), *target.shape[2:])
    if rows := [i for i, task in enumerate(batch.tasks) if task in ("referring", "instances")]:
        index = torch.tensor(rows, device=target.device)
        lit = target[index].amax(1) > -1
        share = lit.float().mean((1, 2), keepdim=True)
        more = (1 / share.clamp(min=0.01) - 2).clamp(0, MOST_LIT - 1)
        times = times.index_copy(0, index, 1 + more * lit)
    if rows := [i for i, task in enumerate(batch.tasks) if task == "semantic"]:
        index = torch.tensor(rows, device=target.device)
        rare = rarity(target[index], batch.palette[index])
        times = times.index_copy(0, index, rare / rare.mean((1, 2), keepdim=True))
    return times


def rarity(target: Tensor, palette: Tensor) -> Tensor:
    """(N, H, W) how much a pixel counts: 1 for the commonest colour of its picture, more for rarer ones by the root of how rare."""
    true = _distances(target, palette).argmin(1).flatten(1)
    counts = target.new_zeros(palette.shape[:2]).scatter_add_(1, true, torch.ones_like(true, dtype=target.dtype))
    times = (counts.amax(1, keepdim=True) / counts.clamp(min=1)).sqrt().clamp(max=RAREST)
    return times.gather(1, true).view(target.shape[0], *target.shape[2:])


def _distances(picture: Tensor, palette: Tensor) -> Tensor:
    """(N, K, H, W) squared RGB distances, 0..3, of the pixels to K colours."""
    color = picture / 2 + 0.5
    product = torch.einsum("nchw,nkc->nkhw", color, palette)
    return color.square().sum(1, keepdim=True) - 2 * product + palette.square().sum(2)[:, :, None, None]
