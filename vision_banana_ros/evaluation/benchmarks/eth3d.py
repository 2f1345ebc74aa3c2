# SPDX-License-Identifier: Apache-2.0
"""ETH3D, high-resolution multi-view training set: depth of 454 photographs of 13 scenes."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol
from vision_banana_ros.perception import Intrinsics

NEAR_M, FAR_M = 0.01, 50.0
IMAGES, DEPTHS, CAMERAS = "images/dslr_images", "ground_truth_depth/dslr_images", "dslr_calibration_jpg"


def open_folder(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"*/{DEPTHS}", "the scenes of ETH3D with their depth")
    scenes = sorted({folder.parents[1] for name in (IMAGES, DEPTHS) for folder in root.glob(f"*/{name}")})
    found = []
    for scene in scenes:
        names = {file.name for folder in (IMAGES, DEPTHS) for file in (scene / folder).glob("*.JPG")}
        found += [_entry(scene, name) for name in sorted(names)]
    return reading.some(found, root, "photographs")


def _entry(scene: Path, name: str) -> Entry:
    files = tuple(scene / folder / name for folder in (IMAGES, DEPTHS))
    cameras = tuple(scene / CAMERAS / file for file in ("cameras.txt", "images.txt"))

    def load() -> Frame:
        photograph, truth = files
        image = reading.picture(photograph)
        data = reading.content(truth)
        if len(data) != image.shape[0] * image.shape[1] * 4:
            raise InputError(
                f"'{truth}' has {len(data):,} bytes, not 4 for each pixel of its photograph: copy it again."
            )
        depth_m = np.frombuffer(data, "<f4").reshape(image.shape[:2])
        lens = _lenses(*cameras).get(name)
        if lens is None:
            raise InputError(f"'{cameras[1]}' has no camera of {name}: copy it again.")
        return Frame(image, reading.scored(depth_m, NEAR_M, FAR_M, image, truth), lens)

    return Entry(f"{scene.name}/{Path(name).stem}", (*files, *cameras), load)


@lru_cache(maxsize=16)
def _lenses(cameras: Path, images: Path) -> dict[str, Intrinsics]:
    """The camera of each photograph by its name, of COLMAP's text files.

    Their corner of a picture is (0, 0), ours (-0.5, -0.5).
    """
    by_number = {}
    rows = [line.split() for line in reading.lines(cameras) if not line.startswith("#")]
    try:
        for number, _, width, height, *values in rows:
            fx, fy, cx, cy = (float(value) for value in values[:4])
            by_number[number] = Intrinsics(int(width), int(height), fx, fy, cx - 0.5, cy - 0.5)
        photographs = [line.split() for line in reading.lines(images) if line.endswith(".JPG")]
        return {Path(row[9]).name: by_number[row[8]] for row in photographs}
    except (ValueError, KeyError, IndexError):
        raise InputError(
            f"'{cameras}' and '{images}' are no cameras as ETH3D stores them: copy them again."
        ) from None


BENCHMARKS = (
    Benchmark(
        "eth3d-depth", "ETH3D", DepthProtocol(), 454, open_folder,
        "https://www.eth3d.net/datasets (multi_view_training_dslr_jpg, _depth)",
        "CC BY-NC-SA 4.0", "20 GB",
        f"office/{IMAGES}/DSC_0219.JPG\noffice/{DEPTHS}/DSC_0219.JPG\noffice/{CAMERAS}/cameras.txt\noffice/{CAMERAS}/images.txt",
        ("Protocol: the 454 photographs of Marigold's list as they were taken (distorted), at full size, up"
            " to 50 m as UniDepth has"
         " it, figures a picture. Intrinsics are the focal lengths of the distorted lens. The paper does"
         " not state its own.",),
    ),
)  # fmt: skip
