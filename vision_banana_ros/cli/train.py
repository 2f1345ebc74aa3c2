# SPDX-License-Identifier: Apache-2.0
"""Train a generator by a recipe: renders a pool of views and learns from it. Started again on the same folder it goes on
where it stopped; `vision-banana export` makes a bundle of what it learnt."""

import argparse
import math
import os
import time
from pathlib import Path

from vision_banana_ros.cli.shared.torch_installed import needs_torch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file such as config/training/small.yaml")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights, checkpoint, log, pictures")
    parser.add_argument("--pool", type=Path, metavar="DIR", help="rendered views, to share among runs (default: OUT/pool)")
    parser.add_argument("--stop-after", type=float, metavar="MINUTES", help="stop this command then, to go on with it later")
    parser.add_argument("--renderers", type=int, default=max(1, (os.cpu_count() or 2) - 1),
                        help="processes that fill the pool; 0: learn from what is there (default: cores - 1)")  # fmt: skip
    parser.add_argument("--readers", type=int, default=1, help="processes that prepare batches (default 1)")
    parser.add_argument("--threads", type=int, help="threads of the network (default: torch's own choice)")
    parser.add_argument("--parts", type=Path, metavar="DIR", help="at the end, also a checkpoint in parts of 15 MiB, to be carried")
    parser.add_argument("--resume", type=Path, metavar="PARTS", help="go on from such parts, where --out has no checkpoint")


def run(args: argparse.Namespace) -> int:
    until = time.monotonic() + 60 * args.stop_after if args.stop_after else math.inf
    needs_torch()
    import torch

    from vision_banana_ros.training.own.checkpoint import join_parts
    from vision_banana_ros.training.own.loop import train
    from vision_banana_ros.training.own.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.resume:
        join_parts(args.resume, args.out)
    finished = train(recipe, args.out, pool=args.pool, until=until, renderers=args.renderers, readers=args.readers, parts=args.parts)
    if os.environ.get("RANK", "0") != "0":  # one of several processes
        return 0
    if finished:
        print(f"The recipe is done: `vision-banana export {args.out} --out BUNDLE` makes a bundle of it.")
    else:
        print(f"Stopped by the clock: the same command goes on in {args.out}.")
    return 0
