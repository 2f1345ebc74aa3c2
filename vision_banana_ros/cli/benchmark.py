# SPDX-License-Identifier: Apache-2.0
"""Evaluate a bundle on the public data sets of the paper.

Checks downloads, measures by the published protocols, and makes the table beside the paper's results: see
docs/how_to/benchmarks.md.
"""

import argparse
import shlex
import sys
import textwrap
from pathlib import Path
from typing import Any

from vision_banana_ros.cli.shared.generator_arguments import add_executor_argument, add_passes_argument
from vision_banana_ros.cli.shared.opened_bundle import is_run, open_bundle_or_run
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import BENCHMARKS, benchmark_named
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry
from vision_banana_ros.evaluation.benchmarks.check import check
from vision_banana_ros.evaluation.benchmarks.protocols import Options
from vision_banana_ros.evaluation.benchmarks.run import Plan, parse_shard
from vision_banana_ros.evaluation.benchmarks.run import run as run_benchmark
from vision_banana_ros.evaluation.benchmarks.table import as_csv, markdown, plot, read_reports
from vision_banana_ros.evaluation.encode_prompts import encode_ahead
from vision_banana_ros.evaluation.real import read_mapping
from vision_banana_ros.evaluation.report import origin, write_benchmark
from vision_banana_ros.files import write_bytes
from vision_banana_ros.generators import default_bundle
from vision_banana_ros.reasoning import open_rewriter

LANGUAGE_MODEL_TIMEOUT_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what is wanted, and the options of all of it."""
    parser.add_argument(
        "what",
        metavar="NAME|list|check|table",
        help="a benchmark to run; `list` describes all of them; `check NAME` verifies a download without"
        " running anything; "
        "`table REPORT ...` compares reports with the published results and merges those of shards",
    )
    parser.add_argument(
        "more", nargs="*", metavar="NAME|REPORT", help="with check: the benchmark; with table: the reports"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the data set in its published layout, unpacked"
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="B",
        help="bundle folder or training run (default: the installed bundle)",
    )
    add_executor_argument(parser)
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N frames")
    parser.add_argument(
        "--shard", default="1/1", metavar="I/N", help="only every N-th frame, starting with the I-th"
    )
    add_passes_argument(parser)
    parser.add_argument(
        "--many", action="store_true", help="several referring expressions in one picture instead of one each"
    )
    parser.add_argument(
        "--language-model",
        nargs=2,
        metavar=("URL", "MODEL"),
        help="an OpenAI-compatible model that rewrites queries and decides whether a thing is present",
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="with real-classes: class mapping, as for evaluate"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="report (default: NAME.json; the same command again resumes it); with table: write FILE.md,"
        " FILE.csv and FILE.png",
    )
    parser.add_argument(
        "--write", action="store_true", help="write the report into the bundle and its model card"
    )


def run(args: argparse.Namespace) -> int:
    """Returns 0, or 1 where a download is not whole or frames failed."""
    if args.what == "list":
        print("\n\n".join(map(_described, BENCHMARKS.values())))
        return 0
    if args.what == "table":
        return _table(args)
    if args.what == "check" and len(args.more) != 1:
        raise InputError(
            "`benchmark check` takes the name of one benchmark: see `vision-banana benchmark list`."
        )
    benchmark = benchmark_named(args.more[0] if args.what == "check" else args.what)
    if args.data is None:
        raise InputError(
            "Where is the data set? Give --data DIR; `vision-banana benchmark list` shows the layout of"
            f" {benchmark.name}."
        )
    return _check(benchmark, args) if args.what == "check" else _measure(benchmark, args)


def _described(benchmark: Benchmark) -> str:
    count = f"{benchmark.frames:,} frames" if benchmark.frames else "frames as many as there are"
    facts = [
        f"{benchmark.title}: {benchmark.protocol.task}, {count}",
        f"from {benchmark.source}",
        f"licence: {benchmark.licence}; size: {benchmark.download}",
    ]
    tree = textwrap.indent(f"DIR/\n{textwrap.indent(benchmark.layout, '  ')}", "    ")
    return "\n".join([benchmark.name, *(f"    {fact}" for fact in facts), tree])


def _opened(benchmark: Benchmark, args: argparse.Namespace) -> list[Entry]:
    if args.mapping and not benchmark.takes_mapping:
        raise InputError(f"{benchmark.name} has classes of its own: leave --mapping out.")
    if args.mapping:
        return benchmark.open(args.data, read_mapping(args.mapping))
    return benchmark.open(args.data)


def _check(benchmark: Benchmark, args: argparse.Namespace) -> int:
    entries = _opened(benchmark, args)
    wrong = check(benchmark, args.data, entries)
    print("\n".join(wrong) if wrong else f"{benchmark.name}: whole, {len(entries)} frames.")
    return 1 if wrong else 0


def _table(args: argparse.Namespace) -> int:
    if not args.more:
        raise InputError("`benchmark table` takes the reports that benchmarks wrote: name at least one.")
    reports = read_reports([Path(report) for report in args.more])
    if not args.out:
        print(markdown(reports), end="")
        return 0
    for suffix, made in (
        (".md", markdown(reports).encode()),
        (".csv", as_csv(reports).encode()),
        (".png", plot(reports)),
    ):
        file = args.out.with_name(args.out.name + suffix)
        write_bytes(file, made)
        print(file)
    return 0


def _measure(benchmark: Benchmark, args: argparse.Namespace) -> int:
    if args.more:
        raise InputError(f"'{args.more[0]}' is one word too many: give one benchmark.")
    shard = parse_shard(args.shard)
    if args.limit < 0:
        raise InputError("--limit counts frames: give 1 or more.")
    if args.many and args.passes > 1:
        raise InputError("Several expressions in one painting are asked once: leave --many or --passes out.")
    path = args.bundle or default_bundle()
    if args.write and is_run(path):
        raise InputError(
            f"'{path}' is a run of training, without a card: export it for --write, or leave that out."
        )
    if args.write and shard[1] > 1:
        raise InputError(
            "A shard is no row: run all without --write, then give their reports to `benchmark table`."
        )
    entries = _opened(benchmark, args)
    bundle, perceiver = open_bundle_or_run(path, args.executor, args.passes, args.many)
    if args.many and perceiver.generator.manifest.expressions_together < 2:
        raise InputError(f"{bundle} was not taught several expressions in one painting: leave --many out.")
    model = (
        open_rewriter(args.language_model[0], args.language_model[1], LANGUAGE_MODEL_TIMEOUT_S)
        if args.language_model
        else None
    )
    options = Options(model)
    plan = Plan(args.limit, shard)
    if not is_run(path):
        legend = perceiver.generator.manifest.legend
        asked = (
            q
            for entry in plan.of(entries)
            for q in benchmark.protocol.questions(entry.texts, legend, options)
        )
        encode_ahead(path, perceiver, asked, lambda said: print(said, file=sys.stderr))
    part = "" if shard == (1, 1) else f".{shard[0]}-of-{shard[1]}"
    out = args.out or Path(f"{benchmark.name}{part}.json")
    made = {
        "command": _command(benchmark, args, path),
        "executor": getattr(perceiver.generator, "executor", "torch"),
        **origin(),
    }
    report = run_benchmark(benchmark, entries, perceiver, bundle, out, plan, options, made, _teller())
    if args.write:
        write_benchmark(path, report)
    print(markdown([report | {"shard": [1, 1]}]), end="")
    if failed := report.get("failed"):
        print(f"{failed['count']} frames failed: {', '.join(failed['frames'])}.", file=sys.stderr)
    return 1 if failed else 0


def _teller() -> Any:
    """Prints progress: on a terminal in one line, elsewhere now and then."""
    live, count = sys.stderr.isatty(), 0

    def tell(said: str) -> None:
        nonlocal count
        count += 1
        if " failed: " in said:
            print(("\n" if live else "") + said, file=sys.stderr)
        elif live:
            print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)
        elif count % 50 == 1:
            print(said, file=sys.stderr)

    return tell


def _command(benchmark: Benchmark, args: argparse.Namespace, path: Path) -> str:
    """The command as somebody else would give it: names, not folders of this machine."""
    words = ["vision-banana", "benchmark", benchmark.name, "--data", "DIR", "--bundle", path.resolve().name]
    words += ["--mapping", args.mapping.name] if args.mapping else []
    words += ["--limit", str(args.limit)] if args.limit else []
    words += ["--shard", args.shard] if args.shard != "1/1" else []
    words += ["--passes", str(args.passes)] if args.passes > 1 else []
    words += ["--many"] if args.many else []
    words += ["--language-model", "URL", args.language_model[1]] if args.language_model else []
    return shlex.join(words)
