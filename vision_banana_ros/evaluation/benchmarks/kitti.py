# SPDX-License-Identifier: Apache-2.0
"""KITTI: depth of the Eigen test split with the improved ground truth of the depth benchmark, 652 frames."""

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol
from vision_banana_ros.perception import Intrinsics

LIST = "eigen_test_files.txt"
CROP = (352, 1216)  # the lowest rows and the middle columns, of every picture
GARG = (0.40810811, 0.99189189, 0.03594771, 0.96405229)  # rows and columns of that
NEAR_M, FAR_M = 0.05, 80.0
UNIT = 256  # of 16-bit depth, a metre
_FRAME = re.compile(
    r"(\d{4}_\d\d_\d\d)/(\1_drive_\d{4}_sync)(?:/image_0([23])/data/| )0*(\d+)(?:\.png|\.jpg)?(?: ([lr])$| |$)"  # noqa: E501
)
"""Both usual forms: of Monodepth ("DAY/DRIVE FRAME l") and of BTS ("DAY/DRIVE/image_02/data/FRAME.png
TRUTH FOCAL")."""


def open_folder(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(
        root, LIST, f"{LIST}, the days of KITTI raw and the depth benchmark's train and val"
    )
    names = reading.once(reading.lines(root / LIST), f"'{root / LIST}'")
    if not any(root.glob("????_??_??/*_sync")):
        raise InputError(f"'{root}' has no day of KITTI raw such as 2011_09_26: unpack the raw drives there.")
    found = [_entry(root, _parsed(line, root / LIST)) for line in names]
    return reading.some(
        [entry for entry in found if entry], root, "frame of the list with improved ground truth (train, val)"
    )


def _parsed(line: str, file: Path) -> tuple[str, str, str, str]:
    """Day, drive, camera and frame of a line of the list."""
    match = _FRAME.match(line)
    if not match:
        raise InputError(
            f"'{line[:100]}' in '{file}' names no frame of KITTI: take the Eigen test list of"
            " Monodepth or BTS."
        )
    camera = match[3] or {"r": "3"}.get(match[5] or "l", "2")
    return match[1], match[2], camera, f"{int(match[4]):010d}"


def _entry(root: Path, frame: tuple[str, str, str, str]) -> Entry | None:
    """None where the benchmark published no depth of that drive's frame: of the 697 frames 45 have none."""
    day, drive, camera, number = frame
    image = root / day / drive / f"image_0{camera}" / "data" / f"{number}.png"
    depths = [
        root / part / drive / "proj_depth" / "groundtruth" / f"image_0{camera}" / f"{number}.png"
        for part in ("val", "train")
    ]
    depth = next((file for file in depths if file.is_file()), None)
    if depth is None:
        return None
    lens = root / day / "calib_cam_to_cam.txt"

    def load() -> Frame:
        whole = reading.picture(image)
        values = reading.raster(depth, np.uint16)
        reading.same_size(values, whole, depth)
        top, left = whole.shape[0] - CROP[0], (whole.shape[1] - CROP[1]) // 2
        if top < 0 or left < 0:
            raise InputError(
                f"'{image}' is {whole.shape[1]}x{whole.shape[0]}, smaller than any picture of"
                " KITTI: get the original."
            )
        window = (slice(top, top + CROP[0]), slice(left, left + CROP[1]))
        picture = np.ascontiguousarray(whole[window])
        depth_m = np.full(CROP, np.nan, np.float32)
        garg = garg_crop(*CROP)
        depth_m[garg] = values[window][garg] / np.float32(UNIT)
        fx, fy, cx, cy = _lens(lens, camera)
        truth = reading.scored(depth_m, NEAR_M, FAR_M, picture, depth)
        return Frame(picture, truth, Intrinsics(CROP[1], CROP[0], fx, fy, cx - left, cy - top))

    return Entry(f"{drive}/image_0{camera}/{number}", (image, depth, lens), load)


def garg_crop(height: int, width: int) -> tuple[slice, slice]:
    """The part of a picture that Garg et al. (ECCV 2016) evaluate."""
    top, bottom, left, right = GARG
    return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))


@lru_cache(maxsize=16)
def _lens(file: Path, camera: str) -> tuple[float, float, float, float]:
    found = re.search(rf"^P_rect_0{camera}:(.+)$", reading.text(file), re.MULTILINE)
    try:
        p = np.array(found[1].split() if found else [], np.float64).reshape(3, 4)
    except ValueError:
        raise InputError(f"'{file}' has no P_rect_0{camera} of 12 numbers: copy it from KITTI raw.") from None
    return float(p[0, 0]), float(p[1, 1]), float(p[0, 2]), float(p[1, 2])


BENCHMARKS = (
    Benchmark(
        "kitti-depth", "KITTI", DepthProtocol(), 652, open_folder,
        "https://www.cvlibs.net/datasets/kitti (raw data; depth benchmark: data_depth_annotated); the list:"
        " of Monodepth2 or BTS",
        "CC BY-NC-SA 3.0", "44 GB of the 28 drives, 14 GB",
        f"{LIST}\n2011_09_26/calib_cam_to_cam.txt\n2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png\n"
        "train/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000069.png\nval/...",
        ("Protocol: UniDepth's public evaluation: Eigen's test frames that have improved ground truth, cut"
            " to 352x1216, Garg's crop,"
         " up to 80 m, figures a picture. The paper does not state its own.",),
    ),
)  # fmt: skip
