# SPDX-License-Identifier: Apache-2.0
"""Fetches the models of the furnished scenes, and renders single scenes with their ground truth."""

import argparse
import sys
from pathlib import Path

import numpy as np

from vision_banana_ros.cli.shared.answer_files import write_sheet
from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import visualization
from vision_banana_ros.perception.visualization import Tile
from vision_banana_ros.scenes import CLASSES, caption, expressions, make_world, render, sample_camera
from vision_banana_ros.scenes.furnished import default_folder, library_at, make_furnished_world
from vision_banana_ros.scenes.furnished.fetch import fetch
from vision_banana_ros.tasks.colors import far_apart
from vision_banana_ros.tasks.normals import picture as normals_picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    steps = parser.add_subparsers(title="steps", metavar="STEP", required=True)
    fetch = steps.add_parser(
        "fetch", help="download the 3-D models of furnished scenes into the cache folder (137 MB, once)"
    )
    fetch.add_argument(
        "--from", dest="source", metavar="DIR|URL",
        help="folder with the .deb or .sh3f files, or URL of a Debian mirror (default: apt-get)",
    )  # fmt: skip
    fetch.set_defaults(step=_fetch)
    show = steps.add_parser("show", help="render one scene with its ground truth")
    show.add_argument("seed", type=int, metavar="SEED", help="seed of the scene")
    show.add_argument(
        "--furnished", action="store_true", help="a furnished scene of 3-D models instead of solids"
    )
    show.add_argument("--street", action="store_true", help="a street scene")
    show.add_argument(
        "--split",
        choices=("train", "test"),
        default="train",
        help="furnished: set of models (default: train)",
    )
    show.add_argument(
        "--kind", help="kind of scene, such as room, yard; furnished: kitchen, ... (default: random)"
    )
    show.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(480, 360),
        metavar=("WIDTH", "HEIGHT"),
        help="resolution (default: 480 360)",
    )
    show.add_argument(
        "--out", type=Path, default=Path("scene.png"), metavar="PNG", help="output file (default: scene.png)"
    )
    show.set_defaults(step=_show)
    authors = steps.add_parser("authors", help="list the authors and licences of the models")
    authors.set_defaults(step=_authors)


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    return int(args.step(args))


def _fetch(args: argparse.Namespace) -> int:
    library = fetch(args.source, say=lambda text: print(text, file=sys.stderr, flush=True))
    print(f"{len(library.items)} models are in {library.folder}. Authors to be credited in derived works:")
    print(library.credits())
    return 0


def _authors(args: argparse.Namespace) -> int:
    print(library_at(default_folder()).credits())
    return 0


def _show(args: argparse.Namespace) -> int:
    width, height = args.size
    if args.seed < 0:
        raise InputError(f"A seed is a whole number from 0 on; it is {args.seed}.")
    if not 16 <= width <= 4096 or not 16 <= height <= 4096:
        raise InputError(
            f"A picture of {width} x {height} pixels cannot be drawn; both must be from 16 to 4096."
        )
    rng = np.random.default_rng(args.seed)
    if args.street:
        from vision_banana_ros.scenes.street import make_street_world, sample_street_camera

        street = make_street_world(args.seed, args.kind)
        view = render(street, sample_street_camera(street, rng, width, height), rng)
    else:
        world = (
            make_furnished_world(args.seed, args.split, args.kind)
            if args.furnished
            else make_world(args.seed, args.kind)
        )
        view = render(world, sample_camera(world, rng, width, height), rng)
    said = expressions(view, rng, 1, misses=0.0)
    text, mask = (
        (said[0].text, said[0].mask) if said else ("nothing to point at", np.zeros((height, width), bool))
    )
    legend = dict(zip(CLASSES, far_apart(len(CLASSES), ["black"]), strict=True))
    present = {name: color for k, (name, color) in enumerate(legend.items()) if (view.labels == k).any()}
    near, far = visualization.depth_range(view.depth_m)
    words = caption(view, rng)
    tiles = [
        Tile("image", view.image, words),
        Tile(
            "depth",
            visualization.depth_picture(view.depth_m, near, far),
            legend=visualization.color_bar(near, far),
        ),
        Tile("normals", normals_picture(view.normals)),
        Tile("labels", visualization.labels_overlay(view.image, view.labels, legend, 0.85), legend=present),
        Tile(
            "instances",
            visualization.instances_overlay(view.image, view.instances),
            ", ".join(o.name for o in view.visible()),
        ),
        Tile(text, visualization.mask_overlay(view.image, mask, (255, 60, 60))),
    ]
    write_sheet(args.out, tiles, f"{view.world.kind}, seed {args.seed}")
    print(f"{args.out}: {words}")
    return 0
