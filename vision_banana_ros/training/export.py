# SPDX-License-Identifier: Apache-2.0
"""From a trained network to a bundle: three ONNX graphs, pixels in and pixels out, and a manifest.

Weights are stored in half precision and widened when the graph is loaded: computing stays in single precision.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vision_banana_ros import generators
from vision_banana_ros.generators.bundle import METRICS, write_manifest
from vision_banana_ros.generators.network import VisionBananaUNet
from vision_banana_ros.generators.prompt import PIECES
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.training.questions import LEGEND

OPSET = 20
HALVED_FROM = 1024  # elements: smaller tensors stay as they are
DEPTH_RANGE_M = (0.1, 100.0)  # what the scenes show


class _Image(nn.Module):
    """(H, W, 3) uint8 frame -> features with the frame in them as the sample of the one step."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = image.permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.network.add_sample(self.network.encode_image(x), x)


class _Text(nn.Module):
    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        return self.network.encode_text(pieces, colors, mask)


class _Answer(nn.Module):
    """Features and N instructions -> (N, H, W, 3) float32 in 0..1."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        time = torch.ones(text.shape[0], device=text.device)
        painted = self.network.answer((fine, middle, coarse), time, text, mask)
        return (painted.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)


def export(weights: Path, out: Path, size: tuple[int, int], name: str, description: str, made: dict[str, Any]) -> None:
    """Write the bundle `out` from the network in `weights` (diffusers' format); size is (height, width)."""
    network = VisionBananaUNet.from_pretrained(weights).eval()
    out.mkdir(parents=True, exist_ok=True)
    config = network.config
    text = (
        torch.ones(2, config.text_length, PIECES, dtype=torch.long),
        torch.zeros(2, config.text_length, 4),
        torch.ones(2, config.text_length),
    )
    frame = torch.zeros(*size, 3, dtype=torch.uint8)
    with torch.no_grad():
        features = _Image(network)(frame)
        encoded = network.encode_text(*text)
    questions = torch.export.Dim("questions", min=1, max=64)
    _write_graph(_Image(network), (frame,), ("image",), ("fine", "middle", "coarse"), None, out / "image.onnx")
    each = {0: questions}
    _write_graph(_Text(network), text, ("pieces", "colors", "mask"), ("text",), (each, each, each), out / "text.onnx")
    _write_graph(
        _Answer(network),
        (*features, encoded, text[2]),
        ("fine", "middle", "coarse", "text", "mask"),
        ("rgb",),
        (None, None, None, each, each),
        out / "answer.onnx",
    )
    metrics = out / METRICS
    if not metrics.is_file():
        metrics.write_text(json.dumps({}) + "\n")
    fields = {
        "name": name,
        "description": description,
        "licence": "Apache-2.0",
        "tasks": sorted(TASKS),
        "codec": "vision_banana",
        "size": size,
        "steps": 1,
        "depth_range_m": DEPTH_RANGE_M,
        "legend": LEGEND,
        "text_length": config.text_length,
        "text_buckets": config.text_buckets,
        "made": made,
    }
    write_manifest(out, fields)
    generators.open_bundle(out)


def _write_graph(module: nn.Module, example: tuple, inputs: tuple, outputs: tuple, dynamic: tuple | None, path: Path) -> None:
    program = torch.onnx.export(
        module.eval(),
        example,
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=dynamic,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # only None with the legacy exporter
    model = program.model_proto
    _halve(model.graph)
    for node in model.graph.node:  # the exporter's notes name folders of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.save(model, path)


def _halve(graph: onnx.GraphProto) -> None:
    """Keep large float weights as float16 and a Cast, which runtimes fold away while loading."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < HALVED_FROM:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for i, cast in enumerate(casts):
        graph.node.insert(i, cast)
