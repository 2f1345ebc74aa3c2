# SPDX-License-Identifier: Apache-2.0
"""Measure a bundle on a fixed split with exact truth; with --write, put figures, pictures and the card into the bundle."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

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
    parser.add_argument("--against", type=Path, metavar="BUNDLE", help="measure this one too, and say how much better ours is")
    parser.add_argument("--executor", default="auto")
    parser.add_argument(
        "--passes", type=int, default=1, metavar="N", help="ask each question N times, of the mirrored frame too, and vote"
    )
    parser.add_argument("--write", action="store_true", help="put figures, pictures and the card into the bundle")
    parser.add_argument("--json", action="store_true", help="print every figure instead of a table of the first ones")


def run(args: argparse.Namespace) -> int:
    from vision_banana_ros.evaluation.ahead import encode_ahead
    from vision_banana_ros.evaluation.figures import report_table
    from vision_banana_ros.evaluation.report import measure, origin, write_report
    from vision_banana_ros.evaluation.splits import open_split
    from vision_banana_ros.generators import default_bundle, load_generator
    from vision_banana_ros.perception import Perceiver

    path = args.bundle or default_bundle()
    split = open_split(args.split, args.count)
    generator = load_generator(path, args.executor)
    perceiver = Perceiver(generator, passes=args.passes)
    encode_ahead(path, perceiver, split, _say)
    report = {**measure(perceiver, split, _progress(split.name, len(split))), "command": _command(args, path)}
    report |= {**origin(), "executor": generator.executor}
    if args.against:
        other = load_generator(args.against, args.executor)
        theirs = Perceiver(other, passes=args.passes)
        encode_ahead(args.against, theirs, split, _say)
        report["against"] = {other.name: measure(theirs, split, _progress(other.name, len(split)))}
    if args.write:
        write_report(path, split, report, perceiver)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print(report_table({split.name: report, **report.get("against", {})}))
    return 0


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
    words += ["--against", args.against.resolve().name] if args.against else []
    return shlex.join(words)
