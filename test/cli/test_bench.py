# SPDX-License-Identifier: Apache-2.0
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from vision_banana_ros.cli import bench
from vision_banana_ros.cli.main import main
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.speed import measure
from vision_banana_ros.generators import default_bundle, load_generator, open_bundle
from vision_banana_ros.tasks import depth, normals

TABLE = runpy.run_path(str(Path(__file__).parents[2] / "benchmark" / "bench_table.py"))


def test_it_measures_what_can_run_and_says_what_cannot(tmp_path, capsys, monkeypatch):
    from vision_banana_ros.cli import bench

    monkeypatch.setattr(bench, "executors_to_measure", lambda asked, bundle: asked)  # without the torch run
    out = tmp_path / "bench_here.json"
    asked = [
        "bench",
        "--executors",
        "onnxruntime:cpu-fp32",
        "onnxruntime:tpu",
        "--questions",
        "1",
        "--cameras",
        "2",
        "--runs",
        "3",
    ]
    assert main([*asked, "--frame", "96x128", "--out", str(out)]) == 0
    measured, refused = json.loads(out.read_text())["rows"]
    height, width = open_bundle(default_bundle()).manifest.size
    assert measured["executor"] == "onnxruntime cpu fp32" and measured["size"] == f"{width}x{height}"
    assert 0 < measured["paint_ms"]["p50"] <= measured["frame_ms"]["p50"] <= measured["frame_ms"]["p99"]
    assert measured["frames_per_s"] == pytest.approx(2000 / measured["frame_ms"]["p50"], rel=0.01)
    assert measured["rss_mib"] > 50
    assert "'tpu'" in refused["refused"]
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 4 and len({line.count("|") for line in table}) == 1
    made = TABLE["tables"](tmp_path).splitlines()
    assert made[0].startswith("`vision-banana bench") and made[2:] == table


def test_the_plain_run_paints_what_the_shared_one_paints_and_others_are_compared_with_it():
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    pytest.importorskip("onnx")
    from vision_banana_ros.evaluation.plain_torch import load_plain
    from vision_banana_ros.evaluation.speed import add_speedups

    plain, shared = load_plain(default_bundle()), load_generator(default_bundle(), "torch:eager-fp32")
    y, x = np.mgrid[: plain.size[0], : plain.size[1]]
    image = np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)
    asked = [depth.instruction(), normals.instruction()]
    apart = np.abs(plain.paint(image, asked) - shared.paint(image, asked))
    assert np.quantile(apart, 0.998) < 1e-4 and apart.max() < 1e-3
    with pytest.raises(InputError, match="nothing to paint"):
        plain.paint(image, [])

    def row(executor, frame, paint, cpu):
        return {
            "executor": executor,
            "frame_ms": {"p50": frame},
            "paint_ms": {"p50": paint},
            "frame_cpu_ms": cpu,
        }

    rows = [
        row(plain.executor, 90, 80, 200),
        row("torch eager cpu bf16", 40, 30, 80),
        row("onnxruntime cpu int8", 30, 20, 40),
    ]
    add_speedups(rows)
    assert rows[2]["times_plain_torch"] == {"frame": 3.0, "paint": 4.0, "cpu": 5.0}
    assert "times_torch_eager" not in rows[2]  # in fp32 it was not measured


def test_the_table_goes_between_the_markers():
    text = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n"
    assert TABLE["replaced"](text, "new") == "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n"
    with pytest.raises(ValueError, match="no lines"):
        TABLE["replaced"]("no markers", "new")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--questions", "9"], "--questions must be 1 to 8"),
        (["--cameras", "0"], "must be 1 or more"),
        (["--node", "--seconds", "nan"], "number of seconds above 0"),
        (["--out", "/nowhere/at/all.json"], "There is no folder"),
        (["--out", "/"], "'/' is a folder"),
        (["--executors", "onnxruntime:cpu", "tpu"], "There is no executor 'tpu'"),
        (["--node", "--executors", "tpu"], "There is no executor 'tpu'"),
    ],
)
def test_what_cannot_be_measured_is_said_before_it_starts(words, sentence, capsys):
    assert main(["bench", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_what_an_executors_process_raises_is_one_sentence(capfd):
    with pytest.raises(InputError, match=r"onnxruntime cpu \S+ failed while it was measured \(.*\)"):
        list(measure(default_bundle(), ["onnxruntime:cpu-fp32"], [(1, 1)], (0, 0), 1))
    assert "Traceback" not in capfd.readouterr().err


def test_the_table_fits_100_columns():
    times = {"p50": 1234.5, "p99": 1345.6}
    row = {
        **{
            "executor": "onnxruntime cpu fp32",
            "size": "320x240",
            "questions": 16,
            "cameras": 1,
            "frames_per_s": 10.5,
        },
        **{
            "paint_ms": times,
            "frame_ms": times,
            "rss_mib": 1299.0,
            "gpu_mib": 0,
            "times_plain_torch": {"frame": 10.5},
        },
    }
    lines = bench.table([row, row | {"times_plain_torch": None, "cameras": 2, "questions": 1}]).splitlines()
    assert max(map(len, lines)) <= 100 and len({line.count("|") for line in lines}) == 1
