# SPDX-License-Identifier: Apache-2.0
"""What a user asks on the command line, as questions for a generator."""

import argparse
from collections.abc import Mapping, Sequence

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.questions import RGB, Question
from vision_banana_ros.tasks.colors import far_apart
from vision_banana_ros.tasks.legend_text import read_legend

BACKGROUND = (0, 0, 0)


def add_question_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--expression", nargs="+", default=[], metavar="TEXT", help='things to find: "the red ball left of the box"')
    parser.add_argument(
        "--legend",
        nargs="+",
        metavar="NAME[=COLOR]",
        help="classes of the segmentation, in order; default: the bundle's own",
    )
    parser.add_argument("--instances", metavar="NAME", help="a class whose instances are to be told apart")


def questions_for(tasks: Sequence[str], legend: Mapping[str, RGB], args: argparse.Namespace) -> list[Question]:
    """Everything that a generator of these tasks can be asked without words, and what the user asked in words.

    InputError where the user asked for a task that the generator was not taught.
    """
    if args.legend:
        legend = read_legend(args.legend, legend)
    wanted = {"semantic": args.legend, "instances": args.instances, "referring": args.expression}
    for task, words in wanted.items():
        if words and task not in tasks:
            raise InputError(f"This bundle was not taught {task}, only {', '.join(tasks)}; take another bundle.")
    questions = [Question.depth()] if "depth" in tasks else []
    questions += [Question.normals()] if "normals" in tasks else []
    questions += [Question.semantic(legend)] if "semantic" in tasks and legend else []
    questions += [Question.instances(args.instances)] if args.instances else []
    colors = far_apart(len(args.expression), avoid=[BACKGROUND])
    questions += [Question.referring(text, color) for text, color in zip(args.expression, colors, strict=True)]
    return questions
