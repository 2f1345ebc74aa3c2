# SPDX-License-Identifier: Apache-2.0
"""Every executor that this machine's NVIDIA GPU can run: does it answer as the CPU does, how fast, how near
to the roofline.

`python benchmark/gpu.py` prints a table and writes gpu.json next to itself. It needs torch, and uses what
else there is: onnxruntime-gpu, TensorRT, TensorRT-RTX (their engines are built first, which takes minutes).
What cannot run is listed with the reason. Where onnxruntime is missing, the answers to compare with come from
a file that `--reference FILE` writes on a machine that has it, and reads on this one. It ends within
`--minutes`.

Roofline: convolutions, matrix products and attention are counted as torch runs them. Each takes at least as
long as its arithmetic at the measured peak of its precision, and as its operands need to cross the memory
once at the measured bandwidth; everything between is taken as free. That sum over the operations is the least
time on device; copies to it are not in it.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

QUESTIONS = [
    "Paint the metric depth of every pixel along the edges of the colour cube.",
    "Paint the surface normals: red to the left, green up, blue to the viewer.",
    "Paint floor: red, wall: green, table: blue, chair: yellow, everything else black.",
]
SPECS = (
    "torch:eager-fp32",
    "torch:eager-fp16",
    "torch:graph-fp32",
    "torch:graph-fp16",
    "torch:graph-bf16",
    "torch:compiled-fp16",
    "tensorrt:fp32",
    "tensorrt:tf32",
    "tensorrt_rtx:fp32",
    "tensorrt_rtx:tf32",
    "onnxruntime:cuda",
    "onnxruntime:tensorrt",
)
BASE = "torch:eager-fp32"  # what the others are compared with
COUNTS = (1, 3)
FRAMES = 3
WARM_UP, RUNS, ROUNDS = 20, 100, 5
LEFT_FOR_THE_REST_S = 20.0
PACKAGES = (
    "torch",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt_rtx_cu13",
    "cuda-bindings",
    "numpy",
)


def main() -> int:
    args = _arguments()
    _do_without_numba()
    deadline = time.monotonic() + 60 * args.minutes
    report: dict[str, Any] = {"machine": _machine(), "left_out": {}, "executors": {}}

    def attempt(what: str, job: Callable[[], Any]) -> Any:
        """The job's result, or None, with the reason in the report: nothing that is missing may end the
        run."""
        if deadline - time.monotonic() < LEFT_FOR_THE_REST_S:
            report["left_out"][what] = "no time was left"
            return None
        try:
            return job()
        except Exception as error:
            report["left_out"][what] = f"{type(error).__name__}: {error}"
            if args.verbose:
                traceback.print_exc()
            return None

    from vision_banana_ros.generators import default_bundle, open_bundle

    bundle = open_bundle(args.bundle or default_bundle())
    frames = draw_frames(*bundle.manifest.size)
    report["bundle"] = {
        "name": bundle.manifest.name,
        "size": bundle.manifest.size,
        "files": bundle.manifest.files,
    }
    reference = attempt("reference", lambda: _reference(bundle, frames, args.reference))
    report["peaks"] = attempt("peaks", _peaks)
    counted = {
        count: attempt(f"operations of {count}", partial(_operations, bundle, frames[0], count))
        for count in COUNTS
    }
    report["counted"] = {
        str(n): {k: v for k, v in c.items() if k != "operations"} for n, c in counted.items() if c
    }
    for spec in args.executors or SPECS:
        print(f"{spec} ...", file=sys.stderr, flush=True)
        measured = attempt(spec, partial(_measure, bundle, spec, frames, reference, deadline))
        if measured:
            report["executors"][spec] = measured
        # what is known so far outlives whatever comes next
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    compare_profiles(report, counted)
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    return 0 if report["executors"] else 1


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "| executor | questions | p50 ms | p99 ms | times torch eager | times the roofline | largest"
        " difference |",
        "|-|-|-|-|-|-|-|",
    ]
    for spec, measured in report["executors"].items():
        for count, m in measured["latency"].items():
            cells = [f"{m['p50_ms']:.2f}", f"{m['p99_ms']:.2f}"]
            cells += [f"{m[k]:.1f}" if k in m else "" for k in ("times_faster", "times_roofline")]
            parity = measured.get("parity", {}).get("max_abs")
            lines.append(
                f"| {spec} | {count} | {' | '.join(cells)} | {'' if parity is None else f'{parity:.1e}'} |"
            )
    lines += [f"- {what}: {' '.join(why.split())}" for what, why in report["left_out"].items()]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, help="default: the one in models/")
    parser.add_argument("--executors", nargs="*", metavar="SPEC", help=f"default: {' '.join(SPECS)}")
    parser.add_argument(
        "--reference", type=Path, help="an .npz of the CPU's answers; written where onnxruntime is installed"
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="all in all (default 9)")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.json")
    parser.add_argument("--verbose", action="store_true", help="with tracebacks")
    return parser.parse_args()


def _do_without_numba() -> None:
    """The bundle's reader imports the decoders, which numba compiles. Nothing here decodes, so they may
    stay uncompiled."""
    try:
        import numba  # noqa: F401
    except ImportError:
        plain: Any = ModuleType("numba")
        plain.njit = lambda *a, **k: a[0] if a and callable(a[0]) else lambda f: f
        plain.prange = range
        sys.modules["numba"] = plain


def _machine() -> dict[str, Any]:
    from vision_banana_ros.evaluation.machine import installed_versions

    query = "name,driver_version,compute_cap,memory.total,clocks.max.sm,power.limit"
    try:
        said = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        gpu = dict(
            zip(
                query.split(","),
                (part.strip() for part in said.stdout.splitlines()[0].split(",")),
                strict=True,
            )
        )
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        gpu = {"unknown": str(error)}
    return {"gpu": gpu, "python": platform.python_version(), "versions": installed_versions(PACKAGES)}


def draw_frames(height: int, width: int) -> np.ndarray:
    """Smooth shapes under a little noise, (FRAMES, H, W, 3) uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (FRAMES, height // 16 + 2, width // 16 + 2, 3))
    y, x = np.linspace(0, height // 16, height), np.linspace(0, width // 16, width)
    i, j, v, u = y.astype(int), x.astype(int), (y % 1)[:, None, None], (x % 1)[:, None]
    upper = coarse[:, i][:, :, j] * (1 - u) + coarse[:, i][:, :, j + 1] * u
    lower = coarse[:, i + 1][:, :, j] * (1 - u) + coarse[:, i + 1][:, :, j + 1] * u
    smooth = upper * (1 - v) + lower * v
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def _reference(bundle: Any, frames: np.ndarray, file: Path | None) -> np.ndarray:
    """ONNX Runtime's answers on the CPU, (FRAMES, questions, H, W, 3)."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        if file is None or not file.is_file():
            raise
        kept = np.load(file)
        if str(kept["answer"]) != bundle.manifest.files["answer.onnx"]:
            raise ValueError(f"{file} belongs to another bundle") from None
        return kept["painted"]
    from vision_banana_ros.generators import load_generator

    generator = load_generator(bundle.path, "onnxruntime:cpu-fp32")
    painted = np.stack([generator.paint(frame, QUESTIONS) for frame in frames])
    if file is not None:
        np.savez_compressed(file, painted=painted, answer=bundle.manifest.files["answer.onnx"])
    return painted


def _measure(
    bundle: Any, spec: str, frames: np.ndarray, reference: np.ndarray | None, deadline: float
) -> dict[str, Any]:
    from vision_banana_ros.generators import load_generator

    kind, _, precision = spec.partition(":")
    result: dict[str, Any] = {}
    if kind in ("tensorrt", "tensorrt_rtx"):
        result["build_s"] = _build(bundle, kind, precision, deadline)
    started = time.perf_counter()
    generator = load_generator(bundle.path, spec)
    painted = np.stack([generator.paint(frame, QUESTIONS) for frame in frames])
    # to the first answers: loading, compiling, capturing
    result["start_s"] = round(time.perf_counter() - started, 3)
    result["name"] = generator.executor
    if reference is not None:
        off = np.abs(painted - reference)
        result["parity"] = {
            "max_abs": float(off.max()),
            "mean_abs": float(off.mean()),
            "over_1_of_255": float((off > 1 / 255).mean()),
        }
    result["latency"] = {
        str(count): _latency(generator, frames, QUESTIONS[:count], deadline) for count in COUNTS
    }
    executor: Any = generator.loaded_executor
    if hasattr(executor, "submit"):
        result["captured"] = executor.captured(COUNTS[-1])
        result["frames_per_second_two_under_way"] = _throughput(generator, executor, frames)
    if hasattr(executor, "close"):
        executor.close()
    return result


def _build(bundle: Any, kind: str, precision: str, deadline: float) -> float:
    from vision_banana_ros.generators.engines import start_build

    started = time.monotonic()
    build = start_build(bundle, kind, precision or "fp32")
    state = build.wait(max(deadline - started - LEFT_FOR_THE_REST_S, 1))
    if not build.ended:
        build.cancel()
    if state.name != "ready":
        raise RuntimeError(f"engines: {state}")
    return round(time.monotonic() - started, 1)


def _latency(generator: Any, frames: np.ndarray, questions: list[str], deadline: float) -> dict[str, float]:
    """From a frame on the host to answers on the host. Medians over rounds of each round's p50 and p99."""
    for i in range(WARM_UP):
        generator.paint(frames[i % FRAMES], questions)
    p50, p99 = [], []
    for _ in range(ROUNDS):
        times = []
        for i in range(RUNS):
            started = time.perf_counter()
            generator.paint(frames[i % FRAMES], questions)
            times.append(1e3 * (time.perf_counter() - started))
            if deadline - time.monotonic() < LEFT_FOR_THE_REST_S and len(times) >= 5:
                break
        p50.append(float(np.percentile(times, 50)))
        p99.append(float(np.percentile(times, 99)))
        if deadline - time.monotonic() < LEFT_FOR_THE_REST_S:
            break
    return {"p50_ms": statistics.median(p50), "p99_ms": statistics.median(p99), "rounds": len(p50)}


def _throughput(generator: Any, executor: Any, frames: np.ndarray) -> float:
    text, mask = (np.stack(parts) for parts in zip(*(generator.encoded(q) for q in QUESTIONS), strict=True))
    before: Any = None
    started = time.perf_counter()
    for i in range(RUNS):
        ticket = executor.submit(frames[i % FRAMES], text, mask)
        if before is not None:
            before.result()
        before = ticket
    before.result()
    return RUNS / (time.perf_counter() - started)


def _peaks() -> dict[str, float]:
    """TFLOP/s of a large matrix product by precision, and TB/s of a large copy (read plus written)."""
    import torch

    def best(job: Callable[[], Any], repeats: int = 10) -> float:
        times = []
        for _ in range(repeats):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            job()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
        return min(times)

    peaks: dict[str, float] = {}
    n = 8192
    kept = torch.backends.cuda.matmul.allow_tf32
    for name, dtype, tf32 in (
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("fp16", torch.float16, False),
        ("bf16", torch.bfloat16, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
        out = torch.empty_like(a)
        peaks[f"{name}_tflops"] = 2 * n**3 / best(partial(torch.matmul, a, b, out=out)) / 1e12
    torch.backends.cuda.matmul.allow_tf32 = kept
    source = torch.empty(2**28, device="cuda", dtype=torch.float32)
    target = torch.empty_like(source)
    peaks["memory_tb_s"] = 2 * source.nbytes / best(partial(target.copy_, source)) / 1e12
    return peaks


def _operations(bundle: Any, frame: np.ndarray, count: int) -> dict[str, Any]:
    """What encoding a frame and answering `count` questions takes: (FLOPs, bytes at 4 a number) of each
    heavy operation."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    from vision_banana_ros.generators import load_generator

    operations: list[tuple[float, float]] = []

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            formula = flop_registry.get(func._overloadpacket)
            if formula is None:
                # without gradients, torch hands over whole convolutions and products: the parts are what is
                # counted
                with self:
                    parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
            out = func(*args, **kwargs)
            if formula is not None:
                outs = out if isinstance(out, tuple | list) else (out,)
                moved = sum(4 * t.numel() for t in (*args, *outs[:1]) if isinstance(t, torch.Tensor))
                operations.append((float(formula(*args, **kwargs, out_val=out)), float(moved)))
            return out

    generator = load_generator(bundle.path, "torch:eager-fp32")
    for question in QUESTIONS[:count]:
        generator.prepare(question)
    with Count():
        generator.paint(frame, QUESTIONS[:count])
    if not operations:
        raise RuntimeError("torch counted nothing")
    network: Any = generator.loaded_executor
    weights = sum(p.numel() for n, p in network.network.named_parameters() if not n.startswith("text."))
    return {
        "operations": operations,
        "heavy_operations": len(operations),
        "gflop": sum(f for f, _ in operations) / 1e9,
        "megabytes_at_fp32": sum(b for _, b in operations) / 1e6,
        "parameters": weights,
    }


def compare_profiles(report: dict[str, Any], counted: dict[int, Any]) -> None:
    """Adds to each latency its distance to torch eager and to the roofline of what it computes in."""
    peaks = report["peaks"]
    base = report["executors"].get(BASE, {}).get("latency", {})
    for spec, measured in report["executors"].items():
        # ONNX Runtime's CUDA provider takes TF32 where it is not told otherwise.
        precision = next(
            (p for p in ("fp16", "bf16", "tf32") if p in spec), "tf32" if "onnxruntime" in spec else "fp32"
        )
        for count, m in measured["latency"].items():
            if count in base:
                m["times_faster"] = base[count]["p50_ms"] / m["p50_ms"]
            operations = counted.get(int(count))
            if peaks and operations:
                size = 0.5 if precision in ("fp16", "bf16") else 1.0
                flops, width = 1e12 * peaks[f"{precision}_tflops"], 1e12 * peaks["memory_tb_s"]
                m["roofline_ms"] = 1e3 * sum(
                    max(f / flops, size * b / width) for f, b in operations["operations"]
                )
                m["times_roofline"] = m["p50_ms"] / m["roofline_ms"]


if __name__ == "__main__":
    sys.exit(main())
