# SPDX-License-Identifier: Apache-2.0
"""Normals as DSINE's evaluation publishes them (dsine_eval.zip).

NAME_img.png or .jpg, NAME_normal, NAME_intrins.npy, by scenes.

Its frame is +x right, +y down, +z into the picture, and its normals point away from the camera: a wall in
front is (0, 0, 1), a floor has +y. Negated and in the paper's frame (+x right, +y up, +z to the viewer) (x,
y, z) becomes (-x, y, z).
"""

from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import NormalsProtocol
from vision_banana_ros.perception import Intrinsics

SOURCE = "https://github.com/baegwangbin/DSINE (dsine_eval.zip, by way of its README)"
DOWNLOAD = "a few GB, with all six sets of dsine_eval"
IMAGES = ("_img.png", "_img.jpg")
PROTOCOL = (
    "Protocol: DSINE's public evaluation, angles over all pixels of the set that have a normal. The paper"
    " does not state its own."
)
LONGEST_ERROR = 0.1  # how far from 1 the length of a stored normal may be; 8 bits cost 0.01


def dsine_normals(
    name: str,
    title: str,
    folder: str,
    normal: str,
    frames: int,
    size: tuple[int, int],
    licence: str,
    scene: str,
    scenes: str = "*",
    image: str = "png",
    notes: tuple[str, ...] = (),
) -> Benchmark:
    """A data set of dsine_eval.

    Args:
        name: What the command calls it.
        title: What the table calls it.
        folder: Its own there.
        normal: How normals are stored: "png8", "png16" or "exr".
        frames: How many were published.
        size: (height, width) of all pictures.
        licence: Its own.
        scene: The name of a scene, for the layout.
        scenes: A glob of the scenes that count.
        image: How pictures are stored, for the layout.
        notes: What must be known of a row besides the protocol.
    """
    suffix = "exr" if normal == "exr" else "png"

    def open_folder(root: Path) -> list[Entry]:
        return _frames(
            reading.rooted(root, f"{scenes}/*_normal.{suffix}", f"'{folder}' of dsine_eval"),
            scenes,
            normal,
            size,
        )

    layout = f"{scene}/000000_img.{image}\n{scene}/000000_normal.{suffix}\n{scene}/000000_intrins.npy"
    protocol = NormalsProtocol()
    return Benchmark(
        name,
        title,
        protocol,
        frames,
        open_folder,
        SOURCE,
        licence,
        DOWNLOAD,
        layout,
        (PROTOCOL, *notes),
        size,
    )


def _frames(root: Path, scenes: str, normal: str, size: tuple[int, int]) -> list[Entry]:
    """A frame for each picture or normal map; what lacks the other is named when it is read."""
    found = (file for pattern in (*IMAGES, "_normal.*") for file in root.glob(f"{scenes}/*{pattern}"))
    stems = sorted({(file.parent, _stem(file)) for file in found})
    return [_entry(root, folder, stem, normal, size) for folder, stem in stems]


def _stem(file: Path) -> str:
    return file.name.rpartition("_")[0]


def _entry(root: Path, folder: Path, stem: str, normal: str, size: tuple[int, int]) -> Entry:
    image = next(
        (folder / f"{stem}{end}" for end in IMAGES if (folder / f"{stem}{end}").exists()),
        folder / f"{stem}_img.png",
    )
    truth, camera = (
        folder / f"{stem}_normal.{'exr' if normal == 'exr' else 'png'}",
        folder / f"{stem}_intrins.npy",
    )

    def load() -> Frame:
        picture = reading.picture(image, size)
        normals = _read(truth, normal)
        reading.same_size(normals, picture, truth)
        return Frame(picture, in_paper_frame(normals, truth), _intrinsics(camera, picture.shape[:2]))

    return Entry(f"{folder.relative_to(root)}/{stem}", (image, truth, camera), load)


def _read(file: Path, kind: str) -> np.ndarray:
    """(H, W, 3) as stored, 0 where there is none."""
    if kind == "exr":
        return _exr(file)
    values = reading.raster(file, np.uint16 if kind == "png16" else np.uint8, channels=3)
    normals = values.astype(np.float32) / (65535 if kind == "png16" else 255) * 2 - 1
    return np.where(values.any(axis=2, keepdims=True), normals, 0)


def _exr(file: Path) -> np.ndarray:
    exr = reading.needed("OpenEXR")
    reading.content(file)
    try:
        with exr.File(str(file)) as opened:
            return np.asarray(opened.channels()["RGB"].pixels, np.float32)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise InputError(
            f"'{file}' cannot be read as a picture of three floats: copy it again. {error}"
        ) from None


def in_paper_frame(normals: np.ndarray, file: Path) -> np.ndarray:
    """Unit vectors in the paper's frame, NaN where there is none.

    InputError where they are no unit vectors.
    """
    return unit(normals, file) * np.array((-1, 1, 1), np.float32)


def unit(normals: np.ndarray, file: Path) -> np.ndarray:
    """(H, W, 3) float32 of length 1, NaN where a vector is shorter than half.

    InputError where most are no unit vectors.
    """
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    there = length > 0.5
    if not there.any():
        raise InputError(f"'{file}' has no normal at all: its truth is missing.")
    if np.mean(np.abs(length[there] - 1) < LONGEST_ERROR) < 0.9:
        raise InputError(
            f"'{file}' does not hold unit vectors: it is of another scale or format; get the published one."
        )
    return np.where(there, normals / np.maximum(length, 0.5), np.nan).astype(np.float32)


def _intrinsics(file: Path, size: tuple[int, int]) -> Intrinsics | None:
    k = reading.array(file)
    if k.shape != (3, 3):
        raise InputError(f"'{file}' is no 3x3 camera matrix: copy it again.")
    return Intrinsics(size[1], size[0], float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))
