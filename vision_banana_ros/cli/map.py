# SPDX-License-Identifier: Apache-2.0
"""Fuses the depth of frames with known poses into one mesh, in colours and in classes.

Needs Open3D (`pip install open3d`).
"""

import argparse
from pathlib import Path

import numpy as np

from vision_banana_ros.cli.shared.answer_files import refuse_used, write_legend
from vision_banana_ros.cli.shared.frame_camera import add_camera_arguments, camera_of, named_calibration
from vision_banana_ros.cli.shared.frame_sources import open_frames
from vision_banana_ros.cli.shared.generator_arguments import add_bundle_argument, add_executor_argument
from vision_banana_ros.cli.shared.poses import WAYS, bag_poses, file_poses
from vision_banana_ros.cli.shared.progress import tell
from vision_banana_ros.errors import InputError, shortened
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.input_check import nothing_to_see
from vision_banana_ros.perception.mesh_map import Mesh, MeshMap
from vision_banana_ros.perception.ply import write_mesh
from vision_banana_ros.perception.rectified_answers import answer_rectified
from vision_banana_ros.tasks.colors import Legend
from vision_banana_ros.tasks.profiles import profile
from vision_banana_ros.tasks.semantic import UNLABELLED

MESH, CLASSES = "mesh.ply", "classes.ply"
_GREY = (128, 128, 128)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("input", type=Path, metavar="BAG|FOLDER", help="a bag, or a folder of pictures")
    parser.add_argument(
        "--poses",
        required=True,
        metavar="tf|odom|FILE",
        help="where the camera was: by the bag's /tf and /tf_static; by its odometry and /tf_static; or a"
        " file of lines"
        " 'NAME x y z qx qy qz qw', from the optical frame to the fixed one",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"a folder for {MESH}, {CLASSES} and legend.json",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the results of an earlier run")
    add_bundle_argument(parser)
    add_executor_argument(parser)
    parser.add_argument("--topic", help="the image topic of a bag; required if the bag has several")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="use each N-th frame (default: all)"
    )
    parser.add_argument(
        "--voxel",
        type=float,
        default=0.04,
        metavar="M",
        help="edge of a voxel in metres (default: %(default)s)",
    )
    parser.add_argument(
        "--max-range",
        type=float,
        default=5.0,
        metavar="M",
        help="ignore depth beyond (default: %(default)s m)",
    )
    parser.add_argument(
        "--least-seen",
        type=int,
        default=2,
        metavar="N",
        help="frames that must see a surface (default: %(default)s)",
    )
    add_camera_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb. Returns the exit status."""
    if args.every < 1 or args.least_seen < 1:
        raise InputError("--every and --least-seen must be 1 or more.")
    refuse_used(args.out, args.overwrite, MESH)
    fused = MeshMap(args.voxel, args.max_range)
    calibration = named_calibration(args)
    frames = open_frames(str(args.input), args.topic)
    if args.poses in WAYS:
        pose = bag_poses(args.input, args.topic, args.poses, tell)
    else:
        pose = file_poses(Path(args.poses))
    generator = load_generator(args.bundle or default_bundle(), args.executor)
    if "depth" not in generator.tasks or not profile(generator.manifest.codec).metric:
        raise InputError(
            f"{generator.name} has no depth in metres, which a map is made of; give another --bundle."
        )
    perceiver, legend = Perceiver(generator), generator.manifest.legend
    questions = [Question.depth(), *([Question.semantic(legend)] if "semantic" in generator.tasks else [])]
    added = failed = 0
    for number, frame in enumerate(frames.read()):
        if number % args.every:
            continue
        try:
            if isinstance(frame, InputError):
                raise frame
            if why := nothing_to_see(frame.image):
                raise InputError(f"there is nothing to see in {frame.name}. {why}")
            place = pose(frame)
            looks, grid = answer_rectified(
                camera_of(frame, args, calibration, "depth")[0], perceiver, frame.image, questions
            )
            assert grid is not None
            labels = (
                looks[1].labels if len(looks) > 1 else np.full(looks.image.shape[:2], UNLABELLED, np.uint8)
            )
            fused.add(looks[0].depth_m, looks.image, labels, grid, place)
            added += 1
        except (InputError, MemoryError) as error:
            failed += 1
            tell(f"[{number + 1}] not used: {error or 'the memory ran out.'}")
        except ExecutorLost as error:
            failed += 1
            tell(f"[{number + 1}] not used, and none after it: {error}")
            break
        else:
            tell(f"[{number + 1}] {shortened(frame.name)}: {looks.paint_s + looks.read_s:.2f} s")
    mesh = fused.mesh(min(args.least_seen, max(added, 1)))
    args.out.mkdir(parents=True, exist_ok=True)
    write_legend(args.out, questions)
    write_mesh(args.out / CLASSES, mesh.vertices, mesh.triangles, _class_colors(mesh, legend))
    write_mesh(args.out / MESH, mesh.vertices, mesh.triangles, mesh.colors)
    _print_summary(mesh, legend)
    print(f"{added} frames used, {failed} not; results in {args.out}")
    return 1 if failed else 0


def _class_colors(mesh: Mesh, legend: Legend) -> np.ndarray:
    table = np.full((256, 3), _GREY, np.uint8)
    table[: len(legend)] = list(legend.values())
    return table[mesh.labels]


def _print_summary(mesh: Mesh, legend: Legend) -> None:
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    print(
        f"{len(mesh.vertices)} vertices, {len(mesh.triangles)} triangles;"
        f" {' x '.join(f'{s:.2f}' for s in high - low)} m"
    )
    shares = sorted(((np.mean(mesh.labels == i), name) for i, name in enumerate(legend)), reverse=True)
    print(", ".join(f"{name} {share:.0%}" for share, name in shares if share >= 0.005))
