# SPDX-License-Identifier: Apache-2.0
"""Exports trained weights as a bundle: ONNX graphs, manifest and checksums, ready for the node."""

import argparse
from pathlib import Path

from vision_banana_ros.cli.shared.sizes import size
from vision_banana_ros.cli.shared.torch_installed import needs_torch
from vision_banana_ros.files import read_json
from vision_banana_ros.perception.geometry import parse_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="output folder of `vision-banana train`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder of the bundle")
    parser.add_argument("--size", type=size, nargs="+", metavar="HxW",
                        help="input resolutions, the default one first (default: those of the last training"
                            " stage)")  # fmt: skip
    parser.add_argument(
        "--int8", action="store_true", help="add int8 graphs for CPUs, if their accuracy is within the limits"
    )
    parser.add_argument(
        "--description", default="Trained on rendered scenes.", help="description for the model card"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    needs_torch()
    from vision_banana_ros.training.export.bundle import export
    from vision_banana_ros.training.own.checkpoint import NETWORK, STATE, reading_run
    from vision_banana_ros.training.own.recipe import canvases_of
    from vision_banana_ros.training.own.sampler import run_folder

    folder = run_folder(args.run_dir)
    with reading_run(args.run_dir):
        made = read_json(folder / STATE)
        recipe = made["recipe"]
        furnished = recipe["sources"].get("furnished")
        sizes = args.size or [parse_size(sizes[-1]) for sizes in recipe["parts"][-1]["sizes"].values()]
        canvases = canvases_of(recipe)
    if furnished:
        from vision_banana_ros.scenes.furnished import default_folder, library_at

        made["credits"] = library_at(default_folder()).credits()  # whose models it was taught by
    export(folder / NETWORK, args.out, sizes, args.out.name, args.description, made, canvases)
    if args.int8:
        from vision_banana_ros.training.export.int8 import add_int8

        report = add_int8(args.out)
        print(
            " ".join(["int8 is refused:", *report["refused"]])
            if report["refused"]
            else "int8 answers as well: kept."
        )
    print(f"The bundle is in {args.out}: look at it with `vision-banana info {args.out}`.")
    return 0
