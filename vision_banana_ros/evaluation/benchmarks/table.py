# SPDX-License-Identifier: Apache-2.0
"""Reports of benchmarks beside the published rows: Markdown, CSV and a plot.

Reports of shards are merged first.
"""

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import BENCHMARKS, reading
from vision_banana_ros.evaluation.benchmarks.frame_results import frames_file
from vision_banana_ros.evaluation.benchmarks.paper import MEANS, PAPER, PUBLISHED, REMARKS
from vision_banana_ros.evaluation.benchmarks.run import summed_up
from vision_banana_ros.evaluation.figures import Figure, table, tidy
from vision_banana_ros.files import read_json

Report = Mapping[str, Any]

FIGURES = (
    Figure("depth", "delta1", "δ1", "ratio", True),
    Figure("depth", "absrel", "AbsRel", "ratio", False),
    Figure("depth", "delta1_lens", "δ1, with intrinsics", "ratio", True),
    Figure("depth", "absrel_lens", "AbsRel, with intrinsics", "ratio", False),
    Figure("depth", "delta1_aligned", "δ1, aligned by medians", "ratio", True),
    Figure("depth", "absrel_aligned", "AbsRel, aligned by medians", "ratio", False),
    Figure("depth", "delta2", "δ2", "ratio", True),
    Figure("depth", "delta3", "δ3", "ratio", True),
    Figure("depth", "rmse_m", "RMSE", "metres", False),
    Figure("depth", "log10", "log10", "ratio", False),
    Figure("depth", "silog", "SILog", "ratio", False),
    Figure("normals", "mean_deg", "mean", "degrees", False),
    Figure("normals", "median_deg", "median", "degrees", False),
    Figure("normals", "under_11_25", "under 11.25°", "share", True),
    Figure("normals", "under_22_5", "under 22.5°", "share", True),
    Figure("normals", "under_30", "under 30°", "share", True),
    Figure("semantic", "miou", "mIoU", "share", True),
    Figure("referring", "ciou", "cIoU", "share", True),
    Figure("referring", "giou", "gIoU", "share", True),
    Figure("instances", "cgf1", "cgF1", "share", True),
    Figure("instances", "pmf1", "pmF1", "share", True),
    Figure("instances", "il_mcc", "IL_MCC", "ratio", True),
)
FIRST = ("delta1", "mean_deg", "miou", "ciou", "giou", "cgf1")
TITLES = {
    "depth": "Metric depth",
    "normals": "Surface normals",
    "semantic": "Semantic segmentation",
    "referring": "Referring and reasoning segmentation",
    "instances": "Concepts",
}
MEASURED = ("benchmark", "folder", "bundle", "identity", "passes", "many", "rewritten", "set", "limit")
"""What the reports of shards that belong together have in common."""
OUTSIDE = 0.01
"""From this share of the scored pixels on, what lies beyond the depths that were taught is told."""
UNREAD = 0.001


@dataclass
class Row:
    """A row of benchmark and figure. values: by method; ours first. footnotes: by number."""

    name: str
    title: str
    figure: Figure
    values: dict[str, float] = field(default_factory=dict)
    footnotes: list[int] = field(default_factory=list)


def read_reports(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The reports, those of shards merged. InputError where a shard is missing, or a file is no report."""
    whole: list[dict[str, Any]] = []
    shards: dict[str, dict[int, tuple[Path, dict[str, Any]]]] = defaultdict(dict)
    for path in paths:
        report = read_json(path)
        if not isinstance(report, dict) or report.get("benchmark") not in BENCHMARKS or "shard" not in report:
            raise InputError(
                f"'{path}' is no report of a benchmark: give what `vision-banana benchmark NAME --out` wrote."
            )
        i, n = report["shard"]
        if n == 1:
            whole.append(report)
            continue
        key = json.dumps([n, *(report.get(name) for name in MEASURED)])
        if i in shards[key]:
            raise InputError(
                f"'{path}' and '{shards[key][i][0]}' are the same shard {i}/{n}: give each once."
            )
        shards[key][i] = path, report
    return whole + [_merged(found) for found in shards.values()]


def _merged(shards: Mapping[int, tuple[Path, dict[str, Any]]]) -> dict[str, Any]:
    path, report = shards[min(shards)]
    n = report["shard"][1]
    if missing := [f"{i}/{n}" for i in range(1, n + 1) if i not in shards]:
        raise InputError(
            f"Of the shards of '{path}' {', '.join(missing)} are missing: give the reports of all."
        )
    benchmark = BENCHMARKS[report["benchmark"]]
    header = {name: report[name] for name in MEASURED}
    files = [frames_file(shards[i][0]) for i in sorted(shards)]
    made = {name: report[name] for name in ("command", "version", "commit", "executor") if name in report}
    merged = summed_up(benchmark, header | {"shard": [1, 1]}, files, report.get("legend", {}))
    return tidy({**merged, **made})


def label(report: Report) -> str:
    """What the column of a report is called."""
    said = [str(report["bundle"])]
    said += [f"{report['passes']} passes"] if report.get("passes", 1) > 1 else []
    said += ["many a painting"] if report.get("many") else []
    said += ["language model"] if report.get("rewritten") else []
    return ", ".join(said)


def rows_of(reports: Sequence[Report]) -> tuple[list[Row], list[str]]:
    """The rows in the order of the registry, and the footnotes."""
    by_row: dict[str, dict[str, Report]] = defaultdict(dict)
    for report in reports:
        row = row_name(report)
        if label(report) in by_row[row]:
            raise InputError(f"Two reports are of {label(report)} on {row}: give one of them.")
        by_row[row][label(report)] = report
    for name, (_, parts) in MEANS.items():
        for column in {column for part in parts for column in by_row.get(part, {})}:
            if all(column in by_row.get(part, {}) for part in parts):
                by_row[name][column] = _mean([by_row[part][column] for part in parts])
    footnotes: dict[str, int] = {}
    rows = []
    order = [*BENCHMARKS, *MEANS]
    for name in sorted(by_row, key=lambda name: (order.index(name.partition(":")[0]), name)):
        numbers = [footnotes.setdefault(note, len(footnotes) + 1) for note in _notes(name, by_row[name])]
        rows += _rows(name, _title(name), by_row[name], numbers)
    return rows, list(footnotes)


def row_name(report: Report) -> str:
    """Which row a report is of: its benchmark, and of one's own frames the folder too."""
    folder = report.get("folder")
    return f"{report['benchmark']}:{folder}" if folder else str(report["benchmark"])


def _title(name: str) -> str:
    benchmark, _, folder = name.partition(":")
    title = MEANS[name][0] if name in MEANS else BENCHMARKS[benchmark].title
    return f"{title} {folder}".rstrip()


def _rows(name: str, title: str, columns: Mapping[str, Report], numbers: list[int]) -> list[Row]:
    found = []
    for figure in FIGURES:
        ours = {column: figure.of(report) for column, report in columns.items()}
        if any(map(math.isfinite, ours.values())):
            published = {
                method: values[figure.key]
                for method, values in PUBLISHED.get(name, {}).items()
                if figure.key in values
            }
            found.append(Row(name, title, figure, ours | published, numbers))
    return found


def _mean(reports: Sequence[Report]) -> Report:
    """Of each figure that all reports have."""
    made: dict[str, dict[str, float]] = defaultdict(dict)
    for figure in FIGURES:
        values = [figure.of(report) for report in reports]
        if all(map(math.isfinite, values)):
            made[figure.task][figure.key] = sum(values) / len(values)
    return made


def _notes(name: str, columns: Mapping[str, Report]) -> list[str]:
    """What must be known of a row."""
    benchmark = BENCHMARKS.get(name.partition(":")[0])
    notes = list(benchmark.notes) if benchmark else [f"The mean of {', '.join(MEANS[name][1])}."]
    notes += [REMARKS[name]] if name in REMARKS else []
    for column, report in columns.items():
        notes += [f"{column}: {note}" for note in _deviations(report)]
    return notes


def _deviations(report: Report) -> list[str]:
    notes = []
    published, there, counted = (report.get(name, 0) for name in ("published", "set", "frames"))
    if published and there != published:
        notes.append(f"{there} of the {published} published frames were there.")
    if report.get("limit"):
        notes.append(f"only the first {report['limit']} frames were asked (--limit).")
    if failed := report.get("failed"):
        notes.append(
            f"{failed['count']} frames failed and are not counted, such as"
            f" {next(iter(failed['frames']))}; {counted} are."
        )
    depth = report.get("depth", {})
    for key, words in (("nearer_than_taught", "nearer"), ("farther_than_taught", "farther")):
        if (depth.get(key) or 0) > OUTSIDE:
            notes.append(
                f"{100 * depth[key]:.1f} % of the scored depths are {words} than any that the"
                " bundle was taught."
            )
    if depth.get("aligned"):
        notes.append(
            "depth is relative and was aligned by least squares with the truth, picture by"
            " picture, as Marigold does."
        )
    for task in TITLES:
        read = report.get(task, {}).get("readable")
        if read is not None and 1 - read > UNREAD:
            notes.append(
                f"{100 * (1 - read):.1f} % of the {task} could not be read: wrong in every share,"
                " in no mean of errors."
            )
    return notes


def markdown(reports: Sequence[Report]) -> str:
    """A table a task, and the footnotes of all."""
    rows, footnotes = rows_of(reports)
    parts = []
    for task, title in TITLES.items():
        chosen = [row for row in rows if row.figure.task == task]
        if chosen:
            columns = _columns(chosen)
            lines = [(_named(row), *(_written(row, column) for column in columns)) for row in chosen]
            parts.append(f"**{title}**\n\n{table(lines, ('', *columns))}")
    parts.append("\n".join(f"[{number}] {note}  " for number, note in enumerate(footnotes, start=1)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _columns(rows: Iterable[Row]) -> list[str]:
    """Ours, the paper, others."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    others = {method for methods in PUBLISHED.values() for method in methods}
    ours = [name for name in names if name not in others]
    return [
        *ours,
        *(name for name in (PAPER,) if name in names),
        *(name for name in names if name in others and name != PAPER),
    ]


def _named(row: Row) -> str:
    """The row's title and figure; the footnotes stand at the first figure of a task."""
    first = next(figure for figure in FIGURES if figure.task == row.figure.task)
    marks = f" [{', '.join(map(str, row.footnotes))}]" if row.figure == first and row.footnotes else ""
    return f"{row.title}, {row.figure.name}{marks}"


def _written(row: Row, column: str) -> str:
    return row.figure.write(row.values.get(column, math.nan))


def as_csv(reports: Sequence[Report]) -> str:
    """A line a figure and method: task, benchmark, figure, method, value; shares 0..1, angles in degrees."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("task", "benchmark", "figure", "method", "value"))
    for row in rows_of(reports)[0]:
        for method, value in row.values.items():
            writer.writerow(
                (
                    row.figure.task,
                    row.name,
                    row.figure.key,
                    method,
                    "" if math.isnan(value) else f"{value:.6g}",
                )
            )
    return text.getvalue()


def plot(reports: Sequence[Report]) -> bytes:
    """A PNG of the figures that the paper reports too, or of the first of each task where it reports none.

    InputError where matplotlib is missing.
    """
    pyplot = reading.needed("matplotlib.pyplot")
    every = rows_of(reports)[0]
    rows = [row for row in every if PAPER in row.values] or [row for row in every if row.figure.key in FIRST]
    panels = [
        (form, [row for row in rows if row.figure.form == form])
        for form in ("ratio", "share", "degrees", "metres")
    ]
    panels = [(form, chosen) for form, chosen in panels if chosen]
    heights = [0.5 + 0.22 * sum(len(row.values) + 1 for row in chosen) for _, chosen in panels]
    figure, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(9, sum(heights) + 0.6),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    columns = _columns(rows)
    colors = dict(zip(columns, pyplot.get_cmap("tab10").colors * 3, strict=False))
    units = {
        "ratio": "",
        "share": "",
        "degrees": "degrees, less is better",
        "metres": "metres, less is better",
    }
    for axis, (form, chosen) in zip(axes[:, 0], panels, strict=True):
        place, ticks = 0.0, []
        for row in chosen:
            start = place
            for column in columns:
                value = row.values.get(column, math.nan)
                if math.isfinite(value):
                    axis.barh(place, value, color=colors[column], height=0.9)
                    axis.text(value, place, f" {row.figure.write(value)}", va="center", fontsize=7)
                    place += 1
            ticks.append(((start + place - 1) / 2, f"{row.title}\n{row.figure.name}"))
            place += 0.8
        axis.set_yticks([at for at, _ in ticks], [said for _, said in ticks], fontsize=8)
        axis.invert_yaxis()
        axis.margins(x=0.12)
        axis.set_xlabel(units[form], fontsize=8)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colors[column]) for column in columns]
    figure.legend(handles, columns, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    pyplot.close(figure)
    return data.getvalue()
