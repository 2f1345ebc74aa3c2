# SPDX-License-Identifier: Apache-2.0
"""The figures that a reader looks at first: which they are, how they are written, and two reports side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One entry of a split's report. `form`: "share" (0..1, shown in per cent), "degrees", "metres" or "ratio"."""

    task: str
    key: str
    name: str
    form: str
    more_is_better: bool

    def of(self, report: Mapping[str, Any]) -> float:
        """Its value in a report; NaN where that was not measured."""
        value = report.get(self.task, {}).get(self.key)
        return math.nan if value is None else float(value)

    def write(self, value: float) -> str:
        if not math.isfinite(value):
            return "–"
        forms = {"share": f"{100 * value:.1f} %", "degrees": f"{value:.1f}°", "metres": f"{value:.2f} m", "ratio": f"{value:.3f}"}
        return forms[self.form]


FIGURES = (
    Figure("depth", "delta1", "depth within 1.25 (δ1)", "share", True),
    Figure("depth", "absrel", "depth AbsRel", "ratio", False),
    Figure("depth", "rmse_m", "depth RMSE", "metres", False),
    Figure("depth", "readable", "depth readable", "share", True),
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

    Returns, for each figure that both have, {"ours", "theirs", "better"}: by which part of theirs ours is better
    (negative: worse).
    """
    compared: dict[str, Any] = {}
    for figure in FIGURES:
        a, b = figure.of(ours), figure.of(theirs)
        if math.isfinite(a) and math.isfinite(b):
            gain = (a - b) if figure.more_is_better else (b - a)
            better = gain / abs(b) if b else (0.0 if not gain else math.copysign(math.inf, gain))
            compared.setdefault(figure.task, {})[figure.key] = {"ours": a, "theirs": b, "better": better}
    return compared


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """A Markdown table that is as easy to read as plain text; the first column is text, the others figures."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))} |"

    rule = "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def report_table(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The first figures of some reports, one column each; figures that none of them has are left out."""
    rows = []
    for figure in FIGURES:
        values = [figure.of(report) for report in reports.values()]
        if any(map(math.isfinite, values)):
            rows.append((figure.name, *map(figure.write, values)))
    return table(rows, ("", *reports))


def tidy(value: Any) -> Any:
    """A report for JSON: figures to five digits, and None where there is none (NaN and infinity are no JSON)."""
    if isinstance(value, Mapping):
        return {key: tidy(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
