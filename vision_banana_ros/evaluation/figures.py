# SPDX-License-Identifier: Apache-2.0
"""The figures that a reader looks at first.

Which they are, how they are written, and two reports side by side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One entry of a split's report.

    form: "share" (0..1, shown in per cent), "degrees", "metres" or "ratio". more_is_better: None where
    neither is, as of what tells of the split itself.
    """

    task: str
    key: str
    name: str
    form: str
    more_is_better: bool | None

    def of(self, report: Mapping[str, Any]) -> float:
        """Its value in a report; NaN where that was not measured."""
        value = report.get(self.task, {}).get(self.key)
        return math.nan if value is None else float(value)

    def write(self, value: float) -> str:
        """The value as text, in the unit and with the digits of this figure."""
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
    """Two reports of one split: one step and its teacher, shared and specialist, before and after.

    Returns, for each figure that both have and that can be better, {"ours", "theirs", "better"}: by which
    part of theirs ours is better (negative: worse).
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
    """A Markdown table that is as easy to read as plain text.

    The first column is text, the others figures.
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: tuple[str, ...]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)])} |"

    rule = "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def report_table(reports: Mapping[str, Mapping[str, Any]], title: str = "") -> str:
    """The first figures of some reports, one column each; figures that none of them has are left out."""
    rows = []
    for figure in FIGURES:
        values = [figure.of(report) for report in reports.values()]
        if any(map(math.isfinite, values)):
            rows.append((figure.name, *map(figure.write, values)))
    return table(rows, (title, *reports))


def class_table(reports: Mapping[str, Mapping[str, Any]], title: str = "") -> str:
    """IoU by class, one column each for the reports that have it, the best class first.

    Empty where none has.
    """
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
    """A report for JSON.

    Figures to five digits, and None where there is none (NaN and infinity are no JSON).
    """
    if isinstance(value, Mapping):
        return {key: tidy(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
