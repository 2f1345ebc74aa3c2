# SPDX-License-Identifier: Apache-2.0
"""The prompt arguments of the command line, and the questions that they stand for."""

import argparse
from collections.abc import Mapping, Sequence

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.questions import RGB, Question, questions_of
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.legend_text import clean_text, read_expressions, read_legend


def add_question_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--expression`, `--legend` and `--instances`."""
    parser.add_argument(
        "--expression",
        nargs="+",
        default=[],
        metavar="TEXT",
        help='referring expressions, as in "the red ball left of the box"',
    )
    parser.add_argument(
        "--legend",
        nargs="+",
        metavar="NAME[=COLOR]",
        help="classes of the semantic segmentation, in order (default: those of the bundle)",
    )
    parser.add_argument("--instances", metavar="NAME", help="class name for instance segmentation")


def questions_for(
    tasks: Sequence[str], legend: Mapping[str, RGB], args: argparse.Namespace
) -> list[Question]:
    """The questions for a frame.

    All tasks that need no arguments, and those that the user gave arguments for.

    Args:
        tasks: Names of the tasks that the generator supports.
        legend: The default classes of the bundle with their colors.
        args: The parsed command line with `expression`, `legend` and `instances`.

    Returns:
        The questions in the order of the tasks.

    Raises:
        InputError: If the user asked for a task that the generator does not support, or in words that say
            nothing.
    """
    if args.legend:
        legend = read_legend(args.legend, legend)
    expressions = read_expressions(args.expression)
    instances = "" if args.instances is None else clean_text(args.instances, "The class of --instances")
    in_words = {"legend": args.legend, "class": args.instances, "expressions": args.expression}
    for task in TASKS.values():
        if in_words.get(task.takes) and task.name not in tasks:
            raise InputError(
                f"This bundle does not support {task.name}, only {', '.join(tasks)}: use another bundle."
            )
    return [
        question
        for task in TASKS
        if task in tasks
        for question in questions_of(task, legend, expressions, instances)
    ]
