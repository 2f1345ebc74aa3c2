# SPDX-License-Identifier: Apache-2.0
"""From a trained network to a bundle: ONNX graphs, pixels in and numbers out, and a manifest. docs/graphs.md describes them.

Weights are stored in half precision and widened when the graph is loaded: computing stays in single precision. They keep the
names of the network's parameters, so that the network itself can be made of the graphs again.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vision_banana_ros import generators
from vision_banana_ros.generators.bundle import METRICS, PRECISION, REFERENCE, write_manifest
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS, MAX_COLORS, OUTPUTS
from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.generators.own.tokenizer import PIECES
from vision_banana_ros.generators.own.weights import SHAPE, TRANSPOSED
from vision_banana_ros.training.export import decode_graphs
from vision_banana_ros.training.export.half_precision import halve
from vision_banana_ros.training.export.reference_answers import add_reference
from vision_banana_ros.training.own.answers import OWN_ANSWERS

OPSET = 20
LEVELS = ("fine", "middle", "coarse")  # of the features


class _Image(nn.Module):
    """(H, W, 3) uint8 frame -> features with the frame in them as the sample of the one step."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = image.float().permute(2, 0, 1)[None] / 127.5 - 1  # widened first: TensorRT does nothing else with uint8
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


def export(weights: Path, out: Path, sizes: Sequence[tuple[int, int]], name: str, description: str, made: dict[str, Any]) -> None:
    """Write the bundle `out` from the network in `weights` (diffusers' format); sizes are (height, width), the usual one first."""
    out.mkdir(parents=True, exist_ok=True)
    for stale in (*out.glob("*.onnx"), *out.glob(PRECISION), *out.glob(REFERENCE)):
        stale.unlink()
    network = VisionBananaUNet.from_pretrained(weights).eval()
    write_graphs(network, sizes[0], out)
    config = network.config
    metrics = out / METRICS
    if not metrics.is_file():
        metrics.write_text(json.dumps({}) + "\n")
    fields = {
        "name": name,
        "description": description,
        "licence": "Apache-2.0",
        "size": sizes[0],
        "canvases": sizes[1:],
        "steps": 1,
        **asdict(OWN_ANSWERS),
        "text_length": config.text_length,
        "text_buckets": config.text_buckets,
        "network": {name: config[name] for name in SHAPE},
        "made": made,
    }
    write_manifest(out, fields)
    add_reference(out)
    generators.open_bundle(out)


def export_random(like: Path, out: Path, size: tuple[int, int]) -> Path:
    """A bundle of the same network as the bundle `like`, of another size and with random weights: to measure time by."""
    bundle = generators.open_bundle(like)
    torch.manual_seed(0)
    network = VisionBananaUNet(**bundle.manifest.network)
    with torch.no_grad():
        for parameter in network.parameters():  # many start as equal zeros, which a graph would hold only once
            parameter += 0.02 * torch.randn_like(parameter)
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        export(Path(folder), out, [size], out.name, "Random weights.", {})
    return out


def write_graphs(network: VisionBananaUNet, size: tuple[int, int], out: Path) -> None:
    """Write the network's three graphs and the decoders into the folder `out`.

    They are traced with frames of `size` (height, width); their size stays open but for being multiples of 16.
    """
    config = network.config
    text = (
        torch.ones(2, config.text_length, PIECES, dtype=torch.long),
        torch.zeros(2, config.text_length, 4),
        torch.ones(2, config.text_length),
    )
    frame = torch.zeros(*size, 3, dtype=torch.uint8)
    with torch.no_grad():
        features = _Image(network)(frame)
    questions = torch.export.Dim("questions", min=1, max=64)
    words = torch.export.Dim("words", min=2, max=config.text_length)
    each, each_word = {0: questions}, {0: questions, 1: words}
    rows, columns = (torch.export.Dim(name, min=2, max=128) for name in ("rows", "columns"))
    spread = [{2: share * rows, 3: share * columns} for share in (4, 2)] + [{2: rows, 3: columns}]
    write_graph(_Image(network), {"image": frame}, LEVELS, {"image": {0: 16 * rows, 1: 16 * columns}}, out / "image.onnx")
    write_graph(
        _Text(network),
        dict(zip(("pieces", "colors", "mask"), text, strict=True)),
        ("text",),
        {"pieces": each, "colors": each, "mask": each},
        out / "text.onnx",
    )
    # Two questions of fifty words, more than there are colours: numbers that the exporter does not take for constants.
    asked = {"text": torch.zeros(2, 50, network.word), "mask": torch.ones(2, 50)}
    write_graph(
        _Answer(network),
        dict(zip(LEVELS, features, strict=True)) | asked,
        ("rgb",),
        {"text": each_word, "mask": each_word, **dict(zip(LEVELS, spread, strict=True))},
        out / "answer.onnx",
        {"words": str(config.text_length)},
    )
    rgb = torch.zeros(*size, 3)
    colors = torch.export.Dim("colors", min=2, max=MAX_COLORS)
    semantic = {"rgb": rgb, "palette": torch.zeros(3, 3)}
    referring = {"rgb": rgb, "palette": torch.zeros(2, 3)}
    whole = {"rgb": {0: 16 * rows, 1: 16 * columns}}
    write_graph(decode_graphs.DecodeDepth(), {"rgb": rgb}, OUTPUTS["depth"], whole, out / DECODE_GRAPHS["depth"])
    write_graph(decode_graphs.DecodeNormals(), {"rgb": rgb}, OUTPUTS["normals"], whole, out / DECODE_GRAPHS["normals"])
    open_palette = {"palette": {0: colors}, **whole}
    write_graph(decode_graphs.DecodeSemantic(), semantic, OUTPUTS["semantic"], open_palette, out / DECODE_GRAPHS["semantic"])
    write_graph(decode_graphs.DecodeReferring(), referring, OUTPUTS["referring"], whole, out / DECODE_GRAPHS["referring"])


def write_graph(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    dynamic: dict[str, dict[int, Any]],
    path: Path,
    notes: dict[str, str] | None = None,
) -> None:
    """Write `module` as a graph of these inputs' shapes. dynamic: input -> dimensions that stay open; notes: its metadata."""
    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple(dynamic.get(name) for name in inputs),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # only None with the legacy exporter
    model = program.model_proto
    _name_weights(model.graph, module)
    _name_dimensions(model.graph)
    halve(model.graph)
    for node in model.graph.node:  # the exporter's notes name folders of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, notes or {})
    onnx.save(model, path)


def _name_dimensions(graph: onnx.GraphProto) -> None:
    """Give the features' open dimensions the names that `frame_dimensions` knows; the exporter numbers them in outputs."""
    for value in graph.output:
        if value.name in LEVELS:
            share = 4 // 2 ** LEVELS.index(value.name)
            for dim, name in zip(value.type.tensor_type.shape.dim[2:], ("rows", "columns"), strict=True):
                dim.dim_param = f"{share}*{name}" if share > 1 else name


def _name_weights(graph: onnx.GraphProto, module: nn.Module) -> None:
    """Give weights that the exporter transposed or reshaped the name of their parameter again."""
    parameters = {name: value.detach().numpy() for name, value in module.named_parameters()}
    missing = {name: value for name, value in parameters.items() if name not in {tensor.name for tensor in graph.initializer}}
    renamed: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name in parameters or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        found = _parameter(onnx.numpy_helper.to_array(tensor), missing)
        if found is not None:
            renamed[tensor.name] = found
            tensor.name = found
            del missing[found.removesuffix(TRANSPOSED)]
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)


def _parameter(values: np.ndarray, among: dict[str, np.ndarray]) -> str | None:
    """The name of the parameter that has these values, marked where they are transposed."""
    for name, parameter in among.items():
        if parameter.size != values.size:
            continue
        if parameter.ndim == 2 and values.shape == parameter.T.shape and np.array_equal(values, parameter.T):
            return name + TRANSPOSED
        if np.array_equal(values.ravel(), parameter.ravel()):
            return name
    return None
