# SPDX-License-Identifier: Apache-2.0
"""Referring expressions one by one or up to eight in one picture: accuracy and cost.

Both are measured on the same views with the same expressions (some of which describe nothing). Overlapping
expressions are left out, because a pixel of a joint picture belongs to one expression. The cost is the CPU
time of one frame with its expressions in ONNX Runtime on one thread, prompts encoded beforehand.

`python benchmark/joint_expressions.py` prints the result and writes joint_expressions.json.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.evaluation.report import origin
from vision_banana_ros.evaluation.scores import ReferringScore
from vision_banana_ros.evaluation.splits import EDITION, NEGATIVES, SIZE, taken
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.scenes import View, expressions, sample_camera
from vision_banana_ros.scenes.furnished import make_furnished_world
from vision_banana_ros.tasks.referring import MAX_EXPRESSIONS


def view_of(seed: int) -> View:
    """A view of a furnished world whose models are held out from training."""
    rng = np.random.default_rng(seed)
    world = make_furnished_world(seed, split="test", edition=EDITION)
    return taken(world, sample_camera(world, rng, SIZE[1], SIZE[0], EDITION), rng)


def apart(view: View, seed: int) -> dict[str, np.ndarray]:
    """Up to MAX_EXPRESSIONS expressions and their masks (H, W), none of which overlap."""
    chosen: dict[str, np.ndarray] = {}
    for one in expressions(view, np.random.default_rng(seed), 3 * MAX_EXPRESSIONS, NEGATIVES):
        if len(chosen) < MAX_EXPRESSIONS and not any((one.mask & mask).any() for mask in chosen.values()):
            chosen[one.text] = one.mask
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--views", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    generator = load_generator(args.bundle, "onnxruntime:cpu-fp32")
    ways = {"one by one": Perceiver(generator), "together": Perceiver(generator, together=True)}
    scores = {name: ReferringScore() for name in ways}
    spent, asked = dict.fromkeys(ways, 0.0), 0
    for seed in range(args.views):
        view = view_of(seed)
        masks = apart(view, seed)
        questions = [Question.referring(text, "red") for text in masks]
        asked += len(questions)
        for name, perceiver in ways.items():
            for question in perceiver.asked(questions):
                generator.prepare(question.instruction)
            started = time.process_time()
            looks = perceiver.look(view.image, questions)
            spent[name] += time.process_time() - started
            for answer, truth in zip(looks, masks.values(), strict=True):
                scores[name].add(answer.mask, truth)
    report = {
        "command": f"python benchmark/joint_expressions.py --views {args.views}",
        "bundle": generator.name,
        "made": generator.manifest.made.get("state", {}),
        "executor": generator.executor,
        "python": platform.python_version(),
        **origin(),
        "views": f"furnished 0-{args.views - 1}",
        "expressions_a_view": asked / args.views,
        "ways": {
            name: {**scores[name].result(), "seconds_a_view": spent[name] / args.views} for name in ways
        },
    }
    print(json.dumps(tidy(report), indent=2))
    args.out.write_text(json.dumps(tidy(report), indent=2) + "\n")


if __name__ == "__main__":
    main()
