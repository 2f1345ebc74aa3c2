# SPDX-License-Identifier: Apache-2.0
"""Evaluates a bundle on a fixed split of rendered views with ground truth, and on folders of real frames.

With --write, the metrics, sample images and the model card are stored in the bundle.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision_banana_ros.cli.shared.generator_arguments import add_executor_argument, add_passes_argument
from vision_banana_ros.cli.shared.opened_bundle import is_run, open_bundle_or_run
from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.card import GENERATION, JUNK, generation_section, junk_table
from vision_banana_ros.evaluation.cases import Split
from vision_banana_ros.evaluation.encode_prompts import encode_ahead
from vision_banana_ros.evaluation.evaluate import questions_of
from vision_banana_ros.evaluation.figures import class_table, report_table
from vision_banana_ros.evaluation.junk import junk_questions
from vision_banana_ros.evaluation.real import PREFIX, read_mapping, real_set
from vision_banana_ros.evaluation.report import (
    measure,
    measure_generation,
    measure_nothing,
    origin,
    write_entry,
    write_report,
)
from vision_banana_ros.evaluation.splits import open_split
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.executors.torch import network_of
from vision_banana_ros.perception import Perceiver

if TYPE_CHECKING:
    from vision_banana_ros.generators.own.network import VisionBananaUNet
    from vision_banana_ros.training.own.sampler import Painter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="bundle or training run (default: the installed bundle)",
    )
    parser.add_argument(
        "--split",
        default="procedural",
        metavar="SPLIT",
        help="procedural (default), furnished (held-out models), or a folder as for --real",
    )
    parser.add_argument(
        "--real",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="DIR",
        help="also evaluate folders of real frames: NAME.png with NAME_depth.npz or NAME_labels.png; and"
        " blank frames",
    )
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="YAML or JSON file that maps the classes of NAME_labels.png to classes of the bundle",
    )
    parser.add_argument("--only-real", action="store_true", help="evaluate only the --real folders")
    parser.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="evaluate only the first N views of the split and of each folder",
    )
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="OTHER",
        help="another bundle or training run to compare with; can be repeated",
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="OTHER",
        help="also evaluate image generation and editing, compared with another bundle or run",
    )
    add_executor_argument(parser)
    add_passes_argument(parser)
    parser.add_argument(
        "--write", action="store_true", help="write metrics, sample images and the model card into the bundle"
    )
    parser.add_argument("--json", action="store_true", help="print all metrics as JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    path = args.bundle or default_bundle()
    if is_run(path) and args.write:
        raise InputError(
            f"'{path}' is a run of training, without a card: export it for --write, or leave that out."
        )
    # What cannot be opened is said before anything is measured.
    splits = _splits(args)
    _, perceiver = _opened(path, args, splits)
    others = [_opened(other, args, splits) for other in args.against]
    painters = _before_and_after(path, args) if args.base else None
    made = {"command": _command(args, path), **origin()}
    by = {**made, "executor": getattr(perceiver.generator, "executor", "torch")}
    reports: dict[str, dict[str, Any]] = {}
    for split in splits:
        report = {**measure(perceiver, split, _progress(split.name, len(split))), **by}
        for name, other in others:
            report.setdefault("against", {})[name] = measure(
                other, split, _progress(f"{split.name}, {name}", len(split))
            )
        reports[split.name] = report
    extras = {JUNK: {**measure_nothing(perceiver), **by}} if args.real else {}
    extras |= {GENERATION: {**measure_generation(*painters, perceiver), **made}} if painters else {}
    if args.write:
        for split in splits:
            write_report(path, split, reports[split.name], perceiver)
        for name, extra in extras.items():
            write_entry(path, name, extra)
    if args.json:
        main = {} if args.only_real else reports.pop(splits[0].name)
        print(json.dumps({**main, **({"real": reports} if reports else {}), **extras}, indent=2))
    else:
        print("\n\n".join(_tables(reports, extras)))
    return 0


def _tables(reports: dict[str, dict[str, Any]], extras: dict[str, dict[str, Any]]) -> list[str]:
    """The first figures of everything.

    A column a split, or a table a split where others were measured too.
    """
    together = {
        name: {"this": report, **report["against"]} for name, report in reports.items() if "against" in report
    } or {"": reports}
    tables = []
    for split, columns in together.items():
        tables.append(report_table(columns, split))
        if all(name.startswith(PREFIX) for name in ([split] if split else columns)):
            tables.append(class_table(columns, split))
    tables += [junk_table(extras[JUNK])] if JUNK in extras else []
    tables += [generation_section(extras[GENERATION])] if GENERATION in extras else []
    return [table for table in tables if table]


def _splits(args: argparse.Namespace) -> list[Split]:
    """What is to be measured on."""
    if args.count is not None and args.count < 1:
        raise InputError(f"--count must be 1 or more; it is {args.count}.")
    if args.only_real and not args.real:
        raise InputError("--only-real needs folders of real frames: give --real DIR.")
    mapping = read_mapping(args.mapping) if args.mapping else None
    splits = [] if args.only_real else [open_split(args.split, args.count)]
    splits += [real_set(folder, mapping, args.count) for folder in args.real]
    names = [split.name for split in splits]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(
            f"Two folders are both called {', '.join(twice)} in the figures: rename one, or give it once."
        )
    return splits


def _opened(path: Path, args: argparse.Namespace, splits: list[Split]) -> tuple[str, Perceiver]:
    """A bundle, or a run of training as it answers, and what it is called."""
    name, perceiver = open_bundle_or_run(path, args.executor, args.passes)
    if not is_run(path):
        legend = perceiver.generator.manifest.legend
        questions = chain.from_iterable(questions_of(split, legend) for split in splits)
        encode_ahead(path, perceiver, chain(questions, junk_questions(legend) if args.real else []), _say)
    return name, perceiver


def _before_and_after(path: Path, args: argparse.Namespace) -> tuple[Painter, Painter]:
    """The networks of --base and of the evaluated bundle, as samplers with the same resolution."""
    needs_torch()
    from vision_banana_ros.training.own.sample_sheets import SAMPLING_STEPS
    from vision_banana_ros.training.own.sampler import Painter

    (before, _), (after, size) = (_network(each) for each in (args.base, path))
    return Painter(before, size, SAMPLING_STEPS), Painter(after, size, SAMPLING_STEPS)


def _network(path: Path) -> tuple[VisionBananaUNet, tuple[int, int]]:
    """The network of a bundle or of a run, and the size of its answers."""
    from vision_banana_ros.training.own.sampler import open_painter

    if is_run(path):
        painter = open_painter(path)
        return painter.network, painter.size
    bundle = open_bundle(path)
    return network_of(bundle), bundle.manifest.size


def _say(what: str) -> None:
    print(what, file=sys.stderr)


def _progress(name: str, total: int) -> Callable[[int], None]:
    live = sys.stderr.isatty()

    def tell(done: int) -> None:
        if live or done == total or done % 50 == 0:
            print(
                f"\r{name}: {done} of {total}" if live else f"{name}: {done} of {total}",
                end="" if live else "\n",
                file=sys.stderr,
            )
        if live and done == total:
            print(file=sys.stderr)

    return tell


def _command(args: argparse.Namespace, path: Path) -> str:
    """The command as somebody else would give it: names, not folders of this machine."""
    words = ["vision-banana", "evaluate", path.resolve().name]
    words += ["--only-real"] if args.only_real else ["--split", Path(args.split).name]
    words += ["--real", *(folder.resolve().name for folder in args.real)] if args.real else []
    words += ["--mapping", args.mapping.name] if args.mapping else []
    words += ["--count", str(args.count)] if args.count else []
    words += ["--passes", str(args.passes)] if args.passes > 1 else []
    for option, runs in (("--against", args.against), ("--base", [args.base] if args.base else [])):
        words += [word for run in runs for word in (option, run.resolve().name)]
    return shlex.join(words)
