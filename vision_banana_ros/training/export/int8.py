# SPDX-License-Identifier: Apache-2.0
"""Quantises the graphs of a bundle to int8 for CPUs, and keeps them only if the accuracy is preserved.

Static quantisation by ONNX Runtime: ranges are calibrated on rendered scenes; activations are quantised per
tensor and weights per channel. Convolutions and linear layers are quantised, except for the output heads;
everything else remains in single precision.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.splits import procedural
from vision_banana_ros.generators import load_generator
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION, renew_manifest
from vision_banana_ros.generators.executors.onnxruntime import OnnxRuntimeExecutor
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.training.export.half_precision import halve, widen

CALIBRATION_VIEWS = 16
VIEWS = 100  # of the procedural split, for the accuracy check
FIRST_CALIBRATION_SEED = 900_000  # of worlds that are used neither for training nor for evaluation
MAX_ERROR_GROWTH = 0.02  # relative to fp32
#: The metrics of the accuracy check: task, and whether higher is better.
FIGURES = {"absrel": ("depth", False), "mean_deg": ("normals", False), "miou": ("semantic", True)}
#: Weights whose name contains one of these remain in single precision: output heads, upsampling weights, and
#: the first layers of the encoder, which make nearly all of the error in int8 and little of the time.
FP32_WEIGHTS = (
    "answer_out", "answer_coarse", "answer_distance", "answer_ways", "image_neck.shares",
    "image_encoder.stem", "image_encoder.stages.0", "image_encoder.stages.1",
)  # fmt: skip
QUANTIZED_OPERATORS = ("Conv", "MatMul", "Gemm")


def add_int8(
    path: Path, views: int = VIEWS, progress: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Adds int8 graphs to a bundle, and deletes them again if they fail the accuracy check.

    Args:
        path: Folder of the bundle.
        views: Number of views of the procedural split for the check.
        progress: Called with the number of evaluated views.

    Returns:
        The content of precision.json: metrics of both precisions, relative growth of the errors, and reasons
        for rejection.
    """
    write_int8(path)
    renew_manifest(path)
    report: dict[str, Any]
    try:
        generators = {
            precision: load_generator(path, f"onnxruntime:cpu-{precision}") for precision in ("fp32", "int8")
        }
    except InputError as error:  # its answers differ too much from the reference answers
        report = {"refused": [str(error)]}
    else:
        figures = {}
        for precision, generator in generators.items():
            measured = evaluate(Perceiver(generator), procedural(views), progress)
            figures[precision] = {name: measured[task][name] for name, (task, _) in FIGURES.items()}
        before, after = figures["fp32"], figures["int8"]
        report = {
            "views": views,
            **figures,
            "growth": growth(before, after),
            "most": MAX_ERROR_GROWTH,
            "refused": gate(before, after),
        }
    (path / PRECISION).write_text(json.dumps({"int8": report}, indent=2) + "\n")
    if report["refused"]:
        for quantized in INT8_GRAPHS.values():
            (path / quantized).unlink()
    renew_manifest(path)
    return report


def gate(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Checks the accuracy of a lower precision.

    Args:
        before: Value of each metric in fp32.
        after: Value of each metric in the lower precision.

    Returns:
        A sentence for each metric that is NaN, or worse by MAX_ERROR_GROWTH or more.
    """
    return [
        f"{name} goes from {before[name]:.4g} to {after[name]:.4g}, {100 * worse:.1f} % worse; "
        f"{100 * MAX_ERROR_GROWTH:g} % is allowed."
        for name, worse in growth(before, after).items()
        if not worse < MAX_ERROR_GROWTH  # so that NaN is refused
    ]


def growth(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Relative deterioration of each of FIGURES; 0.01 is one percent. Arguments as for `gate`."""
    return {
        name: (before[name] - after[name] if more_is_better else after[name] - before[name]) / before[name]
        for name, (_, more_is_better) in FIGURES.items()
    }


def write_int8(path: Path) -> None:
    """Quantises the image and answer graphs of the bundle in the folder `path`."""
    generator = load_generator(path, "onnxruntime:cpu-fp32")
    manifest = generator.manifest
    executor = OnnxRuntimeExecutor(generator.bundle, "cpu", "fp32")
    frames = [
        _frame(seed, manifest.size)
        for seed in range(FIRST_CALIBRATION_SEED, FIRST_CALIBRATION_SEED + CALIBRATION_VIEWS)
    ]
    questions = [
        Question.depth(),
        Question.normals(),
        Question.semantic(manifest.legend),
        Question.referring("the chair", "yellow"),
    ]

    def answers() -> Iterator[dict[str, np.ndarray]]:
        for frame in frames:
            features = executor.named_features(frame)
            for question in questions:
                prompt = tokenize(question.instruction, manifest.text_length, manifest.text_buckets)
                text = executor.encode_text(prompt.pieces[None], prompt.colors[None], prompt.mask[None])
                words = int(np.count_nonzero(prompt.mask))
                yield {**features, "text": text[:, :words], "mask": prompt.mask[None, :words]}

    _quantize(path, "image.onnx", ({"image": frame} for frame in frames))
    _quantize(path, "answer.onnx", answers())


class _CalibrationInputs(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Iterator[dict[str, np.ndarray]]) -> None:
        self._inputs = inputs

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
        return next(self._inputs, None)


def _quantize(path: Path, graph: str, inputs: Iterator[dict[str, np.ndarray]]) -> None:
    model = onnx.load(path / graph)
    widen(model.graph)
    weights = {tensor.name for tensor in model.graph.initializer}
    exact = [
        node.name
        for node in model.graph.node
        if node.op_type in QUANTIZED_OPERATORS
        and (
            not weights & set(node.input) or any(part in name for name in node.input for part in FP32_WEIGHTS)
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        wide, narrow = Path(folder) / "wide.onnx", Path(folder) / "narrow.onnx"
        onnx.save(model, wide)
        quantize_static(
            wide,
            narrow,
            _CalibrationInputs(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED_OPERATORS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=exact,
        )
        made = onnx.load(narrow)
    halve(made.graph)
    onnx.save(made, path / INT8_GRAPHS[graph])


def _frame(seed: int, size: tuple[int, int]) -> np.ndarray:
    world, rng = make_world(seed), np.random.default_rng(seed)
    return render(world, sample_camera(world, rng, size[1], size[0]), rng).image
