# SPDX-License-Identifier: Apache-2.0
"""NYU Depth v2: depth of the 654 test frames of the labelled .mat, and their normals as DSINE has them."""

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.dsine import dsine_normals
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol
from vision_banana_ros.perception import Intrinsics

MAT, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
SIZE = (480, 640)
CAMERA = Intrinsics(640, 480, 518.8579, 519.4696, 325.5824, 253.7362)
EIGEN_CROP = (slice(45, 471), slice(41, 601))
# the pictures have a white frame, which others' evaluations blacken
WITHIN_FRAME = (slice(7, 474), slice(7, 632))
NEAR_M, FAR_M = 1e-3, 10.0


def open_folder(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, MAT, MAT)
    file = root / MAT
    depths = _opened(file)["rawDepths"]
    numbers = _test_frames(root / SPLITS, len(depths))
    return [
        Entry(f"{number:04d}", (file, root / SPLITS), partial(_frame, file, number)) for number in numbers
    ]


@lru_cache(maxsize=2)
def _opened(file: Path) -> Any:
    h5py = reading.needed("h5py")
    try:
        mat = h5py.File(file, "r")
        ours = {name: mat[name] for name in ("images", "rawDepths")}
    except (OSError, KeyError) as error:
        raise InputError(
            f"'{file}' is not the labelled data set of NYU, whole ({error}): get it again."
        ) from None
    count = ours["images"].shape[0]
    height, width = SIZE
    if ours["images"].shape != (count, 3, width, height) or ours["rawDepths"].shape != (count, width, height):
        raise InputError(
            f"'{file}' has arrays of other shapes than the labelled data set of NYU: get that one."
        )
    return ours


def _test_frames(file: Path, count: int) -> list[int]:
    """Numbers of the official test frames, counted from 1."""
    mat = reading.matlab(file)
    try:
        numbers = [int(number) for number in np.ravel(mat["testNdxs"])]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{file}' is not NYU's file of splits ({error}): get it again.") from None
    reading.once(map(str, numbers), f"'{file}'")
    if not numbers or not 1 <= min(numbers) <= max(numbers) <= count:
        raise InputError(
            f"'{file}' names frames that the {count} of {MAT} do not have: take both from one download."
        )
    return sorted(numbers)


def _frame(file: Path, number: int) -> Frame:
    mat = _opened(file)
    # MATLAB's order of axes: the last is the first.
    stored = np.ascontiguousarray(mat["images"][number - 1].transpose(2, 1, 0))
    image = np.zeros_like(stored)
    image[WITHIN_FRAME] = stored[WITHIN_FRAME]
    depth_m = np.full(SIZE, np.nan, np.float32)
    depth_m[EIGEN_CROP] = mat["rawDepths"][number - 1].T[EIGEN_CROP]
    return Frame(image, reading.scored(depth_m, NEAR_M, FAR_M, image, file), CAMERA)


BENCHMARKS = (
    Benchmark(
        "nyuv2-depth", "NYU", DepthProtocol(), 654, open_folder,
        "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html",
        "stated by NYU: research", "2.8 GB", f"{MAT}\n{SPLITS}",
        ("Protocol: UniDepth's public evaluation: the sensor's own depth (rawDepths) within the Eigen crop,"
            " 0.001 to 10 m, pictures"
         " with their white frame blackened, figures a picture. The paper does not state its own.",),
        SIZE,
    ),
    dsine_normals("nyuv2-normals", "NYUv2", "nyuv2", "png8", 654, SIZE, "stated by NYU: research", "test",
                  scenes="test"),
)  # fmt: skip
