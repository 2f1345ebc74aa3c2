# SPDX-License-Identifier: Apache-2.0
"""An editor's three networks as ONNX graphs of fixed shapes.

Frame to latents, one step, latents to picture.
"""

from pathlib import Path

import torch
from torch import nn

from vision_banana_ros.generators.backbones.run_onnx import GRAPHS

OPSET = 20
LARGEST = 1_800_000_000  # bytes; a graph file may not pass 2 GiB, and keeps larger weights beside it


def write_graphs(
    networks: tuple[nn.Module, nn.Module, nn.Module],
    size: tuple[int, int],
    latents: tuple[int, ...],
    prompt: dict[str, list[int]],
    out: Path,
) -> None:
    """Write GRAPHS into `out`.

    Latents: the shape without the first axis. prompt: shapes of one encoded instruction.
    """
    encoder, denoiser, decoder = networks
    # one tensor given twice would be exported as one input
    x, frame = torch.zeros(1, *latents), torch.zeros(1, *latents)
    words = {name: torch.zeros(1, *shape) for name, shape in prompt.items()}
    _write(encoder, {"image": torch.zeros(*size, 3, dtype=torch.uint8)}, "frame", out / GRAPHS[0])
    _write(denoiser, {"x": x, "frame": frame, "time": torch.ones(1), **words}, "velocity", out / GRAPHS[1])
    _write(decoder, {"x": x}, "rgb", out / GRAPHS[2])


def _write(module: nn.Module, inputs: dict[str, torch.Tensor], output: str, path: Path) -> None:
    module = module.cpu().eval().requires_grad_(False)
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=[output],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # only None with the legacy exporter
    for node in program.model.graph.all_nodes():  # the exporter's notes name folders of this machine
        node.metadata_props.clear()
        node.doc_string = None
    weights = sum(value.numel() * value.element_size() for value in (*module.parameters(), *module.buffers()))
    program.save(path, external_data=weights > LARGEST)
