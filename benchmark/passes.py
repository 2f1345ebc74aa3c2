# SPDX-License-Identifier: Apache-2.0
"""Asking more than once: what N passes cost and gain beside one, on the procedural views with their exact
truth.

Cost is process time of a whole look (painting, reading, voting) on one core by ONNX Runtime, as a ratio to
one pass in the same run. Confidence "gain" is how much of the error that a perfect confidence would remove
the real one does (see evaluation).

`python benchmark/passes.py` prints a table and writes passes.json next to itself. Minutes of one core;
another bundle by `--bundle`, more views by `--views`, other passes by `--passes 1 2 8`.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import cv2

from vision_banana_ros.evaluation.cases import Case
from vision_banana_ros.evaluation.evaluate import ask
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.evaluation.report import origin
from vision_banana_ros.evaluation.scores import new_score
from vision_banana_ros.evaluation.splits import procedural
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Perceiver, Question

TASKS = ("depth", "normals", "semantic", "referring")  # instances are asked once, whatever the passes
KEPT = {
    "depth": ("delta1", "absrel", "readable"),
    "normals": ("mean_deg", "median_deg", "under_11_25"),
    "semantic": ("miou", "pixel_accuracy"),
    "referring": ("ciou", "false_positive"),
}


def measure(generator: Any, cases: list[Case], passes: int) -> tuple[dict[str, Any], float]:
    """The figures by task, and the seconds of process time that a look at all of `TASKS` takes."""
    legend = generator.manifest.legend
    perceiver = Perceiver(generator, passes=passes)
    tasks = [task for task in TASKS if task in generator.tasks]
    far_m = generator.manifest.depth_range_m[1]
    scores = {task: new_score(task, tuple(legend), far_m) for task in tasks}
    perceiver.look(cases[0].image, [Question.depth(), Question.normals()])  # code is loaded
    spent = 0.0
    for case in cases:
        asked = [(question, truth) for question, truth in ask(case, legend) if question.task in tasks]
        questions = [question for question, _ in asked]
        for question in perceiver.asked(questions):
            generator.prepare(question.instruction)  # prompts are read once, not once a frame
        started = time.process_time()
        looks = perceiver.look(case.image, questions, case.intrinsics)
        spent += time.process_time() - started
        for (question, truth), answer in zip(asked, looks, strict=True):
            scores[question.task].add(getattr(answer, question.kind.field), truth, answer.confidence)
    figures = {}
    for task, score in scores.items():
        every = score.result()
        figures[task] = {name: every[name] for name in KEPT[task]}
        if "confidence" in every:
            figures[task]["confidence_gain"] = every["confidence"]["gain"]
    return figures, spent / len(cases)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--views", type=int, default=40)
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    generator = load_generator(args.bundle, "onnxruntime:cpu-fp32")
    cases = list(procedural(args.views))
    measured = {passes: measure(generator, cases, passes) for passes in args.passes}
    base = measured[args.passes[0]][1]
    rows = {
        f"passes {n}": {"cost": round(spent / base, 2), **tidy(figures)}
        for n, (figures, spent) in measured.items()
    }
    result = {
        "command": f"python benchmark/passes.py --views {args.views} --passes"
        f" {' '.join(map(str, args.passes))}",
        "bundle": generator.name,
        "made": generator.manifest.made.get("state", {}),
        "views": f"procedural 0-{args.views - 1}",
        "executor": generator.executor,
        "threads": 1,
        "python": platform.python_version(),
        **origin(),
        "look_s_of_one": round(base, 3),
        **rows,
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    names = [(task, name) for task in KEPT if task in generator.tasks for name in KEPT[task]]
    print("| passes | cost | " + " | ".join(f"{task} {name}" for task, name in names) + " |")
    print("|-" * (len(names) + 2) + "|")
    for label, row in rows.items():
        print(
            f"| {label} | {row['cost']} | "
            + " | ".join(f"{row[task][name]:.4g}" for task, name in names)
            + " |"
        )


if __name__ == "__main__":
    main()
