# SPDX-License-Identifier: Apache-2.0
"""Fine-tunes an open image editor on the tasks: trains a LoRA for `vision-banana import --lora`.

The training data are rendered scenes, or a folder of image pairs: pairs.json, {"pairs": [{"image": file,
"answer": file, "instruction": text}, ...], "shards": [file.tar, ...]}, where a shard of WebDataset holds
NAME.jpg, NAME.answer.png and NAME.txt of each pair. On several GPUs: `accelerate launch -m
vision_banana_ros.cli.main tune ...`. The same command resumes a stopped run.
"""

import argparse
from pathlib import Path
from typing import Any

from vision_banana_ros.cli.shared.sizes import size
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.figures import report_table
from vision_banana_ros.generators.backbones.diffusers_folder import open_folder, read_json
from vision_banana_ros.generators.backbones.prompt_cache import require_packages
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.profiles import profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument("source", type=Path, metavar="DIFFUSERS_DIR", help="folder with model_index.json")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="output folder: LoRA and state of the run"
    )
    parser.add_argument(
        "--profile", default="vision_banana", help="vision_banana (default) or open_vision_banana"
    )
    parser.add_argument("--size", type=size, help="resolution HxW (default: that of the family)")
    parser.add_argument("--steps", type=int, default=10_000, help="optimizer steps (default: 10000)")
    parser.add_argument(
        "--tasks", nargs="+", default=list(TASKS), metavar="TASK", help="tasks to train (default: all)"
    )
    parser.add_argument(
        "--start",
        default="frame",
        help="frame (default): one sampling step, loss on the decoded image; noise: many steps, diffusion"
        " loss",
    )
    parser.add_argument(
        "--from",
        type=Path,
        dest="begin",
        metavar="RUN",
        help="run whose LoRA to start from; with --start frame it is the teacher",
    )
    parser.add_argument("--rank", type=int, default=16, help="rank of the LoRA (default: 16)")
    parser.add_argument(
        "--targets",
        nargs="+",
        metavar="LAYER",
        help="ends of the names of the layers that get a LoRA, such as to_q to_v (default: all of attention)",
    )
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate (default: 1e-4)")
    parser.add_argument("--batch", type=int, default=4, help="batch size per GPU (default: 4)")
    parser.add_argument(
        "--views", type=int, default=20_000, help="number of different scenes (default: 20000)"
    )
    parser.add_argument(
        "--save-every",
        type=int,
        default=500,
        metavar="STEPS",
        help="steps between checkpoints (default: 500)",
    )
    parser.add_argument(
        "--precision", default="no", choices=("no", "bf16"), help="mixed precision: bf16 on a GPU"
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="DIR",
        help="folder with image pairs, instead of scenes or mixed in by --keep",
    )
    parser.add_argument(
        "--keep",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="fraction of editing examples, from --pairs or edits of the scenes, against forgetting"
        " (default: 0)",
    )
    parser.add_argument(
        "--average",
        type=float,
        default=0.0,
        metavar="DECAY",
        help="save a moving average of the LoRA, with a decay such as 0.999 (default: 0, none)",
    )
    parser.add_argument(
        "--stored",
        type=int,
        default=0,
        metavar="N",
        help="encode N examples once, store them in the output folder and train on those, without the text"
        " encoder in memory (default: 0, ever new examples)",
    )
    parser.add_argument(
        "--measure-every",
        type=int,
        default=0,
        metavar="STEPS",
        help="evaluate on held-out views while training (default: 0, never)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="JSON",
        help='JSON file with options by name, such as {"steps": 20000, "rate": 1e-4}; they win',
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    if args.config is not None:
        args = _configured(args)
    require_packages(("peft", "accelerate"))
    from vision_banana_ros.training.editors.tune import LAYERS, LORA, Plan, tune

    names: tuple[str, ...] = (
        "steps",
        "start",
        "begin",
        "rank",
        "rate",
        "batch",
        "views",
        "save_every",
        "measure_every",
    )
    names += ("precision", "average", "stored", "pairs", "keep", "seed")
    size = args.size or open_folder(args.source).family.size
    plan = Plan(
        size=size,
        tasks=tuple(args.tasks),
        targets=tuple(args.targets or LAYERS),
        **{name: getattr(args, name) for name in names},
    )
    state = tune(args.source, args.out, profile(args.profile), plan)
    reports: dict[str, Any] = {name: state[name] for name in ("teacher", "before", "after") if name in state}
    print(report_table(reports))
    errors = ", ".join(f"{name} {report['picture']:.4f}" for name, report in reports.items())
    print(f"mean absolute color error (0 to 1): {errors}")
    print(
        f"The LoRA is {args.out / LORA}: `vision-banana import {args.source} --lora {args.out / LORA}"
        f" --start {args.start} ...`."
    )
    return 0


def _configured(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments with those of the file in place of the command line's, checked by the same parser."""
    words = []
    for name, value in read_json(args.config).items():
        values = value if isinstance(value, list) else [value]
        if isinstance(value, dict) or name in ("config", "source", "out"):
            raise InputError(
                f"'{args.config}' cannot say {name}: give options of `vision-banana tune --help`."
            )
        texts = ["x".join(map(str, values))] if name == "size" else [str(each) for each in values]
        words += [f"--{name.replace('_', '-')}", *texts]
    parser = argparse.ArgumentParser(prog=f"vision-banana tune, by {args.config}", allow_abbrev=False)
    add_arguments(parser)
    return parser.parse_args(
        [str(args.source), "--out", str(args.out), *words], argparse.Namespace(**vars(args))
    )
