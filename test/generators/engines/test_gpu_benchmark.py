# SPDX-License-Identifier: Apache-2.0
"""What benchmark/gpu.py makes of its measurements."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmark" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("benchmark_gpu", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ratios_and_roofline_follow_from_what_was_measured(gpu):
    report = {
        "peaks": {"fp32_tflops": 50.0, "fp16_tflops": 500.0, "memory_tb_s": 2.0},
        "executors": {
            spec: {"latency": {"1": {"p50_ms": p50, "p99_ms": 9.0}}}
            for spec, p50 in ((gpu.BASE, 8.0), ("torch:graph-fp16", 2.0))
        },
        "left_out": {"tensorrt:fp32": "not\ninstalled"},
    }
    # One operation that is bound by arithmetic and one that is bound by memory.
    gpu.compare_profiles(report, {1: {"operations": [(50e9, 1e6), (1e6, 4e9)]}, 3: None})
    slow, fast = (report["executors"][spec]["latency"]["1"] for spec in (gpu.BASE, "torch:graph-fp16"))
    assert slow["roofline_ms"] == pytest.approx(1.0 + 2.0) and fast["roofline_ms"] == pytest.approx(0.1 + 1.0)
    assert fast["times_faster"] == 4 and fast["times_roofline"] == pytest.approx(2 / 1.1)
    lines = gpu.table(report).splitlines()
    assert (
        lines[3] == "| torch:graph-fp16 | 1 | 2.00 | 9.00 | 4.0 | 1.8 |  |"
        and lines[-1] == "- tensorrt:fp32: not installed"
    )


def test_nothing_measured_is_no_error(gpu):
    report = {
        "peaks": None,
        "executors": {"torch:eager-fp16": {"latency": {"1": {"p50_ms": 1.0, "p99_ms": 1.0}}}},
        "left_out": {},
    }
    gpu.compare_profiles(report, {1: None, 3: None})
    assert "| torch:eager-fp16 | 1 | 1.00 | 1.00 |  |  |  |" in gpu.table(report)


def test_frames_are_the_same_on_every_machine_and_no_noise(gpu):
    frames = gpu.draw_frames(32, 48)
    assert frames.shape == (gpu.FRAMES, 32, 48, 3) and frames.dtype == "uint8"
    assert (frames == gpu.draw_frames(32, 48)).all()
    steps = abs(frames[:, :, 1:].astype(int) - frames[:, :, :-1])
    assert 1 < steps.mean() < 12
