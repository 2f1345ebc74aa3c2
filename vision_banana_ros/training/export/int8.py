# SPDX-License-Identifier: Apache-2.0
"""8-bit graphs for CPUs: ranges measured on rendered scenes, kept only where the answers stay as good.

Convolutions and linear layers are counted in 8 bits (activations with one scale a layer, weights with one a channel), all but
the last convolution, which paints. Everything else stays in single precision: attention itself, normalising, the instruction.
`training.rows` lays the graphs out.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.splits import procedural
from vision_banana_ros.generators import load_generator, open_bundle
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION, Bundle, renew_manifest
from vision_banana_ros.generators.executors.torch import network_of
from vision_banana_ros.generators.own.network import VisionBananaUNet
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.training.data.questions import draw_samples
from vision_banana_ros.training.export.bundle import LEVELS, write_graph
from vision_banana_ros.training.export.int8_layout import OUT, SIDES, AnswerRows, ImageRows, Maker, Ranges

CALIBRATION_VIEWS = 24
VIEWS = 100  # of the procedural split, to judge by
FIRST_SEED = 900_000  # of worlds that are neither trained on nor measured on
MOST_GROWTH = 0.02
#: The figures that decide, and whether more of them is better.
FIGURES = {"absrel": ("depth", False), "mean_deg": ("normals", False), "miou": ("semantic", True)}


def add_int8(path: Path, views: int = VIEWS, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Give a bundle int8 graphs, measure both precisions on `views` of the procedural split, keep the graphs if they pass.

    Returns what goes into the bundle's precision.json: the figures of both, how much the errors grew, what was refused.
    """
    bundle = open_bundle(path)
    network = network_of(bundle)
    write_int8(network, bundle.manifest.size, measure_ranges(network, bundle), path)
    renew_manifest(path)
    figures = {}
    for precision in ("fp32", "int8"):
        perceiver = Perceiver(load_generator(path, f"onnxruntime:cpu-{precision}"))
        measured = evaluate(perceiver, procedural(views), progress)
        figures[precision] = {name: measured[task][name] for name, (task, _) in FIGURES.items()}
    refused = gate(figures["fp32"], figures["int8"])
    report = {"views": views, **figures, "growth": growth(figures["fp32"], figures["int8"]), "most": MOST_GROWTH, "refused": refused}
    (path / PRECISION).write_text(json.dumps({"int8": report}, indent=2) + "\n")
    if refused:
        for quantized in INT8_GRAPHS.values():
            (path / quantized).unlink()
    renew_manifest(path)
    return report


def gate(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Why a cheaper precision is refused, a sentence a figure: an error that is unknown, or more than MOST_GROWTH worse."""
    return [
        f"{name} goes from {before[name]:.4g} to {after[name]:.4g}, {100 * worse:.1f} % worse; {100 * MOST_GROWTH:g} % is allowed."
        for name, worse in growth(before, after).items()
        if not worse < MOST_GROWTH  # so that NaN is refused
    ]


def growth(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """How much worse each of FIGURES became, relative to before: 0.01 is one percent."""
    return {
        name: (before[name] - after[name] if more_is_better else after[name] - before[name]) / before[name]
        for name, (_, more_is_better) in FIGURES.items()
    }


def measure_ranges(network: VisionBananaUNet, bundle: Bundle) -> Ranges:
    """The least and the most that enters and leaves each convolution and linear layer, over CALIBRATION_VIEWS scenes."""
    ranges: Ranges = {}

    def widen(name: str, values: Tensor) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = min(low, values.min().item()), max(high, values.max().item())

    def watch(name: str) -> Callable[..., None]:
        def seen(_: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            widen(name, given[0])
            widen(name + OUT, made)

        return seen

    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers]
    try:
        with torch.inference_mode():
            for seed in range(FIRST_SEED, FIRST_SEED + CALIBRATION_VIEWS):
                _answer_all(network, bundle, seed)
    finally:
        for hook in hooks:
            hook.remove()
    return ranges


def _answer_all(network: VisionBananaUNet, bundle: Bundle, seed: int) -> None:
    """Everything that is asked about one view of the world `seed`."""
    manifest = bundle.manifest
    rng = np.random.default_rng(seed)
    world = make_world(seed)
    view = render(world, sample_camera(world, rng, manifest.size[1], manifest.size[0]), rng)
    x = torch.from_numpy(view.image).permute(2, 0, 1)[None] / 127.5 - 1
    features = network.add_sample(network.encode_image(x), x)
    for sample in draw_samples(view, rng):
        prompt = tokenize(sample.instruction, manifest.text_length, manifest.text_buckets)
        words = int(np.count_nonzero(prompt.mask))
        text = network.encode_text(*(torch.from_numpy(part[None]) for part in (prompt.pieces, prompt.colors, prompt.mask)))
        network.answer(features, torch.ones(1), text[:, :words], torch.ones(1, words))


def write_int8(network: VisionBananaUNet, size: tuple[int, int], ranges: Ranges, out: Path) -> None:
    """Write the network's int8 graphs for frames of `size` (height, width) into the folder `out`."""
    config = network.config
    with torch.no_grad():
        make = Maker(network, size, ranges)
        frame = {"image": torch.zeros(*size, 3, dtype=torch.uint8)}
        write_graph(ImageRows(make), frame, LEVELS, {}, out / INT8_GRAPHS["image.onnx"])
        widths = (channels + 9 * side**2 for channels, side in zip(config.channels, SIDES, strict=True))
        levels = zip(LEVELS, make.sizes, widths, strict=True)
        features = {name: torch.zeros(height * width, channels) for name, (height, width), channels in levels}
        asked = features | {"text": torch.zeros(1, 3, network.word)}
        words = {"text": {1: torch.export.Dim("words", min=2, max=config.text_length)}}
        write_graph(AnswerRows(make), asked, ("rgb",), words, out / INT8_GRAPHS["answer.onnx"])
    for graph in INT8_GRAPHS.values():
        _keep_once(out / graph)


def _keep_once(path: Path) -> None:
    """Layers of one size gather by the same indexes: keep those once."""
    model = onnx.load(path)
    first: dict[tuple[Any, ...], str] = {}
    same = {}
    for tensor in list(model.graph.initializer):
        name = first.setdefault((tensor.data_type, *tensor.dims, tensor.raw_data), tensor.name)
        if name != tensor.name:
            same[tensor.name] = name
            model.graph.initializer.remove(tensor)
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)
    onnx.save(model, path)
