# SPDX-License-Identifier: Apache-2.0
"""Compares bundles on real frames, the older one first, with a constant map as baseline. Writes real.json
beside this file.

`python benchmark/real.py OLD NEW --real tum_robot kitti_street camvid_street --mapping
config/real/camvid.yaml`; docs/how_to/real_frames.md describes the folder layout. An older bundle is in the
git history: `git worktree add ../old COMMIT` puts it into ../old/models. fp32 everywhere unless --executor
says otherwise, so that figures from different machines can be compared. Takes about 15 s per bundle.
"""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from vision_banana_ros.evaluation.card import junk_table
from vision_banana_ros.evaluation.cases import Split
from vision_banana_ros.evaluation.figures import FIGURES, class_table, report_table
from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.evaluation.real import read_mapping, real_set
from vision_banana_ros.evaluation.report import measure, measure_nothing, origin
from vision_banana_ros.generators import load_generator, open_bundle
from vision_banana_ros.perception import Perceiver


def kept(report: dict[str, Any]) -> dict[str, Any]:
    """The figures that a reader looks at first, and IoU by class."""
    found: dict[str, Any] = {}
    for figure in FIGURES:
        if report.get(figure.task, {}).get(figure.key) is not None:
            found.setdefault(figure.task, {})[figure.key] = report[figure.task][figure.key]
    if "semantic" in found:
        found["semantic"]["classes"] = report["semantic"]["classes"]
    return {"views": report["views"], **found}


def measured(path: Path, executor: str, splits: list[Split]) -> dict[str, Any]:
    """A bundle's figures on each set, and what it makes of frames that show nothing."""
    generator = load_generator(path, executor)
    perceiver = Perceiver(generator)
    return {
        "name": generator.name,
        "answer.onnx": generator.manifest.files.get("answer.onnx", "")[:12],
        "size": list(generator.size),
        "executor": generator.executor,
        "sets": {split.name: kept(measure(perceiver, split)) for split in splits},
        "junk": measure_nothing(perceiver),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--real", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--mapping", type=Path, metavar="FILE")
    parser.add_argument("--executor", default="onnxruntime:fp32")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    splits = [real_set(folder, read_mapping(args.mapping) if args.mapping else None) for folder in args.real]
    for path in args.bundles:
        open_bundle(path)  # what is broken is told before anything is measured
    command = ["python", "benchmark/real.py", *(path.resolve().name for path in args.bundles), "--real"]
    command += [folder.resolve().name for folder in args.real]
    command += ["--mapping", args.mapping.name] if args.mapping else []
    bundles = [measured(path, args.executor, splits) for path in args.bundles]
    result = {
        "command": shlex.join([*command, "--executor", args.executor]),
        "machine": machine("numpy", "opencv-python-headless", "onnxruntime"),
        **origin(),
        "bundles": bundles,
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    columns = {f"{number}. {bundle['name']}": bundle for number, bundle in enumerate(bundles, start=1)}
    for split in splits:
        reports = {name: bundle["sets"][split.name] for name, bundle in columns.items()}
        print(
            "\n\n".join(filter(None, (report_table(reports, split.name), class_table(reports, split.name)))),
            end="\n\n",
        )
    for name, bundle in columns.items():
        print(f"{name}\n{junk_table(bundle['junk'])}\n")


if __name__ == "__main__":
    main()
