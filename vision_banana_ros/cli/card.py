# SPDX-License-Identifier: Apache-2.0
"""Write a bundle's README.md anew from its manifest.json and metrics.json. `evaluate --write` does so by itself."""

import argparse
from pathlib import Path

from vision_banana_ros.evaluation.card import write_card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")


def run(args: argparse.Namespace) -> int:
    print(write_card(args.bundle))
    return 0
