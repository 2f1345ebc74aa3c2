# SPDX-License-Identifier: Apache-2.0
"""Measure a bundle on a fixed split; with --write, put the figures into the bundle."""

import argparse
import json
import sys
from pathlib import Path

NAME = "evaluate"
HELP = "measure a bundle against exact truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: the one that is installed")
    parser.add_argument("--count", type=int, default=300, help="views of the procedural split (default 300)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="instead, pictures NAME.png with NAME_depth.npz")
    parser.add_argument("--executor", default="auto")
    parser.add_argument("--write", action="store_true", help="put the figures into the bundle's metrics.json")


def run(args: argparse.Namespace) -> int:
    from vision_banana_ros.evaluation.evaluate import evaluate
    from vision_banana_ros.evaluation.splits import folder, procedural
    from vision_banana_ros.generators import default_bundle, load_generator
    from vision_banana_ros.generators.bundle import add_metrics
    from vision_banana_ros.perception import Perceiver

    path = args.bundle or default_bundle()
    perceiver = Perceiver(load_generator(path, args.executor))
    split = args.folder.name if args.folder else "procedural"
    cases = folder(args.folder) if args.folder else procedural(args.count)

    def progress(done: int) -> None:
        if sys.stderr.isatty() or done % 50 == 0:
            print(f"\r{split}: {done} pictures", end="", file=sys.stderr, flush=True)

    measured = evaluate(perceiver, cases, progress)
    print(file=sys.stderr)
    print(json.dumps(measured, indent=2))
    if args.write:
        command = f"vision-banana evaluate --folder {split}" if args.folder else f"vision-banana evaluate --count {args.count}"
        add_metrics(path, split, {**measured, "command": command})
    return 0
