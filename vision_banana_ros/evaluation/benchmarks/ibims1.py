# SPDX-License-Identifier: Apache-2.0
"""iBims-1: depth of the 100 frames of ibims1_core_mat, and their normals as DSINE fitted them."""

from functools import partial
from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.dsine import dsine_normals
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol
from vision_banana_ros.perception import Intrinsics

NEAR_M, FAR_M = 0.005, 25.0
SIZE = (480, 640)
LIST, FOLDER = "imagelist.txt", "ibims1_core_mat"


def open_folder(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"{FOLDER}/*.mat", f"{FOLDER} and {LIST}")
    listed = root / LIST if (root / LIST).is_file() else root / FOLDER / LIST
    names = reading.once(reading.lines(listed), f"'{listed}'")
    files = [root / FOLDER / f"{name}.mat" for name in names]
    return [Entry(name, (file,), partial(_frame, file)) for name, file in zip(names, files, strict=True)]


def _frame(file: Path) -> Frame:
    mat = reading.matlab(file)
    try:
        data = mat["data"][0, 0]
        image, depth, k = (np.asarray(data[name]) for name in ("rgb", "depth", "calib"))
        valid = (np.asarray(data["mask_invalid"]) != 0) & (np.asarray(data["mask_transp"]) != 0)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"'{file}' is no frame of iBims-1, whole ({error}): copy it again.") from None
    if image.dtype != np.uint8 or image.shape != (*SIZE, 3) or k.shape != (3, 3) or valid.shape != SIZE:
        raise InputError(
            f"'{file}' holds a picture of {image.shape}, {image.dtype}: iBims-1 has 640x480 pixels of 8 bits."
        )
    depth_m = np.where(valid, depth.astype(np.float32), np.nan)
    # MATLAB's camera matrix is the transpose of everybody else's.
    camera = Intrinsics(SIZE[1], SIZE[0], float(k[0, 0]), float(k[1, 1]), float(k[2, 0]), float(k[2, 1]))
    return Frame(np.ascontiguousarray(image), reading.scored(depth_m, NEAR_M, FAR_M, image, file), camera)


LICENCE = "research, as its page states"
BENCHMARKS = (
    Benchmark(
        "ibims1-depth", "iBims-1", DepthProtocol(), 100, open_folder, "https://www.asg.ed.tum.de/lmf/ibims1/",
        LICENCE, "0.4 GB",
        f"{LIST}\n{FOLDER}/corridor_01.mat",
        ("Protocol: UniDepth's public evaluation with iBims-1's own masks (invalid and transparent pixels"
            " left out), up to 25 m,"
         " figures a picture. The paper does not state its own.",),
        SIZE,
    ),
    dsine_normals("ibims1-normals", "iBims-1", "ibims", "exr", 100, SIZE, LICENCE, "ibims",
                  notes=("The paper's text gives no row of normals on iBims-1.",)),
)  # fmt: skip
