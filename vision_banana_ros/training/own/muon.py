# SPDX-License-Identifier: Apache-2.0
"""The Muon optimiser: momentum with orthogonalised updates.

By Jordan et al., https://kellerjordan.github.io/posts/muon, with the update scale of Moonlight (arXiv
2502.16982, eq. 4), so that learning rates and weight decay for Adam can be used. torch.optim.Muon supports no
convolutions and processes matrices one by one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for weights of two or more dimensions, flattened to matrices (first dimension by all others).

    The state of a weight is "momentum", with the shape and memory format of the weight.

    Args:
        weights: The parameters.
        lr: Learning rate.
        momentum: Coefficient of the Nesterov momentum.
        weight_decay: Coefficient of decoupled weight decay.
    """

    def __init__(
        self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Updates all weights that have a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes[weight.shape[0], weight[0].numel()].append(weight)
            for (rows, columns), weights in shapes.items():
                gradients = [_matrix(weight.grad) for weight in weights if weight.grad is not None]
                momenta = [
                    _matrix(self.state[weight].setdefault("momentum", torch.zeros_like(weight)))
                    for weight in weights
                ]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov momentum
                updates = orthogonal(torch.stack(ahead)).to(weights[0].dtype).unbind()
                matrices = [_matrix(weight) for weight in weights]
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, updates, alpha=-group["lr"] * 0.2 * max(rows, columns) ** 0.5)


def orthogonal(matrices: Tensor) -> Tensor:
    """Orthogonalises matrices by Newton-Schulz iteration.

    Args:
        matrices: (N, R, C).

    Returns:
        (N, R, C) bfloat16 with the same singular vectors and singular values of about 1 (0.7 to 1.2).
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _matrix(weight: Tensor) -> Tensor:
    """A view (R, C) of a weight; columns are in memory order, which does not affect the result."""
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        weight = weight.permute(0, 2, 3, 1)
    return weight.view(weight.shape[0], -1)
