# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from vision_banana_ros.generators import default_bundle, load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION  # noqa: E402
from vision_banana_ros.training import quantize  # noqa: E402

BEFORE = {"absrel": 0.1, "mean_deg": 20.0, "miou": 0.5}


def test_the_gate_lets_a_small_loss_pass_and_any_gain():
    assert quantize.gate(BEFORE, {"absrel": 0.1019, "mean_deg": 20.3, "miou": 0.491}) == []
    assert quantize.gate(BEFORE, {"absrel": 0.05, "mean_deg": 10.0, "miou": 0.9}) == []


@pytest.mark.parametrize(
    ("worse", "named"),
    [({"absrel": 0.1021}, "absrel"), ({"mean_deg": 20.5}, "mean_deg"), ({"miou": 0.489}, "miou"), ({"miou": float("nan")}, "miou")],
)
def test_the_gate_names_what_lost_too_much(worse, named):
    (sentence,) = quantize.gate(BEFORE, BEFORE | worse)
    assert sentence.startswith(f"{named} goes from") and "2 % is allowed" in sentence


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setattr(quantize, "CALIBRATION_VIEWS", 2)
    return shutil.copytree(default_bundle(), tmp_path / "bundle")


def test_int8_graphs_count_in_8_bits_but_for_the_last_convolution(bundle, monkeypatch):
    monkeypatch.setattr(quantize, "gate", lambda before, after: [])
    report = quantize.add_int8(bundle, views=2)
    assert json.loads((bundle / PRECISION).read_text())["int8"] == report
    assert report["views"] == 2 and set(report["growth"]) == {"absrel", "mean_deg", "miou"}
    assert set(INT8_GRAPHS.values()) <= set(open_bundle(bundle).manifest.files)
    assert load_generator(bundle, "onnxruntime:int8").executor == "onnxruntime cpu int8"
    graph = onnx.load(bundle / INT8_GRAPHS["answer.onnx"]).graph
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    floats = [node for node in graph.node if node.op_type == "Conv" and node.input[1] not in dequantized]
    assert len(floats) == 1 and "answer_out" in floats[0].input[1]


def test_int8_graphs_that_fail_are_taken_away_and_the_figures_stay(bundle, monkeypatch):
    monkeypatch.setattr(quantize, "gate", lambda before, after: ["miou goes down."])
    quantize.add_int8(bundle, views=1)
    assert not set(INT8_GRAPHS.values()) & set(open_bundle(bundle).manifest.files)
    assert json.loads((bundle / PRECISION).read_text())["int8"]["refused"] == ["miou goes down."]
