# SPDX-License-Identifier: Apache-2.0
"""Trains a generator from a recipe: renders a pool of views and trains on it.

The same command resumes a stopped run. `vision-banana export` makes a bundle of the trained weights.
"""

import argparse
import math
import os
import time
from pathlib import Path

from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "recipe", type=Path, metavar="RECIPE", help="recipe (YAML), such as config/training/small.yaml"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder: weights, checkpoint, log, sample images",
    )
    parser.add_argument(
        "--pool",
        type=Path,
        metavar="DIR",
        help="folder of rendered views, can be shared among runs (default: OUT/pool)",
    )
    parser.add_argument(
        "--stop-after",
        type=float,
        metavar="MINUTES",
        help="stop after this time; the same command resumes the run",
    )
    parser.add_argument("--renderers", type=int, default=max(1, (os.cpu_count() or 2) - 1),
                        help="render processes that fill the pool; 0: use existing views only (default:"
                            " cores - 1)")  # fmt: skip
    parser.add_argument("--readers", type=int, default=1, help="data loader processes (default: 1)")
    parser.add_argument("--threads", type=int, help="torch threads (default: that of torch)")
    parser.add_argument(
        "--parts", type=Path, metavar="DIR", help="also write the checkpoint in files of at most 15 MiB"
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="start from a folder written by --parts, or from the weights of a bundle, if --out has no"
        " checkpoint",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    if args.stop_after is not None and not 0 < args.stop_after < math.inf:
        raise InputError(f"--stop-after must be a number of minutes above 0; it is {args.stop_after:g}.")
    if min(args.renderers, args.readers) < 0 or args.threads is not None and args.threads < 1:
        raise InputError("--threads must be 1 or more, --renderers and --readers 0 or more.")
    until = time.monotonic() + 60 * args.stop_after if args.stop_after else math.inf
    needs_torch()
    import torch

    from vision_banana_ros.generators.bundle import MANIFEST
    from vision_banana_ros.training.own.checkpoint import join_parts, start_from_bundle
    from vision_banana_ros.training.own.device import find_device
    from vision_banana_ros.training.own.loop import train
    from vision_banana_ros.training.own.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = find_device()
    if args.resume and device.is_main:
        if (args.resume / MANIFEST).is_file():
            start_from_bundle(args.resume, recipe, args.out)
        else:
            join_parts(args.resume, args.out)
    device.wait()
    finished = train(
        recipe,
        args.out,
        pool=args.pool,
        until=until,
        renderers=args.renderers,
        readers=args.readers,
        parts=args.parts,
        device=device,
    )
    if os.environ.get("RANK", "0") != "0":  # one of several processes
        return 0
    if finished:
        print(f"Training is complete. Next: `vision-banana export {args.out} --out BUNDLE`.")
    else:
        print(f"Stopped after --stop-after minutes: the same command resumes the run in {args.out}.")
    return 0
