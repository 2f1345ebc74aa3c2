# SPDX-License-Identifier: Apache-2.0
"""The main metrics of a report, their formatting, and comparisons of reports."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric in the report of a split.

    Attributes:
        task: Its section of the report.
        key: Its key in that section.
        name: Its name in tables.
        form: "share" (0..1, shown in per cent), "degrees", "metres" or "ratio".
        more_is_better: None for figures that describe the split and not the generator.
    """

    task: str
    key: str
    name: str
    form: str
    more_is_better: bool | None

    def of(self, report: Mapping[str, Any]) -> float:
        """Its value in a report; NaN if it was not measured."""
        value = report.get(self.task, {}).get(self.key)
        return math.nan if value is None else float(value)

    def write(self, value: float) -> str:
        """Formats a value with the unit and the number of digits of this metric."""
        if not math.isfinite(value):
            return "–"
        forms = {
            "share": f"{100 * value:.1f} %",
            "degrees": f"{value:.1f}°",
            "metres": f"{value:.2f} m",
            "ratio": f"{value:.3f}",
        }
        return forms[self.form]


FIGURES = (
    Figure("depth", "delta1", "depth within 1.25 (δ1)", "share", True),
    Figure("depth", "absrel", "depth AbsRel", "ratio", False),
    Figure("depth", "rmse_m", "depth RMSE", "metres", False),
    Figure("depth", "readable", "depth readable", "share", True),
    Figure("depth", "absrel_surest_half", "depth AbsRel, surest half", "ratio", False),
    Figure("depth", "delta1_aligned", "depth δ1, aligned", "share", True),
    Figure("depth", "absrel_aligned", "depth AbsRel, aligned", "ratio", False),
    Figure("depth", "scale", "depth, times too near", "ratio", None),
    Figure("depth", "delta1_constant", "constant map δ1", "share", None),
    Figure("depth", "absrel_constant", "constant map AbsRel", "ratio", None),
    Figure("normals", "mean_deg", "normals mean", "degrees", False),
    Figure("normals", "median_deg", "normals median", "degrees", False),
    Figure("normals", "under_11_25", "normals under 11.25°", "share", True),
    Figure("normals", "under_22_5", "normals under 22.5°", "share", True),
    Figure("normals", "under_30", "normals under 30°", "share", True),
    Figure("semantic", "miou", "semantic mIoU", "share", True),
    Figure("semantic", "pixel_accuracy", "semantic pixels right", "share", True),
    Figure("referring", "ciou", "referring cIoU", "share", True),
    Figure("referring", "giou", "referring gIoU", "share", True),
    Figure("referring", "false_positive", "referring false positives", "share", False),
    Figure("instances", "pmf1", "instances pmF1", "share", True),
    Figure("instances", "il_mcc", "instances IL_MCC", "ratio", True),
    Figure("instances", "cgf1", "instances cgF1", "share", True),
)


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Compares two reports on the same split, for example of a student and its teacher.

    Returns:
        By task and key, for each metric of both reports that has a better direction: {"ours", "theirs",
        "better"}, where "better" is the relative improvement (negative: worse).
    """
    compared: dict[str, Any] = {}
    for figure in FIGURES:
        a, b = figure.of(ours), figure.of(theirs)
        if figure.more_is_better is not None and math.isfinite(a) and math.isfinite(b):
            gain = (a - b) if figure.more_is_better else (b - a)
            better = gain / abs(b) if b else (0.0 if not gain else math.copysign(math.inf, gain))
            compared.setdefault(figure.task, {})[figure.key] = {"ours": a, "theirs": b, "better": better}
    return compared


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """A Markdown table with aligned columns, readable as plain text; all but the first are right-aligned."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: tuple[str, ...]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)])} |"

    rule = "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def report_table(reports: Mapping[str, Mapping[str, Any]], title: str = "") -> str:
    """A table of the main metrics with one column per report, without metrics that no report contains."""
    rows = []
    for figure in FIGURES:
        values = [figure.of(report) for report in reports.values()]
        if any(map(math.isfinite, values)):
            rows.append((figure.name, *map(figure.write, values)))
    return table(rows, (title, *reports))


def class_table(reports: Mapping[str, Mapping[str, Any]], title: str = "") -> str:
    """A table of the IoU of each class, best first, with one column per report; empty without any IoU."""
    columns = {
        name: report["semantic"]["classes"] for name, report in reports.items() if "semantic" in report
    }
    names = {name for each in columns.values() for name in each}
    order = sorted(names, key=lambda n: (-max(c.get(n) or 0 for c in columns.values()), n))
    rows = [
        (name, *(f"{100 * c[name]:.1f} %" if c.get(name) is not None else "–" for c in columns.values()))
        for name in order
    ]
    return table(rows, (title, *columns)) if rows else ""


def tidy(value: Any) -> Any:
    """Prepares a report for JSON: five significant digits, and None instead of NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: tidy(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
