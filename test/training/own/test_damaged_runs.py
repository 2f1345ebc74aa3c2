# SPDX-License-Identifier: Apache-2.0
"""Folders of training runs that are damaged, and options of training that no machine has."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vision_banana_ros.cli.main import main  # noqa: E402

GOOD = (
    '{"size": [48, 64], "recipe": {"sources": {"procedural": 1}, "canvases": {"48x64": 1},'
    ' "parts": [{"sizes": {"48x64": ["48x64"]}}]}}'
)
CLASS = '{"_class_name": "VisionBananaUNet"}'


@pytest.mark.parametrize("verb", ["export", "evaluate"])
@pytest.mark.parametrize(
    ("state", "config", "weights"),
    [
        ("", "", b""),
        ("[" * 100_000, "", b""),
        ("[]", "", b""),
        ('{"size": "x", "recipe": {"sources": [], "parts": []}}', "", b""),
        (GOOD, "", b""),
        (GOOD, "[]", b""),
        (GOOD, CLASS, b"\xff" * 100),
        (GOOD, '{"_class_name": "VisionBananaUNet", "channels": "x"}', b"\x02" + bytes(7) + b"{}"),
        (GOOD, CLASS, b"\x02" + bytes(7) + b"{}"),
    ],
    ids=["empty", "deep", "list", "odd", "bare", "config", "weights", "channels", "lacking"],
)
def test_a_damaged_run_is_one_sentence_and_costs_no_bundle(tmp_path, capsys, verb, state, config, weights):
    run, out = tmp_path / "run", tmp_path / "bundle"
    (run / "network").mkdir(parents=True)
    out.mkdir()
    (out / "before.onnx").write_bytes(b"of an earlier export")
    (run / "state.json").write_text(state)
    if config:
        (run / "network" / "config.json").write_text(config)
        (run / "network" / "diffusion_pytorch_model.safetensors").write_bytes(weights)
    assert main(["export", str(run), "--out", str(out)] if verb == "export" else ["evaluate", str(run)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["before.onnx"]


@pytest.mark.parametrize(
    "words",
    [
        ["--stop-after", "nan"],
        ["--stop-after", "-1"],
        ["--renderers", "-1"],
        ["--readers", "-1"],
        ["--threads", "0"],
    ],
)
def test_training_refuses_times_and_counts_that_no_machine_has(tmp_path, capsys, words):
    assert main(["train", str(tmp_path / "none.yaml"), "--out", str(tmp_path / "out"), *words]) == 2
    assert words[0] in capsys.readouterr().err
