# SPDX-License-Identifier: Apache-2.0
"""DIODE, indoor validation: depth and normals of 325 frames.

Its normals are +x right, +y up, +z to the viewer, as the paper's, but some point away from the camera: those
are turned round, since what is seen faces whoever sees it.
"""

from pathlib import Path

import numpy as np

from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.dsine import unit
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol, NormalsProtocol
from vision_banana_ros.perception import Intrinsics

SIZE = (768, 1024)
CAMERA = Intrinsics(1024, 768, 886.81, 927.06, 512.0, 384.0)
NEAR_M, FAR_M = 0.01, 25.0
SCANS = "indoors/scene_*/scan_*"
ENDS = ("_depth.npy", "_depth_mask.npy", "_normal.npy")


def open_depth(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"{SCANS}/*_depth.npy", "'indoors' of DIODE's val")

    def entry(stem: Path) -> Entry:
        image, depth, mask = (
            stem.with_name(stem.name + end) for end in (".png", "_depth.npy", "_depth_mask.npy")
        )

        def load() -> Frame:
            picture = reading.picture(image, SIZE)
            depth_m, known = reading.array(depth).squeeze(), reading.array(mask).squeeze() != 0
            reading.same_size(known, picture, mask)
            reading.same_size(depth_m, picture, depth)
            return Frame(
                picture,
                reading.scored(np.where(known, depth_m, np.nan), NEAR_M, FAR_M, picture, depth),
                CAMERA,
            )

        return Entry(str(stem.relative_to(root)), (image, depth, mask), load)

    return [entry(stem) for stem in _stems(root)]


def open_normals(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"{SCANS}/*_normal.npy", "'indoors' of DIODE's val with its normals")

    def entry(stem: Path) -> Entry:
        image, normal = (stem.with_name(stem.name + end) for end in (".png", "_normal.npy"))

        def load() -> Frame:
            picture = reading.picture(image, SIZE)
            normals = reading.array(normal).squeeze()
            reading.same_size(normals, picture, normal)
            return Frame(picture, facing(unit(normals, normal)), CAMERA)

        return Entry(str(stem.relative_to(root)), (image, normal), load)

    return [entry(stem) for stem in _stems(root)]


def _stems(root: Path) -> list[Path]:
    """Of each picture, and of each truth without one."""
    found = {file.with_suffix("") for file in root.glob(f"{SCANS}/*.png")}
    found |= {
        file.with_name(file.name.removesuffix(end)) for end in ENDS for file in root.glob(f"{SCANS}/*{end}")
    }
    # NAME_depth_mask.npy is no mask of NAME_depth
    return sorted(stem for stem in found if not stem.name.endswith("_depth"))


def facing(normals: np.ndarray) -> np.ndarray:
    """Normals (H, W, 3) turned round where they point away from the camera."""
    rows, columns = np.mgrid[: normals.shape[0], : normals.shape[1]]
    to_viewer = np.stack([CAMERA.cx - columns, rows - CAMERA.cy, np.ones(rows.shape)], axis=2) / (
        CAMERA.fx,
        CAMERA.fy,
        1,
    )
    away = np.einsum("hwc,hwc->hw", normals, to_viewer) < 0
    return np.where(away[..., None], -normals, normals).astype(np.float32)


SOURCE = "https://diode-dataset.org (val.tar.gz; normals: val_normals.tar.gz, laid into the same folders)"
STEM = "indoors/scene_00019/scan_00183/00019_00183_indoors_000_010"
BENCHMARKS = (
    Benchmark(
        "diode-depth", "DIODE indoor", DepthProtocol(), 325, open_depth, SOURCE, "MIT", "2.6 GB",
        f"{STEM}.png\n{STEM}_depth.npy\n{STEM}_depth_mask.npy",
        ("Protocol: UniDepth's public evaluation: the indoor validation frames, their masks, up to 25 m,"
            " figures a picture. The paper"
         " does not state its own.",),
        SIZE,
    ),
    Benchmark(
        "diode-normals", "DIODE indoor", NormalsProtocol(), 325, open_normals, SOURCE, "MIT", "2.6 GB and"
            " 4.6 GB",
        f"{STEM}.png\n{STEM}_normal.npy",
        ("Protocol: DSINE's metrics, angles over all pixels of the set that have a normal; normals that"
            " point away from the camera"
         " are turned round. The paper does not state its own.",),
        SIZE,
    ),
)  # fmt: skip
