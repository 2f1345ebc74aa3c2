# SPDX-License-Identifier: Apache-2.0
"""A bundle's report on one split: measured, named after what measured it, and written into the bundle."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vision_banana_ros import __version__
from vision_banana_ros.evaluation import legend_permutations
from vision_banana_ros.evaluation.benchmarks.table import row_name
from vision_banana_ros.evaluation.card import BENCHMARKED, write_card
from vision_banana_ros.evaluation.cases import Case, Split
from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.evaluation.junk import measure_junk
from vision_banana_ros.evaluation.retention import measure_retention
from vision_banana_ros.evaluation.sheets import write_sheets
from vision_banana_ros.generators.bundle import add_metrics, open_bundle, renew_manifest
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.perception.perceiver import Painter


def measure(
    perceiver: Perceiver, split: Split, progress: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Every figure of a generator on a split, ready for JSON.

    Of others' labels it says what their classes were scored as ("classes"), and leaves other legends out.
    """
    first: list[Case] = []  # kept, because rendering them again would take as long as asking

    def cases() -> Iterator[Case]:
        for case in split:
            if split.ours and len(first) < legend_permutations.VIEWS:
                first.append(case)
            yield case

    report = evaluate(perceiver, cases(), progress)
    if split.classes:
        report["classes"] = dict(split.classes)
    if first and "semantic" in report:
        report["legends"] = legend_permutations.measure_legends(perceiver, first)
    return tidy(report)


def write_report(path: Path, split: Split, report: dict[str, Any], perceiver: Perceiver) -> None:
    """Put a report into a bundle.

    Metrics.json, sheets of pictures where the split is ours, the card, checksums.
    """
    add_metrics(path, split.name, report)
    if split.ours:
        write_sheets(perceiver, split, report["worst"], path)
        renew_manifest(path)
    write_card(path)


def measure_generation(before: Painter, after: Painter, judge: Perceiver) -> dict[str, Any]:
    """What a generator can still paint after tuning, beside what it could before, ready for JSON."""
    return tidy(
        {**measure_retention(after, judge), "against": {"the base": measure_retention(before, judge)}}
    )


def measure_nothing(perceiver: Perceiver) -> dict[str, Any]:
    """What a generator answers about frames that show nothing, ready for JSON."""
    return tidy(measure_junk(perceiver))


def write_entry(path: Path, name: str, report: dict[str, Any]) -> None:
    """Put what is no split's report into a bundle: metrics.json, the card, checksums."""
    add_metrics(path, name, report)
    write_card(path)


def write_benchmark(path: Path, report: dict[str, Any]) -> None:
    """Put the report of a benchmark into a bundle, beside those of others.

    Metrics.json, the card, checksums.
    """
    known = open_bundle(path).metrics.get(BENCHMARKED, {})
    write_entry(path, BENCHMARKED, {**known, row_name(report): report})


def origin() -> dict[str, str]:
    """What measured: this version, and the commit where it is a checkout ("+" where files were changed)."""
    here = Path(__file__).resolve()
    root = _git(here.parent, "rev-parse", "--show-toplevel")
    if not root or not (Path(root) / "vision_banana_ros" / "evaluation" / here.name).is_file():
        return {"version": __version__}
    commit = _git(here.parent, "rev-parse", "--short=12", "HEAD")
    changed = _git(Path(root), "status", "--porcelain", "--untracked-files=no", "--", "vision_banana_ros")
    return {"version": __version__, "commit": commit + ("+" if changed else "")}


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
