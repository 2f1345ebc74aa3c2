# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from vision_banana_ros.generators import default_bundle, load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION  # noqa: E402
from vision_banana_ros.generators.own.network import ConvBlock, VisionBananaUNet  # noqa: E402
from vision_banana_ros.scenes import make_world, render, sample_camera  # noqa: E402
from vision_banana_ros.tasks import depth, normals, semantic  # noqa: E402
from vision_banana_ros.training.export import int8, int8_layout  # noqa: E402

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


def test_int8_graphs_count_in_8_bits_but_for_the_last_convolution(bundle, monkeypatch):
    monkeypatch.setattr(int8, "gate", lambda before, after: [])
    report = int8.add_int8(bundle, views=2)
    assert json.loads((bundle / PRECISION).read_text())["int8"] == report
    assert report["views"] == 2 and set(report["growth"]) == {"absrel", "mean_deg", "miou"}
    assert set(INT8_GRAPHS.values()) <= set(open_bundle(bundle).manifest.files)
    for graph, quantized in INT8_GRAPHS.items():
        nodes = [node.op_type for node in onnx.load(bundle / quantized).graph.node]
        assert nodes.count("Conv") == (1 if graph == "answer.onnx" else 0)
        assert nodes.count("QGemm") + nodes.count("QLinearConv") > 20
    view = render_view(bundle)
    asked = [depth.instruction(), normals.instruction(), semantic.instruction(open_bundle(bundle).manifest.legend)]
    exact, cheap = (load_generator(bundle, f"onnxruntime:cpu-{precision}") for precision in ("fp32", "int8"))
    assert cheap.executor == "onnxruntime cpu int8"
    apart = np.abs(exact.paint(view, asked) - cheap.paint(view, asked))
    assert apart.mean() < 0.02
    np.testing.assert_array_equal(cheap.paint(view, asked)[1:2], cheap.paint(view, asked[1:2]))  # beside others as alone


def render_view(bundle):
    """A picture like those that the ranges were measured on."""
    height, width = open_bundle(bundle).manifest.size
    world = make_world(7)
    rng = np.random.default_rng(7)
    return render(world, sample_camera(world, rng, width, height), rng).image


def test_int8_graphs_that_fail_are_taken_away_and_the_figures_stay(bundle, monkeypatch):
    monkeypatch.setattr(int8, "gate", lambda before, after: ["miou goes down."])
    monkeypatch.setattr(int8, "write_int8", lambda *of: None)  # those that the bundle has, ten seconds sooner
    int8.add_int8(bundle, views=1)
    assert not set(INT8_GRAPHS.values()) & set(open_bundle(bundle).manifest.files)
    assert json.loads((bundle / PRECISION).read_text())["int8"]["refused"] == ["miou goes down."]


@pytest.mark.parametrize("channels", [24, 128])
def test_normalising_by_rows_is_the_networks_own(channels):
    torch.manual_seed(0)
    block = ConvBlock(channels, condition=4)
    torch.nn.init.normal_(block.norm2.weight)
    torch.nn.init.normal_(block.norm2.bias)
    x, film = 3 + torch.randn(1, channels, 6, 8), torch.randn(2, 1, channels)
    norm = int8_layout.Norm(block.norm2, 48)
    assert norm.rows > 1
    plain = torch.nn.functional.silu(block.norm2(x) * film[0, :, :, None, None] + film[1, :, :, None, None])
    torch.testing.assert_close(norm(x[0].flatten(1).T, tuple(film)), plain[0].flatten(1).T, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("level", "stride"), [(0, 1), (1, 2)])
def test_a_convolution_gathers_what_lies_around_and_nothing_beyond_the_border(level, stride):
    network = VisionBananaUNet((8, 16, 24), (1, 1, 1), (1, 1, 1), 4, 16, 1, 16, 64)
    around = int8_layout.Maker(network, (32, 48), {}).neighbours(level, stride)
    height, width = 8 >> level, 12 >> level
    x = torch.randn(1, 5, height, width)
    gathered = torch.cat([x[0].flatten(1).T, torch.zeros(1, 5)])[around].reshape(-1, 9, 5)
    plain = torch.nn.functional.unfold(x, 3, padding=1, stride=stride)[0].T.reshape(-1, 5, 9)
    torch.testing.assert_close(gathered.transpose(1, 2), plain)


def test_a_channel_that_never_answers_is_no_division_by_zero():
    silent = int8_layout.Linear(torch.zeros(2, 3), torch.tensor([0.0, 1.0]), 0.1, 7)
    assert silent.steps.min() > 0 and silent.weight.abs().max() == 0
    np.testing.assert_allclose((silent.bias * silent.steps * silent.scale).numpy(), [0, 1], atol=1e-3)
