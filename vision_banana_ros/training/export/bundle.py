# SPDX-License-Identifier: Apache-2.0
"""Exports a trained network as a bundle: ONNX graphs and a manifest (docs/explanation/generator.md).

Weights are stored in half precision and converted to single precision on loading. They keep the parameter
names of the network, so that the network can be rebuilt from the graphs.
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
from vision_banana_ros.training.own.answers import answers_at
from vision_banana_ros.training.own.sampler import read_network

OPSET = 20
LEVELS = ("fine", "middle", "coarse")  # names of the features at 1/4, 1/8 and 1/16


class _Image(nn.Module):
    """Maps an (H, W, 3) uint8 frame to features, with the frame as the sample of one-step inference."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = image.float().permute(2, 0, 1)[None] / 127.5 - 1  # TensorRT supports only casts of uint8
        return self.network.add_sample(self.network.encode_image(x), x)


class _Text(nn.Module):
    """Encodes tokenised prompts."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pieces: Tensor, colors: Tensor, mask: Tensor) -> Tensor:
        return self.network.encode_text(pieces, colors, mask)


class _Answer(nn.Module):
    """Maps features and N encoded prompts to (N, H, W, 3) float32 in 0..1."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        time = torch.ones(text.shape[0], device=text.device)
        painted = self.network.answer((fine, middle, coarse), time, text, mask)
        return (painted.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)


def export(
    weights: Path,
    out: Path,
    sizes: Sequence[tuple[int, int]],
    name: str,
    description: str,
    made: dict[str, Any],
    canvases: Sequence[tuple[int, int]] = (),
) -> None:
    """Exports a network as a bundle.

    Args:
        weights: Folder of the network in diffusers' format.
        out: Folder of the bundle; stale graphs in it are deleted.
        sizes: Resolutions (height, width) in pixels, the default first.
        name: Name of the bundle.
        description: Description for the manifest.
        made: How the weights were made, for the manifest.
        canvases: Resolutions (height, width) of the views that the network was trained on; by default
            `sizes`.

    Raises:
        InputError: The network cannot be read.
    """
    network = read_network(weights)
    out.mkdir(parents=True, exist_ok=True)
    for stale in (*out.glob("*.onnx"), *out.glob(PRECISION), *out.glob(REFERENCE)):
        stale.unlink()
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
        **asdict(answers_at(sizes[0], canvases or sizes)),
        "text_length": config.text_length,
        "text_buckets": config.text_buckets,
        "network": {name: config[name] for name in SHAPE},
        "made": made,
    }
    write_manifest(out, fields)
    add_reference(out)
    generators.open_bundle(out)


def export_random(like: Path, out: Path, size: tuple[int, int]) -> Path:
    """Exports a bundle with random weights, to measure speed.

    Args:
        like: Bundle with the configuration of the network.
        out: Folder of the new bundle.
        size: Height and width in pixels.

    Returns:
        `out`.
    """
    bundle = generators.open_bundle(like)
    torch.manual_seed(0)
    network = VisionBananaUNet(**bundle.manifest.network)
    with torch.no_grad():
        for parameter in network.parameters():  # equal zero initialisations would be merged in the graph
            parameter += 0.02 * torch.randn_like(parameter)
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        export(Path(folder), out, [size], out.name, "Random weights.", {})
    return out


def write_graphs(network: VisionBananaUNet, size: tuple[int, int], out: Path) -> None:
    """Exports the three graphs of the network, and the decoders.

    Args:
        network: The network, in evaluation mode.
        size: Height and width in pixels for tracing; the exported resolution is dynamic, in multiples of 16.
        out: Folder for the graphs.
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
    write_graph(
        _Image(network),
        {"image": frame},
        LEVELS,
        {"image": {0: 16 * rows, 1: 16 * columns}},
        out / "image.onnx",
    )
    write_graph(
        _Text(network),
        dict(zip(("pieces", "colors", "mask"), text, strict=True)),
        ("text",),
        {"pieces": each, "colors": each, "mask": each},
        out / "text.onnx",
    )
    # Two prompts of 50 tokens, more than MAX_PROMPT_COLORS: sizes that the exporter does not specialise as
    # constants.
    asked = {"text": torch.zeros(2, 50, network.token_channels), "mask": torch.ones(2, 50)}
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
    write_graph(
        decode_graphs.DecodeDepth(), {"rgb": rgb}, OUTPUTS["depth"], whole, out / DECODE_GRAPHS["depth"]
    )
    write_graph(
        decode_graphs.DecodeNormals(), {"rgb": rgb}, OUTPUTS["normals"], whole, out / DECODE_GRAPHS["normals"]
    )
    open_palette = {"palette": {0: colors}, **whole}
    write_graph(
        decode_graphs.DecodeSemantic(),
        semantic,
        OUTPUTS["semantic"],
        open_palette,
        out / DECODE_GRAPHS["semantic"],
    )
    write_graph(
        decode_graphs.DecodeReferring(),
        referring,
        OUTPUTS["referring"],
        whole,
        out / DECODE_GRAPHS["referring"],
    )


def write_graph(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    dynamic: dict[str, dict[int, Any]],
    path: Path,
    notes: dict[str, str] | None = None,
) -> None:
    """Exports a module as an ONNX graph with half-precision weights.

    Args:
        module: The module.
        inputs: Example inputs by name.
        outputs: Names of the outputs.
        dynamic: Dynamic dimensions of the inputs by name.
        path: The file to write.
        notes: Metadata of the graph.
    """
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
    assert program is not None  # is None only with the legacy exporter
    model = program.model_proto
    _name_weights(model.graph, module)
    _name_dimensions(model.graph)
    halve(model.graph)
    for node in model.graph.node:  # the exporter's metadata contains local paths
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, notes or {})
    onnx.save(model, path)


def _name_dimensions(graph: onnx.GraphProto) -> None:
    """Renames the dynamic dimensions of the features as in `frame_dimensions`; the exporter numbers them."""
    for value in graph.output:
        if value.name in LEVELS:
            share = 4 // 2 ** LEVELS.index(value.name)
            for dim, name in zip(value.type.tensor_type.shape.dim[2:], ("rows", "columns"), strict=True):
                dim.dim_param = f"{share}*{name}" if share > 1 else name


def _name_weights(graph: onnx.GraphProto, module: nn.Module) -> None:
    """Renames weights that the exporter transposed or reshaped to their parameter name."""
    parameters = {name: value.detach().numpy() for name, value in module.named_parameters()}
    missing = {
        name: value
        for name, value in parameters.items()
        if name not in {tensor.name for tensor in graph.initializer}
    }
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
    """The name of the parameter with these values, with a suffix if they are transposed."""
    for name, parameter in among.items():
        if parameter.size != values.size:
            continue
        if parameter.ndim == 2 and values.shape == parameter.T.shape and np.array_equal(values, parameter.T):
            return name + TRANSPOSED
        if np.array_equal(values.ravel(), parameter.ravel()):
            return name
    return None
