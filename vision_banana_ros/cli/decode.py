# SPDX-License-Identifier: Apache-2.0
"""Decodes an answer image of another generator and writes depth, normals or masks as files."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.cli.shared.answer_files import (
    CONFIDENCE,
    SHEET,
    refuse_used,
    stems,
    tile,
    write_answer,
    write_legend,
    write_sheet,
)
from vision_banana_ros.cli.shared.frame_sources import read_picture
from vision_banana_ros.cli.shared.progress import tell
from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Question
from vision_banana_ros.tasks import TASKS, depth
from vision_banana_ros.tasks.colors import BLACK
from vision_banana_ros.tasks.legend_text import read_legend
from vision_banana_ros.tasks.task import Words

SURE = 0.5
"""Mean confidence of an answer that is one. One about depth that was halved in size or became a JPEG of
quality 30 keeps 0.96; a photograph has 0.02 to 0.48, depending on the task."""
NEAR_M = 0.1
"""Half of a view is not nearer; what is dark, as labels are, reads as depth of 0 to 0.1 m."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument("task", choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("answer", type=Path, metavar="ANSWER.png", help="the painted answer")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    parser.add_argument(
        "--overwrite", action="store_true", help="overwrite existing results in the output folder"
    )
    parser.add_argument(
        "--legend",
        nargs="+",
        metavar="NAME=COLOR",
        help="semantic: the classes and colors of the prompt, in order",
    )
    parser.add_argument(
        "--color", help="referring: mask color of the prompt; instances: background color (default: black)"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    question = _question(args)
    refuse_used(args.out, args.overwrite, f"{stems([question])[0]}{CONFIDENCE}")
    painted = read_picture(args.answer)
    answer = question.read(painted)
    args.out.mkdir(parents=True, exist_ok=True)
    write_answer(args.out, stems([question])[0], question, answer)
    write_legend(args.out, [question])
    result = tile(question, answer, painted)
    write_sheet(args.out / SHEET, [type(result)("answer", painted), result], args.answer.name)
    readable = np.count_nonzero(answer.confidence) / answer.confidence.size
    sure = f"{readable:.1%} readable, mean confidence {answer.confidence.mean():.2f}"
    print(f"{question.task}: {sure}{_span(answer)}; files in {args.out}")
    if doubt := _doubt(question, answer):
        tell(f"Look at sheet.png before you use it: {doubt}.")
    return 0


def _span(answer: Any) -> str:
    """The depth of an answer in words; nothing of other answers."""
    if not isinstance(answer, depth.Answer) or np.isnan(answer.depth_m).all():
        return ""
    known = answer.depth_m[~np.isnan(answer.depth_m)]
    near, middle, far = np.percentile(known, (5, 50, 95), method="nearest")
    return f", {near:.2f} to {far:.2f} m, half of it within {middle:.2f} m"


def _doubt(question: Question, answer: Any) -> str:
    """Why the picture may be no answer to the question; empty where nothing speaks against it."""
    if answer.confidence.mean() < SURE:
        return (
            f"little of it reads as an answer about {question.task}; it may be of another task, another"
            " legend or color, or no answer"
        )
    if isinstance(answer, depth.Answer):
        middle = np.percentile(answer.depth_m[~np.isnan(answer.depth_m)], 50, method="nearest")
        if middle < NEAR_M:
            return f"half of it would be nearer than {NEAR_M} m, so it may be no answer about depth"
        if np.isinf(middle):
            return "more than half of it would be beyond all range, so it may be no answer about depth"
    return ""


def _question(args: argparse.Namespace) -> Question:
    takes = TASKS[args.task].takes
    if args.legend and takes != "legend" or args.color and takes not in ("expressions", "class"):
        raise InputError(
            "--legend belongs to semantic, --color to referring and instances; leave out the other."
        )
    if takes == "legend" and (not args.legend or any("=" not in entry for entry in args.legend)):
        raise InputError(
            "Decoding semantic segmentation requires the class colors: give --legend NAME=COLOR ..."
        )
    if takes == "expressions" and not args.color:
        raise InputError("Decoding a mask requires its color: give --color as in the prompt.")
    color = args.color or (BLACK if takes == "class" else None)
    name = {"expressions": "the answer", "class": "instance"}.get(takes)
    return Question.of(args.task, Words(read_legend(args.legend, {}) if args.legend else None, color, name))
