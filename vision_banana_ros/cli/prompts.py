# SPDX-License-Identifier: Apache-2.0
"""Encodes prompts for an imported editor ahead of time, so that the robot does not need its text encoder."""

import argparse
from pathlib import Path

from vision_banana_ros.generators.backbones.prompt_cache import cache_of, encode_here
from vision_banana_ros.generators.bundle import open_bundle
from vision_banana_ros.perception.questions import questions_of
from vision_banana_ros.tasks.profiles import profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    encode = verbs.add_parser(
        "encode", help="encode prompts and store them in the bundle (needs torch and transformers)"
    )
    encode.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle folder")
    encode.add_argument(
        "instructions",
        nargs="*",
        metavar="INSTRUCTION",
        help="prompts to encode (default: the default prompts of the node)",
    )
    encode.add_argument("--device", default="auto", help="auto, cpu or cuda")
    listed = verbs.add_parser("list", help="list the encoded prompts")
    listed.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle folder")


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    bundle = open_bundle(args.bundle)
    cache = cache_of(bundle)
    if args.action == "list":
        for instruction in cache.instructions():
            print(instruction)
        return 0
    wanted = list(dict.fromkeys(args.instructions)) or own_instructions(bundle)
    for path in encode_here(bundle, wanted, args.device):
        print(path)
    return 0


def own_instructions(bundle) -> list[str]:  # type: ignore[no-untyped-def]  # Bundle, imported only when it is used
    """What the node asks of this bundle where its parameters say nothing else."""
    chosen = profile(bundle.manifest.codec, bundle.manifest.backbone["words"])
    return [
        chosen.asked(question).instruction
        for task in chosen.tasks
        for question in questions_of(task, bundle.manifest.legend, instances="box")
    ]
