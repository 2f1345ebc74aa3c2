# SPDX-License-Identifier: Apache-2.0
"""Runs a simulated camera, the node in its own process, and a client that subscribes to all outputs.

Requires ROS 2. Prints a table of rates, latencies and errors against the ground truth, and writes images:
predictions beside the ground truth, and predictions for a few real photographs.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision_banana_ros.cli.shared.generator_arguments import add_bundle_argument
from vision_banana_ros.cli.shared.node_process import own_namespace, running_node
from vision_banana_ros.cli.shared.photographs import write_photographs
from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle, load_generator, open_bundle
from vision_banana_ros.missing import cure

if TYPE_CHECKING:
    from vision_banana_ros.cli.shared.demo_scene import Scene

SIZE = (640, 480)
BRING_UP_S = 120.0
FIRST_OUTPUT_S = 120.0  # as long as the first compilation takes on a loaded machine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo_out"),
        metavar="DIR",
        help="output folder (default: %(default)s)",
    )
    add_bundle_argument(parser)
    parser.add_argument(
        "--seed", type=int, default=3, help="seed of the simulated scene (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="measurement duration in seconds (default: %(default)g)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=10.0,
        metavar="HZ",
        help="frame rate of the camera (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    if not 1 <= args.seconds < math.inf or not 1 <= args.rate <= 60:
        raise InputError("The demo needs at least 1 second and a rate from 1 to 60 Hz.")
    try:
        from vision_banana_ros.cli.shared.demo_scene import Scene, score, write_results
        from vision_banana_ros.node.client import Refused
        from vision_banana_ros.node.client.demo import Recorder
    except ImportError as error:
        raise InputError(cure(error)) from None
    bundle = open_bundle(args.bundle or default_bundle())
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "node.log"
    namespace = own_namespace()
    with running_node(log, bundle.path, namespace) as process:
        say(f"The node starts with the bundle {bundle.manifest.name}; its log is {log}.")
        scene = Scene(args.seed, *SIZE, args.rate)
        try:
            with (
                Recorder(lambda: process.poll() is None, scene.keeps, namespace) as client,
                scene.publishing(namespace),
            ):
                client.bring_up(BRING_UP_S)
                say("The node is active.")
                ((value, _),) = client.set_prompts("referring", [scene.expression]).values()
                client.set_prompts("instances", [scene.kind])
                say(
                    f'Prompts: "{scene.expression}", instances of {scene.kind}, depth, normals, semantic'
                    " classes."
                )
                client.subscribe()
                _measure(client, scene, args.seconds)
                results = score(client, scene, bundle.manifest.legend, value, args.seconds)
        except Refused as failure:
            print(f"vision-banana: {failure}\n{_tail(log)}", file=sys.stderr)
            return 1
    write_results(args.out, results)
    write_photographs(load_generator(bundle.path), args.out / "photographs.png")
    print(results.table)
    for fault in results.faults:
        print(f"vision-banana: {fault}", file=sys.stderr)
    print(f"Images and point cloud: {args.out}.")
    return 1 if results.faults else 0


def say(sentence: str) -> None:
    """Prints a progress message to stderr."""
    print(sentence, file=sys.stderr, flush=True)


def _measure(client: Any, scene: "Scene", seconds: float) -> None:
    """Waits for the first output, then records all outputs for a duration in seconds."""
    from vision_banana_ros.node.client import Refused

    deadline = time.monotonic() + FIRST_OUTPUT_S
    while not client.heard["depth/image_rect"].stamps:
        if time.monotonic() > deadline:
            raise Refused(
                f"No depth arrived within {FIRST_OUTPUT_S:.0f} s of the first frame; the log may say why."
            )
        client.listen(0.5)
    say("The first answer has arrived.")
    depth = client.heard["depth/image_rect"]
    with scene.measuring():
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            client.listen(min(left, 2.0))
            passed = seconds - max(left - 2.0, 0)
            age = f"the newest {depth.ages_s[-1] * 1e3:.0f} ms old"
            frames = set(scene.measured)
            say(f"  {passed:3.0f} s: {len(frames)} frames, {len(frames & set(depth.stamps))} answered, {age}")
    client.listen(1.5)  # what is still on its way


def _tail(log: Path, lines: int = 15) -> str:
    said = log.read_text(errors="replace").splitlines()[-lines:]
    return (
        "\n".join(["The last lines of its log:", *(f"  {line}" for line in said)])
        if said
        else "Its log is empty."
    )
