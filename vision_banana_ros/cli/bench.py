# SPDX-License-Identifier: Apache-2.0
"""Measures latency and throughput of a bundle by executor, precision, resolution, prompts and cameras.

Each executor runs in its own process; the processes take turns, one frame each, so that background load
affects all of them equally. If torch is installed, two baselines come first, on the same weights: "plain
torch", the network in diffusers' format without this package (one full forward pass per prompt, eager, fp32),
and this package's torch executor (eager, fp32), which encodes a frame once for all prompts.
"""

import argparse
import importlib.util
import json
import math
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from vision_banana_ros.cli.shared.node_process import own_namespace, running_node
from vision_banana_ros.cli.shared.sizes import size
from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.encode_prompts import encode_missing
from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.evaluation.plain_torch import PACKAGES as NEEDED
from vision_banana_ros.evaluation.plain_torch import PLAIN
from vision_banana_ros.evaluation.speed import MOST_QUESTIONS, measure, questions_of
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.bundle import INT8_GRAPHS, Bundle
from vision_banana_ros.generators.executors import names_of
from vision_banana_ros.missing import cure
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.scenes.simulated_camera import SimulatedCamera

SHARED = "torch:eager-fp32"
NODE_TOPICS = ("depth/image_rect", "normals/image", "segmentation/mask")
NODE_RATES = (10.0, 30.0)
NODE_FRAMES = 10
NODE_START_S = 180.0
PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "tensorrt",
    "tensorrt-rtx",
    "numpy",
    "numba",
    "opencv-python-headless",
)
COLUMNS = ("executor", "size", "asked", "paint p50 / p99", "frame p50 / p99", "frames/s", "memory", "× torch")
"""Of the table; asked: questions a frame × cameras. --out has CPU time, energy and the other ratios, too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="bundle folder (default: the installed bundle)"
    )
    parser.add_argument(
        "--executors",
        nargs="+",
        metavar="NAME",
        help="executors, as in onnxruntime:int8 (default: all for the CPU)",
    )
    parser.add_argument(
        "--questions",
        nargs="+",
        type=int,
        default=[3],
        metavar="N",
        help="prompts per frame, 1 to 8 (default: 3)",
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        type=int,
        default=[1],
        metavar="N",
        help="cameras that share the executor (default: 1)",
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=size,
        metavar="HxW",
        help="also measure random weights at these resolutions (needs torch)",
    )
    parser.add_argument(
        "--frame",
        type=size,
        default=(480, 640),
        metavar="HxW",
        help="resolution of the camera images (default: 480x640)",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=50,
        metavar="N",
        help="measured frames, after 5 warm-up frames (default: 50)",
    )
    parser.add_argument(
        "--node",
        action="store_true",
        help="measure the node over ROS: maximum rate, then latency at fixed rates",
    )
    parser.add_argument(
        "--topics",
        nargs="+",
        default=list(NODE_TOPICS),
        metavar="TOPIC",
        help="with --node: output topics (default: three)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        help="with --node: duration for each rate in seconds (default: %(default)g)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results to this JSON file")


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    if not all(1 <= n <= MOST_QUESTIONS for n in args.questions):
        raise InputError(f"--questions must be 1 to {MOST_QUESTIONS}.")
    if min(*args.cameras, args.runs) < 1:
        raise InputError("--cameras and --runs must be 1 or more.")
    if not 0 < args.seconds < math.inf:
        raise InputError(f"--seconds must be a number of seconds above 0; it is {args.seconds:g}.")
    if args.out is not None and not args.out.parent.is_dir():
        raise InputError(f"There is no folder '{args.out.parent}' for {args.out.name}: make it first.")
    if args.out is not None and args.out.is_dir():
        raise InputError(f"'{args.out}' is a folder: name a file in it with --out.")
    for name in args.executors or ():
        if name != PLAIN:
            names_of(name)  # or it would be refused after the others were loaded
    bundle = open_bundle(args.bundle or default_bundle())
    if args.node:
        rows = list(_node_rows(args, bundle.path))
        print(node_table(rows))
        _write(args.out, bundle.manifest.name, rows)
        return 0
    executors, counts = executors_to_measure(args.executors, bundle), args.questions
    if bundle.editor_runner:
        if args.sizes:
            raise InputError(
                "--sizes measures this package's own network: leave it away for an imported editor."
            )
        asked = questions_of(bundle.manifest.legend, max(counts), bundle.manifest.tasks)
        counts = list(dict.fromkeys(min(n, len(asked)) for n in counts))
        encode_missing(bundle, asked, partial(print, file=sys.stderr, flush=True))
    rows = []
    with _bundles(bundle.path, args.sizes or []) as paths:
        for path in paths:
            for row in measure(path, executors, list(product(counts, args.cameras)), args.frame, args.runs):
                print(f"{path.name}: {row['executor']}", file=sys.stderr, flush=True)
                rows.append(row)
    print(table(rows))
    _write(args.out, bundle.manifest.name, rows)
    return 0


def _write(out: Path | None, bundle: str, rows: list[dict[str, Any]]) -> None:
    """Writes the report as JSON if an output file was given."""
    if out is None:
        return
    command = "vision-banana bench " + shlex.join(_without_folders(sys.argv[2:]))
    report = {"command": command, "machine": machine(*PACKAGES), "bundle": bundle, "rows": rows}
    out.write_text(json.dumps(report, indent=2) + "\n")


def _node_rows(args: argparse.Namespace, bundle: Path) -> Iterator[dict[str, Any]]:
    """Measures the node in its own process at the maximum rate and at fixed rates.

    One row per executor and rate.
    """
    try:
        from vision_banana_ros.node.client.benchmark import NodeBenchmark
    except ImportError as error:
        raise InputError(cure(error)) from None
    height, width = args.frame
    camera = SimulatedCamera(3, width, height, 10.0)
    views = [camera.view(t) for t in range(NODE_FRAMES)]
    frames, intrinsics = [view.image for view in views], Intrinsics.of(views[0].camera)
    namespace = own_namespace()
    for executor in args.executors or ["auto"]:
        with (
            tempfile.TemporaryDirectory() as folder,
            running_node(Path(folder) / "node.log", bundle, namespace, executor) as process,
            NodeBenchmark(frames, intrinsics, args.topics, process, namespace) as node,
        ):
            node.wait_until_answering(NODE_START_S)
            highest = node.highest_rate(
                args.seconds, partial(print, f"{executor}:", file=sys.stderr, flush=True)
            )
            for rate in filter(None, (highest, *NODE_RATES)):
                figures = node.measure(rate, args.seconds)
                yield {"executor": executor, "topics": args.topics, "highest": rate == highest, **figures}


def node_table(rows: list[dict[str, Any]]) -> str:
    """The rows of `--node` as a Markdown table."""
    columns = ("executor", "rate", "missed", "latency p50 / p99", "jitter", "CPU", "memory")
    lines = ["| " + " | ".join(columns) + " |", "|-" * len(columns) + "|"]
    for row in rows:
        latency, jitter = (
            row.get("latency_ms", {"p50": float("nan"), "p99": float("nan")}),
            row.get("jitter_ms", float("nan")),
        )
        rate = f"{row['rate_hz']:.1f} Hz" + (", the highest" if row["highest"] else "")
        lines.append(
            f"| {row['executor']} | {rate} | {100 * row['missed']:.1f} % | {latency['p50']:.0f} /"
            f" {latency['p99']:.0f} ms "
            f"| {jitter:.0f} ms | {row['cpu_percent']:.0f} % | {row['memory_mib']:.0f} MiB |"
        )
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows of a report as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|-" * len(COLUMNS) + "|"]
    for row in rows:
        if "refused" in row:
            lines.append(f"| {row['executor']} | refused: {row['refused']} |" + " |" * (len(COLUMNS) - 2))
            continue
        paint, frame = row["paint_ms"], row["frame_ms"]
        memory = f"{row['rss_mib']:.0f} MiB" + (f" + {row['gpu_mib']:.0f} GPU" if row["gpu_mib"] else "")
        ratio = f"{row['times_plain_torch']['frame']:.1f}" if row["times_plain_torch"] else "–"
        asked = f"{row['questions']}" + (f" × {row['cameras']}" if row["cameras"] > 1 else "")
        lines.append(
            f"| {row['executor']} | {row['size']} | {asked} | {paint['p50']:.0f} / {paint['p99']:.0f} ms "
            f"| {frame['p50']:.0f} / {frame['p99']:.0f} ms | {row['frames_per_s']:.1f} | {memory} "
            f"| {ratio} |"
        )
    return "\n".join(lines)


def executors_to_measure(asked: list[str] | None, bundle: Bundle) -> list[str]:
    """The executors to measure, the two baselines first if torch is installed and it is no editor."""
    if bundle.editor_runner:
        return asked or ["auto"]
    if asked is None:
        asked = ["onnxruntime:cpu-fp32"]
        if all((bundle.path / graph).is_file() for graph in INT8_GRAPHS.values()):
            asked.append("onnxruntime:cpu-int8")
    has_torch = all(importlib.util.find_spec(name) for name in NEEDED)
    return list(dict.fromkeys([*((PLAIN, SHARED) if has_torch else ()), *asked]))


@contextmanager
def _bundles(path: Path, sizes: list[tuple[int, int]]) -> Iterator[list[Path]]:
    """The bundle, or temporary bundles of the same network with random weights at other resolutions."""
    if not sizes:
        yield [path]
        return
    needs_torch()
    from vision_banana_ros.training.export.bundle import export_random

    with tempfile.TemporaryDirectory() as folder:
        yield [
            export_random(path, Path(folder) / f"random {height}x{width}", (height, width))
            for height, width in sizes
        ]


def _without_folders(words: list[str]) -> list[str]:
    """The command line without the folders of this machine."""
    return [Path(word).name if Path(word).is_absolute() else word for word in words]
