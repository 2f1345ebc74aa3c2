# SPDX-License-Identifier: Apache-2.0
"""Measure a bundle on a fixed split with exact truth; with --write, put figures, pictures and the card into the bundle."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.errors import InputError

if TYPE_CHECKING:
    from vision_banana_ros.evaluation.splits import Split
    from vision_banana_ros.perception import Perceiver
    from vision_banana_ros.training.own.sampler import Painter

NAME = "evaluate"
HELP = "measure a bundle against exact truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: the one that is installed")
    parser.add_argument(
        "--split",
        default="procedural",
        metavar="SPLIT",
        help="procedural (default); furnished, of models kept from training; or a folder of pictures NAME.png with NAME_depth.npz",
    )
    parser.add_argument("--count", type=int, metavar="N", help="only the first N views of the split")
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="OTHER",
        help="a bundle or a training run (a teacher, a specialist) to measure too; repeatable",
    )
    parser.add_argument(
        "--base", type=Path, metavar="RUN", help="measure captions and edits too, beside the run that the bundle was tuned from"
    )
    parser.add_argument("--steps", type=int, default=8, metavar="N", help="steps of a teacher's answers, and of pictures (default 8)")
    parser.add_argument("--executor", default="auto")
    parser.add_argument(
        "--passes", type=int, default=1, metavar="N", help="ask each question N times, of the mirrored frame too, and vote"
    )
    parser.add_argument("--write", action="store_true", help="put figures, pictures and the card into the bundle")
    parser.add_argument("--json", action="store_true", help="print every figure instead of a table of the first ones")


def run(args: argparse.Namespace) -> int:
    from vision_banana_ros.evaluation.card import generation_section
    from vision_banana_ros.evaluation.encode_prompts import encode_ahead
    from vision_banana_ros.evaluation.figures import report_table
    from vision_banana_ros.evaluation.report import measure, measure_generation, origin, write_generation, write_report
    from vision_banana_ros.evaluation.splits import open_split
    from vision_banana_ros.generators import default_bundle, load_generator
    from vision_banana_ros.perception import Perceiver

    if args.steps < 1:
        raise InputError("--steps must be 1 or more.")
    path = args.bundle or default_bundle()
    split = open_split(args.split, args.count)
    generator = load_generator(path, args.executor)
    perceiver = Perceiver(generator, passes=args.passes)
    # What cannot be opened is said before anything is measured.
    others = [_other(other, split, args) for other in args.against]
    painters = _before_and_after(path, args) if args.base else None
    encode_ahead(path, perceiver, split, _say)
    made = {"command": _command(args, path), **origin()}
    report = {**measure(perceiver, split, _progress(split.name, len(split))), **made, "executor": generator.executor}
    for name, theirs in others:
        report.setdefault("against", {})[name] = measure(theirs, split, _progress(name, len(split)))
    generation = {**measure_generation(*painters, perceiver), **made} if painters else None
    if args.write:
        write_report(path, split, report, perceiver)
        if generation:
            write_generation(path, generation)
    if generation:
        report["generation"] = generation
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print(report_table({split.name: report, **report.get("against", {})}))
        if generation:
            print(f"\n{generation_section(generation)}")
    return 0


def _other(path: Path, split: Split, args: argparse.Namespace) -> tuple[str, Perceiver]:
    """A bundle, or a run of training as it answers, and what it is called."""
    from vision_banana_ros.evaluation.encode_prompts import encode_ahead
    from vision_banana_ros.generators import load_generator
    from vision_banana_ros.perception import Perceiver

    if not (path / "network").is_dir():  # which a run has and a bundle has not
        generator = load_generator(path, args.executor)
        perceiver = Perceiver(generator, passes=args.passes)
        encode_ahead(path, perceiver, split, _say)
        return generator.name, perceiver
    needs_torch()
    from vision_banana_ros.training.own.run_stages import open_painter

    painter = open_painter(path, args.steps)
    name = path.resolve().name
    return name if painter.from_frame else f"{name}, {painter.steps} steps", Perceiver(painter, passes=args.passes)


def _before_and_after(path: Path, args: argparse.Namespace) -> tuple[Painter, Painter]:
    """The base that a bundle was tuned from and the bundle's own network, painting in many steps."""
    needs_torch()
    from vision_banana_ros.generators import open_bundle
    from vision_banana_ros.generators.executors.torch import network_of
    from vision_banana_ros.training.own.loop import load_network
    from vision_banana_ros.training.own.run_stages import run_folder
    from vision_banana_ros.training.own.sampler import Painter

    bundle = open_bundle(path)
    networks = load_network(run_folder(args.base)), network_of(bundle)
    before, after = (Painter(network, bundle.manifest.size, args.steps) for network in networks)
    return before, after


def _say(what: str) -> None:
    print(what, file=sys.stderr)


def _progress(name: str, total: int) -> Callable[[int], None]:
    live = sys.stderr.isatty()

    def tell(done: int) -> None:
        if live or done == total or done % 50 == 0:
            print(f"\r{name}: {done} of {total}" if live else f"{name}: {done} of {total}", end="" if live else "\n", file=sys.stderr)
        if live and done == total:
            print(file=sys.stderr)

    return tell


def _command(args: argparse.Namespace, path: Path) -> str:
    """The command as somebody else would give it: names, not folders of this machine."""
    split = Path(args.split).name
    words = ["vision-banana", "evaluate", path.resolve().name, "--split", split]
    words += ["--count", str(args.count)] if args.count else []
    words += ["--passes", str(args.passes)] if args.passes > 1 else []
    for option, runs in (("--against", args.against), ("--base", [args.base] if args.base else [])):
        words += [word for run in runs for word in (option, run.resolve().name)]
    words += ["--steps", str(args.steps)] if args.steps != 8 else []
    return shlex.join(words)
