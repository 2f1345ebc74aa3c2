# SPDX-License-Identifier: Apache-2.0
"""The model card of a bundle.

README.md, made of manifest.json and metrics.json alone, so that no figure is typed by hand.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vision_banana_ros.evaluation.benchmarks.table import markdown
from vision_banana_ros.evaluation.figures import FIGURES, class_table, compare, report_table, table
from vision_banana_ros.evaluation.scores import SCORED
from vision_banana_ros.evaluation.sheets import SAMPLES, WORST
from vision_banana_ros.files import write_bytes
from vision_banana_ros.generators.bundle import MANIFEST, Bundle, open_bundle, reading_metrics, renew_manifest

CARD = "README.md"
#: Entries of metrics.json that are no splits.
GENERATION, VAE, ONE_STEP, JUNK, BENCHMARKED = "generation", "vae", "one_step", "junk", "benchmarks"
NO_SPLITS = (GENERATION, VAE, ONE_STEP, JUNK, BENCHMARKED)
VAE_FIGURES = (
    ("depth", "median_error_m", "depth, median error", "{:.4f} m"),
    ("depth", "absrel", "depth, AbsRel", "{:.4f}"),
    ("depth", "readable", "depth, readable", "{:.1%}"),
    ("normals", "mean_deg", "normals, mean error", "{:.2f}°"),
    ("semantic", "miou", "classes, mIoU", "{:.4f}"),
    ("referring", "ciou", "masks, cIoU", "{:.4f}"),
)
POOR_CLASSES = 6
HOW_TO_READ = (
    "What cannot be read counts as wrong in every share; means of errors are over what was read. "
    "False positives: the share of expressions that fit nothing and still got a mask."
)
BESIDE_DEPTH = (
    " Surest half: of what was read, by confidence. Aligned: times one factor a view, the ratio of the"
    " medians of truth and answer; "
    "times too near: the median of those factors. Constant map: the view's true median depth everywhere,"
    " which looks at no picture."
)
BY_FIGURE = {(figure.task, figure.key): figure for figure in FIGURES}

Report = Mapping[str, Any]


def write_card(path: Path) -> Path:
    """Write README.md into a bundle and renew its checksums; returns the file.

    Raises InputError where the bundle is incomplete or altered.
    """
    with reading_metrics(path):
        text = card(open_bundle(path))
    write_bytes(path / CARD, text.encode())
    renew_manifest(path)
    return path / CARD


def card(bundle: Bundle) -> str:
    """The text of the card."""
    metrics = bundle.metrics
    reports = {name: report for name, report in metrics.items() if name not in NO_SPLITS}
    parts = [_head(bundle)]
    if reports:
        parts += [_overview(reports), _bad_at(reports), _pictures(bundle, reports)]
        parts += [_depth(reports), _classes(reports), _confidence(reports), _legends(reports)]
        parts += [_against(name, report) for name, report in reports.items() if "against" in report]
    if BENCHMARKED in metrics:
        parts.append(f"## Published data sets\n{markdown(list(metrics[BENCHMARKED].values())).rstrip()}")
    if JUNK in metrics:
        parts.append(_junk(metrics[JUNK]))
    if ONE_STEP in metrics:
        parts.append(_one_step(metrics[ONE_STEP]))
    if VAE in metrics:
        parts.append(_vae(metrics[VAE]))
    if GENERATION in metrics:
        parts.append(generation_section(metrics[GENERATION]))
    if metrics:
        parts.append(_measured_by(metrics))
    parts += [_made(bundle), _credits(bundle)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(bundle: Bundle) -> str:
    m = bundle.manifest
    height, width = m.size
    graphs = sum(
        (bundle.path / name).stat().st_size for name in m.files if name.endswith((".onnx", ".safetensors"))
    )
    rows = [
        ("answers", ", ".join(m.tasks)),
        ("pictures", f"{width} × {height}; frames of other sizes are letterboxed"),
        ("steps", str(m.steps)),
        *_guidance(m.backbone),
        ("depths taught", f"{m.depth_range_m[0]:g} to {m.depth_range_m[1]:g} m"),
        *_lens(m.depth_focal_px),
        ("classes of its own legend", ", ".join(m.legend)),
        ("weights", f"{graphs / 1e6:.1f} MB"),
        ("licence", m.licence),
    ]
    facts = "\n".join(["| | |", "|-|-|", *(f"| {name} | {value} |" for name, value in rows)])
    return f"# {m.name}\n{m.description}\n\n{facts}"


def _lens(focal_px: float) -> list[tuple[str, str]]:
    said = f"a focal length of {focal_px:g} px of these pictures; CameraInfo makes metres of it for any other"
    return [("depth is painted for", said)] if focal_px else []


def _guidance(backbone: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of an imported editor: what each step costs beside itself."""
    scale = backbone.get("guidance", 1.0)
    said = f"{scale:g}, classifier-free: each step is painted twice" if scale > 1 else "none"
    return [("guidance", said)] if backbone else []


def _overview(reports: Mapping[str, Report]) -> str:
    lines = ["## How good it is", report_table(reports), ""]
    for name, report in reports.items():
        said = f"- **{name}**: {report['views']} views" if "views" in report else f"- **{name}**"
        if referring := report.get("referring"):
            said += (
                f", {referring['expressions']} expressions of which {referring.get('negatives', 0)} fit"
                " nothing"
            )
        lines.append(said + "." + depth_note(report) + _classes_note(report))
    lines += [
        "",
        HOW_TO_READ
        + (BESIDE_DEPTH if any("delta1_aligned" in r.get("depth", {}) for r in reports.values()) else ""),
    ]
    return "\n".join(lines)


def _classes_note(report: Report) -> str:
    """What somebody else's classes were scored as; empty where the labels are ours."""
    classes: Mapping[str, str | None] = report.get("classes", {})
    ours = dict.fromkeys(name for name in classes.values() if name)
    scored = "; ".join(
        f"{name}: {', '.join(theirs for theirs, as_ours in classes.items() if as_ours == name)}"
        for name in ours
    )
    left_out = ", ".join(theirs for theirs, as_ours in classes.items() if as_ours is None)
    return (f" Its classes as ours: {scored}." if scored else "") + (
        f" Left out: {left_out}." if left_out else ""
    )


def _bad_at(reports: Mapping[str, Report]) -> str:
    lines = ["## What it is bad at"]
    for name, report in reports.items():
        lines += [f"- **{name}**: {sentence}" for sentence in _weak_spots(report)]
    return "\n".join(lines) if len(lines) > 1 else ""


def _weak_spots(report: Report) -> list[str]:
    """The worst row of each task's figures."""
    found = []
    if bands := report.get("depth", {}).get("bands"):
        band, worst = min(bands.items(), key=lambda item: item[1]["delta1"])
        found.append(
            f"depth at {band}: {_write('depth', 'delta1', worst)} within 1.25, AbsRel"
            f" {_write('depth', 'absrel', worst)}."
        )
    if (close := report.get("normals", {}).get("under_30")) is not None:
        found.append(f"normals: {100 * (1 - close):.1f} % are more than 30° off or unreadable.")
    if classes := report.get("semantic", {}).get("classes"):
        worst = sorted(classes.items(), key=lambda item: item[1])[:POOR_CLASSES]
        found.append("classes by IoU: " + ", ".join(f"{name} {100 * iou:.1f} %" for name, iou in worst) + ".")
    if referring := report.get("referring"):
        found.append(
            f"referring: mean IoU {_write('referring', 'giou', referring)}; something is marked for "
            f"{_write('referring', 'false_positive', referring)} of the expressions that fit nothing."
        )
    if instances := report.get("instances"):
        found.append(f"instances: F1 {_write('instances', 'pmf1', instances)} averaged over IoU .5 to .95.")
    return found


def _write(task: str, key: str, figures: Report) -> str:
    figure = BY_FIGURE[task, key]
    return figure.write(figure.of({task: figures}))


def _pictures(bundle: Bundle, reports: Mapping[str, Report]) -> str:
    lines = []
    for name in reports:
        samples, worst = SAMPLES.format(split=name), WORST.format(split=name)
        if samples in bundle.manifest.files:
            lines += [
                f"Fixed views of {name}, chosen by number:",
                "",
                f"![image, truth, answer: {name}]({samples})",
                "",
            ]
        if worst in bundle.manifest.files:
            lines += [
                f"The views of {name} with the greatest errors of each task:",
                "",
                f"![image, truth, answer: the worst of {name}]({worst})",
                "",
            ]
    return "\n".join(["## Pictures", *lines]).rstrip() if lines else ""


def _depth(reports: Mapping[str, Report]) -> str:
    rows = []
    for name, report in reports.items():
        for band, row in report.get("depth", {}).get("bands", {}).items():
            rows.append(
                (
                    f"{name}, {band}",
                    *(_write("depth", key, row) for key in ("delta1", "absrel", "rmse_m", "readable")),
                )
            )
    return "## Depth by distance\n" + table(rows, ("", "δ1", "AbsRel", "RMSE", "readable")) if rows else ""


def _classes(reports: Mapping[str, Report]) -> str:
    found = class_table(reports)
    return f"## IoU by class\n{found}" if found else ""


def _confidence(reports: Mapping[str, Report]) -> str:
    rows = []
    for name, report in reports.items():
        for task in SCORED:
            measured = report.get(task, {})
            figures = measured.get("confidence")
            if not figures or figures["ausc"] is None:
                continue
            kept = figures["error_of_most_confident"]
            form = "{:.1f}°" if "mean_deg" in measured else "{:.3f}"
            areas = (_number(figures[key]) for key in ("ausc", "ausc_oracle", "gain"))
            rows.append(
                (
                    f"{name}, {task}",
                    *areas,
                    *(form.format(kept[share]) for share in ("1", "0.9", "0.5", "0.25")),
                )
            )
    if not rows:
        return ""
    header = ("", "AUSC", "oracle", "gain", "error of all", "surest 90 %", "surest 50 %", "surest 25 %")
    return (
        "## Does confidence tell good from bad?\n"
        "Area under the sparsification curve: 1 is what dropping pixels at random gives, the oracle drops"
        " the greatest errors "
        "first; gain is 0 for chance and 1 for the oracle. Errors: AbsRel, degrees, share of wrong"
        " pixels.\n\n" + table(rows, header)
    )


def _legends(reports: Mapping[str, Report]) -> str:
    keys = ("miou_own", "miou_others", "miou_worst", "miou_voted", "agreement")
    measured = {name: report["legends"] for name, report in reports.items() if "legends" in report}
    rows = [(name, *(f"{100 * each[key]:.1f} %" for key in keys)) for name, each in measured.items()]
    if not rows:
        return ""
    counts = "; ".join(
        f"{name}: {each['legends']} on {each['views']} views" for name, each in measured.items()
    )
    header = ("", "mIoU, own legend", "others, mean", "worst", "voted", "agreement")
    return (
        f"## Other legends\nThe same classes in other orders and colours ({counts}); agreement is how often"
        " two legends give a "
        "pixel the same class.\n\n" + table(rows, header)
    )


def _against(name: str, report: Report) -> str:
    parts = []
    for other, theirs in report["against"].items():
        rows = _beside(report, theirs)
        parts.append(f"## Against {other}, {name}\n" + table(rows, ("", "this bundle", other, "better by")))
    return "\n\n".join(parts)


def _beside(ours: Report, theirs: Report) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for task, figures in compare(ours, theirs).items():
        for key, values in figures.items():
            figure = BY_FIGURE[task, key]
            better = f"{100 * values['better']:+.1f} %"
            rows.append((figure.name, figure.write(values["ours"]), figure.write(values["theirs"]), better))
    return rows


def _one_step(report: Report) -> str:
    """A student that paints in one step beside the teacher of many that it was tuned from."""
    rows = _beside(report["student"], report["teacher"])
    steps = report["steps"]
    header = ("", "student, 1 step", f"teacher, {steps} step{'s' if steps > 1 else ''}", "better by")
    return (
        f"## One step beside its teacher\n{report['student']['views']} rendered views that neither was"
        " tuned on. The student was "
        "tuned from the teacher by the error of its painted"
        f" answers.{depth_note(report['student'])}\n\n{table(rows, header)}"
    )


def _vae(report: Report) -> str:
    """What is lost before any denoiser paints: figures of `evaluation.vae_cost`."""
    return (
        f"## What the VAE alone costs\nTrue answers of {report['views']} rendered views, painted, encoded,"
        " decoded and read again: "
        f"nothing tuned on this VAE can be more exact.{depth_note(report)}\n\n{vae_table(report)}"
    )


def vae_table(report: Report) -> str:
    """The figures of `evaluation.vae_cost` as a table."""
    rows = [
        (name, _value(form, report[task].get(key))) for task, key, name, form in VAE_FIGURES if task in report
    ]
    return table(rows, ("", ""))


def _value(form: str, value: float | None) -> str:
    return "–" if value is None else form.format(value)


def depth_note(report: Report) -> str:
    """What must be known of a report's depth besides its figures; empty where nothing must."""
    depth = report.get("depth", {})
    if depth.get("aligned"):
        return " Depth is relative: before it was measured it was aligned with the truth, picture by picture."
    if taken := depth.get("focal_px_taken"):
        return (
            f" The lenses of these pictures are not known: {taken:g} px were taken for all, and depth is"
            " off by what they differ."
        )
    return ""


def generation_section(report: Report) -> str:
    """What is left of the generator: the report of `measure_generation` in words and a table."""
    rows = []
    for name, figures in (("this generator", report), *report.get("against", {}).items()):
        edits, captions = figures["edits"], figures["captions"]
        shares = (
            edits["done"],
            edits["kept"],
            edits["score"],
            captions["found"],
            captions["chance"],
            figures["score"],
        )
        rows.append((name, *(f"{100 * share:.1f} %" if share is not None else "–" for share in shares)))
    header = ("", "edit done", "rest kept", "edits", "classes found", "by chance", "score")
    return (
        f"## Generation\n{report['edits']['trials']} edits and {report['captions']['trials']} captions of"
        " rendered scenes. Done: "
        "pixels to be changed that came nearer to the true edited picture; kept: the others that stayed;"
        " found: the captions' "
        "classes that a judge sees in the picture; by chance: the same with other captions."
        f"{_retained(report)}\n\n" + table(rows, header)
    )


def _retained(report: Report) -> str:
    times = [
        (name, report["score"] / base["score"])
        for name, base in report.get("against", {}).items()
        if base["score"]
    ]
    return "".join(f" The score is {ratio:.2f} times that of {name}." for name, ratio in times)


def _junk(report: Report) -> str:
    names = ", ".join(report.get("refused", ()))
    refused = (
        f" The node and the commands refuse these before they ask the generator: {names}." if names else ""
    )
    return (
        "## Frames that show nothing\nShare of the pixels of the generator's answer that could be read,"
        f" and mean confidence of all: both should be near 0.{refused}\n\n{junk_table(report)}"
    )


def junk_table(report: Report) -> str:
    """A row a frame: the report of `measure_junk`."""
    tasks = list(dict.fromkeys(task for answers in report["frames"].values() for task in answers))
    rows = [
        (
            name,
            *(
                f"{100 * answers[task]['readable']:.1f} % / {answers[task]['confidence']:.3f}"
                for task in tasks
            ),
        )
        for name, answers in report["frames"].items()
    ]
    return table(rows, ("readable / confidence", *tasks))


def _measured_by(metrics: Mapping[str, Report]) -> str:
    lines: list[str] = []
    for report in (*metrics.values(), *metrics.get(BENCHMARKED, {}).values()):
        notes = [f"{key} {report[key]}" for key in ("version", "commit", "executor") if report.get(key)]
        if report.get("command"):
            lines.append(f"{report['command']}  # {', '.join(notes)}" if notes else report["command"])
    return "\n".join(["## Measured by", "```sh", *dict.fromkeys(lines), "```"])


def _made(bundle: Bundle) -> str:
    made = {name: value for name, value in bundle.manifest.made.items() if name != "credits"}
    if not made:
        return ""
    text = json.dumps(made, indent=2)
    return (
        "## How it was made\n<details><summary>from"
        f" {MANIFEST}</summary>\n\n```json\n{text}\n```\n\n</details>"
    )


def _credits(bundle: Bundle) -> str:
    """`made.credits` of the manifest.

    A line a licence, as `Library.credits` of the furnished scenes gives it.
    """
    lines = str(bundle.manifest.made.get("credits", "")).splitlines()
    return (
        "## Authors of the models in the training scenes\n" + "\n".join(f"- {line}" for line in lines)
        if lines
        else ""
    )


def _number(value: float | None) -> str:
    return _value("{:.3f}", value)
