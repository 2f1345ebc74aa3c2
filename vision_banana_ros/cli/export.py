# SPDX-License-Identifier: Apache-2.0
"""Make a bundle of trained weights: graphs, manifest and checksums, ready for the node."""

import argparse
import json
from pathlib import Path

from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.cli.train import size
from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes.furnished import default_folder, library_at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="the folder that `vision-banana train` filled")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the bundle goes")
    parser.add_argument("--size", type=size, help="HxW of frame and answer (default: the last trained)")
    parser.add_argument("--int8", action="store_true", help="add graphs for CPUs that count in 8 bits, if they answer as well")
    parser.add_argument("--description", default="Trained on rendered scenes.", help="a sentence for the card")


def run(args: argparse.Namespace) -> int:
    needs_torch()
    from vision_banana_ros.training.export.bundle import export

    state_file = args.run_dir / "state.json"
    if not state_file.is_file():
        raise InputError(f"'{args.run_dir}' holds no trained weights: give the folder of `vision-banana train --out`.")
    made = json.loads(state_file.read_text())
    if made["plan"].get("sources", {}).get("furnished"):
        made["credits"] = library_at(default_folder()).credits()  # whose models it was taught by
    last = made["plan"]["sizes"][-1]
    export(args.run_dir / "network", args.out, args.size or (last[0], last[1]), args.out.name, args.description, made)
    if args.int8:
        from vision_banana_ros.training.export.int8 import add_int8

        report = add_int8(args.out)
        print(" ".join(["int8 is refused:", *report["refused"]]) if report["refused"] else "int8 answers as well: kept.")
    print(f"The bundle is in {args.out}: look at it with `vision-banana info {args.out}`.")
    return 0
