# SPDX-License-Identifier: Apache-2.0
"""What each choice of a recipe is worth: one field changed at a time, everything else, the views too, the
same.

`python benchmark/ablations.py config/training/tiny.yaml` trains the variants into runs/ablations (stopped, it
goes on there), measures each on the procedural split and writes ablations.json next to itself; `--write FILE`
makes a table of that, between the lines `<!-- ablations -->` and `<!-- /ablations -->` of the file. After few
views all figures are low: read rows against one another, and not as what a generator reaches.
"""

import argparse
import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bench_table import replaced

from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.evaluation.legend_permutations import measure_legends
from vision_banana_ros.evaluation.retention import measure_retention
from vision_banana_ros.evaluation.splits import open_split
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.training.own.loop import train
from vision_banana_ros.training.own.recipe import Part, Recipe, read_recipe
from vision_banana_ros.training.own.sample_sheets import SAMPLING_STEPS
from vision_banana_ros.training.own.sampler import Painter, open_painter

#: Fields of the recipe, or of all its parts.
VARIANTS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "encoder from chance": {"pretrained": False, "frozen": 0},
    "no stage frozen": {"frozen": 0},
    "four stages frozen": {"frozen": 4},
    "one legend": {"random_legends": 0.0},
    "no captions and edits": {"pictures": 0.0},
    "captions and edits 0.05": {"pictures": 0.05},
    "captions and edits 0.3": {"pictures": 0.3},
}
COLUMNS = {
    "depth d1": ("depth", "delta1"),
    "AbsRel": ("depth", "absrel"),
    "normals deg": ("normals", "mean_deg"),
    "mIoU": ("semantic", "miou"),
    "other legends": ("legends", "miou_others"),
    "cIoU": ("referring", "ciou"),
    "FP": ("referring", "false_positive"),
    "pmF1": ("instances", "pmf1"),
    "pictures": ("generation", "score"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, nargs="?", default=Path("config/training/tiny.yaml"))
    parser.add_argument(
        "--cases", type=int, default=60, help="views of the procedural split that are measured (default 60)"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="train nothing: put the table of --out into this file"
    )
    args = parser.parse_args()
    if args.write is not None:
        runs = json.loads(args.out.read_text())["runs"]
        args.write.write_text(replaced(args.write.read_text(), table(runs), "ablations"))
        return
    recipe = read_recipe(args.recipe)
    # sees what is in a picture that was painted from words
    judge = Perceiver(load_generator(default_bundle()))
    reports = {}
    for name, changes in VARIANTS.items():
        print(f"== {name}", flush=True)
        run = args.work / name.replace(" ", "-")
        train(changed(recipe, changes), run, pool=args.work / "pool")
        reports[name] = measured(run, judge, args.cases)
    args.out.write_text(
        json.dumps({"recipe": recipe.facts, "cases": args.cases, "runs": reports}, indent=2, allow_nan=False)
        + "\n"
    )
    print(table(reports))


def changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """The recipe with other values of its own fields, and of fields of all its parts."""
    of_parts = {
        name: value for name, value in changes.items() if name in {field.name for field in fields(Part)}
    }
    own = {name: value for name, value in changes.items() if name not in of_parts}
    return replace(recipe, **own, parts=tuple(replace(part, **of_parts) for part in recipe.parts))


def measured(run: Path, judge: Perceiver, cases: int) -> dict[str, Any]:
    """What a run answers on the procedural split, with other legends too, and how well it paints pictures."""
    painter = open_painter(run)
    perceiver = Perceiver(painter)
    report = {
        key: value
        for key, value in evaluate(perceiver, open_split("procedural", cases)).items()
        if key != "worst"
    }
    report["legends"] = measure_legends(perceiver, open_split("procedural", min(cases, 20)))
    report["generation"] = measure_retention(
        Painter(painter.network, painter.size, SAMPLING_STEPS), judge, views=min(cases, 60)
    )
    return tidy(report)


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Markdown; a dash where a run has no such figure."""
    lines = ["| run | " + " | ".join(COLUMNS) + " |", "|-" * (len(COLUMNS) + 1) + "|"]
    for name, report in reports.items():
        cells = []
        for path in COLUMNS.values():
            value: Any = report
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            cells.append("-" if value is None or math.isnan(value) else f"{value:.3g}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
