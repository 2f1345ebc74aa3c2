# SPDX-License-Identifier: Apache-2.0
"""Train a generator on rendered scenes: base, instruct, distill, or all three. Stops by the clock; started again on the
same folder it goes on."""

import argparse
import math
import os
import time
from pathlib import Path

from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", choices=("base", "instruct", "distill", "all"), help="; ".join((
        "base: pictures from captions, and edits", "instruct: vision tasks mixed in", "distill: answers in one step",
        "all: one after the other")))  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights, log, pictures, checkpoint")
    parser.add_argument("--from", type=Path, dest="start_from", metavar="RUN",
                        help="the run whose weights to start from; distill without it learns without a teacher")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=60, help="how long to train in all (default 60)")
    parser.add_argument("--steps", type=int, help="how many steps to train in all, in place of --minutes")
    parser.add_argument("--stop-after", type=float, metavar="MINUTES", help="stop this command then, to go on with it later")
    parser.add_argument("--size", type=size, nargs="+", default=[(96, 128), (144, 192)], metavar="HxW",
                        help="sizes, multiples of 16, an equal share of the time each (default 96x128 144x192)")  # fmt: skip
    parser.add_argument("--channels", nargs="+", default=["small"], metavar="C",
                        help="small (13.6 M parameters), large (28.6 M, for a GPU), tiny, or three numbers")  # fmt: skip
    parser.add_argument("--views", type=int, default=4, help="frames a batch (default 4)")
    parser.add_argument("--questions", type=int, default=5, help="questions a frame, in fives (default 5)")
    parser.add_argument("--mix", type=float, help="share of batches with vision tasks (default: instruct 0.25, distill 0.85)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, metavar="TASK",
                        help=f"teach only these, as a specialist ({', '.join(TASKS)}; default: all)")  # fmt: skip
    parser.add_argument("--furnished", type=float, default=0, help="share of furnished scenes (default 0)")
    parser.add_argument("--guide", type=float, default=0.2, help="weight of the decoded error in one step (default 0.2)")
    parser.add_argument("--learning-rate", type=float, help="at its highest (default: the stage's own)")
    parser.add_argument("--compile", action="store_true", help="compile the network: for GPUs")
    parser.add_argument(
        "--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes that render (default: cores - 1)"
    )
    parser.add_argument("--parts", type=Path, metavar="DIR", help="at the end, also a checkpoint in parts of 15 MiB, 56 MiB in all")
    parser.add_argument("--resume", type=Path, metavar="PARTS", help="go on from such parts, where --out has no checkpoint")
    parser.add_argument("--seed", type=int, default=0)


def size(text: str) -> tuple[int, int]:
    """'144x192' -> (144, 192)."""
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) % 16 == int(width) % 16 == 0 < int(height)):
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write HEIGHTxWIDTH, both multiples of 16")
    return int(height), int(width)


def run(args: argparse.Namespace) -> int:
    until = time.monotonic() + 60 * args.stop_after if args.stop_after else math.inf
    needs_torch()
    from vision_banana_ros.training.own.checkpoint import join_parts
    from vision_banana_ros.training.own.run_stages import run_all, run_folder, run_stage

    plan = _plan(args)
    if args.stage == "all":
        finished = run_all(plan, args.out, until=until, parts=args.parts, start_parts=args.resume)
    else:
        if args.resume:
            join_parts(args.resume, args.out)
        start_from = run_folder(args.start_from) if args.start_from else None
        finished = run_stage(plan, args.out, start_from, until=until, parts=args.parts)
    if os.environ.get("RANK", "0") != "0":  # one of several processes
        return 0
    if not finished:
        print(f"Stopped by the clock: the same command goes on in {args.out}.")
        return 0
    last = args.out / "distill" if args.stage == "all" else args.out
    print(f"Weights are in {last / 'network'}" + (
        f"; `vision-banana export {last} --out BUNDLE` makes a bundle of them." if plan.stage == "distill" else "."))  # fmt: skip
    return 0


def _plan(args: argparse.Namespace):  # type: ignore[no-untyped-def]  # training's Plan, which needs torch
    from vision_banana_ros.training.own.stages import CHANNELS, Plan

    if args.questions < 5 or args.questions % 5:
        raise InputError(f"--questions is a multiple of five, not {args.questions}: each frame gets one of each kind.")
    for name in ("mix", "furnished"):
        if getattr(args, name) is not None and not 0 <= getattr(args, name) <= 1:
            raise InputError(f"--{name} is a share, 0 to 1, not {getattr(args, name)}.")
    try:
        channels = CHANNELS[args.channels[0]] if len(args.channels) == 1 else tuple(int(c) for c in args.channels)
    except (KeyError, ValueError) as error:
        raise InputError(f"--channels is {', '.join(CHANNELS)} or three numbers, not '{' '.join(args.channels)}'.") from error
    if len(channels) != 3 or any(c < 8 or c % 8 for c in channels):
        raise InputError("--channels takes three numbers, multiples of 8: the widths at 1/4, 1/8 and 1/16 of the picture.")
    return Plan(
        stage="distill" if args.stage == "all" else args.stage,
        minutes=args.minutes,
        steps=args.steps,
        sizes=tuple(args.size),
        views=args.views,
        rounds=args.questions // 5,
        learning_rate=args.learning_rate,
        seed=args.seed,
        workers=args.workers,
        channels=channels,
        mix=args.mix,
        sources={name: share for name, share in (("procedural", 1 - args.furnished), ("furnished", args.furnished)) if share},
        tasks=tuple(args.tasks) if args.tasks else None,
        guide=args.guide,
        compiled=args.compile,
    )
