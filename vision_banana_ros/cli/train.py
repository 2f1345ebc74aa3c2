# SPDX-License-Identifier: Apache-2.0
"""Train a generator on rendered scenes. Stops by the clock; started again on the same folder it goes on."""

import argparse
from pathlib import Path

from vision_banana_ros.cli._torch import needs_torch

NAME = "train"
HELP = "train a generator on rendered scenes (needs torch)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights, log, pictures, checkpoint")
    parser.add_argument("--from", type=Path, dest="start_from", metavar="DIR", help="weights to start from (a run's network folder)")
    parser.add_argument("--minutes", type=float, default=60, help="how long to train in all (default 60)")
    parser.add_argument("--size", type=size, nargs="+", default=[(96, 128), (144, 192)], metavar="HxW",
                        help="sizes, multiples of 16, an equal share of the time each (default 96x128 144x192)")  # fmt: skip
    parser.add_argument("--views", type=int, default=4, help="frames a batch (default 4)")
    parser.add_argument("--channels", type=int, nargs=3, default=[48, 128, 256], help="width of the network's levels")
    parser.add_argument("--workers", type=int, default=1, help="processes that render (default 1)")
    parser.add_argument("--seed", type=int, default=0)


def size(text: str) -> tuple[int, int]:
    """'144x192' -> (144, 192)."""
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) % 16 == int(width) % 16 == 0 < int(height)):
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write HEIGHTxWIDTH, both multiples of 16")
    return int(height), int(width)


def run(args: argparse.Namespace) -> int:
    needs_torch()
    from vision_banana_ros.training.train import Plan, train

    plan = Plan(
        minutes=args.minutes,
        sizes=tuple(args.size),
        views=args.views,
        seed=args.seed,
        workers=args.workers,
        channels=tuple(args.channels),
    )
    print(f"Weights are in {train(plan, args.out, args.start_from)}; `vision-banana export` makes a bundle of them.")
    return 0
