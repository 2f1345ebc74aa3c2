# SPDX-License-Identifier: Apache-2.0
"""Processes images, folders, videos or bags and writes depth, normals, masks and point clouds.

Needs no ROS.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.cli.shared.answer_files import (
    SHEET,
    SUMMARY,
    Folders,
    refuse_used,
    stems,
    tile,
    write_answer,
    write_legend,
    write_sheet,
)
from vision_banana_ros.cli.shared.frame_camera import add_camera_arguments, camera_of, named_calibration
from vision_banana_ros.cli.shared.frame_sources import Frame, names_source, open_frames
from vision_banana_ros.cli.shared.generator_arguments import (
    add_bundle_argument,
    add_executor_argument,
    add_passes_argument,
)
from vision_banana_ros.cli.shared.progress import tell
from vision_banana_ros.cli.shared.question_arguments import add_question_arguments, questions_for
from vision_banana_ros.errors import InputError, shortened
from vision_banana_ros.files import write_bytes
from vision_banana_ros.generators import default_bundle, load_generator, open_bundle
from vision_banana_ros.generators.bundle import reading_metrics
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.perception import Intrinsics, Looks, Perceiver, Question, points
from vision_banana_ros.perception.input_check import nothing_to_see
from vision_banana_ros.perception.ply import write_ply
from vision_banana_ros.perception.rectified_answers import answer_rectified
from vision_banana_ros.perception.upright_check import UprightCheck, looks_turned
from vision_banana_ros.perception.visualization import Tile
from vision_banana_ros.tasks import depth

UNSURE = 0.5
"""A card that has a smaller share of depth within 25 % of the truth at some distance is told of."""
MOST_BEYOND = 0.3
"""Of the pixels; outdoors a third of a picture may be sky."""
WRITERS = 2
"""Threads that write results while the next frame is painted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "input",
        nargs="?",
        metavar="IMAGE|FOLDER|BAG|VIDEO",
        help="input; a video is a file, an rtsp:// URL or a GStreamer pipeline",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder; each frame gets a subfolder",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="overwrite existing results in the output folder"
    )
    add_bundle_argument(parser)
    add_executor_argument(parser)
    add_passes_argument(parser)
    parser.add_argument("--topic", help="image topic of a bag; required if the bag has several")
    parser.add_argument("--recursive", action="store_true", help="also process the subfolders of a folder")
    add_question_arguments(parser)
    add_camera_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    refuse_used(args.out, args.overwrite)
    args.out.mkdir(parents=True, exist_ok=True)
    calibration = named_calibration(args)
    frames = open_frames(_input(args), args.topic, args.recursive)
    generator = load_generator(args.bundle or default_bundle(), args.executor)
    questions = questions_for(generator.tasks, generator.manifest.legend, args)
    perceiver = Perceiver(generator, passes=args.passes)
    for question in perceiver.asked(questions):
        generator.prepare(generator.asked(question).instruction)
    write_legend(args.out, questions)
    many = "all" if frames.count is None else frames.count
    told = f"{generator.name} ({generator.executor}) answers {many} frames, {len(questions)} questions each."
    tell(told)

    for fault in generator.faults:
        tell(fault)
    folders = Folders(args.out, args.overwrite)
    warned: set[str] = set()
    upright = UprightCheck()
    of = "" if frames.count is None else f"/{frames.count}"
    writing: deque[Future[dict[str, Any]]] = deque()
    failed = 0
    written: list[dict[str, Any] | None] = []
    # compressing takes longer than painting, and needs nothing of it
    with ThreadPoolExecutor(WRITERS) as writers:
        for number, frame in enumerate(frames.read(), start=1):
            if len(writing) >= 2 * WRITERS:  # no more than these wait in memory
                written.append(_written(writing.popleft()))
            try:
                if isinstance(frame, InputError):
                    raise frame
                if why := nothing_to_see(frame.image):
                    raise InputError(f"there is nothing to see in {frame.name}. {why}")
                camera, remark = camera_of(
                    frame, args, calibration, "clouds and depth" if perceiver.needs_lens else "clouds"
                )
                looks, _ = answer_rectified(camera, perceiver, frame.image, questions)
                # each picture, and a bag or a video now and then
                given = (perceiver, questions, looks)
                if looks_turned(*given) if frame.stamp_ns is None else upright.fault(*given):
                    tell(
                        f"{shortened(frame.name)} looks upside down: turned by 180 degrees its depth is"
                        " surer."
                    )
            except (InputError, MemoryError) as error:
                failed += 1
                tell(f"[{number}{of}] not answered: {error or 'the memory ran out.'}")
                continue
            except ExecutorLost as error:
                failed += (frames.count or number) - number + 1
                tell(f"[{number}{of}] not answered, and none after it: {error}")
                break
            writing.append(
                writers.submit(_write, folders.make(frame.name), frame, camera.intrinsics, questions, looks)
            )
            if remark and remark not in warned:
                warned.add(remark)
                tell(remark)
            size = f"{frame.image.shape[1]}x{frame.image.shape[0]}"
            tell(f"[{number}{of}] {shortened(frame.name)}, {size}: {looks.paint_s + looks.read_s:.2f} s")
        written += [_written(each) for each in writing]
    report = [record for record in written if record is not None]
    failed += len(written) - len(report)
    summary = {
        "bundle": generator.name,
        "executor": generator.executor,
        "not_answered": failed,
        "frames": report,
    }
    write_bytes(args.out / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())
    _print_summary(report, failed, args.out)
    folder = args.bundle or default_bundle()
    with reading_metrics(folder):
        for told in doubts(generator.name, _card(folder), report):
            tell(told)
    return 1 if failed else 0


def _input(args: argparse.Namespace) -> str:
    """What to answer. After options that take several words argparse has taken it for one of them."""
    if args.input is not None:
        return str(args.input)
    for words in (args.expression, args.legend):
        if words and (Path(words[-1]).exists() or names_source(words[-1])):
            return str(words.pop())
    raise InputError("Name what to answer: vision-banana run IMAGE|FOLDER|BAG|VIDEO --out DIR.")


def _write(
    folder: Path, frame: Frame, camera: Intrinsics, questions: list[Question], looks: Looks
) -> dict[str, Any]:
    started = time.perf_counter()
    names = stems(questions)
    record: dict[str, Any] = {"name": frame.name, "folder": folder.name, "stamp_ns": frame.stamp_ns}
    for name, question, answer in zip(names, questions, looks, strict=True):
        write_answer(folder, name, question, answer)
        if isinstance(answer, depth.Answer):
            if (inside := answer.depth_m[np.isfinite(answer.depth_m)]).size:
                record["depth_m"] = [round(float(d), 3) for d in np.percentile(inside, (5, 50, 95))]
            record["beyond_range"] = round(float(np.isposinf(answer.depth_m).mean()), 4)
            record["points"] = write_ply(folder / "points.ply", points(answer.depth_m, camera), looks.image)
    picture = Tile("image", looks.image, f"{camera.width}x{camera.height}, fx {camera.fx:.1f}")
    tiles = [tile(question, answer, looks.image) for question, answer in zip(questions, looks, strict=True)]
    write_sheet(folder / SHEET, [picture, *tiles], frame.name)
    record["readable"] = dict(zip(names, (round(r, 4) for r in looks.readable), strict=True))
    record["confidence"] = {
        name: round(float(answer.confidence.mean()), 4) for name, answer in zip(names, looks, strict=True)
    }
    record["seconds"] = {"paint": looks.paint_s, "read": looks.read_s, "write": time.perf_counter() - started}
    return record


def _written(writing: Future[dict[str, Any]]) -> dict[str, Any] | None:
    """What is reported of a frame whose results are written; None where they cannot be."""
    try:
        return writing.result()
    except (InputError, MemoryError) as error:
        tell(f"not written: {error or 'the memory ran out.'}")
        return None


def _card(folder: Path) -> Mapping[str, Any]:
    """The figures of a bundle; none of a generator that is no bundle."""
    try:
        return open_bundle(folder).metrics
    except InputError:
        return {}


def doubts(bundle: str, metrics: Mapping[str, Any], report: Sequence[dict[str, Any]]) -> list[str]:
    """What the bundle's card says against the depth of these frames, as sentences.

    Args:
        bundle: Its name.
        metrics: The card's figures by split.
        report: Of the frames: `depth_m`, the 5th, 50th and 95th percentile in metres, `beyond_range`, a share
            of the pixels.
    """
    told = []
    spans = [record["depth_m"] for record in report if "depth_m" in record]
    measured = {
        split: figures["depth"]
        for split, figures in metrics.items()
        if "delta1" in (figures.get("depth") or {})
    }
    if spans and measured:
        near, middle, far = (float(np.median(column)) for column in zip(*spans, strict=True))
        shares = ", ".join(f"{figures['delta1']:.0%} ({split})" for split, figures in measured.items())
        told.append(
            f"Depth is {near:.2g} to {far:.2g} m here. By its card {bundle} is within 25 % of the truth for"
            f" {shares} of the pixels."
        )
        bands = [
            (name, band["delta1"])
            for figures in measured.values()
            for name, band in figures.get("bands", {}).items()
        ]
        here = [share for name, share in bands if _within(name, middle)]
        if here and min(here) < UNSURE:
            told.append(
                f"At {middle:.2g} m that is {min(here):.0%} to {max(here):.0%} only: do not rely on it."
            )
        elif bands and not here:
            told.append(f"{middle:.2g} m is a depth at which {bundle} was never measured: do not rely on it.")
    beyond = [record["beyond_range"] for record in report if "beyond_range" in record]
    if beyond and np.mean(beyond) > MOST_BEYOND:
        told.append(
            f"{np.mean(beyond):.0%} of the depth lies beyond what {bundle} was taught, and is infinite."
        )
    return told


def _within(band: str, depth_m: float) -> bool:
    """Whether a band of the card, such as "2-5 m", holds a depth."""
    low, _, high = band.removesuffix(" m").partition("-")
    return float(low) <= depth_m < float(high)


def _print_summary(report: list[dict[str, Any]], failed: int, out: Path) -> None:
    if report:
        print(f"{'':12}readable  confidence")
        for name in report[0]["readable"]:
            shares = (sum(r[part][name] for r in report) / len(report) for part in ("readable", "confidence"))
            print(f"{name:12}{next(shares):8.1%}{next(shares):12.2f}")
        seconds = {
            part: sum(r["seconds"][part] for r in report) / len(report) for part in ("paint", "read", "write")
        }
        print("seconds a frame: " + ", ".join(f"{part} {value:.3f}" for part, value in seconds.items()))
    print(f"{len(report)} frames answered, {failed} not; results in {out}")
