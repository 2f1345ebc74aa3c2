# SPDX-License-Identifier: Apache-2.0
"""Folders of own real frames in the layout of `evaluate --real`, with the protocols of the published sets."""

from collections.abc import Mapping
from pathlib import Path

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol, SemanticProtocol
from vision_banana_ros.evaluation.real import DEPTH, LABELS, NAMES, frame_names, real_set


def open_depth(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"*{DEPTH}", f"pictures NAME.png with NAME{DEPTH}")
    split = real_set(root, only=DEPTH)

    def entry(number: int, name: str) -> Entry:
        def load() -> Frame:
            case = split.case(number)
            if case.depth_m is None:
                raise InputError(f"'{root / name}{DEPTH}' is gone since the folder was listed: begin anew.")
            truth = reading.scored(case.depth_m, 0, float("inf"), case.image, root / f"{name}{DEPTH}")
            return Frame(case.image, truth, case.intrinsics)

        return Entry(f"{root.resolve().name}/{name}", (root / f"{name}{DEPTH}",), load)

    return [entry(number, name) for number, name in enumerate(frame_names(root, DEPTH))]


def open_classes(root: Path, mapping: Mapping[str, str] | None = None) -> list[Entry]:
    """mapping: what their classes are scored as, of `read_mapping`."""
    root = reading.rooted(root, f"*{LABELS}", f"pictures NAME.png with NAME{LABELS}")
    split = real_set(root, mapping, only=LABELS)

    def entry(number: int, name: str) -> Entry:
        def load() -> Frame:
            case = split.case(number)
            if case.labels is None:
                raise InputError(f"'{root / name}{LABELS}' is gone since the folder was listed: begin anew.")
            return Frame(case.image, case.labels)

        return Entry(f"{root.resolve().name}/{name}", (root / f"{name}{LABELS}",), load)

    return [entry(number, name) for number, name in enumerate(frame_names(root, LABELS))]


SOURCE, LICENCE = "your own, see docs/how_to/real_frames.md", "your own"
BENCHMARKS = (
    Benchmark(
        "real-depth", "real frames", DepthProtocol(), 0, open_depth, SOURCE, LICENCE, "your own",
        f"NAME.png\nNAME{DEPTH}",
        ("Figures a picture and their means; `evaluate --real` counts every known pixel of the set the"
            " same.",),
        own=True,
    ),
    Benchmark(
        "real-classes", "real frames", SemanticProtocol(), 0, open_classes, SOURCE, LICENCE, "your own",
        f"NAME.png\nNAME{LABELS}\n{NAMES}",
        ("The generator's own legend is asked for; other people's classes are scored as ours by --mapping.",),
        takes_mapping=True,
        own=True,
    ),
)  # fmt: skip
