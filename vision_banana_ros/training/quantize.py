# SPDX-License-Identifier: Apache-2.0
"""8-bit weights for CPUs: ranges measured on rendered scenes, kept only where the answers stay as good.

Convolutions and linear layers are counted in 8 bits (activations with one scale a tensor, weights with one a channel), all but
the first convolutions and the last one, which paints. Everything else stays in single precision: attention itself, normalising,
the instruction.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.splits import procedural
from vision_banana_ros.generators import load_generator, open_bundle
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION, Bundle, renew_manifest
from vision_banana_ros.generators.executors.onnxruntime import OnnxRuntimeExecutor, load
from vision_banana_ros.generators.prompt import tokenize
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.training.half import halve, widen
from vision_banana_ros.training.questions import draw_samples

CALIBRATION_VIEWS = 24
VIEWS = 100  # of the procedural split, to judge by
FIRST_SEED = 900_000  # of worlds that are neither trained on nor measured on
MOST_GROWTH = 0.02
#: The figures that decide, and whether more of them is better.
FIGURES = {"absrel": ("depth", False), "mean_deg": ("normals", False), "miou": ("semantic", True)}
QUANTIZED = ("Conv", "MatMul")
FLOAT_CONVOLUTIONS = ("image_stem", "sample_stem", "answer_out")


def add_int8(path: Path, views: int = VIEWS, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Give a bundle int8 graphs, measure both precisions on `views` of the procedural split, keep the graphs if they pass.

    Returns what goes into the bundle's precision.json: the figures of both, how much the errors grew, what was refused.
    """
    bundle = open_bundle(path)
    executor = load(bundle, ("cpu", "fp32"))
    feeds = {"image.onnx": [], "answer.onnx": []}  # type: dict[str, list[dict[str, np.ndarray]]]
    for image, answer in _calibration(bundle, executor):
        feeds["image.onnx"].append(image)
        feeds["answer.onnx"] += answer
    for graph, quantized in INT8_GRAPHS.items():
        _quantize(path / graph, path / quantized, feeds[graph])
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


def _calibration(
    bundle: Bundle, executor: OnnxRuntimeExecutor
) -> Iterator[tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]]:
    """What goes into the image graph, and into the answer graph for each question about that image."""
    manifest = bundle.manifest
    for seed in range(FIRST_SEED, FIRST_SEED + CALIBRATION_VIEWS):
        rng = np.random.default_rng(seed)
        world = make_world(seed)
        view = render(world, sample_camera(world, rng, manifest.size[1], manifest.size[0]), rng)
        levels = dict(zip(("fine", "middle", "coarse"), executor.encode_image(view.image), strict=True))
        asked = []
        for sample in draw_samples(view, rng):
            prompt = tokenize(sample.instruction, manifest.text_length, manifest.text_buckets)
            text = executor.encode_text(prompt.pieces[None], prompt.colors[None], prompt.mask[None])
            words = int(np.count_nonzero(prompt.mask))
            asked.append({**levels, "text": text[:, :words], "mask": prompt.mask[None, :words]})
        yield {"image": view.image}, asked


class _Feeds(CalibrationDataReader):
    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _quantize(graph: Path, out: Path, feeds: list[dict[str, np.ndarray]]) -> None:
    model = onnx.load(graph)
    widen(model.graph)
    weights = {tensor.name for tensor in model.graph.initializer}
    stays = [
        node.name
        for node in model.graph.node
        if node.op_type in QUANTIZED and (node.input[1] not in weights or any(name in node.input[1] for name in FLOAT_CONVOLUTIONS))
    ]
    logging.disable(logging.WARNING)  # it advises a preparation that this graph has had
    try:
        quantize_static(
            model,
            out,
            _Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=stays,
        )
    finally:
        logging.disable(logging.NOTSET)
    quantized = onnx.load(out)
    halve(quantized.graph)
    onnx.save(quantized, out)
