# SPDX-License-Identifier: Apache-2.0
"""Regenerates the model card (README.md) of a bundle from manifest.json and metrics.json.

`evaluate --write` does so, too.
"""

import argparse
from pathlib import Path

from vision_banana_ros.evaluation.card import write_card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle folder")


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    print(write_card(args.bundle))
    return 0
