# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from vision_banana_ros.generators import (  # noqa: E402
    default_bundle,
    load_generator,
    open_bundle,
    reference,  # noqa: E402
)
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION  # noqa: E402
from vision_banana_ros.generators.own.weights import HALVED  # noqa: E402
from vision_banana_ros.scenes import make_world, render, sample_camera  # noqa: E402
from vision_banana_ros.tasks import depth, normals, semantic  # noqa: E402
from vision_banana_ros.training.export import int8  # noqa: E402
from vision_banana_ros.training.export.half_precision import widen  # noqa: E402

BEFORE = {"absrel": 0.1, "mean_deg": 20.0, "miou": 0.5}


def test_the_gate_lets_a_small_loss_pass_and_any_gain():
    assert int8.gate(BEFORE, {"absrel": 0.1019, "mean_deg": 20.3, "miou": 0.491}) == []
    assert int8.gate(BEFORE, {"absrel": 0.05, "mean_deg": 10.0, "miou": 0.9}) == []


@pytest.mark.parametrize(
    ("worse", "named"),
    [({"absrel": 0.1021}, "absrel"), ({"mean_deg": 20.5}, "mean_deg"), ({"miou": 0.489}, "miou"), ({"miou": float("nan")}, "miou")],
)
def test_the_gate_names_what_lost_too_much(worse, named):
    (sentence,) = int8.gate(BEFORE, BEFORE | worse)
    assert sentence.startswith(f"{named} goes from") and "2 % is allowed" in sentence


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "CALIBRATION_VIEWS", 2)
    return shutil.copytree(default_bundle(), tmp_path / "bundle")


def test_int8_graphs_count_in_8_bits_but_for_what_paints(bundle, monkeypatch):
    monkeypatch.setattr(int8, "gate", lambda before, after: [])
    report = int8.add_int8(bundle, views=2)
    assert json.loads((bundle / PRECISION).read_text())["int8"] == report
    assert report["views"] == 2 and set(report["growth"]) == {"absrel", "mean_deg", "miou"}
    assert set(INT8_GRAPHS.values()) <= set(open_bundle(bundle).manifest.files)
    for quantized in INT8_GRAPHS.values():
        graph = onnx.load(bundle / quantized).graph
        narrow = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
        layers = [node for node in graph.node if node.op_type in int8.QUANTIZED_OPERATORS]
        in_8_bits = [node for node in layers if node.input[1] in narrow]  # its weight
        assert len(in_8_bits) > 10
        assert not [name for node in in_8_bits for name in node.input if any(part in name for part in int8.FP32_WEIGHTS)]
    exact, cheap = (load_generator(bundle, f"onnxruntime:cpu-{precision}") for precision in ("fp32", "int8"))
    assert cheap.executor == "onnxruntime cpu int8"
    asked = [depth.instruction(), normals.instruction(), semantic.instruction(open_bundle(bundle).manifest.legend)]
    view = render_view(bundle)
    assert 0 < np.abs(exact.paint(view, asked) - cheap.paint(view, asked)).mean() < 0.02  # of 1: 5 of 255


def render_view(bundle):
    """A picture like those that the ranges were measured on."""
    height, width = open_bundle(bundle).manifest.size
    world = make_world(7)
    rng = np.random.default_rng(7)
    return render(world, sample_camera(world, rng, width, height), rng).image


def test_int8_graphs_that_are_far_from_the_stored_answers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "CALIBRATION_VIEWS", 1)
    path = shutil.copytree(default_bundle(), tmp_path / "bundle")
    monkeypatch.setitem(reference.TOLERANCES, "int8", 0.0)
    (sentence,) = int8.add_int8(path, views=1)["refused"]
    assert "int8" in sentence and not set(INT8_GRAPHS.values()) & set(open_bundle(path).manifest.files)


def test_weights_in_half_precision_are_widened_again(bundle):
    model = onnx.load(bundle / "answer.onnx")
    widen(model.graph)
    assert not [tensor.name for tensor in model.graph.initializer if tensor.name.endswith(HALVED)]
    onnx.checker.check_model(model)


def test_int8_graphs_that_fail_are_taken_away_and_the_figures_stay(bundle, monkeypatch):
    monkeypatch.setattr(int8, "gate", lambda before, after: ["miou goes down."])
    int8.add_int8(bundle, views=1)
    assert not set(INT8_GRAPHS.values()) & set(open_bundle(bundle).manifest.files)
    assert json.loads((bundle / PRECISION).read_text())["int8"]["refused"] == ["miou goes down."]
