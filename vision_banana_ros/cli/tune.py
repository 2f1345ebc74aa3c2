# SPDX-License-Identifier: Apache-2.0
"""Teach an open image editor this package's answers: a LoRA for `vision-banana import --lora`.

On rendered scenes, or on a folder of pairs: pairs.json, {"pairs": [{"image": file, "answer": file, "instruction": text}, ...]}. On
several GPUs: `accelerate launch -m vision_banana_ros.cli.main tune ...`. A run that was ended goes on with the same command.
"""

import argparse
from pathlib import Path
from typing import Any

from vision_banana_ros.cli.shared.sizes import size
from vision_banana_ros.evaluation.figures import report_table
from vision_banana_ros.generators.backbones.diffusers_folder import open_folder
from vision_banana_ros.generators.backbones.prompt_cache import require_packages
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.profiles import profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="DIFFUSERS_DIR", help="the folder that holds model_index.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the LoRA and the run's state go")
    parser.add_argument("--profile", default="vision_banana", help="vision_banana or open_vision_banana")
    parser.add_argument("--size", type=size, help="HxW (default: what the family paints best)")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), metavar="TASK", help="what it learns (default: all five)")
    parser.add_argument("--start", default="frame", help="frame: one step, loss on the picture; noise: many steps, the editor's loss")
    parser.add_argument(
        "--from", type=Path, dest="begin", metavar="RUN", help="the run whose LoRA to start from; of --start frame its teacher"
    )
    parser.add_argument("--rank", type=int, default=16, help="of the LoRA")
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate")
    parser.add_argument("--batch", type=int, default=4, help="examples a step and GPU")
    parser.add_argument("--views", type=int, default=20_000, help="different scenes")
    parser.add_argument("--save-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--precision", default="no", choices=("no", "bf16"), help="bf16 on a GPU")
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="a folder of pairs, in place of scenes or mixed in by --keep")
    parser.add_argument(
        "--keep",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of examples that are its own work, to stay an editor: of --pairs, or else edits of the scenes (default 0)",
    )
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    require_packages(("peft", "accelerate"))
    from vision_banana_ros.training.editors.tune import LORA, Plan, tune

    names = ("steps", "start", "begin", "rank", "rate", "batch", "views", "save_every", "precision", "pairs", "keep", "seed")
    size = args.size or open_folder(args.source).family.size
    plan = Plan(size=size, tasks=tuple(args.tasks), **{name: getattr(args, name) for name in names})
    state = tune(args.source, args.out, profile(args.profile), plan)
    reports: dict[str, Any] = {name: state[name] for name in ("teacher", "before", "after") if name in state}
    print(report_table(reports))
    errors = ", ".join(f"{name} {report['picture']:.4f}" for name, report in reports.items())
    print(f"mean error of a painted colour (0 to 1): {errors}")
    print(f"The LoRA is {args.out / LORA}: `vision-banana import {args.source} --lora {args.out / LORA} --start {args.start} ...`.")
    return 0
