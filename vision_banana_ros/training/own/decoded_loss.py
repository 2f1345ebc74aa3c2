# SPDX-License-Identifier: Apache-2.0
"""How wrong an answer is once it is decoded, softly enough to learn from: a guide beside the loss on the picture.

A picture's error treats all channels alike; a decoder does not. Half a colour off the cube's walk is nothing across it
and metres along it, and a class is right or wrong. All errors are 0 for the truth and of the order of 1.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_banana_ros.training.data.batches import NO_COLOR
from vision_banana_ros.training.data.questions import CUBE_WALK

SHARPNESS = 30.0  # of the choice: halfway to a colour 80/255 away the loss falls most steeply, and it is 0.05 at the truth
RAREST = 8.0  # times that a pixel of a rare class counts at most as much as one of the commonest
WORST = 7.4  # factor of depth, either way, beyond which it counts no more
SAME = 1e-4  # squared distance, 0..3, of colours that are one: 2.5 of 255
NEAR_M, FAR_WALK = 0.05, 0.985  # depth below and walk above (71 m) which differences no longer count


def decoded_error(answer: Tensor, target: Tensor, tasks: list[str], palette: Tensor, times: Tensor) -> Tensor:
    """(N,) mean decoded error; pictures in -1..1. 0 for captions, edits, and depth along other colour maps.

    times: (N, H, W), how much a pixel of classes or masks counts.
    """
    errors = answer.new_zeros(len(tasks))
    kinds = {"depth": _depth, "normals": _normals, "semantic": _class, "referring": _choice, "instances": _choice}
    for error in dict.fromkeys(kinds.values()):
        if rows := [i for i, task in enumerate(tasks) if kinds.get(task) is error]:
            index = torch.tensor(rows, device=answer.device)
            errors = errors.index_copy(0, index, error(answer[index], target[index], palette[index], times[index]))
    return errors


def _depth(answer: Tensor, target: Tensor, palette: Tensor, times: Tensor) -> Tensor:
    """Metric depth's error over the true depth (AbsRel), where the colours are those of the cube's walk.

    Along the walk, a factor at 0.3 m is a fifth of the way that it is at 5 m; over depth, what is near counts as much.
    """
    on_cube = palette[:, 0, 0] < NO_COLOR
    walk = torch.tensor(CUBE_WALK, device=answer.device) / 255
    factor = (_depth_m(answer, walk) / _depth_m(target, walk)).clamp(1 / WORST, WORST)
    return (factor - 1).abs().mean((1, 2)) * on_cube


def _depth_m(picture: Tensor, corners: Tensor) -> Tensor:
    """Depth in metres, NEAR_M more than it is, at the nearest point of the walk along the `corners`, (8, 3)."""
    color = (picture / 2 + 0.5).clamp(0, 1)
    walks, distances = [], []
    for k in range(7):
        start = corners[k, :, None, None]
        edge = corners[k + 1, :, None, None] - start
        along = ((color - start) * edge).sum(1, keepdim=True).clamp(0, 1)
        distances.append((color - start - along * edge).square().sum(1))
        walks.append((k + along[:, 0]) / 7)
    nearest = torch.stack(distances).argmin(0, keepdim=True)
    walk = torch.stack(walks).gather(0, nearest)[0].clamp(0, FAR_WALK)
    return 10 * ((1 - walk) ** -0.5 - 1) + NEAR_M


def _normals(answer: Tensor, target: Tensor, palette: Tensor, times: Tensor) -> Tensor:
    """(1 - cosine) / 2 where there is a surface."""
    surface = target.square().sum(1) > 0.25
    cosine = F.cosine_similarity(answer, target, dim=1)
    return ((1 - cosine) / 2 * surface).sum((1, 2)) / surface.sum((1, 2)).clamp(min=1)


def _class(answer: Tensor, target: Tensor, palette: Tensor, times: Tensor) -> Tensor:
    """How much nearer a colour is to another class's than to that of the true one, squared, and the chance of reading another.

    The first, the cross entropy of the choice, leads out of a wrong class too, where the chance is flat; alone it pays for colours
    between those of likely classes, which are a third class's or none. The chance pays for the likeliest class itself.
    """
    surprise = _surprise(answer, target, palette)
    wrong = surprise / SHARPNESS + 1 - torch.exp(-surprise)
    return (wrong * times).sum((1, 2)) / times.sum((1, 2))


def _choice(answer: Tensor, target: Tensor, palette: Tensor, times: Tensor) -> Tensor:
    """Chance of reading another colour of the palette than the true one."""
    wrong = 1 - torch.exp(-_surprise(answer, target, palette))
    return (wrong * times).sum((1, 2)) / times.sum((1, 2))


def _surprise(answer: Tensor, target: Tensor, palette: Tensor) -> Tensor:
    """(N, H, W) cross entropy of the choice among the palette's colours."""
    return F.cross_entropy(-SHARPNESS * _distances(answer, palette), _true(target, palette), reduction="none")


def copied_wrongly(scores: Tensor, target: Tensor, colors: Tensor, times: Tensor) -> Tensor:
    """(N,) how unlikely the true picture is to be copied, its cross entropy; 0 where no colour is named.

    A colour's error alone starves what is rare: between many colours it is painted in their mean, where nothing that tells it
    from its like makes the picture better. Choosing among the colours themselves does.

    scores: (N, 1 + T, h, w) as the network paints by; target: (N, 3, h, w), -1..1; colors: (N, T, 4), 0..1 and whether a word
    is one; times: (N, h, w), how much a pixel counts.
    """
    named = colors[:, :, 3] > 0
    with torch.autocast(target.device.type, enabled=False):  # in bfloat16, near colours would be taken for one another
        same = (_distances(target, colors[:, :, :3]) < SAME) & named[:, :, None, None]
    true = torch.cat([~same.any(1, keepdim=True), same], 1)
    surprise = scores.logsumexp(1) - scores.masked_fill(~true, -math.inf).logsumexp(1)
    return (surprise * times).sum((1, 2)) / times.sum((1, 2))


def rarity(target: Tensor, palette: Tensor) -> Tensor:
    """(N, H, W) how much a pixel counts: 1 for the commonest colour of its picture, more for rarer ones by the root of how rare.

    Every pixel alike, a network learns walls and floors and paints things of a hundredth of the picture as what is behind them.
    """
    true = _true(target, palette).flatten(1)
    counts = target.new_zeros(palette.shape[:2]).scatter_add_(1, true, torch.ones_like(true, dtype=target.dtype))
    times = (counts.amax(1, keepdim=True) / counts.clamp(min=1)).sqrt().clamp(max=RAREST)
    return times.gather(1, true).view(target.shape[0], *target.shape[2:])


def _true(target: Tensor, palette: Tensor) -> Tensor:
    """(N, H, W) which of the palette's colours a pixel has."""
    return _distances(target, palette).argmin(1)


def _distances(picture: Tensor, palette: Tensor) -> Tensor:
    """(N, K, H, W) squared RGB distances, 0..3, of the pixels to K colours."""
    color = picture / 2 + 0.5
    product = torch.einsum("nchw,nkc->nkhw", color, palette)
    return color.square().sum(1, keepdim=True) - 2 * product + palette.square().sum(2)[:, :, None, None]
